"""What the inverse toy rests on: ``python tools/inverse_toy.py`` writes book/assets/inverse/data.js.

The physics runs in the browser, in book/assets/inverse/physics.js; this file gives it the numbers that the package knows.
"""

import json

from scipy.ndimage import gaussian_filter1d

from compendium.registry import ROOT
from forwardecg.activation.template import BEFORE, FINE, template
from forwardecg.contract import V_SPAN
from forwardecg.inverse.estimate import LOW_PASS
from forwardecg.inverse.models import COARSE, EARLIEST
from forwardecg.solver.calibration import D_REFERENCE, converged_cv
from forwardecg.tissue.cell import FK_CAF

ASSETS = ROOT / "book" / "assets" / "inverse"
SIDE, DX, DT = 100.0, 0.5, 0.1  # mm of the sheet, and the grid and step whose action potential it is: those of page 23
BIN, EVERY, T_END = 1.0, 2.0, 300.0  # ms: bins of activation times, between samples of the ECG, its length
SITES = 33  # along each side of the map
Z = 40.0  # mm
# the center, and the three electrodes of the first figure of page 23
ELECTRODES = {"center": (50, 50), "lower left": (22, 30), "right": (80, 45), "top": (45, 85)}

TIGHT = (",", ":")  # of JSON, so that the file is small


def page_data() -> dict:
    """Everything that the toy needs and Python knows; ``u`` begins ``before`` ms before activation, one value a bin."""
    form = template(DX, DT, FK_CAF)
    u = gaussian_filter1d(form.up + form.down, LOW_PASS / FINE, mode="nearest")
    u = u[:: round(BIN / FINE)][: round(T_END / BIN) + 1]
    return {
        "side": SIDE, "dx": COARSE, "D": D_REFERENCE, "speed": float(f"{converged_cv(FK_CAF):.9g}"), "span": V_SPAN,
        "sites": SITES, "bin": BIN, "every": EVERY, "t_end": T_END, "before": BEFORE, "latest": EARLIEST,
        "low_pass": LOW_PASS,
        "electrodes": [{"name": name, "x": x, "y": y, "z": Z} for name, (x, y) in ELECTRODES.items()],
        "u": [round(float(value), 4) for value in u],
    }  # fmt: skip


def script(data: dict) -> str:
    """``data`` as a script that sets it."""
    lines = [f" {json.dumps(name)}: {json.dumps(value, separators=TIGHT)}" for name, value in data.items()]
    return (
        "/* Written by tools/inverse_toy.py from the package: do not edit. */\n"
        "window.forwardecgInverse = window.forwardecgInverse || {};\n"
        "window.forwardecgInverse.data = {\n" + ",\n".join(lines) + "\n};\n"
    )


if __name__ == "__main__":
    (ASSETS / "data.js").write_text(script(page_data()), encoding="utf-8", newline="\n")
