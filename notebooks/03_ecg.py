# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From voltage to the ECG
#
# **Question.** Is the ECG computed correctly, what does fibrosis do
# to it, and what does it cost when the tissue is known?
#
# The theory is on the page before, {doc}`../book/forward`: each
# statement of its table {ref}`ecg-checks` is asserted here. The
# symbols are in {doc}`../book/notation`.
#
# *Needs* nothing but the package. *Takes* less than a minute and less
# than 2 GB on one core; several times as much on a grid twice as
# fine. *Change it* with
#
#     make run NB=03_ecg SET="dx=0.25 z_mm=20"

# %%
import math
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from llvmlite.binding import get_host_cpu_name
from matplotlib.colors import SymLogNorm

from forwardecg import plot
from forwardecg.cell import V_REST, V_SPAN
from forwardecg.diffusion import face_diffusivity, net_flux
from forwardecg.ecg import distances, lead_field, pseudo_ecg, source_sum_ecg
from forwardecg.electrodes import Electrodes, center_electrode
from forwardecg.paths import progress, result_file
from forwardecg.record import provenance, save_headline
from forwardecg.solver import simulate
from forwardecg.stimulus import edge_stimulus
from forwardecg.tissue import Tissue, combined, fibrotic, gap_junction, healthy

plot.set_style()

# %% [markdown]
# ## Parameters
#
# All lengths are physical, so that each of them can be changed alone:
# a finer grid, a smaller sheet or a lower electrode. The sheets are
# those of {doc}`02_tissue_wave`, the electrode is that of the data
# set, above the center. The heights are those of further electrodes
# at the same place.

# %% tags=["parameters"]
size_mm = 200.0  # mm, side of the sheet
dx = 0.5  # mm, side of a grid cell
D0 = 0.13  # mm^2/ms, diffusivity of the healthy part
z_mm = 40.0  # mm, height of the electrode above the center
heights = [20.0, 80.0]  # mm, further electrodes above the center
t_end = 450.0  # ms
frame_interval = 10.0  # ms between voltage maps
seeds = [0, 1, 6, 5]  # one for each condition
front_size_mm = 200.0  # mm, side of the sheet with the plane front
front_z_mm = 10.0  # mm, height of the electrode above the plane front
repeats = 200  # timed frames
claim_wrong_weight_rrmse_min = 0.05  # relative error of the weight 1/R^2, at least

# %% [markdown]
# The number of cells follows from the size, and the time step shrinks
# with the grid, so that it stays below the {ref}`limit of stability
# <stability>`. The healthy sheet is then the same on every grid. The
# others are not: random numbers are drawn cell by cell, and another
# number of cells makes another texture of the same kind.

# %%
n = round(size_mm / dx)
shape, dt = (n, n), 1 / math.ceil(5 / dx)  # ms
z = sorted({z_mm, *heights})  # mm
electrodes = Electrodes(np.array([[n * dx / 2, n * dx / 2, height] for height in z]), tuple(f"{h:g} mm" for h in z))
center, lead = center_electrode(shape, dx, z_mm), f"{z_mm:g} mm"
rng = [np.random.default_rng(seed) for seed in seeds]
base = healthy(shape, dx, D0)
tissues = {
    "healthy": base,
    "gap_junction": gap_junction(base, rng[1]),
    "fibrotic": fibrotic(base, rng[2]),
    "combined": combined(base, rng[3]),
}

# %% [markdown]
# ## Four waves, one electrode
#
# Every sheet gets the same stimulus along its left edge. The solver
# records the ECG at every millisecond as it goes, from the full grid
# and the physical diffusivity, and keeps a voltage map now and then
# for the checks. Double precision is not needed for the result; it is
# used so that identities can be asserted down to rounding.

# %%
run = dict(t_end=t_end, frame_interval=frame_interval, electrodes=electrodes, dt=dt, real=np.float64)
ecgs, maps = {}, {}
for condition, tissue in tissues.items():
    ds = simulate(tissue, [edge_stimulus(shape, dx, "left")], **run)
    ecgs[condition], maps[condition] = ds.phi_e, ds.V_m.values
    progress(f"{condition}: simulated")

# %% [markdown]
# ## Three ways, one answer
#
# {ref}`source-sum` gives three sums for the same potential: sources
# over distance {eq}`eq-source-sum`, products of first differences
# over the faces {eq}`eq-green`, and the lead field {eq}`eq-lead`.
# They share no intermediate result but the diffusivity of the faces.
# We ask for agreement to twelve digits of $\sum_i |L_i|\,|V_{m,i}|$,
# which is the size of the terms that have to cancel. The fourth value
# in the comparison is what the solver recorded while it ran.


# %%
def green(V_m, tissue):
    (D_x, D_y), weight = face_diffusivity(tissue.D, tissue.conductive)[:2], 1 / distances(tissue, center)[0]
    along_x = D_x[:, 1:-1] * np.diff(V_m, axis=-1) * np.diff(weight, axis=-1)
    along_y = D_y[1:-1] * np.diff(V_m, axis=-2) * np.diff(weight, axis=-2)
    return -along_x.sum((-2, -1)) - along_y.sum((-2, -1))


disagreement = {}
for condition, tissue in tissues.items():
    V_m, per_frame = maps[condition], round(frame_interval)
    by_lead_field = pseudo_ecg(V_m, tissue, center)[0]
    scale = np.tensordot(np.abs(V_m), np.abs(lead_field(tissue, center)[0]), axes=2)
    others = source_sum_ecg(V_m, tissue, center)[0], green(V_m, tissue), ecgs[condition].sel(lead=lead)[::per_frame]
    disagreement[condition] = max(float((np.abs(by_lead_field - other) / scale).max()) for other in others)
    assert disagreement[condition] < 1e-12, "source sum, Green form, lead field and solver agree"

# %% [markdown]
# ## A constant voltage is silent
#
# The sheet as a whole is no source: what leaves one cell enters its
# neighbor. So the same voltage everywhere gives no ECG, at rest as at
# the plateau, and in fibrotic tissue as in healthy. A scheme that
# loses this adds a monopole, which falls off more slowly than the
# signal and swamps it far away.

# %%
for tissue in tissues.values():
    L = lead_field(tissue, center)
    constant = np.full((2, *shape), [[[V_REST]], [[V_REST + V_SPAN]]])
    silence = pseudo_ecg(constant, tissue, center)
    assert np.abs(silence).max() < 1e-12 * abs(V_REST) * np.abs(L).sum(), "a constant voltage gives zero"

# %% [markdown]
# ## Mirror and distance
#
# If the tissue, its voltage and the electrode are all seen in a
# mirror, nothing may change. The electrode is moved off the center
# for this test, and the tissue with the most irregular structure is
# taken. And an electrode farther away sees less of any of the waves.

# %%
V_m, tissue = maps["combined"], tissues["combined"]
mirrored = Tissue(D=tissue.D[:, ::-1], conductive=tissue.conductive[:, ::-1], dx=dx)
off_center = [Electrodes(np.array([[x, 0.3 * size_mm, z_mm]]), ("off",)) for x in (0.2 * n * dx, 0.8 * n * dx)]
original, reflected = pseudo_ecg(V_m, tissue, off_center[0]), pseudo_ecg(V_m[..., ::-1], mirrored, off_center[1])
assert np.abs(original - reflected).max() < 1e-9 * np.abs(original).max(), "mirrored electrodes agree"
for condition in tissues:
    amplitude = np.abs(ecgs[condition]).max("time_ecg").values
    assert (np.diff(amplitude) < 0).all(), "a farther electrode sees less"

# %% [markdown]
# ## A case done by hand
#
# Agreement of three sums proves the algebra, not the geometry: all
# three could share a wrong distance or a wrong area of a cell. So one
# case is compared with paper and pencil.
#
# {ref}`plane-front` reduces a plane front to one integral with the
# weight $K$ of {eq}`eq-K`, and, if the front is sharp and the sheet
# very wide, to {eq}`eq-sharp`. We move a front of height 1 mV through
# a sheet of its own and compare three numbers at every position: the
# sum over the sheet, the sum along one line, and the limit. To see
# that the limit is missed only because the sheet is finite, the line
# sum is repeated with the $K$ of a sheet a hundred times as long.

# %%
m, width = round(front_size_mm / dx), 0.6  # cells, mm
x, at = (np.arange(m) + 0.5) * dx, m * dx / 2
ahead = np.linspace(-30, 30, 41)  # mm, x_e - s
V_m = (1 + np.tanh((at - ahead[:, None] - x) / width)) / 2
line = D0 * np.diff(V_m, axis=-1, prepend=V_m[:, :1], append=V_m[:, -1:])
line = np.diff(line, axis=-1) / dx  # D V'' times dx
K = {side: 2 * np.arcsinh(side / 2 / np.hypot(x - at, front_z_mm)) for side in (m * dx, 100 * m * dx)}
by_line, by_long_line = (line @ weight for weight in K.values())
sheet, above = healthy((m, m), dx, D0), center_electrode((m, m), dx, front_z_mm)
by_sheet = pseudo_ecg(np.broadcast_to(V_m[:, None], (ahead.size, m, m)), sheet, above)[0]
sharp = 2 * D0 * ahead / (ahead**2 + front_z_mm**2)
peak = D0 / front_z_mm
front_error = np.abs(by_sheet - by_line).max() / peak
assert front_error < 1e-4, "the sheet collapses to a line"
assert np.abs(by_long_line - sharp).max() < 0.02 * peak, "the sharp limit of a wide sheet"

# %%
fig, ax = plt.subplots(figsize=(7, 3.8))
ax.plot(ahead, by_sheet, "o", ms=4, label="sum over the sheet")
ax.plot(ahead, by_line, lw=1.5, label="line with $K$, same sheet")
ax.plot(ahead, sharp, "--", color="black", lw=1, label="sharp front, endless sheet")
for extremum in (-front_z_mm, front_z_mm):
    ax.axvline(extremum, color="0.85", zorder=0)
_ = ax.set(xlabel="$x_e - s$: electrode ahead of the front (mm)", ylabel=plot.PHI_E_LABEL)
_ = ax.legend(fontsize="small")

# %% [markdown]
# **What to see.** The points lie on the line: the sheet does what the
# integral says, and no factor of two or of the area of a cell is
# lost. The dashed limit runs a little outside, since it knows no
# border. A front that approaches is positive, one that leaves is
# negative, and the extrema lie where the distance equals the height
# of the electrode
# (gray lines).
#
# **What it does not show:** repolarization. A real wave has a tail,
# whose source is weaker, wider and of opposite sign.

# %% [markdown]
# ## What an electrode listens to
#
# The {ref}`lead field <lead-field>` is the weight of each cell in the
# ECG. It does not depend on the wave.

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
L = {condition: lead_field(tissues[condition], center)[0] / dx**2 for condition in ("healthy", "fibrotic")}
largest = np.abs(L["fibrotic"]).max()
for ax, condition in zip(axes, L, strict=True):
    norm = SymLogNorm(linthresh=largest / 100, vmin=-largest, vmax=largest)
    image = plot.map_axes(ax, L[condition], dx, norm=norm, cmap="RdBu_r")
    ax.set_title(plot.LABELS[condition])
_ = fig.colorbar(image, ax=axes, label=r"$L / \Delta x^2$ (mm$^{-1}$ ms$^{-1}$)")

# %% [markdown]
# **What to see.** In healthy tissue the lead field is smooth:
# negative below the electrode, faintly positive around it, and a thin
# rim at the edge of the sheet, where the current has to turn back. In
# fibrotic tissue that rim runs along every border of every patch,
# with one sign on the side that faces the electrode and the other on
# the far side, and it is much stronger than the smooth part - the
# scale is logarithmic on both sides of zero. This is the border term
# of {ref}`source-sum`, and it is how fibrosis enters the ECG even
# where the front has long passed.
#
# **What it does not show:** how much of this reaches the ECG. The two
# sides of a small patch have nearly the same voltage and mostly
# cancel.

# %% [markdown]
# Sheet, wave and lead field together give the ECG: the four
# conditions, seen by the electrode of the data set.

# %%
fig, ax = plt.subplots(figsize=(8, 4))
for condition, phi_e in ecgs.items():
    ax.plot(phi_e.time_ecg, phi_e.sel(lead=lead), color=plot.COLORS[condition], label=plot.LABELS[condition])
ax.axhline(0, color="0.8", lw=0.6, zorder=0)
_ = ax.set(xlabel="time (ms)", ylabel=plot.PHI_E_LABEL)
_ = ax.legend()

# %% [markdown]
# **What to see.** One stimulus, one electrode, four ECGs. All begin
# positive, while the wave comes, and turn negative as it goes.
# Healthy tissue gives the largest deflection: the source is
# proportional to $D$, and the front is straight, so that all of it
# passes the electrode at once. Remodeling makes the trace smaller and
# longer; fibrosis makes it smaller, too, and adds notches where the
# front breaks up and heals. The step late in the healthy trace is no
# artifact: there the whole front reaches the far edge in the same
# instant and is gone, and what remains is repolarization on its way
# across the sheet. In the other sheets the front arrives piece by
# piece.
#
# **What it does not show:** that these differences identify a
# condition. Another stimulus site changes the trace at least as much.

# %% [markdown]
# ## Height, and a wrong weight
#
# How high the electrode hangs decides how much of the sheet it hears
# at once. And the weight has to be $1/R$. A public code divides by
# $R^2$ instead; we do the same here, on purpose, in the healthy
# sheet, and scale the result so that it fits the correct ECG as well
# as it can.

# %%
D_faces = face_diffusivity(base.D, base.conductive)
wrong = np.tensordot(maps["healthy"], net_flux(1 / distances(base, center)[0] ** 2, *D_faces), axes=2)
right = ecgs["healthy"].sel(lead=lead).values[:: round(frame_interval)]
fitted = wrong * (wrong @ right) / (wrong @ wrong)
wrong_rrmse = np.linalg.norm(fitted - right) / np.linalg.norm(right)
assert wrong_rrmse > claim_wrong_weight_rrmse_min, "no factor turns the wrong weight into the right one"

# %%
fig, (left, other) = plt.subplots(1, 2, figsize=(11, 4))
for height, phi_e in zip(z, ecgs["healthy"], strict=True):
    left.plot(phi_e.time_ecg, phi_e, label=f"$z$ = {height:g} mm")
times = np.arange(right.size) * frame_interval
other.plot(times, right, color="black", label="$1/R$")
other.plot(times, fitted, "--", color="crimson", label="$1/R^2$, best fit in size")
for ax in (left, other):
    ax.axhline(0, color="0.8", lw=0.6, zorder=0)
    ax.set(xlabel="time (ms)", ylabel=plot.PHI_E_LABEL)
    ax.legend(fontsize="small")

# %% [markdown]
# **What to see.** Left: a low electrode gives a large, quick signal,
# since it hears the front only while that is near; a high one a
# small, slow signal. Right: the inverse square is not a matter of
# units. It favors what is near, so the deflections move toward the
# moment of passage and become narrower, just as if the electrode hung
# lower.
#
# The order of the deflections survives, so a wrong weight is easily
# overlooked when traces are compared by eye. How wrong it is depends
# on the height: an electrode that is far away compared with the size
# of the sheet cannot tell the two weights apart.
#
# **What it does not show:** a body. In a bounded conductor the
# potential falls off differently again.

# %% [markdown]
# ## The honest core
#
# For a **known** diffusivity this is the whole computation: one
# product of two maps per sample, exact for {eq}`eq-phi`. We time it,
# frame by frame, as a user would call it, and the lead field itself
# once. The times go into the results, with the name of the processor.
# Whatever a network can offer in this book, it cannot be accuracy or
# speed here; it is that the network does not need to be told $D$
# ({ref}`honest-core`).


# %%
def microseconds(work, repeats):
    times = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return 1e6 * float(np.median(times))


weights, frame = lead_field(base, center)[0].ravel(), maps["healthy"][5].ravel().copy()
per_frame_us = microseconds(lambda: weights @ frame, repeats)
build_us = microseconds(lambda: lead_field(base, center), 5)

# %% [markdown]
# ## Results
#
# The table in the results file holds extrema, standard deviation and
# time of the maximum of every trace, and how far the identities above
# were missed. Printed is the part for the electrode of the data set:
# potentials in the unit of $\phi_e$, times in milliseconds. The
# standard deviation is the size of an ECG that the scores of this
# book refer to: a method that gets the shape right and the size wrong
# is wrong.

# %%
rows = []
for condition, phi_e in ecgs.items():
    for height, trace in zip(z, phi_e, strict=True):
        found = {"max": trace.max(), "min": trace.min(), "sd": trace.std(), "time_of_max": trace.idxmax()}
        rows += [(condition, height, quantity, float(value)) for quantity, value in found.items()]
rows += [(condition, z_mm, "three_forms_disagreement", value) for condition, value in disagreement.items()]
rows += [("healthy", front_z_mm, "plane_front_error", front_error)]
rows += [("healthy", z_mm, "inverse_square_rrmse", wrong_rrmse)]
table = pd.DataFrame(rows, columns=["condition", "z_mm", "quantity", "value"])
table.to_csv(result_file("03_ecg.csv"), index=False, float_format="%.6g", lineterminator="\n")
ecg_table = table[table.z_mm == z_mm].pivot(index="condition", columns="quantity", values="value")
ecg_table.loc[list(tissues), ["max", "min", "sd", "time_of_max"]].round(2)

# %%
grid, cpu = f"{n} x {n} cells, dx {dx:g} mm", get_host_cpu_name()
share = {name: float(ecgs[name].sel(lead=lead).std() / ecgs["healthy"].sel(lead=lead).std()) for name in tissues}
numbers = {
    "ecg_three_forms_disagreement": (max(disagreement.values()), "1", 1e-12, f"{grid}, relative to sum |L| |V|"),
    "plane_front_error": (front_error, "1", 1e-4, f"sheet of {front_size_mm:g} mm, z {front_z_mm:g} mm"),
    "ecg_sd_fibrotic_over_healthy": (share["fibrotic"], "1", 0.01, f"{grid}, one tissue, z {z_mm:g} mm"),
    "ecg_inverse_square_rrmse": (wrong_rrmse, "1", 0.01, f"{grid}, healthy, z {z_mm:g} mm"),
    "lead_field_us_per_frame": (per_frame_us, "µs", None, f"{grid}, f64, one lead, {cpu}"),
    "lead_field_build_ms": (build_us / 1000, "ms", None, f"{grid}, one lead, {cpu}"),
}
fields = ("value", "unit", "tolerance", "scale")
save_headline("03_ecg", {key: dict(zip(fields, row, strict=True)) for key, row in numbers.items()})
print(provenance("03_ecg"))
