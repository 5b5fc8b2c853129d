"""The book in a real browser: every page from disk, on a phone and on a desk, in the light and in the dark.

Each page is loaded once; the tests below read what was seen there. ``_run/page_weights.csv`` says what each page weighs
and how long it took to load here. A page may weigh 3 MB as a server sends it; on disk the script that sets mathematics
alone has 2 MB, so that some pages are heavier there.
"""

import csv
import functools
import gzip
import http.server
import re
import shutil
import threading
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import numpy as np
import pdf
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from PIL import Image

from compendium.registry import ROOT

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
MOST_BYTES = 3_000_000
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
FILE_NAME = re.compile(r"\.(png|svg|jpe?g|gif|webp|mp4)$|^[\w./-]*/[\w./-]*$", re.IGNORECASE)

READY = "async () => { await window.MathJax?.startup?.promise; await document.fonts.ready; }"
SEEN = """() => {
  const wide = document.documentElement.scrollWidth > innerWidth;
  const scrolls = (node) => node && (/auto|scroll|hidden|clip/.test(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
  const name = (node) => node.outerHTML.slice(0, 120);
  const out = [...document.querySelectorAll("body *")].filter((node) => wide
    && node.getBoundingClientRect().right > innerWidth + 1 && !scrolls(node.parentElement));
  const formulas = [...document.querySelectorAll(".math")];
  const speaks = (node) => node.getAttribute("aria-label") || node.getAttribute("alt") || node.title || "";
  return {
    wide: wide ? out.slice(0, 5).map(name).concat(`${document.documentElement.scrollWidth} px`) : [],
    raw: formulas.filter((node) => !node.querySelector("mjx-container")).map(name),
    wrong: [...document.querySelectorAll("mjx-merror, [data-mml-node=merror], [data-mjx-error]")].map(name),
    alts: [...document.querySelectorAll("img:not([role=img] img)")].map((node) => [node.alt, node.src.slice(-60)]),
    labels: [...document.querySelectorAll("video, canvas:not([aria-hidden=true]), .panels")].map((node) => [speaks(node), name(node)]),
    loaded: Math.round(performance.getEntriesByType("navigation")[0].loadEventEnd),
    ready: Math.round(performance.now()),
  };
}"""
# Ten thousand pieces of colored code look like the first of each kind, as do rows and entries: axe reads those.
THIN = """() => {
  const seen = new Set();
  for (const node of document.querySelectorAll(".highlight span, dl.py dt span:not(.viewcode-link, .viewcode-link *)")) {
    const box = node.closest(".cell_input, .cell_output, dl.py")?.classList[0];
    const kind = `${node.className} in ${node.parentElement.className} in ${box}`;
    if (seen.has(kind)) node.remove();
    seen.add(kind);
  }
  document.querySelectorAll(`tbody > tr:nth-child(n + 6), .genindextable li:nth-child(n + 4),
    .bd-sidebar-primary li:nth-child(n + 4):not(.current), mjx-container > svg > *`)
    .forEach((node) => node.remove());
}"""
AXE = "([rules]) => axe.run(document, {resultTypes: ['violations'], runOnly: rules})"


def told(violations: list[dict]) -> list[str]:
    """Serious and critical findings, a line each: the rule, where, and what axe says of it."""
    lines = []
    for rule in violations:
        for node in rule["nodes"]:
            if (node["impact"] or rule["impact"]) in ("serious", "critical"):
                why = [check["message"] for check in node["any"] + node["all"] + node["none"]] or [rule["help"]]
                lines.append(f"{rule['id']} at {' '.join(map(str, node['target']))}: {why[0]} | {node['html'][:120]}")
    return lines


def local_path(address: str) -> Path:
    return Path(url2pathname(unquote(urlsplit(address).path)))


def visit(page, path: Path, read: bool = True) -> dict:
    """Load one page as a phone shows it; look at it; then ``read`` it with axe there and, in the dark, on a desk."""
    requests: list[str] = []
    problems: list[str] = []
    listeners = {
        "request": lambda request: requests.append(request.url),
        # aborted: the browser itself drops what the next page no longer needs; a file that lacks fails otherwise
        "requestfailed": lambda request: (
            None if "ERR_ABORTED" in str(request.failure) else problems.append(f"{request.url} {request.failure}")
        ),
        "console": lambda message: problems.append(message.text) if message.type == "error" else None,
        "pageerror": lambda error: problems.append(str(error)),
    }
    for event, listener in listeners.items():
        page.on(event, listener)
    page.set_viewport_size(PHONE)
    page.goto(path.as_uri())
    page.evaluate(READY)
    seen = page.evaluate(SEEN)
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    light, dark, small = [], [], []
    if read:
        page.evaluate(AXE_SCRIPT)
        small = told(page.evaluate(AXE, [{"type": "rule", "values": ["target-size"]}])["violations"])
        page.evaluate(THIN)
        light = told(page.evaluate(AXE, [RULES])["violations"])
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
        page.set_viewport_size(DESK)
        dark = told(page.evaluate(AXE, [["color-contrast"]])["violations"])
    requests = [address for address in requests if not address.startswith(("data:", "blob:"))]
    return {**seen, "requests": requests, "problems": problems, "light": light, "dark": dark, "small": small}


@pytest.fixture(scope="module")
def visits(html, chromium) -> dict[str, dict]:
    page = chromium.new_context(color_scheme="light").new_page()
    paths = [path for path in sorted(html.rglob("*.html")) if "_static" not in path.parts]
    paths.remove(html / "index.html")
    source = [path for path in paths if "_modules" in path.parts]  # one template writes them all: axe reads two
    seen = {path.relative_to(html).as_posix(): visit(page, path, path not in source[2:]) for path in paths}
    page.context.close()
    assert len(seen) > 30
    return seen


@pytest.fixture
def desk(chromium):
    page = chromium.new_context(viewport=DESK, color_scheme="light").new_page()
    yield page
    page.context.close()


FAULTY = """<!doctype html><html><head><title>x</title><script>undefinedFunction()</script></head><body><main>
<img src="missing.png" alt="missing.png"><span class="math">x</span><p style="width: 600px; color: #ccc">wide and pale</p>
<p><button style="font-size: 5px">a</button><button style="font-size: 5px">b</button></p>
<mjx-merror>y</mjx-merror><canvas></canvas><img src="http://127.0.0.1:9/remote.png"></main></body></html>"""


def test_faults_are_seen(tmp_path, desk):
    path = tmp_path / "faulty.html"
    path.write_text(FAULTY, encoding="utf-8")
    seen = visit(desk, path)
    assert any("undefinedFunction" in one for one in seen["problems"])
    assert any("missing.png" in one for one in seen["problems"]) and "http://127.0.0.1:9/remote.png" in seen["requests"]
    assert any("wide and pale" in one for one in seen["wide"]) and seen["raw"]
    assert seen["wrong"] and seen["labels"][0][0] == ""
    assert FILE_NAME.search(seen["alts"][0][0])
    rules = {line.split()[0] for line in seen["light"]}
    assert {"html-has-lang", "image-alt", "color-contrast"} <= rules and len(seen["small"]) == 2


def findings(visits: dict[str, dict], *keys: str) -> list[str]:
    return [f"{name}: {one}" for name, seen in visits.items() for key in keys for one in seen[key]]


def test_no_page_reports_an_error(visits):
    assert not findings(visits, "problems")


def test_pages_ask_for_files_of_the_book_alone(html, visits):
    requests = {(name, address) for name, seen in visits.items() for address in seen["requests"]}
    assert not [one for one in requests if urlsplit(one[1]).scheme != "file"]
    assert not [
        one for one in requests if not local_path(one[1]).is_relative_to(html) or not local_path(one[1]).is_file()
    ]


def test_no_page_is_wider_than_a_phone(visits):
    assert not findings(visits, "wide")


def test_all_mathematics_is_typeset(visits):
    assert not findings(visits, "raw", "wrong")


def test_every_picture_is_told_in_words(visits):
    pictures = [(name, *one) for name, seen in visits.items() for one in seen["alts"] + seen["labels"]]
    assert pictures
    mute = [one for one in pictures if len(one[1].strip()) < 10 or FILE_NAME.search(one[1].strip())]
    assert not mute, "\n".join(map(str, mute))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_are_accessible(visits, theme):
    found = findings(visits, theme)
    assert not found, "\n".join(found)


def test_a_finger_finds_each_target(visits):
    """24 px, or as much room around it (WCAG 2.2, 2.5.8); words in a sentence are as high as its line."""
    found = findings(visits, "small")
    assert not found, "\n".join(found)


@functools.cache
def sent(path: Path) -> int:
    """Bytes of a file as a web server sends it: text compressed."""
    content = path.read_bytes()
    return min(len(content), len(gzip.compress(content, 6)))


def test_no_page_is_heavy(visits):
    rows = []
    for name, seen in visits.items():
        files = {local_path(address) for address in seen["requests"]}
        size = sum(path.stat().st_size for path in files)
        rows.append((name, sum(map(sent, files)), size, len(files), seen["loaded"], seen["ready"]))
    report = ROOT / "_run" / "page_weights.csv"
    report.parent.mkdir(exist_ok=True)
    with report.open("w", newline="", encoding="utf-8") as file:
        header = ("page", "bytes_sent", "bytes_on_disk", "files", "load_ms", "with_mathematics_ms")
        csv.writer(file).writerows([header, *sorted(rows, key=lambda row: -row[1])])
    assert not [row[:2] for row in rows if row[1] > MOST_BYTES]


@pytest.fixture(scope="module")
def server(html):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=html)) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.parametrize("from_disk", [False, True])
def test_search_finds_the_page(html, server, desk, from_disk):
    desk.goto(f"{html.as_uri() if from_disk else server}/search.html?q=spectral+entropy")
    result = desk.locator("#search-results li a[href*='16_spectral_loss']").first
    result.wait_for(timeout=200_000)
    result.click()
    desk.wait_for_url("**/notebooks/16_spectral_loss.html*")
    assert "spectral" in desk.title().lower()


def test_button_turns_the_dark_on_and_it_stays(html, desk):
    background = "getComputedStyle(document.body).backgroundColor"
    desk.goto((html / "book" / "cell.html").as_uri())
    button = desk.locator("button.theme-switch-button:visible").first
    bright = desk.evaluate(background)
    for _ in range(3):  # auto, light, dark
        if desk.evaluate("document.documentElement.dataset.theme") != "dark":
            button.click()
    assert desk.evaluate("document.documentElement.dataset.theme") == "dark"
    dark = desk.evaluate(background)
    assert max(map(int, re.findall(r"\d+", dark)[:3])) < 60 < min(map(int, re.findall(r"\d+", bright)[:3]))
    desk.goto((html / "book" / "tissue.html").as_uri())
    assert desk.evaluate(background) == dark


def test_a_plot_of_pixels_has_dark_paper_and_a_map_keeps_its_colors(html, desk):
    """Corners of pictures in the dark: a plot's is that of the page, and what is seen of a map is what was drawn."""
    desk.add_init_script("localStorage.setItem('mode', 'dark'); localStorage.setItem('theme', 'dark')")
    desk.goto((html / "notebooks" / "07_dataset.html").as_uri())
    plots, maps = (
        desk.locator(f"div.cell_output img[src$='.png']{one}:not(.panels img)")
        for one in (".on-paper", ":not(.on-paper)")
    )
    assert plots.count() == 3 and maps.count() == 3
    for picture, paper in ((plots.first, 18), (maps.first, 255)):
        picture.scroll_into_view_if_needed()
        with Image.open(BytesIO(picture.screenshot())) as shot:
            assert abs(int(np.median(np.asarray(shot.convert("L"))[12:16, 12:16])) - paper) <= 3
    assert maps.first.evaluate("(one) => getComputedStyle(one).filter") == "none"


def test_reader_with_a_dark_system_gets_dark_pages_and_drawings(html, chromium):
    page = chromium.new_context(viewport=DESK, color_scheme="dark").new_page()
    page.goto((html / "book" / "tour.html").as_uri())
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    grounds = page.evaluate(
        "[...document.querySelectorAll('article img')].map(one => [one.src, getComputedStyle(one).backgroundColor])"
    )
    drawing = page.locator("article a > img[src$='19_figures_1.svg']")
    drawn = np.asarray(Image.open(BytesIO(drawing.screenshot())).convert("L"))
    page.context.close()
    assert drawn[2, 2] < 60 < 180 < drawn.max(), "light ink on dark paper"
    assert grounds
    for source, ground in grounds:
        own = source.endswith((".svg", "scar.webp")) or "scar_dark" in source
        assert ground == ("rgba(0, 0, 0, 0)" if own else "rgb(255, 255, 255)"), source


def test_a_citation_shows_its_source_to_pointer_and_keyboard(html, desk):
    """Whole on the screen, and not twice: the tooltip of the browser is gone."""
    desk.goto((html / "book" / "forward.html").as_uri())
    desk.evaluate(READY)
    links = desk.locator("a[data-source]")
    shown = "node => getComputedStyle(node, '::after').content"
    assert links.count() >= 3
    for k in range(links.count()):
        link = links.nth(k)
        source = link.get_attribute("data-source")
        assert len(source) > 40 and link.get_attribute("aria-description") == source and not link.get_attribute("title")
        assert link.evaluate(shown) == "none"
        link.hover()
        assert link.evaluate(shown).strip('"')[:30] == source[:30]
        assert desk.evaluate("document.documentElement.scrollWidth <= innerWidth"), source
        desk.mouse.move(0, 0)
    links.first.focus()
    desk.keyboard.press("Shift+Tab")
    desk.keyboard.press("Tab")
    assert links.first.evaluate(shown).strip('"')[:30] == links.first.get_attribute("data-source")[:30]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_movie_is_drawn_for_the_page_it_stands_on(html, chromium, scheme):
    """One picture and one still, of the ground of the page; those of the other are not even loaded."""
    page = chromium.new_context(viewport=DESK, color_scheme=scheme).new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.goto((html / "book" / "tour.html").as_uri())
    movie, still = page.locator(".movie > picture > img:visible"), page.locator(".movie > img:visible")
    movie.scroll_into_view_if_needed()
    assert movie.count() == 1 and still.count() == 0
    movie.evaluate("node => node.decode()")
    ends = {name for name in asked if name.startswith("scar") and "still" not in name}
    assert ends == {"scar.webp" if scheme == "light" else "scar_dark.webp"}
    drawn = np.asarray(Image.open(BytesIO(movie.screenshot())).convert("L"))
    assert drawn[2, 2] > 250 if scheme == "light" else drawn[2, 2] < 30
    page.get_by_label("stop").check()
    assert still.count() == 1 and movie.count() == 0 and page.locator(".movie figcaption").is_visible()
    page.context.close()


def test_a_movie_can_be_stopped(html, desk):
    desk.goto((html / "notebooks" / "04_reentry.html").as_uri())
    desk.evaluate(READY)
    movie, still = desk.locator(".movie > picture > img"), desk.locator(".movie > img")
    assert movie.is_visible() and not still.is_visible()
    desk.get_by_label("stop").check()
    assert still.is_visible() and not movie.is_visible()
    assert still.bounding_box()["width"] == 300


def test_demo_runs_within_the_book(html, desk):
    """Beside the scripts and the keys of the theme."""
    address = (html / "book" / "demo.html").as_uri()
    desk.goto(address)
    desk.select_option("#demo-speed", "fast")
    desk.click("#demo-play")
    desk.wait_for_function("forwardecgDemo.page.state().surrogate === 'done'", timeout=600_000)
    assert desk.evaluate("forwardecgDemo.page.state().score.r2") > 0.95
    desk.focus("#demo-sheet")
    before = desk.evaluate("[forwardecgDemo.page.state().cursor.x, scrollX, scrollY]")
    desk.keyboard.press("ArrowRight")
    assert desk.evaluate("[forwardecgDemo.page.state().cursor.x, scrollX, scrollY]") == [before[0] + 1, *before[1:]]
    assert desk.url == address, "no key of the theme turns the page"


def test_menu_opens_on_a_phone(html, desk):
    desk.set_viewport_size(PHONE)
    desk.goto((html / "book" / "cell.html").as_uri())
    chapter = desk.locator("a.internal[href$='book/limits.html'], a.internal[href='limits.html']").locator(
        "visible=true"
    )
    assert chapter.count() == 0
    desk.locator("button.primary-toggle:visible").first.click()
    chapter.first.click()
    desk.wait_for_url("**/book/limits.html")


def test_keyboard_reaches_the_text_first(html, desk):
    desk.goto((html / "book" / "cell.html").as_uri())
    desk.keyboard.press("Tab")
    where = "document.activeElement"
    assert "main-content" in desk.evaluate(f"{where}.getAttribute('href') || ''") or "skip" in desk.evaluate(
        f"{where}.id + {where}.className"
    )
    desk.wait_for_function(f"{where}.getBoundingClientRect().top >= 0", timeout=50_000)  # it slides in
    desk.keyboard.press("Enter")
    desk.keyboard.press("Tab")
    assert desk.evaluate(f"document.querySelector('#main-content').contains({where})")


@pytest.mark.parametrize("name", ["notebooks/15_ablations", "book/verification", "book/reproduction"])
def test_wide_figure_is_readable_on_a_phone(html, desk, name):
    desk.set_viewport_size(PHONE)
    desk.goto((html / f"{name}.html").as_uri())
    desk.evaluate(READY)
    figures = desk.evaluate(
        """[...document.querySelectorAll(".cell_output .output img, figure:not(.drawing) > a > img")]
           .filter(one => one.checkVisibility()).map(one =>
           [one.getBoundingClientRect().width, one.naturalWidth, one.closest('.output, a').clientWidth])"""
    )
    assert figures
    for width, natural, box in figures:
        assert box <= PHONE["width"] and (width >= min(590, natural) or natural <= 600 and width > 300), figures


@pytest.mark.parametrize("name", ["02_tissue_wave", "15_ablations", "17_data_efficiency"])
def test_code_is_seen_to_the_end_of_its_lines_on_a_desk(html, desk, name):
    desk.goto((html / "notebooks" / f"{name}.html").as_uri())
    desk.evaluate(READY)
    cells = desk.evaluate(
        """[...document.querySelectorAll(".cell_input pre")].filter(one => one.clientWidth)
           .map(one => one.scrollWidth - one.clientWidth)"""
    )
    assert sum(hidden > 15 for hidden in cells) <= len(cells) / 8, cells


@pytest.fixture
def phone(chromium):
    page = chromium.new_context(viewport=PHONE, has_touch=True, is_mobile=True).new_page()
    yield page
    page.context.close()


def swipe(page, x: float, y: float, by_x: float = 0, by_y: float = 0) -> None:
    """A finger that moves over the screen in ten steps."""
    session = page.context.new_cdp_session(page)
    for k in range(11):
        at = {"x": x + by_x * k / 10, "y": y + by_y * k / 10}
        session.send("Input.dispatchTouchEvent", {"type": "touchMove" if k else "touchStart", "touchPoints": [at]})
        page.wait_for_timeout(16)  # a frame
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(100)
    session.detach()


@pytest.mark.parametrize("name", ["notebooks/14_undeclared_choices", "notebooks/06_cost", "notebooks/18_shifted"])
def test_a_wide_figure_that_cannot_be_cut_is_swiped_and_traps_no_finger(html, phone, name):
    """Pixels (PNG) and lines (SVG), and a legend of two panels: sideways the figure moves, up and down the page."""
    phone.goto((html / f"{name}.html").as_uri())
    phone.evaluate(READY)
    boxes = phone.locator(".cell_output .output.scrolls:has(img)")
    assert boxes.count()
    for k in range(boxes.count()):
        box = boxes.nth(k)
        assert box.locator("xpath=following-sibling::*[contains(@class, 'swipe')]").first.is_visible()
        box.evaluate("node => node.scrollIntoView({behavior: 'instant', block: 'center'})")
        at = box.bounding_box()
        assert at["width"] <= PHONE["width"]
        middle = at["x"] + at["width"] / 2, at["y"] + at["height"] / 2
        swipe(phone, *middle, by_x=-150)
        assert box.evaluate("node => node.scrollLeft") > 50
        before = phone.evaluate("[scrollX, scrollY]")
        swipe(phone, *middle, by_y=150)
        after = phone.evaluate("[scrollX, scrollY]")
        assert after[0] == before[0] == 0 and after[1] < before[1] - 50, "the page moves with the figure"


STACKED = """() => [...document.querySelectorAll(".panels")].map((stack) => ({
  whole: stack.previousElementSibling.checkVisibility(),
  boxes: [...stack.querySelectorAll(".panel")].map((part) => {
    const pieces = [...part.children].map((one) => one.getBoundingClientRect());
    const picture = part.lastElementChild.firstElementChild.getBoundingClientRect();
    const {left, right, top, bottom} = part.getBoundingClientRect();
    return {left, right, top, bottom, width: pieces.reduce((sum, one) => sum + one.width, 0),
      cut: picture.height - pieces.at(-1).height, gap: pieces.at(-1).left - (pieces.at(-2)?.right ?? pieces.at(-1).left)};
  }),
}))"""


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("name", ["notebooks/02_tissue_wave", "notebooks/30_population", "book/tour"])
def test_panels_stand_below_each_other_on_a_phone(html, chromium, name, scripts):
    """Maps (PNG) and lines (SVG), without a script too: all of each part is on the screen, and nothing is swiped."""
    page = chromium.new_context(viewport=PHONE, java_script_enabled=scripts, color_scheme="dark").new_page()
    page.goto((html / f"{name}.html").as_uri())
    for part in page.locator(".panel").all():
        part.scroll_into_view_if_needed()
        assert part.locator("img").first.evaluate("(node) => node.decode().then(() => node.naturalWidth)")
    stacks = page.evaluate(STACKED)
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.context.close()
    assert stacks and wide <= PHONE["width"]
    for stack in stacks:
        boxes = stack["boxes"]
        assert len(boxes) >= 2 and not stack["whole"]
        for one, following in zip(boxes, [*boxes[1:], None], strict=True):
            assert 0 <= one["left"] < one["right"] <= PHONE["width"] and one["width"] >= 140
            assert abs(one["cut"]) < 1 and abs(one["gap"]) < 1
            assert following is None or following["top"] >= one["bottom"]


@pytest.mark.parametrize("media", ["screen", "print"])
def test_a_figure_of_several_panels_is_whole_on_a_desk_and_in_print(html, desk, media):
    if media == "print":
        desk.set_viewport_size(PHONE)
    desk.emulate_media(media=media)
    desk.goto((html / "notebooks" / "02_tissue_wave.html").as_uri())
    assert desk.locator(".panels").count() >= 2 and not desk.locator(".panels").locator("visible=true").count()
    assert all(stack["whole"] for stack in desk.evaluate(STACKED))


def test_a_stack_of_panels_is_one_picture_with_its_words(html, phone):
    phone.goto((html / "notebooks" / "02_tissue_wave.html").as_uri())
    figure = phone.locator(".output.figure:has(.panels)").first
    words = figure.locator("> a > img").get_attribute("alt")
    assert phone.get_by_role("img", name=words).count() == 1
    phone.set_viewport_size(DESK)
    assert phone.get_by_role("img", name=words).count() == 1


def test_the_first_column_of_a_wide_table_stays(html, phone):
    """With what it is about under the eyes while the numbers move; the caption is whole."""
    phone.goto((html / "notebooks" / "18_shifted.html").as_uri())
    phone.evaluate(READY)
    box = phone.locator(".cell_output .scrolls:has(table.dataframe)").first
    cell, number = box.locator("tbody tr").first.locator("th, td").all()[:2]
    left, before = cell.bounding_box()["x"], number.bounding_box()["x"]
    box.evaluate("node => { node.scrollLeft = 120; }")
    assert abs(cell.bounding_box()["x"] - left) < 1 and number.bounding_box()["x"] < before - 50


def test_a_table_of_sentences_is_a_list_of_blocks_on_a_phone(html, phone):
    """Nothing to scroll; each cell says the head of its column; on a desk, and for a screen reader, it is a table."""
    phone.goto((html / "book" / "limits.html").as_uri())
    phone.evaluate(READY)
    table = phone.locator("table.prose").first
    assert table.evaluate("node => node.parentElement.scrollWidth <= node.parentElement.clientWidth")
    first, second = (phone.locator("table.prose tbody tr").first.locator("td").nth(k) for k in (0, 1))
    head = table.locator("thead th").nth(1).inner_text()
    assert second.evaluate("node => getComputedStyle(node, '::before').content") == f'"{head}: "'
    assert second.bounding_box()["y"] > first.bounding_box()["y"] and second.bounding_box()["width"] > 300
    assert phone.get_by_role("columnheader", name=head).count() and phone.get_by_role("cell").count()
    phone.set_viewport_size(DESK)
    # both in one look: the page may still be moving after the change of its width
    top = "getBoundingClientRect().top"
    assert second.evaluate(f"node => node.{top} === node.previousElementSibling.{top}")
    assert second.evaluate("node => getComputedStyle(node, '::before').content") == "none"


def test_page_prints_whole_and_without_this_machine(html, chromium, tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "pack", lambda path: None)  # to read what is in it
    target = tmp_path / "cell.pdf"
    page = chromium.new_page()
    pdf.print_page(page, html / "book" / "cell.html", "Cell model", target)
    page.close()
    content = target.read_bytes()
    assert content.startswith(b"%PDF") and content.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type /Page\b", content)) >= 2
    assert b"/Outlines" in content and b"/StructTreeRoot" in content
    assert b"file:" not in content
    assert [*tmp_path.iterdir()] == [target]


def test_single_page_is_moved_to_where_its_addresses_hold(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "index.html").write_text(
        '<a href="book/index.html#document-a"></a><img src="_images/a.png"><script src="../_static/a.js"></script>'
    )
    moved = pdf.at_the_top(tmp_path, "book/index")
    assert moved.parent == tmp_path
    assert (
        moved.read_text() == '<a href="#document-a"></a><img src="_images/a.png"><script src="_static/a.js"></script>'
    )


def test_a_pdf_is_packed_where_the_system_can(tmp_path, monkeypatch, html, chromium):
    if not shutil.which("qpdf"):
        pytest.skip("no qpdf here")
    sizes, pack = {}, pdf.pack
    page = chromium.new_page()
    for packed in (False, True):
        monkeypatch.setattr(pdf, "pack", pack if packed else lambda path: None)
        target = tmp_path / f"{packed}.pdf"
        pdf.print_page(page, html / "book" / "cell.html", "Cell model", target)
        sizes[packed] = target.stat().st_size
    page.close()
    assert target.read_bytes().startswith(b"%PDF") and sizes[True] < 0.8 * sizes[False]


def test_pdf_without_a_browser_names_what_is_missing(monkeypatch):
    monkeypatch.setattr(pdf.chromium, "find", lambda: None)
    with pytest.raises(SystemExit, match="no Chromium: install"):
        pdf.main()
