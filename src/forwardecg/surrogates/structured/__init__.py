"""The structured surrogate: fronts of the maps, conductivity by a network, the operator on the pixels."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
