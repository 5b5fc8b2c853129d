from .batched import solve_batch as solve_batch
from .calibration import calibrate_diffusivity as calibrate_diffusivity
from .simulation import simulate as simulate
from .simulation import solve as solve
