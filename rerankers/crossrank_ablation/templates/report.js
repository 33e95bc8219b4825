// Without this script the page shows the table in its order, and the first candidate of each query.
"use strict";
for (const table of document.querySelectorAll(".sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("[data-column]");
    if (!button) return;
    const column = Number(button.dataset.column), head = heads[column];
    // numbers start with the largest, names with the first
    const falling = column ? head.getAttribute("aria-sort") !== "descending" : head.getAttribute("aria-sort") === "ascending";
    for (const other of heads) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const worth = (row) => {
      const cell = row.cells[column];
      if (!column) return cell.textContent.trim();
      return cell && "value" in cell.dataset ? Number(cell.dataset.value) : null;
    };
    const rows = [...body.rows];
    rows.sort((left, right) => {
      const a = worth(left), b = worth(right);
      if (a === b) return left.dataset.order - right.dataset.order;
      if (a === null) return 1;  // what has no number stays below
      if (b === null) return -1;
      const order = a < b ? -1 : 1;
      return falling ? -order : order;
    });
    body.append(...rows);
  });
}

for (const story of document.querySelectorAll(".story")) {
  const overlays = JSON.parse(story.querySelector(".overlays").textContent);
  const percent = ([x0, y0, x1, y1]) =>
    `left:${100 * x0}%;top:${100 * y0}%;width:${100 * (x1 - x0)}%;height:${100 * (y1 - y0)}%`;

  function lay(closer, found) {
    const picture = closer.querySelector(".picture.close");
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

  function show(card) {
    for (const button of story.querySelectorAll("[data-show]"))
      button.setAttribute("aria-pressed", button.dataset.show === card);
    for (const closer of story.querySelectorAll("[data-closer]"))
      closer.hidden = closer.dataset.closer !== card;
  }

  story.addEventListener("click", (event) => {
    const button = event.target.closest("[data-show]");
    if (button) show(button.dataset.show);
    const word = event.target.closest(".word");
    if (!word) return;
    const closer = word.closest("[data-closer]");
    const press = word.getAttribute("aria-pressed") !== "true";
    for (const other of closer.querySelectorAll(".word")) other.setAttribute("aria-pressed", "false");
    word.setAttribute("aria-pressed", press);
    const [stage, part] = word.dataset.at.split(",");
    lay(closer, press ? overlays[closer.dataset.closer][stage][part] : null);
  });
  for (const word of story.querySelectorAll(".word")) word.setAttribute("aria-pressed", "false");
  show("0");
}
