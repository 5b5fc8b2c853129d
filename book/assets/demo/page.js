/* The page: its state, how the run is stepped, when the methods are asked, and what mouse, finger and keys do.

   The mathematics is in solver.js, ecg.js, surrogate.js, paper.js and presets.js; pictures are in draw.js, what is drawn in drawing.js,
   the score of a guess in game.js, files in share.js. Nothing moves before a user starts it. */
"use strict";

(function (demo) {
  const data = demo.data, N = data.n, SIDE = N * data.dx, MAP = N / data.pool, { draw, share } = demo;
  const STEPS = Math.round(data.ecg_interval / data.dt); // time steps between samples of the ECG
  const RATES = { slow: 30, normal: 100, fast: Infinity }; // simulated ms per second
  const BUDGET = { slow: 12, normal: 12, fast: 40 }; // ms of a picture that the solver may take
  const STILL = 50; // ms between pictures without animation
  const LINES = 20; // ms between lines of equal activation time
  const PIXEL = `${data.pool * data.dx} mm`, NETWORKS = `${data.config.members} networks`; // in words
  const CENTER = { x: SIDE / 2, y: SIDE / 2, z: data.z_default };
  const TRACES = {
    exact: { color: "text", width: 1.5, dash: [6, 4] },
    hidden: { color: "hidden", width: 2.5, dash: [] },
    structured: { color: "surrogate", width: 2.5, dash: [] },
    formula: { color: "formula", width: 2, dash: [2, 3] },
    paper: { color: "paper", width: 2, dash: [10, 3, 2, 3] },
  };

  const element = (name) => document.getElementById(`demo-${name}`);
  const root = document.getElementById("demo-app");
  if (!root) return;
  root.hidden = false;
  const sheetCanvas = element("sheet"), ecgCanvas = element("ecg");
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const color = (name) => getComputedStyle(root).getPropertyValue(`--demo-${name}`).trim();

  let drawn = { preset: "patchy", seed: 1, strokes: [] }, tissue = demo.tissueOf(drawn), D0 = 0.13;
  const start = { x: 0.1 * SIDE, y: SIDE / 2 }; // mm, the stimulus
  const electrode = { ...CENTER };
  const cursor = { x: 60, y: 60, shown: false };
  const extra = []; // stimuli given during the run, mm and ms
  let tool = root.querySelector("[name=demo-tool]:checked").value, touchDraws = false, playing = false, visible = true, over = false;
  let sheet, L, frames, coarse, samples, every, shown = null, view = "voltage", result = null, asked = "none", turn = 0, owed = 0, last = 0, request = 0;
  let game = null; // {phase, drawn, tissue, ecg, result, network, score}; phases: hidden, guess, scoring, scored
  const history = [];

  const phase = () => game?.phase ?? "none";
  const revealed = () => element("reveal").checked && phase() !== "hidden";

  // The run

  function say(text) {
    element("status").textContent = text;
  }

  /* A new run from rest, with the tissue as it is drawn. */
  function reset() {
    playing = over = false;
    extra.length = 0;
    turn++; // an answer that is still on its way is dropped
    result = null;
    asked = "none";
    shown = null;
    setView("voltage");
    sheet = new demo.Sheet(tissue.factor.map((value) => value * D0), tissue.conductive, N, N, data);
    sheet.startable = sheet.stimulate(start.x, start.y, data.stimulus.radius, 0);
    L = demo.leadField(sheet, electrode);
    frames = [sheet.frame()];
    coarse = [pixels(frames[0])];
    samples = [demo.pseudoEcg(L, frames[0], data.span)];
    every = data.ecg_interval;
    refresh();
  }

  /* What the networks see of a frame: the mean of each pixel. */
  const pixels = (frame) => demo.maps([frame], N, N, data.pool, data.dx, data.frame_interval).u;

  /* One sample of the ECG further; a frame for the maps every 5 ms. */
  function advance() {
    sheet.advance(STEPS);
    const u = sheet.frame(), t = Math.round(sheet.time);
    if (t % every === 0) samples.push(demo.pseudoEcg(L, u, data.span));
    if (t % data.frame_interval === 0) frames.push(u), coarse.push(pixels(u));
    if (sheet.atRest() || t >= data.t_end) finish(t);
  }

  function finish(t) {
    over = true;
    playing = false;
    setView("activation"); // the voltage at rest is the same everywhere
    const end = t < data.t_end ? `At rest after ${t} ms.` : `Still active after ${t} ms: the run ends here.`;
    if (phase() === "scoring") return score();
    if (game && phase() !== "hidden") return say(phase() === "guess" ? `${end} Change your drawing, or press Score my guess.` : end);
    say(`${end} The ${NETWORKS} read the maps.`);
    askMethods(turn);
  }

  function tick(now) {
    if (!playing) return;
    const moving = element("animate").checked, speed = element("speed").value, rate = moving ? RATES[speed] : Infinity;
    owed = rate === Infinity ? 100 : Math.min(owed + (rate * Math.min(now - last, 50)) / 1000, 20);
    last = now;
    if (visible && !document.hidden) {
      const until = performance.now() + (moving ? BUDGET[speed] : BUDGET.fast);
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

  // The methods, once the beat is over; a pause between networks keeps the page alive

  async function askMethods(mine) {
    const pause = () => new Promise((go) => setTimeout(go, 0));
    asked = "busy";
    refresh();
    await pause();
    if (mine !== turn) return;
    const m = demo.maps(frames, N, N, data.pool, data.dx, data.frame_interval);
    let seen;
    try {
      seen = demo.see(m, data.surrogate);
    } catch (problem) {
      asked = "refused";
      result = { refusal: problem.message };
      if (game) quit();
      say("The beat has no answer by the networks. The reason is below the ECG.");
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
    const paper = demo.paperEcg(m, (demo.paperWeights ??= demo.unpackPaper(demo.paperData)), demo.paperData);
    const described = demo.summary(seen.inputs, seen.fronts), unusual = demo.unusualness(data.references, described);
    const { expected } = demo.ecgWithBand(found, m, CENTER, described, unusual, data);
    result = {
      m, found, described, unusual, formula: demo.formula(seen.inputs), paper: paper.phi, again: demo.risesAgain(paper.seen),
      flags: demo.flags(seen.inputs, unusual, expected, data), ...demo.conductivityWithError(found, m, data),
    };
    asked = "done";
    judge();
    if (phase() === "hidden") return startGuess();
    say(`The networks have answered.${view === "activation" ? " The sheet shows when the wave first came. Look back shows the voltage." : ""}`);
    refresh();
  }

  /* The ECGs of all methods at the electrode, and their scores against the exact one at the times of the maps. */
  function judge() {
    const truth = Float64Array.from(frames, (_, k) => samples[(k * data.frame_interval) / every]);
    const band = demo.ecgWithBand(result.found, result.m, electrode, result.described, result.unusual, data), clock = demo.paperData.time[1];
    const inside = truth.map((value, t) => (band.low[t] <= value && value <= band.high[t] ? 1 : 0));
    result.inside = inside.reduce((a, b) => a + b, 0) / inside.length;
    result.traces = {
      structured: { ...band, every: data.frame_interval },
      formula: { phi: demo.mapEcg(result.formula, result.m, electrode, data), every: data.frame_interval },
    };
    if (atCenter()) result.traces.paper = { phi: result.paper, every: clock }; // it knows no other place
    for (const trace of Object.values(result.traces))
      trace.r2 = demo.r2(truth.filter((_, k) => (k * data.frame_interval) % trace.every === 0), trace.phi);
  }

  const atCenter = () => Object.entries(CENTER).every(([axis, mm]) => electrode[axis] === mm);
  const three = (value) => draw.signed(value.toFixed(3));

  /* What is known of the answers besides their scores, which stand beside the traces. */
  function remarks() {
    if (phase() === "guess" && over) return `Your ECG against that of the hidden sheet: R² ${three(demo.game.likeness(game.ecg, samples))}.`;
    if (asked === "refused") return `The networks and the formula refuse these maps: ${result.refusal}.`;
    if (!result) return "";
    const words = [result.inside === 1 ? "The band holds the whole trace." : `The band holds ${Math.floor(100 * result.inside)} % of the samples.`];
    if (!atCenter()) words.push(`It was calibrated for an electrode ${data.z_default} mm above the center only. The paper's network knows only that electrode, so it has no answer here.`);
    words.push(result.flags.length ? `Unusual maps: ${result.flags.join("; ")}.` : "The maps look like those of the training.");
    if (result.again > demo.paperData.mostAgain) words.push("The paper's network was trained on one beat, and here is more than one.");
    return words.join(" ");
  }

  // Changes by the user

  const cell = (mm) => Math.floor(mm / data.dx);
  const onSheet = (mm) => Math.min(Math.max(Math.round(100 * mm) / 100, 0), SIDE - 0.01); // as a link keeps it

  /* Why the sheet cannot be changed now, or "". */
  function locked(what) {
    if (!game) return "";
    if (what === "place") return "In the game the stimulus and the electrode stay where they are.";
    return { hidden: "Wait until the beat of the hidden sheet is over.", scoring: "Your guess is being scored.", scored: "The round is over. Press Another sheet, or End the game." }[game.phase] ?? "";
  }

  function rebuild() {
    tissue = demo.tissueOf(drawn);
    reset();
  }

  /* The first point of a stroke; more come with `stroke`. */
  function touchDown(x, y) {
    drawn.strokes.push({ tool, brush: Number(element("brush").value), points: [] });
    stroke(x, y);
    element("reveal").checked = true; // what is drawn has to be seen
  }

  function stroke(x, y) {
    const { points } = drawn.strokes.at(-1), point = [cell(x), cell(y)], before = points.at(-1);
    if (before && Math.hypot(point[0] - before[0], point[1] - before[1]) * data.dx < 1) return;
    points.push(point);
    demo.paintStroke(tissue, drawn.strokes.at(-1), points.length - 1);
  }

  function undo() {
    if (locked("paint")) return say(locked("paint"));
    if (!drawn.strokes.pop()) return say("There is no stroke to undo.");
    rebuild();
    say(`The last stroke is undone. ${inWords()}`);
  }

  /* Before a run: where it starts. During one: another beat, now. */
  function stimulate(x, y) {
    if (locked("place")) return say(locked("place"));
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
    if (locked("place")) return say(locked("place"));
    Object.assign(electrode, { x, y, z });
    element("height").value = z;
    value("height", 0, "mm");
    L = demo.leadField(sheet, electrode);
    every = data.frame_interval; // of what has been recorded, only the frames are kept
    samples = frames.map((u) => demo.pseudoEcg(L, u, data.span));
    if (result?.found) judge();
    refresh();
  }

  function sayElectrode() {
    if (!game) say(`Electrode at ${electrode.x.toFixed(0)}, ${electrode.y.toFixed(0)} mm, ${electrode.z} mm above the sheet.`);
  }

  function use(x, y) {
    if (tool === "stimulus") return stimulate(x, y);
    if (tool === "electrode") {
      moveElectrode(x, y, electrode.z);
      return sayElectrode();
    }
    if (locked("paint")) return say(locked("paint"));
    touchDown(x, y);
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
    const name = drawn.strokes.length ? "a sheet of your own" : data.names[drawn.preset];
    return `${name[0].toUpperCase()}${name.slice(1)}: ${parts.join("; ") || "all cells conduct alike"}.`;
  }

  function sayTissue() {
    say(`${inWords()} Press Play.`);
  }

  let seed = 1;
  function choose(preset) {
    quit();
    drawn = { preset, seed: preset === "healthy" ? 1 : ++seed, strokes: [] };
    rebuild();
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

  // Guess the scar

  /* A sheet that is not shown; its beat starts at once. */
  function hide(from) {
    Object.assign(start, { x: 0.1 * SIDE, y: SIDE / 2 });
    drawn = demo.game.hiddenSheet(from, start);
    game = null;
    moveElectrode(CENTER.x, CENTER.y, CENTER.z);
    game = { phase: "hidden", drawn };
    rebuild();
    game.tissue = tissue;
    play();
    say("A sheet with scars is hidden, and its beat runs.");
  }

  /* The hidden beat is over: a healthy sheet to draw on. */
  function startGuess() {
    const network = {
      dice: demo.game.dice(demo.game.scarOf(game.tissue.conductive), demo.game.scarSeen(result.D)), r2: result.traces.structured.r2,
    };
    Object.assign(game, { phase: "guess", ecg: Float64Array.from(samples), result, network });
    drawn = { preset: "healthy", seed: 1, strokes: [] };
    element("reveal").checked = true;
    root.querySelector("[name=demo-tool][value=fibrosis]").click();
    rebuild();
    say("The hidden beat is over. The ECG is the one to explain.");
  }

  /* Score the guess; its own beat comes first. */
  function score() {
    if (phase() !== "guess" && phase() !== "scoring") return say("There is nothing to score yet.");
    if (!over) {
      if (playing) play(); // pause: the beat is run from its start
      reset();
      if (!sheet.startable) return say("No conductive cell under the stimulus: erase there.");
      game.phase = "scoring";
      return play();
    }
    const guess = demo.game.dice(demo.game.scarOf(game.tissue.conductive), demo.game.scarOf(tissue.conductive));
    Object.assign(game, { phase: "scored", score: { dice: guess, r2: demo.game.likeness(game.ecg, samples) } });
    history.push({ you: game.score, network: game.network });
    setView("voltage"); // the drawing, under the edges of what was hidden
    say(`Dice ${three(guess)} for you, ${three(game.network.dice)} for the networks. The lines on the sheet are the edges of the hidden scars.`);
    refresh();
  }

  function quit() {
    game = null;
  }

  function drawGame() {
    element("game").hidden = !game;
    element("game-text").textContent = {
      none: "",
      hidden: "The networks read the voltage of the hidden sheet. You get its ECG, and its wave if you want to see it.",
      guess: "Paint the scars on this healthy sheet. Play shows the ECG of your drawing beside that of the hidden sheet. All else is the same on both.",
      scoring: "The beat of your drawing runs.",
      scored: "The map of the true diffusivity shows the hidden sheet, and the other one what the networks inferred from its voltage.",
    }[phase()];
    element("score").disabled = phase() !== "guess";
    element("wave").disabled = phase() !== "hidden";
    for (const name of ["d0", "height"]) element(name).disabled = Boolean(game);
    for (const name of ["link", "undo"]) element(name).disabled = phase() === "hidden";
    element("history").hidden = !history.length;
    const body = element("history").tBodies[0];
    if (body.rows.length !== history.length)
      history.slice(body.rows.length).forEach(({ you, network }) => {
        const row = body.insertRow(), number = body.rows.length;
        for (const text of [number, three(you.dice), three(you.r2), three(network.dice), three(network.r2)]) row.insertCell().textContent = text;
      });
  }

  // Pictures

  function currentFrame() {
    return shown === null ? sheet.frame() : frames[Math.min(Math.round(shown / data.frame_interval), frames.length - 1)];
  }

  /* Activation times, NaN where there is none: of the cells, or where the tissue is hidden from what the networks see,
     when the mean voltage of a pixel first passed half of its peak (the level of fronts.py), linear in time. */
  function activation(ofCells) {
    const n = ofCells ? N : MAP, quiet = data.surrogate.quiet, lat = new Float64Array(n * n).fill(NaN);
    if (ofCells) sheet.lat.forEach((time, i) => time >= 0 && (lat[i] = time));
    else
      for (let i = 0; i < n * n; i++) {
        const level = coarse.reduce((peak, u) => Math.max(peak, u[i]), 0) / 2;
        const k = level > quiet / 2 ? coarse.findIndex((u) => u[i] >= level) : -1;
        if (k > 0) lat[i] = data.frame_interval * (k - (coarse[k][i] - level) / (coarse[k][i] - coarse[k - 1][i]));
      }
    return { n, lat, latest: lat.reduce((a, b) => (b > a ? b : a), 1) };
  }

  /* The mean activation time of the cells of each pixel: through single cells of fibrosis the lines go on. */
  function ofPixels({ n, lat }) {
    if (n === MAP) return lat;
    const sum = new Float64Array(MAP * MAP), count = sum.slice();
    lat.forEach((time, i) => {
      if (Number.isNaN(time)) return;
      const pixel = Math.floor(Math.floor(i / N) / data.pool) * MAP + Math.floor((i % N) / data.pool);
      sum[pixel] += time;
      count[pixel]++;
    });
    return sum.map((total, i) => total / count[i]); // 0 / 0 is NaN
  }

  function drawSheet() {
    const open = revealed(), unseen = phase() === "hidden" && !element("wave").checked;
    const hatch = open ? (i) => (tissue.conductive[i] ? 1 - tissue.factor[i] : 0) : null;
    const words = [!open ? "" : "gray: fibrosis", open && tissue.factor.some((factor) => factor < 1) ? "striped: weak coupling" : ""];
    let pen, lines = [], low = `${data.rest} mV`, high = `${data.rest + data.span} mV`;
    if (unseen) pen = draw.cover(sheetCanvas, "hidden", color);
    else if (view === "activation") {
      const times = activation(open);
      pen = draw.image(sheetCanvas, times.n, (i) => times.lat[i] / times.latest, "voltage", { hatch });
      lines = draw.contours(ofPixels(times), MAP, LINES);
      [low, high] = ["0 ms", `${Math.round(times.latest)} ms`];
      words[0] = open ? "gray: not reached" : "gray: no wave seen";
      words.push(`a line every ${LINES} ms`);
    } else if (open) {
      const u = currentFrame();
      pen = draw.image(sheetCanvas, N, (i) => (tissue.conductive[i] ? u[i] : NaN), "voltage", { hatch });
    } else {
      const u = pixels(currentFrame());
      pen = draw.image(sheetCanvas, MAP, (i) => u[i], "voltage");
    }
    if (phase() === "scored") {
      lines = draw.contours(demo.game.scarOf(game.tissue.conductive), MAP, 1, 0.5);
      words[2] = "lines: edges of the hidden scars";
    }
    const ground = { S: "#b3261e", E: "#1b1b1f" };
    const marks = [...[start, ...extra].map((one) => ({ ...one, letter: "S" })), { ...electrode, letter: "E" }];
    const r = { stimulus: data.stimulus.radius, electrode: 5 }[tool] ?? Number(element("brush").value) / 2;
    draw.overlay(pen, { n: MAP, lines, marks: marks.map((one) => ({ ...one, ground: ground[one.letter] })), cursor: cursor.shown ? { ...cursor, r } : null });
    element("scale-low").textContent = draw.signed(low);
    element("scale-high").textContent = high;
    element("scale-words").textContent = words.filter(Boolean).join("; ");
  }

  /* The traces that there are, as `plot` and `csv` take them. */
  function traces() {
    const own = { name: game ? "your guess" : "exact", key: "exact", every, phi: samples };
    if (game && phase() !== "hidden")
      return [{ name: "hidden sheet", key: "hidden", every: data.ecg_interval, phi: game.ecg }, own];
    const t = result?.traces, list = [];
    if (t) list.push({ name: "structured", key: "structured", ...t.structured }, { name: "formula", key: "formula", ...t.formula });
    if (t?.paper) list.push({ name: "paper's network", key: "paper", ...t.paper });
    return [...list, { ...own, name: "exact" }];
  }

  function drawEcg() {
    const all = traces(), largest = all.find(({ key }) => key === (game?.ecg ? "hidden" : "exact")).phi.reduce((a, value) => Math.max(a, Math.abs(value)), 0);
    const relative = element("units").value === "relative", end = Math.max(...all.map(({ phi, every: step }) => (phi.length - 1) * step), 300);
    for (const key of Object.keys(TRACES)) {
      const trace = all.find((one) => one.key === key), scored = trace?.r2 !== undefined;
      element(`r2-${key}`).textContent = scored ? `R² ${three(trace.r2)}` : "";
      element(`show-${key}`).closest("li").hidden = key === "hidden" ? !trace : key !== "exact" && Boolean(game?.ecg);
    }
    element("name-exact").textContent = game?.ecg ? "your guess" : "exact";
    draw.plot(ecgCanvas, {
      traces: all.filter(({ key }) => element(`show-${key}`).checked).map((one) => ({ ...one, ...TRACES[one.key] })),
      end, shown, factor: relative ? 1 / Math.max(largest, 1e-9) : 1,
    }, color);
    const scored = all.filter(({ r2 }) => r2 !== undefined).map(({ name, r2 }) => `${name} R² ${three(r2)}`);
    ecgCanvas.setAttribute("aria-label", `ECG at the electrode, largest deflection ${largest.toFixed(3)} mV mm/ms.` + (scored.length ? ` ${scored.join(", ")}.` : ""));
  }

  function drawMaps() {
    const top = data.D0[1], truth = element("true-d"), inferred = element("inferred-d");
    const known = game ? (phase() === "scored" ? game.tissue : null) : revealed() ? tissue : null, D = (game ? phase() === "scored" && game.result : result)?.D;
    if (known)
      draw.image(truth, N, (i) => (known.conductive[i] ? (known.factor[i] * D0) / top : NaN), "diffusivity", { none: 255 }); // the middle of this scale is gray
    else draw.cover(truth, "hidden", color);
    if (D) draw.image(inferred, MAP, (i) => D[i] / top, "diffusivity");
    else draw.cover(inferred, game ? "after your guess" : { none: "after the beat", busy: "reading the maps", refused: "refused" }[asked], color);
    const values = D && Array.from(D).sort((a, b) => a - b), at = (part) => values[Math.floor(part * MAP ** 2)].toFixed(3);
    inferred.setAttribute("aria-label", D
      ? `Inferred diffusivity: 5 % of the pixels are below ${at(0.05)}, half below ${at(0.5)} mm²/ms.`
      : "Inferred diffusivity: not there yet.");
    truth.setAttribute("aria-label", known ? `True diffusivity: ${D0.toFixed(3)} mm²/ms in healthy tissue; white: does not conduct.` : "True diffusivity: hidden.");
  }

  /* All that depends on the state. */
  function refresh() {
    const t = Math.round(sheet.time), slider = element("time");
    element("play").textContent = playing ? "Pause" : over ? "Replay" : t > 0 ? "Go on" : "Play";
    element("big-play").hidden = playing || t > 0;
    slider.max = (frames.length - 1) * data.frame_interval;
    slider.disabled = playing || frames.length < 2;
    slider.value = shown === null ? slider.max : shown;
    element("now").textContent = `${shown === null ? t : shown} ms`;
    element("answer").textContent = remarks();
    element("answer").hidden = !remarks();
    element("answer").classList.toggle("demo-unusual", Boolean(result?.flags?.length));
    element("hidden-note").hidden = revealed() || phase() === "hidden";
    element("hidden-note").textContent = view === "voltage"
      ? `These colors are all that the networks see: the mean voltage of pixels of ${PIXEL}, every ${data.frame_interval} ms.`
      : `The networks see the mean voltage of pixels of ${PIXEL}, every ${data.frame_interval} ms. These times are read from it: when it first passed half of its peak.`;
    drawGame();
    drawSheet();
    drawEcg();
    if (!playing) drawMaps();
  }

  // Mouse, finger and pen

  let drag = null;
  const byHand = (event) => event.pointerType === "touch" || event.pointerType === "pen";

  function place(event) {
    const box = sheetCanvas.getBoundingClientRect();
    return { x: onSheet(((event.clientX - box.left) / box.width) * SIDE), y: onSheet(SIDE - ((event.clientY - box.top) / box.height) * SIDE) };
  }

  sheetCanvas.addEventListener("pointerdown", (event) => {
    if (event.button || !event.isPrimary || (byHand(event) && !touchDraws)) return; // of several fingers the first one
    const at = place(event), reach = byHand(event) ? 10 : 6, near = (one) => !game && Math.hypot(one.x - at.x, one.y - at.y) < reach;
    drag = tool === "electrode" || near(electrode) ? "electrode" : tool === "stimulus" || (near(start) && (over || sheet.steps === 0)) ? "stimulus" : "paint";
    if (locked(drag === "paint" ? "paint" : "place")) {
      say(locked(drag === "paint" ? "paint" : "place"));
      drag = null;
      return;
    }
    sheetCanvas.setPointerCapture(event.pointerId);
    cursor.shown = false;
    if (drag === "electrode") moveElectrode(at.x, at.y, electrode.z);
    else if (drag === "stimulus") stimulate(at.x, at.y);
    else {
      touchDown(at.x, at.y);
      reset();
    }
  });
  sheetCanvas.addEventListener("pointermove", (event) => {
    if (!drag || !event.isPrimary) return;
    const at = place(event);
    if (drag === "electrode") moveElectrode(at.x, at.y, electrode.z);
    else if (drag === "stimulus" && (over || sheet.steps === 0)) stimulate(at.x, at.y);
    else if (drag === "paint") {
      stroke(at.x, at.y);
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
  sheetCanvas.addEventListener("click", (event) => {
    if (byHand(event) && !touchDraws) say("A finger scrolls the page. Press Use the finger first.");
  });

  // Keys

  sheetCanvas.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 10 : 1;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const letter = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (moves[event.key]) {
      cursor.x = onSheet(cursor.x + moves[event.key][0]);
      cursor.y = onSheet(cursor.y + moves[event.key][1]);
      cursor.shown = true;
      const conducts = !revealed() ? "" : tissue.conductive[cell(cursor.y) * N + cell(cursor.x)] ? ", conducts" : ", fibrosis";
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
  root.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || event.shiftKey) return;
    event.preventDefault();
    undo();
  });
  sheetCanvas.addEventListener("focus", () => {
    cursor.shown = sheetCanvas.matches(":focus-visible");
    drawSheet();
  });
  sheetCanvas.addEventListener("blur", () => {
    cursor.shown = false;
    drawSheet();
  });

  // Links and files

  const link = () => demo.toLink({ ...drawn, D0, start, electrode });

  /* The sheet of the page's address, if it holds one. */
  function restore() {
    if (!location.hash.startsWith("#sheet=")) return false;
    let found;
    try {
      found = demo.fromLink(location.hash.slice(1));
    } catch (problem) {
      say(`This link does not hold a sheet. ${problem.message}.`);
      return true;
    }
    quit();
    drawn = { preset: found.preset, seed: found.seed, strokes: found.strokes };
    seed = Math.max(seed, found.seed);
    D0 = found.D0;
    Object.assign(start, found.start);
    Object.assign(electrode, found.electrode);
    for (const [name, now] of [["d0", D0], ["height", electrode.z]]) element(name).value = now;
    value("d0", 3, "mm²/ms");
    value("height", 0, "mm");
    rebuild();
    say(`The sheet of the link. ${inWords()} Press Play.`);
    return true;
  }

  function showLink() {
    window.history.replaceState(null, "", `#${link()}`);
    const field = element("address");
    field.value = location.href;
    field.hidden = false;
    field.select();
    const done = () => say("The address of this sheet is copied."), failed = () => say("The address of this sheet is marked, to be copied.");
    if (navigator.clipboard) navigator.clipboard.writeText(field.value).then(done, failed);
    else failed();
  }

  function saveEcg() {
    const columns = traces().toSorted((a, b) => (b.key === "exact") - (a.key === "exact")).flatMap(({ name, every: step, phi, low, high }) => [
      { name, every: step, phi },
      ...(low ? [{ name: `${name} low`, every: step, phi: low }, { name: `${name} high`, every: step, phi: high }] : []),
    ]);
    const step = Math.min(...columns.map((one) => one.every)), most = Math.max(...columns.map((one) => (one.phi.length - 1) * one.every));
    const times = Array.from({ length: most / step + 1 }, (_, k) => k * step);
    share.save("forwardecg-ecg.csv", new Blob([share.csv(times, columns)], { type: "text/csv" }));
    say("The ECG is saved, with times in ms and values in mV mm/ms.");
  }

  function savePicture() {
    const scores = traces().filter(({ r2 }) => r2 !== undefined).map(({ name, r2 }) => `${name} R² ${three(r2)}`);
    const unit = element("units").value === "relative" ? "relative to its largest deflection" : "in mV mm/ms";
    const words = [
      `Sheet of ${SIDE} mm, ${element("scale-low").textContent} (dark) to ${element("scale-high").textContent}. ECG at E ${unit}${scores.length ? `: ${scores.join(", ")}` : ""}.`,
      game ? "" : inWords(),
    ].filter(Boolean);
    share.picture(sheetCanvas, ecgCanvas, words, color).toBlob((blob) => {
      share.save("forwardecg-sheet.png", blob);
      say("The picture is saved.");
    }, "image/png");
  }

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
    if (phase() === "hidden" || phase() === "scoring") return say(locked("paint"));
    reset();
    say("Back at rest. Press Play.");
  });
  on("undo", "click", undo);
  on("touch", "click", () => {
    touchDraws = !touchDraws;
    element("touch").setAttribute("aria-pressed", touchDraws);
    sheetCanvas.classList.toggle("demo-by-finger", touchDraws);
    say(touchDraws ? "The finger uses the chosen tool on the sheet." : "The finger scrolls the page.");
  });
  on("time", "input", () => lookBack(Number(element("time").value)));
  on("view", "change", () => {
    setView(element("view").value);
    if (over && shown === null && view === "voltage") {
      const phi = frames.map((_, k) => Math.abs(samples[(k * data.frame_interval) / every]));
      shown = data.frame_interval * phi.indexOf(Math.max(...phi)); // at the end there is nothing to be seen
      say(`The voltage at ${shown} ms, when the ECG was largest.`);
    }
    refresh();
  });
  on("reveal", "change", () => {
    refresh();
    drawMaps(); // also while the wave runs
    say(element("reveal").checked ? "The true tissue is shown." : `The true tissue is hidden: of the sheet only the voltage on pixels of ${PIXEL} is left, all that the networks see.`);
  });
  on("units", "change", drawEcg);
  for (const key of Object.keys(TRACES)) on(`show-${key}`, "change", drawEcg);
  on("guess", "click", () => hide(1 + Math.floor(1e6 * Math.random())));
  on("next", "click", () => hide(1 + Math.floor(1e6 * Math.random())));
  on("score", "click", score);
  on("wave", "change", drawSheet);
  on("quit", "click", () => {
    choose("healthy");
    element("guess").focus();
  });
  on("link", "click", showLink);
  on("csv", "click", saveEcg);
  on("png", "click", savePicture);
  window.addEventListener("hashchange", restore);
  const value = (name, digits, unit) => (element(`${name}-value`).textContent = `${Number(element(name).value).toFixed(digits)} ${unit}`);
  on("d0", "input", () => {
    D0 = Number(element("d0").value);
    value("d0", 3, "mm²/ms");
    reset();
    say(`Diffusivity of healthy tissue ${D0.toFixed(3)} mm²/ms. Press Play.`);
  });
  on("height", "input", () => moveElectrode(electrode.x, electrode.y, Number(element("height").value)));
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
  element("touch").hidden = !window.matchMedia("(any-pointer: coarse)").matches;
  const range = (name, [low, high], now) => Object.assign(element(name), { min: low, max: high }, { value: now });
  range("d0", data.D0, D0);
  range("height", data.z, data.z_default);
  element("coverage").textContent = `${100 * data.bands.phi_e.coverage} %`;
  element("d-high").textContent = `${data.D0[1]} mm²/ms`;
  draw.bar(element("voltage-bar"), "voltage");
  draw.bar(element("d-bar"), "diffusivity");
  value("d0", 3, "mm²/ms");
  value("height", 0, "mm");
  value("brush", 0, "mm");
  reset();
  if (!restore()) say(`${inWords()} Press Play, or draw on the sheet first.`);

  /* For tests, and for the curious. */
  demo.page = {
    reset, hide, link,
    get tissue() { return tissue; },
    steps: { still: STILL, lines: LINES },
    inferred: () => (result?.D ? Array.from(result.D) : null),
    activation: (ofCells) => Array.from(activation(ofCells).lat),
    isochrones: () => ({ times: Array.from(ofPixels(activation(true))), lines: draw.contours(ofPixels(activation(true)), MAP, LINES) }),
    show: lookBack,
    state: () => ({
      time: sheet.time, playing, over, visible, surrogate: asked, view, tool, cursor: { ...cursor }, start: { ...start }, electrode: { ...electrode },
      stimuli: extra.length, strokes: drawn.strokes.length, fibrosis: N * N - tissue.conductive.reduce((a, b) => a + b, 0), samples: Array.from(samples), D0,
      score: result?.traces ? { r2: result.traces.structured.r2, inside: result.inside, unusual: result.unusual, flags: result.flags } : null,
      scores: Object.fromEntries(Object.entries(result?.traces ?? {}).map(([name, { r2 }]) => [name, r2])),
      game: game && { phase: game.phase, score: game.score, network: game.network }, rounds: history.length,
    }),
  };
})(window.forwardecgDemo);
