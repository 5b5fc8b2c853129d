"""From cardiac voltage to the ECG: simulate tissue, compute its pseudo-ECG, learn the map between them.

Each room is a folder and exports its verbs, ``from forwardecg.tissue import healthy``; what most scripts need, the
package has too, loaded when asked for. Units everywhere: mm, ms, mm^2/ms; array order (time, y, x).

Examples:
    >>> import forwardecg as fe
    >>> sheet = fe.healthy((4, 5), dx=0.5, D0=0.1)
    >>> fe.lead_field(sheet, fe.center_electrode(sheet)).shape
    (1, 4, 5)
"""

import lazy_loader

__version__ = "0.1.0"

# from the stub, which no import scan reads: an import here would make every notebook depend on the whole package
__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
