"""The ECG: electrodes, leads, the exact lead field in unbounded and bounded conductors, the operator on maps."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
