"""The moving pictures of the pages, ``book/assets/waves``: waves on sheets of 100 mm and, below them, their ECG as it grows.

    python tools/waves.py [name ...]

Each has a still for those who print it, stop it or asked for less motion: one moment, and the whole ECG. Both are drawn twice,
on the white page and on the dark one. What they show is in ``tools/films.py``.
"""

import sys
from collections.abc import Callable
from typing import Any

import films
import matplotlib.pyplot as plt
import numpy as np
from films import DX, SIDE, WIDTH, Film
from matplotlib.figure import Figure
from PIL import Image

from compendium.figures import DARK_INK, PHI_E_LABEL
from compendium.registry import ROOT

FOLDER = ROOT / "book" / "assets" / "waves"
MOST_BYTES = 120_000  # of a file
HOLD, STEP = 2000, 110  # ms of showing the last frame, and the others
LIGHT = {"paper": "#ffffff", "trace": "#000000", "words": "#262626", "zero": "#cccccc"}
LOOKS = {"": LIGHT, "_dark": {of: DARK_INK[color] for of, color in LIGHT.items()}}  # what ends the name, and its colors
WAVES: dict[str, Callable[[], Film]] = {
    one.__name__: one for one in (films.scar, films.front, films.spiral, films.conditions, films.surrogate)
}


def axes(film: Film, look: dict[str, str]) -> tuple[Figure, Callable[[int, bool], Image.Image]]:
    """The picture without its contents, and what draws frame k into it, the ECG up to then or as a whole."""
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    plt.rcParams.update(dict.fromkeys(inked, look["words"]) | {"axes.facecolor": look["paper"]})  # type: ignore[arg-type]
    plt.rcParams.update({"font.size": 8.5, "axes.linewidth": 0.7})
    layout = film.layout
    fig = plt.figure(figsize=(WIDTH / 200, layout.height / 200), dpi=200, facecolor=look["paper"])
    sheets = {place: fig.add_axes(layout.box(*layout.maps[place], layout.side, layout.side)) for place in film.maps}
    extent, nothing = (0.0, SIDE * DX, 0.0, SIDE * DX), np.zeros((2, 2, 3), np.uint8)
    images = {
        place: ax.imshow(nothing, extent=extent, aspect="auto", interpolation="nearest") for place, ax in sheets.items()
    }
    for ax in sheets.values():
        ax.set(xticks=(), yticks=())
    x, y, side = layout.clock
    clock = fig.text(x, y, "", fontsize=11, ha=side)
    ecg = fig.add_axes(layout.ecg)
    ecg.axhline(0, color=look["zero"], lw=0.7)
    t, lines, one = film.t, [], len(film.traces) == 1
    for color, values in film.traces.items():
        ink = look.get(color, color)
        (trace,) = ecg.plot([], [], color=ink, lw=2.4 if color == "trace" and not one else 1.4)
        (dot,) = ecg.plot([], [], "o", ms=4.5, color="#c8102e" if one else ink)
        lines.append((trace, dot, values))
    low, high = (how([how(values) for _, _, values in lines]) for how in (np.min, np.max))
    margin = 0.1 * (high - low)
    ecg.set(xlim=(0, t[-1]), ylim=(low - margin, high + margin), xlabel="time (ms)")
    ecg.set_title(PHI_E_LABEL, loc="left", fontsize=8.5)
    for spine in ("top", "right"):
        ecg.spines[spine].set_visible(False)
    film.furnish(fig, sheets, ecg)

    def draw(k: int, whole: bool) -> Image.Image:
        now = float(film.time[k])
        at = int(np.searchsorted(t, now))
        for place, image in images.items():
            image.set_data(film.maps[place][k])
        clock.set_text(f"{now:.0f} ms")
        for trace, dot, values in lines:
            trace.set_data(t[: None if whole else at + 1], values[: None if whole else at + 1])
            dot.set_data(t[at : at + 1], values[at : at + 1])
        fig.canvas.draw()
        return Image.fromarray(np.asarray(fig.canvas.buffer_rgba())[..., :3].copy())  # type: ignore[attr-defined]

    return fig, draw


def save(name: str, frames: list[Image.Image], still: Image.Image) -> None:
    options: dict[str, Any] = {"lossless": True, "quality": 75, "method": 4}
    # no frames that are stored whole: they would be most of the file
    moves: dict[str, Any] = {
        "append_images": frames[1:],
        "duration": [STEP] * (len(frames) - 1) + [HOLD],
        "loop": 0,
        "kmin": 10**5,
        "kmax": 10**6,
    }
    moving = FOLDER / f"{name}.webp"
    frames[0].save(moving, save_all=True, **options, **moves)
    still.save(FOLDER / f"{name}_still.webp", **options)
    if (size := moving.stat().st_size) > MOST_BYTES:
        raise SystemExit(f"{moving.name}: expected at most {MOST_BYTES} bytes, got {size}")


def main() -> None:
    plt.switch_backend("agg")
    for name in sys.argv[1:] or WAVES:
        film = WAVES[name]()
        for end, look in LOOKS.items():
            fig, draw = axes(film, look)
            frames = [draw(k, False) for k in range(len(film.time))]
            still = draw(int(np.abs(film.time - film.shown).argmin()), True)
            plt.close(fig)
            save(f"{name}{end}", frames, still)


if __name__ == "__main__":
    main()
