"""The tissue: cell models, sheets with fibers and fibrosis, stimuli, and the discrete diffusion operator."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
