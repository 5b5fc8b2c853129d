"""What a cell of a page can call beside Python itself: lines under the cell."""

import json

import _page

MOST = 20_000  # points of a line


def plot(x, y, xlabel="", ylabel="", label="", dots=False):
    """Draw y over x, as a line or as dots; calls with the same two axes share one picture."""
    x, y = list(x), list(y)
    if len(x) != len(y) or not x or len(x) > MOST:
        raise ValueError(f"plot: expected as many y as x, from 1 to {MOST}, got {len(x)} x and {len(y)} y")
    for one in x + y:
        if not isinstance(one, (int, float)) or one - one != 0:
            raise ValueError(f"plot: expected finite numbers, got {one!r}")
    line = {"x": x, "y": y, "xlabel": str(xlabel), "ylabel": str(ylabel), "label": str(label), "dots": bool(dots)}
    _page.plot(json.dumps(line))
