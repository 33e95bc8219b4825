// Without this script the page shows the table in its order, and the first candidate of each query.
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
  const overlays = readStory(story);
  story.addEventListener("click", (event) => {
    const word = event.target.closest(".word");
    if (!word) return;
    const closer = word.closest("[data-closer]");
    const press = word.getAttribute("aria-pressed") !== "true";
    for (const other of closer.querySelectorAll(".word")) other.setAttribute("aria-pressed", "false");
    word.setAttribute("aria-pressed", press);
    const [stage, part] = word.dataset.at.split(",");
    lay(closer.querySelector(".picture.close"), press ? overlays[closer.dataset.closer][stage][part] : null);
  });
  for (const word of story.querySelectorAll(".word")) word.setAttribute("aria-pressed", "false");
}
