"""Drawings that show numbers or verdicts show those of the tables: lengths, dots, marks and arrows."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from compendium.registry import ROOT
from forwardecg.data.split import split_by_tissue
from forwardecg.paths import RESULTS

BOOK, DRAWINGS = ROOT / "book", ROOT / "book" / "assets" / "drawings"
SVG = "{http://www.w3.org/2000/svg}"
DASHED = re.compile(r"\bnot yet\b")


def drawing(name: str) -> ET.Element:
    return ET.parse(DRAWINGS / f"{name}.svg").getroot()


def numbers(words: str) -> list[float]:
    return [float(one) for one in re.findall(r"-?\d+\.?\d*", words)]


def words(root: ET.Element) -> dict[tuple[float, float], str]:
    """Where each text stands, and what it says."""
    return {(float(one.get("x")), float(one.get("y"))): "".join(one.itertext()) for one in root.iter(f"{SVG}text")}


def test_all_drawings_have_one_style():
    styles = {ET.parse(path).getroot().find(f"{SVG}style").text for path in DRAWINGS.glob("*.svg")}
    assert len(styles) == 1 and "prefers-color-scheme: dark" in styles.pop()


@pytest.mark.parametrize("name", ["tuned", "orientation", "chain", "tissue_cost", "notation"])
def test_no_word_of_a_new_drawing_is_small_on_a_phone(name):
    """350 pixels of a phone are left for the picture; subscripts are smaller."""
    root = drawing(name)
    scale = 350 / numbers(root.get("viewBox"))[2]
    sizes = [float(one.get("font-size", root.get("font-size"))) for one in root.iter(f"{SVG}text")]
    assert min(sizes) * scale > 9


def test_the_bar_of_a_tissue_has_the_lengths_of_its_table():
    root = drawing("tissue_cost")
    bars = {one.get("id"): one for one in root.iter(f"{SVG}rect")}
    width = {name: float(one.get("width")) for name, one in bars.items()}
    cost = pd.read_csv(RESULTS / "runs" / "dataset_cost.csv", index_col="part").core_seconds
    seconds = {
        "whole": cost["a tissue, all that a worker does"],
        "loop": cost["time loop alone"],
        "product": cost["ECG product, maps"],
        "writing": cost["writing: compression, checksums, files"],
        "field": cost["lead field"],
        "rest": cost["drawing"] + cost["locks, checks of what is there"],
    }
    # the axis: its ticks at 0, a half and a whole second
    ticks = {word: x for (x, _), word in words(root).items() if re.fullmatch(r"[\d.]+", word)}
    per_second = ticks["1"] - ticks["0"]
    assert ticks["0.5"] == pytest.approx(ticks["0"] + per_second / 2)
    assert {*width} == {*seconds}
    assert float(bars["whole"].get("x")) == float(bars["loop"].get("x")) == ticks["0"]
    for name, of in seconds.items():
        assert width[name] == pytest.approx(of * per_second, abs=0.1), name
    parts = [one for name, one in bars.items() if name != "whole"]
    for one, following in zip(parts, parts[1:], strict=False):
        assert float(following.get("x")) == pytest.approx(float(one.get("x")) + float(one.get("width")), abs=0.02)
    # the words of the page
    assert seconds["loop"] > seconds["whole"] / 2 > 1.5 * seconds["product"]


KINDS = {"right": "as they are", "y-flipped": "y flipped", "exchanged": "x and y exchanged", "turned": "turned by 90°"}


def test_the_dots_under_the_four_maps_are_the_median_scores():
    table = pd.read_csv(RESULTS / "20_wrong_maps.csv").query("kind in ('right', 'mirrored')")
    assert (table.outcome == "silent").all() and (table.maps.value_counts() == 8).all()
    median = table.groupby("maps").r2.median()
    root = drawing("orientation")
    dots = {one.get("id"): float(one.get("cx")) for one in root.iter(f"{SVG}circle") if one.get("id")}
    values = {"\N{MINUS SIGN}1": -1, "0": 0, "1": 1}
    ticks = sorted((x, values[word]) for (x, _), word in words(root).items() if word in values)
    assert {*dots} == {*KINDS} and len(ticks) == 12
    for i, (kind, maps) in enumerate(KINDS.items()):
        places, of = zip(*ticks[3 * i : 3 * i + 3], strict=True)
        slope, offset = np.polyfit(places, of, 1)
        assert slope * dots[kind] + offset == pytest.approx(median[maps], abs=0.01), kind
    # the words of the page
    assert median["as they are"] > 0.99 and 0.5 < median["x and y exchanged"] < 0.95
    assert median["y flipped"] < -0.5 and median["turned by 90°"] < -0.5


def test_the_four_maps_are_the_manipulations_of_the_table():
    """The pixels of the small map, moved by the transforms of the drawing and by those of `experiments.misuse`."""
    root = drawing("orientation")
    small = next(one for one in root.iter(f"{SVG}g") if one.get("id") == "map")
    kind, side, n = np.empty((8, 8), object), 9, 8
    for one in small.iter(f"{SVG}rect"):
        x, y, wide = (round(float(one.get(name)) / side) for name in ("x", "y", "width"))
        if one.get("class") != "ink":
            kind[n - 1 - y, x : x + wide] = one.get("class")
    turned = {
        "right": kind,
        "y-flipped": kind[::-1],
        "exchanged": kind.T,
        "turned": np.rot90(kind, axes=(0, 1)),
    }
    for of, use in zip(turned.values(), root.iter(f"{SVG}use"), strict=True):
        matrix = re.search(r"matrix\((.*)\)", use.get("transform"))
        a, b, c, d, e, f = numbers(matrix[1]) if matrix else (1, 0, 0, 1, 0, 0)
        shown = np.empty((n, n), object)
        for j, i in np.ndindex(n, n):
            x, y = side * (i + 0.5), side * (n - j - 0.5)
            at_x, at_y = a * x + c * y + e, b * x + d * y + f
            shown[n - 1 - int(at_y // side), int(at_x // side)] = kind[j, i]
        assert np.array_equal(shown, of)


def test_the_matrix_of_decisions_has_the_counts_and_verdicts_of_its_page():
    root = drawing("tuned")
    page = (BOOK / "model_card.md").read_text(encoding="utf-8").partition("**what was tuned on what**")[2]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", page.partition("(card-scores)=")[0], re.M)
    parts = {part: decided for part, decided in rows if part not in ("part of the data", "---")}
    labels = [[word for (x, y), word in words(root).items() if x < 30 and 80 < y < 440][k::2] for k in (0, 1)]
    labels = [" ".join(two) for two in zip(*labels, strict=True)]
    sizes = {name: len(one) for name, one in split_by_tissue(np.repeat(["a"], 300)).items()}
    assert f"{sizes['train']} training tissues" in labels[0] and f"{sizes['val']} validation" in labels[1]
    assert f"{sizes['test']} test tissues" in labels[2]
    text = " ".join(f"{part} {decided}" for part, decided in parts.items())
    assert numbers(labels[3]) == [120, 84] and "120 of the 300 of the recipe, and 84 of wider kinds" in text
    assert numbers(labels[4]) == [300, 120] and "300 further test tissues" in text and "The first 120 test" in text
    assert numbers(labels[7]) == [120, 16, 20]
    assert "120 of the recipe, 16 with re-entry and 20 with partly conducting fibrosis" in text
    # one column of marks for each of weights, settings, bands, flags, scored: a row that decided nothing has the last only
    marks: dict[int, set[float]] = {}
    for one in root.iter(f"{SVG}circle"):
        if float(one.get("cx")) > 150:
            marks.setdefault(round((float(one.get("cy")) - 96) / 40), set()).add(float(one.get("cx")))
    scored = max(x for row in marks.values() for x in row)
    blind = [i for i, row in marks.items() if row == {scored}]
    nothing = [part for part, decided in parts.items() if decided.startswith("nothing; scored")]
    assert len(blind) == len(nothing) == 2
    assert nothing[0].startswith("test tissues of the split") and "test tissues of the split" in labels[blind[0]]
    assert nothing[1].startswith("new tissues that nobody had looked at") and labels[blind[1]].startswith("new")
    assert len(labels) == len(marks) == 8


def test_the_arrows_of_related_systems_are_solid_where_the_table_says_so():
    """A dashed arrow for a system of which the table says *not yet*, of it or of a part."""
    page = (BOOK / "related.md").read_text(encoding="utf-8")
    table = re.findall(r"^\* - (.+)\n  - (.+)\n  - (.+)$", page, re.MULTILINE)[1:]
    root = drawing("chain")
    lines = [one for one in root.iter(f"{SVG}path") if one.get("class") in ("ink", "structured")]
    starts: dict[str, tuple[float, bool]] = {}  # each name, from where its arrow starts, and whether it is dashed
    for (_, y), label in words(root).items():
        own = [one for one in lines if y == numbers(one.get("d"))[1] - 6]
        for name in label.replace("eikonal and lead field: ", "").split(", ") if own else []:
            starts[name] = (numbers(own[0].get("d"))[0], any(one.get("stroke-dasharray") for one in own))
    names = {"Pezzuto": "Pezzuto2017", "Zhou": "Zhou2025", "Ziarelli": "Ziarelli2026", "Dokuchaev": "Dokuchaev2026"}
    names |= {"Gutiérrez-Fernández": "GutierrezFernandez2026", "BLNM": "BLNM {"}
    ours = {"eikonal", "reaction-eikonal", "lead field", "conductivity", "Ogbomo-Harmitt"}  # of the book and its paper
    for name, (_, dashed) in starts.items():
        here = "" if name in ours else next(one for system, _, one in table if names.get(name, name) in system)
        assert dashed == bool(DASHED.search(here)), name
    # the words of the page: half of them start from the parameters, the first of the four lines
    first = min(x for x, _ in starts.values())
    assert len(starts) == 20 and sum(x == first for x, _ in starts.values()) == 10
