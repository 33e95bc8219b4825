// What the pages of stories share: laying a heat map and a box over a picture, and choosing a card.
"use strict";
const percent = ([x0, y0, x1, y1]) =>
  `left:${100 * x0}%;top:${100 * y0}%;width:${100 * (x1 - x0)}%;height:${100 * (y1 - y0)}%`;

function lay(picture, found) {
  if (!picture) return;
  const heat = picture.querySelector(".heat"), best = picture.querySelector(".best");
  const hot = Boolean(found && found.heat);
  picture.classList.toggle("hot", hot);
  heat.hidden = !hot;
  if (hot) {
    heat.src = found.heat;
    heat.style.cssText = percent(found.extent);
  }
  best.hidden = !found || !found.box;
  if (found && found.box) best.style.cssText = percent(found.box);
}

function show(story, card) {
  for (const button of story.querySelectorAll("[data-show]"))
    button.setAttribute("aria-pressed", button.dataset.show === card);
  for (const closer of story.querySelectorAll("[data-closer]"))
    closer.hidden = closer.dataset.closer !== card;
}

function readStory(story) {
  story.addEventListener("click", (event) => {
    const button = event.target.closest("[data-show]");
    if (button) show(story, button.dataset.show);
  });
  show(story, "0");
  return JSON.parse(story.querySelector(".overlays").textContent);
}
