"""Meshes of simple bodies whose ECG has a closed form: for the page of the verification and for tests."""

import numpy as np


def sphere(refined: int, radius: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Points and triangles of a sphere: an icosahedron, each triangle cut into four as often as ``refined``."""
    golden = (1 + 5**0.5) / 2
    signs = [(a, b * golden) for a in (-1, 1) for b in (-1, 1)]
    points = np.array([np.roll([0.0, a, b], k) for k in range(3) for a, b in signs])
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    near = np.isclose(apart, 2.0)
    cells = np.array(
        [(i, j, k) for i in range(12) for j in range(i) for k in range(j) if near[i, j] and near[j, k] and near[i, k]]
    )
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    for _ in range(refined):
        points, cells = cut_in_four(points, cells)
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    return radius * points, cells


def cut_in_four(points: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each triangle as four, with new points in the middles of its sides."""
    sides = np.sort(np.concatenate([cells[:, [i, j]] for i, j in ((0, 1), (1, 2), (2, 0))]), 1)
    each, at = np.unique(sides, axis=0, return_inverse=True)
    ab, bc, ca = len(points) + at.reshape(3, -1)
    a, b, c = cells.T
    parts = [np.stack(part, 1) for part in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))]
    return np.concatenate([points, points[each].mean(1)]), np.concatenate(parts)


def slab(n: tuple[int, int, int], size: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Points and tetrahedra of a box from the origin to ``size`` (x, y, z), of n boxes (x, y, z), six in each."""
    axes = [np.linspace(0, length, k + 1) for length, k in zip(size, n, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    node = np.arange(len(points)).reshape([k + 1 for k in n])

    def corner(x: int, y: int, z: int) -> np.ndarray:
        return node[x : x + n[0], y : y + n[1], z : z + n[2]].ravel()

    ways = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]  # from one corner to the opposite one
    cells = []
    for way in ways:
        at = np.zeros(3, int)
        path = [corner(*at)]
        for axis in way:
            at[axis] = 1
            path.append(corner(*at))
        cells.append(np.stack(path, 1))
    return points, np.concatenate(cells)


def ball(n: int, radius: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Points and tetrahedra of a ball: a cube of n^3 boxes, each shell of which is drawn onto a sphere."""
    points, cells = slab((n, n, n), (2.0, 2.0, 2.0))
    points -= 1
    length = np.linalg.norm(points, axis=1, keepdims=True)
    shell = np.abs(points).max(1, keepdims=True)
    return radius * np.divide(points * shell, length, out=np.zeros(points.shape), where=length > 0), cells
