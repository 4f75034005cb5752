// The images of a well: a composite of each site, and each channel of one site with its black and white points.

import { addressOf } from "./ask.js";
import { autoLimits, drawComposite, drawGrey, histogram } from "./contrast.js";
import { byId, make } from "./dom.js";
import { pixels } from "./pixels.js";
import { channelTile } from "./tile.js";

const NARROWEST = { site: 170, channel: 165 }; // smallest width of a box, pixels
export const SIZE = 512; // side of an image in the page, pixels; the enlarged view has the full size

/** The images of one well. `changed` is called when the user changed site, channels or contrast in the state. */
export class Viewer {
  constructor(screen, state, changed) {
    Object.assign(this, { screen, state, changed, images: new Map(), shown: 0 });
    this.limits = new Map(screen.channels.map(({ number }) => [number, [0, 255]]));
    this.sites = new Map(screen.sites.map((site) => [site, this.#siteBox(site)]));
    this.tiles = new Map(screen.channels.map((channel) => [channel.number, this.#tile(channel)]));
    byId("sites").replaceChildren(...[...this.sites.values()].map((box) => box.frame));
    byId("channels").replaceChildren(...[...this.tiles.values()].map((tile) => tile.frame));
    inRows(byId("sites"), NARROWEST.site);
    inRows(byId("channels"), NARROWEST.channel);
  }

  /** Show a well; a later request wins. */
  async show(well) {
    const number = ++this.shown;
    this.well = well;
    byId("images").setAttribute("aria-busy", "true");
    const wanted = this.screen.sites.flatMap((site) => this.screen.channels.map((channel) => [site, channel.number]));
    const found = await Promise.all(wanted.map(([site, channel]) => pixels(addressOf(well), site, channel, SIZE)));
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
    for (const { canvas, note } of this.sites.values()) [canvas.hidden, note.textContent] = [true, ""];
    for (const tile of this.tiles.values()) tile.canvas.hidden = true;
  }

  /** Redraw everything, once before the next frame. */
  redraw() {
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      if (this.images.size) this.#draw();
    });
  }

  /** Set the contrast: automatic for each well, or held at the current points. */
  setAuto(auto) {
    this.state.contrast = auto ? null : new Map(this.limits);
    this.changed();
    this.redraw();
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
    byId("large-title").textContent = `${well.experiment}, plate ${well.plate_name}, ${well.well}, site ${site}`;
    const layers = this.#layers((number) => images[numbers.indexOf(number)]);
    if (!layers.length) return;
    drawComposite(byId("large-canvas"), layers);
    byId("large").showModal();
  }

  #draw() {
    const counts = this.#measure();
    byId("auto").setAttribute("aria-pressed", String(!this.state.contrast));
    byId("hold").setAttribute("aria-pressed", String(!!this.state.contrast));
    byId("channels-title").textContent = this.screen.sites.length > 1 ? `Channels of site ${this.site}` : "Channels";
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
      this.limits.set(number, this.state.contrast?.get(number) ?? autoLimits(counts.get(number)));
    }
    return counts;
  }

  #composite(box, site) {
    const layers = this.#layers((number) => this.images.get(`${site} ${number}`));
    const failed = this.screen.channels.filter(({ number }) => this.images.get(`${site} ${number}`)?.error);
    box.canvas.hidden = !layers.length;
    if (layers.length) drawComposite(box.canvas, layers);
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
    const note = make("span", { class: "note" });
    const press = () => (this.site === site && this.screen.sites.length > 1 ? this.enlarge() : this.chooseSite(site));
    const frame = make("button", { type: "button", class: "site", title: "Show its channels; click again for full size (z)", onclick: press },
      canvas, make("span", { class: "caption" }, `Site ${site} `, note));
    return { frame, canvas, note };
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
