"""Where things are: data, published results and weights, and the cache of heavy computations.

``FORWARDECG_DATA`` moves all of it (tests do so). ``FORWARDECG_STAGE`` moves only what a notebook writes: the
pipeline sets it, checks what was written, and publishes it together with the executed notebook.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir

from platformdirs import user_cache_path

PACKAGE = Path(__file__).resolve().parent
_checkout = PACKAGE.parents[1]
ROOT = _checkout if (_checkout / "pyproject.toml").is_file() else None  # None: installed from a wheel


def _user_cache() -> Path:
    """The user's cache folder; a temporary one for a user without a home."""
    with suppress(RuntimeError):
        if (place := user_cache_path("forwardecg")).is_absolute():  # "~" is what older platformdirs give instead
            return place
    return Path(gettempdir()) / "forwardecg"


DATA = Path(os.environ.get("FORWARDECG_DATA") or (ROOT / "data" if ROOT else _user_cache()))
RESULTS = DATA / "results"
MODELS = DATA / "models" if ROOT or "FORWARDECG_DATA" in os.environ else PACKAGE / "models"
SMALL = ROOT / "data" / "small" if ROOT else PACKAGE / "small"  # files that ship with the code
CACHE = DATA / "cache"
STAGE = Path(os.environ.get("FORWARDECG_STAGE") or DATA)


def progress(message: str) -> None:
    """One line of progress from a long computation: to the pipeline where it listens, else printed.

    The pipeline names a file in ``FORWARDECG_PROGRESS`` and shows its lines while the notebook runs, so that they
    never become part of the stored output.

    Args:
        message: one line.

    Examples:
        >>> progress("half of it is done")
    """
    line = f"{time.strftime('%H:%M:%S')} {message}"
    if listener := os.environ.get("FORWARDECG_PROGRESS"):
        with open(listener, "a", encoding="utf-8") as out:
            out.write(line + "\n")
    else:
        print(line, flush=True)
