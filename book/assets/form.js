/* What is wider than its box scrolls inside it, and says so: a shadow at each edge that hides something, and a word below a
   figure. The shadows lie over the box, as siblings: one inside would scroll away, and a ground would be covered by cells. */
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const BOXES = [".pst-scrollable-table-container", ".cell_output > .output", "figure > a.image-reference"];
  const article = document.querySelector(".bd-article");
  if (!article) return;

  /* A table of sentences has no room on a phone: there each row is a block, and each cell says the head of its column. */
  const PROSE = 90; // characters of a row
  const words = (cell) => cell.textContent.trim().replace(/\\[()]/g, "").replace("R^2", "R\u00b2"); // not yet typeset
  for (const table of article.querySelectorAll(".pst-scrollable-table-container > table:not(.dataframe)")) {
    const heads = [...table.querySelectorAll("thead th")].map(words);
    // but for the heads of blocks, which have the whole row
    const rows = [...table.tBodies].flatMap((body) => [...body.rows]).filter((row) => !row.querySelector("th.block"));
    const length = rows.reduce((sum, row) => sum + row.textContent.trim().length, 0) / rows.length;
    if (heads.length < 3 || !(length > PROSE) || rows.some((row) => row.cells.length !== heads.length)) continue;
    table.classList.add("prose");
    for (const row of rows) {
      [...row.cells].slice(1).forEach((cell, k) => {
        const head = heads[k + 1];
        cell.dataset.head = cell.textContent.trim() ? head + (head.endsWith("?") ? " " : ": ") : "";
      });
    }
  }

  /* A citation shows its source under the pointer and under the keyboard; the tooltip of the browser knows the pointer alone. */
  for (const link of article.querySelectorAll("a.internal[href*='references.html#'][title]")) {
    if (link.closest("table, figcaption")) continue; // boxes that scroll would cut it
    link.dataset.source = link.title;
    link.setAttribute("aria-description", link.title);
    link.removeAttribute("title");
    const turn = () => link.classList.toggle("cite-left", link.getBoundingClientRect().left > innerWidth / 2);
    link.addEventListener("pointerenter", turn);
    link.addEventListener("focus", turn);
  }

  const boxes = document.querySelectorAll(BOXES.map((one) => `.bd-article ${one}`).join());
  const cues = new Map();

  function span(name, box) {
    const found = document.createElement("span");
    found.className = name;
    found.setAttribute("aria-hidden", "true");
    box.after(found);
    return found;
  }

  function make(box) {
    const left = span("edge edge-left", box), right = span("edge edge-right", box);
    const swipe = box.querySelector("img") ? span("swipe", box) : null;
    if (swipe) swipe.textContent = "\u2194 swipe to see all of it";
    box.addEventListener("scroll", () => place(box), { passive: true });
    cues.set(box, { left, right, swipe });
    return cues.get(box);
  }

  function place(box) {
    const hidden = box.scrollWidth - box.clientWidth;
    const { left, right, swipe } = cues.get(box) || (hidden > 1 ? make(box) : {});
    if (!left) return;
    left.hidden = hidden <= 1 || box.scrollLeft <= 1;
    right.hidden = hidden <= 1 || box.scrollLeft >= hidden - 1;
    if (swipe) swipe.hidden = hidden <= 1;
    for (const edge of [left, right]) {
      edge.style.top = `${box.offsetTop}px`;
      edge.style.height = `${box.offsetHeight}px`;
    }
    left.style.left = `${box.offsetLeft}px`;
    right.style.left = `${box.offsetLeft + box.offsetWidth - right.offsetWidth}px`;
    box.classList.toggle("scrolls", hidden > 1);
  }

  const all = () => boxes.forEach(place);
  new ResizeObserver(all).observe(article); // pictures that come late, another width
  all();
});
