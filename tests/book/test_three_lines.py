"""The picture of the three lines shows what they give: numbers of the published surrogate, of a tissue of the package."""

import re
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
import three_lines
from PIL import Image

from compendium.registry import ROOT

NUMBER = re.compile(r"-?\d+\.?\d*")
PATHS = re.compile(r' d="([^"]*)"')  # ids of clips and images are hashes of what is in them
IMAGE = re.compile(r'base64,\s*([^"]+)"')


@pytest.fixture(scope="module")
def found():
    return three_lines.numbers()


def test_the_numbers_are_those_of_the_lines_on_the_page(found):
    """The lines are executed as the page has them."""
    page = (ROOT / "book" / "use.md").read_text(encoding="utf-8")
    lines = re.search(r"\(use-three-lines\)=.*?```python\n(.*?)```", page, re.S)[1]
    names: dict = {}
    exec(re.sub(r"\.plot\(\)", "", lines), names)
    maps, given = names["maps"], names["found"].sel(lead="center")
    assert np.array_equal(found.time, given.time_ecg)
    for drawn, name in ((found.predicted, "phi_e"), (found.low, "phi_e_low"), (found.high, "phi_e_high")):
        np.testing.assert_allclose(drawn, given[name], atol=1e-5)
    conducts = np.isfinite(found.D)
    np.testing.assert_allclose(found.D[conducts], given.D.values[conducts], rtol=1e-4)
    assert np.array_equal(conducts, given.share.values > 0.5)
    # the truth is in the tissue, and the score is that of these traces
    exact = maps.phi_e.sel(lead="center", time_ecg=found.time).values
    assert np.array_equal(found.exact, exact)
    unexplained = np.sum((exact - found.predicted) ** 2) / np.sum((exact - exact.mean()) ** 2)
    assert found.r2 == pytest.approx(1 - unexplained, abs=1e-6)
    outside = np.sum((exact < found.low) | (exact > found.high))
    assert found.inside == pytest.approx(1 - outside / exact.size)
    assert np.array_equal(np.isfinite(found.D_true), maps.conductive)
    assert np.array_equal(found.V_m, maps.V_m.sel(time=found.frame))


def test_the_committed_picture_is_the_one_that_the_tool_draws(found):
    """Lines within half a point, maps but for single pixels, words to the letter."""
    kept, drawn = three_lines.PATH.read_text(encoding="utf-8"), three_lines.draw(found)
    for word in three_lines.said(found).values():
        assert word in kept
    places = [np.array([float(one) for one in NUMBER.findall(" ".join(PATHS.findall(svg)))]) for svg in (kept, drawn)]
    assert places[0].size == places[1].size and np.abs(places[0] - places[1]).max() < 0.5
    maps = [[Image.open(BytesIO(b64decode(one))).convert("RGB") for one in IMAGE.findall(svg)] for svg in (kept, drawn)]
    assert len(maps[0]) == 5, "three maps and two color bars"
    for was, now in zip(*maps, strict=True):
        assert was.size == now.size
        off = np.abs(np.asarray(was).astype(int) - np.asarray(now)).max(-1) > 24
        assert off.mean() < 0.02


def test_the_words_of_the_page_are_true(found):
    """The ECG lies in the band, and the inferred conductivity is that of most of the tissue."""
    assert found.inside > 0.9 and found.r2 > 0.99
    middle = float(np.nanmedian(found.D)) / float(np.nanmedian(found.D_true))
    assert 0.8 < middle < 1.2
    spread = [np.nanstd(D) for D in (found.D, found.D_true)]
    assert spread[0] > 2 * spread[1]
