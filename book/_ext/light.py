"""The theme brings each icon of Font Awesome twice: in a web font with its classes, and in a script of 1.5 MB that
draws the same ones. The font is enough, so the script is left empty; of the font, the older format is left out, since
every browser of today reads the other. Source maps, 3 MB, are for those who mend the theme, and its translations for
books in other languages. Notebooks to download are written without the spaces that their format allows.
"""

import json
import shutil
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
    shutil.rmtree(static / "locales", ignore_errors=True)
    for path in (Path(app.outdir) / "_sources").rglob("*.ipynb"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(notebook, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    script = Path(app.outdir) / SCRIPT
    if script.is_file():
        script.write_text("// left empty: the icons come from the web font\n", encoding="utf-8")


def setup(app: Sphinx) -> dict:
    app.connect("build-finished", lighten)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
