"""Where things are: ``FORWARDECG_DATA`` moves all but what ships with the code, ``FORWARDECG_STAGE`` only what a notebook writes."""
# The pipeline sets the stage, checks what was written, and publishes it together with the executed notebook.

import os
import time
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from platformdirs import user_cache_path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parents[1] if (PACKAGE.parents[1] / "pyproject.toml").is_file() else None  # None: from a wheel


def _user_cache() -> Path:
    """The user's cache folder; a temporary one for a user without a home."""
    with suppress(RuntimeError):
        if (place := user_cache_path("forwardecg")).is_absolute():  # "~" is what older platformdirs give instead
            return place
    return Path(gettempdir()) / "forwardecg"


def _folder_of(variable: str) -> Path | None:
    """The folder that an environment variable names, "~" expanded; None if it is empty or not set."""
    return Path(value).expanduser() if (value := os.environ.get(variable, "").strip()) else None


DATA = _folder_of("FORWARDECG_DATA") or (ROOT / "data" if ROOT else _user_cache())
RESULTS = DATA / "results"
SHIPPED = ROOT / "data" / "models" if ROOT else PACKAGE / "models"
# weights in the data folder are those of a reproduction; a larger disk for data has none
MODELS = DATA / "models" if any((DATA / "models").glob("*.safetensors")) else SHIPPED
SMALL = ROOT / "data" / "small" if ROOT else PACKAGE / "small"  # files that ship with the code
CACHE = DATA / "cache"
STAGE = _folder_of("FORWARDECG_STAGE") or DATA


def file_path(name: str, x: Any, new: bool = False) -> Path:
    """``x`` as a `Path`, if it is text or one; ValueError for all else, and for a ``new`` file in no folder, or that is one."""
    known = isinstance(x, str | os.PathLike) and "\0" not in str(x)
    if not known or any(len(os.fsencode(part)) > 255 for part in Path(x).parts):
        raise ValueError(f"{name}: expected str, a path, got {x!r:.60}")
    if new and (not Path(x).absolute().parent.is_dir() or Path(x).is_dir()):
        raise ValueError(f"{name}: expected a file in a folder that is there, got {x}")
    return Path(x)


def progress(message: str) -> None:
    """One line of progress from a long computation: into the file ``FORWARDECG_PROGRESS`` if set, else printed."""
    # the pipeline shows the lines of that file while a notebook runs, so that they are no part of the stored output
    line = f"{time.strftime('%H:%M:%S')} {message}"
    if listener := os.environ.get("FORWARDECG_PROGRESS"):
        with open(listener, "a", encoding="utf-8") as out:
            out.write(line + "\n")
    else:
        print(line, flush=True)
