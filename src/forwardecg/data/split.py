"""Splits and folds by tissue, and the proof that no tissue, nor a mirror image of it, is in two parts."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from forwardecg.contract import array, count, instance, number
from forwardecg.tissue.symmetry import apply_symmetry

_YX = ("y", "x")


def sheet_hash(D: np.ndarray, conductive: np.ndarray) -> str:
    """A hash of a sheet, the same for its eight symmetric copies: D (y, x) in mm^2/ms, conductive (y, x) bool."""
    D, conductive = array("D", D, _YX, "mm2 ms-1", finite=False), array("conductive", conductive, _YX, kinds="b")
    if D.shape != conductive.shape:
        raise ValueError(f"D, conductive: expected one shape (y, x), got {D.shape} and {conductive.shape}")
    sheet = torch.from_numpy(np.where(conductive, D, 0).astype(np.float32))  # as it is stored
    images = [apply_symmetry(sheet, n) for n in range(8)]
    return min(hashlib.sha256(str(image.shape).encode() + image.numpy().tobytes()).hexdigest() for image in images)


def check_disjoint(hashes: Mapping[str, Sequence[str]]) -> None:
    """Raise ValueError if a tissue, or a symmetric copy of it, is in two parts.

    Args:
        hashes: name of a part -> `sheet_hash` of its tissue 0, 1, ...

    Raises:
        ValueError: A hash is in two parts.

    Examples:
        >>> check_disjoint({"train": ["a", "b", "b"], "test": ["c"]})
    """
    seen: dict[str, tuple[str, int]] = {}
    for part, sheets in instance("hashes", hashes, Mapping).items():
        none = sheets in ([], ()) if isinstance(sheets, list | tuple) else getattr(sheets, "size", 1) == 0
        for n, one in enumerate(() if none else _names(f"hashes[{part!r}]", sheets)):
            other, m = seen.setdefault(one, (part, n))
            if other != part:
                came = f"tissue {m} of {other!r} again, as tissue {n} of {part!r}"
                raise ValueError(f"hashes: expected every tissue in one part only, got {came}")


def split_by_tissue(condition: ArrayLike, seed: int = 0, test: float = 0.1, val: float = 0.1) -> dict[str, np.ndarray]:
    """Indices of train, val and test tissues, drawn within each condition so that all of them are in every part.

    Args:
        condition: (n,), one name per tissue.
        seed: of the draw.
        test, val: share of each condition, one tissue of it at least.

    Returns:
        Sorted indices by the names train, val and test.

    Raises:
        ValueError: Too few tissues of a condition to be in every part; no names; shares that leave nothing to train on.

    Examples:
        >>> parts = split_by_tissue(["healthy"] * 10 + ["fibrotic"] * 20)
        >>> {name: len(indices) for name, indices in parts.items()}
        {'train': 24, 'val': 3, 'test': 3}
    """
    condition, rng = _names("condition", condition), np.random.default_rng(count("seed", seed, 0, 2**63 - 1))
    parts: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    test, val = number("test", test, 0, 1), number("val", val, 0, 1)
    if test + val >= 1:
        raise ValueError(f"test, val: expected shares >= 0 that leave something to train on, got {test}, {val}")
    for name in np.unique(condition):
        members = rng.permutation(np.flatnonzero(condition == name))
        n_test, n_val = max(1, round(test * members.size)), max(1, round(val * members.size))
        if members.size < (fewest := n_test + n_val + 1):
            raise ValueError(f"condition: expected at least {fewest} tissues of '{name}', got {members.size}")
        parts["test"] += members[:n_test].tolist()
        parts["val"] += members[n_test : n_test + n_val].tolist()
        parts["train"] += members[n_test + n_val :].tolist()
    return {name: np.sort(np.array(indices)) for name, indices in parts.items()}


def folds_by_tissue(condition: ArrayLike, seed: int = 0, n_folds: int = 5) -> list[dict[str, np.ndarray]]:
    """Train, val and test indices of each fold: every tissue is tested once, conditions in proportion.

    Args:
        condition: (n,), one name per tissue.
        seed, n_folds: of the draw, and how many, at least 3.

    Returns:
        As from `split_by_tissue`, one a fold.

    Raises:
        ValueError: Fewer than 3 folds, or a condition with fewer than two tissues for each of them.

    Examples:
        >>> folds = folds_by_tissue(["healthy"] * 10 + ["fibrotic"] * 20)
        >>> sorted(np.concatenate([fold["test"] for fold in folds]).tolist()) == list(range(30))
        True
    """
    condition, n_folds = _names("condition", condition), count("n_folds", n_folds)
    rng = np.random.default_rng([count("seed", seed, 0, 2**63 - 1), n_folds])
    fewest = min(np.unique(condition, return_counts=True)[1], default=0)
    if n_folds < 3 or fewest < 2 * n_folds:
        wanted = "at least 3, and two tissues of each condition for each"
        raise ValueError(f"n_folds: expected {wanted}, got {n_folds} for {fewest} tissues")
    parts: list[list[np.ndarray]] = [[] for _ in range(n_folds)]
    for name in np.unique(condition):
        members = rng.permutation(np.flatnonzero(condition == name))
        for part, some in zip(parts, np.array_split(members, n_folds), strict=True):
            part.append(some)
    folds = []
    for k in range(n_folds):  # tests the k-th part of each condition, and validates on every second tissue of the next
        test, val = np.concatenate(parts[k]), np.concatenate([some[::2] for some in parts[(k + 1) % n_folds]])
        train = np.setdiff1d(np.arange(condition.size), np.concatenate([test, val]))
        folds.append({"train": train, "val": np.sort(val), "test": np.sort(test)})
    return folds


def _names(name: str, x: ArrayLike) -> np.ndarray:
    """One name per tissue: words, or whole numbers in their place."""
    flat = isinstance(x, Sequence) and not isinstance(x, str) and not any(isinstance(one, list | tuple) for one in x)
    names = np.asarray(x) if flat and np.size(x) else x
    kind = getattr(getattr(names, "dtype", None), "kind", "")
    whole = not np.ma.is_masked(names) and (
        kind in "Uiub" or kind == "O" and all(isinstance(one, str) for one in np.ravel(names))
    )
    if not kind or not whole or np.ndim(names) != 1 or not np.size(names):
        came = f" of shape {tuple(x.shape)}" if hasattr(x, "shape") else f" {x!r:.60}"
        raise ValueError(f"{name}: expected one name per tissue, got {type(x).__name__}{came}")
    return np.asarray(names)
