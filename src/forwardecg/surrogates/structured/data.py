"""Sets of tissues as the structured surrogate is trained on them: maps, ECGs of all electrodes, fronts in several views, labels."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from forwardecg.cache import code_hash, key, made_with
from forwardecg.contract import V_SPAN, to_u
from forwardecg.data.maps import filled
from forwardecg.ecg.pixels import conducting_share, upscaled_faces
from forwardecg.paths import CACHE, progress
from forwardecg.surrogates.structured.fronts import fronts
from forwardecg.surrogates.structured.model import Inputs, inputs

VERSION = 1  # of what is read off the maps: raised when tests/versions says that it has changed
CODE = ("ecg/pixels", *(f"surrogates/structured/{name}" for name in ("data", "fronts", "model")))


class View(NamedTuple):
    """How the maps of a tissue are seen in training: pixels averaged in squares of ``pool``, every ``stride``-th frame,
    Gaussian noise of SD up to ``noise`` (of the action potential), up to a share ``lost`` of the pixels filled in.

    Parameters
    ----------
    pool : pixels along the side of the squares that are averaged
    stride : every so many frames
    noise : largest SD
    lost : largest share of the pixels
    """

    pool: int = 1
    stride: int = 1
    noise: float = 0.0
    lost: float = 0.0


VIEWS = {
    View(): 0.55,
    View(pool=2): 0.15,
    View(stride=2): 0.15,
    View(noise=0.03, lost=0.05): 0.15,
}  # shares of the batches


LABELS = ("D_x", "D_y", "share")  # of inner faces and of pixels, upscaled from the cells


def pooled(u: Tensor, pool: int) -> Tensor:
    """Plain means over squares of pixels of maps (..., y, x).

    Parameters
    ----------
    u : (..., y, x)
    pool : pixels along the side of a square

    Returns
    -------
    u : (..., y / pool, x / pool)

    Examples
    --------
    >>> pooled(torch.tensor([[[1.0, 3.0], [5.0, 7.0]]]), 2).tolist()
    [[[4.0]]]
    """
    return u if pool == 1 else F.avg_pool2d(u.flatten(0, -3), pool).reshape(*u.shape[:-2], u.shape[-2] // pool, -1)


def degraded(u: Tensor, view: View, rng: np.random.Generator) -> Tensor:
    """Maps with noise and lost pixels, their amounts drawn from 0 to those of the view.

    Parameters
    ----------
    u : (time, y, x), 0 to 1
    view : how much
    rng : where the chance comes from

    Returns
    -------
    u : (time, y, x)

    Examples
    --------
    >>> u = torch.zeros(3, 8, 8)
    >>> degraded(u, View(), np.random.default_rng(0)) is u
    True
    >>> float(degraded(u, View(noise=0.03), np.random.default_rng(0)).abs().max()) < 0.2
    True
    """
    if not (view.noise or view.lost):
        return u
    noise = rng.uniform(0, view.noise) * rng.standard_normal(u.shape, np.float32)
    lost = torch.from_numpy(rng.random(u.shape[1:]) < rng.uniform(0, view.lost))
    return filled(u + torch.from_numpy(noise), lost)


class MapSet:
    """Tissues for the structured surrogate: maps u (n, time, y, x) float16, ECGs (n, lead, time) in units of V_SPAN, and
    for each view the `Inputs` of all tissues.

    Parameters
    ----------
    ds : data set of `load_or_simulate`
    sims : indices of its tissues
    views : see `View`
    seed : of noise and lost pixels

    Examples
    --------
    >>> from forwardecg.data.maps import load_small
    >>> maps = MapSet(load_small(), sims=[0, 2])
    >>> maps.u.shape[2:], maps.ecg.shape[:2], maps.inputs[0].fields.shape
    (torch.Size([100, 100]), torch.Size([2, 37]), torch.Size([2, 22, 100, 100]))
    """

    def __init__(self, ds: xr.Dataset, sims: Sequence[int], views: Sequence[View] = (View(),), seed: int = 0):
        self.sims, self.leads, self.views = [int(sim) for sim in sims], ds.lead.values.tolist(), tuple(views)
        self.positions, self.dt = ds.electrodes.values, float(ds.time[1] - ds.time[0])
        self.dx = 2 * float(ds.electrodes.sel(lead="center")[0]) / ds.sizes["x_map"]
        ecg = ds.phi_e.isel(sim=self.sims).sel(time_ecg=ds.time.values, method="nearest", tolerance=1e-6)
        self.ecg = torch.from_numpy(ecg.values / V_SPAN).float()
        self.u = torch.empty(len(self.sims), *(ds.sizes[d] for d in ("time", "y_map", "x_map")), dtype=torch.float16)
        for k, sim in enumerate(self.sims):
            self.u[k] = torch.from_numpy(to_u(ds.V_m[sim].values.astype(np.float32)))
        prepared = self._load_or_prepare(ds, seed)
        self.inputs = [Inputs(*(prepared[f"{view}.{name}"] for name in Inputs._fields)) for view in self.views]
        self.truth = {v.pool: [prepared[f"{v.pool}.{name}"] for name in LABELS] for v in self.views}

    def _load_or_prepare(self, ds: xr.Dataset, seed: int) -> dict[str, Tensor]:
        """Inputs and labels of all tissues, from the cache where this set was prepared by this code before."""
        name = key("fronts", VERSION, ds.attrs.get("store"), self.sims, self.views, seed)
        path = CACHE / "fronts" / f"{name}.safetensors"
        if "store" in ds.attrs and path.exists():
            return load_file(path)
        n, fine, rows = len(self.sims), ds.sizes["x"] // ds.sizes["x_map"], [None] * len(self.sims)
        started = spoke = monotonic()

        def prepare(k: int) -> None:
            u, row = self.u[k].float(), {}  # type: ignore[var-annotated]
            for view in self.views:
                seen = self._seen(u, view, np.random.default_rng([seed, self.sims[k]]))
                row |= {f"{view}.{name}": z for name, z in zip(Inputs._fields, seen, strict=True)}
            D, conductive = ds.D[self.sims[k]].values.astype(float), ds.conductive[self.sims[k]].values
            for pool in {view.pool for view in self.views}:
                g = upscaled_faces(D, conductive, fine * pool)
                known = (g.D_x[:, 1:-1], g.D_y[1:-1], conducting_share(conductive, fine * pool))
                row |= {f"{pool}.{name}": torch.from_numpy(z).float() for name, z in zip(LABELS, known, strict=True)}
            rows[k] = row  # type: ignore[call-overload]

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for k, _ in enumerate(pool.map(prepare, range(n)), 1):
                if monotonic() - spoke > 10:
                    spoke = monotonic()
                    progress(f"fronts: {k} of {n} tissues, about {(spoke - started) * (n - k) / k:.0f} s left")
        prepared = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}  # type: ignore[attr-defined, index]
        if "store" in ds.attrs:
            path.parent.mkdir(parents=True, exist_ok=True)
            about = {"code": code_hash(CODE), "made_with": made_with("torch", "numpy")}
            save_file(prepared, part := path.with_suffix(f".{os.getpid()}.part"), about)
            os.replace(part, path)
        return prepared

    def _seen(self, u: Tensor, view: View, rng: np.random.Generator) -> Inputs:
        u = degraded(pooled(u, view.pool)[:: view.stride], view, rng)
        dx, dt = self.dx * view.pool, self.dt * view.stride
        return inputs(fronts(u, dx, dt), dx, dt)

    def subset(self, sims: Sequence[int]) -> "MapSet":
        """Some of the tissues, by their number in the data set; nothing is computed again.

        Parameters
        ----------
        sims : numbers in the data set, of tissues that are in this set

        Returns
        -------
        part : another `MapSet`

        Raises
        ------
        ValueError
            A tissue that is not in this set.

        Examples
        --------
        >>> from forwardecg.data.maps import load_small
        >>> MapSet(load_small(), sims=[0, 2]).subset([2]).sims
        [2]
        """
        at = torch.tensor([self.sims.index(int(sim)) for sim in sims])
        part = object.__new__(MapSet)
        part.__dict__ |= self.__dict__ | {"sims": [int(sim) for sim in sims], "u": self.u[at], "ecg": self.ecg[at]}
        part.inputs = [Inputs(*(z[at] for z in seen)) for seen in self.inputs]
        part.truth = {pool: [z[at] for z in known] for pool, known in self.truth.items()}
        return part
