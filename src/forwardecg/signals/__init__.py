"""What a reader of ECGs sees: recordings of many beats with exact labels, their composition, intervals, losses of delineators."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
