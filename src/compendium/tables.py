"""Tables of numbers as text: three decimals, a true minus, a plus where a difference is meant, nothing for what is missing."""

from collections.abc import Iterable

import pandas as pd


def as_text(value: object, digits: int = 3, signed: bool = False) -> str:
    """One number as a table prints it; whole numbers whole, words as they stand.

    Args:
        value: a number, or anything else.
        digits: decimals.
        signed: with a plus before what is above zero.

    Examples:
        >>> as_text(0.95), as_text(-0.1154, signed=True), as_text(0.0461, signed=True), as_text(300.0), as_text(-0.0001)
        ('0.950', '−0.115', '+0.046', '300', '0.000')
    """
    if pd.api.types.is_bool(value) or not pd.api.types.is_number(value):
        return str(value)
    number = float(value)  # type: ignore[arg-type]
    if pd.isna(number):
        return ""
    if pd.api.types.is_integer(value) or number.is_integer() and abs(number) > 1:
        return f"{number:.0f}".replace("-", "\N{MINUS SIGN}")
    text = f"{number:+.{digits}f}" if signed else f"{number:.{digits}f}"
    text = text if float(text) else text.lstrip("+-")
    return text.replace("-", "\N{MINUS SIGN}")


def printed(table: pd.DataFrame, signed: Iterable[str] = (), digits: int = 3) -> pd.DataFrame:
    """The table in text, as a page shows it: columns named in ``signed`` are differences."""
    signed = {*signed}
    columns = [[as_text(value, digits, name in signed) for value in table[name]] for name in table]
    return pd.DataFrame(dict(zip(table, columns, strict=True)), index=table.index)
