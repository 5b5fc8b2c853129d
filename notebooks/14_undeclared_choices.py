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
#     question: Which single choice that the paper leaves open would give its number?
#     answer: >-
#       One of those tried: tissue without fibrosis, {headline}`choice_no_fibrosis`; and
#       one pair, mild tissue and the median in place of the mean,
#       {headline}`choice_mild_median`; one more pair is open, and nobody can tell from
#       what is published whether the paper made any of them.
#     next:
#       page: notebooks/15_ablations
#       why: the parts of the network one by one
#     needs:
#     - results/runs/seq2seq_cv.csv
#     - results/runs/sensitivity.csv
#     - results/runs/readable.csv
#     makes:
#       results/14_undeclared_choices.csv: >-
#         the score under each choice, with interval and verdict
#     draws: [results/14_undeclared_choices.png]
#     smoke: {n_draws: 500}
# ---

# %% [markdown]
# # Undeclared choices: which one would yield 0.99?
#
# **Question.** The paper reports a mean $R^2$ of 0.99 ± 0.01 and leaves
# open on what kind of ECG, tissue, electrode and average. Our reading of it
# gives less ({doc}`09_training`). Which single choice, made otherwise,
# would give the paper's number?
#
# **Scale:** choices of the score: the five-fold cross-validation of
# {doc}`09_training`, 300 tissues, the architecture of the published network
# trained on 210 of them in each fold. Choices of the data and the maps: one
# changed at a time at the setting of {doc}`15_ablations`, retrained, three
# folds of five, one seed. Every row is the paper's architecture.
#
# Needs the tables of `make experiments`; seconds. With other values:
# `make run NB=14_undeclared_choices SET="paper_r2=0.98"`. What we chose,
# and why, is in {ref}`choices`.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from compendium import figures
from compendium.record import Headline, result_file
from forwardecg.measure.compare import by_seed, interval, paired_difference
from forwardecg.paths import RESULTS

figures.set_style()
headline = Headline("14_undeclared_choices")

# %% tags=["parameters"]
paper_r2 = 0.99  # mean R2 of the paper
rounding = 0.005  # what rounds to it counts as it
n_draws = 20000  # of thirty test tissues
claim_moves_max = 0.02  # no choice but that of the tissue changes the mean by more
claim_as_stated_max = 0.985  # the mean of raw ECGs over all tissue stays below this

# %% [markdown]
# ## Verdict
#
# Each choice gets a score, an interval and one of three verdicts.
# **Reproduced:** the whole 95 % interval over tissues is at 0.985 or above,
# which rounds to the paper's number. **Not reproduced:** the whole interval
# is below. **Open:** 0.985 is inside. The luck of a training is in none of
# the intervals here.


# %%
def verdict(low, high):
    """What a row says about the paper's number."""
    least = paper_r2 - rounding
    if low >= least:
        return "reproduced"
    return "not reproduced" if high < least else "open"


def entry(tissues, mean, low, high):
    """One row of the tables below."""
    numbers = {"tissues": tissues, "mean R2": mean, "low": low, "high": high}
    return numbers | {"verdict": verdict(low, high)}


def row(values, statistic=np.mean):
    """Estimate, interval over tissues, and verdict."""
    return entry(len(values), *interval(np.asarray(values), statistic=statistic))


# %% [markdown]
# ## Choices of the score
#
# The networks stay as they are. Only the question changes: which tissues
# are counted, what is done to the ECGs before they are compared, and what
# kind of average is taken. The pooled score needs a bootstrap of its own,
# in the first cell; the second one has all rows.

# %%
RUNS = RESULTS / "runs"
cv = pd.read_csv(RUNS / "seq2seq_cv.csv", keep_default_na=False).groupby("sim").first()
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
all_summed = "pooled: squared errors and variances summed over tissues"
normalized = "each ECG, true and predicted, normalized before scoring"
mild_only = "mild tissue only: fibrosis below 20 %, not interstitial"
of_score = {
    "as we read it: raw ECGs, all tissue, mean over tissues": row(cv.r2),
    "median over tissues": row(cv.r2, np.median),
    all_summed: entry(len(cv), pooled(cv), low, high),
    normalized: row(cv.r2_normalized),
    mild_only: row(mild.r2),
    "mild tissue and normalized": row(mild.r2_normalized),
    "mild tissue, median": row(mild.r2, np.median),
}
for name in ("none", "compact", "patchy", "diffuse", "interstitial"):
    of_score[f"texture: {name}"] = row(cv.r2[cv.texture == name])
of_score = pd.DataFrame(of_score).T.infer_objects()
of_score.round(3)

# %% tags=["hide-input"]
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
    value = of_score["mean R2"][name]
    headline(f"choice_{key}", value, tolerance=0.02, on="300 tissues, 5 folds, 1 seed")

# %% [markdown]
# The column is named after the mean, but a row that says median or pooled
# holds that. No row here was chosen to look good: each answers "what if the
# paper meant this?". The rows cannot say what the paper did mean.
#
# **The luck of the draw.** The paper tests on a tenth, thirty tissues. How
# often would thirty of our tissues, in proportion of the conditions, give
# 0.99? We draw them many times.

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
_ = ax.hist(drawn, bins=60, color="0.6")
_ = ax.axvline(least, color="black", ls=":")
_ = ax.set(xlabel="mean $R^2$ over 30 test tissues", ylabel="draws")
figures.show(
    fig,
    "Histogram of the mean R² over draws of thirty test tissues. Nearly all of it "
    "lies left of the dotted line, the paper's number rounded down, with a long tail "
    "to the left.",
)

# %% [markdown]
# The dotted line is the paper's number, rounded down. The spread is what
# thirty tissues leave to chance, with the networks as they are; it does not
# show the chance of the training set.
#
# ## Choices of the data and the maps
#
# Now the choice is made before training. All rows have the smaller setting
# of the ablations. The first one is that setting unchanged, and each is
# compared with it: paired by tissue where the tissues are the same, by two
# intervals where they are not.

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
both = pd.concat([of_score, of_data])
csv = result_file("14_undeclared_choices.csv")
both.rename_axis("choice").round(5).to_csv(csv)
of_data.round(3)

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
    headline(f"choice_{key}", of_data["mean R2"][name], tolerance=0.02, on=on_data)

# %% [markdown]
# The figure has the rows of both tables, marked by verdict.

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(9, 7.5))
y = np.arange(len(both))
marks = {
    "reproduced": ("black", "black"),
    "open": ("black", "white"),
    "not reproduced": ("0.55", "0.55"),
}
for name, (color, face) in marks.items():
    at = (both.verdict == name).to_numpy()
    _ = ax.hlines(y[at], both.low[at], both.high[at], color=color, lw=1.5)
    _ = ax.plot(both["mean R2"][at], y[at], "o", color=color, mfc=face, label=name)
_ = ax.axvspan(paper_r2 - rounding, 1, color="0.5", alpha=0.2, lw=0)
_ = ax.axhline(len(of_score) - 0.5, color="0.8", lw=0.8)
_ = ax.set(yticks=y, yticklabels=both.index, xlabel="$R^2$, 95 % interval over tissues")
_ = ax.invert_yaxis()
place = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
_ = ax.legend(frameon=False, fontsize="small", **place)
png = result_file("14_undeclared_choices.png")
fig.savefig(png, dpi=120, metadata={"Software": None})
figures.show(
    fig,
    "R² with its interval for each reading of what the paper leaves open, marked by "
    "verdict. Most points lie left of the band that rounds to the paper's number; "
    "tissue without fibrosis and the median of mild tissue reach it.",
)

# %% [markdown]
# Above the line are the same networks under other scores. Below it are
# networks trained on other data. The gray band is what rounds to the
# paper's number. **Two rows reach it: tissue without any fibrosis, and the
# median over mild tissue.** One more is open: mild tissue, each ECG
# normalized. No choice of electrode, pixels, frames, duration or
# normalization moves the mean by more than a hundredth, up or down. The
# kind of fibrosis moves it by several: from interstitial to diffuse, or
# from all densities to those below 10 %; and even the most favorable of
# these falls short.
#
# So the paper's 0.99 is what this architecture gives, in our hands, where
# there is little to infer. Three things could lie behind it: tissue that is
# milder than ours, an average that hides its tail, or a network and a
# training much better than ours; from what is published nobody can tell
# which. The authors' later paper, on another geometry and with the same
# kind of network, reports 0.949 ± 0.037 {cite}`OgbomoHarmitt2026`, which is
# near what we find.
#
# The figure does not show combinations of choices, beyond the few in its
# upper part, and each point below the line has one seed. Rows with fewer
# tissues also train on fewer; *all textures, 190 tissues* is their control,
# *300 other tissues* that of rows that draw from all three sets of the
# recipe.

# %% tags=["hide-input"]
reproduced = set(both.index[both.verdict == "reproduced"])
assert of_score["mean R2"].iloc[0] < claim_as_stated_max
assert reproduced == {"mild tissue, median", "texture: none"}
assert of_data.difference.abs().max() < claim_moves_max
print(headline.provenance())
