/* Lines on a canvas, with axes: the pictures of the sliders and of the Python cells. Colors are the canvas's --line-*. */
"use strict";

window.forwardecgLines = (function () {
  /* Ticks of a round size, about so many over a range. */
  function ticks(low, high, many) {
    const raw = (high - low) / many, ten = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 5, 10].find((k) => k * ten >= raw) * ten;
    const out = [];
    for (let k = Math.ceil(low / step); k * step <= high + 1e-9 * step; k++) out.push(k * step);
    return out;
  }
  /* Ticks as numbers with as many decimals as tell them apart. */
  function labels(values) {
    const step = values.length > 1 ? values[1] - values[0] : Math.abs(values[0]) || 1, decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const plain = decimals < 7 && values.every((value) => Math.abs(value) < 1e6);
    return values.map((value) => (plain ? String(Number(value.toFixed(decimals))) : value.toExponential(2)).replace("-", "\u2212"));
  }

  function draw(canvas, plot) {
    const style = getComputedStyle(canvas), color = (name) => style.getPropertyValue(`--line-${name}`).trim();
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight, pen = canvas.getContext("2d");
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.setAttribute("aria-label", plot.words);
    pen.scale(ratio, ratio);
    pen.font = "12px sans-serif";
    const levels = ticks(plot.y[0], plot.y[1], 4), names = labels(levels);
    let left = Math.max(46, ...names.map((one) => pen.measureText(one).width + 10)), right = width - 16;
    const top = 18, bottom = height - 36, [x_low, x_high, x_title] = plot.x, [y_low, y_high, y_title] = plot.y;
    if (plot.equal) {
      const side = Math.min(right - left, bottom - top), middle = (left + right) / 2;
      [left, right] = [middle - side / 2, middle + side / 2];
    }
    const x = (value) => left + ((right - left) * (value - x_low)) / (x_high - x_low);
    const y = (value) => bottom - ((bottom - top) * (value - y_low)) / (y_high - y_low);
    pen.fillStyle = color("muted");
    pen.strokeStyle = color("border");
    pen.lineWidth = 1;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    levels.forEach((value, k) => {
      pen.beginPath();
      pen.moveTo(left, y(value));
      pen.lineTo(right, y(value));
      pen.stroke();
      pen.fillText(names[k], left - 5, y(value));
    });
    pen.textAlign = "center";
    pen.textBaseline = "top";
    const places = ticks(x_low, x_high, 5);
    labels(places).forEach((name, k) => pen.fillText(name, x(places[k]), bottom + 4));
    pen.fillText(x_title, (left + right) / 2, bottom + 20);
    pen.textAlign = "left";
    pen.fillText(y_title, 4, 1);
    pen.beginPath();
    pen.rect(left, top - 4, right - left, bottom - top + 8);
    pen.clip();
    for (const line of plot.lines) {
      pen.strokeStyle = pen.fillStyle = color({ gray: "gray", two: "second", dash: "second", dots: "second" }[line.kind] || "text");
      pen.lineWidth = { gray: 4, two: 2.2, dots: 1 }[line.kind] || 1.8;
      pen.setLineDash(line.kind === "dash" ? [6, 4] : []);
      pen.beginPath();
      line.x.forEach((value, k) => pen.lineTo(x(value), y(line.y[k])));
      pen.stroke();
      if (line.kind === "dots")
        line.x.forEach((value, k) => {
          pen.beginPath();
          pen.arc(x(value), y(line.y[k]), 4, 0, 2 * Math.PI);
          pen.fill();
        });
    }
  }

  return { draw };
})();
