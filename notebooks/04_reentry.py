# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   page:
#     question: When do two stimuli start a spiral, and how fast does it turn?
#     answer: >-
#       In the sheet shown, an S2 from {headline}`spiral_window_first_ms` to
#       {headline}`spiral_window_last_ms` after S1 starts a spiral that outlasts the
#       run; one turn takes {headline}`spiral_cycle_length_ms.2`, longer than the
#       published value, with which the comparison is only qualitative.
#     next:
#       page: book/verification
#       why: how a solver can be checked at all
#     makes:
#       results/04_reentry.csv: >-
#         cycle lengths and tip of the spirals, the scan of S2, the rhythm of the ECG
#     smoke: {
#       size_mm: 60.0, s2: 105.0, s2_times: [80.0, 105.0, 150.0],
#       s2_shown: [80.0, 105.0, 150.0], t_end: 1600.0, settle: 800.0, t_scan: 600.0,
#       claim_rotations_min: 5
#     }
# ---

# %% [markdown]
# # Spiral wave: re-entry from two stimuli
#
# **Question.** Can two stimuli start a wave that does not end? How long
# does one turn take, and where is the point around which the wave turns?
#
# {doc}`../book/reentry` has the theory, {doc}`../book/notation` the
# symbols.
#
# The page needs only the package and runs in about a minute on one core. To
# run it with other values:
#
#     make run NB=04_reentry SET="s2=160 D0=0.2"

# %% tags=["hide-input"]
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.signal

from compendium import figures
from compendium.record import Headline, result_file
from compendium.tables import printed
from forwardecg.contract import V_REST, V_SPAN
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.measure.waves import cycle_length, tip_path
from forwardecg.paths import progress
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.sheet import healthy, with_fibers
from forwardecg.tissue.stimulus import Stimulus, edge_stimulus, s1_s2

figures.set_style()
headline = Headline("04_reentry")

# %% [markdown]
# ## Parameters
#
# The first group is the sheet that is shown. It has the chronic-AF set, the
# default cell of this book, and the grid of {doc}`07_dataset`, and is half
# as long. The second group is the scan of S2 times. The third has the
# sheets with which the first one is compared, and the fourth the quoted
# value and the claims. Time zero is the S1 stimulus.

# %% tags=["parameters"]
size_mm = 100.0  # mm, side of the sheet
dx = 0.5  # mm, side of a grid cell
D0 = 0.1  # mm^2/ms, diffusivity
s2 = 130.0  # ms, time of the S2 stimulus
t_end = 3000.0  # ms
settle = 1000.0  # ms, what comes before is not counted
frame_interval = 2.0  # ms between voltage maps
z_mm = 40.0  # mm, height of the electrode above the center
s2_times = [
    80.0,
    90.0,
    95.0,
    100.0,
    110.0,
    120.0,
    130.0,
    140.0,
    150.0,
    160.0,
    170.0,
    180.0,
    190.0,
    200.0,
    220.0,
    240.0,
]
s2_shown = [90.0, 130.0, 200.0]  # ms, three of them
t_scan = 1200.0  # ms, length of each run of the scan
dx_fine = 0.25  # mm, the finer grid
small_mm = 25.0  # mm, side of the small sheet with fibers, as in the reference
fiber_ratio = 9.0  # diffusivity along the fibers over that across
s2_small = 105.0  # ms, time of S2 in the small sheet
reference_ms = [91.0, 3.0]  # ms, published cycle length and its error
claim_rotations_min = 15  # turns that every probe counts after settling
claim_change_max = 0.02  # of the cycle length, relative, in each comparison
claim_frequency_error_max = 0.02  # of the ECG, relative to one over the cycle length

# %% [markdown]
# The protocol is *cross-field* ({ref}`cross-field`). S1 runs from the left
# edge to the right, as in {doc}`02_tissue_wave`. S2 stimulates the whole
# lower half at a time at which the left of the sheet has recovered and the
# right has not. Nine probes, three by three, record the wave. As in
# {doc}`03_ecg`, the time step shrinks with the grid.


# %%
def spiral(tissue, s2, t_end=t_end, **options):
    lower = np.zeros(tissue.D.shape, bool)
    lower[: len(lower) // 2] = True
    stimuli = s1_s2(edge_stimulus(tissue), s2, 1, [s2], site=Stimulus(mask=lower))
    run = dict(
        frame_interval=frame_interval,
        dt=1 / math.ceil(5 / tissue.dx),
        stop_at_rest=True,
    )
    return simulate(tissue, stimuli, t_end=t_end, **run | options)


def at_probes(V_m):
    axes = np.meshgrid(*[[0.15, 0.5, 0.85]] * 2, indexing="ij")
    (y, x), (n_y, n_x) = (axis.ravel() for axis in axes), V_m.shape[1:]
    rows, columns = (y * n_y).astype(int), (x * n_x).astype(int)
    return V_m.isel(y_map=("probe", rows), x_map=("probe", columns))


def square(side_mm, dx, D):
    n = round(side_mm / dx)
    return healthy((n, n), dx, D)


# %%
sheet = square(size_mm, dx, D0)
ds = spiral(sheet, s2, electrodes=center_electrode(sheet, z_mm))
V_m = ds.V_m
progress("the spiral: simulated")

# %% [markdown]
# ## First turns
#
# The movie has a clock in the picture. S1 crosses the sheet. S2 finds the
# left of the sheet excitable and the right still refractory. Its wave
# spreads upward on the left only. The new wave therefore has an end, and it
# curls around that end.

# %% tags=["nbval-ignore-output"]
every = round(10 / frame_interval)
first_turns = V_m.sel(time=slice(0, 590)).isel(time=slice(None, None, every))
alt = (
    "A plane wave runs from the left to the right. A second stimulus in the lower "
    "half leaves a wave with one free end, which curls up into a spiral that turns "
    "clockwise around the middle of the sheet."
)
figures.animation(first_turns, dx, alt)

# %% [markdown]
# The end of the wave follows the tissue as it recovers. It turns down into
# tissue that S2 excited and that has recovered since, and returns to where
# it began. From then on no stimulus is needed, because each turn starts the
# next one. The movie ends after a few turns. The next section tests whether
# the wave goes on.

# %% [markdown]
# ## Persistence and cycle length
#
# Each probe measures the time from one activation to the next
# ({ref}`cycle-length`). The early cycles are left out, because the wave
# first has to find its shape. The cycle length of the sheet is the median
# of the means of the probes. A probe that the tip happens to visit then has
# no influence.


# %%
def settled(cycles):
    return cycles[cycles.time > settle].groupby("probe").cycle_length


cycles = cycle_length(at_probes(V_m))
per_probe = settled(cycles).agg(["count", "mean", "median", "std", "min", "max"])
cycle_ms = float(per_probe["mean"].median())
assert V_m.time[-1] == t_end, "the sheet never came to rest"
last_turn = V_m.sel(time=slice(t_end - cycle_ms, None)).max(("y_map", "x_map"))
assert (last_turn > V_REST + V_SPAN / 2).all(), (
    "at every moment of the last turn something is excited"
)
assert len(per_probe) == 9 and (per_probe["count"] >= claim_rotations_min).all(), (
    "every probe is activated turn by turn"
)
scale = f"{size_mm:g} mm sheet, dx {dx:g} mm, D {D0:g} mm2/ms, {t_end - settle:g} ms"
headline(
    "spiral_cycle_length_ms",
    cycle_ms,
    unit="ms",
    tolerance=2.0,
    on=f"{scale}, median over nine probes",
)
printed(
    per_probe,
    digits=0,
    caption="Cycle length at each probe, in milliseconds.",
)

# %% [markdown]
# A row is a probe, counted from the lower left. The columns are its number
# of cycles after settling and their statistics in milliseconds. The means
# agree. Single cycles scatter, most at the probe in the middle. This
# scatter is not noise. The tip comes nearer and moves away, which makes the
# intervals shorter and longer, and the middle probe is the one it comes
# closest to.
#
# ## Path of the tip
#
# The tip is the one point of the isoline $u = 1/2$ at which $u$ neither
# rises nor falls, {eq}`eq-tip`. We look for it in every pair of successive
# maps.

# %%
tips = tip_path(V_m, dx)
late = tips[tips.time > settle]
n_tips = late.groupby("time").size()
frames_late = int((V_m.time[1:] > settle).sum())
assert len(n_tips) == frames_late and (n_tips == 1).mean() > 0.98, (
    "one tip, in nearly every pair of maps"
)
assert (late.chirality == -1).mean() > 0.98, "and it turns clockwise"
center = late[["x", "y"]].mean()
radius = np.hypot(late.x - center.x, late.y - center.y)
tip_radius = float(np.sqrt((radius**2).mean()))
headline("spiral_tip_radius_mm", tip_radius, unit="mm", tolerance=0.5, on=scale)
half = (settle + t_end) / 2
first_half, second_half = late[late.time <= half], late[late.time > half]
drift = np.hypot(*(second_half.mean() - first_half.mean())[["x", "y"]])
found = {"center x": center.x, "center y": center.y}
found |= {"rms radius": tip_radius, "drift": drift}
printed(
    pd.DataFrame({"value (mm)": found}),
    digits=1,
    caption="Center of the path of the tip, its radius and its drift.",
)

# %% tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4))
figures.map_axes(
    left, V_m.isel(time=-1), dx, vmin=V_REST, vmax=V_REST + V_SPAN, cmap="gray"
)
after = tips[tips.time > s2]
dots = left.scatter(after.x, after.y, c=after.time, s=3, cmap="plasma")
_ = fig.colorbar(dots, ax=left, label="time of the tip (ms)")
for probe, trace in cycles.groupby("probe"):
    right.plot(
        trace.time, trace.cycle_length, ".-", lw=0.8, color=plt.cm.viridis(probe / 9)
    )
right.axhline(cycle_ms, color="black", lw=1, label="median of the means")
right.axvspan(0, settle, color="0.5", alpha=0.15, lw=0, zorder=0)
_ = right.set(
    xlabel="time (ms)",
    ylabel="cycle length (ms)",
    ylim=(0.8 * cycle_ms, 1.6 * cycle_ms),
)
_ = right.legend(fontsize="small")
figures.show(
    fig,
    "Left, the path of the spiral's tip over the last map of voltage: a line, then a "
    "flower of petals around one center. Right, cycle lengths over time: they settle "
    "and then scatter about one value.",
)

# %% [markdown]
# Left: the path of the tip over the last map. It begins as a line, where
# the end of the S2 wave follows the tail of S1. After that it is a flower.
# The tip sweeps to and fro through the center, and each petal is rotated
# against the one before. This is *meander*. The flower as a whole stays
# where it is. The drift in the table above is the distance between its
# centers in the first and in the second half of the counted time; the table
# is in millimeters. Right: the cycle lengths of the nine probes. After the
# gray part, which is not counted, they scatter about one value. The spiral
# outlasted this run, but that is no proof that it lives forever. A spiral
# can live for seconds and still be lost at a border.

# %% [markdown]
# ## Vulnerable window
#
# Not every S2 starts a spiral. We repeat the protocol in the same sheet
# with the other times of the list, and ask two questions. Was any probe of
# the upper row, which S2 does not touch, activated a second time? Was the
# sheet still active at the end of the run? If the first answer is yes and
# the second is no, the new wave ran off the sheet.

# %%
scan, maps = [], {}
for time in s2_times:
    run = spiral(sheet, time, t_end=t_scan, frame_interval=10.0)
    found, at_rest = cycle_length(at_probes(run.V_m)), float(run.time[-1])
    spread = (found.probe >= 6).any()
    outcome = "persists" if at_rest == t_scan else "runs off" if spread else "blocked"
    scan.append((time, outcome, at_rest))
    if time in s2_shown:
        maps[time] = run.V_m.sel(time=time + 60, method="nearest")
    progress(f"S2 at {time:g} ms: {outcome}")
scan = pd.DataFrame(scan, columns=["s2", "outcome", "until"])
window = scan.s2[scan.outcome == "persists"]
inside = scan.s2.between(window.min(), window.max())
assert (scan.outcome[inside] == "persists").all(), "the window is one interval"
assert (scan.outcome[scan.s2 < window.min()] == "blocked").all(), (
    "too early: S2 finds nothing excitable"
)
assert (scan.outcome[scan.s2 > window.max()] == "runs off").all(), (
    "too late: the wave is swept off"
)
on_scan = f"{size_mm:g} mm sheet, {len(scan)} times of S2"
headline("spiral_window_first_ms", window.min(), unit="ms", tolerance=5.0, on=on_scan)
headline("spiral_window_last_ms", window.max(), unit="ms", tolerance=10.0, on=on_scan)
names = {"min": "first S2 (ms)", "max": "last S2 (ms)", "count": "number"}
printed(
    scan.groupby("outcome", sort=False).s2.agg([*names]).rename(columns=names),
    digits=0,
    caption="What a second stimulus does, by its time.",
)

# %% tags=["hide-input"]
fig, axes = plt.subplots(2, 2, figsize=(9, 7.2))
axes = axes.ravel()
for outcome, color in {"blocked": "0.5", "persists": "C3", "runs off": "black"}.items():
    part = scan[scan.outcome == outcome]
    axes[0].plot(part.s2, part.until, "o", color=color, label=outcome)
_ = axes[0].set(xlabel="time of S2 (ms)", ylabel="active until (ms)", ylim=(0, None))
_ = axes[0].legend(fontsize="small", loc="lower right")
for ax, (time, V) in zip(axes[1:], maps.items(), strict=True):
    image = figures.map_axes(
        ax, V, dx, vmin=V_REST, vmax=V_REST + V_SPAN, cmap="viridis"
    )
    ax.set_title(f"S2 at {time:g} ms, 60 ms later")
_ = fig.colorbar(image, ax=axes, label=r"$V_m$ (mV)", shrink=0.5)
figures.show(
    fig,
    "Time at which the sheet fell silent over the time of S2: early ones are blocked, "
    "late ones run off, those between persist to the end. A map of voltage for each: "
    "the wave of the window has a free end in the sheet.",
)

# %% [markdown]
# Top left: three outcomes in sequence along the axis of S2 times, with one
# *vulnerable window* between two kinds of failure. The red points were
# still active when the run was stopped. The maps show one run of each
# outcome. If S2 comes too early, it meets tissue that is excited or
# refractory. It prolongs the beat of S1 in the lower half, but no wave
# enters the upper half. In the window, the wave has one free end. If S2
# comes too late, most of the sheet has recovered. The S2 wave is almost as
# long as the sheet, and its end leaves over the right border before it has
# turned.
#
# The window does not belong to the cell alone ({eq}`eq-window`). Its early
# limit is close to the refractory period that {doc}`01_action_potential`
# measures. Its late limit depends on the size of the sheet, because a
# larger sheet gives the end of the wave more room to turn. Both limits are
# known only to the spacing of the scan.

# %% [markdown]
# ## Dependence of the cycle length on grid, diffusivity and fibers
#
# In a large sheet neither the diffusivity nor straight fibers can change
# the cycle length ({ref}`cycle-scaling`). The path of the tip has to grow
# with $\sqrt D$. A grid could change the cycle length, and so could a
# border close to the tip. We test all of these. The border is tested
# together with fibers, since the sheet of the published value is a quarter
# as long as ours and has fibers. Our fibers run upward, across S1.

# %% tags=["hide-input"]
cases = {
    "raw grid": (square(size_mm, dx, D0), s2, dict(calibrated=False)),
    "finer grid": (square(size_mm, dx_fine, D0), s2, dict(pool=round(dx / dx_fine))),
    "half the diffusivity": (square(size_mm, dx, D0 / 2), s2, {}),
    "small sheet with fibers": (
        with_fibers(square(small_mm, dx_fine, D0), np.pi / 2, fiber_ratio),
        s2_small,
        {},
    ),
}
rows = {"shown above": (cycle_ms, 0.0, tip_radius, len(late) / frames_late)}
for case, (tissue, time, options) in cases.items():
    run = spiral(tissue, time, **options)
    value = float(settled(cycle_length(at_probes(run.V_m))).mean().median())
    path = tip_path(run.V_m, run.dx_map).query("time > @settle")
    spread = float(np.sqrt(path.x.var() + path.y.var()))
    rows[case] = (value, value / cycle_ms - 1, spread, len(path) / frames_late)
    progress(f"{case}: simulated")
table = pd.DataFrame.from_dict(
    rows, "index", columns=["cycle_length", "change", "tip_radius", "tips"]
)
assert (table.change.abs() < claim_change_max).all(), (
    "grid, diffusivity and fibers leave the cycle length alone"
)
on_small = f"{small_mm:g} mm sheet with fibers"
on_fine = f"dx {dx_fine:g} mm against {dx:g} mm"
headline(
    "spiral_cycle_length_small_ms",
    table.cycle_length.iloc[-1],
    unit="ms",
    tolerance=2.0,
    on=on_small,
)
headline(
    "spiral_cycle_length_grid_change",
    table.change["finer grid"],
    tolerance=0.01,
    on=on_fine,
)
names = {
    "cycle_length": "cycle length (ms)",
    "change": "change (%)",
    "tip_radius": "tip radius (mm)",
    "tips": "tips per map",
}
printed(
    table.assign(change=100 * table.change).rename(columns=names),
    signed=["change (%)"],
    digits=1,
    caption="The spiral on other grids and in other tissue.",
)

# %% [markdown]
# The columns are the cycle length in milliseconds, its change in percent,
# the root-mean-square distance of the tip from its center in millimeters,
# and the number of tips per map. The cycle length hardly changes, not even
# on the raw grid, which conducts too slowly. It is a time, and times belong
# to the cell.
#
# The length of the path behaves differently. With half the diffusivity it
# shrinks, roughly as it should. But it also differs between two grids that
# conduct *plane* waves alike. On the coarser calibrated grid the path is
# too large, on the raw grid it is too small. The calibration is made on a
# cable and does not know the strong curvature at a tip. So the cycle length
# can be taken from such a grid, and the size of the core cannot.

# %% tags=["hide-input"]
compared = pd.DataFrame(
    {
        "cycle length (ms)": [
            f"{cycle_ms:.0f}",
            f"{table.cycle_length.iloc[-1]:.0f}",
            "{:g} ± {:g}".format(*reference_ms),
        ],
        "sheet": [
            f"{size_mm:g} mm, isotropic",
            f"{small_mm:g} mm, fibers",
            "25 mm, anisotropic",
        ],
    },
    index=["ours", "ours, small", "FK-CAF, Goodman et al. 2005"],
)
printed(compared, caption="Cycle length of a spiral, here and as published.")

# %% [markdown]
# The published value {cite}`Goodman2005` is shorter than both of ours by
# more than its error. The comparison is only *qualitative*. We know the
# value from an abstract, without the diffusivities, the protocol and the
# way of counting. It is likely but unconfirmed that our parameters are the
# same set ({ref}`caf-set`). The table above excludes some causes of the
# difference: our grid, and fibers or a sheet as small as theirs, at least
# with the diffusivities that we gave it. Another protocol, other parameters
# or another way of counting remain possible. This page cannot decide
# between them.

# %% [markdown]
# ## ECG of a spiral
#
# The electrode above the center records the ECG while the spiral turns
# ({doc}`03_ecg`). Its source repeats from turn to turn, so the dominant
# frequency should be one over the cycle length. The spectrum is taken after
# settling, with a Hann window. It is padded with zeros, so that its maximum
# can be read off between the bins.
#
# The path of the tip has a spectrum, too. With the path written as
# $x + iy$, clockwise turning has negative frequencies and counterclockwise
# turning positive ones.

# %%
phi_e = ds.phi_e.isel(lead=0)
steady = phi_e.sel(time_ecg=slice(settle, None))
frequency, power = scipy.signal.periodogram(
    steady, fs=1000.0, window="hann", detrend="constant", nfft=2**16
)
dominant = float(frequency[power.argmax()])  # Hz
assert abs(dominant * cycle_ms / 1000 - 1) < claim_frequency_error_max, (
    "the ECG beats as the spiral turns"
)
on_ecg = f"{scale}, electrode {z_mm:g} mm above the center"
headline("spiral_ecg_frequency_hz", dominant, unit="Hz", tolerance=0.2, on=on_ecg)
path = late.groupby("time")[["x", "y"]].mean() @ [1, 1j]
turning = dict(window="hann", detrend="constant", nfft=2**16, return_onesided=False)
tip_frequency, tip_power = scipy.signal.periodogram(
    path, fs=1000 / frame_interval, **turning
)
clockwise, counter = (
    tip_frequency[(tip_power * side).argmax()]
    for side in (tip_frequency < 0, tip_frequency > 0)
)
assert abs(-clockwise * cycle_ms / 1000 - 1) < claim_frequency_error_max, (
    "so does the tip, clockwise"
)
found = {
    "ECG": dominant,
    "tip, clockwise": -clockwise,
    "tip, counterclockwise": counter,
}
printed(
    pd.DataFrame({"frequency (Hz)": found}),
    digits=1,
    caption="Dominant frequencies of the ECG and of the path of the tip.",
)

# %% tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6))
left.plot(phi_e.time_ecg, phi_e, color="black", lw=1)
left.axvspan(0, settle, color="0.5", alpha=0.15, lw=0, zorder=0)
_ = left.set(xlabel="time (ms)", ylabel=figures.PHI_E_LABEL)
right.semilogy(frequency, power / power.max(), color="black", lw=1)
right.axvline(
    1000 / cycle_ms, color="C3", ls="--", lw=1, label="one over the cycle length"
)
right.axvline(counter, color="C0", ls=":", lw=1.5, label="tip, counterclockwise")
_ = right.set(
    xlabel="frequency (Hz)", ylabel="power, largest = 1", xlim=(0, 45), ylim=(1e-6, 2)
)
_ = right.legend(fontsize="small")
figures.show(
    fig,
    "Left, the ECG of the spiral over time: nearly regular once it has settled. "
    "Right, its spectrum: the highest line stands at one over the cycle length, "
    "others at multiples, one lower at the second frequency of the tip.",
)

# %% [markdown]
# Left: after the two stimuli the ECG settles into a nearly regular rhythm.
# Right: the highest line is at the turning frequency, and lower ones are at
# its multiples. The stimuli did not impose this rhythm, because they were
# over before the first turn. A further line lies below the highest one, at
# the second frequency of the tip. The flower is the sum of two circles: one
# clockwise, with the turning of the wave, and one the other way. The
# electrode therefore records the meander as well.
#
# A single spiral in healthy tissue is not fibrillation. Where waves break,
# there are many tips, and the turns of one do not set the rhythm of all.

# %% [markdown]
# ## Results
#
# The results file holds the compared sheets, the scan, and what was read
# off the ECG, in one long table. When the book is reproduced, these numbers
# are judged: the cycle lengths of the sheet shown and of the small sheet,
# the change on the finer grid, the dominant frequency, the size of the path
# of the tip, and the two ends of the window.

# %%
long = table.rename_axis("case").reset_index().melt("case", var_name="quantity")
scanned = scan.assign(
    case="S2 at " + scan.s2.map("{:g} ms".format) + ", " + scan.outcome,
    quantity="active_until_ms",
)
ecg = pd.DataFrame(
    {
        "case": "shown above",
        "quantity": ["ecg_frequency_hz", "tip_drift"],
        "value": [dominant, drift],
    }
)
long = pd.concat(
    [
        long,
        scanned.rename(columns={"until": "value"})[["case", "quantity", "value"]],
        ecg,
    ]
)
long.round(4).to_csv(result_file("04_reentry.csv"), index=False, lineterminator="\n")

# %% tags=["hide-input"]
print(headline.provenance())
