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
#       The split has as many tissues as the paper had, and all sets together have
#       {headline}`dataset_tissues_all_sets`; no tissue is in two parts or two sets, and
#       copying the ECG of the nearest training tissue scores a mean R² of
#       {headline}`nearest_tissue_r2_mean`.
#     next:
#       page: book/surrogate
#       why: what is to be learned from them, and how it is scored
#     needs:
#       - results/runs/dataset_cost.csv
#     makes:
#       results/07_dataset.csv: >-
#         one row a tissue of the data set, what was drawn and what came of it
#       results/07_dataset.json: the recipe of the data set
#       results/07_dataset_sets.csv: the further sets, and in what they differ
#     smoke: {
#       n_sim: 15, n_cells: 80, dx: 1.0, t_end: 320.0, pool: 4, min_activated: 0.2,
#       test: 0.2, val: 0.2,
#       left_out: [
#         reentry, unseen_cell, unseen_cell_mbr, unseen_D_high, unseen_D_low,
#         dense_fibrosis
#       ]
#     }
# ---

# %% [markdown]
# # Data set: tissues, split and further sets
#
# **Question.** What do the networks learn from, and what are they tested
# on? Which tissues were drawn, and which draws were rejected? Does every
# wave finish within the recorded time, and does any tissue occur twice?
#
# **Scale:** 300 tissues on the 400 × 400 grid, as many as in the paper and
# in its proportions of the four conditions; 300 more for calibrating
# uncertainty and 300 for testing, from the same recipe; and eight small
# sets that do *not* follow this recipe.
#
# The page needs only the package. It takes up to half an hour on two cores
# the first time and a minute afterward, because the tissues are stored. An
# interrupted run continues where it stopped. Every choice below is ours;
# the reasons are in {ref}`choices-tissue` and {ref}`choices-sim`. How to
# load, export and extend the set is in {doc}`../book/use`. To run the page
# with other values:
#
#     make run NB=07_dataset SET="n_sim=20 z_mm=20"

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
from compendium.tables import WORDS, printed
from forwardecg.contract import V_REST, V_SPAN
from forwardecg.data.layout import chunk_names
from forwardecg.data.recipe import REJECTIONS, Recipe, write_recipe
from forwardecg.data.sets import collection
from forwardecg.data.split import check_disjoint, sheet_hash, split_by_tissue
from forwardecg.data.store import load_or_simulate, stored_bytes
from forwardecg.measure.scores import r2
from forwardecg.paths import RESULTS
from forwardecg.surrogates.paper.data import Sequences, loader
from forwardecg.tissue.symmetry import apply_symmetry

figures.set_style()
headline = Headline("07_dataset")

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
# mean R2 that copying the ECG of the nearest training tissue stays below
claim_copy_r2_max = 0.9

# %% [markdown]
# One record holds all of these values. The store of the simulated tissues
# is named by a hash of this record and by a version, so a changed value can
# never meet an old store. The version is raised when the code gives other
# tissues. Each tissue depends on the record and on its own number alone. It
# does not depend on the order, on the number of workers, or on how often
# the build was stopped.

# %%
recipe = Recipe(
    n_sim=n_sim,
    n_cells=n_cells,
    dx=dx,
    dt=dt,
    t_end=t_end,
    frame_interval=frame_interval,
    pool=pool,
    D0_low=D0_low,
    D0_high=D0_high,
    z_mm=z_mm,
    min_activated=min_activated,
    seed=seed,
)
write_recipe(recipe, result_file("07_dataset.json"))

# %% [markdown]
# ## Simulation
#
# Each tissue is drawn from its own seed: a healthy diffusivity, one of four
# conditions, and a stimulus along a part of an edge, near a corner or at a
# point. The site is drawn independently of the condition. With a fixed site
# all healthy tissues would have the same ECG up to the diffusivity, and a
# network could learn the condition instead of the forward problem.
#
# The solver runs on the full grid with a calibrated diffusivity
# ({ref}`calibration`). The ECG comes from the lead field of the *physical*
# diffusivity, also on the full grid, once every millisecond. It is recorded
# at the electrode above the center and at a bank of 36 others. The maps are
# then pooled ({ref}`pooling`) and stored.

# %% tags=["hide-output", "nbval-ignore-output"]
ds = load_or_simulate(recipe)

# %%
print(dict(sorted(ds.sizes.items())))  # the store lists its arrays in no order
print(f"{n_cells * dx:g} mm sheet")
print(f"{ds.sizes['y_map']} x {ds.sizes['x_map']} maps every {frame_interval:g} ms")

# %% [markdown]
# ## Table of tissues
#
# The table has a row for each tissue, with
#
# - condition, texture and density of the fibrosis;
# - the times at which the last cell was activated and had recovered, and
#   the median duration of the action potential, all three of the first
#   beat;
# - the time at which every cell was within 0.01 mV of rest, empty if this
#   was not reached before the end;
# - whether the last map is repolarized, with no pixel above −75 mV;
# - the standard deviation of the ECG, and the part of the split.
#
# *Mild* means less than 20 % fibrosis and none of it interstitial. This is
# a property of the draw, fixed before anything is trained.
#
# The split is drawn by tissue within each condition, so that no tissue
# gives frames to two parts ({ref}`splits`).

# %%
columns = [name for name in ds.data_vars if ds[name].dims == ("sim",)]


def tissue_table(ds):
    """Return the per-tissue columns of a set, with repolarization and SD of the ECG."""
    found = {name: ds[name].values for name in sorted(columns)}
    last_map = ds.V_m.isel(time=-1)
    found["repolarized"] = (last_map < -75).all(("y_map", "x_map")).values
    found["ecg_sd"] = ds.phi_e.sel(lead="center").std("time_ecg").values  # mV mm/ms
    return pd.DataFrame(found).rename_axis("sim")


table = tissue_table(ds)
for part, members in split_by_tissue(table.condition, split_seed, test, val).items():
    table.loc[members, "part"] = part
table.round(6).to_csv(result_file("07_dataset.csv"))

# %% tags=["hide-input"]
scale = f"{n_sim} tissues, {n_cells} x {n_cells} cells"
redrawn, ecg_sd = int((table.attempt > 0).sum()), table.ecg_sd.mean()
headline("dataset_mild", int(table.mild.sum()), tolerance=0, on=scale)
headline("dataset_redrawn", redrawn, tolerance=0, on=scale)
headline("dataset_ecg_sd_mean", ecg_sd, unit="mV mm/ms", tolerance=1e-4, on=scale)

# %%
counts = {
    "tissues": ("part", "size"),
    "mild": ("mild", "sum"),
}
means = {
    "fibrosis": ("fibrosis_density", "mean"),
    "last_activation": ("last_activation", "mean"),
    "apd": ("apd", "mean"),
    "ecg_sd": ("ecg_sd", "mean"),
}
names = [name for name in figures.COLORS if name in set(table.condition)]
summary = table.groupby("condition").agg(**counts, **means).loc[names]
printed(summary, caption="Tissues of each condition: counts and means.")

# %% [markdown]
# The first two columns are counts, the others means over the tissues of each
# condition: the share of fibrotic cells, the last activation and the duration
# of the action potential in ms, and the standard deviation (SD) of the ECG in
# mV mm/ms. Fibrosis and remodeling slow the wave and weaken the ECG, and both
# together do so most.
# A mean does not describe a single tissue; the figures below show those.
#
# The next table has the same tissues by the texture of their fibrosis.

# %%
textures = table.groupby("texture").agg(
    tissues=counts["tissues"],
    mild=counts["mild"],
    least=("fibrosis_density", "min"),
    most=("fibrosis_density", "max"),
    redrawn=("attempt", lambda a: (a > 0).sum()),
    ecg_sd=means["ecg_sd"],
)
printed(textures, caption="Tissues of each texture, and their shares of fibrosis.")

# %% [markdown]
# For each texture the table has the number of tissues, how many of them are
# mild, the smallest and largest share of fibrotic cells, and how many tissues
# were drawn more than once. Diffuse and interstitial fibrosis come with the
# weakest ECGs. The condition alone therefore does not tell how hard a tissue
# is.

# %% [markdown]
# ## Distribution of the draws
#
# Four histograms show what was drawn and what the simulation made of it.

# %% tags=["hide-input"]
labeled = table.assign(condition=table.condition.map(figures.LABELS))
colors = {figures.LABELS[name]: figures.COLORS[name] for name in names}
fibrotic = labeled.query("fibrosis_density > 0")
panels = {
    "D0": (labeled, r"healthy diffusivity $D_0$ (mm$^2$/ms)"),
    "fibrosis_density": (fibrotic, "share of fibrotic cells, where there are any"),
    "last_activation": (labeled, "last activation (ms)"),
    "rest_time": (labeled, "every cell at rest (ms)"),
}
shared = dict(hue="condition", palette=colors, multiple="stack", bins=24, linewidth=0.3)
shared["alpha"] = 1
fig, axes = plt.subplots(2, 2, figsize=(10, 6.4), layout="constrained")
for ax, (x, (rows, xlabel)) in zip(axes.flat, panels.items(), strict=True):
    sns.histplot(rows, x=x, ax=ax, legend=x == "D0", **shared)
    _ = ax.set(xlabel=xlabel, ylabel="tissues")
above_panel = dict(bbox_to_anchor=(0.5, 1), ncols=4, title=None, frameon=False)
sns.move_legend(axes[0, 0], "lower center", **above_panel)
figures.show(
    fig,
    "Four stacked histograms of tissues, colored by condition: healthy diffusivity, "
    "share of fibrotic cells, last activation, and time of rest. The diffusivity "
    "spreads evenly; remodeled tissue makes the late tails.",
)

# %% [markdown]
# Top: what was drawn. Bottom: what resulted. The healthy diffusivity is
# drawn from the same range in all conditions. Slow tissue appears in the
# lower panels, where the last activation comes late. The two lower panels
# differ by one action potential and the decay to 0.01 mV above rest. We do
# not claim that patients are distributed like this.

# %% [markdown]
# ## Gallery of tissues
#
# The gallery shows single tissues, one in each column: first one of each
# condition, then one of each texture.


# %% tags=["hide-input"]
def half_activated(one):
    """Return the stored time (ms) nearest to that at which half is activated."""
    return float(one.time[np.abs(one.time.values - float(one.lat.median())).argmin()])


def gallery_column(axes, one, title, late):
    """Draw one tissue in a column of the gallery and return its three images."""
    D = one.D.where(one.conductive).values
    t = half_activated(one)
    V_m = one.V_m.sel(time=t).values
    axes[0].set_facecolor("0.25")
    axes[0].set_title(title, fontsize="small")
    of_D = figures.map_axes(axes[0], D, dx, cmap="cividis", vmin=0, vmax=D0_high)
    of_lat = figures.activation_map(axes[1], one.lat.values, dx)
    of_lat.set_clim(0, late)
    on_maps = dict(cmap="viridis", vmin=V_REST, vmax=V_REST + V_SPAN)
    of_V_m = figures.map_axes(axes[2], V_m, dx * pool, **on_maps)
    axes[2].set_title(f"at {t:.0f} ms", fontsize="small")
    color = figures.COLORS[str(one.condition.values)]
    axes[3].plot(one.time_ecg, one.phi_e.sel(lead="center"), color=color)
    axes[3].set(xlabel="time (ms)")
    return of_D, of_lat, of_V_m


def gallery(ds, sims, titles, alt):
    """Show diffusivity, activation times, one map of voltage and the ECG of tissues."""
    size = (1.95 * len(sims), 7.2)
    fig, axes = plt.subplots(
        4, len(sims), figsize=size, layout="constrained", sharey="row"
    )
    late = float(ds.lat[sims].max())
    for column, sim, title in zip(axes.T, sims, titles, strict=True):
        images = gallery_column(column, ds.isel(sim=sim), f"{title} ({sim})", late)
    axes[3, 0].set(ylabel=figures.PHI_E_LABEL)
    labels = ("$D$ (mm$^2$/ms)", r"$\mathrm{LAT}$ (ms)", "$V_m$ (mV)")
    for row, image, label in zip(axes[:3], images, labels, strict=True):
        fig.colorbar(image, ax=row, label=label, shrink=0.85)
        for ax in row:
            ax.label_outer()
    figures.show(fig, alt)


# %%
examples = [int(table.query("condition == @name").index[0]) for name in names]
alt = (
    "A column for one tissue of each condition: maps of diffusivity, activation time "
    "and voltage, and the ECG. The healthy front is smooth and its ECG large; where "
    "there is fibrosis the front is broken and the ECG smaller."
)
gallery(ds, examples, [figures.LABELS[name] for name in names], alt)

# %% [markdown]
# The columns are the first tissues of each condition, with their numbers in
# parentheses. The rows from top to bottom are the diffusivity, with
# non-conductive cells dark; the activation times, with an isochrone every
# 20 ms; the stored map at the time when half of the sheet is activated; and
# the ECG 40 mm above the center. Crowded isochrones mean slow conduction.
# The next draw of the same condition may look quite different.

# %%
shown = [name for name in textures.index if name != "none"]
first = [
    int(table.query("texture == @name and condition == 'fibrotic'").index[0])
    for name in shown
]
alt = (
    "A column for one fibrotic tissue of each texture: maps of diffusivity, "
    "activation time and voltage, and the ECG. A compact scar leaves the front smooth "
    "around it; scattered cells, strands and patches make it ragged."
)
gallery(ds, first, shown, alt)

# %% [markdown]
# These are the first fibrotic tissues of each texture. A map pixel is the
# mean over its cells, so fine fibrosis appears only as a lower amplitude.
# The data set keeps the mask at full resolution as a label. No network gets
# it as an input.

# %% [markdown]
# ## ECGs of the data set
#
# The first figure has all ECGs at the central electrode, the second their
# size at all electrodes.

# %%
fig, axes = plt.subplots(2, 2, figsize=(9, 5), sharex=True, sharey=True)
for ax, name in zip(axes.flat, names, strict=False):
    ecgs = ds.phi_e.sel(lead="center")[table.query("condition == @name").index]
    color = figures.COLORS[name]
    _ = ax.plot(ds.time_ecg, ecgs.values.T, color=color, lw=0.4, alpha=0.5)
    _ = ax.set(
        title=figures.LABELS[name], xlabel="time (ms)", ylabel=figures.PHI_E_LABEL
    )
    ax.label_outer()
figures.show(
    fig,
    "All ECGs at the central electrode over time, a panel for each condition. Within "
    "each they differ in sign, height and duration; those of tissue with fibrosis are "
    "weaker on the whole.",
)

# %% [markdown]
# Every ECG is drawn in the panel of its condition. Within a condition the
# ECGs differ in sign, height and duration, because both the stimulus site
# and the tissue differ. How much of this difference can be found in the
# maps is not a question that the figure answers.

# %%
bank = ds.electrodes
role = ds.lead.to_series().str.rstrip("0123456789").to_numpy()
amplitude = np.abs(ds.phi_e).max("time_ecg").values  # (sim, lead)

# %% tags=["hide-input"]
fig, panels = plt.subplot_mosaic(
    [["above", "fall"], ["above", "peaks"]], figsize=(9.5, 6.4), layout="constrained"
)
above, fall, peaks = (panels[name] for name in ("above", "fall", "peaks"))
by_height = dict(vmin=0, vmax=96, cmap="viridis", s=60, edgecolor="0.3")
for name, marker in {"center": "*", "train": "o", "unseen": "s", "near": "^"}.items():
    x, y, z = bank.values[role == name].T
    above.scatter(x, y, c=z, marker=marker, label=name, **by_height)
    median = np.median(amplitude[:, role == name], axis=0)
    fall.scatter(z, median, marker=marker, label=name, s=30)
side = (0, n_cells * dx)
_ = above.set(xlim=side, ylim=side, aspect="equal", xlabel="x (mm)", ylabel="y (mm)")
points = above.collections[0]
_ = fig.colorbar(points, ax=above, label="height $z$ (mm)", location="bottom")
size = figures.PHI_E_LABEL.replace(r"$\phi_e$", r"$|\phi_e|$")
_ = fall.set(
    xlabel="height $z$ (mm)", ylabel=f"median peak\n{size}", xscale="log", yscale="log"
)
_ = fall.legend(frameon=False, fontsize="small")
at_center = labeled.assign(amplitude=amplitude[:, 0])
stacked = dict(hue="condition", palette=colors, multiple="stack", bins=30, alpha=1)
sns.histplot(at_center, x="amplitude", log_scale=True, ax=peaks, **stacked)
_ = peaks.set(
    xlabel=f"peak {size}, center", ylabel="tissues", xticks=(0.05, 0.1, 0.2, 0.4, 0.8)
)
_ = peaks.set_xticks([], minor=True)
sns.move_legend(peaks, "upper left", title=None, frameon=False, fontsize="small")
peaks.xaxis.set_major_formatter("{x:g}")
figures.show(
    fig,
    "The electrodes from above, colored by height, and two plots. The median peak of "
    "the ECG falls with the height of the electrode; at the center the peaks spread "
    "widely, from weak combined to strong healthy tissue.",
)

# %% [markdown]
# Left: the 37 electrodes from above. Those of the bank form whole orbits of
# the eight symmetries of the square. A turned or mirrored tissue therefore
# only permutes them, and augmentation stays exact. Electrodes called
# *train* may be used in training, those called *unseen* and *near* (5 to 8
# mm above the tissue) never. Top right: nearer electrodes see larger ECGs.
# Bottom right: at the central electrode the peaks of the ECGs spread over
# more than a factor of ten. An error that is small for one tissue can be as
# large as the whole ECG of another.

# %% [markdown]
# ## Further sets
#
# *calibration* and *test* follow the recipe with seeds of their own. They exist
# because 30 test tissues are too few to tell a coverage or a small difference
# from luck. No structured network is trained on either. The paper's network that
# `load_surrogate("paper")` gives is trained on the calibration set as well, and
# some of the retrainings in {doc}`14_undeclared_choices` and
# {doc}`17_data_efficiency` use both. The other sets leave the recipe, and the
# table says how. No network at all is trained on those.

# %% tags=["hide-output", "nbval-ignore-output"]
recipes = {
    name: other for name, other in collection(recipe).items() if name not in left_out
}
sets = {"train, val, test": ds} | {
    name: load_or_simulate(other) for name, other in recipes.items()
}


# %%
def changes(other):
    """Return in what a recipe differs from that of the page, but for size and seed."""
    used, usual = asdict(other), asdict(recipe)
    used["cell"], usual["cell"] = other.cell.name, recipe.cell.name
    changed = [key for key in used if used[key] != usual[key]]
    named = [key for key in changed if key not in ("n_sim", "seed", "max_draws")]
    said = {"t_end": "recorded until (ms)", "conditions": "conditions:"}
    said |= {"D0_low": "least D0", "D0_high": "most D0"}
    values = {
        key: " and ".join(used[key]) if isinstance(used[key], tuple) else used[key]
        for key in named
    }
    return "; ".join(
        f"{said.get(key, key)} {value:g}"
        if isinstance(value, float)
        else f"{said.get(key, key)} {value}".replace("_", " ")
        for key, value in values.items()
    )


# %%
tables = {name: tissue_table(other) for name, other in sets.items()}
rows = {}
for name, one in tables.items():
    rows[name] = {
        "tissues": len(one),
        "differs in": changes(recipes.get(name, recipe)),
        "activated": one.activated.mean(),
        "fibrosis, least": one.fibrosis_density.min(),
        "fibrosis, most": one.fibrosis_density.max(),
        "apd": one.apd.median(),
        "repolarized": one.repolarized.mean(),
        "ecg_sd": one.ecg_sd.mean(),
    }
sets_table = pd.DataFrame.from_dict(rows, orient="index")
sets_table.to_csv(result_file("07_dataset_sets.csv"), index_label="set")
drawn = ["tissues", "differs in", "fibrosis, least", "fibrosis, most"]
pd.options.display.max_colwidth = 120  # letters
printed(sets_table[drawn], caption="What the recipe of each set changes.")

# %%
printed(sets_table.drop(columns=drawn), caption="What came of each set.")

# %% [markdown]
# In the first table each row has the number of tissues of a set, what its
# recipe changes, and the smallest and largest share of fibrotic cells. The
# second table has the mean share of activated cells, the median duration of
# the action potential (ms), the share of tissues that are repolarized at the
# end, and the mean standard deviation of the ECG.
#
# Re-entry is not repolarized and should not be. Where the share is below
# one elsewhere, the recording ends before the slowest waves do. The slow
# sets are recorded longer. A method that needs the length of the recipe
# must cut them or refuse them. The tissues called *dense* have more
# fibrosis than usual for their own texture. Compact fibrosis gets more
# scars, and may still cover less than diffuse fibrosis usually does.
#
# A tissue counts as re-entry only if its wave lasts, and this is checked on
# the maps. S1 and S2 alone activate no cell more than twice, so five
# activations mean at least three turns. In addition some pixel has to be
# activated in each of the frames of the last 150 ms.

# %%
if "reentry" in sets:
    above = sets["reentry"].V_m.values > -35  # u = 1/2
    upward = above[:, 1:] & ~above[:, :-1]
    turns = upward.sum(1).max((1, 2))  # activations of the busiest pixel of each tissue
    late = sets["reentry"].time.values[1:] > float(sets["reentry"].time[-1]) - 150
    assert (turns >= 5).all() and upward[:, late].any((2, 3)).all(), turns
    print(f"re-entry: {turns.min()} to {turns.max()} activations of one pixel")
    print(f"all of the {turns.size} tissues activate some to the end")

# %% [markdown]
# Draws that fail this check are drawn again and counted below. The figure
# shows one tissue of each set that leaves the recipe.

# %% tags=["hide-input"]
usual_sets = ("train, val, test", "calibration", "test")
others = [name for name in sets if name not in usual_sets]
n_rows = -(-len(others) // 4)
fig, axes = plt.subplots(2 * n_rows, 4, figsize=(9, 3.9 * n_rows), layout="constrained")
for upper, lower, name in zip(axes[::2].flat, axes[1::2].flat, others, strict=False):
    one = sets[name].isel(sim=0)
    t = float(one.time[-1]) if name == "reentry" else half_activated(one)
    V_m = one.V_m.sel(time=t).values
    _ = figures.map_axes(
        upper, V_m, dx * pool, cmap="viridis", vmin=V_REST, vmax=V_REST + V_SPAN
    )
    _ = upper.set_title(WORDS.get(name, name.replace("_", " ")))
    _ = lower.plot(one.time_ecg, one.phi_e.sel(lead="center"), color="black", lw=0.8)
    _ = lower.set(xlabel="time (ms)")
    upper.label_outer()
for ax in axes[1::2, 0]:
    _ = ax.set(ylabel=figures.PHI_E_LABEL)
for ax in axes[-2:, len(others) % 4 or 4 :].flat:
    ax.remove()
figures.show(
    fig,
    "A map of voltage and the ECG over time for one tissue of each other set, from "
    "two foci and a spiral to other cells, diffusivities and fibrosis. Waves and ECGs "
    "differ widely; that of the spiral oscillates to the end.",
)

# %% [markdown]
# For the first tissue of each set the figure has a map and the ECG. The map
# is the one at which half of the sheet is activated; for re-entry it is the
# last one. The scales of the ECGs differ. One tissue cannot show what is
# typical of its set; for that see the table above.

# %% [markdown]
# ## Rejected draws
#
# A draw is rejected if it does not give the wave that its set is meant to
# have, and the tissue is drawn again. The table counts such draws by
# reason.

# %%
rejected = pd.DataFrame(
    {
        name: {why: one[f"rejected_{why}"].sum() for why in REJECTIONS}
        | {"tissues": len(one)}
        for name, one in tables.items()
    }
).T
printed(rejected[["tissues", *REJECTIONS]], caption="Rejected draws by reason.")

# %% [markdown]
# There are three reasons. *site*: the stimulus lay on fibrosis alone.
# *activation*: less than half of the conductive cells were reached.
# *re-entry*: the wave did not last. Redrawing removes the very worst tissues
# from every set alike, and no score of this book covers them.

# %% [markdown]
# ## Duplicates
#
# A tissue that is turned or mirrored is still the same tissue. Its hash is
# therefore equal for all its eight symmetric copies. No hash may occur in
# two parts of the split or in two sets.

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
whole = {name: found for name, found in marks.items() if name != "train, val, test"}
check_disjoint(parts | whole)
n_marks = sum(map(len, marks.values()))
assert len({mark for found in marks.values() for mark in found}) == n_marks
print(f"{n_marks} tissues in {len(parts) + len(whole)} parts and sets:")
print("all different, symmetric copies included")

# %% tags=["hide-input"]
headline("dataset_tissues_all_sets", n_marks, tolerance=0, on=f"{len(sets)} sets")

# %% [markdown]
# Two different tissues may still be alike. As their distance we take the
# root-mean-square difference of their activation times on a coarse grid,
# the smallest over the eight symmetries. The nearest training tissue is
# found for every tissue of the other two parts and of the two sets that
# follow the recipe.


# %%
def activation_features(lat, cells=20):
    """Return mean activation times (ms) on cells x cells pixels."""
    side = lat.shape[-1] // cells
    blocks = lat.reshape(-1, cells, side, cells, side)
    reached = np.isfinite(blocks)
    mean = np.where(reached, blocks, 0).sum((2, 4)) / np.maximum(reached.sum((2, 4)), 1)
    whole = np.nanmean(lat, axis=(1, 2))[:, None, None]
    return np.where(reached.any((2, 4)), mean, whole)


features = activation_features(ds.lat.values)
train = table.query("part == 'train'").index.to_numpy()
turned = torch.from_numpy(features[train])
copies = np.concatenate([apply_symmetry(turned, n).flatten(1) for n in range(8)])
ecg_center = ds.phi_e[:, 0].values


def nearest_training(lat_features, ecg):
    """Return distances to the nearest training tissue and the R2 of its ECG."""
    distance = cdist(lat_features.reshape(len(lat_features), -1), copies)
    distance /= features.shape[-1]
    # symmetric copies share the ECG at the center
    copied = ecg_center[train[distance.argmin(1) % len(train)]]
    return pd.DataFrame({"distance": distance.min(1), "r2": r2(ecg, copied)})


# %%
nearest = {}
for part in ("val", "test"):
    chosen = (table.part == part).to_numpy()
    nearest[part] = nearest_training(features[chosen], ecg_center[chosen])
for name in [name for name in ("calibration", "test") if name in sets]:
    of_set = activation_features(sets[name].lat.values)
    nearest[f"{name} set"] = nearest_training(of_set, sets[name].phi_e[:, 0].values)
nearest = pd.concat(nearest, names=["tissues", "k"]).reset_index("tissues")
by_part = nearest.groupby("tissues").agg(
    closest=("distance", "min"),
    median=("distance", "median"),
    below_5_ms=("distance", lambda d: (d < 5).mean()),
    r2_mean=("r2", "mean"),
    r2_median=("r2", "median"),
)
words = {"below_5_ms": "share below 5 ms", "r2_mean": "R2, mean"}
words |= {"closest": "closest (ms)", "median": "median (ms)", "r2_median": "R2, median"}
caption = "Distance to the nearest training tissue, and the score of its ECG."
printed(by_part.rename(columns=words), caption=caption)

# %% tags=["hide-input"]
copied_r2 = by_part.r2_mean["test"]
on_copies = "test tissues, ECG of the nearest training tissue"
headline("nearest_tissue_r2_mean", copied_r2, tolerance=0.02, on=on_copies)

# %%
fig, ax = plt.subplots(figsize=(7, 3.2))
_ = sns.ecdfplot(nearest, x="distance", hue="tissues", ax=ax)
xlabel = "distance to the nearest training tissue (ms)"
_ = ax.set(xlabel=xlabel, ylabel="share of tissues", xlim=(0, None))
figures.show(
    fig,
    "Cumulative share of tissues over the distance to the nearest training tissue. "
    "The curves of all parts rise alike, steeply from near zero, and end in a long "
    "thin tail.",
)

# %% [markdown]
# The table and the curves give the distance from each tissue to the nearest
# training tissue, in ms. No distance is zero, but some are small. A wave in
# a uniform sheet is fixed by a diffusivity and a site, so tissues of one
# distribution have neighbors. The last two columns of the table tell what a
# neighbor is worth. They have the $R^2$ of a method that returns the ECG of
# the nearest training tissue and uses no physics at all. A network has to
# beat it as well. Such neighbors are also a reason for the sets that leave
# the recipe.

# %% [markdown]
# ## Claims
#
# The page makes four claims. Nearly all tissues are repolarized before the
# recording ends. Every part of the split has every condition and no tissue
# twice. To copy the nearest training tissue is not enough. The condition
# does not fix the kind of stimulus.

# %%
finished = float(table.repolarized.mean())
closest = float(by_part.closest[["val", "test"]].min())
assert finished >= 0.99, f"only {finished:.1%} are repolarized within {t_end:g} ms"
assert table.part.notna().all(), "a tissue of no part"
assert (table.groupby("part").condition.nunique() == len(names)).all()
assert (table.ecg_sd > 0).all(), "a flat ECG"
assert closest > 0 and by_part.r2_mean["test"] < claim_copy_r2_max, by_part
at_rest = table.rest_time.notna().mean()
print(f"within {t_end:g} ms {finished:.1%} of the tissues are repolarized,")
print(f"{at_rest:.1%} within 0.01 mV of rest")
print(f"last activation at {table.last_activation.max():.0f} ms at the latest")
print(f"closest pair {closest:.1f} ms")

# %% tags=["hide-input"]
on_pairs = "train against val and test, symmetric copies included"
headline("dataset_share_repolarized", finished, tolerance=0.01, on=scale)
headline("dataset_closest_pair_ms", closest, unit="ms", tolerance=0.1, on=on_pairs)

# %%
sites = pd.crosstab(table.condition, table.stimulus).loc[names]
p_value = chi2_contingency(sites).pvalue
assert p_value > 0.01, f"stimulus depends on the condition: p = {p_value:.1e}"
print(f"independence of condition and stimulus: p = {p_value:.2f}")
printed(sites.rename_axis(columns=None), caption="Stimuli of each condition.")

# %% [markdown]
# The last figure has the size of the ECG against the share of fibrosis, for
# every tissue and by texture.

# %%
kinds = ("none", "compact", "patchy", "diffuse", "interstitial")
kinds = [name for name in kinds if name in set(labeled.texture)]
fig, ax = plt.subplots(figsize=(7, 3.4))
style = dict(hue="texture", hue_order=kinds, style="part", s=40)
_ = sns.scatterplot(labeled, x="fibrosis_density", y="ecg_sd", ax=ax, **style)
ylabel = f"SD of {figures.PHI_E_LABEL}"
_ = ax.set(xlabel="share of fibrotic cells", ylabel=ylabel, ylim=(0, None))
sns.move_legend(ax, "upper left", bbox_to_anchor=(1, 1), frameon=False)
figures.show(
    fig,
    "Standard deviation of the ECG over the share of fibrotic cells, one point a "
    "tissue, colored by texture. It falls with fibrosis; diffuse and interstitial "
    "tissue lies lower than compact and patchy tissue of the same share.",
)

# %% [markdown]
# The ECG gets weaker with more fibrosis, and the texture matters as much as
# the density. The three parts of the split cover the same range. Weak ECGs
# are hard for any method whose errors do not shrink with the signal.
# {doc}`13_results` has the scores of the methods; nothing about them can be
# read off here.

# %% [markdown]
# ## Size, time, and a plan for ten thousand tissues
#
# The store holds maps in half precision and ECGs in double. Every chunk is
# compressed and has a checksum ({ref}`store`). We measure the time of the
# build, its size, and how fast a training reads it. What a tissue costs
# besides the time loop was measured by `benchmarks/dataset.py`, one tissue of
# each condition on one core, and is read from its table.

# %% tags=["nbval-ignore-output"]
workers, minutes = ds.attrs["workers"], ds.attrs["seconds"] / 60
cores = ds.attrs["seconds"] * workers / n_sim  # core seconds a tissue
megabytes = stored_bytes(recipe) / 1e6
print(f"{n_sim} tissues in {minutes:.1f} minutes with {workers} workers")
print(f"{megabytes:.0f} MB")

# %%
cost = pd.read_csv(RESULTS / "runs" / "dataset_cost.csv", index_col="part")
printed(cost[["core_seconds", "share"]], caption="What one tissue costs a worker.")

# %% [markdown]
# The rows are the whole of what a worker does for a tissue and its parts, in seconds
# of one core and as shares of the whole. The first row is measured as a whole, the
# last one is what the parts leave of it. After the time loop, the product with the
# lead fields of all electrodes and the maps take the most time. The product is taken
# in double precision and in a fixed order, so that a tissue that is simulated again
# is the same to the last bit. In single precision it would be faster. {doc}`06_cost`
# has the time of a tissue over that of its time loop, and that of a whole set.

# %% tags=["nbval-ignore-output"]
loading = {}
for pixels in (ds.sizes["y_map"] // 2, ds.sizes["y_map"]):
    for memory, limit in (("memory", 8.0), ("a mapped file", 0.0)):
        case = f"{memory}, {pixels} x {pixels} pixels"
        begin = perf_counter()
        sequences = Sequences(ds, range(min(n_sim, 60)), pixels, memory_gb=limit)
        loading[f"store to {case}"] = len(sequences) / (perf_counter() - begin)
        batches = loader(sequences, 8, torch.Generator().manual_seed(0), augment=True)
        begin = perf_counter()
        n_read = sum(len(ecg) for _, ecg, _ in batches)
        per_second = n_read / (perf_counter() - begin)
        loading[f"augmented batches of 8 from {case}"] = per_second
rates = pd.Series(loading, name="tissues per second").round(0).to_frame()
printed(rates, caption="How fast a training reads the set.")

# %% tags=["hide-input", "nbval-ignore-output"]
headline("dataset_store_mb", megabytes, unit="MB", tolerance=None, on=scale)

# %% [markdown]
# The next table scales these numbers to ten thousand tissues, with few and
# with many workers.

# %% tags=["nbval-ignore-output"]
plan = pd.DataFrame({"workers": [2, 16, 64, 256]})
plan["hours"] = n_planned * cores / plan.workers / 3600
plan["store (GB)"] = n_planned * megabytes / n_sim / 1e3
plan["files"] = n_planned * len(chunk_names(0))
plan["writing (MB/s)"] = plan["store (GB)"] * 1e3 / plan.hours / 3600
print(f"{n_planned} tissues at {cores:.2f} core seconds each")
caption = "The same for ten thousand tissues, by the number of workers."
printed(plan.set_index("workers"), digits=2, caption=caption)

# %% [markdown]
# The plan multiplies what this build measured, on a machine that was not kept
# free. The table of parts, from a quiet one, has about half the seconds. The plan
# was not run. Two workers
# are a laptop that runs for some hours. Sixteen are one larger machine and
# the same call. Beyond that the tissues go to a Dask cluster,
# `load_or_simulate(recipe, client.get_executor(), folder="s3://...")`.
# Tissues are independent, and each worker writes its own chunks. A lost
# worker costs only the tissues that it was working on; a test kills a
# worker to show this.
#
# The rate of writing tells what the storage must take. The number of files
# is the weak point of the layout. A disk takes them, but an object store
# answers slowly, and there the small columns would have to be gathered
# first. The plan leaves out the quarter of a minute in which each worker
# compiles the solver, and the price.

# %% [markdown]
# ## Access and license
#
# The set is not shipped.
# `load_or_simulate(read_recipe(RESULTS / "07_dataset.json"))` makes it from
# nothing, bit for bit the same on the same machine. Four of its tissues,
# reduced, come with the repository ({doc}`../book/data`). Data, text and
# figures are licensed CC BY 4.0. All of it is simulated: the sheets are
# flat, and there is no patient. Do not train clinical models on it.

# %% tags=["hide-input"]
print(headline.provenance())
