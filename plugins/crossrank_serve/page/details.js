// One hit: its picture with a heat map per word, boxes, and why it moved.

import { search } from "./api.js";
import { element, moved, pictured } from "./cards.js";
import { paint, range } from "./heat.js";

const dialog = document.querySelector("#details");
let keys = () => {};
let opener = null;

export const isOpen = () => dialog.open;
export const press = (key) => keys(key);

export async function open(hit, query, stages, weights) {
  opener = document.activeElement;
  const view = element("div", { className: "view" });
  const side = element("div", { className: "side" }, why(hit, stages, weights));
  dialog.replaceChildren(
    element(
      "div", { className: "head" },
      element("h2", { id: "details-title", textContent: hit.text || hit.id }),
      element("button", { type: "button", textContent: "Back", onclick: () => dialog.close() }),
    ),
    element("div", { className: "inside" }, view, side),
  );
  keys = () => {};
  if (!dialog.open) dialog.showModal();
  if (hit.picture) view.append(pictured(element("img", { alt: "" }), hit));
  const found = await search({ ...query, ids: [hit.id], explain: true });
  if (!dialog.open || dialog.querySelector(".view") !== view) return;
  shown(found.hits[0], view, side);
}

dialog.addEventListener("close", () => {
  keys = () => {};
  opener?.focus();
});

function why(hit, stages, weights) {
  const move = moved(hit);
  const rows = hit.trace.map((trace, number) => element(
    "tr", {},
    element("th", { textContent: trace.stage }),
    element("td", { textContent: trace.score === null ? trace.note : trace.score.toFixed(3) }),
    element("td", { textContent: weights[number].toFixed(2) }),
  ));
  const base = hit.base_score === null ? "" : hit.base_score.toFixed(3);
  return element(
    "div", { className: "why" },
    element("p", { className: move.name, textContent: `From place ${hit.base_rank} to ${hit.rank}: ${move.said}.` }),
    element(
      "table", {},
      element("thead", {}, element("tr", {}, ...["", "score", "weight"].map((t) => element("th", { textContent: t })))),
      element("tbody", {}, element("tr", {}, element("th", { textContent: "base" }), element("td", { textContent: base }), element("td", { textContent: "1" })), ...rows),
    ),
  );
}

// One frame for all words that point to the same place, or their names would lie on each other.
function boxed(links) {
  const found = new Map();
  for (const link of links.filter((each) => each.candidate_box)) {
    const place = link.candidate_box.join(" ");
    found.set(place, (found.get(place) ?? new Set()).add(link.query));
  }
  return found;
}

function shown(hit, view, side) {
  const heat = hit.heat;
  const links = Object.values(hit.evidence ?? {}).flat();
  const best = [...links].sort((a, b) => b.weight - a.weight).slice(0, 3);
  if (best.length) {
    const said = best.map((link) => `${link.query} ${link.weight.toFixed(2)}`).join(", ");
    side.append(element("p", { textContent: `What fits best: ${said}.` }));
  }
  const frames = [...boxed(links)].map(([place, words]) => {
    const [x0, y0, x1, y1] = place.split(" ").map(Number);
    const named = [...words].join(", ");
    const frame = element("div", { className: "box", textContent: named, title: named, hidden: true });
    Object.assign(frame.style, {
      left: `${100 * x0}%`, top: `${100 * y0}%`, width: `${100 * (x1 - x0)}%`, height: `${100 * (y1 - y0)}%`,
    });
    return frame;
  });
  view.append(...frames);
  const toggle = element("button", { type: "button", textContent: "Boxes", disabled: !frames.length });
  toggle.setAttribute("aria-pressed", "false");
  toggle.onclick = () => {
    const on = toggle.getAttribute("aria-pressed") !== "true";
    toggle.setAttribute("aria-pressed", String(on));
    for (const frame of frames) frame.hidden = !on;
  };
  const buttons = [];
  if (heat) {
    const canvas = element("canvas", { hidden: true });
    view.append(canvas);
    const pick = (number) => {
      const on = buttons[number].getAttribute("aria-pressed") !== "true";
      buttons.forEach((b, n) => b.setAttribute("aria-pressed", String(on && n === number)));
      canvas.hidden = !on;
      if (on) paint(canvas, heat, number);
    };
    heat.words.forEach((word, number) => {
      const button = element("button", { type: "button", textContent: word, onclick: () => pick(number) });
      button.setAttribute("aria-pressed", "false");
      buttons.push(button);
    });
    const [low, high] = range(heat);
    side.append(
      element("div", { className: "row small words-row" }, ...buttons),
      element("div", { className: "legend" }),
      element("div", { className: "ends small" }, element("span", { textContent: low.toFixed(2) }), element("span", { textContent: high.toFixed(2) })),
    );
    const strongest = heat.values.map((map) => Math.max(...map.flat().map((v) => v ?? -1)));
    pick(strongest.indexOf(Math.max(...strongest)));
  }
  side.append(element("div", { className: "row small" }, toggle));
  keys = (key) => {
    if (key === "b") toggle.click();
    const number = Number(key) - 1;
    if (buttons[number]) buttons[number].click();
  };
}
