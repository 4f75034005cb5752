// The filmstrip: small composites of all wells of a plate, in the plate's order and one contrast, loaded as they are seen.

import { drawComposite } from "./contrast.js";
import { byId, make } from "./dom.js";
import { thumb } from "./pixels.js";
import { rowName } from "./platemap.js";
import { inWords } from "./states.js";

const AT_ONCE = 3; // requests; the others of the browser's six are for the well and what the user asks next
const SIZES = [[6, 224], [12, 160], [24, 96], [Infinity, 48]]; // up to so many columns: side of an image, pixels

/** The filmstrip of one plate. `open` is called with the name of a well, `viewer` has channels, site and contrast. */
export class Filmstrip {
  constructor(screen, viewer, open) {
    Object.assign(this, { screen, viewer, tiles: new Map(), waiting: [], running: 0, shown: 0 });
    this.numbers = screen.channels.map(({ number }) => number);
    this.size = SIZES.find(([most]) => screen.columns <= most)[1];
    this.seen = new IntersectionObserver((entries) => this.#see(entries), { rootMargin: "300px" });
    byId("film").addEventListener("click", (event) => {
      const name = event.target.closest("[data-well]")?.dataset.well;
      if (name) open(name);
    });
    this.#channels();
  }

  /** Show a plate; the images of the plate before are no longer waited for. */
  show(plate) {
    this.shown += 1;
    [this.plate, this.site] = [plate, this.viewer.site];
    this.waiting = [];
    this.seen.disconnect();
    const { row, column, rows, columns } = this.screen;
    const at = (element, down, right) => Object.assign(element.style, { gridRow: down, gridColumn: right });
    const name = (text, down, right) => { const label = make("span", { class: "film-name", "aria-hidden": "true" }, text); at(label, down, right); return label; };
    const numbers = Array.from({ length: columns }, (_, i) => name(column + i + 1, 1, i + 2));
    const letters = Array.from({ length: rows }, (_, i) => name(rowName(row + i), i + 2, 1));
    this.tiles = new Map(plate.wells.map((well) => [well.well, this.#tile(well)]));
    for (const { frame, well } of this.tiles.values()) at(frame, well.row - row + 2, well.column - column + 2);
    const used = new Set(plate.wells.map((well) => `${well.row} ${well.column}`)), empty = [];
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) {
        if (used.has(`${row + i} ${column + j}`)) continue;
        empty.push(make("span", { class: "film-empty", "aria-hidden": "true" }));
        at(empty.at(-1), i + 2, j + 2);
      }
    byId("film").style.setProperty("--columns", columns);
    byId("film").classList.toggle("many", columns > 24);
    byId("film").replaceChildren(...numbers, ...letters, ...empty, ...[...this.tiles.values()].map((tile) => tile.frame));
    for (const { frame } of this.tiles.values()) this.seen.observe(frame);
  }

  /** Mark the chosen well. */
  choose(name) {
    for (const [well, { frame }] of this.tiles) frame.setAttribute("aria-current", String(well === name));
    this.tiles.get(name)?.frame.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** Draw again after a change of channels or contrast; load another site's images if that was chosen. */
  redraw() {
    if (!this.plate) return;
    if (this.site !== this.viewer.site) this.show(this.plate);
    for (const tile of this.tiles.values()) if (tile.channels) this.#draw(tile);
    for (const box of byId("film-channels").querySelectorAll("input")) box.checked = !this.viewer.state.off.has(Number(box.value));
  }

  #channels() {
    const boxes = this.screen.channels.map(({ number, name, colour }) => {
      const swatch = make("span", { class: "swatch" });
      swatch.style.background = colour;
      return make("label", {}, make("input", { type: "checkbox", value: number, checked: true, onchange: () => this.viewer.toggle(number) }), swatch, make("span", { class: "name" }, name));
    });
    byId("film-channels").replaceChildren(...boxes);
  }

  #tile(well) {
    const canvas = make("canvas", { width: 8, height: 8, "aria-hidden": "true" });
    const label = `${well.well}: ${[well.label, inWords(well)].filter(Boolean).join(", ")}`;
    const frame = make("button", { type: "button", tabindex: -1, class: `film-well ${well.state}`, "data-well": well.well, title: label, "aria-label": label, "aria-current": "false" },
      canvas, make("span", { class: "film-caption" }, well.well));
    return { frame, canvas, well };
  }

  #see(entries) {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      this.seen.unobserve(target);
      const tile = this.tiles.get(target.dataset.well);
      if (tile?.frame === target) this.waiting.push([tile, this.shown]);
    }
    this.#pump();
  }

  #pump() {
    while (this.running < AT_ONCE && this.waiting.length) {
      const [tile, number] = this.waiting.shift();
      this.running += 1;
      this.#load(tile, number).finally(() => {
        this.running -= 1;
        this.#pump();
      });
    }
  }

  async #load(tile, number) {
    const { experiment, plate } = this.plate;
    const found = await thumb({ experiment, plate, well: tile.well.well }, this.site, this.size, this.numbers);
    if (number !== this.shown) return;
    tile.channels = found.channels ?? [];
    tile.frame.classList.toggle("no-image", !tile.channels.some(Boolean));
    if (this.viewer.plateLimits) this.#draw(tile);
  }

  #draw({ canvas, channels }) {
    const layers = this.screen.channels.map(({ number, colour }, i) => ({ image: channels[i], limits: this.viewer.limitsOf(number), colour, number }));
    const on = layers.filter(({ image, number }) => image && !this.viewer.state.off.has(number));
    canvas.hidden = !on.length;
    if (on.length) drawComposite(canvas, on);
  }
}
