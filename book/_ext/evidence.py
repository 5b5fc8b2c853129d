"""Figures of the pages of evidence, drawn from the tables of ``data/results`` as the page is read: ``{evidence-figure} aims``.

Of each figure one function reads what it shows and one draws that; the content of the directive is the caption.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from front import ACCENT, DANGER, INK, NAMES, PAPER, STYLE, Captioned, in_page, in_words, set_names
from sphinx.application import Sphinx

from compendium.figures import METHOD_COLORS

PAPERS, FORMULA = METHOD_COLORS["paper's seq2seq"], METHOD_COLORS["training-free D"]
STRUCTURED, TOGETHER = METHOD_COLORS["structured"], METHOD_COLORS["structured, five together"]
RESULTS, HEADLINE, AIMS = "data/results", "data/results/headline.json", "book/aims.csv"
MISSING = "what is missing, 1 \N{MINUS SIGN} {}, on a log scale (left is better)"  # label of an axis
LOOK = "color: var(--pst-color-text-base); fill: currentColor; height: auto; max-width: 30rem; width: 100%"
KINDS = {  # of 20_wrong_maps.csv
    "size": "wrong pixel size",
    "mirrored": "mirrored or turned",
    "part": "part of the sheet missing",
    "late": "beginning missing",
    "time": "wrong times of frames",
    "voltage": "wrong voltage",
    "noise": "noise",
    "blur": "blur",
    "seam": "two tissues in one map",
    "right": "nothing wrong",
}
METHODS = {  # of 18_shifted.csv: marker, color, face, words
    "paper's network": ("s", PAPERS, PAPERS, "the paper's network"),
    "training-free D": ("D", FORMULA, PAPER, "formula"),
    "structured, five together": ("o", TOGETHER, TOGETHER, "structured, five together"),
}
KNOWN = ("o", TOGETHER, PAPER, "the same, cell known")
DECODERS = {
    "bilstm": "LSTM both ways",
    "lstm": "LSTM that looks back",
    "tcn": "dilated convolutions",
    "alone": "no decoder",
}
STEPS = {  # of what is given: table and variant -> words
    "The paper's network": {
        ("splits", "by tissue"): "as described",
        ("supervision", "25 electrodes"): "+ 24 electrodes",
        ("supervision", "25 electrodes, labels"): "+ labels",
        ("supervision", "2 mm maps, 25 electrodes, labels"): "+ maps of 2 mm",
    },
    "Structured surrogate": {
        ("structured_parts", "all parts"): "all parts",
        ("structured_parts", "one electrode"): "\N{MINUS SIGN} 24 electrodes",
        ("structured_parts", "one electrode, no labels"): "\N{MINUS SIGN} labels",
        ("structured_parts", "one electrode, no labels, 4 mm maps every 10 ms"): "\N{MINUS SIGN} fine maps",
        ("structured_parts", "the same without the formula"): "\N{MINUS SIGN} formula",
    },
}
Row = dict[str, str]
Effect = tuple[str, float, float, float, bool]  # of a part: words, value, ends of the interval, whether it is shown


# Reading


def table(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pick(path: Path, **asked: str) -> Row:
    """The one row of a table with these entries."""
    found = [row for row in table(path) if asked.items() <= row.items()]
    if len(found) != 1:
        raise ValueError(f"{path.name}: expected one row with {asked}, got {len(found)}")
    return found[0]


def headline(root: Path, name: str) -> float:
    numbers = json.loads((root / HEADLINE).read_text(encoding="utf-8"))
    if name not in numbers:
        raise ValueError(f"{HEADLINE}: expected {name!r}, got no such number")
    return float(numbers[name]["value"])


def wrong_maps(root: Path) -> dict[str, list[int]]:
    """Predictions of each kind: refused, flagged, silent from an R2 of 0.9 on, silent below it."""
    rows = table(root / RESULTS / "20_wrong_maps.csv")
    if {row["kind"] for row in rows} != {*KINDS}:
        raise ValueError(f"20_wrong_maps.csv: expected kinds {[*KINDS]}, got {[*{row['kind'] for row in rows}]}")
    found = {words: [0] * 4 for words in KINDS.values()}
    for row in rows:
        bad = row["outcome"] == "silent" and float(row["r2"]) < 0.9
        found[KINDS[row["kind"]]][("refused", "flagged", "silent").index(row["outcome"]) + bad] += 1
    return found


def aims(root: Path) -> dict[str, list[tuple[str, float, float]]]:
    """Of each group: what, its aim and what was reached."""

    def number(text: str) -> float:
        role = re.fullmatch(r"\{headline\}`(\w+)`", text)
        return headline(root, role[1]) if role else float(text)

    rows = groupby(table(root / AIMS), lambda row: row["of"])
    return {of: [(row["score"], number(row["aim"]), number(row["reached"])) for row in some] for of, some in rows}


def shifted(root: Path) -> dict[str, dict[str, float]]:
    """Of each set: the median R2 of each method, and of the structured surrogate where the cell is known."""
    first, second = root / RESULTS / "18_shifted.csv", root / RESULTS / "11_generality.csv"
    names = set_names(root / NAMES)
    found = {
        words: {method: float(pick(first, set=name, method=method)["median"]) for method in METHODS}
        for name, words in names.items()
    }
    for name in ("unseen_cell", "unseen_cell_mbr"):
        found[names[name]]["known"] = float(pick(second, set=f"{name}, cell known")["median"])
    return found


def bands(root: Path) -> dict[str, dict[str, list[float]]]:
    """Of each set, in groups: samples inside, with the ends of the interval; widths of both bands over the SD of the ECG."""
    names, keys = set_names(root / NAMES), ("pointwise", "low", "high", "pointwise width / SD", "width / SD")
    groups = {"test": "Tissue of the recipe", "wide": "Other tissue, learned"}
    found: dict[str, dict[str, list[float]]] = {}
    for row in table(root / RESULTS / "12_uncertainty.csv"):
        group = groups.get(row["set"].partition(",")[0], "Other tissue")
        words = in_words(row["set"], names).removeprefix("learned: ").removeprefix(f"{names['test']}, ")
        found.setdefault(group, {})[words] = [float(row[key]) for key in keys]
    return found


def parts(root: Path) -> dict[str, list[Effect]]:
    """The effect of having each part, in the logarithmic outcome; shown where it is above zero after Holm's correction."""
    found: list[Effect] = []
    for row in table(root / RESULTS / "15_ablations.csv"):
        value, low, high, p = (float(row[f"log: {key}"]) for key in ("difference", "low", "high", "p_holm"))
        found.append((row["part"].replace(", over", ",\nover"), value, low, high, low > 0 and p < 0.05))
    return {"": found}


def attention(root: Path) -> dict[str, list[Effect]]:
    """The same of attention, and of it together with the time embedding, by decoder; shown where the interval is above zero."""

    def effect(part: str, decoder: str) -> Effect:
        if (part, decoder) == ("attention", "bilstm"):  # is in the table of all parts alone
            row = pick(root / RESULTS / "15_ablations.csv", variant="no attention")
            value, low, high = (float(row[f"log: {key}"]) for key in ("difference", "low", "high"))
        else:
            value, low, high = (headline(root, f"ablation_{part}_{decoder}_log{end}") for end in ("", "_low", "_high"))
        return DECODERS[decoder], value, low, high, low > 0

    groups = {"Attention": "attention", "Time-aware attention": "time_aware"}
    return {words: [effect(part, decoder) for decoder in DECODERS] for words, part in groups.items()}


def given(root: Path) -> dict[str, list[tuple[str, float]]]:
    """Of each network: the steps, and the mean R2 over tissues and seeds at each."""

    def mean(name: str, step: str) -> float:
        rows = table(root / RESULTS / "runs" / f"{name}.csv")
        scores = [float(row["r2"]) for row in rows if step == row.get("variant", row.get("reading"))]
        if not scores:
            raise ValueError(f"{name}.csv: expected scores of {step!r}, got none")
        return sum(scores) / len(scores)

    return {network: [(words, mean(*step)) for step, words in steps.items()] for network, steps in STEPS.items()}


# Drawing


@contextmanager
def canvas(height: float, words: str, columns: int = 1) -> Iterator[tuple[Any, Any]]:
    """A figure as wide as a phone with words below it, and its axes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(4.5, height), layout="constrained")
        fig.supxlabel(words, fontsize="medium")
        yield fig, fig.subplots(1, columns)


def name_rows(ax: Any, groups: Mapping[str, Iterable[str]], shown: bool = True) -> list[int]:
    """Write the names of rows to the left, those of groups in bold above them; where the rows are."""
    names = [(words, k == 0) for name, rows in groups.items() for k, words in enumerate((name, *rows)) if words]
    at = [k for k, (_, head) in enumerate(names) if not head]
    ax.set_yticks(range(len(names)), [words if shown else "" for words, _ in names])
    for label, (_, head) in zip(ax.get_yticklabels(), names, strict=True):
        label.set_fontweight("bold" if head else "normal")
    ax.hlines(at, 0, 1, transform=ax.get_yaxis_transform(), color=INK, alpha=0.12, lw=0.8)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.spines[["left", "top", "right"]].set_visible(False)
    return at


def log_axis(ax: Any, low: float, high: float, *ticks: float) -> None:
    ax.set(xscale="log", xlim=(low, high))
    ax.set_xticks(ticks, [f"{one:g}" for one in ticks])
    ax.minorticks_off()


def add_key(fig: Any, columns: int, *marks: tuple[str, str, str, str]) -> None:
    """A key of marks, color, face and words, above a figure."""
    from matplotlib.lines import Line2D

    style: dict[str, Any] = {"ls": "", "mew": 1.4, "ms": 6}
    lines = [
        Line2D([], [], marker=mark, color=color, mfc=face, label=words, **style) for mark, color, face, words in marks
    ]
    fig.legend(
        handles=lines, loc="outside upper center", ncols=columns, frameon=False, handletextpad=0.1, columnspacing=1
    )


def draw_wrong_maps(counts: dict[str, list[int]]) -> str:
    words = ("refused", "flagged", "no flag, R² ≥ 0.9", "no flag, R² < 0.9")
    looks = (((INK, 0.75), INK), ((INK, 0.3), INK), (PAPER, INK), (DANGER, DANGER))  # a face, an edge
    with canvas(3.5, "number of predictions") as (fig, ax):
        counts = dict(sorted(counts.items(), key=lambda one: -one[1][3]))
        at = name_rows(ax, {"": counts})
        for k, (face, edge) in enumerate(looks):
            bars = [(y, of[k], sum(of[:k])) for y, of in zip(at, counts.values(), strict=True) if of[k]]
            y, width, left = zip(*bars, strict=True)
            ax.barh(y, width, 0.66, left, color=face, ec=edge, lw=0.8, label=words[k])
            for row, n, start in bars if face == DANGER else ():
                ax.text(start + n + 1.5, row, str(n), color=DANGER, va="center", weight="bold")
        fig.legend(loc="outside upper center", ncols=2, frameon=False, handlelength=1.2)
        return in_page(fig)


def draw_aims(groups: dict[str, list[tuple[str, float, float]]]) -> str:
    marks = [("o", INK, PAPER, "aim"), ("o", ACCENT, ACCENT, "reached"), ("X", DANGER, DANGER, "reached, aim missed")]
    with canvas(6, MISSING.format("R²")) as (fig, ax):
        at = name_rows(ax, {name: [words for words, _, _ in rows] for name, rows in groups.items()})
        for y, (_, aim, reached) in zip(at, [row for rows in groups.values() for row in rows], strict=True):
            mark, color, face, _ = marks[1 if reached >= aim else 2]
            ax.plot([1 - aim, 1 - reached], [y, y], color=color, lw=1.6, alpha=0.6)
            ax.plot(1 - aim, y, "o", color=INK, mfc=PAPER, mew=1.2, ms=5.5)
            ax.plot(1 - reached, y, mark, color=color, mfc=face, mew=0.6, ms=6)
        log_axis(ax, 4e-4, 1, 0.001, 0.01, 0.1, 1)
        add_key(fig, 3, *marks)
        return in_page(fig)


def draw_shifted(sets: dict[str, dict[str, float]]) -> str:
    marks = METHODS | {"known": KNOWN}
    with canvas(3.4, MISSING.format("median R²")) as (fig, ax):
        for y, medians in zip(name_rows(ax, {"": sets}), sets.values(), strict=True):
            for method, r2 in medians.items():
                mark, color, face, _ = marks[method]
                ax.plot(1 - r2, y, mark, color=color, mfc=face, mew=1.4, ms=6)
        log_axis(ax, 2e-4, 1, 0.001, 0.01, 0.1, 1)
        add_key(fig, 2, *marks.values())
        return in_page(fig)


def draw_bands(groups: dict[str, dict[str, list[float]]]) -> str:
    samples, traces = ("o", TOGETHER, TOGETHER, "band of samples"), ("o", INK, PAPER, "band of whole traces")
    with canvas(5.3, "", columns=2) as (fig, (left, right)):
        name_rows(right, groups, shown=False)
        rows = [row for sets in groups.values() for row in sets.values()]
        for y, (inside, low, high, *widths) in zip(name_rows(left, groups), rows, strict=True):
            left.plot([low, high], [y, y], color=TOGETHER, lw=2.5, alpha=0.55, solid_capstyle="butt")
            left.plot(inside, y, "o", color=TOGETHER, ms=4.5)
            for (mark, color, face, _), width in zip((samples, traces), widths, strict=True):
                right.plot(width, y, mark, color=color, mfc=face, mew=1.2, ms=4.5)
        left.axvline(0.9, color=INK, lw=1)
        left.set(xlim=(0.78, 1.01), xticks=(0.8, 0.9, 1), xlabel="share of samples\ninside the band")
        log_axis(right, 0.02, 15, 0.1, 1, 10)
        right.set_xlabel("width over the\nSD of the ECG")
        add_key(fig, 2, samples, traces)
        return in_page(fig)


def draw_effects(groups: dict[str, list[Effect]]) -> str:
    from compendium.claims import LEAST

    rows = [row for some in groups.values() for row in some]
    spacing = 0.33 if any("\n" in row[0] for row in rows) else 0.19
    with canvas(0.7 + spacing * (len(rows) + len(groups)), "effect of having it, logarithmic outcome") as (fig, ax):
        at = name_rows(ax, {name: [row[0] for row in some] for name, some in groups.items()})
        for y, (_, value, low, high, shown) in zip(at, rows, strict=True):
            ax.plot([low, high], [y, y], color=ACCENT, lw=2, solid_capstyle="butt")
            ax.plot(value, y, "o", color=ACCENT, mfc=ACCENT if shown else PAPER, mew=1.4, ms=6)
        ax.axvline(0, color=INK, lw=1)
        start, end = ax.get_xlim()
        ax.axvspan(start, LEAST, color=INK, alpha=0.12, lw=0)
        ax.set_xlim(start, end)
        return in_page(fig)


def draw_given(networks: dict[str, list[tuple[str, float]]]) -> str:
    with canvas(2.8, MISSING.format("mean R²")) as (fig, ax):
        rows = iter(name_rows(ax, {name: [words for words, _ in steps] for name, steps in networks.items()}))
        for (mark, color), steps in zip((("s", PAPERS), ("o", STRUCTURED)), networks.values(), strict=True):
            y, x = [next(rows) for _ in steps], [1 - r2 for _, r2 in steps]
            ax.step(x, y, color=color, lw=1.4, alpha=0.6)
            ax.plot(x, y, mark, color=color, ms=6)
            for row, (_, r2) in zip(y, steps, strict=True):
                ax.text(1, row, f"{r2:.3f}", transform=ax.get_yaxis_transform(), ha="right", va="center")
        ax.text(1, 0, "mean R²", transform=ax.get_yaxis_transform(), ha="right", va="center")
        log_axis(ax, 4e-3, 0.2, 0.005, 0.01, 0.02, 0.05, 0.1)
        return in_page(fig)


# The directive


def of_results(*names: str) -> tuple[str, ...]:
    return tuple(f"{RESULTS}/{name}" for name in names)


RUNS = of_results("runs/splits.csv", "runs/supervision.csv", "runs/structured_parts.csv")
Ways = tuple[Callable[[Path], Any], Callable[[Any], str], tuple[str, ...]]  # how it is read and drawn, from which files
FIGURES: dict[str, Ways] = {
    "wrong-maps": (wrong_maps, draw_wrong_maps, of_results("20_wrong_maps.csv")),
    "aims": (aims, draw_aims, (AIMS, HEADLINE)),
    "shifted": (shifted, draw_shifted, (*of_results("18_shifted.csv", "11_generality.csv"), NAMES)),
    "bands": (bands, draw_bands, (*of_results("12_uncertainty.csv"), NAMES)),
    "parts": (parts, draw_effects, of_results("15_ablations.csv")),
    "attention": (attention, draw_effects, (*of_results("15_ablations.csv"), HEADLINE)),
    "given": (given, draw_given, RUNS),
}


class EvidenceFigure(Captioned):
    required_arguments = 1

    def html(self, root: Path) -> str:
        if self.arguments[0] not in FIGURES:
            raise self.error(f"evidence-figure: expected one of {[*FIGURES]}, got {self.arguments[0]!r}")
        read, draw, sources = FIGURES[self.arguments[0]]
        for source in (*sources, f"book/_ext/{Path(__file__).name}"):
            self.env.note_dependency(str(root / source))
        return self.described(draw(read(root))).replace("<svg ", f'<svg style="{LOOK}" ', 1)


def setup(app: Sphinx) -> dict:
    app.add_directive("evidence-figure", EvidenceFigure)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
