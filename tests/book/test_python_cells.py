"""Python in the pages: the programs say what the package says, and run in a browser, from a file, without a network."""

import ast
import math
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from compendium.registry import ROOT
from forwardecg.contract import to_mV
from forwardecg.solver.calibration import cable_cv
from forwardecg.solver.simulation import solve
from forwardecg.surrogates.paper.losses import entropy_mismatch, huber, spectral_entropy
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import Stimulus

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import python_cells  # noqa: E402

PAGES = {
    "beat": "cell",
    "cable": "tissue",
    "electrode": "forward",
    "ring": "reentry",
    "loss": "surrogate",
    "pixel": "structured",
}
SOURCES = {name: (ROOT / python_cells.CELLS / f"{name}.py").read_text(encoding="utf-8") for name in PAGES}
HELPER = (ROOT / python_cells.CELLS / "page.py").read_text(encoding="utf-8")
MOST_LINES, WIDEST, MOST_BYTES = 45, 100, 450_000
LONG = 200_000  # ms of patience
PHONE = {"width": 390, "height": 844}
NUMBER = re.compile(r"(?<![a-z])-?\d+\.?\d*")  # not the 2 of mm2


def run(name: str, *changes: tuple[str, str]) -> tuple[str, list]:
    source = SOURCES[name]
    for line, other in changes:
        source = python_cells.changed(source, line, other)
    return python_cells.run(source, HELPER)


def numbers(printed: str) -> list[float]:
    return [float(one) for one in NUMBER.findall(printed)]


# The programs, against the package


def test_each_program_is_short_and_on_one_page():
    files = {path.stem for path in (ROOT / python_cells.CELLS).glob("*.py")}
    assert files == {*PAGES, "page"}
    for name, page in PAGES.items():
        text = (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
        assert text.count("```{python-cell}") == 1 and f"```{{python-cell}} {name}\n" in text
        lines = SOURCES[name].splitlines()
        assert len(lines) <= MOST_LINES and max(map(len, lines)) <= WIDEST
        imported = {node.module for node in ast.walk(ast.parse(SOURCES[name])) if isinstance(node, ast.ImportFrom)}
        assert imported <= {"math", "page"}


def test_the_beat_is_that_of_the_solver():
    """The plain steps of the program against the solver, from the same voltage over the threshold."""
    _, (line,) = run("beat")
    t, V_m = line["x"], line["y"]
    start = next(k for k, V in enumerate(V_m) if V > -60)
    everywhere = np.ones((2, 2), bool)
    lift = Stimulus(mask=everywhere, start=0.0)
    states = solve(
        healthy((2, 2), 0.5, D0=0.1), [lift], t_end=150.0, every=0.4, dt=0.02, calibrated=False, dtype=np.float64
    )
    book = to_mV(np.array([state.u[0, 0] for state in states]))
    began = int(np.flatnonzero(book > -60)[0])
    ours = np.array(V_m[start : start + 250])
    assert np.allclose(np.diff(t), 0.4)
    assert np.abs(ours[10:] - book[began : began + 250][10:]).max() < 2.5  # mV: both start within one sample


def test_a_second_beat_is_shorter():
    first, both = (numbers(run("beat", *change)[0])[-1] for change in ([], [("[10.0]", "[10.0, 150.0]")]))
    alone = numbers(run("beat", ("[10.0]", "[150.0]"))[0])[-1]
    assert alone == pytest.approx(first, abs=0.1) and 0.8 * first < both - first < first - 2


@pytest.mark.parametrize(("D", "dx"), [(0.1, 0.25), (0.1, 0.5), (0.05, 0.25)])
def test_the_cable_conducts_as_that_of_the_package(D, dx):
    line = ast.unparse(ast.parse(f"D, dx = {D}, {dx}"))
    (speed,) = numbers(run("cable", ("D, dx = 0.1, 0.25", line))[0])
    assert speed == pytest.approx(cable_cv(D, dx, 0.05), rel=0.02)


def test_a_wave_that_does_not_arrive_is_told():
    printed, plots = run("cable", ("D, dx = 0.1, 0.25", "D, dx = 0.005, 0.5"))
    assert "not at" in printed and len(plots) == 1


@pytest.mark.parametrize("z", [20.0, 40.0])
def test_the_ecg_of_the_strip_has_its_closed_form(z):
    """A sharp front along a strip: D dV a / (a^2 + z^2)^(3/2), largest at a = z / sqrt 2."""
    printed, _ = run("electrode", ("z = 20.0", f"z = {z}"))
    high, low = numbers(printed)[:2]
    assert high == pytest.approx(0.1 * 100 * 2 / (3 * math.sqrt(3) * z**2), rel=0.02)
    assert low == pytest.approx(-high, rel=0.01) and "agree: True" in printed


def test_another_weight_keeps_the_identity_and_not_the_ecg():
    (_, (right, *_)), (printed, (wrong, *_)) = (
        run("electrode"),
        run("electrode", ("1 / one for one", "1 / one**2 for one")),
    )
    assert "agree: True" in printed
    shapes = [np.array(one["y"]) / np.max(one["y"]) for one in (right, wrong)]
    assert np.abs(shapes[0] - shapes[1]).max() > 0.05


def test_a_wave_returns_on_a_ring_that_is_long_enough():
    long, short, none = (numbers(run("ring", *change)[0]) for change in ([], [("90.0", "60.0")], [("90.0", "40.0")]))
    cycles = [np.diff(beats).mean() for beats in (long, short)]
    assert len(long) == 3 and len(short) >= 3 and len(none) == 1
    assert 60 / 90 < cycles[1] / cycles[0] < 0.8
    # the first half is run at the speed of a cable of the same grid, the whole more slowly
    assert 45 / long[0] == pytest.approx(cable_cv(0.1, 0.6, 0.15), rel=0.06)


@pytest.mark.parametrize("change", [(), (("factor = 0.5", "factor = -1.0"),), (("wobble = 0.0", "wobble = 0.5"),)])
def test_both_terms_of_the_loss_are_those_of_the_package(change):
    printed, lines = run("loss", *change)
    pair = torch.tensor([one["y"] for one in reversed(lines)], dtype=torch.float64)
    expected = [huber(pair[:1], pair[1:]).item(), *spectral_entropy(pair).flip(0).tolist()]
    expected.append(entropy_mismatch(pair[:1], pair[1:]).item())
    assert numbers(printed) == pytest.approx(expected, abs=6e-4)


def picture(rows: list[str]) -> tuple[str, str]:
    source = SOURCES["pixel"]
    start, end = source.index("pixel = ["), source.index("]\n") + 1
    return source[start:end], f"pixel = {rows!r}"


@pytest.mark.parametrize(
    ("rows", "along_x", "along_y"),
    [
        (["........"] * 8, 0.1, 0.1),
        (["...#...."] * 8, 0.0, 0.1 * 7 / 8),
        (["........"] * 7 + ["########"], 0.1 * 7 / 8, 0.0),
        (["########"] * 8, 0.0, 0.0),
    ],
)
def test_a_pixel_with_strands_conducts_in_parallel_and_in_series(rows, along_x, along_y):
    found = numbers(run("pixel", picture(rows))[0])
    assert found[:2] == pytest.approx([along_x, along_y], abs=6e-4)


def test_a_gap_conducts_less_than_the_mean_and_more_than_nothing():
    along_x, along_y, mean = numbers(run("pixel")[0])
    assert 0.01 < along_x < 0.5 * mean and along_y == pytest.approx(mean, rel=0.05)


# The directive


def test_a_change_that_is_not_there_is_refused():
    for line, times in (("tau_si = 1", 1), ("nothing", 0), ("dt", 10)):
        if times == 1:
            assert python_cells.changed(SOURCES["beat"], line, "tau_si = 2") != SOURCES["beat"]
        else:
            with pytest.raises(ValueError, match=f"expected {line!r} once in the source"):
                python_cells.changed(SOURCES["beat"], line, "other")


def test_words_and_changes_are_told_apart():
    words, changes = python_cells.read_changes(
        "Some words,\nmore.\n\n- `a = 1` → `a = 2`: It is\n  larger.\n- `b` → `c`: So."
    )
    assert words == "Some words,\nmore." and changes == [("a = 1", "a = 2", "It is larger."), ("b", "c", "So.")]
    with pytest.raises(ValueError, match="expected items"):
        python_cells.read_changes("Words.\n\n- `a = 1`: It is larger.")


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("plot([1, 2], [3])", "expected as many y as x, from 1 to 20000, got 2 x and 1 y"),
        ("plot([], [])", "got 0 x and 0 y"),
        ("plot(range(20001), range(20001))", "got 20001 x and 20001 y"),
        ("plot([1, 2], [3, None])", "expected finite numbers, got None"),
        ("plot([1, 2], ['3', 4])", "expected finite numbers, got '3'"),
        ("plot([1, 2], [float('nan'), 4])", "expected finite numbers, got nan"),
        ("plot([1, 1e400], [3, 4])", "expected finite numbers, got inf"),
    ],
)
def test_plot_refuses_what_it_cannot_draw(call, why):
    with pytest.raises(ValueError, match=why):
        python_cells.run(f"from page import plot\n{call}", HELPER)


def test_the_interpreter_is_one_script(tmp_path):
    """Packed from the two files of the package; one that is not as expected is refused."""
    folder = tmp_path / "_static" / "python"
    folder.mkdir(parents=True)
    for path in (ROOT / python_cells.INTERPRETER).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    python_cells.pack(SimpleNamespace(outdir=tmp_path), None)
    assert {path.name for path in folder.iterdir()} == {"LICENSE", "micropython.js", "page.js", "python.css"}
    assert (folder / "micropython.js").stat().st_size < MOST_BYTES
    with pytest.raises(ValueError, match="expected 'export default"):
        python_cells.as_script("function f() {}")


# The pages


@pytest.fixture
def opened(html, chromium):
    """Opens the cell of a page of the book; what goes wrong in its scripts, or asks for a network, fails the test."""
    contexts, problems = [], []

    def open_page(name: str, **options):
        contexts.append(chromium.new_context(**{"viewport": {"width": 1000, "height": 1100}} | options))
        contexts[-1].set_default_timeout(LONG)
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        allowed = ("file:", "blob:", "data:")
        page.on("request", lambda one: None if one.url.startswith(allowed) else problems.append(one.url))
        page.goto((html / "book" / f"{PAGES[name]}.html").as_uri())
        return page, page.locator("section.python")

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


def wait(page) -> None:
    page.wait_for_function("document.querySelector('.python-run').ariaDisabled === 'false'", timeout=LONG)


def printed_by(cell) -> str:
    return cell.locator(".highlight-output pre").first.inner_text().strip()


@pytest.mark.parametrize("name", PAGES)
def test_the_page_prints_what_the_build_printed(opened, name):
    page, cell = opened(name)
    assert printed_by(cell) == run(name)[0].strip()
    page.click(".python-run")
    wait(page)
    assert printed_by(cell) == run(name)[0].strip() and cell.locator(".python-status").inner_text() == "Done."
    canvases = cell.locator("canvas")
    assert canvases.count() == 1 and len(canvases.get_attribute("aria-label")) > 10
    filled = "(one) => one.getContext('2d').getImageData(0, 0, one.width, one.height).data.filter((z, k) => k % 4 === 3 && z).length"
    assert canvases.evaluate(filled) > 500
    for k in range(cell.locator("details").count()):
        change = cell.locator("details").nth(k)
        change.locator("summary").click()
        shown = change.locator(".highlight-output pre").inner_text().strip()
        change.locator("button[data-line]").click()
        wait(page)
        assert printed_by(cell) == shown != run(name)[0].strip()
    page.get_by_role("button", name="As it was").click()
    assert printed_by(cell) == run(name)[0].strip() and cell.locator("textarea").input_value() == SOURCES[name].strip()


def test_a_program_of_the_reader_runs_by_keys_and_its_error_names_the_line(opened):
    page, cell = opened("beat")
    page.click(".python-run")
    wait(page)
    editor = cell.locator("textarea")
    editor.fill("for k in range(3):")
    editor.press("End")
    editor.press("Enter")
    page.keyboard.type("print(k * k)")
    assert editor.input_value() == "for k in range(3):\n    print(k * k)"
    editor.press("Control+Enter")
    wait(page)
    assert printed_by(cell) == "0\n1\n4" and cell.locator("canvas").count() == 0
    editor.fill("a = 1\nprint(a)\nb = a / 0")
    editor.press("Control+Enter")
    wait(page)
    assert (
        "line 3" in printed_by(cell) and "ZeroDivisionError" in printed_by(cell) and printed_by(cell).startswith("1\n")
    )
    assert "error" in cell.locator(".python-status").inner_text()


@pytest.mark.parametrize("forever", ["pass", "plot([1, 2], [3, 4])"])
def test_a_loop_without_end_can_be_stopped(opened, forever):
    """What the run before had printed and drawn is gone, what this one did stays."""
    page, cell = opened("beat")
    page.click(".python-run")
    wait(page)
    first = "print('begun')\nfrom page import plot\n" if forever == "pass" else "from page import plot\n"
    cell.locator("textarea").fill(first + f"plot([1, 2], [3, 4])\nwhile True:\n    {forever}")
    page.click(".python-run")
    page.wait_for_function("document.querySelector('.python-stop').ariaDisabled === 'false'", timeout=LONG)
    page.wait_for_timeout(1000)
    page.click(".python-stop")
    assert cell.locator(".python-status").inner_text() == "Stopped." and "mV" not in printed_by(cell)
    assert cell.locator("canvas").count() == 1
    cell.locator("textarea").fill("print('again', end='')")
    page.click(".python-run")
    wait(page)
    assert printed_by(cell) == "again" and cell.locator("canvas").count() == 0


def test_a_flood_of_words_ends_by_itself(opened):
    page, cell = opened("beat")
    page.click(".python-run")
    wait(page)
    cell.locator("textarea").fill("while True:\n    print('spam')")
    page.click(".python-run")
    wait(page)
    text = printed_by(cell)
    assert "more than 100000 characters" in text and len(text) < 101_000
    assert cell.locator(".highlight-output pre").first.bounding_box()["height"] < 500


def test_a_flood_of_lines_is_cut_off_and_told(opened):
    page, cell = opened("beat")
    page.click(".python-run")
    wait(page)
    cell.locator("textarea").fill(
        "from page import plot\nfor k in range(300):\n    plot([0, 1], [0, k])\nprint('done')"
    )
    page.click(".python-run")
    wait(page)
    assert printed_by(cell) == "plot: only the first 200 lines are drawn\ndone" and cell.locator("canvas").count() == 1


def test_errors_say_what_is_there_instead(opened):
    page, cell = opened("beat")
    page.click(".python-run")
    wait(page)
    for program, told in (
        ("import numpy", "Only modules of plain Python"),
        ("input('name')", "set a variable instead"),
        ("from page import plot\nplot([1], [None])", "expected finite numbers, got None"),
        ("def f():\n    return f()\nf()", "line 2 is: return f()"),
    ):
        cell.locator("textarea").fill(program)
        page.click(".python-run")
        wait(page)
        assert told in printed_by(cell) and len(printed_by(cell)) < 2500
        assert page.evaluate("document.activeElement.className") == "python-run"


def test_what_was_typed_can_be_undone(opened):
    """After a new line, and after a change that a button makes in the program as the reader left it."""
    page, cell = opened("beat")
    page.click(".python-run")
    wait(page)
    editor = cell.locator("textarea")
    editor.focus()
    page.keyboard.press("Control+Home")
    page.keyboard.type("# mine")
    page.keyboard.press("Enter")
    assert editor.input_value().startswith("# mine\nfrom math")
    change = cell.locator("details").first
    change.locator("summary").click()
    change.locator("button[data-line]").click()
    wait(page)
    assert editor.input_value().startswith("# mine\n") and "tau_si = 90.0" in editor.input_value()
    editor.focus()
    for _ in range(20):
        page.keyboard.press("Control+z")
    assert editor.input_value().strip() == SOURCES["beat"].strip()


def test_on_a_phone_the_page_keeps_its_width_and_a_finger_its_targets(opened):
    page, cell = opened("electrode", viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)
    page.tap(".python-run")
    wait(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for button in cell.locator(".python-buttons button").all():
        assert button.bounding_box()["height"] >= 24
    assert cell.locator("textarea").evaluate("(one) => parseFloat(getComputedStyle(one).fontSize)") >= 16


def test_without_scripts_the_code_and_what_it_prints_are_there(opened):
    _, cell = opened("beat", java_script_enabled=False)
    assert "tau_si = 114.0" in cell.inner_text() and printed_by(cell) == run("beat")[0].strip()
    assert cell.locator("button:visible").count() == 0
