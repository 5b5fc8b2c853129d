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
#     question: Which choice that the paper leaves open would give its number?
#     answer: >-
#       Much depends on the split: the same network reaches
#       {headline}`split_train_r2_mean` on the tissues that it was trained on,
#       {headline}`law_in_training_240` on those of a training with twice the passes,
#       and {headline}`split_tissue_r2_mean` on tissues that it has not seen; on these,
#       with as many tissues as the paper's, the level is reached only without fibrosis,
#       {headline}`choice_no_fibrosis`, and by the median over mild tissue, and the
#       paper does not tell which reading is its own.
#     next:
#       page: notebooks/15_ablations
#       why: the parts of the network one by one
#     needs:
#     - results/runs/splits.csv
#     - results/runs/seq2seq_cv.csv
#     - results/runs/sensitivity.csv
#     - results/runs/readable.csv
#     - results/runs/law.csv
#     - results/runs/sizes.csv
#     makes:
#       results/14_undeclared_choices.csv: >-
#         the score under each reading, with interval and verdict
#       results/14_undeclared_choices_table.csv: >-
#         the same as the page on the paper's claims prints it
#     draws: [results/14_undeclared_choices.png]
#     smoke: {n_draws: 500}
# ---

# %% [markdown]
# # Undeclared choices: which one would yield 0.99?
#
# **Question.** The paper reports a mean $R^2$ of 0.99 ± 0.01. It does not
# state how its tissues were split, nor on what kind of ECG, tissue,
# electrode and average the number was taken. Our reading of it gives less
# ({doc}`09_training`). Which choice, made otherwise, would give the paper's
# number? Each row below is a possible reading of the paper. None of them is
# known to be the authors' own. Here and on all other pages, *does not state*
# rests on the paper's abstract and on public summaries of the full text,
# which we could not open ({ref}`choices-sources`). The full text may
# state a choice that we call open.
#
# **Scale:** choices of the split: the setting of the network of
# {doc}`09_training`, which we call the published one, trained with three seeds
# for each. Choices of the score: the five-fold cross-validation of
# {doc}`09_training`, 300 tissues, three seeds. Choices of the data and the
# maps: one changed at a time at the setting of {doc}`15_ablations`, retrained,
# three folds of five, one seed. Number of tissues: the published setting with
# up to 3,000 training tissues, and the size that was chosen in
# {doc}`17_data_efficiency`, three seeds each. Every row is the paper's architecture.
#
# The page needs the tables of `make experiments` and takes seconds. What we
# chose, and why, is in {ref}`choices`. To run it with other values:
#
#     make run NB=14_undeclared_choices SET="paper_r2=0.98"

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from compendium import figures
from compendium.claims import LEVEL, NO, OPEN, YES, at_least
from compendium.record import Headline, result_file
from compendium.tables import printed, with_interval
from forwardecg.measure.compare import by_seed, interval, paired_difference
from forwardecg.paths import RESULTS

figures.set_style()
headline = Headline("14_undeclared_choices")

# %% tags=["parameters"]
paper_r2 = 0.99  # mean R2 of the paper
rounding = 0.005  # what rounds to it counts as it
n_draws = 20000  # of thirty test tissues
floor = 0.75  # left edge of the figure
claim_moves_max = 0.02  # no choice of the maps or the ECG changes the mean by more
claim_as_stated_max = 0.985  # the mean over all tissues, by tissue, stays below this

# %% [markdown]
# ## Verdict
#
# Each reading gets a score, a 95 % interval and a verdict. The least mean that
# rounds to the paper's 0.99 is 0.985. If the whole interval lies at 0.985 or
# above, the score is **reproduced** under the reading that we take to be the
# paper's: raw ECGs, all tissues, the mean, split by tissue. Under any other
# reading the same result is a **level reached under another reading**. If the
# whole interval lies below 0.985, the level is **not reached**. A row whose
# interval contains 0.985 stays **open**. The limits are compared before they
# are rounded for print.


# %%
def row(values, statistic=np.mean, reached=LEVEL):
    """Score of one network for each tissue: estimate, interval, verdict."""
    mean, low, high = interval(np.asarray(values), statistic=statistic)
    return entry(len(values), 1, mean, low, high, reached)


def entry(tissues, seeds, mean, low, high, reached=LEVEL):
    """One row of the tables below."""
    numbers = {"tissues": tissues, "seeds": seeds, "R2": mean}
    verdict = at_least(low, mean, high, paper_r2 - rounding, reached)
    return numbers | {"low": low, "high": high, "verdict": verdict}


# %% [markdown]
# ## Choices of the split
#
# A split says which part of the data may be in training when the network is
# scored. By tissue, no map of a scored tissue is in training; that is how this
# book splits. The authors' later paper divides its data 80/10/10; the present
# one states no split. Each row is the setting of {doc}`09_training`, trained
# with three seeds.
#
# - *By tissue*: trained on 240 tissues, scored on 300 others.
# - *Training tissues*: the same networks, scored on the 240 themselves.
# - *Frames*: trained on every second frame of all 300 tissues, scored on
#   the frames between them.
# - *Time windows*: trained on every second window of 100 ms, scored on the
#   windows between them.
# - *Mirror images*: trained on all 300 tissues as they were drawn, scored
#   on their mirror images, which have the same ECG. This training has no
#   augmentation, and its control is the row *split by tissue, no
#   augmentation*.
#
# In the last three splits, 30 tissues choose the epoch and are not scored.
# The intervals are over tissues and seeds.

# %%
RUNS = RESULTS / "runs"
splits = pd.read_csv(RUNS / "splits.csv", keep_default_na=False)
names = {
    "by tissue": "split by tissue, as we split",
    "training tissues": "scored on the training tissues",
    "frames of one tissue on both sides": "split by frames",
    "time windows of one tissue on both sides": "split by time windows",
    "a tissue on one side, its mirror image on the other": "split by mirror image",
    "by tissue, without mirror images or turns": "split by tissue, no augmentation",
}
of_split = {}
for reading, name in names.items():
    some = splits[splits.reading == reading]
    scores = by_seed(some)
    # over tissues and seeds
    mean = paired_difference(scores, np.zeros(scores.shape))
    reached = YES if reading == "by tissue" else LEVEL
    limits = mean.difference, mean.low, mean.high
    numbers = entry(scores.shape[1], len(scores), *limits, reached)
    mild = some.r2[some.mild].mean()
    of_split[name] = numbers | {"mild": mild, "median": np.median(scores.mean(0))}
of_split = pd.DataFrame(of_split).T.infer_objects()
printed(
    with_interval(of_split, "R2"),
    caption="Readings of the split, with 95 % intervals.",
)

# %% tags=["hide-input"]
keys = {
    "tissue": "split by tissue, as we split",
    "train": "scored on the training tissues",
    "frames": "split by frames",
    "windows": "split by time windows",
    "mirror": "split by mirror image",
}
for key, name in keys.items():
    tissues, seeds = of_split.tissues[name], of_split.seeds[name]
    on_split = f"{tissues} tissues, {seeds} seeds, the published setting, {name}"
    value = of_split["R2"][name]
    headline(f"split_{key}_r2_mean", value, tolerance=0.02, on=on_split)

# %% [markdown]
# *R2* is the mean over tissues and seeds; *mild* and *median* are over the
# same scores. The second row is the score of these networks on tissues they
# know. Its distance from the first row is what they fail to carry over to
# other tissues. In the three rows after it, a network was trained on the
# scored tissue at other instants, or on its mirror image. It may recall the
# tissue instead of inferring its conductivity. With frames the score is
# nearly that of the training tissues. With mirror images it is above that
# of the control and below that of the training tissues. With time windows
# it is the lowest; no frame from the times that are scored was in the
# training, of any tissue. The table cannot say which split the paper made.

# %% [markdown]
# ## Choices of the score
#
# The networks stay as they are. Only the question changes: which tissues
# are counted, what is done to the ECGs before they are compared, and what
# kind of average is taken. The pooled score needs a bootstrap of its own,
# in the first cell; the second one has all rows.

# %%
folds = pd.read_csv(RUNS / "seq2seq_cv.csv", keep_default_na=False)
average = dict.fromkeys(["r2", "r2_normalized"], "mean")
kept = dict.fromkeys(["mild", "texture", "condition"], "first")
cv = folds.groupby("sim").agg(average | kept)
sd = pd.read_csv(RUNS / "readable.csv").groupby("sim").sd_true.first()


def pooled(rows):
    """R2 of all samples of all tissues together."""
    variance = sd[rows.index] ** 2
    return 1 - ((1 - rows.r2) * variance).sum() / variance.sum()


rng = np.random.default_rng(0)
drawn = (rng.integers(len(cv), size=len(cv)) for _ in range(1000))
resampled = [pooled(cv.iloc[rows].rename_axis("sim")) for rows in drawn]
low, high = np.quantile(resampled, [0.025, 0.975])

# %%
mild = cv[cv.mild]
fibrotic = mild[mild.texture != "none"]
as_read = "as we read it: raw ECGs, all tissue, mean over tissues"
all_summed = "pooled: squared errors and variances summed over tissues"
normalized = "each ECG, true and predicted, normalized before scoring"
mild_only = "mild tissue only: fibrosis below 20 %, not interstitial"
of_score = {
    as_read: row(cv.r2, reached=YES),
    "median over tissues": row(cv.r2, np.median),
    all_summed: entry(len(cv), 1, pooled(cv), low, high),
    normalized: row(cv.r2_normalized),
    mild_only: row(mild.r2),
    "mild tissue and normalized": row(mild.r2_normalized),
    "mild tissue, median": row(mild.r2, np.median),
    "mild tissue that has fibrosis": row(fibrotic.r2),
}
for name in ("none", "compact", "patchy", "diffuse", "interstitial"):
    of_score[f"texture: {name}"] = row(cv.r2[cv.texture == name])
of_score = pd.DataFrame(of_score).T.infer_objects()
of_score["seeds"] = folds.seed.nunique()
printed(
    with_interval(of_score, "R2"),
    caption="Readings of the score, with 95 % intervals.",
)

# %% tags=["hide-input"]
seeds_used = f"{folds.fold.nunique()} folds, {folds.seed.nunique()} seeds"
keys = {
    "pooled": all_summed,
    "median": "median over tissues",
    "normalized_score": normalized,
    "mild": mild_only,
    "mild_normalized": "mild tissue and normalized",
    "mild_median": "mild tissue, median",
    "no_fibrosis": "texture: none",
}
for key, name in keys.items():
    value, on = of_score["R2"][name], f"{len(cv)} tissues, {seeds_used}"
    headline(f"choice_{key}", value, tolerance=0.02, on=on)
on_fibrotic = f"{len(fibrotic)} mild tissues with fibrosis, {seeds_used}"
value = fibrotic.r2.mean()
headline("seq2seq_r2_mild_fibrotic", value, tolerance=0.02, on=on_fibrotic)

# %% [markdown]
# *R2* is the mean over tissues; a row that says median or pooled holds that
# instead. Two rows need care. *No fibrosis* is excluded by the paper itself:
# 180 of its 300 tissues are fibrotic or combined. Most mild tissues have no
# fibrosis at all, so that they carry the median over mild tissue; the row *mild
# tissue that has fibrosis* has the rest. Both rows answer an easier question,
# and neither is a reproduction.
#
# **Chance.** The paper does not say how many tissues it tests on; its
# successor tests on a tenth, which would be thirty. How often would thirty
# of our tissues, in proportion of the conditions, give 0.99? We draw them
# many times.

# %%
rng = np.random.default_rng(1)


def tenths(of):
    """A tenth of these scores, drawn anew for each row."""
    n = round(0.1 * len(of))
    return np.stack([rng.permutation(of)[:n] for _ in range(n_draws)])


groups = [tenths(of.r2.to_numpy()) for _, of in cv.groupby("condition")]
drawn = np.concatenate(groups, axis=1).mean(1)
least = paper_r2 - rounding
lucky = float((drawn >= least).mean())
low, high = np.quantile(drawn, [0.025, 0.975])
print(
    f"{lucky:.2%} of {n_draws} draws of thirty reach {least:g}; "
    f"middle 95 %: {low:.3f} to {high:.3f}"
)

# %% tags=["hide-input"]
on_draws = f"share of {n_draws} draws of 30 test tissues with a mean R2 of 0.985"
headline("luck_of_thirty", lucky, tolerance=0.02, on=on_draws)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(6, 2.6))
_ = ax.hist(drawn, bins=60, color="0.5")
_ = ax.axvline(least, color="black", ls=":")
_ = ax.set(xlabel="mean $R^2$ over 30 test tissues", ylabel="draws")
figures.show(
    fig,
    "Histogram of the mean R² over draws of thirty test tissues. Nearly all of it "
    "lies left of the dotted line, the paper's number rounded down, with a long tail "
    "to the left.",
)

# %% [markdown]
# The dotted line is the paper's number, rounded down. The spread shows the
# chance of drawing thirty tissues, with the networks as they are. The
# chance of the training set is not in it.
#
# ## Choices of the data and the maps
#
# Now the choice is made before training. All rows have the smaller setting
# of the ablations. The first row is that setting unchanged. *Difference* is
# the effect of making the choice, paired by tissue. It stays empty where
# the tissues are others; there two intervals are to be compared.

# %%
rows = pd.read_csv(RUNS / "sensitivity.csv", keep_default_na=False)
unchanged = "as the ablations"
base = rows[rows.choice == unchanged]


def difference(some):
    """Difference from the unchanged setting; nan where the tissues are others."""
    values = (np.nan, np.nan, np.nan)
    if set(some.choice) != {unchanged} and set(some.set) <= {"base", "z20", "z80"}:
        found = paired_difference(by_seed(some), by_seed(base[base.sim.isin(some.sim)]))
        values = (found.difference, found.low, found.high)
    names = ("difference", "diff. low", "diff. high")
    return dict(zip(names, values, strict=True))


of_data = {}
for choice, some in rows.groupby("choice", sort=False):
    more = {"mild": some.r2[some.mild].mean(), "median": some.r2.median()}
    of_data[choice] = row(some.r2) | more | difference(some)
of_data = pd.DataFrame(of_data).T.infer_objects()
shown = with_interval(of_data.drop(columns="seeds"), "R2")
printed(
    with_interval(shown, "difference", "diff. low", "diff. high", signed=True),
    caption="Readings of the data, one seed each, with 95 % intervals.",
)

# %% tags=["hide-input"]
keys = {
    "base": unchanged,
    "normalized": "ECGs normalized",
    "z20": "electrode at 20 mm",
    "z80": "electrode at 80 mm",
    "one_edge": "waves from one edge, not turned",
    "narrow_d": "D within 12 % of 0.13, 240 tissues",
    "below_10": "fibrosis below 10 %",
    "50_pixels": "maps of 50 x 50 pixels",
    "other_300": "300 other tissues",
    "compact": "compact fibrosis only, 190 tissues",
    "patchy": "patchy fibrosis only, 190 tissues",
    "diffuse": "diffuse fibrosis only, 190 tissues",
    "interstitial": "interstitial fibrosis only, 190 tissues",
    "all_textures": "all textures, 190 tissues",
    "not_turned": "no mirror images or turns",
}
on_data = "3 folds, 1 seed, setting of the ablations"
for key, name in keys.items():
    headline(f"choice_{key}", of_data["R2"][name], tolerance=0.02, on=on_data)

# %% [markdown]
# ## Number of tissues
#
# The paper has 300 tissues. More of them are no reading of the paper; these
# rows say whether data are what its number needs. They are scored on the
# 300 tissues of the cross-validation and on 300 further ones, and train on
# neither.

# %%
law = pd.read_csv(RUNS / "law.csv", keep_default_na=False)
law["sim"] = law["set"] + " " + law.sim.astype(str)
of_size = {}
longer = law[(law.part == "learned") & (law.tissues == law.tissues.min())]
passes = longer.passes.iloc[0]
name = f"scored on training tissues, after {passes} passes"
# each seed has tissues of its own
own = np.stack([some.r2.to_numpy() for _, some in longer.groupby("seed")])
mean = paired_difference(own, np.zeros(own.shape))
of_size[name] = entry(own.size, len(own), mean.difference, mean.low, mean.high)
for n, some in law[law.part == "test"].groupby("tissues"):
    scores = by_seed(some)
    mean = paired_difference(scores, np.zeros(scores.shape))
    limits = mean.difference, mean.low, mean.high
    more = {"mild": some.r2[some.mild].mean(), "median": np.median(scores.mean(0))}
    name = f"{n:,} training tissues, split by tissue"
    of_size[name] = entry(scores.shape[1], len(scores), *limits) | more
name = f"{n:,} training tissues, median over tissues"
of_size[name] = row(scores.mean(0), np.median) | {"seeds": len(scores)}
name = f"{n:,} training tissues, mild tissue only"
of_mild = by_seed(some[some.mild])
mean = paired_difference(of_mild, np.zeros(of_mild.shape))
limits = mean.difference, mean.low, mean.high
of_size[name] = entry(of_mild.shape[1], len(of_mild), *limits)
sizes = pd.read_csv(RUNS / "sizes.csv", keep_default_na=False)
sizes["sim"] = sizes["set"] + " " + sizes.sim.astype(str)
chosen = sizes[(sizes.tissues == n) & (sizes.part == "test")]
for (size, passes), some in chosen.groupby(["size", "passes"]):
    name = f"{n:,} training tissues, {size}, {passes} passes"
    scores = by_seed(some)
    mean = paired_difference(scores, np.zeros(scores.shape))
    limits = mean.difference, mean.low, mean.high
    of_size[name] = entry(scores.shape[1], len(scores), *limits)
of_size = pd.DataFrame(of_size).T.infer_objects()
printed(
    with_interval(of_size, "R2"),
    caption="More tissues than the paper has, with 95 % intervals.",
)

# %% [markdown]
# ## What would make 0.99 true: all readings
#
# The table and the figure gather the rows of the four tables, with their
# verdicts.

# %%
both = pd.concat([of_split, of_score, of_data, of_size]).rename_axis("choice")
both.round(5).to_csv(result_file("14_undeclared_choices.csv"))
summary = printed(both[["tissues", "seeds", "verdict"]])
spans = zip(both["R2"], both.low, both.high, strict=True)
span = [f"{mean:.3f} ({low:.3f} to {high:.3f})" for mean, low, high in spans]
summary.insert(0, "R2, 95 % interval", span)
summary = summary.rename_axis("if the paper meant")
summary.to_csv(result_file("14_undeclared_choices_table.csv"))
printed(summary, caption="All readings, with their verdicts.")

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(9, 8.8))
y = np.arange(len(both))
marks = {
    YES: ("C1", "C1"),
    LEVEL: ("black", "black"),
    OPEN: ("black", "white"),
    NO: ("0.55", "0.55"),
}
for name, (color, face) in marks.items():
    at = (both.verdict == name).to_numpy()
    if not at.any():
        continue
    low, high, mean = (both[key][at].clip(floor) for key in ("low", "high", "R2"))
    _ = ax.hlines(y[at], low, high, color=color, lw=1.5)
    _ = ax.plot(mean, y[at], "o", color=color, mfc=face, label=name, clip_on=False)
_ = ax.axvspan(paper_r2 - rounding, 1, color="0.5", alpha=0.2, lw=0)
for n in np.cumsum([len(of_split), len(of_score), len(of_data)]):
    _ = ax.axhline(n - 0.5, color="0.8", lw=0.8)
_ = ax.set(yticks=y, yticklabels=both.index, xlabel="$R^2$ with its 95 % interval")
_ = ax.set_xlim(floor, 1.005)
_ = ax.invert_yaxis()
_ = ax.legend(frameon=False, fontsize="small", loc="lower left")
png = result_file("14_undeclared_choices.png")
fig.savefig(png, dpi=120, metadata={"Software": None})
figures.show(
    fig,
    "R² with its interval for each reading of what the paper leaves open, in four "
    "groups: split, score, data, number of tissues. Scores on training tissues, on "
    "tissue without fibrosis and of the median mild tissue lie in or near the band "
    "that rounds to the paper's number; most others lie left of it.",
)

# %% [markdown]
# The uppermost rows are choices of the split, the next ones other scores of the
# cross-validated networks, then networks trained on other data, and at the
# bottom those with more tissues. The gray band is what rounds to the paper's
# number. Intervals of the first
# and the last group are over tissues and seeds, except for the median. All other
# intervals are over tissues only. In the second group a tissue counts with its
# mean over three seeds, and in the third group there is one seed.
#
# Split by tissue, and over all tissues, the network stays below the band, also
# with ten times the paper's number of tissues. Four kinds of reading come near it
# or reach it. The first is a score on the training tissues, or on the frames
# between those of the training. The second is tissue without fibrosis. The third
# is mild tissue, if its median is taken or its ECGs are normalized. The fourth is
# the median over all tissues, which comes near. No choice of electrode, pixels,
# frames, duration or normalization moves the mean by more than a hundredth; the
# intervals of these differences, with one seed, reach a little further. The kind
# of fibrosis moves it by several hundredths, and even the most favorable kind
# falls short. With 3,000 tissues the median over all tissues and the mean over
# mild ones reach the band, and the mean over all does not.
#
# The figure has few combinations of choices. All rows but the last one have one
# width and number of layers; the third group changes pixels and the number of
# tissues, and the last one the number of tissues and the passes over them. Rows
# with fewer tissues also train on fewer. Their control is the row *all textures,
# 190 tissues*. The control of the rows that draw from all three sets of the
# recipe is *300 other tissues*.
#
# ## Claims
#
# By tissue and over all tissues the mean stays below
# `claim_as_stated_max`, in the cross-validation, on the 300 further tissues
# and with each number of training tissues in the table. The networks score
# higher on their training tissues than on others. No choice of the maps or
# the ECG moves the mean by more than `claim_moves_max`.

# %% tags=["hide-input"]
by_tissue = of_split["R2"]["split by tissue, as we split"]
assert max(by_tissue, of_score["R2"][as_read]) < claim_as_stated_max
assert of_size["R2"].filter(like="split by tissue").max() < claim_as_stated_max
assert of_split["R2"]["scored on the training tissues"] > by_tissue
assert of_data.difference.abs().max() < claim_moves_max
print(headline.provenance())
