"""The moving pictures of the pages: small, with a still, and in their maps the voltages of the solver."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import waves
from bs4 import BeautifulSoup
from PIL import Image

from compendium.registry import ROOT

MOVIES = {"scar": "tour", "front": "forward", "spiral": "reentry"}
SIDE = waves.SIDE // waves.POOL * waves.SCALE


def map_of(frame: Image.Image) -> np.ndarray:
    """The colors (y, x, 3) at the centers of the pixels of the map in a picture."""
    at = waves.SCALE // 2 + np.arange(0, SIDE, waves.SCALE)
    return np.asarray(frame.convert("RGB"))[waves.TOP + at[:, None], waves.LEFT + at]


@pytest.mark.parametrize("name", waves.WAVES)
@pytest.mark.parametrize("end", waves.LOOKS)
def test_a_movie_is_small_loops_and_has_a_still_of_its_size(name, end):
    path = waves.FOLDER / f"{name}{end}.webp"
    with Image.open(path) as movie, Image.open(waves.FOLDER / f"{name}{end}_still.webp") as still:
        assert path.stat().st_size <= waves.MOST_BYTES
        assert movie.info["loop"] == 0 and movie.n_frames > 40
        assert movie.size == still.size == (waves.WIDTH, waves.HEIGHT) and getattr(still, "n_frames", 1) == 1


@pytest.mark.parametrize("name", waves.WAVES)
def test_the_dark_has_the_same_picture_with_other_ink(name):
    """The map and where there is ink, frame by frame; the paper is that of the page."""
    with Image.open(waves.FOLDER / f"{name}.webp") as light, Image.open(waves.FOLDER / f"{name}_dark.webp") as dark:
        assert light.n_frames == dark.n_frames
        for k in range(0, light.n_frames, 9):
            light.seek(k)
            dark.seek(k)
            assert np.array_equal(map_of(light), map_of(dark))
            on_light, on_dark = (np.asarray(one.convert("L")).astype(int) for one in (light, dark))
            below = slice(waves.TOP + SIDE + 90, None)
            assert on_light[0, 0] == 255 and on_dark[0, 0] == 18
            # but for the red dot, and rounded edges of letters
            assert np.mean((on_light[below] < 128) != (on_dark[below] > 128)) < 0.003, k
            assert (on_dark[below] > 190).sum() > 1000


@pytest.mark.parametrize("name", waves.WAVES)
def test_the_maps_of_a_movie_are_those_of_the_solver(name):
    """Up to one step of color; the electrode hides some pixels."""
    sheet, ds, _ = waves.WAVES[name]()
    palette = plt.get_cmap("viridis", waves.LEVELS)(np.arange(waves.LEVELS), bytes=True)[:, :3].astype(int)
    with Image.open(waves.FOLDER / f"{name}.webp") as movie:
        frames = ds.sizes["time"]
        assert movie.n_frames == frames
        for k in range(1, frames, 7):
            movie.seek(k)
            drawn, right = (one.astype(int) for one in (map_of(movie), waves.colors(ds.V_m.values[k], sheet)))
            nearest, wanted = (np.abs(one[..., None, :] - palette).sum(-1).argmin(-1) for one in (drawn, right))
            assert np.mean(np.abs(nearest - wanted) > 1) < 0.01, k


def test_the_trace_grows_to_that_of_the_still():
    """Black ink in the lower part, frame by frame."""
    below = waves.TOP + SIDE + 90
    for name in waves.WAVES:
        with Image.open(waves.FOLDER / f"{name}.webp") as movie:
            ink = []
            for k in range(0, movie.n_frames, 5):
                movie.seek(k)
                ink.append(int((np.asarray(movie.convert("L"))[below:] < 60).sum()))
        assert np.all(np.diff(ink) > -40) and ink[-1] > ink[0] + 1000


@pytest.mark.parametrize(("name", "page"), MOVIES.items())
def test_a_page_shows_the_movie_and_its_still_in_words(html, name, page):
    path = html / "book" / f"{page}.html"
    figure = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").find("figure", class_="movie")
    pictures, stills = figure.find_all("picture"), figure.find_all("img", recursive=False)
    for end, picture, still in zip(waves.LOOKS, pictures, stills, strict=True):
        kept, drawn = (waves.FOLDER / f"{name}{end}{what}.webp" for what in ("", "_still"))
        moving, calm = picture.img, picture.find("source", media="(prefers-reduced-motion: reduce)")
        assert (path.parent / moving["src"]).resolve().read_bytes() == kept.read_bytes()
        for address in (calm["srcset"], still["src"]):
            assert (path.parent / address).resolve().read_bytes() == drawn.read_bytes()
        assert len(moving["alt"]) > 60 and moving["alt"] == still["alt"]
    assert figure.find("label").get_text(strip=True) == "stop" and figure.find("figcaption")


def test_the_movies_are_those_of_the_tool():
    assert {path.name for path in waves.FOLDER.iterdir()} == {
        f"{name}{look}{end}.webp" for name in waves.WAVES for look in waves.LOOKS for end in ("", "_still")
    }
    assert {*MOVIES} == {*waves.WAVES} and (ROOT / "book" / "assets" / "movie.css").is_file()
