/* The Python cells: an editor in place of the code, MicroPython in a worker, printed lines and plots below.

   The worker and the interpreter are made from texts, so that a page opened as a file runs them too. Each run has an interpreter
   of its own: nothing is left of the run before, and a loop without end can be stopped. */
"use strict";

(function () {
  const here = document.currentScript.src.replace(/page\.js.*$/, ""), KINDS = ["one", "two", "gray", "dash"];
  let program = null; // the address of the worker's script, made once

  function load() {
    if (window.forwardecgPython) return Promise.resolve();
    return new Promise((done, fail) => {
      const script = document.createElement("script");
      script.onload = () => done();
      script.onerror = () => fail(new Error("The interpreter, micropython.js, was not found beside the page."));
      script.src = here + "micropython.js";
      document.head.append(script);
    });
  }

  /* What runs in the worker, after the text of MicroPython. */
  async function inside(code, helper) {
    const blob = new Blob([Uint8Array.from(atob(code), (letter) => letter.charCodeAt(0))]);
    const whole = await new Response(blob.stream().pipeThrough(new DecompressionStream("gzip"))).blob();
    const url = URL.createObjectURL(new Blob([whole], { type: "application/wasm" }));
    const stdout = (text) => postMessage({ text });
    const python = await loadMicroPython({ url, heapsize: 2 ** 25, pystack: 2 ** 14, stdout, stderr: stdout });
    python.registerJsModule("_page", { plot: (text) => postMessage({ plot: JSON.parse(text) }) });
    python.FS.writeFile("/page.py", helper);
    python.runPython("import sys\nsys.path.insert(0, '/')\ndel sys");
    addEventListener("message", ({ data }) => {
      try {
        python.runPython(data);
        postMessage({ end: "" });
      } catch (problem) {
        postMessage({ end: String(problem.message || problem) });
      }
    });
    postMessage({ ready: true });
  }

  function start(helper) {
    const packed = window.forwardecgPython;
    const text = `(async () => {\n${packed.program}\nawait (${inside})(${JSON.stringify(packed.code)}, ${JSON.stringify(helper)});\n})()` +
      `.catch((problem) => postMessage({ end: String(problem) }));`;
    program ??= URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    return new Worker(program);
  }

  function make(tag, properties, ...children) {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  }

  const range = (values) => {
    const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b)), gap = (high - low) * 0.05 || 1;
    return [low - gap, high + gap];
  };

  /* One picture of all lines with the same two axes, and its key where lines have names. */
  function picture(lines) {
    const [, , xlabel, ylabel] = lines[0], named = lines.filter((one) => one[4]);
    const all = (k) => lines.flatMap((one) => one[k]);
    const x = all(0), words = `${ylabel || "y"} over ${xlabel || "x"}: ${lines.map((one) => one[4] || "one line").join(", ")}.`;
    const plot = {
      x: [x.reduce((a, b) => Math.min(a, b)), x.reduce((a, b) => Math.max(a, b)), xlabel],
      y: [...range(all(1)), ylabel],
      lines: lines.map((one, k) => ({ kind: KINDS[k % KINDS.length], x: one[0], y: one[1] })),
      words,
    };
    if (plot.x[0] === plot.x[1]) plot.x = [plot.x[0] - 1, plot.x[1] + 1, xlabel];
    const canvas = make("canvas", {});
    canvas.setAttribute("role", "img");
    const key = lines.map((one, k) => [one, KINDS[k % KINDS.length]]).filter(([one]) => one[4]);
    const items = key.map(([one, kind]) => make("li", {}, make("i", { className: `python-${kind}` }), one[4]));
    const figure = make("figure", {}, ...(named.length ? [make("ul", { className: "python-key" }, ...items)] : []), canvas);
    return { figure, paint: () => canvas.isConnected && window.forwardecgLines.draw(canvas, plot) };
  }

  function build(cell) {
    const code = cell.querySelector(".highlight-python"), shown = cell.querySelector(".highlight-output"), id = `python-${cell.dataset.cell}-code`;
    const source = code.querySelector("pre").textContent.replace(/\n$/, ""), printed = shown.querySelector("pre").textContent;
    const helper = JSON.parse(document.querySelector(".python-helper").textContent);
    const editor = make("textarea", { id, value: source, spellcheck: false, wrap: "off", hidden: true });
    for (const [name, value] of [["aria-label", `${cell.querySelector(".python-title").textContent} (Python)`], ["autocapitalize", "off"], ["autocomplete", "off"], ["autocorrect", "off"]])
      editor.setAttribute(name, value);
    const run = make("button", { type: "button", className: "python-run" }, "Edit and run");
    const stop = make("button", { type: "button", disabled: true, hidden: true }, "Stop");
    const again = make("button", { type: "button", hidden: true }, "As it was");
    const hint = make("span", { className: "python-hint" }, "Runs here, in your browser; nothing is sent.");
    const status = make("span", { className: "python-status", role: "status" });
    const figures = make("div", { className: "python-figures" }), output = shown.querySelector("pre");
    code.after(editor, make("div", { className: "python-buttons" }, run, stop, again, status, hint));
    shown.after(figures);
    let worker = null, pictures = [], lines = [], drawn = [];

    const fit = () => (editor.rows = Math.max(4, editor.value.split("\n").length));
    const paint = () => pictures.forEach((one) => one.paint());
    const end = (words) => {
      worker?.terminate();
      worker = null;
      stop.disabled = true;
      run.disabled = false;
      status.textContent = words;
    };
    const draw = () => {
      const groups = new Map();
      for (const one of drawn) groups.set(`${one[2]}\n${one[3]}`, [...(groups.get(`${one[2]}\n${one[3]}`) || []), one]);
      pictures = [...groups.values()].map(picture);
      figures.replaceChildren(...pictures.map((one) => one.figure));
      paint();
    };
    const hear = ({ data }) => {
      if (data.ready) worker.postMessage(editor.value);
      if ("text" in data) lines.push(data.text);
      if (data.plot) drawn.push(data.plot);
      if ("end" in data) {
        if (data.end) lines.push(data.end.trim());
        draw();
        end(data.end ? "Stopped by an error." : "Done.");
        output.classList.toggle("python-error", Boolean(data.end));
      }
      if ("text" in data || "end" in data) output.textContent = lines.join("\n") || "(nothing was printed)";
    };
    const go = async () => {
      editor.hidden = stop.hidden = again.hidden = false;
      code.hidden = hint.hidden = true;
      run.textContent = "Run";
      fit();
      end("Running …");
      run.disabled = true;
      [lines, drawn] = [[], []];
      try {
        await load();
        worker = start(helper);
        stop.disabled = false;
        worker.onmessage = hear;
        worker.onerror = (problem) => end(`The interpreter could not be started: ${problem.message || "no reason given"}`);
      } catch (problem) {
        end(problem.message);
      }
    };

    run.addEventListener("click", go);
    stop.addEventListener("click", () => end("Stopped."));
    again.addEventListener("click", () => {
      editor.value = source;
      output.textContent = printed;
      output.classList.remove("python-error");
      figures.replaceChildren();
      pictures = [];
      fit();
      end("");
    });
    editor.addEventListener("input", fit);
    editor.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      if ((event.ctrlKey || event.metaKey || event.shiftKey) && !run.disabled) {
        event.preventDefault();
        go();
      } else if (!event.shiftKey) {
        event.preventDefault(); // the next line begins where this one does
        const begun = editor.value.slice(0, editor.selectionStart), line = begun.slice(begun.lastIndexOf("\n") + 1);
        const more = line.trimEnd().endsWith(":") ? "    " : "";
        editor.setRangeText(`\n${line.match(/^ */)[0]}${more}`, editor.selectionStart, editor.selectionEnd, "end");
        fit();
      }
    });
    for (const button of cell.querySelectorAll("[data-line]")) {
      button.hidden = false;
      button.addEventListener("click", () => {
        if (run.disabled) end("");
        editor.value = source.replace(button.dataset.line, () => button.dataset.other);
        go();
        editor.scrollIntoView({ block: "nearest" });
        run.focus({ preventScroll: true });
      });
    }
    new ResizeObserver(paint).observe(cell);
    new MutationObserver(paint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  const able = "DecompressionStream" in window && "Worker" in window;
  addEventListener("DOMContentLoaded", () => able && document.querySelectorAll("section.python").forEach(build));
})();
