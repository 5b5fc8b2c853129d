"""Where things are: data, published results and weights, and the cache of heavy computations.

``FORWARDECG_DATA`` moves all of it (tests do so). ``FORWARDECG_STAGE`` moves only what a notebook writes: the
pipeline sets it, checks what was written, and publishes it together with the executed notebook.
"""

import ast
import hashlib
import os
import textwrap
import time
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
_checkout = PACKAGE.parents[1]
ROOT = _checkout if (_checkout / "pyproject.toml").is_file() else None  # None: installed from a wheel
_user_cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "forwardecg"

DATA = Path(os.environ.get("FORWARDECG_DATA") or (ROOT / "data" if ROOT else _user_cache))
RESULTS = DATA / "results"
MODELS = DATA / "models" if ROOT or "FORWARDECG_DATA" in os.environ else PACKAGE / "models"
CACHE = DATA / "cache"
_STAGE = Path(os.environ.get("FORWARDECG_STAGE") or DATA)


def result_file(name: str) -> Path:
    """Path to write the results file ``name`` to; read published ones from ``RESULTS``.

    Parameters
    ----------
    name : of the file

    Returns
    -------
    path : its folder is there

    Examples
    --------
    >>> result_file("09_mine.csv").name
    '09_mine.csv'
    """
    (_STAGE / "results").mkdir(parents=True, exist_ok=True)
    return _STAGE / "results" / name


def model_file(name: str) -> Path:
    """Path to write the weights or model card ``name`` to; read published ones from ``MODELS``.

    Parameters
    ----------
    name : of the file

    Returns
    -------
    path : its folder is there

    Examples
    --------
    >>> model_file("mine.safetensors").name
    'mine.safetensors'
    """
    (_STAGE / "models").mkdir(parents=True, exist_ok=True)
    return _STAGE / "models" / name


def code_text(source: str) -> str:
    """The source without comments, docstrings and layout: what decides whether a cached computation is still valid.

    Parameters
    ----------
    source : Python

    Returns
    -------
    text : Python that runs the same

    Raises
    ------
    SyntaxError
        source is no Python.

    Examples
    --------
    >>> code_text("a  =  1  # one") == code_text("a = 1")
    True
    """
    tree = ast.parse(textwrap.dedent(source))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
    return ast.unparse(tree)


def code_hash(*modules: str) -> str:
    """Hash of the code of the named modules of this package: what a cached computation rests on.

    Parameters
    ----------
    *modules : names without .py, in any order

    Returns
    -------
    hash : 16 hexadecimal digits

    Raises
    ------
    FileNotFoundError
        No module of that name.

    Examples
    --------
    >>> code_hash("cell", "kernel") == code_hash("kernel", "cell") != code_hash("cell")
    True
    """
    text = "\n".join(code_text((PACKAGE / f"{module}.py").read_text(encoding="utf-8")) for module in sorted(modules))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
