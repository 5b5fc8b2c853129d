"""Sets of tissues as the structured surrogate is trained on them: maps, ECGs, fronts in several views, labels."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn import functional as F

from forwardecg.cache import code_hash, key, versions_of
from forwardecg.contract import V_SPAN, count, counts, instance, to_u
from forwardecg.data.lost import fill_lost
from forwardecg.ecg.pixels import conductive_share, upscale_faces
from forwardecg.paths import CACHE, progress
from forwardecg.surrogates.files import read_tensors, write_tensors
from forwardecg.surrogates.structured.fronts import PLATEAU, RESTITUTION, Cell, read_fronts
from forwardecg.surrogates.structured.model import KAPPA, Inputs, make_inputs

VERSION = 1  # of what is read off the maps: raised when tests/versions says that it has changed
CODE = ("data/lost", "ecg/pixels", *(f"surrogates/structured/{name}" for name in ("data", "fronts", "model")))
_FK_CAF = Cell("FK-CAF", KAPPA, PLATEAU, RESTITUTION, torch.empty(0, 0))
_LABELS = ("D_x", "D_y", "share")  # of inner faces and of pixels, upscaled from the cells


class View(NamedTuple):
    """How the maps of a tissue are seen in training."""

    pool: int = 1  # pixels along the side of the squares that are averaged
    stride: int = 1  # every so many frames
    noise: float = 0.0  # Gaussian noise of SD up to this share of the action potential
    lost: float = 0.0  # up to this share of the pixels is filled in


# Views of training, and their shares of the batches
VIEWS = {View(): 0.55, View(pool=2): 0.15, View(stride=2): 0.15, View(noise=0.03, lost=0.05): 0.15}


def coarsen(u: Tensor, pool: int) -> Tensor:
    """Plain means over squares of pool x pool pixels of maps (..., y, x)."""
    return u if pool == 1 else F.avg_pool2d(u.flatten(0, -3), pool).reshape(*u.shape[:-2], u.shape[-2] // pool, -1)


def degrade(u: Tensor, view: View, rng: np.random.Generator) -> Tensor:
    """Maps (time, y, x) in 0..1 with noise and lost pixels, their amounts drawn from 0 to those of the view."""
    if not (view.noise or view.lost):
        return u
    noise = rng.uniform(0, view.noise) * rng.standard_normal(u.shape, np.float32)
    lost = torch.from_numpy(rng.random(u.shape[1:]) < rng.uniform(0, view.lost))
    return fill_lost(u + torch.from_numpy(noise), lost)


class MapSet:
    """Tissues for the structured surrogate: maps u (n, time, y, x) float16, ECGs (n, lead, time) in units of V_SPAN, and
    for each view the `Inputs` of all tissues.

    Args:
        ds: data set of `load_or_simulate`.
        sims: indices of its tissues, whole numbers from 0 on.
        views: see `View`.
        seed: of noise and lost pixels.
        cell: what the maps are read with; None: the constants of FK_CAF.

    Raises:
        ValueError: No such data set, or no such tissue.

    Examples:
        >>> from forwardecg.data.maps import load_small
        >>> maps = MapSet(load_small(), sims=[0, 2])
        >>> maps.u.shape[2:], maps.ecg.shape[:2], maps.inputs[0].fields.shape
        (torch.Size([100, 100]), torch.Size([2, 37]), torch.Size([2, 22, 100, 100]))
    """

    def __init__(
        self, ds: xr.Dataset, sims: Sequence[int], views: Sequence[View] = (View(),), seed: int = 0, cell: Cell | None = None
    ):  # fmt: skip
        if not {"sim", "lead", "time"} <= {*instance("ds", ds, xr.Dataset).dims}:
            raise ValueError(f"ds: expected a data set of load_or_simulate, got dims {[*ds.dims]}")
        self.sims = counts("sims", sims, 0, ds.sizes["sim"] - 1)
        if not self.sims:
            raise ValueError("sims: expected at least one tissue, got none")
        self.leads, self.views = ds.lead.values.tolist(), tuple(instance("views", views, (list, tuple), "of View"))
        seed = count("seed", seed, 0, 2**63 - 1)
        self.positions, self.dt = ds.electrodes.values, float(ds.time[1] - ds.time[0])
        self.dx = 2 * float(ds.electrodes.sel(lead="center")[0]) / ds.sizes["x_map"]
        ecg = ds.phi_e.isel(sim=self.sims).sel(time_ecg=ds.time.values, method="nearest", tolerance=1e-6)
        self.ecg = torch.from_numpy(ecg.values / V_SPAN).float()
        self.u = torch.empty(len(self.sims), *(ds.sizes[d] for d in ("time", "y_map", "x_map")), dtype=torch.float16)
        for k, sim in enumerate(self.sims):
            self.u[k] = torch.from_numpy(to_u(ds.V_m[sim].values.astype(np.float32)))
        prepared = self._load_or_prepare(ds, seed, cell)
        self.inputs = [Inputs(*(prepared[f"{view}.{name}"] for name in Inputs._fields)) for view in self.views]
        self.truth = {v.pool: [prepared[f"{v.pool}.{name}"] for name in _LABELS] for v in self.views}

    def _load_or_prepare(self, ds: xr.Dataset, seed: int, cell: Cell | None) -> dict[str, Tensor]:
        """Inputs and labels of all tissues, from the cache where this set was prepared by this version before."""
        cell, own = (cell, (cell.kappa, cell.plateau, cell.restitution.tolist())) if cell else (_FK_CAF, ())
        name = key("fronts", VERSION, ds.attrs.get("store"), self.sims, self.views, seed, *own)
        path = CACHE / "fronts" / f"{name}.safetensors"
        if "store" in ds.attrs and path.exists():
            return read_tensors(path)[0]
        n, fine, rows = len(self.sims), ds.sizes["x"] // ds.sizes["x_map"], list[dict[str, Tensor]]()
        started = spoke = monotonic()

        def prepare(k: int) -> dict[str, Tensor]:
            u, row = self.u[k].float(), dict[str, Tensor]()
            for view in self.views:
                z = degrade(coarsen(u, view.pool)[:: view.stride], view, np.random.default_rng([seed, self.sims[k]]))
                dx, dt = self.dx * view.pool, self.dt * view.stride
                seen = make_inputs(read_fronts(z, dx, dt, cell.restitution), dx, dt, cell.kappa, cell.plateau)
                row |= {f"{view}.{name}": z for name, z in zip(Inputs._fields, seen, strict=True)}
            D, conductive = ds.D[self.sims[k]].values.astype(float), ds.conductive[self.sims[k]].values
            for pool in {view.pool for view in self.views}:
                g = upscale_faces(D, conductive, fine * pool)
                known = (g.D_x[:, 1:-1], g.D_y[1:-1], conductive_share(conductive, fine * pool))
                row |= {f"{pool}.{name}": torch.from_numpy(z).float() for name, z in zip(_LABELS, known, strict=True)}
            return row

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for k, row in enumerate(pool.map(prepare, range(n)), 1):
                rows.append(row)
                if monotonic() - spoke > 10:
                    spoke = monotonic()
                    progress(f"fronts: {k} of {n} tissues, about {(spoke - started) * (n - k) / k:.0f} s left")
        prepared = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
        if "store" in ds.attrs:
            path.parent.mkdir(parents=True, exist_ok=True)
            about = {"code": code_hash(CODE), "made_with": versions_of("torch", "numpy")}
            write_tensors(part := path.with_suffix(f".{os.getpid()}.part"), prepared, about)
            os.replace(part, path)
        return prepared

    def subset(self, sims: Sequence[int]) -> "MapSet":
        """Some of the tissues, by their number in the data set; nothing is computed again."""
        at = torch.tensor([self.sims.index(int(sim)) for sim in sims])
        part = object.__new__(MapSet)
        part.__dict__ |= self.__dict__ | {"sims": [int(sim) for sim in sims], "u": self.u[at], "ecg": self.ecg[at]}
        part.inputs = [Inputs(*(z[at] for z in seen)) for seen in self.inputs]
        part.truth = {pool: [z[at] for z in known] for pool, known in self.truth.items()}
        return part
