"""Files of other programs: read back to the last bit, in the axes and units that are said, and refused by name."""

import itertools
import logging
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from data.igb_files import TYPES, write_igb
from scipy.io import savemat

from forwardecg.data import readers
from forwardecg.data.igb import read_igb
from forwardecg.data.maps import import_maps
from forwardecg.surrogates.predict import load_surrogate

rng = np.random.default_rng(0)
U = np.zeros((12, 20, 24))
for _k in range(12):
    U[_k, :, : 2 * _k] = 1.0
V_M = 100 * U - 85 + rng.uniform(-1, 1, U.shape)  # mV, with bits that a detour would change
COUNTS = (1000 + 5000 * U).astype(np.uint16)
STEPS = {"dx": 2.0, "dt": 5.0}
GIVEN = STEPS | {"unit": "mV"}
YXT = ("y", "x", "time")
CAMERA = STEPS | {"counts": (1000, 5000)}


def in_order(values: np.ndarray, dims: tuple[str, ...]) -> np.ndarray:
    """Maps (time, y, x) with their axes in the order of ``dims``."""
    return np.ascontiguousarray(values.transpose([("time", "y", "x").index(dim) for dim in dims]))


def save73(path: Path, **arrays) -> None:
    """Version 7.3 as MATLAB writes it: 512 bytes of header, HDF5, the axes from the other end, classes as attributes."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            if isinstance(values, dict):
                file.create_group(name).update(values)
                continue
            text = isinstance(values, str)
            stored = np.array([[ord(sign)] for sign in values], np.uint16) if text else np.atleast_2d(values).T
            file.create_dataset(name, data=stored, chunks=stored.shape, compression="gzip")
            names = {"float64": "double", "float32": "single", "uint16": "char" if text else "uint16"}
            file[name].attrs["MATLAB_class"] = np.bytes_(names.get(str(stored.dtype), str(stored.dtype)))
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  1 00:00:00 2024 HDF5 schema 1.00 .")
        file.seek(124)
        file.write(b"\x00\x02IM")


def save5(path: Path, **arrays) -> None:
    savemat(path, arrays, do_compression=True)


def save_h5(path: Path, **arrays) -> None:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values


WRITERS = {"mat": save5, "73.mat": save73, "h5": save_h5, "nc4": save_h5}


def refused(path: Path, message: str, **given) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        import_maps(path, **given)
    assert "\n" not in str(refusal.value)


# MATLAB and HDF5


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("dims", [*itertools.permutations(("time", "y", "x"))])
def test_the_axes_are_those_that_are_named(kind, dims, tmp_path):
    WRITERS[kind](path := tmp_path / f"a.{kind}", film=in_order(V_M, dims))
    ds = import_maps(path, **GIVEN, dims=dims)
    np.testing.assert_array_equal(ds.V_m, V_M)
    assert ds.V_m.dtype == np.float64 and ds.dx_map == 2.0 and ds.time.values.tolist() == [5.0 * k for k in range(12)]


@pytest.mark.parametrize("kind", ["mat", "73.mat"])
@pytest.mark.parametrize("dtype", ["float32", "int16", "float64"])
def test_numbers_of_matlab_are_kept_as_they_are(kind, dtype, tmp_path):
    values = np.round(V_M).astype(dtype)  # whole numbers of class double are kept in fewer bytes by version 5
    WRITERS[kind](path := tmp_path / f"a.{kind}", V=in_order(values, YXT), fs=200.0, note="a word")
    ds = import_maps(path, **GIVEN, dims=YXT)
    np.testing.assert_array_equal(ds.V_m, values)
    assert ds.V_m.dtype == np.result_type(dtype, np.float32)


@pytest.mark.parametrize("kind", ["mat", "73.mat"])
def test_a_mat_may_say_its_steps_and_unit_as_an_npz_does(kind, tmp_path):
    WRITERS[kind](
        path := tmp_path / f"a.{kind}", V=in_order(V_M / 1000, YXT), dx_map=2.0, frame_interval=5.0, units="V"
    )
    ds = import_maps(path, dims=YXT)
    np.testing.assert_allclose(ds.V_m, V_M, rtol=1e-14)
    assert ds.dx_map == 2.0 and ds.time.values[1] == 5.0
    refused(path, "unit: expected one unit of V, got mV, with attribute units V", dims=YXT, unit="mV")


@pytest.mark.parametrize(
    ("unit", "values"), [("mV", V_M), ("V", V_M / 1000), ("uV", 1000 * V_M), ("u", (V_M + 85) / 100)]
)
@pytest.mark.parametrize("kind", WRITERS)
def test_units_are_said(kind, unit, values, tmp_path):
    WRITERS[kind](path := tmp_path / f"a.{kind}", V=in_order(values, YXT))
    np.testing.assert_allclose(import_maps(path, **STEPS, dims=YXT, unit=unit).V_m, V_M, rtol=1e-12)
    refused(path, "unit: expected one of mV, V, u, 1 for V, got None", **STEPS, dims=YXT)


@pytest.mark.parametrize("kind", WRITERS)
def test_nothing_is_guessed(kind, tmp_path):
    film = in_order(V_M, YXT)
    WRITERS[kind](path := tmp_path / f"a.{kind}", u=film, w=film + 1, mean=film[..., 0])
    message = r"variable: expected the name of the maps, one of \['u', 'w'\], got "
    refused(path, message + "None", **GIVEN, dims=YXT)
    refused(path, message + "v", **GIVEN, dims=YXT, variable="v")
    sizes = r"\(20, 24, 12\), such as dims=\('y', 'x', 'time'\), got None"
    refused(
        path,
        f"dims: expected the words time, y and x in the order of the axes .* of sizes {sizes}",
        **GIVEN,
        variable="u",
    )
    np.testing.assert_array_equal(import_maps(path, **GIVEN, dims=YXT, variable="w").V_m, V_M + 1)
    refused(path, "mean: expected maps .* of one tissue, got float64", **GIVEN, dims=YXT, variable="mean")


def test_several_arrays_are_listed_before_any_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("forwardecg.data.formats.loadmat", lambda *_, **__: pytest.fail("read"))
    save5(tmp_path / "a.mat", u=U, w=U)
    refused(tmp_path / "a.mat", "variable: expected the name of the maps", **GIVEN)


def test_names_of_the_contract_are_not_read_from_a_mat(tmp_path):
    """A vector called time may be in seconds, a D may be transposed: MATLAB says neither."""
    for kind in ("mat", "73.mat"):
        WRITERS[kind](
            tmp_path / f"a.{kind}", u=in_order(V_M, YXT), time=np.arange(12.0), D=np.ones((20, 24)), tissue="rabbit"
        )
        assert {*import_maps(tmp_path / f"a.{kind}", **GIVEN, dims=YXT).variables} == {"V_m", "time"}


def test_what_is_no_array_of_numbers_is_refused(tmp_path):
    words = {"s": {"V": V_M}, "k": 1.0}
    for kind in ("mat", "73.mat"):
        WRITERS[kind](tmp_path / f"a.{kind}", **words)
        refused(tmp_path / f"a.{kind}", r"no array of numbers with three axes .* s \(struct\)", **GIVEN, dims=YXT)
    savemat(tmp_path / "b.mat", {"V": V_M.astype(object)})
    refused(tmp_path / "b.mat", r"no array of numbers with three axes at its top, but V \(cell\)", **GIVEN, dims=YXT)
    savemat(tmp_path / "c.mat", {"V": V_M + 1j})
    refused(tmp_path / "c.mat", "V: expected real numbers .*, got complex128", **GIVEN, dims=YXT)
    save73(tmp_path / "d.mat", V=V_M + 1j)
    refused(tmp_path / "d.mat", "no array of numbers with three axes", **GIVEN, dims=YXT)
    savemat(tmp_path / "e.mat", {"V": V_M[0]}, format="4")
    refused(tmp_path / "e.mat", "neither version 5 nor 7.3", **GIVEN, dims=YXT)
    save_h5(tmp_path / "f.mat", V=V_M)
    refused(tmp_path / "f.mat", "HDF5 without MATLAB's header, whose axes may be in either order", **GIVEN, dims=YXT)
    save73(tmp_path / "g.mat", V=np.zeros((2, 2)))
    with h5py.File(tmp_path / "g.mat", "r+") as file:
        file["W"] = h5py.ExternalLink("f.mat", "V")
    refused(tmp_path / "g.mat", "W lies in another file, and links are not followed", **GIVEN, dims=YXT)


def test_arrays_in_groups_of_hdf5_are_named_by_path(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["run/1/V"] = in_order(V_M, YXT)
        file["run/1/V"].attrs["units"] = "mV"
        file["run/1/t"] = np.arange(12.0)
    np.testing.assert_array_equal(import_maps(tmp_path / "a.h5", **STEPS, dims=YXT).V_m, V_M)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["run/2/V"] = in_order(V_M + 1, YXT)
    refused(tmp_path / "a.h5", r"variable: .* one of \['run/1/V', 'run/2/V'\], got None", **GIVEN, dims=YXT)
    np.testing.assert_array_equal(import_maps(tmp_path / "a.h5", **GIVEN, dims=YXT, variable="run/2/V").V_m, V_M + 1)


# TIFF


@pytest.mark.parametrize("kind", ["shaped", "plain", "imagej", "ome", "pages", "deflate", "big-endian", "big"])
def test_a_stack_of_frames_is_a_movie(kind, tmp_path):
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.TIFF")
    options = {
        "shaped": {}, "plain": {"metadata": None}, "imagej": {"imagej": True, "metadata": {"axes": "TYX"}},
        "ome": {"metadata": {"axes": "TYX"}}, "deflate": {"compression": "zlib", "metadata": None},
        "big-endian": {"byteorder": ">", "metadata": None}, "big": {"bigtiff": True},
    }  # fmt: skip
    if kind == "pages":  # a camera writes one after the other
        with tifffile.TiffWriter(path) as file:
            for frame in COUNTS:
                file.write(frame, contiguous=False, metadata=None)
    else:
        tifffile.imwrite(path, COUNTS, photometric="minisblack", **options[kind])
    ds = import_maps(path, **CAMERA)
    np.testing.assert_array_equal(ds.V_m, 100 * U - 85)
    refused(path, r"unit: expected one of .* for movie, got None.*counts=\(rest, amplitude\)", **STEPS)
    refused(path, "movie: expected a wave .* in mV, plausible in no unit", **GIVEN)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_movie_that_was_normalized_is_said_to_be_u(dtype, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", U.astype(dtype))
    np.testing.assert_array_equal(import_maps(tmp_path / "a.tif", **STEPS, unit="u").V_m, 100 * U - 85)
    tifffile.imwrite(tmp_path / "b.tif", V_M.astype(dtype))
    np.testing.assert_array_equal(import_maps(tmp_path / "b.tif", **GIVEN).V_m, V_M.astype(dtype))


def test_slices_and_channels_are_no_frames_unless_it_is_said(tmp_path):
    for axes in ("ZYX", "CYX"):
        tifffile.imwrite(path := tmp_path / f"{axes}.tif", COUNTS, imagej=True, metadata={"axes": axes})
        refused(
            path, rf"axes \('movie/axis {axes[0]}', 'y', 'x'\) .* such as dims=\('time', 'y', 'x'\), got None", **CAMERA
        )
        np.testing.assert_array_equal(import_maps(path, **CAMERA, dims=("time", "y", "x")).V_m, 100 * U - 85)
        refused(path, "dims: expected an order that agrees", **CAMERA, dims=("time", "x", "y"))


@pytest.mark.parametrize("sign", [1, -1])
def test_what_a_camera_counts_is_normalized_pixel_by_pixel(sign, tmp_path):
    """Of dyes that get brighter and darker; pixels without tissue have no amplitude."""
    rest, amplitude = rng.integers(8000, 9000, (20, 24)), sign * rng.integers(4000, 5000, (20, 24))
    tissue = np.ones((20, 24), bool)
    tissue[:4] = False
    movie = (rest + amplitude * U).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", movie)
    amplitude[~tissue] = 0
    with pytest.raises(ValueError, match="counts: expected .* an amplitude that is not 0, got 96 pixels of tissue"):
        import_maps(tmp_path / "a.tif", **STEPS, counts=(rest, amplitude))
    ds = import_maps(tmp_path / "a.tif", **STEPS, counts=(rest, amplitude), mask=tissue)
    np.testing.assert_allclose(ds.V_m.values[:, tissue], 100 * U[:, tissue] - 85, atol=1e-3)
    assert (ds.V_m.values[:, ~tissue] == -85).all()
    np.testing.assert_array_equal(import_maps(movie, **STEPS, counts=(rest, amplitude), mask=tissue).V_m, ds.V_m)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"counts": 1000}, r"counts: expected \(rest, amplitude\), got 1000"),
        ({"counts": (1000, 5000, 1)}, r"counts: expected \(rest, amplitude\)"),
        ({"counts": (1000, 0)}, "counts: expected a rest and an amplitude that is not 0, got 480 pixels of tissue without"),
        ({"counts": (np.nan, 1)}, "counts: expected a number, got nan"),
        ({"counts": ("dark", 1)}, "counts: expected a number, got 'dark'"),
        ({"counts": (np.zeros((24, 20)), 1)}, r"counts: expected \(y, x\) of shape \(20, 24\), got an array of shape"),
        ({"counts": (1000, 5000), "unit": "mV"}, "counts: expected none for V_m in a unit of its own, got unit mV"),
        ({"counts": (5000, 1000)}, "V_m: expected a wave that rises .* in u"),
    ],
)  # fmt: skip
def test_counts_are_refused_by_name(given, message):
    with pytest.raises(ValueError, match=message):
        import_maps(COUNTS, **STEPS, **given)


def test_what_is_no_movie_is_refused(tmp_path):
    stacks = {
        "color": (np.zeros((20, 24, 3), np.uint8), r"expected gray frames \(time, y, x\), got \(20, 24, 3\)"),
        "one": (COUNTS[0], r"expected gray frames .* got \(20, 24\)"),
        "two": (np.stack([COUNTS, COUNTS]), r"expected gray frames .* got \(2, 12, 20, 24\)"),
    }
    for name, (values, message) in stacks.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", values)
        refused(tmp_path / f"{name}.tif", f"source: expected a readable file, got {name}.tif: {message}", **CAMERA)
    with tifffile.TiffWriter(tmp_path / "sizes.tif") as file:
        file.write(COUNTS)
        file.write(COUNTS[:, :5])
    refused(tmp_path / "sizes.tif", r"expected one stack of frames, got 2: \(12, 20, 24\), \(12, 5, 24\)", **CAMERA)
    tifffile.imwrite(tmp_path / "packed.tif", COUNTS, compression="lzma")
    refused(tmp_path / "packed.tif", "frames are packed by LZMA, which is none of NONE, LZW, ", **CAMERA)


def test_frames_in_other_files_are_not_looked_for(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", COUNTS, metadata={"axes": "TYX"})
    raw = (tmp_path / "a.ome.tif").read_bytes()
    data = b'<TiffData IFD="0" PlaneCount="12"/>'
    assert data in raw
    where = b'<TiffData IFD="0"><UUID FileName="b.tif">urn:uuid:1</UUID></TiffData>'
    begin = raw.index(b"<?xml")
    text = raw[begin : raw.index(b"\0", begin)]
    tifffile.imwrite(tmp_path / "b.tif", COUNTS + 1)
    tifffile.imwrite(tmp_path / "c.tif", COUNTS, description=text.replace(data, where), metadata=None)
    with tifffile.TiffFile(tmp_path / "c.tif") as file:
        assert len(file.pages) == 12
    np.testing.assert_array_equal(import_maps(tmp_path / "c.tif", **CAMERA).V_m, 100 * U - 85)


def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", COUNTS)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    refused(tmp_path / "a.tif", r"TIFF needs the package tifffile, of the extra \[files\]", **CAMERA)


# openCARP


@pytest.mark.parametrize("systeme", ["little_endian", "big_endian"])
@pytest.mark.parametrize("kind", TYPES)
def test_an_igb_of_any_type_is_read_to_the_last_bit(kind, systeme, tmp_path):
    values = rng.integers(0, 100, (5, 6, 7)).astype(TYPES[kind]) + (0.5 if "f" in TYPES[kind] else 0)
    write_igb(tmp_path / "a.igb", values, kind, systeme, inc_t=2)
    came = read_igb(tmp_path / "a.igb")
    np.testing.assert_array_equal(came, values.astype(TYPES[kind]))
    assert came.dims == ("time", "y", "x") and came.dtype.kind == TYPES[kind][0] and came.units == "mV"
    assert came.time.values.tolist() == [0, 2, 4, 6, 8] and came.time.units == "ms" and [*came.coords] == ["time"]


def test_the_shape_of_an_igb_is_that_of_its_header(tmp_path):
    for shape, dims in (
        ((4, 9), ("time", "node")),
        ((4, 3, 2), ("time", "y", "x")),
        ((4, 2, 1, 5), ("time", "z", "y", "x")),
    ):
        write_igb(tmp_path / "a.igb", values := rng.random(shape).astype("f4"))
        came = read_igb(tmp_path / "a.igb")
        np.testing.assert_array_equal(came, values)
        assert came.dims == dims and not came.coords
    (tmp_path / "b.igb").write_bytes(
        b"X:2,Y:1;type:float\tsysteme:little_endian unites: *unites:V".ljust(1024, b"\0") + bytes(8)
    )
    came = read_igb(tmp_path / "b.igb")
    assert dict(came.sizes) == {"time": 1, "node": 2} and came.units == "mV"


def test_an_igb_stays_on_the_disk_until_it_is_used(tmp_path):
    """A file of 8 GB, of which the disk holds two pages."""
    n_x, n_t = 10**6, 2000
    head = f"x:{n_x} y:1 z:1 t:{n_t} type:float systeme:little_endian inc_t:1 facteur:1 zero:0".encode()
    with (tmp_path / "a.igb").open("wb") as file:
        file.write(head.ljust(1024))
        file.seek(1024 + 4 * (n_x * 1500 + 7))
        file.write(np.float32(-85).tobytes())
        file.truncate(1024 + 4 * n_x * n_t)
    came = read_igb(tmp_path / "a.igb")
    assert came.sizes["node"] == n_x and float(came[1500, 7]) == -85 and float(came[1500].sum()) == -85
    assert not came.variable._data.flags.writeable
    refused(tmp_path / "a.igb", "at most 4 GiB, got a file that declares 7.45 GiB", **GIVEN)


def test_what_the_header_says_is_applied(tmp_path):
    stored = np.arange(24).reshape(4, 2, 3)
    words = {"inc_t": 0.005, "org_t": 0.1, "unites_t": "s", "unites": "V", "facteur": 0.5, "zero": -85}
    space = {"inc_x": 250, "inc_y": 250, "unites_x": "um", "unites_y": "um", "org_x": 500}
    write_igb(tmp_path / "a.igb", stored, "short", **words, **space)
    came = read_igb(tmp_path / "a.igb")
    np.testing.assert_array_equal(came, 0.5 * stored - 85)
    assert came.dtype == np.float32 and came.units == "V" and came.time.units == "s" and came.x.units == "um"
    np.testing.assert_allclose(came.time, [0.1, 0.105, 0.11, 0.115])
    assert came.x.values.tolist() == [500, 750, 1000] and came.y.values.tolist() == [0, 250]
    write_igb(tmp_path / "b.igb", stored, "int", dim_t=30)
    assert read_igb(tmp_path / "b.igb").time.values.tolist() == [0, 10, 20, 30]


def test_a_grid_of_opencarp_becomes_maps(tmp_path):
    words = {"inc_t": 5, "unites": "mV", "inc_x": 2000, "inc_y": 2000, "unites_x": "um", "unites_y": "um"}
    write_igb(path := tmp_path / "a.igb", V_M, "double", "big_endian", **words)
    ds = import_maps(path)
    np.testing.assert_array_equal(ds.V_m, V_M)
    assert ds.dx_map == 2.0 and ds.time.values[1] == 5.0 and ds.x_map.values[1] == 2.0
    refused(path, "dt: expected one value", dt=1.0)
    refused(path, "unit: expected one unit of V_m, got V, with attribute units mV", unit="V")
    write_igb(path, V_M, "double")
    np.testing.assert_array_equal(import_maps(path, **STEPS).V_m, V_M)
    refused(path, "dx: expected it in mm", dt=5.0)
    refused(path, "dt: expected it in ms", dx=2.0)
    write_igb(path, V_M.reshape(12, -1), "double", inc_t=5)
    refused(path, r"all 480 nodes in one row, as on a mesh: read_igb\(path\).values.reshape\(-1, n_y, n_x\)", dx=2.0)
    np.testing.assert_array_equal(import_maps(read_igb(path).values.reshape(-1, 20, 24), **GIVEN).V_m, V_M)


HEAD = b"x:2 y:1 z:1 t:3 type:float systeme:little_endian inc_t:5"


@pytest.mark.parametrize(
    ("head", "size", "message"),
    [
        (HEAD, 23, "a.igb: expected 3 frames of 8 bytes after the header, got 23 bytes, 2.875 frames"),
        (HEAD, 32, "a.igb: expected 3 frames of 8 bytes after the header, got 32 bytes, 4 frames"),
        (HEAD.replace(b"float", b"vec3f"), 72, "type of a.igb: expected one of byte, .*, double, got vec3f"),
        (HEAD.replace(b"float", b"structure"), 24, "type of a.igb: expected one of byte, .*, got structure"),
        (HEAD.replace(b"little_endian", b"vax"), 24, "systeme of a.igb: expected one of little_endian, big_endian, got vax"),
        (HEAD.replace(b"systeme", b"system"), 24, "path: expected an igb file with x, y, type and systeme, got a.igb without systeme"),
        (HEAD.replace(b"x:2", b"x:-2"), 24, "x of a.igb: expected a whole number in 1 .. .*, got '-2'"),
        (HEAD.replace(b"t:3", b"t:0"), 24, "t of a.igb: expected a whole number in 1 .. .*, got 0"),
        (HEAD.replace(b"t:3", b"t:" + b"9" * 40), 24, "t of a.igb: expected a whole number"),
        (HEAD.replace(b"inc_t:5", b"inc_t:often"), 24, "inc_t of a.igb: expected a number, got often"),
        (HEAD.replace(b"inc_t:5", b"inc_t:-5"), 24, "inc_t of a.igb: expected a number > 0, got -5"),
        (HEAD + b" facteur:inf", 24, "facteur of a.igb: expected a number, got inf"),
        (HEAD + b" facteur:0", 24, "facteur of a.igb: expected a number other than 0, got 0"),
        (b"\x89HDF\r\n\x1a\n", 24, "path: expected an igb file with words key:value in 1024 bytes, got a.igb"),
        (b"a header of another kind", 24, "path: expected an igb file with words key:value in 1024 bytes, got a.igb"),
        (b"", 24, "path: expected an igb file with x, y, type and systeme, got a.igb without x"),
    ],
)  # fmt: skip
def test_an_igb_that_is_not_what_it_says_is_refused(head, size, message, tmp_path):
    (tmp_path / "a.igb").write_bytes(head.ljust(1024) + bytes(size))
    with pytest.raises(ValueError, match=message) as refusal:
        read_igb(tmp_path / "a.igb")
    assert "\n" not in str(refusal.value)
    refused(tmp_path / "a.igb", "source: expected a readable file, got a.igb: " + message, **GIVEN)


def test_an_igb_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="path: expected a file that is there, got none.igb"):
        read_igb(tmp_path / "none.igb")
    (tmp_path / "short.igb").write_bytes(HEAD)
    with pytest.raises(
        ValueError, match="path: expected an igb file with words key:value in 1024 bytes, got short.igb"
    ):
        read_igb(tmp_path / "short.igb")


# All of them


def write_all(folder: Path) -> dict[str, dict]:
    """One file of each kind, and what it needs to be read."""
    save5(folder / "a.mat", V=in_order(V_M, YXT))
    save73(folder / "b.mat", V=in_order(V_M, YXT))
    save_h5(folder / "a.h5", V=in_order(V_M, YXT))
    tifffile.imwrite(folder / "a.tif", COUNTS)
    tifffile.imwrite(folder / "b.tif", COUNTS, metadata=None, compression="zlib")
    with tifffile.TiffWriter(folder / "c.tif") as file:
        for frame in COUNTS:
            file.write(frame, contiguous=False, metadata=None)
    write_igb(folder / "a.igb", V_M, "double")
    named, movie = GIVEN | {"dims": YXT}, CAMERA
    return {
        "a.mat": named,
        "b.mat": named,
        "a.h5": named,
        "a.tif": movie,
        "b.tif": movie,
        "c.tif": movie,
        "a.igb": STEPS,
    }


@pytest.mark.parametrize("silent", [False, True])
def test_a_file_that_was_cut_is_one_sentence_or_whole(silent, tmp_path, monkeypatch):
    """Bytes at the end may be no part of the maps; then these come back whole. What tifffile logs may be switched off."""
    monkeypatch.setattr(logging.getLogger("tifffile"), "disabled", silent)
    for name, given in write_all(tmp_path).items():
        raw, whole = (tmp_path / name).read_bytes(), import_maps(tmp_path / name, **given)
        for at in sorted({*range(0, len(raw), len(raw) // 23 + 1), *range(len(raw) - 4, len(raw))}):
            (tmp_path / f"cut.{name}").write_bytes(raw[:at])
            try:
                came = import_maps(tmp_path / f"cut.{name}", **given)
            except ValueError as error:
                assert str(error).startswith(f"source: expected a readable file, got cut.{name}: ")
                assert "\n" not in str(error)
            else:
                assert len(raw) - at < 0.05 * len(raw)
                np.testing.assert_array_equal(came.V_m, whole.V_m)
        (tmp_path / f"junk.{name}").write_bytes(b"no such file" * 200)
        refused(tmp_path / f"junk.{name}", f"source: expected a readable file, got junk.{name}: ", **given)


def test_movies_that_are_read_at_once_do_not_hear_of_each_other(tmp_path):
    """What tifffile warns of is told to the thread that reads the file."""
    tifffile.imwrite(tmp_path / "a.tif", COUNTS, metadata=None)
    (tmp_path / "b.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:9000])

    def came(name: str) -> bool:
        try:
            return import_maps(tmp_path / name, **CAMERA).V_m.shape == U.shape
        except ValueError:
            return False

    names = ["a.tif", "b.tif"] * 40
    with ThreadPoolExecutor(4) as threads:
        assert [*threads.map(came, names)] == [name == "a.tif" for name in names]


def test_no_more_is_read_than_the_limit(tmp_path, monkeypatch):
    files = write_all(tmp_path)
    monkeypatch.setattr(readers, "MOST_BYTES", V_M.nbytes // 8)
    for name, given in files.items():
        refused(
            tmp_path / name,
            f"source: expected a readable file, got {name}: at most .* GiB, got a file that declares",
            **given,
        )
    monkeypatch.setattr(readers, "MOST_BYTES", V_M.nbytes + 2048)
    for name, given in files.items():
        assert import_maps(tmp_path / name, **given).V_m.shape == V_M.shape
    tifffile.imwrite(
        tmp_path / "d.tif", rng.integers(0, 9999, V_M.shape).astype("u2"), metadata=None, compression="zlib"
    )
    refused(tmp_path / "d.tif", "at most", **CAMERA)  # what was packed into a frame may be a thousand times its size


def test_a_surrogate_takes_a_file_with_the_words_that_it_needs(tmp_path):
    u = np.load(readers.__file__.rpartition("/src/")[0] + "/data/small/maps.npy")[:40]
    surrogate, given = load_surrogate("structured"), {"dx": 4.0, "dt": 10.0, "unit": "u"}
    right = surrogate.predict(u, **given)
    savemat(tmp_path / "a.mat", {"u": in_order(u, YXT), "w": in_order(u, YXT)})
    came = surrogate.predict(tmp_path / "a.mat", **given, dims=YXT, variable="u")
    np.testing.assert_array_equal(came.phi_e, right.phi_e)
    with pytest.raises(TypeError, match="dimensions"):
        surrogate.predict(tmp_path / "a.mat", **given, dimensions=YXT)
    shutil.copy(tmp_path / "a.mat", tmp_path / "A.MAT")
    assert import_maps(tmp_path / "A.MAT", **given, dims=YXT, variable="w").V_m.shape == u.shape
