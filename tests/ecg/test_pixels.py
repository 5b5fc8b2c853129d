"""The operator on the pixels of maps: closed forms, limits, symmetries, and the operator of the cells that it stands for."""

import numpy as np
import pytest
from scipy.integrate import quad

from forwardecg.ecg.electrodes import (
    Electrodes,
    bank_electrodes,
    center_electrode,
    grid_electrodes,
    match_electrodes,
)
from forwardecg.ecg.leadfield import lead_field
from forwardecg.ecg.pixels import LEAST_SHARE, conductive_share, face_gradients, map_lead_field, upscale_faces
from forwardecg.tissue.diffusion import face_diffusivity, net_flux
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue, fibrotic, healthy

AT = Electrodes(np.array([[7.0, 11.0, 6.0], [30.0, -9.0, 25.0], [13.3, 20.1, 3.0]]), ("a", "b", "c"))


def pooled(a: np.ndarray, pool: int) -> np.ndarray:
    return a.reshape(a.shape[0] // pool, pool, -1, pool).mean((1, 3))


def homogeneous(shape, D=0.1):
    """Couplings of uniform tissue and its share, all pixels conduct."""
    return *face_diffusivity(np.full(shape, D), np.ones(shape, bool))[:2], np.ones(shape)


def random_sheet(seed: int, n: int = 40, texture: str = "diffuse") -> Tissue:
    rng = np.random.default_rng(seed)
    sheet = fibrotic(healthy((n, n), 0.5, 0.13), texture, seed=rng)
    return Tissue(D=sheet.D * rng.uniform(0.5, 1.5, (n, n)), conductive=sheet.conductive, dx=0.5)


def test_share_of_conducting_cells():
    conductive = np.ones((4, 6), bool)
    conductive[0, 0] = conductive[2:, 4:] = False
    assert np.array_equal(conductive_share(conductive, 2), [[0.75, 1, 1], [1, 1, 0]])
    assert np.array_equal(conductive_share(conductive, 1), conductive)


# --- conductances of faces


@pytest.mark.parametrize("pool", [1, 2, 3, 4, 6])
def test_layers_are_exact_in_series_and_in_parallel(pool):
    """Across: distance over the sum of resistances from center to center; along: the mean of the layers."""
    layers = np.random.default_rng(0).uniform(0.02, 0.2, 12)
    D = np.tile(layers, (12, 1))
    across, along, *_ = upscale_faces(D, np.ones(D.shape, bool), pool)
    edges = np.arange(12 + 1.0)

    def resistance(
        a, b
    ):  # of the discrete sheet from a to b: layers of the faces, each from center to center of its cells
        faces = 2 / (1 / layers[1:] + 1 / layers[:-1])
        overlap = np.clip(np.minimum(edges[2:] - 0.5, b) - np.maximum(edges[:-2] + 0.5, a), 0, None)
        return (overlap / faces).sum()

    centers = (np.arange(12 // pool) + 0.5) * pool
    by_hand = [pool / resistance(a, b) for a, b in zip(centers[:-1], centers[1:], strict=True)]
    assert np.allclose(across[:, 1:-1], by_hand, rtol=1e-13)
    assert np.allclose(along[1:-1], layers.reshape(-1, pool).mean(1), rtol=1e-13)
    for a, b in ((across, along), (along, across)):
        transposed = upscale_faces(D.T, np.ones(D.shape, bool), pool)
        assert np.allclose(a.T, transposed[0 if a is along else 1]) and a.shape != b.shape


def test_one_cell_a_pixel_is_the_operator_of_the_cells():
    sheet = random_sheet(1)
    on_pixels, on_cells = (f(sheet.D, sheet.conductive, *a) for f, a in ((upscale_faces, (1,)), (face_diffusivity, ())))
    for a, b in zip(on_pixels[:2], on_cells[:2], strict=True):
        assert np.allclose(a, b, rtol=1e-14, atol=0)


def test_homogeneous_tissue_has_its_own_D_inside_and_nothing_at_the_edge():
    D_x, D_y, *_ = upscale_faces(np.full((12, 8), 0.13), np.ones((12, 8), bool), 4)
    assert D_x.shape == (3, 3) and D_y.shape == (4, 2)
    assert np.allclose(D_x[:, 1:-1], 0.13) and np.allclose(D_y[1:-1], 0.13)
    assert not D_x[:, [0, -1]].any() and not D_y[[0, -1]].any()


@pytest.mark.parametrize(("column", "beside"), [(2, 1.5), (3, 2), (4, 2), (5, 1.5)])
def test_a_closed_wall_between_two_pixels_closes_their_face_and_a_gap_in_it_opens_it(column, beside):
    """A gap of one cell in four: less than if columns mixed freely (the faces ``beside`` the wall conduct a quarter, in series
    with the rest), more than if rows did not mix at all (one row in four conducts)."""
    conductive = np.ones((4, 12), bool)
    conductive[:, column] = False
    assert upscale_faces(np.full((4, 12), 0.1), conductive, 4).D_x[0, 1] == 0
    conductive[1, column] = True
    D_x = upscale_faces(np.full((4, 12), 0.1), conductive, 4).D_x
    assert 0.1 / 4 < D_x[0, 1] < 4 / (beside / 0.025 + (4 - beside) / 0.1)


def test_the_flow_solves_the_local_problem():
    """Against a direct solution of the whole window, all cells at once."""
    sheet = random_sheet(4, texture="diffuse")
    D, conductive = sheet.D[:8, :8], sheet.conductive[:8, :8]
    g = face_diffusivity(D, conductive)
    cells = [(y, x) for y in range(6) for x in range(2, 6)]  # rows of the pixel and two above, between the center lines
    at = {cell: k for k, cell in enumerate(cells)}
    A, b = 1e-13 * np.eye(len(cells)), np.zeros(len(cells))
    for (y, x), k in at.items():
        for dy, dx, face in (
            (0, 1, g.D_x[y, x + 1]),
            (0, -1, g.D_x[y, x]),
            (1, 0, g.D_y[y + 1, x]),
            (-1, 0, g.D_y[y, x]),
        ):
            neighbor = at.get((y + dy, x + dx))
            if neighbor is not None:
                A[k, k] += face
                A[k, neighbor] -= face
            elif dx:  # the center line, half a cell away
                A[k, k] += 2 * face
                b[k] += 2 * face * (dx > 0)
    V = np.linalg.solve(A, b)
    flow = sum(g.D_x[y, 4] * (V[at[y, 4]] - V[at[y, 3]]) for y in range(4))
    assert np.isclose(upscale_faces(D, conductive, 4).D_x[0, 1], flow, rtol=1e-8)


def test_upscaling_turns_and_mirrors_with_the_sheet():
    sheet = random_sheet(2, texture="interstitial")
    D, conductive = sheet.D, sheet.conductive
    D_x, D_y, *_ = upscale_faces(D, conductive, 4)
    for turned, expected in (
        ((D.T, conductive.T), (D_y.T, D_x.T)),
        ((D[:, ::-1], conductive[:, ::-1]), (D_x[:, ::-1], D_y[:, ::-1])),
        ((np.rot90(D), np.rot90(conductive)), (np.rot90(D_y), np.rot90(D_x))),
    ):
        for a, b in zip(upscale_faces(*turned, 4)[:2], expected, strict=True):
            assert np.allclose(a, b, rtol=1e-9, atol=1e-12)


# --- gradients over faces


def test_face_gradients_are_integrals():
    G_x, G_y = face_gradients(Grid((6, 5), 4.0), AT)
    assert G_x.shape == (3, 6, 6) and G_y.shape == (3, 7, 5)
    for e, (x_e, y_e, z) in enumerate(AT.positions):
        for i, j in ((0, 0), (3, 2), (5, 4)):
            for G, d, a in ((G_x, 4.0 * j - x_e, 4.0 * i - y_e), (G_y, 4.0 * i - y_e, 4.0 * j - x_e)):
                exact = quad(lambda s, d=d, z=z: d / (d**2 + s**2 + z**2) ** 1.5, a, a + 4.0, epsabs=1e-13)[0]
                assert G[e, i, j] == pytest.approx(exact, rel=1e-9, abs=1e-13)


def test_face_gradients_beside_the_sheet_and_in_its_plane_are_finite():
    """In line with faces of the other direction, where d = z = 0."""
    G_x, G_y = face_gradients(Grid((4, 4), 1.0), Electrodes(np.array([[2.0, -3.0, 0.0]]), ("e",)))
    assert np.isfinite(G_x).all() and np.isfinite(G_y).all() and not G_x[0, :, 2].any()


def test_an_electrode_nearer_than_half_a_pixel_is_refused():
    for place in ((4.0, 4.0, 0.9), (-0.9, 4.0, 0.0), (4.0, 8.6, 0.6)):
        with pytest.raises(ValueError, match=r"electrodes: expected every electrode at least dx / 2 = 1 mm .*'e'"):
            face_gradients(Grid((4, 4), 2.0), Electrodes(np.array([place]), ("e",)))
    face_gradients(Grid((4, 4), 2.0), Electrodes(np.array([[4.0, 4.0, 1.0]]), ("e",)))


# --- weights of the maps


def test_a_sharp_plane_front_is_exact():
    """V a step down of 1 at the line x = c: phi = - D integral of (c - x_e) / r^3 along the line."""
    shape, dx, D = (10, 12), 2.0, 0.1
    weights = map_lead_field(*homogeneous(shape, D), dx, AT)
    for k in range(1, 12):
        u = np.repeat((np.arange(12) < k)[None].astype(float), 10, 0)
        for lead, (x_e, y_e, z) in enumerate(AT.positions):
            line = quad(lambda y, e=(x_e, y_e, z), d=k * dx - x_e: d / (d**2 + (y - e[1]) ** 2 + e[2] ** 2) ** 1.5, 0, 20)  # fmt: skip
            assert (weights[lead] * u).sum() == pytest.approx(-D * line[0], rel=1e-7)


def test_a_plane_wave_is_second_order_in_dx():
    """V = cos(pi x / L), flat at the edges: phi = - D integral V' K' dx, K' the integral of d(1/r)/dx along y in closed form."""
    D, side = 0.1, 24.0
    x_e, y_e, z = AT.positions[0]

    def slope(x):
        a2 = (x - x_e) ** 2 + z**2
        along = sum(s / np.sqrt(a2 + s**2) for s in (side - y_e, y_e))
        return -D * -np.pi / side * np.sin(np.pi * x / side) * -(x - x_e) / a2 * along

    exact, errors = quad(slope, 0, side, epsabs=1e-14)[0], []
    for n in (12, 24, 48):
        u = np.tile(np.cos(np.pi * (np.arange(n) + 0.5) / n), (n, 1))
        errors.append(abs((map_lead_field(*homogeneous((n, n), D), side / n, AT)[0] * u).sum() / exact - 1))
    assert errors[0] < 0.02 and all(3.5 < a / b < 4.5 for a, b in zip(errors[:-1], errors[1:], strict=True)), errors


def test_smooth_voltage_on_maps_converges_to_the_lead_field_of_the_cells_at_second_order():
    """An oval front, flat at the edges of the sheet as voltage is; RMS over electrodes, relative."""
    n, dx, D = 192, 0.25, 0.1
    y, x = np.meshgrid(*[(np.arange(n) + 0.5) * dx] * 2, indexing="ij")
    V = 0.5 - 0.5 * np.tanh((np.hypot(x - 22, 1.3 * (y - 25)) - 10) / 3)
    leads = grid_electrodes(Grid((n, n), dx), 4, 4, 8.0)
    exact = (lead_field(healthy((n, n), dx, D), leads) * V).sum((1, 2))
    errors = []
    for pool in (16, 8, 4):
        weights = map_lead_field(*homogeneous((n // pool,) * 2, D), pool * dx, leads)
        errors.append(np.sqrt(np.square((weights * pooled(V, pool)).sum((1, 2)) - exact).sum() / np.square(exact).sum()))  # fmt: skip
    assert errors[1] < 0.02 and all(3.3 < a / b < 5 for a, b in zip(errors[:-1], errors[1:], strict=True)), errors


@pytest.mark.parametrize("pool", [4, 8])
def test_near_electrodes_gain_by_the_integral_over_faces(pool):
    """5 mm above 2 and 4 mm pixels, against the difference of 1/r between their centers, for a front on its way."""
    n, dx, h = 192, 0.25, 0.25 * pool * 2
    near = Electrodes(np.array([[a, b, 5.0] for a in (11.0, 16.3, 20.7) for b in (12.1, 18.8)]), tuple("abcdef"))
    y, x = np.meshgrid(*[(np.arange(n) + 0.5) * dx] * 2, indexing="ij")
    fronts = [0.5 - 0.5 * np.tanh((np.hypot(x - 4, y - 6) - r) / 0.7) for r in np.arange(6, 34, 0.5)]
    k = 2 * pool
    exact = np.array([(lead_field(healthy((n, n), dx, 0.1), near) * V).sum((1, 2)) for V in fronts])
    maps = [pooled(V, k) for V in fronts]
    error = {}
    for name, weights in (
        ("faces", map_lead_field(*homogeneous((n // k,) * 2), h, near)),
        ("centers", lead_field(healthy((n // k,) * 2, h, 0.1), near)),
    ):
        error[name] = np.square(np.array([(weights * u).sum((1, 2)) for u in maps]) - exact).sum() / np.square(exact).sum()  # fmt: skip
    assert error["faces"] < 0.85 * error["centers"] and error["faces"] < 0.01, error


@pytest.mark.parametrize("texture", ["diffuse", "patchy", "compact", "interstitial"])
@pytest.mark.parametrize("pool", [4, 8])
def test_tissue_at_one_voltage_gives_nothing_whatever_the_fibrosis(texture, pool):
    sheet = random_sheet(3, texture=texture)
    share = conductive_share(sheet.conductive, pool)
    weights = map_lead_field(*upscale_faces(sheet.D, sheet.conductive, pool)[:2], share, 0.5 * pool, AT)
    assert share.min() < 1 and np.abs(weights).max() > 0
    assert (np.abs((weights * share * 0.7).sum((1, 2))) < 1e-14 * np.abs(weights).sum((1, 2))).all()


def test_weights_are_linear_in_D_and_pixels_without_tissue_say_nothing():
    rng = np.random.default_rng(4)
    (a_x, b_x), (a_y, b_y), share = rng.random((2, 8, 9)), rng.random((2, 9, 8)), rng.uniform(0.1, 1, (8, 8))
    share[2, 3:5] = 0
    a, b, both = (
        map_lead_field(D_x, D_y, share, 2.0, AT)
        for D_x, D_y in ((a_x, a_y), (b_x, b_y), (2 * a_x - 3 * b_x, 2 * a_y - 3 * b_y))
    )
    assert np.allclose(both, 2 * a - 3 * b, atol=1e-12 * np.abs(a).max())
    assert not a[:, 2, 3:5].any() and np.abs((a * share).sum((1, 2))).max() < 1e-14 * np.abs(a).sum()


def test_the_weights_are_the_green_identity_read_backward():
    """Against the sum over faces itself, the outer edges ignored, shares below the least one taken to be that."""
    rng = np.random.default_rng(5)
    D_x, D_y, share, u = rng.random((6, 8)), rng.random((7, 7)), rng.uniform(0.2, 1, (6, 7)), rng.random((6, 7))
    share[1, 1] = LEAST_SHARE / 2
    G_x, G_y = face_gradients(Grid((6, 7), 2.0), AT)
    V = u / np.maximum(share, LEAST_SHARE)
    flux = (D_x * G_x)[:, :, 1:-1] * np.diff(V, axis=1), (D_y * G_y)[:, 1:-1] * np.diff(V, axis=0)
    phi_e = flux[0].sum((1, 2)) + flux[1].sum((1, 2))
    assert np.allclose((map_lead_field(D_x, D_y, share, 2.0, AT) * u).sum((1, 2)), phi_e, rtol=1e-12)


def test_far_away_the_weights_are_the_lead_field_of_the_pixels():
    far = center_electrode(Grid((10, 10), 2.0), 400.0)
    rng = np.random.default_rng(6)
    g = face_diffusivity(rng.uniform(0.05, 0.2, (10, 10)), np.ones((10, 10), bool))
    y, x = ((np.arange(10) + 0.5) * 2.0 - 10.0,) * 2
    by_centers = net_flux(1 / np.sqrt(x**2 + y[:, None] ** 2 + 400.0**2), *g)
    weights = map_lead_field(*g[:2], np.ones((10, 10)), 2.0, far)[0]
    assert np.allclose(weights, by_centers, atol=1e-4 * np.abs(by_centers).max())


def test_weights_turn_and_mirror_with_the_sheet_and_its_electrodes():
    sheet, bank = random_sheet(7, texture="patchy"), bank_electrodes(Grid((40, 40), 0.5))
    permutations = match_electrodes(bank.positions, 20.0)

    def weights(D, conductive):
        return map_lead_field(*upscale_faces(D, conductive, 4)[:2], conductive_share(conductive, 4), 2.0, bank)

    former = weights(sheet.D, sheet.conductive)
    for n in range(8):

        def turn(a, n=n):
            a = np.rot90(a, n % 4, (-2, -1))
            return a[..., ::-1] if n >= 4 else a

        turned = weights(turn(sheet.D), turn(sheet.conductive))
        assert np.allclose(turned, turn(former[permutations[n]]), atol=1e-11 * np.abs(former).max())


def test_bad_input_is_refused():
    D = np.full((12, 12), 0.1)
    for pool in (0, 5):
        with pytest.raises(ValueError, match="pool: expected a"):
            upscale_faces(D, D > 0, pool)
        with pytest.raises(ValueError, match="pool: expected a"):
            conductive_share(D > 0, pool)
    with pytest.raises(ValueError, match="pool: expected a"):
        upscale_faces(D[:, :10], D[:, :10] > 0, 4)
    with pytest.raises(ValueError, match="D: expected values >= 0"):
        upscale_faces(-D, D > 0, 4)
    with pytest.raises(ValueError, match=r"D_x: expected \(y, x_face\) of shape \(3, 4\)"):
        map_lead_field(np.ones((3, 3)), np.ones((4, 3)), np.ones((3, 3)), 2.0, AT)
    with pytest.raises(ValueError, match=r"D_y: expected \(y_face, x\) of shape \(4, 3\)"):
        map_lead_field(np.ones((3, 4)), np.ones((3, 3)), np.ones((3, 3)), 2.0, AT)
