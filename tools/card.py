"""The picture of a shared link, ``book/assets/card.png``: the title of the book over the picture of the README.

python tools/card.py
"""

from pathlib import Path

import yaml
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from compendium.registry import ROOT

SIZE, MARGIN = (1200, 630), 40  # what readers of shared links expect
PICTURE, CARD = ROOT / "book" / "assets" / "front.png", ROOT / "book" / "assets" / "card.png"


def font(size: int, weight: str) -> ImageFont.FreeTypeFont:
    """The font that comes with Matplotlib: the same letters on every machine."""
    return ImageFont.truetype(font_manager.findfont(f"DejaVu Sans:{weight}"), size)


def draw(path: Path) -> None:
    title = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["title"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    card = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(card)
    pen.text((MARGIN, 70), title, font=font(52, "bold"), fill="black")
    pen.text((MARGIN, 150), "a reproducible study of learned ECGs, as a book", font=font(30, "normal"), fill="#444444")
    with Image.open(PICTURE) as picture:
        width = SIZE[0] - 2 * MARGIN
        shown = picture.convert("RGBA").resize((width, round(width * picture.height / picture.width)))
    card.paste(shown, (MARGIN, 240), shown)
    pen.text((MARGIN, 560), citation["authors"][0]["name"], font=font(26, "normal"), fill="#444444")
    # 256 colors are enough for three maps and a trace, and keep the file small
    card.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    draw(CARD)
