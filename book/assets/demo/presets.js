/* Sheets to start from, drawn by a generator with a seed. Textures and shares follow src/forwardecg/tissue/sheet.py, which draws the
   tissues of the book's data set; the chance itself is another one, and D is not lowered around fibrosis here. */
"use strict";

(function (demo) {
  /* Uniform numbers in 0..1 from a seed (mulberry32). */
  function generator(seed) {
    let a = seed >>> 0;
    return () => {
      a = (a + 0x6d2b79f5) >>> 0;
      let t = Math.imul(a ^ (a >>> 15), a | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  const between = (random, low, high) => low + (high - low) * random();

  /* sheet.smooth_noise: noise with a correlation length in cells, ranked to be uniform in 0..1. */
  function smoothNoise(n, random, length) {
    const reach = Math.ceil(3 * length), bell = [];
    for (let j = -reach; j <= reach; j++) bell.push(Math.exp(-0.5 * (j / length) ** 2));
    let z = Float64Array.from({ length: n * n }, () => random() + random() + random() - 1.5);
    for (const along of [1, n]) {
      z = z.map((_, i) => {
        const at = Math.floor(i / along) % n, start = i - at * along;
        let sum = 0;
        for (let j = -reach; j <= reach; j++) sum += bell[j + reach] * z[start + ((at + j + 8 * n) % n) * along];
        return sum;
      });
    }
    const order = Array.from(z.keys()).sort((a, b) => z[a] - z[b]), ranked = new Float64Array(n * n);
    order.forEach((i, rank) => (ranked[i] = (rank + 0.5) / (n * n)));
    return ranked;
  }

  const RANGES = { diffuse: [0.05, 0.28], patchy: [0.08, 0.35] }; // sheet.SHARES, usual
  const SCARS = [1, 4]; // sheet.ELLIPSES, usual

  /* sheet._draw_ellipses: ellipses with half-axes of 4 to 15 % of the side and a noisy rim. */
  function scars(n, random, dx) {
    const rim = smoothNoise(n, random, 3 / dx), inside = new Uint8Array(n * n);
    const many = SCARS[0] + Math.floor(random() * (SCARS[1] - SCARS[0] + 1));
    for (let k = 0; k < many; k++) {
      const cy = between(random, 0.1, 0.9) * n, cx = between(random, 0.1, 0.9) * n, angle = Math.PI * random();
      const a = between(random, 0.04, 0.15) * n, b = between(random, 0.04, 0.15) * n;
      for (let i = 0; i < n * n; i++) {
        const y = Math.floor(i / n) + 0.5 - cy, x = (i % n) + 0.5 - cx;
        const along = x * Math.cos(angle) + y * Math.sin(angle), across = y * Math.cos(angle) - x * Math.sin(angle);
        if ((along / a) ** 2 + (across / b) ** 2 < 1 + 0.6 * (rim[i] - 0.5)) inside[i] = 1;
      }
    }
    return inside;
  }

  /* A sheet of n x n cells: `conductive` 0 or 1, and `factor`, by which the D0 of the healthy sheet is multiplied. */
  function preset(name, seed, n, dx) {
    const random = generator(seed), factor = new Float64Array(n * n).fill(1), conductive = new Uint8Array(n * n).fill(1);
    if (name === "diffuse") {
      const share = between(random, ...RANGES.diffuse);
      conductive.forEach((_, i) => (conductive[i] = random() < share ? 0 : 1));
    } else if (name === "patchy") {
      const length = between(random, 1.5, 4), share = between(random, ...RANGES.patchy);
      smoothNoise(n, random, length / dx).forEach((z, i) => (conductive[i] = z < share ? 0 : 1));
    } else if (name === "compact") {
      scars(n, random, dx).forEach((z, i) => (conductive[i] = 1 - z));
    } else if (name === "weak") {
      const scale = between(random, 0.3, 0.75); // sheet.gap_junction, in smooth regions
      smoothNoise(n, random, 20 / dx).forEach((z, i) => (factor[i] = 1 - (1 - scale) * Math.min(Math.max(2 * z - 0.5, 0), 1)));
    }
    return { factor, conductive };
  }

  demo.preset = preset;
})(window.forwardecgDemo);
