from .calibration import cable_cv as cable_cv
from .calibration import calibrated_diffusivity as calibrated_diffusivity
from .calibration import converged_cv as converged_cv
from .simulation import simulate as simulate
from .simulation import solve as solve
