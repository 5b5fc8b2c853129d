"""The lists of runs are those of the published tables: the same labels, tissues and trainings, in the same order."""

import pandas as pd
import pytest

from compendium.registry import EXPERIMENTS as TABLES
from compendium.registry import ROOT, TRAINED
from experiments import ablations
from experiments.run import EXPERIMENTS, training_labels
from experiments.score import tissues_to_score
from experiments.tissues import KINDS, POOL

RUNS = ROOT / "data" / "results" / "runs"


def read(name: str) -> pd.DataFrame:
    """A published table, as it is written."""
    return pd.read_csv(RUNS / f"{name}.csv", keep_default_na=False, dtype=str)


@pytest.fixture(scope="module")
def lists():
    """Every list, without a training: the best learning rates are those of the published table."""
    best = pd.read_csv(RUNS / "ablations_lr.csv").groupby(["variant", "lr"]).r2.mean().unstack().idxmax(axis=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablations, "best_rates", lambda: {variant: float(lr) for variant, lr in best.items()})
        return {name: runs() for name, runs in EXPERIMENTS.items()}


def expected(runs) -> pd.DataFrame:
    """Labels and tissues of some runs, one row each, as they are written."""
    parts = [(run, name, sims) for run in runs for name, sims in tissues_to_score(run)]
    frames = [
        pd.DataFrame({"sim": sims}).assign(**run.labels | ({"set": name} if "set" in run.labels else {}))
        for run, name, sims in parts
    ]
    return pd.concat(frames, ignore_index=True).astype(str)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_rows_of_a_published_table_are_those_of_its_list(lists, name):
    found, runs = read(name), [run for run in lists[name] if not run.tissues.kind]
    labels = [*runs[0].labels]
    assert found.columns.tolist()[-len(labels) - len(KINDS) :] == [*labels, *KINDS]
    if name == "sensitivity":
        found = found[found.choice.isin([run.labels["choice"] for run in runs])]
    pd.testing.assert_frame_equal(found[["sim", *labels]].reset_index(drop=True), expected(runs))


def test_tissues_of_one_kind_are_a_fifth_of_so_many_and_of_all_sets(lists):
    """Which ones they are depends on sets that are simulated where they are asked for, and not here."""
    runs, rows = [run for run in lists["sensitivity"] if run.tissues.kind], read("sensitivity")
    assert len(runs) == 27 and [*dict.fromkeys(rows.choice)][-9:] == [
        *dict.fromkeys(run.labels["choice"] for run in runs)
    ]
    for run in runs:
        tested = rows[(rows.choice == run.labels["choice"]) & (rows.fold == str(run.labels["fold"]))]
        assert abs(len(tested) - run.tissues.of_kind / 5) < 4 and not tested.duplicated(["set", "sim"]).any()
        assert set(tested["set"]) == {*POOL} - ({"base"} if run.tissues.kind == "other" else set())


@pytest.mark.parametrize("name", TRAINED)
def test_the_trainings_of_a_published_table_are_those_of_its_list(lists, name):
    trained = [run for run in lists[name] if run.counted and not isinstance(run.net, str)]
    rows = {str(training_labels(run)): training_labels(run) | {"epochs": run.config.epochs} for run in trained}
    found, table = read(f"{name}_trainings"), pd.DataFrame(rows.values()).astype(str)
    assert found.columns.tolist() == [*table, "val_r2", "minutes", "threads"]
    pd.testing.assert_frame_equal(found[[*table]], table)


def test_the_registry_names_the_tables_that_are_made(lists):
    trained = {name for name, runs in lists.items() if any(r.counted and not isinstance(r.net, str) for r in runs)}
    assert trained == {*TRAINED}
    others = {
        "repeat",
        "blind",
        "edges",
        "cost",
        "growth",
        "dataset_cost",
        "gold",
        "mesh_cost",
        "misuse",
        "steps",
        "large",
        "large_cost",
        "activation_constants",
        "eikonal",
        "eikonal_grid",
    }
    others |= {"cycle", "cycle_physics", "cycle_trainings", "reduced", "reduced_modes", "reduced_cost"}
    others |= {f"inverse{end}" for end in ("", "_gradients", "_porosity", "_regions", "_remodeled")} | {
        f"delineation{end}" for end in ("", "_composed", "_errors", "_levels", "_marks", "_patient", "_traces")
    }
    others |= {f"diagnosis{end}" for end in ("", "_deletion", "_examples", "_r2")}
    others |= {f"gaps{end}" for end in ("", "_examples", "_periods", "_prior")}
    others |= {f"population{end}" for end in ("", "_calls", "_cost", "_traces")}
    others |= {f"anomaly{end}" for end in ("", "_maps")}
    others |= {f"wide{end}" for end in ("", "_gold", "_trainings")}
    others |= {f"{name}_trainings" for name in ("anomaly", "delineation", "diagnosis", "gaps", "population")}
    assert {*TABLES} == {*lists, *(f"{name}_trainings" for name in trained)} | others
    assert {path.stem for path in RUNS.glob("*.csv")} == {*TABLES}


def test_no_run_is_in_a_list_twice(lists):
    for name, runs in lists.items():
        labels = [tuple(run.labels.items()) for run in runs]
        if name != "shifted":  # its rows of one label are of different sets
            assert len(set(labels)) == len(runs), name
        assert len({(run, one) for run, one in zip(runs, labels, strict=True)}) == len(runs), name
