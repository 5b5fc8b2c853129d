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
#     question: How far does one get without learning from sequences?
#     answer: >-
#       A formula with one constant of the cell, read off the speed of the front, scores
#       a mean R² of {headline}`training_free_r2_mean`, more than any method of this
#       page that learns weights: {headline}`ridge_r2_mean` for ridge and
#       {headline}`frame_cnn_r2_mean` for single frames.
#     next:
#       page: notebooks/09_training
#       why: the paper's architecture is trained
#     needs:
#     - results/07_dataset.csv
#     - results/07_dataset.json
#     - results/runs/baselines_cv.csv
#     - results/runs/frame_cnn_cv.csv
#     makes:
#       results/08_baselines.csv: >-
#         scores of the methods without a sequence network, tissue by tissue
#     smoke: {pixels: 20, n_fit: 6}
# ---

# %% [markdown]
# # Baselines without a sequence network
#
# **Question.** How far does one get without learning from sequences? Six
# kinds of knowledge are compared: no tissue at all, one tissue for all, a
# linear map, single frames, physics alone, and the truth itself on the
# pixels of the maps.
#
# **Scale:** five-fold cross-validation over the 300 tissues. Each method is
# scored on the same test tissues as the networks of the next pages.
#
# The page needs {doc}`07_dataset` and the tables of `make experiments`, and
# takes a minute. {ref}`ladder` defines what each method may know. To run it
# with other values:
#
#     make run NB=08_baselines SET="pixels=25"

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from compendium import figures
from compendium.record import Headline, result_file
from compendium.tables import printed
from forwardecg.contract import to_u
from forwardecg.data.recipe import read_recipe
from forwardecg.data.store import load_or_simulate
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.ecg.pixels import conductive_share, upscale_faces
from forwardecg.measure.scores import summarize
from forwardecg.paths import RESULTS
from forwardecg.solver.calibration import D_REFERENCE, converged_cv
from forwardecg.surrogates.baselines import (
    blind_diffusivity,
    ecg_from_diffusivity,
    ecg_from_upscaled,
    fit_kappa,
    pool_diffusivity,
    ridge,
    training_free_conductivity,
    training_free_ecg,
)
from forwardecg.surrogates.paper.data import Sequences

figures.set_style()
headline = Headline("08_baselines")

# %% tags=["parameters"]
pixels = 50  # side of the maps that ridge and the blind lead field see
# training tissues that ridge, blind and training-free are fitted on, on this page
n_fit = 60
shown = "interstitial"  # texture of the test tissue that is shown
# mean R2 by which the training-free estimate exceeds the blind lead field, in the folds
claim_above_blind = 0.1

# %% [markdown]
# ## One tissue, method by method
#
# On this page each method is fitted on a part of the training tissues and
# shown on one test tissue. The table further down comes from the full
# folds.

# %%
recipe = read_recipe(RESULTS / "07_dataset.json")
tissues = pd.read_csv(
    RESULTS / "07_dataset.csv", index_col="sim", keep_default_na=False
)
members = {
    part: tissues.query("part == @part").index.to_numpy()
    for part in ("train", "val", "test")
}
electrode = center_electrode(recipe.grid, recipe.z_mm)
dx_coarse = recipe.n_cells * recipe.dx / pixels  # mm
dx_map = recipe.dx * recipe.pool  # mm
of_kind = [sim for sim in members["test"] if tissues.texture[sim] == shown]
sim = int(of_kind[0] if of_kind else members["test"][-1])

# %% tags=["hide-output", "nbval-ignore-output"]
ds = load_or_simulate(recipe)

# %% [markdown]
# The **blind lead field** knows the voltage and takes one diffusivity for
# all tissue. The **training-free** estimate reads $D = \kappa\varphi c^2$
# off the passing front ({ref}`structured-prior`). Its one constant $\kappa$
# is a property of the cell. Both constants are fitted here, and $\kappa$ is
# compared with that of a cable.

# %%
train, val, test = (
    Sequences(ds, some, pixels)
    for some in (members["train"][:n_fit], members["val"], [sim])
)
D_blind = blind_diffusivity(train, dx_coarse, electrode)
kappa = fit_kappa(train, dx_coarse, electrode)
kappa_cable = D_REFERENCE / converged_cv(recipe.cell) ** 2
print(f"blind diffusivity {D_blind:.2f} mm^2/ms")
print(f"kappa {kappa:.2f} ms fitted, {kappa_cable:.2f} ms from a cable")

# %% tags=["hide-input"]
on_fit = f"{n_fit} training tissues"
headline("kappa_fitted_over_cable", kappa / kappa_cable, tolerance=0.03, on=on_fit)

# %% [markdown]
# The value of $\kappa$ that is fitted to ECGs agrees with that of a cable
# to a few percent.
#
# Now every method predicts the ECG of the test tissue. **Ridge** uses no
# physics and learns one weight per pixel. The **true D** is given twice: as
# the plain mean over the cells of a pixel, and upscaled to what those cells
# conduct together ({ref}`structured-operator`).

# %%
u = to_u(ds.V_m[sim].values)
D, conductive = ds.D[sim].values.astype(float), ds.conductive[sim].values
D_everywhere = np.full((pixels, pixels), D_blind)
D_pooled = pool_diffusivity(D, conductive, recipe.pool)
ecg = {
    "blind lead field": ecg_from_diffusivity(
        test.u[0].numpy(), D_everywhere, dx_coarse, electrode
    ),
    "ridge": ridge(train, val, test)[0][0],
    "training-free D": training_free_ecg(
        u, dx_map, recipe.frame_interval, kappa, electrode
    )[0],
    "true D, pooled maps": ecg_from_diffusivity(u, D_pooled, dx_map, electrode),
    "true D, upscaled maps": ecg_from_upscaled(
        u, D, conductive, recipe.pool, dx_map, electrode
    )[0],
}
true = test.ecg.numpy()

# %% tags=["hide-input"]
without_truth = ["blind lead field", "ridge", "training-free D"]
with_truth = ["true D, pooled maps", "true D, upscaled maps"]
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), sharex=True, sharey=True)
for ax, names in zip(axes, (without_truth, with_truth), strict=True):
    figures.ecg_traces(ax, test.t, true[0], {name: ecg[name] for name in names})
    ax.label_outer()
    _ = ax.legend(frameon=False, fontsize="small")
density = f"{tissues.fibrosis_density[sim]:.0%}"
_ = fig.suptitle(f"test tissue {sim}: {tissues.texture[sim]} fibrosis, {density}")
figures.show(
    fig,
    "ECGs of one fibrotic tissue over time. Left, the blind lead field is far too "
    "large and ridge too small, the training-free estimate follows the solver. Right, "
    "both lead fields of the true diffusivity lie on the solver.",
)

# %% [markdown]
# Left: methods that are not told the tissue. The blind lead field makes the
# ECG far too large and ridge makes it too small, while the training-free
# estimate follows the solver. Right: methods that are told the true
# diffusivity, averaged in two ways. In this tissue both follow the solver.
# In general a plain average is not what a pixel conducts, because strands
# thinner than a pixel conduct far less across than their mean says. The
# tissue was chosen by its texture; the table below has all tissues.
#
# ## Conductivity read off the front
#
# The training-free estimate takes two things from the maps: the share of a
# pixel that conducts, from the amplitude, and the diffusivity of its faces,
# from the speed. Both are compared with the truth in the same tissue.

# %%
D_x, D_y, share = training_free_conductivity(u, dx_map, recipe.frame_interval, kappa)
known = upscale_faces(D, conductive, recipe.pool)
true_share = conductive_share(conductive, recipe.pool)

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(8.5, 3.6))
dots = dict(ls="", marker=".", ms=2, alpha=0.3)
_ = axes[0].plot(true_share.ravel(), share.ravel(), **dots)
_ = axes[0].set(
    xlabel="true share that conducts", ylabel="share read off the amplitude"
)
for label, truth, seen in (
    ("along x", known.D_x[:, 1:-1], D_x[:, 1:-1]),
    ("along y", known.D_y[1:-1], D_y[1:-1]),
):
    _ = axes[1].plot(truth.ravel(), seen.ravel(), label=label, **dots)
_ = axes[1].set(
    xlabel="upscaled $D$ of a face (mm$^2$/ms)",
    ylabel="$D$ read off the front (mm$^2$/ms)",
)
_ = axes[1].legend(frameon=False, markerscale=4)
for ax in axes:
    _ = ax.axline((0, 0), slope=1, color="black", lw=0.8)
figures.show(
    fig,
    "What is read off the front against the truth, with the line of equality. The "
    "share of a pixel lies on the line; the diffusivity of its faces scatters, along "
    "x mostly above the line.",
)

# %% [markdown]
# Each point is a pixel on the left and a face on the right. The share is
# read almost perfectly, because cells that do not conduct stay at rest. The
# speed of the front gives one number per pixel and not one for each
# direction, and it averages over neighbors. Where strands make the tissue
# anisotropic, the points scatter. A network can still learn to reduce this
# scatter. What the scatter costs in the ECG is not visible here; the next
# table has it.
#
# ## Scores over all tissues
#
# `make experiments` computed the scores of the full folds. They are read
# here, joined with those of the network that sees single frames, and
# averaged for each tissue.

# %%
folds = pd.read_csv(RESULTS / "runs" / "baselines_cv.csv")
cnn = pd.read_csv(RESULTS / "runs" / "frame_cnn_cv.csv").assign(method="per-frame CNN")
per_tissue = (
    pd.concat([folds, cnn])
    .groupby(["method", "sim"])
    .agg({"r2": "mean", "r2_normalized": "mean", "mild": "first"})
    .reset_index()
)
per_tissue.round(6).to_csv(result_file("08_baselines.csv"), index=False)

# %%
keys = {
    "mean ECG": None,
    "blind lead field": "blind_leadfield",
    "ridge": "ridge",
    "per-frame CNN": "frame_cnn",
    "training-free D": "training_free",
    "true D, pooled maps": "true_d_pooled_leadfield",
    "true D, upscaled maps": "true_d_upscaled_leadfield",
}
by_method = per_tissue.groupby("method")
table = by_method.r2.apply(summarize).unstack()
table = table.loc[list(keys), ["mean", "sd", "median", "worst"]]
table["mild"] = per_tissue[per_tissue.mild].groupby("method").r2.mean()
table["mean, normalized ECGs"] = by_method.r2_normalized.mean()
printed(
    table.rename(columns={"sd": "SD"}),
    caption="R² of each method over the tissues of the cross-validation.",
)

# %% tags=["hide-input"]
scale = f"{per_tissue.sim.nunique()} tissues, {folds.fold.nunique()} folds"
for method, key in keys.items():
    if key:
        value = table["mean"][method]
        headline(f"{key}_r2_mean", value, tolerance=0.005, on=scale)

# %% [markdown]
# The columns are mean, SD, median and worst $R^2$ of raw ECGs over the 300
# tissues, the mean of the mild ones, and the mean of ECGs divided by their
# own size. The estimate that learns one constant and nothing else scores
# far above every method that learns weights, because the speed of the front
# tells the conductivity. The last row is what the pixels themselves cost.
# It is no upper bound: a network may learn better pixels than a local flow
# problem gives.
#
# The page makes two claims. The training-free estimate scores well above
# the blind lead field, and its constant agrees with that of a cable.

# %%
mean = table["mean"]
assert mean["training-free D"] > mean["blind lead field"] + claim_above_blind
assert abs(kappa / kappa_cable - 1) < 0.15, (kappa, kappa_cable)

# %% tags=["hide-input"]
print(headline.provenance())
