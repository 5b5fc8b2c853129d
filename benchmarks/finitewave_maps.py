"""Maps of another simulator: one fibrotic sheet in Finitewave, with the ECG of its own voltages, as ``data/small/finitewave.npz``.

    .venv-bench/bin/python benchmarks/finitewave_maps.py

100 x 100 mm, cells of 0.25 mm, patchy fibrosis, D = 0.13 mm^2/ms, a wave from near a corner. The cell is FK-CAF but for one
recovery time: Finitewave knows one tau_v_minus, and gets 60 ms for both. Its grid is not calibrated: along an axis a plane
wave runs at 0.70 mm/ms, 7 % slower than this D says (0.75 on cells of 0.05 mm), so that a D read off the speed is 13 % low.
Its stencil mirrors neighbors at fibrosis, where ours closes faces; at ragged fibrosis that does not conserve charge, and the
potential of its own source would be another one. The ECG here is our lead field, of the D that it used, on all of its cells.
See `fw` for what else differs.
"""

import os
from dataclasses import replace
from pathlib import Path

import fw
import numpy as np

from forwardecg.contract import V_SPAN
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.ecg.leadfield import lead_field
from forwardecg.tissue.cell import FK_CAF
from forwardecg.tissue.sheet import fibrotic, healthy
from forwardecg.tissue.stimulus import focal_stimulus

SHAPE, DX, DT, D, POOL = (400, 400), 0.25, 0.02, 0.13, 8
T_END, FRAME = 400.0, 5.0  # ms
PLACES = {
    "center": (50, 50, 40), "left": (20, 50, 25), "corner": (90, 90, 30), "far": (50, 50, 90), "near": (35, 60, 12)
}  # fmt: skip
TARGET = Path(__file__).resolve().parents[1] / "data" / "small" / "finitewave.npz"

sheet = fibrotic(healthy(SHAPE, DX, D), "patchy", seed=11)
sheet = replace(sheet, D=np.full(SHAPE, D))  # Finitewave takes one D; what is not fibrosis conducts alike
stimulus = focal_stimulus(sheet.grid, 4.0, 12.0, radius=6.0)
cell = replace(FK_CAF, name="FK-CAF, one tau_v_minus", tau_v_minus_low=FK_CAF.tau_v_minus_high)
model = fw.build(sheet.grid, DT, D, cell, [stimulus])
model.cardiac_tissue.mesh[1:-1, 1:-1][~sheet.conductive] = 2  # fibrosis, in its words
electrodes = Electrodes(np.array([*PLACES.values()], float), tuple(PLACES))
L = V_SPAN * lead_field(sheet, electrodes)

maps, phi_e = [], []
for n in range(round(T_END / FRAME) + 1):
    fw.advance(model, round(FRAME / DT) if n else 1, initialize=not n)
    u = np.where(sheet.conductive, model.u[1:-1, 1:-1], 0.0)
    maps.append(u.reshape(SHAPE[0] // POOL, POOL, SHAPE[1] // POOL, POOL).mean((1, 3)))
    phi_e.append(np.tensordot(L, u, ((1, 2), (0, 1))))
    print(f"{model.t:.0f} of {T_END:g} ms, highest u {u.max():.3f}", flush=True)
part = TARGET.with_suffix(".part.npz")
np.savez_compressed(
    part, V_m=np.array(maps, np.float16), units="u", dx_map=DX * POOL, frame_interval=FRAME, dx=DX,
    D=sheet.D, conductive=sheet.conductive, electrodes=electrodes.positions, phi_e=np.array(phi_e, np.float32).T,
    time_ecg=FRAME * np.arange(len(phi_e)), source="Finitewave 0.9.3, benchmarks/finitewave_maps.py", cell=cell.name,
    lead=" ".join(electrodes.names), fibrosis_density=sheet.fibrosis_density,
)  # fmt: skip
os.replace(part, TARGET)
print(f"wrote {TARGET.name}, {TARGET.stat().st_size / 1e3:.0f} kB")
