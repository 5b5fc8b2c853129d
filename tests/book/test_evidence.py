"""The figures of the pages of evidence: they draw the numbers of the tables, refuse what lacks, and are read on a phone."""

import csv
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from book.test_browser import DESK, PHONE, READY
from book.test_front import luminance

from compendium import claims
from compendium.registry import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))

import evidence  # noqa: E402

RESULTS = ROOT / "data" / "results"
HEADLINE = json.loads((RESULTS / "headline.json").read_text(encoding="utf-8"))
PAGES = {
    "limits": ("aims", "wrong-maps"),
    "results": ("given", "shifted", "bands"),
    "reproduction": ("parts", "attention"),
}
PATIENCE = 300_000  # ms


@pytest.fixture
def copy(tmp_path) -> Path:
    """The tables in a folder of their own, to be spoiled."""
    for name in {source for _, _, sources in evidence.FIGURES.values() for source in sources}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def drop(path: Path, column: str, value: str) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [row for row in rows if row[column] != value]
    assert len(kept) < len(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(kept)


# The numbers


def test_wrong_maps_are_counted_as_their_page_counts_them():
    counts = evidence.wrong_maps(ROOT)
    wrong = np.array([of for kind, of in counts.items() if kind != evidence.KINDS["right"]])
    refused, flagged, fine, bad = wrong.sum(0)
    told = {
        name: HEADLINE[f"wrong_maps_{name}"]["value"] for name in ("refused", "flagged", "silent", "silent_below_09")
    }
    assert told == {"refused": refused, "flagged": flagged, "silent": fine + bad, "silent_below_09": bad}
    worst = [evidence.KINDS["size"], evidence.KINDS["mirrored"]]
    assert min(counts[kind][3] / sum(counts[kind]) for kind in worst) > 0.9, "which is what the page says of these two"
    assert sum(of[3] for kind, of in counts.items() if kind not in worst) < 0.05 * bad


def test_aims_stand_once_and_their_verdicts_follow():
    groups = evidence.aims(ROOT)
    rows = evidence.table(ROOT / evidence.AIMS)
    drawn = [row for some in groups.values() for row in some]
    assert [row["score"] for row in rows] == [score for score, _, _ in drawn], "the rows of a group are together"
    assert [row["verdict"] == "missed" for row in rows] == [reached < aim for _, aim, reached in drawn]
    missed = {of: [score for score, aim, reached in some if reached < aim] for of, some in groups.items()}
    network, structured, wider, without = missed
    assert len(missed[network]) == len(groups[network]) and not missed[without]
    assert missed[structured] == ["mild tissue, worst", "cell MLR-I, mean"]
    assert [score for score, _, _ in groups[wider] if score not in missed[wider]] == [
        score for score, _, _ in groups[wider] if "median" in score
    ]


def test_other_sets_have_the_medians_of_their_tissues():
    sets = evidence.shifted(ROOT)
    runs = pd.read_csv(RESULTS / "runs" / "shifted.csv")
    median = runs.groupby(["method", "set", "sim"]).r2.mean().groupby(["method", "set"]).median()
    names = evidence.set_names(ROOT / evidence.NAMES)
    assert [*sets] == [*names.values()]
    for name, words in names.items():
        for method in evidence.METHODS:
            in_runs = method.replace("network", "seq2seq")
            assert sets[words][method] == pytest.approx(median[in_runs, name], abs=1e-5)
    assert [name for name, of in sets.items() if "known" in of] == [names["unseen_cell"], names["unseen_cell_mbr"]]
    behind = [name for name, of in sets.items() if of["structured, five together"] < of["training-free D"]]
    assert behind == [names["partial_fibrosis"]], "which is what the page says"


def test_bands_are_those_of_the_table():
    groups = evidence.bands(ROOT)
    table = pd.read_csv(RESULTS / "12_uncertainty.csv")
    columns = ["pointwise", "low", "high", "pointwise width / SD", "width / SD"]
    assert [row for sets in groups.values() for row in sets.values()] == table[columns].values.tolist()
    inside, low, high, width, wide = groups["Tissue of the recipe"]["same recipe"]
    told = [HEADLINE[name]["value"] for name in ("coverage_90", "band_width_90_sd", "coverage_90_width")]
    assert [inside, width, wide] == pytest.approx(told, abs=6e-5) and low < inside < high
    assert min(groups["Other tissue"], key=lambda name: groups["Other tissue"][name][0]) == "partial fibrosis"


def test_parts_are_shown_as_the_verdicts_say():
    (rows,) = evidence.parts(ROOT).values()
    table = pd.read_csv(RESULTS / "15_ablations.csv")
    assert [row[1:4] for row in rows] == [
        *table[["log: difference", "log: low", "log: high"]].itertuples(index=False, name=None)
    ]
    assert [words.replace("\n", " ") for words, *_ in rows] == table.part.tolist()
    for (*_, shown), (_, row) in zip(rows, table.iterrows(), strict=True):
        of = pd.Series({"low": row["log: low"], "high": row["log: high"], "p_holm": row["log: p_holm"]})
        assert shown == (claims.is_worth(of) == claims.YES)
    assert [words.partition(",")[0] for words, *_, shown in rows if shown] == ["LSTM both ways", "decoder"]


def test_attention_is_as_good_as_its_trainings():
    groups = evidence.attention(ROOT)
    for column, rows in zip(("attention", "aware"), groups.values(), strict=True):
        name = "attention" if column == "attention" else "time_aware"
        runs = pd.read_csv(RESULTS / "runs" / f"ablations_{name}.csv")
        log = (-np.log10(1 - runs.r2)).groupby([runs.decoder, runs[column]]).mean()
        words = {"LSTM that looks back": "LSTM that looks back only", "no decoder": "none"}
        for decoder, value, low, high, shown in rows:
            of = log[words.get(decoder, decoder)]
            assert value == pytest.approx(of[True] - of[False], abs=2e-5) and low < value < high and shown == (low > 0)


def test_what_is_given_has_the_means_of_its_page():
    steps = {words: r2 for some in evidence.given(ROOT).values() for words, r2 in some}
    told = {
        "as described": "split_tissue_r2_mean",
        "+ 24 electrodes": "supervision_electrodes_r2",
        "+ maps of 2 mm": "supervision_everything_r2",
        "all parts": "structured_half_r2",
        "\N{MINUS SIGN} 24 electrodes": "structured_one_electrode_r2",
        "\N{MINUS SIGN} labels": "structured_no_labels_r2",
        "\N{MINUS SIGN} fine maps": "structured_like_paper_r2",
        "\N{MINUS SIGN} formula": "structured_like_paper_no_formula_r2",
    }
    assert {name: steps[name] for name in told} == pytest.approx(
        {name: HEADLINE[key]["value"] for name, key in told.items()}
    )
    svg = evidence.draw_given(evidence.given(ROOT))
    assert re.findall(r">(0\.\d{3})</text>", svg)[-len(steps) :] == [f"{r2:.3f}" for r2 in steps.values()]


@pytest.mark.parametrize(("figure", "file", "column", "value", "error"), [
    ("wrong-maps", "20_wrong_maps.csv", "kind", "seam", "20_wrong_maps.csv: expected kinds .*'seam'.*, got"),
    ("shifted", "18_shifted.csv", "set", "reentry", "18_shifted.csv: expected one row with .*reentry.*, got 0"),
    ("shifted", "11_generality.csv", "set", "unseen_cell, cell known", "11_generality.csv: expected one row .*, got 0"),
    ("attention", "15_ablations.csv", "variant", "no attention", "15_ablations.csv: expected one row .*, got 0"),
    ("given", "runs/supervision.csv", "variant", "25 electrodes", "supervision.csv: expected scores of .*, got none"),
])  # fmt: skip
def test_a_missing_row_is_named(copy, figure, file, column, value, error):
    read, _, _ = evidence.FIGURES[figure]
    read(copy)
    drop(copy / evidence.RESULTS / file, column, value)
    with pytest.raises(ValueError, match=error):
        read(copy)


def test_a_missing_number_is_named(copy):
    (copy / evidence.HEADLINE).write_text("{}", encoding="utf-8")
    for figure in ("aims", "attention"):
        with pytest.raises(ValueError, match="headline.json: expected .*, got no such number"):
            evidence.FIGURES[figure][0](copy)


# On the pages


@pytest.fixture(scope="module")
def seen(chromium, html) -> dict[tuple[str, str, str], list[dict]]:
    """Of each page, width and scheme: the figures as the browser has laid them out."""
    found = {}
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    for name in PAGES:
        page.goto((html / "book" / f"{name}.html").as_uri())
        for size, viewport in (("phone", PHONE), ("desk", DESK)):
            page.set_viewport_size(viewport)
            for scheme in ("light", "dark"):
                page.evaluate(f"document.documentElement.dataset.theme = '{scheme}'")
                page.evaluate(READY)
                found[name, size, scheme] = page.evaluate(LOOK)
    context.close()
    return found


LOOK = """() => [...document.querySelectorAll("figure.evidence-figure")].map((figure) => {
  const svg = figure.querySelector("svg"), frame = svg.getBoundingClientRect(), of = (node) => getComputedStyle(node);
  const words = [...svg.querySelectorAll("text")].filter((node) => node.textContent.trim());
  const box = (node) => { const one = node.getBoundingClientRect(); return [node.textContent, one.left, one.right, one.top, one.bottom]; };
  return { alt: svg.getAttribute("aria-label"), caption: figure.querySelector("figcaption").innerText,
    frame: [frame.left, frame.right, frame.top, frame.bottom], wide: innerWidth, ground: of(document.body).backgroundColor,
    sizes: words.map((node) => parseFloat(of(node).fontSize) * svg.getScreenCTM().a), words: words.map(box),
    colors: [...new Set([...words.map((node) => of(node).fill), ...[...svg.querySelectorAll("use")].map((node) => of(node).stroke)])] };
})"""


def test_every_figure_is_on_its_page(seen):
    assert {name for names in PAGES.values() for name in names} == {*evidence.FIGURES}
    for (page, _, _), figures in seen.items():
        source = (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
        assert re.findall(r"^```\{evidence-figure\} (.*)$", source, re.MULTILINE) == [*PAGES[page]]
        assert len(figures) == len(PAGES[page])
        assert all(len(one["alt"]) > 80 and len(one["caption"]) > 40 for one in figures), page


def test_words_are_large_enough_on_a_phone(seen):
    for (page, size, _), figures in seen.items():
        for figure in figures:
            assert min(figure["sizes"]) >= 9, (page, size)
            left, right, _, _ = figure["frame"]
            assert left >= 0 and right <= figure["wide"] and right - left >= 300, (page, size)


def test_no_word_lies_on_another_or_is_cut(seen):
    for key, figures in seen.items():
        for figure in figures:
            frame = figure["frame"]
            for k, (words, left, right, top, bottom) in enumerate(figure["words"]):
                assert left >= frame[0] - 1 and right <= frame[1] + 1 and bottom <= frame[3] + 2, (key, words)
                for other, l2, r2, t2, b2 in figure["words"][:k]:
                    apart = left >= r2 or l2 >= right or top >= b2 - 3 or t2 >= bottom - 3
                    assert apart, (key, words, other)


def test_marks_and_words_are_seen_on_their_ground(seen):
    for key, figures in seen.items():
        for figure in figures:
            colors = {*figure["colors"]} - {"none"}
            assert len(colors) >= 2
            for color in colors:
                low, high = sorted((luminance(color), luminance(figure["ground"])))
                assert (high + 0.05) / (low + 0.05) >= 3, (key, color)
