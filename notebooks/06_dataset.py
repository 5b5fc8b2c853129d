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
#     question: What do the networks learn from, and is any tissue in two places?
#     answer: >-
#       From as many tissues as the paper had, {headline}`dataset_tissues_all_sets` in
#       all sets; none is in two parts, and to copy the ECG of the nearest training
#       tissue gives a mean R² of {headline}`nearest_tissue_r2_mean`.
#     next:
#       page: book/surrogate
#       why: what is to be learned from them, and how it is scored
#     makes:
#       results/06_dataset.csv: >-
#         one row a tissue of the data set, what was drawn and what came of it
#       results/06_dataset.json: the recipe of the data set
#       results/06_dataset_sets.csv: the further sets, and in what they differ
#     smoke: {
#       n_sim: 20, n_cells: 80, dx: 1.0, t_end: 400.0, pool: 4, min_activated: 0.2,
#       test: 0.2, val: 0.2,
#       left_out: [reentry, unseen_cell, unseen_cell_mbr, unseen_D_high, unseen_D_low, dense_fibrosis]
#     }
# ---

# %% [markdown]
# # The data set
#
# **Question.** What do the networks learn from, and what are they tested
# on: which tissues were drawn, which draws were thrown away, do the waves
# finish in the recorded time, and is any tissue in two places at once?
#
# **Scale:** the paper's 300 tissues on the 400 × 400 grid, in its
# proportions of the four conditions; 300 more for calibrating uncertainty
# and 300 for testing, from the same recipe; and eight small sets that are
# *not* of that recipe.
#
# Needs nothing but the package; some 20 minutes on two cores the first
# time, a minute afterward (the tissues are stored, and an interrupted run
# goes on where it stopped). With other values:
# `make run NB=06_dataset SET="n_sim=20 z_mm=20"`. Every choice below is ours
# and stands, with its reason, in {ref}`choices-tissue` and
# {ref}`choices-sim`; how to load, export and extend the set is in
# {doc}`../book/use`.

# %% tags=["hide-input"]
from dataclasses import asdict
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from scipy.spatial.distance import cdist
from scipy.stats import chi2_contingency

from compendium import figures
from compendium.record import Headline, result_file
from forwardecg.data.layout import chunk_names
from forwardecg.data.recipe import REJECTIONS, Recipe, write_recipe
from forwardecg.data.sets import collection
from forwardecg.data.split import check_disjoint, sheet_hash, split_by_tissue
from forwardecg.data.store import load_or_simulate, stored_bytes
from forwardecg.measure.scores import r2
from forwardecg.surrogates.paper.data import Sequences, loader
from forwardecg.tissue.symmetry import apply_symmetry

figures.set_style()
headline = Headline("06_dataset")

# %% tags=["parameters"]
n_sim = 300  # tissues
n_cells = 400  # cells along each side of the sheet
dx = 0.5  # mm
dt = 0.1  # ms
t_end = 900.0  # ms
frame_interval = 5.0  # ms between stored maps
pool = 4  # cells along each side of a map pixel
D0_low = 0.10  # mm^2/ms, lower end of the healthy diffusivity
D0_high = 0.16  # mm^2/ms, upper end
z_mm = 40.0  # mm, height of the paper's electrode above the center of the sheet
min_activated = 0.5  # a draw that activates less of its conductive cells is drawn again
seed = 0  # of the draws
split_seed = 0
test = 0.1  # share of each condition
val = 0.1  # share of each condition
left_out = []  # sets of the collection that are not built
n_planned = 10_000  # tissues of the plan at the end
claim_copy_r2_max = 0.9  # mean R2 that copying the ECG of the nearest training tissue stays below, on the test tissues

# %% [markdown]
# One record holds all of it. The store of the simulated tissues is named by
# the hash of this record and of the code that simulates, so a changed value
# can never meet an old store. Each tissue is a function of the record and
# its number alone: not of the order, not of the number of workers, not of
# how often the build was stopped.

# %%
recipe = Recipe(
    n_sim=n_sim, n_cells=n_cells, dx=dx, dt=dt, t_end=t_end, frame_interval=frame_interval, pool=pool,
    D0_low=D0_low, D0_high=D0_high, z_mm=z_mm, min_activated=min_activated, seed=seed,
)  # fmt: skip
write_recipe(recipe, result_file("06_dataset.json"))

# %% [markdown]
# ## Simulate
#
# Each tissue is drawn from its own seed: a healthy diffusivity, one of four
# conditions, and a stimulus along a part of an edge, near a corner or at a
# point. The site is drawn independently of the condition. With a fixed site
# all healthy tissues would share one ECG up to the diffusivity, and a
# network could learn the condition in place of the forward problem.
#
# The solver runs on the full grid with a calibrated diffusivity
# ({ref}`calibration`); the ECG is the lead field of the *physical*
# diffusivity, also on the full grid, once every millisecond, at the paper's
# electrode and at a bank of 36 others. The maps are then pooled and stored.

# %% tags=["hide-output", "nbval-ignore-output"]
ds = load_or_simulate(recipe)

# %%
print(
    dict(sorted(ds.sizes.items()))
)  # the store lists its arrays in no particular order
print(
    f"{n_cells * dx:g} mm sheet, {ds.sizes['y_map']} x {ds.sizes['x_map']} maps every {frame_interval:g} ms"
)

# %% [markdown]
# ## One row a tissue
#
# Beside condition, texture and density the table holds when the last cell
# was activated and when the last one had recovered, the median duration of
# the action potential (all three of the first beat), when every cell was
# within 0.01 mV of rest (empty: not before the end), whether the last map
# is repolarized (no pixel above −75 mV), the standard deviation of the ECG,
# and which part of the split the tissue is in. The split is drawn by tissue
# within each condition: no tissue gives frames to two parts. *Mild* means
# less than 20 % fibrosis and none of it interstitial: a property of the
# draw, fixed before anything is trained.

# %%
columns = [name for name in ds.data_vars if ds[name].dims == ("sim",)]


def tissue_table(ds):
    """The per-tissue columns of a set, whether its last map is repolarized, and the SD (mV mm/ms) of its central ECG."""
    table = pd.DataFrame(
        {name: ds[name].values for name in sorted(columns)}
    ).rename_axis("sim")
    table["repolarized"] = (ds.V_m.isel(time=-1) < -75).all(("y_map", "x_map")).values
    return table.assign(ecg_sd=ds.phi_e.sel(lead="center").std("time_ecg").values)


table = tissue_table(ds)
for part, members in split_by_tissue(table.condition, split_seed, test, val).items():
    table.loc[members, "part"] = part
table.round(6).to_csv(result_file("06_dataset.csv"))
scale = f"{n_sim} tissues, {n_cells} x {n_cells} cells"
headline("dataset_mild", int(table.mild.sum()), tolerance=0, on=scale)
headline("dataset_redrawn", int((table.attempt > 0).sum()), tolerance=0, on=scale)
headline(
    "dataset_ecg_sd_mean",
    table.ecg_sd.mean(),
    unit="mV mm/ms",
    tolerance=1e-4,
    on=scale,
)

# %%
names = [name for name in figures.COLORS if name in set(table.condition)]
summary = table.groupby("condition").agg(
    tissues=("part", "size"), mild=("mild", "sum"), redrawn=("attempt", lambda a: (a > 0).sum()),
    activated=("activated", "mean"), fibrosis=("fibrosis_density", "mean"), last_activation=("last_activation", "mean"),
    apd=("apd", "mean"), ecg_sd=("ecg_sd", "mean"),
).loc[names]  # fmt: skip
summary.round(
    {"activated": 2, "fibrosis": 2, "last_activation": 0, "apd": 0, "ecg_sd": 3}
)

# %% [markdown]
# Counts, then means over the tissues of each condition, times in ms, the
# ECG in mV mm/ms. Fibrosis and remodeling slow the wave and weaken the ECG;
# both together do so most. The means say nothing about single tissues,
# which the figures below show.

# %%
textures = table.groupby("texture").agg(
    tissues=("part", "size"), mild=("mild", "sum"), least=("fibrosis_density", "min"), most=("fibrosis_density", "max"),
    redrawn=("attempt", lambda a: (a > 0).sum()), ecg_sd=("ecg_sd", "mean"),
)  # fmt: skip
textures.round({"least": 3, "most": 3, "ecg_sd": 3})

# %% [markdown]
# By texture: tissues, how many of them mild, the least and the greatest
# share of fibrotic cells. Density and texture, not the condition, make a
# tissue hard.

# %% [markdown]
# ## What the draws look like

# %%
fig, axes = plt.subplots(2, 2, figsize=(10, 6.4), layout="constrained")
labeled = table.assign(condition=table.condition.map(figures.LABELS))
colors = {figures.LABELS[name]: figures.COLORS[name] for name in names}
shared = dict(hue="condition", palette=colors, multiple="stack", bins=24, linewidth=0.3)
sns.histplot(labeled, x="D0", ax=axes[0, 0], **shared)
sns.move_legend(
    axes[0, 0],
    "lower center",
    bbox_to_anchor=(0.5, 1),
    ncols=4,
    title=None,
    frameon=False,
)
_ = axes[0, 0].set(xlabel=r"healthy diffusivity $D_0$ (mm$^2$/ms)", ylabel="tissues")
sns.histplot(
    labeled.query("fibrosis_density > 0"),
    x="fibrosis_density",
    ax=axes[0, 1],
    legend=False,
    **shared,
)
_ = axes[0, 1].set(
    xlabel="share of fibrotic cells, where there are any", ylabel="tissues"
)
sns.histplot(labeled, x="last_activation", ax=axes[1, 0], legend=False, **shared)
_ = axes[1, 0].set(xlabel="last activation (ms)", ylabel="tissues")
sns.histplot(labeled, x="rest_time", ax=axes[1, 1], legend=False, **shared)
_ = axes[1, 1].set(xlabel="every cell at rest (ms)", ylabel="tissues")
figures.show(
    fig,
    "Four stacked histograms of tissues, colored by condition: healthy diffusivity, share of fibrotic cells, last "
    "activation, and time of rest. The diffusivity spreads evenly; remodeled tissue makes the late tails.",
)

# %% [markdown]
# Top: what was drawn. Bottom: what came of it. The healthy diffusivity is
# the same draw for all conditions; slow tissue shows up below, where the
# last activation comes late. The gap between the two lower panels is one
# action potential and the decay to 0.01 mV above rest. Nothing here says
# that patients are distributed like this.

# %% [markdown]
# ## Gallery


# %%
def gallery(ds, sims, titles, alt):
    """Diffusivity, activation times, one map of voltage and the ECG of some tissues, a column each."""
    fig, axes = plt.subplots(
        4,
        len(sims),
        figsize=(1.95 * len(sims), 7.2),
        layout="constrained",
        sharey="row",
    )
    late = float(ds.lat[sims].max())
    for column, (sim, title) in enumerate(zip(sims, titles, strict=True)):
        one = ds.isel(sim=sim)
        axes[0, column].set_facecolor("0.25")
        D = figures.map_axes(
            axes[0, column],
            one.D.where(one.conductive).values,
            dx,
            cmap="cividis",
            vmin=0,
            vmax=D0_high,
        )
        lat = figures.activation_map(axes[1, column], one.lat.values, dx)
        lat.set_clim(0, late)
        t = float(
            one.time[np.abs(one.time.values - float(one.lat.median())).argmin()]
        )  # half of the sheet is reached
        V_m = figures.map_axes(
            axes[2, column],
            one.V_m.sel(time=t).values,
            dx * pool,
            cmap="viridis",
            vmin=-85,
            vmax=15,
        )
        axes[3, column].plot(
            one.time_ecg,
            one.phi_e.sel(lead="center"),
            color=figures.COLORS[str(one.condition.values)],
        )
        axes[0, column].set_title(f"{title} ({sim})", fontsize="small")
        axes[2, column].set_title(f"at {t:.0f} ms", fontsize="small")
        axes[3, column].set(
            xlabel="time (ms)", ylabel=figures.PHI_E_LABEL if column == 0 else ""
        )
    for row, image, label in zip(
        axes,
        (D, lat, V_m),
        ("$D$ (mm$^2$/ms)", r"$\mathrm{LAT}$ (ms)", "$V_m$ (mV)"),
        strict=False,
    ):
        fig.colorbar(image, ax=row, label=label, shrink=0.85)
        for ax in row:
            ax.label_outer()
    figures.show(fig, alt)


examples = [int(table.query("condition == @name").index[0]) for name in names]
alt = (
    "A column for one tissue of each condition: maps of diffusivity, activation time and voltage, and the ECG. The "
    "healthy front is smooth and its ECG large; where there is fibrosis the front is broken and the ECG smaller."
)
gallery(ds, examples, [figures.LABELS[name] for name in names], alt)

# %% [markdown]
# The first tissue of each condition, its number in parentheses: diffusivity
# with non-conductive cells dark, activation times with an isochrone every
# 20 ms, the stored map at the time when half of the sheet is activated, and
# the ECG 40 mm above the center. Crowded isochrones are slow conduction.
# One draw of each says nothing of the next one.

# %%
shown = [name for name in textures.index if name != "none"]
first = [
    int(table.query("texture == @name and condition == 'fibrotic'").index[0])
    for name in shown
]
alt = (
    "A column for one fibrotic tissue of each texture: maps of diffusivity, activation time and voltage, and the ECG. A "
    "compact scar leaves the front smooth around it; scattered cells, strands and patches make it ragged."
)
gallery(ds, first, shown, alt)

# %% [markdown]
# The same for the first fibrotic tissue of each texture. A map pixel is the
# mean over its cells, so that fine fibrosis is seen only as a lower
# amplitude; the data set keeps the mask at full resolution as a label, and
# no network sees it.

# %% [markdown]
# ## The ECGs

# %%
fig, axes = plt.subplots(2, 2, figsize=(9, 5), sharex=True, sharey=True)
for ax, name in zip(axes.flat, names, strict=False):
    members = table.query("condition == @name").index
    _ = ax.plot(
        ds.time_ecg,
        ds.phi_e.sel(lead="center")[members].values.T,
        color=figures.COLORS[name],
        lw=0.4,
        alpha=0.5,
    )
    _ = ax.set(
        title=figures.LABELS[name], xlabel="time (ms)", ylabel=figures.PHI_E_LABEL
    )
    ax.label_outer()
figures.show(
    fig,
    "All ECGs at the central electrode over time, a panel for each condition. Within each they differ in sign, height "
    "and duration; those of tissue with fibrosis are weaker on the whole.",
)

# %% [markdown]
# Every ECG of the set at the paper's electrode, by condition. Within one
# condition they differ in sign, height and duration: the stimulus site and
# the tissue both act. Nothing here says how much of the difference a
# network can find in the maps.

# %%
bank = ds.electrodes
role = ds.lead.to_series().str.rstrip("0123456789").to_numpy()
amplitude = np.abs(ds.phi_e).max("time_ecg").values  # (sim, lead)

# %%
fig, panels = plt.subplot_mosaic(
    [["above", "fall"], ["above", "peaks"]], figsize=(9.5, 6.4), layout="constrained"
)
above, fall, peaks = (panels[name] for name in ("above", "fall", "peaks"))
markers = {"center": "*", "train": "o", "unseen": "s", "near": "^"}
for name, marker in markers.items():
    x, y, z = bank.values[role == name].T
    above.scatter(
        x,
        y,
        c=z,
        vmin=0,
        vmax=96,
        cmap="viridis",
        marker=marker,
        s=60,
        edgecolor="0.3",
        label=name,
    )
    fall.scatter(
        z,
        np.median(amplitude[:, role == name], axis=0),
        marker=marker,
        label=name,
        s=30,
    )
_ = above.set(
    xlim=(0, n_cells * dx),
    ylim=(0, n_cells * dx),
    aspect="equal",
    xlabel="x (mm)",
    ylabel="y (mm)",
)
_ = fig.colorbar(
    above.collections[0], ax=above, label="height $z$ (mm)", location="bottom"
)
size = figures.PHI_E_LABEL.replace(r"$\phi_e$", r"$|\phi_e|$")
_ = fall.set(
    xlabel="height $z$ (mm)", ylabel=f"median peak\n{size}", xscale="log", yscale="log"
)
_ = fall.legend(frameon=False, fontsize="small")
at_center = labeled.assign(amplitude=amplitude[:, 0])
sns.histplot(
    at_center,
    x="amplitude",
    hue="condition",
    multiple="stack",
    log_scale=True,
    ax=peaks,
    bins=30,
    palette=colors,
)
_ = peaks.set(
    xlabel=f"peak {size}, center", ylabel="tissues", xticks=(0.05, 0.1, 0.2, 0.4, 0.8)
)
_ = peaks.set_xticks([], minor=True)
sns.move_legend(peaks, "upper left", title=None, frameon=False, fontsize="small")
peaks.xaxis.set_major_formatter("{x:g}")
figures.show(
    fig,
    "The electrodes from above, colored by height, and two plots. The median peak of the ECG falls with the height of "
    "the electrode; at the center the peaks spread widely, from weak combined to strong healthy tissue.",
)

# %% [markdown]
# Left: the 37 electrodes from above. Those of the bank come in whole orbits
# of the eight symmetries of the square, so that a turned or mirrored tissue
# only permutes them: augmentation stays exact. *Train* may be used for
# training, *unseen* and *near* (5 to 8 mm above the tissue) never. Top
# right: nearer electrodes see larger ECGs. Bottom right: at the paper's
# electrode the peaks of the ECGs spread over more than a factor of ten, so
# that an error that is small for one tissue hides another one.

# %% [markdown]
# ## The other sets
#
# *calibration* and *test* follow the recipe with seeds of their own: 30
# test tissues cannot tell a coverage or a small difference from luck. The
# other sets leave the recipe, the table says in what, and no network is
# trained on any of them.

# %% tags=["hide-output", "nbval-ignore-output"]
recipes = {
    name: other for name, other in collection(recipe).items() if name not in left_out
}
sets = {"train, val, test": ds} | {
    name: load_or_simulate(other) for name, other in recipes.items()
}

# %%
tables = {name: tissue_table(other) for name, other in sets.items()}
usual, rows = asdict(recipe), {}
for name, one in tables.items():
    used = asdict(recipes.get(name, recipe))
    changed = {
        key: value
        for key, value in used.items()
        if value != usual[key] and key not in ("n_sim", "seed", "max_draws")
    }
    changed |= {"cell": used["cell"]["name"]} if "cell" in changed else {}
    rows[name] = {
        "tissues": len(one), "differs in": ", ".join(f"{key} {value}" for key, value in changed.items()),
        "activated": one.activated.mean(), "fibrosis, least": one.fibrosis_density.min(),
        "fibrosis, most": one.fibrosis_density.max(), "apd": one.apd.median(), "repolarized": one.repolarized.mean(),
        "ecg_sd": one.ecg_sd.mean(),
    }  # fmt: skip
sets_table = pd.DataFrame.from_dict(rows, orient="index")
sets_table.to_csv(result_file("06_dataset_sets.csv"), index_label="set")
sets_table.round(2)

# %% [markdown]
# One row a set: its tissues, what its recipe changes, the mean share of
# cells that were activated, the least and the greatest share of fibrotic
# cells, the median duration of the action potential (ms), the share of
# tissues that are repolarized at the end, and the mean standard deviation
# of the ECG. Re-entry is not repolarized and should not be; where the share
# is below one elsewhere, the slowest waves are cut off by the end. The slow
# sets are recorded longer: a method that needs the length of the recipe
# must cut or refuse them. *Dense* is above the usual shares of its own
# texture; compact fibrosis gets more scars, and may still cover less than
# diffuse fibrosis usually does.

# %%
if "reentry" in sets:
    above = sets["reentry"].V_m.values > -35  # u = 1/2
    upward = above[:, 1:] & ~above[:, :-1]
    turns = upward.sum(1).max((1, 2))  # activations of the busiest pixel of each tissue
    late = sets["reentry"].time.values[1:] > float(sets["reentry"].time[-1]) - 150
    assert (turns >= 5).all() and upward[:, late].any((2, 3)).all(), turns
    print(
        f"re-entry: {turns.min()} to {turns.max()} activations of one pixel, and all of the {turns.size} tissues activate some to the end"
    )

# %% [markdown]
# Re-entry is labeled so only where it is: S1 and S2 alone activate no cell
# more than twice, so five activations are three turns at least; and some
# pixel is activated in each of the frames of the last 150 ms. Draws that
# fail are drawn again and counted below.

# %%
others = [
    name for name in sets if name not in ("train, val, test", "calibration", "test")
]
n_rows = -(-len(others) // 4)
fig, axes = plt.subplots(2 * n_rows, 4, figsize=(9, 3.9 * n_rows), layout="constrained")
for upper, lower, name in zip(axes[::2].flat, axes[1::2].flat, others, strict=False):
    one = sets[name].isel(sim=0)
    t = (
        float(one.time[np.abs(one.time.values - float(one.lat.median())).argmin()])
        if name != "reentry"
        else float(one.time[-1])
    )
    _ = figures.map_axes(
        upper, one.V_m.sel(time=t).values, dx * pool, cmap="viridis", vmin=-85, vmax=15
    )
    _ = upper.set_title(name.replace("_", " "))
    _ = lower.plot(one.time_ecg, one.phi_e.sel(lead="center"), color="black", lw=0.8)
    _ = lower.set(xlabel="time (ms)")
    upper.label_outer()
for ax in axes[1::2, 0]:
    _ = ax.set(ylabel=figures.PHI_E_LABEL)
for ax in axes[-2:, len(others) % 4 or 4 :].flat:
    ax.remove()
figures.show(
    fig,
    "A map of voltage and the ECG over time for one tissue of each other set, from two foci and a spiral to other "
    "cells, diffusivities and fibrosis. Waves and ECGs differ widely; that of the spiral oscillates to the end.",
)

# %% [markdown]
# The first tissue of each set: a map (when half of the sheet is activated;
# of the re-entry the last one) and the ECG. Scales of the ECGs differ. What
# is typical of a set is in the table and not here.

# %% [markdown]
# ## Draws that were not kept

# %%
rejected = pd.DataFrame({
    name: {why: one[f"rejected_{why}"].sum() for why in REJECTIONS} | {"tissues": len(one)} for name, one in tables.items()
}).T  # fmt: skip
rejected[["tissues", *REJECTIONS]]

# %% [markdown]
# How many draws each set threw away, by reason: *site*, the stimulus lay on
# fibrosis alone; *activation*, less than half of the conductive cells were
# reached; *reentry*, the wave did not last. Redrawing removes the very
# worst tissues from every set alike; scores do not cover them.

# %% [markdown]
# ## No tissue twice
#
# A tissue is the same tissue when it is turned or mirrored. The hash of a
# tissue is equal for all its eight symmetric copies, and no hash may occur
# in two parts of the split or in two sets.

# %%
marks = {
    name: [
        sheet_hash(D, live)
        for D, live in zip(other.D.values, other.conductive.values, strict=True)
    ]
    for name, other in sets.items()
}
parts = {
    part: [marks["train, val, test"][sim] for sim in members.index]
    for part, members in table.groupby("part")
}
check_disjoint(
    parts | {name: found for name, found in marks.items() if name != "train, val, test"}
)
n_marks = sum(map(len, marks.values()))
assert len({mark for found in marks.values() for mark in found}) == n_marks
headline("dataset_tissues_all_sets", n_marks, tolerance=0, on=f"{len(sets)} sets")
print(
    f"{n_marks} tissues in {len(parts) + len(marks) - 1} parts and sets: all different, symmetric copies included"
)

# %% [markdown]
# Not the same is not yet different. As the distance of two tissues we take
# the root mean square difference of their activation times, on a coarse
# grid, smallest over the eight symmetries.


# %%
def activation_features(lat, cells=20):
    """Activation times (ms) on cells x cells pixels: means over the activated cells of each."""
    side = lat.shape[-1] // cells
    blocks = lat.reshape(-1, cells, side, cells, side)
    reached = np.isfinite(blocks)
    mean = np.where(reached, blocks, 0).sum((2, 4)) / np.maximum(reached.sum((2, 4)), 1)
    whole = np.nanmean(lat, axis=(1, 2))[:, None, None]
    return np.where(reached.any((2, 4)), mean, whole)


features = activation_features(ds.lat.values)
train = table.query("part == 'train'").index.to_numpy()
copies = np.concatenate(
    [apply_symmetry(torch.from_numpy(features[train]), n).flatten(1) for n in range(8)]
)
compared = {
    part: (
        features[table.part == part],
        ds.phi_e[(table.part == part).values, 0].values,
    )
    for part in ("val", "test")
}
for name in [name for name in ("calibration", "test") if name in sets]:
    compared[f"{name} set"] = (
        activation_features(sets[name].lat.values),
        sets[name].phi_e[:, 0].values,
    )
nearest = {}
for name, (other, ecg) in compared.items():
    distance = cdist(other.reshape(len(other), -1), copies) / features.shape[-1]
    copied = ds.phi_e[:, 0].values[
        train[distance.argmin(1) % len(train)]
    ]  # symmetric copies share the ECG at the center
    nearest[name] = pd.DataFrame({"distance": distance.min(1), "r2": r2(ecg, copied)})
nearest = pd.concat(nearest, names=["tissues", "k"]).reset_index("tissues")
by_part = nearest.groupby("tissues").agg(
    closest=("distance", "min"), median=("distance", "median"), below_5_ms=("distance", lambda d: (d < 5).mean()),
    r2_mean=("r2", "mean"), r2_median=("r2", "median"),
)  # fmt: skip
on_copies = "test tissues, ECG of the nearest training tissue"
headline(
    "nearest_tissue_r2_mean", by_part.r2_mean["test"], tolerance=0.02, on=on_copies
)
by_part.round(2)

# %%
fig, ax = plt.subplots(figsize=(7, 3.2))
_ = sns.ecdfplot(nearest, x="distance", hue="tissues", ax=ax)
_ = ax.set(
    xlabel="distance to the nearest training tissue (ms)",
    ylabel="share of tissues",
    xlim=(0, None),
)
figures.show(
    fig,
    "Cumulative share of tissues over the distance to the nearest training tissue. The curves of all parts rise "
    "alike, steeply from near zero, and end in a long thin tail.",
)

# %% [markdown]
# Table and curves: the distance from each tissue to the nearest training
# tissue, in ms. None is zero, but some are small, for a wave in a uniform
# sheet is fixed by a diffusivity and a site: tissues of one distribution
# have neighbors. What a neighbor is worth is in the last two columns of the
# table, the $R^2$ of a method that returns the ECG of the nearest training
# tissue and knows no physics at all. It is one more rung that a network has
# to beat, and a reason for the sets that leave the recipe.

# %% [markdown]
# ## Claims
#
# Nearly all tissues are repolarized before the recording ends; every part
# of the split holds every condition and no tissue twice; copying the
# nearest training tissue is not enough; and the condition does not fix the
# kind of stimulus.

# %%
finished = float(table.repolarized.mean())
closest = float(by_part.closest[["val", "test"]].min())
assert finished >= 0.99, (
    f"only {finished:.1%} of the tissues are repolarized within {t_end:g} ms"
)
assert (
    table.part.notna().all()
    and (table.groupby("part").condition.nunique() == len(names)).all()
)
assert (table.ecg_sd > 0).all(), "a flat ECG"
assert closest > 0 and by_part.r2_mean["test"] < claim_copy_r2_max, by_part
headline("dataset_share_repolarized", finished, tolerance=0.01, on=scale)
on_pairs = "train against val and test, symmetric copies included"
headline("dataset_closest_pair_ms", closest, unit="ms", tolerance=0.1, on=on_pairs)
at_rest = table.rest_time.notna().mean()
print(
    f"within {t_end:g} ms {finished:.1%} of the tissues are repolarized, {at_rest:.1%} within 0.01 mV of rest"
)
print(
    f"last activation at {table.last_activation.max():.0f} ms at the latest; closest pair {closest:.1f} ms"
)

# %%
sites = pd.crosstab(table.condition, table.stimulus).loc[names]
p_value = chi2_contingency(sites).pvalue
assert p_value > 0.01, (
    f"the kind of stimulus depends on the condition: p = {p_value:.1e}"
)
print(f"independence of condition and stimulus: p = {p_value:.2f}")
sites.rename_axis(columns=None)

# %%
fig, ax = plt.subplots(figsize=(7, 3.4))
kinds = [
    name
    for name in ("none", "compact", "patchy", "diffuse", "interstitial")
    if name in set(labeled.texture)
]
style = dict(hue="texture", hue_order=kinds, style="part", s=40)
_ = sns.scatterplot(labeled, x="fibrosis_density", y="ecg_sd", ax=ax, **style)
_ = ax.set(
    xlabel="share of fibrotic cells",
    ylabel=f"SD of {figures.PHI_E_LABEL}",
    ylim=(0, None),
)
sns.move_legend(ax, "upper left", bbox_to_anchor=(1, 1), frameon=False)
figures.show(
    fig,
    "Standard deviation of the ECG over the share of fibrotic cells, one point a tissue, colored by texture. It falls "
    "with fibrosis; diffuse and interstitial tissue lies lower than compact and patchy tissue of the same share.",
)

# %% [markdown]
# The more fibrosis, the weaker the ECG, and the texture matters as much as
# the density; the three parts of the split cover the same range. Weak ECGs
# are the hard ones for any method whose errors do not shrink with the
# signal. The figure does not show how well any method does on them.

# %% [markdown]
# ## Size, time, and ten thousand tissues
#
# The store holds maps in half precision, ECGs in double; every chunk is
# compressed and carries a checksum, so that an altered byte is found when
# the set is opened, and only that tissue is simulated again.

# %% tags=["nbval-ignore-output"]
cores = ds.attrs["seconds"] * ds.attrs["workers"] / n_sim  # core seconds a tissue
megabytes = stored_bytes(recipe) / 1e6
workers, minutes = ds.attrs["workers"], ds.attrs["seconds"] / 60
machine = f"{scale}, {ds.sizes['lead']} electrodes, {t_end:g} ms, {workers} workers, machine not kept free"
headline("dataset_minutes_300", minutes, unit="min", tolerance=None, on=machine)
headline("dataset_core_seconds_per_tissue", cores, unit="s", tolerance=None, on=machine)
headline("dataset_store_mb", megabytes, unit="MB", tolerance=None, on=scale)
loading = {}
for pixels in (ds.sizes["y_map"] // 2, ds.sizes["y_map"]):
    for memory, limit in (("memory", 8.0), ("a mapped file", 0.0)):
        begin = perf_counter()
        sequences = Sequences(ds, range(min(n_sim, 60)), pixels, memory_gb=limit)
        loading[f"store to {memory}, {pixels} x {pixels} pixels"] = len(sequences) / (
            perf_counter() - begin
        )
        batches = loader(sequences, 8, torch.Generator().manual_seed(0), augment=True)
        begin = perf_counter()
        n_read = sum(len(ecg) for _, ecg, _ in batches)
        loading[f"augmented batches of 8 from {memory}, {pixels} x {pixels} pixels"] = (
            n_read / (perf_counter() - begin)
        )
print(
    f"{n_sim} tissues in {ds.attrs['seconds'] / 60:.1f} minutes with {ds.attrs['workers']} workers, {megabytes:.0f} MB"
)
pd.Series(loading, name="tissues per second").round(0).to_frame()

# %% tags=["nbval-ignore-output"]
plan = pd.DataFrame({"workers": [2, 16, 64, 256]})
plan["hours"] = n_planned * cores / plan.workers / 3600
plan["store (GB)"] = n_planned * megabytes / n_sim / 1e3
plan["files"] = n_planned * len(chunk_names(0))
plan["writing (MB/s)"] = plan["store (GB)"] * 1e3 / plan.hours / 3600
print(f"{n_planned} tissues at {cores:.2f} core seconds each")
plan.round({"hours": 2, "store (GB)": 1, "writing (MB/s)": 1})

# %% [markdown]
# The plan multiplies what this build measured; it was not run. Two workers
# are a laptop left alone for some hours. Sixteen are one larger machine and
# the same call. Beyond that the tissues are handed to a Dask cluster,
# `load_or_simulate(recipe, client.get_executor(), folder="s3://...")`: tissues do
# not talk to each other, each worker writes its own chunks, and a lost
# worker costs the tissues it had in hand, which a test shows by killing
# one. The rate of writing says what the storage must take. The number of
# files is the weak side of the layout: a disk takes them, an object store
# answers slowly; there the small columns would have to be gathered first.
# The plan also leaves out the quarter of a minute in which each worker
# compiles the solver, and the price.

# %% [markdown]
# ## How to get it, and what you may do with it
#
# The set is not shipped:
# `load_or_simulate(read_recipe(RESULTS / "06_dataset.json"))` makes it from
# nothing, bit for bit the same on the same machine. Four of its tissues,
# reduced, come with the repository ({doc}`../book/data`). Data, text and
# figures are licensed CC BY 4.0. All of it is simulated: flat sheets, no
# patient. What is meant for patients must not be trained on it.

# %% tags=["hide-input"]
print(headline.provenance())
