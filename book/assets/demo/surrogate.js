/* The structured surrogate: voltage maps -> fronts -> conductivity by five small networks -> the exact operator -> ECG.

   src/forwardecg/surrogates/structured/{fronts, model, symmetric}.py, ecg/pixels.py, surrogates/predict.py, measure/bands.py; a function names its
   counterpart. Maps are {u, n_t, n_y, n_x, dx, dt}: u (time, y, x) in 0..1, dx in mm, dt in ms. Nothing else is asked for:
   neither the conductivity, nor where tissue is fibrotic, nor where the wave was started. */
"use strict";

(function (demo) {
  // Small pieces

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high); // NaN stays NaN
  const sorted = (values) => Float64Array.from(values).filter((value) => !Number.isNaN(value)).sort();

  /* torch.nanmedian: the lower of the two in the middle; NaN if there is none. */
  function median(values) {
    const known = sorted(values);
    return known.length ? known[(known.length - 1) >> 1] : NaN;
  }

  /* The error function, from the Chebyshev fit of erfc in Numerical Recipes (relative error below 1.2e-7). */
  function erf(x) {
    const z = Math.abs(x), t = 1 / (1 + z / 2);
    const p =
      -z * z - 1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 +
      t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
    const tail = t * Math.exp(p);
    return x >= 0 ? 1 - tail : tail - 1;
  }

  /* torch.nn.functional.gelu, in place. */
  function gelu(z) {
    for (let i = 0; i < z.length; i++) z[i] *= 0.5 * (1 + erf(z[i] * Math.SQRT1_2));
    return z;
  }

  /* grid.blocks: the maps of a list of frames of cells, each pixel the plain mean over pool x pool cells. */
  function maps(frames, n_y, n_x, pool, dx, dt) {
    const rows = n_y / pool, columns = n_x / pool, u = new Float32Array(frames.length * rows * columns);
    frames.forEach((frame, t) => {
      for (let y = 0; y < rows; y++)
        for (let x = 0; x < columns; x++) {
          let sum = 0;
          for (let b = 0; b < pool; b++)
            for (let a = 0; a < pool; a++) sum += frame[(y * pool + b) * n_x + x * pool + a];
          u[(t * rows + y) * columns + x] = sum / pool ** 2;
        }
    });
    return { u, n_t: frames.length, n_y: rows, n_x: columns, dx: dx * pool, dt };
  }

  // Fronts

  /* fronts._crossings: upward crossings of `level` of maps read as at(t, pixel), linear in time. */
  function crossings(at, m, level, width, share, quiet) {
    const found = [];
    for (let i = 0; i < m.n_y * m.n_x; i++) {
      if (!(level[i] > (quiet / 2) * 1.001)) continue;
      for (let t = 0; t < m.n_t - 1; t++) {
        const low = at(t, i), high = at(t + 1, i);
        if (!(low < level[i] && high >= level[i])) continue;
        const earlier = at(Math.max(t - width + 1, 0), i), later = at(Math.min(t + width, m.n_t - 1), i);
        if (!(later - earlier > share * level[i])) continue; // noise at the foot of a wave crosses back and forth
        found.push({ frame: t, pixel: i, y: Math.floor(i / m.n_x), x: i % m.n_x, time: m.dt * (t + (level[i] - low) / (high - low)) });
      }
    }
    return found;
  }

  /* fronts._Times: the crossings of each pixel. */
  function times(list, m) {
    const of = Array.from({ length: m.n_y * m.n_x }, () => []);
    for (const one of list) of[one.pixel].push(one.time);
    return {
      /* Gap in ms to the crossing of (y, x) nearest to `time`; NaN if there is none `within` so many ms. */
      nearest(time, y, x, within) {
        let best = Infinity;
        if (y >= 0 && y < m.n_y && x >= 0 && x < m.n_x)
          for (const t of of[y * m.n_x + x]) if (Math.abs(t - time) < Math.abs(best)) best = t - time;
        return Math.abs(best) <= within ? best : NaN;
      },
      /* The last crossing of a pixel before `time`; -Infinity where there is none. */
      before(time, pixel) {
        let best = -Infinity;
        for (const t of of[pixel]) if (t < time && t > best) best = t;
        return best;
      },
    };
  }

  /* fronts._plane: least squares plane through the crossing times around a crossing; [p_x^2, p_y^2, p_x p_y, residual]. */
  function plane(one, known, reach, dx, slowest) {
    let n = 0, sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0, st = 0, stx = 0, sty = 0, stt = 0;
    for (let b = -reach; b <= reach; b++)
      for (let a = -reach; a <= reach; a++) {
        const gap = known.nearest(one.time, one.y + b, one.x + a, (dx * Math.hypot(a, b)) / slowest);
        if (Number.isNaN(gap)) continue;
        n += 1; sx += a; sy += b; sxx += a * a; syy += b * b; sxy += a * b;
        st += gap; stx += gap * a; sty += gap * b; stt += gap * gap;
      }
    n = Math.max(n, 1);
    const xx = sxx / n - (sx * sx) / n ** 2, yy = syy / n - (sy * sy) / n ** 2, xy = sxy / n - (sx * sy) / n ** 2;
    const tx = stx / n - (st * sx) / n ** 2, ty = sty / n - (st * sy) / n ** 2, tt = stt / n - (st * st) / n ** 2;
    const det = xx * yy - xy * xy;
    if (!(det > 0.02 * reach ** 4)) return [NaN, NaN, NaN, NaN]; // all in one line
    const p_x = (yy * tx - xy * ty) / det, p_y = (xx * ty - xy * tx) / det; // ms per pixel
    const left = Math.sqrt(Math.max(tt - p_x * tx - p_y * ty, 0));
    return [(p_x / dx) ** 2, (p_y / dx) ** 2, ((p_x / dx) * p_y) / dx, left];
  }

  /* fronts.restitution: speed and amplitude of a front after `rest` ms, relative to those after long rest. */
  function restitution(rest, [ms, speed, amplitude]) {
    if (Number.isNaN(rest)) return [NaN, NaN];
    const t = clamp(rest, ms[0], ms[ms.length - 1]);
    let k = 1;
    while (k < ms.length - 1 && ms[k] < t) k++;
    const w = (t - ms[k - 1]) / (ms[k] - ms[k - 1]);
    return [speed, amplitude].map((row) => (1 - w) * row[k - 1] + w * row[k]);
  }

  /* fronts._mean_at: mean of the finite values over the crossings of each pixel, 0 without any; and their number. */
  function meanAt(list, values, n) {
    const total = new Float64Array(n), count = new Float64Array(n);
    list.forEach((one, k) => {
      if (!Number.isFinite(values[k])) return;
      total[one.pixel] += values[k];
      count[one.pixel] += 1;
    });
    return { mean: total.map((sum, i) => sum / Math.max(count[i], 1)), count };
  }

  /* fronts.read_fronts: what passed each pixel. slowness and residual by kind: up 3 x 3, up 5 x 5, down 3 x 3, down 5 x 5. */
  function fronts(m, k) {
    const { u, n_t, dt } = m, n = m.n_y * m.n_x;
    const peak = new Float64Array(n).fill(-Infinity), rise = new Float64Array(n).fill(-Infinity);
    for (let t = 0; t < n_t; t++)
      for (let i = 0; i < n; i++) {
        peak[i] = Math.max(peak[i], u[t * n + i]);
        if (t) rise[i] = Math.max(rise[i], u[t * n + i] - u[(t - 1) * n + i]);
      }
    const level = peak.map((value) => Math.max(value, k.quiet) / 2);
    const n_behind = Math.max(Math.round(k.behind / dt), 1);
    const width = Math.max(1, Math.round(5 / dt)); // frames in 5 ms, in which a front passes a pixel
    const up = crossings((t, i) => u[t * n + i], m, level, width, 0.8, k.quiet);
    const down = crossings((t, i) => u[(n_t - 1 - t) * n + i], m, level, n_behind, 0.5, k.quiet); // of the movie backward
    for (const one of down) one.time = (n_t - 1) * dt - one.time;
    const ups = times(up, m), downs = times(down, m);
    const began = down.map((one) => ups.before(one.time, one.pixel)); // of the beats that end there
    const after = up.map((one) => restitution(one.time - downs.before(one.time, one.pixel), k.restitution));
    const afterDown = down.map((one, j) => restitution(began[j] - downs.before(began[j], one.pixel), k.restitution));
    const behind = up.map((one, j) => {
      const first = Math.min(one.frame + 1 + width, n_t - 1), last = Math.min(first + n_behind, n_t);
      let sum = 0;
      for (let t = first; t < last; t++) sum += u[t * n + one.pixel];
      return sum / (last - first) / after[j][1];
    });
    const slowness = [], residual = [];
    for (const [list, known, ratio] of [[up, ups, after], [down, downs, afterDown]])
      for (const reach of k.reaches) {
        const fits = list.map((one) => plane(one, known, reach, m.dx, k.slowest));
        slowness.push([0, 1, 2].map((j) => meanAt(list, fits.map((p, l) => p[j] * ratio[l][0] ** 2), n).mean));
        residual.push(meanAt(list, fits.map((p) => p[3]), n).mean);
      }
    const { mean, count } = meanAt(up, behind, n);
    const duration = meanAt(down, down.map((one, j) => (began[j] > -Infinity ? one.time - began[j] : NaN)), n).mean;
    return {
      count, duration, slowness, residual,
      amplitude: mean.map((value, i) => (count[i] > 0 ? value : peak[i])),
      steepness: rise.map((value, i) => value / Math.max(peak[i], k.quiet)),
    };
  }

  /* fronts.local_slowness: 1/c^2 around each pixel, a Gaussian mean of |p|^2 of the upward 5 x 5 planes. */
  function localSlowness(f, n_y, n_x, k) {
    const [xx, yy] = f.slowness[1], square = xx.map((value, i) => value + yy[i]);
    const passed = square.map((value, i) => f.count[i] > 0 && value > 1e-6);
    const middle = median(square.map((value, i) => (passed[i] ? value : NaN)));
    const kept = square.map((value, i) => (passed[i] && value > k.flat * middle ? 1 : 0));
    const bell = Float64Array.from({ length: 9 }, (_, j) => Math.exp(-0.5 * (j - 4) ** 2));
    const norm = bell.reduce((a, b) => a + b) ** 2;
    return square.map((_, i) => {
      const y = Math.floor(i / n_x), x = i % n_x;
      let total = 0, weight = 0;
      for (let b = Math.max(-4, -y); b <= Math.min(4, n_y - 1 - y); b++)
        for (let a = Math.max(-4, -x); a <= Math.min(4, n_x - 1 - x); a++) {
          const j = i + b * n_x + a, q = (kept[j] * bell[b + 4] * bell[a + 4]) / norm;
          total += q * square[j];
          weight += q;
        }
      return weight > k.near ? total / weight : middle;
    });
  }

  // The network

  /* model.make_inputs: fields (22, y, x), log of the prior kappa c^2, and the share that conducts. */
  function inputs(f, m, k) {
    const n = m.n_y * m.n_x, each = (value) => Float64Array.from({ length: n }, (_, i) => value(i));
    const relative = [], tensors = [];
    for (const [xx, yy, xy] of f.slowness) {
      const seen = each((i) => xx[i] + yy[i] > 1e-6), trace = each((i) => Math.max(xx[i] + yy[i], 1e-6)); // 1/c^2
      const speed = each((i) => (seen[i] ? -Math.log(trace[i]) : NaN));
      const known = median(speed), middle = Number.isFinite(known) ? known : -2;
      relative.push({ seen, value: each((i) => (seen[i] ? clamp(speed[i] - middle, -2, 2) : 0)) });
      tensors.push(each((i) => ((xx[i] - yy[i]) / trace[i]) * seen[i]), each((i) => ((2 * xy[i]) / trace[i]) * seen[i]));
    }
    for (const j of [2, 3]) // where a recording ends before the downward crossings, the upward ones have to do
      relative[j].value = each((i) => (relative[j].seen[i] ? relative[j].value[i] : relative[j - 2].value[i]));
    const share = f.amplitude.map((value) => clamp(value / k.plateau, k.leastShare / 2, 1));
    const middle = median(f.duration.map((value) => (value > 0 ? value : NaN)));
    const duration = f.duration.map((value) => (value > 0 ? clamp((value - middle) / 5, -3, 3) : 0));
    const slowness = localSlowness(f, m.n_y, m.n_x, k);
    const prior = slowness.map((value) => Math.log(k.kappa) - Math.log(Number.isFinite(value) ? value : 7.4));
    const typical = median(prior);
    const fields = [
      share, share.map(Math.log), duration, f.steepness, f.count.map((value) => (value > 0 ? 1 : 0)),
      each(() => Math.log2(m.dx / 2)), each(() => Math.log2(m.dt / 5)),
      ...relative.map((one) => one.value),
      ...[1, 3].map((j) => f.residual[j].map((value) => Math.log1p(Math.min(value, 20)))),
      prior.map((value) => clamp(value - typical, -2, 2)),
      ...tensors,
    ];
    return { fields, prior, share, known: slowness.every(Number.isFinite) };
  }

  /* symmetry.apply_symmetry of a 3 x 3 kernel: turned by n % 4 quarters counterclockwise, mirrored for n >= 4. */
  function symmetry(w, n) {
    let out = Array.from(w);
    for (let turn = 0; turn < n % 4; turn++) out = out.map((_, i) => out[(i % 3) * 3 + 2 - Math.floor(i / 3)]);
    return n >= 4 ? out.map((_, i) => out[Math.floor(i / 3) * 3 + 2 - (i % 3)]) : out;
  }

  /* torch.nn.functional.conv2d, 3 x 3 and dilated, with zeros beyond the sheet. kernel (out, in, 9). */
  function convolve(z, kernel, bias, n_y, n_x, dilation) {
    const n_in = z.length, pad = dilation, S = n_x + 2 * pad;
    const wide = z.map((field) => {
      const out = new Float64Array(S * (n_y + 2 * pad));
      for (let y = 0; y < n_y; y++) out.set(field.subarray(y * n_x, (y + 1) * n_x), (y + pad) * S + pad);
      return out;
    });
    return kernel.map((weights, o) => {
      const out = new Float64Array(n_y * n_x).fill(bias[o]), d = dilation;
      for (let i = 0; i < n_in; i++) {
        const [a, b, c, e, f, g, h, p, q] = weights[i], field = wide[i];
        for (let y = 0; y < n_y; y++) {
          let r0 = y * S, r1 = (y + d) * S, r2 = (y + 2 * d) * S, at = y * n_x;
          for (let x = 0; x < n_x; x++, r0++, r1++, r2++)
            out[at++] +=
              a * field[r0] + b * field[r0 + d] + c * field[r0 + 2 * d] +
              e * field[r1] + f * field[r1 + d] + g * field[r1 + 2 * d] +
              h * field[r2] + p * field[r2 + d] + q * field[r2 + 2 * d];
        }
      }
      return out;
    });
  }

  /* The kernels of a network, written out for the eight symmetries. w: its tensors, flat, by name. */
  function network(w, tables, config) {
    const { characters, quotients } = tables, n = config.width, H = [0, 1, 2, 3, 4, 5, 6, 7];
    const cut = (all, i) => all.subarray(9 * i, 9 * i + 9);
    const kinds = [...Array(config.scalars).fill(0), ...Array(config.tensors).fill([1, 2]).flat()];
    const repeated = (bias) => H.flatMap(() => Array.from(bias));
    // symmetric.Lifting: out[h] = chi(h) S_h(w) * z
    const lifting = H.flatMap((h) =>
      Array.from({ length: n }, (_, o) =>
        kinds.map((kind, i) => symmetry(cut(w["lifting.weight"], o * kinds.length + i), h).map((x) => x * characters[h][kind]))));
    // symmetric.GroupConv: out[h] = sum over k of S_h(w[h^-1 k]) * z[k]
    const layers = config.dilations.map((dilation, l) => ({
      dilation,
      gate: w.gates[l],
      bias: repeated(w[`layers.${l}.bias`]),
      kernel: H.flatMap((h) =>
        Array.from({ length: n }, (_, o) =>
          H.flatMap((k) =>
            Array.from({ length: n }, (_, i) => symmetry(cut(w[`layers.${l}.weight`], (o * 8 + quotients[h][k]) * n + i), h))))),
    }));
    // symmetric.Pooling: mean over h of chi(h) z[h]; log D, log share, and the deviator q, r
    const pooling = [0, 0, 1, 2].map((kind, field) =>
      H.flatMap((h) => Array.from({ length: n }, (_, i) => (characters[h][kind] / 8) * w["pooling.weight"][field * n + i])));
    return { lifting, liftingBias: repeated(w["lifting.bias"]), layers, pooling };
  }

  /* model.Structured.forward: what the prior is corrected to; D_xx, D_yy in mm^2/ms and the share that conducts. */
  function infer(net, seen, n_y, n_x, k) {
    let z = convolve(seen.fields, net.lifting, net.liftingBias, n_y, n_x, 1).map(gelu);
    for (const layer of net.layers) {
      const more = convolve(z, layer.kernel, layer.bias, n_y, n_x, layer.dilation).map(gelu);
      z = z.map((field, j) => field.map((value, i) => value + layer.gate * more[j][i]));
    }
    const [log_D, log_share, q, r] = net.pooling.map((weights) => {
      const out = new Float64Array(n_y * n_x);
      weights.forEach((weight, j) => z[j].forEach((value, i) => (out[i] += weight * value)));
      return out;
    });
    const D_xx = new Float64Array(n_y * n_x), D_yy = D_xx.slice(), share = D_xx.slice();
    for (let i = 0; i < D_xx.length; i++) {
      share[i] = clamp(seen.share[i] * Math.exp(k.mostShare * Math.tanh(log_share[i])), k.leastShare / 2, 1);
      const D = Math.exp(seen.prior[i] + Math.log(seen.share[i]) + k.mostD * Math.tanh(log_D[i]));
      const size = Math.sqrt(q[i] ** 2 + r[i] ** 2 + 1e-8);
      const ratio = k.mostAnisotropy * Math.tanh(size / k.mostAnisotropy);
      const even = D * Math.cosh(ratio), odd = (D * Math.sinh(ratio)) / size; // D times the matrix exponential of the deviator
      D_xx[i] = even + odd * q[i];
      D_yy[i] = even - odd * q[i];
    }
    return { D_xx, D_yy, share };
  }

  /* model.make_inputs gives the prior and the share: the formula kappa phi c^2 alone, which nothing corrects. */
  function formula(seen) {
    const D = seen.prior.map((value, i) => Math.exp(value + Math.log(seen.share[i])));
    return { D_xx: D, D_yy: D, share: seen.share };
  }

  // The operator

  /* model.faces: conductances of the inner faces, in the layout (y, x + 1), (y + 1, x) with 0 at the outer edge. */
  function faces(D, n_y, n_x) {
    const D_x = new Float64Array(n_y * (n_x + 1)), D_y = new Float64Array((n_y + 1) * n_x);
    const mean = (a, b) => (2 * a * b) / (a + b + 1e-12);
    for (let y = 0; y < n_y; y++)
      for (let x = 0; x < n_x; x++) {
        const i = y * n_x + x;
        if (x > 0) D_x[y * (n_x + 1) + x] = mean(D.D_xx[i], D.D_xx[i - 1]);
        if (y > 0) D_y[i] = mean(D.D_yy[i], D.D_yy[i - n_x]);
      }
    return { D_x, D_y };
  }

  /* pixels.face_gradients: minus the integrals of the normal derivative of 1/r over the faces, in closed form. */
  function faceGradients(n_y, n_x, dx, at) {
    const over = (d, s0, s1) => {
      const a2 = d ** 2 + at.z ** 2;
      return (d / a2) * (s1 / Math.sqrt(a2 + s1 ** 2) - s0 / Math.sqrt(a2 + s0 ** 2));
    };
    const G_x = new Float64Array(n_y * (n_x + 1)), G_y = new Float64Array((n_y + 1) * n_x);
    for (let y = 0; y < n_y; y++)
      for (let x = 0; x <= n_x; x++) G_x[y * (n_x + 1) + x] = over(x * dx - at.x, y * dx - at.y, (y + 1) * dx - at.y);
    for (let y = 0; y <= n_y; y++)
      for (let x = 0; x < n_x; x++) G_y[y * n_x + x] = over(y * dx - at.y, x * dx - at.x, (x + 1) * dx - at.x);
    return { G_x, G_y };
  }

  /* model.batched_lead_field: weights of the pixels, mm/ms; phi_e = V_SPAN sum of weight u. */
  function mapLeadField(D, m, at, k) {
    const { n_y, n_x } = m, { D_x, D_y } = faces(D, n_y, n_x), { G_x, G_y } = faceGradients(n_y, n_x, m.dx, at);
    return Float64Array.from({ length: n_y * n_x }, (_, i) => {
      const j = Math.floor(i / n_x) * (n_x + 1) + (i % n_x);
      const out = D_x[j] * G_x[j] - D_x[j + 1] * G_x[j + 1] - D_y[i + n_x] * G_y[i + n_x] + D_y[i] * G_y[i];
      return out / Math.max(D.share[i], k.leastShare);
    });
  }

  /* model.pixel_diffusivity: mean of the conductances of the inner faces of each pixel. */
  function pixelDiffusivity(D, n_y, n_x) {
    const { D_x, D_y } = faces(D, n_y, n_x);
    return Float64Array.from({ length: n_y * n_x }, (_, i) => {
      const y = Math.floor(i / n_x), x = i % n_x, j = y * (n_x + 1) + x;
      const n = (x > 0) + (x < n_x - 1) + (y > 0) + (y < n_y - 1);
      return (D_x[j] + D_x[j + 1] + D_y[i] + D_y[i + n_x]) / n;
    });
  }

  // The ensemble

  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const sd = (values, center, less = 0) => Math.sqrt(values.reduce((a, b) => a + (b - center) ** 2, 0) / (values.length - less));
  const across = (traces, f) => Float64Array.from(traces[0], (_, t) => f(traces.map((trace) => trace[t])));

  /* model.describe_maps: what tells one kind of maps from another. */
  function summary(seen, f) {
    const chosen = [0, 2, 3, 4, 7, 8, 9, 10, 11, 12].map((j) => Array.from(seen.fields[j]));
    const duration = median(f.duration.map((value) => (value > 0 ? value : NaN))), means = chosen.map(mean);
    return [median(seen.prior), Number.isNaN(duration) ? 0 : duration, ...means, ...chosen.map((field, j) => sd(field, means[j], 1))];
  }

  /* bands.unusualness relative to the threshold of the nearest reference: over 1 where maps are unlike those of the training. */
  function unusualness(references, features) {
    return Math.min(...references.map((one) => {
      const off = features.map((value, j) => value - one.mean[j]);
      const z = one.whitening.map((row) => row.reduce((sum, weight, j) => sum + weight * off[j], 0));
      return Math.sqrt(mean(z.map((value) => value ** 2))) / one.threshold;
    }));
  }

  /* bands.envelope: shape of an error in time, from the SD of the networks. */
  function envelope(spread, step, k) {
    const reach = Math.trunc((4 * k.smooth) / step);
    const kernel = Array.from({ length: 2 * reach + 1 }, (_, j) => Math.exp(-0.5 * (((j - reach) * step) / k.smooth) ** 2));
    const total = kernel.reduce((a, b) => a + b, 0);
    const power = Array.from(spread, (_, t) =>
      kernel.reduce((sum, weight, j) => sum + (weight / total) * (spread[t + j - reach] ?? 0) ** 2, 0));
    const whole = mean(power);
    return power.map((value) => Math.sqrt((whole > 0 ? value / whole : 1) + k.least ** 2));
  }

  /* bands.noise_of: SD of white noise of a trace, from its second differences. */
  function noiseOf(phi) {
    const second = sorted(Array.from({ length: phi.length - 2 }, (_, t) => Math.abs(phi[t + 2] - 2 * phi[t + 1] + phi[t])));
    const n = second.length;
    return (1.4826 * (second[(n - 1) >> 1] + second[n >> 1])) / 2 / Math.sqrt(6);
  }

  /* bands.ExpectedError of a tissue, on maps of 2 mm and 5 ms: the expected error over the RMS of the ECG. */
  function expectedError(described, spread, size, unusual, k) {
    const x = [...described, Math.log(Math.max(spread / Math.max(size, 1e-12), 1e-4)), 0, 0];
    const z = x.map((value, j) => Math.min(Math.max((value - k.mean[j]) / k.sd[j], -k.mostOff), k.mostOff));
    const log = z.reduce((sum, value, j) => sum + k.weights[j] * value, k.intercept);
    return Math.min(Math.exp(log) * Math.max(unusual, 1), k.mostError);
  }

  /* trust.caution: the expected error as the band takes it, larger in tissue that is far from the recipe. */
  function caution(expected, described, data) {
    const { references, beyond, times } = data.bands.away;
    const far = unusualness(data.references.slice(0, references), described) > beyond;
    return Math.min((far ? times : 1) * expected, data.expected.mostError);
  }

  /* predict.see_maps: fronts and inputs of maps; an error where an answer would mean nothing. */
  function see(m, k) {
    if (m.n_t < k.minFrames) throw new Error(`fewer than ${k.minFrames} frames`);
    const f = fronts(m, k), seen = inputs(f, m, k);
    const passed = seen.known ? mean(Array.from(f.count, (value) => (value > 0 ? 1 : 0))) : 0;
    if (passed < k.minPassed) throw new Error(`a front passed ${Math.round(100 * passed)} % of the pixels only`);
    return { fronts: f, inputs: seen };
  }

  /* predict.StructuredSurrogate._flags: words on what is unlike the training. */
  function flags(seen, unusual, expected, data) {
    const speed = Math.exp(0.5 * (median(seen.prior) - Math.log(data.surrogate.kappa))), [low, high] = data.speedRange;
    const found = unusual > 1 ? [`unlike the training: ${unusual.toFixed(1)} times the threshold`] : [];
    if (expected > data.expected.worst) found.push(`expected error of ${Math.round(100 * expected)} % of the ECG`);
    if (!(low <= speed && speed <= high))
      found.push(`fronts of ${speed.toFixed(2)} mm/ms, trained on ${low.toFixed(2)} to ${high.toFixed(2)}`);
    return found;
  }

  /* Numbers in half precision, two bytes each, the lower one first. */
  function halves(bytes) {
    return Float32Array.from({ length: bytes.length / 2 }, (_, i) => {
      const h = bytes[2 * i] | (bytes[2 * i + 1] << 8), exponent = (h >> 10) & 31, rest = h & 1023;
      return (h >> 15 ? -1 : 1) * (exponent ? (1 + rest / 1024) * 2 ** (exponent - 15) : rest * 2 ** -24);
    });
  }

  /* The networks of the file of weights, in half precision and base64, one after the other. */
  function networks(data) {
    const all = halves(Uint8Array.from(atob(data.weights), (letter) => letter.charCodeAt(0)));
    let start = 0;
    return Array.from({ length: data.config.members }, () => {
      const w = {};
      for (const [name, size] of data.config.tensors_by_name) w[name] = all.subarray(start, (start += size));
      return network(w, data.symmetry, data.config);
    });
  }

  /* ECG of maps by one conductivity: the weights of `mapLeadField` over each frame. */
  function mapEcg(D, m, at, data) {
    const n = m.n_y * m.n_x, L = mapLeadField(D, m, at, data.surrogate);
    return Float64Array.from({ length: m.n_t }, (_, t) => demo.pseudoEcg(L, m.u.subarray(t * n, (t + 1) * n), data.span));
  }

  /* predict.StructuredSurrogate.predict at one electrode, from the conductivities that the networks found. */
  function ecgWithBand(found, m, at, described, unusual, data) {
    const traces = found.map((D) => mapEcg(D, m, at, data));
    const phi = across(traces, mean), spread = across(traces, (values) => sd(values, mean(values)));
    const [size, disagreement] = [phi, spread].map((trace) => Math.sqrt(mean(Array.from(trace, (value) => value ** 2))));
    const expected = expectedError(described, disagreement, size, unusual, data.expected);
    const noise = noiseOf(phi), factor = data.bands.phi_e.factor, cautious = caution(expected, described, data);
    const half = envelope(spread, m.dt, data.expected).map((value) => factor * Math.hypot(cautious * size * value, noise));
    return { phi, low: phi.map((value, t) => value - half[t]), high: phi.map((value, t) => value + half[t]), traces, expected };
  }

  /* The inferred D of the pixels, and by how much it may be off in 90 % of them. */
  function conductivityWithError(found, m, data) {
    const maps = found.map((D) => pixelDiffusivity(D, m.n_y, m.n_x)), D = across(maps, mean);
    const typical = sorted(D), n = typical.length, middle = (typical[(n - 1) >> 1] + typical[n >> 1]) / 2; // numpy.median
    const error = across(maps, (values) => data.bands.D.factor * Math.hypot(sd(values, mean(values)), data.bands.D.floor * middle));
    return { D, error };
  }

  /* scores.r2 */
  function r2(truth, predicted) {
    const center = mean(Array.from(truth));
    const off = truth.reduce((sum, value, t) => sum + (value - predicted[t]) ** 2, 0);
    return 1 - off / truth.reduce((sum, value) => sum + (value - center) ** 2, 0);
  }

  Object.assign(demo, {
    maps, fronts, localSlowness, inputs, network, networks, halves, gelu, infer, formula, mapEcg, mapLeadField, pixelDiffusivity, summary, unusualness, see, flags,
    ecgWithBand, conductivityWithError, r2, median, erf,
  });
})(window.forwardecgDemo);
