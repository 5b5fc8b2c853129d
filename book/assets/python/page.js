/* The Python cells: an editor in place of the code, MicroPython in a worker, printed lines and plots below.

   The worker and the interpreter are made from texts, so that a page opened as a file runs them too. Each run has an interpreter
   of its own: nothing is left of the run before, and a loop without end can be stopped. */
"use strict";

(function () {
  const here = document.currentScript.src.replace(/page\.js.*$/, ""), KINDS = ["one", "two", "gray", "dash"];
  let program = null, loading = null; // the address of the worker's script, and its loading: once a page

  function load() {
    return (loading ??= new Promise((done, fail) => {
      const script = document.createElement("script");
      script.onload = () => done();
      script.onerror = () => fail(new Error("The interpreter, micropython.js, was not found beside the page."));
      script.src = here + "micropython.js";
      document.head.append(script);
    }));
  }

  /* What runs in the worker, after the text of MicroPython. What is printed is sent ten times a second. */
  async function inside(code, helper) {
    const MOST = 100000, LINES = 200, decoder = new TextDecoder();
    let said = "", size = 0, sent = 0, full = false, plotted = 0;
    const send = () => {
      if (said) postMessage({ text: said });
      said = "";
      sent = Date.now();
    };
    const print = (bytes) => {
      if (full) return;
      said += decoder.decode(bytes, { stream: true });
      full = (size += bytes.length) > MOST;
      if (full || Date.now() - sent > 100) send();
      if (full) postMessage({ end: `Stopped: more than ${MOST} characters were printed.` });
    };
    const blob = new Blob([Uint8Array.from(atob(code), (letter) => letter.charCodeAt(0))]);
    const whole = await new Response(blob.stream().pipeThrough(new DecompressionStream("gzip"))).blob();
    const url = URL.createObjectURL(new Blob([whole], { type: "application/wasm" }));
    const python = await loadMicroPython({ url, heapsize: 2 ** 25, pystack: 2 ** 14, stdout: print, stderr: print, linebuffer: false });
    const plot = (text) => {
      plotted += 1;
      if (plotted === LINES + 1) said += `plot: only the first ${LINES} lines are drawn\n`;
      if (!full && plotted <= LINES) postMessage({ plot: JSON.parse(text) });
    };
    python.registerJsModule("_page", { plot });
    python.FS.writeFile("/page.py", helper);
    python.runPython("def input(*words):\n    raise OSError('nothing can be typed in here: set a variable instead')\n");
    addEventListener("message", ({ data }) => {
      let end = "";
      try {
        python.runPython(data);
      } catch (problem) {
        end = String(problem.message || problem).trim();
      }
      send();
      if (!full) postMessage({ end });
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

  const ends = (values, margin) => {
    const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b)), gap = (high - low) * margin;
    return low === high ? [low - 1, high + 1] : [low - gap, high + gap];
  };

  /* One picture of all lines with the same two axes, and its key where lines have names. */
  function picture(lines) {
    const [{ xlabel, ylabel }] = lines, all = (name) => lines.flatMap((one) => one[name]);
    const drawn = lines.map((one, k) => ({ ...one, kind: one.dots || one.x.length === 1 ? "dots" : KINDS[k % KINDS.length] }));
    const plot = {
      x: [...ends(all("x"), 0), xlabel],
      y: [...ends(all("y"), 0.05), ylabel],
      lines: drawn,
      words: `${ylabel || "y"} over ${xlabel || "x"}: ${lines.map((one) => one.label || "one line").join(", ")}.`,
    };
    const canvas = make("canvas", {});
    canvas.setAttribute("role", "img");
    const items = drawn.filter((one) => one.label).map((one) => make("li", {}, make("i", { className: `python-${one.kind}` }), one.label));
    const figure = make("figure", {}, ...(items.length ? [make("ul", { className: "python-key" }, ...items)] : []), canvas);
    return { figure, paint: () => canvas.isConnected && window.forwardecgLines.draw(canvas, plot) };
  }

  /* What an error says, without the middle of a long one, with the line of the program that it names. */
  function explain(error, ran) {
    const last = [...error.matchAll(/File "<stdin>", line (\d+)/g)].pop(), line = last && ran.split("\n")[last[1] - 1]?.trim();
    const told = [error.length > 2000 ? `${error.slice(0, 900)}\n…\n${error.slice(-900)}` : error];
    if (line) told.push(`line ${last[1]} is: ${line}`);
    if (/no module named/.test(error)) told.push("Only modules of plain Python are here, such as math and random, and page.");
    return told.join("\n");
  }

  function build(cell) {
    const code = cell.querySelector(".highlight-python"), shown = cell.querySelector(".highlight-output"), id = `python-${cell.dataset.cell}-code`;
    const source = code.querySelector("pre").textContent.replace(/\n$/, ""), output = shown.querySelector("pre"), printed = output.textContent;
    const helper = JSON.parse(document.querySelector(".python-helper").textContent);
    const editor = make("textarea", { id, value: source, spellcheck: false, wrap: "off", hidden: true });
    for (const [name, value] of [["aria-label", `${cell.querySelector(".python-title").textContent} (Python)`], ["autocapitalize", "off"], ["autocomplete", "off"], ["autocorrect", "off"]])
      editor.setAttribute(name, value);
    const run = make("button", { type: "button", className: "python-run" }, "Edit and run");
    const stop = make("button", { type: "button", className: "python-stop", hidden: true }, "Stop");
    const again = make("button", { type: "button", hidden: true }, "As it was");
    const hint = make("span", { className: "python-hint" }, "Runs here, in your browser; nothing is sent.");
    const status = make("span", { className: "python-status", role: "status" });
    const figures = make("div", { className: "python-figures" });
    code.after(editor, make("div", { className: "python-buttons" }, run, stop, again, status, hint));
    shown.after(figures);
    let worker = null, turn = 0, pictures = [], drawn = [], ran = "";

    const fit = () => (editor.rows = Math.max(4, editor.value.split("\n").length));
    const paint = () => pictures.forEach((one) => one.paint());
    // not `disabled`: a button that is cannot keep the focus
    const able = (button, yes) => button.setAttribute("aria-disabled", String(!yes));
    const show = () => {
      const groups = new Map();
      for (const one of drawn) groups.set(`${one.xlabel}\n${one.ylabel}`, [...(groups.get(`${one.xlabel}\n${one.ylabel}`) || []), one]);
      pictures = [...groups.values()].map(picture);
      figures.replaceChildren(...pictures.map((one) => one.figure));
      paint();
    };
    const clear = (text) => {
      output.textContent = text;
      output.classList.remove("python-error");
      drawn = [];
      show();
    };
    const end = (words) => {
      turn += 1;
      worker?.terminate();
      worker = null;
      able(stop, false);
      able(run, true);
      status.textContent = words;
    };
    const hear = (data) => {
      if (data.ready) worker.postMessage((ran = editor.value));
      if (data.text) output.append(data.text);
      if (data.plot) drawn.push(data.plot);
      if (!("end" in data)) return;
      output.append(data.end && explain(data.end, ran));
      output.textContent ||= "(nothing was printed)";
      output.classList.toggle("python-error", Boolean(data.end));
      show();
      end(data.end ? "Stopped by an error." : "Done.");
    };
    const go = async () => {
      editor.hidden = stop.hidden = again.hidden = false;
      code.hidden = true;
      run.textContent = "Run";
      hint.textContent = "Ctrl+Enter runs it, too.";
      fit();
      clear("");
      end("Running …");
      able(run, false);
      const mine = turn;
      try {
        await load();
        if (mine !== turn) return; // something else was asked for meanwhile
        const own = (worker = start(helper));
        able(stop, true);
        own.onmessage = ({ data }) => own === worker && hear(data);
        own.onerror = (problem) => end(`The interpreter could not be started: ${problem.message || "no reason given"}`);
      } catch (problem) {
        end(problem.message);
      }
    };
    /* Put a text in place of the selection so that the browser can undo it. */
    const insert = (text) => document.execCommand("insertText", false, text) || editor.setRangeText(text, editor.selectionStart, editor.selectionEnd, "end");
    const replace = (text) => {
      if (editor.value === text) return;
      editor.focus({ preventScroll: true });
      editor.select();
      insert(text);
      fit();
    };

    able(stop, false);
    able(run, true);
    run.addEventListener("click", () => run.ariaDisabled === "true" || go());
    stop.addEventListener("click", () => {
      if (stop.ariaDisabled === "true") return;
      show();
      end("Stopped.");
    });
    again.addEventListener("click", () => {
      end("");
      replace(source);
      clear(printed);
      again.focus({ preventScroll: true });
    });
    editor.addEventListener("input", fit);
    editor.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return void (run.ariaDisabled === "true" || go());
      const begun = editor.value.slice(0, editor.selectionStart), line = begun.slice(begun.lastIndexOf("\n") + 1);
      insert(`\n${line.match(/^ */)[0]}${line.trimEnd().endsWith(":") ? "    " : ""}`); // the next line begins where this one does
    });
    const buttons = [...cell.querySelectorAll("[data-line]")], once = (text, part) => text.split(part).length === 2;
    for (const button of buttons) {
      button.hidden = false;
      button.addEventListener("click", () => {
        // in the program as the reader left it, without the other changes, if the line is still there
        const { line, other } = button.dataset;
        const back = (text, one) => (once(text, one.dataset.other) && !text.includes(one.dataset.line) ? text.replace(one.dataset.other, () => one.dataset.line) : text);
        const begun = buttons.reduce(back, editor.value);
        editor.hidden = false;
        replace((once(begun, line) ? begun : source).replace(line, () => other));
        go();
        run.focus({ preventScroll: true });
        shown.scrollIntoView({ block: "center" });
      });
    }
    new ResizeObserver(paint).observe(cell);
    new MutationObserver(paint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  const able = "DecompressionStream" in window && "Worker" in window;
  addEventListener("DOMContentLoaded", () => able && document.querySelectorAll("section.python").forEach(build));
})();
