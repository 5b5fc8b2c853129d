/* What leaves the page: the ECG as csv, sheet and ECG as one picture, and files to save. */
"use strict";

(function (demo) {
  /* Columns {name, every, phi} as csv, a row for each of `times`; a cell is empty where a column has no value at that time. */
  function csv(times, columns) {
    const cell = ({ every, phi }, t) => (t % every === 0 && t / every < phi.length ? phi[t / every].toPrecision(7) : "");
    const head = ["time (ms)", ...columns.map(({ name }) => `${name} (mV mm/ms)`)];
    return [head, ...times.map((t) => [t, ...columns.map((column) => cell(column, t))])].map((row) => row.join()).join("\n") + "\n";
  }

  /* Sheet and ECG side by side over lines of words. */
  function picture(sheet, ecg, lines, color) {
    const canvas = document.createElement("canvas"), gap = 24, size = 800, wide = Math.round((ecg.width * size) / ecg.height);
    const across = Math.min(wide, 1.5 * size), high = (ecg.height * across) / ecg.width;
    Object.assign(canvas, { width: size + across + 3 * gap, height: size + 2 * gap + 34 * lines.length });
    const pen = canvas.getContext("2d");
    pen.fillStyle = color("ground");
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(sheet, gap, gap, size, size);
    pen.drawImage(ecg, size + 2 * gap, gap, across, high);
    pen.fillStyle = color("text");
    pen.font = "22px sans-serif";
    lines.forEach((line, k) => pen.fillText(line, gap, size + gap + 34 * (k + 1)));
    return canvas;
  }

  function save(name, blob) {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  demo.share = { csv, picture, save };
})(window.forwardecgDemo);
