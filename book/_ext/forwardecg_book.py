"""What this book asks of Sphinx beyond the stock extensions: no remote scripts, and numbers that nobody types.

``{headline}`key``` writes the value of a headline number with three decimals (a whole number, and from 100 on, with none;
what three would show as 0 with one digit), ``{headline}`key.signed``` the same with its sign, plus or minus, as a
difference has it, ``{headline}`key.2``` the value to two significant digits (any number from one up),
``{headline}`key.scale``` what it was measured on; all come from ``data/results/headline.json``.
``{setting}`data.recipe.Recipe.dx``` writes a default of the package as its source has it: a module's constant, a field of a
dataclass, an argument of a function, or (``{setting}`09_training.epochs```) a parameter of a notebook. An unknown name
is a warning, and warnings fail the build.
"""

import ast
import json
from decimal import Decimal
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst.states import Inliner
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

HEADLINE = "data/results/headline.json"
logger = logging.getLogger(__name__)


def headline_text(entry: dict, field: str) -> str:
    """The value as the pages print it, its unit after it: three decimals, or as many significant digits as ``field`` says.

    Signed where ``field`` says so; another field as it stands.
    """
    value, digits = entry["value"], int(field) if field.isdecimal() else 0
    if digits:
        number = f"{Decimal(f'{value:.{digits - 1}e}'):f}"  # Decimal keeps the zeros that are significant
    elif field in ("value", "signed"):
        number = f"{value:.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3f}"
        if value and not float(number):  # less than three decimals can hold, and not nothing
            number = f"{Decimal(f'{value:.0e}'):f}"
        number = f"+{number}" if field == "signed" and value > 0 else number
    else:
        return str(entry[field])
    unit = entry["unit"] if entry["unit"] not in ("", "1", "-") else ""
    return f"{number} {unit}".strip().replace("-", "\N{MINUS SIGN}")


def headline_role(name, rawtext, text, lineno, inliner: Inliner, options=None, content=None):
    return [headline_node(inliner.document.settings.env, text, lineno)], []


def headline_node(env: BuildEnvironment, text: str, lineno: int | None = None) -> nodes.inline:
    path = Path(env.srcdir) / HEADLINE
    env.note_dependency(str(path))
    key, _, field = text.partition(".")
    try:
        shown = headline_text(json.loads(path.read_text(encoding="utf-8"))[key], field or "value")
    except (OSError, KeyError) as problem:
        logger.warning("headline %r: not in %s (%s)", text, HEADLINE, problem, location=(env.docname, lineno))
        shown = f"[{text}]"
    return nodes.inline("", shown, classes=["headline"])


def source_default(text: str, names: list[str]):
    """The literal that ``names`` stands for in a Python source: NAME, CLASS.field or function.argument."""
    scope = ast.parse(text)
    if len(names) == 2:
        scope = next(node for node in scope.body if getattr(node, "name", None) == names[0])
    for node in scope.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(getattr(target, "id", None) == names[-1] for target in targets):
            return ast.literal_eval(node.value)
    arguments = scope.args  # no such name in the body: an argument with a default
    named = [*zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    named += zip(reversed(arguments.args), reversed(arguments.defaults), strict=False)
    return next(ast.literal_eval(default) for argument, default in named if argument.arg == names[-1])


def setting_role(name, rawtext, text, lineno, inliner: Inliner, options=None, content=None):
    return [setting_node(inliner.document.settings.env, text, lineno)], []


def setting_source(root: Path, text: str) -> tuple[Path, list[str]]:
    """The file that ``text`` begins with, of the package or a notebook, and the names in it."""
    folder, parts = root / ("notebooks" if text[0].isdigit() else "src/forwardecg"), text.split(".")
    paths = [folder.joinpath(*parts[:n]).with_suffix(".py") for n in range(1, len(parts))]
    n, path = next(((n, path) for n, path in enumerate(paths, 1) if path.is_file()), (1, folder / f"{parts[0]}.py"))
    return path, parts[n:]


def setting_node(env: BuildEnvironment, text: str, lineno: int | None = None) -> nodes.inline:
    path, names = setting_source(Path(env.srcdir), text)
    env.note_dependency(str(path))
    try:
        value = source_default(path.read_text(encoding="utf-8"), names)
    except (OSError, StopIteration, AttributeError, ValueError, TypeError):
        logger.warning("setting %r: no literal of that name in %s", text, path.name, location=(env.docname, lineno))
        value = f"[{text}]"
    if isinstance(value, float):
        value = f"{value:g}"
    shown = ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    return nodes.inline("", shown, classes=["setting"])


def drop_thebe(app: Sphinx, config) -> None:
    """Jupyter Book always loads sphinx-thebe, which writes a CDN address and a foreign repository into every page."""
    for event, listeners in app.events.listeners.items():
        app.events.listeners[event] = [one for one in listeners if "sphinx_thebe" not in one.handler.__module__]


def drop_thebe_files(app: Sphinx, pagename, templatename, context, doctree) -> None:
    for kind in ("script_files", "css_files"):
        context[kind] = [one for one in context.get(kind, []) if "thebe" not in str(getattr(one, "filename", one))]


def setup(app: Sphinx) -> dict:
    app.add_role("headline", headline_role)
    app.add_role("setting", setting_role)
    app.connect("config-inited", drop_thebe)
    app.connect("html-page-context", drop_thebe_files, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
