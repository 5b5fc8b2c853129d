"""Tensors in files: written whole or not at all, with a digest over all that they hold."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values: of the tensors, whatever else is in their file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {(*tensor.shape,)}\n".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def sha256(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str], seal: bool = True) -> None:
    """One safetensors file in the place of the old one, its mode as the user's umask says; ``seal``: with a digest."""
    whole = {name: z.detach().cpu().clone(memory_format=torch.contiguous_format) for name, z in tensors.items()}
    if seal:
        metadata = metadata | {"digest": _digest(whole, metadata)}
    scratch = path.with_name(path.name + ".tmp")
    try:
        scratch.write_bytes(save(whole, metadata))  # save_file gives 0600
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of `write_tensors`; ValueError if something has changed. Older files have no digest."""
    try:
        tensors = load_file(path)
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        came = f"a truncated or foreign one: {error}"
        raise ValueError(f"{path.name}: expected a whole safetensors file, got {came}") from None
    digest = metadata.pop("digest", None)
    if digest is not None and digest != _digest(tensors, metadata):
        raise ValueError(f"{path.name}: expected what was written, by its digest, got a changed file")
    return tensors, metadata


def _digest(tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> str:
    return sha256(checksum(tensors) + json.dumps(metadata, sort_keys=True))
