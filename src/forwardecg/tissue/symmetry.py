"""The eight symmetries of the square sheet: quarter turns, and quarter turns after which x is mirrored."""

import torch


def apply_symmetry(u: torch.Tensor, n: int) -> torch.Tensor:
    """One of the eight rotations and reflections of maps (..., H, W): n = 0..7, 0 the identity."""
    u = torch.rot90(u, n % 4, (-2, -1))
    return u.flip(-1) if n >= 4 else u
