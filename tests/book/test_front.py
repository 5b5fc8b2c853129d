"""The front page holds a visitor within two screens of a phone, and pages keep their form: in a real browser, from disk."""

import re
import sys

import numpy as np
import pytest
from book.test_browser import DESK, PHONE, READY, local_path, sent
from docutils.parsers.rst import DirectiveError

from compendium.registry import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))

import front  # noqa: E402

MOST_BYTES = 1_000_000  # of the front page, as a server sends it
CARDS = {"Play": "demo", "Read": "tour", "Check": "reproduction", "Use": "use"}
MOVES = """(ms) => new Promise((done) => {
  let n = 0;
  const seen = new MutationObserver((some) => (n += some.length));
  seen.observe(document.querySelector('.wave-sheet img'), { attributes: true });
  setTimeout(() => { seen.disconnect(); done(n); }, ms);
})"""
FRAME = "document.querySelector('.wave-sheet img').style.transform"
PATIENCE = 300_000  # ms, for a machine that has other things to do


@pytest.fixture
def browse(chromium, html):
    """Open a page of the book in a context of its own; all are closed after the test: a wave that moves takes time."""
    contexts = []

    def opened(name: str = "book/index", **options):
        contexts.append(chromium.new_context(**{"viewport": PHONE, "color_scheme": "light", **options}))
        contexts[-1].set_default_timeout(PATIENCE)
        page = contexts[-1].new_page()
        page.goto((html / f"{name}.html").as_uri())
        if options.get("java_script_enabled", True):
            page.evaluate(READY)
        return page

    yield opened
    for context in contexts:
        context.close()


def wait_for_motion(page) -> None:
    page.wait_for_function(f"(before) => {FRAME} !== before", arg=page.evaluate(FRAME))


# The first two screens


def test_four_cards_stand_within_two_screens_of_a_phone(browse):
    page = browse()
    cards = {}
    for card in page.locator(".front-cards .sd-card").all():
        address = card.locator("a").get_attribute("href")
        box = card.bounding_box()
        cards[card.locator(".sd-card-title").inner_text().strip()] = address
        assert box["y"] + box["height"] <= 2 * PHONE["height"], box
    assert cards == {title: f"{name}.html" for title, name in CARDS.items()}


def test_who_needs_this_and_the_finding_come_before_the_cards(browse):
    text = browse().locator("article").inner_text()
    first, _, rest = text.partition("Draw scars")
    assert rest and all(word in first for word in ("Optical mapping", "Digital twins", "Surrogate training", "Answer"))
    assert text.index("Optical mapping") < text.index("ECG at E") < text.index("Answer")


def test_the_wave_moves_and_a_key_stops_it(browse):
    page = browse()
    wait_for_motion(page)
    button = page.locator(".wave button")
    for _ in range(80):
        page.keyboard.press("Tab")
        if button.evaluate("(node) => node === document.activeElement"):
            break
    assert button.evaluate("(node) => node === document.activeElement"), "the key Tab reaches it"
    assert button.get_attribute("aria-label") == "Pause the wave"
    page.keyboard.press("Space")
    assert button.get_attribute("aria-label") == "Play the wave" and button.inner_text() == "Play"
    assert page.evaluate(MOVES, 2500) == 0, "longer than the last frame stays"
    page.keyboard.press("Enter")
    assert button.inner_text() == "Pause"
    wait_for_motion(page)


def shown(page) -> tuple[bool, float]:
    """Is the first frame in the window, and what share of the ECG is drawn?"""
    inside = page.evaluate("document.querySelector('.wave-sheet img').style.transform")
    until = float(page.locator("#wave-until rect").get_attribute("width")) / 1000
    return bool(re.match(r"translate\((-?0)(\.0+)?%, (-?0)(\.0+)?%\)", inside)), until


def test_readers_who_want_less_motion_see_a_still_and_the_whole_ecg(browse):
    page = browse(reduced_motion="reduce")
    assert page.evaluate(MOVES, 2500) == 0
    assert shown(page) == (False, 1.0)
    assert page.locator(".wave button").inner_text() == "Play"
    page.click(".wave button")
    wait_for_motion(page)


def test_a_page_without_scripts_has_the_still(browse):
    page = browse(java_script_enabled=False)
    assert page.locator(".wave-sheet img").is_visible() and not page.locator(".wave button").is_visible()
    assert float(page.locator("#wave-until rect").get_attribute("width")) == 1000
    sheet = page.locator(".wave-sheet").bounding_box()
    assert sheet["width"] == pytest.approx(sheet["height"], abs=1) and sheet["width"] > 100


def test_the_front_page_is_light(html, chromium):
    page = chromium.new_context(viewport=PHONE).new_page()
    page.set_default_timeout(PATIENCE)
    requests: set[str] = set()
    page.on("request", lambda request: requests.add(request.url))
    page.goto((html / "book" / "index.html").as_uri())
    page.wait_for_load_state("networkidle")
    page.context.close()
    files = {local_path(address) for address in requests if address.startswith("file:")}
    size = {path.name: sent(path) for path in files}
    assert "front.webp" in size and len(size) > 5
    assert sum(size.values()) < MOST_BYTES, size
    assert not [name for name in size if "mathjax" in name or "tex-svg" in name]


# The figure of the finding


def test_the_figure_has_the_means_of_the_scores():
    loss = front.losses(ROOT / front.SCORES)
    assert all(one.shape == (300,) for one in loss.values())
    svg = front.draw_finding(loss)
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert [one for one in texts if re.fullmatch(r"0\.\d{3}", one) and one != "0.001"] == [
        f"{1 - one.mean():.3f}" for one in loss.values()
    ]
    assert {words for words, _ in front.METHODS.values()} <= {*texts}
    kinds = [(marker, filled) for marker, filled, _ in front.KINDS.values()]
    assert len({marker for marker, _ in kinds}) == len(kinds), (
        "a shape for each kind, so that none is told by color alone"
    )


def test_a_method_without_scores_is_refused(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("method,r2\nstructured,0.9\n", encoding="utf-8")
    with pytest.raises(ValueError, match="expected scores of .*blind lead field.*, got none"):
        front.losses(path)


def luminance(color: str) -> float:
    values = np.array([float(one) for one in re.findall(r"[\d.]+", color)[:3]]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks_and_words_of_the_figure_are_seen_on_their_ground(browse, scheme):
    page = browse(color_scheme=scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    ground, *colors = page.evaluate(
        """() => {
        const svg = document.querySelector(".finding-figure svg"), of = (node) => getComputedStyle(node);
        const marks = [...svg.querySelectorAll("use")].map((node) => of(node).stroke);
        const words = [...svg.querySelectorAll("text")].map((node) => of(node).fill);
        return [of(document.body).backgroundColor, ...new Set([...marks, ...words])];
    }"""
    )
    assert len(colors) >= 2 and not {"none", ground} & {*colors}
    for color in colors:
        low, high = sorted((luminance(color), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 3, (color, ground)


def test_words_of_the_figure_are_large_enough_on_a_phone(browse):
    heights = browse().evaluate(
        "[...document.querySelectorAll('.finding-figure svg text')].map((node) => node.getBoundingClientRect().height)"
    )
    assert heights and min(heights) >= 10


def test_no_word_of_the_figure_lies_on_another_or_is_cut(browse):
    for options in ({}, {"viewport": DESK}):
        outside, boxes = browse(**options).evaluate(
            """() => {
            const svg = document.querySelector(".finding-figure svg"), frame = svg.getBoundingClientRect();
            const boxes = [...svg.querySelectorAll("text")].map((node) => [node.textContent, node.getBoundingClientRect()]);
            const cut = boxes.filter(([, one]) => one.left < frame.left - 1 || one.right > frame.right + 1);
            return [cut.map(([words]) => words), boxes.map(([words, one]) => [words, one.left, one.right, one.top, one.bottom])];
        }"""
        )
        assert not outside
        for k, (words, left, right, top, bottom) in enumerate(boxes):
            for other, l2, r2, t2, b2 in boxes[:k]:
                apart = left >= r2 or l2 >= right or top >= b2 - 2 or t2 >= bottom - 2
                assert apart, (words, other)


# The names of sets


def test_sets_are_named_in_words(browse, html):
    page = browse("book/results")
    cells = page.locator("table td:first-child").all_inner_texts()
    assert {"re-entry", "same recipe", "cell MBR, cell known", "same recipe, near electrodes"} <= {*cells}
    assert not [one for one in cells if "_" in one]


def test_a_set_without_a_name_is_refused():
    names = front.set_names(ROOT / front.NAMES)
    assert names["reentry"] == "re-entry" and len(names) == 9

    class Env:
        srcdir = ROOT

        def note_dependency(self, path: str) -> None:
            pass

    table = object.__new__(front.SetTable)
    table.options, table.name = {"header-rows": 1}, "set-table"
    table.state = type("S", (), {"document": type("D", (), {"settings": type("E", (), {"env": Env()})})})
    table.error = lambda words: DirectiveError(3, words)  # type: ignore[method-assign]
    dialect = front.SetTable.DocutilsDialect({})
    rows, width = table.parse_csv_data_into_rows(["set,n", "reentry,16", '"unseen_cell, cell known",2'], dialect, "x")
    assert [row[0][3][0] for row in rows] == ["set", "re-entry", "cell MLR-I, cell known"] and width == 2
    with pytest.raises(DirectiveError):
        table.parse_csv_data_into_rows(["set,n", "a_set_of_mine,16"], dialect, "x")


# The form of pages


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_title_section_and_part_have_sizes_of_their_own(browse, viewport):
    page = browse("book/limits", viewport=viewport)
    page.evaluate(
        "document.querySelector('article section section').append(document.createElement('h3'), document.createElement('h4'))"
    )
    sizes = [
        page.evaluate(f"parseFloat(getComputedStyle(document.querySelector('article {name}')).fontSize)")
        for name in ("h1", "h2", "h3", "p")
    ]
    steps = [a / b for a, b in zip(sizes, sizes[1:], strict=False)]
    assert min(steps) >= 1.2 and steps[0] >= 1.25, sizes


@pytest.mark.parametrize("name", ["book/results", "book/reproduction"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_captions_have_one_size_and_one_side(browse, name, viewport):
    forms = browse(name, viewport=viewport).evaluate(
        """[...document.querySelectorAll("article table caption, article figcaption")].map((node) => {
        const style = getComputedStyle(node.querySelector(".caption-text") || node);
        return `${style.fontSize} ${getComputedStyle(node).textAlign} ${style.fontWeight}`; })"""
    )
    assert forms and len({*forms}) == 1, forms


def test_the_first_column_stays_while_a_table_scrolls(browse):
    page = browse("book/results")
    box = page.locator(".pst-scrollable-table-container", has=page.locator("#table-results")).first
    first, second = (
        box.locator("tbody tr").first.locator("td").nth(0),
        box.locator("tbody tr").first.locator("td").nth(1),
    )
    edges = box.locator("xpath=following-sibling::span[contains(@class, 'edge')][position() <= 2]")
    right, left = (edges.locator(f"xpath=self::*[contains(@class, 'edge-{side}')]") for side in ("right", "left"))
    box.scroll_into_view_if_needed()
    assert right.is_visible() and not left.is_visible(), "a shadow where more is"
    before = first.bounding_box()["x"], second.bounding_box()["x"]
    box.evaluate("(node) => (node.scrollLeft = 150)")
    left.wait_for(state="visible")
    assert first.bounding_box()["x"] == pytest.approx(before[0], abs=1)
    assert second.bounding_box()["x"] == pytest.approx(before[1] - 150, abs=1)
    ground = first.evaluate("(node) => getComputedStyle(node).backgroundColor")
    assert ground == page.evaluate("getComputedStyle(document.body).backgroundColor"), "nothing shines through it"
    box.evaluate("(node) => (node.scrollLeft = 10000)")
    right.wait_for(state="hidden")
    shadow, frame = left.bounding_box(), box.bounding_box()
    assert shadow["x"] == pytest.approx(frame["x"], abs=1) and shadow["height"] == pytest.approx(frame["height"], abs=1)


@pytest.mark.parametrize("name", ["book/verification", "notebooks/15_ablations"])
def test_a_figure_that_is_cut_on_a_phone_says_so(browse, name):
    page = browse(name)
    cut = page.evaluate(
        """[...document.querySelectorAll("figure > a.image-reference, .cell_output > .output")]
        .filter((box) => box.querySelector("img") && box.scrollWidth > box.clientWidth + 1)
        .map((box) => { let words = "", edge = 0;
          for (let node = box.nextElementSibling; node && node.matches(".edge, .swipe"); node = node.nextElementSibling)
            if (!node.hidden && node.getBoundingClientRect().width) node.matches(".swipe") ? (words = node.innerText) : edge++;
          return [words, edge]; })"""
    )
    assert cut
    assert all("swipe" in words and edge == 1 for words, edge in cut), cut
    desk = browse(name, viewport=DESK)
    assert not desk.locator(".swipe").locator("visible=true").count()


TARGETS = """() => [...document.querySelectorAll(".front-cards .sd-card, article :is(li, td, dd, .way) a, article button, article summary, .prev-next-area a")]
  .filter((node) => !node.closest(".front-cards") || node.matches(".sd-card"))
  .filter((node) => !node.matches(".headerlink") && node.checkVisibility())
  .flatMap((node) => [...node.getClientRects()].filter((box) => box.width > 1).map((box) => [node.textContent.trim().slice(0, 30), box.height]))"""


@pytest.mark.parametrize("name", ["book/index", "book/downloads"])
def test_places_to_press_are_as_high_as_a_finger_needs(browse, name):
    page = browse(name)
    page.evaluate("document.querySelectorAll('article details').forEach((node) => (node.open = true))")
    targets = page.evaluate(TARGETS)
    assert len(targets) > 30
    assert not [one for one in targets if one[1] < 24]


@pytest.mark.parametrize("name", ["book/tissue", "book/structured"])
def test_an_equation_keeps_clear_of_its_number(browse, name):
    pairs = browse(name).evaluate(
        """[...document.querySelectorAll("div.math:has(> .eqno)")].map((node) => {
        const svg = node.querySelector("mjx-container > svg").getBoundingClientRect(), box = node.querySelector("mjx-container").getBoundingClientRect();
        const range = document.createRange(); range.selectNodeContents(node.querySelector(".eqno"));
        const number = range.getBoundingClientRect(), right = Math.min(svg.right, box.right);
        return [number.top >= box.bottom - 1 || number.left >= right, number.right <= innerWidth, number.width > 0]; })"""
    )
    assert pairs and all(all(one) for one in pairs), pairs
