/* Guess the scar: what is hidden, and how a guess is scored. */
"use strict";

(function (demo) {
  const data = demo.data, N = data.n, MAP = N / data.pool;
  const SHARES = [0.03, 0.25]; // of the pixels that the hidden scars may take

  /* Pixels that are scar: fewer than half of their cells conduct. */
  function scarOf(conductive) {
    const out = new Uint8Array(MAP * MAP);
    for (let i = 0; i < MAP * MAP; i++) {
      let sum = 0;
      for (let b = 0; b < data.pool; b++)
        for (let a = 0; a < data.pool; a++) sum += conductive[(Math.floor(i / MAP) * data.pool + b) * N + (i % MAP) * data.pool + a];
      out[i] = sum < data.pool ** 2 / 2 ? 1 : 0;
    }
    return out;
  }

  /* Pixels that the networks take for scar: an inferred D below half of its median. */
  function scarSeen(D) {
    const half = demo.median(D) / 2;
    return Uint8Array.from(D, (value) => (value < half ? 1 : 0));
  }

  /* Twice the common pixels over the pixels of both: 1 for the same scar, 0 for no overlap. */
  function dice(a, b) {
    let both = 0, either = 0;
    a.forEach((value, i) => ((both += value & b[i]), (either += value + b[i])));
    return either ? (2 * both) / either : 0;
  }

  /* R2 of two ECGs of the same clock; one that ends earlier goes on at 0, as its sheet is at rest. */
  function likeness(truth, guess) {
    const n = Math.max(truth.length, guess.length), padded = (values) => Float64Array.from({ length: n }, (_, k) => values[k] ?? 0);
    return demo.r2(padded(truth), padded(guess));
  }

  /* The first drawing from `seed` on with scars of a fair size and none under the stimulus. */
  function hiddenSheet(seed, start) {
    for (; ; seed++) {
      const drawn = { preset: "compact", seed, strokes: [] }, { conductive } = demo.tissueOf(drawn), r = 2 * data.stimulus.radius;
      const share = scarOf(conductive).reduce((a, b) => a + b) / MAP ** 2;
      const free = conductive.every((one, i) => one || Math.hypot(((i % N) + 0.5) * data.dx - start.x, (Math.floor(i / N) + 0.5) * data.dx - start.y) > r);
      if (share >= SHARES[0] && share <= SHARES[1] && free) return drawn;
    }
  }

  demo.game = { scarOf, scarSeen, dice, likeness, hiddenSheet };
})(window.forwardecgDemo);
