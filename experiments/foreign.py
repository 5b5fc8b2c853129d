"""The ECG that another code wrote of its own sheet, against ours of its voltage: ``data/results/runs/gold.csv``.

python -m experiments.foreign
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from compendium.external import locate
from experiments.files import write_table
from forwardecg.contract import V_REST
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import pseudo_ecg
from forwardecg.paths import RESULTS
from forwardecg.tissue.sheet import Tissue

SHEET = "monoalg3d/sheet.nc"
SIGMA_B = 20.0  # in their settings; their unit, and their source lacks sigma
HALF_CELL = 0.05  # mm: where their sheet lies above z = 0
SAMPLE = 0.02  # ms, of their ECG


class Gold(NamedTuple):
    """Times (frame,) in ms; their ECG and ours (lead, frame), ours in mV mm/ms; theirs (lead, sample) at its own times."""

    t: np.ndarray
    ours: np.ndarray
    t_theirs: np.ndarray
    theirs: np.ndarray
    scale: float  # theirs over ours, predicted


def gold() -> Gold:
    """MonoAlg3D's test sheet: `pseudo_ecg` of its voltage beside the ECG that MonoAlg3D computed."""
    with xr.open_dataset(locate(SHEET)) as ds:
        ds = ds.load()
    live = np.isfinite(ds.V_m.values[0])
    tissue = Tissue(D=np.full(live.shape, ds.D_mm2_ms), conductive=live, dx=ds.dx)
    places = ds.electrodes.values - [0, 0, HALF_CELL]
    V_m = ds.V_m.fillna(V_REST)  # outside the tissue, where nothing flows
    ours = pseudo_ecg(V_m, tissue, Electrodes(places, tuple(ds.lead.values.tolist())))
    scale = ds.dx / (4 * np.pi * SIGMA_B * ds.D_mm2_ms)  # h / (4 pi sigma_b D)
    return Gold(ds.time.values, ours.values, ds.time_ecg.values, ds.phi_gold.values, float(scale))


def compare(found: Gold, shift: float = 0.0) -> pd.DataFrame:
    """For each lead the fitted scale and R2 of our ECG against theirs, read ``shift`` ms later."""
    rows = []
    for ours, theirs in zip(found.ours, found.theirs, strict=True):
        kept = found.t + shift <= found.t_theirs[-1]
        x, y = ours[kept], np.interp(found.t[kept] + shift, found.t_theirs, theirs)
        scale = x @ y / (x @ x)
        rows.append({"scale": scale, "r2": 1 - ((y - scale * x) ** 2).sum() / ((y - y.mean()) ** 2).sum()})
    return pd.DataFrame(rows).rename_axis("lead")


def main() -> None:
    found = gold()
    table = compare(found).join(compare(found, SAMPLE).r2.rename("r2_shifted")).assign(predicted=found.scale)
    write_table(table, RESULTS / "runs" / "gold.csv", digits=9, index=True)


if __name__ == "__main__":
    main()
