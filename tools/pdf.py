"""``make pdf``: the whole book as one PDF, printed by the system's Chromium from Jupyter Book's single page.

Where the system has qpdf, the PDF is packed: Chromium writes each of its many small objects by itself.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import chromium
import yaml
from playwright.sync_api import Page, PdfMargins

from compendium import render
from compendium.registry import ROOT

READY = """async () => {
  document.querySelectorAll("img").forEach((image) => { image.loading = "eager"; });
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
}"""
# A link to a file beside the page would carry this machine's folders into the PDF.
UNLINK = """() => {
  for (const link of document.querySelectorAll("a[href]")) {
    const here = link.href.split("#")[0] === location.href.split("#")[0];
    if (link.protocol === "file:" && !here) link.removeAttribute("href");
  }
}"""
MARGIN = PdfMargins(top="18mm", bottom="18mm", left="17mm", right="17mm")
STYLE = "span[id^=document-] { break-before: page; display: block }"
LINE = '<div style="width: 100%; font: 8px sans-serif; color: #555; text-align: center">{}</div>'
NUMBER = LINE.format('<span class="pageNumber"></span> / <span class="totalPages"></span>')


def at_the_top(folder: Path, root: str) -> Path:
    """Move the single page to where its addresses hold: Sphinx writes them for the top, and the page into a folder."""
    page = folder / f"{root}.html"
    text = (
        page.read_text(encoding="utf-8").replace(f'href="{root}.html#', 'href="#').replace('"../_static/', '"_static/')
    )
    moved = folder / "whole.html"
    moved.write_text(text, encoding="utf-8")
    return moved


def print_page(page: Page, source: Path, title: str, target: Path) -> None:
    """Print the html page ``source`` on A4, with bookmarks and page numbers; ``target`` is whole or not there."""
    page.set_default_timeout(0)  # the whole book is one page
    page.emulate_media(media="print", color_scheme="light", reduced_motion="reduce")
    page.goto(source.as_uri())
    page.evaluate(READY)
    page.evaluate(UNLINK)
    page.add_style_tag(content=STYLE)
    page.evaluate("title => { document.title = title }", title)
    unfinished = target.with_suffix(".part")
    page.pdf(
        path=unfinished,
        format="A4",
        margin=MARGIN,
        display_header_footer=True,
        header_template=LINE.format(title),
        footer_template=NUMBER,
        print_background=True,
        outline=True,
        tagged=True,
    )
    pack(unfinished)
    os.replace(unfinished, target)


def pack(path: Path) -> None:
    """Gather the objects of a PDF in compressed streams; without qpdf it stays as it is."""
    if qpdf := shutil.which("qpdf"):
        options = ["--object-streams=generate", "--recompress-flate", "--compression-level=9"]
        subprocess.run([qpdf, *options, "--replace-input", path], check=True)


def main() -> None:
    path = chromium.find()
    if path is None:
        sys.exit(chromium.MISSING)
    scratch = ROOT / "_run" / "pdf"
    shutil.rmtree(scratch, ignore_errors=True)  # else a page renamed since would stay
    done = render.build(ROOT, "--keep-going", "--builder", "singlehtml", output=scratch)
    if done.returncode:
        sys.exit(f"the single page was not built:\n{done.stderr}")
    root = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["root"]
    title = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["title"]
    target = ROOT / "_build" / "forwardecg.pdf"
    target.parent.mkdir(exist_ok=True)
    source = at_the_top(scratch / "_build" / "singlehtml", root)
    with chromium.browser(path) as browser:
        print_page(browser.new_page(), source, title, target)
    shutil.rmtree(scratch)
    print(f"The book: {target.relative_to(ROOT)}, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
