"""What a cell of a page can call beside Python itself: lines under the cell."""

import json

import _page


def plot(x, y, xlabel="", ylabel="", label=""):
    """Draw y over x; calls with the same two axes share one picture."""
    x, y = list(x), list(y)
    if len(x) != len(y) or not x:
        raise ValueError(f"plot: expected as many y as x and at least one, got {len(x)} x and {len(y)} y")
    _page.plot(json.dumps([x, y, xlabel, ylabel, label]))
