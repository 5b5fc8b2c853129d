# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   page:
#     question: >-
#       How does one get twelve leads from a mesh with fibers?
#     answer: >-
#       A few lines of code give the leads from the mesh, its conductivities and a
#       voltage at its nodes; on one left atrium an operator without the fibers gives
#       other leads, which score a median R² of {headline}`atrium_scalar_r2_median`
#       after the best common scale.
#     next:
#       page: book/downloads
#       why: all files of this edition
#     makes:
#       results/21_left_atrium.csv: >-
#         by lead, amplitude with and without fibers in the operator, R² between them
#     draws: [results/21_left_atrium.png]
#     smoke: {shape: shell, refined: 3, dt_ms: 10.0}
# ---

# %% [markdown]
# # Left atrium: 12-lead ECG from a mesh with fibers
#
# **Question.** How does one get a 12-lead ECG from a mesh with fibers, and
# what do the fibers change in it?
#
# **Scale:** one surface of a left atrium with fibers and one beat. The
# surface has 5,253 nodes and 10,247 triangles, and is from the tests of
# PyAnsys Heart (MIT licence, <https://github.com/ansys/pyansys-heart>). The
# page takes half a minute.
#
# The mesh is not part of this project. When the page is executed it looks for
# a copy, and downloads one where there is none. With `shape="shell"` it takes
# half a sphere instead and needs no file. The operator is checked in
# {ref}`the verification <gold-check>`, and files of other kinds are in
# {doc}`../book/bring_your_own_data`. To run it with another site:
#
#     make run NB=21_left_atrium SET="site=[30.0, 80.0, 60.0]"

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from compendium import external, figures, shapes
from compendium.record import Headline, result_file
from compendium.tables import printed
from forwardecg.activation.forward import read_out
from forwardecg.activation.template import template
from forwardecg.contract import to_mV
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import lead_field, pseudo_ecg
from forwardecg.ecg.leads import twelve_leads
from forwardecg.ecg.mesh import Mesh, mesh_of
from forwardecg.ecg.meshfiles import read_mesh
from forwardecg.measure.scores import r2
from forwardecg.solver.calibration import D_REFERENCE, converged_cv
from forwardecg.tissue.cell import FK_CAF
from forwardecg.tissue.sheet import healthy

figures.set_style()
headline = Headline("21_left_atrium")

# %% tags=["parameters"]
shape = "left_atrium"  # the mesh; or "shell", half a sphere of 25 mm
D_along, D_over = 0.30, 0.06  # mm^2/ms, along and across the fibers
site = [85.0, 85.0, 105.0]  # mm, the wave starts at the node nearest to it
dt_ms = 2.0  # ms between frames
refined = 5  # of the shell: times that its triangles are cut into four

# %% [markdown]
# ## Mesh and fibers
#
# `read_mesh` takes the points, the triangles and the fibers from the file,
# and the two conductivities from us. The fibers of this file do not lie in
# their triangles. They are projected into them ({ref}`meshes`), and the mean
# sine of the angle between fiber and triangle is kept.

# %%
if shape == "left_atrium":
    path = external.locate("left_atrium/la_endo.vtk")
    mesh = read_mesh(path, D=D_along, D_across=D_over, unit="mm")
else:
    points, cells = shapes.sphere(refined, 25.0)
    cells = cells[points[cells][:, :, 2].max(1) < 8]
    around = np.cross(points[cells].mean(1), [0.0, 0.0, 1.0])
    points = points + [50.0, 85.0, 85.0]
    mesh = Mesh(points, cells, D=D_along, D_across=D_over, fibers=around)
used = np.unique(mesh.cells)
sides = mesh.points[mesh.cells] - mesh.points[np.roll(mesh.cells, 1, 1)]
edge = np.median(np.linalg.norm(sides, axis=2))
print(
    f"{len(used)} nodes, {len(mesh.cells)} triangles, "
    f"{mesh.size.sum() / 100:.0f} cm², edges of {edge:.2f} mm; "
    f"fibers were {mesh.fiber_tilt:.2f} off their triangles"
)

# %% tags=["hide-input"]
headline("atrium_fiber_tilt", mesh.fiber_tilt, tolerance=1e-3, on="mean sine, one mesh")

# %% [markdown]
# ## Activation times along the fastest path
#
# The wave runs along the mesh at the velocity that its conductivity gives it,
# $\mathrm{CV} = \mathrm{CV}_0\sqrt{D/D_0}$, and takes the fastest path. Here
# $\mathrm{CV}_0$ is the velocity of a plane wave at the diffusivity $D_0$.
# Paths go straight through triangles, from one of three points on each side
# to another, and Dijkstra's algorithm finds the fastest of them. A straight
# piece with the vector $e$ takes the time
# $\sqrt{e \cdot D^{-1} e}\,\sqrt{D_0}/\mathrm{CV}_0$. This law is ours, and
# it ignores the curvature of the front. On a flat sheet the answer is known.
# The second cell below prints how late the times of the law are there.


# %%
def activation(mesh, start, m=3):
    """Times (node,) in ms after the start at a node, by the fastest path."""
    n, cells = len(mesh.points), mesh.cells
    sides = np.sort(np.concatenate([cells[:, [k, k - 1]] for k in range(3)]), 1)
    sides, of_cell = np.unique(sides, axis=0, return_inverse=True)
    share = (np.arange(m) + 1)[:, None] / (m + 1)
    first, second = mesh.points[sides.T][:, :, None]
    between = (1 - share) * first + share * second  # (side, m, xyz)
    points = np.concatenate([mesh.points, between.reshape(-1, 3)])
    inner = n + of_cell.reshape(3, -1).T[..., None] * m + np.arange(m)
    own = np.concatenate([cells, inner.reshape(len(cells), -1)], 1)
    i, j = np.triu_indices(own.shape[1], 1)
    edge = points[own[:, j]] - points[own[:, i]]  # (cell, pair, xyz)
    along = np.einsum("cpx,cx->cp", edge, mesh.fibers) ** 2
    length = np.einsum("cpx,cpx->cp", edge, edge)
    square = along / mesh.D[:, None] + (length - along) / mesh.D_across[:, None]
    time = np.sqrt(square * D_REFERENCE) / converged_cv(FK_CAF)
    pairs = np.sort(np.stack([own[:, i].ravel(), own[:, j].ravel()], 1), 1)
    # a side belongs to two triangles: the faster one counts
    table = pd.DataFrame({"a": pairs[:, 0], "b": pairs[:, 1], "t": time.ravel()})
    table = table.groupby(["a", "b"], as_index=False).t.min()
    graph = coo_array((table.t, (table.a, table.b)), shape=(len(points),) * 2)
    return dijkstra(graph.tocsr(), directed=False, indices=start)[:n]


# %%
flat = mesh_of(healthy((61, 61), 1.0, D0=D_along))
along_x = np.tile([1.0, 0.0, 0.0], (len(flat.cells), 1))
flat = Mesh(flat.points, flat.cells, D=D_along, D_across=D_over, fibers=along_x)
middle = 30 * 61 + 30
apart = flat.points - flat.points[middle]
speed = converged_cv(FK_CAF) * np.sqrt(D_along / D_REFERENCE)
exact = np.hypot(apart[:, 0], apart[:, 1] * np.sqrt(D_along / D_over)) / speed
far = exact > 10
late = activation(flat, middle)[far] / exact[far] - 1
print(f"{late.mean():.1%} in the mean, {late.max():.1%} at most")

# %% [markdown]
# ## Voltage from one template
#
# Every node has the same action potential, shifted to its own time of
# activation. `template` gives that of a plane wave in healthy tissue, from the
# solver, here on cells of 0.25 mm with steps of 0.1 ms. Its upstroke and its
# repolarization come apart, because {doc}`22_without_simulating` shifts them by
# different times. Here both are shifted by the activation time. The course in
# time is the same for every conductivity, since the conductivity scales space
# alone.

# %%
form = template(0.25, 0.1, FK_CAF)
node = int(used[np.linalg.norm(mesh.points[used] - site, axis=1).argmin()])
T = activation(mesh, node)
t = np.arange(-10.0, T[used].max() + 350.0, dt_ms)
T = np.where(np.isfinite(T), T, 0.0)  # nodes of no triangle
u = np.interp(t[:, None] - T, form.t, form.up + form.down)
V_m = to_mV(u)  # (time, node)
print(f"the last node is activated after {T[used].max():.0f} ms")

# %% tags=["hide-input"]
headline("atrium_activation_ms", T[used].max(), unit="ms", tolerance=0.5, on="one mesh")

# %% [markdown]
# ## Electrodes
#
# No torso belongs to this mesh. We take its axes for those of a scanner, as
# is usual: $x$ to the left of the patient, $y$ to the back, $z$ to the head.
# Nine electrodes are placed around the center of the atrium where the
# shoulders, the hip and the chest of an adult would be, in an unbounded
# conductor. They are stylized, and another torso would give other amplitudes.

# %%
place = {
    "RA": (-150, -40, 150),
    "LA": (190, -40, 150),
    "LL": (100, -40, -300),
    "V1": (-40, -100, -10),
    "V2": (10, -105, -10),
    "V3": (45, -105, -25),
    "V4": (80, -95, -45),
    "V5": (120, -55, -45),
    "V6": (140, 0, -45),
}
center = mesh.points[used].mean(0)
electrodes = Electrodes(center + np.array([*place.values()]), tuple(place))

# %% [markdown]
# ## ECG with and without fibers
#
# The same voltage goes through two operators. One has the tensor. The other
# has one conductivity, the geometric mean of the two. Only the operator
# differs, and so only the direction of the currents. In the table *R2 of one
# D* is the score of the second operator against the first, and *R2, scaled*
# is its score after the best common scale.

# %%
scalar = Mesh(mesh.points, mesh.cells, D=np.sqrt(D_along * D_over))
leads, leads_scalar = (
    twelve_leads(pseudo_ecg(V_m, one, electrodes)) for one in (mesh, scalar)
)

# %%
scale = float((leads * leads_scalar).sum() / (leads_scalar**2).sum())
table = pd.DataFrame(
    {
        "amplitude": np.ptp(leads.values, axis=1),
        "amplitude, one D": np.ptp(leads_scalar.values, axis=1),
        "R2 of one D": r2(leads.values, leads_scalar.values),
        "R2, scaled": r2(leads.values, scale * leads_scalar.values),
    },
    index=leads.lead.values,
).rename_axis("lead")
table["change"] = table["amplitude, one D"] / table.amplitude - 1
table.round(6).to_csv(result_file("21_left_atrium.csv"))
printed(
    table,
    signed=["change"],
    caption="Twelve leads of one beat: with the tensor, and with one D.",
)

# %% [markdown]
# If all that is wanted is the ECG, the voltage at the nodes need not be made.
# `ecg_from_activation` takes sheets alone, but the sum behind it, `read_out`,
# takes any lead field with the times of its cells or nodes.

# %%
phi_e = pseudo_ecg(V_m, mesh, electrodes)
direct = read_out(lead_field(mesh, electrodes), T, T, form, t)
off = np.abs(direct - phi_e.values).max() / np.abs(phi_e.values).max()
assert off < 1e-3
print("the same to a thousandth of the largest potential")

# %% tags=["hide-input"]
most = table.change.abs().max()
on_leads = "twelve leads, one beat, one mesh; one D against the tensor"
headline("atrium_amplitude_change", most, tolerance=0.02, on=on_leads)
value = table["R2, scaled"].median()
headline("atrium_scalar_r2_median", value, tolerance=0.05, on=f"{on_leads}, scaled")

# %% tags=["hide-input"]
fig = plt.figure(figsize=(11, 8))
grid = fig.add_gridspec(4, 5, width_ratios=[2.2, 0.1, 1, 1, 1])
norm, colors = Normalize(0, T[used].max()), plt.get_cmap("viridis_r")
triangles, late_by = mesh.points[mesh.cells], T[mesh.cells].mean(1)
for k, (title, azimuth) in enumerate(
    {"from the front": -90, "from behind": 90}.items()
):
    ax = fig.add_subplot(grid[2 * k : 2 * k + 2, 0], projection="3d")
    painted = colors(norm(late_by))
    surface = Poly3DCollection(triangles, facecolors=painted, edgecolors=painted)
    _ = ax.add_collection3d(surface)
    low, high = triangles.min((0, 1)), triangles.max((0, 1))
    _ = ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    _ = ax.plot(*mesh.points[node][:, None], "o", color="black", ms=5, zorder=5)
    ax.set_box_aspect(high - low, zoom=1.25)
    ax.view_init(elev=10, azim=azimuth)
    ax.set_axis_off()
    _ = ax.set_title(title)
bar = fig.add_subplot(grid[1:3, 1])
_ = fig.colorbar(ScalarMappable(norm, colors), cax=bar, label="activation (ms)")
bar.invert_yaxis()
limit = 1.05 * max(np.abs(each.values).max() for each in (leads, leads_scalar))
for k, lead in enumerate(leads.lead.values):
    ax = fig.add_subplot(grid[k % 4, 2 + k // 4])
    _ = ax.plot(t, leads.sel(lead=lead), color="black", lw=1.2, label="tensor")
    _ = ax.plot(
        t, leads_scalar.sel(lead=lead), color="C1", lw=1, ls="--", label="one D"
    )
    _ = ax.set_title(lead, fontsize="small", loc="left")
    _ = ax.set(ylim=(-limit, limit), xticks=[0, 200, 400])
    ax.tick_params(labelsize="x-small", labelbottom=k % 4 == 3, labelleft=k < 4)
    if k == 11:
        _ = ax.legend(fontsize="x-small", frameon=False)
fig.supxlabel("time (ms)", x=0.72, fontsize="small")
fig.savefig(result_file("21_left_atrium.png"), dpi=110, metadata={"Software": None})
figures.show(
    fig,
    "A left atrium colored by its time of activation, from the front and from behind, "
    "with the site of the start as a dot; beside it twelve leads, once with the tensor "
    "and once with one conductivity, which differ in amplitude and in shape.",
)

# %% [markdown]
# Colors are times of activation, the dot is the site, and the leads are in mV
# mm/ms. The first deflections come from the front of the wave. The slow ones
# after it come from repolarization, which follows in the order of activation
# because all nodes have one template. The small ripples probably come from a
# narrow front on edges of this length. **One conductivity is no substitute
# for the tensor**, although it is the geometric mean. Along the fibers it
# lets too little current flow, across them too much, and the leads see sums
# of both signs.
#
# The leads are not the P wave of a patient. The model has no right atrium, no
# torso with lungs and bones, no difference between inner and outer wall, and
# no measured activation. The page is an example of the whole way, from a mesh
# and a voltage at its nodes to electrodes and leads.

# %% tags=["hide-input"]
print(headline.provenance())
