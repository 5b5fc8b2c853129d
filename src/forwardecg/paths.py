"""Where things are: data, published results and weights, and the cache of heavy computations.

``FORWARDECG_DATA`` moves all of it (tests do so). ``FORWARDECG_STAGE`` moves only what a notebook writes: the
pipeline sets it, checks what was written, and publishes it together with the executed notebook.
"""

import os
import time
from pathlib import Path

from platformdirs import user_cache_path

PACKAGE = Path(__file__).resolve().parent
_checkout = PACKAGE.parents[1]
ROOT = _checkout if (_checkout / "pyproject.toml").is_file() else None  # None: installed from a wheel

DATA = Path(os.environ.get("FORWARDECG_DATA") or (ROOT / "data" if ROOT else user_cache_path("forwardecg")))
RESULTS = DATA / "results"
MODELS = DATA / "models" if ROOT or "FORWARDECG_DATA" in os.environ else PACKAGE / "models"
CACHE = DATA / "cache"
STAGE = Path(os.environ.get("FORWARDECG_STAGE") or DATA)


def progress(message: str) -> None:
    """One line of progress from a long computation: to the pipeline where it listens, else printed.

    The pipeline names a file in ``FORWARDECG_PROGRESS`` and shows its lines while the notebook runs, so that they
    never become part of the stored output.

    Parameters
    ----------
    message : one line

    Examples
    --------
    >>> progress("half of it is done")
    """
    line = f"{time.strftime('%H:%M:%S')} {message}"
    if listener := os.environ.get("FORWARDECG_PROGRESS"):
        with open(listener, "a", encoding="utf-8") as out:
            out.write(line + "\n")
    else:
        print(line, flush=True)
