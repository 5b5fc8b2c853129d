"""Which tissues the large set gives to train and to choose, and which are scored."""

import numpy as np
import pytest

from experiments.tissues import LARGE_VAL, LEARNED, N_LARGE, Tissues, parts


@pytest.mark.parametrize(("n", "draw"), [(240, 0), (1000, 2), (2700, 1), (3000, 0)])
def test_the_large_set_trains_and_chooses_and_others_are_tested(n, draw):
    found = parts(Tissues(large=n, draw=draw))
    train, val = ({(name, sim) for name, sims in found[part] for sim in sims} for part in ("train", "val"))
    assert len(train) == n and not train & val
    assert val == {("large", sim) for sim in range(N_LARGE - LARGE_VAL, N_LARGE)}
    assert {name for name, _ in train} == {"large"} | ({"calibration"} if n > N_LARGE - LARGE_VAL else set())
    assert [name for name, _ in found["test"]] == ["base", "test"]
    ((name, sims),) = found["learned"]
    assert len(sims) == LEARNED and {(name, sim) for sim in sims} <= train
    first = [parts(Tissues(large=240, draw=k))["train"][0][1] for k in range(3)]
    assert len(np.unique(first)) == 3 * 240, "each draw has other tissues"
