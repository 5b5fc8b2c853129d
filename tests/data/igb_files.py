"""A writer of .igb files, as openCARP lays them out."""

from pathlib import Path

import numpy as np

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
