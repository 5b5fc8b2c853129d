"""Finitewave 0.9.3, driven for a comparison: the same equations, parameters, grid, steps and stimulus.

What its FentonKarma does otherwise than `forwardecg` (its source, version 0.9.3):

- The gates take an explicit Euler step, not an exact one. Its tau_v_m is one number below u_c: no split at u_v, so that of
  the published sets only MLR-I can be compared (tau_v_minus_low = tau_v_minus_high). Its default tau_d = 0.172 is 1/5.8
  rounded; here all parameters come from ours. tau_o is tau_0, uc_si is u_c_si, tau_v_m is tau_v_minus.
- The isotropic stencil mirrors the neighbor at a border (`compute_component` doubles the coupling of a node whose other
  neighbor is missing). The border then runs through the outermost nodes: n nodes span (n - 1) dx, our n cells n dx.
  The stencil for fibers closes faces instead, as ours does: there n nodes span n dx.
- A stimulus enters u before the step, ours after it, so that the same wave would run one dt earlier: it is given one step
  later. It ends with the first step at t >= start + duration; start and end half way between steps avoid rounding.
- A border of empty nodes is added all around. Arrays are [axis 0, axis 1], as ours are (y, x).
- npfloat = "float32" makes the arrays float32; parameters, dt and literals stay float64, and so does the arithmetic.
- Every call of `initialize` builds and compiles a kernel anew, per model. `run(initialize=False)` goes on with the one there
  is: all steps after the first ones are free of compilation.
"""

import finitewave
import numpy as np

from forwardecg.tissue.cell import FKParams
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.stimulus import Stimulus


def build(grid: Grid, dt, D, fk: FKParams, stimuli: list[Stimulus], npfloat="float64", D_across=None):
    """A model with its border added; with ``D_across`` the fibers run along x."""
    tissue = finitewave.CardiacTissue([n + 2 for n in grid.shape])
    model = finitewave.FentonKarma()
    model.cardiac_tissue, model.dt, model.dr, model.D_model = tissue, dt, grid.dx, D
    model.npfloat, model.prog_bar = npfloat, False
    if fk.tau_v_minus_low != fk.tau_v_minus_high:
        raise ValueError(f"{fk.name}: expected one tau_v_minus, got two")
    for theirs, ours in {
        "tau_d": "tau_d", "tau_o": "tau_0", "tau_r": "tau_r", "tau_si": "tau_si", "k": "k", "u_c": "u_c", "uc_si": "u_c_si",
        "tau_v_m": "tau_v_minus_low", "tau_v_p": "tau_v_plus", "tau_w_m": "tau_w_minus", "tau_w_p": "tau_w_plus",
    }.items():  # fmt: skip
        setattr(model, theirs, getattr(fk, ours))
    if D_across is not None:
        tissue.fibers = np.broadcast_to((0.0, 1.0), (*tissue.mesh.shape, 2))
        model.stencil = finitewave.AsymmetricStencil2D()
        model.stencil.D_al, model.stencil.D_ac = 1.0, D_across / D
    model.stim_sequence = finitewave.StimSequence()
    for s in stimuli:
        under = np.pad(s.mask, 1)
        current = finitewave.StimCurrentMatrix(s.start + 0.5 * dt, s.amplitude, s.duration - dt, under)
        model.stim_sequence.add_stim(current)
    return model


def advance(model, n_steps: int, initialize: bool = False) -> None:
    """``n_steps`` more steps; only with ``initialize`` does it start at rest, and compile."""
    start = 0.0 if initialize else model.t
    model.t_max = start + (n_steps - 0.5) * model.dt
    if initialize:
        model.t = 0.0
    model.run(initialize=initialize)


class Activation(finitewave.Tracker):
    """First upward crossing of u = 1/2, linear between steps, as ours: its own tracker records the step after it."""

    def initialize(self, model):
        self.model, self.before = model, np.zeros_like(model.u)
        self.lat = np.full(model.u.shape, np.nan)

    def _track(self):
        u, dt = self.model.u, self.model.dt
        new = (u >= 0.5) & np.isnan(self.lat)
        if new.any():
            before = self.before[new]
            self.lat[new] = self.model.t - dt * (u[new] - 0.5) / (u[new] - before)
        self.before[:] = u
