/* What is drawn: a preset, its seed, and strokes of the brush on it. As tissue, and as the text of a link.

   A stroke is {tool, brush, points}: the brush is a diameter in mm, points are cells [column, row]. To undo one is to leave it out. */
"use strict";

(function (demo) {
  const data = demo.data, N = data.n;
  const LETTERS = { fibrosis: "f", weak: "w", erase: "e" };
  const TOOLS = Object.fromEntries(Object.entries(LETTERS).map(([tool, letter]) => [letter, tool]));
  let base = { of: "" }; // the preset that was drawn last

  /* Paint a stroke from its point `from` on. */
  function paint(tissue, stroke, from = 0) {
    const { points, tool } = stroke, r = stroke.brush / 2 / data.dx;
    for (let k = from; k < points.length; k++) {
      const [a, b] = [points[Math.max(k - 1, 0)], points[k]], steps = Math.max(1, Math.ceil(Math.hypot(b[0] - a[0], b[1] - a[1])));
      for (let s = 0; s <= steps; s++) {
        const x = a[0] + ((b[0] - a[0]) * s) / steps, y = a[1] + ((b[1] - a[1]) * s) / steps;
        for (let j = Math.max(Math.ceil(y - r), 0); j <= Math.min(y + r, N - 1); j++)
          for (let i = Math.max(Math.ceil(x - r), 0); i <= Math.min(x + r, N - 1); i++) {
            if ((j - y) ** 2 + (i - x) ** 2 > r ** 2) continue;
            if (tool === "fibrosis") tissue.conductive[j * N + i] = 0;
            else [tissue.conductive[j * N + i], tissue.factor[j * N + i]] = [1, tool === "erase" ? 1 : data.weak];
          }
      }
    }
  }

  /* The tissue of {preset, seed, strokes}. */
  function tissueOf({ preset, seed, strokes }) {
    if (base.of !== `${preset}.${seed}`) base = { of: `${preset}.${seed}`, ...demo.preset(preset, seed, N, data.dx) };
    const tissue = { factor: base.factor.slice(), conductive: base.conductive.slice() };
    for (const stroke of strokes) paint(tissue, stroke);
    return tissue;
  }

  const pair = (value) => value.toString(36).padStart(2, "0");

  /* {preset, seed, strokes, D0, start, electrode} as the text of a link. */
  function toLink({ preset, seed, strokes, D0, start, electrode }) {
    const places = [start.x, start.y, electrode.x, electrode.y].map((mm) => String(Number(mm.toFixed(2))));
    const draw = strokes.map(({ tool, brush, points }) => `${LETTERS[tool]}${brush}.${points.flat().map(pair).join("")}`).join("~");
    return `sheet=${preset}.${seed}&D=${D0}&S=${places[0]},${places[1]}&E=${places[2]},${places[3]},${electrode.z}` + (draw && `&draw=${draw}`);
  }

  /* What `toLink` wrote; an error that names the part that is not one. */
  function fromLink(text) {
    const parts = new URLSearchParams(text), side = N * data.dx;
    const wrong = (name, expected) => new Error(`${name}: expected ${expected}, got ${(parts.get(name) ?? "nothing").slice(0, 40)}`);
    const numbers = (name, ranges, expected) => {
      const values = (parts.get(name) ?? "").split(",").map((word) => (/^\d+(\.\d+)?$/.test(word) ? Number(word) : NaN));
      if (values.length !== ranges.length || !ranges.every(([low, high], k) => low <= values[k] && values[k] <= high)) throw wrong(name, expected);
      return values;
    };
    const [, preset, seed] = /^([a-z]+)\.(\d{1,9})$/.exec(parts.get("sheet")) ?? [];
    if (!Object.hasOwn(data.names, preset ?? "")) throw wrong("sheet", "a preset and its number");
    const place = [0, side], [D0] = numbers("D", [data.D0], `${data.D0[0]} to ${data.D0[1]} mm²/ms`);
    const [x, y] = numbers("S", [place, place], `two places of 0 to ${side} mm`);
    const E = numbers("E", [place, place, data.z], `two places of 0 to ${side} mm and a height of ${data.z[0]} to ${data.z[1]} mm`);
    const strokes = (parts.get("draw") ?? "").split("~").filter(Boolean).map((one) => {
      const [, letter, brush, points] = /^([fwe])(\d{1,2})\.((?:[0-9a-z]{4})+)$/.exec(one) ?? [];
      const cells = points?.match(/../g).map((word) => parseInt(word, 36));
      if (!cells || cells.some((cell) => cell >= N) || Number(brush) < 1) throw wrong("draw", "strokes of the brush");
      return { tool: TOOLS[letter], brush: Number(brush), points: Array.from({ length: cells.length / 2 }, (_, k) => cells.slice(2 * k, 2 * k + 2)) };
    });
    return { preset, seed: Number(seed), strokes, D0, start: { x, y }, electrode: { x: E[0], y: E[1], z: E[2] } };
  }

  Object.assign(demo, { paintStroke: paint, tissueOf, toLink, fromLink });
})(window.forwardecgDemo);
