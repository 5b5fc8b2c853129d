"""Readers of single beats: is the diagnosis the same on the ECG of a surrogate as on the true one?

    python -m experiments.diagnosis                            all; ECGs and trainings are found in the cache where they are done
    python -m experiments.diagnosis --epochs 1 --seeds 1       a first look

Readers are trained on the true ECGs of 900 tissues in folds: a small network of depthwise-separable convolutions as in
ArrhythmiNet (Baig et al., arXiv:2505.03787, 2025); a perceptron on hand features; and a forest on the same features. Two more
are means of the probabilities of others: of the networks of all seeds, and of a network and a perceptron. Those of a fold
then read the true ECGs of tissues that they have not seen, and what surrogates, which have not seen these tissues either,
make of them. Writes to ``data/results/runs``: diagnosis.csv, one row a tissue, reader, electrodes and seed;
diagnosis_trainings.csv, one row a training; diagnosis_r2.csv, how good the ECGs and their features are;
diagnosis_deletion.csv, the test of Grad-CAM; and diagnosis_examples.csv, a few traces with their relevance.

Everything about the readers was chosen on validation tissues, which are test tissues of other folds. On those of all five
folds, at nine electrodes, the network is right about .764 of the conditions, the mean of three networks about .778, the
perceptron about .839, and network and perceptron about .836. On those of the first three folds a network of 15,000 weights
whose weights are averaged in time, trained with noise and shifts, is right about .774, where this one, of the same
seed, is right about .748; it agrees no better with itself on predicted ECGs (.955 and .977), and was not taken.
"""

import argparse
import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compendium.networks import papers_network
from experiments.common import Maps, map_set, resample, sequences
from experiments.files import training_row, write_table
from experiments.formulas import formulas
from experiments.tissues import CONDITIONS, FOLD_SEED, N_FOLDS, POOL, Tissues, open_set, recipe, whole
from forwardecg.cache import key
from forwardecg.contract import V_SPAN
from forwardecg.data.split import folds_by_tissue
from forwardecg.ecg.electrodes import Electrodes, match_electrodes
from forwardecg.ecg.leadfield import lead_field
from forwardecg.measure.scores import r2
from forwardecg.paths import CACHE, MODELS, RESULTS, progress
from forwardecg.surrogates.paper import task as paper
from forwardecg.surrogates.structured import task as structured
from forwardecg.surrogates.structured.data import coarsen
from forwardecg.surrogates.train import TrainConfig, initialize, load_or_fit
from forwardecg.surrogates.weights import load_models
from forwardecg.tissue.sheet import Tissue

VERSION = 1  # of the ECGs in the cache
LEADS = ("center", *(f"unseen{k + 1}" for k in range(8)))  # those but the first are in no training of a surrogate
ELECTRODES = {"nine": LEADS, "center": LEADS[:1]}
SOURCES = ("true", "structured", "paper", "blind")
QUESTIONS = {"condition": CONDITIONS, "fibrosis": ("no", "yes"), "D": ("low", "high")}
D_LOW = 0.1  # mm^2/ms: less is low, and has remodeled gap junctions; tissue without these has 0.1 to 0.16
SMALL = 0.1  # of the RMS of a training trace: what is smaller is read in proportion, what is larger by its logarithm
FEATURES = (
    "RMS", "positive peak", "negative peak", "steepest slope", "time of the largest peak", "begin", "end", "center", "width",
    "changes of sign", "share above 20 Hz", "share of the second half",
)  # fmt: skip
TREES = 100
ODD = 5.0  # SD of a feature over the training tissues: what is farther from their mean is read as if it were here
FEATURE_NOISE = 0.3  # of that SD, added in training
WINDOWS, DELETED = 30, 0.2  # of a recording; share of those with a signal that are deleted


# The ECGs


class Beats(NamedTuple):
    """ECGs (n, lead, T) in mV mm/ms of each source, NaN where there is none; answers (n, question); set and number of each tissue."""

    ecg: dict[str, np.ndarray]
    answers: np.ndarray
    set: np.ndarray
    sim: np.ndarray
    t: np.ndarray
    positions: np.ndarray  # (lead, xyz), mm

    @property
    def unseen(self) -> np.ndarray:
        """Tissues (n,) that no surrogate was trained or chosen on."""
        return self.set != "base"


def read_beats(names: Sequence[str] = POOL) -> Beats:
    """All tissues of some sets."""
    kept = [_load_or_collect(name) for name in names]
    ecg = {source: np.concatenate([one[source] for one in kept]) for source in SOURCES}
    sets = np.repeat(names, [len(one["sim"]) for one in kept])
    answers, sim = (np.concatenate([one[name] for one in kept]) for name in ("answers", "sim"))
    return Beats(ecg, answers, sets, sim, kept[0]["t"], kept[0]["positions"])


def _load_or_collect(name: str) -> dict[str, np.ndarray]:
    weights = [(MODELS / f"{one}.safetensors").read_bytes() for one in ("structured_recipe", "paper_240")]
    path = CACHE / "diagnosis" / f"{key('diagnosis', VERSION, recipe(name), LEADS, *weights)}.npz"
    if not path.is_file():
        progress(f"ECGs of {name}: some minutes")
        found = _collect(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.npz")
        np.savez_compressed(part, **found)
        os.replace(part, path)
    with np.load(path) as found:
        return dict(found)


def _collect(name: str) -> dict[str, Any]:
    """True ECGs and answers of a set; and the ECGs of the surrogates, where it is not the one that they were trained on."""
    ds = open_set(name)
    t, dx = ds.time.values, recipe(name).dx * recipe(name).pool
    true = ds.phi_e.sel(lead=[*LEADS], time_ecg=t).values.astype(np.float32)
    positions = ds.electrodes.sel(lead=[*LEADS]).values
    answers = [
        [CONDITIONS.index(one) for one in ds.condition.values],
        ds.texture.values != "none",
        ds.D0.values * ds.gj_scale.values >= D_LOW,
    ]
    found = {"true": true} | {source: np.full_like(true, np.nan) for source in SOURCES[1:]}
    if name != "base":
        maps = map_set(whole(name))
        models, _ = load_models(MODELS / "structured_recipe.safetensors")
        at = [maps.leads.index(lead) for lead in LEADS]
        for k, model in enumerate(models, 1):
            ecg = V_SPAN * structured.predict(model, maps, at).numpy() / len(models)
            found["structured"] = ecg if k == 1 else found["structured"] + ecg
            progress(f"ECGs of {name}: network {k} of {len(models)}")
        network, read = papers_network(), sequences(whole(name), Maps())
        with torch.no_grad():
            traces = paper.predict(network.model, read, network.card["scale"])
        found["paper"][:, 0] = resample(traces, read.t.numpy(), t)
        D = formulas(Tissues(), Maps()).D
        pool = maps.u.shape[-1] // len(D)
        L = lead_field(Tissue(D=D, conductive=D > 0, dx=pool * dx), Electrodes(positions, LEADS))
        for k, u in enumerate(maps.u):
            found["blind"][k] = V_SPAN * np.einsum("eyx,tyx->et", L, coarsen(u.float(), pool).numpy())
    return found | {"answers": np.array(answers, int).T, "sim": np.arange(len(true)), "t": t, "positions": positions}


# The network


@dataclass(frozen=True, kw_only=True)
class ReaderConfig:
    """Electrodes, channels of the stem and of the blocks, their strides, kernels in samples; one output a possible answer."""

    leads: int = len(LEADS)
    channels: tuple[int, ...] = (24, 32, 48, 64)
    strides: tuple[int, ...] = (2, 1, 2, 1)
    kernel: int = 7
    answers: int = sum(map(len, QUESTIONS.values()))


class Reader(nn.Module):
    """ECGs (B, lead, T) -> logits (B, answer): a convolution, then blocks of one filter a channel and a mixture of the channels."""

    def __init__(self, config: ReaderConfig = ReaderConfig()):
        super().__init__()
        self.config, c, k = config, config.channels, config.kernel
        layers: list[nn.Module] = [nn.Conv1d(config.leads, c[0], k, config.strides[0], k // 2, bias=False)]
        for n_in, n_out, stride in zip(c[:-1], c[1:], config.strides[1:], strict=True):
            layers += [nn.BatchNorm1d(n_in), nn.ReLU6()]
            layers += [nn.Conv1d(n_in, n_in, k, stride, k // 2, groups=n_in), nn.Conv1d(n_in, n_out, 1, bias=False)]
        self.features = nn.Sequential(*layers, nn.BatchNorm1d(c[-1]), nn.ReLU6())  # (B, C, T')
        self.head = nn.Linear(c[-1], config.answers)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean(-1))


@dataclass(frozen=True, kw_only=True)
class PerceptronConfig:
    """Features, units of the hidden layer; one output a possible answer."""

    features: int
    hidden: int = 32
    answers: int = sum(map(len, QUESTIONS.values()))


class Perceptron(nn.Module):
    """Features (B, 1, feature) -> logits (B, answer)."""

    def __init__(self, config: PerceptronConfig):
        super().__init__()
        self.config = config
        layers = nn.Linear(config.features, config.hidden), nn.ReLU(), nn.Linear(config.hidden, config.answers)
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x[:, 0])


def by_question(logits: Tensor) -> tuple[Tensor, ...]:
    """The logits (..., answer) of each question."""
    return logits.split([len(answers) for answers in QUESTIONS.values()], -1)


def compress(ecg: np.ndarray, unit: float) -> Tensor:
    """sign(ecg) log(1 + |ecg| / unit): small late deflections are seen beside large ones, and the amplitude is kept."""
    return torch.from_numpy(np.sign(ecg) * np.log1p(np.abs(ecg) / unit)).float()


ONE = np.zeros((8, 1), int)  # in the place of the images of electrodes, for what is the same in all of them


class DiagnosisTask:
    """Answers from ECGs, a `train.Task`: in each step every tissue is turned or mirrored, by a permutation of its electrodes."""

    stage, version = "diagnosis", 1
    code: tuple[str, ...] = ()

    def __init__(self, train: Tensor, answers: Tensor, val: Tensor, val_answers: Tensor, images: np.ndarray):
        self.train, self.answers, self.val, self.val_answers = train, answers, val, val_answers
        self.images, self.n_train = torch.from_numpy(images), len(train)

    def fingerprint(self) -> tuple:
        """A hash of all ECGs and answers, and the permutations."""
        read = sha256()
        for values in (self.train, self.answers, self.val, self.val_answers, self.images):
            read.update(values.contiguous().numpy().data)
        return (read.hexdigest(),)

    def draw(self, members: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Their ECGs (B, lead, T), each under one of the eight symmetries of the sheet, and their answers (B, question)."""
        order = self.images[torch.randint(8, (len(members),), generator=generator)]  # (B, lead)
        return self.train[members[:, None], order], self.answers[members]

    def loss(self, model: Any, drawn: Any, rows: Tensor, done: float) -> Tensor:
        """Cross-entropies (len(rows),), summed over the questions."""
        x, answers = (one[rows] for one in drawn)
        return cross_entropies(model(x).float(), answers).sum(1)

    @torch.no_grad()
    def score(self, model: Any) -> float:
        """Minus the cross-entropy of the validation tissues: in the place of R2."""
        return -float(cross_entropies(model(self.val), self.val_answers).sum(1).mean())


class FeaturesTask(DiagnosisTask):
    """Answers from hand features (n, 1, feature), which are the same for all images of a sheet; noise is added to them."""

    stage, version = "diagnosis_features", 1

    def __init__(self, train: Tensor, answers: Tensor, val: Tensor, val_answers: Tensor):
        super().__init__(train, answers, val, val_answers, ONE)

    def fingerprint(self) -> tuple:
        """The noise, and a hash of all features and answers."""
        return FEATURE_NOISE, *super().fingerprint()

    def draw(self, members: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Their features with noise, and their answers."""
        x, answers = super().draw(members, generator)
        return x + FEATURE_NOISE * torch.randn(x.shape, generator=generator), answers


def cross_entropies(logits: Tensor, answers: Tensor) -> Tensor:
    """(B, question)."""
    found = [F.cross_entropy(z, y, reduction="none") for z, y in zip(by_question(logits), answers.T, strict=True)]
    return torch.stack(found, 1)


@torch.no_grad()
def probabilities(model: nn.Module, x: Tensor, images: np.ndarray) -> Tensor:
    """Of each answer (n, answer), the mean over the eight images, so that it does not depend on the orientation."""
    each = [torch.cat([z.softmax(-1) for z in by_question(model(x[:, order]))], -1) for order in images]
    return torch.stack(each).mean(0)


def most_likely(p: Tensor) -> np.ndarray:
    """Answers (n, question) by their probabilities (n, answer)."""
    return torch.stack([one.argmax(-1) for one in by_question(p)], 1).numpy()


def call(model: nn.Module, x: Tensor, images: np.ndarray) -> np.ndarray:
    """Answers (n, question) of a network to what it reads of n tissues."""
    return most_likely(probabilities(model, x, images))


# The hand features


def describe(ecg: np.ndarray, t: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Hand features (n, k) of ECGs (n, lead, T), the same for all eight images of a sheet.

    Of each trace: logarithms of RMS, of both peaks and of the steepest slope, time of the largest peak, begin and end of what is
    above 5 % of it, center and width in time, changes of sign, share of the power above 20 Hz, share of the second half of
    the signal. Electrodes that a symmetry exchanges are one group, of which the mean and the SD are kept.
    """
    power, size = np.square(ecg) + 1e-20, np.abs(ecg)
    total, peak = power.sum(-1), size.max(-1) + 1e-10
    on = size > 0.05 * peak[..., None]
    start, end = t[on.argmax(-1)], t[len(t) - 1 - on[..., ::-1].argmax(-1)]
    center = (power * t).sum(-1) / total
    width = np.sqrt((power * np.square(t - center[..., None])).sum(-1) / total)
    turns = (np.diff(np.sign(np.where(on, ecg, 0)), axis=-1) != 0).sum(-1)
    spectrum = np.square(np.abs(np.fft.rfft(ecg)))
    high = spectrum[..., np.fft.rfftfreq(len(t), (t[1] - t[0]) / 1000) > 20].sum(-1) / (spectrum.sum(-1) + 1e-20)
    late = (power * (t > (start + end)[..., None] / 2)).sum(-1) / total
    rise = np.abs(np.diff(ecg, axis=-1)).max(-1)
    sizes = [np.log(z + 1e-10) for z in (np.sqrt(total), ecg.max(-1).clip(0), (-ecg).max(-1).clip(0), rise)]
    each = np.stack(
        [*sizes, t[size.argmax(-1)], start, end, center, width, turns, high, late], -1
    )  # (n, lead, feature)
    groups = sorted({tuple(sorted({*images[:, lead].tolist()})) for lead in range(images.shape[1])})
    return np.concatenate([z for one in groups for z in (each[:, one].mean(1), each[:, one].std(1))], -1)


def standardize(features: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> Tensor:
    """Features (n, 1, k) of mean 0 and SD 1 over the training tissues; 0 those that do not vary there."""
    z = np.where(spread > 0, (features - mean) / np.where(spread > 0, spread, 1), 0)
    return torch.from_numpy(z.clip(-ODD, ODD)).float()[:, None]


# Grad-CAM


def relevance(model: Reader, x: Tensor, answer: Tensor) -> np.ndarray:
    """Grad-CAM (n, T) of an answer (n,) to the first question (Selvaraju et al., ICCV 2017), at the samples of x (n, lead, T)."""
    A = model.features(x)
    logits = by_question(model.head(A.mean(-1)))[0]
    (slope,) = torch.autograd.grad(logits.gather(1, answer[:, None]).sum(), A)
    cam = (slope.mean(-1, keepdim=True) * A).sum(1).relu()  # (n, T')
    return F.interpolate(cam[:, None], size=x.shape[-1], mode="linear", align_corners=False)[:, 0].detach().numpy()


def delete(x: Tensor, rank: np.ndarray, share: float) -> Tensor:
    """x (n, lead, T) with 0, the ECG of tissue at rest, in a share of the windows that have a signal, those of highest rank (n, T)."""
    windows = np.array_split(np.arange(x.shape[-1]), WINDOWS)
    size, mean = (np.stack([z[:, at].mean(-1) for at in windows], 1) for z in (x.abs().mean(1).numpy(), rank))
    found = x.clone()
    for k, (signal, order) in enumerate(zip(size > 0.02 * size.max(1, keepdims=True), mean, strict=True)):
        some = np.flatnonzero(signal)
        for n in some[np.argsort(-order[some], kind="stable")[: round(share * len(some))]]:
            found[k, :, windows[n]] = 0
    return found


def delete_all(model: Reader, x: Tensor, seed: int) -> pd.DataFrame:
    """Probability of the answer of each tissue, as the ECG is and with a fifth of it deleted by four orders."""
    with torch.no_grad():
        answer = by_question(model(x))[0].argmax(-1)
    cam, size = relevance(model, x, answer), x.abs().mean(1).numpy()
    noise = np.random.default_rng(seed).random((len(x), WINDOWS)).repeat(-(-x.shape[-1] // WINDOWS), 1)
    orders = {"most": cam, "least": -cam, "random": noise[:, : x.shape[-1]], "largest": size}
    seen = {"none": x} | {name: delete(x, rank, DELETED) for name, rank in orders.items()}
    with torch.no_grad():
        p = {name: by_question(model(z))[0].softmax(-1).gather(1, answer[:, None])[:, 0] for name, z in seen.items()}
    return pd.DataFrame({name: z.numpy() for name, z in p.items()}).assign(answer=answer.numpy())


# All of it


def answer_all(
    read: Callable[[np.ndarray], np.ndarray], ecg: dict[str, np.ndarray], unseen: np.ndarray
) -> pd.DataFrame:
    """What a reader says of the ECGs (n, lead, T) of each source; nothing where the source has seen the tissue (n,)."""
    found = {}
    for source, traces in ecg.items():
        there = unseen | (source == "true")
        said = np.full((len(there), len(QUESTIONS)), -1)
        said[there] = read(traces[there])
        for name, column in zip(QUESTIONS, said.T, strict=True):
            found[f"{name}_{source}"] = pd.Series(column, dtype="Int64").where(pd.Series(there))
    return pd.DataFrame(found)


def run(config: TrainConfig, seeds: int) -> dict[str, pd.DataFrame]:
    """The tables by name."""
    beats = read_beats()
    known = pd.DataFrame({"set": beats.set, "sim": beats.sim}).join(pd.DataFrame(beats.answers, columns=[*QUESTIONS]))
    rows, deleted, examples = list[pd.DataFrame](), list[pd.DataFrame](), list[pd.DataFrame]()
    trained = list[dict[str, Any]]()
    for electrodes, leads in ELECTRODES.items():
        at = [LEADS.index(lead) for lead in leads]
        images = match_electrodes(beats.positions[at], recipe().n_cells * recipe().dx)
        ecg = {
            source: traces[:, at] for source, traces in beats.ecg.items() if electrodes == "center" or source != "paper"
        }
        features, y = describe(ecg["true"], beats.t, images), torch.from_numpy(beats.answers)
        for n, fold in enumerate(folds_by_tissue(known.condition.to_numpy(), FOLD_SEED, N_FOLDS)):
            train, val, test = (fold[part] for part in ("train", "val", "test"))
            unit = SMALL * float(np.median(np.sqrt(np.square(ecg["true"][train]).mean(-1))))
            usual = features[train].mean(0), features[train].std(0)
            x, z = compress(ecg["true"], unit), standardize(features, *usual)
            task = DiagnosisTask(x[train], y[train], x[val], y[val], images)
            by_hand = FeaturesTask(z[train], y[train], z[val], y[val])
            shown = {source: traces[test] for source, traces in ecg.items()}
            own, networks = known.iloc[test].reset_index(drop=True), list[Callable[[np.ndarray], Tensor]]()
            for seed in range(seeds):
                model = initialize(functools.partial(Reader, ReaderConfig(leads=len(leads))), seed)
                epochs = config.epochs if electrodes == "nine" else -(-config.epochs // 2)
                history = load_or_fit(model, task, replace(config, epochs=epochs, seed=seed))
                perceptron = initialize(functools.partial(Perceptron, PerceptronConfig(features=z.shape[-1])), seed)
                other = load_or_fit(perceptron, by_hand, replace(config, lr=1e-2, seed=seed))
                for name, one in (("network", history), ("perceptron", other)):
                    trained.append(
                        training_row({"electrodes": electrodes, "fold": n, "seed": seed, "reader": name}, one)
                    )
                read = functools.partial(read_network, model, unit, images)
                also = functools.partial(read_features, perceptron, usual, beats.t, images)
                networks.append(read)
                readers = {"network": [read], "perceptron": [also], "network and perceptron": [read, also]}
                answers = {name: functools.partial(answer, several) for name, several in readers.items()}
                forest = grow(features[train], beats.answers[train], seed)
                answers["forest"] = functools.partial(read_forest, forest, beats.t, images)
                if seed == seeds - 1:
                    answers["networks"] = functools.partial(answer, networks)
                for name, say in answers.items():
                    said = answer_all(say, shown, beats.unseen[test])
                    rows.append(own.join(said).assign(reader=name, electrodes=electrodes, seed=seed))
                    right = (said.condition_true == own.condition).mean()
                    progress(f"{electrodes}, fold {n}, seed {seed}, {name}: {right:.3f} of the conditions are right")
                if electrodes == "nine":
                    deleted.append(own.join(delete_all(model, x[test], seed)).assign(seed=seed))
                if electrodes == "nine" and not seed:
                    examples += [explain(model, beats, unit, int(k)) for k in _examples(known) if k in test]
    return {
        "diagnosis": pd.concat(rows), "diagnosis_r2": quality(beats), "diagnosis_deletion": pd.concat(deleted),
        "diagnosis_examples": pd.concat(examples), "diagnosis_trainings": pd.DataFrame(trained),
    }  # fmt: skip


def read_network(model: Reader, unit: float, images: np.ndarray, ecg: np.ndarray) -> Tensor:
    """Probabilities (n, answer) by the network, of ECGs (n, lead, T) in mV mm/ms."""
    return probabilities(model, compress(ecg, unit), images)


def read_features(
    model: Perceptron, usual: tuple[np.ndarray, np.ndarray], t: np.ndarray, images: np.ndarray, ecg: np.ndarray
) -> Tensor:
    """Those by the perceptron; ``usual`` are mean and SD of each feature over its training tissues."""
    return probabilities(model, standardize(describe(ecg, t, images), *usual), ONE)


def answer(reads: Sequence[Callable[[np.ndarray], Tensor]], ecg: np.ndarray) -> np.ndarray:
    """Answers (n, question) by the mean of the probabilities of some readers."""
    return most_likely(torch.stack([read(ecg) for read in reads]).mean(0))


def read_forest(forest: Any, t: np.ndarray, images: np.ndarray, ecg: np.ndarray) -> np.ndarray:
    """Answers (n, question) of the forest."""
    return forest.predict(describe(ecg, t, images))


def grow(features: np.ndarray, answers: np.ndarray, seed: int) -> Any:
    """A forest that answers all questions."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(TREES, min_samples_leaf=2, random_state=seed).fit(features, answers)


def quality(beats: Beats) -> pd.DataFrame:
    """How good the surrogates' ECGs are, for the tissues that they have not seen.

    R2, of the central electrode and the mean over all; and by how much each hand feature of the structured surrogate's ECG
    differs from that of the true one, in SD over the tissues, the mean over groups of electrodes.
    """
    at = beats.unseen
    table = pd.DataFrame({"set": beats.set[at], "sim": beats.sim[at]})
    for source in SOURCES[1:]:
        pairs = zip(beats.ecg["true"][at].swapaxes(0, 1), beats.ecg[source][at].swapaxes(0, 1), strict=True)
        each = [r2(true, pred) for true, pred in pairs if np.isfinite(pred).all()]
        table[f"{source}_center"] = each[0]
        if len(each) > 1:
            table[f"{source}_nine"] = np.mean(each, 0)
    images = match_electrodes(beats.positions, recipe().n_cells * recipe().dx)
    true, other = (describe(beats.ecg[source][at], beats.t, images) for source in ("true", "structured"))
    spread = np.where(true.std(0) > 0, true.std(0), np.nan)  # the SD over the one electrode of a group is always 0
    shift = np.nanmean((np.abs(other - true) / spread).reshape(len(true), -1, len(FEATURES)), 1)
    return table.join(pd.DataFrame(shift, columns=[f"shift of {name}" for name in FEATURES]))


def _examples(known: pd.DataFrame) -> np.ndarray:
    """Rows of the first tissue of each condition in the test set."""
    return known[known.set == "test"].groupby("condition").head(1).index.to_numpy()


def explain(model: Reader, beats: Beats, unit: float, k: int) -> pd.DataFrame:
    """The central ECGs of a tissue, true and of the structured surrogate, and the relevance of each for the answer."""
    table = pd.DataFrame({"sim": beats.sim[k], "condition": beats.answers[k, 0], "time": beats.t})
    for source in ("true", "structured"):
        x = compress(beats.ecg[source][k : k + 1], unit)
        with torch.no_grad():
            answer = by_question(model(x))[0].argmax(-1)
        table = table.assign(**{
            f"ecg_{source}": beats.ecg[source][k, 0], f"relevance_{source}": relevance(model, x, answer)[0],
            f"answer_{source}": answer.item(),
        })  # fmt: skip
    return table


def main(epochs: int, seeds: int) -> None:
    """All of it, and the tables."""
    torch.set_num_threads(1)
    config = TrainConfig(epochs=epochs, batch=32, lr=1.5e-2, weight_decay=1e-2)
    for name, table in run(config, seeds).items():
        write_table(table, RESULTS / "runs" / f"{name}.csv", digits=5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--epochs", type=int, default=30, help="of a training on nine electrodes, half of them on one")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each fold")
    main(**vars(parser.parse_args()))
