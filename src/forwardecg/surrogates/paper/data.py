"""The sequences that the networks read: maps, ECGs, and batches of them, turned and mirrored where that is exact."""

import math
from collections.abc import Iterator, Sequence
from tempfile import TemporaryFile

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from forwardecg.contract import V_REST, array, count, counts, flag, instance, number, to_u
from forwardecg.ecg.electrodes import match_electrodes
from forwardecg.paths import CACHE
from forwardecg.tissue.symmetry import apply_symmetry

D_UNIT = 0.1  # mm^2/ms, about the diffusivity of healthy tissue: brings D to the size of the voltage


def check_maps(V_m: xr.DataArray, pixels: int) -> np.ndarray:
    """V_m (time, y_map, x_map) in mV; ValueError unless it is finite, and pools evenly to ``pixels``."""
    values = array("V_m", V_m, ("time", "y_map", "x_map"), "mV")
    n_y, n_x = values.shape[-2:]
    if n_y != n_x or n_y % pixels:
        raise ValueError(f"V_m: expected square maps whose side is a multiple of {pixels} pixels, got {n_y} x {n_x}")
    low, high = float(values.min()), float(values.max())
    if not -200 <= low <= -50 or high > 200:
        raise ValueError(f"V_m: expected mV with rest near {V_REST}, got values from {low:.3g} to {high:.3g}")
    return values


def network_maps(V_m: xr.DataArray, pixels: int) -> Tensor:
    """Maps for the networks, u in 0..1 as float16 (time, pixels, pixels), from V_m (time, y_map, x_map) in mV."""
    u = torch.from_numpy(to_u(check_maps(V_m, pixels)))
    return torch.nn.functional.avg_pool2d(u, u.shape[1] // pixels).half()


class Sequences(torch.utils.data.Dataset):
    """Tissues as the networks read them: maps u (n, T, H, W) float16 and their ECG at the times ``t`` (T,) of the maps.

    Further attributes: ``electrodes`` (lead, xyz) in mm, of the leads chosen, and ``size``, the side of the sheet in mm.

    Args:
        ds: data set of `load_or_simulate`.
        sims: distinct indices of its tissues.
        pixels: side of the maps, a divisor of the stored one.
        frame_interval: ms between maps, a multiple of the stored interval; None: that one.
        leads: the name of one lead: ``ecg`` is (n, T); several names, or "all": ``ecg`` is (n, lead, T).
        memory_gb: maps larger than this are kept in a temporary file of the cache and read from there when needed.
        known_D: put the mean D of each pixel, over 0.1 mm^2/ms and 0 in cells that do not conduct, beside the voltage:
            ``u`` is (n, T, 2, H, W). For an ablation; D is what the networks are to do without.

    Raises:
        ValueError: Tissues or leads that are not there or there twice, maps that do not pool or are not in mV, other times.

    Examples:
        >>> from forwardecg.data.maps import load_small
        >>> sequences = Sequences(load_small(), sims=[0, 2], pixels=50, frame_interval=10.0)
        >>> len(sequences), sequences.u.shape[2:], float(sequences.t[1])
        (2, torch.Size([50, 50]), 10.0)
    """

    def __init__(
        self, ds: xr.Dataset, sims: Sequence[int], pixels: int, frame_interval: float | None = None,
        leads: str | Sequence[str] = "center", memory_gb: float = 2.0, known_D: bool = False,
    ):  # fmt: skip
        if "sim" not in instance("ds", ds, xr.Dataset).dims or "center" not in ds.lead:
            raise ValueError(f"ds: expected a data set with the dim sim and the lead center, got dims {[*ds.dims]}")
        sims, side, names = counts("sims", sims), ds.sizes["x_map"], ds.lead.values.tolist()
        one = isinstance(instance("leads", leads, (str, list, tuple)), str) and leads != "all"
        known_D = flag("known_D", known_D)
        self.leads = names if leads == "all" else [leads] if one else list(leads)
        _check_distinct("sims", sims, range(ds.sizes["sim"]))
        _check_distinct("leads", self.leads, names)
        if side % (pixels := count("pixels", pixels)):
            raise ValueError(f"pixels: expected a divisor of the {side} stored ones, got {pixels!r}")
        stored = float(ds.time[1] - ds.time[0])
        step = 1.0 if frame_interval is None else number("frame_interval", frame_interval, 0, unit="ms") / stored
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
        if known_D:
            maps = (_with_D(u, ds.isel(sim=sim)) for u, sim in zip(maps, sims, strict=True))
        shape = (len(sims), ds.sizes["time"], *((2,) if known_D else ()), pixels, pixels)
        if 2 * math.prod(shape) > number("memory_gb", memory_gb, 0) * 1e9:
            self.u = _on_disk(maps, shape)
        else:
            self.u = torch.empty(shape, dtype=torch.float16)
            for k, u in enumerate(maps):
                self.u[k] = u

    def __len__(self) -> int:
        return len(self.ecg)

    def __getitem__(self, n: int | Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
        return self.u[n], self.ecg[n]


def normalization(train: Sequences) -> float:
    """SD (mV mm/ms) of the ECGs of the training tissues: what the network's output is multiplied by, for any tissue."""
    sd = train.ecg.std(-1)
    if not (sd.isfinite() & (sd > 0)).all():
        raise ValueError("train: expected ECGs that vary and are finite, got a flat trace or NaN")
    return float(train.ecg.std())


def batch_of(
    sequences: Sequences, members: Sequence[int] | Tensor, generator: torch.Generator, permutations: np.ndarray | None = None
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Maps (B, T, H, W) in float32 and ECGs of some tissues, turned at random where there are ``permutations``."""
    u, ecg = sequences[members]
    if permutations is not None:
        turns = torch.randint(8, (len(members),), generator=generator).tolist()
        u = torch.stack([apply_symmetry(maps, turn) for maps, turn in zip(u, turns, strict=True)])
        if ecg.ndim == 3:
            ecg = torch.stack([traces[permutations[turn]] for traces, turn in zip(ecg, turns, strict=True)])
    return u.float(), ecg


def loader(
    sequences: Sequences, batch: int, generator: torch.Generator, augment: bool = False, shuffle: bool = True
) -> torch.utils.data.DataLoader:
    """Batches: maps (B, T, H, W) float32, ECGs, indices (B,) of the tissues; all of their chance from ``generator``."""
    permutations = match_electrodes(sequences.electrodes, sequences.size) if augment else None

    def assemble(members: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        return *batch_of(sequences, members, generator, permutations), torch.tensor(members)

    indices: torch.utils.data.Dataset = range(len(sequences))  # type: ignore[assignment]  # all that a loader asks for
    return torch.utils.data.DataLoader(indices, batch, shuffle=shuffle, generator=generator, collate_fn=assemble)


def _with_D(u: Tensor, tissue: xr.Dataset) -> Tensor:
    """Maps (T, 2, H, W) from u (T, H, W): the voltage, and in every frame the same map of D."""
    D = torch.from_numpy(np.where(tissue.conductive.values, tissue.D.values, 0) / D_UNIT)[None]
    D = torch.nn.functional.avg_pool2d(D, D.shape[-1] // u.shape[-1])
    return torch.stack([u, D.to(u.dtype).expand_as(u)], 1)


def _check_distinct(name: str, chosen: Sequence, allowed: Sequence) -> None:
    wrong = [one for one in chosen if one not in allowed or list(chosen).count(one) > 1]
    if wrong or not chosen:
        raise ValueError(f"{name}: expected distinct ones of {allowed}, got {wrong or 'none'}")


def _on_disk(maps: Iterator[Tensor], shape: tuple[int, ...]) -> Tensor:
    """The maps in a nameless file of the cache, which is gone with the last who reads it: nothing old can be read."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=CACHE) as file:
        for u in maps:  # not through a memory map: a full disk has to be an error
            file.write(u.numpy().tobytes())
        file.flush()
        return torch.from_numpy(np.memmap(file, np.float16, "c", shape=shape))  # copy on write
