"""What the sliders of the theory pages rest on: ``python tools/sliders.py`` writes book/assets/sliders/data.js.

The physics runs in the browser, in book/assets/sliders/physics.js; this file gives it the numbers that the package knows.
"""

import json
from dataclasses import asdict
from inspect import signature

import numpy as np
from demo import nine_digits
from scipy.interpolate import PchipInterpolator

from compendium.registry import ROOT
from forwardecg.contract import V_REST, V_SPAN
from forwardecg.data.maps import load_small
from forwardecg.data.recipe import Recipe
from forwardecg.solver import calibration
from forwardecg.surrogates.paper.losses import SILENCE
from forwardecg.surrogates.paper.task import Seq2SeqLoss
from forwardecg.tissue.cell import FK_CAF
from forwardecg.tissue.stimulus import Stimulus, edge_stimulus

ASSETS = ROOT / "book" / "assets" / "sliders"
PAGES = ("cell", "tissue", "forward", "torso", "surrogate")  # book/<name>.md
CELL_STEP, CABLE_STEP = 0.01, 0.005  # ms: so short that the grid alone slows the cable of the slider
FRAME_INTERVAL = 10.0  # ms between the samples of the ECG whose loss is shown, as the paper's network has them
TISSUE = "fibrotic"  # of data/small


def page_data() -> dict:
    """Everything that the sliders need and Python knows."""
    recipe, loss, stimulus = Recipe(n_sim=1), Seq2SeqLoss(), Stimulus(mask=np.ones((1, 1), bool))
    D, D_num = calibration.calibration_table(recipe.dx, recipe.dt, FK_CAF)
    curve = PchipInterpolator(np.log(D), np.log(D_num))
    width = signature(edge_stimulus).parameters["width"].default
    small = load_small()
    sim = small.condition.values.tolist().index(TISSUE)
    ecg = small.phi_e[sim].sel(lead="center")[:: round(FRAME_INTERVAL / recipe.ecg_interval)].values.astype(float)
    return {
        "dx": recipe.dx, "dt": recipe.dt, "cell_dt": CELL_STEP, "cable_dt": CABLE_STEP, "D0": (recipe.D0_low + recipe.D0_high) / 2,
        "n": recipe.n_cells, "z": recipe.z_mm, "rest": V_REST, "span": V_SPAN,
        "cell": {name: value for name, value in asdict(FK_CAF).items() if name not in ("name", "source")},
        "stimulus": {"duration": stimulus.duration, "amplitude": stimulus.amplitude, "width": width},
        "calibration": {"log_D": nine_digits(curve.x), "coefficients": [nine_digits(row) for row in curve.c.T]},
        "D_reference": calibration.D_REFERENCE, "converged": nine_digits(calibration.converged_cv(FK_CAF)),
        "loss": {"delta": loss.delta, "lambda": loss.lambda_se, "silence": SILENCE, "dt": FRAME_INTERVAL,
                 "ecg": nine_digits(ecg / ecg.std(ddof=1))},
    }  # fmt: skip


def script(data: dict) -> str:
    """``data`` as a script that sets it."""
    lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in data.items()]
    return (
        "/* Written by tools/sliders.py from the package: do not edit. */\n"
        "window.forwardecgSliders = window.forwardecgSliders || {};\n"
        "window.forwardecgSliders.data = {\n" + ",\n".join(lines) + "\n};\n"
    )


def read_script(text: str) -> dict:
    """What `script` wrote."""
    return json.loads(text[text.index("data = ") + len("data = ") :].rstrip().rstrip(";"))


if __name__ == "__main__":
    (ASSETS / "data.js").write_text(script(page_data()), encoding="utf-8", newline="\n")
