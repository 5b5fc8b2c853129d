"""The book builds without a warning, and works from a folder on a machine without a network."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

from compendium import render
from compendium.registry import NOTEBOOKS


@pytest.fixture(scope="module")
def pages(html) -> dict[Path, BeautifulSoup]:
    paths = (path for path in html.resolve().rglob("*.html") if "_static" not in path.parts)
    return {path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in paths}


def is_remote(address: str) -> bool:
    return bool(urlsplit(address).netloc)


def test_the_fingerprint_of_a_book_is_that_of_its_sources(tmp_path):
    one, other = tmp_path / "a.md", tmp_path / "b.md"
    one.write_text("1"), other.write_text("2")
    before = render.fingerprint([one, other])
    assert render.fingerprint([other, one]) == before
    other.write_text("3")
    assert render.fingerprint([one, other]) != before


def test_every_notebook_has_its_page(html):
    assert (html / "index.html").is_file()
    assert all((html / "notebooks" / f"{notebook.name}.html").is_file() for notebook in NOTEBOOKS)


def test_links_and_images_of_the_book_lead_somewhere(html, pages):
    broken, anchors = [], 0
    ids = {path: {tag["id"] for tag in page.find_all(id=True)} for path, page in pages.items()}
    for path, page in pages.items():
        addresses = [tag["href"] for tag in page.find_all(["a", "link"], href=True)]
        addresses += [tag["src"] for tag in page.find_all(["img", "script", "video", "source"], src=True)]
        for address in addresses:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            fragment = unquote(parts.fragment)
            anchored = bool(fragment) and target in ids
            anchors += anchored
            if not target.is_file() or anchored and fragment not in ids[target]:
                broken.append(f"{path.name}: {address}")
    assert not broken and anchors > 1000


def test_pages_load_nothing_from_the_network(html, pages):
    remote = []
    for path, page in pages.items():
        loaded = [tag["src"] for tag in page.find_all(["script", "img", "iframe", "video", "source"], src=True)]
        loaded += [tag["href"] for tag in page.find_all("link", href=True) if "canonical" not in tag.get("rel", [])]
        remote += [f"{path.name}: {address}" for address in loaded if is_remote(address)]
    for path in html.rglob("*.css"):
        imported = re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")\s;]+)", path.read_text(encoding="utf-8"))
        remote += [f"{path.relative_to(html)}: {address}" for address in imported if re.match(r"(https?:)?//", address)]
    assert not remote


def test_mathematics_is_rendered_by_a_script_of_the_book(html, pages):
    scripts = {tag["src"] for page in pages.values() for tag in page.find_all("script", src=re.compile("mathjax"))}
    assert scripts and not any(map(is_remote, scripts))
    with_math = [path for path, page in pages.items() if page.find(class_="math")]
    assert with_math
