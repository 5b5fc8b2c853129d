"""Broken on purpose: faults found in public codes, each put into a copy of the package, must fail the test that is named for it."""

import os
import shutil
import subprocess
import sys

import pytest

from compendium.registry import ROOT

pytestmark = pytest.mark.slow

MUTANTS = {
    "slow inward current gated by v": (
        ("tissue/cell.py", "J_si = -w * rate_si", "J_si = -v * rate_si"),
        "tests/tissue/test_cell.py::test_J_si_depends_on_w_only_and_J_fi_on_v_only",
    ),
    "arithmetic means at faces, open to fibrosis": (
        (
            "tissue/diffusion.py",
            "np.divide(2 * a * b, a + b, out=np.zeros(np.shape(a)), where=a * b > 0)",
            "(a + b) / 2",
        ),
        "tests/tissue/test_sheet.py::test_faces_are_harmonic_means_and_closed_at_edges_and_fibrosis",
    ),
    "weight 1 / r^2": (
        (
            "ecg/leadfield.py",
            "weight = 1 / distances(tissue, electrodes)",
            "weight = 1 / distances(tissue, electrodes) ** 2",
        ),
        "tests/ecg/test_leadfield.py::test_plane_front_collapses_to_one_dimension",
    ),
    "recovery times of v swapped": (
        (
            "tissue/cell.py",
            "c.decay_v_low if u < c.u_v else c.decay_v_high",
            "c.decay_v_high if u < c.u_v else c.decay_v_low",
        ),
        "tests/tissue/test_cell.py::test_v_recovers_with_low_below_u_v_and_high_above",
    ),
}


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_a_broken_kernel_is_caught(mutant, tmp_path):
    (module, right, wrong), named_test = MUTANTS[mutant]
    shutil.copytree(ROOT / "src" / "forwardecg", tmp_path / "forwardecg", ignore=shutil.ignore_patterns("__pycache__"))
    source = tmp_path / "forwardecg" / module
    text = source.read_text(encoding="utf-8")
    assert text.count(right) == 1, "the line to break is there, once"
    source.write_text(text.replace(right, wrong), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", named_test],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "FORWARDECG_DATA": str(tmp_path / "data")},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1 and f"FAILED {named_test}" in run.stdout, run.stdout + run.stderr
    assert "assert" in run.stdout and "ImportError" not in run.stdout, "by an assertion, not by a broken import"
