from .eikonal import solve_eikonal as solve_eikonal
from .forward import ecg_from_activation as ecg_from_activation
from .forward import eikonal_ecg as eikonal_ecg
