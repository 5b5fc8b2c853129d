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
#       Can a network mark where the waves of an ECG begin and end, and does it set the
#       same marks on the ECG of a surrogate?
#     answer: >-
#       Partly: on test tissues it finds the depolarizations with an F1 of
#       {headline}`delineation_f1` within one hundred and fifty milliseconds, which
#       meets the aim, and of {headline}`delineation_f1_strict` within fifty, which
#       does not; read between samples it is {headline}`delineation_onset_ms.1` off at
#       the onset, which just meets the aim, and {headline}`delineation_offset_ms.1`
#       at the offset, which does not (means over tissues of the median of each);
#       the offset is farther off in tissue with fibrosis; its marks on the ECG of the
#       structured surrogate differ from those on the true one by
#       {headline}`surrogate_marks_ms` on average; and on a patient's ECG it fails.
#     next:
#       page: notebooks/28_diagnosis
#       why: whether the diagnosis survives as well
#     needs:
#     - results/runs/delineation.csv
#     - results/runs/delineation_errors.csv
#     - results/runs/delineation_traces.csv
#     - results/runs/delineation_levels.csv
#     - results/runs/delineation_marks.csv
#     - results/runs/delineation_patient.csv
#     - results/runs/delineation_composed.csv
#     makes:
#       results/27_reading_the_ecg.csv: >-
#         F1 and errors of onset and offset by reader, wave and noise, with intervals
#     smoke: {cells: 48}
# ---

# %% [markdown]
# # Reading the ECG: where waves begin and end
#
# **An idea is carried over; the published claim is not reproduced.**
# Delineation marks the onset and the offset of each wave of an ECG. ECG-DelNet
# {cite}`JimenezPerez2021` does it with a U-Net. On two-lead Holter recordings
# of 105 patients its precision is 90.12, 99.14 and 98.25 % for the P wave, the
# QRS complex and the T wave, and its recall is 98.73, 99.94 and 99.88 %. A
# later work of the same group {cite}`JimenezPerez2024` trains on ECGs that are
# composed of pieces of others, adds two losses, BoundDice and F1Instance, and
# reports an F1 of 99.38 % with errors of 2.19 ± 17.73 ms at the onset and 4.45
# ± 18.32 ms at the offset.
#
# Their labels were set by hand. A simulation knows when each cell is
# activated, so its labels are exact. This allows two questions that no
# patient's ECG can answer.
#
# **Question.** How many milliseconds is a delineator off, and which loss
# brings it closest? Do the waves of a surrogate's ECG begin and end where
# those of the true ECG do?
#
# **Scale:** 100 sheets of 100 mm with the conditions of {doc}`07_dataset`, each
# paced for three seconds at a cycle of 350 to 700 ms with early beats. 60
# tissues train, 15 choose, and 25 are the test. Each has three electrodes. Four
# losses and three seeds; each training takes 1,020 steps of 16 windows. One
# annotated ECG of a patient.
#
# This page needs the tables of `python -m experiments.delineation`. It takes
# seconds, in which one short recording is simulated. To run it with other
# values: `make run NB=27_reading_the_ecg SET="seed=7"`.

# %% tags=["hide-input"]
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from compendium import figures
from compendium.record import Headline, result_file
from compendium.registry import ROOT
from compendium.tables import as_text, printed
from forwardecg.data.recipe import CONDITION_CYCLE
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.measure.compare import by_seed, interval, paired_difference
from forwardecg.paths import RESULTS
from forwardecg.signals.beats import WAVES, Pacing, simulate_beats
from forwardecg.signals.compose import compose_recording, cut_segments
from forwardecg.signals.intervals import compare_labels, summarize_intervals
from forwardecg.signals.losses import bound_dice, dice, f1_instance
from forwardecg.surrogates.train import initialize
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import edge_stimulus

sys.path.append(str(ROOT))  # the experiments lie beside the notebooks
from experiments.delineation import UNet

figures.set_style()
headline = Headline("27_reading_the_ecg")

# %% tags=["parameters"]
cells = 200  # along a side of the sheet that is simulated here
t_end = 1500.0  # ms of its recording
seed = 4  # of its pacing
claim_f1 = 0.98  # of the chosen loss, depolarization, with noise, within 150 ms
claim_error_ms = 4.0  # its onset and its offset, median over all waves
claim_marks_ms = 1.0  # shift on the structured surrogate, mean

# %% [markdown]
# ## Labels from the voltage
#
# A sheet is paced at intervals that vary. The **depolarization** of a beat
# lasts from the time at which one percent of the pixels that it activates
# have risen through the middle of their voltage to the time at which 99
# percent have. The **repolarization** is the same for their fall. The ECG
# is sampled every 2 ms.

# %%
sheet = healthy((cells, cells), dx=0.5, D0=0.13)
place, pacing = center_electrode(sheet), Pacing(t_end=t_end)
ds = simulate_beats(sheet, edge_stimulus(sheet), place, pacing=pacing, seed=seed)
labels = ds.labels.values
dt = float(ds.time_ecg[1] - ds.time_ecg[0])

# %% tags=["hide-input"]
COLORS = dict(zip(WAVES, ("#c8102e", "#603cfc"), strict=True))


def bands(ax, t, on, low, high, wave):
    """A bar over each time at which a wave is on."""
    where = {"where": np.asarray(on, bool), "step": "mid", "lw": 0}
    _ = ax.fill_between(t, low, high, color=COLORS[wave], **where)


fig, ax = plt.subplots(figsize=(9, 2.8))
ecg = ds.phi_e.values[0]
_ = ax.plot(ds.time_ecg, ecg, color="black", lw=1)
floor, height = ecg.min(), np.ptp(ecg)
for k, wave in enumerate(WAVES):
    top = floor - (0.08 + 0.1 * k) * height
    bands(ax, ds.time_ecg, labels[k], top - 0.07 * height, top, wave)
_ = ax.set(xlabel="time (ms)", ylabel=figures.PHI_E_LABEL)
figures.show(
    fig,
    "An ECG of two beats. Below it, a red bar under each "
    "wave of depolarization and a violet bar under each wave of repolarization.",
)

# %% [markdown]
# Red bars are depolarization, violet ones repolarization. They may overlap:
# where the wave came first, the tissue recovers before the wave has arrived
# everywhere.
#
# A predicted interval matches a true one if neither its onset nor its
# offset is off by more than 150 ms, the window with which the standard
# ANSI/AAMI EC57 matches beats. Each interval is in one pair at most. F1 is
# twice the number of pairs, divided by the number of true and predicted
# intervals together. A *strict* F1 allows 50 ms, because many a wave here
# is not much longer than 150 ms. Two checks: perfect labels score one, and
# labels that are three samples late are late by three samples at every
# onset and every offset.

# %%
perfect = summarize_intervals(compare_labels(labels, labels, dt))
late = compare_labels(labels, np.roll(labels, 3, axis=-1), dt)
assert perfect.f1 == 1 and perfect.onset == perfect.offset == 0
assert (late.onset_error == 3 * dt).all() and (late.offset_error == 3 * dt).all()

# %% [markdown]
# ## Losses
#
# **Cross-entropy** (BCE) and **Dice** count samples. **BoundDice** is the
# Dice of the edges: labels and prediction are replaced by the absolute
# difference over 11 samples, which is one near an edge and zero elsewhere.
# **F1Instance** compares the numbers of intervals. It counts edges softly,
# so that it has a gradient, and it does not ask where an interval is.
#
# How strongly does each loss punish a label that is late?

# %%
y = torch.zeros(1, 1, 400)
y[..., 100:180] = 1  # one wave of 80 samples, 160 ms
shifts = np.arange(0, 21)
losses = {"Dice": dice, "BoundDice": bound_dice, "F1Instance": f1_instance}
punished = pd.DataFrame(
    {
        name: [float(loss(y.roll(n, -1), y)) for n in shifts.tolist()]
        for name, loss in losses.items()
    },
    index=dt * shifts,
)
assert np.allclose(punished["Dice"], shifts / 80, atol=1e-5)
assert np.allclose(punished["BoundDice"], np.minimum(shifts / 10, 1), atol=1e-5)
assert (punished["F1Instance"] == 0).all()

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(6, 3.2))
for (name, curve), style in zip(punished.items(), ("-", "--", ":"), strict=True):
    _ = ax.plot(punished.index, curve, color="black", ls=style, label=name)
_ = ax.set(xlabel="labels are late by (ms)", ylabel="loss")
_ = ax.legend(frameon=False)
figures.show(
    fig,
    "Three losses against the delay of a label of 160 ms. Dice rises slowly in a "
    "straight line, BoundDice eight times as steeply up to one, F1Instance stays zero.",
)

# %% [markdown]
# BoundDice rises eight times as fast as Dice for this wave, and it would
# rise as fast for a shorter or a longer one. F1Instance does not see a
# delay at all. It sees the number:

# %%
two = torch.zeros(1, 1, 400)
two[..., 50:90] = two[..., 200:260] = 1
one = two.clone()
one[..., 200:] = 0
print(f"one of two waves is missed: F1Instance {float(f1_instance(one, two)):.3f}")
assert abs(float(f1_instance(one, two)) - 1 / 3) < 1e-3

# %% [markdown]
# Four losses are compared: BCE, Dice, Dice + BoundDice, and Dice + BoundDice +
# F1Instance. {cite:t}`JimenezPerez2024` add F1Instance with a weight of ten
# from the start. It counts sharp edges, and at first a network has none. So
# here it enters after half of the training, with a weight of 0.1.
#
# ## The network
#
# ECG-DelNet is a U-Net: the ECG is averaged to coarser and coarser levels,
# where a wave is a few samples long, and then brought back to its samples.
# Each level on the way back also sees its equal on the way down. Ours has
# four levels, two outputs instead of three, and 147 kB of weights.
#
# ```{literalinclude} /experiments/delineation.py
# :language: python
# :pyobject: UNet
# ```
#
# Three checks: every sample has an answer, whatever the length of the trace;
# the weights take less than 160 kB; and a trace that is shifted by 64 samples,
# the width of the coarsest level, has its answers shifted as well, away from
# its ends.

# %%
model = initialize(UNet, 0).eval()
trace = torch.randn(1, 1501, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    assert model(trace).shape == (1, 2, 1501) and model(trace[:, :99]).shape[-1] == 99
    moved, still = model(trace.roll(64, -1)), model(trace).roll(64, -1)
    inside = slice(600, 900)
    assert torch.allclose(moved[..., inside], still[..., inside], atol=0.02)
size = sum(4 * weights.numel() for weights in model.parameters()) / 1000
print(f"{size:.1f} kB of weights")
assert size < 160

# %% [markdown]
# Each step takes windows of 1,280 ms, with random sign, size and noise and
# with a baseline that wanders. The epoch is the one with the highest F1 on
# the validation tissues.
#
# ## Results by loss

# %% tags=["hide-input"]
runs = RESULTS / "runs"
table = pd.read_csv(runs / "delineation.csv")
errors = pd.read_csv(runs / "delineation_errors.csv")
whole, val = (table[table.part == part] for part in ("test", "val"))
tried, val = (val[(val.method == "slope rule") == rule] for rule in (True, False))
STRICT, WIDE = np.unique(whole.tolerance)  # ms
EDGES = ("onset", "offset")
NOISE = whole.noise.max()


def of_tissues(rows):
    """One row a tissue: F1 of all its intervals, its errors, mean of the seeds."""
    grouped = rows[rows.tolerance == WIDE].groupby("sim")
    found = grouped[[f"{edge}{end}" for edge in EDGES for end in ("", "_mean")]].mean()
    for tolerance, name in ((WIDE, "f1"), (STRICT, "f1_strict")):
        n = rows[rows.tolerance == tolerance].groupby("sim")
        n = n[["matched", "missed", "extra"]].sum()
        found[name] = 2 * n.matched / (2 * n.matched + n.missed + n.extra)
    return found


def with_interval(values, statistic=np.mean):
    """Mean over tissues and its interval, as text; nothing for fewer than two."""
    values = values.dropna().to_numpy()
    if len(values) < 2:
        return ""
    found = interval(values, statistic=statistic)
    return "{:.3f} ({:.3f} to {:.3f})".format(*found)


def pooled(method, wave, edge, noise, share):
    """A quantile of |error| over the waves of all tissues and seeds, in ms."""
    of = dict(method=method, wave=wave, edge=edge, noise=noise)
    rows = errors[(errors[[*of]] == pd.Series(of)).all(axis=1)]
    return np.quantile(np.repeat(rows.error.abs(), rows["count"]), share)


def scores(rows, words):
    """A row a reader, in text: F1 over tissues; median and 90 % quantile over waves."""
    found, wave, noise = {}, rows.wave.iloc[0], rows.noise.iloc[0]
    for name, group in rows.groupby("method", sort=False):
        one = of_tissues(group)
        row = {"F1": with_interval(one.f1), "F1, strict": with_interval(one.f1_strict)}
        for edge in EDGES:
            for share, column in ((0.5, f"{edge} (ms)"), (0.9, f"{edge}, 90 %")):
                row[column] = f"{pooled(name, wave, edge, noise, share):.1f}"
        if name.startswith("NeuroKit2"):  # no tolerance was applied; not all are marked
            row["F1, strict"] = ""
            n = group[["matched", "onsets", "offsets"]].sum()
            share = (n.onsets / n.matched, n.offsets / n.matched)
            name += " ({:.0%}, {:.0%})".format(*share)
        found[name] = row
    caption = f"F1 and errors of onset and offset by reader: {words}."
    return printed(pd.DataFrame(found).T.rename_axis("reader"), caption=caption)


# %%
on_test = whole[whole.wave == WAVES[0]]
scores(on_test[on_test.noise == NOISE], f"depolarization, noise {NOISE:g}")

# %%
scores(on_test[on_test.noise == 0], "depolarization, no noise")

# %%
repolarization = whole[(whole.wave == WAVES[1]) & (whole.noise == NOISE)]
scores(repolarization, f"repolarization, noise {NOISE:g}")

# %% [markdown]
# F1 is a mean over test tissues, with an interval over them. Onset and offset
# are medians of the absolute error over all waves that match within 150 ms,
# of all seeds. The column after each has its 90 % quantile. The noise is white,
# with a tenth of the standard deviation of the trace.
#
# The network finds nearly all waves. With noise its median error is two samples
# at both ends, with every loss. Without noise little changes.
#
# The **slope rule** calls a sample depolarization where the smoothed ECG is
# steeper than a share of its 98 % quantile. Share and smoothing are those
# with the highest strict F1 on the validation tissues with noise, of the values
# below. Within 150 ms it finds as many waves as the network does. Its onsets
# are late by tens of milliseconds, because a wave begins flat in the ECG, and
# its offsets are late as well. So its strict F1 is far lower.
#
# **NeuroKit2** {cite}`Makowski2021` is a library whose detectors are made
# for the QRS complex of a patient. Here it is judged more kindly: a wave is
# found if one of its R peaks lies in it. By this measure it misses and
# invents almost nothing. No tolerance is applied, so its strict F1 is left
# empty. It was not made for the ends of a wave that is smooth and lasts
# 150 ms or more. The brackets after its name have the shares of the onsets and
# of the offsets that it marks. It marks few offsets, and its errors are of the
# marked ones only.
#
# So the wide F1 does not separate these methods. The strict F1 and the errors
# at the edges do.

# %%
grid = tried.pivot_table(values="f1", index="share", columns="smooth")
grid = grid.rename(index="share {:g}".format, columns="{:g} ms".format)
printed(
    grid.rename_axis(index="share of the slope", columns=None),
    caption="Strict F1 of the slope rule on validation tissues, by its two settings.",
)

# %% tags=["hide-input"]
rule = whole[whole.method == "slope rule"].iloc[0]
print(f"slope rule: share {rule['share']:g}, smoothed over {rule.smooth:g} ms")
best = val.groupby("method", sort=False).f1.mean().idxmax()
middle = on_test[(on_test.method == best) & (on_test.noise == NOISE)]
chosen = of_tissues(middle)
n_test, n_seeds = len(chosen), val.seed.nunique()
on = f"{n_test} test tissues, {n_seeds} seeds, {best}, noise 0.1"
headline("delineation_f1", chosen.f1.mean(), tolerance=0.01, on=on)
headline("delineation_f1_strict", chosen.f1_strict.mean(), tolerance=0.03, on=on)
middle_error = {edge: pooled(best, WAVES[0], edge, NOISE, 0.5) for edge in EDGES}
print(f"chosen on the validation tissues: {best}")
edges = {
    edge: {
        "mean of the medians of tissues (ms)": with_interval(chosen[edge]),
        "median of all waves (ms)": f"{middle_error[edge]:.1f}",
    }
    for edge in EDGES
}
printed(
    pd.DataFrame(edges).T.rename_axis("edge"),
    caption=f"Errors of the loss that validation chose ({best}), at the samples.",
)

# %% [markdown]
# ### Marks between the samples
#
# The network gives a probability at each sample, and a mark lies where it
# crosses one half. Two refinements need no training. The first is a straight
# line between the samples, which are 2 ms apart. It gives a time to 0.5 ms. The
# second is a level below one half. It makes each wave begin earlier and end
# later, and a wave still counts only if its probability exceeds one half
# somewhere. The validation tissues choose the level with the smallest sum of
# both errors, and the test tissues are then read at one half and at this level.
# Labels, too, are exact to 0.5 ms here.

# %%
levels = pd.read_csv(runs / "delineation_levels.csv")
levels = levels[levels.wave == WAVES[0]]
columns = {"onset": "onset (ms)", "onset_bias": "onset, signed"}
columns |= {"offset": "offset (ms)", "offset_bias": "offset, signed", "f1": "F1"}
shown = levels.groupby(["part", "level"])[[*columns]].mean()
shown = shown.rename(columns=columns, index={"val": "validation"})
printed(
    shown.sort_index(ascending=[False, False]),
    signed=[*columns.values()][1:4:2],
    caption="Errors of marks between the samples, by the level that is a mark.",
)

# %% tags=["hide-input"]
of_level = levels[levels.part == "test"].groupby(["level", "sim"])[[*EDGES]].mean()
level = of_level.index.unique("level").min()
refined = of_level.xs(level)
on_level = f"median of each tissue, mean of {on}, read at a level of {level:g}"
for edge in EDGES:
    change = interval((refined[edge] - of_level[edge][0.5]).to_numpy())
    change, low, high = (as_text(one, signed=True) for one in change)
    print(f"{edge}: {with_interval(refined[edge])} ms")
    print(f"{edge}, level {level:g} minus 0.5: {change} ({low} to {high}) ms")
    name, value = f"delineation_{edge}_ms", refined[edge].mean()
    headline(name, value, unit="ms", tolerance=2.0, on=on_level)

# %% [markdown]
# Means over tissues of their medians, of three seeds. At one half the waves are
# marked too short at both ends. A lower level makes them longer. On the
# validation tissues both errors fall by a few tenths of a millisecond. In the
# test the onset gains more than a millisecond, and the offset again little.
#
# The aim was an F1 of 0.98 with an error of at most 4 ms. The F1 meets it
# within 150 ms only. Within 50 ms it does not. The error meets it as the
# median of all waves. As the mean over tissues of their medians the onset meets
# it just, at the level that the validation tissues choose, and the offset does
# not. This mean is the fairer number: each tissue counts once. The interval of
# the onset includes more than 4 ms, so that the aim is not certainly met.

# %% tags=["hide-input"]
traces = pd.read_csv(runs / "delineation_traces.csv")
fig, axes = plt.subplots(2, 1, figsize=(9, 5.2), sharex=True)
for ax, (rank, trace) in zip(axes, traces.groupby("rank", sort=False), strict=True):
    _ = ax.plot(trace.time, trace.ecg, color="black", lw=0.6)
    floor, height = trace.ecg.min(), np.ptp(trace.ecg)
    for k, wave in enumerate(WAVES):
        for m, name in enumerate((wave, f"{wave}_read")):
            top = floor - (0.06 + 0.2 * k + 0.08 * m) * height
            bands(ax, trace.time, trace[name], top - 0.06 * height, top, wave)
    _ = ax.set(title=f"the {rank} of the test tissues by error", ylabel="ECG (SD)")
_ = axes[1].set(xlabel="time (ms)")
figures.show(
    fig,
    "Two noisy ECGs of several beats. Below each, two rows of red bars for the true "
    "and the predicted depolarization, and two of violet bars for the repolarization. "
    "They agree, but in the lower ECG most predicted depolarizations have a gap.",
)

# %% tags=["hide-input"]
LOSSES = [*val.method.unique()]
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
seen = errors[(errors.noise == NOISE) & (errors.wave == WAVES[0])]
LINES = (("black", "-"), ("C0", "--"), ("C1", ":"), ("C4", "-."), ("C2", ":"))
STYLES = dict(zip(LOSSES, LINES, strict=False))
for ax, edge in zip(axes, EDGES, strict=True):
    for name, (color, style) in STYLES.items():
        one = seen[(seen.method == name) & (seen.edge == edge)]
        one = one.groupby("error")["count"].sum()
        one = one.reindex(np.arange(-30, 31, 2), fill_value=0) / one.sum()
        _ = ax.plot(one.index, one, ls=style, color=color, label=name)
    _ = ax.axvline(0, color="0.7", lw=0.8, zorder=0)
    _ = ax.set(xlabel=f"error of the {edge} (ms)")
_ = axes[0].set(ylabel="share of the matched waves")
_ = axes[1].legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
figures.show(
    fig,
    "Two panels with the share of waves against the error of the onset and of the "
    "offset, one curve for each loss. All peak at zero, with a longer tail to late "
    "onsets and to early offsets; with BoundDice the peaks are higher.",
)

# %% [markdown]
# The upper trace is the middle one of the 25 test tissues by its error, the
# lower one the last. Upper bars are true, lower ones predicted. In the last
# tissue the network cuts the depolarization in two where the ECG turns. The
# second figure has the signed errors. Most onsets are marked a little late
# and most offsets a little early: waves begin and end in the ECG with few
# cells, and their first and last percent hardly show.
#
# ### Do the losses differ?
#
# Differences from BCE, each loss with three seeds, on the same tissues.


# %%
def by_loss(score):
    """Scores (seed, tissue) of each loss."""
    rows = on_test[(on_test.noise == NOISE) & (on_test.tolerance == STRICT)]
    rows = rows.assign(error=(rows.onset_mean + rows.offset_mean) / 2)
    return {name: by_seed(rows[rows.method == name], score) for name in LOSSES}


differences = {}
for score, words in (("f1", "F1, strict"), ("error", "mean error (ms)")):
    of = by_loss(score)
    for name in LOSSES[1:]:
        found = paired_difference(of[name], of[LOSSES[0]], family=len(LOSSES) - 1)
        row = found[["difference", "low", "high", "p"]]
        differences[f"{name}: {words}"] = row
printed(
    pd.DataFrame(differences).T.rename_axis("loss: score"),
    signed=["difference", "low", "high"],
    caption="Difference of each loss from BCE, with its 95 % interval.",
)

# %% [markdown]
# Every interval includes zero, so no difference can be told from chance with
# 25 tissues. The directions are those that the losses were made for:
# BoundDice brings the edges about one millisecond closer, and the curves
# above are sharper with it, at the price of some F1. F1Instance changes almost
# nothing here. This says little about it: its weight is small, only one weight
# was tried, and it enters late. The next table shows that its best epochs are
# those of Dice + BoundDice. In one of the three its weight has only begun to
# rise. The choice by validation falls on BCE, the plainest of the four, and all
# numbers below are for it.

# %%
epochs = val.groupby(["method", "seed"], sort=False).epoch.first().unstack()
epochs = epochs.rename(columns=lambda n: f"seed {n}")
printed(epochs.rename_axis("loss"), caption="The epoch of 15 that was best, by seed.")

# %% [markdown]
# ## Which tissue is hard to read

# %%
conditions = [CONDITION_CYCLE[sim % len(CONDITION_CYCLE)] for sim in chosen.index]
grouped = chosen.groupby(conditions, sort=False)
signed = middle[middle.tolerance == WIDE].groupby("sim")[["onset_bias", "offset_bias"]]
signed = signed.mean().groupby(conditions, sort=False)
by_condition = pd.DataFrame(
    {
        "tissues": grouped.size(),
        "F1, strict": grouped.f1_strict.mean(),
        "onset (ms)": grouped.onset.mean(),
        "onset, signed": signed.onset_bias.mean(),
        "offset (ms)": grouped.offset.mean(),
        "offset, signed": signed.offset_bias.mean(),
    }
)
by_condition = by_condition.rename(figures.LABELS).rename_axis("condition")
printed(
    by_condition,
    signed=["onset, signed", "offset, signed"],
    caption="The chosen loss by condition of the tissue.",
)

# %% tags=["hide-input"]
fibrotic = np.isin(conditions, ["fibrotic", "combined"])
for words, some in (("fibrosis", chosen[fibrotic]), ("no fibrosis", chosen[~fibrotic])):
    found = {edge: with_interval(some[edge]) for edge in EDGES}
    print(f"{words}: onset {found['onset']} ms, offset {found['offset']} ms")
at_level = levels[(levels.part == "test") & (levels.level == level)]
late = at_level.groupby("sim").offset_bias.mean()  # signed errors of the offset
first, second, *_ = late.sort_values()
worst = late.nsmallest(2).index
found = {"earliest": -first, "second_earliest": -second}
found["without_two"] = refined.offset.drop(worst).mean()
one = f"median of a tissue of {on}, read at a level of {level:g}"
for name, value in found.items():
    where = on_level if name == "without_two" else one
    key = f"delineation_offset_{name}_ms"
    headline(key, value, unit="ms", tolerance=8.0, on=where)

# %% [markdown]
# The table has means over tissues for the chosen loss. Errors are the medians
# of each tissue, signed ones the medians with their sign. All waves of healthy
# tissue and of tissue with uncoupled gap junctions are found. Everything that
# is lost is lost in a few tissues with fibrosis. There the wave takes detours,
# the ECG of one beat has several deflections, and a reader of one lead can take
# them for several waves.
#
# The aim for the offset is missed in these tissues, too. The lines below the
# table have its error with and without fibrosis. With fibrosis the last percent
# of the cells is activated late, behind scars, where few cells are left to add
# to the ECG. The network marks the end of what it sees, which is too early.
# Read between samples, the end is early by
# {headline}`delineation_offset_earliest_ms.1` in one tissue and by
# {headline}`delineation_offset_second_earliest_ms.1` in another. Without these
# two the mean error of {headline}`delineation_offset_ms.1` would be
# {headline}`delineation_offset_without_two_ms.1`.
#
# ## Composed recordings as more training data
#
# {cite:t}`JimenezPerez2024` compose recordings of the pieces of others. Here a
# recording is cut wherever a label changes. A new one is a chain in which each piece
# follows one that had such a neighbor before. Each piece is stretched and
# scaled by up to 20 percent, and a straight line makes its ends meet. The
# labels stay exact.

# %%
pieces = cut_segments(ecg / ecg.std(), labels)
composed, marks = compose_recording(pieces, ecg.size, seed=seed)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(9, 2.6))
t = dt * np.arange(composed.size)
_ = ax.plot(t, composed, color="black", lw=1)
floor, height = composed.min(), np.ptp(composed)
for k, wave in enumerate(WAVES):
    top = floor - (0.08 + 0.1 * k) * height
    bands(ax, t, marks[k], top - 0.07 * height, top, wave)
_ = ax.set(xlabel="time (ms)", ylabel="ECG (SD)")
figures.show(
    fig,
    "A composed ECG. Its waves are those of the first figure, stretched and scaled, in "
    "another order, with bars of depolarization and repolarization below.",
)

# %% [markdown]
# Does it help? The chosen loss is trained again on a quarter of the tissues
# and on all of them, without and with as many composed recordings as there
# are others or more, always for the same number of steps.

# %%
more = pd.read_csv(runs / "delineation_composed.csv")
of_best = pd.concat([middle, more[more.wave == WAVES[0]]])
of_best = of_best[of_best.tolerance == STRICT]
of_best = of_best.assign(error=(of_best.onset_mean + of_best.offset_mean) / 2)
rows = {}
for n, group in of_best.groupby("tissues"):
    for score, name in (("f1", "F1, strict"), ("error", "mean error (ms)")):
        both = [by_seed(group[group.composed == one], score) for one in (True, False)]
        found = paired_difference(*both)[["difference", "low", "high", "p"]]
        means = {"with": both[0].mean(), "without": both[1].mean()}
        rows[f"{n} tissues, {name}"] = means | found.to_dict()
printed(
    pd.DataFrame(rows).T.rename_axis("training tissues, score"),
    signed=["difference", "low", "high"],
    caption="The chosen loss with composed recordings in its training, and without.",
)

# %% [markdown]
# No. With 15 tissues as with 60, neither F1 nor the error changes by more
# than chance. A composed recording has new orders, durations and sizes, but
# the shapes of its waves are those of the tissues that it was cut from, and
# the network has seen them. More tissues do help a little: the error falls
# from the first rows to the last.
#
# ## Marks on the ECGs of surrogates
#
# A surrogate's ECG with a high $R^2$ could still move the ends of its waves,
# for these have small amplitudes. So the chosen delineators read each test
# recording twice, once its true ECG and once the ECG that a surrogate makes of
# its voltage maps, with the same noise. The table has the shift of the marks
# from one to the other. It needs no label. The **structured surrogate** and the
# **training-free D** infer the conductivity from the maps
# ({doc}`../book/structured`), and the **blind lead field** takes one
# conductivity for all tissue. Maps come every 4 ms, so ECGs are interpolated to
# 2 ms. *Sampled* is the true ECG treated in the same way.

# %%
shifts = pd.read_csv(runs / "delineation_marks.csv")
KIND = {"many": "many beats", "one": "single beats"}


def shifted(beats, noise, wave):
    """A row a source: F1 with the marks on the true ECG, and mean shifts, in ms."""
    rows = shifts[(shifts.beats == beats) & (shifts.noise == noise)]
    rows = rows[rows.wave == wave]
    found = {}
    for name, group in rows.groupby("source", sort=False):
        one = group.groupby("sim")[["f1", "onset_mean", "offset_mean"]].mean()
        found[name] = {column: with_interval(one[column]) for column in one}
    names = {"f1": "F1", "onset_mean": "onset (ms)", "offset_mean": "offset (ms)"}
    table = pd.DataFrame(found).T.rename(columns=names).rename_axis("source")
    caption = f"Shift of the marks by the source of the ECG: {wave}, {KIND[beats]}."
    return printed(table, caption=caption)


shifted("many", NOISE, WAVES[0])

# %%
shifted("many", NOISE, WAVES[1])

# %% tags=["hide-input"]
of = shifts[(shifts.source == "structured surrogate") & (shifts.beats == "many")]
of = of[(of.noise == NOISE) & (of.wave == WAVES[0])].groupby("sim")
shift = of[["onset_mean", "offset_mean"]].mean().mean(axis=1)
on = f"{n_test} test tissues, {n_seeds} seeds, mean of onset and offset, noise 0.1"
headline("surrogate_marks_ms", shift.mean(), unit="ms", tolerance=0.3, on=on)
print("structured surrogate, onset and offset:", with_interval(shift), "ms")

# %% [markdown]
# Marks on the ECG of the structured surrogate move by about one millisecond,
# half a sample, and most do not move at all. A part of this is the
# interpolation. The blind lead field moves them two to four times as far, and
# its F1 says that waves are gained or lost as well.
#
# *The paper's network*, here as on all pages, is our rendering of the one of
# {cite:t}`OgbomoHarmitt2025`. It cannot read these recordings, because it was made
# for sheets of 200 mm and one beat. The next table has 30 tissues of another test
# set that it can read, with one beat each. Its frames come every 10 ms. It is the
# network of {doc}`09_training` from 240 tissues, and a single one. The structured
# surrogate is the mean of five.

# %%
shifted("one", NOISE, WAVES[0])

# %% [markdown]
# The paper's network moves the marks several times as far as the structured
# surrogate does. Its coarse frames explain a part of that: the
# true ECG at every 10 ms moves the onset, too, and the offset less.
#
# ## A patient
#
# Last, the same delineators read one record of the Lobachevsky University
# Database {cite}`Kalyakulina2020`: twelve leads, ten seconds, marked by
# cardiologists. They have seen no patient. Their depolarization is compared
# with the P wave, which is the depolarization of the atria, and with the
# QRS complex, which is that of the ventricles.

# %%
patient = pd.read_csv(runs / "delineation_patient.csv")
counts = patient.groupby(["method", "wave"], sort=False)[["matched", "missed", "extra"]]
n = counts.sum()
read = (2 * n.matched / (2 * n.matched + n.missed + n.extra)).unstack()
qrs = patient[patient.wave == "QRS"].groupby("method")[["onset", "offset"]].mean()
qrs.columns = ["QRS onset (ms)", "QRS offset (ms)"]
qrs = qrs.map("{:.1f}".format)
read.columns = [f"F1 of {wave}" for wave in read]
printed(
    read.join(qrs).reindex(patient.method.unique()),
    caption="One record of a patient: F1 of its waves, and errors at the QRS complex.",
)

# %% [markdown]
# **The delineator fails on the patient.** It finds hardly any P wave, few of
# the QRS complexes, and many waves that are neither. The library, which is
# made for such ECGs, finds every QRS complex, and even the slope rule scores
# higher. The network has learned waves that last 100 to 300 ms and nothing
# else, and it has never seen a T wave of other cells or the rest between a P
# wave and a QRS complex. Exact labels are no substitute for the right waves.
# ECG-DelNet was trained on patients, and nothing here speaks against it.
#
# ## Limits
#
# - Two-dimensional sheets of 100 mm, paced at one place, with one cell model
#   and electrodes 40 mm above the tissue.
# - The labels use one and 99 percent of the pixels. Other shares move them,
#   and the network would learn those.
# - White noise and a slow baseline only. Mains, muscle and lost contacts are
#   not here.
# - 25 test tissues: the intervals of the strict F1 are wide, because a
#   few tissues make all its losses.
# - One record of one patient.
#
# ## Exercises
#
# **1.** A reader finds every wave, and one that is not there for every five
# that are. What is its F1? And if it misses one in five instead?

# %% tags=["hide-cell"]
five = np.zeros(500, bool)
for start in range(40, 440, 80):
    five[start : start + 40] = True
extra, missing = five.copy(), five.copy()
extra[460:490] = True
missing[40:80] = False
for name, read in (("one extra", extra), ("one missing", missing)):
    f1 = summarize_intervals(compare_labels(five[None], read[None], dt)).f1
    print(f"{name}: F1 {f1:.3f}")
# Ten over eleven, and eight over nine: a miss costs more than an extra.

# %% [markdown]
# **2.** BoundDice looks at 11 samples. From which delay on does its gradient
# vanish, and how does the answer change with 21 samples?

# %% tags=["hide-cell"]
for width in (11, 21):
    found = [float(bound_dice(y.roll(n, -1), y, width=width)) for n in range(30)]
    print(
        f"{width} samples: one from {dt * np.argmax(np.array(found) > 0.999):g} ms on"
    )
# Edges that are farther apart than the width no longer overlap: the loss is one
# whatever the delay. This is why Dice stays in the sum.

# %% [markdown]
# **3.** In a composed recording, what can follow the time without a wave?
# Read it off the pieces.

# %% tags=["hide-cell"]
words = {(False, False): "none", (True, False): "depolarization"}
words |= {(False, True): "repolarization", (True, True): "both"}
chain = {f"{words[one.state]} > {words[one.after]}" for one in pieces}
print("\n".join(sorted(chain)))
# A depolarization: tissue cannot recover before it was activated.

# %% tags=["hide-input"]
summary = []
for (name, noise, wave), rows in whole.groupby(["method", "noise", "wave"], sort=False):
    one = of_tissues(rows)
    row = {"reader": name, "noise": noise, "wave": wave}
    for column in ("f1", "f1_strict"):
        if column == "f1_strict" and name.startswith("NeuroKit2"):
            continue  # no tolerance was applied
        found = interval(one[column].to_numpy())
        row |= dict(
            zip((column, f"{column}_low", f"{column}_high"), found, strict=True)
        )
    for edge in EDGES:
        for share in (0.5, 0.9):
            row[f"{edge}_{share:.0%}_ms"] = pooled(name, wave, edge, noise, share)
    summary.append(row)
pd.DataFrame(summary).round(5).to_csv(
    result_file("27_reading_the_ecg.csv"), index=False
)
assert chosen.f1.mean() >= claim_f1 > chosen.f1_strict.mean()
assert max(middle_error.values()) <= claim_error_ms < refined.offset.mean()
assert refined.onset.mean() < chosen.onset.mean()
assert shift.mean() <= claim_marks_ms
print(headline.provenance())
