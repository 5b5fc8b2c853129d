"""What the tests of the solver run on."""

from dataclasses import replace

from forwardecg.tissue.cell import FK_CAF
from forwardecg.tissue.sheet import fibrotic, healthy

# A cell without reaction: time constants so long that every current is below rounding.
PASSIVE = replace(FK_CAF, tau_d=1e290, tau_0=1e290, tau_r=1e290, tau_si=1e290)


def small_sheet(seed=0, n=48, dx=0.5):
    return fibrotic(healthy((n, n), dx, 0.12), "diffuse", seed=seed)
