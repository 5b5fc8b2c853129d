"""Tables as a page prints them: three decimals, a true minus, a sign where a difference is meant, no nan."""

import numpy as np
import pandas as pd
import pytest

from compendium.tables import as_text, printed


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
        (np.nan, True, ""),
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
    assert [*shown.index] == ["a", "b"] and shown.to_numpy().tolist() == [["300", "+0.010"], ["91", ""]]
