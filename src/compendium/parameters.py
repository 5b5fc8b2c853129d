"""The parameters of a notebook: what it offers, and a refusal of what it does not."""

import ast
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jupytext
import papermill
import yaml


class ParameterError(ValueError):
    """A parameter that the notebook does not have, or a value of the wrong type."""


def _parameters_of(source: Path) -> dict[str, dict[str, str]]:
    """Parameters of a notebook's source: name -> papermill's record (``default`` and ``help``, the comment)."""
    return papermill.inspect_notebook(jupytext.read(source))


def from_text(source: Path, text: str) -> dict[str, Any]:
    """Parameters from ``"dx=0.25 z_mm=20"``; values are YAML, as in ``SET="times=[10,20]"``."""
    pairs = [pair.partition("=") for pair in shlex.split(text)]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise ParameterError(f"expected name=value, got {wrong[0]!r}")
    return check(source, {name: yaml.safe_load(value) for name, _, value in pairs})


def check(source: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, in the types of the notebook's defaults; ParameterError lists what the notebook offers."""
    known = _parameters_of(source)
    try:
        return {name: _as_default(name, value, known) for name, value in values.items()}
    except ParameterError as error:
        lines = [f"  {name} = {entry['default']}  {entry['help']}".rstrip() for name, entry in known.items()]
        raise ParameterError("\n".join([str(error), f"{source.stem} takes:", *lines])) from None


def _as_default(name: str, value: Any, known: dict[str, dict[str, str]]) -> Any:
    if name not in known:
        raise ParameterError(f"there is no parameter {name!r}")
    try:
        default = ast.literal_eval(known[name]["default"])
    except (ValueError, SyntaxError):
        return value  # a default such as 2 * dx has no type that could be read off
    return _as_type_of(default, value, name)


def _as_type_of(default: Any, value: Any, name: str) -> Any:
    wrong = ParameterError(f"{name} = {value!r}: expected {type(default).__name__} as in {default!r}")
    if isinstance(default, float) and isinstance(value, int | str) and not isinstance(value, bool):
        try:
            return float(value)  # an int, or 1e-3, which YAML reads as text
        except ValueError:
            raise wrong from None
    if isinstance(default, list | tuple) and isinstance(value, list):
        return [_as_type_of(default[0], item, name) for item in value] if default else value
    if default is not None and type(value) is not type(default):
        raise wrong
    return value
