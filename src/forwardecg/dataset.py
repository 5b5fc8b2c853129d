"""The sampling recipe, splits by tissue, and the sequences that the networks read."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from threadpoolctl import threadpool_limits

from forwardecg.cell import FK_CAF, V_REST, V_SPAN, FKParams
from forwardecg.electrodes import center_electrode
from forwardecg.solver import simulate
from forwardecg.stimulus import Stimulus, edge_stimulus, focal_stimulus
from forwardecg.tissue import Tissue, combined, fibrotic, gap_junction, healthy

CONDITION_CYCLE = (
    "healthy",
    "gap_junction",
    "fibrotic",
    "fibrotic",
    "combined",
)  # the paper's 60 / 60 / 120 / 60 of 300
STIMULI = ("edge", "corner", "focal")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that a data set depends on besides the code: sizes in mm and ms, D in mm^2/ms."""

    n_sim: int
    n_cells: int = 400
    dx: float = 0.5
    dt: float = 0.1
    t_end: float = 900.0
    frame_interval: float = 5.0
    ecg_interval: float = 1.0
    pool: int = 4
    D0_low: float = 0.10
    D0_high: float = 0.16
    z_mm: float = 40.0
    min_activated: float = 0.5
    seed: int = 0
    fk: FKParams = FK_CAF

    def __post_init__(self) -> None:
        for name in ("n_sim", "n_cells", "pool", "seed"):
            value, least = getattr(self, name), 0 if name == "seed" else 1
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: expected a whole number of at least {least}, got {value!r}")
        for name in ("dx", "dt", "t_end", "frame_interval", "ecg_interval", "z_mm"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and np.isfinite(value) and value > 0):
                raise ValueError(f"{name}: expected a finite number > 0, got {value!r}")
        if not 0 <= self.min_activated <= 1:
            raise ValueError(f"min_activated: expected a share in 0 .. 1, got {self.min_activated}")
        if not 0 < self.D0_low <= self.D0_high:
            raise ValueError(f"D0_low, D0_high: expected 0 < D0_low <= D0_high, got {self.D0_low}, {self.D0_high}")
        if self.n_cells % self.pool:
            raise ValueError(f"pool: expected a divisor of n_cells = {self.n_cells}, got {self.pool}")


def read_recipe(path: Path) -> Recipe:
    """The recipe that `write_recipe` wrote; ValueError if a field is missing or unknown."""
    try:
        entries = json.loads(path.read_text())
        return Recipe(**entries | {"fk": FKParams(**entries["fk"])})
    except (TypeError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path.name}: expected a recipe with the fields of Recipe: {error}") from None


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write the recipe as json: all that is needed to simulate the same tissues again."""
    path.write_text(json.dumps(asdict(recipe), indent=1) + "\n")


def draw_tissue(recipe: Recipe, sim: int, attempt: int = 0) -> tuple[Tissue, list[Stimulus]]:
    """Tissue number ``sim`` of the recipe and its stimulus; ``attempt`` counts redraws."""
    rng = np.random.default_rng([recipe.seed, sim, attempt])
    shape, length = (recipe.n_cells, recipe.n_cells), recipe.n_cells * recipe.dx
    condition = CONDITION_CYCLE[sim % len(CONDITION_CYCLE)]
    tissue = healthy(shape, recipe.dx, rng.uniform(recipe.D0_low, recipe.D0_high), seed=sim)
    if condition != "healthy":
        tissue = {"gap_junction": gap_junction, "fibrotic": fibrotic, "combined": combined}[condition](tissue, rng)
    # A fixed site would make the ECG a function of the condition alone.
    kind = str(rng.choice(STIMULI))
    if kind == "edge":
        return tissue, [edge_stimulus(shape, recipe.dx, str(rng.choice(["left", "right", "bottom", "top"])))]
    x, y = rng.choice([0, length], 2) if kind == "corner" else rng.uniform(0.1 * length, 0.9 * length, 2)
    return tissue, [focal_stimulus(shape, recipe.dx, x, y, radius=8.0 if kind == "corner" else 5.0)]


def simulate_one(recipe: Recipe, sim: int) -> xr.Dataset:
    """Simulate tissue ``sim``, redrawn until at least ``min_activated`` of its conductive cells are activated."""
    electrodes = center_electrode((recipe.n_cells, recipe.n_cells), recipe.dx, recipe.z_mm)
    for attempt in range(20):
        tissue, stimuli = draw_tissue(recipe, sim, attempt)
        if not (stimuli[0].mask & tissue.conductive).any():
            continue
        with threadpool_limits(1):
            ds = simulate(
                tissue, stimuli, t_end=recipe.t_end, electrodes=electrodes, frame_interval=recipe.frame_interval,
                ecg_interval=recipe.ecg_interval, pool=recipe.pool, fk=recipe.fk, dt=recipe.dt,
            )  # fmt: skip
        activated = float(np.isfinite(ds.lat.values[tissue.conductive]).mean())
        if activated >= recipe.min_activated:
            return ds.assign_attrs(
                attempt=attempt, activated=activated, fibrosis_density=tissue.fibrosis_density, gj_scale=tissue.gj_scale
            )
    raise RuntimeError(
        f"tissue {sim}: no draw in 20 activated at least {recipe.min_activated:.0%} of its conductive cells"
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
    """Tissues as the networks read them: maps u (n, T, H, W) float16 and ECG (n, T) at the times of the maps.

    Parameters
    ----------
    ds : data set of `store.load_or_simulate`
    sims : indices of its tissues
    pixels : side of the maps, a divisor of the stored one
    """

    def __init__(self, ds: xr.Dataset, sims: Sequence[int], pixels: int):
        ecg = ds.phi_e.isel(sim=list(sims), lead=0).sel(time_ecg=ds.time.values).values
        self.u = torch.stack([network_maps(ds.V_m.isel(sim=int(sim)), pixels) for sim in sims])
        self.ecg = torch.from_numpy(ecg).float()
        self.t = torch.tensor(ds.time.values).float()

    def __len__(self) -> int:
        return len(self.ecg)

    def __getitem__(self, n) -> tuple[torch.Tensor, torch.Tensor]:
        return self.u[n], self.ecg[n]
