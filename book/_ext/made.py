"""What was made, and what made it: the tables of the pages ``downloads`` and ``provenance``, written from files.

``download-list`` with ``notebooks``, ``results``, ``figures``, ``runs`` or ``other`` lists what lies in the repository: what a
notebook makes with the words of its header, the rest with those of the directive. ``provenance`` says which commit, code,
libraries and machines are behind the pages, and lists all headline numbers. Neither needs git, and a missing result is a missing row.
"""

import csv
import hashlib
import importlib
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from compendium.record import closure
from forwardecg import contract
from forwardecg.cache import code_hash

RUNS = "data/results/runs"
RUNS_ZIP = "_downloads/runs.zip"
TAKEN = (".csv", ".nc", ".json")  # of what a notebook makes; figures stand on their page
LINE = re.compile(r"(\d\d_\w+) · source (\w+) · (Python .+)")  # record.Headline.provenance
SHOWN = (
    "numpy",
    "scipy",
    "numba",
    "torch",
    "xarray",
    "zarr",
    "matplotlib",
    "jupyter-book",
    "Sphinx",
    "myst-nb",
    "pytask",
    "papermill",
)


def registry(root: Path) -> ModuleType | None:
    """The registry of the notebooks; a page that is rendered alone has none."""
    if not (root / "src" / "compendium" / "registry.py").is_file():
        return None
    return importlib.import_module("compendium.registry")


def files_of(name: str, root: Path) -> list[Path]:
    """The notebook itself, its source and the tables it makes, relative to ``root``; nothing for other pages."""
    known = registry(root)
    if known is None or name not in known.BY_NAME:
        return []
    notebook = known.BY_NAME[name]
    made = [Path("data", one) for one in notebook.makes if one.startswith("results/") and one.endswith(TAKEN)]
    return [Path("notebooks", f"{name}.ipynb"), Path("notebooks", f"{name}.py"), *made]


MOST_RUNS_BYTES = 2_000_000  # of a table of single runs: larger ones come with the repository only
MOST_BYTES = 1_400_000  # of a file among the weights and small data: larger ones come with the package only


def size(path: Path) -> str:
    n = path.stat().st_size
    return f"{n / 1e6:.1f} MB" if n > 1e6 else f"{max(1, round(n / 1e3))} kB"


def download(path: Path | str) -> str:
    return f"{{download}}`{Path(path).name} </{path}>`"


def rows_of(path: Path) -> str:
    """How many rows a table has."""
    with path.open(encoding="utf-8", newline="") as file:
        return str(sum(1 for _ in csv.reader(file)) - 1)


def table(*rows: str) -> list[str]:
    """A table in MyST; cells are apart by ``|``, the first row is the head."""
    head, *body = (f"| {row} |" for row in rows)
    return ["", head, "|" + "---|" * (head.count("|") - 1), *body, ""]


class FromFiles(SphinxDirective):
    """A directive that writes MyST from what lies on the disk."""

    def lines(self) -> list[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        self.root = Path(self.env.srcdir)
        found = nodes.container(classes=["from-files"])
        self.state.nested_parse(StringList(self.lines(), source=self.env.docname), 0, found)
        return found.children


class DownloadList(FromFiles):
    required_arguments = 1
    has_content = True  # file: what it holds

    def lines(self) -> list[str]:
        self.env.note_reread()  # the sizes are those of now
        self.words = yaml.safe_load("\n".join(self.content)) or {}
        kinds = {"notebooks": self.notebooks, "results": self.results, "figures": self.figures, "runs": self.runs}
        return {**kinds, "other": self.other}[self.arguments[0]]()

    def known(self) -> list:
        module = registry(self.root)
        return sorted(module.NOTEBOOKS, key=lambda one: one.name) if module else []

    def made(self, folder: str) -> list[tuple[str, str, str]]:
        """Each file below ``data/`` that a notebook makes there, what it holds, and the notebook."""
        files = [(path, words, one.name) for one in self.known() for path, words in one.makes.items()]
        return [(f"data/{path}", words, name) for path, words, name in files if path.startswith(folder)]

    def notebooks(self) -> list[str]:
        def row(name: str) -> str:
            both = f"{{built}}`_sources/notebooks/{name}.ipynb` | {download(f'notebooks/{name}.py')}"
            return f"{{doc}}`/notebooks/{name}` | {both} | {size(self.root / f'notebooks/{name}.ipynb')}"

        return table("page | executed notebook | source | size", *[row(one.name) for one in self.known()])

    def results(self) -> list[str]:
        found = [(path, words, "") for path, words in self.words.items()]
        found += [(path, words, f"{{doc}}`/notebooks/{name}`") for path, words, name in self.made("results/")]
        rows = []
        for path, words, maker in found:
            if (self.root / path).is_file():
                count = rows_of(self.root / path) if path.endswith(".csv") else ""
                rows.append(f"{download(path)} | {words} | {count} | {maker}")
        return table("file | holds | rows | made by", *rows)

    def figures(self) -> list[str]:
        drawn = {made: one.name for one in self.known() for made in one.draws}
        rows = []
        for stem in sorted({made.rpartition(".")[0] for made in drawn}):
            kinds = [f"{stem}.{kind}" for kind in ("svg", "png") if f"{stem}.{kind}" in drawn]
            files = ", ".join(download(f"data/{one}") for one in kinds)
            rows.append(f"{{doc}}`/notebooks/{drawn[kinds[0]]}` | {files}")
        return table("page | figure", *rows)

    def runs(self) -> list[str]:
        rows = []
        for path in sorted((self.root / RUNS).glob("*.csv")):
            if not path.stem.endswith("_trainings"):
                trainings = path.with_name(f"{path.stem}_trainings.csv")
                count = rows_of(trainings) if trainings.is_file() else ""
                rows.append(f"`{path.name}` | {self.words[f'{RUNS}/{path.name}']} | {rows_of(path)} | {count}")
        return table("file | holds | rows | trainings", *rows)

    def other(self) -> list[str]:
        weights = {path: words for path, words, _ in self.made("models/")}
        # beside the book where it is published, and in no copy of it
        base = self.env.config.html_baseurl.rstrip("/")
        rows = (
            [f"[forwardecg.pdf]({base}/forwardecg.pdf) | the whole book as one PDF, printed with this edition | "]
            if base
            else []
        )
        rows += [
            f"{download(path)} | {words} | {size(self.root / path)}"
            for path, words in (weights | self.words).items()
            if (self.root / path).is_file() and (self.root / path).stat().st_size <= MOST_BYTES
        ]
        return table("file | holds | size", *rows)


class Units(FromFiles):
    """The units that the gate of the package knows, read from its table."""

    def lines(self) -> list[str]:
        def spelled(names: str) -> str:
            return ", ".join(f"`{name}`" for name in names.split("|"))

        rows = [
            f"{unit} | {'; '.join(spelled(names) for names in others)}"
            for unit, others in contract._UNITS.items()
            if unit != "1"
        ]
        return table("unit of the package | known spellings, also in the plural, with µ, ², ^, \\* and /", *rows)


class Provenance(FromFiles):
    """Which files, code, libraries and machines are behind this edition, and its headline numbers."""

    required_arguments = 1

    def lines(self) -> list[str]:
        self.env.note_reread()  # a commit changes no file that Sphinx would notice
        kinds = {"edition": self.edition, "notebooks": self.notebooks, "trainings": self.trainings}
        return {**kinds, "numbers": self.numbers}[self.arguments[0]]()

    def edition(self) -> list[str]:
        project = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        pins = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", self.text("requirements.lock"), re.MULTILINE))
        headlines = json.loads(self.text("data/results/headline.json") or "{}")
        recipe = json.loads(self.text("data/results/07_dataset.json") or "{}")
        machines = {
            row["machine"]
            for name in (
                *(f"bench_{what}.csv" for what in ("speed", "dataset", "predict", "reproduce")),
                *(f"runs/{what}.csv" for what in ("growth", "cost")),
            )
            for row in self.csv(f"data/results/{name}")
        }
        known = [
            ("commit of the rendered files", self.commit()),
            ("package", f"forwardecg {project['version']}"),
            ("libraries, `requirements.lock`", ", ".join(f"{name} {pins[name]}" for name in SHOWN if name in pins)),
            ("Python that rendered this page", sys.version.split()[0]),
            ("processors that the timings name", ", ".join(sorted(machines))),
            ("seed of the data set; tissues", f"{recipe.get('seed')}; {recipe.get('n_sim')}"),
            ("time to simulate it", "{headline}`dataset_minutes_300.2`, {headline}`dataset_minutes_300.scale`"),
            ("trainings; time on one thread each", "{headline}`trainings_total`; {headline}`training_hours.2`"),
            ("headline numbers", str(len(headlines))),
            ("executed from nothing, `make reproduce`", self.reproduced()),
            ("lock of the pipeline", self.lock()),
        ]
        return table("what | value", *[f"{what} | {value}" for what, value in known])

    def notebooks(self) -> list[str]:
        again = {row["notebook"]: row for row in self.csv("data/results/bench_reproduce.csv")}
        rows, ran_with = [], set()
        for path in sorted((self.root / "notebooks").glob("*.ipynb")):
            found = LINE.search(path.read_text(encoding="utf-8"))
            if found is None:
                continue
            name, code = found[1], found[2]
            ran_with.add(found[3].partition("\\n")[0].rstrip('",'))
            source = path.with_suffix(".py")
            verdict = "yes" if code_hash([source, *closure(source)]) == code else "no: edited since"
            took = came = "not measured"
            if row := again.get(name):
                took = f"{float(row['minutes']):.2g} min"
                came = f"{row['as_published']} of {row['judged']}" if row["judged"] != "0" else "–"
            rows.append(f"{{doc}}`/notebooks/{name}` | {took} | {came} | {verdict} | `{code}`")
        head = "notebook | from nothing | numbers that came back | code of now? | code"
        return [f"Run with {'; or '.join(sorted(ran_with))}.", *table(head, *rows)]

    def trainings(self) -> list[str]:
        rows = []
        for path in sorted((self.root / RUNS).glob("*_trainings.csv")):
            runs = self.csv(path.relative_to(self.root).as_posix())
            seeds = sorted({row["seed"] for row in runs}, key=int)
            threads = sorted({row["threads"] for row in runs})
            hours = sum(float(row["minutes"]) for row in runs) / 60
            rows.append(
                f"`{path.stem.removesuffix('_trainings')}` | {len(runs)} | {', '.join(seeds)} | {', '.join(threads)} | {hours:.2f}"
            )
        return table("experiment | trainings | seeds | threads each | hours", *rows)

    def numbers(self) -> list[str]:
        def minus(value: float) -> str:
            return f"{'−' * (value < 0)}{abs(value):.4g}"

        def row(key: str, entry: dict) -> str:
            scale = entry["scale"].replace("|", r"\|")  # a bar would end the cell
            page = f"{{doc}}`{entry['notebook']} </notebooks/{entry['notebook']}>`"
            return f"`{key}` | {minus(entry['value'])} | {entry['unit']} | {scale} | {page}"

        entries = json.loads(self.text("data/results/headline.json") or "{}")
        return table("headline number | value | unit | measured on | notebook", *[row(*one) for one in entries.items()])

    def reproduced(self) -> str:
        rows = self.csv("data/results/bench_reproduce.csv")
        if not rows:
            return "not measured"
        minutes, judged, came = (sum(float(row[key]) for row in rows) for key in ("minutes", "judged", "as_published"))
        minutes = float(rows[0].get("whole", minutes))  # where notebooks ran side by side
        where = f"{rows[0]['cores']} cores of {rows[0]['machine']}"
        where += "".join(f", {row['notebook']} with `{row['changed']}`" for row in rows if row["changed"])
        return f"{minutes:.0f} minutes on {where}; {came:.0f} of the {judged:.0f} numbers that have a tolerance are within it"

    def commit(self) -> str:
        def git(*words: str) -> str:
            return subprocess.run(
                ["git", *words], cwd=self.root, capture_output=True, text=True, check=True
            ).stdout.strip()

        try:
            if Path(git("rev-parse", "--show-toplevel")).resolve() != self.root.resolve():
                return "not known: built outside a git checkout"
            named = git("log", "-1", "--format=%h of %cs")
            return f"{named}, with changes that are not committed" if git("status", "--porcelain", "-uno") else named
        except (OSError, subprocess.CalledProcessError):
            return "not known: built outside a git checkout"

    def lock(self) -> str:
        """Do the files still have the bytes that the pipeline recorded when it made them?"""
        tasks = {task["id"]: task for task in tomllib.loads(self.text("pytask.lock")).get("task", [])}
        for line in self.text("pytask.lock.journal").splitlines():  # of the run that renders this page
            try:
                entry = json.loads(line)
                tasks[entry["id"]] = entry
            except (json.JSONDecodeError, KeyError):
                break
        ran = {name: task for name, task in tasks.items() if name.startswith("task_notebooks.py")}
        made = {
            path: code for task in ran.values() for path, code in task.get("produces", {}).items() if "::" not in path
        }
        kept = [path for path, code in made.items() if self.digest(path) == code]
        return f"{len(ran)} notebooks with {len(made)} products, {len(kept)} of which have the recorded bytes"

    def digest(self, name: str) -> str | None:
        path = self.root / name
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None

    def text(self, name: str) -> str:
        path = self.root / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def csv(self, name: str) -> list[dict]:
        return [*csv.DictReader(self.text(name).splitlines())]


def zip_runs(app: Sphinx, exception) -> None:
    """The tables of the single runs but the largest, 13 MB of digits, as one small file that is the same in every build."""
    if exception or app.builder.name != "html" or "book/downloads" not in app.env.found_docs:
        return
    target = Path(app.outdir) / RUNS_ZIP
    target.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted((Path(app.srcdir) / RUNS).glob("*.csv")):
            if path.stat().st_size > MOST_RUNS_BYTES:
                continue
            packed.writestr(zipfile.ZipInfo(f"runs/{path.name}"), path.read_bytes(), zipfile.ZIP_DEFLATED, 9)


def setup(app: Sphinx) -> dict:
    app.add_directive("download-list", DownloadList)
    app.add_directive("provenance", Provenance)
    app.add_directive("units", Units)
    app.connect("build-finished", zip_runs)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
