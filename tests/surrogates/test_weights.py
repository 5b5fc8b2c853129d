"""Weights in files: the round trip, and that whatever is not whole or not the right one is refused."""

import json
import os

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from forwardecg.surrogates import files
from forwardecg.surrogates import weights as module
from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig
from forwardecg.surrogates.structured.model import Structured, StructuredConfig
from forwardecg.surrogates.weights import load_models, read_bands, read_card, save_bands, save_models

TINY = Seq2SeqConfig(pixels=10, channels=(4, 8), width=16, heads=2)


def networks(kind, n=2, width=2):
    torch.manual_seed(0)
    make = (lambda: Seq2Seq(TINY)) if kind == "paper" else (lambda: Structured(StructuredConfig(width=width)))
    models = [make() for _ in range(n)]
    for model in models:
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter)
    return models


@pytest.mark.parametrize("kind", ["paper", "structured"])
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
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"], "one file"
    assert read_card(tmp_path / "a.safetensors") == card


def test_the_checksum_is_that_of_the_weights_alone(tmp_path):
    for name, words in (("a", "one"), ("b", "another")):
        save_models(networks("structured"), tmp_path / name, words=words)
    save_models(networks("structured", n=1), tmp_path / "c", words="one")
    a, b, c = (read_card(tmp_path / name)["sha256"] for name in "abc")
    assert a == b != c


def test_an_ensemble_is_of_one_kind(tmp_path):
    with pytest.raises(ValueError, match="models: expected networks of one kind"):
        save_models([*networks("paper", 1), *networks("structured", 1)], tmp_path / "a.safetensors")
    assert not [*tmp_path.iterdir()]


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "a.safetensors"
    save_models(networks("structured"), path)
    return path


def test_truncated_and_foreign_files_are_refused(saved):
    whole = saved.read_bytes()
    for part in (whole[: len(whole) // 2], whole[:-1], whole[:4], b""):
        saved.write_bytes(part)
        with pytest.raises(
            ValueError, match="weights a.safetensors: expected a whole safetensors file, got a truncated"
        ):
            load_models(saved)
    save_file({"w": torch.zeros(2)}, saved)
    with pytest.raises(ValueError, match="weights a.safetensors: expected the card that was saved with them, got none"):
        load_models(saved)


def test_a_flipped_bit_is_found_wherever_it_is(saved):
    """Size of the header, names, card, checksums, padding: every bit of some bytes, and one of many others."""
    whole = saved.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    rng = np.random.default_rng(0)
    bits = [(int(byte), int(rng.integers(8))) for byte in rng.integers(0, start, 200)]
    bits += [(byte, bit) for byte in (0, 7, 8, 20, start - 1, start, len(whole) - 1) for bit in range(8)]
    bits += [(int(byte), int(rng.integers(8))) for byte in rng.integers(start, len(whole), 20)]
    for byte, bit in bits:
        changed = bytearray(whole)
        changed[byte] ^= 1 << bit
        saved.write_bytes(bytes(changed))
        with pytest.raises(ValueError, match="weights a.safetensors: expected"):
            load_models(saved)


def test_a_changed_weight_is_named_as_that(saved):
    changed = bytearray(saved.read_bytes())
    changed[-1] ^= 1
    saved.write_bytes(bytes(changed))
    with pytest.raises(ValueError, match=r"expected those that were saved \(sha256 .*got others"):
        load_models(saved)
    assert read_card(saved)["kind"] == "structured", "the card itself is whole"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="weights: expected b.safetensors in .* got no such file"):
        load_models(tmp_path / "b.safetensors")


def recarded(path, card):
    """The file with another card, as if it had been saved with it."""
    text = json.dumps(card)
    save_file(load_file(path), path, {"card": text, "sha256": module.sha256(text)})


@pytest.mark.parametrize("card", [{}, {"kind": "other"}])
def test_cards_of_no_kind_are_refused(saved, card):
    recarded(saved, card)
    with pytest.raises(ValueError, match="weights a.safetensors: expected a card of one of the kinds"):
        load_models(saved)


@pytest.mark.parametrize(
    "change", [{"config": {"depth": 3}}, {"config": {"width": 3}}, {"config": None}, {"members": 3}, {"members": "2"}]
)
def test_weights_that_do_not_fit_their_card_are_refused(saved, change):
    recarded(saved, read_card(saved) | change)
    with pytest.raises(ValueError, match="expected weights that fit their card"):
        load_models(saved)
    recarded(saved, {"kind": "structured"})
    with pytest.raises(ValueError, match="expected weights that fit their card"):
        load_models(saved)


def test_the_card_of_other_weights_is_refused(saved, tmp_path):
    save_models(networks("structured")[::-1], tmp_path / "b.safetensors")
    recarded(saved, read_card(tmp_path / "b.safetensors"))
    with pytest.raises(ValueError, match="expected those that were saved"):
        load_models(saved)


def test_all_metadata_are_words(saved):
    with safe_open(saved, "pt") as file:
        assert {*file.metadata()} == {"card", "sha256"}


def test_an_interrupted_save_keeps_the_old_networks(saved, monkeypatch):
    before = saved.read_bytes()

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        save_models(networks("structured"), saved)
    assert saved.read_bytes() == before and len(load_models(saved)[0]) == 2
    assert [path.name for path in saved.parent.iterdir()] == ["a.safetensors"], "no litter"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_others_may_read_what_the_umask_says(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        save_models(networks("structured", 1), tmp_path / "a.safetensors")
        save_bands({"weights": "a"}, tmp_path / "a.json")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {mode}


def test_every_flipped_bit_of_the_bands_is_found(tmp_path):
    path, bands = tmp_path / "b.json", {"phi_e": {"factor": 2.5, "floor": 0.02}, "weights": "ab", "n": 3}
    save_bands(bands, path)
    assert read_bands(path, "ab") == bands
    whole = path.read_bytes()
    for byte in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[byte] ^= 1 << bit
            path.write_bytes(bytes(changed))
            try:
                found = read_bands(path, "ab")
            except ValueError as error:
                assert "b.json: expected" in str(error)
            else:
                assert found == bands, "a blank that is another one"
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="expected bands that were calibrated for these weights"):
        read_bands(path, "cd")


@pytest.mark.parametrize("models", [[], None, [torch.nn.Linear(1, 1)], Structured(StructuredConfig())])
def test_what_is_no_ensemble_is_refused(tmp_path, models):
    with pytest.raises(ValueError, match="models: expected"):
        save_models(models, tmp_path / "a.safetensors")
