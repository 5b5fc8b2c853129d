/* The exact ECG: phi_e = L . V_m with the lead field L = A (1/r) of the physical D. src/forwardecg/ecg/leadfield.py, tissue/diffusion.py. */
"use strict";

(function (demo) {
  /* leadfield.distances: mm from an electrode (x, y, z) to the centers of the cells. */
  function distances(n_y, n_x, dx, at) {
    const r = new Float64Array(n_y * n_x);
    for (let y = 0; y < n_y; y++)
      for (let x = 0; x < n_x; x++) r[y * n_x + x] = Math.hypot((x + 0.5) * dx - at.x, (y + 0.5) * dx - at.y, at.z);
    return r;
  }

  /* diffusion.net_flux: (A z)_i = sum over the neighbors of g_ij (z_j - z_i). */
  function netFlux(z, g, n_y, n_x) {
    const total = new Float64Array(n_y * n_x);
    for (let y = 0; y < n_y; y++)
      for (let x = 0; x < n_x; x++) {
        const i = y * n_x + x;
        if (x > 0) {
          const flux = g.D_x[y * (n_x + 1) + x] * (z[i] - z[i - 1]);
          total[i - 1] += flux;
          total[i] -= flux;
        }
        if (y > 0) {
          const flux = g.D_y[i] * (z[i] - z[i - n_x]);
          total[i - n_x] += flux;
          total[i] -= flux;
        }
      }
    return total;
  }

  /* leadfield.lead_field: L = A (1/r), mm/ms, of a sheet of `solver.js` and its physical D. */
  function leadField(sheet, at) {
    const weight = distances(sheet.n_y, sheet.n_x, sheet.dx, at).map((r) => 1 / r);
    return netFlux(weight, demo.faceDiffusivity(sheet.D, sheet.n_y, sheet.n_x), sheet.n_y, sheet.n_x);
  }

  /* leadfield.pseudo_ecg at one instant: V_SPAN sum of L u, since L of a constant voltage is 0; u without a halo. */
  function pseudoEcg(L, u, span) {
    let sum = 0;
    for (let i = 0; i < L.length; i++) sum += L[i] * u[i];
    return span * sum;
  }

  Object.assign(demo, { leadField, pseudoEcg });
})(window.forwardecgDemo);
