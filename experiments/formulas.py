"""The methods without a network: what the mean, a linear map, and lead fields of one, of inferred and of known D achieve."""

from functools import cached_property, lru_cache

import numpy as np

from experiments.common import Maps, central_ecg, resample, sequences
from experiments.tissues import Tissues, open_set, parts, recipe
from forwardecg.contract import to_u
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.surrogates.baselines import (
    blind_diffusivity,
    ecg_from_diffusivity,
    ecg_from_upscaled,
    fit_kappa,
    mean_ecg,
    pool_diffusivity,
    ridge,
    training_free_ecg,
)
from forwardecg.surrogates.paper.data import D_UNIT, Sequences


class Formulas:
    """The methods, fitted where they need it to the training tissues."""

    def __init__(self, tissues: Tissues, maps: Maps):
        own = recipe()
        self.parts, self.maps, self.dx = parts(tissues), maps, own.n_cells * own.dx / maps.pixels
        self.electrode = center_electrode(own.grid, own.z_mm)

    @cached_property
    def train(self) -> Sequences:
        return sequences(self.parts["train"], self.maps)

    @cached_property
    def D(self) -> np.ndarray:
        """The one D that fits the training tissues best, on every pixel."""
        return np.full((self.maps.pixels,) * 2, blind_diffusivity(self.train, self.dx, self.electrode))

    @cached_property
    def kappa(self) -> float:
        return fit_kappa(self.train, self.dx, self.electrode)

    def ecgs(self, method: str, name: str, sims: tuple[int, ...]) -> np.ndarray:
        """ECGs (n, T) in mV mm/ms by one of the methods, at the central electrode of tissues of a set."""
        ds, own, place = open_set(name), recipe(name), self.electrode
        t, dx, test = ds.time.values, own.dx * own.pool, sequences(((name, sims),), self.maps)
        cells = ((to_u(ds.V_m[k].values), ds.D[k].values.astype(float), ds.conductive[k].values) for k in sims)
        match method:
            case "mean ECG":
                return mean_ecg(self.train, len(sims))
            case "ridge":
                ecg, _ = ridge(self.train, sequences(self.parts["val"], self.maps), test)
                return resample(ecg, test.t.numpy(), t)
            case "blind lead field":
                traces = [ecg_from_diffusivity(u.numpy(), self.D, self.dx, place) for u in test.u]
            case "training-free D":
                traces = [training_free_ecg(u, dx, own.frame_interval, self.kappa, place)[0] for u, _, _ in cells]
            case "true D, pooled maps":
                pooled = ((u, pool_diffusivity(D, live, own.pool)) for u, D, live in cells)
                traces = [ecg_from_diffusivity(u, D, dx, place) for u, D in pooled]
            case "true D, upscaled maps":
                traces = [ecg_from_upscaled(*cell, own.pool, dx, place)[0] for cell in cells]
            case (
                "lead field on the same input"
            ):  # of the D that the network of `ablations_known_d` has beside the voltage
                known = ((u[:, 0].numpy(), D_UNIT * u[0, 1].double().numpy()) for u in test.u)
                ecg = np.array([ecg_from_diffusivity(u, D, self.dx, place) for u, D in known])
                return resample(ecg, test.t.numpy(), t)
            case "truth, every 10 ms":  # what the frames of the network alone cost
                kept = slice(None, None, round(self.maps.frame_interval / (t[1] - t[0])))
                return resample(central_ecg(name, sims)[:, kept], t[kept], t)
            case _:
                raise ValueError(f"method: expected one without a network, got {method!r}")
        return np.array(traces)


formulas = lru_cache(4)(Formulas)  # kappa takes minutes
