"""Weights in files: the round trip, and that whatever is not whole or not the right one is refused."""

import json

import pytest
import torch

from forwardecg.surrogates import weights as module
from forwardecg.surrogates.paper.model import ModelConfig, Seq2Seq
from forwardecg.surrogates.structured.model import Structured, StructuredConfig
from forwardecg.surrogates.weights import load_models, save_models

TINY = ModelConfig(pixels=10, channels=(4, 8), width=16, heads=2)


def networks(kind, n=2):
    torch.manual_seed(0)
    make = (lambda: Seq2Seq(TINY)) if kind == "seq2seq" else (lambda: Structured(StructuredConfig(width=2)))
    models = [make() for _ in range(n)]
    for model in models:
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter)
    return models


@pytest.mark.parametrize("kind", ["seq2seq", "structured"])
def test_what_is_saved_is_read(kind, tmp_path):
    models = networks(kind)
    save_models(models, tmp_path / "a.safetensors", seeds=[0, 1], scale=2.5)
    loaded, card = load_models(tmp_path / "a.safetensors")
    assert card["kind"] == kind and card["members"] == 2 and card["seeds"] == [0, 1] and card["scale"] == 2.5
    assert len(card["sha256"]) == 64 and card["parameters"] == sum(p.numel() for p in models[0].parameters())
    for one, other in zip(models, loaded, strict=True):
        assert other.config == one.config and not other.training
        assert all(
            torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.safetensors"]


def test_an_ensemble_is_of_one_kind(tmp_path):
    with pytest.raises(ValueError, match="models: expected networks of one kind"):
        save_models([*networks("seq2seq", 1), *networks("structured", 1)], tmp_path / "a.safetensors")
    assert not [*tmp_path.iterdir()]


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "a.safetensors"
    save_models(networks("structured"), path)
    return path


def test_truncated_and_foreign_weights_are_refused(saved, tmp_path):
    whole = saved.read_bytes()
    for part in (whole[: len(whole) // 2], whole[:4], b""):
        saved.write_bytes(part)
        with pytest.raises(
            ValueError, match="weights a.safetensors: expected a whole safetensors file, got a truncated"
        ):
            load_models(saved)
    torch.manual_seed(3)
    save_models([Structured(StructuredConfig(width=2))] * 2, tmp_path / "b.safetensors")
    saved.write_bytes((tmp_path / "b.safetensors").read_bytes())
    with pytest.raises(ValueError, match=r"expected those that a.json was written for \(sha256 .*got others"):
        load_models(saved)
    changed = bytearray(whole)
    changed[-1] ^= 1
    saved.write_bytes(bytes(changed))
    with pytest.raises(ValueError, match="was written for"):
        load_models(saved)


@pytest.mark.parametrize("missing", ["a.safetensors", "a.json"])
def test_a_missing_file_is_named(saved, missing):
    (saved.parent / missing).unlink()
    with pytest.raises(ValueError, match=rf"weights: expected .* got no {missing}"):
        load_models(saved)


@pytest.mark.parametrize(
    "text", ["{}", '{"kind": "other"}', '{"kind": "structured", "config": {"depth": 3}, "members": 1}', "{"]
)
def test_cards_that_are_none_are_refused(saved, text):
    saved.with_suffix(".json").write_text(text)
    with pytest.raises(ValueError, match="a.json: expected a card of one of the kinds"):
        load_models(saved)


def test_weights_of_another_size_are_refused(saved):
    card = json.loads(saved.with_suffix(".json").read_text())
    saved.with_suffix(".json").write_text(json.dumps(card | {"config": card["config"] | {"width": 3}}))
    with pytest.raises(ValueError, match="expected weights for"):
        load_models(saved)


def test_an_interrupted_save_keeps_the_old_networks(saved, monkeypatch):
    before = saved.read_bytes()

    def half(tensors, scratch):
        scratch.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "save_file", half)
    with pytest.raises(KeyboardInterrupt):
        save_models(networks("structured"), saved)
    assert saved.read_bytes() == before and len(load_models(saved)[0]) == 2
