/* The sliders of the theory pages: native controls, lines on a canvas, and the numbers in a sentence. Nothing moves by itself.

   The mathematics is in physics.js. A page marks the place of a slider by <div data-slider="cell">. */
"use strict";

(function (sliders) {
  const { draw } = window.forwardecgLines, { data } = sliders, SIDE = data.n * data.dx;
  const SMALL = 120, STAYS = 45; // cells along the sheet in the disc; mm from its center, of an electrode that stays

  const num = (value, digits = 3) => (value.toFixed(digits) * 1 === 0 ? (0).toFixed(digits) : value.toFixed(digits)).replace("-", "\u2212");
  const signed = (value, digits = 3) => (num(value, digits).startsWith("\u2212") ? "" : "+") + num(value, digits);
  const V_REST = data.rest, V_PEAK = data.rest + data.span;
  const kept = {}; // what does not depend on the sliders, computed once
  const times = (y, dt) => Float64Array.from(y, (_, k) => k * dt);
  const largest = (y) => y.reduce((a, b) => Math.max(a, b), -Infinity), smallest = (y) => y.reduce((a, b) => Math.min(a, b), Infinity);

  /* About so many values of an array, evenly: a line needs no more points than the screen has. */
  const thin = (y, many = 600) => y.filter((_, k) => k % Math.ceil(y.length / many) === 0);

  // The five. `controls` are sliders (min, max, step, value, unit, digits) or boxes to tick; `show` takes their values and gives
  // the sentence and one plot a figure: ranges and titles of the axes, lines of a kind, and the picture in words.

  const KINDS = {
    cell: {
      title: "Try it: the threshold of the gate v",
      controls: [
        { name: "u_v", label: "Threshold u_v", min: 0, max: data.cell.u_c, step: 0.01, value: data.cell.u_v, digits: 2 },
        { name: "interval", label: "Second stimulus after", min: 120, max: 400, step: 10, value: 150, unit: "ms", digits: 0 },
        { name: "swapped", label: "Exchange the two recovery times", value: false },
      ],
      figures: [
        { caption: "Voltage of one cell, two beats", key: { one: "as set here", gray: "as in the book" } },
        { caption: "Gate v of the fast current", key: { two: "as set here", gray: "as in the book" } },
      ],
      show({ u_v, interval, swapped }) {
        const end = interval + 150, beats = sliders.twoBeats(u_v, interval, swapped, end);
        const book = sliders.twoBeats(data.cell.u_v, interval, false, end), t = thin(times(beats.u, beats.dt));
        const V_m = (trace) => thin(trace).map(sliders.to_mV), of = (value) => (Number.isNaN(value) ? "no beat" : `APD90 ${num(value, 1)} ms`);
        const says = `First beat: ${of(beats.first)}. Second beat: ${of(beats.second)}. It starts with the gate v at ${num(beats.gate)} and ` +
          `rises by at most ${num(beats.rise, 1)} mV/ms. As in the book, at this interval: v at ${num(book.gate)}, ${of(book.second)}.`;
        const x = [0, end, "time (ms)"];
        return { says, plots: [
          { x, y: [V_REST - 5, V_PEAK + 15, "mV"], lines: [{ kind: "gray", x: t, y: V_m(book.u) }, { kind: "one", x: t, y: V_m(beats.u) }],
            words: `Voltage over time: two beats, the second one ${interval} ms after the first.` },
          { x, y: [0, 1.05, "v"], lines: [{ kind: "gray", x: t, y: thin(book.v) }, { kind: "two", x: t, y: thin(beats.v) }],
            words: `Gate v over time: it closes with each beat and opens after it; at the second stimulus it is at ${num(beats.gate)}.` },
        ] };
      },
    },
    tissue: {
      title: "Try it: a coarse grid slows the wave",
      controls: [
        { name: "dx", label: "Distance of the nodes", min: 0.1, max: 1, step: 0.05, value: 0.5, unit: "mm", digits: 2 },
        { name: "D", label: "Diffusivity D", min: 0.02, max: 0.13, step: 0.01, value: 0.1, unit: "mm²/ms", digits: 2 },
      ],
      figures: [{ caption: "The front on this grid and on a fine one, after the same time", key: { dots: "nodes of this grid", gray: "fine grid" } }],
      show({ dx, D }) {
        const stretch = Math.sqrt(D / data.D_reference), ahead = 10, c = sliders.continuumSpeed(D);
        const fine = (kept.fine ??= sliders.cableSpeed(data.D_reference, 0.05, data.converged, ahead));
        const here = sliders.cableSpeed(D, dx, c, ahead * stretch), stopped = Number.isNaN(here.speed);
        const grid = `Nodes ${num(dx, 2)} mm apart, D = ${num(D, 2)} mm²/ms, no calibration: `;
        const says = grid + (stopped ? `no wave crosses this cable. In the continuum it travels at ${num(c)} mm/ms.`
          : `the wave travels at ${num(here.speed)} mm/ms. In the continuum it is ${num(c)} mm/ms: an error of ${signed(100 * (here.speed / c - 1), 1)} %.`);
        return { says, plots: [{
          x: [-2, 15, "distance from a fixed place (mm)"], y: [V_REST - 5, V_PEAK + 15, "mV"],
          lines: [{ kind: "gray", x: fine.x.map((x) => x * stretch), y: fine.u.map(sliders.to_mV) }, { kind: "dots", x: here.x, y: here.u.map(sliders.to_mV) }],
          words: "Voltage along the cable: the front on this grid as dots, and the front on a fine grid as a line.",
        }] };
      },
    },
    forward: {
      title: "Try it: the height of the electrode",
      controls: [{ name: "z", label: "Height z above the center", min: 1, max: 80, step: 1, value: data.z, unit: "mm", digits: 0 }],
      figures: [
        { caption: "Weight of the cells in the row under the electrode, over the largest", key: { two: "1/R, of a source", one: "lead field, of a voltage" } },
        { caption: `ECG of a plane wave that crosses ${SIDE} mm`, key: { one: "with 1/R", dash: "with 1/R², scaled to the same size" } },
      ],
      show({ z }) {
        const frames = (kept.wave ??= sliders.planeWave(data.n, 500)), { x, L, weight, ecg, squared } = sliders.above(data.n, z, frames);
        const inner = L.slice(1, -1), size = (y) => Math.max(largest(y), -smallest(y)), under = Math.floor(data.n / 2);
        const over = (y) => y.map((value) => value / size(y)), factor = size(ecg) / size(squared), t = times(ecg, 1);
        const high = largest(ecg), low = smallest(ecg), least = ecg.indexOf(low);
        const says = `At z = ${z} mm the ECG lies between ${signed(low)} and ${signed(high)} mV mm/ms, and is lowest at ${least} ms; one sharp front would give ` +
          `±${num((data.D0 * data.span) / z)}. A cell at the edge has ${Number(Math.abs(L[0] / L[under]).toPrecision(2))} times the lead field of the cell under the electrode, ` +
          `and the weight 1/R is ${num(weight[0] / weight[under])} of the largest there.`;
        return { says, plots: [
          { x: [0, SIDE, "x (mm)"], y: [-1.1, 1.1, ""], lines: [{ kind: "two", x, y: over(weight) }, { kind: "one", x: x.slice(1, -1), y: over(inner) }],
            words: `Weights over x at z = ${z} mm: 1/R is positive everywhere; the lead field is negative under the electrode and positive beside it. The two cells at the edges are left out.` },
          { x: [0, 500, "time (ms)"], y: [1.1 * low, 1.1 * Math.max(high, factor * largest(squared)), "mV mm/ms"],
            lines: [{ kind: "dash", x: t, y: squared.map((value) => value * factor) }, { kind: "one", x: t, y: ecg }],
            words: `ECG over time at z = ${z} mm: positive while the wave comes, negative once it has passed.` },
        ] };
      },
    },
    torso: {
      title: "Try it: the radius of the disc",
      controls: [
        { name: "radius", label: "Radius of the disc", min: STAYS, max: 300, step: 5, value: 60, unit: "mm", digits: 0 },
        { name: "rim", label: "The electrode moves with the rim", value: false },
      ],
      figures: [
        { caption: "Disc, sheet and electrode, from above", key: { one: "rim of the disc", gray: "sheet", two: "electrode" } },
        { caption: "ECG of a plane wave that runs toward the electrode", key: { one: "in the disc", dash: "in an endless plane" } },
      ],
      show({ radius, rim }) {
        const frames = (kept.small ??= sliders.planeWave(SMALL, 300)), at = rim ? radius : STAYS, half = (SMALL * data.dx) / 2;
        const { disc, plane } = sliders.inDisc(SMALL, radius, at, frames), t = times(disc, 1), top = largest(disc);
        const says = `Radius ${radius} mm, electrode ${at} mm from the center: the largest deflection is ${num(top)} mV mm²/ms in the disc and ` +
          `${num(largest(plane))} in an endless plane, ${num(top / largest(plane))} times as much.`;
        const angle = times(new Float64Array(121), Math.PI / 60);
        const circle = (r, x = 0) => ({ x: angle.map((a) => x + r * Math.cos(a)), y: angle.map((a) => r * Math.sin(a)) });
        return { says, plots: [
          { x: [-1.1 * radius, 1.1 * radius, "x (mm)"], y: [-1.1 * radius, 1.1 * radius, "mm"], equal: true,
            lines: [{ kind: "gray", x: [-half, half, half, -half, -half], y: [-half, -half, half, half, -half] }, { kind: "one", ...circle(radius) }, { kind: "two", ...circle(radius / 40, at) }],
            words: `A square sheet of ${2 * half} mm in the middle of a disc of radius ${radius} mm, with an electrode ${at} mm to the right of the center.` },
          { x: [0, 300, "time (ms)"], y: [1.1 * smallest(disc), 1.1 * top, "mV mm²/ms"], lines: [{ kind: "dash", x: t, y: plane }, { kind: "one", x: t, y: disc }],
            words: "ECG over time: positive while the wave runs toward the electrode; larger in the disc than in the endless plane." },
        ] };
      },
    },
    surrogate: {
      title: "Try it: what the entropy term sees",
      controls: [
        { name: "lambda", label: "Weight λ of the entropy term", min: 0, max: 1, step: 0.05, value: data.loss.lambda, digits: 2 },
        { name: "smooth", label: "Smooth the prediction over", min: 0, max: 60, step: 5, value: 20, unit: "ms", digits: 0 },
        { name: "noise", label: "Add noise of", min: 0, max: 0.5, step: 0.05, value: 0, unit: "SD", digits: 2 },
        { name: "factor", label: "Multiply the prediction by", min: 0.5, max: 1.5, step: 0.1, value: 1, digits: 1 },
      ],
      figures: [
        { caption: "Spectra: share of the power, as a power of ten", key: { gray: "true ECG", two: "prediction" } },
        { caption: "Loss over λ", key: { dash: "Huber term", one: "sum with the entropy term" } },
      ],
      show({ lambda, smooth, noise, factor }) {
        const truth = Float64Array.from(data.loss.ecg), dt = data.loss.dt, pred = sliders.spoil(truth, dt, smooth, factor, noise);
        const { huber, mismatch, sum } = sliders.hybrid(pred, truth, data.loss.delta, lambda), f = times(sliders.shares(truth), 1000 / (truth.length * dt));
        const says = `Huber term ${num(huber)}. Spectral entropy ${num(sliders.entropy(truth))} of the true ECG, ${num(sliders.entropy(pred))} of the prediction: ` +
          `the difference is ${num(mismatch)}. With λ = ${num(lambda, 2)} the entropy term adds ${num(lambda * mismatch)}, and the loss is ${num(sum)}.`;
        const q = [sliders.shares(truth), sliders.shares(pred)], top = Math.max(huber + mismatch, 0.05);
        return { says, plots: [
          { x: [0, 1000 / dt / 2, "frequency (Hz)"], y: [-7, 0.4, "log\u2081\u2080 of the share"], lines: [{ kind: "gray", x: f, y: q[0].map(Math.log10) }, { kind: "two", x: f, y: q[1].map(Math.log10) }],
            words: "Share of the power over frequency, of the true ECG and of the prediction." },
          { x: [0, 1, "λ"], y: [0, 1.1 * top, "loss"],
            lines: [{ kind: "dash", x: [0, 1], y: [huber, huber] }, { kind: "one", x: [0, 1], y: [huber, huber + mismatch] }, { kind: "dots", x: [lambda], y: [sum] }],
            words: `Loss over λ: a level line for the Huber term, a line that rises by ${num(mismatch)} for the sum, and a dot at λ = ${num(lambda, 2)}.` },
        ] };
      },
    },
  };

  // The controls

  function make(tag, properties, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) name in node ? (node[name] = value) : node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  function build(root, kind) {
    const { title, controls, figures, show } = KINDS[kind], id = (name) => `slider-${kind}-${name}`;
    const inputs = {}, outputs = {}, canvases = [];
    const row = ({ name, label, min, max, step, value, unit = "" }) => {
      const input = (inputs[name] = typeof value === "boolean" ? make("input", { type: "checkbox", id: id(name) })
        : make("input", { type: "range", id: id(name), min, max, step }));
      const words = make("label", { htmlFor: id(name), className: "slider-name" }, label);
      if (input.type === "checkbox") return make("div", { className: "slider-box" }, input, words);
      outputs[name] = make("output", { htmlFor: id(name), className: "slider-value", "aria-live": "off" }); // the slider itself tells its value
      return make("div", { className: "slider-row" }, words, outputs[name], input);
    };
    const figure = ({ caption, key }) => {
      const items = Object.entries(key).map(([line, text]) => make("li", {}, make("i", { className: `slider-${line}` }), text));
      canvases.push(make("canvas", { role: "img", "aria-label": caption }));
      return make("figure", {}, make("figcaption", {}, caption), make("ul", { className: "slider-key" }, ...items), canvases[canvases.length - 1]);
    };
    const says = make("p", { className: "slider-says", id: id("says"), role: "status", "aria-live": "polite" });
    const again = make("button", { type: "button" }, "Start values");
    root.setAttribute("role", "group");
    root.setAttribute("aria-labelledby", id("title"));
    root.append(
      make("p", { className: "slider-title", id: id("title") }, title),
      make("div", { className: "slider-controls" }, ...controls.map(row), again),
      says,
      make("div", { className: "slider-figures" }, ...figures.map(figure)),
    );
    let plots = [], due = 0;
    const paint = () => plots.forEach((plot, k) => draw(canvases[k], plot));
    const values = () => Object.fromEntries(controls.map(({ name, value }) => [name, typeof value === "boolean" ? inputs[name].checked : Number(inputs[name].value)]));
    const compute = () => {
      due = 0;
      const found = show(values());
      says.textContent = found.says;
      plots = found.plots;
      paint();
    };
    const write = () => {
      for (const { name, unit = "", digits } of controls.filter((one) => outputs[one.name])) {
        const text = `${num(Number(inputs[name].value), digits)} ${unit}`.trim();
        outputs[name].textContent = text;
        inputs[name].setAttribute("aria-valuetext", text);
      }
      due ||= requestAnimationFrame(compute); // once a picture, however fast the slider is moved
    };
    const start = () => {
      for (const { name, value } of controls) typeof value === "boolean" ? (inputs[name].checked = value) : (inputs[name].value = value);
      write();
    };
    for (const input of Object.values(inputs)) input.addEventListener("input", write);
    again.addEventListener("click", start);
    start();
    new ResizeObserver(paint).observe(root);
    new MutationObserver(paint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  for (const root of document.querySelectorAll("[data-slider]:empty")) build(root, root.dataset.slider);
})(window.forwardecgSliders);
