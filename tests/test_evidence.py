"""Headline numbers, recomputed from the committed scores of each tissue and seed by other code than the notebooks'."""

import csv
import json
import statistics
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
import reproduction
from registry import ROOT, TRAINED

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
    "ablation_linear_encoder": lambda: less("ablations", {"variant": "linear encoder"}, FULL),
    "ablation_no_time": lambda: less("ablations", {"variant": "no time embedding"}, FULL),
    "ablation_no_attention": lambda: less("ablations", {"variant": "no attention"}, FULL),
    "ablation_no_entropy": lambda: less("ablations", {"variant": "no entropy term"}, FULL),
    "ablation_no_augmentation": lambda: less("ablations", {"variant": "no mirror images or turns"}, FULL),
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
    "choice_base": lambda: mean("sensitivity", choice="as the ablations"),
    "choice_z80": lambda: mean("sensitivity", choice="electrode at 80 mm"),
    "choice_normalized": lambda: mean("sensitivity", choice="ECGs normalized"),
}  # fmt: skip


@pytest.mark.parametrize("key", CASES)
def test_headline_number_follows_from_the_scores(key):
    assert CASES[key]() == pytest.approx(HEADLINE[key]["value"], abs=2e-5)


def test_the_reproduction_table_follows_from_the_scores():
    published = pd.read_csv(RESULTS / "reproduction.csv", keep_default_na=False)
    assert published.equals(reproduction.table(RESULTS).astype(str))
    verdicts = {reproduction.YES, reproduction.NO, reproduction.OPEN, reproduction.UNTESTED}
    assert set(published.verdict) <= verdicts and len(published) >= 14


@pytest.mark.parametrize(("found", "verdict"), [
    ((0.98, 0.99, 0.999), reproduction.YES), ((0.9, 0.96, 0.986), reproduction.OPEN), ((0.93, 0.944, 0.955), reproduction.NO),
])  # fmt: skip
def test_the_rule_of_the_verdict(found, verdict):
    assert reproduction.at_least(*found, least=0.985) == verdict


def test_every_training_is_accounted_for():
    """As many trainings as there are labeled runs in each table of scores, each with its epochs and minutes."""
    for name in TRAINED:
        trainings = pd.read_csv(RESULTS / "runs" / f"{name}_trainings.csv")
        assert len(trainings) and (trainings.epochs > 0).all() and (trainings.minutes > 0).all(), name
        assert (trainings.val_r2 < 1).all() and (trainings.threads == 1).all(), name
    five = pd.read_csv(RESULTS / "runs" / "ablations_trainings.csv").groupby("variant").seed.nunique()
    assert (five == 5).all() and len(five) == 16
