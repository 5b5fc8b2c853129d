"""Weights in files: one safetensors file of one or several networks of a kind, and beside it a card (.json) that says all.

The card holds the checksum of the weights: a truncated file, or that of another card, is refused.
"""

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from forwardecg import __version__
from forwardecg.surrogates.paper.model import ModelConfig, Seq2Seq
from forwardecg.surrogates.structured.model import Structured, StructuredConfig

KINDS = {"seq2seq": (Seq2Seq, ModelConfig), "structured": (Structured, StructuredConfig)}


def save_models(models: Sequence[Seq2Seq] | Sequence[Structured], path: Path, **card: Any) -> None:
    """Write the weights of ``models``, all of one kind and configuration, as ``path`` and their card beside it.

    Parameters
    ----------
    models : of one kind and configuration
    path : safetensors file, overwritten; the card has the same name and ends in .json
    **card : what else the card shall say: recipe, settings, seeds, scores

    Raises
    ------
    ValueError
        Networks of several kinds or configurations.

    Examples
    --------
    >>> network = Seq2Seq(ModelConfig(pixels=8, channels=(4,), width=8))
    >>> save_models([network], Path("mine.safetensors"), trained_on="nothing")
    >>> json.loads(Path("mine.json").read_text())["trained_on"]
    'nothing'
    """
    kind = next(name for name, (network, _) in KINDS.items() if type(models[0]) is network)
    if any(type(model) is not type(models[0]) or model.config != models[0].config for model in models):
        raise ValueError("models: expected networks of one kind and configuration, got several")
    tensors = {
        f"{k}.{name}": tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for k, model in enumerate(models) for name, tensor in model.state_dict().items()
    }  # fmt: skip
    parts = [(file.with_name(file.name + ".tmp"), file) for file in (path, path.with_suffix(".json"))]
    save_file(tensors, parts[0][0])
    text = {"kind": kind, "members": len(models), "config": asdict(models[0].config)}
    text |= {"sha256": _sha256(parts[0][0]), "parameters": sum(p.numel() for p in models[0].parameters())}
    text |= {
        "versions": f"forwardecg {__version__}, torch {torch.__version__.partition('+')[0]}, Python {platform.python_version()}"
    }
    parts[1][0].write_text(json.dumps(text | card, indent=1) + "\n", encoding="utf-8", newline="\n")
    for scratch, file in parts:  # both are complete before either takes its place
        os.replace(scratch, file)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_models(path: Path) -> tuple[list[Seq2Seq] | list[Structured], dict]:
    """Read networks, ready to predict, and their card.

    Parameters
    ----------
    path : safetensors file

    Returns
    -------
    models, card : networks of one kind, and what the card says

    Raises
    ------
    ValueError
        No such file or card; weights that are truncated, or not those that the card was written for.

    Examples
    --------
    >>> save_models([Seq2Seq(ModelConfig(pixels=8, channels=(4,), width=8))], Path("mine.safetensors"))
    >>> models, card = load_models(Path("mine.safetensors"))
    >>> len(models), card["kind"]
    (1, 'seq2seq')
    """
    for file in (path, path.with_suffix(".json")):
        if not file.is_file():
            raise ValueError(f"weights: expected {path.name} and {path.stem}.json in {path.parent}, got no {file.name}")
    try:
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        network, config = KINDS[card["kind"]]
        entries = {name: tuple(value) if isinstance(value, list) else value for name, value in card["config"].items()}
        models = [network(config(**entries)) for _ in range(card["members"])]
        checksum = card["sha256"]
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path.stem}.json: expected a card of one of the kinds {[*KINDS]}: {error!r}") from None
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"weights {path.name}: expected a whole safetensors file, got a truncated or foreign one: {error}"
        ) from None
    if (came := _sha256(path)) != checksum:
        raise ValueError(
            f"weights {path.name}: expected those that {path.stem}.json was written for (sha256 {checksum[:12]}...), "
            f"got others ({came[:12]}...)"
        )
    try:
        for k, model in enumerate(models):
            prefix = f"{k}."
            model.load_state_dict(
                {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
            )
            model.eval()
    except RuntimeError as error:
        raise ValueError(f"weights {path.name}: expected weights for {card['config']}, got others: {error}") from None
    return models, card
