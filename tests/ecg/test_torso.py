"""W5, bounded conductors: closed forms against series, the condition on the boundary, numerical Neumann solutions."""

import numpy as np
import pytest
from scipy.sparse import diags, identity, kron
from scipy.sparse.linalg import spsolve
from scipy.special import eval_legendre

from forwardecg.ecg.electrodes import Electrodes, ring_electrodes
from forwardecg.ecg.torso import Disc, Sphere
from forwardecg.tissue.diffusion import face_diffusivity, net_flux
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue, fibrotic, healthy

SHAPE, DX = (40, 50), 0.5  # a sheet of 25 x 20 mm
GRID = Grid(SHAPE, DX)
CENTER = (12.5, 10.0)


def applied(g, tissue):
    """The lead field A g (lead, y, x) of a weight g."""
    return net_flux(g, *face_diffusivity(tissue.D, tissue.conductive))


def lead_field_in(conductor, tissue, electrodes):
    return applied(conductor.weight(tissue, electrodes), tissue)


def distances(tissue, electrodes):
    y, x = ((np.arange(n) + 0.5) * tissue.dx for n in tissue.D.shape)
    at_x, at_y, at_z = electrodes.positions.T[:, :, None, None]
    return np.sqrt((x - at_x) ** 2 + (y[:, None] - at_y) ** 2 + at_z**2)


def second_difference(conductance, periodic=False):
    """Sum over the faces of each cell of conductance times (neighbor - cell); one face after each cell but the last."""
    n = len(conductance) + (0 if periodic else 1)
    to_next = diags([-1.0, 1.0], [0, 1], shape=(len(conductance), n)).tolil()
    if periodic:
        to_next[-1, 0] = 1
    return -to_next.T @ diags(conductance) @ to_next


def solve_up_to_constant(A, b):
    """Solution of the singular A phi = b (rows and b sum to zero) that is zero in the first cell."""
    assert abs(b.sum()) < 1e-10 * np.abs(b).sum()
    return np.append(0.0, spsolve(A.tocsc()[1:, 1:], b[1:]))


def at_boundary(phi, h, slope=0.0):
    """phi (r, ...) at the boundary, half a cell outside the last row, where its outward derivative is ``slope``."""
    last, before = phi[-1] + slope * h / 2, phi[-2] + slope * 3 * h / 2
    return last + (last - before) / 8


def disc_by_finite_volumes(radius, sources, n_r=100, n_theta=200):
    """Potential of point sources in an insulated disc on a polar grid, zero mean on the rim.

    div grad phi = -2 pi sum_k I_k delta_k, no flux through the rim.

    Parameters
    ----------
    sources : {(i, j): I}, cell (i, j) of the grid and strength, the strengths adding up to zero

    Returns
    -------
    r (n_r), theta (n_theta), phi (n_r, n_theta), rim (n_theta): cell centers, potential there and on the rim
    """
    dr, dtheta = radius / n_r, 2 * np.pi / n_theta
    r, theta = (np.arange(n_r) + 0.5) * dr, (np.arange(n_theta) + 0.5) * dtheta
    along_r = second_difference(r[:-1] + dr / 2) * (dtheta / dr)
    along_theta = second_difference(np.ones(n_theta), periodic=True)
    A = kron(along_r, identity(n_theta)) + kron(diags(dr / (r * dtheta)), along_theta)
    b = np.zeros((n_r, n_theta))
    for cell, strength in sources.items():
        b[cell] = -2 * np.pi * strength
    phi = solve_up_to_constant(A, b.ravel()).reshape(n_r, n_theta)
    rim = at_boundary(phi, dr)
    return r, theta, phi - rim.mean(), rim - rim.mean()


def sphere_by_finite_volumes(radius, i_source, n_r=120, n_theta=180):
    """Potential on the surface of a unit point source on the axis of a sphere, on an axisymmetric grid, zero mean.

    div grad phi = -4 pi delta, the current leaving evenly through the surface: d phi / dr = -1 / radius^2 there.

    Returns
    -------
    r0, theta (n_theta), surface (n_theta), share (n_theta): distance of the source (cell ``i_source`` on the axis) from
    the center, angles, potential, and the share of the surface that each angle stands for
    """
    dr, dtheta = radius / n_r, np.pi / n_theta
    r, theta = (np.arange(n_r) + 0.5) * dr, (np.arange(n_theta) + 0.5) * dtheta
    band = -np.diff(np.cos(np.arange(n_theta + 1) * dtheta))  # area of a band of the unit sphere over 2 pi
    along_r = second_difference((r[:-1] + dr / 2) ** 2) / dr
    along_theta = second_difference(np.sin(theta[:-1] + dtheta / 2)) * (dr / dtheta)
    A = kron(along_r, diags(band)) + kron(identity(n_r), along_theta)
    b = np.zeros((n_r, n_theta))
    b[i_source, 0] = -2
    b[-1] += band
    phi = solve_up_to_constant(A, b.ravel()).reshape(n_r, n_theta)
    surface = at_boundary(phi, dr, slope=-1 / radius**2)
    return r[i_source], theta, surface - (surface * band).sum() / 2, band / 2


def rdm_mag(reference, computed, share=1.0):
    """Relative difference measure (shape) and magnification (size) of ``computed`` against ``reference``."""
    size, computed_size = (np.sqrt((share * phi**2).sum()) for phi in (reference, computed))
    return np.sqrt((share * (computed / computed_size - reference / size) ** 2).sum()), computed_size / size


def on_circle(radius, angle):
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


@pytest.mark.parametrize("x", [0.0, 0.3, 0.6, 0.9])
def test_sphere_is_its_legendre_series(x):
    """R g = sum over n >= 1 of (2 n + 1)/n x^n P_n(c): x^n P_n from the source, (n + 1)/n x^n P_n from the surface."""
    radius, n = 70.0, np.arange(1, 400)[:, None]
    c = np.linspace(-1, 1, 41)
    at = radius * np.stack([np.sqrt(1 - c**2), np.zeros_like(c), c], axis=-1)
    series = ((2 * n + 1) / n * x**n * eval_legendre(n, c)).sum(0) / radius
    closed = Sphere(radius, (0, 0, 0)).potential(at, [0, 0, x * radius])
    assert np.abs(closed - series).max() < 1e-10 * max(1 / radius, np.abs(series).max())


@pytest.mark.parametrize("x", [0.0, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("at", [0.95, 1.0])
def test_disc_is_its_fourier_series(x, at):
    """g = -ln(r/R) + sum over n >= 1 of ((r0/r)^n + (r r0/R^2)^n) cos(n gamma)/n for r > r0."""
    radius, n = 70.0, np.arange(1, 600)[:, None]
    gamma = np.linspace(0, 2 * np.pi, 41)
    series = -np.log(at) + (((x / at) ** n + (at * x) ** n) * np.cos(n * gamma) / n).sum(0)
    closed = Disc(radius, (0, 0)).potential(on_circle(at * radius, gamma + 1.1), on_circle(x * radius, 1.1))
    assert np.abs(closed - series).max() < 1e-10 * max(1, np.abs(series).max())


def test_disc_lets_the_current_out_evenly_and_has_zero_mean_on_the_rim():
    """Normal derivative -1/R on the whole rim (-1/(2 pi R) with the factor), wherever the source is; g is symmetric."""
    disc, angle, h = Disc(70.0, (3.0, -4.0)), np.linspace(0, 2 * np.pi, 400, endpoint=False), 0.02
    for source in ((3.0, -4.0), (30.0, 10.0), (-40.0, -35.0)):
        near, nearer, rim = (disc.potential(disc.center + on_circle(70 - k * h, angle), source) for k in (2, 1, 0))
        assert np.abs((3 * rim - 4 * nearer + near) / (2 * h) * 70 + 1).max() < 1e-5
        assert abs(rim.mean()) < 1e-12
    a, b = np.random.default_rng(0).uniform(-40, 40, (2, 100, 2))
    assert np.allclose(disc.potential(a, b), disc.potential(b, a), rtol=0, atol=1e-13)


def test_sphere_has_zero_mean_over_its_surface():
    """Gauss-Legendre in the cosine of the latitude, equal steps in longitude, about an axis that misses the source."""
    sphere, source = Sphere(70.0, (3.0, -4.0, 5.0)), (30.0, 10.0, 0.0)
    c, weight = np.polynomial.legendre.leggauss(80)
    longitude = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    s = np.sqrt(1 - c**2)[:, None]
    at = np.stack([s * np.cos(longitude), s * np.sin(longitude), c[:, None] + 0 * longitude], axis=-1)
    g = sphere.potential(sphere.center + 70 * at, source)
    assert abs((weight[:, None] * g).sum() / 320) < 1e-12 * np.abs(g).max()


@pytest.mark.parametrize("sources", [{(39, 10): 1.0, (69, 90): -1.0}, {(79, 0): 1.0, (79, 12): -1.0}])
def test_disc_agrees_with_finite_volumes(sources):
    """Two opposite sources; on the rim, and in the disc 5 mm and more from them. RDM, |MAG - 1| < .2 % (W5: 1 %)."""
    disc = Disc(70.0, (0, 0))
    r, theta, phi, rim = disc_by_finite_volumes(70.0, sources)
    points = [on_circle(r[i], theta[j]) for i, j in sources]
    inside = on_circle(r[:, None], theta)
    away = np.min([np.linalg.norm(inside - point, axis=-1) for point in points], axis=0) >= 5
    for at, computed in ((on_circle(70.0, theta), rim), (inside[away], phi[away])):
        parts = [disc.potential(at, point) for point in points]
        reference = np.tensordot(list(sources.values()), parts, axes=1)
        rdm, mag = rdm_mag(reference, computed)
        assert rdm < 0.002 and abs(mag - 1) < 0.002


@pytest.mark.parametrize("i_source", [35, 71, 95])
def test_sphere_agrees_with_finite_volumes(i_source):
    """Sources at .30, .60 and .80 of the radius; RDM, |MAG - 1| < .2 % on the surface (W5: 1 %)."""
    sphere = Sphere(70.0, (0, 0, 0))
    r0, theta, surface, share = sphere_by_finite_volumes(70.0, i_source)
    at = 70 * np.stack([np.sin(theta), np.zeros_like(theta), np.cos(theta)], axis=-1)
    rdm, mag = rdm_mag(sphere.potential(at, [0, 0, r0]), surface, share)
    assert rdm < 0.002 and abs(mag - 1) < 0.002


def layout(conductor, angles, height=0.0):
    """Electrodes at ``angles`` about the center: on the rim of a disc; on a sphere, toward ``height`` R."""
    circle = np.append(on_circle(conductor.radius, np.asarray(angles)), np.full((len(angles), 1), height), axis=1)
    at = np.append(conductor.center, 0.0)[:3] + circle * [1, 1, conductor.radius]
    at = conductor.project(at) if isinstance(conductor, Sphere) else at
    return Electrodes(at, tuple(f"e{k}" for k in range(len(angles))))


ANGLES = (0.3, 1.7, 2.9, 4.4, 5.5)
CASES = [  # a rim, a ring inside, a sphere about the sheet, and one with the sheet off its center
    (disc := Disc(30.0, CENTER), layout(disc, ANGLES)),
    (disc, ring_electrodes(GRID, 6, 20.0, z=0.0)),
    (sphere := Sphere(30.0, (*CENTER, 0.0)), layout(sphere, ANGLES, 0.5)),
    (sphere := Sphere(35.0, (14.0, 9.0, -6.0)), layout(sphere, ANGLES, 0.8)),
]


@pytest.fixture
def tissue():
    return fibrotic(healthy(SHAPE, DX, 0.12), seed=0)


@pytest.mark.parametrize("conductor, electrodes", CASES)
def test_weight_is_the_potential_of_each_conductive_cell_and_constant_voltage_gives_zero(conductor, electrodes, tissue):
    g, L = conductor.weight(tissue, electrodes), lead_field_in(conductor, tissue, electrodes)
    assert g.shape == (len(electrodes.names), *SHAPE) and np.isfinite(g).all()
    i, j = (int(k[7]) for k in np.nonzero(tissue.conductive))
    dims = len(conductor.center)
    cell = np.array([(j + 0.5) * DX, (i + 0.5) * DX, 0.0])
    assert np.allclose(g[:, i, j], conductor.potential(electrodes.positions[:, :dims], cell[:dims]), rtol=1e-13)
    assert np.abs(L.sum((1, 2))).max() < 1e-12 * np.abs(L).sum((1, 2)).max()


@pytest.mark.parametrize("conductor, electrodes", CASES)
def test_a_quarter_turn_of_everything_changes_nothing(conductor, electrodes, tissue):
    turned = Tissue(D=np.rot90(tissue.D), conductive=np.rot90(tissue.conductive), dx=DX)

    def turn(at):  # the first row becomes the last: x, y -> y, width - x
        return np.concatenate([at[..., 1:2], SHAPE[1] * DX - at[..., :1], at[..., 2:]], axis=-1)

    center = tuple(turn(np.array(conductor.center)))
    L = lead_field_in(conductor, tissue, electrodes)
    L_turned = lead_field_in(
        type(conductor)(conductor.radius, center), turned, Electrodes(turn(electrodes.positions), electrodes.names)
    )
    assert np.abs(np.rot90(L, axes=(1, 2)) - L_turned).max() < 1e-12 * np.abs(L).max()


def test_any_rotation_about_the_center_changes_nothing():
    rng = np.random.default_rng(3)
    for conductor in (Disc(30.0, (2.0, 1.0)), Sphere(30.0, (2.0, 1.0, -3.0))):
        n = len(conductor.center)
        Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
        at, source = rng.standard_normal((2, 50, n))
        at = 30 * at / np.linalg.norm(at, axis=-1, keepdims=True)
        source *= 20 / np.linalg.norm(source, axis=-1).max()
        g = conductor.potential(conductor.center + at, conductor.center + source)
        turned = conductor.potential(conductor.center + at @ Q, conductor.center + source @ Q)
        assert np.abs(g - turned).max() < 1e-12 * np.abs(g).max()


def test_symmetric_electrodes_agree():
    """A plane front on a healthy sheet: electrodes mirrored in its middle line, or in its plane."""
    sheet = healthy(SHAPE, DX, 0.1)
    front = np.where(np.arange(SHAPE[1]) < 30, 15.0, -85.0) * np.ones((SHAPE[0], 1))
    disc, sphere = CASES[0][0], CASES[2][0]
    for conductor, height in ((disc, 0.0), (sphere, 0.0), (sphere, 0.6), (sphere, -0.6)):
        a, b = np.tensordot(lead_field_in(conductor, sheet, layout(conductor, (0.4, -0.4), height)), front)
        assert a > 0 and b == pytest.approx(a, rel=1e-11)  # the wave comes toward them: positive
    above, below = (np.tensordot(lead_field_in(sphere, sheet, layout(sphere, (0.4,), h)), front) for h in (0.6, -0.6))
    assert above == pytest.approx(below, rel=1e-11)


def test_rim_of_a_disc_sees_exactly_twice_the_unbounded_plane(tissue):
    """On the rim the image coincides with the source, g = -2 ln(|r - r0|/R): whatever the size of the disc."""
    for disc in (Disc(17.0, CENTER), Disc(300.0, CENTER)):
        electrodes = layout(disc, ANGLES)
        plane = applied(-np.log(distances(tissue, electrodes)), tissue)
        L = lead_field_in(disc, tissue, electrodes)
        assert np.abs(L - 2 * plane).max() < 1e-10 * np.abs(L).max()


def test_far_boundary_of_a_disc_is_not_felt(tissue):
    """Electrodes that stay near the sheet while the rim recedes: the ECG of the unbounded plane, the rest as 1/R^2."""
    V_m = -85 + 100 * np.random.default_rng(4).random(SHAPE)
    electrodes = ring_electrodes(GRID, 5, 20.0, z=0.0)
    plane = applied(-np.log(distances(tissue, electrodes)), tissue)
    error = [
        np.abs(np.tensordot(lead_field_in(Disc(radius, CENTER), tissue, electrodes) - plane, V_m)).max()
        for radius in (1e2, 1e3)
    ]
    assert error[0] / error[1] == pytest.approx(100, rel=0.05)
    assert error[1] < 1e-3 * np.abs(np.tensordot(plane, V_m)).max()


def test_surface_of_a_large_sphere_sees_three_times_the_unbounded_dipole(tissue):
    """Term n of the series is (2 n + 1)/n of that of 1/r: 3 for the dipole, the rest falls as 1/R against it."""
    front = np.where(np.arange(SHAPE[1]) < 20, 15.0, -85.0) * np.ones((SHAPE[0], 1))
    error = []
    for radius in (1e3, 1e4):
        sphere = Sphere(radius, (*CENTER, 0.0))
        electrodes = layout(sphere, (0.4, -0.2), 0.3)
        phi = np.tensordot(lead_field_in(sphere, tissue, electrodes), front)
        error.append(np.abs(phi / np.tensordot(applied(1 / distances(tissue, electrodes), tissue), front) - 3).max())
    assert error[0] < 0.02 and error[0] / error[1] == pytest.approx(10, rel=0.1)


def test_an_electrode_in_a_hole_of_the_tissue_is_allowed(tissue):
    """Cells that do not conduct may hold an electrode, or be outside: they have no faces, and the lead field no NaN."""
    conductive = np.hypot(*np.meshgrid(np.arange(50) - 24.5, np.arange(40) - 19.5)) < 18
    conductive[18:22, 20:24] = False
    sheet = Tissue(D=tissue.D, conductive=conductive, dx=DX)
    electrodes = Electrodes(np.array([[11.25, 10.25, 0.0]]), ("in the hole",))
    L = lead_field_in(Disc(10.0, CENTER), sheet, electrodes)  # the corners of the sheet are outside this disc
    assert np.isfinite(L).all() and L.any() and not L[:, ~conductive].any()


def test_bad_input_is_refused():
    sheet, sphere, disc = healthy(SHAPE, DX, 0.1), Sphere(30.0, (*CENTER, 0.0)), Disc(30.0, CENTER)
    tight, shifted, larger = Sphere(16.0, (*CENTER, 0.0)), Disc(30.0, (30.0, 10.0)), Sphere(33.0, (*CENTER, 0.0))
    with pytest.raises(ValueError, match="sheet: expected every conductive cell within 16.0 mm"):
        tight.weight(sheet, layout(tight, ANGLES))
    with pytest.raises(ValueError, match="sheet: expected every conductive cell within 30.0 mm"):
        shifted.weight(sheet, layout(shifted, ANGLES))
    with pytest.raises(ValueError, match="from the center of the sphere, .* got 'e0' at 33 mm"):
        sphere.weight(sheet, layout(larger, ANGLES))
    with pytest.raises(ValueError, match="at most 30.0 mm from the center of the disc, got 'e0' at z = 0 mm, 33 mm"):
        disc.weight(sheet, layout(Disc(33.0, CENTER), ANGLES))
    with pytest.raises(ValueError, match="expected z = 0 .* got 'ring1' at z = 4 mm"):
        disc.weight(sheet, ring_electrodes(GRID, 3, 20.0, z=4.0))
    with pytest.raises(ValueError, match="at least dx = 0.5 mm from conductive cells, got 'e' at 0.354 mm"):
        disc.weight(sheet, Electrodes(np.array([[5.0, 5.0, 0.0]]), ("e",)))
    cell, under = healthy((1, 1), DX, 0.1), Sphere(30.0, (0.25, 0.25, -29.6))
    with pytest.raises(ValueError, match="at least dx = 0.5 mm from conductive cells, got 'top' at 0.4 mm"):
        under.weight(cell, Electrodes(under.project([[0.25, 0.25, 1.0]]), ("top",)))
    with pytest.raises(ValueError, match="radius: expected a number > 0 .* mm, got 0"):
        Disc(0, CENTER)
    with pytest.raises(ValueError, match=r"center: expected"):
        Sphere(30.0, CENTER)
    with pytest.raises(ValueError, match="points away from the center"):
        sphere.project((*CENTER, 0.0))
