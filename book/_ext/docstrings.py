"""Docstrings as the API pages show them: equations as literal blocks, names in backticks as links, one line a parameter.

Our docstrings are meant to be read where they stand. Before numpydoc takes one over, an indented block of its prose
becomes a literal block, a name in backticks a link where that name is documented and code where it is not, and the text after
``name :`` the description of the parameter, not its type. The constants of a module are shown below its text.
"""

import ast
import re
from functools import cache
from pathlib import Path

from sphinx.application import Sphinx

SECTIONS = ("Parameters", "Attributes", "Returns", "Yields", "Raises", "Examples")
ENTRIES = SECTIONS[:4]  # of the form "name : text"
PACKAGE = Path(__file__).resolve().parents[2] / "src" / "forwardecg"


@cache
def documented() -> dict[str, set[str]]:
    """Public names of each module, methods as Class.method."""
    found = {}
    for path in PACKAGE.glob("*.py"):
        names = set()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                names.add(node.name)
                if isinstance(node, ast.ClassDef):
                    methods = [one for one in node.body if isinstance(one, ast.FunctionDef) and ast.get_docstring(one)]
                    names |= {f"{node.name}.{one.name}" for one in methods if not one.name.startswith("_")}
        found[path.stem] = names
    return found


def target(name: str, module: str) -> str | None:
    """Full name of what ``name`` means in a docstring of ``module``; None if it is not documented."""
    public, name = documented(), name.removeprefix("forwardecg.")
    if name in public:
        return f"forwardecg.{name}"
    if name in public.get(module, ()):
        return f"forwardecg.{module}.{name}"
    head, _, rest = name.partition(".")
    if rest in public.get(head, ()):
        return f"forwardecg.{name}"
    methods = [one for one in public.get(module, ()) if one.endswith(f".{name}")]
    elsewhere = [one for one, names in public.items() if name in names]
    if len(methods) == 1:
        return f"forwardecg.{module}.{methods[0]}"
    return f"forwardecg.{elsewhere[0]}.{name}" if len(elsewhere) == 1 else None


def prose(line: str, module: str) -> str:
    """One line of text: links and code in backticks, and no other markup."""

    def inline(match: re.Match) -> str:
        if match[1]:
            return match[0]  # ``code``
        full = target(match[2], module)
        return f":py:obj:`{match[2]} <{full}>`" if full else f"``{match[2]}``"

    parts = re.split(r"(``.+?``|`[^`]+`)", line)
    return "".join(
        re.sub(r"(``.+?``)|`([^`]+)`", inline, part) if k % 2 else re.sub(r"([|*\\])", r"\\\1", part)
        for k, part in enumerate(parts)
    )


def text(lines: list[str], module: str) -> list[str]:
    """Prose with its indented blocks as literal blocks."""
    out: list[str] = []
    literal = False
    for k, line in enumerate(lines):
        if line.startswith("    ") and (literal or not lines[k - 1].strip()):
            if not literal:
                out += [".. code-block:: text", ""]  # `::` would color it as Python
            literal = True
            out.append(line)
        else:
            literal = literal and not line.strip()
            out.append(line if literal else prose(line.replace("::", ":"), module))
    return out


def entries(lines: list[str], module: str) -> list[str]:
    """Names on lines of their own, all that is said of them below."""
    out = []
    for line in lines:
        if line.startswith(" ") or " : " not in line:
            out.append(prose(line, module))
        else:
            name, _, words = line.partition(" : ")
            out += [name, f"    {prose(words, module)}"]
    return out


def rewrite(docstring: list[str], module: str) -> list[str]:
    """The docstring as numpydoc and docutils want it."""
    starts = [k for k, line in enumerate(docstring[:-1]) if line in SECTIONS and set(docstring[k + 1]) == {"-"}]
    bounds = [*starts, len(docstring)]
    out = text(docstring[: bounds[0]], module)
    for start, end in zip(starts, bounds[1:], strict=True):
        name, body = docstring[start], docstring[start + 2 : end]
        if name in ENTRIES:
            body = entries(body, module)
        elif name == "Raises":
            body = [prose(line, module) for line in body]
        out += [name, docstring[start + 1], *body]
    return out


def constants(module: str) -> list[str]:
    """Lines of the source that name a constant of a module, with what is said of it there."""
    source = (PACKAGE / f"{module}.py").read_text(encoding="utf-8")
    lines, out = source.splitlines(), []
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = [one.id for target in targets for one in ast.walk(target or ast.Pass()) if isinstance(one, ast.Name)]
        if isinstance(node, ast.Assign | ast.AnnAssign) and all(re.fullmatch("[A-Z][A-Z0-9_]*", one) for one in names):
            out += [line.removesuffix("  # fmt: skip") for line in lines[node.lineno - 1 : node.end_lineno]]
    return out


def append_constants(app: Sphinx, what: str, name: str, obj, options, lines: list[str]) -> None:
    if what == "module" and name.startswith("forwardecg.") and (found := constants(name.partition(".")[2])):
        lines += ["", ".. rubric:: Constants", "", ".. code-block:: python", "", *(f"    {line}" for line in found), ""]


def process(app: Sphinx, what: str, name: str, obj, options, lines: list[str]) -> None:
    package, _, rest = name.partition(".")
    if package == "forwardecg":
        lines[:] = rewrite(lines, rest.partition(".")[0])


def skip(app: Sphinx, what: str, name: str, obj, skipped: bool, options) -> bool | None:
    """The fields of a named tuple have docstrings that say nothing."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> dict:
    app.connect("autodoc-process-docstring", process, priority=400)  # before numpydoc
    app.connect("autodoc-process-docstring", append_constants, priority=600)
    app.connect("autodoc-skip-member", skip)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
