"""Weights in files: networks of a kind with a card that says all; what is truncated or changed is refused."""

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from forwardecg import __version__
from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig
from forwardecg.surrogates.structured.model import Structured, StructuredConfig

KINDS: dict[str, tuple[type, type]] = {"paper": (Seq2Seq, Seq2SeqConfig), "structured": (Structured, StructuredConfig)}


def save_models(models: Sequence[Seq2Seq] | Sequence[Structured], path: Path, **card: Any) -> None:
    """Write the weights of ``models``, all of one kind and configuration, and their card as one file.

    Args:
        models: of one kind and configuration.
        path: safetensors file, overwritten.
        **card: what else the card shall say, as json takes it: recipe, settings, seeds, scores.

    Raises:
        ValueError: Networks of several kinds or configurations.

    Examples:
        >>> network = Seq2Seq(Seq2SeqConfig(pixels=8, channels=(4,), width=8))
        >>> save_models([network], Path("mine.safetensors"), trained_on="nothing")
        >>> read_card(Path("mine.safetensors"))["trained_on"]
        'nothing'
    """
    kind = next(name for name, (network, _) in KINDS.items() if type(models[0]) is network)
    if any(type(model) is not type(models[0]) or model.config != models[0].config for model in models):
        raise ValueError("models: expected networks of one kind and configuration, got several")
    tensors = {
        f"{k}.{name}": tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for k, model in enumerate(models) for name, tensor in model.state_dict().items()
    }  # fmt: skip
    own = {"kind": kind, "members": len(models), "config": asdict(models[0].config)}
    own |= {"sha256": _checksum(tensors), "parameters": sum(p.numel() for p in models[0].parameters())}
    libraries = f"forwardecg {__version__}, torch {torch.__version__.partition('+')[0]}"
    text = json.dumps(own | {"versions": f"{libraries}, Python {platform.python_version()}"} | card)
    scratch = path.with_name(path.name + ".tmp")
    save_file(tensors, scratch, {"card": text, "sha256": _sha256(text)})
    os.replace(scratch, path)


def read_card(path: Path) -> dict:
    """What a file of weights says of itself: kind, sizes, checksum, recipe of the data, settings, scores.

    Args:
        path: safetensors file of `save_models`.

    Returns:
        card: as it was given, and what `save_models` adds.

    Raises:
        ValueError: No such file; a truncated or foreign one; no card of one of the kinds, or a changed one.

    Examples:
        >>> save_models([Structured(StructuredConfig())], Path("mine.safetensors"))
        >>> card = read_card(Path("mine.safetensors"))
        >>> card["kind"], card["members"], card["parameters"]
        ('structured', 1, 6597)
    """
    if not path.is_file():
        raise ValueError(f"weights: expected {path.name} in {path.parent}, got no such file")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        came = "expected a whole safetensors file, got a truncated or foreign one"
        raise ValueError(f"weights {path.name}: {came}: {error}") from None
    text = metadata.get("card", "{}")
    if metadata.get("sha256") != _sha256(text):
        raise ValueError(f"weights {path.name}: expected the card that was saved with them, got none or a changed one")
    card = json.loads(text)
    if card.get("kind") not in KINDS:
        expected = f"expected a card of one of the kinds {[*KINDS]}, got {card.get('kind')!r}"
        raise ValueError(f"weights {path.name}: {expected}")
    return card


def load_models(path: Path) -> tuple[list[Any], dict]:
    """Read networks, ready to predict, and their card.

    Args:
        path: safetensors file of `save_models`.

    Returns:
        models, card: networks of one kind, and what the card says.

    Raises:
        ValueError: What `read_card` refuses; weights that have changed, or that do not fit the card.

    Examples:
        >>> save_models([Seq2Seq(Seq2SeqConfig(pixels=8, channels=(4,), width=8))], Path("mine.safetensors"))
        >>> models, card = load_models(Path("mine.safetensors"))
        >>> len(models), card["kind"]
        (1, 'paper')
    """
    card, tensors = read_card(path), load_file(path)
    try:
        if (came := _checksum(tensors)) != card["sha256"]:
            expected = f"expected those that were saved (sha256 {card['sha256'][:12]}...), got others ({came[:12]}...)"
            raise ValueError(f"weights {path.name}: {expected}")
        network, config = KINDS[card["kind"]]
        entries = {name: tuple(value) if isinstance(value, list) else value for name, value in card["config"].items()}
        models = [network(config(**entries)).eval() for _ in range(card["members"])]
        for k, model in enumerate(models):
            own = {name.removeprefix(f"{k}."): z for name, z in tensors.items() if name.startswith(f"{k}.")}
            model.load_state_dict(own)
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"weights {path.name}: expected weights that fit their card, got others: {error!r}") from None
    return models, card


def _checksum(tensors: dict[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values: of the weights, whatever else is in their file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {(*tensor.shape,)}\n".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
