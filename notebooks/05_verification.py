# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   page:
#     question: Do solver and ECG do what their equations say, and where do they fail?
#     answer: >-
#       All {headline}`verification_rows_passed` promised checks pass, as they must for
#       this page to be published; the promise covers waves from an edge, and outside it
#       the grid of the data set misses the tolerances in diffuse fibrosis, with an ECG
#       of R² {headline}`calibrated_ecg_r2_diffuse` against a finer grid, on curved and
#       diagonal fronts, and across oblique fibers.
#     next:
#       page: notebooks/06_cost
#       why: what all this costs in time
#     needs:
#     - results/04_reentry.headline.json
#     - results/bench_nversion.csv
#     - results/runs/gold.csv
#     makes:
#       results/05_verification.csv: >-
#         every check with expected and obtained value, tolerance and verdict
#       results/05_verification_grids.csv: >-
#         ECGs and delays of coarse grids against a fine one, by tissue
#     smoke: {
#       size_mm: 24.0, t_end: 120.0, circle_mm: 24.0, n_D: 15, processes: 1,
#       orders: [20, 40, 80], refined: [5, 6], shells: [16, 32]
#     }
# ---

# %% [markdown]
# # Verification of the solver and the ECG
#
# **Question.** Do the solver and the ECG do what the theory pages say, and
# where do they fail? They are compared with solutions in closed form, with
# symmetries that must hold exactly, with values of other codes, and with
# their own results on a much finer grid.
#
# Every section adds rows to one table with the case, the expected value,
# the obtained value and a verdict. The table is printed at the end.
# {doc}`../book/verification` explains how a verdict is formed; the symbols
# are in {doc}`../book/notation`.
#
# The page needs the cycle length of the spiral of {doc}`04_reentry`, the
# activation times of the comparison with Finitewave, and the comparison
# with an ECG of MonoAlg3D. To run it with other values:
#
#     make run NB=05_verification SET="size_mm=60 z_near_mm=10"

# %% tags=["hide-input"]
from bisect import bisect_left
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from scipy.sparse import diags, identity, kron
from scipy.sparse.linalg import spsolve
from scipy.special import eval_legendre

from compendium import figures, shapes
from compendium.record import Headline, result_file
from compendium.tables import printed
from forwardecg.contract import V_REST, V_SPAN
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import distances, lead_field, pseudo_ecg, source_sum_ecg
from forwardecg.ecg.mesh import Mesh, mesh_of
from forwardecg.ecg.torso import Disc, Sphere
from forwardecg.measure.scores import r2
from forwardecg.measure.waves import activation_time, apd90
from forwardecg.paths import RESULTS, progress
from forwardecg.solver.calibration import (
    D_REFERENCE,
    cable_cv,
    calibrate_diffusivity,
    converged_cv,
)
from forwardecg.solver.simulation import simulate, solve
from forwardecg.tissue import cell
from forwardecg.tissue.cell import FK_CAF, constants, currents, gates, slow_inward_rate
from forwardecg.tissue.diffusion import couplings, net_flux
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import (
    TEXTURES,
    Tissue,
    combined,
    fibrotic,
    gap_junction,
    healthy,
    with_fibers,
)
from forwardecg.tissue.stimulus import Stimulus, edge_stimulus, focal_stimulus, s1_s2

figures.set_style()
headline = Headline("05_verification")
pd.set_option(
    "display.max_rows",
    200,
    "display.max_colwidth",
    None,
    "display.float_format",
    "{:.7g}".format,
)

# %% [markdown]
# ## Parameters
#
# All values can be changed, but the references below belong to the first
# three. On a coarser grid the page stops at its assertion, as it should.
#
# The first group is the grid of the reference values, which is fine enough
# to need no {ref}`calibration <calibration>`. The second group belongs to
# the comparison of the production grid with a much finer one. Its sheet is
# smaller than those of the data set, so that the fine run stays affordable.
# Its electrode is at the height of the data set.

# %% tags=["parameters"]
dx = 0.1  # mm, cell of the fine grid of the references
dt = 0.01  # ms, its time step
length_mm = 30.0  # mm, cable
circle_mm = 32.0  # mm, side of the quarter sheet with the expanding circle
orders = [20, 40, 80, 160, 320]  # cells along the side, manufactured solution
refined = [3, 4, 5, 6]  # times that the triangles of a sphere are cut into four
shells = [8, 16, 32, 48]  # boxes along the side of the cube that becomes a ball
fiber_ratio = 4.0  # diffusivity along fibers over that across them
size_mm = 100.0  # mm, sheet of the comparison of grids
t_end = 300.0  # ms, its duration
D0 = 0.13  # mm^2/ms, diffusivity of the healthy part
seeds = [0, 1, 6, 5]  # one for each condition
refine = 4  # fine cells along the side of one cell of 0.5 mm
dt_fine = 0.0125  # ms, time step of the fine grid
z_mm = 40.0  # mm, height of the electrode above the center
z_near_mm = 6.0  # mm, height of the near electrode
n_D = 40  # diffusivities at which the calibrated velocity is measured
processes = 2  # fine runs at the same time

# %% [markdown]
# ## Conservation and rest (V3)
#
# A verdict is one comparison: is the obtained value within the tolerance of
# the expected one? Bounds are written in the same way, with the error as
# the value and zero as the expectation. {ref}`verdicts` has the rules; it
# also explains why every expected value comes from somewhere else than from
# this solver, and which two do not. Some rows are only shown. They have no
# tolerance, or they test what the method does not promise. The last
# argument of `check` marks the rows without a promise. Nothing else decides
# which verdicts the page insists on.
#
# The first rows hold to rounding or not at all, on fibrotic tissue with and
# without fibers. What leaves one cell enters others. The operator is
# symmetric, which the {ref}`lead field <lead-field>` requires. A cell that
# does not conduct stays as it is during a whole beat around it.

# %%
rows = []


def check(case, what, obtained, expected=0.0, tolerance=np.nan, promised=True):
    verdict = "pass" if abs(obtained - expected) <= tolerance else "fail"
    verdict = "not judged" if np.isnan(tolerance) else verdict
    rows.append((case, what, expected, tolerance, float(obtained), verdict, promised))


raw = dict(calibrated=False, dtype=np.float64)
D = D_REFERENCE  # 0.1 mm^2/ms, the diffusivity of all references
shape, angle = (48, 48), np.linspace(0.2, 1.3, 48) * np.ones((48, 1))
plain = healthy(shape, 0.5, 0.12)
small = fibrotic(plain, "diffuse", seed=0)
fibers = with_fibers(fibrotic(plain, "patchy", seed=0), angle, 4.0)
a, b = np.random.default_rng(1).standard_normal((2, *shape))
for name, tissue in {"no fibers": small, "fibers": fibers}.items():
    A_a, A_b = (net_flux(each, *couplings(tissue)) for each in (a, b))
    check(
        "V3",
        f"sum of A u over sum of |A u|, {name}",
        A_a.sum() / np.abs(A_a).sum(),
        0,
        1e-12,
    )
    check(
        "V3",
        f"asymmetry of A, {name}",
        (a * A_b - b * A_a).sum() / np.abs(a * A_b).sum(),
        0,
        1e-12,
    )
    *_, state = solve(tissue, [edge_stimulus(tissue)], t_end=60, every=60)
    check(
        "V3",
        f"|u| where nothing conducts, {name}",
        np.abs(state.u[~tissue.conductive]).max(),
        0,
        0,
    )

# %% [markdown]
# ## Order in space: a manufactured solution (V1)
#
# {ref}`manufactured` describes the method: choose a smooth $u$, work out
# $\nabla\cdot(D\nabla u)$, and measure how fast the result of the grid
# approaches it. The diffusivity varies in both directions. The second
# variant has fibers as well, which conduct four times better along than
# across and turn within the sheet. The divergence is computed with a
# complex step, a derivative that is exact to rounding.
#
# The chosen $u$ is a product of cosines. Its normal derivative vanishes at
# the edge, and the fibers run along the axes there. The solution therefore
# satisfies the no-flux condition, and the error is taken over *all* cells,
# the rim included.

# %%
q = np.pi / 20  # 1/mm, half a wave over a sheet of 20 mm


def flux(x, y, ratio):
    D_l = D * (1 + 0.4 * np.cos(q * x) * np.cos(2 * q * y))
    th = 0.8 * np.sin(q * x) * np.sin(q * y)
    u_x = -2 * q * np.sin(2 * q * x) * np.cos(q * y)
    u_y = -q * np.cos(2 * q * x) * np.sin(q * y)
    u_along = np.cos(th) * u_x + np.sin(th) * u_y
    u_across = (np.cos(th) * u_y - np.sin(th) * u_x) / ratio
    along_x = D_l * (np.cos(th) * u_along - np.sin(th) * u_across)
    return along_x, D_l * (np.sin(th) * u_along + np.cos(th) * u_across)


def operator_error(m, ratio, step=1e-30):
    x, y = np.meshgrid(*[(np.arange(m) + 0.5) * 20 / m] * 2)
    D_l = D * (1 + 0.4 * np.cos(q * x) * np.cos(2 * q * y))
    sheet = replace(healthy((m, m), 20 / m, D), D=D_l)
    if ratio > 1:
        sheet = with_fibers(sheet, 0.8 * np.sin(q * x) * np.sin(q * y), ratio)
    exact = flux(x + 1j * step, y, ratio)[0] + flux(x, y + 1j * step, ratio)[1]
    exact = exact.imag / step
    u = np.cos(2 * q * x) * np.cos(q * y)
    obtained = net_flux(u, *couplings(sheet)) / sheet.dx**2
    return np.sqrt(np.square(obtained - exact).mean())


space = {
    ratio: np.array([operator_error(m, ratio) for m in orders]) for ratio in (1.0, 4.0)
}
for ratio, name in ((1.0, "isotropic, D varies"), (4.0, "fibers turn, ratio 4")):
    finer = np.log(np.divide(orders[1:], orders[:-1]))
    observed = np.log(space[ratio][:-1] / space[ratio][1:]) / finer
    check("V1", f"order in dx, {name}", observed[-1], 2, 0.1)

# %% [markdown]
# ## Order in time (V1 and V2)
#
# Time constants that are practically infinite switch the reaction off. The
# solver then computes pure diffusion, and a cosine of wave number $k$
# decays as $\exp(-D k^2 t)$. A strip of stimulus contains many cosines at
# once. Projecting the voltage onto one of them selects it. On the grid the
# cosine is still an eigenvector, with $k$ replaced by
# $(2/\Delta x)\sin(k\Delta x/2)$. This separates three statements: the loop
# does exactly what an explicit Euler step says; that step approaches the
# exponential with order one; and the cosine on the grid decays nearly as
# the true one.
#
# Order one must also hold with the reaction on. There the velocity of the
# wave is what converges. An order belongs to a pair of consecutive steps,
# of which one is half the other. All pairs are judged, by the one whose
# order is farthest from one.


# %%
def worst_order(errors):
    """Order of the pair of consecutive steps that is farthest from order one."""
    observed = np.log2(errors[:-1] / errors[1:])
    return observed[np.abs(observed - 1).argmax()]


passive = replace(FK_CAF, tau_d=1e290, tau_0=1e290, tau_r=1e290, tau_si=1e290)
k = 4 * np.pi / 32  # 1/mm, two waves over a cable of 32 mm
mode = np.cos(k * (np.arange(128) + 0.5) * 0.25)
k_grid = 2 / 0.25 * np.sin(k * 0.25 / 2)
decay, time_steps = {}, [0.1, 0.05, 0.025, 0.0125]  # ms
for step in time_steps:
    strip = [edge_stimulus(Grid((1, 128), 0.25), width=4.0)]
    run = dict(t_end=42, every=2, dt=step, cell=passive, **raw)
    states = solve(healthy((1, 128), 0.25, D), strip, **run)
    amplitude = [state.u[0] @ mode for state in states]
    decay[step] = amplitude[-1] / amplitude[1]  # 40 ms after the end of the stimulus
    euler = (1 - step * D * k_grid**2) ** round(40 / step)
time_error = np.abs(np.array([*decay.values()]) / np.exp(-40 * D * k_grid**2) - 1)
check("V1", "order in dt, reaction off", worst_order(time_error), 1, 0.05)
check(
    "V2", "cosine mode, Euler factor, relative error", decay[step] / euler - 1, 0, 1e-9
)
check(
    "V2",
    "cosine mode, exp(-D k^2 t), relative error",
    decay[step] / np.exp(-40 * D * k**2) - 1,
    0,
    2e-3,
)
cv_step = np.diff([cable_cv(D, dx, step) for step in (0.02, 0.01, 0.005, 0.0025)])
check("V1", "order in dt of CV, reaction on", worst_order(cv_step), 1, 0.1)

# %% [markdown]
# ## Values of an independent code (V4)
#
# The velocity, duration and refractory period of three parameter sets are
# compared with those of an independent pilot code on the same grid with the
# same step. For two more sets the duration is compared. The duration is
# read in the middle of a cable, from a propagated beat. The refractory
# period is the shortest S2 interval, after three beats 400 ms apart, whose
# wave arrives near the far end. It is found by bisection to 1 ms. This
# assumes that a wave gets through at every interval longer than the
# shortest one. The durations of the last two sets came without a tolerance;
# theirs is ours.

# %%
n_x = round(length_mm / dx)
cable, edge = healthy((1, n_x), dx, D), edge_stimulus(Grid((1, n_x), dx))


def duration(fk):
    run = simulate(cable, [edge], t_end=450, frame_interval=0.5, cell=fk, dt=dt, **raw)
    return float(apd90(run.V_m.isel(y_map=0, x_map=n_x // 2)))


def beats(s2, fk):
    stimuli, how = s1_s2(edge, 400, 3, [s2]), dict(cell=fk, dt=dt, **raw)
    run = solve(cable, stimuli, t_end=1000 + s2, every=1, **how)
    far = np.array([state.u[0, -round(5 / dx)] for state in run])
    return np.count_nonzero((far[:-1] < 0.5) & (far[1:] >= 0.5))


known = {
    "FK_CAF": (64.4, 107, 2, 97, 3),
    "FK_MLR1": (61.1, 244, 4, 236, 4),
    "FK_MBR": (45.8, 161, 3, 184, 4),
}
for name, (cv, apd, apd_off, erp, erp_off) in known.items():
    fk = getattr(cell, name)
    check("V4", f"CV of {fk.name}, cm/s", 100 * cable_cv(D, dx, dt, fk), cv, 0.5)
    check("V4", f"APD90 of {fk.name}, ms", duration(fk), apd, apd_off)
    intervals = range(erp - 20, erp + 20)
    found = bisect_left(intervals, 4, key=lambda s2, fk=fk: beats(s2, fk))
    shortest = erp - 20 + found
    check("V4", f"ERP of {fk.name}, ms", shortest, erp, erp_off)
for fk, apd in ((cell.FK_BR, 264), (cell.FK_GP, 170)):
    check("V4", f"APD90 of {fk.name}, ms", duration(fk), apd, 4)
check("V4", "converged CV of FK-CAF, mm/ms", converged_cv(FK_CAF), 0.655, 0.003)

# %% [markdown]
# The next rows are the restitution: duration and velocity of an early beat
# after a given rest. The reference has no tolerance and does not say on
# which grid it was measured. Its velocity after a long rest fits a grid of
# about 0.25 mm and a step of some hundredths of a millisecond. We use
# these, with tolerances of our own. The shortest rest of the reference, 4
# ms, cannot be judged. A wave that starts so early travels slowly at first,
# and by the middle of the cable its rest has grown to more than 11 ms.

# %%
coarse = 0.25  # mm
n_25, at = round(length_mm / coarse), [round(x / coarse) for x in (10, 15, 20)]
for s2, rest, apd, cv in (
    (123.2, 25, 99, 47.6),
    (176.0, 74, 102, 52.2),
    (379.6, 275, 105, 58.4),
):
    beat = s1_s2(edge_stimulus(Grid((1, n_25), coarse)), 400, 3, [s2])
    run = dict(t_end=1000 + s2, frame_interval=0.2, dt=0.04, **raw)
    V_m = simulate(healthy((1, n_25), coarse, D), beat, **run).V_m
    V_m = V_m.isel(y_map=0, x_map=at)
    first, early = (
        xr.concat([V_m[:1], V_m.sel(time=slice(t, None))], "time")
        for t in (801, 800 + s2)
    )
    lat, end = activation_time(early), activation_time(first) + apd90(first)
    check("V4", f"rest before S2 at {s2:g} ms, ms", lat[1] - end[1], rest, 1)
    check("V4", f"APD90 of FK-CAF after {rest} ms of rest, ms", apd90(early)[1], apd, 2)
    check(
        "V4",
        f"CV of FK-CAF after {rest} ms of rest, cm/s",
        1000 / float(lat[2] - lat[0]),
        cv,
        1,
    )
progress("V1 to V4: done")

# %% [markdown]
# ## Scaling, turning and mirroring (V5 and V6)
#
# The scaling {eq}`eq-scaling` must hold on any grid. A tissue that is
# turned or mirrored, fibers included, must give the same operator and the
# same step to rounding. During a whole beat the rounding is amplified at
# every threshold that is crossed, so activation times get a small
# tolerance.
#
# A sheet with fibers is turned together with the angle of its fibers. A
# quarter turn subtracts a right angle. A mirror changes the sign. Where
# rows become columns, the angle is counted from the other axis. The angle
# differs from column to column, so none of the three is a symmetry of the
# tissue itself.

# %% tags=["hide-input"]
for alpha in (0.2, 0.5, 2.0):
    stretched = cable_cv(alpha * D, np.sqrt(alpha) * 0.25, 0.05) / (
        np.sqrt(alpha) * cable_cv(D, 0.25, 0.05)
    )
    check(
        "V5",
        f"CV(alpha D) / (sqrt(alpha) CV(D)) - 1, alpha {alpha:g}",
        stretched - 1,
        0,
        1e-9,
    )
moves = {"quarter turn": np.rot90, "mirror": np.fliplr, "transpose": np.transpose}
turned_angle = {
    "quarter turn": angle - np.pi / 2,
    "mirror": -angle,
    "transpose": np.pi / 2 - angle,
}
start = focal_stimulus(Grid(shape, 0.5), 8, 15)
run = dict(t_end=60, every=1, dtype=np.float64)
states = [(state.u.copy(), state.lat.copy()) for state in solve(fibers, [start], **run)]
for name, move in moves.items():
    parts = {
        part: move(getattr(fibers, part)).copy()
        for part in ("D", "D_across", "conductive")
    }
    turned = Tissue(dx=0.5, fiber_angle=move(turned_angle[name]).copy(), **parts)
    operator = move(net_flux(a, *couplings(fibers))) - net_flux(
        move(a), *couplings(turned)
    )
    again = [
        (state.u.copy(), state.lat.copy())
        for state in solve(turned, [replace(start, mask=move(start.mask))], **run)
    ]
    check("V6", f"operator after a {name}", np.abs(operator).max(), 0, 1e-12)
    check(
        "V6",
        f"u after 1 ms, {name}",
        np.abs(move(states[1][0]) - again[1][0]).max(),
        0,
        1e-12,
    )
    check(
        "V6",
        f"LAT after a beat, {name}, ms",
        np.abs(move(states[-1][1]) - again[-1][1]).max(),
        0,
        1e-6,
    )

# %% [markdown]
# ## Curved fronts (V7)
#
# The next two cases are laws that nobody put into the code. A front that
# expands as a circle has to feed more tissue than it comes from. To first
# order in the curvature its speed is $\mathrm{CV}_0 - D/R_f$, with the
# radius $R_f$ of the front and the speed $\mathrm{CV}_0$ of a straight one.
# The slope is the diffusivity itself. A quarter of the circle is enough,
# because the edges of the sheet act as mirrors. Speeds are taken along the
# axis and along the diagonal, over 2 mm each.
#
# The diffusivity in this law is that of the equation on the grid. The fine
# grid runs with the physical one. The grid of the data set runs with
# $D_\mathrm{num}$, so its curved fronts must be *too* slow. We measure how
# much.

# %% tags=["hide-input"]


def circle(dx, dt, **how):
    m = round(circle_mm / dx)
    states = solve(
        healthy((m, m), dx, D),
        [focal_stimulus(Grid((m, m), dx), 0, 0, 3)],
        t_end=70,
        every=70,
        dt=dt,
        **how,
    )
    lat, r, reach = list(states)[-1].lat, (np.arange(m) + 0.5) * dx, round(1 / dx)
    for name, R, t in (
        ("axis", np.hypot(r, dx / 2), lat[0]),
        ("diagonal", r * np.sqrt(2), np.diag(lat)),
    ):
        middle, speed = (
            R[reach:-reach],
            (R[2 * reach :] - R[: -2 * reach]) / (t[2 * reach :] - t[: -2 * reach]),
        )
        ok = (middle > 5) & (middle < 0.8 * circle_mm)
        yield name, middle[ok], speed[ok], np.polyfit(1 / middle[ok], speed[ok], 1)


curvature = {}
for grid, (h, step, how) in {"fine": (dx, dt, raw), "data set": (0.5, 0.1, {})}.items():
    curvature |= {(grid, name): rest for name, *rest in circle(h, step, **how)}
for (grid, name), (*_, fit) in curvature.items():
    promised = grid == "fine"
    plane = cable_cv(D, dx, dt) if promised else converged_cv(FK_CAF)
    where = f"{name}, {grid} grid"
    check(
        "V7",
        f"slope of speed against curvature, {where}, mm^2/ms",
        -fit[0],
        D,
        0.15 * D,
        promised,
    )
    check(
        "V7",
        f"relative error of CV without curvature, {where}",
        fit[1] / plane - 1,
        0,
        0.01,
        promised,
    )

# %% [markdown]
# ## Far field (W3)
#
# From far away, a front that ends at the border of the sheet is a dipole,
# and its potential falls as the square of the distance. A closed front has
# no dipole. What remains of it falls as the cube. Neither exponent is
# written in the code. Each results when a few thousand sources of both
# signs cancel. For the open front the direction to the electrode is
# slanted, because straight above a front its dipole gives no potential. For
# the closed front the direction is vertical.

# %%
patch, r = healthy((80, 80), 0.5, D), np.geomspace(40, 4000, 13)  # a sheet of 40 mm; mm
x = (np.arange(80) + 0.5) * 0.5 - 20
fronts = {
    "open": np.tile(np.tanh(-x / 0.6), (80, 1)),
    "closed": np.tanh((10 - np.hypot(x, x[:, None])) / 0.6),
}
away, fall = {"open": (0.6, 0, 0.8), "closed": (0, 0, 1)}, {}
for (name, u), slope in zip(fronts.items(), (-2, -3), strict=True):
    far = Electrodes(
        np.array([20, 20, 0]) + r[:, None] * np.array(away[name]),
        tuple(f"{each:g}" for each in r),
    )
    fall[name] = 50 * np.abs(
        pseudo_ecg(u[None], patch, far).values[:, 0]
    )  # a front of 100 mV
    fitted = np.polyfit(np.log(r[r > 500]), np.log(fall[name][r > 500]), 1)[0]
    check("W3", f"log-log slope of the far field, {name} front", fitted, slope, 0.01)

# %% tags=["hide-input"]
fig, axes = plt.subplots(2, 2, figsize=(9.5, 8))
(in_space, in_time), (bent, distant) = axes
h = 20 / np.array(orders)
for (ratio, error), style in zip(space.items(), ("o-", "s--"), strict=True):
    in_space.loglog(
        h, error, style, label="no fibers" if ratio == 1 else f"fibers, ratio {ratio:g}"
    )
in_space.loglog(
    h, space[1.0][-1] * (h / h[-1]) ** 2 / 2, ":", color="black", label="slope 2"
)
in_time.loglog(time_steps, time_error, "o-", label="cosine mode, reaction off")
in_time.loglog(
    [0.02, 0.01, 0.005],
    cv_step / converged_cv(FK_CAF),
    "s--",
    label="CV, change on halving the step",
)
in_time.loglog(
    time_steps,
    time_error[0] * np.divide(time_steps, 0.1) / 2,
    ":",
    color="black",
    label="slope 1",
)
for ((grid, name), (R, speed, fit)), style in zip(
    curvature.items(), "os^v", strict=True
):
    few = slice(None, None, R.size // 12)
    (points,) = bent.plot(
        1 / R[few], speed[few], style, ms=4, mfc="none", label=f"{grid} grid, {name}"
    )
    bent.plot([0, 0.2], np.polyval(fit, [0, 0.2]), lw=1, color=points.get_color())
bent.plot(
    [0, 0.2],
    cable_cv(D, dx, dt) - D * np.array([0, 0.2]),
    "--",
    color="black",
    label=r"$\mathrm{CV}_0 - D/R_f$",
)
bent.set_xticks([0, 0.05, 0.1, 0.15, 0.2])
for (name, phi), slope in zip(fall.items(), (-2, -3), strict=True):
    (points,) = distant.loglog(r, phi, "o", label=f"{name} front")
    distant.loglog(
        r,
        phi[-1] * (r / r[-1]) ** slope,
        "--",
        lw=1,
        color=points.get_color(),
        label=f"slope {slope}",
    )
labels = (
    "$\\Delta x$ (mm)",
    "$\\Delta t$ (ms)",
    "curvature of the front, $1/R_f$ (1/mm)",
    "distance (mm)",
)
heights = (
    "RMS error of $A u/\\Delta x^2$ (1/ms)",
    "relative error",
    "speed (mm/ms)",
    figures.PHI_E_LABEL,
)
for ax, xlabel, ylabel in zip(axes.flat, labels, heights, strict=True):
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend(fontsize="small")
# room for its legend
bent.set_ylim(top=bent.get_ylim()[1] + 0.35 * np.ptp(bent.get_ylim()))
figures.show(
    fig,
    "Four panels of checks. Errors fall along lines of slope two in space and one in "
    "time; the speed of a curved front falls with its curvature; the potential of a "
    "distant front falls with the square or the cube of the distance.",
)

# %% [markdown]
# Top: the errors fall along straight lines with the slopes that the method
# claims. The slope is two in space, with and without fibers, and one in
# time, with and without the reaction. A mistake in one coefficient would
# not shift a line. It would make the line flat, because the error would
# stop at the size of the mistake. Bottom left: on the fine grid the points
# along the axis lie on the dashed line, which has no free parameter. Those
# along the diagonal lie half a percent above it, with the same slope. On
# the grid of the data set a straight wave along the axis has the right
# speed. Along the diagonal it is too fast, because diagonal rows of cells
# are closer together. Both lines of this grid are steeper than the law.
# Bottom right: two straight lines over two decades, which bend only where
# the distance is no longer large compared with the sheet. A scheme that
# lost the balance of fluxes would add a third slope, minus one, which would
# dominate at large distances.
#
# Neither fibrosis nor very small circles are tested here. Next to a closed
# face no smooth solution exists, and every scheme loses second order there;
# the cost of this is measured below. Below a radius of a few millimeters
# the law of curvature is no longer linear.

# %% [markdown]
# ## Spiral, rates and another code (V8, V9 and V11)
#
# There is no exact value for the period of a spiral. The published value of
# the atrial set comes from an anisotropic sheet and another code. The table
# lists ours next to it and gives no verdict. The rates are judged. At rest
# all of them must vanish. The slow inward current must follow $w$ and
# ignore $v$. On each side of $u_v$ the gate $v$ must recover with the time
# constant of that side, so a swap would be found here.
#
# The last check uses the code of another group. Two sheets after the
# benchmark of {cite:t}`Niederer2011`, one with fibers and one without, were
# run with Finitewave in an environment of its own, and with this solver,
# both without calibration. The activation times at a few points were
# stored. Both codes have the same order in space and time, so they should
# agree on every grid and not only in the limit. All grids are judged, by
# the point that differs most. The tolerance is ours: a twentieth of a
# millisecond, which is ten time steps of that comparison. {doc}`06_cost`
# shows the times.

# %% tags=["hide-input"]
published = pd.read_json(RESULTS / "04_reentry.headline.json")
spiral = published["spiral_cycle_length_ms"]["value"]
check("V8", "cycle length of the FK-CAF spiral, ms (published: 91 +- 3)", spiral, 91)
c = constants(FK_CAF, dt, np.float64)
at_rest = currents(0.0, 1.0, 1.0, slow_inward_rate(0.0, c), c)
check("V9", "largest current at rest, 1/ms", np.abs(at_rest).max() / dt, 0, 1e-12)
check(
    "V9",
    "change of the open gates at rest",
    np.abs(np.subtract(gates(0.0, 1.0, 1.0, c), 1)).max(),
    0,
    0,
)
J_si = {
    (v, w): currents(0.9, v, w, slow_inward_rate(0.9, c), c)[2]
    for v in (0.5, 0.9)
    for w in (0.5, 0.9)
}
check(
    "V9", "J_si, change with v from 0.5 to 0.9", J_si[0.9, 0.5] - J_si[0.5, 0.5], 0, 0
)
check(
    "V9",
    "J_si, factor when w goes from 0.5 to 0.9",
    J_si[0.5, 0.9] / J_si[0.5, 0.5],
    1.8,
    1e-12,
)
for side, shift, tau in (
    ("below", -1e-6, FK_CAF.tau_v_minus_low),
    ("above", 1e-6, FK_CAF.tau_v_minus_high),
):
    recovered = gates(FK_CAF.u_v + shift, 0.0, 1.0, c)[0]
    check(
        "V9",
        f"recovery time of v {side} u_v, ms",
        -dt / np.log1p(-recovered),
        tau,
        1e-6,
    )
pairs = pd.read_csv(RESULTS / "bench_nversion.csv").pivot(
    index=["tensor", "dx", "x", "y"], columns="code"
)["lat"]
gaps = (pairs.forwardecg - pairs.finitewave).abs().groupby(["tensor", "dx"]).max()  # ms
for tensor in ("isotropic", "anisotropic"):
    for h, gap in gaps[tensor].items():
        check("V11", f"LAT against Finitewave, {tensor}, dx {h:g} mm, ms", gap, 0, 0.05)
progress("V1 to V9, V11 and W3: done")

# %% [markdown]
# ## Production grid against a finer grid
#
# The next comparison is about the data set. It uses one tissue of each
# condition and one of every texture of fibrosis. Each is computed twice: on
# the grid of the data set, and on a grid four times as fine with an eighth
# of the time step. The fine sheet is not drawn anew. Every cell is split
# into 4 × 4 cells of the same diffusivity, so that both grids have the
# *same geometry*. Both are {ref}`calibrated <calibration>`. All waves start
# at the left edge. The four conditions are repeated with a stimulus in a
# corner, whose fronts are curved; the data set has such waves as well. For
# contrast, each tissue is also run on the coarse grid without calibration,
# and on a grid only twice as fine. The seeds are those of
# {doc}`02_tissue_wave`, and none was exchanged for a more favorable one.
#
# The fine runs take most of the time of this page and share the cores.

# %%
n = round(size_mm / 0.5)
base, (_, gj, fib, both) = healthy((n, n), 0.5, D0), map(np.random.default_rng, seeds)
tissues = {
    "healthy": base,
    "gap_junction": gap_junction(base, seed=gj),
    "fibrotic": fibrotic(base, seed=fib),
}
tissues["combined"] = combined(base, seed=both)
for texture in sorted({*TEXTURES} - {tissues["fibrotic"].texture}):
    tissues[f"fibrotic, {texture}"] = fibrotic(base, texture, seed=seeds[2])
# the same four, from a corner
tissues |= {f"{name}, corner": tissues[name] for name in figures.COLORS}
at = size_mm * np.array([[0.5, 0.5, 0], [0.5, 0.5, 0], [0.25, 0.25, 0]]) + [
    [0, 0, z] for z in (z_mm, z_near_mm, z_near_mm)
]
electrodes = Electrodes(at, ("far", "near", "aside"))


def on_grid(name, parts, dt, **how):
    tissue, cells, h = tissues[name], (n * parts, n * parts), 0.5 / parts
    finer = {
        name: np.kron(getattr(tissue, name), np.ones((parts, parts), bool))
        for name in ("D", "conductive")
    }
    stimuli = [
        focal_stimulus(Grid(cells, h), 0, 0, radius=8)
        if "corner" in name
        else edge_stimulus(Grid(cells, h))
    ]
    run = (
        dict(
            t_end=t_end, electrodes=electrodes, frame_interval=t_end, pool=parts, dt=dt
        )
        | how
    )
    return partial(simulate, replace(tissue, dx=h, **finer), stimuli, **run)


with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as workers:
    jobs = {name: workers.submit(on_grid(name, refine, dt_fine)) for name in tissues}
    reference = {name: job.result() for name, job in jobs.items()}

# %% [markdown]
# Each job is a `partial` of the solver with its tissue inside. Only data
# and the name of a function are sent to the other process, because a
# function of this page could not be found there.
#
# The score is $R^2$, the share of the variation of the fine ECG that the
# coarse one explains. It is taken at a *far* electrode, at a *near* one
# below it, and at another near one *aside* of the center. The next columns
# give in milliseconds how much later the coarse wave arrives: the median
# over all cells, and the largest difference of any cell.


# %% tags=["hide-input"]
def cell_lat(ds):
    m = ds.lat.shape[0] // n
    return ds.lat.values.reshape(n, m, n, m).mean((1, 3))


grids = {
    "dx 0.5": (1, 0.1, True),
    "dx 0.5, raw": (1, 0.1, False),
    "dx 0.25": (2, 0.05, True),
}
traces, scores = {}, {}
for name in tissues:
    for grid, (parts, step, calibrated) in grids.items():
        ds = traces[name, grid] = on_grid(name, parts, step, calibrated=calibrated)()
        late = cell_lat(ds) - cell_lat(reference[name])
        explained = r2(reference[name].phi_e.values, ds.phi_e.values)
        scores[grid, name] = [*explained, np.nanmedian(late), np.nanmax(np.abs(late))]
    progress(f"{name}: compared with the fine grid")
scores = pd.DataFrame(scores, [*electrodes.names, "later", "at_most"]).T.rename_axis(
    ["grid", "tissue"]
)
ours = scores.loc["dx 0.5"]
four = ours.loc[[*figures.COLORS]]
corners = ours.loc[[f"{name}, corner" for name in figures.COLORS]]
waves = f"sheets of {size_mm:g} mm, waves from an edge"
scale = f"{waves}, dx 0.5 mm against {0.5 / refine:g} mm"
least_near, far = four[["near", "aside"]].min(axis=None), f"z {z_mm:g} mm"
on_four = f"one tissue of each condition, {far}, {scale}"
on_corners = f"the same tissues, waves from a corner, {far}"
on_diffuse = f"diffuse fibrosis, one tissue, {far}, {scale}"
for key, value, tolerance, on in (
    ("min", four.far.min(), 0.001, on_four),
    ("min_corner", corners.far.min(), 0.003, on_corners),
    ("min_near", least_near, 0.002, f"the same, z {z_near_mm:g} mm"),
    ("diffuse", ours.far["fibrotic, diffuse"], 0.01, on_diffuse),
):
    headline(f"calibrated_ecg_r2_{key}", value, tolerance=tolerance, on=on)
names = {
    "later": "later, median (ms)",
    "at_most": "farthest off (ms)",
}
printed(
    scores.rename(columns=names),
    caption=(
        "Coarser grids against the fine one: R² of the ECG at three electrodes, and "
        "by how much the activation is late."
    ),
)

# %% [markdown]
# Both grids are calibrated to the same velocity with the same cable. A
# score below one is therefore due to everything that a cable does not
# contain. It is a distance between two grids, and not the error of either.
#
# The page promises a part of this. It promises the far electrode, in one
# tissue of each condition, with a wave from the edge. It also promises the
# velocity of plane waves over the whole range of diffusivities of the data
# set; {doc}`02_tissue_wave` shows these errors one by one. The near
# electrodes, the corners and the other textures are held to the same
# tolerance, but nothing is promised for them.
#
# The last two rows are V10. Single precision has seven digits, and a
# threshold may cost some of them. The sheet that combines everything shows
# how many are left. The tolerances are ours.

# %% tags=["hide-input"]
for name in tissues:
    for lead in electrodes.names:
        promised = lead == "far" and name in figures.COLORS
        explained = scores.loc[("dx 0.5", name), lead]
        check(
            "grid",
            f"R2 of the calibrated ECG, {name}, electrode {lead}",
            explained,
            1,
            0.005,
            promised,
        )
D_all = np.geomspace(0.015, 0.2, n_D)
D_num = calibrate_diffusivity(D_all, np.ones(n_D, bool), 0.5, 0.1)
cv = [cable_cv(each, 0.5, 0.1) for each in D_num]
cv_error = np.abs(cv / (converged_cv(FK_CAF) * np.sqrt(D_all / D)) - 1).max()
check(
    "grid",
    f"CV of the calibrated grid, largest relative error of {n_D} D",
    cv_error,
    0,
    0.015,
)
double = on_grid("combined", 1, 0.1, dtype=np.float64)()
single = traces["combined", "dx 0.5"]
check(
    "V10",
    "LAT, single against double precision, ms",
    np.nanmax(np.abs(single.lat - double.lat)),
    0,
    0.05,
)
gap = np.abs(single.phi_e - double.phi_e).max("time_ecg")
gap = gap / np.abs(double.phi_e).max("time_ecg")
check(
    "V10",
    "ECG, single against double precision, relative to the peak",
    gap.max(),
    0,
    1e-3,
)

# %% tags=["hide-input"]
fig, axes = plt.subplots(4, 2, figsize=(9.5, 10), sharex=True)
shown = ["healthy", "combined", "fibrotic, interstitial", "fibrotic, diffuse"]
for row, name in zip(axes, shown, strict=True):
    for ax, lead in zip(row, ("far", "near"), strict=True):
        ecgs = {
            grid: traces[name, grid].phi_e.sel(lead=lead)
            for grid in ("dx 0.5", "dx 0.5, raw")
        }
        t, fine = reference[name].time_ecg, reference[name].phi_e.sel(lead=lead)
        ax.plot(
            t,
            fine,
            color="black",
            lw=2.5,
            alpha=0.5,
            label=f"reference, {0.5 / refine:g} mm",
        )
        ax.plot(t, ecgs["dx 0.5"], color="C3", lw=1, label="0.5 mm, calibrated")
        ax.plot(t, ecgs["dx 0.5, raw"], ":", color="black", lw=1, label="0.5 mm, raw")
        ax.set_title(
            f"{name}, {z_mm if lead == 'far' else z_near_mm:g} mm above the center"
        )
    row[0].set_ylabel(figures.PHI_E_LABEL)
for ax in axes[-1]:
    ax.set_xlabel("time (ms)")
_ = axes[0, 0].legend(fontsize="small", title=r"$\Delta x$", title_fontsize="small")
figures.show(
    fig,
    "ECGs over time in four tissues, far from the sheet and near it. Calibrated "
    "traces lie on the reference of the fine grid, except in diffuse fibrosis, where "
    "they are late; raw traces are late everywhere.",
)

# %% [markdown]
# The dotted raw traces arrive late everywhere, and latest where the tissue
# conducts worst. Because the whole trace is shifted, they explain less than
# half of the reference, or less than nothing. The red calibrated traces
# lie on the gray reference, at the near electrode too, in every tissue but
# the last. In *diffuse* fibrosis single cells block the way. The wave winds
# through gaps of one or two cells, and a calibration on a cable does not
# account for gaps. There the wave of the coarse grid is late by several
# milliseconds, and the tolerance is missed. In the rows with twice the
# resolution the wave comes closer to the reference. So it is the grid that
# fails and not the equation.
#
# The reference is a grid as well, and not the truth. Where halving the
# cells still changes something, as in diffuse fibrosis, the reference has
# not converged either.

# %% [markdown]
# ## Identities of the ECG (W1 and W4)
#
# {doc}`03_ecg` explains these identities; here they are rows. The lead
# field and the source sum ({ref}`source-sum`) must agree relative to the
# size of the terms that cancel, with fibers and without. Without fibers
# Green's form must agree as well. A constant voltage must give no ECG. A
# mirrored electrode must see the same on a mirrored sheet, and an electrode
# farther away must see less.

# %% tags=["hide-input"]
V_m = V_REST + V_SPAN * np.random.default_rng(9).random((4, *shape))
at = Electrodes(
    np.array([[12.0, 10, 40], [3, 4, 6], [-5, 25, 12]]), ("center", "near", "outside")
)
size = {}
for name, tissue in {"no fibers": small, "fibers": fibers}.items():
    L, phi = np.abs(lead_field(tissue, at)), pseudo_ecg(V_m, tissue, at).values
    size[name] = np.tensordot(L, np.abs(V_m), axes=((1, 2), (1, 2)))
    apart = np.abs(phi - source_sum_ecg(V_m, tissue, at).values) / size[name]
    check("W1", f"lead field against source sum, {name}", apart.max(), 0, 1e-12)
    silence = pseudo_ecg(np.full((1, *shape), V_REST), tissue, at).values[:, 0] / (
        85 * L.sum((1, 2))
    )
    check(
        "W4",
        f"constant voltage, relative to sum |L| |V|, {name}",
        np.abs(silence).max(),
        0,
        1e-12,
    )
weight, (D_x, D_y) = 1 / distances(small, at)[:, None], couplings(small)[:2]
phi = pseudo_ecg(V_m, small, at).values
green = -(D_x[:, 1:-1] * np.diff(V_m) * np.diff(weight)).sum((2, 3))
green -= (D_y[1:-1] * np.diff(V_m, axis=-2) * np.diff(weight, axis=-2)).sum((2, 3))
check(
    "W1",
    "lead field against Green's form, no fibers",
    np.abs((phi - green) / size["no fibers"]).max(),
    0,
    1e-12,
)
mirrored = replace(small, D=small.D[:, ::-1], conductive=small.conductive[:, ::-1])
seen = pseudo_ecg(
    V_m[..., ::-1],
    mirrored,
    replace(at, positions=at.positions * [-1, 1, 1] + [24, 0, 0]),
).values
check(
    "W4",
    "mirrored sheet and electrode, relative",
    np.abs(phi - seen).max() / np.abs(phi).max(),
    0,
    1e-10,
)
far, near = np.abs(reference["healthy"].phi_e).max("time_ecg").sel(lead=["far", "near"])
check("W4", "peak at the far electrode over peak at the near one", far / near, 0, 1)

# %% [markdown]
# ## Closed forms of the ECG (W2 and W5)
#
# A plane front reduces to a line ({ref}`plane-front`). The expected values
# are those of an independent pilot, printed to five digits, so the first
# tolerance is two units of the last digit. The third row is the limit of a
# sharp front on an endless sheet. A front of finite width meets it to a
# percent. For an insulated disc and an insulated sphere the potential of a
# source is known ({ref}`torso`). It is compared with the series that it
# sums. In the disc the flux through the rim is tested as well. It must be
# the same everywhere.

# %% tags=["hide-input"]
x, front_at = (np.arange(800) + 0.5) * 0.25, 103.7  # mm
front, sheet = (1 + np.tanh((front_at - x) / 0.6)) / 2, healthy((800, 800), 0.25, D)
above = Electrodes(np.array([[front_at + 3.7, 100, 10]]), ("above",))
by_sheet = pseudo_ecg(np.broadcast_to(front, (1, 800, 800)), sheet, above).values[0, 0]
line = D / 0.25 * np.diff(front, 2, prepend=front[0], append=front[-1])
by_line, by_long_line = (
    2 * line @ np.arcsinh(half / np.hypot(x - front_at - 3.7, 10))
    for half in (100, 1e5)
)
check("W2", "plane front, sum over the sheet", by_sheet, 0.0064287, 2e-7)
check("W2", "plane front, sheet against line integral", by_sheet - by_line, 0, 1e-7)
check(
    "W2",
    "long line against the sharp front, relative",
    by_long_line / 0.0065089 - 1,
    0,
    0.01,
)
radius, terms, gamma = 70.0, np.arange(1, 600)[:, None], np.linspace(0, np.pi, 41)
disc, sphere = Disc(radius, (0, 0)), Sphere(radius, (0, 0, 0))
rim = np.stack([np.cos(gamma), np.sin(gamma), 0 * gamma], axis=-1)
for e in (0.3, 0.6, 0.9):  # distance of the source from the center over the radius
    in_sphere = (
        (2 * terms + 1) / terms * e**terms * eval_legendre(terms, np.cos(gamma))
    ).sum(0) / radius
    in_disc = 2 * (e**terms * np.cos(terms * gamma) / terms).sum(0)
    off_sphere = np.abs(
        sphere.potential(radius * rim, [e * radius, 0, 0]) / in_sphere[0]
        - in_sphere / in_sphere[0]
    )
    off_disc = np.abs(
        disc.potential(radius * rim[:, :2], [e * radius, 0]) / in_disc[0]
        - in_disc / in_disc[0]
    )
    check(
        "W5",
        f"sphere against its series, source at {e:g} of the radius",
        off_sphere.max(),
        0,
        1e-10,
    )
    check(
        "W5",
        f"disc against its series, source at {e:g} of the radius",
        off_disc.max(),
        0,
        1e-10,
    )
    near = [
        disc.potential((radius - off) * rim[:, :2], [e * radius, 0])
        for off in (0, 0.01, 0.02)
    ]
    outflow = (3 * near[0] - 4 * near[1] + near[2]) / 0.02 * radius
    check(
        "W5",
        f"disc, flux through the rim, source at {e:g} of the radius",
        np.abs(outflow + 1).max(),
        0,
        1e-4,
    )

# %% [markdown]
# One more solution uses no formula at all: finite volumes on a polar grid,
# with two opposite sources inside the disc and no flux through its rim.
# Potentials on the rim are compared in shape and in size. The relative
# difference measure (RDM) is zero for equal shapes, the magnification (MAG)
# one for equal sizes. The numerical solution for the sphere is in
# `tests/ecg/test_torso.py`.

# %%
n_r, n_a = 100, 200  # cells
sources = {(39, 10): 1.0, (69, 90): -1.0}  # the two cells that hold a source
h, turn = radius / n_r, 2 * np.pi / n_a
r_c, a_c = (np.arange(n_r) + 0.5) * h, (np.arange(n_a) + 0.5) * turn
circle_xy = np.stack([np.cos(a_c), np.sin(a_c)], axis=-1)
out, around = (
    diags([-1.0, 1], [0, 1], shape=(n_r - 1, n_r)),
    diags([-1.0, 1, 1], [0, 1, 1 - n_a], shape=(n_a, n_a)),
)
A = kron(out.T @ diags(r_c[:-1] + h / 2) @ out, identity(n_a)) * (turn / h)
A = A + kron(diags(h / (r_c * turn)), around.T @ around)
b, expected = np.zeros((n_r, n_a)), np.zeros(n_a)
for (i, j), strength in sources.items():
    b[i, j] = 2 * np.pi * strength
    expected += strength * disc.potential(radius * circle_xy, r_c[i] * circle_xy[j])
phi = np.append(0, spsolve(A.tocsc()[1:, 1:], b.ravel()[1:])).reshape(n_r, n_a)
# at the rim, where the normal derivative is zero
phi = phi[-1] + (phi[-1] - phi[-2]) / 8
sizes = [np.linalg.norm(each - each.mean()) for each in (phi, expected)]
phi = phi - phi.mean()
check(
    "W5",
    "disc against a numerical solution, RDM",
    np.linalg.norm(phi / sizes[0] - expected / sizes[1]),
    0,
    0.01,
)
check("W5", "disc against a numerical solution, MAG", sizes[0] / sizes[1], 1, 0.01)

# %% [markdown]
# (gold-check)=
# ## ECG of another code (G1)
#
# MonoAlg3D is a solver of another group. Its tests contain a sheet with the
# ECG that it computed: 160,000 cells of 0.1 mm, 38 percent of them removed,
# ten Tusscher cells, two electrodes, 81 frames of re-entrant activity
# {cite}`SachettoOliveira2018`. Our operator gets the voltage of this run
# and nothing else. Their unit is arbitrary, but the factor is not: with the
# settings of their test, ours times $h/(4\pi\sigma_b D)$ is theirs. The
# remaining difference is the rounding of their text files. If their traces
# are read one sample later, 0.02 ms, the difference is at least ten times
# as large.
#
# `experiments/foreign.py` computes the table from a copy of their files,
# which are not part of this project.

# %%
gold = pd.read_csv(RESULTS / "runs" / "gold.csv")
for row, lead in zip(gold.itertuples(), (1, 2), strict=True):
    tolerance = 1e-5 if lead == 1 else 1e-4
    what = f"ECG of MonoAlg3D at lead {lead}"
    check("G1", f"{what}, 1 - R2", 1 - row.r2, 0, tolerance)
    error = row.scale / row.predicted - 1
    check("G1", f"{what}, relative error of the predicted scale", error, 0, 2e-3)
    sharper = (1 - row.r2) / (1 - row.r2_shifted)
    check("G1", f"{what}, 1 - R2 over that of 0.02 ms later", sharper, 0, 0.1)

# %% tags=["hide-input"]
on_gold = "81 frames of MonoAlg3D's sheet, scale fitted"
for lead in (0, 1):
    value = gold.r2[lead]
    headline(f"gold_r2_lead{lead + 1}", value, tolerance=1e-6, on=on_gold)
worst = (gold.scale / gold.predicted - 1).abs().max()
headline("gold_scale_error", worst, tolerance=1e-5, on="worst of both leads")

# %% [markdown]
# ## ECG on meshes: triangles and tetrahedra (M1)
#
# The operator on meshes is $L = -K\,(1/R)$ with the stiffness matrix $K$ of
# linear elements ({ref}`meshes`). On a sphere of radius $\varrho$ the
# voltage $V = \cos\theta$, with $\theta$ counted from the axis, has an ECG
# in closed form. Outside, on the axis, it is
# $-\tfrac{8\pi}{3} D \varrho/d^2$ at the distance $d$ from the center;
# inside it is $-\tfrac{8\pi}{3} D z/\varrho^2$ at the height $z$. The
# second harmonic gives $-\tfrac{24\pi}{5} D \varrho^2/d^3$. In a full ball
# $V = z$ gives $-\tfrac{4}{3}\pi D \varrho^3/d^2$. Each error has to fall
# with the square of the edge.

# %%
R, places = 20.0, [[0, 0, 40], [0, 0, 25], [0, 0, 10], [0, 12, -7]]  # mm
at = Electrodes(np.array(places, float), tuple("abcd"))
closed = {
    "on the axis, 40 mm": -8 * np.pi / 3 * D * R / 40**2,
    "on the axis, 25 mm": -8 * np.pi / 3 * D * R / 25**2,
    "inside, on the axis": -8 * np.pi / 3 * D * 10 / R**2,
    "inside, off the axis": -8 * np.pi / 3 * D * -7 / R**2,
    "second harmonic": -24 * np.pi / 5 * D * R**2 / 40**3,
}
errors = {name: [] for name in (*closed, "ball")}
for n in refined:
    points, triangles = shapes.sphere(n, R)
    L, cosine = lead_field(Mesh(points, triangles, D=D), at), points[:, 2] / R
    found = [*L @ cosine, L[0] @ (3 * cosine**2 - 1) / 2]
    for (name, exact), value in zip(closed.items(), found, strict=True):
        errors[name].append(abs(value / exact - 1))
for n in shells:
    points, tetrahedra = shapes.ball(n, R)
    outside = Electrodes(at.positions[:1], ("outside",))
    phi_e = lead_field(Mesh(points, tetrahedra, D=D), outside)[0] @ points[:, 2]
    errors["ball"].append(abs(phi_e / (-4 / 3 * np.pi * D * R**3 / 40**2) - 1))
orders_mesh = {}
for name, error in errors.items():
    halvings = np.log2(shells[-1] / shells[-2]) if name == "ball" else 1
    orders_mesh[name] = np.log2(error[-2] / error[-1]) / halvings
    check("M1", f"order of convergence, {name}", orders_mesh[name], 2, 0.15)
    limit = 5e-5 * 4 ** (7 - refined[-1])
    if name == "ball":
        limit = 3.5 / shells[-1] ** 2
    check("M1", f"finest mesh, relative error, {name}", error[-1], 0, limit)

# %% tags=["hide-input"]
value = min(orders_mesh.values())
headline("mesh_sphere_order", value, tolerance=0.05, on="lowest of six closed forms")

# %% [markdown]
# The next rows compare meshes with the grid and with each other. A flat
# sheet cut into triangles has the stencil of the grid. Fibers along $x$
# leave a wave along $x$ unchanged and divide the ECG of a wave along $y$ by
# their ratio. A thin slab of tetrahedra gives the ECG of the sheet times
# its thickness. A constant voltage gives no ECG, and a turned mesh with
# turned electrodes gives the same ECG. Far from a closed surface the ECG
# falls as the square of the distance.

# %% tags=["hide-input"]
flat = healthy((120, 120), 0.5, D0=D)
y, x = flat.grid.centers
ring = V_REST + 50 * (np.tanh((24 - np.hypot(x - 30, y - 30)) / 2) + 1)
above = Electrodes(np.array([[25.0, 33.0, 20.0]]), ("above",))
mesh = mesh_of(flat)
on_grid = float(pseudo_ecg(ring[None], flat, above)[0, 0])
on_mesh = float(pseudo_ecg(ring.reshape(1, -1), mesh, above)[0, 0])
check("M1", "flat sheet against the grid", on_mesh / on_grid - 1, 0, 1e-5)

along_x = np.tile([1.0, 0.0, 0.0], (len(mesh.cells), 1))
anisotropic = Mesh(mesh.points, mesh.cells, D=D, D_across=D / 4, fibers=along_x)
L, L_fibers = (lead_field(one, above)[0] for one in (mesh, anisotropic))
for axis, ratio in ((0, 1), (1, 4)):
    front = np.tanh((mesh.points[:, axis] - 28) / 2)
    error = ratio * (L_fibers @ front) / (L @ front) - 1
    check("M1", f"fibers along x, wave along {'xy'[axis]}", error, 0, 1e-9)

h, n = 0.2, 60
points, tetrahedra = shapes.slab((n, n, 1), (30.0, 30.0, h))
sheet = mesh_of(healthy((n + 1, n + 1), 0.5, D0=D))
volume = lead_field(Mesh(points, tetrahedra, D=D), above)[0]
front = np.tanh((points[:, 0] - 14) / 2), np.tanh((sheet.points[:, 0] - 14.25) / 2)
shift = np.array([0.25, 0.25, 0])  # the sheet has its nodes at the centers of cells
moved = Electrodes(above.positions + shift, above.names)
middle = lead_field(sheet, moved)[0]
error = (volume @ front[0]) / (h * middle @ front[1]) - 1
check("M1", "thin slab against sheet times thickness", error, 0, 1e-2)

turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
points, triangles = shapes.sphere(3, R)
front = np.tanh((points @ [0.6, 0, 0.8] - 4) / 3)
here, there = (
    lead_field(Mesh(points @ q, triangles, D=D), Electrodes(at.positions @ q, at.names))
    for q in (np.eye(3), turn)
)
check(
    "M1",
    "turned with its electrodes",
    np.abs(there @ front / (here @ front) - 1).max(),
    0,
    1e-9,
)
check(
    "M1", "constant voltage", np.abs(here.sum(1)).max() / np.abs(here).max(), 0, 1e-12
)

far = Electrodes(np.array([[600.0, 0, 800], [1200, 0, 1600]]), ("near", "far"))
near_far = np.abs(lead_field(Mesh(points, triangles, D=D), far) @ front)
slope = -np.log2(near_far[0] / near_far[1])
check("M1", "closed surface, log-log slope of the far field", slope, -2, 0.05)

# %% [markdown]
# Four more rows have references of another kind. In a thin rod with the
# electrode on its axis, $V = x$ and $V = x^2$ have integrals in closed
# form; Chaste tests its own operator with these cases. Around a hole the
# mesh ends at the centers of cells and the grid at their faces, half a cell
# apart. The two must approach each other as cells shrink. If the nodes of a
# sheet are moved, the result is another triangulation of the same sheet,
# and the difference has to fall with the square of the edge.

# %%
points, tetrahedra = shapes.slab((200, 1, 1), (10.0, 0.1, 0.1))
x, end = points[:, 0], 15.0  # mm, the electrode
tip = Electrodes(np.array([[end, 0.05, 0.05]]), ("tip",))
L = lead_field(Mesh(points, tetrahedra, D=D), tip)[0] / (D * 0.1 * 0.1)
linear = -(1 / (end - 10) - 1 / end)
square = -2 * (end / (end - 10) - 1 + np.log((end - 10) / end))
check("M1", "rod, V = x, relative error", L @ x / linear - 1, 0, 1e-3)
check("M1", "rod, V = x², relative error", L @ x**2 / square - 1, 0, 1e-3)

apart = {"hole": [], "triangulations": []}
for n in (60, 120, 240):
    sheet, step = healthy((n, n), 60 / n, D0=D), 60 / n
    y, x = sheet.grid.centers
    ring = np.tanh((18 - np.hypot(x - 30, y - 30)) / 4)
    hole = replace(sheet, conductive=(np.abs(x - 21) > 3) | (np.abs(y - 30) > 6))
    on_grid = float(pseudo_ecg(ring[None], hole, above)[0, 0])
    on_mesh = float(pseudo_ecg(ring.reshape(1, -1), mesh_of(hole), above)[0, 0])
    apart["hole"].append(abs(on_mesh / on_grid - 1))
    mesh = mesh_of(sheet)
    inner = np.sin(np.pi * mesh.points[:, :2] / 60) ** 2
    shift = 3 * np.sin(mesh.points[:, 1::-1] / 4) * inner
    drawn = replace(mesh, points=mesh.points + np.pad(shift, ((0, 0), (0, 1))))
    traces = [
        lead_field(one, above)[0]
        @ np.tanh((18 - np.hypot(*(one.points[:, :2] - 30).T)) / 4)
        for one in (mesh, drawn)
    ]
    apart["triangulations"].append(abs(traces[1] / traces[0] - 1))
falls = {name: np.log2(error[-2] / error[-1]) for name, error in apart.items()}
check("M1", "grid and mesh around a hole, order", falls["hole"], 1, 0.3)
check("M1", "two triangulations, order", falls["triangulations"], 2, 0.2)

# %% [markdown]
# ## Fibers at an angle to the grid
#
# On the calibrated grid of the data set a plane wave is sent along and
# across fibers that lie at an angle to the axes. Its velocity is compared
# with the converged one of the diffusivity that it meets. Only fibers along
# an axis are promised.

# %%
side = 90  # cells
y, x = (np.mgrid[:side, :side] + 0.5 - side / 2) * 0.5  # mm from the middle
for degrees in (0, 15, 30, 45):
    for way, seen in (("along", 1), ("across", fiber_ratio)):
        phase = np.deg2rad(degrees)
        ahead, aside = (
            np.cos(phase) * x + np.sin(phase) * y,
            np.cos(phase) * y - np.sin(phase) * x,
        )
        sheet = with_fibers(
            healthy((side, side), 0.5, 0.16),
            phase + np.pi / 2 * (way == "across"),
            fiber_ratio,
        )
        *_, state = solve(sheet, Stimulus(mask=ahead < -11), t_end=80, every=80)
        line = (np.abs(aside) < 0.4) & (np.abs(ahead) < 5) & (state.lat > 0)
        speed = 1 / np.polyfit(ahead[line], state.lat[line], 1)[0]
        error = speed / (converged_cv(FK_CAF) * np.sqrt(0.16 / seen / D)) - 1
        check(
            "grid",
            f"CV {way} fibers at {degrees} degrees, relative error",
            error,
            0,
            0.015,
            degrees == 0,
        )

# %% [markdown]
# ## Promised checks
#
# The table has all promised rows in the order of the catalog, with each
# value rounded to a hundredth of its tolerance. All of them have to pass.
# The first assertion decides this, and no other place of this page does.
# The second makes sure that no case of the catalog was left out. Seven more
# promised rows are about the grid of the data set. They belong to no case of
# the catalog, so the first table below leaves them out; the second one ends
# with them. A row
# without a tolerance is not judged. If a promised row failed, this page
# would not exist. The number of passed rows therefore tells how much was
# tested, and not how often a test fails.

# %%
names = ["case", "what", "expected", "tolerance", "obtained", "verdict", "promised"]
table = pd.DataFrame(rows, columns=names)
digits = [
    4 if not tolerance > 0 else 2 - int(np.floor(np.log10(tolerance)))
    for tolerance in table.tolerance
]
table["obtained"] = [
    round(value, n_digits) + 0.0
    for value, n_digits in zip(table.obtained, digits, strict=True)
]
judged = table[table.promised & table.tolerance.notna()]
assert (judged.verdict == "pass").all(), judged[judged.verdict != "pass"].to_string()
on_judged = "all that are promised and judged"
headline("verification_rows_passed", len(judged), tolerance=0, on=on_judged)
catalog = [f"V{i}" for i in range(1, 12)] + [f"W{i}" for i in range(1, 6)]
catalog += ["G1", "M1"]
assert {*catalog} <= {*table.case}, "no case of the catalog is missing"
table = table.sort_values(
    "case", key=lambda case: case.map([*catalog, "grid"].index), kind="stable"
)
by_case = judged.groupby("case", sort=False).verdict
counts = by_case.agg(judged="size", passed=lambda of: (of == "pass").sum())
printed(
    counts.loc[[case for case in catalog if case in counts.index]],
    caption="Rows of each case of the catalog that are promised and judged.",
)

# %% tags=["hide-output"]


def as_shown(rows, caption):
    """Rows of the catalog as text, each number with the digits that it has."""
    digits = rows[["expected", "tolerance", "obtained"]].map("{:g}".format)
    rows = rows.assign(**digits).drop(columns="promised").set_index("case")
    return printed(rows, caption=caption)


as_shown(table[table.promised], "The promised rows.")

# %% [markdown]
# ## Where the method fails
#
# The rows below are outside the promise. They were measured in the same way
# and have the same tolerances. Those that fail show limits of the grid of
# the data set and not of the equations.

# %%
as_shown(table[~table.promised], "Rows outside the promise.")

# %% [markdown]
# With the table of grids above, these rows show five errors.
#
# *Diffuse fibrosis.* Here the cells of the grid are as large as the
# obstacles, and the gap between two obstacles has one point. No front is
# resolved there. The delay adds up along the way: the farther the wave has
# come, the later it is. The deflection is smaller, too. A combined sheet
# that happens to have this texture has to expect the same. Half the spacing
# removes most of the delay. In the thin strands of interstitial fibrosis
# the same effect is weaker. There a small sheet, with a shorter ECG to
# compare, can miss the tolerance that a larger one meets.
#
# *Curved fronts.* The calibration raises the diffusivity, and with it the
# effect of curvature. Close to a focus or around a corner the wave of the
# coarse grid is too slow, by more than a third of the effect.
#
# *Diagonal fronts.* The calibration is made for waves along the axes. Along
# the diagonal the coarse grid needs less correction than it gets, and the
# wave is several percent too fast. A wave from a corner runs in all
# directions at once, and its ECG misses the tolerance even in healthy
# tissue. A wave from the edge avoids this error, and the promise covers
# such waves alone.
#
# *Oblique fibers.* Along fibers at any angle the velocity is right. Across
# them it depends on the angle between fibers and grid, which the
# calibration takes into account to leading order only.
#
# *No calibration.* The raw grid is wrong everywhere, and all errors above
# are small compared with its own. At the far electrode it explains less than half
# of the variation of the reference in every tissue.
#
# Other cases have not been measured. The fine grid of this page has no
# spiral wave, no ECG of a sheet with fibers, and no repolarization apart
# from its share in these ECGs. A network that is trained and tested on one
# grid does not feel these errors. A comparison with tissue, or with another
# solver, would.

# %% [markdown]
# ## Results
#
# The whole table is stored with its verdicts, so that two editions of this
# book can be compared row by row. The comparison of the grids is stored as
# well, with its electrodes and delays. One headline number counts the
# promised rows that pass. Others are scores on the grid of the data set:
# the worst far ECG of the four conditions, for waves from an edge and from
# a corner; the worst near one; and the far ECG of the texture that fails.
# The rest are the agreement with MonoAlg3D and the lowest order on meshes.

# %% tags=["hide-input"]
table.to_csv(result_file("05_verification.csv"), index=False, lineterminator="\n")
scores.round(5).to_csv(result_file("05_verification_grids.csv"), lineterminator="\n")
print(headline.provenance())
