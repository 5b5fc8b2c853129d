"""What maps show of themselves that says how far a prediction from them can be trusted: seams, cut edges, lost time, the unusual."""

import math
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from forwardecg.measure.bands import MOST_ERROR, ExpectedError, Reference, envelope, half_width, noise_of, unusualness
from forwardecg.surrogates.structured.fronts import QUIET

WORST = 0.3  # expected error over the RMS of the ECG above which it is named: R2 of about 0.9
#: Pixels from an edge, and usual steps by which times rise over them where fronts come in
STEEP = {1: 0.5, 2: 1.4, 4: 2.8}
FINE = 3.0  # mm: coarser pixels do not resolve a stimulus at an edge
LATE = 10.0  # ms: on coarse pixels what is activated so soon after the first pixel may be one
CUT = 0.12  # share of a side through which fronts come in, and at least CUT_LEAST pixels
CUT_LEAST = 8
BEGUN = 0.05  # share of the tissue that is depolarized in the first frame and that no front passes later
RISEN = 0.3  # u: what is less in the first frame may be noise
BLINK = 0.03  # u, mean of the tissue: it goes and comes back within a frame by less
ENDS = 3.57  # ms, of FK_CAF, by which an action potential is shorter at the edge that its front runs into
ENDS_TIME = 34.0  # ms: D times that is the square of the mm over which this falls by e; `experiments.edges` has both, by training tissues
GOES_ON = 0.5  # of that, below which an edge is none: tissue goes on behind it
ENDS_FROM, ENDS_OVER = 6.0, 8.0  # mm from the edge, and on: what its pixels are compared with
ENDS_LEAST = 20  # pixels of an edge that a front runs into
ENDS_SURE = 0.15  # standard error of their median, above which nothing is said
SEAM = 15.0  # ms: jumps of the times along a line
SEAM_STEPS = 3.0  # the same, in usual steps from pixel to pixel
#: What the entries of `describe_maps` stand for, in words of a flag
CAUSES = (
    "the speed", "the duration of the action potential",
    "the density of the fibrosis", "the duration of the action potential", "the steepness of the fronts (cell, noise or interval)",
    "the share of the pixels that fronts pass", *("the directions of the fronts",) * 4, *("noise of the times",) * 2,
    "the spread of the fibrosis", "the spread of the duration", "the spread of the steepness (cell, noise or interval)",
    "the pixels that no front passes", *("the unevenness of the speed",) * 4, *("the spread of the noise",) * 2,
)  # fmt: skip


def on_grid(dx: float, dt: float) -> np.ndarray:
    """What features change with, (4,): a, a^2, b, b^2 with a = log2(dx / 2 mm) and b = log2(dt / 5 ms)."""
    a, b = math.log2(dx / 2), math.log2(dt / 5)
    return np.array([a, a * a, b, b * b])


def score_features(described: ArrayLike, sd: ArrayLike, ecg_mean: ArrayLike, dx: float, dt: float) -> np.ndarray:
    """What the expected error of a tissue is read off (n, k + 3): its description, its ensemble's agreement, and the grid.

    Args:
        described: (n, k), `describe_maps`, taken to the usual grid.
        sd, ecg_mean: (n, T) of the ensemble.
        dx, dt: mm, and ms between the frames that the fronts were read from.
    """
    spread, size = (np.sqrt(np.square(np.asarray(z, float)).mean(-1)) for z in (sd, ecg_mean))
    agreement = np.log(np.maximum(spread / np.maximum(size, 1e-12), 1e-4))
    grid = np.tile(on_grid(dx, dt)[[0, 2]], (len(agreement), 1))
    return np.column_stack([np.asarray(described, float), agreement, grid])


def farthest(references: list[Reference], features: ArrayLike) -> tuple[float, str]:
    """Unusualness (k,) over the threshold of the nearest of several references, and the cause: what adds most to it."""
    features = np.asarray(features, float)
    scores = [float(unusualness(one, features[None])[0]) / one.threshold for one in references]
    nearest = references[int(np.argmin(scores))]
    off, whitening = features - np.array(nearest.mean), np.array(nearest.whitening)
    parts = off * (whitening.T @ (whitening @ off))
    return min(scores), CAUSES[int(parts.argmax())] if len(parts) == len(CAUSES) else "what is described"


class Sure(NamedTuple):
    """How far predictions can be trusted."""

    sigma: np.ndarray  # (lead, time), shape of the band, which the factors scale; by the expected error and `caution`
    expected: np.ndarray  # (lead,), expected error over the RMS of the ECG
    unusual: float  # over 1: unlike the training
    flags: list[str]


def how_sure(
    bands: dict, described: np.ndarray, ecg_mean: np.ndarray, sd: np.ndarray, dx: float, dt: float, step: float, known: bool
) -> Sure:  # fmt: skip
    """`Sure`, by calibrated ``bands``, of ECGs (lead, time) every ``step`` ms from maps of dx mm and dt ms as described.

    Where the cell is not ``known``, the ECG may be wrong by a factor of two, as the cells of the training differ in kappa.
    """
    if "grid" in bands:
        described = described - np.array(bands["grid"]) @ on_grid(dx, dt)
    references = [Reference.from_card(one) for one in bands.get("references", [bands["reference"]])]
    (unusual, cause), rms = farthest(references, described), np.sqrt(np.square(ecg_mean).mean(-1))
    flags = [f"unlike the training: {unusual:.1f} times the threshold, mostly by {cause}"] if unusual > 1 else []
    if "expected" not in bands:  # of an earlier version: a floor for all tissues alike
        sigma = half_width(sd, ecg_mean, bands["phi_e"]["floor"])
        return Sure(sigma, np.sqrt(np.square(sigma).mean(-1)) / np.maximum(rms, 1e-12), unusual, flags)
    rows = score_features(np.tile(described, (len(sd), 1)), sd, ecg_mean, dx, dt)
    expected = np.maximum(ExpectedError.from_card(bands["expected"]).of(rows, unusual), 0.0 if known else MOST_ERROR)
    if expected.max() > WORST:
        flags.append(f"expected error of {expected.max():.0%} of the ECG")
    cautious = expected
    if "away" in bands:
        far, _ = farthest(references[: bands["away"]["references"]], described)
        cautious = caution(expected, np.array(far), bands["away"])
    return Sure(sigma_of(cautious, ecg_mean, sd, step), expected, unusual, flags)


def caution(expected: np.ndarray, far: np.ndarray, away: dict[str, float]) -> np.ndarray:
    """Expected errors (n,) as bands take them: times ``away`` in tissue that is farther (n,) from the recipe than ``beyond``.

    e <- min(times e, 1)   where the unusualness over the threshold of the recipe's own clouds is above beyond
    """
    return np.minimum(np.where(far > away["beyond"], away["times"], 1.0) * expected, MOST_ERROR)


def sigma_of(expected: np.ndarray, ecg_mean: np.ndarray, sd: np.ndarray, step: float) -> np.ndarray:
    """Shape (n, T) of bands: expected relative errors (n,), in units of the ECG and over time, and the noise of the trace."""
    rms = np.sqrt(np.square(ecg_mean).mean(-1))
    return np.hypot((expected * rms)[:, None] * envelope(sd, step), noise_of(ecg_mean))


def crossing_times(u: np.ndarray, dt: float, tissue: np.ndarray | None = None) -> np.ndarray:
    """First times (y, x) in ms at which maps u (time, y, x) cross half of their own amplitude; NaN where none does."""
    peak = u.max(0)
    above = u >= np.maximum(peak, QUIET) / 2
    k = above.argmax(0)
    seen = (peak > QUIET) & (k > 0) & (True if tissue is None else tissue)
    k, (y, x) = np.maximum(k, 1), np.indices(k.shape)
    low, high = u[k - 1, y, x], u[k, y, x]
    return np.where(seen, dt * (k - 1 + (peak / 2 - low) / np.maximum(high - low, 1e-6)), np.nan)


def share_begun(u: np.ndarray, number: np.ndarray, tissue: np.ndarray) -> float:
    """The share of the ``tissue`` (y, x) of maps u (time, y, x) that is depolarized at first and passed by no front of the ``number``."""
    return float(((u[0] > np.maximum(u.max(0) / 2, RISEN)) & (number == 0))[tissue].mean())


def out_of_time(u: np.ndarray, number: np.ndarray, dt: float, tissue: np.ndarray | None = None) -> list[str]:
    """Words on maps u (time, y, x), passed by ``number`` (y, x) of fronts, that begin too late or have a frame of another time.

    The mean of the tissue cannot go and come back within a frame: an action potential lasts many.
    """
    where = np.ones(u.shape[1:], bool) if tissue is None else tissue
    late = share_begun(u, number, where)
    mean = u[:, where].mean(1)
    there, back = mean[1:-1] - mean[:-2], mean[1:-1] - mean[2:]
    blink = np.where(there * back > 0, np.minimum(np.abs(there), np.abs(back)), 0.0)
    flags = []
    if late > BEGUN:
        words = "depolarized in the first frame and passed by no front: the recording begins after the wave"
        flags.append(f"time: {late:.0%} of the tissue are {words}")
    if blink.size and blink.max() > BLINK:
        at = dt * (1 + int(blink.argmax()))
        flags.append(f"time: the frame at {at:g} ms is unlike both of its neighbors, or frames are out of order")
    return flags


def at_ends(duration: np.ndarray, times: np.ndarray, dx: float) -> Iterator[tuple[np.ndarray, float]]:
    """By how many ms action potentials are shorter at edges that fronts run into: (depth, pixel) from the edge on, and ms a pixel.

    ``duration`` (y, x) in ms is NaN where it is not that of a single beat; ``times`` (y, x) are those of the fronts.
    """
    first = max(2, round(ENDS_FROM / dx))
    last = first + max(2, round(ENDS_OVER / dx))
    for z, t in (
        (duration, times),
        (duration[::-1], times[::-1]),
        (duration.T, times.T),
        (duration.T[::-1], times.T[::-1]),
    ):
        if len(z) < 2 * last or z.shape[1] < ENDS_LEAST:
            continue
        outward, along = (t[0] - t[first]) / first, np.gradient(t[:3].mean(0))  # ms a pixel
        with warnings.catch_warnings(action="ignore"):
            earlier = np.nanmedian(z[first:last], axis=0) - z[:first]
        ended = (outward > np.abs(along)) & np.isfinite(earlier[0])
        if ended.sum() >= ENDS_LEAST:
            yield earlier[:, ended], float(np.median(np.hypot(outward, along)[ended]))


def shorter(depth: ArrayLike, reach: ArrayLike, ends: float = ENDS) -> np.ndarray:
    """ms by which an action potential is shorter so many pixels from an end of the tissue, for a reach in pixels: means of pixels."""
    depth, reach = np.asarray(depth, float), np.asarray(reach, float)
    return ends * reach * (np.exp(-depth / reach) - np.exp(-(depth + 1) / reach))


def runs_on(duration: np.ndarray, times: np.ndarray, dx: float, kappa: float) -> list[str]:
    """Words on edges that fronts leave through as if tissue went on behind them.

        duration(edge) - duration(far from it) = -ENDS (l / dx) (1 - exp(-dx / l)),    l^2 = ENDS_TIME D,   D = kappa c^2

    No current leaves a sheet: where a front runs into its edge, the last tissue has no neighbor behind it that keeps it
    depolarized, and comes to rest earlier. The numbers are of FK_CAF, those of other cells differ.
    """
    cut = 0
    for (earlier, *_), slowness in at_ends(duration, times, dx):
        expected = float(shorter(0, math.sqrt(ENDS_TIME * kappa) / slowness))
        found = float(np.median(earlier))
        error = 1.86 * float(np.median(np.abs(earlier - found))) / math.sqrt(len(earlier))  # of a median
        if found < GOES_ON * expected and error < ENDS_SURE * expected:
            cut += len(earlier)
    words = "and come to rest there as if tissue went on: the sheet looks cut out of a larger one"
    return [f"completeness: fronts leave through {cut * dx:g} mm of the edges {words}"] if cut else []


def torn(times: np.ndarray, dx: float) -> list[str]:
    """Words on times (y, x) that no whole sheet has: jumps along a line, and fronts that come in through an edge.

    A front leaves a sheet at any angle, but enters it nowhere: where times rise from an edge on there was tissue, for a stimulus
    activates all that it covers at once.
    """
    if np.isfinite(times).sum() < 2 or min(times.shape) < 5:
        return []
    gradients = np.gradient(times)
    steep = np.hypot(*gradients)
    usual = float(np.nanmedian(steep)) if np.isfinite(steep).any() else 0.0  # ms a pixel
    if not usual > 0:  # nothing but pixels that were activated at once
        return []
    jump, at, axis, cut = 0.0, 0, "x", 0
    for name, z in (("x", times), ("y", times.T)):
        step = np.diff(z, axis=1)
        misfit = np.abs(step[:, 1:-1] - (step[:, 2:] + step[:, :-2]) / 2)
        misfit[:, np.isfinite(misfit).mean(0) < 0.5] = 0.0
        with warnings.catch_warnings(action="ignore"):
            line = np.nanmedian(misfit, axis=0)
        if line.max() > jump:
            jump, at, axis = float(line.max()), int(line.argmax()) + 2, name
        for side in (z, z[:, ::-1]):
            enters = np.all([side[:, k] - side[:, 0] > steep * usual for k, steep in STEEP.items()], axis=0)
            enters &= (dx <= FINE) | (side[:, 0] > np.nanmin(times) + LATE)
            runs = np.convolve(enters, np.full(5, 0.2), "same") > 0.5
            cut = max(cut, int(runs.sum()) if runs.sum() >= max(CUT_LEAST, CUT * len(runs)) else 0)
    flags = []
    if jump > max(SEAM, SEAM_STEPS * usual):
        flags.append(f"seam: the times of the fronts jump by {jump:.0f} ms along a line at {axis} = {at * dx:g} mm")
    if cut:
        words = "the sheet looks cut out of a larger one, which adds to the true ECG"
        flags.append(f"completeness: fronts come in through {cut * dx:g} mm of an edge: {words}")
    return flags
