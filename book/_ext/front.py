"""The front page: the strip with a wave and its ECG, and the figure of the finding; and tables that say the names of sets in words.

``wave-strip`` shows what ``tools/strip.py`` recorded, ``finding-figure`` draws the scores of ``data/results/13_results.csv`` as the
page is read; the content of both is their caption. Each is part of the page, so that it takes its colors from the theme.
``set-table`` is a ``csv-table`` whose first column holds names of test sets. Pages without an equation do without MathJax.
"""

import ast
import csv
import json
import re
from html import escape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.directives.patches import CSVTable
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCORES, WAVE = "data/results/13_results.csv", "book/assets/front.json"
KINDS = {  # of methods: marker, whether it is filled, words of the key
    "network": ("o", True, "trained network"),
    "formula": ("D", False, "formula"),
    "told": ("s", False, "told the conductivity"),
}
METHODS = {  # of SCORES, from the one that knows least: what it does, in words, and its kind
    "blind lead field": ("Physics, with one conductivity for all tissue", "formula"),
    "paper's network": ("The paper's network: from the film straight to the ECG", "network"),
    "training-free D": ("Conductivity from the speed of the wave, then physics", "formula"),
    "structured": ("This book's network: infers the conductivity, then physics", "network"),
    "true D, upscaled maps": ("True conductivity on the same pixels, then physics", "told"),
}
INK, ACCENT, MUTED, DANGER, PAPER = "#000000", "#176de8", "#48566b", "#d72d47", "#ffffff"
COLORS = {  # of a picture -> of the theme, in the page
    INK: "currentColor",
    ACCENT: "var(--pst-color-primary)",
    MUTED: "var(--pst-color-text-muted)",
    DANGER: "var(--pst-color-danger)",
    PAPER: "var(--pst-color-background)",
}
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "forwardecg", "font.size": 9.5, "axes.edgecolor": INK}
NAMES = "notebooks/18_shifted.py"  # which has the words for the sets


def losses(path: Path) -> dict[str, np.ndarray]:
    """1 - R2 of every tissue, by method."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["method"], 1 - float(row["r2"])) for row in csv.DictReader(file)]
    found = {name: np.array([loss for method, loss in rows if method == name]) for name in METHODS}
    if missing := [name for name, loss in found.items() if not loss.size]:
        raise ValueError(f"{path.name}: expected scores of {missing}, got none")
    return found


def draw_finding(loss: dict[str, np.ndarray]) -> str:
    """The figure as SVG for a page: text as text, in the colors of the theme."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter

    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(4.3, 3.35), layout="constrained")
        ax = fig.subplots()
        for row, (name, (words, kind)) in enumerate(METHODS.items()):
            marker, filled, _ = KINDS[kind]
            color, mean = ACCENT if filled else INK, loss[name].mean()
            low, high = np.quantile(loss[name], (0.1, 0.9))
            ax.plot([low, high], [row] * 2, color=color, lw=2.5, alpha=0.55, solid_capstyle="butt")
            ax.plot(mean, row, marker, color=color, mfc=color if filled else "white", mew=1.6, ms=8)
            ax.text(0, row + 0.32, words, transform=ax.get_yaxis_transform(), va="center")
            ax.text(1, row, f"{1 - mean:.3f}", transform=ax.get_yaxis_transform(), ha="right", va="center")
        ax.text(1, len(METHODS) - 0.15, "mean R²", transform=ax.get_yaxis_transform(), ha="right", va="center")
        for marker, filled, words in KINDS.values():
            color = ACCENT if filled else INK
            ax.plot([], [], marker, color=color, mfc=color if filled else "white", mew=1.6, ms=7, label=words)
        ax.set(xscale="log", xlim=(1e-5, 12), ylim=(-0.45, len(METHODS)), yticks=[])
        ax.set_xlabel("what is missing, 1 \N{MINUS SIGN} R², on a log scale (left is better)")
        ax.xaxis.set_major_locator(FixedLocator([1e-4, 1e-3, 1e-2, 1e-1, 1]))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value > 2e-4 else "0.0001"))
        ax.xaxis.set_minor_locator(FixedLocator([]))
        ax.spines[["left", "top", "right"]].set_visible(False)
        fig.legend(
            loc="outside lower center", ncols=3, frameon=False, handletextpad=0.2, columnspacing=1.2, borderpad=0
        )
        return in_page(fig)


def in_page(fig: "Figure") -> str:
    """A figure as a part of a page: its colors and its font are those of the theme."""
    out = StringIO()
    fig.savefig(out, format="svg", metadata={"Date": None}, transparent=True)
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    for color, of_theme in COLORS.items():
        svg = svg.replace(color, of_theme)
    svg = re.sub(r"font-family: [^;\"]+;? ?", "", svg)
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # a page has several, each with an axes_1
    return re.sub(
        r'(<svg [^>]*?) (?:width|height)="[^"]*"', r"\1", re.sub(r' width="[^"]*pt"', "", svg, count=1), count=1
    )


class Captioned(SphinxDirective):
    """A figure of html, drawn from files of the book, with its content for a caption."""

    has_content = True
    option_spec = {"alt": directives.unchanged_required, "name": directives.unchanged}
    sources: tuple[str, ...] = ()

    def html(self, root: Path) -> str:
        raise NotImplementedError

    def described(self, svg: str) -> str:
        """A picture that is read aloud as its alt text."""
        return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(self.options["alt"])}" ', 1)

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        for source in (*(root / one for one in self.sources), __file__):
            self.env.note_dependency(str(source))
        figure = nodes.figure("", nodes.raw("", self.html(root), format="html"), classes=[self.name])
        self.add_name(figure)
        caption = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, caption)
        figure += nodes.caption("", "", *(node for one in caption.children for node in one.children))
        return [figure]


class FindingFigure(Captioned):
    sources = (SCORES,)

    def html(self, root: Path) -> str:
        return self.described(draw_finding(losses(root / SCORES)))


class WaveStrip(Captioned):
    sources = (WAVE,)

    def html(self, root: Path) -> str:
        wave = json.loads((root / WAVE).read_text(encoding="utf-8"))
        ecg, columns, last = np.array(wave["ecg"]), wave["columns"], wave["frames"] - 1
        top, low = ecg.max(), ecg.min()
        y = 8 + (top - ecg) / (top - low) * 184
        points = " ".join(f"{1000 * k / (len(y) - 1):.0f},{one:.1f}" for k, one in enumerate(y))
        row, column = divmod(wave["still"], columns)
        now, zero = 1000 * wave["still"] / last, 8 + top / (top - low) * 184
        move = f"translate({-100 * column / columns:.4f}%, {-100 * row / wave['rows']:.4f}%)"
        return f"""<div class="wave" id="wave" data-frames="{last + 1}" data-columns="{columns}" data-rows="{wave["rows"]}">
<div class="wave-sheet"><img src="../_static/front.webp" alt="{self.options["alt"]}" style="width: {100 * columns}%; transform: {move}">
<span class="wave-electrode" aria-hidden="true">E</span></div>
<div class="wave-ecg"><p>ECG at E</p>
<svg viewBox="0 0 1000 200" preserveAspectRatio="none" aria-hidden="true">
<clipPath id="wave-until"><rect x="0" y="0" width="1000" height="200"/></clipPath>
<path class="wave-zero" d="M0 {zero:.1f}H1000"/><polyline clip-path="url(#wave-until)" points="{points}"/>
<path class="wave-now" d="M{now:.0f} 0V200"/></svg>
<p class="wave-axis"><span>0 ms</span><span>{wave["t_end"]} ms</span></p></div>
<button type="button" hidden></button>
</div>
<script src="../_static/front.js"></script>"""


def set_names(path: Path) -> dict[str, str]:
    """What a notebook calls the sets: its variable ``names``."""
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AugAssign) and getattr(target, "id", None) == "names":
            found |= ast.literal_eval(node.value)
    return found


LEARNED = {
    "dense": "dense fibrosis, second set",
    "percolating": "percolating fibrosis",
    "slow": "slow tissue",
    "fast": "fast tissue",
    "gp": "cell FK-GP",
    "br": "cell FK-BR",
    "paced": "two beats",
}


def in_words(name: str, names: dict[str, str]) -> str:
    """A set of the results, alone or with what is changed after a comma, in words."""
    head, comma, rest = name.partition(",")
    if head == "wide":  # kinds that the published surrogate has learned
        return f"learned: {LEARNED[rest.strip()]}"
    if head not in names:
        raise ValueError(f"expected one of {[*names]}, got {head!r}")
    return names[head] + comma + rest


class SetTable(CSVTable):
    """Names of sets, alone or before a comma, in words."""

    def parse_csv_data_into_rows(self, csv_data, dialect, source):
        rows, width = super().parse_csv_data_into_rows(csv_data, dialect, source)
        env = self.state.document.settings.env
        path = Path(env.srcdir) / NAMES
        env.note_dependency(str(path))
        names = set_names(path)
        for row in rows[self.options.get("header-rows", 0) :]:
            words = row[0][3]
            try:
                words[0] = in_words(words[0], names)
            except ValueError as error:
                raise self.error(f"set-table: {error}") from None
        return rows, width


def drop_mathjax(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """The front page has no equation, and no use for a script of 2 MB that sets them: Sphinx asks all pages below a page."""
    if pagename.startswith("book/") and not app.env.get_domain("math").data["has_equations"].get(pagename, False):
        files = context.get("script_files", [])
        context["script_files"] = [one for one in files if "mathjax" not in str(getattr(one, "filename", one))]


def setup(app: Sphinx) -> dict:
    app.connect("html-page-context", drop_mathjax, priority=900)
    app.add_directive("wave-strip", WaveStrip)
    app.add_directive("finding-figure", FindingFigure)
    app.add_directive("set-table", SetTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
