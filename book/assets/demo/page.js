/* The page: what is drawn by the user, how the run is stepped and shown, and when the surrogate is asked.

   The mathematics is in solver.js, ecg.js, surrogate.js and presets.js. Nothing moves before a user starts it. */
"use strict";

(function (demo) {
  const data = demo.data, N = data.n, SIDE = N * data.dx, MAP = N / data.pool;
  const STEPS = Math.round(data.ecg_interval / data.dt); // time steps between samples of the ECG
  const RATES = { slow: 30, normal: 100, fast: Infinity }; // simulated ms per second
  const BUDGET = 12; // ms of a picture's 16 that the solver may take
  const STILL = 50; // ms between pictures without animation
  const LINES = 10; // ms between lines of equal activation time
  const PIXEL = `${data.pool * data.dx} mm`, NETWORKS = `${data.config.members} networks`; // in words

  const element = (name) => document.getElementById(`demo-${name}`);
  const root = document.getElementById("demo-app");
  if (!root) return;
  root.hidden = false;
  const sheetCanvas = element("sheet"), ecgCanvas = element("ecg");
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");

  const tissue = { D0: 0.13, factor: new Float64Array(N * N).fill(1), conductive: new Uint8Array(N * N).fill(1), name: "healthy" };
  const start = { x: 10, y: 50 }; // mm, the stimulus
  const electrode = { x: SIDE / 2, y: SIDE / 2, z: data.z_default };
  const cursor = { x: 30, y: 30, shown: false };
  const extra = []; // stimuli given during the run, mm and ms
  let seed = 1, tool = root.querySelector("[name=demo-tool]:checked").value, playing = false, visible = true, over = false;
  let sheet, L, frames, coarse, samples, shown = null, view = "voltage", result = null, surrogate = "none", turn = 0, owed = 0, last = 0, request = 0;

  // The run

  function say(text) {
    element("status").textContent = text;
  }

  /* A new run from rest, with the tissue as it is drawn. */
  function reset(keepView) {
    playing = over = false;
    extra.length = 0;
    turn++; // an answer of the surrogate that is still on its way is dropped
    result = null;
    surrogate = "none";
    shown = null;
    if (!keepView) setView("voltage");
    sheet = new demo.Sheet(tissue.factor.map((value) => value * tissue.D0), tissue.conductive, N, N, data);
    sheet.startable = sheet.stimulate(start.x, start.y, data.stimulus.radius, 0);
    L = demo.leadField(sheet, electrode);
    frames = [sheet.frame()];
    coarse = [pixels(frames[0])];
    samples = [[0, demo.pseudoEcg(L, frames[0], data.span)]];
    refresh();
  }

  /* What the surrogate sees of a frame: the mean of each pixel. */
  const pixels = (frame) => demo.maps([frame], N, N, data.pool, data.dx, data.frame_interval).u;

  /* One sample of the ECG further; a frame for the maps every 5 ms. */
  function advance() {
    sheet.advance(STEPS);
    const u = sheet.frame(), t = Math.round(sheet.time);
    samples.push([t, demo.pseudoEcg(L, u, data.span)]);
    if (t % data.frame_interval === 0) frames.push(u), coarse.push(pixels(u));
    if (sheet.atRest() || t >= data.t_end) finish(t);
  }

  function finish(t) {
    over = true;
    playing = false;
    setView("activation"); // the voltage at rest is the same everywhere
    say(`${t < data.t_end ? `At rest after ${t} ms.` : `Still active after ${t} ms: the run ends here.`} The ${NETWORKS} read the maps.`);
    askSurrogate(turn);
  }

  function tick(now) {
    if (!playing) return;
    const moving = element("animate").checked, rate = moving ? RATES[element("speed").value] : Infinity;
    owed = Math.min(owed + (rate * Math.min(now - last, 50)) / 1000, 20);
    if (rate === Infinity) owed = 20;
    last = now;
    if (visible && !document.hidden) {
      const until = performance.now() + (moving ? BUDGET : 3 * BUDGET);
      for (; owed >= 1 && playing && performance.now() < until; owed--) {
        advance();
        if (!moving && Math.round(sheet.time) % STILL === 0) refresh();
      }
      if (moving || over) refresh();
    }
    request = requestAnimationFrame(tick);
  }

  function play() {
    if (playing) {
      playing = false;
      say(`Paused at ${Math.round(sheet.time)} ms.`);
      return refresh();
    }
    if (over) reset();
    if (!sheet.startable) return say("No conductive cell under the stimulus: move it, or erase there.");
    shown = null;
    playing = true;
    owed = 0;
    last = performance.now();
    say(element("animate").checked ? "The wave runs." : "The beat is computed, and shown in large steps.");
    refresh();
    cancelAnimationFrame(request); // of the run before a pause
    request = requestAnimationFrame(tick);
  }

  // The surrogate, once the beat is over; a pause between networks keeps the page alive

  async function askSurrogate(mine) {
    const pause = () => new Promise((go) => setTimeout(go, 0));
    surrogate = "busy";
    refresh();
    await pause();
    if (mine !== turn) return;
    const m = demo.maps(frames, N, N, data.pool, data.dx, data.frame_interval);
    let seen;
    try {
      seen = demo.see(m, data.surrogate);
    } catch (problem) {
      surrogate = "refused";
      say(`The surrogate refuses these maps: ${problem.message}.`);
      return refresh();
    }
    const found = [];
    for (const net of (demo.nets ??= demo.networks(data))) {
      await pause();
      if (mine !== turn) return;
      found.push(demo.infer(net, seen.inputs, MAP, MAP, data.surrogate));
    }
    await pause();
    if (mine !== turn) return;
    const unusual = demo.unusualness(data.reference, demo.summary(seen.inputs, seen.fronts));
    result = { m, found, unusual, flags: demo.flags(seen.inputs, unusual, data), ...demo.conductivityWithError(found, m, data) };
    surrogate = "done";
    judge();
    say(`The surrogate has answered: R² ${result.r2.toFixed(3)}.${result.flags.length ? " The maps are unusual." : ""}` +
      (view === "activation" ? " The sheet shows when the wave first came; Look back shows the voltage." : ""));
    refresh();
  }

  /* The ECG of the surrogate at the electrode, and its score against the exact one at the times of the maps. */
  function judge() {
    result.ecg = demo.ecgWithBand(result.found, result.m, electrode, data);
    const truth = Float64Array.from(frames, (u) => demo.pseudoEcg(L, u, data.span));
    const inside = truth.map((value, t) => (result.ecg.low[t] <= value && value <= result.ecg.high[t] ? 1 : 0));
    result.r2 = demo.r2(truth, result.ecg.phi);
    result.inside = inside.reduce((a, b) => a + b, 0) / inside.length;
  }

  function scores() {
    const held = result.inside === 1 ? "The band holds the whole trace." : `The band holds ${Math.floor(100 * result.inside)} % of the samples.`;
    const flags = result.flags.length ? `Unusual maps: ${result.flags.join("; ")}.` : "The maps look like those of the training.";
    const moved = electrode.x !== SIDE / 2 || electrode.y !== SIDE / 2 || electrode.z !== data.z_default;
    const place = moved ? ` (It was calibrated for an electrode ${data.z_default} mm above the center only.)` : "";
    return `R² ${result.r2.toFixed(3)}. ${held}${place} ${flags}`.replace("-", "\u2212");
  }

  // Changes by the user

  const cell = (mm) => Math.floor(mm / data.dx);
  const onSheet = (mm) => Math.min(Math.max(mm, 0), SIDE - 1e-9);

  /* Paint or erase a disc about a point in mm; the run starts anew. */
  function paint(x, y) {
    const r = Number(element("brush").value) / 2, strongest = tool === "erase" ? 1 : data.weak;
    for (let j = Math.max(cell(y - r), 0); j <= Math.min(cell(y + r), N - 1); j++)
      for (let i = Math.max(cell(x - r), 0); i <= Math.min(cell(x + r), N - 1); i++) {
        if (((j + 0.5) * data.dx - y) ** 2 + ((i + 0.5) * data.dx - x) ** 2 > r ** 2) continue;
        if (tool === "fibrosis") tissue.conductive[j * N + i] = 0;
        else [tissue.conductive[j * N + i], tissue.factor[j * N + i]] = [1, strongest];
      }
    tissue.name = "a sheet of your own";
    element("reveal").checked = true; // what is drawn has to be seen
  }

  function stroke(from, to) {
    const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / data.dx));
    for (let k = 1; k <= steps; k++) paint(from.x + ((to.x - from.x) * k) / steps, from.y + ((to.y - from.y) * k) / steps);
  }

  /* Before a run: where it starts. During one: another beat, now. */
  function stimulate(x, y) {
    if (!over && sheet.steps > 0) {
      const now = Math.ceil(sheet.time), there = sheet.stimulate(x, y, data.stimulus.radius, now);
      if (there) extra.push({ x, y, t: now });
      say(there ? `Stimulus at ${now} ms.` : "No conductive cell there.");
      return refresh();
    }
    Object.assign(start, { x, y });
    reset();
    say(sheet.startable ? `The wave will start at ${x.toFixed(0)}, ${y.toFixed(0)} mm.` : "No conductive cell there.");
  }

  function moveElectrode(x, y, z) {
    Object.assign(electrode, { x, y, z });
    L = demo.leadField(sheet, electrode);
    // what has been recorded, at the times that are kept: every 5 ms, and now
    const end = samples[samples.length - 1][0];
    samples = frames.map((u, k) => [k * data.frame_interval, demo.pseudoEcg(L, u, data.span)]);
    if (end > samples[samples.length - 1][0]) samples.push([end, demo.pseudoEcg(L, sheet.frame(), data.span)]);
    if (result) judge();
    refresh();
  }

  function sayElectrode() {
    say(`Electrode at ${electrode.x.toFixed(0)}, ${electrode.y.toFixed(0)} mm, ${electrode.z} mm above the sheet. ${result ? scores() : ""}`);
  }

  function use(x, y) {
    if (tool === "stimulus") return stimulate(x, y);
    if (tool === "electrode") {
      moveElectrode(x, y, electrode.z);
      return sayElectrode();
    }
    paint(x, y);
    reset();
    sayTissue();
  }

  /* The tissue in words: what does not conduct, and what conducts less. */
  function inWords() {
    const percent = (many) => (many < 0.001 * N ** 2 ? "less than 0.1" : ((100 * many) / N ** 2).toFixed(1)), parts = [];
    let blocked = 0, slow = 0, least = 1;
    tissue.factor.forEach((factor, i) => {
      if (!tissue.conductive[i]) blocked++;
      else if (factor < 1) slow++, (least = Math.min(least, factor));
    });
    if (blocked) parts.push(`${percent(blocked)} % of the cells do not conduct`);
    if (slow) parts.push(`${percent(slow)} % ${blocked ? "" : "of the cells "}have a lower D, down to ${least.toFixed(2)} times that of healthy tissue`);
    return `${tissue.name[0].toUpperCase()}${tissue.name.slice(1)}: ${parts.join("; ") || "all cells conduct alike"}.`;
  }

  function sayTissue() {
    say(`${inWords()} Press Play.`);
  }

  function choose(name) {
    if (name !== "healthy") seed++;
    Object.assign(tissue, demo.preset(name, seed, N, data.dx), { name: data.names[name] });
    reset();
    sayTissue();
  }

  function setView(name) {
    view = name;
    element("view").value = name;
  }

  function lookBack(t) {
    if (view !== "voltage") say("The sheet shows the voltage at the moment of Look back.");
    setView("voltage");
    shown = t;
    refresh();
  }

  // Drawing

  const lookup = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const VOLTAGE = lookup(data.colors.voltage), DIFFUSIVITY = lookup(data.colors.diffusivity);
  const color = (name) => getComputedStyle(root).getPropertyValue(`--demo-${name}`).trim();

  const scratch = {};

  /* Values in 0..1 as an image of n x n pixels; NaN: a gray. */
  function image(canvas, n, value, table, dark, none = 150) {
    const small = (scratch[n] ??= document.createElement("canvas"));
    small.width = small.height = n;
    const pen = small.getContext("2d"), pixels = pen.createImageData(n, n), out = pixels.data;
    for (let i = 0; i < n * n; i++) {
      const z = value(i), at = Number.isNaN(z) ? -1 : 3 * Math.round(255 * Math.min(Math.max(z, 0), 1));
      const shade = dark && dark(i) ? 0.55 : 1;
      for (let c = 0; c < 3; c++) out[4 * i + c] = at < 0 ? none : table[at + c] * shade;
      out[4 * i + 3] = 255;
    }
    pen.putImageData(pixels, 0, 0);
    const brush = canvas.getContext("2d");
    brush.imageSmoothingEnabled = false;
    brush.drawImage(small, 0, 0, canvas.width, canvas.height);
    return brush;
  }

  function currentFrame() {
    return shown === null ? sheet.frame() : frames[Math.min(Math.round(shown / data.frame_interval), frames.length - 1)];
  }

  /* Activation times, NaN where there is none: of the cells, or where the tissue is hidden from what the surrogate sees,
     when the mean voltage of a pixel first passed half of its peak (the level of fronts.py), linear in time. */
  function activation(revealed) {
    const n = revealed ? N : MAP, quiet = data.surrogate.quiet;
    const lat = new Float64Array(n * n).fill(NaN);
    if (revealed) sheet.lat.forEach((time, i) => time >= 0 && (lat[i] = time));
    else
      for (let i = 0; i < n * n; i++) {
        const level = coarse.reduce((peak, u) => Math.max(peak, u[i]), 0) / 2;
        const k = level > quiet / 2 ? coarse.findIndex((u) => u[i] >= level) : -1;
        if (k > 0) lat[i] = data.frame_interval * (k - (coarse[k][i] - level) / (coarse[k][i] - coarse[k - 1][i]));
      }
    return { n, lat, latest: lat.reduce((a, b) => (b > a ? b : a), 1) };
  }

  function drawSheet() {
    const revealed = element("reveal").checked, hole = (i) => revealed && !tissue.conductive[i];
    let pen;
    element("scale-low").textContent = `${data.rest} mV`.replace("-", "\u2212");
    element("scale-high").textContent = `${data.rest + data.span} mV${revealed ? "; gray: fibrosis" : ""}`;
    if (view === "activation") {
      const { n, lat, latest } = activation(revealed), band = (j) => Math.floor(lat[j] / LINES);
      const line = (i) => (i % n < n - 1 && band(i) < band(i + 1)) || (i < n * (n - 1) && band(i) < band(i + n));
      pen = image(sheetCanvas, n, (i) => 1 - lat[i] / latest, VOLTAGE, line);
      element("scale-low").textContent = `reached at ${Math.round(latest)} ms`;
      element("scale-high").textContent = revealed ? "0 ms; gray: not reached" : "0 ms; gray: no wave seen";
    } else if (revealed) {
      const u = currentFrame();
      pen = image(sheetCanvas, N, (i) => (hole(i) ? NaN : u[i]), VOLTAGE);
    } else {
      const u = pixels(currentFrame());
      pen = image(sheetCanvas, MAP, (i) => u[i], VOLTAGE);
    }
    const s = sheetCanvas.width / SIDE; // canvas pixels in a mm
    const ring = (x, y, r, fill, stroke) => {
      pen.beginPath();
      pen.arc(x * s, y * s, r * s, 0, 2 * Math.PI);
      if (fill) (pen.fillStyle = fill), pen.fill();
      if (stroke) (pen.strokeStyle = stroke), pen.stroke();
    };
    const mark = (x, y, letter, ground) => {
      pen.lineWidth = 0.4 * s;
      ring(x, y, 2.6, ground, "#fff");
      pen.fillStyle = "#fff";
      pen.font = `bold ${3.4 * s}px sans-serif`;
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      pen.fillText(letter, x * s, (y + 0.15) * s);
    };
    for (const one of [start, ...extra]) mark(one.x, one.y, "S", "#b3261e");
    mark(electrode.x, electrode.y, "E", "#1b1b1f");
    if (cursor.shown) {
      const r = tool === "stimulus" ? data.stimulus.radius : tool === "electrode" ? 2.6 : Number(element("brush").value) / 2;
      pen.lineWidth = 0.8 * s;
      ring(cursor.x, cursor.y, Math.max(r, 0.8), null, "#000");
      pen.lineWidth = 0.4 * s;
      ring(cursor.x, cursor.y, Math.max(r, 0.8), null, "#fff");
    }
  }

  /* Ticks of a round size, about so many over a range. */
  function ticks(low, high, many) {
    const raw = (high - low) / many, ten = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 5, 10].find((k) => k * ten >= raw) * ten;
    const out = [];
    for (let k = Math.ceil(low / step); k * step <= high * (1 + 1e-9); k++) out.push(k * step);
    return out;
  }

  function drawEcg() {
    const ratio = window.devicePixelRatio || 1, width = ecgCanvas.clientWidth, height = ecgCanvas.clientHeight;
    ecgCanvas.width = Math.round(width * ratio);
    ecgCanvas.height = Math.round(height * ratio);
    const pen = ecgCanvas.getContext("2d");
    pen.scale(ratio, ratio);
    const end = Math.max(samples[samples.length - 1][0], 300);
    const all = [...samples.map((one) => one[1]), ...(result ? [...result.ecg.low, ...result.ecg.high] : [])];
    const most = 1.08 * Math.max(0.02, ...all), least = 1.08 * Math.min(-0.02, ...all);
    const left = 46, right = width - 12, top = 6, bottom = height - 34;
    const x = (t) => left + ((right - left) * t) / end, y = (phi) => bottom - ((bottom - top) * (phi - least)) / (most - least);
    pen.font = "12px sans-serif";
    pen.lineWidth = 1;
    pen.fillStyle = color("muted");
    pen.strokeStyle = color("border");
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (const phi of ticks(least, most, 5)) {
      line(pen, [[left, y(phi)], [right, y(phi)]]);
      pen.fillText(String(Number(phi.toPrecision(2))).replace("-", "\u2212"), left - 5, y(phi));
    }
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const t of ticks(0, end, 5)) pen.fillText(t, x(t), bottom + 4);
    pen.fillText("time (ms)", (left + right) / 2, bottom + 19);
    if (result) {
      const t = (k) => x(k * data.frame_interval), { phi, low, high } = result.ecg;
      pen.fillStyle = color("band");
      pen.beginPath();
      low.forEach((value, k) => pen.lineTo(t(k), y(value)));
      for (let k = high.length - 1; k >= 0; k--) pen.lineTo(t(k), y(high[k]));
      pen.fill();
      pen.strokeStyle = color("surrogate");
      pen.lineWidth = 2.5;
      line(pen, Array.from(phi, (value, k) => [t(k), y(value)]));
    }
    pen.strokeStyle = color("text");
    pen.lineWidth = 1.5;
    pen.setLineDash(result ? [6, 4] : []);
    line(pen, samples.map(([t, phi]) => [x(t), y(phi)]));
    pen.setLineDash([]);
    if (shown !== null) {
      pen.strokeStyle = color("muted");
      pen.lineWidth = 1;
      line(pen, [[x(shown), top], [x(shown), bottom]]);
    }
    const size = samples.reduce((a, one) => Math.max(a, Math.abs(one[1])), 0);
    ecgCanvas.setAttribute("aria-label", `ECG at the electrode up to ${samples[samples.length - 1][0]} ms, largest deflection ` +
      `${size.toFixed(3)} mV mm/ms. ${result ? scores() : "The surrogate has not answered yet."}`);
  }

  function line(pen, points) {
    pen.beginPath();
    points.forEach(([a, b]) => pen.lineTo(a, b));
    pen.stroke();
  }

  function drawMaps() {
    const revealed = element("reveal").checked, top = data.D0[1], truth = element("true-d"), inferred = element("inferred-d");
    if (revealed)
      image(truth, N, (i) => (tissue.conductive[i] ? (tissue.factor[i] * tissue.D0) / top : NaN), DIFFUSIVITY, null, 255); // the middle of this scale is gray
    else blank(truth, "hidden");
    if (result) image(inferred, MAP, (i) => result.D[i] / top, DIFFUSIVITY);
    else blank(inferred, { none: "after the beat", busy: "reading the maps", refused: "refused" }[surrogate]);
    const share = (part) => values[Math.floor(part * MAP ** 2)].toFixed(3);
    const values = result && Array.from(result.D).sort((a, b) => a - b);
    inferred.setAttribute("aria-label", result
      ? `Inferred diffusivity: 5 % of the pixels are below ${share(0.05)}, half below ${share(0.5)} mm²/ms.`
      : "Inferred diffusivity: not there before the beat is over.");
    truth.setAttribute("aria-label", revealed ? `True diffusivity: ${tissue.D0.toFixed(3)} mm²/ms in healthy tissue; white: does not conduct.` : "True diffusivity: hidden.");
  }

  function blank(canvas, text) {
    const pen = canvas.getContext("2d");
    pen.fillStyle = color("surface");
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.fillStyle = color("muted");
    pen.font = "22px sans-serif";
    pen.textAlign = "center";
    pen.fillText(text, canvas.width / 2, canvas.height / 2);
  }

  /* All that depends on the state. */
  function refresh() {
    const t = Math.round(sheet.time), play = element("play");
    play.textContent = playing ? "Pause" : over ? "Replay" : t > 0 ? "Go on" : "Play";
    element("big-play").hidden = playing || t > 0;
    const slider = element("time");
    slider.max = (frames.length - 1) * data.frame_interval;
    slider.disabled = playing || frames.length < 2;
    slider.value = shown === null ? slider.max : shown;
    element("now").textContent = `${shown === null ? t : shown} ms`;
    element("answer").textContent = result ? scores()
      : surrogate === "busy" ? `The ${NETWORKS} read the maps ...`
      : surrogate === "refused" ? "The surrogate refuses these maps."
      : "The surrogate answers when the beat is over and the tissue is at rest.";
    element("answer").classList.toggle("demo-unusual", Boolean(result && result.flags.length));
    element("hidden-note").hidden = element("reveal").checked;
    element("hidden-note").textContent = view === "voltage"
      ? `These colors are all that the surrogate sees: the mean voltage of pixels of ${PIXEL}, every ${data.frame_interval} ms.`
      : `The surrogate sees the mean voltage of pixels of ${PIXEL}, every ${data.frame_interval} ms. These times are read from it: when it first passed half of its peak.`;
    drawSheet();
    drawEcg();
    if (!playing) drawMaps();
  }

  function bar(canvas, table) {
    const pen = canvas.getContext("2d");
    for (let i = 0; i < canvas.width; i++) {
      const at = 3 * Math.floor((255 * i) / (canvas.width - 1));
      pen.fillStyle = `rgb(${table[at]}, ${table[at + 1]}, ${table[at + 2]})`;
      pen.fillRect(i, 0, 1, canvas.height);
    }
  }

  // Mouse, finger and pen

  let drag = null, before = null;

  function place(event) {
    const box = sheetCanvas.getBoundingClientRect();
    return { x: onSheet(((event.clientX - box.left) / box.width) * SIDE), y: onSheet(((event.clientY - box.top) / box.height) * SIDE) };
  }

  sheetCanvas.addEventListener("pointerdown", (event) => {
    if (event.button || !event.isPrimary) return; // of several fingers the first one
    const at = place(event), reach = event.pointerType === "mouse" ? 3 : 5, near = (one) => Math.hypot(one.x - at.x, one.y - at.y) < reach;
    drag = tool === "electrode" || near(electrode) ? "electrode" : tool === "stimulus" || (near(start) && (over || sheet.steps === 0)) ? "stimulus" : "paint";
    sheetCanvas.setPointerCapture(event.pointerId);
    cursor.shown = false;
    before = at;
    if (drag === "electrode") moveElectrode(at.x, at.y, electrode.z);
    else if (drag === "stimulus") stimulate(at.x, at.y);
    else {
      paint(at.x, at.y);
      reset();
    }
  });
  sheetCanvas.addEventListener("pointermove", (event) => {
    if (!drag || !event.isPrimary) return;
    const at = place(event);
    if (drag === "electrode") moveElectrode(at.x, at.y, electrode.z);
    else if (drag === "stimulus" && (over || sheet.steps === 0)) stimulate(at.x, at.y);
    else if (drag === "paint") {
      stroke(before, at);
      before = at;
      drawSheet(); // the run itself is made anew when the stroke is done
    }
  });
  for (const kind of ["pointerup", "pointercancel"])
    sheetCanvas.addEventListener(kind, (event) => {
      if (!event.isPrimary) return;
      if (drag === "paint") {
        reset();
        sayTissue();
      } else if (drag === "electrode") sayElectrode();
      drag = null;
    });

  // Keys

  sheetCanvas.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 5 : 1;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const letter = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (moves[event.key]) {
      cursor.x = onSheet(cursor.x + moves[event.key][0]);
      cursor.y = onSheet(cursor.y + moves[event.key][1]);
      cursor.shown = true;
      const conducts = !element("reveal").checked ? "" : tissue.conductive[cell(cursor.y) * N + cell(cursor.x)] ? ", conducts" : ", fibrosis";
      say(`Cursor at ${cursor.x.toFixed(0)}, ${cursor.y.toFixed(0)} mm${conducts}.`);
      drawSheet();
    } else if (letter === " " || letter === "enter") use(cursor.x, cursor.y);
    else if (letter === "s") stimulate(cursor.x, cursor.y);
    else if (letter === "e") {
      moveElectrode(cursor.x, cursor.y, electrode.z);
      sayElectrode();
    } else if (letter === "p") {
      if (!event.repeat) play();
    } else return;
    event.preventDefault();
  });
  sheetCanvas.addEventListener("focus", () => {
    cursor.shown = sheetCanvas.matches(":focus-visible");
    drawSheet();
  });
  sheetCanvas.addEventListener("blur", () => {
    cursor.shown = false;
    drawSheet();
  });

  // Buttons and sliders

  const on = (name, kind, act) => element(name).addEventListener(kind, act);
  for (const button of root.querySelectorAll("[data-preset]")) button.addEventListener("click", () => choose(button.dataset.preset));
  for (const radio of root.querySelectorAll("[name=demo-tool]")) radio.addEventListener("change", () => (tool = radio.value));
  on("play", "click", play);
  on("big-play", "click", () => {
    play();
    element("play").focus({ preventScroll: true }); // this button goes away
  });
  on("reset", "click", () => {
    reset();
    say("Back at rest. Press Play.");
  });
  on("time", "input", () => {
    lookBack(Number(element("time").value));
  });
  on("view", "change", () => {
    setView(element("view").value);
    if (over && shown === null && view === "voltage") {
      const phi = frames.map((u) => Math.abs(demo.pseudoEcg(L, u, data.span)));
      shown = data.frame_interval * phi.indexOf(Math.max(...phi)); // at the end there is nothing to be seen
      say(`The voltage at ${shown} ms, when the ECG was largest.`);
    }
    refresh();
  });
  on("reveal", "change", () => {
    refresh();
    drawMaps(); // also while the wave runs
    say(element("reveal").checked ? "The true tissue is shown." : `The true tissue is hidden: of the sheet only the voltage on pixels of ${PIXEL} is left, all that the surrogate sees.`);
  });
  const value = (name, digits, unit) => (element(`${name}-value`).textContent = `${Number(element(name).value).toFixed(digits)} ${unit}`);
  on("d0", "input", () => {
    tissue.D0 = Number(element("d0").value);
    value("d0", 3, "mm²/ms");
    reset();
    say(`Diffusivity of healthy tissue ${tissue.D0.toFixed(3)} mm²/ms. Press Play.`);
  });
  on("height", "input", () => {
    value("height", 0, "mm");
    moveElectrode(electrode.x, electrode.y, Number(element("height").value));
  });
  on("height", "change", sayElectrode);
  on("brush", "input", () => {
    value("brush", 0, "mm");
    drawSheet();
  });

  // What is not seen does not run

  new IntersectionObserver((entries) => (visible = entries[entries.length - 1].isIntersecting)).observe(element("stage"));
  new ResizeObserver(drawEcg).observe(ecgCanvas.parentElement);
  new MutationObserver(() => {
    refresh();
    drawMaps();
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });

  element("animate").checked = !still.matches;
  const range = (name, [low, high], value) => Object.assign(element(name), { min: low, max: high }, { value });
  range("d0", data.D0, tissue.D0);
  range("height", data.z, data.z_default);
  element("coverage").textContent = `${100 * data.bands.phi_e.coverage} %`;
  element("d-high").textContent = `${data.D0[1]} mm²/ms`;
  bar(element("voltage-bar"), VOLTAGE);
  bar(element("d-bar"), DIFFUSIVITY);
  value("d0", 3, "mm²/ms");
  value("height", 0, "mm");
  value("brush", 0, "mm");
  Object.assign(tissue, demo.preset("patchy", seed, N, data.dx), { name: data.names.patchy });
  reset();
  say(`${inWords()} Press Play, or draw on the sheet first.`);

  /* For tests, and for the curious. */
  demo.page = {
    tissue, reset,
    steps: { still: STILL, lines: LINES },
    inferred: () => result && Array.from(result.D),
    activation: (revealed) => Array.from(activation(revealed).lat),
    show: lookBack,
    state: () => ({
      time: sheet.time, playing, over, visible, surrogate, view, tool, cursor: { ...cursor }, start: { ...start }, electrode: { ...electrode },
      stimuli: extra.length, fibrosis: N * N - tissue.conductive.reduce((a, b) => a + b, 0), samples: samples.map((one) => one[1]),
      score: result && { r2: result.r2, inside: result.inside, unusual: result.unusual, flags: result.flags },
    }),
  };
})(window.forwardecgDemo);
