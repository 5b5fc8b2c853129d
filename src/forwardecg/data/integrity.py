"""Whole or not: checksums, locks and repair of the files of a store, on a disk or in any place that fsspec reaches.

A location is a `Path` on a disk, or the URL of anything else as a string. Only disks have locks.
"""

import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import google_crc32c
from filelock import FileLock
from fsspec.core import url_to_fs

READERS = 8  # files read at a time: a place far away answers late
CHECKSUM = 4  # bytes at the end of a chunk
OWN = ("recipe", "code")  # attributes of a group that follow from the name of its folder


@contextmanager
def locked(location: Path | str, name: str, wait: bool = True) -> Iterator[None]:
    """Hold the lock ``name`` of a store on a disk, which ends with the process; elsewhere there is none to hold.

    Parameters
    ----------
    location : folder of the store, or a URL
    name : of the lock
    wait : for another that holds it

    Yields
    ------
    nothing : while the lock is held

    Raises
    ------
    filelock.Timeout
        Another holds it, and ``wait`` is False.

    Examples
    --------
    >>> with locked(Path("set.zarr"), "store"):
    ...     Path("set.zarr.locks/store.lock").exists()
    True
    """
    if isinstance(location, str):
        yield
        return
    folder = location.with_name(f"{location.name}.locks")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name}.lock", timeout=-1 if wait else 0) as lock:
        try:
            yield
        finally:
            with suppress(OSError):  # while it is held: who waits for it sees that it is gone, and makes another
                os.unlink(lock.lock_file)


def listing(location: Path | str) -> set[str]:
    """Names of all files under a folder; none where there is no folder.

    Parameters
    ----------
    location : folder or URL

    Returns
    -------
    names : relative to it

    Examples
    --------
    >>> Path("set.zarr/V_m").mkdir(parents=True, exist_ok=True)
    >>> _ = Path("set.zarr/V_m/zarr.json").write_text("{}")
    >>> listing(Path("set.zarr"))
    {'V_m/zarr.json'}
    """
    fs, root = url_to_fs(str(location))
    fs.invalidate_cache()  # of listings, which some places keep
    return {file.removeprefix(f"{root}/") for file in fs.find(root)}


def _read(location: Path | str, name: str) -> bytes | None:
    fs, root = url_to_fs(str(location))
    try:
        return fs.cat_file(f"{root}/{name}")
    except FileNotFoundError:
        return None


def intact(location: Path | str, names: Collection[str]) -> bool:
    """Whether every chunk is there and ends with the CRC32C of what comes before.

    Parameters
    ----------
    location : folder or URL
    names : of the chunks, relative to it

    Returns
    -------
    whole : True or False

    Examples
    --------
    >>> data = b"voltage"
    >>> _ = Path("chunk").write_bytes(data + google_crc32c.value(data).to_bytes(4, "little"))
    >>> intact(Path(), ["chunk"]), intact(Path(), ["chunk", "another"])
    (True, False)
    """
    for name in names:
        data = _read(location, name) or b""
        checksum = int.from_bytes(data[-CHECKSUM:], "little")
        if len(data) <= CHECKSUM or google_crc32c.value(data[:-CHECKSUM]) != checksum:
            return False
    return True


def unfinished(
    location: Path | str, there: set[str], tissues: Sequence[Collection[str]], verify: bool
) -> dict[int, bool]:
    """The tissues with a chunk that is missing, or with ``verify`` altered, and whether any chunk of them is there.

    Parameters
    ----------
    location : folder or URL
    there : what `listing` found
    tissues : names of the chunks of each tissue
    verify : read every chunk and compare its checksum; False: only that it is there

    Returns
    -------
    found : number of the tissue -> whether any chunk of it is there

    Examples
    --------
    >>> unfinished(Path("set.zarr"), {"0/a", "0/b", "1/a"}, [["0/a", "0/b"], ["1/a", "1/b"], ["2/a"]], verify=False)
    {1: True, 2: False}
    """

    def whole(names: Collection[str]) -> bool:
        return there.issuperset(names) and (not verify or intact(location, names))

    with ThreadPoolExecutor(READERS) as readers:
        found = list(readers.map(whole, tissues))
    return {sim: not there.isdisjoint(tissues[sim]) for sim, is_whole in enumerate(found) if not is_whole}


def sweep(location: Path | str, there: set[str]) -> None:
    """Remove the halves of files that killed processes left on a disk; those of a tissue in work are let be.

    Parameters
    ----------
    location : folder or URL
    there : what `listing` found

    Examples
    --------
    >>> Path("half.zarr/V_m").mkdir(parents=True, exist_ok=True)
    >>> _ = Path("half.zarr/V_m/0.17.partial").write_text("half")
    >>> sweep(Path("half.zarr"), listing(Path("half.zarr")))
    >>> listing(Path("half.zarr"))
    set()
    """
    for name in [name for name in there if name.endswith(".partial")]:
        parts = name.split("/")  # such as V_m/c/17/0/0/0.<digits>.partial, of tissue 17
        lock = parts[2].split(".")[0] if len(parts) > 2 else "store"
        with suppress(OSError), locked(location, lock, wait=False):
            (Path(location) / name).unlink(missing_ok=True)


def restore(location: Path | str, skeleton: Mapping[str, bytes]) -> list[str]:
    """Write what is missing or altered of the files of an empty store, and return their names.

    Parameters
    ----------
    location : folder or URL
    skeleton : all files of the empty store, by name. On a disk a store that is not there yet appears in one move

    Returns
    -------
    names : of the files written

    Examples
    --------
    >>> restore(Path("new.zarr"), {"zarr.json": b"{}"}), restore(Path("new.zarr"), {"zarr.json": b"{}"})
    (['zarr.json'], [])
    """
    if not (lost := _lost(location, skeleton)):
        return []
    if isinstance(location, str):
        fs, root = url_to_fs(location)
        for name in sorted(lost, key=len):
            fs.pipe_file(f"{root}/{name}", skeleton[name])
        return lost
    with locked(location, "store"):
        lost = _lost(location, skeleton)  # another process may have been faster
        scratch = location.with_name(f"{location.name}.tmp")
        try:
            for name in lost:
                (scratch / name).parent.mkdir(parents=True, exist_ok=True)
                (scratch / name).write_bytes(skeleton[name])
            if not location.exists():
                os.replace(scratch, location)
            else:
                for name in lost:
                    (location / name).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(scratch / name, location / name)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return lost


def _lost(location: Path | str, skeleton: Mapping[str, bytes]) -> list[str]:
    return [name for name, expected in skeleton.items() if not _same(_read(location, name), expected)]


def _same(found: bytes | None, expected: bytes) -> bool:
    """Equal; or the metadata of the same group, whose other attributes change while it is built."""
    if found == expected:
        return True
    try:
        one, other = json.loads(found or b""), json.loads(expected)
        for entries in (one, other):
            if entries["node_type"] == "group":
                entries["attributes"] = {name: entries["attributes"][name] for name in OWN}
    except (ValueError, TypeError, KeyError):
        return False
    return one == other
