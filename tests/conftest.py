"""Shared pieces: one thread, a toy data set whose ECG is an exactly linear functional of its maps, the book, a browser."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from filelock import FileLock

from compendium import render
from compendium.registry import ROOT
from forwardecg.contract import to_mV

# Tests move the data of many processes to folders of their own: compiled code is found again by all of them. It lies in
# a folder that is named by the source, so that no test meets another's.
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / "data" / "cache" / "numba"))


def pytest_addoption(parser):
    parser.addoption(
        "--renew", action="store_true", help="tests/versions: write the values of stages whose VERSION was raised"
    )


SIDE, TIMES = 20, np.arange(0.0, 100.0, 5.0)  # stored pixels of 2 mm, ms


@pytest.fixture
def one_thread():
    """Sums in torch depend on the number of threads: one, so that equal means equal bit for bit."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def toy_maps(n: int, seed: int = 0) -> np.ndarray:
    """Plane waves u (n, time, y, x) in 0..1 with directions, speeds and delays drawn from ``seed``."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(*[(np.arange(SIDE) + 0.5) / SIDE - 0.5] * 2, indexing="ij")
    angle, speed, delay = (values[:, None, None] for values in rng.uniform((0, 0.01, 5), (6.28, 0.03, 20), (n, 3)).T)
    lat = delay + (np.cos(angle) * x + np.sin(angle) * y + 0.7) / speed
    after = TIMES[:, None, None] - lat[:, None]
    return (1 / (1 + np.exp(-np.clip(after / 2, -50, 50))) * np.exp(-np.clip(after, 0, None) / 60)).astype(np.float16)


def make_toy_dataset(n: int, seed: int = 0) -> xr.Dataset:
    """A data set of the contract; phi_e = sum of weights x u over the map + 0.5, in 1 ms steps."""
    u = toy_maps(n, seed).astype(float)
    weights = np.random.default_rng(99).standard_normal((SIDE // 2, SIDE // 2))
    pooled = u.reshape(n, len(TIMES), SIDE // 2, 2, SIDE // 2, 2).mean((3, 5)).astype(np.float16).astype(float)
    ecg = np.einsum("ntyx,yx->nt", pooled, weights) + 0.5
    fine = np.arange(TIMES[-1] + 1)
    return xr.Dataset(
        {
            "V_m": (("sim", "time", "y_map", "x_map"), to_mV(u), {"units": "mV"}),
            "phi_e": (("sim", "lead", "time_ecg"), np.array([[np.interp(fine, TIMES, trace)] for trace in ecg])),
            "electrodes": (("lead", "xyz"), np.array([[SIDE, SIDE, 12.0]])),
        },
        coords={"time": TIMES, "time_ecg": fine, "lead": ["center"]},
    )


@pytest.fixture
def toy_dataset():
    return make_toy_dataset


@pytest.fixture(scope="session")
def html(tmp_path_factory) -> Path:
    """The book, built once without a warning: the workers of one run wait for each other and share it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "book"
    with FileLock(f"{folder}.lock"):
        problems = folder / "problems.txt"
        if not problems.exists():
            done = render.build(ROOT, *render.STRICT, output=folder)
            folder.mkdir(exist_ok=True)
            problems.write_text(done.stderr or "failed" if done.returncode else "", encoding="utf-8")
    assert not problems.read_text(encoding="utf-8"), problems.read_text(encoding="utf-8")
    return folder / "_build" / "html"


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    """The system's Chromium, driven by Playwright; none is ever downloaded.

    Closed with the module: Playwright's event loop would stay in the thread of later tests that start their own.
    """
    import chromium as tool

    path = tool.find()
    if not path:
        (pytest.fail if "CI" in os.environ else pytest.skip)(tool.MISSING)
    with tool.browser(path) as browser:
        yield browser
