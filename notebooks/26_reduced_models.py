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
#       How far does a reduced-order model get when the exact lead field reads its ECG?
#     answer: >-
#       On healthy tissue a reduced voltage reaches a mean R² of {headline}`rom_pod_r2`
#       and a reduced activation time {headline}`rom_lat_r2`, as much as an untrained
#       circular wave does; with diffuse fibrosis the second falls to
#       {headline}`rom_lat_r2_fibrotic`, since the exact lead field has details that a
#       smooth map lacks, while the balance of charge on the known tissue reaches
#       {headline}`rom_physics_r2_fibrotic`.
#     next:
#       page: notebooks/27_reading_the_ecg
#       why: from making ECGs to reading them
#     needs:
#     - results/runs/reduced.csv
#     - results/runs/reduced_modes.csv
#     - results/runs/reduced_cost.csv
#     - results/runs/reduced_frames.nc
#     - results/runs/cycle_trainings.csv
#     makes:
#       results/26_reduced_models.csv: >-
#         R² and errors of voltage and activation by family and method
#     smoke: {n_sheets: 1}
# ---

# %% [markdown]
# # Reduced-order models: few numbers for a wave
#
# **An idea is carried over; the published claim is not reproduced.** DL-ROM
# {cite}`Fresca2020` replaces the simulation of a wave by a network from the
# parameters of a run to its voltage. Its successor POD-DL-ROM
# {cite}`Fresca2021` first reduces the voltage linearly, by proper orthogonal
# decomposition (POD). This is a singular value decomposition of the snapshots,
# here a randomized one {cite}`Halko2011`. The network only gives the
# coefficients. The authors show waves on slabs and on an idealized left atrium,
# in real time, with as many hidden numbers as the runs have parameters.
# Projections of the same size do worse. The authors judge the voltage. Neither
# abstract gives a number.
#
# This page judges the ECG. The reduced model gives a voltage, or activation
# times, and the exact lead field of {doc}`../book/forward` does the rest.
#
# **Question.** Which should be reduced, the voltage or the activation time,
# and what is left of it when fibrosis enters?
#
# **Scale:** sheets of 100 mm with cells of 0.5 mm, one focal stimulus. Two
# families, healthy and with 15 to 25 % diffuse fibrosis, each with 200 runs
# to learn from and 25 to test. Three seeds of each network. Two electrodes
# above the center, at 40 mm and at 15 mm. The page simulates a few sheets
# itself.
#
# The page needs the tables of `python -m experiments.reduced` and takes
# seconds. To run it with other values:
# `make run NB=26_reduced_models SET="n_sheets=6"`.

# %% tags=["hide-input"]
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from scipy.ndimage import gaussian_filter

from compendium import figures
from compendium.record import Headline, result_file
from compendium.tables import printed
from forwardecg.activation.forward import ecg_from_activation
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.measure.compare import interval
from forwardecg.measure.scores import r2
from forwardecg.paths import RESULTS
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import focal_stimulus

figures.set_style()
headline = Headline("26_reduced_models")

# %% tags=["parameters"]
n_sheets = 3  # fibrotic ones that are simulated on this page
density = 0.2  # share of fibrosis in them
claim_lat_r2 = 0.995  # of the network of activation, healthy, far electrode
claim_pod_r2 = 0.99  # of the network of voltage
claim_minutes = 2.0  # of training one network
claim_minutes_all = 40.0  # of one thread: the trainings behind pages 22 to 26

# %% [markdown]
# ## Method
#
# A snapshot of voltage is one frame of 50 × 50 pixels, every 5 ms. A snapshot
# of activation is the map of activation times of one run, on all cells; a cell
# that is never activated takes the time of its nearest neighbor. Each kind is
# decomposed into modes. A network of three hidden layers gives the first
# coefficients from the site of the stimulus, the conductivity and the share of
# fibrosis; for voltage also from the time. The network of voltage gives 64
# coefficients, and that of activation 32. Coefficients enter the loss in their
# own unit, so that large modes count more. The networks of the papers pass
# through the latent code of an autoencoder. We leave this step out. The code is
#
# ```{literalinclude} /experiments/reduced.py
# :language: python
# :pyobject: Coefficients
# ```
#
# Activation times become voltage by the action potential of a plane wave,
# as in {doc}`22_without_simulating`. *Closed form* is a circular wave at
# the speed of healthy tissue, and *physics* solves the balance of charge on
# the true tissue. Neither is trained.
#
# The error measure of the papers is $\lvert \hat u - u\rvert / \lvert u
# \rvert$ over space and time, averaged over the test runs. We add the RMS
# error at the *front*, within 10 ms of the activation of a pixel, and $R^2$
# of the ECG every 5 ms.
#
# ## Singular values

# %%
runs = RESULTS / "runs"
modes = pd.read_csv(runs / "reduced_modes.csv")
some = modes[modes.modes.isin([1, 4, 16, 64, 200])]
decay = some.pivot(index="modes", columns=["family", "field"], values="unexplained")
decay.columns = [", ".join(names) for names in decay.columns]
printed(decay, caption="Relative error that so many modes leave.")

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(6.4, 3.6))
styles = {"healthy": "-", "fibrotic": "--"}
colors = {"voltage": "black", "activation": "#c8102e"}
for (family, field), rows in modes.groupby(["family", "field"]):
    rows = rows[rows.unexplained > 1e-4]
    label = f"{field}, {family}"
    _ = ax.plot(
        rows.modes, rows.unexplained, styles[family], color=colors[field], label=label
    )
_ = ax.set(xscale="log", yscale="log", xlabel="modes", ylabel="relative error")
_ = ax.legend(frameon=False, fontsize="small")
figures.show(
    fig,
    "Relative error that so many modes leave of the training snapshots, on two "
    "logarithmic axes, for voltage and activation in healthy and in fibrotic tissue. "
    "The curves of activation fall far below those of voltage.",
)

# %% [markdown]
# Each number is the relative error that so many modes leave of the training runs. 200
# modes of activation are as many as there are runs, and leave nothing. For voltage
# the error falls slowly. A front is an edge that moves, and each position needs modes
# of its own. Activation times have no edge, and a few modes describe them. Fibrosis
# adds a part that no small basis has: each tissue differs from the others cell by
# cell.
#
# ## Healthy tissue

# %%
table = pd.read_csv(runs / "reduced.csv")
names = {
    "true voltage": "true voltage on pixels",
    "POD of voltage, 16 modes": "POD of voltage, 16 modes",
    "POD of voltage, 64 modes": "POD of voltage, 64 modes",
    "POD of voltage, 256 modes": "POD of voltage, 256 modes",
    "network of voltage": "network of voltage (POD-DL-ROM)",
    "true activation": "true activation",
    "POD of activation": "POD of activation, 32 modes",
    "network of activation": "network of activation",
    "closed form": "closed form, untrained",
    "activation by physics": "physics, untrained",
}
columns = {
    "r2_far": "R², 40 mm",
    "r2_near": "R², 15 mm",
    "eps_rel": "error of u",
    "rms_front": "at the front",
    "rms_rest": "elsewhere",
    "lat_mae": "activation (ms)",
}
scored = table[table.method != "refused"].copy()
scored["seed"] = scored.seed.fillna(0)
per_run = scored.groupby(["family", "method", "sim"])[[*columns]].mean()
means = per_run.groupby(["family", "method"]).mean()
of_healthy = means.loc["healthy"].reindex([*names])
shown = of_healthy.rename(index=names, columns=columns)
printed(shown, caption="Healthy tissue: R² of the ECG, and errors of the voltage.")

# %% tags=["hide-input"]
n_test = per_run.loc["healthy", "true voltage"].shape[0]
on = f"{n_test} healthy runs, {int(scored.seed.max()) + 1} seeds, electrode at 40 mm"
r2_of = {}
for key, method in (
    ("rom_lat_r2", "network of activation"),
    ("rom_pod_r2", "network of voltage"),
):
    values = per_run.r2_far["healthy", method].to_numpy()
    mean, low, high = interval(values)
    r2_of[key] = mean
    headline(key, mean, tolerance=0.004, on=on)
    print(f"{method}: mean R² {mean:.4f} ({low:.4f} to {high:.4f})")
eps = means.eps_rel["healthy", "network of voltage"]
headline("rom_pod_eps_rel", eps, tolerance=0.03, on=on)
on = f"{n_test} runs with fibrosis, electrode at 40 mm"
for key, method in (
    ("rom_lat_r2_fibrotic", "network of activation"),
    ("rom_physics_r2_fibrotic", "activation by physics"),
):
    headline(key, means.r2_far["fibrotic", method], tolerance=0.02, on=on)

# %% [markdown]
# The table has means over the test runs and seeds. The first row has what the
# pixels alone cost. The network of voltage is further from the truth than the
# projection on its 64 modes: its coefficients are the weak part, not the basis.
# Its voltage is wrong by nearly a fifth, most of it at the front, and still its
# ECG is nearly right. The lead field sums over the whole sheet, and forgives
# errors that alternate in sign. For this network and for 16 modes the near
# electrode forgives less; for 64 and 256 modes it does not.
#
# The network of activation moves the front instead of adding patterns, and
# is more accurate at both electrodes. The closed form is as good as this
# network without any training run, and the physics is better than both. On
# healthy tissue there is little to learn.

# %% tags=["hide-input"]
frames = xr.open_dataset(runs / "reduced_frames.nc", engine="scipy").load()
frames.close()
fig, axes = plt.subplots(3, 4, figsize=(9.5, 7))
for row, t in zip(axes, frames.time.values, strict=True):
    for ax, method in zip(row, frames.route.values, strict=True):
        u = frames.u.sel(route=method, time=t).values
        image = figures.map_axes(ax, u, 2.0, vmin=-0.3, vmax=1.1, cmap="viridis")
        _ = ax.set_title(f"{method}, {t:g} ms", fontsize="x-small")
        ax.label_outer()
_ = fig.colorbar(image, ax=axes, label="scaled voltage u", shrink=0.6)
figures.show(
    fig,
    "Maps of the scaled voltage of one test run at three times, one column each for "
    "the simulation, the projection on 64 modes, the network of voltage, and the "
    "network of activation. The second and third column have blurred fronts with "
    "ripples ahead of them, the last one is sharp.",
)

# %% [markdown]
# The figure shows one test run at three times. A sum of fixed patterns cannot have a
# sharp front where no training run had one. It has a blurred front, and fainter ghost
# fronts before and behind it. Activation times have no ghosts.
#
# ## Fibrosis

# %%
of_fibrotic = means.loc["fibrotic"].reindex([*names])
shown = of_fibrotic.rename(index=names, columns=columns)
printed(shown, caption="Fibrotic tissue: R² of the ECG, and errors of the voltage.")

# %% tags=["hide-input"]
order = [*names]
fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True)
for ax, electrode, title in zip(
    axes, ("r2_far", "r2_near"), ("electrode at 40 mm", "at 15 mm"), strict=True
):
    for k, (family, marker) in enumerate({"healthy": "o", "fibrotic": "s"}.items()):
        left = 1 - per_run[electrode][family].unstack("sim").reindex(order)
        y, color = np.arange(len(order)) + 0.2 * k, ("black", "#c8102e")[k]
        low, middle, high = (left.quantile(q, axis=1) for q in (0.1, 0.5, 0.9))
        _ = ax.hlines(y, low, high, color=color, lw=1)
        _ = ax.plot(middle, y, marker, color=color, mfc="none", label=family)
    _ = ax.set(xscale="log", xlabel=r"$1 - R^2$", title=title)
_ = axes[0].set_yticks(range(len(order)), [names[one] for one in order])
axes[0].invert_yaxis()
_ = axes[1].legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
figures.show(
    fig,
    "One minus R² of each method on a logarithmic axis, median and range from the "
    "tenth to the ninetieth percentile, healthy and fibrotic, for both electrodes. In "
    "fibrotic tissue only true activation and the physics stay as low.",
)
refused = (table[table.method == "refused"].groupby("family").size()).to_dict()
print(f"refused by the physics: {refused or 'none'}")

# %% [markdown]
# Markers are medians, and lines reach from the tenth to the ninetieth
# percentile. With fibrosis even the true voltage loses much when it is averaged
# over pixels, and every reduced model loses much of its accuracy. The networks
# know the share of fibrosis, and not where it is. Yet the network of activation
# is off by only about two milliseconds, and even the projection of the true map
# loses nearly as much. The physics on the true tissue keeps its accuracy,
# because it solves for every cell.
#
# ## Smooth maps and rough lead fields
#
# Why do two milliseconds matter so much? The exact lead field of fibrotic
# tissue changes from cell to cell, and so does the true activation. The two
# belong together. We take true activation maps, smooth them, and read them
# twice: through the exact lead field, and through that of uniform tissue,
# with one factor fitted to the ECG.

# %%
uniform = healthy((200, 200), 0.5, D0=0.12)
place, t = center_electrode(uniform), np.arange(0.0, 501.0, 5.0)
rows = []
for seed in range(n_sheets):
    rng = np.random.default_rng([26, seed])
    conductive = rng.random(uniform.D.shape) > density
    tissue = replace(uniform, conductive=conductive)
    focus = focal_stimulus(tissue, *rng.uniform(10, 90, 2))
    true = simulate(tissue, focus, t_end=500.0, electrodes=place, ecg_interval=5.0)
    ecg, known = true.phi_e.values, np.isfinite(true.lat.values)
    for width in (0.25, 1.0, 2.0, 4.0):
        known_part = gaussian_filter(known.astype(float), width / 0.5)
        lat = gaussian_filter(np.where(known, true.lat, 0), width / 0.5) / known_part
        exact = ecg_from_activation(lat, tissue, place, t).values
        smooth = ecg_from_activation(lat, uniform, place, t).values
        factor = (smooth * ecg).sum() / np.square(smooth).sum()
        moved = np.abs(lat - true.lat.values)[known].mean()
        both = r2(ecg, exact).item(), r2(ecg, factor * smooth).item()
        rows.append((width, moved, *both, factor))
headings = ["SD (mm)", "moved by (ms)", "R², exact", "R², uniform", "factor"]
smoothed = pd.DataFrame(rows, columns=headings).groupby("SD (mm)").mean()
printed(smoothed, caption="Smoothed activation, read through two lead fields.")

# %% [markdown]
# The columns are the standard deviation of the filter, the mean change of the
# activation times, and the mean $R^2$ of both readings. Smoothing that moves
# the times by a fraction of a millisecond already spoils the reading through
# the exact lead field, while the reading through the smooth one hardly changes.
# A smooth map needs a smooth lead field, that of tissue which conducts less as
# a whole. The factor says how much less. A reduced model of fibrotic tissue
# could learn this factor. The models of this page do not.
#
# ## Cost

# %%
cost = pd.read_csv(runs / "reduced_cost.csv")
seconds = cost.groupby(["model", "family"]).seconds.mean().unstack()
words = {
    "basis of voltage": "decomposition of voltage",
    "voltage": "one training of the network of voltage",
    "basis of activation": "decomposition of activation",
    "activation": "one training of the network of activation",
}
seconds = seconds.reindex(words).rename(index=words)[["healthy", "fibrotic"]]
seconds = seconds.rename_axis("seconds", axis=0).rename_axis(None, axis=1)
printed(seconds, digits=1, caption="Time on one core.")

# %% [markdown]
# The table has seconds of one core, with other work on the machine. The 200
# simulations that the models learn from are not in it. The closed form and the physics
# need none of them.
#
# {doc}`22_without_simulating`, {doc}`23_back_from_the_ecg` and
# {doc}`24_remodeled_tissue` train no network. The constants of the first were chosen
# among values that were tried on training sheets, and the surrogate of the third is
# that of {doc}`10_structured`, which has its minutes. So the trainings behind this
# page and the four before it are those of {doc}`25_cycle` and of this page:

# %%
of_cycle = pd.read_csv(runs / "cycle_trainings.csv")
is_basis = cost.model.str.startswith("basis")
spent = pd.DataFrame(
    {
        "networks with and without a cycle": [len(of_cycle), of_cycle.minutes.sum()],
        "decompositions": [is_basis.sum(), cost.seconds[is_basis].sum() / 60],
        "networks of reduced models": [
            (~is_basis).sum(),
            cost.seconds[~is_basis].sum() / 60,
        ],
    },
    index=["number", "minutes"],
).T
spent.loc["all"] = spent.sum()
printed(spent, caption="Trainings behind pages 22 to 26, in minutes of one thread.")

# %% tags=["hide-input"]
minutes = spent.minutes["all"]
on = f"{spent.number['all']:.0f} trainings and decompositions, one thread"
headline("activation_training_minutes", minutes, unit="min", tolerance=None, on=on)

# %% [markdown]
# Together they took {headline}`activation_training_minutes.1`.
#
# ## Limits
#
# The networks are small and have three seeds. The number of steps of the
# network of voltage was raised once, on healthy runs that are in neither
# table; nothing else was searched. The autoencoder of the papers is left out,
# so this page does not show what it adds. There is one wave from one focus,
# on a square, with one cell model. Re-entry, which the papers treat as
# well, has no single activation time.
#
# ## Exercises
#
# **1.** How many modes of voltage leave as little as one, two, four or eight modes of
# activation in healthy tissue?

# %% tags=["hide-cell"]
left = modes[modes.family == "healthy"].set_index(["field", "modes"]).unexplained
for k in (1, 2, 4, 8):
    enough = left["voltage"] <= left["activation", k]
    needed = enough.idxmax() if enough.any() else f"more than {len(enough)}"
    print(f"{k} of activation, {left['activation', k]:.3f}: {needed} of voltage")

# %% [markdown]
# **2.** Does the error measure of the papers tell in which runs the ECG of the
# network of voltage is wrong?

# %% tags=["hide-cell"]
for family in ("healthy", "fibrotic"):
    one = per_run.loc[family, "network of voltage"]
    words = {"eps_rel": "error of u", "rms_front": "error at the front"}
    for name in words:
        rank = one[name].corr(1 - one.r2_far, method="spearman")
        print(f"{family}, {words[name]}: rank correlation with 1 − R² {rank:+.2f}")

# %% [markdown]
# It does so only in part. The measure weighs all pixels alike, and the lead
# field does not.

# %% tags=["hide-input"]
summary = per_run.groupby(["family", "method"]).agg(["mean", "min", "max"])
summary.columns = ["_".join(names) for names in summary.columns]
summary = summary.round(5).reset_index()
summary.to_csv(result_file("26_reduced_models.csv"), index=False)
assert r2_of["rom_lat_r2"] > claim_lat_r2 and r2_of["rom_pod_r2"] > claim_pod_r2
assert cost.seconds.max() < 60 * claim_minutes and minutes <= claim_minutes_all
print(headline.provenance())
