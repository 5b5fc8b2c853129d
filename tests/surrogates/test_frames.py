"""Electrodes are given in the frame of the maps, wherever that begins."""

import numpy as np
import xarray as xr

import forwardecg
from forwardecg.ecg.electrodes import Electrodes


def test_a_sheet_somewhere_else_has_the_ecg_of_the_same_sheet_at_the_origin():
    small, surrogate = forwardecg.load_small().isel(sim=0), forwardecg.load_surrogate()
    centers = 1.0 + 2.0 * np.arange(small.sizes["y_map"])

    def placed(begin: float) -> xr.Dataset:
        axes = {dim: (dim, begin + centers, {"units": "mm"}) for dim in ("y", "x")}
        axes["time"] = ("time", small.time.values, {"units": "ms"})
        return xr.Dataset({"V_m": (("time", "y", "x"), small.V_m.values, {"units": "mV"})}, axes)

    def ecg(maps, at=None, **given):
        electrodes = None if at is None else Electrodes(np.array([at]), ("e",))
        return surrogate.predict(maps, electrodes=electrodes, **given)

    right = ecg(small.V_m, (30.0, 50.0, 40.0), dx=2.0)
    for begin in (0.0, 300.0):
        out = ecg(placed(begin), (begin + 30.0, begin + 50.0, 40.0))
        np.testing.assert_allclose(out.phi_e, right.phi_e, rtol=1e-6, atol=1e-9)
        np.testing.assert_array_equal(out.electrodes, [[begin + 30.0, begin + 50.0, 40.0]])
    above = ecg(placed(300.0))  # above the center, wherever it is
    np.testing.assert_allclose(above.electrodes, [[400.0, 400.0, 40.0]])
    np.testing.assert_allclose(above.phi_e, ecg(small.V_m, dx=2.0).phi_e, rtol=1e-6, atol=1e-9)
