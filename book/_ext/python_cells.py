"""Python that a reader edits and runs in the page: ``{python-cell} beat`` shows ``book/python/beat.py`` and what it prints.

The content is the words under the title, then changes to try, each an item of a list: one line of the source, an arrow, the line
that takes its place, a colon and what follows from it. The build runs the source and every change with its own Python, so
that a page without scripts, and paper, show what is printed. In the page MicroPython runs the same files, without a network: its
two files are packed into one script, because a page that is opened as a file may load scripts and nothing else.
"""

import gzip
import json
import re
import sys
from base64 import b64encode
from contextlib import redirect_stdout
from html import escape
from io import StringIO
from pathlib import Path
from types import ModuleType

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

CELLS, INTERPRETER = "book/python", "book/assets/python"
CHANGE = re.compile(r"- `([^`]+)` → `([^`]+)`: (.+)")
SCRIPTS = ("lines.js", "python/page.js")
# A page that is opened as a file may start a worker from a text, but no module: the program without what makes it one.
AS_SCRIPT = {
    "export default _createMicroPythonModule;": "",
    "export async function loadMicroPython": "async function loadMicroPython",
    "import.meta.url": "self.location.href",
}


def run(source: str, helper: str) -> tuple[str, list]:
    """What a cell prints, and what it gives to ``plot``; ``helper`` is the source of the module ``page``."""
    plots: list = []
    inner, page = ModuleType("_page"), ModuleType("page")
    inner.plot = lambda text: plots.append(json.loads(text))  # type: ignore[attr-defined]
    before = {name: sys.modules.get(name) for name in ("_page", "page")}
    sys.modules |= {"_page": inner, "page": page}
    printed = StringIO()
    try:
        exec(compile(helper, "page.py", "exec"), page.__dict__)
        with redirect_stdout(printed):
            exec(compile(source, "cell", "exec"), {"__name__": "__main__"})
    finally:
        for name, module in before.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module
    return printed.getvalue(), plots


def changed(source: str, line: str, other: str) -> str:
    """The source with one line changed, which has to be there once."""
    if source.count(line) != 1:
        raise ValueError(f"a change: expected {line!r} once in the source, got it {source.count(line)} times")
    return source.replace(line, other)


def read_changes(text: str) -> tuple[str, list[tuple[str, str, str]]]:
    """The words before the list, and its items: line, other line, what follows."""
    words, *items = re.split(r"^(?=- )", text, flags=re.MULTILINE)
    found = [CHANGE.fullmatch(" ".join(item.split())) for item in items]
    if not all(found):
        raise ValueError(f"python-cell: expected items '- `line` → `line`: words', got {items}")
    return words.strip(), [one.groups() for one in found if one]  # type: ignore[misc]


class PythonCell(SphinxDirective):
    required_arguments = 1
    has_content = True
    option_spec = {"title": str}

    def run(self) -> list[nodes.Node]:
        name, folder = self.arguments[0], Path(self.env.srcdir) / CELLS
        for path in (folder / f"{name}.py", folder / "page.py", Path(__file__)):
            self.env.note_dependency(str(path))
        source, helper = ((folder / f"{one}.py").read_text(encoding="utf-8") for one in (name, "page"))
        words, changes = read_changes("\n".join(self.content))
        lines = [words, "", "```{code-block} python", *source.splitlines(), "```", "", *self.printed(source, helper)]
        for line, other, follows in changes:
            button = f'<button type="button" hidden data-line="{escape(line)}" data-other="{escape(other)}">Change and run</button>'
            lines += [
                "",
                f":::{{dropdown}} What changes with `{other}`?",
                f"With this line in place of `{line}` the program prints:",
                "",
            ]
            lines += [*self.printed(changed(source, line, other), helper), "", follows, ""]
            lines += ["```{raw} html", button, "```", ":::"]
        cell = nodes.container(classes=["python-cell"])
        self.state.nested_parse(StringList(lines, source=self.env.docname), 0, cell)
        title = f'<p class="python-title" id="python-{name}">{escape(self.options["title"])}</p>'
        opening = f'<section class="python" data-cell="{name}" aria-labelledby="python-{name}">{title}'
        base = "../" * self.env.docname.count("/") + "_static"
        tags = [f'<script src="{base}/{script}"></script>' for script in SCRIPTS]
        # each file once a page
        first = not self.env.temp_data.get("python_cells")
        self.env.temp_data["python_cells"] = True
        style = f'<link rel="stylesheet" href="{base}/python/python.css">' if first else ""
        help_ = f'<script type="application/json" class="python-helper">{json.dumps(helper)}</script>' if first else ""
        return [
            nodes.raw("", style + help_ + opening, format="html"),
            cell,
            nodes.raw("", "</section>" + ("".join(tags) if first else ""), format="html"),
        ]

    def printed(self, source: str, helper: str) -> list[str]:
        return ["```output", *run(source, helper)[0].splitlines(), "```"]


def as_script(program: str) -> str:
    """The text of MicroPython as a plain script."""
    for module, plain in AS_SCRIPT.items():
        if module not in program:
            raise ValueError(f"micropython.mjs: expected {module!r} in it, which a plain script cannot have")
        program = program.replace(module, plain)
    return program


def pack(app: Sphinx, exception: Exception | None) -> None:
    """The interpreter as one script: its program as a text, and its machine code, compressed, in letters."""
    static = Path(app.outdir) / "_static" / "python"
    if exception is not None or not static.is_dir():
        return
    program, code = static / "micropython.mjs", static / "micropython.wasm"
    if program.is_file():
        letters = b64encode(gzip.compress(code.read_bytes(), mtime=0)).decode()
        packed = {"program": as_script(program.read_text(encoding="utf-8")), "code": letters}
        text = f"/* MicroPython, MIT License: see LICENSE. */\nwindow.forwardecgPython = {json.dumps(packed)};\n"
        (static / "micropython.js").write_text(text, encoding="utf-8")
        program.unlink()
        code.unlink()


def setup(app: Sphinx) -> dict:
    app.add_directive("python-cell", PythonCell)
    app.connect("build-finished", pack)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
