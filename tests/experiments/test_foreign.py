"""The gold check: the ECG of another code on its own sheet, where a copy of that sheet is at hand."""

import numpy as np
import pytest

from compendium import external
from experiments import foreign


@pytest.fixture(scope="module")
def gold():
    try:
        return foreign.gold()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def test_equals_the_ecg_of_another_code(gold):
    """R2 of both leads, and the scale that h / (4 pi sigma_b D) predicts."""
    table = foreign.compare(gold)
    assert table.r2[0] >= 0.99999 and table.r2[1] >= 0.9999
    assert table.scale.to_numpy() == pytest.approx(gold.scale, rel=2e-3)


def test_is_sharp_against_a_shift_of_one_sample(gold):
    table = foreign.compare(gold, foreign.SAMPLE)
    assert (1 - table.r2 > 10 * (1 - foreign.compare(gold).r2)).all() and (table.r2 < 0.9997).all()


def test_a_scale_is_not_enough():
    """A trace of another shape does not pass: R2 after the fit of a scale is that of the shape."""
    t = np.arange(0.0, 50.0, 5.0)
    found = foreign.Gold(t, np.sin(t / 9)[None], t, 3 * np.sin(t / 9 + 0.1)[None], 3.0)
    assert foreign.compare(found).r2[0] < 0.999


def test_a_file_that_is_not_here_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(external, "CACHE", tmp_path)
    monkeypatch.setattr(external, "ROOT", tmp_path / "a" / "b")
    with pytest.raises(FileNotFoundError) as caught:
        external.locate(foreign.SHEET)
    said = str(caught.value)
    assert "monoalg3d/sheet.nc is not here" in said and "rsachetto/MonoAlg3D_C" in said and "\n" not in said


def test_another_file_of_that_name_is_refused(tmp_path, monkeypatch):
    (tmp_path / "monoalg3d").mkdir()
    (tmp_path / foreign.SHEET).write_bytes(b"another")
    monkeypatch.setenv("FORWARDECG_EXTERNAL", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="expected sha256"):
        external.locate(foreign.SHEET)
