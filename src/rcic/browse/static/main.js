// The page: it shows the state in the address, and writes the user's actions into the address.

import { ask, isSame, addressOf, plateTitle } from "./ask.js";
import { byId, make } from "./dom.js";
import { showFacts } from "./facts.js";
import { Filmstrip } from "./film.js";
import { listen } from "./keys.js";
import { NearestRow } from "./nearest.js";
import { NoteCard } from "./notes.js";
import { fetchAhead } from "./pixels.js";
import { PlateMap } from "./platemap.js";
import { readState, writeState } from "./state.js";
import { SIZE, Viewer } from "./viewer.js";

const FILTERS = { all: "All", wrong: "Wrong", unsure: "Unsure", bad: "Bad image" };

const state = readState();
const MANY_PLATES = 8; // from here on a list, not buttons
let screen, map, viewer, row, film, noteCard;
let from = null; // the well that its control was shown for
let plate = null; // what the map shows
let well = null; // what the images show
let going = 0;

/** Go to the state with some `changes`; without a well, to the first of the plate. */
async function go(changes, push = true) {
  const number = ++going;
  Object.assign(state, changes);
  try {
    if (plate?.experiment !== state.experiment || plate?.plate !== state.plate) {
      const found = await ask("/api/plate", { experiment: state.experiment, plate: state.plate });
      if (number !== going) return;
      plate = found;
      for (const other of plate.wells) Object.assign(other, plate.notes[other.well]);
      showPlate();
    }
    state.well ??= plate.wells[0].well;
    map.choose(state.well);
    const found = await ask("/api/well", { ...addressOf(state), show: state.show });
    if (number !== going) return;
    well = found;
  } catch (error) {
    if (number === going) refuse(error);
    return;
  }
  showMessage("");
  writeState(state, push);
  showView();
  showWell();
  if (state.view === "plate") return showFilm();
  await viewer.show(well);
  if (number !== going) return;
  await row.show(well);
  if (number === going) lookAhead();
}

/** Show the small images of the plate, with the chosen well marked. */
async function showFilm() {
  byId("film-title").textContent = plateTitle(plate.experiment, plate.name);
  byId("film-note").textContent = screen.sites.length > 1 ? `site ${screen.site_names[viewer.site]}, one contrast for the plate` : "one contrast for the plate";
  if (film.plate !== plate) film.show(plate);
  film.choose(state.well);
  await viewer.usePlate(plate);
  film.redraw();
}

function showView() {
  byId("plate-view").hidden = state.view !== "plate";
  byId("images").hidden = state.view === "plate";
  for (const view of ["well", "plate"]) byId(`view-${view}`).setAttribute("aria-pressed", String(view === state.view));
}

function showPlate() {
  map.show(plate, screen);
  byId("plate-title").textContent = plateTitle(plate.experiment, plate.name);
  const margin = plate.group_margin == null ? "no rival" : `margin ${plate.group_margin.toFixed(1)} nats`;
  byId("plate-group").textContent = plate.group == null ? "" : `plate group ${plate.group}, ${margin}`;
  byId("experiment").value = plate.experiment;
  const { plates } = screen.experiments.find(({ name }) => name === plate.experiment);
  const choose = (number) => go({ plate: number, well: null });
  if (plates.length > MANY_PLATES) return listPlates(plates, choose);
  segments("plates", plates.map(({ number, name }) => [number, name, number === plate.plate, () => choose(number)]));
}

/** Offer many plates as a list. */
function listPlates(plates, choose) {
  const options = plates.map(({ number, name }) => make("option", { value: number, selected: number === plate.plate }, name));
  const list = make("select", { "aria-labelledby": "plates-label", onchange: (event) => choose(Number(event.target.value)) }, ...options);
  byId("plates").replaceChildren(list);
}

/** Keep what was written of a well, and mark it on the plate. */
function noted(address, note) {
  if (address.experiment !== plate.experiment || address.plate !== plate.plate) return;
  Object.assign(plate.wells.find((other) => other.well === address.well), { flag: note.flag, note: note.note });
  map.show(plate, screen);
  map.choose(state.well);
}

/** Go to the control of the well, or back from it. */
function flip() {
  const back = from && well && from.controls.some((control) => isSame(control, well));
  if (back) return go(addressOf(from));
  if (!well?.controls.length) return null;
  from = well;
  return go(addressOf(well.controls[0]));
}

function showWell() {
  const { place: position, total, before, after } = well.filter;
  document.title = `${plateTitle(well.experiment, well.plate_name)}, ${well.well}`;
  byId("well-title").textContent = well.well;
  const chosen = well.filter.name === "all" ? "wells" : `${FILTERS[well.filter.name].toLowerCase()} wells`;
  byId("place").textContent = position ? `${position.toLocaleString("en")} of ${total.toLocaleString("en")} ${chosen}` : `not one of the ${total.toLocaleString("en")} ${chosen}`;
  byId("before").disabled = !before;
  byId("after").disabled = !after;
  showFacts(byId("facts"), well, screen);
  noteCard.show(well);
  showFilters();
}

function showFilters() {
  const choose = (name) => go({ show: name }, false).then(() => (well?.filter.place === 0 ? step("after") ?? step("before") : null));
  segments("filters", Object.entries(FILTERS).map(([name, label]) => [
    name, [label, " ", make("span", { class: "count" }, screen.filters[name].toLocaleString("en"))], name === state.show, () => choose(name), !screen.filters[name],
  ]));
}

/** Fill a group of buttons: [key, content, isPressed, press, isDisabled]. */
function segments(id, items) {
  const hadFocus = byId(id).contains(document.activeElement) && document.activeElement.dataset.key;
  byId(id).replaceChildren(...items.map(([key, content, isPressed, press, isDisabled]) =>
    make("button", { type: "button", "data-key": key, "aria-pressed": String(isPressed), disabled: isDisabled, onclick: press }, ...[content].flat()),
  ));
  if (hadFocus) [...byId(id).children].find((button) => button.dataset.key === hadFocus)?.focus();
}

/** Go to the well before or after in the filter; nothing if there is none. */
function step(way) {
  const next = well?.filter[way];
  return next ? go(addressOf(next)) : null;
}

function stepPlate(by) {
  const plates = screen.experiments.flatMap(({ name, plates }) => plates.map(({ number }) => ({ experiment: name, plate: number })));
  const next = plates[plates.findIndex(({ experiment, plate }) => experiment === state.experiment && plate === state.plate) + by];
  if (next) go({ ...next, well: null });
}

/** Prefetch the images of the wells that one key press leads to. */
function lookAhead() {
  const ways = [[0, 1], [0, -1], [1, 0], [-1, 0]].map((way) => map.toward(...way)).filter(Boolean);
  const beside = ways.map((spot) => ({ ...addressOf(state), well: spot.well }));
  const wells = [well.filter.after, well.filter.before, ...beside].filter((other) => other && !isSame(other, well)).map(addressOf);
  fetchAhead(wells, screen.sites, screen.channels.map((channel) => channel.number), SIZE);
}

function refuse(error) {
  well = null;
  showMessage(error.message);
  if (!plate) byId("map").replaceChildren();
  byId("well-title").textContent = state.well ?? "";
  byId("place").textContent = "";
  byId("facts").replaceChildren();
  byId("note-card").hidden = true;
  viewer.clear();
  row.clear();
  showFilters();
}

function showMessage(message) {
  byId("message").textContent = message;
  byId("message").hidden = !message;
}

function showExperiments() {
  const kinds = [["train", "Train"], ["test", "Test"]];
  const groups = kinds.map(([split, label]) => [label, screen.experiments.filter((experiment) => experiment.split === split)]);
  const shown = groups.filter(([, own]) => own.length);
  byId("experiment-field").hidden = screen.experiments.length < 2;
  byId("experiment").replaceChildren(...shown.map(([label, own]) => make("optgroup", { label }, ...own.map(({ name }) => make("option", { value: name }, name)))));
  byId("experiment").addEventListener("change", (event) => {
    const { name, plates } = screen.experiments.find((experiment) => experiment.name === event.target.value);
    go({ experiment: name, plate: plates[0].number, well: null });
  });
}

async function start() {
  screen = await ask("/api/screen");
  byId("screen-name").textContent = screen.name;
  viewer = new Viewer(screen, state, () => {
    writeState(state, false);
    if (state.view === "plate") showFilm();
  });
  viewer.drawn = () => row.redraw();
  film = new Filmstrip(screen, viewer, (name) => go({ well: name, view: "well" }));
  noteCard = new NoteCard(screen, noted);
  map = new PlateMap(byId("map"), byId("legend"), (name) => go({ well: name }));
  row = new NearestRow(screen, viewer, (other) => go(addressOf(other)));
  showExperiments();
  byId("before").addEventListener("click", () => step("before"));
  byId("after").addEventListener("click", () => step("after"));
  for (const kind of ["plate", "well", "held"]) byId(`contrast-${kind}`).addEventListener("click", () => viewer.setContrast(kind));
  for (const view of ["well", "plate"]) byId(`view-${view}`).addEventListener("click", () => go({ view }));
  for (const id of ["help", "large"]) byId(`${id}-close`).addEventListener("click", () => byId(id).close());
  byId("help-button").addEventListener("click", () => byId("help").showModal());
  addEventListener("popstate", () => go(readState(), false));
  listen({
    move: (down, right) => { const next = map.toward(down, right); if (next) go({ well: next.well }); },
    toggle: (number) => viewer.toggle(number),
    before: () => step("before"),
    after: () => step("after"),
    nextPlate: () => stepPlate(1),
    previousPlate: () => stepPlate(-1),
    nextSite: () => viewer.nextSite(),
    contrast: () => viewer.setContrast(viewer.contrast === "plate" ? "well" : "plate"),
    view: () => go({ view: state.view === "plate" ? "well" : "plate" }),
    open: () => state.view === "plate" && go({ view: "well" }),
    control: flip,
    flag: () => byId("flag").focus(),
    enlarge: () => viewer.enlarge(),
    help: () => byId("help").showModal(),
  });
  const first = screen.experiments.find(({ name }) => name === (state.experiment ?? name)) ?? screen.experiments[0];
  if (!(state.show in FILTERS)) state.show = "all";
  await go({ experiment: state.experiment ?? first.name, plate: state.plate ?? first.plates[0].number }, false);
}

start().catch((error) => showMessage(error.message));
