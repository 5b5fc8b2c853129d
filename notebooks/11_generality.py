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
#       How well does the structured surrogate work on tissue and maps unlike its
#       training?
#     answer: >-
#       On re-entry it reaches a median R² of {headline}`structured_r2_reentry_median`,
#       and on dense fibrosis a mean of {headline}`structured_r2_dense`; on a cell with
#       another constant the median is {headline}`structured_r2_unseen_cell_mbr`, until
#       the constant is named.
#     next:
#       page: notebooks/31_wider_tissue
#       why: what the same networks gain from learning on wider tissue
#     needs:
#     - results/07_dataset.csv
#     - results/07_dataset.json
#     - models/structured_recipe.safetensors
#     makes:
#       results/11_generality.csv: >-
#         scores of the structured surrogate on sets of other kinds, with intervals
#       results/11_generality_table.csv: >-
#         the same as the page of result tables prints it
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
# # Generalization: the structured surrogate away from its training
#
# **Question.** How well does the structured surrogate work with other
# electrodes, two wave fronts, re-entry, other cells, other diffusivities,
# other fibrosis and other maps?
#
# **Scale:** the five networks of {doc}`10_structured`, trained on 240 tissues
# of the recipe with one stimulus each. {doc}`31_wider_tissue` scores the
# published ones, which saw more kinds of tissue, on the same sets. The tests
# here are on eight sets of 16 to 20 tissues of other kinds, and for
# comparison on 300 tissues of the usual recipe. None of the tested tissues
# was in training or validation.
#
# This page needs {doc}`07_dataset`, which also shows the sets, and
# {doc}`10_structured`. The first run takes some minutes. To run it with other
# values:
#
#     make run NB=11_generality SET="noises=[0.1]"

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from compendium import figures
from compendium.record import Headline, result_file
from compendium.tables import WORDS, printed, with_interval
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
threads = 1  # of the CPU
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
# The prediction is the mean of the five networks. We score it on every set
# and at every electrode, also at those that were in no training.

# %%
torch.set_num_threads(threads)
recipe = read_recipe(RESULTS / "07_dataset.json")
models, card = load_models(MODELS / "structured_recipe.safetensors")
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
# The constant $\kappa = D/(\varphi c^2)$ belongs to the cell model
# ({ref}`structured-prior`). Another cell has another $\kappa$, and the
# amplitude of the whole ECG changes with it. If the cell is known, one cable
# gives its $\kappa$. In the rows *known* the prediction is multiplied by the
# ratio of the two constants.

# %%
for name in [name for name in sets if sets[name].cell != FK_CAF]:
    ratio = (converged_cv(FK_CAF) / converged_cv(sets[name].cell)) ** 2
    rows[f"{name}, cell known"] = row(all_scores(maps[name], ratio), maps[name].leads)
    print(f"{sets[name].cell.name}: kappa is {ratio:.2f} times that of {FK_CAF.name}")

# %% [markdown]
# For comparison we also score the estimate without any training,
# $D = \kappa\varphi c^2$. It uses the same physics, and it has learned one
# number.

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
cells = [name for name in sets if f"{name}, cell known" in rows]
words = {f"{name}, cell known": f"{WORDS[name]}, known" for name in cells}
shown = with_interval(table.rename(index=words).drop(columns="n"), "mean")
of_others = "16 to 20 tissues of each other kind"
caption = f"R² on {rows['test']['n']} tissues of the recipe (test) and on {of_others}."
printed(shown.rename_axis(None), caption=caption)

# %% tags=["hide-input"]
short = table[["n", "mean", "median", "worst", "unseen", "near"]].rename(
    columns={"n": "tissues", "unseen": "unseen electrodes", "near": "near electrodes"}
)
short = short.astype({"tissues": int}).map(
    lambda v: f"{v:.3f}" if isinstance(v, float) else v
)
short.to_csv(result_file("11_generality_table.csv"))

# %% [markdown]
# The table holds the mean $R^2$ of the raw central ECG with its 95 % bootstrap
# interval over tissues, the median and the worst. The columns *unseen* and
# *near* are means over eight unseen and four very near electrodes. The last
# column is the mean of the training-free estimate.
#
# In re-entry fronts follow each other closely. The surrogate reads them,
# though no tissue in training had two fronts. MBR cells have about twice the
# $\kappa$, and their ECGs are off by that factor until it is known. The mean
# of the MLR-I cells is decided by one tissue, whose slow wave fills the
# recording to its end; the median describes the others. Dense fibrosis has
# the lowest mean of the sets with the usual cell. On partial fibrosis the
# training-free estimate scores slightly higher than the networks. Fibers and
# curved sheets are in no set, and nothing in the table was measured on real
# tissue.
#
# The next cell checks two claims. The mean $R^2$ of two foci is at least
# `claim_two_foci_r2_min`, and the median of re-entry is at least
# `claim_reentry_r2_min`. Both values are parameters of the page.

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
# The next figure shows four of the sets, each by the tissue of median score.

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
    title = f"{WORDS.get(name, name.replace('_', ' '))}, tissue {k}"
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
# Each panel has a scale of its own. With MLR-I cells the predicted shape is
# right and the amplitude a little off. In the other three panels the
# traces coincide. By choice these are typical tissues, and the worst score of
# each set is in the table.
#
# ## Degraded maps
#
# Now the surrogate gets worse maps of test tissues: coarser pixels, fewer
# frames, noise, or lost pixels. Lost pixels lie at random places and are
# filled in from their neighbors, as `predict(..., fill=True)` does. Both the
# inference and the operator work on the degraded maps.

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
shown = maps_table[["mean", "sd", "median", "worst", "n"]].rename(columns={"sd": "SD"})
printed(shown, caption="R² of test tissues from maps that were made worse.")

# %% tags=["hide-input"]
noise = noises[len(noises) // 2]
with_noise = maps_table["mean"][f"noise {noise:g}"]
on_noise = f"{len(test.sims)} test tissues, noise {noise:g}"
headline("structured_r2_noise", with_noise, tolerance=0.03, on=on_noise)

# %% [markdown]
# The table holds $R^2$ over test tissues of the usual recipe. Noise is a
# share of the action potential: 0.05 is 5 mV. Coarser maps and slower frames
# were part of the training, and so were noise up to 0.03 and losses up to 5 %
# of the pixels. Stronger noise and larger losses were not. Real optical maps
# also suffer from blur, drift and motion. Blur and drift are tried on four
# tissues in {doc}`20_your_own_maps`. Motion is tested nowhere.
#
# ## Re-entry without the correction for short rest
#
# In re-entry a front meets tissue that has hardly rested, and there it runs
# slower than the conductivity alone would make it. The surrogate corrects for
# this with the table of the cell that {doc}`10_structured` checks on a paced
# strip. Here we switch the correction off. The same networks read the speed
# as it is, by a table in which speed and amplitude do not depend on the rest.
# This failure was seen first, on this set, and the correction was added
# because of it. The numbers of the table come from strips alone.

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
# The network cannot know this factor. It is a property of the cell at short
# rest, and the single beats of the training do not contain it. The good score
# with the correction is therefore tied to the usual cell, whose table it
# uses.

# %% tags=["hide-input"]
print(f"{rows['test']['n']} test tissues and sets of 16 to 20")
print(f"{len(models)} networks, mean prediction")
print(headline.provenance())
