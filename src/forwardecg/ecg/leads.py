"""Leads: combinations of electrodes, sum_e M_le phi_e, of potentials (lead, time_ecg) or lead fields (lead, y, x)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from forwardecg.contract import array, instance
from forwardecg.ecg.electrodes import Electrodes, of_table, words

Potentials = xr.DataArray | np.ndarray
LIMBS = ("RA", "LA", "LL")
CHEST = ("V1", "V2", "V3", "V4", "V5", "V6")
TWELVE = ("I", "II", "III", "aVR", "aVL", "aVF", *CHEST)


def lead_matrix(names: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """The names of the twelve standard leads and their matrix (12, len(names)), from electrodes called ``names``."""
    rows = dict(zip(names, np.eye(len(names)), strict=True))
    missing = [name for name in (*LIMBS, *CHEST) if name not in rows]
    if missing:
        raise ValueError(f"electrodes: expected RA, LA, LL and V1 to V6, got none named {', '.join(missing)}")
    RA, LA, LL = (rows[name] for name in LIMBS)
    einthoven = [LA - RA, LL - RA, LL - LA]
    goldberger = [RA - (LA + LL) / 2, LA - (RA + LL) / 2, LL - (RA + LA) / 2]
    wilson = [rows[name] - (RA + LA + LL) / 3 for name in CHEST]
    return TWELVE, np.array(einthoven + goldberger + wilson)


def combine(
    phi_e: xr.Dataset | Potentials, leads: Sequence[str], matrix: np.ndarray, electrodes: Electrodes | None = None
) -> Potentials:
    """Leads (lead, ...) by name: sum over electrodes of ``matrix`` (lead, electrode) times phi_e (electrode, ...)."""
    potentials, names = _read(phi_e, electrodes)
    leads = words("leads", leads)
    matrix = array("matrix", matrix, ("lead", "electrode"), shape=(len(leads), len(names)))
    if not isinstance(potentials, xr.DataArray):
        return np.tensordot(matrix, potentials, axes=1)
    weights = xr.DataArray(matrix, dims=("combined", "lead"), coords={"combined": list(leads)})
    total = xr.dot(weights, potentials, dim="lead").rename(combined="lead").transpose(*potentials.dims)
    return total.rename(potentials.name).assign_attrs(potentials.attrs)


def bipolar(phi_e: xr.Dataset | Potentials, plus: str, minus: str, electrodes: Electrodes | None = None) -> Potentials:
    """One lead, the potential at one electrode minus that at another.

    Args:
        phi_e: as `twelve_leads` takes it.
        plus, minus: names of the two electrodes.
        electrodes: those of a plain array.

    Returns:
        The lead (1, ...) called plus-minus, an array or an xr.DataArray as phi_e is, in its unit.

    Raises:
        ValueError: No electrode of that name; electrodes that are not those of phi_e.

    Examples:
        >>> two = xr.DataArray([[1.0], [3.0]], dims=("lead", "time_ecg"), coords={"lead": ["a", "b"]})
        >>> bipolar(two, "b", "a").values.tolist()
        [[2.0]]
    """
    _, names = _read(phi_e, electrodes)
    plus, minus = (instance(name, word, str) for name, word in (("plus", plus), ("minus", minus)))
    for name in (plus, minus):
        if name not in names:
            raise ValueError(f"electrodes: expected one named {name!r}, got {names}")
    row = [(name == plus) - (name == minus) for name in names]
    return combine(phi_e, (f"{plus}-{minus}",), np.array([row], float), electrodes)


def twelve_leads(phi_e: xr.Dataset | Potentials, electrodes: Electrodes | None = None) -> Potentials:
    """The leads I, II, III, aVR, aVL, aVF and V1 to V6, by `lead_matrix`.

    Args:
        phi_e: a Dataset that holds phi_e, or phi_e itself (lead, ...), labeled or not, in any unit; also lead fields.
            What is missing (NaN, masked) is missing in the leads that need it.
        electrodes: those of an array that has no names on the dim lead, in its order.

    Returns:
        The leads (12, ...), an array or an xr.DataArray as phi_e is, in its unit.

    Raises:
        ValueError: An electrode of the nine is missing; no dim lead; electrodes that are not those of phi_e; values that
            are no real numbers.

    Examples:
        >>> from forwardecg.ecg.electrodes import standard_electrodes
        >>> from forwardecg.tissue.grid import Grid
        >>> I, II, III = twelve_leads(np.arange(9.0), standard_electrodes(Grid((40, 40), dx=0.5)))[:3]
        >>> bool(np.isclose(I + III, II))  # Einthoven
        True
    """
    return combine(phi_e, *lead_matrix(_read(phi_e, electrodes)[1]), electrodes)


def _read(phi_e: xr.Dataset | Potentials, electrodes: Electrodes | None) -> tuple[Potentials, tuple[str, ...]]:
    """Potentials (lead, ...) and the names of their electrodes, their own or those of ``electrodes``."""
    if isinstance(phi_e, xr.Dataset):
        if "phi_e" not in phi_e:
            raise ValueError(f"phi_e: expected a Dataset that holds phi_e, got one of {[*phi_e]}")
        phi_e = phi_e["phi_e"]
    phi_e = of_table(phi_e, "time_ecg") if isinstance(phi_e, pd.DataFrame) else phi_e
    own = None
    if isinstance(phi_e, xr.DataArray) and {*phi_e.dims} != {f"dim_{k}" for k in range(phi_e.ndim)}:
        if "lead" not in phi_e.dims:
            raise ValueError(f"phi_e: expected the dim 'lead', got dims {phi_e.dims}")
        own = tuple(map(str, phi_e["lead"].values)) if "lead" in phi_e.coords else None
        if own is not None and len({*own}) < len(own):
            raise ValueError(f"phi_e: expected a name of its own for each lead, got {own}")
        phi_e = phi_e.copy(data=array("phi_e", phi_e, tuple(map(str, phi_e.dims)), finite=False))
        n = phi_e.sizes["lead"]
    else:
        phi_e = array("phi_e", phi_e, ("lead", ...), finite=False)
        n = len(phi_e)
    names = own if electrodes is None else instance("electrodes", electrodes, Electrodes).names
    if names is None:
        raise ValueError("electrodes: expected those of phi_e, which has no names on a dim lead, got none")
    if n != len(names):
        raise ValueError(f"phi_e: expected {len(names)} leads, one per electrode, got {n}")
    if own not in (None, names):
        raise ValueError(f"phi_e: expected the leads {names}, got {own}")
    return phi_e, names
