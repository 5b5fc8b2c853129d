"""Files of strangers: what they declare is asked first, what cannot be trusted is refused in one sentence."""

import json
import os
import pickle
import shutil
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from forwardecg.data import readers
from forwardecg.data.maps import import_maps

U = np.zeros((12, 20, 24))
for _k in range(12):
    U[_k, :, : 2 * _k] = 1.0
GIVEN = {"dx": 2.0, "dt": 5.0, "unit": "u"}
HUGE = (1000, 4000, 4000)  # 119 GB


def own() -> xr.Dataset:
    return xr.Dataset({"V_m": (("time", "y", "x"), U, {"units": "1"})}, attrs={"dx_map": 2.0, "frame_interval": 5.0})


def npy(shape, data=bytes(800)) -> bytes:
    head = str({"descr": "<f8", "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data


def zarr_array(folder: Path, **meta) -> None:
    plain = {
        "zarr_format": 3, "node_type": "array", "data_type": "float64", "fill_value": 0.0, "attributes": {},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}], "dimension_names": ["time", "y", "x"],
    }  # fmt: skip
    chunk = {"name": "regular", "configuration": {"chunk_shape": meta.pop("chunk", meta["shape"])}}
    folder.mkdir(parents=True)
    (folder / "zarr.json").write_text(json.dumps(plain | {"chunk_grid": chunk} | meta))
    (folder.parent / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}))


def refused(path: Path, message: str, **given) -> None:
    with pytest.raises(ValueError, match=f"source: expected a readable file, got {path.name}: .*{message}") as refusal:
        import_maps(path, **GIVEN | given)
    assert "\n" not in str(refusal.value)


def test_more_than_the_limit_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "a.npy").write_bytes(npy(HUGE))
    refused(tmp_path / "a.npy", "mmap")
    np.savez(tmp_path / "a.npz", V_m=U)
    with readers.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("V_m.npy", npy(HUGE))
    refused(tmp_path / "b.npz", "at most 4 GiB, got a file that declares 119 GiB")
    zarr_array(tmp_path / "a.zarr" / "V_m", shape=[9000, 9000, 9000], chunk=[1, 9000, 9000])
    refused(tmp_path / "a.zarr", "declares 5.43e.03 GiB")
    zarr_array(tmp_path / "b.zarr" / "V_m", shape=[12, 20, 24], chunk=[10**5, 10**4, 10**4])
    refused(tmp_path / "b.zarr", "GiB")
    zarr_array(tmp_path / "c.zarr" / "time", shape=[10**11], dimension_names=["time"])
    refused(tmp_path / "c.zarr", "GiB")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("V_m", shape=HUGE, dtype="f8", chunks=(1, 400, 400))
    refused(tmp_path / "a.h5", "declares 119 GiB")


def test_what_is_not_asked_for_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "MOST_BYTES", 2 * U.nbytes)
    large = {"film": np.zeros((40, 40, 40)), "mean": np.zeros((400, 400))}
    np.savez(tmp_path / "a.npz", V_m=U, **large)
    ds = own().assign({name: ([f"{name}{k}" for k in range(one.ndim)], one) for name, one in large.items()})
    ds.to_zarr(tmp_path / "a.zarr", consolidated=False)
    ds.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    for name in ("a.npz", "a.zarr", "a.nc"):
        assert import_maps(tmp_path / name, **GIVEN).V_m.shape == U.shape
        refused(tmp_path / name, "GiB", variable="film")


def test_a_codec_that_runs_code_is_not_reached(tmp_path, monkeypatch):
    class Mark:
        def __reduce__(self):
            return os.putenv, ("FORWARDECG_REACHED", "1")

    monkeypatch.setenv("NUMCODECS_ALLOW_UNSAFE_DECODE", "1")
    folder = tmp_path / "m.zarr"
    meta = {"zarr_format": 2, "compressor": None, "order": "C"}
    time = {
        "shape": [12],
        "chunks": [12],
        "dtype": "|O",
        "fill_value": "",
        "filters": [{"id": "vlen-utf8"}, {"id": "pickle"}],
    }
    V_m = {"shape": U.shape, "chunks": U.shape, "dtype": "<f8", "fill_value": None, "filters": None}
    arrays = (("V_m", V_m, U.tobytes(), ["time", "y", "x"]), ("time", time, pickle.dumps(Mark()), ["time"]))
    for name, own_meta, data, dims in arrays:
        (folder / name).mkdir(parents=True)
        (folder / name / ".zarray").write_text(json.dumps(meta | own_meta))
        (folder / name / ".zattrs").write_text(json.dumps({"_ARRAY_DIMENSIONS": dims}))
        (folder / name / ("0" if name == "time" else "0.0.0")).write_bytes(data)
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    shutil.make_archive(str(tmp_path / "m"), "zip", folder)
    for name in ("m.zarr", "m.zip"):
        refused(tmp_path / name, "time has the codec pickle, which is none of")
    shutil.rmtree(folder / "time")
    np.testing.assert_allclose(import_maps(folder, **GIVEN).V_m, 100 * U - 85)
    zarr_array(tmp_path / "c.zarr" / "V_m", shape=[12, 20, 24], codecs=[{"name": "numcodecs.pickle"}])
    refused(tmp_path / "c.zarr", "codec pickle")
    inner = {"name": "sharding_indexed", "configuration": {"codecs": [{"name": "own"}], "chunk_shape": [1, 20, 24]}}
    zarr_array(tmp_path / "d.zarr" / "V_m", shape=[12, 20, 24], codecs=[inner])
    refused(tmp_path / "d.zarr", "codec own")


def test_a_lost_or_damaged_chunk_is_one_sentence(tmp_path):
    own().to_zarr(tmp_path / "a.zarr", consolidated=False, encoding={"V_m": {"chunks": (4, 20, 24)}})
    chunk = tmp_path / "a.zarr" / "V_m" / "c" / "1" / "0" / "0"
    whole = chunk.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", bytes(len(whole)), whole[:-8] + bytes(8)):
        chunk.write_bytes(damaged)
        if damaged != whole[:-8] + bytes(8):
            refused(tmp_path / "a.zarr", "")
    chunk.unlink()
    with pytest.raises(ValueError, match="V_m: expected finite values.* 4 frames wholly, the first of them 4"):
        import_maps(tmp_path / "a.zarr")  # it says that what is lost is a missing value
    zarr_array(tmp_path / "b.zarr" / "V_m", shape=[12, 20, 24])  # and this one that it is 0, as at rest
    refused(tmp_path / "b.zarr", "chunks of V_m are missing, such as c/0/0/0")


@pytest.mark.parametrize("zip_format", [2, 3])
def test_a_zarr_that_was_zipped_with_its_folder_is_read(zip_format, tmp_path):
    own().to_zarr(tmp_path / "maps.zarr", zarr_format=zip_format, consolidated=False)
    shutil.make_archive(str(tmp_path / "with"), "zip", tmp_path, "maps.zarr")
    shutil.make_archive(str(tmp_path / "top"), "zip", tmp_path / "maps.zarr")
    for name in ("with.zip", "top.zip"):
        np.testing.assert_allclose(import_maps(tmp_path / name).V_m, 100 * U - 85)
    shutil.copytree(tmp_path / "maps.zarr", tmp_path / "two" / "a")
    shutil.copytree(tmp_path / "maps.zarr", tmp_path / "two" / "b")
    shutil.make_archive(str(tmp_path / "two"), "zip", tmp_path / "two")
    refused(tmp_path / "two.zip", "expected one Zarr group at the top or in one folder, got a, b")
    refused(
        tmp_path / "maps.zarr" / "V_m", "expected a Zarr group, got a single array" if zip_format == 3 else "got none"
    )


def test_netcdf_and_hdf5_are_told_by_what_they_are_and_not_by_their_ending(tmp_path):
    own().to_netcdf(tmp_path / "three.nc", engine="scipy")
    own().to_netcdf(tmp_path / "four.nc", engine="h5netcdf")
    for source, ending in (
        ("three.nc", "NC"),
        ("four.nc", "nc4"),
        ("four.nc", "h5"),
        ("four.nc", "HDF5"),
        ("three.nc", "cdf"),
    ):
        shutil.copy(tmp_path / source, tmp_path / f"copy.{ending}")
        np.testing.assert_allclose(import_maps(tmp_path / f"copy.{ending}").V_m, 100 * U - 85)
    (tmp_path / "a.NPY").write_bytes(npy(U.shape, U.tobytes()))
    np.testing.assert_allclose(import_maps(tmp_path / "a.NPY", **GIVEN).V_m, 100 * U - 85)


def test_labels_of_the_axes_of_an_hdf5_file_are_read(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["V_m"] = (100 * U - 85).transpose(2, 0, 1)
        file["V_m"].attrs.update(units="millivolt", dx_map=2.0, frame_interval=5.0)
        for axis, label in zip(file["V_m"].dims, ("x", "time", "y"), strict=True):
            axis.label = label
    np.testing.assert_allclose(import_maps(tmp_path / "a.h5").V_m, 100 * U - 85)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["V_m"] = U
    assert import_maps(tmp_path / "b.h5", **GIVEN, dims=("time", "y", "x")).V_m.shape == U.shape
    with pytest.raises(ValueError, match="dims: expected the words time, y and x"):
        import_maps(tmp_path / "b.h5", **GIVEN)


def test_links_to_other_files_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["V_m"] = U
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["V_m"] = h5py.ExternalLink("secret.h5", "V_m")
    refused(tmp_path / "a.h5", "V_m lies in another file, and links are not followed", dims=("time", "y", "x"))
    layout = h5py.VirtualLayout(U.shape, "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "V_m", U.shape)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_virtual_dataset("V_m", layout)
    refused(tmp_path / "b.h5", "links are not followed", dims=("time", "y", "x"))
    own().to_zarr(tmp_path / "a.zarr", consolidated=False)
    chunk = tmp_path / "a.zarr" / "V_m" / "c" / "0" / "0" / "0"
    chunk.rename(tmp_path / "secret")
    chunk.symlink_to(tmp_path / "secret")
    refused(tmp_path / "a.zarr", "V_m/c/0/0/0 lies in another place, and links are not followed")
    (tmp_path / "b.zarr").symlink_to(tmp_path / "c.zarr")  # the folder itself may be one
    own().to_zarr(tmp_path / "c.zarr", consolidated=False)
    assert import_maps(tmp_path / "b.zarr").V_m.shape == U.shape
