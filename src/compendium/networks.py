"""The paper's network of 09_training and those of 10_structured, where experiments and tools read them."""

from forwardecg.paths import MODELS
from forwardecg.surrogates.predict import PaperSurrogate, StructuredSurrogate
from forwardecg.surrogates.weights import load_models, read_bands, read_card


def papers_network() -> PaperSurrogate:
    """The one from the 240 training tissues of the split; the published one saw more tissues, and is larger."""
    (model,), card = load_models(MODELS / "paper_240.safetensors")
    return PaperSurrogate(model, card)


def recipes_networks() -> StructuredSurrogate:
    """The five from the 240 training tissues of the split, for their ECG alone: the bands are those of the published ones."""
    models, card = load_models(MODELS / "structured_recipe.safetensors")
    bands = read_bands(MODELS / "structured_bands.json", read_card(MODELS / "structured.safetensors")["sha256"])
    return StructuredSurrogate(tuple(models), card, bands)
