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
# ---

# %% [markdown]
# # The data set
#
# **Question.** What do the networks learn from: which tissues were drawn, do their waves finish in the recorded time, and
# does anything but the tissue itself give the ECG away?
#
# **Scale of this edition:** 150 tissues on the 400 × 400 grid, half of the paper's 300, in the paper's proportions of the
# four conditions.
#
# Needs nothing but the package; some minutes on two cores the first time, seconds afterward (the tissues are
# cached and an interrupted run goes on where it stopped). With other values:
# `make run NB=06_dataset SET="n_sim=20 z_mm=20"`. Every choice below is ours and stands, with its reason, in
# {ref}`choices-tissue` and {ref}`choices-sim`.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from forwardecg import plot
from forwardecg.dataset import Recipe, split_by_tissue, write_recipe
from forwardecg.paths import CACHE, result_file
from forwardecg.record import provenance, save_headline
from forwardecg.store import load_or_simulate

plot.set_style()

# %% tags=["parameters"]
n_sim = 150  # tissues
n_cells = 400  # cells along each side of the sheet
dx = 0.5  # mm
dt = 0.1  # ms
t_end = 900.0  # ms
frame_interval = 5.0  # ms between stored maps
pool = 4  # cells along each side of a map pixel
D0_low = 0.10  # mm^2/ms, lower end of the healthy diffusivity
D0_high = 0.16  # mm^2/ms, upper end
z_mm = 40.0  # mm, height of the electrode above the center of the sheet
min_activated = 0.5  # a draw that activates less of its conductive cells is drawn again
seed = 0  # of the draws
split_seed = 0
test = 0.2  # share of each condition
val = 0.1  # share of each condition

# %% [markdown]
# One record holds all of it. The store of the simulated tissues is named by the hash of this record and of the code that
# simulates, so a changed value can never meet an old store.

# %%
recipe = Recipe(
    n_sim=n_sim, n_cells=n_cells, dx=dx, dt=dt, t_end=t_end, frame_interval=frame_interval, pool=pool,
    D0_low=D0_low, D0_high=D0_high, z_mm=z_mm, min_activated=min_activated, seed=seed,
)  # fmt: skip
write_recipe(recipe, result_file("06_dataset.json"))

# %% [markdown]
# ## Simulate
#
# Each tissue is drawn from its own seed: a healthy diffusivity, one of four conditions, and a stimulus at a random edge,
# corner or point. The site is drawn independently of the condition. With a fixed site all healthy tissues would share one
# ECG up to the diffusivity, and a network could learn the condition in place of the forward problem.
#
# The solver runs on the full grid with a calibrated diffusivity ({ref}`calibration`); the ECG is the lead field of the
# *physical* diffusivity, also on the full grid, once every millisecond. The maps are then pooled and stored.

# %% tags=["hide-output", "nbval-ignore-output"]
ds = load_or_simulate(recipe)

# %%
print(dict(sorted(ds.sizes.items())))  # the store lists its arrays in no particular order
print(f"{n_cells * dx:g} mm sheet, {ds.sizes['y_map']} x {ds.sizes['x_map']} maps every {frame_interval:g} ms")

# %% [markdown]
# ## One row a tissue
#
# Beside condition and density the table holds when the last cell was activated, when the last map was back at rest
# (no pixel above −75 mV afterward), the standard deviation of the ECG, and which part of the split the tissue is in. The
# split is drawn by tissue within each condition: no tissue gives frames to two parts.


# %%
def rest_time(V_m):
    """Time (ms) of the last map that is not at rest; infinity if the recording ends before."""
    awake = np.flatnonzero((V_m.max(("y_map", "x_map")) > -75).values)
    return np.inf if awake[-1] == V_m.sizes["time"] - 1 else float(V_m.time[awake[-1]])


# %%
columns = ["condition", "texture", "attempt", "activated", "fibrosis_density", "gj_scale"]
table = pd.DataFrame({name: ds[name].values for name in columns}).rename_axis("sim")
table["D_median"] = [float(ds.D[sim].where(ds.conductive[sim]).median()) for sim in range(n_sim)]
table["last_activation"] = [float(ds.lat[sim].max()) for sim in range(n_sim)]
table["rest_time"] = [rest_time(ds.V_m[sim]) for sim in range(n_sim)]
table["ecg_sd"] = ds.phi_e[:, 0].std("time_ecg").values
for part, members in split_by_tissue(table.condition, split_seed, test, val).items():
    table.loc[members, "part"] = part
table.round(6).to_csv(result_file("06_dataset.csv"))

# %%
summary = table.groupby("condition").agg(
    tissues=("part", "size"), redrawn=("attempt", lambda a: (a > 0).sum()), activated=("activated", "mean"),
    fibrosis=("fibrosis_density", "mean"), last_activation=("last_activation", "mean"), ecg_sd=("ecg_sd", "mean"),
).loc[[name for name in plot.COLORS if name in set(table.condition)]]  # fmt: skip
summary.round({"activated": 2, "fibrosis": 2, "last_activation": 0, "ecg_sd": 3})

# %% [markdown]
# Fibrosis and remodeling slow the wave and weaken the ECG; both together do so most. A redrawn tissue is one whose first
# draw blocked the wave. The means say nothing about single tissues, which the figures below show.

# %% [markdown]
# ## What the tissues look like

# %%
examples = [int(table.query("condition == @name").index[0]) for name in summary.index]
fig, axes = plt.subplots(2, len(examples), figsize=(3.1 * len(examples), 5.6), sharex=True, sharey=True)
for column, sim in enumerate(examples):
    D = ds.D[sim].where(ds.conductive[sim])
    axes[0, column].set_facecolor("0.25")
    image_D = plot.map_axes(axes[0, column], D.values, dx, cmap="cividis", vmin=0, vmax=D0_high)
    image_lat = plot.activation_map(axes[1, column], ds.lat[sim].values, dx)
    image_lat.set_clim(0, float(ds.lat[examples].max()))
    axes[0, column].set_title(plot.LABELS[summary.index[column]])
    for ax in axes[:, column]:
        ax.label_outer()
fig.colorbar(image_D, ax=axes[0], label=r"$D$ (mm$^2$ ms$^{-1}$)")
_ = fig.colorbar(image_lat, ax=axes[1], label="activation time (ms)")

# %% [markdown]
# Above: the diffusivity, non-conductive cells dark. Below: activation times, with an isochrone every 20 ms. Crowded isochrones
# are slow conduction. The figure shows the first tissue of each condition, not a typical one; textures other than these are
# in the set.

# %% [markdown]
# ## The ECGs

# %%
fig, axes = plt.subplots(1, len(examples), figsize=(3.1 * len(examples), 2.8), sharex=True, sharey=True)
for ax, name in zip(axes, summary.index, strict=True):
    members = table.query("condition == @name").index
    _ = ax.plot(ds.time_ecg, ds.phi_e[members, 0].values.T, color=plot.COLORS[name], lw=0.5, alpha=0.6)
    _ = ax.set(title=plot.LABELS[name], xlabel="time (ms)", ylabel=plot.PHI_E_LABEL)
    ax.label_outer()

# %% [markdown]
# Every ECG of the set, by condition. Within one condition they differ in sign, height and duration: the stimulus site and
# the tissue both act. Nothing here says how much of the difference a network can find in the maps.

# %% [markdown]
# ## Claims
#
# Nearly all tissues are at rest before the recording ends; every part of the split holds every condition and no tissue twice; and
# the condition does not fix the stimulus site. For the last claim we compare where the first map lights up:
# every condition with several tissues must have started in different quarters of the sheet.

# %%
finished = float(np.isfinite(table.rest_time).mean())
assert finished >= 0.99, f"only {finished:.1%} of the tissues are at rest within {t_end:g} ms"
assert table.part.notna().all() and (table.groupby("part").condition.nunique() == len(summary)).all()
assert (table.ecg_sd > 0).all(), "a flat ECG"
print(f"{finished:.0%} of the tissues at rest within {t_end:g} ms; latest at {table.rest_time.max():.0f} ms")

# %%
first = ds.lat.stack(cell=("y", "x")).argmin("cell").values
quarter = (first // n_cells >= n_cells // 2) * 2 + (first % n_cells >= n_cells // 2)
sites = table.assign(quarter=quarter).groupby("condition").quarter.nunique()
assert (sites >= 2).all(), sites
sites.rename("quarters of the sheet in which waves start").to_frame()

# %%
fig, ax = plt.subplots(figsize=(7, 3.2))
labeled = table.replace({"condition": plot.LABELS})
colors = {plot.LABELS[name]: color for name, color in plot.COLORS.items()}
_ = sns.scatterplot(
    labeled, x="fibrosis_density", y="ecg_sd", hue="condition", style="part", palette=colors, ax=ax, s=45
)
_ = ax.set(xlabel="share of non-conductive cells", ylabel=f"SD of {plot.PHI_E_LABEL}", ylim=(0, None))
sns.move_legend(ax, "upper left", bbox_to_anchor=(1, 1), frameon=False)

# %% [markdown]
# The more fibrosis, the weaker the ECG; the three parts of the split cover the same range. Weak ECGs are the hard ones for any
# method whose errors do not shrink with the signal. The figure does not show texture, which matters as much as density.

# %%
megabytes = sum(file.stat().st_size for file in (CACHE / "datasets" / ds.store).rglob("*") if file.is_file()) / 1e6
scale = f"{n_sim} tissues, {n_cells} x {n_cells} cells"
save_headline("06_dataset", {
    "dataset_minutes": {"value": ds.seconds / 60, "unit": "min", "tolerance": None, "scale": f"{scale}, 2 cores"},
    "dataset_store_mb": {"value": megabytes, "unit": "MB", "tolerance": None, "scale": scale},
    "dataset_share_at_rest": {"value": finished, "unit": "1", "tolerance": 0.01, "scale": scale},
    "dataset_ecg_sd_mean": {"value": table.ecg_sd.mean(), "unit": "mV mm/ms", "tolerance": 1e-4, "scale": scale},
})  # fmt: skip
print(provenance("06_dataset"))
