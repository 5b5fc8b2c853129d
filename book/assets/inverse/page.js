/* The inverse toy of page 23: traces to choose from, a map of the misfit, a guess. Nothing moves by itself.

   The mathematics is in physics.js. The page marks its place by <div data-inverse>. */
"use strict";

(function (inverse) {
  const { data, sites, samples } = inverse, TURN = 12; // ms of work before the page may do something else
  const COUNTS = ",,Two,Three,Four,Five,Six,Seven,Eight".split(","), [LEFT, TOP, RIGHT] = [32, 26, 62]; // px about the map
  const mm = (value) => `${Math.round(value)} mm`;
  const place = (at) => `x = ${mm(at.x)}, y = ${mm(at.y)}`, distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);

  function make(tag, properties, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) name in node ? (node[name] = value) : node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  /* A pen on an emptied canvas, in CSS pixels, and the colors of the theme. */
  function begin(canvas) {
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight, pen = canvas.getContext("2d");
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    pen.scale(ratio, ratio);
    pen.font = "12px sans-serif";
    const style = getComputedStyle(canvas);
    return { pen, width, height, color: (name) => style.getPropertyValue(`--line-${name}`).trim() };
  }

  /* A trace without axes: all four have the same scale, ``top``. */
  function drawTrace(canvas, trace, top) {
    const { pen, width, height, color } = begin(canvas), y = (value) => height / 2 - (value / top) * (height / 2 - 3);
    pen.strokeStyle = color("border");
    pen.strokeRect(0, height / 2, width, 0);
    pen.strokeStyle = color("text");
    pen.lineWidth = 1.6;
    pen.beginPath();
    trace.forEach((value, k) => pen.lineTo((k / (samples - 1)) * width, y(value)));
    pen.stroke();
  }

  const MARKS = { // lines of a mark, in pixels
    likely: [[-5, -5, 5, 5], [-5, 5, 5, -5]],
    site: [[-10, 0, 10, 0], [0, -10, 0, 10]],
    guess: [[-8, 0, 0, -8], [0, -8, 8, 0], [8, 0, 0, 8], [0, 8, -8, 0]],
  };

  /* The map: gray by the logarithm of the misfit, color bar, electrodes, and marks [kind, place]. */
  function drawMap(canvas, misfit, chosen, marks) {
    const { pen, color } = begin(canvas), side = across(canvas), n = data.sites, lowest = Math.log10(inverse.DARK);
    const x = (at) => LEFT + (at / data.side) * side, y = (at) => TOP + side - (at / data.side) * side;
    const edge = (at, k) => Math.round(at((k / n) * data.side)); // whole pixels, so that no seams are between cells
    const gray = (value) => `hsl(0 0% ${100 - 100 * Math.min(Math.max(Math.log10(value) / lowest, 0), 1)}%)`;
    if (misfit)
      misfit.forEach((value, k) => {
        const i = k % n, j = Math.floor(k / n), from = edge(x, i), to = edge(y, j + 1);
        pen.fillStyle = gray(value);
        pen.fillRect(from, to, edge(x, i + 1) - from, edge(y, j) - to);
      });
    const bar = LEFT + side + 12;
    for (let k = 0; k < side; k++) {
      pen.fillStyle = gray(10 ** (lowest * (1 - k / side)));
      pen.fillRect(bar, TOP + side - k - 1, 12, 1.5);
    }
    pen.strokeStyle = pen.fillStyle = color("muted");
    pen.strokeRect(LEFT, TOP, side, side);
    pen.strokeRect(bar, TOP, 12, side);
    pen.textBaseline = "middle";
    for (let k = 0; k >= lowest; k--) {
      pen.fillText(10 ** k, bar + 16, TOP + (side * k) / lowest);
    }
    pen.textBaseline = "alphabetic";
    pen.fillText("misfit", bar, 12);
    pen.fillText("y (mm)", 2, 12);
    for (const at of [0, 25, 50, 75, 100]) {
      pen.textAlign = "center";
      pen.fillText(at, x(at), TOP + side + 15);
      pen.textAlign = "right";
      pen.fillText(at, LEFT - 5, y(at) + 4);
    }
    pen.textAlign = "center";
    pen.fillText("x (mm)", LEFT + side / 2, TOP + side + 31);
    data.electrodes.forEach((at, k) => {
      pen.beginPath();
      pen.arc(x(at.x), y(at.y), 9, 0, 2 * Math.PI);
      [pen.fillStyle, pen.strokeStyle] = (chosen.includes(k) ? ["accent", "ground"] : ["ground", "accent"]).map(color);
      pen.lineWidth = 2;
      pen.fill();
      pen.stroke();
      pen.fillStyle = pen.strokeStyle;
      pen.fillText(k + 1, x(at.x), y(at.y) + 4);
    });
    for (const [kind, at] of marks)
      for (const [line, width] of [["#fff", 5.5], [color(kind), 2.6]]) {
        [pen.strokeStyle, pen.lineWidth] = [line, width];
        pen.beginPath();
        for (const [a, b, c, d] of MARKS[kind]) {
          pen.moveTo(x(at.x) + a, y(at.y) + b);
          pen.lineTo(x(at.x) + c, y(at.y) + d);
        }
        pen.stroke();
      }
  }

  /* The side of the map on its canvas, in CSS pixels. */
  const across = (canvas) => canvas.clientWidth - LEFT - RIGHT;

  function build(root) {
    const id = (name) => `inverse-${name}`;
    const traces = data.electrodes.map(() => make("canvas", { "aria-hidden": "true" }));
    const toggles = data.electrodes.map(({ name }, k) =>
      make("button", { type: "button", "aria-pressed": !k, className: "inverse-trace" },
        make("span", {}, make("b", {}, k + 1), ` ${name}`), traces[k]));
    const map = make("canvas", { className: "inverse-map", tabIndex: 0, role: "application", "aria-describedby": id("help") });
    const slider = make("input", { type: "range", id: id("noise"), min: 0, max: 0.5, step: 0.05, value: 0 });
    const level = make("output", { htmlFor: id("noise"), "aria-live": "off" });
    const show = make("button", { type: "button" }, "Show the site"), another = make("button", { type: "button" }, "Another wave");
    const says = make("p", { className: "inverse-says", role: "status" });
    const key = ["× likeliest sites", "+ true site", "◇ your guess", "○ electrodes"];
    root.setAttribute("role", "group");
    root.setAttribute("aria-labelledby", id("title"));
    root.append(
      make("p", { className: "inverse-title", id: id("title") }, "Try it: where did the wave begin?"),
      make("div", { className: "inverse-body" },
        make("div", {},
          make("div", { className: "inverse-traces", role: "group", "aria-label": `ECGs to use, each over ${data.t_end} ms` }, ...toggles),
          make("div", { className: "inverse-noise" }, make("label", { htmlFor: id("noise") }, "Noise"), level, slider),
          make("div", { className: "inverse-buttons" }, show, another)),
        make("figure", {}, map,
          make("ul", { className: "inverse-key" }, ...key.map((text) => make("li", {}, text))),
          make("p", { className: "inverse-help", id: id("help") }, "Click the map to guess the site, or move a mark with the arrow keys and press Enter."))),
      says,
    );

    const models = []; // ECGs of all sites, once
    let number = 0, site, onset, phi, white, seen, each, misfit, found;
    let shown, guess, cursor, best = Infinity, due = 0;
    const on = (one) => one.getAttribute("aria-pressed") === "true", chosen = () => toggles.flatMap((one, k) => (on(one) ? [k] : []));

    function paint() {
      const top = seen.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      traces.forEach((canvas, k) => drawTrace(canvas, seen.subarray(k * samples, (k + 1) * samples), top));
      const marks = found.map((k) => ["likely", sites[k]]), mine = guess || cursor;
      if (mine) marks.push(["guess", mine]);
      if (shown) marks.push(["site", sites[site]]);
      drawMap(map, misfit, chosen(), marks);
      map.setAttribute("aria-label", `Map of the misfit over the sheet. Likeliest sites: ${found.map((k) => place(sites[k])).join("; ") || "none"}.`);
    }

    function sentence() {
      const used = chosen(), out = [], ecgs = `the ECG${used.length > 1 ? "s of electrodes" : " of electrode"} ${used.map((k) => k + 1).join(", ")}`;
      if (!used.length) out.push("No ECG is chosen. Choose one or more.");
      else if (!misfit) out.push("Computing the ECGs of all sites …");
      else {
        const values = found.map((k) => misfit[k]), [low, high] = [Math.min(...values), Math.max(...values)].map((one) => one.toFixed(3));
        const many = `${COUNTS[found.length] || found.length} sites explain ${ecgs}`;
        out.push(!found[1] ? `One site explains ${ecgs} best: ${place(sites[found[0]])}. Its misfit is ${low}.`
          : low === high ? `${many} equally well, with a misfit of ${low}.` : `${many} nearly equally well, with misfits from ${low} to ${high}.`);
      }
      if (shown) {
        const off = mm(Math.min(...found.map((k) => distance(sites[k], sites[site]))));
        const from = found[1] ? "the nearest of these sites" : "the likeliest site";
        out.push(`The wave began at ${place(sites[site])}${found.length ? `, ${off} from ${from}` : ""}.`);
      }
      if (guess) out.push(`Your guess was ${mm(distance(guess, sites[site]))} away from it. Best guess so far: ${mm(best)}.`);
      says.textContent = out.join(" ");
    }

    function judge() {
      const used = chosen();
      misfit = each && used.length ? inverse.misfits(each, seen, used) : null;
      found = misfit ? inverse.wells(misfit) : [];
      sentence();
      paint();
    }

    function observe() {
      due = 0;
      seen = inverse.record(phi, onset, white, Number(slider.value));
      each = models.length === sites.length ? models.map((one) => inverse.errors(one, seen)) : null;
      judge();
    }

    function write() {
      level.textContent = `${Number(slider.value).toFixed(2)} of the SD of each trace`;
      slider.setAttribute("aria-valuetext", level.textContent);
      due ||= requestAnimationFrame(observe); // once a picture, however fast the slider is moved
    }

    function start() {
      ({ site, onset } = inverse.hidden(++number));
      phi = inverse.ecg(sites[site].x, sites[site].y);
      white = inverse.noise(number);
      shown = guess = cursor = null;
      show.disabled = false;
      observe();
    }

    function compute() {
      const until = performance.now() + TURN;
      while (models.length < sites.length && performance.now() < until) models.push(inverse.ecg(sites[models.length].x, sites[models.length].y));
      models.length < sites.length ? setTimeout(compute) : observe();
    }

    function reveal() {
      shown = show.disabled = true;
      sentence();
      paint();
    }

    function choose(at) {
      if (shown) return;
      guess = at;
      best = Math.min(best, distance(at, sites[site]));
      reveal();
    }

    toggles.forEach((one) => one.addEventListener("click", () => {
      one.setAttribute("aria-pressed", !on(one));
      judge();
    }));
    slider.addEventListener("input", write);
    show.addEventListener("click", () => {
      another.focus(); // the button that is switched off would lose the keyboard
      reveal();
    });
    another.addEventListener("click", start);
    map.addEventListener("click", (event) => {
      const mm = data.side / across(map), box = map.getBoundingClientRect();
      const x = (event.clientX - box.left - LEFT) * mm, y = data.side - (event.clientY - box.top - TOP) * mm;
      if (Math.min(x, y) >= 0 && Math.max(x, y) <= data.side) choose({ x, y }); // not in the margins
    });
    map.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!step && !["Enter", " "].includes(event.key)) return;
      event.preventDefault();
      if (shown) return;
      cursor ||= { x: data.side / 2, y: data.side / 2 };
      if (!step) return choose(cursor);
      const moved = (at, by) => Math.min(Math.max(at + 2 * by, 0), data.side); // mm
      cursor = { x: moved(cursor.x, step[0]), y: moved(cursor.y, step[1]) };
      says.textContent = `Mark at ${place(cursor)}.`;
      paint();
    });
    start();
    write();
    new ResizeObserver(paint).observe(root);
    new MutationObserver(paint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    const near = new IntersectionObserver(([one]) => {
      if (!one.isIntersecting) return;
      near.disconnect();
      compute(); // the map, when it is nearly on the screen
    }, { rootMargin: "600px" });
    near.observe(root);
  }

  for (const root of document.querySelectorAll("[data-inverse]:empty")) build(root);
})(window.forwardecgInverse);
