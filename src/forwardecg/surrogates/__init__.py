"""Surrogates: the paper's network and the structured one, how they are trained and kept, baselines, predictions."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
