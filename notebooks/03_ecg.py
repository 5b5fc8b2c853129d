# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   page:
#     question: >-
#       Is the computed ECG exact, and what do tissue, distance and a boundary change?
#     answer: >-
#       Three ways to compute it agree to rounding, and a plane front has the value of
#       its integral; the ECG of the one fibrotic sheet shown is
#       {headline}`ecg_sd_fibrotic_over_healthy.2` times as large as the healthy one, a
#       farther electrode sees less, and on top of an insulated sphere the trace is
#       {headline}`ecg_sphere_over_unbounded.2` times as large.
#     next:
#       page: book/torso
#       why: what changes if the conductor around the sheet has an end
#     makes:
#       results/03_ecg.csv: >-
#         extrema, size and times of the ECGs of four sheets at several heights, and the
#         identities
#     smoke: {
#       size_mm: 40.0, t_end: 150.0, z_mm: 10.0, heights: [6.0, 20.0],
#       front_size_mm: 100.0, map_time: 30.0, map_z_mm: 6.0, n_map: 6
#     }
# ---

# %% [markdown]
# # Pseudo-ECG: accuracy, fibrosis and leads
#
# **Question.** Is the ECG computed correctly? What do fibrosis, further
# electrodes and a bounded conductor change? What does an ECG cost when the
# tissue is known?
#
# {doc}`../book/forward` has the theory, and each statement of its table
# {ref}`ecg-checks` is asserted here. The bounded conductors are those of
# {doc}`../book/torso`, the symbols those of {doc}`../book/notation`.
#
# The page needs only the package. It runs in about a minute on one core
# with less than 2 GB; a grid twice as fine takes several times as long. To
# run it with other values:
#
#     make run NB=03_ecg SET="dx=0.25 z_mm=20"

# %% tags=["hide-input"]
import math
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from llvmlite.binding import get_host_cpu_name
from matplotlib.colors import SymLogNorm

from compendium import figures
from compendium.record import Headline, result_file
from compendium.tables import printed
from forwardecg.contract import V_REST, V_SPAN
from forwardecg.ecg.electrodes import (
    Electrodes,
    center_electrode,
    grid_electrodes,
    ring_electrodes,
    standard_electrodes,
)
from forwardecg.ecg.leadfield import distances, lead_field, pseudo_ecg, source_sum_ecg
from forwardecg.ecg.leads import TWELVE, twelve_leads
from forwardecg.ecg.torso import Disc, Sphere
from forwardecg.paths import progress
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.diffusion import face_diffusivity, net_flux
from forwardecg.tissue.sheet import Tissue, combined, fibrotic, gap_junction, healthy
from forwardecg.tissue.stimulus import edge_stimulus

figures.set_style()
headline = Headline("03_ecg")

# %% [markdown]
# ## Parameters
#
# All lengths are physical, so each can be changed alone: to a finer grid, a
# smaller sheet or a lower electrode. The sheets are those of
# {doc}`02_tissue_wave`. The electrode is that of the data set, above the
# center. `heights` adds electrodes at the same place and other heights.

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
map_time = 100.0  # ms, instant of the potential map
map_z_mm = 20.0  # mm, height of its electrodes
n_map = 12  # electrodes along each side of it
small_mm = 60.0  # mm, side of the sheet sampled at every step
small_heights = [1.0, 2.0, 5.0, 10.0, 40.0]  # mm, electrodes above its center
passage = [10.0, 70.0]  # ms, when its wave is neither starting nor ending
repeats = 200  # timed frames
claim_wrong_weight_rrmse_min = 0.05  # relative error of the weight 1/R^2, at least

# %% [markdown]
# The number of cells follows from the size. The time step shrinks with the
# grid, so that it stays below the {ref}`limit of stability <stability>`.
# The healthy sheet is then the same on every grid. The other sheets are
# not. Random numbers are drawn cell by cell, and another number of cells
# gives another texture of the same kind.
#
# Three layouts are recorded at once: the column of electrodes above the
# center, the nine electrodes of the twelve leads, and a ring of eight.

# %%
n = round(size_mm / dx)
shape, dt, middle = (n, n), 1 / math.ceil(5 / dx), n * dx / 2  # cells, ms, mm
grid, z = f"{n} x {n} cells, dx {dx:g} mm", sorted({z_mm, *heights})  # mm
column = Electrodes(
    np.array([[middle, middle, height] for height in z]), tuple(f"{h:g} mm" for h in z)
)
base = healthy(shape, dx, D0)
nine = standard_electrodes(base, z_mm)
ring = ring_electrodes(base, 8, 0.3 * n * dx, z_mm)
positions = np.concatenate([part.positions for part in (column, nine, ring)])
recorded = Electrodes(positions, column.names + nine.names + ring.names)
center, lead = center_electrode(base, z_mm), f"{z_mm:g} mm"
rng = [np.random.default_rng(seed) for seed in seeds]
tissues = {
    "healthy": base,
    "gap_junction": gap_junction(base, seed=rng[1]),
    "fibrotic": fibrotic(base, seed=rng[2]),
    "combined": combined(base, seed=rng[3]),
}

# %% [markdown]
# ## Four waves
#
# Every sheet gets the same stimulus along its left edge. While it runs, the
# solver records the ECGs every millisecond, from the full grid and the
# physical diffusivity. It keeps a voltage map now and then for the checks.
# The ECG itself does not need double precision. We use it so that
# identities can be asserted to rounding.

# %%
run = dict(
    t_end=t_end,
    frame_interval=frame_interval,
    electrodes=recorded,
    dt=dt,
    dtype=np.float64,
)
ecgs, maps = {}, {}
for condition, tissue in tissues.items():
    ds = simulate(tissue, [edge_stimulus(tissue, "left")], **run)
    ecgs[condition], maps[condition] = ds.phi_e, ds.V_m.values
    progress(f"{condition}: simulated")

# %% [markdown]
# ## Agreement of three computations
#
# {ref}`source-sum` gives three sums for the same potential: sources over
# distance {eq}`eq-source-sum`, products of first differences over the faces
# {eq}`eq-green`, and the lead field {eq}`eq-lead`. They share no
# intermediate result but the diffusivity of the faces. We ask for agreement
# to twelve digits of $\sum_i |L_i|\,|V_{m,i}|$, the size of the terms that
# have to cancel. A fourth value joins the comparison: the one that the
# solver recorded while it ran.


# %%
def green(V_m, tissue):
    D_x, D_y = face_diffusivity(tissue.D, tissue.conductive)[:2]
    weight = 1 / distances(tissue, center)[0]
    along_x = D_x[:, 1:-1] * np.diff(V_m, axis=-1) * np.diff(weight, axis=-1)
    along_y = D_y[1:-1] * np.diff(V_m, axis=-2) * np.diff(weight, axis=-2)
    return -along_x.sum((-2, -1)) - along_y.sum((-2, -1))


disagreement = {}
for condition, tissue in tissues.items():
    V_m, per_frame = maps[condition], round(frame_interval)
    by_lead_field = pseudo_ecg(V_m, tissue, center).values[0]
    scale = np.tensordot(np.abs(V_m), np.abs(lead_field(tissue, center)[0]), axes=2)
    others = (
        source_sum_ecg(V_m, tissue, center).values[0],
        green(V_m, tissue),
        ecgs[condition].sel(lead=lead)[::per_frame],
    )
    disagreement[condition] = max(
        float((np.abs(by_lead_field - other) / scale).max()) for other in others
    )
    assert disagreement[condition] < 1e-12, (
        "source sum, Green form, lead field and solver agree"
    )
on_sheet = f"{grid}, relative to sum |L| |V|"
headline(
    "ecg_three_forms_disagreement",
    max(disagreement.values()),
    tolerance=1e-12,
    on=on_sheet,
)

# %% [markdown]
# ## Constant voltage, mirror images and distance
#
# The sheet as a whole is no source, because what leaves one cell enters its
# neighbor. The same voltage everywhere therefore gives no ECG, at rest and
# at the plateau, in fibrotic and in healthy tissue. A scheme without this
# property adds a monopole. Its potential falls more slowly with distance
# than the signal, so far away it hides the signal.
#
# **Mirror images.** If tissue, voltage and electrode are all mirrored,
# nothing may change. The test takes the tissue with the most irregular
# structure and an electrode off the center. In the healthy sheet the wave
# is its own mirror image, so electrodes above and below the middle of the
# ring must agree directly.
#
# **Distance.** An electrode farther away must see less of each of the
# waves.

# %%
for tissue in tissues.values():
    L = lead_field(tissue, center)
    constant = np.full((2, *shape), [[[V_REST]], [[V_REST + V_SPAN]]])
    silence = pseudo_ecg(constant, tissue, center).values
    assert np.abs(silence).max() < 1e-12 * abs(V_REST) * np.abs(L).sum(), (
        "a constant voltage gives zero"
    )
V_m, tissue = maps["combined"], tissues["combined"]
mirrored = Tissue(D=tissue.D[:, ::-1], conductive=tissue.conductive[:, ::-1], dx=dx)
off_center = [
    Electrodes(np.array([[x, 0.3 * size_mm, z_mm]]), ("off",))
    for x in (0.2 * n * dx, 0.8 * n * dx)
]
original = pseudo_ecg(V_m, tissue, off_center[0]).values
reflected = pseudo_ecg(V_m[..., ::-1], mirrored, off_center[1]).values
assert np.abs(original - reflected).max() < 1e-9 * np.abs(original).max(), (
    "mirrored electrodes agree"
)
# k and 10 - k are mirror images
pairs = [(f"ring{k}", f"ring{10 - k}") for k in (2, 3, 4)]
for upper, lower in pairs:
    difference = ecgs["healthy"].sel(lead=upper) - ecgs["healthy"].sel(lead=lower)
    assert np.abs(difference).max() < 1e-9 * np.abs(ecgs["healthy"]).max(), (
        "the ring sees a symmetric wave"
    )
for condition in tissues:
    phi_e = ecgs[condition].sel(lead=list(column.names))
    amplitude = np.abs(phi_e).max("time_ecg").values
    assert (np.diff(amplitude) < 0).all(), "a farther electrode sees less"

# %% [markdown]
# ## Plane front: comparison with a closed form
#
# The agreement of three sums proves the algebra and not the geometry. All
# three could share a wrong distance or a wrong area of a cell. So one case
# is compared with a calculation by hand.
#
# {ref}`plane-front` reduces a plane front to one integral with the weight
# $K$ of {eq}`eq-K`. If the front is sharp and the sheet very wide, the
# integral becomes {eq}`eq-sharp`. We move a front of height 1 mV through a
# sheet of its own and compare three numbers at every position: the sum over
# the sheet, the sum along one line, and the limit. The line sum is repeated
# with the $K$ of a sheet a hundred times as long. This shows that only the
# finite size of the sheet separates it from the limit.

# %%
m, width = round(front_size_mm / dx), 0.6  # cells, mm
x, at = (np.arange(m) + 0.5) * dx, m * dx / 2
ahead = np.linspace(-30, 30, 41)  # mm, x_e - s
V_m = (1 + np.tanh((at - ahead[:, None] - x) / width)) / 2
line = D0 * np.diff(V_m, axis=-1, prepend=V_m[:, :1], append=V_m[:, -1:])
line = np.diff(line, axis=-1) / dx  # D V'' times dx
K = {
    side: 2 * np.arcsinh(side / 2 / np.hypot(x - at, front_z_mm))
    for side in (m * dx, 100 * m * dx)
}
by_line, by_long_line = (line @ weight for weight in K.values())
sheet = healthy((m, m), dx, D0)
above = center_electrode(sheet, front_z_mm)
by_sheet = pseudo_ecg(
    np.broadcast_to(V_m[:, None], (ahead.size, m, m)), sheet, above
).values[0]
sharp = 2 * D0 * ahead / (ahead**2 + front_z_mm**2)
peak = D0 / front_z_mm
front_error = np.abs(by_sheet - by_line).max() / peak
assert front_error < 1e-4, "the sheet collapses to a line"
on_front = f"sheet of {front_size_mm:g} mm, z {front_z_mm:g} mm"
headline("plane_front_error", front_error, tolerance=1e-4, on=on_front)
assert np.abs(by_long_line - sharp).max() < 0.02 * peak, (
    "the sharp limit of a wide sheet"
)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7, 3.8))
ax.plot(ahead, by_sheet, "o", ms=4, label="sum over the sheet")
ax.plot(ahead, by_line, lw=1.5, label="line with $K$, same sheet")
ax.plot(ahead, sharp, "--", color="black", lw=1, label="sharp front, endless sheet")
for extremum in (-front_z_mm, front_z_mm):
    ax.axvline(extremum, color="0.8", zorder=0)
_ = ax.set(
    xlabel="$x_e - s$: electrode ahead of the front (mm)", ylabel=figures.PHI_E_LABEL
)
_ = ax.legend(fontsize="small")
figures.show(
    fig,
    "Potential of a plane front over the distance that the electrode is ahead of it. "
    "Sum and line integral agree, the sharp limit runs a little outside: negative "
    "behind the front, positive ahead of it.",
)

# %% [markdown]
# The points lie on the line. The sum over the sheet equals the integral, so
# no factor of two and no area of a cell is missing. The dashed limit lies a
# little outside, because its sheet has no border. An approaching front is
# positive, a receding one negative. The extrema lie where the distance
# equals the height of the electrode (gray lines). This front has no
# repolarization. A real wave has a tail, whose source is weaker, wider and
# of opposite sign.

# %% [markdown]
# ## Lead field
#
# The {ref}`lead field <lead-field>` is the weight of each cell in the ECG.
# It does not depend on the wave.

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
L = {
    condition: lead_field(tissues[condition], center)[0] / dx**2
    for condition in ("healthy", "fibrotic")
}
largest = np.abs(L["fibrotic"]).max()
for ax, condition in zip(axes, L, strict=True):
    norm = SymLogNorm(linthresh=largest / 100, vmin=-largest, vmax=largest)
    image = figures.map_axes(ax, L[condition], dx, norm=norm, cmap="RdBu_r")
    ax.set_title(figures.LABELS[condition])
    ax.label_outer()
# the default ticks run into each other around zero
power = 10 ** np.floor(np.log10(largest))
ticks = power * np.array([-1, -0.1, 0, 0.1, 1])
_ = fig.colorbar(
    image, ax=axes, ticks=ticks, label=r"$L / \Delta x^2$ (mm$^{-1}$ ms$^{-1}$)"
)
figures.show(
    fig,
    "Two maps of the lead field. In healthy tissue it is smooth and negative around "
    "the center; in fibrotic tissue every border of a patch carries strong values of "
    "both signs.",
)

# %% [markdown]
# In healthy tissue the lead field is smooth. It is negative below the
# electrode and faintly positive around it, with a thin rim at the edge of
# the sheet, where the current has to turn back. In fibrotic tissue such a
# rim runs along every border of every patch. It has one sign on the side
# that faces the electrode and the other sign on the far side. It is much
# stronger than the smooth part; the color scale is logarithmic on both
# sides of zero. This rim is the border term of {ref}`source-sum`. Through
# it fibrosis enters the ECG even where the front has long passed.
#
# The map of weights does not tell how much of this reaches the ECG. The two
# sides of a small patch have nearly the same voltage, and their
# contributions mostly cancel.

# %% [markdown]
# ## ECG in four conditions
#
# Sheet, wave and lead field together give the ECG. The figure shows it for
# the four conditions, at the electrode of the data set.

# %%
sd = {condition: float(phi_e.sel(lead=lead).std()) for condition, phi_e in ecgs.items()}
on_one = f"{grid}, one tissue, z {z_mm:g} mm"
headline(
    "ecg_sd_fibrotic_over_healthy",
    sd["fibrotic"] / sd["healthy"],
    tolerance=0.01,
    on=on_one,
)
fig, ax = plt.subplots(figsize=(8, 4))
for condition, phi_e in ecgs.items():
    ax.plot(
        phi_e.time_ecg,
        phi_e.sel(lead=lead),
        color=figures.COLORS[condition],
        label=figures.LABELS[condition],
    )
ax.axhline(0, color="0.8", lw=0.6, zorder=0)
_ = ax.set(xlabel="time (ms)", ylabel=figures.PHI_E_LABEL)
_ = ax.legend()
figures.show(
    fig,
    "ECG over time in four conditions. All begin positive and turn negative as the "
    "wave passes; the healthy one has the largest deflection and a late step, the "
    "remodeled ones are smaller, those with fibrosis notched.",
)

# %% [markdown]
# One stimulus and one electrode give four ECGs. All begin positive while
# the wave approaches, and turn negative as it moves away. Healthy tissue
# gives the largest deflection for two reasons. The source is proportional
# to $D$, and the front is straight, so that all of it passes the electrode
# at once. Remodeling makes the trace smaller and longer. Fibrosis makes it
# smaller too, and adds notches where the front breaks up and closes again.
#
# The late step in the healthy trace is no artifact. The whole front reaches
# the far edge at the same instant and vanishes. Only repolarization is
# left, on its way across the sheet. In the other sheets the front arrives
# piece by piece.
#
# An ECG like these does not identify a condition, because another stimulus
# site changes the trace at least as much.

# %% [markdown]
# ## Potential maps: many electrodes at one instant
#
# One trace belongs to one electrode. Electrodes on a regular grid, all at
# one height, show the potential over the sheet while the wave is under way.
# Each of them has its own lead field; nothing else is new. The left map
# shows the layouts of this page: the grid (dots), the ring (discs) and the
# nine electrodes of the next section (diamonds). Its background is the
# voltage of the fibrotic sheet at the same instant, darker where it is
# higher.

# %%
electrode_grid = grid_electrodes(base, n_map, n_map, map_z_mm)
frame = round(map_time / frame_interval)
potential = {
    condition: pseudo_ecg(
        maps[condition][[frame]], tissues[condition], electrode_grid
    ).values.reshape(n_map, n_map)
    for condition in ("healthy", "fibrotic")
}

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(10.5, 3.9), sharey=True)
_ = figures.map_axes(axes[0], maps["fibrotic"][frame], dx, cmap="Greys", alpha=0.6)
for layout, style in (
    (electrode_grid, dict(marker=".", s=8)),
    (ring, dict(marker="o")),
    (nine, dict(marker="D")),
):
    axes[0].scatter(*layout.positions[:, :2].T, clip_on=False, zorder=3, **style)
for name, (at_x, at_y, _height) in zip(nine.names, nine.positions, strict=True):
    axes[0].annotate(
        name, (at_x, at_y), xytext=(4, 5), textcoords="offset points", fontweight="bold"
    )
largest = max(np.abs(phi).max() for phi in potential.values())
for ax, (condition, phi) in zip(axes[1:], potential.items(), strict=True):
    image = figures.map_axes(
        ax, phi, size_mm / n_map, vmin=-largest, vmax=largest, cmap="RdBu_r"
    )
    ax.set_title(f"{figures.LABELS[condition]}, {map_time:g} ms")
    ax.label_outer()
axes[0].set_title("layouts")
_ = fig.colorbar(
    image, ax=axes[1:], label=f"{figures.PHI_E_LABEL} at $z$ = {map_z_mm:g} mm"
)
figures.show(
    fig,
    "Three maps: layouts of electrodes over a wave in the fibrotic sheet, and the "
    "potential at a grid of electrodes in healthy and fibrotic tissue. Positive "
    "values run ahead of the front, negative ones follow; fibrosis weakens both.",
)

# %% [markdown]
# A band of positive potential runs ahead of the front, and a band of
# negative potential follows it. The front itself lies between the two. In
# healthy tissue the bands are as straight as the wave. Fibrosis makes them
# weaker, uneven and ragged. The potential is smooth even though the front
# is sharp, because distance blurs it; in addition the map has few pixels.
# It is not the map of a body surface. These electrodes lie in a plane in
# the open medium.

# %% [markdown]
# ## Twelve leads
#
# A clinical ECG is made of differences between electrodes.
# {ref}`electrodes-leads` defines the leads and shows where the nine
# electrodes of `standard_electrodes` lie over the sheet. **This arrangement
# is stylized. It is no anatomy.** What can be tested is the algebra. A lead
# is a fixed sum of potentials, so its lead field is the same sum of lead
# fields. Einthoven's law, lead I + lead III = lead II, must hold to
# rounding. So must the zero sum of the augmented leads.

# %%
leads = {
    condition: twelve_leads(ecgs[condition].sel(lead=list(nine.names)))
    for condition in tissues
}
for phi_e in leads.values():
    one, two, three, *augmented = phi_e.values[:6]
    assert np.abs(one + three - two).max() < 1e-12 * np.abs(phi_e).max(), (
        "Einthoven's law"
    )
    assert np.abs(sum(augmented)).max() < 1e-12 * np.abs(phi_e).max(), (
        "the augmented leads sum to zero"
    )
field = twelve_leads(lead_field(tissues["fibrotic"], nine), nine)
by_lead_field = np.tensordot(field, maps["fibrotic"], axes=((1, 2), (1, 2)))
difference = np.abs(
    by_lead_field - leads["fibrotic"].values[:, :: round(frame_interval)]
).max()
assert difference < 1e-9 * np.abs(by_lead_field).max(), (
    "the lead field of a lead is the sum of its lead fields"
)

# %% tags=["hide-input"]
fig, axes = plt.subplots(3, 4, figsize=(10, 6), sharex=True, sharey=True)
for ax, name in zip(axes.T.flat, TWELVE, strict=True):
    for condition in ("healthy", "fibrotic"):
        trace = leads[condition].sel(lead=name)
        ax.plot(
            trace.time_ecg,
            trace,
            lw=1.3,
            color=figures.COLORS[condition],
            label=figures.LABELS[condition],
        )
    ax.axhline(0, color="0.8", lw=0.6, zorder=0)
    ax.set_title(name, loc="left", fontweight="bold")
for ax in axes[-1]:
    ax.set_xlabel("time (ms)")
fig.supylabel(figures.PHI_E_LABEL, fontsize="medium")
_ = axes[0, 0].legend(fontsize="small")
figures.show(
    fig,
    "Twelve panels, one for each lead over time, healthy and fibrotic. The negative "
    "deflection comes later from V1 to V6; lead III is flat in healthy tissue and not "
    "in fibrotic tissue.",
)

# %% [markdown]
# The wave runs from left to right. The negative deflection therefore comes
# later from lead to lead across the chest, from V1 to V6. In the healthy
# sheet lead III is zero: the wave is the same above and below the middle,
# LA and LL are mirror images, and their potentials are equal. Fibrosis
# breaks the symmetry, so everything in lead III of the fibrotic sheet is
# due to fibrosis. For the same reason aVL and aVF coincide in the healthy
# sheet and differ in the fibrotic one.
#
# None of these traces can be compared with a patient's twelve leads. They
# have no P wave, the sheet and the distances are stylized like the
# arrangement, and the unit is that of {ref}`phi-constant`.

# %% [markdown]
# ## Wrong weight: the inverse square
#
# The weight of a source is $1/R$ ({ref}`phi-e`). A public code divides by
# $R^2$ instead. We do the same here on purpose, in the healthy sheet, and
# scale the result so that it fits the correct ECG as well as it can.

# %%
D_faces = face_diffusivity(base.D, base.conductive)
wrong = np.tensordot(
    maps["healthy"], net_flux(1 / distances(base, center)[0] ** 2, *D_faces), axes=2
)
right = ecgs["healthy"].sel(lead=lead).values[:: round(frame_interval)]
fitted = wrong * (wrong @ right) / (wrong @ wrong)
wrong_rrmse = np.linalg.norm(fitted - right) / np.linalg.norm(right)
assert wrong_rrmse > claim_wrong_weight_rrmse_min, (
    "no factor turns the wrong weight into the right one"
)
headline(
    "ecg_inverse_square_rrmse",
    wrong_rrmse,
    tolerance=0.01,
    on=f"{grid}, healthy, z {z_mm:g} mm",
)
fig, ax = plt.subplots(figsize=(7, 3.6))
times = np.arange(right.size) * frame_interval
figures.ecg_traces(ax, times, right, {"$1/R^2$, best fit in size": fitted})
_ = ax.legend(fontsize="small")
figures.show(
    fig,
    "Two ECGs of the healthy sheet over time: the solver's, and one with the inverse "
    "square as weight, scaled to fit. Their deflections have the same order and "
    "signs, but not the same times and widths.",
)

# %% [markdown]
# The inverse square is not a matter of units. It favors what is near. The
# deflections move toward the moment at which the wave passes, and become
# narrower, as if the electrode were lower. Their order is the same, so a
# wrong weight is easily overlooked when traces are compared by eye. How
# large the error is depends on the height: an electrode that is far away
# compared with the size of the sheet cannot tell the two weights apart.

# %% [markdown]
# ## Bounded conductors: sphere and disc
#
# {doc}`../book/torso` puts the same sheet into an insulated disc and an
# insulated sphere. Only the weight changes: a function $G$ takes the place
# of $1/R$. The conductors are just large enough for the sheet. One
# electrode is on top of the sphere, above the center. The other is at its
# equator, ahead of the wave; this point is also on the rim of the disc.

# %%
radius = 0.75 * n * dx  # mm, over half the diagonal of the sheet
sphere, disc = Sphere(radius, (middle, middle, 0.0)), Disc(radius, (middle, middle))
top = Electrodes(np.array([[middle, middle, radius]]), ("top",))
side = Electrodes(np.array([[middle + radius, middle, 0.0]]), ("side",))
places = {"top": (top, (None, sphere)), "side": (side, (None, sphere, disc))}
names, bounded = {None: "unbounded", sphere: "sphere", disc: "disc"}, {}
for place, (electrode, conductors) in places.items():
    for conductor in conductors:
        bounded[place, names[conductor]] = pseudo_ecg(
            maps["healthy"], base, electrode, conductor
        ).values[0]
        L = lead_field(base, electrode, conductor)
        assert np.abs(L.sum()) < 1e-12 * np.abs(L).sum(), (
            "a constant voltage is silent in every conductor"
        )

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.8))
axes, rows = dict(zip(places, axes, strict=True)), []
for (place, name), phi in bounded.items():
    axes[place].plot(
        times, phi / (np.abs(phi).max() if place == "side" else 1), label=name
    )
    free = bounded[place, "unbounded"]
    rows.append((place, name, phi @ free / (free @ free), np.corrcoef(phi, free)[0, 1]))
for place, label in (
    ("top", figures.PHI_E_LABEL),
    ("side", r"$\phi_e$ / its largest value"),
):
    axes[place].axhline(0, color="0.8", lw=0.6, zorder=0)
    axes[place].set(title=place, xlabel="time (ms)", ylabel=label)
    axes[place].legend(fontsize="small")
figures.show(
    fig,
    "Potential over time at an electrode on top and at one at the side. On top the "
    "trace in a sphere has the shape of the unbounded one and is larger; at the side "
    "the disc differs in shape, most before the wave ends.",
)
boundary = pd.DataFrame(
    rows, columns=["electrode", "conductor", "factor", "correlation"]
)
on_top = f"{grid}, healthy, sphere of {radius:g} mm, top"
headline("ecg_sphere_over_unbounded", boundary.factor[1], tolerance=0.02, on=on_top)
printed(
    boundary,
    caption="Best fit of the unbounded trace in size, and its correlation.",
)

# %% [markdown]
# On top, the trace in the sphere has the same shape and is more than twice
# as large. Current that cannot leave raises the potential where it turns
# back. The factor in the table is the best fit in size. It lies between the
# 2 of fine detail and the 3 of a dipole, which {ref}`torso-sphere` derives.
# At the side, close to the edge where the wave ends, the traces differ in
# shape as well. The disc differs most. Its potentials fall off as a
# logarithm, so the distant beginning of the wave counts for more. The
# factor of the disc carries a length, because a conductor of two dimensions
# has another unit, and is therefore no amplification. For this reason the
# traces on the right are divided by their largest values.
#
# The boundary leaves other things as they are: the source, the zero
# response to a constant voltage, the instants at which the wave starts and
# ends, and the cost of one lead field per electrode. A torso would change
# more. It has another shape, lungs and bones.

# %% [markdown]
# ## Sampling rate
#
# The ECG can be recorded at every time step. Whether this is necessary
# depends on distance. A low electrode sees only the piece of the front that
# passes below it, and that piece passes quickly. We record a small sheet at
# every step. Then we keep one sample per millisecond, join these samples by
# straight lines and measure what is lost.

# %%
cells = (round(small_mm / dx),) * 2
at = np.array(
    [[cells[1] * dx / 2, cells[0] * dx / 2, height] for height in small_heights]
)
near = Electrodes(at, tuple(f"{height:g} mm" for height in small_heights))
run = dict(
    t_end=100.0,
    frame_interval=10.0,
    ecg_interval=dt,
    electrodes=near,
    dt=dt,
    dtype=np.float64,
)
sheet = healthy(cells, dx, D0)
fine = simulate(sheet, [edge_stimulus(sheet, "left")], **run).phi_e
coarse = fine[:, :: round(1 / dt)]
error = np.abs(coarse.interp(time_ecg=fine.time_ecg) - fine) / np.abs(fine).max(
    "time_ecg"
)
lost = pd.DataFrame(
    {
        "while it passes": error.sel(time_ecg=slice(*passage)).max("time_ecg"),
        "at any time": error.max("time_ecg"),
    },
    index=pd.Index(near.names, name="height"),
)
assert (np.diff(lost["while it passes"]) < 0).all(), (
    "the farther the electrode, the less is lost in passing"
)

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.6))
for ax, name, (start, stop) in zip(
    axes, near.names[1::3], ((30, 55), (0, 12)), strict=True
):
    for trace, style in ((fine, "-"), (coarse, "o")):
        trace = trace.sel(lead=name, time_ecg=slice(start, stop))
        ax.plot(trace.time_ecg, trace, style, color="black", ms=4)
    ax.set(title=f"$z$ = {name}", xlabel="time (ms)", ylabel=figures.PHI_E_LABEL)
figures.show(
    fig,
    "Potential over time at every step as a line and at every millisecond as dots. "
    "Close to the tissue the dots follow the swing of the passing wave; from afar "
    "only two of them fall into the stimulus.",
)
printed(
    lost,
    caption="Largest loss by sampling every millisecond, over the largest deflection.",
)

# %% [markdown]
# Left: a wave passes 2 mm below the electrode. Dots are samples every
# millisecond, the line has every step. The dots are close enough to follow
# the swing. The table gives the largest distance between the joined dots
# and the full record, relative to the largest deflection. The loss while
# the wave passes falls quickly with height; at the height of the data set
# it is of the order of a thousandth. Right: the stimulus is an exception at
# any height. It lifts a whole strip within two milliseconds, and only two
# samples fall into that time. A front that reaches the far edge everywhere
# at once is as sudden. Where such instants matter, or where an electrode
# lies on the tissue, sample at every step.
#
# The loss is measured against a record at every step, which has an error of
# its own. That error is the subject of {doc}`02_tissue_wave`.

# %% [markdown]
# ## Cost for known tissue
#
# For a **known** diffusivity this is the whole computation: one product of
# two maps per sample, exact for {eq}`eq-phi`. We time the product frame by
# frame, as a user would call it, and the making of the lead field once. The
# times go into the results with the name of the processor. A network cannot
# be more accurate than this. It can work without being told $D$, and
# {ref}`honest-core` explains why that is what there is to learn.


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
cpu = get_host_cpu_name()
headline(
    "lead_field_us_per_frame",
    per_frame_us,
    unit="µs",
    tolerance=None,
    on=f"{grid}, f64, one lead, {cpu}",
)
headline(
    "lead_field_build_ms",
    build_us / 1000,
    unit="ms",
    tolerance=None,
    on=f"{grid}, one lead, {cpu}",
)

# %% [markdown]
# ## Results
#
# The results file holds the extrema, the standard deviation and the time of
# the maximum of every trace, and the errors of the identities above. The
# printed part is for the electrode of the data set, with potentials in the
# unit of $\phi_e$ and times in milliseconds. The standard deviation is the
# size of an ECG to which the scores of this book refer. A method that gets
# the shape right and the size wrong gets a low score. These are four single
# tissues; {doc}`07_dataset` has the ECGs of all.

# %%
rows = []
for condition, phi_e in ecgs.items():
    for height, trace in zip(z, phi_e.sel(lead=list(column.names)), strict=True):
        found = {
            "max": trace.max(),
            "min": trace.min(),
            "sd": trace.std(),
            "time_of_max": trace.idxmax(),
        }
        rows += [
            (condition, height, quantity, float(value))
            for quantity, value in found.items()
        ]
rows += [
    (condition, z_mm, "three_forms_disagreement", value)
    for condition, value in disagreement.items()
]
rows += [("healthy", front_z_mm, "plane_front_error", front_error)]
rows += [("healthy", z_mm, "inverse_square_rrmse", wrong_rrmse)]
rows += [("healthy", radius, "sphere_over_unbounded", boundary.factor[1])]
rows += [
    ("healthy", float(name.split()[0]), "lost_by_1_ms", value)
    for name, value in lost["while it passes"].items()
]
table = pd.DataFrame(rows, columns=["condition", "z_mm", "quantity", "value"])
table.to_csv(
    result_file("03_ecg.csv"), index=False, float_format="%.6g", lineterminator="\n"
)
ecg_table = table[table.z_mm == z_mm].pivot(
    index="condition", columns="quantity", values="value"
)
names = {"max": "maximum", "min": "minimum", "sd": "SD"}
names["time_of_max"] = "time of the maximum (ms)"
printed(
    ecg_table.loc[list(tissues), [*names]].rename(columns=names),
    caption=f"The ECG at {z_mm:g} mm, in mV mm/ms.",
)

# %% tags=["hide-input"]
print(headline.provenance())
