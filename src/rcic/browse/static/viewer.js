// The images of a well: a composite of each site, and each channel of one site with its black and white points.

import { addressOf, ask, plateTitle } from "./ask.js";
import { autoLimits, drawComposite, drawGrey, histogram } from "./contrast.js";
import { byId, make } from "./dom.js";
import { pixels } from "./pixels.js";
import { scaleBar } from "./scale.js";
import { channelTile } from "./tile.js";

const PATIENCE = 500; // milliseconds to wait for the plate's contrast; until it is there, the well's own is shown
const NARROWEST = { site: 170, channel: 165 }; // smallest width of a box, pixels
export const SIZE = 512; // side of an image in the page, pixels; the enlarged view has the full size

/** The images of one well. `changed` is called when the user changed site, channels or contrast in the state. */
export class Viewer {
  constructor(screen, state, changed) {
    Object.assign(this, { screen, state, changed, images: new Map(), shown: 0, plates: new Map(), plateLimits: null });
    this.limits = new Map(screen.channels.map(({ number }) => [number, [0, 255]]));
    this.sites = new Map(screen.sites.map((site) => [site, this.#siteBox(site)]));
    this.tiles = new Map(screen.channels.map((channel) => [channel.number, this.#tile(channel)]));
    byId("sites").replaceChildren(...[...this.sites.values()].map((box) => box.frame));
    byId("channels").replaceChildren(...[...this.tiles.values()].map((tile) => tile.frame));
    inRows(byId("sites"), NARROWEST.site);
    inRows(byId("channels"), NARROWEST.channel);
  }

  /** Take the black and white points of a plate, measured once; a promise that they are there. */
  async usePlate({ experiment, plate }) {
    const key = JSON.stringify([experiment, plate]);
    const measure = () => ask("/api/contrast", { experiment, plate }).then(({ limits }) => new Map(Object.entries(limits).map(([number, pair]) => [Number(number), pair])));
    if (!this.plates.has(key)) this.plates.set(key, measure().catch(() => (this.plates.delete(key), new Map())));
    this.key = key;
    const limits = await this.plates.get(key);
    if (this.key !== key) return;
    this.plateLimits = limits;
    this.redraw();
  }

  /** Return the points of a channel as the plate's contrast has them, or those that are held. */
  limitsOf(number) {
    return this.state.contrast?.get(number) ?? this.plateLimits?.get(number) ?? [0, 255];
  }

  /** Show a well; a later request wins. */
  async show(well) {
    const number = ++this.shown;
    this.well = well;
    if (JSON.stringify([well.experiment, well.plate]) !== this.key) this.plateLimits = null;
    const contrast = this.usePlate(well);
    byId("images").setAttribute("aria-busy", "true");
    const wanted = this.screen.sites.flatMap((site) => this.screen.channels.map((channel) => [site, channel.number]));
    const found = await Promise.all(wanted.map(([site, channel]) => pixels(addressOf(well), site, channel, SIZE)));
    await Promise.race([contrast, new Promise((done) => setTimeout(done, PATIENCE))]);
    if (number !== this.shown) return;
    this.images = new Map(wanted.map((key, i) => [key.join(" "), found[i]]));
    byId("images").setAttribute("aria-busy", "false");
    this.redraw();
  }

  /** Show no well. */
  clear() {
    this.shown += 1;
    this.well = null;
    this.images = new Map();
    for (const { canvas, note, scale } of this.sites.values()) [canvas.hidden, note.textContent, scale.hidden] = [true, "", true];
    for (const tile of this.tiles.values()) tile.canvas.hidden = true;
  }

  /** Redraw everything, once before the next frame. */
  redraw() {
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      if (this.images.size) this.#draw();
      this.drawn?.();
    });
  }

  /** Set the contrast: of the "plate", of each "well", or "held" at the current points. */
  setContrast(kind) {
    this.state.contrast = kind === "held" ? new Map(this.limits) : null;
    this.state.each = kind === "well";
    this.changed();
    this.redraw();
  }

  /** The kind of contrast: "plate", "well" or "held". */
  get contrast() {
    return this.state.contrast ? "held" : this.state.each ? "well" : "plate";
  }

  /** Add a channel to the composite, or remove it. */
  toggle(number) {
    if (!this.limits.has(number)) return;
    if (!this.state.off.delete(number)) this.state.off.add(number);
    this.changed();
    this.redraw();
  }

  /** Show the channels of another site. */
  chooseSite(site) {
    this.state.site = site;
    this.changed();
    this.redraw();
  }

  nextSite() {
    const { sites } = this.screen;
    this.chooseSite(sites[(sites.indexOf(this.site) + 1) % sites.length]);
  }

  get site() {
    return this.screen.sites.includes(this.state.site) ? this.state.site : this.screen.sites[0];
  }

  /** Show the chosen site in its full size. */
  async enlarge() {
    const { well, site } = this;
    if (!well) return;
    const numbers = this.screen.channels.map((channel) => channel.number);
    const images = await Promise.all(numbers.map((number) => pixels(addressOf(well), site, number)));
    byId("large-title").textContent = [plateTitle(well.experiment, well.plate_name), well.well, this.screen.sites.length > 1 && `site ${this.screen.site_names[site]}`].filter(Boolean).join(", ");
    const layers = this.#layers((number) => images[numbers.indexOf(number)]);
    if (!layers.length) return;
    drawComposite(byId("large-canvas"), layers);
    scaleBar(byId("large-scale"), layers[0].image, this.screen.pixel_um);
    byId("large").showModal();
  }

  #draw() {
    const counts = this.#measure();
    for (const kind of ["plate", "well", "held"]) byId(`contrast-${kind}`).setAttribute("aria-pressed", String(kind === this.contrast));
    byId("channels-title").textContent = this.screen.sites.length > 1 ? `Channels of site ${this.screen.site_names[this.site]}` : "Channels";
    for (const [site, box] of this.sites) {
      box.frame.setAttribute("aria-pressed", String(site === this.site));
      this.#composite(box, site);
    }
    for (const [number, tile] of this.tiles) {
      const image = this.images.get(`${this.site} ${number}`);
      tile.update({ isOn: !this.state.off.has(number), limits: this.limits.get(number), counts: counts.get(number), error: image?.error });
      if (image?.data) drawGrey(tile.canvas, image, this.limits.get(number));
    }
  }

  /** Find each channel's black and white points; return its histogram over all sites. */
  #measure() {
    const counts = new Map();
    for (const { number } of this.screen.channels) {
      const images = this.screen.sites.map((site) => this.images.get(`${site} ${number}`)).filter((image) => image?.data);
      counts.set(number, histogram(images));
      const plate = this.state.each ? null : this.plateLimits?.get(number);
      this.limits.set(number, this.state.contrast?.get(number) ?? plate ?? autoLimits(counts.get(number)));
    }
    return counts;
  }

  #composite(box, site) {
    const layers = this.#layers((number) => this.images.get(`${site} ${number}`));
    const failed = this.screen.channels.filter(({ number }) => this.images.get(`${site} ${number}`)?.error);
    box.canvas.hidden = !layers.length;
    if (layers.length) drawComposite(box.canvas, layers);
    scaleBar(box.scale, layers[0]?.image, this.screen.pixel_um);
    const reason = failed.length && this.images.get(`${site} ${failed[0].number}`).error;
    const missing = failed.length === this.screen.channels.length ? `No image: ${reason}` : `without ${failed.map(({ name }) => name).join(", ")}`;
    box.note.textContent = failed.length ? missing : layers.length ? "" : "no channel selected";
  }

  #layers(imageOf) {
    const on = this.screen.channels.filter(({ number }) => !this.state.off.has(number));
    const layers = on.map(({ number, colour }) => ({ image: imageOf(number), limits: this.limits.get(number), colour }));
    const first = layers.find(({ image }) => image?.data)?.image;
    return layers.filter(({ image }) => image?.data && image.width === first.width && image.height === first.height);
  }

  #siteBox(site) {
    const canvas = make("canvas", { width: SIZE, height: SIZE, role: "img", "aria-label": `Composite of site ${site}` });
    const note = make("span", { class: "note" }), scale = make("span", { class: "scale", hidden: true });
    const press = () => (this.site === site && this.screen.sites.length > 1 ? this.enlarge() : this.chooseSite(site));
    const frame = make("button", { type: "button", class: "site", title: "Show its channels; click again for full size (z)", onclick: press },
      make("span", { class: "stage" }, canvas, scale), make("span", { class: "caption" }, this.screen.sites.length > 1 ? `Site ${this.screen.site_names[site]} ` : "", note));
    return { frame, canvas, note, scale };
  }

  #tile(channel) {
    const set = (limits) => {
      this.state.contrast ??= new Map(this.limits);
      this.state.contrast.set(channel.number, limits);
      this.changed();
      this.redraw();
    };
    return channelTile(channel, SIZE, set, () => this.toggle(channel.number));
  }
}

/** Keep the children of an element in rows of about equal length at any width. */
function inRows(element, narrowest) {
  new ResizeObserver(([{ contentRect }]) => {
    const rows = Math.ceil(element.children.length / Math.max(1, Math.floor(contentRect.width / narrowest)));
    element.style.setProperty("--columns", Math.ceil(element.children.length / rows));
  }).observe(element);
}
