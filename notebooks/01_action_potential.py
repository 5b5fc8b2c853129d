# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From equation to action potential
#
# **Question.** Which shape does the Fenton-Karma model give a
# heartbeat, and which of its three currents does what? And is our
# implementation the published model, down to the two time constants
# that are easily swapped?
#
# The theory is on the page before, {doc}`../book/cell`; the symbols
# are in {doc}`../book/notation`.
#
# *Needs* nothing but the package. *Takes* less than a minute and less
# than 1 GB on one core. *Change it* with
#
#     make run NB=01_action_potential SET="n_s1=1 D=0.05"

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

from forwardecg import plot
from forwardecg.cell import FK_CAF, FK_MLR1, V_REST, V_SPAN, constants, currents, gates, slow_inward_rate
from forwardecg.features import activation_time, apd90
from forwardecg.paths import progress, result_file
from forwardecg.record import provenance, save_headline
from forwardecg.solver import simulate, solve
from forwardecg.stimulus import Stimulus, edge_stimulus
from forwardecg.tissue import Tissue, healthy

plot.set_style()

# %% [markdown]
# ## Parameters
#
# The cable is resolved finely, so that no {ref}`calibration
# <calibration>` is needed and the numbers can be compared with
# reference values, which were measured at the same grid and step with
# an independent code.

# %% tags=["parameters"]
D = 0.1  # mm^2/ms, diffusivity of the cable
dx = 0.1  # mm, side of a grid cell
dt = 0.01  # ms, time step
t_end = 450.0  # ms, length of a single beat
length_mm = 30.0  # mm, length of the cable
s1_interval = 400.0  # ms, between the beats of the regular train
n_s1 = 3  # beats in the regular train
s2_intervals = [99.0, 102.0, 106.0, 110.0, 115.0, 122.0, 130.0, 145.0, 180.0, 250.0, 380.0]  # ms, last S1 to S2
s2_first = 92.0  # ms, where the search for the refractory period begins

# %% [markdown]
# Two parameter sets stand side by side: the atrial set that the whole
# book uses, {ref}`caf-set`, and the ventricular one as a check. The
# compiled functions want their parameters as `constants`, with the
# time step already in them; `currents` therefore returns each current
# times $\Delta t$.

# %%
sets = {"CAF": FK_CAF, "MLR-I": FK_MLR1}
c = {name: constants(fk, dt, np.float64) for name, fk in sets.items()}
n_x = round(length_mm / dx)
recorded = n_x // 2  # the node in the middle of the cable
time = np.arange(round(t_end / dt) + 1) * dt  # ms

# %% [markdown]
# ## Rest is rest
#
# A solver that drifts at rest would show waves nobody started, after
# long enough. A cell that nobody stimulates must stay where it is:
# with $u = 0$ and both gates open, all rates of {eq}`eq-currents` and
# {eq}`eq-gates` vanish. The fast and the outward current do so
# exactly. The slow inward current leaves the foot of its hyperbolic
# tangent, and the assertion says how little that is: it would need
# longer than a lifetime to move $u$.

# %%
for name in sets:
    J_fi, J_so, J_si = currents(0.0, 1.0, 1.0, slow_inward_rate(0.0, c[name]), c[name])
    assert J_fi == 0 and J_so == 0, "the fast and the outward current vanish at rest"
    assert abs(J_si) / dt < 1e-12, "the foot of the slow inward current is negligible"
    assert gates(0.0, 1.0, 1.0, c[name]) == (1.0, 1.0), "open gates stay open"

# %% [markdown]
# ## Each gate has its own current
#
# The slow inward current is gated by $w$ alone, and the fast one by
# $v$ alone. Passing one gate where the other belongs is an easy slip,
# because both are numbers between 0 and 1 and the action potential
# still looks like one. So we change one gate at a time, at a plateau
# voltage, and see which current answers.

# %%
for name in sets:
    rate_si = slow_inward_rate(0.8, c[name])
    states = ((0.5, 0.5), (0.9, 0.5), (0.5, 0.9))
    base, other_v, other_w = (currents(0.8, v, w, rate_si, c[name]) for v, w in states)
    assert other_v[2] == base[2] and other_w[2] != base[2], "J_si depends on w only"
    assert other_w[0] == base[0] and other_v[0] != base[0], "J_fi depends on v only"

# %% [markdown]
# ## One beat of one cell
#
# A sheet of a single pixel has no neighbors, so the tissue solver
# becomes a solver for the cell. It hands out $u$ at every step. The
# gates are then replayed along that voltage with the same `gates`
# function, and the currents are read off: each depends only on the
# state of that instant.


# %%
def beat(fk):
    pixel, everywhere = Tissue(D=np.array([[D]]), conductive=np.ones((1, 1), bool), dx=dx), np.ones((1, 1), bool)
    run = dict(t_end=t_end, every=dt, fk=fk, dt=dt, calibrated=False, real=np.float64)
    return np.array([state.u[0, 0] for state in solve(pixel, [Stimulus(mask=everywhere)], **run)])


def replay(u, c):
    v, w, rows = 1.0, 1.0, []
    for u_n in u:
        rows.append((v, w, *(J / dt for J in currents(u_n, v, w, slow_inward_rate(u_n, c), c))))
        v, w = gates(u_n, v, w, c)
    return np.array(rows).T


u = {name: beat(fk) for name, fk in sets.items()}
state = {name: replay(u[name], c[name]) for name in sets}  # rows v, w, J_fi, J_so, J_si

# %% [markdown]
# The replay is not a second model that merely resembles the first.
# Once the stimulus is over, the step that the fused, vectorized
# solver took must be minus the sum of the replayed currents, to
# rounding, at every one of the many thousand steps.

# %%
after = time[:-1] >= Stimulus(mask=np.ones((1, 1), bool)).duration
for name in sets:
    du_dt = np.diff(u[name]) / dt
    balance = du_dt + state[name][2:, :-1].sum(0)
    assert np.abs(balance[after]).max() < 1e-11, "the solver steps by exactly these currents"
    assert abs(u[name][-1]) < 0.02, "the cell is back at rest"

# %%
fig, axes = plt.subplots(3, 2, figsize=(9, 7.5), sharex=True, sharey="row")
for column, name in zip(axes.T, sets, strict=True):
    v, w, J_fi, J_so, J_si = state[name]
    column[0].plot(time, V_REST + V_SPAN * u[name], color="black")
    column[0].set_title(name)
    for y, label in ((v, "$v$"), (w, "$w$")):
        column[1].plot(time, y, label=label)
    for y, label in ((J_fi, r"$J_\mathrm{fi}$"), (J_so, r"$J_\mathrm{so}$"), (J_si, r"$J_\mathrm{si}$")):
        column[2].plot(time, y, label=label)
    column[2].set_yscale("symlog", linthresh=0.02)
    column[2].set_xlabel("time (ms)")
for ax, label in zip(axes[:, 0], (r"$V_m$ (mV)", "gate", "current (1/ms)"), strict=True):
    ax.set_ylabel(label)
for ax in axes[1:, 1]:
    ax.legend(loc="center right")

# %% [markdown]
# **What to see.** The stimulus lifts the voltage over threshold, and
# the fast inward current answers with a spike that is two orders of
# magnitude larger than anything that follows; hence the scale, which
# is logarithmic outside a narrow band around zero. For a moment the
# stimulus pushes $u$ beyond 1, where the fast current changes its
# sign and pulls back. It then shuts itself off, because $v$ closes.
# The plateau is a contest between a constant outward current and a
# slow inward current, which fades as the voltage sinks and $w$
# closes. When the outward one has won, the cell repolarizes in an
# almost straight line, and below $u_c$ the rest decays exponentially.
# The kink in the recovery of $v$ in the left column is where the
# voltage passes $u_v$. The ventricular set has a weaker outward
# current and closes $w$ more slowly, and so has the longer plateau.
#
# **What it does not show:** real ion channels. Three currents stand
# in for dozens, and the outward one jumps at threshold where a real
# one glides. Its jump is the corner at the end of each action
# potential.

# %% [markdown]
# ## The trap of the two time constants
#
# {ref}`tau-v-trap` tells how the recovery of $v$ has two paces and
# how the papers number them in opposite order. Here is the test: hold
# the voltage just below and just above $u_v$, let $v$ recover from
# zero, and compare with the exponential of the time constant that
# belongs there. For the atrial set the pace near rest is the *slower*
# one.

# %%
waiting = np.arange(round(200 / dt) + 1) * dt  # ms
recovery = {}
for side, shift, tau in (("below", -1e-3, FK_CAF.tau_v_minus_low), ("above", 1e-3, FK_CAF.tau_v_minus_high)):
    v, trace = 0.0, []
    for _ in waiting:
        trace.append(v)
        v, _w = gates(FK_CAF.u_v + shift, v, 1.0, c["CAF"])
    recovery[side] = np.array(trace)
    assert np.allclose(recovery[side], -np.expm1(-waiting / tau), atol=1e-9), f"v recovers with {tau} ms {side} u_v"

# %% [markdown]
# ## The same beat in a cable
#
# A lone cell is stimulated everywhere at once. In tissue a cell is
# excited by its neighbor, and part of its current flows on to the
# next one, which changes the shape a little. Published durations are
# those of propagated beats, so that is what we compare: a thin cable,
# stimulated at one end, read in the middle. The function takes a
# whole train of stimuli, because the restitution below needs one. A
# beat is cut out of the trace behind one sample of rest, which
# `apd90` measures amplitudes from.


# %%
def cable(starts, fk, t_end):
    stimuli = [edge_stimulus((1, n_x), dx, start=start) for start in starts]
    run = dict(frame_interval=0.5, ecg_interval=0.5, fk=fk, dt=dt, calibrated=False, real=np.float64)
    V_m = simulate(healthy((1, n_x), dx, D), stimuli, t_end=t_end, **run).V_m
    return V_m.isel(y_map=0, x_map=recorded)


def beat_after(V_m, start):
    V_m = xr.concat([V_m.isel(time=[0]), V_m.sel(time=slice(start, None))], "time")
    return float(activation_time(V_m)), float(apd90(V_m))


duration = {name: beat_after(cable([0.0], fk, t_end), 0.5)[1] for name, fk in sets.items()}

# %% [markdown]
# ## A beat remembers the one before
#
# The gates need time to reopen, $v$ some tens of milliseconds and $w$
# hundreds. A beat that comes before they have is a different beat.
# After a train of regular beats, S1, comes one early beat, S2. The
# shorter the rest that the tissue had, the shorter the action
# potential that follows. The rest is the diastolic interval, from the
# end of one action potential to the next activation at the same
# place. We also look for the refractory period: the shortest S2
# interval whose wave reaches the middle of the cable at all. As a
# counter-example the same is done with the two recovery times
# swapped.


# %%
def s1_s2(fk, interval):
    last_s1 = s1_interval * (n_s1 - 1)
    starts = [*s1_interval * np.arange(n_s1), last_s1 + interval]
    V_m = cable(starts, fk, last_s1 + interval + 250)
    lat_1, apd_1 = beat_after(V_m, last_s1 + 0.5)
    lat_2, apd_2 = beat_after(V_m, lat_1 + apd_1)
    return {"interval": interval, "rest": lat_2 - lat_1 - apd_1, "apd90": apd_2}


swapped = replace(FK_CAF, tau_v_minus_low=FK_CAF.tau_v_minus_high, tau_v_minus_high=FK_CAF.tau_v_minus_low)
curve, refractory = {}, {}
for name, fk in {"CAF": FK_CAF, "CAF, swapped": swapped}.items():
    curve[name] = pd.DataFrame([s1_s2(fk, interval) for interval in s2_intervals]).dropna()
    early = (interval for interval in np.arange(s2_first, 130) if np.isfinite(s1_s2(fk, interval)["apd90"]))
    refractory[name] = next(early)
    progress(f"restitution of the set {name}: done")

# %%
fig, ax = plt.subplots(figsize=(7, 4))
for (name, points), style in zip(curve.items(), ("o-", "s--"), strict=True):
    ax.plot(points.rest, points.apd90, style, ms=4, label=name)
_ = ax.set(xlabel="diastolic interval (ms)", ylabel=r"$\mathrm{APD}_{90}$ of S2 (ms)", xscale="log")
_ = ax.legend()

# %% [markdown]
# **What to see.** On this logarithmic axis the atrial curve is almost
# straight: steep where the rest is short, flat where it is long. A
# tissue that is driven faster shortens its beats to fit. The left end
# of each curve is no choice of ours: a wave that is started even
# earlier runs into tissue that is not ready, travels slowly, and so
# grants the middle of the cable more rest than the stimulus intended.
# That is why the leftmost points crowd together or turn back. With
# the two recovery times swapped the whole left part moves, and the
# refractory period with it. Each curve by itself looks perfectly
# healthy, which is what makes the swap a trap.
#
# **What it does not show:** how the conduction velocity falls at
# short rests, and what becomes of the tissue after many beats at a
# short interval.

# %% [markdown]
# ## Measured against reference
#
# The references were measured with an independent code at the same
# grid and step; the tolerances are theirs. The restitution is read
# off the curve above by linear interpolation, at those rests that
# occur in the middle of this cable.

# %%
caf = curve["CAF"].sort_values("rest")
rows = [("apd90", name, duration[name], *known) for name, known in {"CAF": (107, 2), "MLR-I": (244, 4)}.items()]
rows += [("refractory period", "CAF", refractory["CAF"], 97, 3)]
rows += [("refractory period", "CAF, swapped", refractory["CAF, swapped"], np.nan, np.nan)]
for rest, known in ((25, 99), (74, 102), (275, 105)):
    rows.append((f"apd90 after {rest} ms of rest", "CAF", np.interp(rest, caf.rest, caf.apd90), known, 2))
table = pd.DataFrame(rows, columns=["quantity", "set", "value", "reference", "tolerance"]).assign(unit="ms")
judged = table.dropna()
assert (abs(judged.value - judged.reference) <= judged.tolerance).all(), "the published behavior is reproduced"
assert caf.apd90.iloc[-1] - caf.apd90.iloc[0] > 5, "more rest, longer action potential"
assert min(refractory.values()) > s2_first, "the search began inside the refractory period"
table[["quantity", "set", "value", "unit", "reference", "tolerance"]].round(1)

# %% [markdown]
# The references belong to a cable with the diffusivity of the
# parameters cell. Durations hardly depend on it; conduction velocity
# does, and is the subject of {doc}`02_tissue_wave`.

# %%
table.round(3).to_csv(result_file("01_action_potential.csv"), index=False, lineterminator="\n")
scale = f"cable of {length_mm:g} mm, dx {dx:g} mm, dt {dt:g} ms, D {D:g} mm2/ms"
values = {"apd90_caf_ms": duration["CAF"], "apd90_mlr1_ms": duration["MLR-I"], "erp_caf_ms": refractory["CAF"]}
save_headline(
    "01_action_potential",
    {key: {"value": value, "unit": "ms", "tolerance": 1.0, "scale": scale} for key, value in values.items()},
)

# %%
print(provenance("01_action_potential"))
