"""Trained networks on one's own maps: ``load_surrogate("structured").predict(maps, dx, dt, electrodes)``.

What is outside the range of the training is refused where the answer would mean nothing, and flagged where it may.
"""

import json
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from forwardecg.contract import V_SPAN, to_u
from forwardecg.data.maps import import_maps
from forwardecg.data.sources import Source
from forwardecg.ecg.electrodes import Electrodes, center_electrode
from forwardecg.ecg.leadfield import phi_e_attrs
from forwardecg.measure.bands import Reference, half_width, unusualness
from forwardecg.paths import MODELS
from forwardecg.surrogates.structured.fronts import Fronts, fronts, local_slowness
from forwardecg.surrogates.structured.model import (
    KAPPA,
    Conductivity,
    Inputs,
    Structured,
    faces,
    inner_gradients,
    inputs,
    lead_field,
)
from forwardecg.surrogates.weights import load_models

DX_RANGE = (0.4, 4.5)  # mm; trained at 2 and 4, finer maps are averaged
DT_RANGE = (0.5, 10.0)  # ms; trained at 5 and 10, faster ones are read at every k-th frame
MIN_FRAMES = 10  # at 5 to 10 ms
MIN_PASSED = 0.1  # share of the pixels that a front has to pass


class Seen(NamedTuple):
    """Maps as the networks take them, and what was found out about them.

    Parameters
    ----------
    u : (time, y, x), 0 to 1, averaged to pixels of the training
    dx : mm, their side
    inputs : of the networks
    fronts : that were seen
    flags : words on what was changed
    """

    u: Tensor  # (time, y, x), 0..1
    dx: float
    inputs: Inputs
    fronts: Fronts
    flags: list[str]


@dataclass(frozen=True)
class Surrogate:
    """An ensemble of structured networks, its ``card``, and the ``bands`` that were calibrated for it.

    Parameters
    ----------
    models : networks of the ensemble
    card : what they were trained on
    bands : what was calibrated for them

    Examples
    --------
    >>> surrogate = load_surrogate("structured")
    >>> surrogate.card["kind"], len(surrogate.models) == surrogate.card["members"]
    ('structured', True)
    """

    models: tuple[Structured, ...]
    card: dict
    bands: dict

    @torch.no_grad()
    def predict(
        self, maps: Source, dx: float | None = None, dt: float | None = None, electrodes: Electrodes | None = None, *,
        unit: str | None = None, fill: bool = False, kappa: float | None = None,
    ) -> xr.Dataset:  # fmt: skip
        """ECG at any electrode, and the conductivity it rests on, from voltage maps alone.

        Parameters
        ----------
        maps, dx, dt, unit : whatever `maps.import_maps` reads, with pixels of dx mm every dt ms, in mV or the given
            unit
        electrodes : places in mm from the corner of the sheet; None: 40 mm above its center
        fill : pixels with missing values (NaN) are filled in from their neighbors; False: they are an error
        kappa : ms, D / c^2 of the cell with c its velocity on a cable, `calibration.converged_cv`; None: that of
            FK_CAF, which the networks were trained on

        Returns
        -------
        out : phi_e (lead, time), its ensemble SD ``phi_e_sd`` and the band ``phi_e_low``, ``phi_e_high`` that holds the
            whole trace in 90 % of the tissues like those of the training, in mV mm/ms; the effective diffusivity ``D``
            (y_map, x_map) of the pixels in mm^2/ms, right to ``D_error`` in 90 % of them; ``share`` (y_map, x_map) of a
            pixel that conducts. Attributes: ``unusual``, over 1 where the maps are unlike those of the training, and
            ``flags``, words on what is; empty where all is as in training.

        Raises
        ------
        ValueError
            What `import_maps` refuses; pixels or frames outside the trained range, too few frames, no front that
            passes; an electrode nearer than half a pixel; kappa not above 0.

        Examples
        --------
        >>> from forwardecg.data.maps import load_small
        >>> small = load_small()
        >>> out = load_surrogate().predict(small.V_m[0], dx=2.0)
        >>> true = small.phi_e[0].sel(lead="center", time_ecg=small.time)
        >>> round(float(np.corrcoef(out.phi_e[0], true)[0, 1]), 1), out.attrs["flags"]
        (1.0, '')
        """
        if kappa is not None and not (math.isfinite(kappa) and kappa > 0):
            raise ValueError(f"kappa: expected a time > 0 ms, got {kappa}")
        if electrodes is not None and not isinstance(electrodes, Electrodes):
            raise ValueError(f"electrodes: expected Electrodes, such as center_electrode gives, got {type(electrodes)}")
        maps = import_maps(maps, dx=dx, dt=dt, unit=unit, fill=fill)
        seen = _seen(maps)
        places = electrodes or center_electrode(seen.u.shape[1:], seen.dx)  # type: ignore[arg-type]
        u = seen.u.flatten(1)
        G = inner_gradients(seen.u.shape[1:], seen.dx, places)  # type: ignore[arg-type]
        batch = Inputs(*(z[None] for z in seen.inputs))
        scale = 1.0 if kappa is None else kappa / self.card["kappa_cable"]
        found = [model(batch) for model in self.models]
        ecg = torch.stack([V_SPAN * scale * (lead_field(D, *G)[0].flatten(1) @ u.T) for D in found]).double().numpy()
        D = scale * torch.stack([pixel_diffusivity(one)[0] for one in found]).double().numpy()
        mean, sd = ecg.mean(0), ecg.std(0)
        half = self.bands["phi_e"]["factor"] * half_width(sd, mean, self.bands["phi_e"]["floor"])
        D_half = self.bands["D"]["factor"] * np.hypot(D.std(0), self.bands["D"]["floor"] * np.median(D.mean(0)))
        reference = Reference.from_card(self.bands["reference"])
        unusual = float(unusualness(reference, summary(seen.inputs, seen.fronts)[None])[0]) / reference.threshold
        flags = seen.flags + self._flags(seen, unusual)
        unit_D = {"units": "mm2 ms-1"}
        return xr.Dataset(
            {
                "phi_e": (("lead", "time"), mean, phi_e_attrs()),
                "phi_e_sd": (("lead", "time"), sd, phi_e_attrs() | {"long_name": "SD over the networks"}),
                "phi_e_low": (("lead", "time"), mean - half, phi_e_attrs() | {"long_name": "lower end of the 90 % band"}),
                "phi_e_high": (("lead", "time"), mean + half, phi_e_attrs() | {"long_name": "upper end of the 90 % band"}),
                "D": (("y_map", "x_map"), D.mean(0), unit_D | {"long_name": "inferred effective diffusivity"}),
                "D_error": (("y_map", "x_map"), D_half, unit_D | {"long_name": "error of D, kept in 90 % of pixels"}),
                "share": (("y_map", "x_map"), torch.stack([one.share[0] for one in found]).mean(0).numpy(), {"units": "1", "long_name": "share that conducts"}),
                "electrodes": (("lead", "xyz"), places.positions, {"units": "mm", "long_name": "electrode positions"}),
            },
            {"time": maps.time, "lead": list(places.names), "xyz": list("xyz")},
            {"dx_map": seen.dx, "unusual": unusual, "flags": "; ".join(flags), "weights": self.card["sha256"][:12]},
        )  # fmt: skip

    def _flags(self, seen: Seen, unusual: float) -> list[str]:
        speed = math.exp(0.5 * (float(seen.inputs.prior.median()) - math.log(KAPPA)))
        low, high = self.card["speed_range"]
        flags = [f"unlike the training: {unusual:.1f} times the threshold"] if unusual > 1 else []
        if not low <= speed <= high:
            flags.append(
                f"fronts of {speed:.2f} mm/ms, trained on {low:.2f} .. {high:.2f}: check dx = {seen.dx:g} mm and the times"
            )
        return flags


def pixel_diffusivity(D: Conductivity) -> Tensor:
    """Mean of the conductances of the faces of each pixel, (B, y, x) in mm^2/ms.

    Parameters
    ----------
    D : of the pixels

    Returns
    -------
    D : (B, y, x), mm^2/ms

    Examples
    --------
    >>> one = torch.full((1, 3, 3), 0.1)
    >>> round(pixel_diffusivity(Conductivity(one, one, one))[0, 1, 1].item(), 3)
    0.1
    """
    return mean_of_faces(*faces(D))


def mean_of_faces(D_x: Tensor, D_y: Tensor) -> Tensor:
    """Mean of the inner faces D_x (..., y, x-1), D_y (..., y-1, x) of each pixel, (..., y, x).

    Parameters
    ----------
    D_x, D_y : (..., y, x-1), (..., y-1, x), mm^2/ms

    Returns
    -------
    D : (..., y, x), mm^2/ms

    Examples
    --------
    >>> mean_of_faces(torch.tensor([[1.0], [1.0]]), torch.tensor([[3.0, 3.0]])).tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    pad = torch.nn.functional.pad
    total = sum(pad(D_x, side) for side in ((0, 1), (1, 0))) + sum(
        pad(D_y, side) for side in ((0, 0, 0, 1), (0, 0, 1, 0))
    )
    one_x, one_y = torch.ones_like(D_x), torch.ones_like(D_y)
    n = sum(pad(one_x, side) for side in ((0, 1), (1, 0))) + sum(
        pad(one_y, side) for side in ((0, 0, 0, 1), (0, 0, 1, 0))
    )
    return total / n  # type: ignore[return-value]


def summary(x: Inputs, f: Fronts) -> np.ndarray:
    """What tells one kind of maps from another, (k,): speed, duration, and mean and SD of the scalar fields over the pixels.

    Parameters
    ----------
    x : inputs of one movie
    f : its fronts

    Returns
    -------
    features : (k,)

    Examples
    --------
    >>> from forwardecg.surrogates.structured.data import MapSet
    >>> from forwardecg.data.maps import load_small
    >>> u = MapSet(load_small(), [0]).u[0].float()
    >>> f = fronts(u, 2.0, 5.0)
    >>> summary(inputs(f, 2.0, 5.0), f).shape
    (22,)
    """
    duration = f.duration[f.duration > 0]
    whole = [x.prior.median(), duration.median() if len(duration) else x.prior.new_zeros(())]
    fields = x.fields[[0, 2, 3, 4, 7, 8, 9, 10, 11, 12]].flatten(1)
    return torch.stack([*whole, *fields.mean(1), *fields.std(1)]).double().numpy()


def _seen(maps: xr.Dataset) -> Seen:
    """Maps in range, averaged and thinned to what the networks were trained on."""
    dx, dt = maps.attrs["dx_map"], float(maps.time[1] - maps.time[0])
    for name, value, unit, (low, high) in (("dx", dx, "mm", DX_RANGE), ("dt", dt, "ms", DT_RANGE)):
        if not low <= value <= high:
            raise ValueError(
                f"{name}: expected {low:g} .. {high:g} {unit}, which the networks are made for, got {value:g}"
            )
    u, flags = torch.from_numpy(to_u(maps.V_m.values.astype(np.float32))), []
    pool, stride = max(round(2 / dx), 1), max(math.ceil(5 / dt - 1e-9), 1)
    n_y, n_x = (n // pool * pool for n in u.shape[1:])
    if (n_y, n_x) != (*u.shape[1:],):
        flags.append(f"cropped from {u.shape[1]} x {u.shape[2]} to {n_y} x {n_x} pixels, a multiple of {pool}")
    if min(n_y, n_x) < 8 * pool:
        raise ValueError(f"maps: expected at least 8 x 8 pixels of {pool * dx:g} mm, got {n_y // pool} x {n_x // pool}")
    u = torch.nn.functional.avg_pool2d(u[:, :n_y, :n_x], pool) if pool > 1 else u
    if (n := math.ceil(len(u) / stride)) < MIN_FRAMES:
        raise ValueError(f"maps: expected at least {MIN_FRAMES} frames every {stride * dt:g} ms, got {n}")
    f = fronts(u[::stride], pool * dx, stride * dt)
    passed = float((f.count > 0).float().mean()) if local_slowness(f).isfinite().all() else 0.0
    if passed < MIN_PASSED:
        raise ValueError(f"maps: expected a front that passes {MIN_PASSED:.0%} of the pixels or more, got {passed:.1%}")
    return Seen(u, pool * dx, inputs(f, pool * dx, stride * dt), f, flags)


def load_surrogate(name: str = "structured") -> Surrogate:
    """The published structured networks of this name and their bands.

    Parameters
    ----------
    name : of the files

    Returns
    -------
    surrogate : ready to predict

    Raises
    ------
    ValueError
        Files that are missing or damaged, no structured network, or bands of other weights.

    Examples
    --------
    >>> import forwardecg
    >>> surrogate = forwardecg.load_surrogate("structured")
    >>> round(surrogate.card["kappa_cable"], 2)
    0.23
    """
    models, card = load_models(MODELS / f"{name}.safetensors")
    path = MODELS / f"{name}_bands.json"
    if card["kind"] != "structured" or not path.is_file():
        raise ValueError(f"name: expected a structured surrogate with calibrated bands, got {name!r}")
    bands = json.loads(path.read_text(encoding="utf-8"))
    if bands.get("weights") != card["sha256"]:
        raise ValueError(f"{path.name}: expected bands that were calibrated for these weights, got those of others")
    return Surrogate(tuple(models), card, bands)  # type: ignore[arg-type]  # by their kind
