"""The eight symmetries of the square sheet: quarter turns, and quarter turns after which x is mirrored."""

import torch


def symmetry(u: torch.Tensor, n: int) -> torch.Tensor:
    """One of the eight rotations and reflections of maps (..., H, W): n = 0..7, 0 the identity.

    Parameters
    ----------
    u : (..., H, W)
    n : number of the symmetry

    Returns
    -------
    u : (..., H, W)

    Examples
    --------
    >>> symmetry(torch.tensor([[1, 2], [3, 4]]), 1).tolist(), symmetry(torch.tensor([[1, 2], [3, 4]]), 4).tolist()
    ([[2, 4], [1, 3]], [[2, 1], [4, 3]])
    """
    u = torch.rot90(u, n % 4, (-2, -1))
    return u.flip(-1) if n >= 4 else u
