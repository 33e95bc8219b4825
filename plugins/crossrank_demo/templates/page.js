// Without this script the page shows both orders, and the first picture of each sentence closely.
"use strict";
for (const chapter of document.querySelectorAll(".chapter")) {
  const overlays = JSON.parse(chapter.querySelector(".overlays").textContent);
  const everywhere = chapter.querySelector(".everywhere input");

  function lay(picture, found) {
    const heat = picture.querySelector(".heat"), best = picture.querySelector(".best");
    picture.classList.toggle("hot", Boolean(found));
    heat.hidden = !found;
    best.hidden = !found || !found.box;
    if (found) heat.src = found.heat;
    if (found && found.box) {
      const [x0, y0, x1, y1] = found.box.map((part) => 100 * part);
      best.style.cssText = `left:${x0}%;top:${y0}%;width:${x1 - x0}%;height:${y1 - y0}%`;
    }
  }

  function heat() {
    const word = chapter.querySelector(".words input:checked").value;
    for (const picture of chapter.querySelectorAll(".picture.listed, .picture.close")) {
      const wanted = picture.classList.contains("close") || everywhere.checked;
      lay(picture, wanted ? overlays[picture.dataset.card][word] : null);
    }
    for (const row of chapter.querySelectorAll("[data-word]"))
      row.classList.toggle("chosen", row.dataset.word === word);
  }

  function show(card) {
    for (const button of chapter.querySelectorAll("[data-show]"))
      button.setAttribute("aria-pressed", button.dataset.show === card);
    for (const closer of chapter.querySelectorAll("[data-closer]"))
      closer.hidden = closer.dataset.closer !== card;
  }

  chapter.addEventListener("change", heat);
  chapter.addEventListener("click", (event) => {
    const button = event.target.closest("[data-show]");
    if (button) show(button.dataset.show);
  });
  everywhere.parentElement.hidden = false;
  heat();
  show("0");
}

const all = document.getElementById("all");
all.hidden = false;
all.addEventListener("click", () => {
  const open = all.getAttribute("aria-expanded") !== "true";
  for (const chapter of document.querySelectorAll(".chapter")) chapter.open = open;
  all.setAttribute("aria-expanded", open);
  all.textContent = open ? "close all" : "open all";
});
