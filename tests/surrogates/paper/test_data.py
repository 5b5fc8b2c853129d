"""What the networks are given to read: maps, ECGs, batches, turned exactly."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from forwardecg.contract import V_SPAN, to_mV
from forwardecg.data.recipe import Recipe
from forwardecg.data.store import load_or_simulate
from forwardecg.ecg.electrodes import bank_electrodes, center_electrode
from forwardecg.ecg.leadfield import lead_field, pseudo_ecg
from forwardecg.surrogates.paper import data as module
from forwardecg.surrogates.paper.data import Sequences, check_maps, loader, network_maps, normalization
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue, fibrotic, healthy
from forwardecg.tissue.symmetry import apply_symmetry

RECIPE = Recipe(n_sim=30, n_cells=40, dx=1.0, t_end=60, min_activated=0.05, z_mm=20)
CONDITION = [RECIPE.conditions[sim % 5] for sim in range(60)]


@pytest.fixture
def V_m(toy_dataset):
    return toy_dataset(1).V_m.isel(sim=0)


def test_network_reads_u_and_pixels_are_plain_means(V_m):
    u = network_maps(V_m, 10)
    assert u.dtype == torch.float16 and u.shape == (20, 10, 10)
    by_hand = (V_m.values[:, 4:6, 6:8].mean((1, 2)) + 85) / 100
    assert np.allclose(u[:, 2, 3], by_hand, atol=5e-4)
    assert np.allclose(network_maps(V_m, 20), (V_m + 85) / 100, atol=5e-4)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda V_m: V_m.rename(y_map="row"), r"V_m: expected dims \(time, y_map, x_map\)"),
        (lambda V_m: V_m.assign_attrs(units="K"), "V_m: expected a unit such as mV"),
        (lambda V_m: V_m + 0j, "V_m: expected real numbers"),
        (lambda V_m: V_m[0], "V_m: expected dims"),
        (lambda V_m: V_m[:, :10], "V_m: expected square maps"),
        (lambda V_m: V_m[:, :15, :15], "V_m: expected square maps whose side is a multiple of 10 pixels, got 15 x 15"),
        (lambda V_m: V_m[:, :5, :5], "V_m: expected square maps whose side is a multiple of 10 pixels, got 5 x 5"),
        (lambda V_m: V_m.where(V_m < 0), "V_m: expected finite values"),
        (lambda V_m: V_m * 1000, "V_m: expected mV with rest near -85.0, got values from -8.5e"),
        (lambda V_m: V_m.expand_dims("sim"), "V_m: expected dims"),
        (lambda V_m: V_m / 1000, "V_m: expected mV with rest near -85.0, got values from -0.085"),
        (lambda V_m: (V_m + 85) / 100, "V_m: expected mV with rest near -85.0, got values from 0"),
    ],
    ids=[
        "name",
        "kelvin",
        "complex",
        "one frame",
        "oblong",
        "uneven",
        "too small",
        "NaN",
        "microvolts",
        "4-D",
        "volts",
        "u",
    ],
)
def test_maps_that_are_not_the_contracts_are_refused(V_m, spoil, message):
    for same in (
        V_m,
        V_m.transpose("y_map", "x_map", "time"),
        V_m.rename(y_map="y", x_map="x"),
        (V_m / 1000).assign_attrs(units="V"),
    ):
        assert np.allclose(check_maps(same, 10), V_m, atol=1e-3)
    with pytest.raises(ValueError, match=message):
        check_maps(spoil(V_m), 10)


def test_sequences_pair_each_map_with_the_ecg_of_its_tissue_and_time(toy_dataset):
    ds = toy_dataset(5)
    sequences = Sequences(ds, [3, 1], 10)
    assert len(sequences) == 2
    u, ecg = sequences[0]
    assert u.shape == (20, 10, 10) and ecg.shape == (20,)
    assert torch.equal(u, network_maps(ds.V_m[3], 10))
    assert np.allclose(ecg, ds.phi_e[3, 0, ::5])  # maps come every 5 ms, the ECG every 1 ms
    assert np.array_equal(sequences.t, ds.time)


SIDE, PIXELS, DX = 40.0, 20, 2.0  # mm, cells and pixels along a side, mm
BANK = bank_electrodes(Grid((PIXELS, PIXELS), DX), 20.0)


def tissue_and_maps(seed: int) -> tuple[Tissue, np.ndarray]:
    """Patchy fibrosis, and random maps u (time, y, x) that float16 holds exactly."""
    rng = np.random.default_rng(seed)
    tissue = fibrotic(healthy((PIXELS, PIXELS), DX, rng.uniform(0.1, 0.16)), "patchy", seed=rng)
    return tissue, rng.integers(0, 1024, (9, PIXELS, PIXELS)) / 1024


def potentials(tissue: Tissue, u: np.ndarray) -> np.ndarray:
    """The ECG (lead, time) of the whole bank."""
    return V_SPAN * np.tensordot(lead_field(tissue, BANK), u, ((1, 2), (1, 2)))


@pytest.fixture(scope="module")
def bank():
    """A data set of six tissues whose ECGs at all 37 electrodes are those of their lead fields."""
    both = [tissue_and_maps(seed) for seed in range(6)]
    time = np.arange(9) * 5.0
    return xr.Dataset(
        {
            "V_m": (("sim", "time", "y_map", "x_map"), to_mV(np.array([u for _, u in both]))),
            "phi_e": (("sim", "lead", "time_ecg"), np.array([potentials(*one) for one in both])),
            "electrodes": (("lead", "xyz"), BANK.positions),
        },
        {"time": time, "time_ecg": time, "lead": list(BANK.names)},
        {"store": "toy.zarr"},
    )


def test_one_lead_by_name_has_no_dim_and_several_have_one_in_the_order_asked_for(bank):
    center, train3 = (Sequences(bank, [4, 0], 10, leads=name) for name in ("center", "train3"))
    both = Sequences(bank, [4, 0], 10, leads=("train3", "center"))
    every = Sequences(bank, [4, 0], 10, leads="all")
    assert center.ecg.shape == (2, 9) and both.ecg.shape == (2, 2, 9) and every.ecg.shape == (2, 37, 9)
    assert torch.equal(both.ecg, torch.stack([train3.ecg, center.ecg], 1))
    assert np.allclose(every.ecg, bank.phi_e[[4, 0]], rtol=1e-6) and np.array_equal(every.electrodes, BANK.positions)
    assert np.array_equal(both.electrodes, BANK.positions[[3, 0]]) and center.electrodes.tolist() == [[20, 20, 20]]
    assert every.size == SIDE
    assert torch.equal(Sequences(bank, [4, 0], 10).ecg, center.ecg)


@pytest.mark.parametrize("interval, step", [(None, 1), (5.0, 1), (10, 2), (20.0, 4)])
def test_frames_are_thinned_and_ecgs_taken_at_the_same_times(bank, interval, step):
    whole, thin = Sequences(bank, [1, 2], 10), Sequences(bank, [1, 2], 10, frame_interval=interval)
    assert torch.equal(thin.t, whole.t[::step]) and len(thin.t) == len(range(0, 9, step))
    assert torch.equal(thin.u, whole.u[:, ::step]) and torch.equal(thin.ecg, whole.ecg[:, ::step])


def test_maps_from_the_disk_equal_those_in_memory_and_are_never_of_another_data_set(bank, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CACHE", tmp_path / "cache")
    ram, disk = (Sequences(bank, [2, 5, 0], 10, memory_gb=gb) for gb in (1, 0))
    assert torch.equal(ram.u, disk.u) and torch.equal(ram.ecg, disk.ecg) and disk.u.dtype == torch.float16
    assert torch.equal(ram.u[[2, 0]], disk[[2, 0]][0])
    disk.u[0] = 0  # is not written through
    others = (bank.isel(sim=[3, 4, 5, 0, 1, 2]), bank.assign(V_m=bank.V_m + 1), bank.isel(time=slice(0, 6)))
    for ds in others:  # all with the attributes of the same store
        assert torch.equal(Sequences(ds, [2, 5, 0], 10, memory_gb=0).u, Sequences(ds, [2, 5, 0], 10).u)
    assert list((tmp_path / "cache").iterdir()) == [], "nothing stays"


def test_maps_that_fail_half_way_leave_no_file(bank, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CACHE", tmp_path)
    spoilt = bank.copy(deep=True)
    spoilt.V_m[5, 3, 2, 2] = np.nan
    with pytest.raises(ValueError, match="V_m: expected finite"):
        Sequences(spoilt, [2, 5], 10, memory_gb=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sims": [0, 6]}, r"sims: expected distinct ones of range\(0, 6\), got \[6\]"),
        ({"sims": [-1]}, "sims: expected a whole number in 0 .. .* got -1"),
        ({"sims": [3, 3]}, r"sims: expected distinct ones .* got \[3, 3\]"),
        ({"sims": []}, "sims: expected .* got none"),
        ({"pixels": 3}, "pixels: expected a divisor of the 20 stored ones, got 3"),
        ({"pixels": 40}, "pixels: expected a divisor"),
        ({"pixels": 0}, "pixels: expected a whole number"),
        ({"pixels": 10.0}, "pixels: expected a whole number"),
        ({"pixels": "10"}, "pixels: expected a whole number"),
        ({"frame_interval": "10"}, "frame_interval: expected a number"),
        ({"frame_interval": 7.5}, "frame_interval: expected a multiple of the stored 5 ms, got 7.5"),
        ({"frame_interval": 0.0}, "frame_interval: expected"),
        ({"frame_interval": 50.0}, "frame_interval: expected"),
        ({"frame_interval": float("nan")}, "frame_interval: expected"),
        ({"leads": "V1"}, r"leads: expected distinct ones of \['center', .*, got \['V1'\]"),
        ({"leads": ["center", "train25"]}, r"leads: expected .* got \['train25'\]"),
        ({"leads": ["center", "center"]}, r"leads: expected distinct"),
        ({"leads": []}, "leads: expected .* got none"),
    ],
)
def test_what_a_data_set_does_not_hold_is_refused(bank, change, message):
    with pytest.raises(ValueError, match=message):
        Sequences(**{"ds": bank, "sims": [0, 1], "pixels": 10} | change)


@pytest.mark.parametrize("sims", [[True, False], [1.9]])
def test_tissues_are_whole_numbers(bank, sims):
    with pytest.raises(ValueError, match="sims: expected a whole number"):
        Sequences(bank, sims, 10)


def test_one_tissue_is_no_data_set(bank):
    with pytest.raises(ValueError, match="ds: expected a data set with the dim sim"):
        Sequences(bank.isel(sim=0), [0], 10)


def test_normalization_is_of_the_tissues_it_is_given_and_refuses_flat_ones(bank):
    train = Sequences(bank, range(4), 10)
    assert normalization(train) == pytest.approx(bank.phi_e[:4, 0].values.std(ddof=1), rel=1e-6)
    louder = bank.copy(deep=True)
    louder.phi_e[4:] *= 100
    assert normalization(Sequences(louder, range(4), 10)) == normalization(train)
    for value in (1.0, np.nan):
        train.ecg[1] = value
        with pytest.raises(ValueError, match="train: expected ECGs that vary"):
            normalization(train)


def batches(sequences, seed, **settings):
    return list(loader(sequences, 4, torch.Generator().manual_seed(seed), **settings))


def test_batches_hold_every_tissue_once_with_its_own_ecg(bank):
    sequences = Sequences(bank, range(6), 20, leads="all")
    orders = set()
    for seed in range(5):
        members = torch.cat([members for _, _, members in batches(sequences, seed)])
        assert sorted(members.tolist()) == list(range(6))
        orders.add(tuple(members.tolist()))
        for u, ecg, members in batches(sequences, seed):
            assert u.dtype == torch.float32 and len(u) in (4, 2)
            assert torch.equal(u, sequences.u[members].float()) and torch.equal(ecg, sequences.ecg[members])
    assert len(orders) > 1
    assert torch.cat([members for _, _, members in batches(sequences, 0, shuffle=False)]).tolist() == list(range(6))


def test_batches_depend_on_the_generator_alone(bank):
    sequences, before = Sequences(bank, range(6), 10), torch.get_rng_state()
    a, b, other = (batches(sequences, seed, augment=True) for seed in (1, 1, 2))
    assert all(torch.equal(x, y) for one, two in zip(a, b, strict=True) for x, y in zip(one, two, strict=True))
    assert not torch.equal(a[0][0], other[0][0])
    assert torch.equal(torch.get_rng_state(), before), "the global one is left alone"


def test_augmentation_is_exact_at_all_electrodes(bank):
    """Each tissue is turned into one of its eight copies, and its ECGs are those of the turned sheet, newly computed."""
    sequences, seen = Sequences(bank, range(6), 20, leads="all"), set()
    for seed in range(6):
        for u, ecg, members in batches(sequences, seed, augment=True):
            for maps, traces, sim in zip(u, ecg, members.tolist(), strict=True):
                tissue, _ = tissue_and_maps(sim)
                (n,) = (n for n in range(8) if torch.equal(apply_symmetry(sequences.u[sim].float(), n), maps))
                D, conductive = (apply_symmetry(torch.tensor(z), n).numpy() for z in (tissue.D, tissue.conductive))
                turned = potentials(Tissue(D=D.copy(), conductive=conductive.copy(), dx=DX), maps.double().numpy())
                assert np.allclose(traces, turned, rtol=0, atol=1e-6 * np.abs(turned).max())
                seen.add(n)
                if n:
                    assert not np.allclose(traces, sequences.ecg[sim], rtol=0.1), "the electrodes did move"
    assert seen == set(range(8))


def test_augmentation_leaves_the_ecg_above_the_center_as_it_is(bank):
    for leads in ("center", ("center",)):
        sequences = Sequences(bank, range(6), 10, leads=leads)
        for u, ecg, members in batches(sequences, 0, augment=True):
            assert torch.equal(ecg, sequences.ecg[members]) and not torch.equal(u, sequences.u[members].float())


@pytest.mark.parametrize("leads", ["train1", ("center", "train1"), ("near1", "near2", "near3")])
def test_leads_that_no_symmetry_maps_onto_each_other_cannot_be_augmented(bank, leads):
    sequences = Sequences(bank, range(6), 10, leads=leads)
    assert len(batches(sequences, 0)) == 2
    with pytest.raises(ValueError, match="electrodes: expected places that the symmetries"):
        batches(sequences, 0, augment=True)


def test_the_eight_symmetries_form_a_group():
    """Distinct, the identity among them, closed under composition, each with an inverse: the dihedral group of order 8."""
    square = torch.arange(9).reshape(3, 3)
    images = {apply_symmetry(square, n).numpy().tobytes(): n for n in range(8)}
    assert len(images) == 8 and torch.equal(apply_symmetry(square, 0), square)
    table = [
        [images[apply_symmetry(apply_symmetry(square, a), b).numpy().tobytes()] for b in range(8)] for a in range(8)
    ]
    assert all(sorted(row) == list(range(8)) for row in table)
    assert any(table[a][b] != table[b][a] for a in range(8) for b in range(8)), "turns and mirrors do not commute"


def test_symmetries_move_maps_and_never_times():
    u = torch.rand(5, 4, 4)
    for n in range(8):
        assert torch.equal(apply_symmetry(u, n), torch.stack([apply_symmetry(one, n) for one in u]))
        assert torch.allclose(apply_symmetry(u, n).sum((1, 2)), u.sum((1, 2)))


def test_ecg_above_the_center_is_invariant_under_all_eight():
    """The augmentation is exact: turning the tissue and its maps together leaves the ECG of a centered electrode."""
    tissue = fibrotic(healthy((24, 24), 0.5, 0.12), seed=5)
    V_m = -85 + 100 * torch.rand(3, 24, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    at = center_electrode(Grid((24, 24), 0.5), 10.0)
    ecg = pseudo_ecg(V_m.numpy(), tissue, at).values
    for n in range(8):
        D, conductive = (apply_symmetry(torch.from_numpy(z), n).numpy().copy() for z in (tissue.D, tissue.conductive))
        turned = pseudo_ecg(apply_symmetry(V_m, n).numpy(), Tissue(D=D, conductive=conductive, dx=0.5), at).values
        assert np.allclose(turned, ecg, rtol=1e-9, atol=1e-9 * np.abs(ecg).max())
        aside = replace(at, positions=at.positions + [2.0, 1.0, 0])
        moved = pseudo_ecg(apply_symmetry(V_m, n).numpy(), Tissue(D=D, conductive=conductive, dx=0.5), aside).values
        assert np.allclose(moved, pseudo_ecg(V_m.numpy(), tissue, aside)) == (n == 0), "only there"


def test_the_known_diffusivity_is_the_mean_of_what_conducts_and_turns_with_the_maps(tmp_path):
    ds = load_or_simulate(replace(RECIPE, n_sim=3, bank=False), folder=tmp_path)
    some, plain = Sequences(ds, [2, 0], 10, known_D=True), Sequences(ds, [2, 0], 10)
    assert some.u.shape == (2, plain.u.shape[1], 2, 10, 10) and torch.equal(some.u[:, :, 0], plain.u)
    D = np.where(ds.conductive[2], ds.D[2], 0)
    by_hand = D.reshape(10, D.shape[0] // 10, 10, -1).mean((1, 3)) / module.D_UNIT
    assert np.allclose(some.u[0, :, 1], by_hand[None], atol=2e-3), "in every frame"
    turned = apply_symmetry(some.u[0], 5)
    assert torch.equal(turned[:, 1], apply_symmetry(some.u[0, :, 1], 5)) and torch.equal(
        turned[:, 0], apply_symmetry(plain.u[0], 5)
    )
