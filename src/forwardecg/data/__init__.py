"""Data sets: recipes, the tissues they draw, the store that keeps them, splits by tissue, and maps of one's own."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
