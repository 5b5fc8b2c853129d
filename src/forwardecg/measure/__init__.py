"""Measures: scores of ECGs, what is read off waves, comparisons with intervals, bands and their coverage."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
