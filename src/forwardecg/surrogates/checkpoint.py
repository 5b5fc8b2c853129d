"""The state of a training between two epochs, in a file: written after each, read to go on."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from forwardecg.cache import code_hash, versions_of
from forwardecg.surrogates.files import read_tensors, write_tensors

LOOP = ("surrogates/checkpoint", "surrogates/train")  # modules that every training rests on


def save_checkpoint(
    path: Path, settings: dict, code: tuple[str, ...], model: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator,
    live: dict[str, Tensor], best: dict[str, Tensor], history: list[dict],
) -> None:  # fmt: skip
    """All that a training needs to go on, in one file, with how and by which ``code`` beside the loop's it was made."""
    tensors = {"generator": generator.get_state()}
    for prefix, part in (("model", model.state_dict()), ("live", live), ("best", best)):
        tensors |= {f"{prefix}.{name}": tensor for name, tensor in part.items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": tensor for name, tensor in state.items()}
    about = {"history": json.dumps(history), "settings": json.dumps(settings), "code": code_hash({*LOOP, *code})}
    write_tensors(path, tensors, about | {"made_with": versions_of("torch", "numpy")})


def restore_checkpoint(
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
