"""Write data/small: four tissues of the paper-scale recipe, one of each condition, as one zipped Zarr store below 2 MB;
and the fibrotic one as files that a user may have.

The same code on the same kind of processor writes the same bytes.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np
import xarray as xr
from zarr.codecs import BloscCodec, TransposeCodec

from forwardecg.contract import to_mV, to_u
from forwardecg.data.draw import simulate_one
from forwardecg.data.layout import TISSUE_COLUMNS
from forwardecg.data.maps import SMALL_SET, load_small
from forwardecg.data.recipe import Recipe
from forwardecg.paths import progress

RECIPE, SIMS = Recipe(n_sim=300), (0, 1, 2, 4)  # healthy, gap_junction, fibrotic (patchy), combined
SHARED = ("dx", "dx_map", "dt", "calibrated", "precision", "forwardecg")  # what all tissues have alike
REDUCED = (
    "V_m in steps of 0.05 mV, lat in steps of 0.1 ms, D and phi_e in single precision; recovery left out; "
    "the pixels of V_m are means of 4 x 4 cells, as in every data set of this recipe"
)
PACKED = {  # integers: step and what stands for NaN
    "V_m": {"dtype": "int16", "scale_factor": 0.05, "_FillValue": np.int16(-32768)},
    "lat": {"dtype": "int16", "scale_factor": 0.1, "_FillValue": np.int16(-1)},
    "D": {"dtype": "float32"},
    "phi_e": {"dtype": "float32"},
}


def words(dim: str, values: Sequence[str], meanings: Sequence[str]) -> tuple:
    """Words as CF flags: strings have no settled form in Zarr yet."""
    codes = np.array([meanings.index(value) for value in values], np.int8)
    return dim, codes, {"flag_values": list(range(len(meanings))), "flag_meanings": " ".join(meanings)}


def assemble(tissues: list[xr.Dataset], sims: tuple[int, ...], recipe: Recipe) -> xr.Dataset:
    """One data set of tissues of `simulate_one`, their attributes as columns, words as flags."""
    first = tissues[0]
    arrays = [tissue[["V_m", "phi_e", "lat", "D", "conductive"]] for tissue in tissues]
    ds = xr.concat(arrays, "sim", combine_attrs="override").assign(electrodes=first.electrodes)
    for name, (kind, meanings) in TISSUE_COLUMNS.items():
        values = [tissue.attrs[name] for tissue in tissues]
        ds[name] = words("sim", values, meanings) if meanings else ("sim", np.array(values, kind))
    labels = {dim: words(dim, names, names) for dim, names in (("lead", recipe.electrodes.names), ("xyz", "xyz"))}
    ds = ds.assign_coords(labels | {"sim": list(sims)})
    ds.attrs = {name: first.attrs[name] for name in SHARED}
    return ds.assign_attrs(
        title="Four simulated tissues of forwardecg", license="CC-BY-4.0",
        recipe=json.dumps(asdict(recipe)), reduced=REDUCED, Conventions="CF-1.10",
    )  # fmt: skip


def write(ds: xr.Dataset, path: Path) -> None:
    """The data set as one zip file with fixed times, one chunk a tissue and variable, in one move."""
    encoding = {}
    for name in ds.variables:
        chunks = tuple(1 if dim == "sim" and ds[name].ndim > 1 else ds.sizes[dim] for dim in ds[name].dims)
        encoding[name] = PACKED.get(name, {}) | {"chunks": chunks, "compressors": [BloscCodec(cname="zstd", clevel=9)]}  # type: ignore[call-overload]
    encoding["V_m"]["filters"] = [TransposeCodec(order=(0, 2, 3, 1))]  # along time it compresses to half
    part = path.with_name(path.name + ".part")
    with tempfile.TemporaryDirectory() as folder:
        ds.to_zarr(folder, encoding=encoding, zarr_format=3, consolidated=False)
        with ZipFile(part, "w") as out:
            for file in sorted(file for file in Path(folder).rglob("*") if file.is_file()):
                entry = ZipInfo(file.relative_to(folder).as_posix())  # of 1980
                entry.create_system, entry.external_attr = 3, 0o644 << 16
                out.writestr(entry, file.read_bytes())
    os.replace(part, path)


def main() -> None:
    tissues: list[xr.Dataset] = []
    for sim in SIMS:
        progress(f"tissue {sim}: {len(tissues) + 1} of {len(SIMS)}")
        tissues.append(simulate_one(RECIPE, sim))
    SMALL_SET.parent.mkdir(exist_ok=True)
    write(assemble(tissues, SIMS, RECIPE), SMALL_SET)
    progress(f"data/small/{SMALL_SET.name}: {SMALL_SET.stat().st_size / 1e6:.2f} MB")
    write_as_users_have_them(SMALL_SET.parent)


def write_as_users_have_them(folder: Path) -> None:
    """The fibrotic one of the four as files that a user may have: NetCDF with names and units, and a bare array."""
    ds = load_small()
    sim = SIMS.index(2)
    one = ds.isel(time=slice(None, 121))
    u = to_u(one.V_m[sim].values)  # 600 ms, until it is at rest
    coarse = u.reshape(len(u), u.shape[1] // 2, 2, u.shape[2] // 2, 2).mean((2, 4))
    part = folder / "maps.part.npy"
    np.save(part, coarse[::2].astype(np.float16))  # every 10 ms
    os.replace(part, folder / "maps.npy")
    V_m = ("time", "y", "x"), to_mV(coarse).astype(np.float32), {"units": "mV"}
    length = {"units": "mm"}
    places = ds.electrodes.isel(lead=slice(0, 9))
    out = xr.Dataset(
        {"V_m": V_m, "phi_e": (("lead", "time_ecg"), ds.phi_e[sim, :9, :601:5].values.astype(np.float32), {"units": "mV mm ms-1"}),
         "electrodes": (("lead", "xyz"), places.values, length)},
        {"time": ("time", one.time.values, {"units": "ms"}), "time_ecg": ("time_ecg", one.time.values, {"units": "ms"}),
         "y": ("y", 2.0 + 4.0 * np.arange(50), length), "x": ("x", 2.0 + 4.0 * np.arange(50), length)},
        {"title": "Maps of a fibrotic sheet, simulated", "license": "CC-BY-4.0"},
    )  # fmt: skip
    packed = {"dtype": "int16", "scale_factor": np.float32(0.05), "_FillValue": np.int16(-32768), "zlib": True}
    part = folder / "maps.part.nc"
    out.to_netcdf(part, engine="h5netcdf", encoding={"V_m": packed})
    os.replace(part, folder / "maps.nc")
    for name in ("maps.nc", "maps.npy"):
        progress(f"data/small/{name}: {(folder / name).stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
