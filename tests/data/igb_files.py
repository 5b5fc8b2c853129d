"""Writers of the files of openCARP: an .igb, and a whole run on a mesh."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from compendium.shapes import sphere
from forwardecg.ecg.electrodes import STANDARD

TYPES = {
    "byte": "u1", "char": "i1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "long": "i8",
    "hfloat": "f2", "float": "f4", "double": "f8",
}  # fmt: skip


def write_igb(path: Path, values: np.ndarray, type: str = "float", systeme: str = "little_endian", **words) -> None:
    """Write (time, node), (time, y, x) or (time, z, y, x) with more words of the header, such as inc_t=5."""
    n_z, n_y, n_x = (1, 1, 1, *values.shape[1:])[-3:]
    first = f"x:{n_x} y:{n_y} z:{n_z} t:{len(values)} type:{type} systeme:{systeme} "
    lines = [first, *(f"{key}:{value} " for key, value in words.items()), "#a comment with a colon: here"]
    head = "\r\n".join(lines).encode() + b"\r\n"
    order = "<" if systeme == "little_endian" else ">"
    path.write_bytes(head.ljust(1023) + b"\f" + values.astype(order + TYPES[type]).tobytes())


class Run(NamedTuple):
    """A run on a mesh: points, cells, fibers and regions, V_m (time, node) in mV, electrodes (lead, xyz) in mm."""

    points: np.ndarray
    cells: np.ndarray
    fibers: np.ndarray
    regions: np.ndarray
    V_m: np.ndarray
    places: np.ndarray


def write_run(folder: Path) -> Run:
    """A wave over a sphere of 25 mm as heart.pts, .elem, .lon and vm.igb, and electrodes.csv beside them."""
    points, cells = sphere(3, 25.0)
    fibers = np.cross(points[cells].mean(1), [0.1, 0.2, 1.0])
    regions = 1 + (points[cells].mean(1)[:, 2] > 0)
    since = 4.0 * np.arange(30)[:, None] - 20 - points[:, 0] / 0.8
    V_m = -85 + 100 / (1 + np.exp(-since / 2))
    places = 60.0 * np.random.default_rng(3).normal(size=(9, 3))
    places *= np.maximum(1, 40 / np.linalg.norm(places, axis=1, keepdims=True))
    texts = {
        ".pts": [len(points), *(" ".join(map(repr, row)) for row in (1000 * points).tolist())],
        ".elem": [len(cells), *(f"Tr {a} {b} {c} {k}" for (a, b, c), k in zip(cells, regions, strict=True))],
        ".lon": [1, *(" ".join(map(repr, row)) for row in fibers.tolist())],
    }
    for ending, lines in texts.items():
        (folder / f"heart{ending}").write_text("\n".join(map(str, lines)) + "\n")
    rows = (f"{name},{x!r},{y!r},{z!r}" for name, (x, y, z) in zip(STANDARD, places.tolist(), strict=True))
    (folder / "electrodes.csv").write_text("name,x,y,z\n" + "\n".join(rows) + "\n")
    write_igb(folder / "vm.igb", V_m, "double", inc_t=4, unites_t="ms", unites="mV")
    return Run(points, cells, fibers, regions, V_m, places)
