// A person decides about one image after another. What was decided is a log of steps, which the browser keeps under the
// run's name: a step is one entry, so that a key press writes little, and undo takes the last one away. The decisions
// are the corrections that the page came with, and then the steps.
"use strict";

const byId = (id) => document.getElementById(id);
const { classes, kinds, images, corrections, run } = JSON.parse(byId("contents").textContent);
const pictures = JSON.parse(byId("pictures").textContent);

const MARKS = { keep: "✓", relabel: "→", exclude: "✕", undecided: "?" };
const WORDS = { keep: "kept", relabel: "relabelled", exclude: "excluded", undecided: "undecided" };
const AROUND = { phone: 3, desktop: 6 }; // images of the strip on each side
const PHONE = matchMedia("(max-width: 40rem)");
const MOST_FOUND = 12; // classes that a search shows

const given = new Map(corrections.map((row) => [row.sha256, row]));
let steps = [];
let decisions = []; // by image: {action, label, note}, or undefined
let current = 0;

// What the browser keeps. Where it keeps nothing, the page says so and works until it is closed.
function attempt(what) {
  try {
    return what();
  } catch {
    byId("lost").hidden = false;
    return null;
  }
}
const keyOf = (number) => `plumbline review ${run} ${number}`;
function keep(number) {
  attempt(() => localStorage.setItem(keyOf(number), JSON.stringify(steps[number])));
}
const kept = (number) => attempt(() => localStorage.getItem(keyOf(number)));
function restore() {
  steps = [];
  for (let text; (text = kept(steps.length)); ) steps.push(JSON.parse(text));
  decisions = images.map(({ sha256 }) => {
    const row = given.get(sha256);
    return row && { action: row.action, label: classes.indexOf(row.label), note: row.note };
  });
  for (const { image, decision } of steps) decisions[image] = decision;
}
// Before a change: steps of another tab that this one was not told of are read, and not written over.
function catchUp() {
  if (kept(steps.length)) restore();
}

// Deciding

function decide(action, label = -1) {
  if (action === "keep" && images[current].label === null) return; // which of its labels?
  catchUp();
  const own = action === "keep" ? images[current].label : label;
  step({ action: own === images[current].label ? "keep" : action, label: own, note: decisions[current]?.note ?? "" });
  const said = inWords(current);
  current = nextOpen(current);
  show(said);
}
function step(decision) {
  steps.push({ image: current, decision, before: decisions[current] });
  decisions[current] = decision;
  keep(steps.length - 1);
}
function undo() {
  catchUp();
  const last = steps.pop();
  if (!last) return show("Nothing to undo.");
  attempt(() => localStorage.removeItem(keyOf(steps.length)));
  decisions[last.image] = last.before;
  current = last.image;
  show("Undone.");
}
function annotate(note) {
  catchUp();
  const now = decisions[current];
  if (note === (now?.note ?? "")) return;
  step({ action: now?.action ?? "undecided", label: now?.label ?? -1, note });
  show("Note kept.");
}
// The next image without a decision, first of those that follow; the next image of all where each has one.
function nextOpen(from) {
  const open = images.map((_, i) => (from + 1 + i) % images.length).find((i) => !decisions[i]);
  return open ?? Math.min(from + 1, images.length - 1);
}
const kindOf = (i) => images[i].why[0][0];

// Words

const nameOf = (label) => (label === null || label < 0 ? "" : classes[label]);
const counted = (number) => number.toLocaleString("en-US");
const percent = (share) => `${(100 * Math.min(share, share < 1 ? 0.999 : 1)).toFixed(1)}%`;
function inWords(i) {
  const own = decisions[i];
  if (!own) return "not decided";
  return own.action === "keep" || own.action === "relabel" ? `${WORDS[own.action]} as ${nameOf(own.label)}` : WORDS[own.action];
}
function labelInWords({ label }) {
  return label === null ? "several labels that contradict each other" : nameOf(label);
}
function modelInWords({ model, split }) {
  if (model === null) return "has not judged it";
  return `${nameOf(model[0])}, ${percent(model[1])}${split === "train" ? " (trained with its label)" : ""}`;
}

// Showing

function show(said = "") {
  const image = images[current], own = decisions[current];
  byId("picture").src = pictures[current];
  byId("picture").alt = image.paths[0];
  byId("picture").parentElement.dataset.action = own?.action ?? "";
  byId("title").textContent = `Image ${counted(current + 1)} of ${counted(images.length)}${image.split ? `, ${image.split}` : ", not used"}`;
  byId("label").textContent = labelInWords(image);
  byId("model").textContent = modelInWords(image);
  byId("decision").textContent = inWords(current);
  byId("decision").classList.toggle("open", !own);
  byId("path").textContent = image.paths.join(", ");
  byId("why").replaceChildren(...image.why.map(([kind, words]) => {
    const item = document.createElement("li"), title = document.createElement("b");
    title.textContent = kinds[kind];
    item.append(title, `: ${words}`);
    item.dir = "auto";
    return item;
  }));
  byId("note").value = own?.note ?? "";
  byId("keep").disabled = image.label === null;
  byId("suggested").hidden = image.suggested === null;
  byId("suggested").querySelector("bdi").textContent = nameOf(image.suggested);
  const action = own?.action;
  byId("keep").ariaPressed = action === "keep";
  byId("exclude").ariaPressed = action === "exclude";
  byId("undecided").ariaPressed = action === "undecided";
  byId("suggested").ariaPressed = action === "relabel" && own.label === image.suggested;
  for (const button of classButtons) button.ariaPressed = action === "relabel" && own.label === Number(button.dataset.class);
  showProgress();
  showStrip();
  if (!said) return;
  byId("picture").scrollIntoView({ block: "nearest" }); // on a phone the buttons may be a page below it
  byId("says").textContent = `${said}. ${byId("title").textContent}, labelled ${labelInWords(image)}; model: ${modelInWords(image)}.`;
}
function showProgress() {
  const done = decisions.filter(Boolean).length, all = {}, left = {};
  images.forEach((_, i) => {
    const kind = kindOf(i);
    all[kind] = (all[kind] ?? 0) + 1;
    if (!decisions[i]) left[kind] = (left[kind] ?? 0) + 1;
  });
  byId("done").textContent = counted(done);
  byId("bar").value = done;
  for (const button of kindButtons) {
    const kind = button.dataset.kind;
    button.querySelector(".count").textContent = `${all[kind] - (left[kind] ?? 0)} / ${all[kind]}`;
    button.ariaCurrent = String(kind === kindOf(current));
  }
}
// The strip's tiles by image: those that stay in view stay in the page, so that no picture is decoded twice.
const tiles = new Map();
function showStrip() {
  const around = PHONE.matches ? AROUND.phone : AROUND.desktop, wide = Math.min(2 * around + 1, images.length);
  const from = Math.max(0, Math.min(current - around, images.length - wide));
  const seen = Array.from({ length: wide }, (_, k) => from + k);
  for (const i of tiles.keys()) if (!seen.includes(i)) tiles.delete(i);
  byId("strip").replaceChildren(...seen.map((i) => {
    if (!tiles.has(i)) tiles.set(i, tile(i));
    const button = tiles.get(i).firstChild, action = decisions[i]?.action ?? "";
    button.dataset.action = action;
    button.ariaCurrent = String(i === current);
    button.firstChild.alt = `Image ${i + 1}, labelled ${labelInWords(images[i])}, ${inWords(i)}`;
    button.lastChild.textContent = MARKS[action] ?? "";
    return tiles.get(i);
  }));
}
function tile(i) {
  const [item, button, picture, mark] = ["li", "button", "img", "i"].map((name) => document.createElement(name));
  picture.src = pictures[i];
  picture.decoding = "async";
  mark.ariaHidden = "true";
  button.type = "button";
  button.append(picture, mark);
  button.addEventListener("click", () => goTo(i));
  item.append(button);
  return item;
}
function goTo(i) {
  current = Math.max(0, Math.min(i, images.length - 1));
  show(inWords(current));
}

// Searching a class. Source of the roles and keys: WAI-ARIA Authoring Practices, editable combobox with list.

let found = [], chosen = 0;
function search(text) {
  const wanted = text.normalize("NFC").toLowerCase();
  const ranked = classes.map((name, label) => ({ label, at: name.toLowerCase().indexOf(wanted) })).filter(({ at }) => at >= 0);
  found = ranked.sort((a, b) => a.at - b.at || a.label - b.label).slice(0, MOST_FOUND).map(({ label }) => label);
  choose(0);
  showFound(true);
}
function choose(k) {
  chosen = found.length ? (k + found.length) % found.length : 0;
  byId("found").replaceChildren(...found.map((label, i) => {
    const item = document.createElement("li");
    item.id = `found-${i}`;
    item.role = "option";
    item.dir = "auto";
    item.textContent = classes[label];
    item.ariaSelected = String(i === chosen);
    item.addEventListener("mousedown", (event) => (event.preventDefault(), take(label)));
    return item;
  }));
  byId("search").setAttribute("aria-activedescendant", found.length ? `found-${chosen}` : "");
  byId("found").children[chosen]?.scrollIntoView({ block: "nearest" });
}
function showFound(open) {
  byId("found").hidden = !open || !found.length;
  byId("search").ariaExpanded = String(!byId("found").hidden);
  if (!byId("found").hidden) byId("found").scrollIntoView({ block: "nearest" });
}
function take(label) {
  byId("search").value = "";
  showFound(false);
  byId("content").focus({ preventScroll: true });
  decide("relabel", label);
}

// Saving: every field in double quotes, so that no name can be taken for two fields.

function table() {
  const rows = new Map(given);
  images.forEach(({ sha256, paths }, i) => {
    if (!decisions[i]) return rows.delete(sha256);
    const { action, label, note } = decisions[i];
    rows.set(sha256, { path: rows.get(sha256)?.path ?? paths[0], sha256, label: nameOf(label), action, note });
  });
  const columns = ["path", "sha256", "label", "action", "note"];
  const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
  return [columns.join(","), ...[...rows.values()].map((row) => columns.map((column) => quoted(row[column])).join(","))].join("\n") + "\n";
}
function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
  link.download = "corrections.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Keys and buttons

const KEYS = {
  k: () => decide("keep"),
  s: () => images[current].suggested !== null && decide("relabel", images[current].suggested),
  x: () => decide("exclude"),
  u: () => decide("undecided"),
  z: undo,
  n: () => byId("note").focus(),
  "/": () => byId("search")?.focus(),
  ArrowLeft: () => goTo(current - 1),
  ArrowRight: () => goTo(current + 1),
};
for (let i = 0; i < Math.min(classes.length, 9); i++) KEYS[i + 1] = () => decide("relabel", i);

function pressed(event) {
  const typing = event.target.matches("input[type=text]"), act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (typing || !act || !byId("keys").checked || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault(); // a slash would open the browser's own search, and be typed into ours
  if (!event.repeat || event.key.startsWith("Arrow")) act(); // a key that is held down decides about one image
}

const classButtons = [...document.querySelectorAll("[data-class]")];
const kindButtons = [...document.querySelectorAll("[data-kind]")];

function begin() {
  restore();
  for (const id of ["keep", "exclude", "undecided"]) byId(id).addEventListener("click", () => decide(id));
  for (const button of classButtons) button.addEventListener("click", () => decide("relabel", Number(button.dataset.class)));
  byId("suggested").addEventListener("click", KEYS.s);
  for (const [id, key] of [["undo", "z"], ["previous", "ArrowLeft"], ["next", "ArrowRight"]]) byId(id).addEventListener("click", KEYS[key]);
  for (const button of kindButtons) {
    const ofKind = images.map((_, i) => i).filter((i) => kindOf(i) === button.dataset.kind);
    button.addEventListener("click", () => goTo(ofKind.find((i) => !decisions[i]) ?? ofKind[0]));
  }
  byId("note").addEventListener("change", (event) => annotate(event.target.value));
  byId("note").addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === "Escape") byId("content").focus({ preventScroll: true });
  });
  byId("search")?.addEventListener("input", (event) => search(event.target.value));
  byId("search")?.addEventListener("focus", (event) => search(event.target.value));
  byId("search")?.addEventListener("blur", () => showFound(false));
  byId("search")?.addEventListener("keydown", (event) => {
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (way) choose(chosen + way);
    else if (event.key === "Enter" && found.length) take(found[chosen]);
    else if (event.key === "Escape") byId("content").focus({ preventScroll: true });
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", pressed);
  PHONE.addEventListener("change", showStrip);
  window.addEventListener("storage", () => (restore(), show())); // the same page in another tab
  current = Math.max(0, decisions.findIndex((own) => !own));
  show();
}

byId("save").addEventListener("click", save);
if (images.length) begin();
