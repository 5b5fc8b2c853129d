from .adjoint import activation_times as activation_times
from .estimate import fit as fit
from .estimate import profile as profile
