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
#     question: How far from its training does the structured surrogate hold?
#     answer: >-
#       Re-entry has a median R² of {headline}`structured_r2_reentry_median` and dense
#       fibrosis a mean of {headline}`structured_r2_dense`; a cell of another constant
#       leaves {headline}`structured_r2_unseen_cell_mbr` in the median, until the
#       constant is named.
#     next:
#       page: notebooks/12_uncertainty
#       why: how far off it may be, and whether it knows
#     needs:
#     - results/07_dataset.csv
#     - results/07_dataset.json
#     - models/structured.safetensors
#     makes:
#       results/11_generality.csv: >-
#         scores of the structured surrogate on sets of other kinds, with intervals
#       results/11_generality_table.csv: the same as the start page prints it
#       results/11_generality_maps.csv: >-
#         scores on coarser, slower, noisy and damaged maps
#     smoke: {
#       noises: [0.02], losses: [0.05], n_degraded: 2, threads: 1,
#       left_out: [
#         reentry, unseen_cell, unseen_cell_mbr, unseen_D_high, unseen_D_low,
#         dense_fibrosis
#       ],
#       short_rest: two_foci, claim_two_foci_r2_min: 0.3, claim_reentry_r2_min: 0.3,
#       claim_correction_min: -1.0
#     }
# ---

# %% [markdown]
# # Generality
#
# **Question.** How far from its training does the structured surrogate
# still hold: other electrodes, two wave fronts, re-entry, other cells,
# other diffusivities, other fibrosis, other maps?
#
# **Scale:** the five published networks, trained on 240 tissues with one
# stimulus each; eight sets of 16 to 20 tissues of other kinds, none of
# which was in training or validation, and 300 tissues of the usual recipe
# beside them.
#
# *Needs* {doc}`07_dataset` and {doc}`10_structured`. *Takes* some minutes
# the first time. What the sets are is shown in {doc}`07_dataset`. *Change
# it* with
#
#     make run NB=11_generality SET="noises=[0.1]"

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from compendium import figures
from compendium.record import Headline, result_file
from compendium.tables import printed
from forwardecg.contract import V_SPAN
from forwardecg.data.maps import fill_lost
from forwardecg.data.recipe import read_recipe
from forwardecg.data.sets import collection
from forwardecg.data.store import load_or_simulate
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.measure.compare import interval
from forwardecg.measure.scores import r2, summarize
from forwardecg.paths import MODELS, RESULTS, progress
from forwardecg.solver.calibration import converged_cv
from forwardecg.surrogates.baselines import training_free_ecg
from forwardecg.surrogates.structured.data import MapSet, coarsen
from forwardecg.surrogates.structured.fronts import RESTITUTION, read_fronts
from forwardecg.surrogates.structured.model import (
    Inputs,
    batched_lead_field,
    inner_gradients,
    make_inputs,
)
from forwardecg.surrogates.structured.task import predict
from forwardecg.surrogates.weights import load_models
from forwardecg.tissue.cell import FK_CAF
from forwardecg.tissue.grid import Grid

figures.set_style()
headline = Headline("11_generality")

# %% tags=["parameters"]
noises = [0.01, 0.02, 0.05, 0.1]  # SD of Gaussian noise, of the action potential
losses = [0.01, 0.05, 0.1, 0.2]  # shares of the pixels that are lost
seed = 0  # of noise and loss
n_degraded = 60  # test tissues that are degraded
threads = 2  # of the CPU
# sets that are not looked at; two_foci, test and the set in short_rest have to stay
left_out = []
# set whose fronts meet tissue that has hardly rested; the sheets of the tests are too
# small for re-entry, and they name another set
short_rest = "reentry"
claim_two_foci_r2_min = 0.98  # mean R2
claim_reentry_r2_min = 0.95  # median R2 of the set named in short_rest
# median R2 that this set loses without the correction of the speed, at least
claim_correction_min = 0.05

# %% [markdown]
# ## Tissue of other kinds
#
# The prediction is the mean of the five networks. It is scored on every set
# and at every electrode, also at those that were in no training.

# %%
torch.set_num_threads(threads)
recipe = read_recipe(RESULTS / "07_dataset.json")
models, card = load_models(MODELS / "structured.safetensors")
not_used = ("calibration", *left_out)
sets = {name: one for name, one in collection(recipe).items() if name not in not_used}

# %% tags=["hide-output", "nbval-ignore-output"]
maps = {}
for name, one in sets.items():
    progress(f"maps of {name}")
    maps[name] = MapSet(load_or_simulate(one), range(one.n_sim))


# %%
def predictions(part, leads):
    """Return the ECGs (network, tissue, lead, time) that the networks predict."""
    return torch.stack([predict(model, part, leads) for model in models])


def all_scores(part, factor=1.0):
    """Return R2 (tissue, lead) of the mean prediction, times a known factor."""
    leads = range(len(part.leads))
    ecg = factor * predictions(part, leads).double().mean(0).numpy()
    true = part.ecg.double().numpy()
    return np.stack([r2(true[:, k], ecg[:, k]) for k in leads], axis=1)


# %%
def row(scores, leads):
    """Return a row of the table: the center, then electrodes not in training."""
    center, names = scores[:, leads.index("center")], np.array(leads)
    mean, low, high = interval(center[np.isfinite(center)])
    return {
        "n": len(center),
        "mean": mean,
        "low": low,
        "high": high,
        "median": np.nanmedian(center),
        "worst": np.nanmin(center),
        "unseen": np.nanmean(scores[:, np.char.startswith(names, "unseen")]),
        "near": np.nanmean(scores[:, np.char.startswith(names, "near")]),
    }


rows = {name: row(all_scores(part), part.leads) for name, part in maps.items()}

# %% [markdown]
# $\kappa = D/(\varphi c^2)$ belongs to the cell model. Another cell changes
# it, and with it the amplitude of the whole ECG. Where the cell is known,
# so is its $\kappa$, from one cable. The rows *cell known* use the ratio of
# the two.

# %%
for name in [name for name in sets if sets[name].cell != FK_CAF]:
    ratio = (converged_cv(FK_CAF) / converged_cv(sets[name].cell)) ** 2
    rows[f"{name}, cell known"] = row(all_scores(maps[name], ratio), maps[name].leads)
    print(f"{sets[name].cell.name}: kappa is {ratio:.2f} times that of {FK_CAF.name}")

# %% [markdown]
# Beside the networks stands the estimate without any training,
# $D = \kappa\varphi c^2$. It is the rung of the ladder that shares the
# physics, and it has learned one number.

# %%
center = Electrodes(maps["test"].positions[:1], ("center",))


def training_free_r2(part):
    """Return the mean R2 of the training-free estimate at the central electrode."""
    ecg = [
        training_free_ecg(u.float(), part.dx, part.dt, card["kappa"], center)[0]
        for u in part.u
    ]
    return np.nanmean(r2(V_SPAN * part.ecg[:, 0].double().numpy(), np.array(ecg)))


for name, part in maps.items():
    rows[name]["training-free"] = training_free_r2(part)
table = pd.DataFrame(rows).T.rename_axis("set")
table.round(5).to_csv(result_file("11_generality.csv"))
printed(table.rename_axis(None))

# %% tags=["hide-input"]
short = table[["n", "mean", "median", "worst", "unseen", "near"]].rename(
    columns={"n": "tissues", "unseen": "unseen electrodes", "near": "near electrodes"}
)
short = short.astype({"tissues": int}).map(
    lambda v: f"{v:.3f}" if isinstance(v, float) else v
)
short.to_csv(result_file("11_generality_table.csv"))

# %% [markdown]
# The columns are mean $R^2$ of the raw central ECG, its 95 % bootstrap
# interval over tissues, median and worst; means over eight unseen and four
# very near electrodes; and the mean of the training-free estimate.
#
# Re-entry is read from fronts that follow each other closely, though no
# tissue in training had two. MBR cells have about twice the $\kappa$ and
# are off by that factor until it is known. Among the MLR-I cells one
# tissue, whose slow wave fills the recording to its end, decides the mean;
# the median says what the rest are like. Dense fibrosis is the hardest of
# the sets. The table does not show fibers, curved sheets, or anything
# measured.
#
# The page claims that the mean $R^2$ of two foci and the median of re-entry
# are not below the values `claim_two_foci_r2_min` and
# `claim_reentry_r2_min` of its parameters.

# %%
assert rows["two_foci"]["mean"] >= claim_two_foci_r2_min, rows["two_foci"]
assert rows[short_rest]["median"] >= claim_reentry_r2_min, rows[short_rest]

# %% tags=["hide-input"]
keys = {
    "two_foci": ("two_foci", "mean"),
    "unseen_cell": ("unseen_cell", "mean"),
    "unseen_cell_median": ("unseen_cell", "median"),
    "unseen_cell_known": ("unseen_cell, cell known", "median"),
    "mbr_known": ("unseen_cell_mbr, cell known", "mean"),
    "dense": ("dense_fibrosis", "mean"),
    "partial": ("partial_fibrosis", "mean"),
    "test300": ("test", "mean"),
    "reentry_median": ("reentry", "median"),
    "reentry_min": ("reentry", "worst"),
}
for key, (name, what) in keys.items():
    if name in rows:  # it may be left out
        on = f"{what} over {rows[name]['n']} tissues: {name}"
        headline(f"structured_r2_{key}", rows[name][what], tolerance=0.03, on=on)
unseen = [name for name in ("unseen_D_high", "unseen_D_low") if name in rows]
if unseen:
    mean = np.mean([rows[name]["mean"] for name in unseen])
    on_both = "mean over both sets of unseen D"
    headline("structured_r2_unseen_d", mean, tolerance=0.03, on=on_both)

# %% [markdown]
# Four of the sets are shown, each by the tissue of median score.

# %% tags=["hide-input"]
picks = ("two_foci", "reentry", "dense_fibrosis", "unseen_cell")
picks = [name for name in picks if name in maps]
n_rows = -(-len(picks) // 2)
fig, axes = plt.subplots(n_rows, 2, figsize=(9.5, 2.9 * n_rows), squeeze=False)
for ax, name in zip(axes.flat, picks, strict=False):
    part = maps[name]
    ecg = V_SPAN * predictions(part, [0]).mean(0)[:, 0].numpy()
    true = V_SPAN * part.ecg[:, 0].numpy()
    k = int(np.argsort(r2(true, ecg))[len(true) // 2])
    t = np.arange(true.shape[1]) * part.dt
    title = f"{name.replace('_', ' ')}, tissue {k}"
    figures.ecg_traces(ax, t, true[k], {"structured": ecg[k]}, title)
for ax in axes.flat[len(picks) :]:
    ax.remove()
_ = axes[0][0].legend(frameon=False, fontsize="small")
figures.show(
    fig,
    "Predicted and true ECGs over time, the tissue of median score of each of four "
    "sets. With two foci, re-entry and dense fibrosis they coincide; with an unseen "
    "cell the shape is right and the size a little off.",
)

# %% [markdown]
# Each panel has a scale of its own. The figure does not show the worst
# tissues, whose scores are in the table.
#
# ## Other maps
#
# Now the same test tissues are seen coarser, at fewer frames, with noise,
# and with pixels lost at random places and filled in from their neighbors,
# as `predict(..., fill=True)` does. Both the inference and the operator see
# the degraded maps.

# %%
test = maps["test"].subset(range(min(n_degraded, len(maps["test"].sims))))
rng = np.random.default_rng(seed)


def spoiled(u, noise=0.0, lost=0.0):
    """Return maps with Gaussian noise and with lost pixels filled in."""
    noisy = u + noise * torch.from_numpy(rng.standard_normal(u.shape, np.float32))
    if not lost:
        return noisy
    return fill_lost(noisy, torch.from_numpy(rng.random(u.shape[1:]) < lost))


@torch.no_grad()
def seen_again(part, pool=1, stride=1, restitution=RESTITUTION, **spoil):
    """Return R2 of the central ECG of every tissue of a set, its maps changed first."""
    dx, dt, found = part.dx * pool, part.dt * stride, []
    for u, true in zip(part.u, part.ecg[:, :1], strict=True):
        u = spoiled(coarsen(u.float(), pool)[::stride], **spoil)
        seen = make_inputs(read_fronts(u, dx, dt, restitution), dx, dt)
        seen = Inputs(*(z[None] for z in seen))
        G = inner_gradients(Grid(u.shape[1:], dx), center)
        L = sum(batched_lead_field(model(seen), *G)[0] for model in models)
        ecg = torch.einsum("eyx,tyx->et", L / len(models), u)
        found.append(r2(true[:, ::stride].double().numpy(), ecg.double().numpy())[0])
    return np.array(found)


# %%
variants = {
    "as stored: 2 mm, 5 ms": {},
    "4 mm": {"pool": 2},
    "10 ms": {"stride": 2},
    "4 mm, 10 ms": {"pool": 2, "stride": 2},
}
variants |= {f"noise {noise:g}": {"noise": noise} for noise in noises}
variants |= {f"lost {lost:.0%}": {"lost": lost} for lost in losses}
maps_table = pd.DataFrame(
    {
        name: summarize(pd.Series(seen_again(test, **change)))
        for name, change in variants.items()
    }
).T
maps_table.round(5).rename_axis("maps").to_csv(result_file("11_generality_maps.csv"))
printed(maps_table[["mean", "sd", "median", "worst", "n"]])

# %% tags=["hide-input"]
noise = noises[len(noises) // 2]
with_noise = maps_table["mean"][f"noise {noise:g}"]
on_noise = f"{len(test.sims)} test tissues, noise {noise:g}"
headline("structured_r2_noise", with_noise, tolerance=0.03, on=on_noise)

# %% [markdown]
# The table has $R^2$ over test tissues of the usual recipe. Noise is given
# as a share of the action potential: 0.05 are 5 mV. Coarser maps and slower
# frames are within what training has seen. Noise above 0.03 and losses
# above 5 % are beyond it. The table does not show blur, drift or motion,
# which real optical maps have.
#
# ## Where re-entry would fail
#
# In re-entry a front meets tissue that has hardly rested, and runs slower
# than the conductivity alone would have it. The surrogate corrects this by
# the table of the cell that {doc}`10_structured` checks on a paced strip.
# Here the correction is switched off: the same networks read the speed as
# it is, by a table in which speed and amplitude do not depend on the rest.
# This failure was seen first, on this set, and the correction put in
# because of it; the table rests on strips alone.

# %%
no_restitution = torch.cat([RESTITUTION[:1], torch.ones_like(RESTITUTION[1:])])
corrected = rows[short_rest]["median"]
uncorrected = np.median(seen_again(maps[short_rest], restitution=no_restitution))
assert uncorrected < corrected - claim_correction_min
print(f"median R2 in re-entry: {corrected:.2f}")
print(f"without the correction: {uncorrected:.2f}")

# %% tags=["hide-input"]
on_plain = "median, without the table of restitution"
headline("structured_r2_reentry_uncorrected", uncorrected, tolerance=0.03, on=on_plain)

# %% [markdown]
# Without the correction every tissue of the set is off by the same factor.
# The network cannot know it, because it is a property of the cell at short
# rest, and single beats do not show it.

# %% tags=["hide-input"]
print(f"{rows['test']['n']} test tissues and sets of 16 to 20")
print(f"{len(models)} networks, mean prediction")
print(headline.provenance())
