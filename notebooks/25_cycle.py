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
#       Does a cycle through the ECG save labels when a network learns activation maps?
#     answer: >-
#       With the fewest labels it probably does: the cycle takes
#       {headline}`cycle_gain.2` off the error of activation, with p =
#       {headline}`cycle_p.1` over the seeds; with more labels it adds error,
#       {headline}`cycle_change_all_labels.2` with all of them, both against more
#       training on the labels, although the error of the ECG falls each time.
#     next:
#       page: notebooks/26_reduced_models
#       why: models that shrink the simulation instead of inverting it
#     needs:
#     - results/runs/cycle.csv
#     - results/runs/cycle_trainings.csv
#     - results/runs/cycle_maps.nc
#     - results/runs/cycle_physics.csv
#     makes:
#       results/25_cycle.csv: >-
#         error of activation and of the ECG by number of labels and method
# ---

# %% [markdown]
# # Cycle consistency: labels saved by unlabeled ECGs?
#
# **An idea is carried over; the published claim is not reproduced.**
# HeartUnloadNet {cite}`Mu2025` predicts the unloaded shape of a ventricle
# from its loaded shape. It is trained in a cycle: the unloaded shape is
# loaded again, and should give the shape that went in. This needs no label.
# The authors used 20,700 simulations and report a Dice coefficient of
# 0.986 ± 0.023. With 200 training samples it is still 97 %, and they credit
# the cycle.
#
# Here a network reads ECGs and gives an activation map. The way back, from
# the map to the ECG, is known physics: an action potential at every pixel,
# and the lead field of {doc}`../book/forward`. An ECG without any label can
# therefore be used in training.
#
# **Question.** Does a network that also closes this cycle need fewer labeled
# tissues?
#
# **Scale:** 20, 60 or all 240 labeled tissues of the training part of
# {doc}`07_dataset`, unlabeled ECGs of all 240, three seeds, 16 electrodes,
# maps of 25 × 25 pixels. The test has the 30 test tissues of the split and
# 90 tissues of the test set.
#
# The page needs the tables of `python -m experiments.cycle` and of
# `python -m experiments.cycle_physics` and takes seconds. To run it with other
# values: `make run NB=25_cycle SET="worst=10"`.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

from compendium import figures
from compendium.record import Headline, result_file
from compendium.tables import printed
from forwardecg.measure.compare import interval, paired_difference
from forwardecg.paths import RESULTS

figures.set_style()
headline = Headline("25_cycle")

# %% tags=["parameters"]
worst = 6  # tissues in the table of failures
claim_gain = 3.0  # ms that the cycle takes off at the fewest labels, at least
claim_ecg_ratio = 1.5  # by which the cycle lowers the error of the ECG, at least

# %% [markdown]
# ## Method
#
# The network is a small convolutional one. It reads 16 ECGs every 15 ms,
# low-passed with a Gaussian of 8 ms, and gives two maps, the activation time
# and the logarithm of the conductivity. Each map is a sum of 14 × 14
# cosines. The code is
#
# ```{literalinclude} /experiments/cycle.py
# :language: python
# :pyobject: Inverse
# ```
#
# The loss is
#
# $$
# \begin{aligned}
# \mathcal L &= \lvert \hat{\mathrm{LAT}} - \mathrm{LAT} \rvert +
# \lambda_D \lvert \ln \hat D - \ln D \rvert \\
# &\quad + \frac{\lvert \hat y - y \rvert^2}{\lvert y \rvert^2} .
# \end{aligned}
# $$
#
# The first two terms need labels. The third one is the cycle: $\hat y$ is
# the ECG of the two predicted maps. All terms are means, the first in units
# of 50 ms, and each electrode counts in units of the standard deviation at
# its height.
#
# The electrodes are three rings of the bank of {doc}`07_dataset`, 16, 28 and
# 46 mm above the sheet. The eight symmetries of the sheet permute them, so
# each batch shows tissues turned and mirrored. With and without the cycle,
# the network of a seed starts from the same weights and sees the same labels
# in the same order, 500 steps of 8 tissues. The cycle adds 8 unlabeled
# tissues to each step. A third network without the cycle therefore gets
# twice the steps. The weights of the last step are scored. Nothing was
# searched: the weight of the cycle is 1.
#
# Two baselines use no network. *Mean map* is the mean of the labels.
# *Nearest ECG* takes the map of the labeled tissue, in any of its eight
# images, whose ECGs are nearest.

# %%
path = RESULTS / "runs" / "cycle.csv"
table = pd.read_csv(path)
table["tissue"] = table["set"] + " " + table.sim.astype(str)
of_network = table[table.method.str.contains("cycle")]
n_tissues, n_seeds = table.tissue.nunique(), of_network.seed.nunique()
print(f"{n_tissues} test tissues, {n_seeds} seeds")


def by_seed(labels: int, method: str, score: str) -> np.ndarray:
    rows = of_network[(of_network.labels == labels) & (of_network.method == method)]
    return rows.pivot(index="seed", columns="tissue", values=score).to_numpy()


# %% [markdown]
# ## Results
#
# The error of activation is the mean distance of the activation times, over
# all pixels. The error of the ECG is $\lvert \hat y - y\rvert / \lvert y
# \rvert$ for the ECG of the predicted maps, by the same physics that the
# cycle uses.

# %%
methods = {
    "without cycle": "without cycle (ms)",
    "without cycle, twice the steps": "without, twice the steps (ms)",
    "with cycle": "with cycle (ms)",
}
rows, changes, of_seeds = {}, {}, {}
for n in sorted(of_network.labels.unique()):
    found = {name: by_seed(n, method, "lat_mae") for method, name in methods.items()}
    both = found["with cycle (ms)"], found["without, twice the steps (ms)"]
    changes[n] = paired_difference(*both)
    of_seeds[n] = (both[0] - both[1]).mean(1)
    change = {
        "change (ms)": changes[n].difference,
        "from": changes[n].low,
        "to": changes[n].high,
    }
    rows[n] = {name: one.mean() for name, one in found.items()} | change
result = pd.DataFrame(rows).T.rename_axis("labels")
printed(
    result,
    signed=["change (ms)", "from", "to"],
    caption="Error of activation by the number of labels.",
)

# %% tags=["hide-input"]
fewest = int(result.index[0])
change = changes[fewest]
on = f"{fewest} labels, {n_tissues} test tissues, {n_seeds} seeds"
headline("cycle_gain", -change.difference, unit="ms", tolerance=1.0, on=on)
headline("cycle_gain_low", -change.high, unit="ms", tolerance=2.0, on=on)
headline("cycle_gain_high", -change.low, unit="ms", tolerance=2.0, on=on)
headline("cycle_p", change.p, tolerance=0.1, on=on)
most = changes[int(result.index[-1])]
on_all = f"all {result.index[-1]} labels, {n_tissues} test tissues, {n_seeds} seeds"
headline(
    "cycle_change_all_labels", most.difference, unit="ms", tolerance=1.0, on=on_all
)
ecg = of_network.groupby(["labels", "method"]).ecg_error.mean().unstack()
ecg = ecg[[*methods]]
ratio = ecg["without cycle, twice the steps"][fewest] / ecg["with cycle"][fewest]
headline("cycle_ecg_ratio", ratio, tolerance=0.6, on=on)
for n, one in changes.items():
    seeds = ", ".join(f"{x:+.1f}" for x in of_seeds[n]).replace("-", "\N{MINUS SIGN}")
    print(f"{n} labels: p of the change {one.p:.3f}; change by seed {seeds} ms")
of_methods = of_network[of_network.labels == fewest].groupby(["method", "tissue"])
middle = of_methods.lat_mae.mean().unstack().median(axis=1)
printed(
    middle[[*methods]].to_frame("median tissue (ms)"),
    caption=f"Error of activation of the median tissue, with {fewest} labels.",
)

# %% [markdown]
# *Change* is the error with the cycle minus the error without it at twice the
# steps. Both networks have then seen as many ECGs. A negative number is a
# gain.
#
# With 20 labels the cycle takes {headline}`cycle_gain.2` off the error
# ({headline}`cycle_gain_low.2` to {headline}`cycle_gain_high.3`). All three
# seeds gain, and their gains are far apart. The interval excludes zero, and yet
# p is {headline}`cycle_p.1`: the interval is a bootstrap over tissues and
# seeds, whose tails are too thin with three seeds, and p is that of the
# stricter t test over the three means. The gain is likely, but three seeds do
# not prove it. With 60 and with 240 labels the cycle adds error, and both tests
# agree.
#
# The second table has the median tissue at 20 labels. It gains less than the
# mean, which a few tissues decide. The next table has the errors of the ECG
# of the predicted maps.

# %%
printed(ecg, caption="Relative error of the ECG of the predicted maps.")

# %% [markdown]
# The labels contain $\ln D$ as well, and the next table has its error.

# %%
log_D = of_network.groupby(["labels", "method"]).log_D_mae.mean().unstack()
printed(log_D[[*methods]], caption="Error of ln D.")

# %% [markdown]
# Only the network with the cycle was asked to explain ECGs. The baselines are
# next.

# %%
baselines = table[~table.method.str.contains("cycle")]
baselines = baselines.groupby(["method", "labels"])[["lat_mae", "ecg_error"]].mean()
baselines.columns = ["activation error (ms)", "ECG error"]
printed(baselines, caption="The baselines, and the true maps.")

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(10, 3.8))
_ = fig.get_layout_engine().set(w_pad=0.1)
styles = {
    "without cycle": ("o", "C0"),
    "without cycle, twice the steps": ("^", "#e69f00"),
    "with cycle": ("s", "black"),
}
for ax, name in zip(axes, ("lat_mae", "ecg_error"), strict=True):
    for method, (marker, color) in styles.items():
        of = of_network[of_network.method == method]
        seeds = of.groupby(["labels", "seed"])[name].mean().reset_index()
        _ = ax.plot(seeds.labels, seeds[name], marker, color=color, mfc="none")
        mean = seeds.groupby("labels")[name].mean()
        _ = ax.plot(mean, color=color)
        _ = ax.plot([], [], f"{marker}-", color=color, mfc="none", label=method)
nearest = table[table.method == "nearest ECG"].groupby("labels")
_ = axes[0].plot(nearest.lat_mae.mean(), ":", color="#c8102e", label="nearest ECG")
floor = table[table.method == "true maps"].ecg_error.mean()
_ = axes[1].axhline(floor, ls=":", color="#c8102e", label="true maps")
for ax in axes:
    _ = ax.set(xscale="log", xticks=result.index, xlabel="labeled tissues")
    _ = ax.set_xticklabels([f"{n:.0f}" for n in result.index])
    _ = ax.xaxis.set_minor_locator(plt.NullLocator())
    _ = ax.legend(frameon=False, fontsize="small", loc="upper right")
_ = axes[0].set(ylabel="error of activation (ms)", ylim=(0, 42))
_ = axes[1].set(ylabel="relative error of the ECG", ylim=(0, 1.25))
figures.show(
    fig,
    "Left, error of activation against the number of labels, with and without cycle, "
    "and of the nearest ECG. Right, relative error of the ECG of the predicted maps, "
    "with the level of the true maps. The cycle helps on the left only at the fewest "
    "labels, on the right at any number.",
)

# %% [markdown]
# Markers are seeds and lines are their means. At the fewest labels the networks
# without the cycle are poor and depend on the draw of the labels. There the
# cycle helps, and twice the steps are no substitute. From the next number of
# labels on it is the other way round: more steps on the labels improve the map
# more than the cycle does. The error of the ECG falls with the cycle at any
# number.
#
# The two errors are not the same thing. The true maps close the cycle only
# up to the dotted line: one action potential serves all pixels, and the mean
# conductivity of a fibrotic pixel gives too large an amplitude. The network
# with the cycle comes closer to that line and pays with the conductivity,
# whose error is the largest of the three in every row.
# {doc}`24_remodeled_tissue` asks the same of a fit without a network.
#
# The nearest ECG is a strong baseline. With all labels it is about as good
# as the network with the cycle.

# %% tags=["hide-input"]
maps = xr.open_dataset(RESULTS / "runs" / "cycle_maps.nc", engine="scipy").load()
maps.close()
names = ("without cycle", "with cycle")
shown = {"true maps": "simulation"} | {name: name for name in names}
fig, axes = plt.subplots(1, 4, figsize=(13, 2.9), width_ratios=[1, 1, 1, 1.5])
_ = fig.get_layout_engine().set(w_pad=0.08)
for ax, (method, title) in zip(axes, shown.items(), strict=False):
    image = figures.activation_map(ax, maps.lat.sel(route=method).values, 8.0)
    image.set_clim(0, float(maps.lat.max()))
    _ = ax.set(title=title, xticks=(0, 100, 200))
    ax.label_outer()
_ = fig.colorbar(image, ax=axes[:3], label="activation (ms)", pad=0.03)
for method, style in zip(shown, ("-", "--", ":"), strict=True):
    trace = maps.phi_e.sel(route=method)
    color = "0.5" if method == "true maps" else "black"
    _ = axes[3].plot(maps.time_ecg, trace, style, color=color, label=shown[method])
_ = axes[3].set(xlabel="time (ms)", ylabel=figures.PHI_E_LABEL, xlim=(0, 600))
_ = axes[3].legend(frameon=False, fontsize="small")
figures.show(
    fig,
    "Activation maps of one fibrotic tissue with a focal stimulus: of the simulation, "
    "and as the networks without and with the cycle predict them. Beside them one of "
    "its ECGs, recorded and as each network's maps give it. The trace with the cycle "
    "follows the recorded one more closely.",
)

# %% [markdown]
# The figure shows one test tissue with fibrosis, the first of the split with a focal
# stimulus, and the networks of the fewest labels, seed 0. Isochrones are 20 ms apart,
# and the ECG is that of an electrode 28 mm above the sheet. The network without the
# cycle gives a smooth map whose ECG is far too large. The cycle brings the ECG nearer
# and the map does not follow: it gets ripples that the simulation lacks.

# %% [markdown]
# ## The physical inversion, without any label
#
# {doc}`24_remodeled_tissue` inverts an ECG by physics. It needs no label and no
# training, only the wave equation that made the data. Here it gets the same ECGs
# of the first 20 test tissues of the split. It is told that the wave begins in a
# disc of 5 mm, or along a straight part of one side. A fit of uniform tissue chooses
# between the two, and then log $D$ is free on 6 × 6 places, with one gain. The
# networks of the table are scored on the same tissues.

# %%
physics = pd.read_csv(RESULTS / "runs" / "cycle_physics.csv")
physics["tissue"] = physics["set"] + " " + physics.sim.astype(str)
physics = physics.set_index("tissue")
same = table[table.tissue.isin(physics.index)]
most_labels = int(result.index[-1])
others = [
    ("with cycle", fewest),
    ("without cycle, twice the steps", fewest),
    ("nearest ECG", most_labels),
    ("without cycle, twice the steps", most_labels),
]
errors = {"physical inversion, no label": physics[["lat_mae", "ecg_error"]]}
for method, labels in others:
    of = same[(same.method == method) & (same.labels == labels)]
    means = of.groupby("tissue")[["lat_mae", "ecg_error"]].mean()
    errors[f"{method}, {labels} labels"] = means.loc[physics.index]
rows = {}
for name, of in errors.items():
    mean, low, high = interval(of.lat_mae.to_numpy())
    rows[name] = {
        "mean (ms)": mean,
        "from": low,
        "to": high,
        "median (ms)": of.lat_mae.median(),
        "ECG error": of.ecg_error.mean(),
    }
caption = f"Error of activation on {len(physics)} test tissues of the split."
printed(pd.DataFrame(rows).T, caption=caption)

# %% tags=["hide-input"]
with_all = errors[f"without cycle, twice the steps, {most_labels} labels"].lat_mae
against = (physics.lat_mae - with_all).to_numpy()
mean, low, high = interval(against)
text = f"{mean:+.2f} ms ({low:+.2f} to {high:+.2f})".replace("-", "\N{MINUS SIGN}")
print("physics against all labels:", text)
print(f"better with physics: {(against < 0).sum()} of {len(against)} tissues")
print(f"a fit takes {physics.seconds.median():.0f} s of one core, median")
on_physics = f"{len(physics)} test tissues of the split, no label"
headline(
    "cycle_physics_ms", physics.lat_mae.mean(), unit="ms", tolerance=1.5, on=on_physics
)
headline(
    "cycle_physics_median_ms",
    physics.lat_mae.median(),
    unit="ms",
    tolerance=1.0,
    on=on_physics,
)
by_kind = []
for name in ("condition", "stimulus"):
    kinds = physics.assign(network=with_all).groupby(name)
    part = kinds[["lat_mae", "network"]].mean()
    part.insert(0, "tissues", kinds.size())
    by_kind.append(part.rename(index=lambda one: one.replace("_", " ")))
by_kind = pd.concat(by_kind).rename_axis("kind")
printed(
    by_kind.rename(
        columns={"lat_mae": "physics (ms)", "network": "network, all labels (ms)"}
    ),
    caption="The same error by condition and stimulus.",
)

# %% [markdown]
# Without a label the inversion is nearer, in the mean and in the median, than
# the network with all labels. For a stimulus along an edge the network is
# nearer. On healthy tissue the inversion is off by a fraction of a millisecond.
# On fibrotic tissue it is off by several, since 36 places of log $D$ do not
# show scars, and the network with all labels is off by more there. The
# comparison is not between equals: the inversion has the true wave physics and
# is told the shapes of the stimulus, and it needs about half a minute of one
# core for each tissue, where a network needs milliseconds.
#
# ## Where the cycle helps and where it harms

# %%
few = of_network[of_network.labels == fewest]
of_tissue = few.pivot_table(
    index=["set", "sim", "condition", "stimulus"], columns="method", values="lat_mae"
).reset_index()
longer = "without cycle, twice the steps"
of_tissue = of_tissue.drop(columns="without cycle")
of_tissue["change"] = of_tissue["with cycle"] - of_tissue[longer]
of_tissue["condition"] = of_tissue.condition.str.replace("_", " ")
columns = {
    longer: "without, twice the steps (ms)",
    "with cycle": "with cycle (ms)",
    "change": "change (ms)",
}
parts = []
for name in ("condition", "stimulus"):
    grouped = of_tissue.groupby(name)
    part = grouped[[*columns]].mean().rename(columns=columns)
    part.insert(0, "tissues", grouped.size())
    part["tissues improved"] = grouped.change.agg(lambda one: (one < 0).mean())
    parts.append(part)
printed(
    pd.concat(parts).rename_axis("kind"),
    signed=["change (ms)"],
    caption=f"Error of activation with {fewest} labels, by condition and stimulus.",
)

# %% [markdown]
# Both tables of this section are of the fewest labels. Most of the gain comes
# from slow remodeled tissue and from stimuli in a corner, where waves last
# longest. Few labeled tissues are of that kind, and the unlabeled ECGs add
# many.

# %%
lost = of_tissue.sort_values("change", ascending=False).head(worst)
lost.index = pd.Index(lost.set + " " + lost.sim.astype(str), name="tissue")
order = ["condition", "stimulus", *columns]
printed(
    lost[order].rename(columns=columns),
    signed=["change (ms)"],
    caption="The tissues that lose most by the cycle.",
)

# %% [markdown]
# These tissues lose most by the cycle. All six have fibrosis. There the
# physics of the cycle fits the ECG least, even with the true map.
#
# ## Time of training

# %%
trainings = pd.read_csv(RESULTS / "runs" / "cycle_trainings.csv")
by_method = trainings.groupby("method")
times = pd.DataFrame(
    {
        "trainings": by_method.size(),
        "steps of each": by_method.steps.mean(),
        "minutes of each": by_method.minutes.mean(),
        "minutes of all": by_method.minutes.sum(),
    }
).loc[[*methods]]
printed(times, caption="Time to train, in minutes of one thread.")

# %% tags=["hide-input"]
minutes = trainings.minutes.sum()
on_trainings = f"{len(trainings)} trainings of this page, one thread"
headline("cycle_training_minutes", minutes, unit="min", tolerance=None, on=on_trainings)

# %% [markdown]
# Minutes are those of the processor, on one thread, for the training alone; the
# simulations are those of {doc}`07_dataset`. All trainings of this page took
# {headline}`cycle_training_minutes.1`. A step with the cycle costs more than two
# steps without it, because the ECG of the predicted maps has to be computed and
# differentiated. {doc}`26_reduced_models` adds up the trainings of this part of
# the book.
#
# ## Limits
#
# There is one architecture and one weight of the cycle, and no training was
# continued until nothing changed. Three seeds are few, which the p at the
# fewest labels shows. The ECGs are free of noise, and the position of each
# electrode is known exactly. The cycle uses the physics of the simulation that
# made the data, which a clinical recording would not grant. The physical
# inversion is told the two shapes that a stimulus can have, which the networks
# must learn.
#
# HeartUnloadNet learns both directions, and its two shapes determine each
# other. An ECG does not determine a map. This page says nothing about the
# result for ventricles.
#
# ## Exercises
#
# **1.** The cycle lowers the error of the ECG far more than that of the map. Do the
# tissues whose ECG fits best also have the best map?

# %% tags=["hide-cell"]
for method in methods:
    one = few[few.method == method].groupby("tissue")[["lat_mae", "ecg_error"]].mean()
    rank = one.lat_mae.corr(one.ecg_error, method="spearman")
    print(f"{method}: rank correlation of the two errors {rank:+.2f}")

# %% [markdown]
# Between tissues the two errors go together: a hard tissue is hard for both.
# This does not contradict the figure, which compares methods. A method that
# lowers one error for all tissues need not lower the other.
#
# **2.** How many labels would the network without the cycle need to reach the error
# that it has with the cycle at the fewest labels?

# %% tags=["hide-cell"]
errors = result["without, twice the steps (ms)"]
target = result["with cycle (ms)"][fewest]
slope = np.polyfit(np.log(errors.index), errors, 1)[0]
needed = fewest * np.exp((target - errors[fewest]) / slope)
print(f"{needed:.0f} labels instead of {fewest}, along a line in the log of the labels")

# %% [markdown]
# The line is a rough guide. Its slope is that of the network without the
# cycle, from the fewest to all labels.

# %% tags=["hide-input"]
summary = table.groupby(["labels", "method"])[["lat_mae", "log_D_mae", "ecg_error"]]
summary = summary.mean().round(5).reset_index()
summary.to_csv(result_file("25_cycle.csv"), index=False)
assert -change.difference > claim_gain and ratio > claim_ecg_ratio
print(headline.provenance())
