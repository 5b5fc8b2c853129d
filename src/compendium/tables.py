"""Tables of numbers as text: three decimals, a true minus, a plus where a difference is meant, a dash for what is missing.

`printed` makes the text; `plain` is how every table of a notebook is shown (`figures.set_style` sees to it), and how the book
shows those of notebooks that were executed before.
"""

import re
from collections.abc import Iterable
from html import escape

import pandas as pd

MISSING, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
WORDS = {  # for names of the code that underscores turned into spaces would not explain
    "p_holm": "p (Holm)",
    "ecg_sd": "SD of the ECG",
    "t_end": "end",
    "apd": "APD90",
    "r2": "R²",
    "sd": "SD",
    "reentry": "re-entry",
    "unseen_cell": "cell MLR-I",
    "unseen_cell_mbr": "cell MBR",
    "unseen_D_low": "D a fifth",
    "unseen_D_high": "D twice as high",
}
_TABLE = re.compile(r'<table border="1" class="dataframe">.*?</table>', re.DOTALL)
_ROW = re.compile(r"<tr.*?</tr>", re.DOTALL)
_CELL = re.compile(r"(<t[hd](?: [^>]*)?>)(.*?)(</t[hd]>)", re.DOTALL)
_NAME = re.compile(r"[a-zA-Z][a-z]+\d*(_[a-zA-Z0-9]+)+")


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
        return MISSING
    if pd.api.types.is_integer(value) or number.is_integer() and abs(number) > 1:
        digits = 0
    text = f"{number:+.{digits}f}" if signed else f"{number:.{digits}f}"
    text = text if float(text) else text.lstrip("+-")
    return text.replace("-", MINUS)


def printed(table: pd.DataFrame, signed: Iterable[str] = (), digits: int = 3, caption: str = "") -> pd.DataFrame:
    """The table in text, as a page shows it: columns named in ``signed`` are differences, a caption says what it holds.

    Examples:
        A column of counts has whole numbers, also where one of them is 0 or 1.

        >>> printed(pd.DataFrame({"n": [20.0, 0.0, 1.0], "score": [1.0, 0.5, 0.0]})).to_numpy().tolist()
        [['20', '1.000'], ['0', '0.500'], ['1', '0.000']]
    """
    signed = {*signed}
    columns = [[as_text(value, digits, name in signed) for value in _counts(table[name])] for name in table]
    shown = pd.DataFrame(dict(zip(table, columns, strict=True)), index=table.index)
    shown.attrs["caption"] = caption
    return shown


def _counts(column: pd.Series) -> list:
    """The values of a column, in whole numbers if it holds nothing but counts."""
    known = column.dropna()
    if not pd.api.types.is_float_dtype(column) or not (known % 1 == 0).all() or not known.abs().max() > 1:
        return [*column]
    return [value if pd.isna(value) else int(value) for value in column]


def with_interval(
    table: pd.DataFrame, name: str, low: str = "low", high: str = "high", signed: bool = False
) -> pd.DataFrame:
    """The table with one column of text, such as 0.947 (0.934 to 0.959), in place of a value and the ends of its interval."""
    ends = zip(table[name], table[low], table[high], strict=True)
    texts = [[as_text(value, signed=signed) for value in row] for row in ends]
    spans = [MISSING if row[0] == MISSING else "{} ({} to {})".format(*row) for row in texts]
    return table.assign(**{name: spans}).drop(columns=[low, high])


def plain(html: str, caption: str = "") -> str:
    """The tables in a text of pandas (HTML), for readers: one row of heads, no nan, a true minus, words for names of code."""
    return _TABLE.sub(lambda table: _mended(table[0], caption), html)


def show_plainly() -> None:
    """In a notebook, every table from here on is shown by `plain`, under the caption that `printed` was given."""
    try:
        from IPython import get_ipython
    except ModuleNotFoundError:
        return
    shell = get_ipython()
    if shell is not None:
        shown = shell.display_formatter.formatters["text/html"]
        shown.for_type(pd.DataFrame, lambda table: plain(table._repr_html_() or "", table.attrs.get("caption", "")))


def _mended(table: str, caption: str) -> str:
    head, foot, body = table.partition("</thead>")
    rows = _ROW.findall(head)
    if len(rows) > 1 and (names := _names_of_rows(rows)):
        # pandas gives the names of the rows a line of their own
        before, last = rows[-2:]
        cells = [*_CELL.finditer(before)]
        for name, cell in zip(names, cells, strict=False):
            both = f"{name}, by {cell[2]}" if name and cell[2] else name or cell[2]
            before = before.replace(cell[0], cell[1] + both + cell[3], 1)
        head = head.replace(last, "").replace(rows[-2], before)
    elif len(rows) == 1 and _counted(rows[0], _ROW.findall(body)):
        head, body = (_ROW.sub(lambda row: _CELL.sub("", row[0], count=1), part) for part in (head, body))
    said = f'\n  <caption><span class="caption-text">{escape(caption)}</span></caption>' if caption else ""
    start, rest = re.split(r"(?<=class=\"dataframe\">)", head + foot + body, maxsplit=1)
    return start + said + _CELL.sub(lambda cell: cell[1] + _word(cell[2], cell[1].startswith("<td")) + cell[3], rest)


def _names_of_rows(rows: list[str]) -> list[str]:
    """What stands in the last line of the head, where that is nothing but the names of the rows."""
    found = [cell[2] for cell in _CELL.finditer(rows[-1])]
    n = len(found)
    while n and not found[n - 1]:
        n -= 1
    return found[:n] if n < len(found) else []


def _counted(head: str, rows: list[str]) -> bool:
    """Whether the first column is but 0, 1, 2, ... without a name, as pandas gives rows that have no names."""
    first = [cell[2] for row in rows if (cell := _CELL.search(row)) and cell[1] == "<th>"]
    return len(first) > 1 and not _CELL.search(head)[2] and first == [str(k) for k in range(len(first))]  # type: ignore[index]


def _word(text: str, inside: bool) -> str:
    if inside and text.strip() in ("", "NaN", "nan", "None", "NaT", "&lt;NA&gt;"):
        return MISSING
    if text in WORDS:
        return WORDS[text]
    if _NAME.fullmatch(text):
        return text.replace("_", " ").replace("r2", "R²")
    text = re.sub(r"\bR2\b", "R²", text).replace("p_holm", WORDS["p_holm"])
    text = re.sub(r"\(([^()\s]+) to ([^()\s]+)\)", "(\\1\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}\\2)", text)
    return re.sub(r"(?<![\w.)\]-])-(?=\.?\d)", MINUS, text)
