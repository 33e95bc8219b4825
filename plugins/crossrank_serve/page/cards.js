// Cards of hits, in two lists that are walked through with the arrow keys.

import { picture } from "./api.js";

export function element(name, properties = {}, ...children) {
  const { dataset = {}, ...others } = properties;
  const made = Object.assign(document.createElement(name), others);
  Object.assign(made.dataset, dataset);
  made.append(...children);
  return made;
}

export function moved(hit) {
  const by = hit.base_rank - hit.rank;
  if (by === 0) return { name: "same", sign: "=", said: "stayed" };
  const places = Math.abs(by) === 1 ? "place" : "places";
  const way = by > 0 ? "up" : "down";
  return { name: way, sign: `${by > 0 ? "▲" : "▼"}${Math.abs(by)}`, said: `${way} ${Math.abs(by)} ${places}` };
}

// The words stand in a picture's place only when it does not come: until then they would look like a fault.
export function pictured(face, hit) {
  const named = () => { face.alt = hit.text || hit.id; };
  picture(hit.picture).then((url) => { face.src = url; }, () => {}).then(named);
  return face;
}

function card(hit, rank, score, open) {
  const move = moved(hit);
  const face = hit.picture
    ? pictured(element("img", { alt: "", loading: "lazy" }), hit)
    : element("div", { className: "words", textContent: hit.text || hit.id });
  const line = element(
    "div", { className: "line" },
    element("b", { textContent: String(rank) }),
    element("span", { className: move.name, textContent: move.sign }),
    element("span", { className: "same", textContent: score === null ? "" : score.toFixed(2) }),
  );
  return element(
    "button",
    {
      type: "button", className: "card", tabIndex: -1, dataset: { id: hit.id },
      title: hit.id, onclick: () => open(hit),
      onmouseenter: () => mark(hit.id), onmouseleave: () => mark(null), onfocus: () => mark(hit.id),
    },
    face, line,
  );
}

export function show(list, hits, numbersOf, open) {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.id : null;
  const known = new Map([...list.querySelectorAll(".card")].map((c) => [c.dataset.id, c]));
  list.replaceChildren(...hits.map((hit) => {
    const made = card(hit, ...numbersOf(hit), open);
    const before = known.get(hit.id)?.querySelector("img");
    if (before?.src) made.querySelector("img").src = before.src;
    return element("li", {}, made);
  }));
  const first = list.querySelector(".card");
  if (first) first.tabIndex = 0;
  if (focused) focusCard([...list.querySelectorAll(".card")].find((c) => c.dataset.id === focused) ?? first);
}

export function mark(id) {
  for (const each of document.querySelectorAll(".card")) {
    each.classList.toggle("marked", id !== null && each.dataset.id === id);
  }
}

function focusCard(target) {
  if (!target) return;
  for (const each of target.closest(".cards").querySelectorAll(".card")) each.tabIndex = -1;
  target.tabIndex = 0;
  target.focus();
}

// Left and right walk along a list and over to the other one; up and down by a row.
export function walk(key) {
  const from = document.activeElement?.closest(".card");
  if (!from) return false;
  const own = [...from.closest(".cards").querySelectorAll(".card")];
  const place = own.indexOf(from);
  const columns = own.filter((c) => c.offsetTop === own[0].offsetTop).length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  const target = own[place + step];
  const crosses = (key === "ArrowRight" && (place % columns === columns - 1 || !target))
    || (key === "ArrowLeft" && place % columns === 0);
  if (crosses) {
    const other = document.querySelector(key === "ArrowRight" ? "#new" : "#base");
    if (!other.contains(from)) {
      const cards = [...other.querySelectorAll(".card")];
      focusCard(cards[Math.min(place, cards.length - 1)]);
    }
    return true;
  }
  focusCard(target);
  return true;
}
