// The page: a query, two orders of what was found, and sliders between them.

import { about, asDataUri, Refused, search, setToken } from "./api.js";
import { element, show, walk } from "./cards.js";
import * as details from "./details.js";
import { fuse } from "./fusion.js";

const SHOWN = 12;
const DEPTH = 50;
const at = (id) => document.getElementById(id);
const state = { picture: null, query: null, found: null, weights: [], asked: 0 };

function complain(error) {
  at("error").hidden = !error;
  at("error").textContent = error ? error.message : "";
  if (error instanceof Refused && error.status === 401) {
    at("token-row").hidden = false;
    at("token").focus();
  }
}

async function introduce() {
  try {
    const found = await about();
    const stages = found.stages.map((stage) => stage.name).join(" → ");
    at("about").textContent = found.items === null
      ? "This server has no gallery; start it with --gallery FOLDER, or with --demo."
      : `${found.items} ${found.modality === "text" ? "texts" : "pictures"}, searched by ${found.encoder} and reranked by ${stages}.`;
    at("suggestions").replaceChildren(...found.suggestions.map((text) => element("button", {
      type: "button", textContent: text, onclick: () => { at("words").value = text; run(); },
    })));
    complain(null);
  } catch (error) {
    complain(error);
  }
}

async function run() {
  const words = at("words").value.trim();
  const query = {};
  if (words) query.text = words;
  if (state.picture) query.image = state.picture;
  if (!words && !state.picture) { at("words").focus(); return; }
  const number = ++state.asked;
  at("go").disabled = true;
  try {
    const found = await search({ ...query, depth: DEPTH });
    if (number !== state.asked) return;
    Object.assign(state, { query, found, weights: found.stages.map((stage) => stage.weight) });
    sliders();
    draw();
    complain(null);
  } catch (error) {
    if (number === state.asked) complain(error);
  } finally {
    if (number === state.asked) at("go").disabled = false;
  }
}

function sliders() {
  const { stages } = state.found;
  const made = stages.map((stage, number) => {
    const output = element("output", { value: stage.weight.toFixed(2) });
    const input = element("input", {
      type: "range", min: "0", max: String(Math.max(3, 2 * stage.weight)), step: "0.05",
      disabled: stage.fusion !== "weighted",
      oninput() {
        state.weights[number] = Number(input.value);
        output.value = state.weights[number].toFixed(2);
        draw();
      },
    });
    input.value = String(stage.weight);
    return element("label", { dataset: { stage: stage.name } }, element("span", { textContent: stage.name }), input, output);
  });
  const reset = element("button", { type: "button", textContent: "As served", onclick: () => {
    state.weights = stages.map((stage) => stage.weight);
    sliders();
    draw();
  } });
  at("sliders").replaceChildren(...made, reset);
  at("sliders").hidden = false;
}

function draw() {
  const { found, query, weights } = state;
  const hits = fuse(found.hits, found.stages, weights);
  const base = [...hits].sort((a, b) => a.base_rank - b.base_rank);
  const open = (hit) => details.open(hit, query, found.stages, [...weights]).catch(complain);
  show(at("base"), base.slice(0, SHOWN), (hit) => [hit.base_rank, hit.base_score], open);
  show(at("new"), hits.slice(0, SHOWN), (hit) => [hit.rank, hit.score], open);
  at("lists").hidden = false;
  window.crossrank = { hits, served: found.hits };
}

async function take(file) {
  if (!file || !file.type.startsWith("image/")) return;
  state.picture = await asDataUri(file);
  at("picture-name").textContent = file.name || "pasted picture";
  at("clear").hidden = false;
  run();
}

at("search").addEventListener("submit", (event) => { event.preventDefault(); run(); });
at("picture").addEventListener("change", () => take(at("picture").files[0]));
at("clear").addEventListener("click", () => {
  state.picture = null;
  at("picture").value = "";
  at("picture-name").textContent = "a picture…";
  at("clear").hidden = true;
});
at("token").addEventListener("change", () => { setToken(at("token").value); introduce(); });
document.addEventListener("paste", (event) => take([...event.clipboardData.files][0]));
document.addEventListener("dragover", (event) => { event.preventDefault(); at("drop").classList.add("over"); });
document.addEventListener("dragleave", () => at("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  take(event.dataTransfer.files[0]);
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (details.isOpen()) { details.press(event.key); return; }
  if (event.key === "ArrowDown" && event.target === at("words")) {
    event.preventDefault();
    document.querySelector("#new .card")?.focus();
    return;
  }
  if (event.target.closest("input")) return;
  if (event.key === "/") { event.preventDefault(); at("words").focus(); at("words").select(); }
  if (event.key.startsWith("Arrow") && walk(event.key)) event.preventDefault();
});
introduce();
