"""The API pages: docstrings are written to be read where they stand, and Sphinx wants a little more.

A name in backticks is a link where the reference has it, by any part of its path, else code; a full path that begins with the
name of the package is left to Sphinx, and fails the build where it leads nowhere. Bars and stars are mathematics, no markup, and
an indented block before the first section is an equation. Arguments of one description share it.
"""

import re

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

ARRAY_LIKE = re.compile(r"\S*_Buffer \|.*_NestedSequence\[complex \| bytes \| str\]")  # what numpy's hint stands for


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.Element) -> nodes.Element | None:
    """The one object whose path ends in the name; types that the reference does not have stay words."""
    name = node["reftarget"]
    if node.get("refdomain") != "py" or node["reftype"] == "obj" and name.startswith("forwardecg."):
        return None
    found = env.get_domain("py").find_obj(env, None, None, name, None, searchmode=1)
    if len(found) != 1:
        return contnode
    ((path, target),) = found
    return make_refnode(app.builder, node["refdoc"], target.docname, target.node_id, contnode, path)


def as_written(app: Sphinx, what: str, name: str, obj, options, lines: list[str]) -> None:
    """Escape what would be markup, set equations as literal blocks, and take what comes back as words; napoleon does the rest."""
    if what in ("attribute", "data", "property") and lines:  # napoleon reads a type before a colon of the first line
        lines[:1] = lines[0].split(" ", 1)
    section, equation, out = "", False, []
    for before, line in zip(["", *lines], lines, strict=False):
        if found := re.fullmatch(r"(Args|Returns|Yields|Raises|Examples):", line):
            section = found[1]
            if section in ("Returns", "Yields"):  # napoleon would take what stands before a colon for the type
                out.append(f":{section.lower()}:")
                continue
        if not section and line.startswith("    ") and not before and not equation:
            out += [".. code-block:: text", ""]  # `::` would color it as Python
            equation = True
        equation = equation and (not line or line.startswith("    "))
        if not equation and section != "Examples":
            line = re.sub(r"(``.+?``|`[^`]+`)|([|*])", lambda part: part[1] or rf"\{part[2]}", line).replace("::", ":")
        out.append(f"    {line.lstrip()}" if section in ("Returns", "Yields") and line else line)
    lines[:] = out


def shorten_hints(app: Sphinx, domain: str, objtype: str, content: nodes.Element) -> None:
    """Before autodoc writes the hints into the fields."""
    for hints in app.env.temp_data.get("annotations", {}).values():
        hints |= {name: ARRAY_LIKE.sub("ArrayLike", hint) for name, hint in hints.items()}


def join_arguments(app: Sphinx, domain: str, objtype: str, content: nodes.Element) -> None:
    """``a, b: text`` comes from napoleon as two fields of one text: one again, where the types are the same."""
    for fields in [one for one in content if isinstance(one, nodes.field_list)]:
        known = {field[0].astext(): field for field in fields}
        if all(name.startswith("type ") for name in known):  # autodoc's, of arguments that no section describes
            content.remove(fields)
        last, last_type = None, None
        for name, field in known.items():
            kind, _, argument = name.partition(" ")
            if kind != "param":
                continue
            type_field = known.get(f"type {argument}")
            same = last is not None and [one and one[1].astext() for one in (field, type_field)] == [
                one and one[1].astext() for one in (last, last_type)
            ]
            if not same:
                last, last_type = field, type_field
                continue
            for first, again in ((last, field), (last_type, type_field)):
                if again is not None:
                    # a space after the comma would make a type of the first name
                    first[0] = nodes.field_name("", f"{first[0].astext()},\N{ZERO WIDTH SPACE}{argument}")
                    fields.remove(again)


def skip(app: Sphinx, what: str, name: str, obj, skipped: bool, options) -> bool | None:
    """The fields of a named tuple have docstrings that say nothing."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> dict:
    app.connect("missing-reference", resolve)
    app.connect("autodoc-process-docstring", as_written, priority=400)  # before napoleon
    app.connect("object-description-transform", shorten_hints, priority=400)
    app.connect("object-description-transform", join_arguments, priority=600)
    app.connect("autodoc-skip-member", skip)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
