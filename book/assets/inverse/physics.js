/* What the inverse toy computes. Lead fields are those of ecg.js of the demo.

   Functions name their counterparts in the package. */
"use strict";
window.forwardecgInverse = window.forwardecgInverse || {};

(function (inverse, demo) {
  const { data } = inverse, n = Math.round(data.side / data.dx), many = data.electrodes.length;
  const samples = Math.round(data.t_end / data.every) + 1, stride = Math.round(data.every / data.bin);
  const SHIFTS = Math.round(data.latest / data.every) + 1; // onsets that are tried
  const DARK = 1e-3; // misfit that is black on the map
  const APART = 6; // mm of a hidden site from the axes of symmetry, so that its images are apart, and from the edge

  /* leadfield.lead_field of the uniform sheet, one for each electrode. */
  const sheet = { n_y: n, n_x: n, dx: data.dx, D: new Float64Array(n * n).fill(data.D) };
  const fields = data.electrodes.map((at) => demo.leadField(sheet, at));

  /* Sites of the map in mm, row by row from y = 0. */
  const along = (k) => ((k + 0.5) / data.sites) * data.side;
  const sites = Array.from({ length: data.sites ** 2 }, (_, k) => ({ x: along(k % data.sites), y: along(Math.floor(k / data.sites)) }));

  /* forward.ecg_from_activation of T = distance / speed, with recovery a fixed time after it, after the low-pass: ECGs (lead,
     sample) of a wave from (x, y) that begins ``before`` ms after the record. Weights are put in bins of T, then convolved. */
  function ecg(x, y) {
    const bins = Math.ceil((data.side * Math.SQRT2) / data.speed / data.bin) + 2, pulses = new Float64Array(many * bins);
    for (let j = 0, cell = 0; j < n; j++)
      for (let i = 0; i < n; i++, cell++) {
        const right = (i + 0.5) * data.dx - x, up = (j + 0.5) * data.dx - y;
        const at = Math.sqrt(right * right + up * up) / (data.speed * data.bin), k = Math.floor(at);
        for (let lead = 0; lead < many; lead++) {
          const above = fields[lead][cell] * (at - k);
          pulses[lead * bins + k] += fields[lead][cell] - above;
          pulses[lead * bins + k + 1] += above;
        }
      }
    const phi = new Float64Array(many * samples), { u } = data;
    for (let lead = 0; lead < many; lead++)
      for (let k = 0; k < samples; k++) {
        const from = lead * bins, last = Math.min(bins - 1, stride * k);
        let sum = 0;
        for (let m = 0; m <= last; m++) sum += pulses[from + m] * u[stride * k - m];
        phi[lead * samples + k] = data.span * sum;
      }
    return phi;
  }

  /* Numbers between 0 and 1, the same in each run: the generator mulberry32. */
  function generator(seed) {
    return () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let z = Math.imul(seed ^ (seed >>> 15), seed | 1);
      z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
      return ((z ^ (z >>> 14)) >>> 0) / 4294967296;
    };
  }

  /* A hidden site (its number) and onset (in samples) by the number of a wave. */
  function hidden(wave) {
    const uniform = generator(wave), middle = data.side / 2;
    const fair = sites.flatMap((at, k) => {
      const right = Math.abs(at.x - middle), up = Math.abs(at.y - middle);
      return Math.min(right, up, Math.abs(right - up), middle - right, middle - up) >= APART ? [k] : [];
    });
    return { site: fair[Math.floor(uniform() * fair.length)], onset: Math.floor(uniform() * SHIFTS) };
  }

  /* White noise (lead, sample) of SD 1 by the number of a wave, one value a bin, after the low-pass of estimate.read. */
  function noise(wave) {
    const uniform = generator(~wave), reach = Math.ceil((4 * data.low_pass) / data.bin);
    const kernel = Array.from({ length: 2 * reach + 1 }, (_, k) => Math.exp(-((((k - reach) * data.bin) / data.low_pass) ** 2) / 2));
    const sum = kernel.reduce((a, b) => a + b), out = new Float64Array(many * samples);
    for (let lead = 0; lead < many; lead++) {
      const white = Array.from({ length: stride * samples + 2 * reach }, () =>
        Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())); // Box and Muller
      for (let k = 0; k < samples; k++)
        out[lead * samples + k] = kernel.reduce((all, weight, m) => all + weight * white[stride * k + m], 0) / sum;
    }
    return out;
  }

  /* The record (lead, sample) of the ECGs ``phi`` that begin ``onset`` samples later, with noise as a share of the SD of each. */
  function record(phi, onset, white, share) {
    const out = new Float64Array(many * samples);
    for (let lead = 0; lead < many; lead++) {
      const one = out.subarray(lead * samples, (lead + 1) * samples);
      one.set(phi.subarray(lead * samples, (lead + 1) * samples - onset), onset);
      const mean = one.reduce((a, b) => a + b) / samples, sd = Math.sqrt(one.reduce((a, b) => a + (b - mean) ** 2, 0) / samples);
      one.forEach((value, k) => (one[k] = value + share * sd * white[lead * samples + k]));
    }
    return out;
  }

  /* Squared errors (lead, onset) of the ECGs ``phi`` of a site as a model of a record. */
  function errors(phi, seen) {
    const out = new Float64Array(many * SHIFTS);
    for (let lead = 0; lead < many; lead++)
      for (let shift = 0; shift < SHIFTS; shift++) {
        const from = lead * samples;
        let sum = 0;
        for (let k = 0; k < samples; k++) sum += (seen[from + k] - (k < shift ? 0 : phi[from + k - shift])) ** 2;
        out[lead * SHIFTS + shift] = sum;
      }
    return out;
  }

  /* estimate.profile with the speed known: of each site, least over the onset of |phi_e - model|^2 / |phi_e|^2 over the chosen
     leads. ``each`` is `errors` of all sites. */
  function misfits(each, seen, chosen) {
    let norm = 0;
    for (const lead of chosen) for (let k = 0; k < samples; k++) norm += seen[lead * samples + k] ** 2;
    return Float64Array.from(each, (error) => {
      let least = Infinity;
      for (let shift = 0; shift < SHIFTS; shift++) least = Math.min(least, chosen.reduce((sum, lead) => sum + error[lead * SHIFTS + shift], 0));
      return least / norm;
    });
  }

  /* Sites that fit better than those beside them and, as in the table of the page, less than twice as badly as the best one,
     or exactly but for rounding. */
  function wells(misfit) {
    const side = data.sites, least = misfit.reduce((a, b) => Math.min(a, b));
    return sites.flatMap((_, k) => {
      const x = k % side, y = Math.floor(k / side);
      if (misfit[k] >= 2 * least && misfit[k] > 1e-12) return [];
      for (let j = Math.max(y - 1, 0); j <= Math.min(y + 1, side - 1); j++)
        for (let i = Math.max(x - 1, 0); i <= Math.min(x + 1, side - 1); i++) if (misfit[j * side + i] < misfit[k]) return [];
      return [k];
    });
  }

  Object.assign(inverse, { DARK, ecg, errors, hidden, misfits, noise, record, samples, sites, wells });
})(window.forwardecgInverse, window.forwardecgDemo);
