/* The strip of the front page: frames of a recorded wave, and its ECG up to the same time. It moves by itself unless the system
   asks for less motion, stops and goes on by its button, and rests while it is out of sight. */
"use strict";

(function () {
  const strip = document.getElementById("wave");
  const image = strip.querySelector("img"), now = strip.querySelector(".wave-now"), until = strip.querySelector("rect");
  const button = strip.querySelector("button");
  const [frames, columns, rows] = ["frames", "columns", "rows"].map((name) => Number(strip.dataset[name]));
  const FRAME = 45, HOLD = 1500; // ms: of a frame, and of the last one, which shows the whole ECG
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  let playing = false, visible = true, k = 0, last = 0, owed = 0, request = 0;

  function show(frame) {
    const x = 1000 * frame / (frames - 1);
    image.style.transform = `translate(${-100 * (frame % columns) / columns}%, ${-100 * Math.floor(frame / columns) / rows}%)`;
    now.setAttribute("d", `M${x} 0V200`);
    until.setAttribute("width", x);
  }

  function tick(time) {
    if (!playing) return;
    owed += visible ? Math.max(0, Math.min(time - last, 100)) : 0;
    last = time;
    while (owed >= (k === frames - 1 ? HOLD : FRAME)) {
      owed -= k === frames - 1 ? HOLD : FRAME;
      k = (k + 1) % frames;
    }
    show(k);
    request = requestAnimationFrame(tick);
  }

  function play(on) {
    cancelAnimationFrame(request);
    playing = on;
    last = performance.now();
    if (on) request = requestAnimationFrame(tick);
    button.textContent = on ? "Pause" : "Play";
    button.setAttribute("aria-label", on ? "Pause the wave" : "Play the wave");
  }

  button.hidden = false;
  button.addEventListener("click", () => play(!playing));
  still.addEventListener("change", () => still.matches && play(false));
  new IntersectionObserver(([entry]) => (visible = entry.isIntersecting)).observe(strip);
  play(!still.matches);
})();
