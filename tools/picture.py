"""The picture of the README, ``book/assets/front.png``: a wave, its ECG exact and predicted, and what the surrogate inferred.

    python tools/picture.py

The tissue is drawn here, by a seed of its own: no network was trained on it. The surrogate is given the voltage maps alone.
"""

import matplotlib.pyplot as plt
import numpy as np

from compendium.figures import METHOD_COLORS, map_axes, set_style
from compendium.registry import ROOT
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.measure.scores import r2
from forwardecg.solver.simulation import simulate
from forwardecg.surrogates.predict import load_surrogate
from forwardecg.tissue.sheet import fibrotic, healthy
from forwardecg.tissue.stimulus import edge_stimulus

SEED, TIME = 77, 120.0  # ms, of the frame that is shown


def main() -> None:
    sheet = fibrotic(healthy((400, 400), 0.5, 0.13), "patchy", seed=SEED)
    ds = simulate(
        sheet,
        [edge_stimulus(sheet, "left")],
        t_end=900.0,
        electrodes=center_electrode(sheet, z=40.0),
        pool=4,
        stop_at_rest=True,
    )
    found = load_surrogate("structured").predict(ds)
    exact = ds.phi_e.sel(lead="center").interp(time_ecg=found.time_ecg.values)
    ecg = found.sel(lead="center")
    score = r2(exact.values[None], ecg.phi_e.values[None])[0]

    set_style()
    plt.rcParams.update({"axes.titlesize": "medium", "axes.labelsize": "medium"})
    fig, (wave, trace, true, inferred) = plt.subplots(
        1, 4, figsize=(13, 3.1), width_ratios=(1, 1.35, 1, 1), layout="constrained"
    )
    color = METHOD_COLORS["structured"]
    image = map_axes(wave, ds.V_m.sel(time=TIME, method="nearest").values, 2.0, vmin=-85, vmax=15, cmap="viridis")
    fig.colorbar(image, ax=wave, label="mV", shrink=0.8)
    wave.set_title("the wave, which it is given")
    trace.fill_between(
        found.time_ecg, ecg.phi_e_low, ecg.phi_e_high, color=color, alpha=0.3, lw=0, label="band of 90 %"
    )
    trace.plot(found.time_ecg, exact, color="black", lw=2, label="exact")
    trace.plot(found.time_ecg, ecg.phi_e, color=color, lw=1.3, label=f"surrogate, R² {score:.3f}")
    trace.set(xlabel="time (ms)", ylabel="φ (mV mm/ms)", title="the ECG, 40 mm above the center")
    trace.legend(loc="lower right", fontsize="x-small", frameon=False, handlelength=1.2)
    live = np.where(sheet.conductive, sheet.D, np.nan)
    seen = np.where(found.share > 0.5, found.D, np.nan)
    top = float(np.nanmax(live))
    for ax, field, dx, words in (
        (true, live, sheet.dx, "D, which it is not told"),
        (inferred, seen, 2.0, "D, inferred"),
    ):
        image = map_axes(ax, field, dx, vmin=0, vmax=top, cmap="cividis")
        ax.set_facecolor("0.8")
        ax.set_title(words)
    fig.colorbar(image, ax=inferred, label="mm²/ms", shrink=0.8)
    fig.savefig(ROOT / "book" / "assets" / "front.png", dpi=110)


if __name__ == "__main__":
    main()
