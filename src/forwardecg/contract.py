"""The data contract: dims, units and names of every variable that passes from one part of the package to the next."""

CONTRACT = {  # variable: dims, unit, long_name
    "V_m": (("time", "y_map", "x_map"), "mV", "transmembrane voltage"),
    "lat": (("y", "x"), "ms", "local activation time of the first beat"),
    "recovery": (("y", "x"), "ms", "first fall of u below 0.1"),
    "D": (("y", "x"), "mm2 ms-1", "physical diffusivity"),
    "D_across": (("y", "x"), "mm2 ms-1", "diffusivity across the fibers"),
    "fiber_angle": (("y", "x"), "rad", "fiber direction from the x axis"),
    "conductive": (("y", "x"), "1", "conducts"),
    "phi_e": (("lead", "time_ecg"), "mV mm ms-1", "extracellular potential, unbounded conductor"),
    "electrodes": (("lead", "xyz"), "mm", "electrode positions"),
    "time": (("time",), "ms", "time"),
    "time_ecg": (("time_ecg",), "ms", "time"),
}


def labeled(name: str, values) -> tuple:
    """The variable as xarray takes it: (dims, values, attributes).

    Parameters
    ----------
    name : one of `CONTRACT`
    values : of its dims

    Returns
    -------
    variable : (dims, values, attributes)

    Raises
    ------
    KeyError
        A name that is not in the contract.

    Examples
    --------
    >>> labeled("time", [0.0, 5.0])
    (('time',), [0.0, 5.0], {'units': 'ms', 'long_name': 'time'})
    """
    dims, units, long_name = CONTRACT[name]
    return dims, values, {"units": units, "long_name": long_name}
