// Without this script the page shows both orders, and the first picture of each sentence closely.
for (const chapter of document.querySelectorAll(".chapter")) {
  const overlays = readStory(chapter);
  const everywhere = chapter.querySelector(".everywhere input");

  function heat() {
    const word = chapter.querySelector(".words input:checked").value;
    for (const holder of chapter.querySelectorAll("[data-show], [data-closer]")) {
      const close = "closer" in holder.dataset;
      const card = close ? holder.dataset.closer : holder.dataset.show;
      const picture = holder.querySelector(close ? ".picture.close" : ".picture.listed");
      lay(picture, close || everywhere.checked ? overlays[card].at(-1)[word] : null);
    }
    for (const row of chapter.querySelectorAll("[data-word]"))
      row.classList.toggle("chosen", row.dataset.word === word);
  }

  chapter.addEventListener("change", heat);
  everywhere.parentElement.hidden = false;
  heat();
}

const all = document.getElementById("all");
all.hidden = false;
all.addEventListener("click", () => {
  const open = all.getAttribute("aria-expanded") !== "true";
  for (const chapter of document.querySelectorAll(".chapter")) chapter.open = open;
  all.setAttribute("aria-expanded", open);
  all.textContent = open ? "close all" : "open all";
});
