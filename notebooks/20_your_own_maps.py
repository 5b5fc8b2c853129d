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
#     question: >-
#       What does it take to get an ECG from voltage maps that somebody else made?
#     answer: >-
#       It takes a file that states its unit, pixel size and times; on one sheet of
#       another simulator the predicted ECGs reach a mean R² of
#       {headline}`finitewave_maps_r2_mean`, and what clearly does not fit is refused or
#       flagged.
#     next:
#       page: book/bring_your_own_data
#       why: one recipe for each program that may have made them
#     needs:
#     - models/structured.safetensors
#     - models/structured_bands.json
#     - results/runs/misuse.csv
#     makes:
#       results/20_wrong_maps.csv: >-
#         wrong maps of test tissues: refused, flagged or silent, and the score of the
#         ECG
#     smoke: {claim_r2_min: 0.3}
# ---

# %% [markdown]
# # Prediction from your own maps
#
# **Question.** What does it take to get an ECG from voltage maps that
# somebody else made, and what happens when they do not fit?
#
# **Scale:** three small files that come with the repository (maps of another
# simulator, a NetCDF file, and a bare array), and a table of test tissues
# whose maps were spoiled in more than fifty ways. The page takes less than half
# a minute.
#
# This page needs the published weights and the table of `experiments.misuse`.
# What may be in a file is on the page {doc}`../book/use`, and what the
# surrogate does with it is in {doc}`../book/structured`. To run it with your
# own file:
#
#     make run NB=20_your_own_maps SET="source='/path/to/maps.nc'"
#
# If the file does not say its pixel size, interval and unit, add them to
# `SET`: `dx_mm=2.0 dt_ms=5.0 unit='mV'`.

# %% tags=["hide-input"]
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from compendium import figures
from compendium.record import Headline, result_file
from compendium.tables import printed
from forwardecg.contract import V_REST, V_SPAN
from forwardecg.data.maps import import_maps
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.measure.scores import r2
from forwardecg.paths import DATA, RESULTS, ROOT
from forwardecg.surrogates.predict import load_surrogate

figures.set_style()
headline = Headline("20_your_own_maps")

# %% tags=["parameters"]
source = "finitewave.npz"  # a file of data/small, or a path of your own
dx_mm = None  # side of a pixel; None: as the file says
dt_ms = None  # between frames; None: as the file says
unit = None  # mV, V or u (0 at rest, 1 at the peak); None: as the file says
frames = [60.0, 120.0, 180.0, 240.0]  # ms, shown
claim_r2_min = 0.9  # mean R2 over the electrodes of the file, if it has an ECG

# %% [markdown]
# ## Maps of another simulator
#
# The file `finitewave.npz` holds a sheet of 100 × 100 mm with patchy
# fibrosis. Finitewave 0.9.3 simulated it with its own stencil on its own
# grid, and the maps are pooled to pixels of 2 mm. The file also holds the ECG
# that the voltages give on all cells of that grid, by our lead field. The
# surrogate sees the maps alone. First the file is read. `import_maps` takes
# from it what it says about itself, and objects where something is missing.

# %%
small = (ROOT or DATA.parent) / "data" / "small"
path = small / source if (small / source).exists() else Path(source)
maps = import_maps(path, dx=dx_mm, dt=dt_ms, unit=unit)
n_frames, n_y, n_x = (maps.sizes[name] for name in ("time", "y_map", "x_map"))
print(f"{n_frames} frames of {n_y} x {n_x} pixels of {maps.dx_map:g} mm")

# %% tags=["hide-input"]
end = float(maps.time[-1])
shown = [t for t in frames if t <= end] or [end]
size = (2.5 * len(shown), 2.7)
fig, axes = plt.subplots(1, len(shown), figsize=size, squeeze=False)
scale = {"vmin": V_REST, "vmax": V_REST + V_SPAN, "cmap": "viridis"}
for ax, t in zip(axes[0], shown, strict=True):
    V_m = maps.V_m.sel(time=t, method="nearest").values
    image = figures.map_axes(ax, V_m, maps.dx_map, **scale)
    _ = ax.set(title=f"{t:g} ms")
    ax.label_outer()
_ = fig.colorbar(image, ax=axes, label="$V_m$ (mV)", shrink=0.7)
figures.show(
    fig,
    "Maps of the imported voltage at successive times: a wave starts in a corner, "
    "crosses the sheet and leaves it. Dark spots inside the wave are fibrotic pixels "
    "that stay near rest.",
)

# %% [markdown]
# These maps are all that the surrogate gets. Dark spots inside the wave are
# fibrosis: pixels that stay near rest. The conductivity is not in the maps
# and has to be inferred.
#
# ## Prediction
#
# The published surrogate predicts the ECG at the electrodes that the file
# names. It also says how unusual the maps are, relative to its threshold, and
# flags what may be wrong. The first cell reads the electrodes and their
# names.

# %% tags=["hide-input"]
named = maps.attrs.get("lead", "").split()
if not named and "lead" in maps.coords:
    named = maps.lead.values.tolist()
names = named or [f"e{k + 1}" for k in range(maps.sizes.get("lead", 0))]
electrodes = None
if "electrodes" in maps:
    electrodes = Electrodes(maps.electrodes.values, tuple(names))

# %%
surrogate = load_surrogate("structured")  # forwardecg.load_surrogate is the same
out = surrogate.predict(maps, electrodes=electrodes)
print(
    f"unusual: {out.attrs['unusual']:.1f} times the threshold; "
    f"flags: {out.attrs['flags'] or 'none'}"
)

# %% tags=["hide-input"]
fields = {
    "$D$ (mm$^2$/ms)": out.D,
    "error of $D$ (mm$^2$/ms)": out.D_error,
    "share that conducts": out.share,
}
fig, axes = plt.subplots(1, 3, figsize=(10.5, 3.2))
for ax, (title, field) in zip(axes, fields.items(), strict=True):
    scale = {"vmin": 0, "vmax": max(float(field.quantile(0.98)), 1e-9)}
    scale["cmap"] = "cividis"
    image = figures.map_axes(ax, field.values, out.attrs["dx_map"], **scale)
    _ = ax.set(title=title)
    ax.label_outer()
    _ = fig.colorbar(image)
figures.show(
    fig,
    "Maps of the inferred diffusivity, of its expected error, and of the share that "
    "conducts. Diffusivity and share drop in the same fibrotic spots; the error is "
    "uneven and largest in scattered patches.",
)

# %% [markdown]
# On the way to the ECG the surrogate infers three maps: the effective
# diffusivity, how far off it may be (at 90 % of the pixels no farther), and
# the share of each pixel that conducts. In this file all cells that conduct
# have the same true $D$. The wave runs on the grid of the other code, which
# slows it by several percent. The inferred $D$ follows from the speed and is
# therefore too small, by about twice that share, because $D$ grows with the
# square of the speed. Where the stimulus raises all cells at once the speed
# says nothing, and $D$ comes out large there; the color scales leave out the
# largest values. The middle panel is the error that the networks expect,
# which may differ from the error that they made.
#
# Now the ECGs are drawn. Where the file holds a true ECG, the prediction is
# drawn over it and scored.

# %% tags=["hide-input"]
comparable = {"phi_e", "electrodes"} <= {*maps.data_vars} and "time_ecg" in maps.coords
n = min(out.sizes["lead"], 5)
n_rows, n_columns = -(-n // 3), min(n, 3)
size = (3.2 * n_columns, 2.7 * n_rows)

# %% tags=["hide-input"]
fig, axes = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False)
t = out.time_ecg
for k, (ax, lead) in enumerate(zip(axes.flat, out.lead.values[:n], strict=False)):
    one = out.sel(lead=lead)
    ends = t, one.phi_e_low, one.phi_e_high
    band = dict(facecolor=("C0", 0.3), edgecolor="C0", lw=0.6)
    _ = ax.fill_between(*ends, **band, label="90 % band")
    if comparable:
        truth = maps.phi_e[k]
        _ = ax.plot(maps.time_ecg, truth, color="black", lw=2, label="in the file")
    _ = ax.plot(t, one.phi_e, lw=1.3, label="predicted")
    _ = ax.set(title=lead, xlabel="time (ms)")
for ax in axes[:, 0]:
    _ = ax.set(ylabel=figures.PHI_E_LABEL)
for ax in axes.flat[n:]:
    ax.remove()
_ = axes[0][0].legend(frameon=False, fontsize="small")
figures.show(
    fig,
    "Predicted ECGs over time with their bands, a panel for each electrode, over "
    "those in the file. Shapes and times agree; the predicted deflections are a "
    "little smaller.",
)

# %% [markdown]
# Each panel has the predicted ECG of one electrode with its band. The black
# line is the ECG that the voltages of the other code give, where the file
# holds it. A wave that is slowed by its grid looks like one that is slowed by
# a smaller $D$, and maps cannot tell the two apart; this part of the
# amplitude is lost. The band promises nothing here, because it was calibrated
# on tissue of our recipe and our solver. Only the shape of the sheet and of
# the fibrosis is like the training. One sheet is no statement about other
# simulators or other cells.

# %%
if comparable:
    both = t.values[t.values <= float(maps.time_ecg[-1])]
    true = maps.phi_e.interp(time_ecg=both).values
    scores = r2(true, out.phi_e.sel(time_ecg=both).values)
    assert scores.mean() >= claim_r2_min, scores
    by_lead = zip(out.lead.values, scores, strict=True)
    print("R2 by electrode:", ", ".join(f"{lead} {r:.2f}" for lead, r in by_lead))

# %% tags=["hide-input"]
if comparable:
    on = f"mean over {len(scores)} electrodes, {path.name}"
    headline("finitewave_maps_r2_mean", scores.mean(), tolerance=0.02, on=on)

# %% [markdown]
# ## A NetCDF file and a bare array
#
# A NetCDF file states its names, units and coordinates. An array says
# nothing, so pixel size, frame interval and unit are given by hand. Both
# files hold the same tissue, one every 5 ms and one every 10 ms. We predict
# from both and compare with the ECG of the solver.

# %%
above = Electrodes(np.array([[100.0, 100.0, 40.0]]), ("center",))
nc = surrogate.predict(small / "maps.nc", electrodes=above)
npy = surrogate.predict(small / "maps.npy", dx=4.0, dt=10.0, unit="u", electrodes=above)
true = import_maps(small / "maps.nc").phi_e[0]
assert r2(true.values[None], nc.phi_e.values)[0] > claim_r2_min

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(6, 3))
figures.ecg_traces(ax, true.time_ecg, true, {"maps.nc": nc.phi_e[0]})
_ = ax.plot(npy.time_ecg, npy.phi_e[0], "--", label="maps.npy")
_ = ax.legend(frameon=False)
figures.show(
    fig,
    "The solver's ECG over time and the predictions from two files. All three nearly "
    "coincide; only small notches differ.",
)

# %% [markdown]
# The predictions from the two files lie over the ECG of the solver, so fewer
# frames cost little here. This is one tissue of the usual recipe.

# %% [markdown]
# ## Wrong maps that look right
#
# Some wrong maps can be seen to be wrong, and others cannot. `experiments.misuse`
# spoils the maps of tissues of the test set in more than fifty ways. The
# surrogate predicts each of them at an electrode off the center, with the
# pixel size, interval and unit that a user would believe. The true ECG is
# that of the unspoiled tissue.
#
# A prediction is scored over the times that it shares with the true ECG. A
# band holds if the whole true trace lies inside it. For each manipulation the
# table counts tissues (n): those whose maps were predicted in silence,
# predicted with a flag, or refused, and those whose band holds. The scores
# are those of the maps that were predicted. Maps that pass in silence
# although the ECG is wrong (R² below 0.9) come first. The others follow, the
# worst ECG first. Only the 25 first rows are shown; `20_wrong_maps.csv` has all.

# %% tags=["hide-input"]
wrong_maps = pd.read_csv(RESULTS / "runs/misuse.csv")
wrong_maps = wrong_maps.query("kind not in ['grid', 'strip', 'fibers']")
tissues = wrong_maps[wrong_maps.kind == "right"].sim.unique()
kept = [name for name in wrong_maps if name != "bands" and "old_" not in name]
wrong_maps[kept].to_csv(result_file("20_wrong_maps.csv"), index=False)

# %% tags=["hide-input"]
found = wrong_maps.outcome
counted = {"silent": found == "silent", "flagged": found == "flagged"}
counted |= {"refused": found == "refused", "band holds": wrong_maps.held.eq(True)}
counted = {"silent, R² < 0.9": counted["silent"] & (wrong_maps.r2 < 0.9)} | counted
by_name = [wrong_maps.kind, wrong_maps.maps.rename("what is done to the maps")]
overview = pd.DataFrame(counted).groupby(by_name, sort=False).sum().add_suffix(" (n)")
r2_by_name = wrong_maps.r2.groupby(by_name, sort=False)
overview["R², worst"] = r2_by_name.min()
order = {"silent, R² < 0.9 (n)": False, "R², worst": True}
overview = overview.sort_values([*order], ascending=[*order.values()])
overview = overview.droplevel("kind")
printed(overview.head(25), caption="Wrong maps, the worst ones first.")

# %% tags=["hide-input"]
rest = overview.iloc[25:]
refused = rest["R², worst"].isna()
print(
    f"{len(rest)} more manipulations are in results/20_wrong_maps.csv. "
    f"Of {refused.sum()} of them the maps of every tissue are refused; with the "
    f"others no R² is below {rest['R², worst'].min():.2f}."
)

# %% [markdown]
# The surrogate refuses or flags wrong intervals between frames, other changes
# of the times that spoil the ECG, strong blur, and seams between two tissues. A
# rest that cardiac cells may have is taken out and costs nothing. An amplitude
# that they may have is believed, and the ECG is then too large or too small by
# that gain. Other rests and amplitudes are flagged.
#
# Most sheets that were cut are flagged, but not all. Two signs tell them:
# fronts that come in through an edge, and action potentials at an edge that
# last as long as elsewhere. Where the picture shows neither, a cut sheet passes
# in silence.
#
# Two kinds of wrong maps pass in silence and give a wrong ECG, because no map
# can show them:
#
# - an orientation that is not ours
# - a pixel size that is not right, as long as the training has tissue as fast
#
# Both are exact recordings of another tissue ({doc}`12_uncertainty` has the
# reason). The result says in its attributes `orientation`, `size` and `speed`
# what was believed, and in `rest` and `amplitude` how the voltage was read. A
# user has to compare them with what is known of the recording.

# %% tags=["hide-input"]
silent = wrong_maps.query("kind != 'right' and outcome == 'silent'")
harmful = silent.query("r2 < 0.9")
on = f"{len(wrong_maps) - len(tissues)} wrong maps of {len(tissues)} tissues"
for key, count in {
    "wrong_maps_refused": (wrong_maps.outcome == "refused").sum(),
    "wrong_maps_flagged": (wrong_maps.outcome == "flagged").sum(),
    "wrong_maps_silent": len(silent),
    "wrong_maps_silent_below_09": len(harmful),
}.items():
    headline(key, count, tolerance=4, on=on)

# %% [markdown]
# ## Maps that are refused or flagged
#
# Maps that cannot be what they are said to be, or that the networks were not
# made for, are refused. Maps that may be wrong are predicted and flagged. In
# both cases the surrogate says why. The first cell lists maps that it must
# refuse, with what is wrong about each.

# %%
u = np.load(small / "maps.npy").astype(np.float32)
lost = u.copy()
lost[:, 3, 4] = np.nan
flicker = np.ones_like(u) * (np.arange(len(u)) % 2)[:, None, None]
usual = {"dx": 4.0, "dt": 10.0, "unit": "u"}
cases = {
    "0..1 given as mV": (u, {"unit": "mV"}),
    "mV given as 0..1": (100 * u - 85, {}),
    "a lost pixel": (lost, {}),
    "pixels of 20 mm": (u, {"dx": 20.0}),
    "frames every 15 ms": (u, {"dt": 15.0}),
    "nine frames": (u[:9], {}),
    "no wave": (0 * u, {}),
    "a flicker": (flicker, {}),
}

# %%
for name, (wrong, change) in cases.items():
    try:
        flags = surrogate.predict(wrong, **usual | change).attrs["flags"]
        raise AssertionError(f"{name}: predicted, with flags {flags}")
    except ValueError as error:
        print(f"{name}: {error}")

# %% [markdown]
# All of them are refused, each with the reason. A lost pixel can be filled
# from its neighbors when that is asked for. The next cell predicts the filled
# maps, once as they are and once with a wrong pixel size, and prints the
# flags. These checks find what contradicts itself. They cannot find the kinds
# of wrong maps named above.

# %%
for name, given in {"filled": {}, "wrong dx": {"dx": 0.8}}.items():
    flags = surrogate.predict(lost, **usual | given, fill=True).attrs["flags"]
    print(f"{name}: flags {flags or 'none'}")

# %% tags=["hide-input"]
print(headline.provenance())
