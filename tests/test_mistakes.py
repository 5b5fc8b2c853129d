"""What people get wrong, or write in a way of their own, beyond what `test_fuzz` draws: each once, by hand."""

from array import array as plain_array
from collections import deque

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from forwardecg.contract import counts
from forwardecg.tissue.grid import Grid

WHOLE = {  # whole numbers 2, 1 in whatever holds a row of them
    "list": [2, 1], "tuple": (2, 1), "range": range(2, 0, -1), "deque": deque([2, 1]), "array": plain_array("i", [2, 1]),
    "numpy": np.array([2, 1], ">i2"), "unsigned": np.array([2, 1], np.uint64), "strided": np.array([2, 0, 1])[::2],
    "nothing masked": np.ma.masked_array([2, 1]), "torch": torch.tensor([2, 1]), "tensors": [torch.tensor(2), torch.tensor(1)],
    "Index": pd.Index([2, 1]), "RangeIndex": pd.RangeIndex(2, 0, -1), "Series": pd.Series([2, 1], index=[7, 3]),
    "Int64": pd.Series([2, 1], dtype="Int64"), "DataArray": xr.DataArray([2, 1], {"sim": [5, 6]}, "sim"), "Variable": xr.Variable("sim", [2, 1]),
}  # fmt: skip
NOT_WHOLE = {
    "floats": [2.0, 1.0], "bool": [True, False], "words": ["2", "1"], "text": "21", "bytes": b"21", "set": {2, 1}, "dict": {2: 1},
    "generator": (n for n in (2, 1)), "number": 2, "none": None, "0-d": np.array(2), "2-D": np.array([[2, 1]]), "nested": [[2, 1]],
    "numpy floats": np.array([2.0, 1.0]), "numpy bool": np.array([True]), "numpy words": np.array(["2"]), "masked": np.ma.masked_array([2, 1], [0, 1]),
    "torch floats": torch.tensor([2.0]), "torch bool": torch.tensor([True]), "torch 0-d": torch.tensor(2), "Index of floats": pd.Index([2.0]),
    "Index of words": pd.Index(["a"]), "Series with NA": pd.Series([2, None], dtype="Int64"), "Series of bool": pd.Series([True]),
    "DataArray of floats": xr.DataArray([2.0]), "dates": pd.date_range("2020", periods=2), "complex": np.array([2 + 0j]),
    "table": pd.DataFrame({"n": [2, 1]}), "pairs": pd.MultiIndex.from_tuples([(2, 1)]), "negative": [-1], "huge": [2**70],
}  # fmt: skip


@pytest.mark.parametrize("what", WHOLE)
def test_whole_numbers_in_any_row_are_read(what):
    assert counts("sims", WHOLE[what]) == [2, 1] and all(type(one) is int for one in counts("sims", WHOLE[what]))
    assert Grid(WHOLE[what], dx=0.5).shape == (2, 1)


@pytest.mark.parametrize("what", NOT_WHOLE)
def test_what_is_no_row_of_whole_numbers_is_refused(what):
    with pytest.raises(ValueError, match="^sims: expected (a whole number|whole numbers).* got "):
        counts("sims", NOT_WHOLE[what])
