/* Pictures: maps with lines of equal value, the sheet, the ECG. Rows are drawn upward, as y is in the data; dark is the low end of every scale. */
"use strict";

(function (demo) {
  const data = demo.data, SIDE = data.n * data.dx;
  const lookup = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const tables = { voltage: lookup(data.colors.voltage), diffusivity: lookup(data.colors.diffusivity) };
  const scratch = {};

  /* Values in 0..1 as an image of n x n pixels; NaN: a gray. hatch(i) in 0..1: strength of the stripes over a pixel, or none. */
  function image(canvas, n, value, table, { none = 150, hatch } = {}) {
    const small = (scratch[n] ??= document.createElement("canvas"));
    small.width = small.height = n;
    const pen = small.getContext("2d"), pixels = pen.createImageData(n, n), out = pixels.data;
    for (let y = 0; y < n; y++)
      for (let x = 0; x < n; x++) {
        const i = y * n + x, z = value(i), at = Number.isNaN(z) ? -1 : 3 * Math.round(255 * Math.min(Math.max(z, 0), 1));
        const to = 4 * ((n - 1 - y) * n + x), strength = hatch ? hatch(i) : 0;
        const striped = strength > 0 && at >= 0 && (x + y) % 8 < 1 + 4 * strength;
        for (let c = 0; c < 3; c++) {
          const own = at < 0 ? none : table[at + c];
          out[to + c] = striped ? (own + (z < 0.6 ? 255 : 0)) / 2 : own;
        }
        out[to + 3] = 255;
      }
    pen.putImageData(pixels, 0, 0);
    const brush = canvas.getContext("2d");
    brush.imageSmoothingEnabled = false;
    brush.drawImage(small, 0, 0, canvas.width, canvas.height);
    return brush;
  }

  /* Lines of equal value of z (n x n, NaN where there is none) every `step` from `first` on, by marching squares:
     segments [[x, y], [x, y]] in pixels, whose ends meet in the edges between neighbors. */
  function contours(z, n, step, first = 0) {
    const segments = [];
    for (let y = 0; y < n - 1; y++)
      for (let x = 0; x < n - 1; x++) {
        const corners = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]], values = corners.map(([a, b]) => z[b * n + a]);
        if (values.some(Number.isNaN)) continue;
        const low = Math.min(...values), high = Math.max(...values);
        for (let level = first + step * (Math.floor((low - first) / step) + 1); level <= high; level += step) {
          const cuts = [];
          for (let k = 0; k < 4; k++) {
            const a = values[k], b = values[(k + 1) % 4], p = corners[k], q = corners[(k + 1) % 4];
            if (a < level === b < level) continue;
            const w = (level - a) / (b - a);
            cuts.push([p[0] + w * (q[0] - p[0]) + 0.5, p[1] + w * (q[1] - p[1]) + 0.5]);
          }
          for (let k = 0; k + 1 < cuts.length; k += 2) segments.push([cuts[k], cuts[k + 1]]);
        }
      }
    return segments;
  }

  function polyline(pen, points) {
    pen.beginPath();
    points.forEach(([a, b]) => pen.lineTo(a, b));
    pen.stroke();
  }

  /* Words on a plain ground, in place of a map. */
  function cover(canvas, text, color) {
    const pen = canvas.getContext("2d");
    pen.fillStyle = color("surface");
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.fillStyle = color("muted");
    pen.font = `${Math.round(canvas.width / 14)}px sans-serif`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(text, canvas.width / 2, canvas.height / 2);
    return pen;
  }

  /* What lies on the sheet: lines in pixels of 1 / n of its side, marks and the cursor in mm. */
  function overlay(pen, { n, lines, marks, cursor }) {
    const { width } = pen.canvas, s = width / SIDE;
    const at = (x, y) => [x * s, width - y * s];
    for (const [strength, shade] of lines.length ? [[5, "rgb(0 0 0 / 55%)"], [2, "#fff"]] : []) {
      pen.strokeStyle = shade;
      pen.lineWidth = strength;
      pen.lineCap = "round";
      pen.beginPath();
      for (const [a, b] of lines) {
        pen.moveTo(...at((a[0] * SIDE) / n, (a[1] * SIDE) / n));
        pen.lineTo(...at((b[0] * SIDE) / n, (b[1] * SIDE) / n));
      }
      pen.stroke();
    }
    const ring = (x, y, r) => {
      pen.beginPath();
      pen.arc(...at(x, y), r * s, 0, 2 * Math.PI);
    };
    for (const { x, y, letter, ground } of marks) {
      pen.lineWidth = 3;
      pen.fillStyle = ground;
      pen.strokeStyle = "#fff";
      ring(x, y, 5);
      pen.fill();
      pen.stroke();
      pen.fillStyle = "#fff";
      pen.font = `bold ${6.6 * s}px sans-serif`;
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      const [a, b] = at(x, y);
      pen.fillText(letter, a, b + 0.3 * s);
    }
    if (cursor)
      for (const [strength, shade] of [[6, "#000"], [3, "#fff"]]) {
        pen.lineWidth = strength;
        pen.strokeStyle = shade;
        ring(cursor.x, cursor.y, Math.max(cursor.r, 1));
        pen.stroke();
      }
  }

  function bar(canvas, table) {
    const pen = canvas.getContext("2d");
    for (let i = 0; i < canvas.width; i++) {
      pen.fillStyle = `rgb(${tables[table].subarray(3 * i, 3 * i + 3).join()})`;
      pen.fillRect(i, 0, 1, canvas.height);
    }
  }

  /* Ticks of a round size, about so many over a range. */
  function ticks(low, high, many) {
    const raw = (high - low) / many, ten = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 5, 10].find((k) => k * ten >= raw) * ten;
    const out = [];
    for (let k = Math.ceil(low / step); k * step <= high * (1 + 1e-9); k++) out.push(k * step);
    return out;
  }

  const signed = (text) => String(text).replace("-", "\u2212");

  /* Traces {every, phi, color, width, dash, low, high} over time; values times `factor`; a line at `shown` ms. */
  function plot(canvas, { traces, end, factor, shown }, color) {
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    let most = 0.02 * factor, least = -0.02 * factor;
    for (const trace of traces)
      for (const values of [trace.phi, trace.low ?? [], trace.high ?? []])
        for (const value of values) (most = Math.max(most, factor * value)), (least = Math.min(least, factor * value));
    [most, least] = [1.08 * most, 1.08 * least];
    const left = 46, right = width - 12, top = 6, bottom = height - 34;
    const x = (t) => left + ((right - left) * t) / end, y = (phi) => bottom - ((bottom - top) * (phi - least)) / (most - least);
    pen.font = "12px sans-serif";
    pen.lineWidth = 1;
    pen.fillStyle = color("muted");
    pen.strokeStyle = color("border");
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (const phi of ticks(least, most, 5)) {
      polyline(pen, [[left, y(phi)], [right, y(phi)]]);
      pen.fillText(signed(Number(phi.toPrecision(2))), left - 5, y(phi));
    }
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const t of ticks(0, end, 5)) pen.fillText(t, x(t), bottom + 4);
    pen.fillText("time (ms)", (left + right) / 2, bottom + 19);
    for (const trace of traces) {
      const points = (values) => Array.from(values, (value, k) => [x(k * trace.every), y(factor * value)]);
      if (trace.low) {
        pen.fillStyle = color("band");
        pen.beginPath();
        for (const point of [...points(trace.low), ...points(trace.high).reverse()]) pen.lineTo(...point);
        pen.fill();
      }
      pen.strokeStyle = color(trace.color);
      pen.lineWidth = trace.width;
      pen.setLineDash(trace.dash);
      polyline(pen, points(trace.phi));
    }
    pen.setLineDash([]);
    if (shown === null) return;
    pen.strokeStyle = color("muted");
    pen.lineWidth = 1;
    polyline(pen, [[x(shown), top], [x(shown), bottom]]);
  }

  demo.draw = { image: (canvas, n, value, table, options) => image(canvas, n, value, tables[table], options), contours, cover, overlay, bar, plot, signed };
})(window.forwardecgDemo);
