"""The wider surrogate: what it is trained on is apart from what it is scored on, and what its card says of cells is measured."""

import numpy as np
import pandas as pd
import pytest

from experiments import wide
from experiments.tissues import recipe
from forwardecg.data.draw import draw_tissue
from forwardecg.data.sets import HELD_OUT, WIDE, WIDE_PARTS, collection, wide_collection
from forwardecg.data.split import check_disjoint, sheet_hash
from forwardecg.paths import MODELS, RESULTS
from forwardecg.solver.calibration import converged_cv
from forwardecg.surrogates.structured.cells import cells_of, distance
from forwardecg.surrogates.structured.fronts import PLATEAU, RESTITUTION
from forwardecg.surrogates.structured.model import KAPPA
from forwardecg.surrogates.weights import load_models, read_card
from forwardecg.tissue.cell import FK_BR, FK_CAF, FK_GP, FK_MBR, FK_MLR1

NEVER = (
    "two_foci",
    "reentry",
    "partial_fibrosis",
    "unseen_cell",
    "unseen_cell_mbr",
)  # held out from the wider ones too


@pytest.fixture(scope="module")
def card():
    return read_card(MODELS / "structured.safetensors")


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(RESULTS / "runs" / "wide.csv", keep_default_na=False)


def test_no_sheet_of_the_wider_sets_is_in_another_set():
    """The first tissues of all sets, turned and mirrored or not: seeds that met would give the same ones."""
    everything = {"base": recipe()} | collection(recipe()) | wide_collection(recipe()) | {"large": recipe("large")}
    assert len({one.seed for one in everything.values()}) == len(everything) == len(HELD_OUT) + 4 + 21
    some = {name: one for name, one in everything.items() if name.startswith("wide_") or name in ("base", *HELD_OUT)}
    drawn = {name: [draw_tissue(one, sim).tissue for sim in (2, 3)] for name, one in some.items()}
    check_disjoint({name: [sheet_hash(t.D, t.conductive) for t in tissues] for name, tissues in drawn.items()})


def test_what_is_held_out_differs_from_all_that_is_learned():
    learned = [recipe(), *(recipe(kind) for kind in WIDE)]
    assert {one.cell for one in learned} == {FK_CAF, FK_GP, FK_BR} and not {FK_MLR1, FK_MBR} & {*wide.CELLS}
    assert {one.protocol for one in learned} == {"single", "paced"}
    assert {one.fibrosis for one in learned} == {"usual", "dense", "percolating"}
    for name in NEVER:
        one = recipe(name)
        assert one.cell in (FK_MLR1, FK_MBR) or one.protocol in ("two_foci", "reentry") or one.fibrosis == "partial"
    assert wide.scored_sets() == ["test", *HELD_OUT, *(f"{kind}_test" for kind in WIDE)]


@pytest.mark.parametrize("rest", [80.0, 350.0])
def test_strips_of_the_usual_cell_give_the_constants_of_the_package(rest):
    """Measured like those of the other cells: plateau, and speed and amplitude after a rest."""
    _, plateau, _ = wide._strip(FK_CAF, 0.0)
    waited, behind, speed = wide._strip(FK_CAF, rest)
    assert plateau == pytest.approx(PLATEAU, abs=0.003)
    assert speed == pytest.approx(np.interp(waited, RESTITUTION[0], RESTITUTION[1]), abs=0.01)
    assert behind / plateau == pytest.approx(np.interp(waited, RESTITUTION[0], RESTITUTION[2]), abs=0.01)
    assert wide._strip(FK_CAF, 20.0)[0] > 40 or np.isnan(wide._strip(FK_CAF, 20.0)[0]), "so soon no front follows"


def test_kappa_is_in_the_ratio_of_the_squares_of_the_velocities():
    assert wide.kappa_of(FK_CAF) == KAPPA
    for cell in (FK_GP, FK_BR):
        assert wide.kappa_of(cell) * converged_cv(cell) ** 2 == pytest.approx(
            KAPPA * converged_cv(FK_CAF) ** 2, rel=1e-4
        )


def test_the_card_says_what_the_weights_were_made_from(card):
    models, _ = load_models(MODELS / "structured.safetensors")
    assert len(models) == 5 == len(card["seeds"]) == len(card["val_r2"])
    n = WIDE_PARTS[""] - card["chosen_on"]["wide_dense"]
    assert card["sets"] == {"base": 240} | dict.fromkeys(WIDE, n) and card["chosen_on"]["base"] == 30
    assert card["wider"].keys() == WIDE.keys() and card["wider"]["wide_gp"]["cell"] == "FK-GP"
    low, high = card["speed_range"]
    assert low < 0.2 and high > 1.0
    assert read_card(MODELS / "structured_recipe.safetensors")["sha256"] != card["sha256"]


def test_the_cells_of_the_card_are_those_of_the_training_and_lie_apart(card):
    cells = cells_of(card)
    assert [one.name for one in cells] == [one.name for one in wide.CELLS]
    for one, params in zip(cells, wide.CELLS, strict=True):
        assert one.kappa == pytest.approx(wide.kappa_of(params))
        assert (np.diff(one.restitution[0]) > 0).all() and (one.restitution[1:] <= 1).all()
        for other in cells:
            if other is not one:
                far = min(distance(row, other) for row in one.widths)
                assert far > 2 * card["cell_tolerance"], "no recording is near two of them"


def test_the_table_has_every_tissue_once(table):
    expected = [(name, sim) for name in wide.scored_sets() for sim in range(recipe(name).n_sim)]
    assert [*zip(table.set, table.sim, strict=True)] == expected
    for name, rows in table.groupby("set"):
        assert set(rows.cell) == {recipe(name).cell.name}
    assert (table[["old", "new", "old_known", "new_known"]].max(axis=None)) <= 1
    own = table[(table.cell == table.taken_for)]
    np.testing.assert_allclose(own.new, own.new_known, atol=1e-5)  # nothing is left to be told


def test_the_scores_of_the_recipes_networks_are_those_of_the_page_on_generality(table):
    """Two ways to the same number: that page reads its maps through `MapSet`."""
    page = pd.read_csv(RESULTS / "11_generality.csv", index_col="set")
    for name in ("test", "two_foci", "partial_fibrosis", "dense_fibrosis", "unseen_D_low"):
        assert table[table.set == name].old.mean() == pytest.approx(page["mean"][name], abs=2e-3), name


def test_the_sheet_of_another_code_is_scored_by_three_methods():
    gold = pd.read_csv(RESULTS / "runs" / "wide_gold.csv")
    assert gold.groupby(["method", "pixel"]).size().tolist() == [6] * 9
    surrogates = gold[gold.method != "homogeneous"]
    assert (surrogates.r2_fitted >= surrogates.r2).all(), "a fit of the size never lowers R2"
    fitted = gold[gold.method == "homogeneous"].groupby("pixel").r2_fitted.mean()
    assert fitted.is_monotonic_decreasing, "larger pixels hold less"
