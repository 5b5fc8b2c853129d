"""What a run is scored on, and its rows in the tables."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
import torch

from experiments.common import Run, central_ecg, map_set, networks, resample, sequences
from experiments.formulas import formulas
from experiments.tissues import Groups, open_set, parts, whole
from forwardecg.contract import V_SPAN
from forwardecg.measure.scores import landmarks, normalize, r2, score_ecgs, score_spectra, score_timing
from forwardecg.surrogates.paper import task as paper
from forwardecg.surrogates.structured import task as structured
from forwardecg.surrogates.structured.model import StructuredConfig

LEADS = ("center", "unseen", "near")  # electrodes of the set that are in no training but for the first


def tissues_to_score(run: Run) -> Groups:
    """The tissues that a run is scored on."""
    return whole(run.other) if run.other else parts(run.tissues)[run.part]


def tables(run: Run) -> Iterator[tuple[str, pd.DataFrame]]:
    """For each set with tissues to be scored its name, and one row a tissue, with the labels of the run."""
    for name, sims, true, pred in ecgs(run):
        own = {"set": name} if "set" in run.labels else {}
        yield name, MEASURES[run.measures](name, sims, true, pred).assign(**{**run.labels, **own})


def ecgs(run: Run) -> Iterator[tuple[str, tuple[int, ...], np.ndarray, np.ndarray]]:
    """For each set with tissues to be scored: its name, their numbers, true and predicted ECGs in mV mm/ms.

    Both are (n, T) at the times of the stored maps, or (n, lead, T) where other leads than the central one are scored.
    """
    groups, trained = tissues_to_score(run), networks(run)
    if isinstance(run.net, str):
        for name, sims in groups:
            pred = formulas(run.tissues, run.maps).ecgs(run.net, name, sims)
            yield name, sims, central_ecg(name, sims), pred
    elif isinstance(run.net, StructuredConfig):
        for name, sims in groups:
            some, others = map_set(((name, sims),), run.only), run.measures == "leads"
            leads = [k for k, lead in enumerate(some.leads) if lead.startswith(LEADS if others else "center")]
            found = [
                structured.predict(one.model, some, leads, view=some.views.index(run.only or run.view))
                for one in trained
            ]
            pair = some.ecg[:, leads].double(), torch.stack(found).double().mean(0)
            true, pred = (V_SPAN * (z if others else z[:, 0]).numpy() for z in pair)
            if run.only and run.only.stride > 1:  # it has no frames in between
                t = open_set(name).time.values
                pred = resample(pred[:, :: run.only.stride], t[:: run.only.stride], t)
            yield name, sims, true, pred
    else:
        maps = run.seen or run.maps
        read = sequences(groups, maps)
        traces, exact = np.mean([paper.predict(one.model, read, one.scale) for one in trained], 0), read.ecg.numpy()
        traces = traces if traces.ndim == 2 else traces[:, 0]  # of many leads the central one
        for name, sims in groups:
            t, true = open_set(name).time.values, central_ecg(name, sims)
            kept = t <= maps.until
            true = (normalize(true) if maps.normalize else true)[:, kept]
            if maps.frames:  # on these frames alone: those between them were in training
                yield name, sims, exact[: len(sims)].astype(float), traces[: len(sims)]
            else:
                yield name, sims, true, resample(traces[: len(sims)], read.t.numpy(), t[kept])
            traces, exact = traces[len(sims) :], exact[len(sims) :]


def _all(name, sims, true, pred) -> pd.DataFrame:
    return score_ecgs(true, pred).assign(sim=sims)


def _single(name, sims, true, pred) -> pd.DataFrame:
    """The same of the true ECG in single precision, as the networks learn it."""
    return _all(name, sims, true.astype(np.float32), pred)


def _leads(name, sims, true, pred) -> pd.DataFrame:
    """Scores of the central ECG, and the mean R2 over electrodes that are not in training."""
    table = _all(name, sims, true[:, 0], pred[:, 0])
    leads = [lead for lead in open_set(name).lead.values if lead.startswith(LEADS)]
    for role in LEADS[1:]:
        at = [k for k, lead in enumerate(leads) if lead.startswith(role)]
        table[f"r2_{role}"] = np.mean([r2(true[:, k], pred[:, k]) for k in at], 0)
    return table


def _few(name, sims, true, pred) -> pd.DataFrame:
    return _all(name, sims, true, pred)[["sim", "r2", "r2_normalized", "correlation"]]


def _spectral(name, sims, true, pred) -> pd.DataFrame:
    """Errors by band of frequency beside the scores."""
    return _few(name, sims, true, pred).join(score_spectra(true, pred, dt=5.0))


def _readable(name, sims, true, pred) -> pd.DataFrame:
    """What one reads off a recording: times, amplitude and shape."""
    ds, true = open_set(name), central_ecg(name, sims)
    t = ds.time.values
    exact = landmarks(t, true)[["onset", "end"]].add_suffix("_true").assign(sd_true=true.std(1))
    exact["last_recovery"] = ds.last_recovery.values[[*sims]]
    return score_ecgs(true, pred)[["r2", "correlation"]].join([score_timing(t, true, pred), exact]).assign(sim=sims)


MEASURES: Mapping[str, Callable[..., pd.DataFrame]] = MappingProxyType(
    {"all": _all, "single": _single, "leads": _leads, "few": _few, "spectral": _spectral, "readable": _readable}
)
