// The nearest wells by embedding: a small composite of each, its state and its cosine.

import { ask, isSame, addressOf } from "./ask.js";
import { autoLimits, drawComposite, histogram } from "./contrast.js";
import { byId, make } from "./dom.js";
import { pixels } from "./pixels.js";
import { inWords } from "./states.js";

const SMALL = 160; // pixels a side

/** The row of nearest wells. `choose` is called with a well that is clicked, `viewer` has channels and contrast. */
export class NearestRow {
  constructor(screen, viewer, choose) {
    Object.assign(this, { screen, viewer, choose, shown: 0, cards: [] });
    byId("nearest-section").hidden = !screen.member;
  }

  async show(well) {
    if (!this.screen.member) return;
    const number = ++this.shown;
    const found = await ask("/api/nearest", addressOf(well)).catch((error) => ({ wells: null, error }));
    if (number !== this.shown) return;
    const unknown = found.error ? found.error.message : "this well was not embedded (controls are not)";
    byId("nearest-note").textContent = found.wells ? `cosine, plate means subtracted, same cell type, ${found.member}` : unknown;
    this.cards = (found.wells ?? []).map((other) => this.#card(other, well));
    byId("nearest").replaceChildren(...this.cards.map((card) => card.frame));
    await this.redraw();
  }

  /** Draw the composites with the current channels and contrast. */
  async redraw() {
    await Promise.all(this.cards.map((card) => this.#draw(card, this.shown)));
  }

  clear() {
    this.shown += 1;
    this.cards = [];
    byId("nearest").replaceChildren();
    byId("nearest-note").textContent = "";
  }

  #card(other, well) {
    const canvas = make("canvas", { width: SMALL, height: SMALL, role: "img", "aria-label": `Composite of ${other.well}` });
    const label = other.truth ?? (other.answer ? `${other.answer}?` : "unknown");
    const isAlike = well.truth != null && other.truth === well.truth;
    const plate = isSame({ ...other, well: "" }, { ...well, well: "" }) ? "this plate" : `${other.experiment}, plate ${other.plate_name}`;
    const frame = make("button", { type: "button", class: "near", title: inWords(other), onclick: () => this.choose(other) }, canvas,
      make("span", { class: "near-name" }, make("b", {}, label), isAlike ? make("span", { class: "tag truth" }, "same truth") : null),
      make("span", { class: "quiet" }, `${plate}, ${other.well}`), make("span", { class: "quiet" }, `cosine ${other.cosine.toFixed(2)}`));
    return { frame, canvas, other };
  }

  async #draw({ canvas, other }, number) {
    const { channels, sites } = this.screen;
    const on = channels.filter((channel) => !this.viewer.state.off.has(channel.number));
    const images = await Promise.all(on.map((channel) => pixels(addressOf(other), sites[0], channel.number, SMALL)));
    if (number !== this.shown) return;
    const held = this.viewer.state.contrast;
    const layers = on.map(({ number: own, colour }, i) => ({ image: images[i], colour, own })).filter(({ image }) => image.data);
    const limited = layers.map((layer) => ({ ...layer, limits: held?.get(layer.own) ?? autoLimits(histogram([layer.image])) }));
    if (limited.length) drawComposite(canvas, limited);
  }
}
