"""Back from the ECG: site, onset and conductivity of a wave, and the derivatives of its activation times."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
