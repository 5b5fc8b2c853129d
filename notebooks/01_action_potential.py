# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   page:
#     question: Does the cell model behave as published, and what does each current do?
#     answer: >-
#       The five sets agree with an independent pilot code of ours within the stated
#       tolerances; the fast inward current makes the upstroke and the two slow ones
#       shape the plateau; in the atrial set a single beat lasts
#       {headline}`apd90_caf_ms`, and after a train of beats the next one can follow
#       after {headline}`erp_caf_ms`, before the cell is fully repolarized.
#     next:
#       page: book/tissue
#       why: cells are joined to a sheet
#     makes:
#       results/01_action_potential.csv: >-
#         velocity, duration, refractory period and restitution of the parameter sets,
#         beside reference values
#     smoke: {
#       n_s1: 2, t_end: 320.0, length_mm: 20.0, s2_search: [90, 290],
#       s2_later: [0.0, 10.0, 30.0, 90.0, 290.0]
#     }
# ---

# %% [markdown]
# # Action potential and restitution of one cell
#
# **Question.** What action potential does each of the five parameter sets
# of the Fenton-Karma model give, and what does each of its three currents
# do? Is our implementation the published model, including the two time
# constants that are easily swapped? How does a beat depend on the rest
# before it?
#
# {doc}`../book/cell` has the theory, {doc}`../book/notation` the symbols.
#
# The page needs only the package and runs in about a minute on one core. To
# run it with other values:
#
#     make run NB=01_action_potential SET="length_mm=40 s1_interval=420"

# %% tags=["hide-input"]
from bisect import bisect_left
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

from compendium import figures
from compendium.record import Headline, result_file
from compendium.tables import printed
from forwardecg.contract import V_THRESHOLD, to_mV
from forwardecg.measure.waves import activation_time, apd90
from forwardecg.paths import progress
from forwardecg.solver.calibration import cable_cv
from forwardecg.solver.simulation import solve
from forwardecg.tissue.cell import (
    FK_CAF,
    FK_SETS,
    constants,
    currents,
    gates,
    slow_inward_rate,
)
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue, healthy
from forwardecg.tissue.stimulus import Stimulus, edge_stimulus, s1_s2

figures.set_style()
headline = Headline("01_action_potential")

# %% [markdown]
# ## Parameters
#
# The cable is resolved so finely that it needs no
# {ref}`calibration <calibration>`. The results can then be compared with
# reference values. An independent pilot code of ours measured most of them
# on the same grid with the same step. They belong to these values of `D`,
# `dx`, `dt` and to this train of beats. With other values the comparison
# near the end of the page stops with an error, as it should.

# %% tags=["parameters"]
D = 0.1  # mm^2/ms, diffusivity of the cable
dx = 0.1  # mm, side of a grid cell
dt = 0.01  # ms, time step
t_end = 450.0  # ms, length of a single beat
length_mm = 30.0  # mm, length of the cable
s1_interval = 400.0  # ms, between the beats of the regular train
n_s1 = 3  # beats in the regular train
s2_search = [80, 320]  # ms, range in which the refractory period is searched
# ms, S2 after the refractory period
s2_later = [0.0, 2.0, 5.0, 10.0, 18.0, 30.0, 50.0, 90.0, 160.0, 290.0]
coarse_grids = [[0.2, 0.05], [0.25, 0.1]]  # mm, ms: steps of two coarser cables

# %% [markdown]
# ## Five parameter sets
#
# All sets obey the same equations; {ref}`caf-set` lists their numbers.
# Almost all of this book uses the atrial set, CAF. The other four are
# ventricular and come from the paper that introduced the model. They show
# how different the beats of the same three currents can be. Each set
# carries its name and its source.

# %%
sets = {fk.name.removeprefix("FK-"): fk for fk in FK_SETS}
c = {name: constants(fk, dt, np.float64) for name, fk in sets.items()}
color = dict(zip(sets, ("black", "C0", "C1", "C2", "C3"), strict=True))
time = np.arange(round(t_end / dt) + 1) * dt  # ms
pd.options.display.max_colwidth = None
printed(
    pd.DataFrame({"source": [fk.source for fk in sets.values()]}, index=sets),
    caption="Where the numbers of each parameter set come from.",
)

# %% [markdown]
# {ref}`caf-set` says how to make a set of your own. Here are two copies of
# the atrial set with changed numbers. In the first one the fast current is
# halved, as by a drug that blocks sodium channels. The table near the end
# shows what this does to the wave. The second one has its two recovery
# times of $v$ swapped on purpose. This is the {ref}`trap <tau-v-trap>` that
# is tested below. A third copy gets an impossible value and is refused when
# it is made. The error names the parameter, what was expected and what
# came.

# %%
own = replace(
    FK_CAF, name="half fast current", source="this page", tau_d=2 * FK_CAF.tau_d
)
swapped = replace(
    FK_CAF,
    tau_v_minus_low=FK_CAF.tau_v_minus_high,
    tau_v_minus_high=FK_CAF.tau_v_minus_low,
)
cells = {**sets, "CAF, swapped": swapped, "CAF, half fast": own}
try:
    replace(FK_CAF, name="a slip of the pen", tau_w_plus=-300.0)
except ValueError as error:
    print(error)

# %% [markdown]
# ## Resting state
#
# A solver that drifts at rest would, after some time, show waves that
# nobody started. A cell that is not stimulated must therefore stay where it
# is. With $u = 0$ and both gates open, all rates of {eq}`eq-currents` and
# {eq}`eq-gates` must be zero. The hyperbolic tangent of the slow inward
# current needs care, because it never quite reaches its limit;
# {ref}`fenton-karma` says what the code does with this foot. Elsewhere the
# code replaces the hyperbolic tangent by a division and a short polynomial
# ({ref}`cell-scheme`).
#
# The assertions below check that every rate is zero at rest. They also
# check that the foot is negligible, and that the polynomial differs from
# the hyperbolic tangent by less than four millionths of the largest rate at
# any voltage. The compiled functions take their parameters as `constants`,
# which already contain the time step, and return each current times
# $\Delta t$.

# %%
error = {}
for name, fk in sets.items():
    at_rest = currents(0.0, 1.0, 1.0, slow_inward_rate(0.0, c[name]), c[name])
    assert at_rest == (0, 0, 0), "no current flows at rest"
    assert gates(0.0, 1.0, 1.0, c[name]) == (1.0, 1.0), "open gates stay open"
    u = np.linspace(1e-9, 1.3, 5000)
    exact = (1 + np.tanh(fk.k * (u - fk.u_c_si))) / 2
    rate = np.array([slow_inward_rate(value, c[name]) for value in u])
    rate /= c[name].dt_tau_si
    error[name] = np.abs(rate - exact).max()
    assert error[name] < 4e-6 and exact[0] < 1e-7, (
        "the polynomial stands in for the hyperbolic tangent"
    )
print(
    "largest error of the slow inward rate, relative to its maximum: "
    f"{max(error.values()):.1e}"
)

# %% [markdown]
# ## One gate for each current
#
# The gate $w$ acts on the slow inward current alone, the gate $v$ on the
# fast one alone. It is easy to pass one gate in place of the other, because
# both are numbers between 0 and 1 and the result still looks like an action
# potential. So we change one gate at a time, at a plateau voltage, and
# check which current changes.

# %%
for name in sets:
    rate_si = slow_inward_rate(0.8, c[name])
    states = ((0.5, 0.5), (0.9, 0.5), (0.5, 0.9))
    base, other_v, other_w = (currents(0.8, v, w, rate_si, c[name]) for v, w in states)
    assert other_v[2] == base[2] and other_w[2] != base[2], "J_si depends on w only"
    assert other_w[0] == base[0] and other_v[0] != base[0], "J_fi depends on v only"

# %% [markdown]
# ## Beat of a single cell
#
# A sheet of one pixel has no neighbors, so on it the tissue solver is a
# solver for one cell. It returns $u$ at every step. We step the gates along
# this voltage with the same `gates` function and compute the currents. This
# is possible because each current depends only on the state at that
# instant.


# %%
def beat(fk):
    everywhere = np.ones((1, 1), bool)
    pixel = Tissue(D=np.array([[D]]), conductive=everywhere, dx=dx)
    stimulus = Stimulus(mask=everywhere)
    raw = dict(dt=dt, calibrated=False, dtype=np.float64)
    states = solve(pixel, [stimulus], t_end=t_end, every=dt, cell=fk, **raw)
    return np.array([state.u[0, 0] for state in states])


def replay(u, c):
    v, w, rows = 1.0, 1.0, []
    for u_n in u:
        rows.append(
            (v, w, *(J / dt for J in currents(u_n, v, w, slow_inward_rate(u_n, c), c)))
        )
        v, w = gates(u_n, v, w, c)
    return np.array(rows).T


u = {name: beat(fk) for name, fk in sets.items()}
state = {name: replay(u[name], c[name]) for name in sets}  # rows v, w, J_fi, J_so, J_si

# %% [markdown]
# The replay has to agree with the solver. Once the stimulus is over, each
# step of the solver must equal minus the sum of the replayed currents, to
# rounding. The assertion checks this at every one of the many thousand
# steps.

# %%
after = time[:-1] >= Stimulus(mask=np.ones((1, 1), bool)).duration
for name in sets:
    balance = np.diff(u[name]) / dt + state[name][2:, :-1].sum(0)
    assert np.abs(balance[after]).max() < 1e-11, (
        "the solver steps by exactly these currents"
    )
    assert abs(u[name][-1]) < 0.02, "the cell is back at rest"

# %% tags=["hide-input"]
fig, axes = plt.subplots(3, 2, figsize=(9, 7.5), sharex=True, sharey="row")
for column, name in zip(axes.T, ("CAF", "MLR-I"), strict=True):
    v, w, J_fi, J_so, J_si = state[name]
    column[0].plot(time, to_mV(u[name]), color="black")
    column[0].set_title(name)
    for y, label in ((v, "$v$"), (w, "$w$")):
        column[1].plot(time, y, label=label)
    for y, label in (
        (J_fi, r"$J_\mathrm{fi}$"),
        (J_so, r"$J_\mathrm{so}$"),
        (J_si, r"$J_\mathrm{si}$"),
    ):
        column[2].plot(time, y, label=label)
    column[2].set_yscale("symlog", linthresh=0.02)
    column[2].set_xlabel("time (ms)")
for ax, label in zip(
    axes[:, 0], (r"$V_m$ (mV)", "gate", "current (1/ms)"), strict=True
):
    ax.set_ylabel(label)
for ax, place in zip(axes[1:, 1], ("center right", "lower right"), strict=True):
    ax.legend(loc=place)
figures.show(
    fig,
    "Two columns of traces over time, for an atrial and a ventricular set: voltage, "
    "the gates v and w, and the three currents. A spike of fast inward current, a "
    "plateau, a return to rest; the ventricular plateau is longer.",
)

# %% [markdown]
# The stimulus lifts the voltage over the threshold. The fast inward current
# answers with a spike that is two orders of magnitude larger than any later
# current. For this reason the axis of the currents is logarithmic outside a
# narrow band around zero. For a moment the stimulus pushes $u$ above 1.
# There the fast current changes its sign and pulls the voltage back. Then
# $v$ closes, and the fast current ends.
#
# During the plateau a constant outward current and a slow inward current
# oppose each other. The inward current fades as the voltage sinks and $w$
# closes. Once the outward current is larger, the cell repolarizes along an
# almost straight line. Below $u_c$ the voltage decays exponentially. In the
# left column the recovery of $v$ has a kink where the voltage passes $u_v$.
# The ventricular set has a weaker outward current and closes $w$ more
# slowly, so its plateau is longer.
#
# These are not the currents of real ion channels. Three currents represent
# dozens, and the outward one jumps at the threshold, where a real one
# changes smoothly. The jump makes the corner at the end of each action
# potential.

# %% [markdown]
# ## Swapped recovery times
#
# {ref}`tau-v-trap` explains why the two recovery times of $v$ are easily
# swapped. The test holds the voltage just below and just above $u_v$ and
# lets $v$ recover from zero. It compares the result with the exponential of
# the time constant that belongs to that side. In the atrial set the
# recovery near rest is the *slower* one. In MBR, BR and GP it is the faster
# one.

# %%
waiting = np.arange(round(200 / dt) + 1) * dt  # ms
for side, shift, tau in (
    ("below", -1e-3, FK_CAF.tau_v_minus_low),
    ("above", 1e-3, FK_CAF.tau_v_minus_high),
):
    v, recovery = 0.0, []
    for _ in waiting:
        recovery.append(v)
        v, _w = gates(FK_CAF.u_v + shift, v, 1.0, c["CAF"])
    assert np.allclose(recovery, -np.expm1(-waiting / tau), atol=1e-9), (
        f"v recovers with {tau} ms {side} u_v"
    )

# %% [markdown]
# ## Beat in a cable
#
# A single cell is stimulated everywhere at once. In tissue a cell is
# excited by its neighbor, and part of its current flows on to the next
# cell. This changes the shape of the beat a little. Published durations
# belong to propagated beats, so we measure such beats. A thin cable is
# stimulated at one end and read at one third, one half and two thirds of
# its length.
#
# The function takes a train of regular beats, S1, and the intervals of
# early beats after it, S2. The restitution below needs both. Since `apd90`
# measures amplitudes from rest, everything before a beat is replaced by
# rest.


# %%
def cable(fk, s2=(), n_s1=n_s1, dx=dx, dt=dt, every=0.2):
    n_x = round(length_mm / dx)
    stimuli = s1_s2(edge_stimulus(Grid((1, n_x), dx)), s1_interval, n_s1, s2)
    raw = dict(dt=dt, calibrated=False, dtype=np.float64)
    t_end, tissue = stimuli[-1].start + 400, healthy((1, n_x), dx, D)
    states = solve(tissue, stimuli, t_end=t_end, every=every, cell=fk, **raw)
    at = [round(n_x * share) for share in (1 / 3, 1 / 2, 2 / 3)]
    u = np.array([state.u[0, at] for state in states])
    places = {"time": np.arange(len(u)) * every, "x": dx * np.array(at)}
    return xr.DataArray(to_mV(u), places)


def beat_after(V_m, start):
    V_m = V_m.where(V_m.time >= start, V_m.isel(time=0))
    return activation_time(V_m), apd90(V_m)


V_m = {name: cable(fk, n_s1=1) for name, fk in cells.items()}
beats = {
    name: [float(quantity[1]) for quantity in beat_after(V_m[name], 0.2)]
    for name in cells
}

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8, 4))
for name in sets:
    lat, duration = beats[name]
    ax.plot(
        V_m[name].time - lat,
        V_m[name][:, 1],
        color=color[name],
        label=f"{name}, {duration:.0f} ms",
    )
_ = ax.set(xlim=(-15, 330), xlabel="time since activation (ms)", ylabel=r"$V_m$ (mV)")
_ = ax.legend(title=r"set, $\mathrm{APD}_{90}$")
figures.show(
    fig,
    "Voltage over the time since activation for five parameter sets. The atrial beat "
    "is short and triangular, MLR-I sinks slowly, MBR, GP and BR bulge to a dome "
    "before they repolarize, BR by far the highest.",
)

# %% [markdown]
# The five beats come from the same equations. Their plateau depends on the
# ratio of the slow inward to the outward current, that is on
# $\tau_r/\tau_\mathrm{si}$. In the atrial set this ratio is well below one.
# The outward current is larger from the start, and the beat is short and
# triangular. In MLR-I the two are nearly equal, and the voltage sinks
# slowly. In MBR, GP and BR the inward current is larger. It lifts the
# voltage to a dome, in BR far above $u = 1$, until $w$ has closed enough.
#
# None of these beats was recorded in an animal. Each set was made to agree
# with another model or preparation in a few numbers, and we fit nothing to
# a recording.

# %% [markdown]
# ## Refractory period
#
# After a beat the gates need time to reopen. In the atrial set $v$ takes
# some tens of milliseconds and $w$ hundreds. The effective refractory
# period is the shortest S2 interval after which a wave reaches the middle
# of the cable. The interval is counted from the last stimulus of S1 to that
# of S2. We find it by bisection, to the millisecond, for the five sets, for
# the atrial set with swapped recovery times, and for the set with the
# halved fast current.
#
# In the atrial set and in MLR-I the refractory period is shorter than the
# $\mathrm{APD}_{90}$ of the single beat above. There are two reasons.
# First, a cell can be excited again before it is 90 % repolarized. The gate
# $v$ begins to reopen when the voltage falls below the threshold $u_c$.
# This happens before 90 % repolarization, because $u_c$ is higher than a
# tenth of the amplitude. Soon afterward $v$ is open enough for a stimulus
# to succeed. Second, S2 follows a train of S1. A single beat starts from
# complete rest, a beat of a train after a few hundred milliseconds. The
# last beat of the train is therefore a little shorter than the single one.
#
# In MBR, BR and GP the refractory period is longer than the action
# potential. Their $v$ hardly reopens until the voltage is below $u_v$, and
# they reach that voltage only after 90 % repolarization.


# %%
def reaches_middle(fk, interval):
    excited = cable(fk, [interval], every=1.0)[:, 1].values >= V_THRESHOLD
    return bool(
        (excited[1:] & ~excited[:-1]).sum() > n_s1
    )  # one upstroke more than S1 has beats


intervals, refractory = range(*s2_search), {}
for name, fk in cells.items():
    refractory[name] = intervals[
        bisect_left(intervals, True, key=lambda interval: reaches_middle(fk, interval))
    ]
    assert s2_search[0] < refractory[name], (
        "the search began inside the refractory period"
    )
    progress(f"refractory period of the set {name}: {refractory[name]} ms")

# %% [markdown]
# ## Restitution
#
# An early beat depends on the rest before it ({ref}`restitution`). We
# measure the duration and the velocity of the S2 beat and plot both against
# the diastolic interval. This is the time from the end of one action
# potential to the next activation, in the middle of the cable. The velocity
# is that between one third and two thirds of the length.


# %%
def early_beat(fk, interval, **grid):
    V_m, last_s1 = cable(fk, [interval], **grid), s1_interval * (n_s1 - 1)
    lat_1, apd_1 = beat_after(V_m, last_s1 + 0.5)
    lat_2, apd_2 = beat_after(V_m, (lat_1 + apd_1).fillna(np.inf))
    cv = float((V_m.x[2] - V_m.x[0]) / (lat_2[2] - lat_2[0]))  # mm/ms
    return {
        "interval": interval,
        "rest": float((lat_2 - lat_1 - apd_1)[1]),
        "apd90": float(apd_2[1]),
        "cv": cv,
    }


def restitution(fk, first, **grid):
    return (
        pd.DataFrame([early_beat(fk, first + later, **grid) for later in s2_later])
        .dropna()
        .sort_values("rest")
    )


curve = {
    name: restitution(cells[name], refractory[name]) for name in (*sets, "CAF, swapped")
}
grids = {f"$\\Delta x$ {dx:g} mm, $\\Delta t$ {dt:g} ms": curve["CAF"]}
for step, time_step in coarse_grids:
    label = f"$\\Delta x$ {step:g} mm, $\\Delta t$ {time_step:g} ms"
    grids[label] = restitution(FK_CAF, refractory["CAF"], dx=step, dt=time_step)

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(9.5, 4), sharex=True)
for name, points in curve.items():
    style = (
        dict(color=color[name], marker="o")
        if name in color
        else dict(color="0.5", marker="s", ls="--")
    )
    for ax, quantity in zip(axes, ("apd90", "cv"), strict=True):
        ax.plot(points.rest, points[quantity], ms=4, label=name, **style)
axes[0].set(ylabel=r"$\mathrm{APD}_{90}$ of S2 (ms)", xscale="log", ylim=(0, None))
axes[1].set(ylabel="CV of S2 (mm/ms)", ylim=(0, None))
for ax in axes:
    ax.set_xlabel("diastolic interval (ms)")
_ = axes[1].legend(fontsize="small", ncols=2)
figures.show(
    fig,
    "Duration and velocity of the early beat over the diastolic interval, on a "
    "logarithmic axis. Both fall toward short intervals, steeply in BR and MBR; the "
    "atrial duration is nearly flat. Swapped recovery times only slow the beat.",
)

# %% [markdown]
# Both quantities fall toward short rest, in each set in a different way.
# The atrial beat hardly changes its duration and mainly loses speed. In BR
# one millisecond less rest can shorten the beat by several. In MBR the
# curve falls almost vertically. Where the slope exceeds one, paced tissue
# can alternate ({ref}`restitution`). MLR-I, MBR and BR are back at full
# speed after some 100 ms of rest, because their $v$ reopens quickly near
# rest.
#
# With swapped recovery times the atrial beats keep their duration and
# travel more slowly. The gray curves look perfectly normal by themselves,
# so the swap is easily missed.
#
# The left end of a curve cannot be chosen. A wave that starts even earlier
# runs into tissue that has not recovered and travels slowly. The middle of
# the cable then gets more rest than the stimulus intended. This is why the
# leftmost points crowd together or turn back.
#
# All of this is about one early beat. The curves do not tell what happens
# to the tissue after many beats at a short interval.

# %% [markdown]
# ## Restitution and grid
#
# The reference for the atrial restitution has three velocities. Our cable
# is faster, and the difference grows with the rest. The same train on two
# coarser grids shows the cause: the difference is the error of the grid and
# of the time step, which {ref}`calibration` removes in tissue. The
# reference does not record its grid. Of those drawn here it agrees with 0.2
# mm and 0.05 ms. On that grid the assertion near the end holds our
# velocities to within 0.01 mm/ms of it.

# %%
reference_rest, reference_cv = [25, 74, 275], [0.476, 0.522, 0.584]  # ms, mm/ms
fig, ax = plt.subplots(figsize=(7, 3.8))
for (label, points), style in zip(grids.items(), ("o-", "s--", "^:"), strict=True):
    ax.plot(points.rest, points.cv, style, color="black", ms=4, label=label)
ax.plot(
    reference_rest,
    reference_cv,
    "x",
    color="C3",
    ms=9,
    mew=2,
    label="reference, grid unknown",
    zorder=3,
)
_ = ax.set(xlabel="diastolic interval (ms)", ylabel="CV of S2 (mm/ms)", xscale="log")
_ = ax.legend(fontsize="small")
figures.show(
    fig,
    "Velocity of the early beat over the diastolic interval on three grids. All "
    "curves rise; the coarser the grid, the lower and flatter its curve. Crosses of "
    "the reference lie close to the middle one.",
)

# %% [markdown]
# A coarser grid lowers the whole curve. It also flattens it, because the
# error is largest where the wave is fast. A restitution of velocity
# therefore belongs to a cell *and* a grid, unless the grid was calibrated.
# The durations are not drawn; they hardly differ between the three grids.
# The figure cannot prove which grid the reference had. It only shows one
# that fits.

# %% [markdown]
# ## Comparison with reference values
#
# The references were measured with an independent pilot code. Those of CAF,
# MLR-I and MBR belong to the same grid and step. For BR and GP only a
# duration is known, on a grid of 0.25 mm, and its tolerance is ours. The
# tolerance of the restitution is ours as well. The restitution is read off
# the curves above by linear interpolation. One value of the reference is
# left out: a rest of 4 ms, which the middle of this cable never gets. With
# one S1 instead of three, the beats after 25, 74 and 275 ms of rest are
# about 1 ms longer. The velocity of a first wave comes from `cable_cv`, the
# function behind the calibration.

# %%
known = {  # set: value and tolerance of cv (mm/ms), apd90 (ms), refractory period (ms)
    "CAF": ((0.644, 0.005), (107, 2), (97, 3)),
    "MLR-I": ((0.611, 0.005), (244, 4), (236, 4)),
    "MBR": ((0.458, 0.005), (161, 3), (184, 4)),
    "BR": ((np.nan, np.nan), (264, 4), (np.nan, np.nan)),
    "GP": ((np.nan, np.nan), (170, 4), (np.nan, np.nan)),
}
unknown = ((np.nan, np.nan),) * 3
unit = {"cv": "mm/ms", "apd90": "ms", "erp": "ms"}
allowed = {"cv": 0.002, "apd90": 1.0, "erp": 1.0}
on_cable = f"cable of {length_mm:g} mm, dx {dx:g} mm, dt {dt:g} ms, D {D:g} mm2/ms"
rows = []
for name, fk in cells.items():
    measured = cable_cv(D, dx, dt, fk), beats[name][1], refractory[name]
    for quantity, value, reference in zip(
        ("cv", "apd90", "erp"), measured, known.get(name, unknown), strict=True
    ):
        rows.append((name, quantity, value, *reference))
        if np.isfinite(reference[0]):
            set_name = name.lower().replace("mlr-i", "mlr1")
            key = f"{quantity}_{set_name}_{unit[quantity].replace('/', '_')}"
            judging = dict(unit=unit[quantity], tolerance=allowed[quantity])
            headline(key, value, **judging, on=on_cable)
names = ["set", "quantity", "value", "reference", "tolerance"]
table = pd.DataFrame(rows, columns=names)
wide = table.pivot(index="set", columns="quantity", values=["value", "reference"])
wide = wide.loc[list(cells)]
wide = wide.swaplevel(axis=1)[["cv", "apd90", "erp"]].astype(float)
wide.columns = [
    f"{quantity.upper()} ({unit[quantity]})" + ", reference" * (kind == "reference")
    for quantity, kind in wide
]
printed(wide, caption="Velocity, duration and refractory period on a cable.")

# %% [markdown]
# Velocities are in mm/ms (times 100 for cm/s), durations and refractory
# periods in milliseconds. Rows without a reference are not judged. Halving
# the fast current slows the wave and leaves the duration nearly unchanged;
# a set of your own would give a row like this one.
#
# Where there is a reference, two independent codes agree on the same model.
# This does not make it a model of a human atrium: the references are
# numbers of a code, and no recording is among them.

# %%
by_rest = [("CAF", "apd90", curve["CAF"], reference, 2) for reference in (99, 102, 105)]
on_grid = list(grids.values())[1]
by_rest += [
    ("CAF, first coarse grid", "cv", on_grid, reference, 0.01)
    for reference in reference_cv
]
extra = []
for (name, quantity, points, reference, tolerance), rest in zip(
    by_rest, 2 * reference_rest, strict=True
):
    value = np.interp(rest, points.rest, points[quantity])
    extra.append(
        (name, f"{quantity} after {rest} ms of rest", value, reference, tolerance)
    )
table = pd.concat([table, pd.DataFrame(extra, columns=names)], ignore_index=True)
judged = table.dropna()
assert (abs(judged.value - judged.reference) <= judged.tolerance).all(), (
    "the published behavior is reproduced"
)
for points in curve.values():
    assert (points.iloc[-1] > points.iloc[0])[["apd90", "cv"]].all(), (
        "more rest: a longer and faster beat"
    )
printed(
    table.tail(len(extra)).set_index("set"),
    caption="After a rest: measured values beside those of the reference code.",
)

# %% tags=["hide-input"]
table["unit"] = table.quantity.str.split().str[0].map(unit)
table.round(4).to_csv(
    result_file("01_action_potential.csv"), index=False, lineterminator="\n"
)
print(headline.provenance())
