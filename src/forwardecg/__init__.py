"""From cardiac voltage to the ECG: simulate tissue, compute its pseudo-ECG, learn the map between them.

Import from the module that holds the mathematics, for example ``from forwardecg.solver import simulate``; only the way to
the trained networks, ``forwardecg.load_surrogate``, is here too. Units everywhere: mm, ms, mm^2/ms; array order (time, y, x).
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "load_surrogate":  # when it is asked for: torch is slow to import
        # by name: an import statement would make every notebook depend on all of the surrogate
        return import_module("forwardecg.surrogate").load_surrogate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
