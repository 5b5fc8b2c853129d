"""The moving pictures of the pages: small, with a still, and in their maps and traces the numbers of the solver."""

from functools import cache
from itertools import product

import films
import matplotlib.pyplot as plt
import numpy as np
import pytest
import waves
from bs4 import BeautifulSoup
from films import SIDE, WIDTH, Film
from matplotlib.colors import to_rgb
from PIL import Image
from scipy.ndimage import binary_dilation

from compendium.figures import COLORS, METHOD_COLORS
from compendium.registry import ROOT
from forwardecg.contract import V_REST, V_SPAN
from forwardecg.surrogates.predict import load_surrogate
from forwardecg.tissue.sheet import CONDITIONS
from forwardecg.tissue.stimulus import edge_stimulus

MOVIES = {
    "scar": "tour",
    "front": "forward",
    "spiral": "reentry",
    "conditions": "tissue",
    "surrogate": "structured",
}
LAYOUTS = {name: films.FOUR if name in ("conditions", "surrogate") else films.ONE for name in waves.WAVES}
PLACES = {name: (0,) for name in waves.WAVES} | {"conditions": (0, 1, 2, 3), "surrogate": (0, 1, 3)}
PAPER = 255


@cache
def film_of(name: str) -> Film:
    return waves.WAVES[name]()


def map_of(frame: Image.Image, layout: films.Layout, place: int = 0) -> np.ndarray:
    """The colors (y, x, 3), rows downward, at the centers of the pixels of a map in a picture."""
    at = layout.scale // 2 + np.arange(0, layout.side, layout.scale)
    left, top = layout.maps[place]
    return np.asarray(frame.convert("RGB"))[top + at[:, None], left + at]


def steps_of(drawn: np.ndarray, name: str = "viridis") -> np.ndarray:
    """Colors as steps of the color map; the grays and the paper are far from them all."""
    palette = plt.get_cmap(name, films.LEVELS)(np.arange(films.LEVELS), bytes=True)[:, :3].astype(int)
    palette = np.concatenate([palette, [[gray] * 3 for gray in (153, films.PALE, PAPER)]])
    nearest = np.abs(drawn.astype(int)[..., None, :] - palette).sum(-1).argmin(-1)
    return np.where(nearest < films.LEVELS, nearest, 100 * nearest)


def ecg_box(layout: films.Layout) -> tuple[float, float, float, float]:
    """Left, top, width and height of the axes of the ECG, in pixels."""
    left, bottom, width, height = layout.ecg
    return left * WIDTH, (1 - bottom - height) * layout.height, width * WIDTH, height * layout.height


def inked(frame: Image.Image, color: str, layout: films.Layout) -> np.ndarray:
    """Where in the axes of the ECG a picture has this color: rows and columns from their upper left."""
    left, top, width, height = (round(one) for one in ecg_box(layout))
    part = np.asarray(frame.convert("RGB")).astype(int)[top : top + height, left : left + width]
    return np.abs(part - np.round(255 * np.array(to_rgb(color))).astype(int)).sum(-1) < 40


@pytest.mark.parametrize("name", waves.WAVES)
@pytest.mark.parametrize("end", waves.LOOKS)
def test_a_movie_is_small_loops_and_has_a_still_of_its_size(name, end):
    path = waves.FOLDER / f"{name}{end}.webp"
    with Image.open(path) as movie, Image.open(waves.FOLDER / f"{name}{end}_still.webp") as still:
        assert path.stat().st_size <= waves.MOST_BYTES
        assert movie.info["loop"] == 0 and movie.n_frames > 30
        assert movie.size == still.size == (WIDTH, LAYOUTS[name].height) and getattr(still, "n_frames", 1) == 1


@pytest.mark.parametrize("name", waves.WAVES)
def test_the_dark_has_the_same_picture_with_other_ink(name):
    """The maps and where there is ink, frame by frame; the paper is that of the page."""
    layout = LAYOUTS[name]
    with Image.open(waves.FOLDER / f"{name}.webp") as light, Image.open(waves.FOLDER / f"{name}_dark.webp") as dark:
        assert light.n_frames == dark.n_frames
        for k in range(0, light.n_frames, 9):
            light.seek(k)
            dark.seek(k)
            for place in PLACES[name]:
                one, other = (map_of(frame, layout, place) for frame in (light, dark))
                empty = (one == PAPER).all(-1)
                assert np.array_equal(one[~empty], other[~empty])
                assert (other[empty] == 18).all() or empty.sum() < 10, "paper, or the electrode"
            colors = [np.asarray(one.convert("RGB")).astype(int) for one in (light, dark)]
            below = slice(max(top for _, top in layout.maps) + layout.side + 90, None)
            on_light, on_dark = (one[below].mean(-1) for one in colors)
            plain = np.ptp(colors[0][below], axis=-1) < 12  # the others are lines and dots of one color on both
            assert colors[0][0, 0].tolist() == [255] * 3 and colors[1][0, 0].tolist() == [18] * 3
            # but for rounded edges of letters
            assert np.mean(((on_light < 128) != (on_dark > 128))[plain]) < 0.003, k
            assert (on_dark > 190).sum() > 1000


@pytest.mark.parametrize("name", waves.WAVES)
def test_the_maps_of_a_movie_are_those_of_the_solver(name):
    """Up to one step of color; the electrode hides some pixels."""
    film, layout = film_of(name), LAYOUTS[name]
    assert {*film.maps} == {*PLACES[name]} and film.layout == layout
    with Image.open(waves.FOLDER / f"{name}.webp") as movie:
        assert movie.n_frames == len(film.time)
        for k in range(1, movie.n_frames, 7):
            movie.seek(k)
            for place, right in film.maps.items():
                color_map = "cividis" if name == "surrogate" and place else "viridis"
                wanted = (
                    np.where(right[k, ..., 3:] == 0, PAPER, right[k, ..., :3]) if right.shape[-1] == 4 else right[k]
                )
                drawn, wanted = (steps_of(one, color_map) for one in (map_of(movie, layout, place), wanted))
                assert np.mean(np.abs(drawn - wanted) > 1) < 0.01, (k, place)


@pytest.mark.parametrize("name", waves.WAVES)
def test_the_lines_of_a_movie_are_the_ecg_of_the_run(name):
    """In the last frame and in the still each column that has the color of a trace has it at the height of the ECG."""
    film, layout = film_of(name), LAYOUTS[name]
    _, _, width, height = ecg_box(layout)
    low, high = (how([how(values) for values in film.traces.values()]) for how in (np.min, np.max))
    margin = 0.1 * (high - low)
    with Image.open(waves.FOLDER / f"{name}.webp") as movie, Image.open(waves.FOLDER / f"{name}_still.webp") as still:
        movie.seek(movie.n_frames - 1)
        for frame, (color, values) in product((movie, still), film.traces.items()):
            found = inked(frame, waves.LIGHT.get(color, color), layout)
            columns = np.flatnonzero(found.any(0))
            rows = (found * np.arange(len(found))[:, None]).sum(0)[columns] / found.sum(0)[columns]
            value = np.interp(columns / width * film.t[-1], film.t, values)
            wanted = height * (high + margin - value) / (high - low + 2 * margin)
            assert len(columns) > 0.4 * width, color
            assert np.median(np.abs(rows - wanted)) < 2.5, color


@pytest.mark.parametrize("name", waves.WAVES)
def test_a_trace_grows_with_the_time(name):
    """There is no color of it beyond the dot, and nothing is missing of the one on top of the others."""
    film, layout = film_of(name), LAYOUTS[name]
    width, top = ecg_box(layout)[2], [*film.traces][-1]
    with Image.open(waves.FOLDER / f"{name}.webp") as movie:
        for color in film.traces:
            movie.seek(0)
            always = inked(movie, waves.LIGHT.get(color, color), layout)  # the key
            reached = []
            for k in range(5, movie.n_frames, 5):
                movie.seek(k)
                columns = np.flatnonzero((inked(movie, waves.LIGHT.get(color, color), layout) & ~always).any(0))
                reached.append(columns.max() - film.time[k] / film.t[-1] * width)
            assert max(reached) < 14 and (color != top or min(reached) > -14), color


def test_the_four_tissues_differ_in_coupling_and_fibrosis_alone():
    """The colors and the words are those of the figures; one sheet is another one with weaker coupling or with patches."""
    sheets = films.four_tissues()
    assert [*sheets] == [*CONDITIONS] and [*film_of("conditions").traces] == [*COLORS.values()]
    normal, weak, patchy, both = sheets.values()
    assert normal.conductive.all() and weak.conductive.all() and 0.1 < patchy.fibrosis_density < 0.2
    assert np.array_equal(patchy.conductive, both.conductive)
    assert np.ptp(normal.D) == np.ptp(weak.D) == 0 and 0.3 < weak.gj_scale < 0.5
    assert weak.D[0, 0] == pytest.approx(weak.gj_scale * normal.D[0, 0])
    assert np.allclose(both.D, weak.gj_scale * patchy.D)


def test_the_four_waves_are_those_of_four_runs():
    """Voltages read back from the colors of the movie: within a step of those of the solver."""
    with Image.open(waves.FOLDER / "conditions.webp") as movie:
        for place, sheet in enumerate(films.four_tissues().values()):
            ds = films.run(sheet, [edge_stimulus(sheet)], 120.0, frame_interval=10.0)
            for k in (3, 8, 12):
                movie.seek(k)
                steps = steps_of(map_of(movie, films.FOUR, place))[::-1]
                read = V_REST + (steps + 0.5) / films.LEVELS * V_SPAN
                tissue = steps < films.LEVELS
                off = np.abs(read - ds.V_m.sel(time=10.0 * k).values)[tissue]
                assert np.mean(off > V_SPAN / films.LEVELS) < 0.01
                assert np.mean(~tissue) == pytest.approx(1 - sheet.conductive.mean(), abs=0.02)


def test_weak_coupling_slows_the_front_and_fibrosis_breaks_it():
    """What the caption says, in the pictures: when a front reaches the far edge (its rows in the mean), and how even it is on its way."""
    arrival, spread = {}, {}
    with Image.open(waves.FOLDER / "conditions.webp") as movie:
        for place, name in enumerate(CONDITIONS):
            frames = []
            for k in range(movie.n_frames):
                movie.seek(k)
                frames.append(steps_of(map_of(movie, films.FOUR, place)))
            excited = np.array(frames) >= films.LEVELS / 2
            excited &= np.array(frames) < films.LEVELS
            arrival[name] = excited[:, :, -1].argmax(0)[excited[:, :, -1].any(0)].mean()
            front = [np.flatnonzero(row).max() for row in excited[8] if row.any()]
            spread[name] = np.ptp([at for k, at in enumerate(front) if abs(k - 24.5) > 3])  # without the electrode
    assert 0 < arrival["healthy"] < arrival["fibrotic"] < arrival["gap_junction"] < arrival["combined"]
    assert spread["healthy"] == spread["gap_junction"] == 0
    assert min(spread["fibrotic"], spread["combined"]) >= 4
    film = film_of("conditions")
    ecg = dict(zip(CONDITIONS, film.traces.values(), strict=True))
    lowest = {name: film.t[values.argmin()] for name, values in ecg.items()}
    bends = {name: (np.diff(np.sign(np.diff(values[5:200]))) != 0).sum() for name, values in ecg.items()}
    for fast, slow in (("healthy", "gap_junction"), ("fibrotic", "combined")):
        assert lowest[slow] > lowest[fast] + 30 and np.ptp(ecg[slow]) < 0.5 * np.ptp(ecg[fast])
    for whole, patchy in (("healthy", "fibrotic"), ("gap_junction", "combined")):
        assert bends[patchy] > bends[whole], "notches"


def test_the_inferred_conductivity_is_seen_where_the_wave_has_passed():
    """Nothing of it before the stimulus, all of it at the end, between them what the maps have shown to be excited."""
    film, highest = film_of("surrogate"), np.zeros((SIDE // films.POOL,) * 2, int)
    with Image.open(waves.FOLDER / "surrogate.webp") as movie:
        for k in range(movie.n_frames):
            movie.seek(k)
            highest = np.maximum(highest, steps_of(map_of(movie, films.FOUR, 0)) % 100)
            seen = (map_of(movie, films.FOUR, 1) < PAPER).any(-1)
            if k == 0:
                assert not seen.any()
            whole = film.maps[0].max(0).max(-1) > 240  # what conducts as a whole: the yellow of the plateau
            assert np.mean((seen != (highest >= films.LEVELS / 2))[whole]) < 0.02, k
        assert seen.all()


def test_the_networks_read_the_conductivity_and_their_ecg_is_near_the_exact_one():
    film = film_of("surrogate")
    exact, predicted = film.traces["trace"], film.traces[METHOD_COLORS["structured"]]
    score = 1 - ((exact - predicted) ** 2).sum() / ((exact - exact.mean()) ** 2).sum()
    assert 0.98 < score < 1
    fig, _ = waves.axes(film, waves.LIGHT)
    (key,) = (ax.get_legend() for ax in fig.axes if ax.get_legend())
    plt.close(fig)
    assert [one.get_text() for one in key.get_texts()] == ["exact", f"predicted, R² {score:.3f}"]
    inferred, true = (steps_of(film.maps[place][-1, ..., :3], "cividis") for place in (1, 3))
    conducts = true < films.LEVELS
    assert np.mean((inferred < films.LEVELS) != conducts) < 0.01, "where the scars are"
    assert np.mean(np.abs(inferred - true)[conducts] <= 1) > 0.85
    assert len({*true[conducts]}) > 6, "and it is not one number"
    rim = conducts & binary_dilation(~conducts)
    off = np.abs(inferred - true)
    assert off[rim].mean() > 2 * off[conducts & ~rim].mean(), "the rims of scars are read less well"
    assert load_surrogate("structured").card["data"]["n_cells"] != SIDE, "no sheet of the training is like it"


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
