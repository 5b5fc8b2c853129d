/* What the sliders of the theory pages compute. Waves run in solver.js of the demo, lead fields in its ecg.js.

   Functions name their counterparts in the package. All is in double precision. */
"use strict";
window.forwardecgSliders = window.forwardecgSliders || {};

(function (sliders, demo) {
  const data = sliders.data;

  /* A table of solver.js that leaves D as it is: exp(log D). */
  const AS_IT_IS = { log_D: [0, 1], coefficients: [[0, 0, 1, 0]] };

  /* A sheet of solver.js of n_x cells in a row with the same D (mm^2/ms), of step dx (mm) and dt (ms). */
  function row(n_x, D, dx, dt, calibration = AS_IT_IS, cell = data.cell) {
    const options = { dx, dt, cell, calibration, stimulus: data.stimulus };
    return new demo.Sheet(new Float64Array(n_x).fill(D), new Uint8Array(n_x).fill(1), 1, n_x, options);
  }

  /* Stimulate the first ``many`` cells of a row from time step ``on``. */
  function pace(sheet, many, on) {
    const cells = Array.from({ length: many }, (_, i) => sheet.stride + 1 + i);
    sheet.stimuli.push({ cells, on, off: on + sheet.stimulusSteps });
  }

  const to_mV = (u) => data.rest + data.span * u;

  /* The first time after ``from`` at which a trace passes a level, linear between samples dt apart; NaN if never. */
  function crossing(trace, level, dt, rising, from) {
    const sign = rising ? 1 : -1;
    for (let k = Math.max(Math.ceil(from / dt), 0); k + 1 < trace.length; k++) {
      const before = sign * (trace[k] - level), after = sign * (trace[k + 1] - level);
      if (before < 0 && after >= 0) return dt * (k + before / (before - after));
    }
    return NaN;
  }

  /* waves.apd90 of the beat after ``from`` (ms): from u = 1/2 down to a tenth of the peak; NaN without a beat. */
  function apd90(u, dt, from = 0, to = Infinity) {
    const part = u.slice(0, Math.min(u.length, Math.round(to / dt))), lat = crossing(part, 0.5, dt, true, from);
    let peak = 0;
    for (let k = Math.round(from / dt); k < part.length; k++) peak = Math.max(peak, part[k]);
    return Number.isNaN(lat) ? NaN : crossing(part, 0.1 * peak, dt, false, lat) - lat;
  }

  /* One cell that is stimulated at 0 and at ``interval`` ms, with the threshold u_v, and with the two recovery times of
     the gate v exchanged if ``swapped``. Traces of u and v, one value every ``dt`` ms. */
  function twoBeats(u_v, interval, swapped, t_end) {
    const { tau_v_minus_low: low, tau_v_minus_high: high } = data.cell, dt = data.cell_dt;
    const cell = { ...data.cell, u_v, tau_v_minus_low: swapped ? high : low, tau_v_minus_high: swapped ? low : high };
    const sheet = row(1, data.D0, data.dx, dt, AS_IT_IS, cell), at = sheet.stride + 1, n = Math.round(t_end / dt);
    pace(sheet, 1, 0);
    pace(sheet, 1, Math.round(interval / dt));
    const u = new Float64Array(n + 1), v = new Float64Array(n + 1).fill(1);
    for (let k = 1; k <= n; k++) {
      sheet.advance(1);
      u[k] = sheet.u[at];
      v[k] = sheet.v[at];
    }
    const before = Math.round(interval / dt), second = u.subarray(before);
    const rise = second.reduce((most, value, k) => (k ? Math.max(most, (value - second[k - 1]) / dt) : 0), 0);
    return { u, v, dt, first: apd90(u, dt, 0, interval), second: apd90(u, dt, interval), gate: v[before], rise: data.span * rise };
  }

  /* calibration.cable_cv: speed (mm/ms) of a plane wave on a cable of step dx (mm) with D (mm^2/ms) as it is, timed between
     fixed nodes; NaN where the grid stops it. And the front when a wave at the speed ``converged`` has run ``ahead`` mm from
     the first of these nodes, which is where x (mm) is counted from. */
  function cableSpeed(D, dx, converged, ahead) {
    const dt = data.cable_dt, node = dx * Math.sqrt(data.D_reference / D); // mm of the reference cable per node
    const n = Math.max(Math.round(30 / node), 40), first = Math.max(Math.round(10 / node), 12);
    const last = Math.max(Math.round(20 / node), first + 12), sheet = row(n, D, dx, dt), t_end = 60 * (1 + 4 * node);
    pace(sheet, Math.max(Math.round(2 / node), 2), 0);
    let u = null;
    while ((sheet.lat[last] < 0 || !u) && sheet.time < t_end) {
      sheet.advance(10);
      if (!u && sheet.lat[first] >= 0 && sheet.time >= sheet.lat[first] + ahead / converged) u = sheet.frame();
    }
    const reached = sheet.lat[last] >= 0, x = Array.from({ length: n }, (_, i) => (i - first) * dx);
    return { speed: reached ? ((last - first) * dx) / (sheet.lat[last] - sheet.lat[first]) : NaN, x, u: u || sheet.frame() };
  }

  /* Speed (mm/ms) on an ever finer grid: calibration.converged_cv, scaled with the root of D. */
  const continuumSpeed = (D) => data.converged * Math.sqrt(D / data.D_reference);

  /* A plane wave that starts at x = 0 of a sheet with ``n`` columns of healthy tissue: u (time, x), one row each ms. */
  function planeWave(n, t_end) {
    const sheet = row(n, data.D0, data.dx, data.dt, data.calibration), steps = Math.round(1 / data.dt), frames = [sheet.frame()];
    pace(sheet, Math.round(data.stimulus.width / data.dx), 0);
    while (frames.length <= t_end) {
      sheet.advance(steps);
      frames.push(sheet.frame());
    }
    return frames;
  }

  /* Sums over the columns of a square sheet of n x n cells of a weight of the place (x, y) in mm from its corner. */
  function columnSums(n, weight) {
    return Float64Array.from({ length: n }, (_, i) => {
      let sum = 0;
      for (let j = 0; j < n; j++) sum += weight((i + 0.5) * data.dx, (j + 0.5) * data.dx);
      return sum;
    });
  }

  /* leadfield.lead_field of a uniform sheet, summed over its columns, for the column sums K of a weight: what flows in y
     adds up to zero, so that the flux in x is left, and none leaves at the ends. */
  function columnField(K) {
    return K.map((here, i) => data.D0 * ((i ? K[i - 1] - here : 0) + (i + 1 < K.length ? K[i + 1] - here : 0)));
  }

  /* leadfield.pseudo_ecg of a plane wave u (time, x), one value each ms. */
  const planeEcg = (field, frames) => Float64Array.from(frames, (u) => demo.pseudoEcg(field, u, data.span));

  /* The sheet of n x n cells under an electrode at height z (mm) above its center: 1/R and the lead field along the row
     under it, and the ECG of a plane wave with the weight 1/R, and with 1/R^2. */
  function above(n, z, frames) {
    const center = (n * data.dx) / 2, R2 = (x, y) => (x - center) ** 2 + (y - center) ** 2 + z * z;
    const sheet = { n_y: n, n_x: n, dx: data.dx, D: new Float64Array(n * n).fill(data.D0) };
    const L = demo.leadField(sheet, { x: center, y: center, z }), middle = Math.floor(n / 2) * n;
    const x = Float64Array.from({ length: n }, (_, i) => (i + 0.5) * data.dx);
    return {
      x, L: L.slice(middle, middle + n), weight: x.map((at) => 1 / Math.sqrt(R2(at, center + data.dx / 2))),
      ecg: planeEcg(columnField(columnSums(n, (at, y) => 1 / Math.sqrt(R2(at, y)))), frames),
      squared: planeEcg(columnField(columnSums(n, (at, y) => 1 / R2(at, y))), frames),
    };
  }

  /* torso.Disc.potential: G at (x, y) of a source at (x0, y0), mm from the center of a disc of that radius. */
  function discPotential(x, y, x0, y0, radius) {
    const r_r = (x * x + y * y) / radius ** 2, r_r0 = (x * x0 + y * y0) / radius ** 2, r0_r0 = (x0 * x0 + y0 * y0) / radius ** 2;
    return -Math.log((Math.hypot(x - x0, y - y0) / radius) * Math.sqrt(1 - 2 * r_r0 + r_r * r0_r0));
  }

  /* ECG of a plane wave on a sheet of n x n cells in the middle of a disc, at an electrode ``at`` mm from the center in the
     direction of the wave: in the disc, and in an endless plane. */
  function inDisc(n, radius, at, frames) {
    const half = (n * data.dx) / 2, ecg = (weight) => planeEcg(columnField(columnSums(n, weight)), frames);
    return {
      disc: ecg((x, y) => discPotential(at, 0, x - half, y - half, radius)),
      plane: ecg((x, y) => -Math.log(Math.hypot(at - x + half, y - half) / radius)),
    };
  }

  /* losses.huber of two traces: the mean over their samples. */
  function huber(pred, truth, delta) {
    const one = (r) => (r <= delta ? r * r / 2 : delta * (r - delta / 2));
    return pred.reduce((sum, value, k) => sum + one(Math.abs(value - truth[k])), 0) / pred.length;
  }

  /* losses._spectral_density: shares of the power of a trace after a Hann window, one a frequency. */
  function shares(y) {
    const T = y.length, windowed = y.map((value, k) => value * (0.5 - 0.5 * Math.cos((2 * Math.PI * k) / (T - 1))));
    const power = Float64Array.from({ length: Math.floor(T / 2) + 1 }, (_, j) => {
      let re = 0, im = 0;
      windowed.forEach((value, k) => {
        const angle = (2 * Math.PI * ((j * k) % T)) / T;
        re += value * Math.cos(angle);
        im += value * Math.sin(angle);
      });
      return re * re + im * im + data.loss.silence;
    });
    const sum = power.reduce((a, b) => a + b, 0);
    return power.map((value) => value / sum);
  }

  /* losses.spectral_entropy: 0 for a pure tone, 1 for white noise. */
  function entropy(y) {
    const q = shares(y);
    return -q.reduce((sum, share) => sum + share * Math.log(share), 0) / Math.log(q.length);
  }

  /* losses.hybrid and its two terms. */
  function hybrid(pred, truth, delta, weight) {
    const terms = { huber: huber(pred, truth, delta), mismatch: Math.abs(entropy(pred) - entropy(truth)) };
    return { ...terms, sum: terms.huber + weight * terms.mismatch };
  }

  /* A prediction made of the true trace: smoothed by a Gaussian of that width (ms), times a factor, with noise (SD) added. */
  function spoil(truth, dt, width, factor, noise) {
    const seed = generator(7), kernel = truth.map((_, k) => (width ? Math.exp(-(((k * dt) / width) ** 2) / 2) : k ? 0 : 1));
    return truth.map((_, k) => {
      let sum = 0, weights = 0;
      truth.forEach((value, m) => {
        const weight = kernel[Math.abs(k - m)];
        sum += weight * value;
        weights += weight;
      });
      return (factor * sum) / weights + noise * seed();
    });
  }

  /* Normal numbers, the same in each run: a linear congruential generator and Box and Muller's transform. */
  function generator(seed) {
    const uniform = () => (seed = (1664525 * seed + 1013904223) % 4294967296) / 4294967296;
    return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  }

  Object.assign(sliders, {
    above, cableSpeed, columnField, columnSums, continuumSpeed, discPotential, entropy, hybrid, inDisc, planeWave, shares, spoil, to_mV, twoBeats,
  });
})(window.forwardecgSliders, (window.forwardecgDemo = window.forwardecgDemo || {}));
