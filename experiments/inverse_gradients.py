"""Derivatives of the misfit of an ECG through the structured surrogate and through the lead field: ``inverse_gradients.csv``.

    python -m experiments.inverse_gradients                 all tissues; those in the table already are passed over
    python -m experiments.inverse_gradients --tissues 1     a first look, its table in data/cache

The tissues are the first of `experiments.inverse` with remodeling, and each is known. Site and onset of its wave are sought.
The balance of charge and its adjoint give activation times, the action potential makes them a movie, and its ECG is computed
in two ways: by the lead field of the tissue, and by the structured surrogate, which reads conductivity off the movie. One row
a tissue and way, in ``data/results/runs``. Derivatives are by x, y (mm) and onset (ms)."""

from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu
from torch import Tensor
from torch.nn.functional import avg_pool2d

from experiments import inverse
from experiments.files import ask_tissues, score_tissues
from forwardecg.activation.eikonal import network
from forwardecg.activation.template import FINE, SHARED, template
from forwardecg.contract import V_SPAN
from forwardecg.ecg.leadfield import lead_field
from forwardecg.inverse.adjoint import activation_times
from forwardecg.paths import MODELS
from forwardecg.surrogates.structured.fronts import read_fronts
from forwardecg.surrogates.structured.model import Inputs, Structured, batched_lead_field, inner_gradients, make_inputs
from forwardecg.surrogates.weights import load_models
from forwardecg.tissue.cell import FK_CAF
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue

POOL, FRAME, LAST = 4, 5.0, 400.0  # cells of a pixel; ms between frames, and the last one
AWAY = 6.0  # mm from the true site, where derivatives are taken and the descent starts
STEP = 0.5  # mm and ms on either side: differences beside the derivatives
ROUNDS = 10  # of a descent
NAMES = ("by_x", "by_y", "by_onset")


class Shared(torch.autograd.Function):
    """R of times T (cell,): (1 + tau sum of g_j) R = T + tau sum of g_j R_j, as `template.share` has it, by factors of the matrix."""

    @staticmethod
    def forward(ctx: Any, T: Tensor, factors: Any) -> Tensor:
        ctx.factors = factors
        return torch.from_numpy(factors.solve(T.numpy()))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return torch.from_numpy(ctx.factors.solve(gradient.numpy(), trans="T")), None


class Case(NamedTuple):
    """A tissue with its ECG (lead, frame) in mV mm/ms, what both ways need of it, and the true site (mm) and onset (ms)."""

    tissue: Tissue
    data: Tensor
    t: Tensor
    L: Tensor
    G: tuple[Tensor, Tensor]
    factors: Any
    site: np.ndarray
    onset: float
    kind: str


def prepare(sim: int) -> Case:
    """The case of a tissue."""
    tissue, site, kind, true = inverse.remodeled(sim)
    t = np.arange(0, LAST + 1, FRAME)
    phi_e = inverse.noisy(true.phi_e, inverse.REMODELED[1], sim).sel(time_ecg=t)
    places, n = inverse.LAYOUTS[inverse.REMODELED[0]], tissue.D.shape[0] // POOL
    net, tau = network(tissue, inverse.DT, FK_CAF), SHARED * template(tissue.dx, inverse.DT, FK_CAF).duration
    index = np.full(net.live.size, -1)
    index[net.live] = np.arange(net.live.sum())
    cell, beside = np.nonzero(net.live[:, None] & (net.g != 0))
    rows, columns = index[cell], index[cell + net.offsets[beside]]
    S = coo_array((-tau * net.g[cell, beside], (rows, columns)), (net.live.sum(),) * 2).tocsc()
    S.setdiag(1 + tau * net.g[net.live].sum(1))
    return Case(
        tissue, torch.from_numpy(phi_e.values), torch.from_numpy(t), torch.from_numpy(lead_field(tissue, places)),
        inner_gradients(Grid((n, n), POOL * tissue.dx), places), splu(S), site, true.lat.min().item(), kind,
    )  # fmt: skip


def movie(case: Case, p: Tensor) -> Tensor:
    """u (frame, y, x) of cells, 0 at rest, of the wave from x, y and onset."""
    T = activation_times(case.tissue, p[None, :2], p[2:], radius=inverse.RADIUS)
    live = torch.from_numpy(case.tissue.live) & torch.isfinite(T)
    form = template(case.tissue.dx, inverse.DT, FK_CAF)
    cells = torch.from_numpy(case.tissue.live)
    late = torch.where(live, T, 2 * LAST)[cells]
    R = Shared.apply(late, case.factors)
    up, down = (
        _look_up(torch.from_numpy(part), (case.t[:, None] - when - form.t[0]) / FINE)
        for part, when in ((form.up, late), (form.down, R))
    )
    return torch.zeros(len(case.t), *cells.shape, dtype=up.dtype).masked_scatter(cells, up + down)


def _look_up(table: Tensor, at: Tensor) -> Tensor:
    """Values of a table between its entries, by which `at` can be differentiated."""
    at = at.clamp(0, len(table) - 1.001)
    entry = at.detach().long()
    return table[entry] + (table[entry + 1] - table[entry]) * (at - entry)


def by_lead_field(case: Case, u: Tensor) -> Tensor:
    """ECG (lead, frame) of the movie by the exact lead field of the tissue."""
    return V_SPAN * torch.einsum("eyx,tyx->et", case.L, u)


def by_surrogate(case: Case, u: Tensor, model: Structured, held: bool = False) -> Tensor:
    """ECG (lead, frame) of the movie by the surrogate; ``held``: what it reads off the movie is taken as a constant."""
    maps, dx = avg_pool2d(u[:, None].float(), POOL)[:, 0], POOL * case.tissue.dx
    read = maps.detach() if held else maps.clone()
    if read.requires_grad:  # where no plane fits the crossing times their derivative is no number
        read.register_hook(lambda gradient: torch.nan_to_num(gradient, 0.0, 0.0, 0.0))
    inputs = make_inputs(read_fronts(read, dx, FRAME), dx, FRAME)
    D = model(Inputs(*(z[None] for z in inputs)))
    return V_SPAN * torch.einsum("eyx,tyx->et", batched_lead_field(D, *case.G)[0], maps).double()


def undefined(case: Case, p: np.ndarray, model: Structured) -> float:
    """Share of the pixels in which the derivative of the surrogate's conductivity by the movie is no number."""
    maps = avg_pool2d(movie(case, torch.from_numpy(p))[:, None].float(), POOL)[:, 0].requires_grad_()
    dx = POOL * case.tissue.dx
    D = model(Inputs(*(z[None] for z in make_inputs(read_fronts(maps, dx, FRAME), dx, FRAME))))
    (gradient,) = torch.autograd.grad(D.D_xx.log().sum() + D.D_yy.log().sum(), maps)
    return 1 - float(gradient.isfinite().all(0).double().mean())


def misfit(case: Case, p: Tensor, ecg: Callable[[Case, Tensor], Tensor]) -> Tensor:
    """|ECG - data|^2 / |data|^2."""
    return ((ecg(case, movie(case, p)) - case.data) ** 2).sum() / (case.data**2).sum()


def derivative(case: Case, p: np.ndarray, ecg: Callable[[Case, Tensor], Tensor]) -> tuple[float, np.ndarray]:
    """The misfit and its derivatives."""
    at = torch.from_numpy(p).requires_grad_()
    value = misfit(case, at, ecg)
    (gradient,) = torch.autograd.grad(value, at)
    return value.item(), gradient.numpy()


@torch.no_grad()
def difference(case: Case, p: np.ndarray, ecg: Callable[[Case, Tensor], Tensor], step: float = STEP) -> np.ndarray:
    """Central differences of the misfit."""
    ends = [[misfit(case, torch.from_numpy(p + s * way), ecg).item() for s in (step, -step)] for way in np.eye(3)]
    return np.subtract(*np.transpose(ends)) / (2 * step)


def descend(case: Case, start: np.ndarray, ecg: Callable[[Case, Tensor], Tensor]) -> tuple[np.ndarray, float, int]:
    """Where a descent from a start ends, its misfit, and how many derivatives it took; its first step is one mm long."""
    unit = np.linalg.norm(derivative(case, start, ecg)[1])

    def value(p: np.ndarray) -> tuple[float, np.ndarray]:
        misfit, gradient = derivative(case, p, ecg)
        return float(misfit / unit), gradient / unit

    bounds, options = [(1, 99), (1, 99), (None, None)], {"maxiter": ROUNDS, "maxfun": 2 * ROUNDS}
    found = minimize(value, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return found.x, float(found.fun * unit), found.nfev


def score(sim: int, model: Structured) -> pd.DataFrame:
    """Rows of a tissue."""
    case, rows = prepare(sim), []
    angle = np.random.default_rng([inverse.SEED, 91, sim]).uniform(0, 2 * np.pi)
    ways: dict[str, Callable[[Case, Tensor], Tensor]] = {
        "lead field": by_lead_field,
        "surrogate": lambda case, u: by_surrogate(case, u, model),
        "surrogate, held": lambda case, u: by_surrogate(case, u, model, held=True),
    }
    start = np.array([*np.clip(case.site + AWAY * np.array([np.cos(angle), np.sin(angle)]), 5, 95), case.onset])
    for way, ecg in ways.items():
        began = process_time()
        value, gradient = derivative(case, start, ecg)
        row: dict[str, Any] = {"sim": sim, "kind": case.kind, "way": way, "misfit": value}
        row |= dict(zip(NAMES, gradient, strict=True)) | {"seconds": process_time() - began}
        if way != "surrogate, held":  # its differences and its descent would be those of the surrogate
            ends, (found, least, evaluations) = difference(case, start, ecg), descend(case, start, ecg)
            row |= {f"{name}_difference": value for name, value in zip(NAMES, ends, strict=True)} | {
                "site_error": np.hypot(*(found[:2] - case.site)), "onset_error": found[2] - case.onset,
                "misfit_found": least, "evaluations": evaluations,
            }  # fmt: skip
        if way == "surrogate":
            row["undefined"] = undefined(case, start, model)
        rows.append(row)
    return pd.DataFrame(rows)


def main(tissues: int, folder: Path) -> None:
    """All of it, and the table."""
    torch.set_num_threads(1)
    name = "structured_recipe" if (MODELS / "structured_recipe.safetensors").is_file() else "structured"
    model = load_models(MODELS / f"{name}.safetensors")[0][0].requires_grad_(False)
    score_tissues(folder / "inverse_gradients.csv", range(tissues), lambda sim: score(sim, model), digits=6)


if __name__ == "__main__":
    main(*ask_tissues(__doc__, 2))
