"""Tables as a page prints them: three decimals, a true minus, a sign where a difference is meant, no nan, one row of heads."""

import re

import numpy as np
import pandas as pd
import pytest

from compendium import figures
from compendium.tables import as_text, plain, printed


@pytest.mark.parametrize(
    ("value", "signed", "shown"),
    [
        (0.95, False, "0.950"),
        (0.99997, False, "1.000"),
        (1.0, False, "1.000"),
        (-0.115, False, "\N{MINUS SIGN}0.115"),
        (-0.115, True, "\N{MINUS SIGN}0.115"),
        (0.046, True, "+0.046"),
        (-0.0001, True, "0.000"),
        (0.0001, True, "0.000"),
        (300.0, False, "300"),
        (np.int64(1), False, "1"),
        (np.nan, True, "\N{EN DASH}"),
        (None, False, "None"),
        (True, False, "True"),
        ("open", True, "open"),
    ],
)
def test_a_number_as_a_table_prints_it(value, signed, shown):
    assert as_text(value, signed=signed) == shown


def test_a_table_keeps_its_rows_and_columns():
    table = pd.DataFrame({"tissues": [300.0, 91.0], "difference": [0.01, np.nan]}, index=["a", "b"])
    shown = printed(table, signed=["difference"])
    assert [*shown.index] == ["a", "b"] and shown.to_numpy().tolist() == [["300", "+0.010"], ["91", "\N{EN DASH}"]]


def cells(html: str) -> list[list[str]]:
    """The text of every row, as it is shown."""
    rows = re.findall("<tr.*?</tr>", html, re.DOTALL)
    return [re.findall(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", row) for row in rows]


RAW = pd.DataFrame(
    {"mean_r2": [0.5, np.nan], "p_holm": [-1.25, 0.0], "two_foci": ["gap_junction", "of -2 and V_m, a-1"]},
    index=pd.Index(["unseen_cell_mbr", "b-2"], name="set"),
)


def test_readers_get_one_row_of_heads_and_words_for_names():
    assert cells(plain(RAW._repr_html_())) == [
        ["set", "mean R²", "p (Holm)", "two foci"],
        ["cell MBR", "0.5", "\N{MINUS SIGN}1.25", "gap junction"],
        ["b-2", "\N{EN DASH}", "0.00", "of \N{MINUS SIGN}2 and V_m, a-1"],
    ]


def test_a_table_that_is_plain_stays_as_it_is():
    html = RAW._repr_html_()
    assert plain(plain(html)) == plain(html) != html
    assert plain("<table><tr><td>-1</td></tr></table>") == "<table><tr><td>-1</td></tr></table>", "not one of pandas"


def test_rows_without_names_are_not_counted():
    """A counter is no information; a named one is."""
    table = pd.DataFrame({"a": [0.5, 1.5]})
    assert cells(plain(table._repr_html_())) == [["a"], ["0.5"], ["1.5"]]
    assert cells(plain(table.rename_axis("probe")._repr_html_())) == [["probe", "a"], ["0", "0.5"], ["1", "1.5"]]
    assert cells(plain(table[1:]._repr_html_())) == [["", "a"], ["1", "1.5"]]


def test_names_of_rows_and_of_columns_share_a_row():
    wide = pd.DataFrame([[1.0, 2.0]], pd.Index([0.1], name="dx"), pd.Index([3, 4], name="D"))
    assert cells(plain(wide._repr_html_())) == [["dx, by D", "3", "4"], ["0.1", "1.0", "2.0"]]
    wide.columns = pd.MultiIndex.from_product([["healthy"], ["far", "near"]], names=["tissue", None])
    assert cells(plain(wide._repr_html_()))[:2] == [["tissue", "healthy"], ["dx", "far", "near"]]


def test_a_caption_stands_above_its_table():
    table = printed(pd.DataFrame({"a": [1]}), caption="One < two.").rename_axis("row")
    html = plain(table._repr_html_(), table.attrs["caption"])
    assert re.search(
        r'class="dataframe">\s*<caption><span class="caption-text">One &lt; two.</span></caption>\s*<thead>', html
    )
    assert "<caption>" not in plain(RAW._repr_html_())


def test_a_notebook_shows_every_table_plainly():
    """By the name that the caption was given, also after the rows got one; what is not a table of pandas is not touched."""
    from IPython.testing.globalipapp import start_ipython

    html = start_ipython().display_formatter.formatters["text/html"]
    html.enabled = True  # as in a notebook
    figures.set_style()
    shown = html(printed(RAW, caption="Scores.").rename_axis("of"))
    assert "Scores." in shown and cells(shown)[0] == ["of", "mean R²", "p (Holm)", "two foci"]
    html.pop(pd.DataFrame)
