// The plate map: a mark for each well, its shape and colour for the well's state.

import { byId, draw, make } from "./dom.js";
import { FLAGGED, NOTED, STATES, inWords } from "./states.js";

const MANY = 24; // columns; above this only some are labelled
const STEP = 20; // from well to well
const EDGE = 22; // for the names of rows and columns

const LARGEST = 1.8; // screen pixels a unit of the drawing

/** Return a mark around (0, 0): filled if the answer is sure, else hollow; a corner: a bad image; a stroke: flagged. */
function mark({ state, unsure, bad, flag, note }) {
  const shape = {
    right: () => draw("circle", { r: 6.5 }),
    wrong: () => draw("path", { d: "M0 -8.5 8.5 0 0 8.5 -8.5 0Z" }),
    answered: () => draw("path", { d: "M0 -7.5 7.5 5.5H-7.5Z", "stroke-linejoin": "round" }),
    control: () => draw("rect", { x: -4.5, y: -4.5, width: 9, height: 9, rx: 1.5 }),
    silent: () => draw("circle", { r: 2.5 }),
  }[state]();
  shape.setAttribute("class", `mark ${state}${unsure ? " unsure" : ""}`);
  return draw("g", {}, shape, bad ? draw("path", { class: "mark bad", d: "M2 -9.5H9.5V-2Z" }) : null,
    flag ? draw("path", { class: "mark flag", d: "M-8.5 8.5 8.5 -8.5" }) : null, note ? draw("circle", { class: "mark noted", cx: 7, cy: 7, r: 3 }) : null);
}

/** The map of one plate. `choose` is called with the name of a well that is clicked. */
export class PlateMap {
  constructor(box, legend, choose) {
    Object.assign(this, { box, legend, wells: [] });
    box.addEventListener("click", (event) => {
      const name = event.target.closest("[data-well]")?.dataset.well;
      if (name) choose(name);
    });
  }

  /** Draw a plate, or the part of it {row, column, rows, columns} that the screen uses. */
  show(plate, area) {
    const { rows, columns } = area;
    Object.assign(this, { area, wells: plate.wells, plate });
    this.at = new Map(plate.wells.map((well) => [`${well.row} ${well.column}`, well]));
    const frame = [0, 0, EDGE + columns * STEP, EDGE + rows * STEP];
    this.svg = draw("svg", {
      viewBox: frame.join(" "),
      class: columns > MANY ? "plate wide" : "plate",
      tabindex: 0,
      role: "listbox",
      "aria-label": `Wells of ${plate.experiment}, plate ${plate.name}; arrow keys move`,
    });
    this.svg.style.maxWidth = `${frame[2] * LARGEST}px`;
    this.svg.append(...this.#names(rows, columns), draw("rect", { class: "ring", width: STEP, height: STEP, rx: 4 }));
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) this.svg.append(this.#spot(row + area.row, column + area.column));
    this.box.replaceChildren(this.svg);
    this.#explain();
  }

  /** Mark the chosen well. */
  choose(name) {
    const well = this.wells.find((other) => other.well === name);
    this.chosen = well;
    for (const old of this.svg.querySelectorAll("[aria-selected=true]")) old.setAttribute("aria-selected", "false");
    this.svg.querySelector(".ring").style.display = well ? "" : "none";
    if (!well) return;
    const ring = this.svg.querySelector(".ring");
    ring.setAttribute("x", EDGE + (well.column - this.area.column) * STEP);
    ring.setAttribute("y", EDGE + (well.row - this.area.row) * STEP);
    const spot = byId(`spot-${well.row}-${well.column}`);
    spot.setAttribute("aria-selected", "true");
    this.svg.setAttribute("aria-activedescendant", spot.id);
  }

  /** Return the nearest well from the chosen one in a direction, at best in the same row or column; null if none. */
  toward(down, right) {
    if (!this.chosen) return this.wells[0] ?? null;
    const { row, column } = this.chosen;
    let best = null;
    let least = Infinity;
    for (const well of this.wells) {
      const along = (well.row - row) * down + (well.column - column) * right;
      const aside = Math.abs((well.row - row) * right) + Math.abs((well.column - column) * down);
      if (along > 0 && along + 4 * aside < least) [best, least] = [well, along + 4 * aside];
    }
    return best;
  }

  #names(rows, columns) {
    const text = (x, y, label) => draw("text", { x, y, class: "edge", "aria-hidden": "true" }, label);
    const every = columns > MANY ? 4 : 1;
    const numbers = (length) => Array.from({ length: Math.ceil(length / every) }, (_, i) => i * every);
    const top = numbers(columns).map((i) => text(EDGE + (i + 0.5) * STEP, 15, this.area.column + i + 1));
    const side = numbers(rows).map((i) => text(10, EDGE + (i + 0.5) * STEP + 3.5 * (every > 1 ? 2 : 1), rowName(this.area.row + i)));
    return [...top, ...side];
  }

  #spot(row, column) {
    const well = this.at.get(`${row} ${column}`);
    const move = `translate(${EDGE + (column - this.area.column + 0.5) * STEP} ${EDGE + (row - this.area.row + 0.5) * STEP})`;
    if (!well) return draw("circle", { transform: move, r: 1, class: "empty", "aria-hidden": "true" });
    const label = `${well.well}: ${[well.label, inWords(well)].filter(Boolean).join(", ")}`;
    const half = STEP / 2;
    return draw(
      "g",
      {
        transform: move,
        class: "spot",
        id: `spot-${row}-${column}`,
        role: "option",
        "aria-selected": "false",
        "aria-label": label,
        "data-well": well.well,
      },
      draw("title", {}, label),
      draw("rect", { x: -half, y: -half, width: STEP, height: STEP, fill: "transparent" }),
      mark(well),
    );
  }

  /** Show the legend of this plate's marks, with the number of each. */
  #explain() {
    const items = Object.keys(STATES).map((state) => [{ state }, STATES[state], (well) => well.state === state]);
    const answered = Object.keys(STATES).find((state) => this.wells.some((well) => well.unsure && well.state === state));
    items.push([{ state: answered ?? "right", unsure: true }, "unsure (hollow)", (well) => well.unsure]);
    items.push([{ state: "silent", bad: true }, "bad image", (well) => well.bad]);
    items.push([{ state: "silent", flag: "x" }, FLAGGED, (well) => well.flag], [{ state: "silent", note: "x" }, NOTED, (well) => well.note]);
    const present = items.map(([kind, name, is]) => [kind, name, this.wells.filter(is).length]).filter((item) => item[2]);
    this.legend.replaceChildren(
      ...present.map(([kind, name, count]) =>
        make("li", {}, draw("svg", { viewBox: "-10 -10 20 20", "aria-hidden": "true" }, mark(kind)), `${name} `, make("b", {}, count)),
      ),
    );
  }
}

/** Return a row's letters: A, B, ... Z, AA, AB, ... */
export function rowName(row) {
  const letter = String.fromCharCode(65 + (row % 26));
  return row < 26 ? letter : String.fromCharCode(64 + Math.floor(row / 26)) + letter;
}
