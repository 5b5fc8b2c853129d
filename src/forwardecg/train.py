"""Training as one flat loop, with checkpoints to go on from, evaluation, and prediction on one's own maps."""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from forwardecg.ecg import phi_e_attrs
from forwardecg.losses import entropy_weight, hybrid
from forwardecg.metrics import r2
from forwardecg.model import ModelConfig, Seq2Seq
from forwardecg.paths import CACHE, code_hash, progress
from forwardecg.sequences import Sequences, loader, network_maps, normalization


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How the network is trained; all of it our choice, since the paper does not state it."""

    epochs: int = 100
    batch: int = 8
    lr: float = 1.5e-3  # peak; linear warm-up over the first tenth, then a half cosine to zero
    weight_decay: float = 1e-2
    delta: float = 1.0  # Huber, in standard deviations of a tissue's ECG
    lambda_se: float = 0.1
    augment: bool = True  # the eight symmetries of the square, exact for the electrode over its center
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: expected a whole number of at least {least}, got {value!r}")
        for name in ("lr", "delta", "weight_decay", "lambda_se"):
            value, positive = getattr(self, name), name == "delta"
            if not (math.isfinite(value) and (value > 0 or not positive and value == 0)):
                raise ValueError(f"{name}: expected a finite number {'>' if positive else '>='} 0, got {value}")


def learning_rate(config: TrainConfig, done: float) -> float:
    """Learning rate at the fraction ``done`` of the training."""
    return config.lr * min(done / 0.1, 0.5 * (1 + math.cos(math.pi * max(done - 0.1, 0) / 0.9)))


def fit(
    model_config: ModelConfig,
    train: Sequences,
    val: Sequences,
    config: TrainConfig,
    checkpoint: Path | None = None,
    on_epoch: Callable[[dict], None] = lambda row: None,
) -> tuple[Seq2Seq, dict, pd.DataFrame]:
    """Train on ``train``, keep the weights of the epoch with the best mean R2 on ``val``.

    The network predicts ECG / scale, scale the SD of the training ECGs; the loss of a tissue is taken on traces divided
    by the SD of its own ECG, so that weak ECGs count as much as strong ones. Neither is known of a validation or test
    tissue, nor needed there.

    Parameters
    ----------
    checkpoint : file that holds the state after every epoch; if it is there, training goes on from it
    on_epoch : called with a row of the history after every epoch

    Returns
    -------
    the network, its card entries (scale, times, best epoch), and the history: epoch, loss, val_r2, weight, seconds
    """
    generator = torch.Generator().manual_seed(config.seed)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model = Seq2Seq(model_config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    for name, sequences in (("train", train), ("val", val)):
        if sequences.ecg.ndim != 2:
            raise ValueError(f"{name}: expected ECGs (n, T) of one lead, got shape {tuple(sequences.ecg.shape)}")
    scale, sd = normalization(train), train.ecg.std(-1, keepdim=True)
    batches = loader(train, config.batch, generator, config.augment)
    best, history = model.state_dict(), []
    if checkpoint is not None and checkpoint.exists():
        try:
            best, history = _restore(checkpoint, model, optimizer, generator)
        except (RuntimeError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise ValueError(
                f"checkpoint {checkpoint.name}: expected the state of a training of {model_config}: {error}"
            ) from None
    for epoch in range(len(history), config.epochs):
        model.train()
        started = time.monotonic()
        weight, total = entropy_weight(config.lambda_se, epoch, config.epochs), 0.0
        for k, (u, ecg, members) in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config, (epoch + (k + 1) / len(batches)) / config.epochs)
            ecg_pred, _ = model(u, train.t)
            loss = hybrid(ecg_pred * scale / sd[members], ecg / sd[members], delta=config.delta, weight=weight).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item() * len(members)
        if not math.isfinite(total):
            raise FloatingPointError(f"loss: expected finite values, got {total} in epoch {epoch} (lr {config.lr})")
        val_r2 = float(np.nanmean(r2(val.ecg.numpy(), evaluate(model, val, scale))))
        if not history or val_r2 > max(row["val_r2"] for row in history):
            best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        row = {"epoch": epoch, "loss": total / len(train), "val_r2": val_r2, "weight": weight}
        history.append(row | {"seconds": time.monotonic() - started})
        if checkpoint is not None:
            _save(checkpoint, model, optimizer, generator, best, history)
        on_epoch(history[-1])
    model.load_state_dict(best)
    table = pd.DataFrame(history)
    best_epoch = int(table.val_r2.idxmax())
    card = {"scale": scale, "time": train.t.tolist(), "best_epoch": best_epoch, "train": asdict(config)}
    return model.eval(), card, table


def _save(path, model, optimizer, generator, best, history) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": tensor for name, tensor in state.items()}
    tensors["generator"] = generator.get_state()
    scratch = path.with_name(path.name + ".tmp")
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()}, scratch, {"history": json.dumps(history)}
    )
    os.replace(scratch, path)


def _restore(path, model, optimizer, generator) -> tuple[dict, list]:
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        history = json.loads(file.metadata()["history"])

    def part(prefix: str) -> dict:
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

    model.load_state_dict(part("model."))
    state = optimizer.state_dict()
    state["state"] = {i: part(f"optimizer.{i}.") for i in range(len(list(model.parameters())))}
    optimizer.load_state_dict(state)
    generator.set_state(tensors["generator"])
    return part("best."), history


@torch.no_grad()
def evaluate(model: Seq2Seq, sequences: Sequences, scale: float, batch: int = 8) -> np.ndarray:
    """Predicted ECGs (n, T) in the units of phi_e."""
    model.eval()
    parts = [model(u.float(), sequences.t)[0] for u in sequences.u.split(batch)]
    return scale * torch.cat(parts).numpy()


def load_or_fit(
    model_config: ModelConfig, train: Sequences, val: Sequences, config: TrainConfig
) -> tuple[Seq2Seq, dict, pd.DataFrame]:
    """`fit`, found in the cache by the hash of configs, data and code: finished it is loaded, partial it is resumed."""
    key = hashlib.sha256(json.dumps([asdict(model_config), asdict(config), torch.get_num_threads()]).encode())
    key.update(code_hash("losses", "metrics", "model", "sequences", "train").encode())
    for sequences in (train, val):
        for part in (sequences.u, sequences.ecg, sequences.t):
            key.update(part.numpy().ravel())  # 0.6 s a GB
    folder = CACHE / "training"
    folder.mkdir(parents=True, exist_ok=True)

    def report(row: dict) -> None:
        if (row["epoch"] + 1) % 5 == 0 or row["epoch"] + 1 == config.epochs:
            progress(
                f"seed {config.seed}: epoch {row['epoch'] + 1}/{config.epochs} loss {row['loss']:.4f} "
                f"validation R2 {row['val_r2']:.4f}"
            )

    return fit(model_config, train, val, config, folder / f"{key.hexdigest()[:16]}.safetensors", report)


def predict(model: Seq2Seq, card: dict, V_m: xr.DataArray) -> xr.DataArray:
    """The ECG (time,) that a trained network predicts for one's own maps.

    Parameters
    ----------
    model, card : from `model.load_model`
    V_m : (time, y_map, x_map), mV, on the times the network was trained for, of a sheet of the size it was trained for

    Raises
    ------
    ValueError
        Other dims, maps that do not pool to the network's input, NaN, or other times.
    """
    if missing := {"time", "scale"} - {*card}:
        raise ValueError(f"card: expected the card of a trained network, got one without {sorted(missing)}")
    u = network_maps(V_m, model.config.pixels)
    if len(card["time"]) != V_m.sizes["time"] or not np.allclose(V_m.time, card["time"]):
        raise ValueError(
            f"V_m: expected the {len(card['time'])} times {card['time'][0]:g} .. {card['time'][-1]:g} ms of this network, "
            f"got {V_m.sizes['time']} times {float(V_m.time[0]):g} .. {float(V_m.time[-1]):g} ms"
        )
    with torch.no_grad():
        ecg, _ = model(u[None].float(), torch.tensor(card["time"]))
    return xr.DataArray(
        card["scale"] * ecg[0].numpy(), dims="time", coords={"time": V_m.time}, name="phi_e", attrs=phi_e_attrs()
    )
