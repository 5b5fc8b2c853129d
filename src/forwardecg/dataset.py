"""The named data sets, splits by tissue, and the sequences that the networks read: maps, ECGs, batches."""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch
import xarray as xr

from forwardecg.cell import FK_MBR, FK_MLR1, V_REST, V_SPAN
from forwardecg.electrodes import symmetry_permutations
from forwardecg.paths import CACHE, code_hash
from forwardecg.recipe import Recipe
from forwardecg.store import load_or_simulate as load_or_simulate

LONGER = 13 / 9  # of the base's t_end, for slow waves: 1300 ms at paper scale
FIBROTIC = {"conditions": ("fibrotic", "combined"), "t_end": LONGER}
# Sets of kinds that are in no training: what differs from the base recipe, t_end as a multiple of its own.
HELD_OUT = MappingProxyType(
    {
        "two_foci": {"protocol": "two_foci"},
        "reentry": {"protocol": "reentry", "n_sim": 16, "t_end": 4 / 3, "max_draws": 60},
        "unseen_cell": {"fk": FK_MLR1},
        "unseen_cell_mbr": {"fk": FK_MBR},
        "unseen_D_high": {"D0_low": 0.18, "D0_high": 0.26},
        "unseen_D_low": {"D0_low": 0.05, "D0_high": 0.08, "t_end": LONGER},
        "partial_fibrosis": {"fibrosis": "partial", **FIBROTIC},
        "dense_fibrosis": {"fibrosis": "dense", **FIBROTIC},
    }
)


def collection(base: Recipe) -> dict[str, Recipe]:
    """The sets beside the base one, by name: calibration and test, drawn like it, and the smaller ones of `HELD_OUT`.

    Each has a seed of its own, counted on from that of ``base``, and no more tissues than ``base``; a longer ``t_end``
    is rounded to the frame interval.
    """
    sets = {}
    for k, (name, change) in enumerate({"calibration": {}, "test": {}, **HELD_OUT}.items(), 1):
        most = change.get("n_sim", 20 if name in HELD_OUT else base.n_sim)
        t_end = base.frame_interval * round(change.get("t_end", 1) * base.t_end / base.frame_interval)
        sets[name] = replace(base, **change | {"seed": base.seed + k, "n_sim": min(most, base.n_sim), "t_end": t_end})
    return sets


def symmetry(u: torch.Tensor, n: int) -> torch.Tensor:
    """One of the eight rotations and reflections of maps (..., H, W): n = 0..7, 0 the identity."""
    u = torch.rot90(u, n % 4, (-2, -1))
    return u.flip(-1) if n >= 4 else u


def fingerprint(D: np.ndarray, conductive: np.ndarray) -> str:
    """A hash of a sheet, the same for its eight symmetric copies: D (y, x) in mm^2/ms, conductive (y, x) bool."""
    if np.ndim(D) != 2 or np.shape(D) != np.shape(conductive):
        raise ValueError(f"D, conductive: expected one shape (y, x), got {np.shape(D)} and {np.shape(conductive)}")
    sheet = torch.from_numpy(np.where(conductive, D, 0).astype(np.float32))  # as it is stored
    images = [symmetry(sheet, n) for n in range(8)]
    return min(hashlib.sha256(str(image.shape).encode() + image.numpy().tobytes()).hexdigest() for image in images)


def check_disjoint(fingerprints: Mapping[str, Sequence[str]]) -> None:
    """Raise ValueError if a tissue, or a symmetric copy of it, is in two parts: name -> `fingerprint` of tissue 0, 1, ..."""
    seen = {}
    for part, prints in fingerprints.items():
        for n, one in enumerate(prints):
            other, m = seen.setdefault(one, (part, n))
            if other != part:
                raise ValueError(
                    f"fingerprints: expected every tissue in one part only, got tissue {m} of {other!r} again, "
                    f"as tissue {n} of {part!r}"
                )


def split_by_tissue(
    condition: Sequence[str], seed: int = 0, test: float = 0.1, val: float = 0.1
) -> dict[str, np.ndarray]:
    """Indices of train, val and test tissues, drawn within each condition so that all of them are in every part.

    Raises
    ------
    ValueError
        A condition has too few tissues to be in every part.
    """
    rng, parts = np.random.default_rng(seed), {"train": [], "val": [], "test": []}
    condition = np.asarray(condition)
    if condition.ndim != 1 or condition.size == 0:
        raise ValueError(f"condition: expected one name per tissue, got an array of shape {condition.shape}")
    if not (test >= 0 and val >= 0 and test + val < 1):
        raise ValueError(f"test, val: expected shares >= 0 that leave something to train on, got {test}, {val}")
    for name in np.unique(condition):
        members = rng.permutation(np.flatnonzero(condition == name))
        n_test, n_val = max(1, round(test * members.size)), max(1, round(val * members.size))
        if members.size < n_test + n_val + 1:
            raise ValueError(
                f"condition: expected at least {n_test + n_val + 1} tissues of '{name}', got {members.size}"
            )
        parts["test"] += members[:n_test].tolist()
        parts["val"] += members[n_test : n_test + n_val].tolist()
        parts["train"] += members[n_test + n_val :].tolist()
    return {name: np.sort(np.array(indices)) for name, indices in parts.items()}


def check_maps(V_m: xr.DataArray, pixels: int) -> None:
    """Raise ValueError unless V_m has dims time, y_map, x_map, is finite, in mV, and pools evenly to ``pixels``."""
    if V_m.dims != ("time", "y_map", "x_map"):
        raise ValueError(f"V_m: expected dims (time, y_map, x_map), got {V_m.dims}")
    n_y, n_x = V_m.shape[-2:]
    if n_y != n_x or n_y % pixels:
        raise ValueError(f"V_m: expected square maps whose side is a multiple of {pixels} pixels, got {n_y} x {n_x}")
    if not np.isfinite(V_m.values).all():
        raise ValueError("V_m: expected finite values in mV, got NaN or infinity")
    if V_m.min() > -50 or V_m.min() < -200 or V_m.max() > 200:
        raise ValueError(
            f"V_m: expected mV with rest near {V_REST}, got values from {float(V_m.min()):.3g} to {float(V_m.max()):.3g}"
        )


def network_maps(V_m: xr.DataArray, pixels: int) -> torch.Tensor:
    """Maps for the networks, u in 0..1 as float16 (time, pixels, pixels), from V_m (time, y_map, x_map) in mV."""
    check_maps(V_m, pixels)
    n_t, n_y, _ = V_m.shape
    u = (V_m.values - V_REST) / V_SPAN
    return torch.from_numpy(
        u.reshape(n_t, pixels, n_y // pixels, pixels, n_y // pixels).mean((2, 4)).astype(np.float16)
    )


class Sequences(torch.utils.data.Dataset):
    """Tissues as the networks read them: maps u (n, T, H, W) float16 and their ECG at the times ``t`` (T,) of the maps.

    Parameters
    ----------
    ds : data set of `load_or_simulate`
    sims : distinct indices of its tissues
    pixels : side of the maps, a divisor of the stored one
    frame_interval : ms between maps, a multiple of the stored interval; None: that one
    leads : the name of one lead: ``ecg`` is (n, T); several names, or "all": ``ecg`` is (n, lead, T)
    memory_gb : maps larger than this are kept in a file of the cache and read from there when needed

    Attributes ``electrodes`` (lead, xyz) in mm, of the leads chosen, and ``size``, the side of the sheet in mm.

    Raises
    ------
    ValueError
        Tissues or leads that are not there or there twice, maps that do not pool or are not in mV, other times.
    """

    def __init__(
        self,
        ds: xr.Dataset,
        sims: Sequence[int],
        pixels: int,
        frame_interval: float | None = None,
        leads: str | Sequence[str] = "center",
        memory_gb: float = 2.0,
    ):
        sims, side, names = [int(sim) for sim in sims], ds.sizes["x_map"], ds.lead.values.tolist()
        one = isinstance(leads, str) and leads != "all"
        self.leads = names if leads == "all" else [leads] if one else list(leads)
        _distinct("sims", sims, range(ds.sizes["sim"]))
        _distinct("leads", self.leads, names)
        if not isinstance(pixels, int | np.integer) or pixels < 1 or side % pixels:
            raise ValueError(f"pixels: expected a divisor of the {side} stored ones, got {pixels!r}")
        stored = float(ds.time[1] - ds.time[0])
        step = 1.0 if frame_interval is None else frame_interval / stored
        if not (1 <= step < ds.sizes["time"] and abs(step - round(step)) < 1e-9):
            raise ValueError(f"frame_interval: expected a multiple of the stored {stored:g} ms, got {frame_interval}")
        ds = ds.isel(time=slice(None, None, round(step)))
        phi_e = ds.phi_e.isel(sim=sims).sel(lead=self.leads[0] if one else self.leads)
        ecg = phi_e.sel(time_ecg=ds.time.values, method="nearest", tolerance=1e-6)
        self.ecg = torch.from_numpy(ecg.values).float()
        self.t = torch.tensor(ds.time.values).float()
        self.electrodes = ds.electrodes.sel(lead=self.leads).values
        self.size = 2 * float(ds.electrodes.sel(lead="center")[0])  # every recipe has it, above the middle of the sheet
        maps = (network_maps(ds.V_m.isel(sim=sim).load(), pixels) for sim in sims)
        shape = (len(sims), ds.sizes["time"], pixels, pixels)
        if 2 * math.prod(shape) > memory_gb * 1e9:
            if "store" not in ds.attrs:
                raise ValueError(f"ds: expected the attribute store, to cache maps > {memory_gb} GB under, got none")
            self.u = _on_disk(maps, shape, [ds.store, sims, int(pixels), round(step)])
        else:
            self.u = torch.empty(shape, dtype=torch.float16)
            for k, u in enumerate(maps):
                self.u[k] = u

    def __len__(self) -> int:
        return len(self.ecg)

    def __getitem__(self, n) -> tuple[torch.Tensor, torch.Tensor]:
        return self.u[n], self.ecg[n]


def _distinct(name: str, chosen: Sequence, allowed: Sequence) -> None:
    wrong = [one for one in chosen if one not in allowed or list(chosen).count(one) > 1]
    if wrong or not chosen:
        raise ValueError(f"{name}: expected distinct ones of {allowed}, got {wrong or 'none'}")


def _on_disk(maps: Iterator[torch.Tensor], shape: tuple[int, ...], key: list) -> torch.Tensor:
    """The maps in a file of the cache, named by the key and the code above; written one by one if it is not there."""
    name = hashlib.sha256((json.dumps(key) + code_hash("dataset")).encode()).hexdigest()[:16]
    path = CACHE / "sequences" / f"{name}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            with open(scratch, "wb") as out:  # not through a memory map: a full disk has to be an error
                header = {"descr": "<f2", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(out, header)
                for u in maps:
                    out.write(u.numpy().tobytes())
            os.replace(scratch, path)
        finally:
            scratch.unlink(missing_ok=True)
    return torch.from_numpy(np.load(path, mmap_mode="c"))  # copy on write: the file stays as it is


def normalization(train: Sequences) -> float:
    """SD (mV mm/ms) of the ECGs of the training tissues: what the network's output is multiplied by, for any tissue.

    Raises
    ------
    ValueError
        An ECG that is flat or not finite.
    """
    sd = train.ecg.std(-1)
    if not (sd.isfinite() & (sd > 0)).all():
        raise ValueError("train: expected ECGs that vary and are finite, got a flat trace or NaN")
    return float(train.ecg.std())


def loader(
    sequences: Sequences, batch: int, generator: torch.Generator, augment: bool = False, shuffle: bool = True
) -> torch.utils.data.DataLoader:
    """Batches (maps (B, T, H, W) float32, ECGs, indices (B,) of the tissues), all of their chance from ``generator``.

    Parameters
    ----------
    augment : turn and mirror each tissue by one of the eight symmetries at random, its electrodes permuted with it:
        exact, nothing is interpolated

    Raises
    ------
    ValueError
        To be augmented, but a symmetry takes an electrode to a place where there is none.
    """
    if augment:
        permutations = torch.from_numpy(symmetry_permutations(sequences.electrodes, sequences.size))

    def assemble(members: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        u, ecg = sequences[members]
        if augment:
            turns = torch.randint(8, (len(members),), generator=generator).tolist()
            u = torch.stack([symmetry(maps, turn) for maps, turn in zip(u, turns, strict=True)])
            if ecg.ndim == 3:
                ecg = torch.stack([traces[permutations[turn]] for traces, turn in zip(ecg, turns, strict=True)])
        return u.float(), ecg, torch.tensor(members)

    return torch.utils.data.DataLoader(
        range(len(sequences)), batch, shuffle=shuffle, generator=generator, collate_fn=assemble
    )
