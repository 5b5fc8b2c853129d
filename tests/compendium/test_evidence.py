"""Headline numbers, recomputed from the committed scores of each tissue and seed by other code than the notebooks'."""

import csv
import json
import statistics
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap

from compendium import claims, reproduce
from compendium.registry import ROOT, TRAINED

RESULTS = ROOT / "data" / "results"
HEADLINE = json.loads((RESULTS / "headline.json").read_text(encoding="utf-8"))


def scores(name: str, key: str = "r2", **chosen: str) -> dict[int, float]:
    """Mean over seeds of each tissue, by the standard library alone."""
    found = defaultdict(list)
    with (RESULTS / "runs" / f"{name}.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if all(row[label] == value for label, value in chosen.items()):
                found[int(row["sim"])].append(float(row[key]))
    assert len({len(values) for values in found.values()}) == 1, "every tissue as often as every other"
    return {sim: statistics.fmean(values) for sim, values in found.items()}


def mean(name: str, key: str = "r2", **chosen: str) -> float:
    return statistics.fmean(scores(name, key, **chosen).values())


def less(name: str, a: dict, b: dict, key: str = "r2") -> float:
    return mean(name, key, **a) - mean(name, key, **b)


FULL, PAPER = {"variant": "all parts"}, {"method": "paper's seq2seq"}
CASES = {
    "seq2seq_r2_mean": lambda: mean("seq2seq_cv"),
    "seq2seq_r2_mean_mild": lambda: mean("seq2seq_cv", mild="True"),
    "frame_cnn_r2_mean": lambda: mean("frame_cnn_cv"),
    "structured_r2_mean": lambda: mean("structured_cv", maps="2 mm, 5 ms"),
    "structured_r2_min": lambda: min(scores("structured_cv", maps="2 mm, 5 ms").values()),
    "structured_r2_mean_mild": lambda: mean("structured_cv", maps="2 mm, 5 ms", mild="True"),
    "structured_r2_4mm": lambda: mean("structured_cv", maps="4 mm, 5 ms"),
    "ridge_r2_mean": lambda: mean("baselines_cv", method="ridge"),
    "training_free_r2_mean": lambda: mean("baselines_cv", method="training-free D"),
    "ablation_all_parts_r2": lambda: mean("ablations", **FULL),
    "ablation_linear_encoder": lambda: less("ablations", FULL, {"variant": "linear encoder"}),
    "ablation_no_time": lambda: less("ablations", FULL, {"variant": "no time embedding"}),
    "ablation_no_attention": lambda: less("ablations", FULL, {"variant": "no attention"}),
    "ablation_no_entropy": lambda: less("ablations", FULL, {"variant": "no entropy term"}),
    "ablation_no_augmentation": lambda: less("ablations", FULL, {"variant": "no mirror images or turns"}),
    "ablation_attention_lstm": lambda: less(
        "ablations_attention",
        {"decoder": "LSTM that looks back only", "attention": "True"},
        {"decoder": "LSTM that looks back only", "attention": "False"},
    ),
    "ablation_known_d_gain": lambda: mean("ablations_known_d", **FULL) - mean("ablations", **FULL),
    "entropy_r2": lambda: less("spectral_terms", {"term": "entropy", "weight": "0.1"}, {"term": "none"}),
    "entropy_band_20_50": lambda: less(
        "spectral_terms", {"term": "entropy", "weight": "0.1"}, {"term": "none"}, "band_error_20_50"
    ),
    "seq2seq_r2_540": lambda: mean("data_efficiency", tissues="540", **PAPER),
    "structured_r2_8": lambda: mean("data_efficiency", tissues="8", method="structured"),
    "seq2seq_r2_test300": lambda: mean("shifted", set="test", **PAPER),
    "seq2seq_r2_two_foci": lambda: statistics.median(scores("shifted", set="two_foci", **PAPER).values()),
    "seq2seq_r2_condition_left_out": lambda: min(
        mean("left_out", left_out=name, **PAPER) for name in ("healthy", "gap_junction", "fibrotic", "combined")
    ),
    "structured_amplitude_error": lambda: 100 * float(
        np.median(np.abs([*scores("readable", "amplitude_error", method="structured").values()]))
    ),
    "split_tissue_r2_mean": lambda: mean("splits", reading="by tissue"),
    "split_train_r2_mean": lambda: mean("splits", reading="training tissues"),
    "split_frames_r2_mean": lambda: mean("splits", reading="frames of one tissue on both sides"),
    "split_windows_r2_mean": lambda: mean("splits", reading="time windows of one tissue on both sides"),
    "split_mirror_r2_mean": lambda: mean("splits", reading="a tissue on one side, its mirror image on the other"),
    "seq2seq_r2_mild_fibrotic": lambda: statistics.fmean(
        one
        for name in ("compact", "patchy", "diffuse")
        for one in scores("seq2seq_cv", mild="True", texture=name).values()
    ),
    "choice_base": lambda: mean("sensitivity", choice="as the ablations"),
    "choice_z80": lambda: mean("sensitivity", choice="electrode at 80 mm"),
    "choice_normalized": lambda: mean("sensitivity", choice="ECGs normalized"),
}  # fmt: skip


@pytest.mark.parametrize("key", CASES)
def test_headline_number_follows_from_the_scores(key):
    assert CASES[key]() == pytest.approx(HEADLINE[key]["value"], abs=2e-5)


def test_the_reproduction_table_follows_from_the_scores():
    published = pd.read_csv(RESULTS / "reproduction.csv", keep_default_na=False)
    assert published.equals(claims.table(RESULTS).astype(str))
    assert set(published.verdict) <= {*claims.VERDICTS} and len(published) >= 18
    of = dict(zip(published["the paper"], published.verdict, strict=True))
    (spread,) = (claim for claim in of if "0.005 in the conference program" in claim)
    assert of[spread] == claims.APART and of["cheaper than a physics-based forward solver"] == claims.DEPENDS
    # only the paper's own tissue, mean and split can reproduce its number
    assert not [claim for claim, verdict in of.items() if claim.startswith("the same mean") and verdict == claims.YES]


@pytest.mark.parametrize(("found", "verdict"), [
    ((0.986, 0.99, 0.995), claims.YES), ((0.98, 0.99, 0.999), claims.OPEN), ((0.97, 0.98, 0.986), claims.OPEN),
    ((0.93, 0.944, 0.955), claims.NO),
])  # fmt: skip
def test_the_rule_of_a_score(found, verdict):
    assert claims.at_least(*found, least=0.985) == verdict
    other = claims.LEVEL if verdict == claims.YES else verdict
    assert claims.at_least(*found, least=0.985, reached=claims.LEVEL) == other


@pytest.mark.parametrize(("low", "high", "p", "verdict"), [
    (0.1, 0.3, 0.001, claims.YES), (0.01, 0.04, 0.2, claims.NO), (0.01, 0.2, 0.2, claims.OPEN),
    (-0.04, 0.04, 1.0, claims.NO), (-0.04, 0.06, 1.0, claims.OPEN),
])  # fmt: skip
def test_the_rule_of_a_part(low, high, p, verdict):
    assert claims.is_worth(pd.Series({"low": low, "high": high, "p_holm": p})) == verdict


def test_the_logarithmic_outcome_decides_a_part():
    """A part that helps 399 tissues of 400 and ruins one: the mean falls, and the part is worth having."""
    without = 0.9 + 0.001 * np.random.default_rng(0).standard_normal((5, 400))
    having = without + 0.02
    having[:, 0] = -19
    row = claims._effects({"part": (having, without), "nothing": (without, without)}).loc["part"]
    assert row.mean_difference < 0 < row.low and row.p_holm < 0.05
    assert claims.is_worth(row) == claims.YES


@pytest.mark.parametrize(("others", "verdict"), [
    ((1.0, 4.0, 1500.0), claims.DEPENDS), ((4.0, 1500.0), claims.YES), ((1.0, 2.0), claims.NO),
])  # fmt: skip
def test_the_rule_of_a_cost(others, verdict):
    assert claims.is_cheaper(3.0, *others) == verdict


def test_the_row_of_the_cost_names_both_comparators():
    timed = pd.read_csv(RESULTS / "bench_predict.csv", index_col="case")
    words, verdict = claims.cost(timed.value[timed.quantity == "seconds"])
    assert "exact lead field on the full grid" in words and "full solver" in words and "pixel" not in words
    assert verdict == claims.DEPENDS


def test_repeated_trainings_are_those_of_the_tables():
    """The same digits on the same machine; other vector instructions were really used in the third run."""
    repeat = pd.read_csv(RESULTS / "runs" / "repeat.csv")
    of = {way: rows.set_index(["model", "seed", "sim"]) for way, rows in repeat.groupby("way")}
    assert (of["again"].r2 == of["first"].r2).all() and (of["avx2"].r2 != of["first"].r2).any()
    assert {*of["avx2"].vector} == {"AVX2"} and {*of["first"].vector} == {*of["again"].vector} != {"AVX2"}
    table = (
        pd.read_csv(RESULTS / "runs" / "ablations.csv")
        .query("variant == 'all parts' and seed < 2")
        .set_index(["seed", "sim"])
        .r2
    )
    first = of["first"].loc["paper's seq2seq"].r2
    assert (first - table).abs().max() < 1e-6 and len(first) == len(table) == 600


def test_an_interval_and_its_p_by_other_code():
    """The difference of one ablation, seeds averaged: scipy's bootstrap over tissues alone is a little narrower than ours."""
    rows = pd.read_csv(RESULTS / "runs" / "ablations.csv")
    a, b = (rows[rows.variant == name].groupby("sim").r2.mean().to_numpy() for name in ("all parts", "no decoder"))
    found = bootstrap((a - b,), np.mean, method="percentile", rng=np.random.default_rng(1)).confidence_interval
    table = pd.read_csv(RESULTS / "15_ablations.csv", index_col="variant").loc["no decoder"]
    assert (table.low, table.high) == pytest.approx((found.low, found.high), abs=0.004)
    assert 0.95 < (table.high - table.low) / (found.high - found.low) < 1.4 and table.p_holm < 0.05


@pytest.mark.parametrize("name", reproduce.SCORED)
def test_a_table_of_trainings_is_compared_row_by_row(name):
    table = pd.read_csv(RESULTS / "runs" / f"{name}.csv", keep_default_na=False)
    same = reproduce.compare_runs(table, table.sample(frac=1, random_state=0))
    assert same == (f"{len(table)} rows", "0 a tissue, 0 a training", "identical")
    assert reproduce.compare_runs(table, table.assign(r2=table.r2 + 0.002))[2] == "ok"
    assert reproduce.compare_runs(table, table.assign(r2=table.r2 - 0.02))[2] == "OUTSIDE"
    assert reproduce.compare_runs(table, table.iloc[1:])[2] == "OTHER ROWS"


def test_every_training_is_accounted_for():
    """As many trainings as there are labeled runs in each table of scores, each with its epochs and minutes."""
    for name in TRAINED:
        trainings = pd.read_csv(RESULTS / "runs" / f"{name}_trainings.csv")
        assert len(trainings) and (trainings.epochs > 0).all() and (trainings.minutes > 0).all(), name
        assert (trainings.val_r2 < 1).all() and (trainings.threads == 1).all(), name
        rows = pd.read_csv(RESULTS / "runs" / f"{name}.csv")
        labels = [label for label in reproduce.LABELS if label in trainings]
        named = rows[rows.method.isin(["paper's seq2seq", "structured"])] if "method" in labels else rows
        assert set(trainings[labels].itertuples(index=False)) <= set(named[labels].itertuples(index=False)), name
    five = pd.read_csv(RESULTS / "runs" / "ablations_trainings.csv").groupby("variant").seed.nunique()
    assert (five == 5).all() and len(five) == 16


def test_what_the_page_of_claims_says_of_its_limit_and_of_all_comparisons(monkeypatch):
    """Half the limit and a fifth more give the same verdicts, a quarter more another for the time embedding; and p over all."""
    tables = {name: pd.read_csv(RESULTS / "runs" / f"{name}.csv") for name in ("ablations", "ablations_encoder")}
    ablated = {name: claims.by_seed(some) for name, some in tables["ablations"].groupby("variant")}
    groups = {"parts": claims._effects({name: (ablated["all parts"], ablated[name]) for name in claims.NAMED})}
    for name, part in (("ablations_attention", "attention"), ("ablations_time_aware", "aware")):
        cells = dict([*pd.read_csv(RESULTS / "runs" / f"{name}.csv").groupby(["decoder", part])])
        pairs = {one: [claims.by_seed(cells[one, have]) for have in (True, False)] for one, _ in cells}
        groups[part] = claims._effects(pairs)
    fine = dict([*tables["ablations_encoder"].groupby(["pixels", "encoder"])])
    pairs = {n: [claims.by_seed(fine[n, which]) for which in ("convolutional", "linear")] for n, _ in fine}
    groups["finer maps"] = claims._effects(pairs)
    rows = pd.concat(groups).drop(index=[("attention", "LSTM both ways")])  # as among the parts
    assert len(rows) == 13

    def verdicts(share: float) -> list[str]:
        monkeypatch.setattr(claims, "LEAST", share * 0.05)
        return [claims.is_worth(row) for _, row in rows.iterrows()]

    ours = verdicts(1)
    assert verdicts(0.5) == verdicts(1.2) == ours
    assert [name for name, a, b in zip(rows.index, ours, verdicts(1.25), strict=True) if a != b] == [
        ("parts", "no time embedding")
    ]
    over_all = claims.holm(rows.p)
    backward = [(part, "LSTM that looks back only") for part in ("attention", "aware")]
    assert (over_all[backward] > 0.05).all() and (rows.p_holm[backward] < 0.05).all()
    assert (rows.low[backward] > 0.05).all(), "far from zero"
    assert (over_all[[("attention", "none"), ("aware", "none")]] < 0.05).all()
    dilated = ("aware", "dilated convolutions")
    assert over_all[dilated] > 0.05 > rows.p_holm[dilated]
    for part in ("attention", "aware"):  # the figure fills a mark by its interval, its caption names p
        assert ((rows.low[part] > 0) == (rows.p_holm[part] < 0.05)).all()
