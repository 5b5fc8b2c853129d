"""Trained networks on one's own maps: what is unlike the training is flagged, or refused where it means nothing."""

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol, overload

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike
from torch import Tensor

from forwardecg.contract import V_SPAN, instance, number, one_of, to_u
from forwardecg.data.maps import Source, import_maps
from forwardecg.ecg.electrodes import Electrodes, center_electrode
from forwardecg.paths import MODELS
from forwardecg.surrogates.paper.data import network_maps
from forwardecg.surrogates.paper.model import Seq2Seq
from forwardecg.surrogates.recording import QUIET, as_result, frames_of, inspect, reading_of, unlike_one_beat
from forwardecg.surrogates.seen import Seen, read_tissue
from forwardecg.surrogates.structured.fronts import MIN_PASSED
from forwardecg.surrogates.structured.model import (
    Conductivity,
    Inputs,
    Structured,
    batched_lead_field,
    describe_maps,
    inner_gradients,
    pixel_diffusivity,
)  # fmt: skip
from forwardecg.surrogates.trust import how_sure
from forwardecg.surrogates.weights import KINDS, load_models, read_bands
from forwardecg.tissue.grid import Grid

DX_RANGE = (0.4, 4.5)  # mm; trained at 2 and 4, finer maps are averaged
DT_RANGE = (0.5, 10.0)  # ms; trained at 5 and 10, faster ones are read at every k-th frame
KAPPA_RANGE = (0.01, 10.0)  # ms; 0.1 to 1 in the cells of `tissue.cell`
MIN_FRAMES = 10  # at 5 to 10 ms


class Surrogate(Protocol):
    """A trained surrogate, as `load_surrogate` gives it.

    Examples:
        >>> load_surrogate("paper").card["kind"]
        'paper'
    """

    @property
    def card(self) -> dict:
        """What it was trained on, and what `weights.save_models` says of the weights."""

    def predict(
        self, maps: Source, dx: float | None = None, dt: float | None = None, electrodes: Electrodes | None = None, *,
        unit: str | None = None, fill: bool = False, mask: ArrayLike | None = None, **labels: Any,
    ) -> xr.Dataset:  # fmt: skip
        """The ECG of voltage maps, from them alone.

        Args:
            maps: whatever `maps.import_maps` reads.
            dx: mm, side of a pixel; not needed where the maps say it.
            dt: ms between frames; not needed where the maps say it.
            electrodes: places in mm in the frame of the maps' coordinates y and x, or from the corner of the sheet where they
                have none with a unit; None: 40 mm above its center.
            unit: of the maps, such as mV; not needed where they say it.
            fill: missing values (NaN) are filled in, as `import_maps` says; False: they are an error.
            mask: (y, x) bool, True where there is tissue; None: everywhere, but in pixels that are constant and not at rest.
            **labels: ``variable``, ``dims`` and ``counts``, as `import_maps` takes them.

        Returns:
            out: phi_e (lead, time_ecg) in mV mm/ms, the ``electrodes``, and the attribute ``flags``: words on what is unlike
                the training or of no tissue, empty where nothing is. Further attributes say how the maps were read: ``size``
                and ``orientation`` of the sheet, ``dx_map``, and what was filled in.

        Raises:
            ValueError: What `import_maps` refuses, and maps or electrodes for which the answer would mean nothing.
        """


@dataclass(frozen=True)
class StructuredSurrogate:
    """An ensemble of structured networks, its ``card``, and the ``bands`` that were calibrated for it."""

    models: tuple[Structured, ...]
    card: dict
    bands: dict

    @torch.no_grad()
    def predict(
        self, maps: Source, dx: float | None = None, dt: float | None = None, electrodes: Electrodes | None = None, *,
        unit: str | None = None, fill: bool = False, mask: ArrayLike | None = None, kappa: float | None = None, **labels: Any,
    ) -> xr.Dataset:  # fmt: skip
        """`Surrogate.predict` at any electrodes, with bands, and the conductivity that the ECG rests on.

        Beside phi_e: its ensemble SD ``phi_e_sd``; the band ``phi_e_low``, ``phi_e_high`` that holds the whole trace in 90 % of
        the tissues like those of the training; ``phi_e_error``, which the error stays below in 90 % of the samples; and
        ``expected_error`` (lead), relative to the RMS of phi_e. Further the effective diffusivity ``D`` (y_map, x_map) of the
        pixels in mm^2/ms, right to ``D_error`` in 90 % of them; ``share`` (y_map, x_map) of a pixel that conducts. The attribute
        ``unusual`` is over 1 where the maps are unlike those of the training, ``speed`` (mm/ms) is that of the fronts, ``cell``
        the nearest one of the training, ``rest`` and ``amplitude`` (mV) those of the recording, to which the ECG is scaled.
        Where there is no tissue, D is NaN. ``kappa`` (ms): D / c^2 of the cell with c its velocity on a cable,
        `calibration.converged_cv`; None: that of ``cell``.
        """
        kappa = None if kappa is None else number("kappa", kappa, *KAPPA_RANGE, unit="ms")
        _check(electrodes)
        maps, odd = inspect(import_maps(maps, dx=dx, dt=dt, unit=unit, fill=fill, mask=mask, **labels))
        seen = see_maps(maps, self.card, kappa is None)
        n_y, n_x = seen.u.shape[1:]
        grid = Grid((n_y, n_x), seen.dx)
        local, places = frames_of(electrodes, center_electrode(grid), maps)
        u, G = seen.u.flatten(1), inner_gradients(grid, local)
        batch = Inputs(*(z[None] for z in seen.inputs))
        scale = 1.0 if kappa is None else kappa / self.card["kappa_cable"]
        found = [_within(seen.tissue, model(batch)) for model in self.models]
        volts = maps.attrs.get("amplitude", V_SPAN)  # mV that u counts in
        weights = torch.cat([batched_lead_field(one, *G) for one in found])  # (network, lead, y, x)
        traces = volts * scale * (weights.flatten(0, 1).flatten(1) @ u.T)
        ecg = traces.unflatten(0, weights.shape[:2]).double().numpy()
        D = scale * torch.stack([pixel_diffusivity(one)[0] for one in found]).double().numpy()
        mean, sd = ecg.mean(0), ecg.std(0)
        inside = np.ones((n_y, n_x), bool) if seen.tissue is None else seen.tissue.numpy()
        D_half = self.bands["D"]["factor"] * np.hypot(D.std(0), self.bands["D"]["floor"] * np.median(D.mean(0)[inside]))
        step = float(maps.time[1] - maps.time[0])
        described = describe_maps(seen.of_tissue, seen.fronts)
        known = kappa is not None or seen.cell != "unknown"
        sigma, expected, unusual, doubts = how_sure(self.bands, described, mean, sd, seen.dx, seen.dt, step, known)
        half = self.bands["phi_e"]["factor"] * sigma
        speed = math.exp(0.5 * (float(seen.of_tissue.prior.median()) - math.log(seen.kappa)))
        flags = odd + seen.flags + doubts + self._flags(seen, maps.attrs["dx_map"], speed)
        variables = {
            "phi_e": (mean, ""), "phi_e_sd": (sd, "SD over the networks"),
            "phi_e_low": (mean - half, "lower end of the 90 % band"), "phi_e_high": (mean + half, "upper end of the 90 % band"),
            "phi_e_error": (self.bands["phi_e"]["pointwise_factor"] * sigma, "error of phi_e, kept in 90 % of samples"),
        }  # fmt: skip
        out = as_result(
            variables,
            maps.time.values,
            places,
            self.card,
            flags,
            dx_map=seen.dx,
            unusual=unusual,
            speed=speed,
            cell=seen.cell,
        )
        share = torch.stack([one.share[0] for one in found]).mean(0).numpy()
        for name, values, units, words in (
            ("D", D.mean(0), "mm2 ms-1", "inferred effective diffusivity"),
            ("D_error", D_half, "mm2 ms-1", "error of D, kept in 90 % of pixels"),
            ("share", share, "1", "share that conducts"),
        ):
            out[name] = (("y_map", "x_map"), np.where(inside, values, np.nan), {"units": units, "long_name": words})
        out["expected_error"] = ("lead", expected, {"units": "1", "long_name": "expected error over the RMS of phi_e"})
        for dim, n in (("y_map", n_y), ("x_map", n_x)):
            if dim in maps.coords:  # the centers of what was averaged
                centers = maps[dim].values[: n * seen.pool].reshape(n, seen.pool).mean(1)
                out = out.assign_coords({dim: (dim, centers, maps[dim].attrs)})
        return out.assign_attrs(reading_of(maps))

    def _flags(self, seen: Seen, dx: float, speed: float) -> list[str]:
        (low, high), flags = self.card["speed_range"], list[str]()
        if not low <= speed <= high:
            averaged = f", averaged {seen.pool} x {seen.pool} to {seen.dx:g} mm," if seen.pool > 1 else ""
            ranges = f"fronts of {speed:.2f} mm/ms, trained on {low:.2f} .. {high:.2f}"
            flags.append(f"{ranges}: check dx = {dx:g} mm{averaged} and the times")
        return flags


@dataclass(frozen=True)
class PaperSurrogate:
    """The paper's network and its ``card``: made for one size of sheet, one clock, one beat and one electrode."""

    model: Seq2Seq
    card: dict

    @torch.no_grad()
    def predict(
        self, maps: Source, dx: float | None = None, dt: float | None = None, electrodes: Electrodes | None = None, *,
        unit: str | None = None, fill: bool = False, mask: ArrayLike | None = None, **labels: Any,
    ) -> xr.Dataset:  # fmt: skip
        """`Surrogate.predict` at the one electrode and the times (ms from the first frame) that the network was trained on.

        A recording may end earlier, if the sheet is at rest by then.
        """
        _check(electrodes)
        pixels, data, t = self.card["config"]["pixels"], self.card["data"], np.array(self.card["time"], np.float32)
        size, clock = data["n_cells"] * data["dx"], float(t[1] - t[0])
        center = center_electrode(Grid((data["n_cells"],) * 2, data["dx"]), data["z_mm"])
        maps, odd = inspect(import_maps(maps, dx=dx, dt=dt, unit=unit, fill=fill, mask=mask, **labels))
        local, places = frames_of(electrodes, center, maps)
        if local.positions.shape != (1, 3) or not np.allclose(local.positions, center.positions, atol=1e-3):
            at = center.positions.tolist()
            expected = f"expected the one that the network was trained on, {at} mm from the corner"
            raise ValueError(f"electrodes: {expected}, got {local.positions.tolist()}")
        side, step = maps.attrs["dx_map"], float(maps.time[1] - maps.time[0])
        _, n_y, n_x = maps.V_m.shape
        if n_y != n_x or n_x % pixels or not math.isclose(n_x * side, size, rel_tol=1e-3):
            expected = f"expected a square sheet of {size:g} mm in a multiple of {pixels} pixels"
            raise ValueError(f"maps: {expected}, got {n_y} x {n_x} of {side:g} mm")
        stride = max(round(clock / step), 1)
        if not math.isclose(stride * step, clock, rel_tol=1e-6):
            expected = f"expected a divisor of the {clock:g} ms between frames of the training"
            raise ValueError(f"dt: {expected}, got {step:g} ms")
        u = network_maps(maps.V_m, pixels)[::stride].float()
        if (n := len(u)) > len(t) or n < len(t) and u[-1].max() > QUIET:
            expected = f"expected {t[-1]:g} ms from the stimulus on, or less that ends at rest"
            raise ValueError(f"maps: {expected}, got {clock * (n - 1):g} ms")
        u = torch.cat([u, u.new_zeros(len(t) - n, pixels, pixels)])
        volts = maps.attrs.get("amplitude", V_SPAN) / V_SPAN
        ecg = volts * self.card["scale"] * self.model(u[None], torch.from_numpy(t))[0][:, :n].numpy()
        variables = {"phi_e": (ecg.astype(float), "")}
        flags = odd + unlike_one_beat(u)
        out = as_result(variables, maps.time.values[::stride], places, self.card, flags, dx_map=size / pixels)
        return out.assign_attrs(reading_of(maps))


@overload
def load_surrogate(name: Literal["structured"] = ...) -> StructuredSurrogate: ...
@overload
def load_surrogate(name: Literal["paper"]) -> PaperSurrogate: ...
def load_surrogate(name: str = "structured") -> StructuredSurrogate | PaperSurrogate:
    """The published networks of this name, ready to predict.

    Args:
        name: structured, five networks with their bands; or paper, the paper's architecture.

    Returns:
        surrogate: `Surrogate`.

    Raises:
        ValueError: Another name; files that are missing or damaged; bands of other weights.

    Examples:
        >>> from forwardecg.data.maps import load_small
        >>> small = load_small()
        >>> out = load_surrogate("structured").predict(small.V_m[0], dx=2.0)
        >>> true = small.phi_e[0].sel(lead="center", time_ecg=out.time_ecg)
        >>> round(float(np.corrcoef(out.phi_e[0], true)[0, 1]), 1), out.attrs["flags"]
        (1.0, '')
    """
    one_of("name", name, KINDS)
    models, card = load_models(MODELS / f"{name}.safetensors")
    if card["kind"] != name:
        raise ValueError(f"{name}.safetensors: expected networks of this kind, got {card['kind']}")
    if name == "paper":
        return PaperSurrogate(models[0], card)
    path = MODELS / f"{name}_bands.json"
    if not path.is_file():
        raise ValueError(f"name: expected a structured surrogate with calibrated bands, got no {path.name}")
    return StructuredSurrogate(tuple(models), card, read_bands(path, card["sha256"]))


def see_maps(maps: xr.Dataset, card: dict | None = None, unknown_kappa: bool = True) -> Seen:
    """Maps of `import_maps` in range, averaged and thinned to what the structured networks were trained on."""
    dx, dt = maps.attrs["dx_map"], float(maps.time[1] - maps.time[0])
    for name, value, unit, (low, high) in (("dx", dx, "mm", DX_RANGE), ("dt", dt, "ms", DT_RANGE)):
        if not low <= value <= high:
            expected = f"expected {low:g} .. {high:g} {unit}, which the networks are made for"
            raise ValueError(f"{name}: {expected}, got {value:g}")
    u, flags = torch.from_numpy(to_u(maps.V_m.values.astype(np.float32))), list[str]()
    pool, stride = max(round(2 / dx), 1), max(math.ceil(5 / dt - 1e-9), 1)
    n_y, n_x = (n // pool * pool for n in u.shape[1:])
    if (n_y, n_x) != (*u.shape[1:],):
        flags.append(f"cropped from {u.shape[1]} x {u.shape[2]} to {n_y} x {n_x} pixels, a multiple of {pool}")
    if min(n_y, n_x) < 8 * pool:
        raise ValueError(f"maps: expected at least 8 x 8 pixels of {pool * dx:g} mm, got {n_y // pool} x {n_x // pool}")
    u = torch.nn.functional.avg_pool2d(u[:, :n_y, :n_x], pool) if pool > 1 else u
    if (n := math.ceil(len(u) / stride)) < MIN_FRAMES:
        raise ValueError(f"maps: expected at least {MIN_FRAMES} frames every {stride * dt:g} ms, got {n}")
    tissue = None
    if "tissue" in maps.coords and not maps.tissue.all():
        inside = torch.from_numpy(maps.tissue.values)[None, :n_y, :n_x].float()
        tissue = torch.nn.functional.avg_pool2d(inside, pool)[0] > 0
    seen = read_tissue(u[::stride], pool * dx, stride * dt, card or {}, tissue, unknown_kappa)
    if seen.passed < MIN_PASSED:
        came = f"got {seen.passed:.1%}"
        raise ValueError(f"maps: expected a front that passes {MIN_PASSED:.0%} of the pixels or more, {came}")
    return seen._replace(u=u, pool=pool, flags=flags + seen.flags)


def _within(tissue: Tensor | None, D: Conductivity) -> Conductivity:
    """The conductivity of the tissue alone: no current leaves it."""
    return D if tissue is None else D._replace(D_xx=D.D_xx * tissue, D_yy=D.D_yy * tissue)


def _check(electrodes: Electrodes | None) -> None:
    if electrodes is not None:
        instance("electrodes", electrodes, Electrodes, "such as center_electrode gives")
