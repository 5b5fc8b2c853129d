# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   page:
#     question: What do the solver, the electrodes and the surrogates cost?
#     answer: >-
#       Finitewave takes {headline}`solver_speedup_f64_f64.2` times as long as our
#       solver for a step, both in double precision; a prediction of the structured
#       surrogate for many electrodes takes {headline}`predict_over_lead_field.2` times
#       as long as the exact lead field of known tissue, so speed is no reason for such
#       a network.
#     next:
#       page: book/data
#       why: the names and units of what has been computed
#     needs:
#     - results/bench_speed.csv
#     - results/bench_nversion.csv
#     - results/bench_dataset.csv
#     - results/bench_predict.csv
#     - results/bench_reproduce.csv
#     - results/runs/cost.csv
#     - results/runs/growth.csv
#     - results/runs/mesh_cost.csv
# ---

# %% [markdown]
# # Computational cost of solver, electrodes and surrogates
#
# **Question.** What do the solver, the electrodes and the surrogates cost,
# compared with a public code, with the limit of the processor and with the
# exact lead field?
#
# Speeds of two codes can be compared only if both compute the same wave. The
# page therefore begins with their agreement.
#
# Nothing is timed on this page, and it runs in seconds. It reads the tables of
# `make bench`. The first of them come from an environment of their own, because
# the public code, Finitewave, cannot be installed together with ours.
# `make bench` ends with a list of all ratios and their ranges. The costs of
# training and of meshes are in `runs/cost.csv` of `benchmarks/cost.py` and
# `runs/mesh_cost.csv` of `benchmarks/mesh.py`. The name of the processor is
# printed above each table of times. To run the page with other values:
#
#     make run NB=06_cost SET="n_shown=667"

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from compendium import figures
from compendium.minutes import whole_minutes
from compendium.record import Headline
from compendium.registry import NOTEBOOKS
from compendium.tables import printed
from forwardecg.paths import RESULTS

figures.set_style()
headline = Headline("06_cost")

# %% [markdown]
# ## Parameters
#
# The targets were set before the measurement. Those that are claimed are
# asserted below. A target that is missed stays in the table and is marked
# with a "no".

# %% tags=["parameters"]
n_shown = 400  # cells along a side of the sheet in the tables: 200, 400 or 667
target_ns = 0.75  # ns per node-update in single precision, at most
target_speedup = 50.0  # times Finitewave as it comes, in double precision, at least
target_fraction = 0.65  # of the limit of the processor, at least
target_double = 2.0  # double precision over single precision, at most
target_anisotropic = 2.0  # anisotropic over isotropic kernel, at most
target_growth = 1.2  # cost of a node at 1600 x 1600 over 400 x 400, at most
target_threads = 1.8  # speed of 1600 x 1600 on two threads over one, at least
target_gradient = 0.01  # relative error of a derivative by the torch solver, at most
target_workers = 1.8  # speed of a data set on two workers over one, at least
target_dataset = 1.3  # a tissue of a data set over its time loop alone, at most
target_dataset_min = 2.2  # minutes of 300 tissues in two workers, at most
target_predict_s = 0.3  # s for a prediction at 16 electrodes on one core, at most
target_predict_speedup = 2.0  # a prediction as it was once over one of now, at least
claimed = ["speedup", "fraction", "double", "anisotropic"]  # targets that are asserted
claimed_growth = ["growth", "gradient"]  # the same, of the growth
claim_same_wave_ms = 0.05  # ms between the codes, any point and grid, at most
claim_same_wave_fine_ms = 0.005  # ms, the same on the finest grid
claim_sharing_max = 1.2  # processor time of two threads over that of one, at most
claim_order_min = 1.8  # order in dx of the activation times, isotropic, at least

# %% tags=["hide-input"]
speed = pd.read_csv(RESULTS / "bench_speed.csv")
nversion = pd.read_csv(RESULTS / "bench_nversion.csv")
(machine,), (versions,) = speed.machine.unique(), speed.versions.unique()
least, most = "at least", "at most"


def value(case, quantity="time_per_update", precision="f32", n=n_shown):
    """The one number that was measured for this case."""
    rows = speed.query("case == @case and quantity == @quantity")
    return rows.query("precision == @precision and n == @n").value.item()


def rounded(number):
    """Three digits of a measured number, with commas between thousands."""
    decimals = 2 - int(np.floor(np.log10(abs(number))))
    return f"{round(number, decimals):,.{max(decimals, 0)}f}"


def rounded_range(row):
    """The same of a row with its least and its most."""
    return f"{rounded(row.value)} ({rounded(row.low)} to {rounded(row.high)})"


def judge(targets):
    """What was measured beside its target, one row each, and whether it is met."""
    judged = pd.DataFrame(targets, index=["what", "measured", "bound", "target"]).T
    signs = judged.bound.map({most: -1, least: 1})
    return judged.assign(met=signs * (judged.measured - judged.target) >= 0)


def shown_targets(judged, caption):
    """The same as a table of the page."""
    words = {"measured": judged.measured.map(rounded)}
    words["target"] = judged.target.map("{:g}".format)
    words["met"] = judged.met.map({True: "yes", False: "no"})
    return printed(judged.assign(**words).set_index("what"), caption=caption)


# %% [markdown]
# ## Agreement of the two codes
#
# Before the speeds, we compare the results of the two codes on the same
# sheet and grids. The sheet measures 20 by 7 mm. It is the slab of a
# well-known benchmark of electrophysiology codes {cite}`Niederer2011`, seen
# from the side. Its diffusivities are 0.0953 and 0.0126 mm²/ms along and
# across the fibers, which run along x. A second sheet has the larger one in
# all directions. The cells are MLR-I ({doc}`01_action_potential`), the only
# set that Finitewave's version of the model can express. A corner of 1.5 by
# 1.5 mm is stimulated. The activation time is the crossing of $u = 1/2$,
# linear between time steps.
#
# Our grid is not calibrated here, because {ref}`calibration <calibration>`
# would correct an error that both codes must make alike.

# %%
times = nversion.pivot_table("lat", ["tensor", "x", "y"], ["code", "dx"])
fine, middle, coarse = sorted(nversion.dx.unique())
difference = (times["forwardecg"] - times["finitewave"])[[coarse, middle, fine]]
largest = difference.abs().to_numpy().max()
ours = times["forwardecg"]
order = np.log2((ours[coarse] - ours[middle]) / (ours[middle] - ours[fine]))
largest_fine = difference[fine].abs().max()
assert largest < claim_same_wave_ms, "two codes, one wave"
assert largest_fine < claim_same_wave_fine_ms, "what is left vanishes on a fine grid"
assert order["isotropic"].min() > claim_order_min, "the activation times converge"
both = pd.concat([ours[[coarse, middle, fine]], difference], axis=1)
grids = [f"{dx:g} mm" for dx in (coarse, middle, fine)]
both.columns = [
    *(f"ours, {dx}" for dx in grids),
    *(f"difference, {dx}" for dx in grids),
]
both.index = [f"{tensor}, ({x:g}, {y:g}) mm" for tensor, x, y in both.index]
caption = "Activation times in ms: ours, and ours minus those of Finitewave"
printed(both.rename_axis("at"), signed=both.columns[3:], caption=caption)

# %% tags=["hide-input"]
on_points = "largest of 7 points, 3 grids, 2 tensors"
headline("nversion_difference_max", largest, unit="ms", tolerance=None, on=on_points)

# %% [markdown]
# The table has five points of the diagonal and two corners, and three grids.
# Our times change as the grid is refined. The differences between the codes are
# close to zero. With fibers, where both codes close the faces at a border, they
# are far below the time step of 0.005 ms. Without fibers, a few hundredths of a
# millisecond appear at the far edges of the coarsest grid and vanish as it is
# refined. There Finitewave's stencil mirrors the neighbor at a border, so that
# its sheet ends in the middle of the outermost cells.
#
# Without fibers the times converge with the square of the spacing. Across
# the fibers they do not yet. There the front is less than half as wide, so
# that relative to it the coarsest grid is one of 0.55 mm.
#
# The codes also differ in three details. Our solver steps the gates
# exactly, Finitewave by Euler. Ours applies a stimulus after the step and
# Finitewave before it, so Finitewave got the stimulus one step later.
# Finitewave's own tracker of activation times has the resolution of a time
# step and was replaced by one that is linear between steps.
#
# Agreement does not prove that either code is right. Two codes may share an
# error, above all in the equations. {doc}`05_verification` has references
# of other kinds.

# %% [markdown]
# ## Speed of the two codes
#
# Everything was timed in one process on one thread, in turns, seven times.
# The cases are our solver in single and in double precision, Finitewave in
# double precision, which is its default, and Finitewave with its arrays in
# single precision. A ratio is the median of the seven ratios, so that other
# work on the machine affects both sides. Compilation is not counted for
# either, although Finitewave compiles anew for every model that it is
# given, for several seconds each. The unit is the time per *node-update*:
# one node advanced by one time step.

# %%
print(f"{machine}; {versions}")
kernels = speed[speed.quantity == "time_per_update"]
kernels = kernels[kernels.case.isin(["ours", "finitewave"])]
table = kernels.pivot_table("value", ["case", "precision"], "n").sort_values(n_shown)
table.columns = [f"{n} × {n}" for n in table.columns]
words = {"ours": "ours", "finitewave": "Finitewave", "f32": "single", "f64": "double"}
table = table.map(rounded).rename(index=words).rename_axis(["code", "precision"])
printed(table.reset_index(), caption="Nanoseconds per node-update")

# %% [markdown]
# Finitewave in single precision is hardly faster, because only its arrays
# change. Its parameters and constants, and with them its arithmetic, stay in
# double precision. Our double precision takes about twice the time of single
# precision, since a vector holds half as many numbers. The processor that was
# timed has vectors of 512 bits; narrower ones were not timed again.

# %% [markdown]
# ## Hardware limit
#
# A ratio to another code does not say how much faster the kernel could be.
# For this we compare it with a limit of the processor. Each node needs a
# certain number of multiplications and fused multiply-adds, which all have
# to pass the same ports. They are counted in the machine code of the very
# kernel that was timed, in its vectorized loops. A second measurement, in
# turns with the kernel, finds how many of them the ports can take. It is a
# loop of nothing but independent multiply-adds in registers. The quotient
# of the two is a time that no arrangement of these instructions can beat.

# %%
kinds = ["vector_port_per_node", "vector_div_per_node", "vector_all_per_node"]
kinds += ["limit", "time_per_update", "fraction_of_limit", "fraction_counting_all"]
kernels = ["isotropic", "anisotropic"]
counts = speed.query("case in @kernels and quantity in @kinds")
counts = counts.pivot_table("value", "quantity", "case").loc[kinds, kernels]
peak = value("multiply-add", "vector_fma_per_ns", n=0)
fma = value("multiply-add", "lane_fma_per_ns", n=0)
print(
    f"{round(fma / peak)} numbers per vector, "
    f"{peak:.2f} vector multiply-adds per ns, {fma:.0f} multiply-adds per ns"
)
names = ["port", "div", "all", "limit (ns)", "time per update (ns)"]
names += ["fraction of the limit, port alone", "fraction of the limit, all"]
shown = counts.set_axis(names).rename_axis("per node")
printed(shown, caption="Vector instructions per node, and the limit in ns")

# %% [markdown]
# The first three rows are vector instructions per node. A vector
# instruction that serves sixteen nodes counts as a sixteenth for each.
# *port* means multiplications and multiply-adds, *div* divisions and
# reciprocal estimates, and *all* every floating-point instruction,
# additions and comparisons included. Loads, stores, selections and integer
# instructions are not counted. The limit, in nanoseconds, and the first of
# the two fractions rest on *port* alone: the time that the multiply-adds
# need by themselves. The fraction in the last row counts every floating-point
# instruction at the measured rate.
#
# Neither fraction is exact. Additions have ports of their own on this
# processor, so the second fraction may exceed 1. Comparisons share the
# ports of the multiply-adds, so the first fraction cannot reach 1. The
# target was set for all vector floating-point instructions. The next table
# has the stricter count as well.

# %% [markdown]
# Each measured number is compared with its target.

# %%
fraction = counts["isotropic"]["fraction_counting_all"]
strict = counts["isotropic"]["fraction_of_limit"]
speedup = value("finitewave f64 / ours", "ratio")
double = value("ours f64 / f32", "ratio", "f64")
anisotropic = value("anisotropic / isotropic", "ratio", n=400)
targets = {
    "time": ("ns per update, f32", value("ours"), most, target_ns),
    "speedup": ("Finitewave f64 / ours f32", speedup, least, target_speedup),
    "fraction": ("fraction, all vector instructions", fraction, least, target_fraction),
    "strict": ("fraction, multiply-adds alone", strict, least, target_fraction),
    "double": ("ours f64 / f32", double, most, target_double),
    "anisotropic": ("anisotropic / isotropic", anisotropic, most, target_anisotropic),
}
judged = judge(targets)
assert judged.met[claimed].all(), judged
shown_targets(judged, "Speed: measured numbers and their targets")

# %% tags=["hide-input"]
sheet = f"{n_shown} x {n_shown} cells, one thread, {machine}"
on_400 = f"f32, 400 x 400 cells, one thread, {machine}"
on_default = f"f32 against its default f64, {sheet}"
both_f64 = value("finitewave f64 / ours", "ratio", "f64")
both_f32 = value("finitewave f32 / ours", "ratio")
time_key = f"solver_ns_per_node_update_f32_{n_shown}"
headline(time_key, value("ours"), unit="ns", tolerance=None, on=sheet)
for key, number, on in (
    ("speedup_vs_finitewave", speedup, on_default),
    ("speedup_f64_f64", both_f64, sheet),
    ("speedup_f32_f32", both_f32, sheet),
    ("fraction_of_fma_limit", fraction, on_400),
    ("fraction_multiply_adds", strict, on_400),
    ("f64_over_f32", double, sheet),
    ("anisotropic_over_isotropic", anisotropic, f"f32, 400 x 400 cells, {machine}"),
):
    headline(f"solver_{key}", number, tolerance=None, on=on)

# %% tags=["hide-input"]
updates = speed[speed.quantity == "time_per_update"]
shown = updates.query("n == @n_shown and case in ['finitewave', 'ours']")
shown = pd.concat([shown, updates[updates.case == "anisotropic"]])
shown = shown.sort_values("value", ascending=False)
names = {"ours": "ours, isotropic", "finitewave": "Finitewave"}
names["anisotropic"] = "ours, anisotropic"
labels = [f"{names[row.case]}, {row.precision}" for row in shown.itertuples()]
limit = {"color": "C3", "ls": "--", "label": "port limit, isotropic, f32"}

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7, 4))
ax.hlines(range(len(shown)), shown.low, shown.high, color="0.5")
ax.plot(shown.value, range(len(shown)), "o")
ax.set_yticks(range(len(shown)), labels)
ax.axvline(counts["isotropic"]["limit"], **limit)
ax.set(xscale="log", xlabel="time per node-update (ns)")
ax.set_title(f"{n_shown} × {n_shown} nodes")
_ = ax.legend(fontsize="small")
figures.show(
    fig,
    "Time per node-update by code, on a logarithmic axis: ours lies close to the "
    "limit of the hardware, Finitewave far to the right.",
)

# %% [markdown]
# The time per update is below its target here and is not asserted. It depends
# on what else uses the memory of the machine, and the ratios of this table
# do not. The bars in the figure are the range over the repeats.
#
# Our kernel in single precision is less than a factor of two from the
# dashed line, and Finitewave more than a factor of fifty from our kernel.
#
# It does not follow that Finitewave is badly made. It offers many cell
# models and three dimensions, generates its kernels from their equations,
# and uses all cores of a machine by itself. Our solver has one model in two
# dimensions and was written for it.

# %% [markdown]
# ## Growth with nodes, threads and batches
#
# A sheet that is larger than the cache makes every step wait for the
# memory. A large sheet is therefore advanced in bands. A band goes ten
# steps while it is in the cache. In each step it moves down by a row,
# because a cell needs its neighbors of one step before. No value is
# computed twice. Several threads share the rows of a sheet in the same way.
# The results are those of the plain loop to the last bit, for any number of
# threads, which the tests check.
#
# A second solver, {py:func}`~forwardecg.solver.batched.solve_batch`, advances
# several sheets in one tensor of PyTorch, and gives derivatives. It was
# timed on one thread of the same processor. Neither its speed nor its
# results on a GPU have been tested here.
#
# `benchmarks/growth.py` timed in turns what is compared. On one thread the
# processor time of that thread counts. Several threads were timed by the wall
# clock. Other work on the machine counts in it, and above all where one
# thread waits for another that has no turn. The processor time of both
# together is given beside it.

# %%
growth = pd.read_csv(RESULTS / "runs" / "growth.csv")
(growth_machine,) = growth.machine.unique()
of_update = growth[growth.quantity == "time_per_update"]


def grown(case, quantity="ratio", count=1, n=1600):
    """The one number that was measured for this case."""
    rows = growth.query("case == @case and quantity == @quantity")
    return rows.query("count == @count and n == @n").value.item()


width = grown("vectors", "width", n=0)
print(f"{growth_machine}, vectors of {width:.0f} bits")
by_size = of_update[of_update.case.isin(["plain loop", "in bands"])]
of_size = by_size.pivot_table("value", "n", "case")
of_size.index = [f"{n} × {n}" for n in of_size.index]
of_size = of_size.rename_axis("cells")[["plain loop", "in bands"]]
caption = "Nanoseconds per node-update on one thread"
printed(of_size.map(rounded), caption=caption)

# %% [markdown]
# Small sheets stay in the cache and go without bands. The plain loop takes
# longer for each node of a large sheet. In bands the time per node stays
# nearly the same.

# %%
flat, steep = (grown(f"{case}, 1600 over 400") for case in ("in bands", "plain loop"))
at_memory = grown("plain loop over copying")
assert flat < steep, "bands take less of the memory"
print(
    f"1600 x 1600 over 400 x 400: {flat:.2f} in bands, {steep:.2f} in the plain loop, "
    f"which moves {at_memory:.2f} times as many bytes per second as copying"
)

# %% tags=["hide-input"]
fig, (of_nodes, of_threads, of_batch) = plt.subplots(1, 3, figsize=(12.5, 3.8))
for case, rows in by_size.groupby("case"):
    of_nodes.fill_between(rows.n**2 / 1e3, rows.low, rows.high, alpha=0.25, lw=0)
    of_nodes.plot(rows.n**2 / 1e3, rows.value, "o-", label=case)
of_nodes.set(xscale="log", ylim=(0, None), xlabel="nodes (thousands)")
of_nodes.set(ylabel="time per node-update (ns)", title="one thread")
of_nodes.legend(fontsize="small")
shared = of_update[of_update.case == "threads"]
spread = [shared.value - shared.low, shared.high - shared.value]
of_threads.errorbar(shared["count"], shared.value, spread, fmt="o-", capsize=3)
of_threads.set(ylim=(0, None), xlabel="threads", title="1600 × 1600 nodes")
of_threads.set_ylabel("time per node-update (ns)")
of_threads.set_xticks(shared["count"], shared["count"])
tensor = of_update[of_update.case == "batched"]
of_batch.plot(tensor["count"], tensor.value, "o-", label="PyTorch")
kernel_ns = tensor.value / [
    grown("batched over kernel", "ratio", k, 200) for k in tensor["count"]
]
of_batch.axhline(kernel_ns.median(), color="C1", label="kernel, one sheet")
of_batch.set(xscale="log", yscale="log", xlabel="sheets in a batch")
of_batch.set(ylabel="time per node-update (ns)", title="200 × 200 nodes each")
of_batch.set_xticks(tensor["count"], tensor["count"])
of_batch.minorticks_off()
_ = of_batch.legend(fontsize="small")
figures.show(
    fig,
    "Left, time per node-update over the number of nodes: the plain loop rises on "
    "large sheets, the one in bands stays nearly flat. Middle, the largest sheet "
    "over the number of threads. Right, the PyTorch solver over the number of "
    "sheets, far above the line of the kernel.",
)

# %%
two = grown("one thread over threads", count=2)
both = grown("processor time, threads over one", count=2)
print(f"two threads together take {both:.2f} times the processor time of one")
of_gradient = growth[growth.quantity == "relative_error"].value.max()
targets = {
    "growth": ("cost of a node, 1600 over 400", flat, most, target_growth),
    "threads": ("speed on two threads over one", two, least, target_threads),
    "gradient": ("error of a derivative", of_gradient, most, target_gradient),
}
judged = judge(targets)
assert judged.met[claimed_growth].all(), judged
assert both < claim_sharing_max, "the text says that little is lost"
shown_targets(judged, "Growth of the solver: measured numbers and their targets")

# %% [markdown]
# The speed on two threads is not asserted, because other work on a machine
# slows two threads more than one. Two threads together take a little more
# processor time than one, so little is lost to sharing the sheet. On one
# thread of a CPU the PyTorch solver is no replacement for the kernel: it
# writes every intermediate field to the memory. It is there for derivatives
# and for other devices. The error of a derivative is that of an activation
# time with respect to the diffusivity, the amplitude of the stimulus and a
# time constant of the cell, the largest of the three, against a difference of
# two runs.

# %% tags=["hide-input"]
on_large = f"1600 x 1600 cells, f32, {growth_machine}"
headline("growth_1600_over_400", flat, tolerance=None, on=f"one thread, {on_large}")
headline("growth_plain_loop", steep, tolerance=None, on=f"one thread, {on_large}")
headline("threads_speedup_1600", two, tolerance=None, on=f"two threads, {on_large}")
many = int(tensor["count"].max())
on_batch = f"{many} sheets of 200 x 200 cells, one thread, {growth_machine}"
ratio = grown("batched over kernel", count=many, n=200)
headline("batched_over_kernel", ratio, tolerance=None, on=on_batch)
on_slope = "activation time of a strand of 4 x 40 cells, f64, against differences"
headline("batched_gradient_error", of_gradient, tolerance=None, on=on_slope)

# %% [markdown]
# ## Growth with tissues and worker processes
#
# A data set is simulated in worker processes, and each of them simulates one
# tissue at a time. A worker draws a tissue, runs its time loop, applies the
# lead fields of all electrodes, and writes maps, ECGs and checksums.
# `benchmarks/tissues.py` timed two things in turns. The first is all that a
# worker does for a tissue, compared with the time loop alone, in processor
# time. The second is the building of whole data sets by the recipe of
# {doc}`07_dataset`, by the wall clock, in workers that had loaded the compiled
# code before.

# %%
sets = pd.read_csv(RESULTS / "bench_dataset.csv")
(sets_machine,) = sets.machine.unique()
built = sets[sets.quantity == "seconds_per_tissue"].sort_values(["count", "n"])
print(sets_machine)
named = {"count": "workers", "n": "tissues", "value": "s a tissue (least to most)"}
ranges = built.assign(value=built.apply(rounded_range, axis=1))
ranges = ranges.rename(columns=named)[[*named.values()]]
caption = "Seconds by the wall clock for each tissue of a data set"
printed(ranges.set_index("workers"), caption=caption)

# %%
over_loop, larger = (
    sets[sets.case.str.startswith(case) & (sets.quantity == "ratio")].iloc[0]
    for case in ("tissue of the data set", "data set, a tissue of")
)
on_two = sets[(sets.quantity == "ratio") & (sets["count"] == 2)]
on_two = on_two[on_two.case == "data set, one worker over workers"].iloc[0]
most_in_two = built[built["count"] == 2].nlargest(1, "n").iloc[0]
minutes_300 = 300 * most_in_two.value / 60
print(
    f"{larger.case}: {larger.value:.2f} times, "
    f"{larger.low:.2f} to {larger.high:.2f} over the turns"
)
targets = {
    "workers": ("speed of two workers over one", on_two.value, least, target_workers),
    "tissue": ("a tissue over its loop", over_loop.value, most, target_dataset),
    "300": ("min for 300 tissues, 2 workers", minutes_300, most, target_dataset_min),
}
shown_targets(judge(targets), "Data sets: measured numbers and their targets")

# %% [markdown]
# Tissues do not depend on each other, so the time of a data set grows in
# proportion to their number once every worker has some. A second worker
# shares caches and memory with the first one. The minutes of 300 tissues are
# those of the largest set of two workers at its rate. A tissue costs more than its
# time loop mainly because of the maps and of the product with the lead fields,
# which is taken in double precision; {doc}`07_dataset` has the parts.

# %% tags=["hide-input"]
fig, (of_tissues, of_workers) = plt.subplots(1, 2, figsize=(9, 3.8))
many_workers = built[built["count"] == built["count"].max()]
shared_set = built[built.n == on_two.n]
for ax, rows, name in (
    (of_tissues, many_workers, "n"),
    (of_workers, shared_set, "count"),
):
    spread = [rows.value - rows.low, rows.high - rows.value]
    ax.errorbar(rows[name], rows.value, spread, fmt="o-", capsize=3)
    ax.set_xticks(rows[name], rows[name])
    ax.set(ylim=(0, None))
of_tissues.set(xlabel="tissues", ylabel="time per tissue (s)")
of_tissues.set_title(f"{built['count'].max()} workers")
of_workers.set(xlabel="workers", ylabel="time per tissue (s)")
of_workers.set_title(f"{on_two.n} tissues")
figures.show(
    fig,
    "Left, seconds for each tissue over the number of tissues in a data set. Right, "
    "the same for one data set over the number of worker processes; bars are the "
    "range over the turns.",
)

# %% tags=["hide-input"]
on_sets = f"{on_two.n} tissues of 400 x 400 cells, 37 electrodes, {sets_machine}"
key = "dataset_two_workers_over_one"
headline(key, on_two.value, tolerance=None, on=on_sets)
key, on_rate = "dataset_minutes_300", f"at the rate of {most_in_two.n} tissues, "
on_rate += f"2 workers, 37 electrodes, {sets_machine}"
headline(key, minutes_300, unit="min", tolerance=None, on=on_rate)
key, core_seconds = "dataset_core_seconds_per_tissue", 2 * most_in_two.value
headline(key, core_seconds, unit="s", tolerance=None, on=on_rate)
on_loop = f"processor time of {over_loop['count']} tissues, {sets_machine}"
headline("dataset_over_kernel", over_loop.value, tolerance=None, on=on_loop)

# %% [markdown]
# ## Cost of electrodes and tissues
#
# For us a sample of the ECG costs one product of the
# {ref}`lead field <lead-field>` with the voltage, timed here for sixteen samples
# at a time; `simulate` takes 64. The lead field itself is made once per
# tissue. The time that it takes to gather the samples is included.
# Finitewave's tracker sums over all nodes for every electrode and every
# sample, with the weight $1/R^2$.
# Its cost can be compared with ours and its value cannot ({doc}`03_ecg`).
# Printed first is the number of small tissues that are simulated in a
# minute.

# %%
ecg = speed[speed.case.str.match(r"ecg (ours|finitewave),")].copy()
ecg[["code", "electrodes"]] = ecg.case.str.extract(r"ecg (\w+), (\d+)")
ecg["electrodes"] = ecg.electrodes.astype(int)
ecg = ecg.pivot_table("value", "electrodes", ["code", "quantity"])
ten_steps = 1e-2 * 400**2 * value("ours", n=400)  # us
shown = {
    "Finitewave (µs)": ecg["finitewave"]["time_per_frame"],
    "ours (µs)": ecg["ours"]["time_per_frame"],
    "our product alone (µs)": ecg["ours"]["product_per_frame"],
    "ours over ten steps": ecg["ours"]["time_per_frame"] / ten_steps,
    "lead field, once (ms)": ecg["ours"]["lead_field_once"],
}
by_one, by_two = (
    value(f"{workers} processes", "tissues_per_minute", n=200) for workers in (1, 2)
)
print(
    "tissues of 200 x 200 cells and 700 ms per minute: "
    f"{by_one:.0f} by one process, {by_two:.0f} by two"
)
caption = "Cost of a sample of the ECG by the number of electrodes"
printed(pd.DataFrame(shown).map(rounded), caption=caption)

# %% tags=["hide-input"]
at_16, on_16 = ecg["ours"]["time_per_frame"][16], "400 x 400 cells, one thread"
on_16, on_small = f"{on_16}, {machine}", f"200 x 200 cells, 700 ms, {machine}"
headline("ecg_us_per_sample_16", at_16, unit="us", tolerance=None, on=on_16)
key = "tissues_per_minute_2_processes"
headline(key, by_two, unit="1/min", tolerance=None, on=on_small)

# %% tags=["hide-input"]
moves = (ours - ours[[fine]].to_numpy()).abs()
grids = [fine, middle, coarse]
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.6))
left.plot(ecg["finitewave"]["time_per_frame"], "s-", label="Finitewave, tracker")
left.plot(ecg["ours"]["time_per_frame"], "o-", label="ours, with gathering")
left.plot(ecg["ours"]["product_per_frame"], "o--", label="ours, product alone")
left.set(xscale="log", yscale="log", title="400 × 400 nodes")
left.set(xlabel="electrodes", ylabel="time per sample (µs)")
left.set_xticks(ecg.index, ecg.index)
left.set_ylim(top=5 * ecg["finitewave"]["time_per_frame"].max())
left.legend(fontsize="small")
for tensor, color in {"isotropic": "C0", "anisotropic": "C1"}.items():
    gap, move = difference.loc[tensor].abs().max(), moves.loc[tensor].max()
    label = f"{tensor}: from the finest grid"
    right.plot(gap, "o-", color=color, label=f"{tensor}: between the codes")
    right.plot(move[[coarse, middle]], "s--", color=color, label=label)
right.set(xscale="log", yscale="log", xlabel=r"$\Delta x$ (mm)")
right.set_ylabel("difference of activation times (ms)")
right.set_xticks(grids, [f"{dx:g}" for dx in grids])
right.minorticks_off()
place = {"loc": "outside lower right", "ncols": 2, "fontsize": "small"}
_ = fig.legend(*right.get_legend_handles_labels(), **place)
figures.show(
    fig,
    "Left, time per sample over the number of electrodes: Finitewave's tracker lies "
    "far above ours. Right, differences of activation times over the spacing: those "
    "between the codes lie far below those from the finest grid.",
)

# %% [markdown]
# Left: the cost of the product grows with the number of electrodes from a
# small base. For a few electrodes, gathering the samples costs more than the
# product. The column *ours over ten steps* of the table compares a sample
# with the ten time steps of 0.1 ms between two samples. The steps are so fast
# that the ECG of many electrodes costs as much as they do. Right: the largest
# difference of activation times over the points. Squares are the effect of a
# coarser grid. Circles are the effect of the choice of the code, which is far
# smaller.
#
# These are times of one thread. Tissues are independent of each other, so
# two processes on two cores can do up to twice the work. How near they come
# to this depends on the memory that the cores share.

# %% [markdown]
# ## Cost of the surrogates
#
# The next table has the cost of a trained network for one tissue: maps of
# 100 × 100 pixels, 160 frames, 16 electrodes, one thread, after loading. The
# times are of the processor, and medians over turns in which each row was
# called after the other, from `benchmarks/prediction.py`. The exact lead
# field of the known conductivity was timed in the same turns and the same
# language. So was the simulation of the whole tissue.

# %%
predicted = pd.read_csv(RESULTS / "bench_predict.csv")
(cost_machine,) = predicted.machine.unique()
times = predicted[(predicted.quantity == "seconds") & (predicted["count"] == 1)]
seconds = times.set_index("case").value
compared = predicted[predicted.quantity == "ratio"].set_index("case")
lead = seconds[seconds.index.str.startswith("exact lead field")].sum()
print(cost_machine)
shown = {"ms": 1e3 * seconds, "times the exact lead field": seconds / lead}
shown["tissues per second"] = 1 / seconds
caption = "Cost of predictions, of their parts, and of what they are compared with"
as_elsewhere = {case: case.replace("seq2seq", "network") for case in seconds.index}
printed(pd.DataFrame(shown).map(rounded).rename(as_elsewhere), caption=caption)

# %%
paired = compared.loc["predict over exact lead field"]
print(
    f"turn by turn, a prediction takes {rounded(paired.value)} times as long as the "
    f"exact lead field, {rounded(paired.low)} to {rounded(paired.high)} over the turns"
)

# %% [markdown]
# The ratios of the table are quotients of two medians, and the exact lead field
# is the sum of its two rows. The ratio that is printed below the table is the
# median of the ratios within the turns, so it need not be the same. The answer
# at the top of the page is this one.
#
# With the conductivity known, the exact lead field takes less time than a
# prediction of the structured surrogate. About half of a prediction goes into
# reading the fronts and into the five networks. The paper's network takes
# less time than both, but it predicts one electrode and they compute
# sixteen. Neither surrogate replaces the simulation, because both need its
# voltages.
#
# **Break-even count.** A surrogate pays off after
# $N^* = t_\mathrm{train} / (t_\mathrm{teacher} - t_\mathrm{network})$ uses.
# The teacher of the structured surrogate is the lead field, and it is
# faster. The denominator is negative, so there is no such count. There is
# none against the simulation either, because the simulation is not
# replaced. The networks are for tissue whose conductivity is **not known**.
# There the exact lead field is not available, and its cost does not matter.

# %%
predicting = seconds["predict, 5 networks, bands"]
over_lead = paired.value
once_over_now = compared.loc["predict, products one by one, over predict"]
assert over_lead > 1, "the text above says that the lead field is faster"
of_simulation = predicting / seconds["simulation of the tissue"]
targets = {
    "time": ("s for a prediction", predicting, most, target_predict_s),
    "once": ("once over now", once_over_now.value, least, target_predict_speedup),
}
shown_targets(judge(targets), "Predictions: measured numbers and their targets")

# %% [markdown]
# A prediction multiplies the voltages with the operators of five networks. It
# once took a product for each network, and takes one for all now. *Once* is the
# time of a prediction plus the difference between the five products and the
# one, all timed in the same turns. All other parts are counted as they are now,
# so the ratio is the gain by the product alone. The predictions of that time
# took one step less: they did not read off the maps which cell they are of.
#
# Many recordings can be predicted one after the other, or with one pass of
# each network for all of them together.

# %%
rates = predicted[predicted.quantity == "per_second"]
n_batch = rates["count"].max()
batch_gain = compared.loc["recordings one by one over in a batch"]
ranges = rates.assign(value=rates.apply(rounded_range, axis=1))[["case", "value"]]
ranges.columns = ["way", "recordings per second (least to most)"]
caption = f"{n_batch} recordings at 16 electrodes, on one thread"
printed(ranges.set_index("way"), caption=caption)

# %%
print(
    f"one by one takes {batch_gain.value:.2f} times as long as a batch, "
    f"{batch_gain.low:.2f} to {batch_gain.high:.2f} over the turns"
)

# %% [markdown]
# On one thread a batch is slower here. The arithmetic is the same. A batch
# leaves out the checks and the bands of each recording, but the fields of many
# recordings do not fit the cache, which probably costs more than that saves.
#
# A network can also be compiled by `torch.compile`, or exported by `torch.export`
# as a program that needs none of our code:

# %%
for form in ("compiled", "exported"):
    row = compared.loc[f"one network, over it {form}"]
    print(
        f"{form}: {row.value:.2f} times as fast, "
        f"{row.low:.2f} to {row.high:.2f} over the turns"
    )

# %% [markdown]
# Neither form makes a prediction much faster, and we use neither.

# %% tags=["hide-input"]
one = f"100 x 100 maps, 160 frames, 16 electrodes, one thread, {cost_machine}"
on_five, key = f"{one}, five networks", "predict_seconds_16_leads"
headline(key, predicting, unit="s", tolerance=None, on=on_five)
on_lead = f"{one}, lead field of 400 x 400 cells with known D"
headline("predict_over_lead_field", over_lead, tolerance=None, on=on_lead)
headline("predict_over_simulation", of_simulation, tolerance=None, on=one)
on_once = f"{one}, a product for each network over one for all"
headline("predict_speedup", once_over_now.value, tolerance=None, on=on_once)
rate = rates.set_index("case").value["recordings in a batch"]
key, on_batch = "predict_per_second_batch", f"{one}, {n_batch} recordings"
headline(key, rate, unit="1/s", tolerance=None, on=on_batch)

# %% [markdown]
# The training of the structured network was timed, too: an epoch of 32
# tissues in single and in mixed precision, on one and on two threads, and
# forward and backward passes with and without `torch.compile`.

# %%
cost = pd.read_csv(RESULTS / "runs" / "cost.csv").set_index("what")
(training_machine,) = cost.machine.unique()
training = cost.seconds[cost.index.str.contains("epoch|backward")]
half = training["epoch of 32 tissues, bfloat16, 2 threads"]
full = training["epoch of 32 tissues, float32, 2 threads"]
minutes = half * 240 / 32 * 30 / 60
print(training_machine)
shown = training.map(rounded).to_frame()
printed(shown, caption="Cost of training the structured network")

# %% tags=["hide-input"]
epochs = "240 tissues, 30 epochs, from an epoch of 32, two threads, nothing beside it"
on_epochs, key = f"{epochs}, {training_machine}", "train_minutes_structured_alone"
headline(key, minutes, unit="min", tolerance=None, on=on_epochs)
on_training = f"training of the structured network, two threads, {training_machine}"
headline("mixed_precision_speedup", full / half, tolerance=None, on=on_training)

# %% [markdown]
# Mixed precision is used where it is faster on this processor, which has
# instructions for it. Compilation takes some ten seconds first and is not
# used. The pages that train measure a whole training; its minutes are in
# the table of headline numbers. On a processor without such instructions
# the order of these rows may differ.
#
# ## Cost of meshes
#
# The lead field of a mesh is computed cell by cell, without a stiffness
# matrix. It is timed for 48 × 48 × 48 boxes of six tetrahedra and twelve
# electrodes, on one thread. The reference is scikit-fem, which assembles
# the matrix and multiplies it by $1/R$; both give the same numbers. The
# times are medians of five calls in turns, from `benchmarks/mesh.py`. The
# memory is the most that a call holds in addition to the mesh itself.

# %%
mesh_cost = pd.read_csv(RESULTS / "runs" / "mesh_cost.csv").set_index("what")
print(mesh_cost.machine.iloc[0])
words = {"seconds": "seconds", "peak_MB": "most memory (MB)"}
shown = mesh_cost[[*words]].map(rounded).rename(columns=words)
row = mesh_cost.iloc[0]
caption = "Cost of the lead field of a mesh: "
caption += f"{row.tetrahedra:,} tetrahedra, {row.electrodes} electrodes"
printed(shown, caption=caption)

# %% tags=["hide-input"]
tets = mesh_cost.seconds["lead field, with fibers"]
by_matrix = mesh_cost.seconds["scikit-fem: K, and its product"]
on_mesh = f"{row.tetrahedra} tetrahedra, {row.electrodes} electrodes, one thread"
on_mesh = f"{on_mesh}, {row.machine}"
headline("mesh_seconds_tets", tets, unit="s", tolerance=None, on=on_mesh)
ratio = by_matrix / mesh_cost.seconds["lead field, isotropic"]
headline("mesh_over_scikit_fem", ratio, tolerance=None, on=f"isotropic, {on_mesh}")

# %% [markdown]
# ## Cost of the whole book
#
# `make reproduce` executes every page in an empty copy. It simulates and trains
# there what the pages make themselves, and takes the tables of all other
# trainings as they are. The next cell prints how long the last whole run took,
# and how many of the pages of today it had. If it had fewer, it was a run of an
# earlier state of the book, and all pages take longer.
# {ref}`provenance-notebooks` has each page.

# %%
whole = pd.read_csv(RESULTS / "bench_reproduce.csv")
minutes_of_all = whole_minutes(whole)
pages = {notebook.name for notebook in NOTEBOOKS}
had = f"{len(pages & {*whole.notebook})} of today's {len(pages)} pages"
on_whole = f"{had}, {whole.cores.iloc[0]} cores, {whole.machine.iloc[0]}"
state = "" if pages <= {*whole.notebook} else ", in an earlier state,"
print(f"the last whole run{state} took {minutes_of_all:.0f} minutes: {on_whole}")

# %% tags=["hide-input"]
key = "reproduce_minutes"
headline(key, minutes_of_all, unit="min", tolerance=None, on=on_whole)

# %% [markdown]
# ## Results
#
# On this processor our solver is many times faster than Finitewave, and a step
# takes less than twice the time that the multiply-adds alone need. A prediction
# of the surrogate takes longer than the exact lead field of known tissue. On
# the mesh that was timed our operator is faster than the assembled matrix and
# needs much less memory; one mesh of one size does not tell how either grows.
#
# The headline numbers belong to single machines, so none is judged when the
# book is reproduced. They change when the benchmarks are run again and
# their tables are committed.

# %% tags=["hide-input"]
print(headline.provenance())
