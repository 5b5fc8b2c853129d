"""What the lead field of a large mesh costs, beside scikit-fem: ``data/results/runs/mesh_cost.csv``, on a quiet machine.

48^3 boxes of six tetrahedra, 12 electrodes, one thread; medians of five calls in turns. scikit-fem assembles the stiffness
matrix, which is then multiplied by 1/r: the same numbers by another way.
"""

import os
import tracemalloc
from statistics import median
from time import perf_counter

import numpy as np
import pandas as pd
import skfem
from llvmlite.binding import get_host_cpu_name
from threadpoolctl import threadpool_limits

from compendium.shapes import slab
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import lead_field
from forwardecg.ecg.mesh import Mesh
from forwardecg.paths import RESULTS

N_CALLS = 5


def peak(f) -> float:
    """Most MB that a call holds at a time."""
    tracemalloc.start()
    f()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1e6


def main() -> None:
    points, cells = slab((48, 48, 48), (48.0, 48.0, 48.0))
    fibers = np.tile([0.6, 0.8, 0.0], (len(cells), 1))
    places = np.random.default_rng(0).normal((24, 24, 150), 20, (12, 3))
    electrodes = Electrodes(places, tuple(f"e{k}" for k in range(12)))
    meshes = {
        "isotropic": Mesh(points, cells, D=0.1),
        "with fibers": Mesh(points, cells, D=0.1, D_across=0.02, fibers=fibers),
    }
    laplace = skfem.BilinearForm(lambda u, v, w: 0.1 * (u.grad * v.grad).sum(0))

    def by_matrix() -> np.ndarray:
        basis = skfem.Basis(skfem.MeshTet(points.T, cells.T, sort_t=False), skfem.ElementTetP1(), intorder=0)
        return -(laplace.assemble(basis) @ (1 / np.linalg.norm(points[:, None] - places, axis=2))).T

    ways = {f"lead field, {name}": lambda mesh=mesh: lead_field(mesh, electrodes) for name, mesh in meshes.items()}
    ways |= {
        "making the mesh, with its checks": lambda: Mesh(points, cells, D=0.1),
        "scikit-fem: K, and its product": by_matrix,
    }
    np.testing.assert_allclose(by_matrix(), ways["lead field, isotropic"](), rtol=1e-8, atol=1e-12)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(N_CALLS):
        for way, f in ways.items():
            start = perf_counter()
            f()
            seconds[way].append(perf_counter() - start)
    table = pd.DataFrame({
        "what": [*ways], "seconds": [median(some) for some in seconds.values()], "peak_MB": [peak(f) for f in ways.values()],
        "tetrahedra": len(cells), "electrodes": len(places), "machine": get_host_cpu_name(),
    })  # fmt: skip
    part = RESULTS / "runs" / "mesh_cost.csv.part"
    table.to_csv(part, index=False, float_format="%.4g", lineterminator="\n")
    os.replace(part, part.with_suffix(""))
    print(table.to_string())


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
