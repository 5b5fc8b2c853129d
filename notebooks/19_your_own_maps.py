# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   page:
#     question: What does it take to get an ECG from maps that somebody else made?
#     answer: >-
#       A file that states its unit, pixel size and times; on one sheet of another
#       simulator the predicted ECGs have a mean R² of
#       {headline}`finitewave_maps_r2_mean`, and what clearly does not fit is refused or
#       flagged.
#     next:
#       page: book/downloads
#       why: all files of this edition
#     needs:
#     - models/structured.safetensors
#     - models/structured_bands.json
#     smoke: {claim_r2_min: 0.3}
# ---

# %% [markdown]
# # Your own maps
#
# **Question.** What does it take to get an ECG from voltage maps that
# somebody else made, and what happens when they do not fit?
#
# **Scale:** three small files that come with the repository: maps of
# another simulator, a NetCDF file, and a bare array. Seconds.
#
# Needs the published weights only. With your own file:
# `make run NB=19_your_own_maps SET="source='/path/to/maps.nc'"`, or with
# `dx_mm=2.0 dt_ms=5.0 unit='mV'` where the file does not say them. What may
# be in a file is on the page {doc}`../book/use`, what the surrogate does
# with it in {doc}`../book/structured`.

# %% tags=["hide-input"]
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from compendium import figures
from compendium.record import Headline
from forwardecg.data.maps import import_maps
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.measure.scores import r2
from forwardecg.paths import DATA, ROOT
from forwardecg.surrogates.predict import load_surrogate

figures.set_style()
headline = Headline("19_your_own_maps")

# %% tags=["parameters"]
source = "finitewave.npz"  # a file of data/small, or a path of your own
dx_mm = None  # side of a pixel; None: as the file says
dt_ms = None  # between frames; None: as the file says
unit = None  # mV, V or u (0 at rest, 1 at the peak); None: as the file says
frames = [60.0, 120.0, 180.0, 240.0]  # ms, shown
claim_r2_min = (
    0.9  # mean R2 over the electrodes of the file, where it holds the true ECG
)

# %% [markdown]
# ## Maps of another simulator
#
# `finitewave.npz` holds a sheet of 100 × 100 mm with patchy fibrosis that
# Finitewave 0.9.3 simulated, with its own stencil on its own grid, pooled
# to pixels of 2 mm. Beside the maps it holds the ECG that its voltages give
# on all of its cells, by our lead field. The surrogate sees the maps alone.

# %%
small = (ROOT or DATA.parent) / "data" / "small"
path = small / source if (small / source).exists() else Path(source)
maps = import_maps(path, dx=dx_mm, dt=dt_ms, unit=unit)
print(
    f"{maps.sizes['time']} frames of {maps.sizes['y_map']} x {maps.sizes['x_map']} pixels of {maps.dx_map:g} mm"
)

# %%
shown = [t for t in frames if t <= float(maps.time[-1])] or [float(maps.time[-1])]
fig, axes = plt.subplots(1, len(shown), figsize=(2.5 * len(shown), 2.7), squeeze=False)
for ax, t in zip(axes[0], shown, strict=True):
    image = figures.map_axes(
        ax,
        maps.V_m.sel(time=t, method="nearest").values,
        maps.dx_map,
        vmin=-85,
        vmax=15,
        cmap="viridis",
    )
    _ = ax.set(title=f"{t:g} ms")
    ax.label_outer()
_ = fig.colorbar(image, ax=axes, label="$V_m$ (mV)", shrink=0.7)
figures.show(
    fig,
    "Maps of the imported voltage at successive times: a wave starts in a corner, crosses the sheet and leaves it. "
    "Dark spots inside the wave are fibrotic pixels that stay near rest.",
)

# %% [markdown]
# What goes in. Dark spots inside the wave are fibrosis: pixels that stay
# near rest. The maps do not show the conductivity.
#
# ## Predict

# %%
surrogate = load_surrogate("structured")  # forwardecg.load_surrogate is the same
named = maps.attrs.get("lead", "").split() or (
    maps.lead.values.tolist() if "lead" in maps.coords else []
)
names = named or [f"e{k + 1}" for k in range(maps.sizes.get("lead", 0))]
electrodes = (
    Electrodes(maps.electrodes.values, tuple(names)) if "electrodes" in maps else None
)
out = surrogate.predict(maps, electrodes=electrodes)
print(
    f"unusual: {out.attrs['unusual']:.1f} times the threshold; flags: {out.attrs['flags'] or 'none'}"
)

# %%
fields = {
    "$D$ (mm$^2$/ms)": out.D,
    "error of $D$ (mm$^2$/ms)": out.D_error,
    "share that conducts": out.share,
}
fig, axes = plt.subplots(1, 3, figsize=(10.5, 3.2))
for ax, (title, field) in zip(axes, fields.items(), strict=True):
    high = max(float(field.quantile(0.98)), 1e-9)
    image = figures.map_axes(
        ax, field.values, out.attrs["dx_map"], vmin=0, vmax=high, cmap="cividis"
    )
    _ = ax.set(title=title)
    ax.label_outer()
    _ = fig.colorbar(image)
figures.show(
    fig,
    "Maps of the inferred diffusivity, of its expected error, and of the share that conducts. Diffusivity and share "
    "drop in the same fibrotic spots; the error is uneven and largest in scattered patches.",
)

# %% [markdown]
# What is inferred on the way: the effective diffusivity, how far off it may
# be (at 90 % of the pixels no farther), and the share of each pixel that
# conducts. In this file the true $D$ is 0.13 mm²/ms in all cells that
# conduct. The wave runs on the other code's grid, which slows it by 7 %,
# and what is inferred is what the speed says: 13 % less. Where the stimulus
# raises all cells at once a speed says nothing, and $D$ comes out large;
# the color scales end at the 98th percentile. The panels show what error
# the networks expect, not the error that they made.

# %%
comparable = {"phi_e", "electrodes"} <= {*maps.data_vars} and "time_ecg" in maps.coords
n = min(out.sizes["lead"], 5)
n_rows, n_columns = -(-n // 3), min(n, 3)

# %%
fig, axes = plt.subplots(
    n_rows, n_columns, figsize=(3.2 * n_columns, 2.7 * n_rows), squeeze=False
)
for ax, lead in zip(axes.flat, out.lead.values[:n], strict=False):
    one = out.sel(lead=lead)
    _ = ax.fill_between(
        out.time_ecg, one.phi_e_low, one.phi_e_high, alpha=0.3, label="90 % band"
    )
    if comparable:
        _ = ax.plot(
            maps.time_ecg,
            maps.phi_e[list(out.lead.values).index(lead)],
            color="black",
            lw=2,
            label="in the file",
        )
    _ = ax.plot(out.time_ecg, one.phi_e, lw=1.3, label="predicted")
    _ = ax.set(title=lead, xlabel="time (ms)")
for ax in axes[:, 0]:
    _ = ax.set(ylabel=figures.PHI_E_LABEL)
for ax in axes.flat[n:]:
    ax.remove()
_ = axes[0][0].legend(frameon=False, fontsize="small")
figures.show(
    fig,
    "Predicted ECGs over time with their bands, a panel for each electrode, over those in the file. Shapes and times "
    "agree; the predicted deflections are a little smaller.",
)

# %% [markdown]
# The predicted ECG with its band at each electrode of the file, over the
# one that the other code's voltages give (black, where the file holds it).
# A wave slowed by its grid looks like one slowed by a smaller $D$: that
# part of the amplitude cannot be read off maps. The band was calibrated on
# tissue of our recipe and our solver, and promises nothing here. Only the
# shape of the sheet and of the fibrosis is like the training. Other
# simulators and other cells are not shown: this is one sheet.

# %%
if comparable:
    both = out.time_ecg.values[out.time_ecg.values <= float(maps.time_ecg[-1])]
    scores = r2(
        maps.phi_e.interp(time_ecg=both).values, out.phi_e.sel(time_ecg=both).values
    )
    assert scores.mean() >= claim_r2_min, scores
    on = f"mean over {len(scores)} electrodes, {path.name}"
    headline("finitewave_maps_r2_mean", scores.mean(), tolerance=0.02, on=on)
    print(
        "R2 by electrode: "
        + ", ".join(
            f"{lead} {score:.2f}"
            for lead, score in zip(out.lead.values, scores, strict=True)
        )
    )

# %% [markdown]
# ## A NetCDF file and a bare array
#
# A NetCDF file says its names, units and coordinates. An array says
# nothing: pixel size, frame interval and unit are given by hand. Both hold
# the same tissue, one every 5 ms and one every 10 ms.

# %%
above = Electrodes(np.array([[100.0, 100.0, 40.0]]), ("center",))
nc = surrogate.predict(small / "maps.nc", electrodes=above)
npy = surrogate.predict(small / "maps.npy", dx=4.0, dt=10.0, unit="u", electrodes=above)
true = import_maps(small / "maps.nc").phi_e[0]
fig, ax = plt.subplots(figsize=(6, 3))
figures.ecg_traces(ax, true.time_ecg, true, {"maps.nc": nc.phi_e[0]})
_ = ax.plot(npy.time_ecg, npy.phi_e[0], "--", label="maps.npy")
_ = ax.legend(frameon=False)
figures.show(
    fig,
    "The solver's ECG over time and the predictions from two files. All three nearly coincide; only small notches "
    "differ.",
)
assert r2(true.values[None], nc.phi_e.values)[0] > claim_r2_min

# %% [markdown]
# Predictions from the two files over the ECG of the solver. Fewer frames
# cost little. The figure shows one tissue.
#
# ## What does not fit
#
# Maps that cannot be what they are said to be, or that the networks were
# not made for, are refused; maps that may be wrong are predicted and
# flagged. Never is there an ECG without a word.

# %%
u = np.load(small / "maps.npy").astype(np.float32)
lost = u.copy()
lost[:, 3, 4] = np.nan
usual = {"dx": 4.0, "dt": 10.0, "unit": "u"}
cases = {
    "0..1 given as mV": (u, {"unit": "mV"}), "mV given as 0..1": (100 * u - 85, {}), "a lost pixel": (lost, {}),
    "pixels of 20 mm": (u, {"dx": 20.0}), "frames every 15 ms": (u, {"dt": 15.0}), "nine frames": (u[:9], {}), "no wave": (0 * u, {}),
    "a flicker": (np.ones_like(u) * (np.arange(len(u)) % 2)[:, None, None], {}),
}  # fmt: skip
for name, (wrong, change) in cases.items():
    try:
        flags = surrogate.predict(wrong, **usual | change).attrs["flags"]
        raise AssertionError(f"{name}: predicted, with flags {flags}")
    except ValueError as error:
        print(f"{name}: {error}")

# %%
for name, given in {"filled": {}, "wrong dx": {"dx": 0.8}}.items():
    flags = surrogate.predict(lost, **usual | given, fill=True).attrs["flags"]
    print(f"{name}: flags {flags or 'none'}")
    assert flags or name != "wrong dx"

# %% tags=["hide-input"]
print(headline.provenance())
