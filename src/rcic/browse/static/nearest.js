// The well beside its controls and the wells nearest by embedding: small composites in the contrast of the well's plate.

import { ask, isSame, addressOf, plateTitle } from "./ask.js";
import { drawComposite } from "./contrast.js";
import { byId, make } from "./dom.js";
import { thumb } from "./pixels.js";
import { inWords } from "./states.js";

const SMALL = 224; // pixels a side
const CONTROLS = { negative_control: "negative control", positive_control: "positive control" };

/** The row of wells to compare with. `choose` is called with a well that is clicked, `viewer` has channels and contrast. */
export class NearestRow {
  constructor(screen, viewer, choose) {
    Object.assign(this, { screen, viewer, choose, shown: 0, cards: [] });
  }

  async show(well) {
    const number = ++this.shown;
    const found = this.screen.member ? await ask("/api/nearest", addressOf(well)).catch((error) => ({ wells: null, error })) : { wells: [] };
    if (number !== this.shown) return;
    byId("nearest-title").textContent = ["This well", well.controls.length && "its control", found.wells?.length && "its nearest wells"].filter(Boolean).join(", ").replace(/, ([^,]*)$/, " and $1");
    byId("nearest-note").textContent = this.#note(well, found);
    const controls = well.controls.map((other) => this.#card(other, well, CONTROLS[other.type]));
    const near = (found.wells ?? []).map((other) => this.#card(other, well, `cosine ${other.cosine.toFixed(2)}`));
    this.cards = controls.length + near.length ? [this.#card(well, well, "this well"), ...controls, ...near] : [];
    byId("nearest-section").hidden = !this.cards.length && !this.screen.member;
    byId("nearest").replaceChildren(...this.cards.map((card) => card.frame));
    await this.redraw();
  }

  #note(well, found) {
    const parts = [well.controls.length ? "" : "no control on this plate"];
    if (found.error) parts.push(found.error.message);
    else if (!found.wells) parts.push("this well was not embedded");
    else if (this.screen.member) parts.push(`nearest by cosine, plate means subtracted, same cell type, ${found.member}`);
    return parts.filter(Boolean).join("; ");
  }

  /** Draw the composites with the current channels and the contrast of the well. */
  async redraw() {
    await Promise.all(this.cards.map((card) => this.#draw(card, this.shown)));
  }

  clear() {
    this.shown += 1;
    this.cards = [];
    byId("nearest-section").hidden = true;
    byId("nearest").replaceChildren();
    byId("nearest-note").textContent = "";
  }

  #card(other, well, relation) {
    const canvas = make("canvas", { width: SMALL, height: SMALL, role: "img", "aria-label": `Composite of ${other.well}` });
    const label = other.truth ?? (other.answer ? `${other.answer}?` : "unknown"), isItself = isSame(other, well);
    const isAlike = !isItself && well.truth != null && other.truth === well.truth;
    const plate = isSame({ ...other, well: "" }, { ...well, well: "" }) ? "this plate" : plateTitle(other.experiment, other.plate_name);
    const frame = make("button", { type: "button", class: isItself ? "near itself" : "near", title: inWords(other), onclick: () => this.choose(other) }, canvas,
      make("span", { class: "near-name" }, make("b", {}, label), isAlike ? make("span", { class: "tag truth" }, "same") : null),
      make("span", { class: "quiet" }, relation), make("span", { class: "quiet" }, `${plate}, ${other.well}`));
    return { frame, canvas, other };
  }

  async #draw({ canvas, other }, number) {
    const { channels } = this.screen;
    const found = await thumb(addressOf(other), this.viewer.site, SMALL, channels.map((channel) => channel.number));
    if (number !== this.shown) return;
    const layers = channels.map(({ number: own, colour }, i) => ({ image: found.channels?.[i], colour, own, limits: this.viewer.limits.get(own) }));
    const on = layers.filter(({ image, own }) => image && !this.viewer.state.off.has(own));
    if (on.length) drawComposite(canvas, on);
  }
}
