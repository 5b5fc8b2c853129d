"""The theme brings each icon of Font Awesome twice: in a web font with its classes, and in a script of 1.5 MB that
draws the same ones. The font is enough, so the script is left empty. Source maps, 3 MB, are for those who mend the theme.
"""

from pathlib import Path

from sphinx.application import Sphinx

SCRIPT = "_static/scripts/fontawesome.js"


def lighten(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None:
        return
    for path in (Path(app.outdir) / "_static").rglob("*.map"):
        path.unlink()
    script = Path(app.outdir) / SCRIPT
    if script.is_file():
        script.write_text("// left empty: the icons come from the web font\n", encoding="utf-8")


def setup(app: Sphinx) -> dict:
    app.connect("build-finished", lighten)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
