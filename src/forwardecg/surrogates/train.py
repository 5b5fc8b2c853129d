"""Training as one flat loop for every network here: checkpoints to go on from, any device, any number of processes.

Under ``torchrun`` every process draws the same batch and takes its share of the rows; gradients are summed over all.
"""

import json
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pandas as pd
import torch
from filelock import FileLock
from torch import Tensor, distributed, nn

from forwardecg.cache import code_hash, key, made_with, settle
from forwardecg.contract import count, instance, number, one_of
from forwardecg.paths import CACHE, file_path, progress
from forwardecg.surrogates.files import read_tensors, write_tensors

Network = TypeVar("Network", bound=nn.Module)
VERSION = 1  # of the loop: raised when tests/versions says that trainings have changed


class Task(Protocol):
    """What is learned: a task of one of the two networks, or one's own."""

    stage: str  # names what is trained, and so the files of the cache
    version: int  # of the task and its network, raised when their trainings change
    code: tuple[str, ...]  # modules of this package that they rest on, for the attributes of what is trained
    n_train: int  # tissues

    def fingerprint(self) -> tuple:
        """What names the data and the settings, as `cache.key` takes it."""

    def draw(self, members: Tensor, generator: torch.Generator) -> Any:
        """Chance and data of a batch of tissues, whatever the task makes of them."""

    def loss(self, model: Any, drawn: Any, rows: Tensor, done: float) -> Tensor:
        """Losses (len(rows),) of these rows of what was drawn; ``done``: the finished share of the training."""

    def score(self, model: Any) -> float:
        """Mean R2 on the validation tissues."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a network is trained; all of it our choice, since the paper does not state it."""

    epochs: int = 60  # passes over the tissues
    batch: int = 8  # tissues in a step
    lr: float = 1.5e-3  # peak of the learning rate
    weight_decay: float = 1e-2  # of AdamW
    ema: float = 0.0  # memory of one step of the moving average that is scored and kept; 0: the last weights
    patience: int | None = None  # epochs without a better validation score after which training stops; None: never
    precision: str = "float32"  # or bfloat16, mixed: weights and losses stay float32
    seed: int = 0  # of order and chance

    def __post_init__(self) -> None:
        settle(
            self,
            epochs=count("epochs", self.epochs),
            batch=count("batch", self.batch),
            seed=count("seed", self.seed, 0, 2**63 - 1),
            patience=None if self.patience is None else count("patience", self.patience),
            lr=number("lr", self.lr, 0),
            weight_decay=number("weight_decay", self.weight_decay, 0),
            ema=number("ema", self.ema, 0, math.nextafter(1, 0)),
            precision=one_of("precision", self.precision, ("float32", "bfloat16")),
        )


def learning_rate(config: TrainConfig, done: float) -> float:
    """Learning rate at the share ``done`` of the training: rises over the first tenth, then falls to zero."""
    return config.lr * min(done / 0.1, 0.5 * (1 + math.cos(math.pi * max(done - 0.1, 0) / 0.9)))


def initialize(build: Callable[[], Network], seed: int) -> Network:
    """A network whose initial weights are a function of the seed; the global generator is left alone.

    Args:
        build: makes the network; takes nothing.
        seed: of its weights, a whole number of at least 0.

    Returns:
        network: what ``build`` made.

    Raises:
        ValueError: ``build`` cannot be called, or another seed.

    Examples:
        >>> one, same = (initialize(lambda: nn.Linear(2, 1), seed=3) for _ in range(2))
        >>> bool((one.weight == same.weight).all())
        True
    """
    if not callable(build):
        raise ValueError(f"build: expected a function that makes the network, got {build!r:.60}")
    seed = count("seed", seed, 0, 2**63 - 1)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def fit(
    model: nn.Module, task: Task, config: TrainConfig, checkpoint: Path | str | None = None,
    on_epoch: Callable[[dict], None] = lambda row: None,
) -> pd.DataFrame:  # fmt: skip
    """Train ``model`` on the task, in place, and leave it with the weights of the epoch that scored best in validation.

    Args:
        model: on any device; its initial weights are part of the experiment, see `initialize`.
        task: what is learned, `Task`.
        config: how.
        checkpoint: file that holds the state after every epoch, its digest and its settings; if it is there, training
            goes on from it.
        on_epoch: called with a row of the history after every epoch.

    Returns:
        history: table with the columns epoch, loss, val_r2, seconds.

    Raises:
        ValueError: The checkpoint is damaged, by its digest, or that of another network, of other settings, of as many
            tissues as are not there.
        FloatingPointError: The loss is no longer finite.

    Examples:
        >>> class Doubling:
        ...     stage, version, code, n_train = "doubling", 1, (), 4
        ...     def fingerprint(self):
        ...         return ()
        ...     def draw(self, members, generator):
        ...         return torch.ones(len(members), 1)
        ...     def loss(self, model, drawn, rows, done):
        ...         return (model(drawn[rows]) - 2).square()[:, 0]
        ...     def score(self, model):
        ...         return -(model(torch.ones(1, 1)) - 2).abs().item()
        >>> history = fit(nn.Linear(1, 1), Doubling(), TrainConfig(epochs=3, batch=2))
        >>> history.columns.tolist(), len(history)
        (['epoch', 'loss', 'val_r2', 'seconds'], 3)
    """
    instance("config", config, TrainConfig)
    _check_task(task)
    device = next(instance("model", model, nn.Module).parameters(), torch.zeros(0)).device
    rank, world = (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)
    generator = torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    live: dict[str, Tensor] = _copy(model)  # weights that are scored: a moving average where there is one
    best, history = live, list[dict]()
    settings = asdict(config) | {"tissues": task.n_train}
    kept = None if checkpoint is None else file_path("checkpoint", checkpoint)
    if kept is not None and kept.exists():
        try:
            live, best, history = _restore(kept, settings, model, optimizer, generator)
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            wanted = f"the state of a training of this {type(model).__name__}"
            raise ValueError(f"checkpoint {kept.name}: expected {wanted}: {error}") from None
    n_batch = math.ceil(task.n_train / config.batch)
    for epoch in range(len(history), config.epochs):
        if _stale(history, config.patience):
            break
        model.train()
        started, total = time.monotonic(), torch.zeros((), device=device)
        order = torch.randperm(task.n_train, generator=generator)
        for k, members in enumerate(order.split(config.batch)):
            done = (epoch + (k + 1) / n_batch) / config.epochs
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config, done)
            drawn = task.draw(members, generator)
            rows = torch.arange(rank, len(members), world)
            with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
                loss = task.loss(model, drawn, rows, done).sum() / len(members)
            optimizer.zero_grad()
            loss.backward()
            if world > 1:
                for parameter in model.parameters():
                    distributed.all_reduce(parameter.grad)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.detach() * len(members)
            for name, tensor in model.state_dict().items():
                live[name] = config.ema * live[name] + (1 - config.ema) * tensor if config.ema else tensor
        if world > 1:
            distributed.all_reduce(total)
        if not math.isfinite(total):
            raise FloatingPointError(f"loss: expected finite values, got {total} in epoch {epoch} (lr {config.lr})")
        trained = _copy(model)
        model.load_state_dict(live)
        val_r2 = float(task.score(model.eval()))
        if not history or val_r2 > max(row["val_r2"] for row in history):
            best = _copy(model)
        model.load_state_dict(trained)
        row = {"epoch": epoch, "loss": float(total) / task.n_train, "val_r2": val_r2}
        history.append(row | {"seconds": time.monotonic() - started})
        if kept is not None and rank == 0:
            _save(kept, settings, task, model, optimizer, generator, live, best, history)
        on_epoch(history[-1])
    model.load_state_dict(best)
    model.eval()
    return pd.DataFrame(history)


def _check_task(task: Task) -> None:
    if missing := [name for name in ("n_train", "draw", "loss", "score") if not hasattr(task, name)]:
        raise ValueError(f"task: expected a Task, got {type(task).__name__} without {', '.join(missing)}")


def load_or_fit(model: nn.Module, task: Task, config: TrainConfig) -> pd.DataFrame:
    """`fit`, found in the cache by network, task, settings and their versions: finished it is loaded, partial resumed.

    Args:
        model: with an attribute ``config``, a dataclass.
        task: what is learned, `Task`.
        config: how.

    Returns:
        history: as from `fit`; the model has the weights of the best epoch.
    """
    parts = model.config, config, torch.get_num_threads(), next(model.parameters()).device.type
    name = key(task.stage, task.version, {"train": VERSION}, *parts, *task.fingerprint())
    path = CACHE / "training" / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    spoke = [time.monotonic()]

    def report(row: dict) -> None:
        if time.monotonic() - spoke[0] > 10 or row["epoch"] + 1 == config.epochs:
            spoke[0] = time.monotonic()
            left = (config.epochs - row["epoch"] - 1) * row["seconds"]
            at = f"seed {config.seed}: epoch {row['epoch'] + 1}/{config.epochs}"
            progress(f"{at} loss {row['loss']:.4f} validation R2 {row['val_r2']:.4f}, about {left:.0f} s left")

    together = distributed.is_initialized()  # processes of one training must not wait for each other
    with nullcontext() if together else FileLock(path.with_suffix(".lock")):  # others wait until it is there
        return fit(model, task, config, path, report)


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _stale(history: list[dict], patience: int | None) -> bool:
    """Whether the best validation score is ``patience`` epochs old."""
    scores = [row["val_r2"] for row in history]
    return patience is not None and bool(scores) and len(scores) - 1 - scores.index(max(scores)) >= patience


def _save(
    path: Path, settings: dict, task: Task, model: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator,
    live: dict[str, Tensor], best: dict[str, Tensor], history: list[dict],
) -> None:  # fmt: skip
    tensors = {"generator": generator.get_state()}
    for prefix, part in (("model", model.state_dict()), ("live", live), ("best", best)):
        tensors |= {f"{prefix}.{name}": tensor for name, tensor in part.items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": tensor for name, tensor in state.items()}
    code = code_hash(["surrogates/train", *getattr(task, "code", ())])  # a task of one's own may lack it
    about = {"history": json.dumps(history), "settings": json.dumps(settings), "code": code}
    write_tensors(path, tensors, about | {"made_with": made_with("torch", "numpy")})


def _restore(
    path: Path, settings: dict, model: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> tuple[dict[str, Tensor], dict[str, Tensor], list[dict]]:
    """The live and the best weights, and the history; all else takes up the state that the file holds."""
    device = next(model.parameters()).device
    tensors, about = read_tensors(path)
    history = json.loads(about["history"])
    known = json.loads(about.get("settings", "{}"))  # older ones have only a name
    if other := [name for name, value in known.items() if settings.get(name) != value]:
        raise ValueError(", ".join(f"made with {name} = {known[name]}, not {settings.get(name)}" for name in other))

    def part(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): t.to(device) for name, t in tensors.items() if name.startswith(prefix)}

    model.load_state_dict(part("model."))
    state = optimizer.state_dict()
    state["state"] = {i: part(f"optimizer.{i}.") for i in range(len(list(model.parameters())))}
    optimizer.load_state_dict(state)
    generator.set_state(tensors["generator"])
    return part("live."), part("best."), history
