"""What the live demo of the book rests on: ``python tools/demo.py weights|measure|picture``.

weights   book/assets/demo/weights.js: weights, bands, cell and calibration as the page reads them
measure   data/results/demo*.csv: how good the surrogate is on sheets like those of the page
picture   book/assets/demo/still.webp: what a reader without scripts sees; needs a Chromium
"""

import base64
import csv
import io
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator

import forwardecg
from compendium.registry import ROOT
from forwardecg.contract import V_REST, V_SPAN
from forwardecg.data.recipe import Recipe
from forwardecg.ecg.electrodes import center_electrode
from forwardecg.measure.scores import r2
from forwardecg.paths import RESULTS, progress
from forwardecg.solver.calibration import calibration_table
from forwardecg.solver.simulation import simulate
from forwardecg.surrogates import predict as surrogate
from forwardecg.surrogates.structured import fronts
from forwardecg.surrogates.structured import model as structured
from forwardecg.surrogates.structured.symmetric import CHARACTERS, QUOTIENTS
from forwardecg.tissue.cell import FK_CAF
from forwardecg.tissue.grid import Grid
from forwardecg.tissue.sheet import Tissue, fibrotic, gap_junction, healthy
from forwardecg.tissue.stimulus import Stimulus, focal_stimulus

PAGE, ASSETS = ROOT / "book" / "demo.md", ROOT / "book" / "assets" / "demo"
N_CELLS = 200  # a quarter of the area of the training sheets
T_END = 1000.0  # ms, of a beat that does not come to rest
Z_RANGE = (10.0, 60.0)  # mm
WEAK = 0.4  # D of the brush for weak coupling, relative to healthy tissue
NAMES = {
    "healthy": "healthy",
    "weak": "weak coupling",
    "diffuse": "diffuse fibrosis",
    "patchy": "patchy fibrosis",
    "compact": "compact scars",
}
KINDS = tuple(NAMES)
N_TISSUES, SEED = 40, 20260
# Largest differences between the page and the package that the tests allow: words, number, unit
TOLERANCES = {
    "V_m": ("voltage of any cell at any time, fronts included", 5.0, "mV"),
    "lat": ("activation time of any cell", 0.05, "ms"),
    "ecg": ("exact ECG, relative to its largest value", 1e-3, "1"),
    "inputs": ("what the networks are shown, same maps", 1e-3, "1"),
    "networks": ("conductivity from one network, same maps, relative", 1e-3, "1"),
    "surrogate": ("ECG of the surrogate and its band, same maps, relative to the largest value", 1e-3, "1"),
    "D": ("inferred diffusivity and its error, same maps, relative to the largest value", 1e-3, "1"),
    "unusual": ("unusualness, same maps, relative", 1e-3, "1"),
}


# What the page reads


def colors(name: str) -> str:
    """A colormap as 256 x 3 bytes in base64."""
    import matplotlib

    return base64.b64encode(matplotlib.colormaps[name](np.arange(256), bytes=True)[:, :3].tobytes()).decode()


def page_data() -> dict:
    """Everything that the page needs and Python knows."""
    recipe, model = Recipe(n_sim=1), forwardecg.load_surrogate("structured")
    D, D_num = calibration_table(recipe.dx, recipe.dt, FK_CAF)
    curve = PchipInterpolator(np.log(D), np.log(D_num))
    tensors = [(name, tensor.numel()) for name, tensor in model.models[0].state_dict().items()]
    weights = np.concatenate([part.numpy().ravel() for one in model.models for part in one.state_dict().values()])
    stimulus = Stimulus(mask=np.ones((1, 1), bool))
    cell = {name: value for name, value in asdict(FK_CAF).items() if name not in ("name", "source")}
    return {
        "n": N_CELLS, "dx": recipe.dx, "dt": recipe.dt, "pool": recipe.pool, "t_end": T_END,
        "frame_interval": recipe.frame_interval, "ecg_interval": recipe.ecg_interval,
        "D0": [recipe.D0_low, recipe.D0_high], "weak": WEAK, "names": NAMES, "z": [*Z_RANGE], "z_default": recipe.z_mm,
        "stimulus": {"duration": stimulus.duration, "amplitude": stimulus.amplitude, "radius": 4.0},
        "rest": V_REST, "span": V_SPAN, "cell": cell,
        "calibration": {"log_D": nine_digits(curve.x), "coefficients": [nine_digits(row) for row in curve.c.T]},
        "surrogate": {
            "slowest": fronts.SLOWEST, "behind": fronts.BEHIND, "plateau": fronts.PLATEAU, "leastShare": fronts.LEAST_SHARE,
            "quiet": fronts.QUIET, "flat": fronts.FLAT, "near": fronts.NEAR, "reaches": [*fronts.REACHES],
            "restitution": [nine_digits(row) for row in fronts.RESTITUTION.numpy()], "kappa": structured.KAPPA,
            "mostD": structured.MOST_D, "mostShare": structured.MOST_SHARE, "mostAnisotropy": structured.MOST_ANISOTROPY,
            "minFrames": surrogate.MIN_FRAMES, "minPassed": surrogate.MIN_PASSED,
        },
        "symmetry": {"characters": CHARACTERS.int().tolist(), "quotients": QUOTIENTS.tolist()},
        "config": {
            "members": len(model.models), "width": model.models[0].config.width, "dilations": [*model.models[0].config.dilations],
            "scalars": structured.N_SCALAR, "tensors": structured.N_TENSOR, "tensors_by_name": tensors,
        },
        "bands": {name: model.bands[name] for name in ("phi_e", "D")},
        "reference": {name: nine_digits(value) for name, value in model.bands["reference"].items()},
        "speedRange": model.card["speed_range"], "sha256": model.card["sha256"],
        "colors": {"voltage": colors("viridis"), "diffusivity": colors("cividis")},
        "weights": base64.b64encode(weights.astype("<f4").tobytes()).decode(),
    }  # fmt: skip


def nine_digits(values):
    """Nine digits: more than single precision, and the same on every processor but for the last."""
    return json.loads(
        json.dumps(np.asarray(values, float).tolist()), parse_float=lambda text: float(f"{float(text):.9g}")
    )


def script(data: dict) -> str:
    """``data`` as a script that sets it."""
    lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in data.items()]
    return (
        "/* Written by tools/demo.py from data/models and the package: do not edit. */\n"
        "window.forwardecgDemo = window.forwardecgDemo || {};\n"
        "window.forwardecgDemo.data = {\n" + ",\n".join(lines) + "\n};\n"
    )


def read_script(text: str) -> dict:
    """What `script` wrote."""
    return json.loads(text[text.index("data = ") + len("data = ") :].rstrip().rstrip(";"))


# How good the surrogate is on such sheets


def demo_tissue(sim: int) -> tuple[Tissue, Stimulus, str]:
    """Sheet number ``sim`` as the page draws them: its size, its kinds, one focal stimulus; a seed of its own."""
    rng, recipe = np.random.default_rng([SEED, sim]), Recipe(n_sim=1)
    kind, shape = KINDS[sim % len(KINDS)], (N_CELLS, N_CELLS)
    plain = healthy(shape, recipe.dx, rng.uniform(recipe.D0_low, recipe.D0_high), seed=sim)
    tissue = plain
    if kind == "weak":
        tissue = gap_junction(plain, seed=rng)
    elif kind != "healthy":  # D is not lowered around the fibrosis of the page
        tissue = Tissue(D=plain.D, conductive=fibrotic(plain, kind, seed=rng).conductive, dx=recipe.dx, seed=sim)
    while True:
        x, y = rng.uniform(0.05, 0.95, 2) * N_CELLS * recipe.dx
        stimulus = focal_stimulus(Grid(shape, recipe.dx), x, y)
        if (stimulus.mask & tissue.live).sum() > stimulus.mask.sum() / 2:
            return tissue, stimulus, kind


def beat(tissue: Tissue, stimuli, t_end: float = T_END, pool: int = 4, **options):
    """A beat as the page runs it: to rest, maps every 5 ms, the electrode above the center."""
    above = center_electrode(tissue, Recipe(n_sim=1).z_mm)
    return simulate(tissue, stimuli, t_end=t_end, electrodes=above, pool=pool, stop_at_rest=True, **options)


def measure() -> pd.DataFrame:
    """One row a sheet: what the surrogate makes of its maps, beside the exact ECG."""
    model, rows = forwardecg.load_surrogate("structured"), []
    for sim in range(N_TISSUES):
        tissue, stimulus, kind = demo_tissue(sim)
        ds = beat(tissue, stimulus)
        out = model.predict(ds)
        true = ds.phi_e.sel(time_ecg=ds.time.values).values
        inside = (true >= out.phi_e_low.values) & (true <= out.phi_e_high.values)
        rows.append({
            "sim": sim, "kind": kind, "D0": float(tissue.D.max()), "fibrosis": tissue.fibrosis_density,
            "rest_ms": float(ds.time_ecg[-1]), "activated": float(np.isfinite(ds.lat.values[tissue.live]).mean()),
            "r2": float(r2(true, out.phi_e.values)[0]), "inside": float(inside.mean()), "whole": int(inside.all()),
            "unusual": out.attrs["unusual"], "flagged": int(bool(out.attrs["flags"])),
        })  # fmt: skip
        progress(f"demo: {sim + 1} of {N_TISSUES} sheets")
    return pd.DataFrame(rows)


def table(rows: pd.DataFrame) -> list[list[str]]:
    """By kind and over all: what the page prints."""
    out = []
    for name, part in [*((NAMES[kind], rows[rows.kind == kind]) for kind in KINDS), ("all", rows)]:
        out.append([
            name, f"{len(part)}", f"{part.r2.mean():.3f}", f"{part.r2.min():.3f}", f"{part.inside.mean():.3f}",
            f"{part.whole.sum()} of {len(part)}", f"{part.flagged.sum()} of {len(part)}",
        ])  # fmt: skip
    return out


HEAD = [
    "sheets",
    "n",
    "mean R²",
    "smallest R²",
    "share of samples in the band",
    "whole traces in the band",
    "flagged as unusual",
]


def agreement() -> list[list[str]]:
    """`TOLERANCES` as the page prints them."""
    return [[words, f"{value:g}{'' if unit == '1' else ' ' + unit}"] for words, value, unit in TOLERANCES.values()]


def as_csv(head: list[str], rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()


def page_tables(rows: pd.DataFrame) -> dict[str, str]:
    """The two tables of the page by file name."""
    return {
        "demo_table.csv": as_csv(HEAD, table(rows)),
        "demo_agreement.csv": as_csv(["quantity", "largest difference allowed"], agreement()),
    }


# The page without the book around it


def block() -> str:
    """The raw html of the page."""
    found = re.search(r"^```\{raw\} html\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if not found:
        raise ValueError(f"{PAGE.name}: expected one block of raw html, got none")
    return found[1]


def bare_page(folder: Path, style: str = "") -> Path:
    """The demo alone, in ``folder`` as a page of its own, with the scripts of this working copy."""
    address = ASSETS.as_uri()
    body = block().replace("../_static/demo", address)
    path = folder / "demo.html"
    path.write_text(
        f'<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8"><title>demo</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>'
        f"<body><main>{body}</main></body></html>",
        encoding="utf-8",
    )
    return path


def picture(path: Path) -> None:
    """Take the picture for readers without scripts."""
    import tempfile

    import chromium
    from PIL import Image

    with (
        tempfile.TemporaryDirectory() as folder,
        chromium.browser(chromium.find() or sys.exit(chromium.MISSING)) as browser,
    ):
        page = browser.new_page(viewport={"width": 900, "height": 1200}, device_scale_factor=1)
        page.goto(bare_page(Path(folder), "body{font-family:sans-serif;margin:1rem;background:#fff}").as_uri())
        page.select_option("#demo-speed", "fast")
        page.click("#demo-play")
        page.wait_for_function("forwardecgDemo.page.state().surrogate === 'done'", timeout=60_000)
        page.evaluate("forwardecgDemo.page.show(75)")
        shot = page.locator("#demo-app .demo-stage").screenshot()
        Image.open(io.BytesIO(shot)).convert("RGB").save(path, quality=70, method=6)


def main(what: str) -> None:
    if what == "weights":
        (ASSETS / "weights.js").write_text(script(page_data()), encoding="utf-8", newline="\n")
    elif what == "measure":
        rows = measure()
        rows.round(6).to_csv(RESULTS / "demo.csv", index=False, lineterminator="\n")
        for name, text in page_tables(pd.read_csv(RESULTS / "demo.csv")).items():
            (RESULTS / name).write_text(text, encoding="utf-8", newline="\n")
    elif what == "picture":
        picture(ASSETS / "still.webp")
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) == 2 else "")
