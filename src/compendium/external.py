"""Files that nobody here made: where each comes from, its checksum, and the place of a copy. None is part of this project.

A copy is looked for in the folder that FORWARDECG_EXTERNAL names, in data/cache/external and in ../shared/external. A file
that has an address of its own is downloaded to the second, where there is a network.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from compendium.registry import ROOT
from forwardecg.paths import CACHE

ATRIUM = (
    "https://raw.githubusercontent.com/ansys/pyansys-heart/7d61ce93/tests/heart/assets/post/la_fiber/"  # MIT licence
)


@dataclass(frozen=True)
class External:
    """A file of others."""

    sha256: str
    source: str
    address: str = ""  # of the file itself


LUDB = "record 3 of the Lobachevsky University Database, physionet.org/content/ludb (ODC-By 1.0), packed into one file"
FILES = {
    "monoalg3d/sheet.nc": External(
        "bea8af0d8ed061e0d0642899860977d8f81e242e5e70aabe5edf0c87e28cb9a4",
        "V_it_*.txt and ecg_gold.txt of https://github.com/rsachetto/MonoAlg3D_C at 66c6baab, "
        "tests_bin/gold_sim_mesh_cg_gpu_ode_gpu (MIT licence), packed into one file",
    ),
    "left_atrium/la_endo.vtk": External(
        "b61dfd05e7350e4513939a6d11d56f45c4237d50fbbd1bbf917cd1b375d253d7",
        "https://github.com/ansys/pyansys-heart at 7d61ce93, tests/heart/assets/post/la_fiber (MIT licence)",
        ATRIUM + "la_endo.vtk",
    ),
    "ecg/ludb_3.nc": External("e49521e0f794b87e461fb00cad30da44697c0bf36f67a2b44852c6d1fa65f4db", LUDB),
    "ecg/ludb_3_waves.csv": External("c0d234cc2c08534399cc2a360d0514a8b2013fa6e626ea6f04469891432d92b4", LUDB),
}


def locate(name: str) -> Path:
    """A copy of the file ``name`` of `FILES` with the right checksum; FileNotFoundError, in one line, if there is none."""
    file, own = FILES[name], CACHE / "external"
    folders = [own, ROOT.parent / "shared" / "external"]
    if given := os.environ.get("FORWARDECG_EXTERNAL"):
        folders.insert(0, Path(given))
    for folder in folders:
        path = folder / name
        if path.is_file():
            if hashlib.sha256(path.read_bytes()).hexdigest() != file.sha256:
                raise FileNotFoundError(f"{path}: expected sha256 {file.sha256}, got another file")
            return path
    if file.address:
        import pooch  # here, for it warns in a notebook

        try:
            fetched = pooch.retrieve(file.address, file.sha256, Path(name).name, own / Path(name).parent)
            return Path(fetched)
        except (OSError, ValueError) as error:
            why = f"; the download failed: {' '.join(str(error).split())[:120]}"
    else:
        why = ""
    wanted = f"put a copy into {own / name}, or name a folder in FORWARDECG_EXTERNAL"
    raise FileNotFoundError(f"{name} is not here: it comes from {file.source}; {wanted}{why}")
