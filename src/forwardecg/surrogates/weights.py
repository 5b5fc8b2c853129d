"""Weights in files: networks of a kind with a card that says all; what is truncated or changed is refused."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from forwardecg import __version__
from forwardecg.contract import instance
from forwardecg.paths import file_path
from forwardecg.surrogates.files import checksum, sha256, write_tensors
from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig
from forwardecg.surrogates.structured.model import Structured, StructuredConfig

KINDS: dict[str, tuple[type, type]] = {"paper": (Seq2Seq, Seq2SeqConfig), "structured": (Structured, StructuredConfig)}


def save_models(models: Sequence[Seq2Seq] | Sequence[Structured], path: Path | str, **card: Any) -> None:
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
    models = [*instance("models", models, (list, tuple), "networks")]
    kinds = tuple(network for network, _ in KINDS.values())
    if not models or not all(type(model) in kinds for model in models):
        came = [type(one).__name__ for one in models]
        raise ValueError(f"models: expected networks, Seq2Seq or Structured, got {came}")
    kind = next(name for name, (network, _) in KINDS.items() if type(models[0]) is network)
    if any(type(model) is not type(models[0]) or model.config != models[0].config for model in models):
        raise ValueError("models: expected networks of one kind and configuration, got several")
    tensors = {
        f"{k}.{name}": tensor.detach().cpu()
        for k, model in enumerate(models) for name, tensor in model.state_dict().items()
    }  # fmt: skip
    own = {"kind": kind, "members": len(models), "config": asdict(models[0].config)}
    own |= {"sha256": checksum(tensors), "parameters": sum(p.numel() for p in models[0].parameters())}
    libraries = f"forwardecg {__version__}, torch {torch.__version__.partition('+')[0]}"
    text = json.dumps(own | {"versions": f"{libraries}, Python {platform.python_version()}"} | card)
    about = {"card": text, "sha256": sha256(text)}  # both checksums are there
    write_tensors(file_path("path", path, new=True), tensors, about, seal=False)


def read_card(path: Path | str) -> dict:
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
    path = file_path("path", path)
    if not path.is_file():
        raise ValueError(f"weights: expected {path.name} in {path.parent}, got no such file")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        came = "expected a whole safetensors file, got a truncated or foreign one"
        raise ValueError(f"weights {path.name}: {came}: {error}") from None
    text = metadata.get("card", "{}")
    if metadata.get("sha256") != sha256(text):
        raise ValueError(f"weights {path.name}: expected the card that was saved with them, got none or a changed one")
    card = json.loads(text)
    if card.get("kind") not in KINDS:
        expected = f"expected a card of one of the kinds {[*KINDS]}, got {card.get('kind')!r}"
        raise ValueError(f"weights {path.name}: {expected}")
    return card


def load_models(path: Path | str) -> tuple[list[Any], dict]:
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
    path = file_path("path", path)
    card, tensors = read_card(path), load_file(path)
    try:
        if (came := checksum(tensors)) != card["sha256"]:
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


def save_bands(bands: dict, path: Path | str) -> None:
    """Write calibrated bands as json with a checksum of their own; the entry ``weights`` names those that they are for."""
    content = instance("bands", bands, dict) | {"sha256": sha256(_canonical(bands))}
    path = file_path("path", path)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    part.replace(path)


def read_bands(path: Path | str, weights: str) -> dict:
    """The bands that `save_bands` wrote; ValueError if they have changed, or belong to other ``weights``."""
    path = file_path("path", path)
    try:
        bands = instance("bands", json.loads(path.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.name}: expected calibrated bands, got no json: {error}") from None
    if bands.get("weights") != weights:
        raise ValueError(f"{path.name}: expected bands that were calibrated for these weights, got those of others")
    if bands.pop("sha256", None) != sha256(_canonical(bands)):
        raise ValueError(f"{path.name}: expected the bands that were saved, by their checksum, got changed ones")
    return bands


def _canonical(bands: dict) -> str:
    return json.dumps({name: value for name, value in bands.items() if name != "sha256"}, sort_keys=True)
