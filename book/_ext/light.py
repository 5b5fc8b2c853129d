"""The theme brings each icon of Font Awesome twice: in a web font with its classes, and in a script of 1.5 MB that
draws the same ones. The font is enough, so the script is left empty; of the font, the older format is left out, since
every browser of today reads the other. Source maps, 3 MB, are for those who mend the theme.
"""

from pathlib import Path

from sphinx.application import Sphinx

SCRIPT = "_static/scripts/fontawesome.js"


def lighten(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None:
        return
    static = Path(app.outdir) / "_static"
    for path in [
        *static.rglob("*.map"),
        *(path for path in static.rglob("*.ttf") if path.with_suffix(".woff2").is_file()),
    ]:
        path.unlink()
    script = Path(app.outdir) / SCRIPT
    if script.is_file():
        script.write_text("// left empty: the icons come from the web font\n", encoding="utf-8")


def setup(app: Sphinx) -> dict:
    app.connect("build-finished", lighten)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
