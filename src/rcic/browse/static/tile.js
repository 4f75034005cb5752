// One channel: its image in grey, whether it is in the composite, and two points on its histogram.

import { make } from "./dom.js";

const WIDE = 128; // of the histogram
const AXES = [31, 63, 127, 255]; // values at the right end

/**
 * Return {frame, canvas, update}. `set` is called with the new [black, white], `toggle` when the channel is switched
 * on or off.
 */
export function channelTile({ number, name, colour }, size, set, toggle) {
  const canvas = make("canvas", { width: size, height: size, role: "img", "aria-label": name });
  const error = make("p", { class: "reason", hidden: true });
  const box = make("input", { type: "checkbox", onchange: toggle });
  const swatch = make("span", { class: "swatch" });
  swatch.style.background = colour;
  const chart = make("canvas", { class: "histogram", width: WIDE, height: 28, "aria-hidden": "true" });
  const black = slider(`${name}: black point`, "black");
  const white = slider(`${name}: white point`, "white");
  const numbers = make("output", {});
  const read = (moved) => {
    let [low, high] = [Number(black.value), Number(white.value)];
    if (low >= high) [low, high] = moved === black ? [Math.min(low, 254), Math.min(low, 254) + 1] : [Math.max(high, 1) - 1, Math.max(high, 1)];
    set([low, high]);
  };
  for (const handle of [black, white]) handle.addEventListener("input", () => read(handle));
  const label = make("label", { title: `Show in the composite (${number})` }, box, swatch, make("span", { class: "name" }, name));
  const frame = make("figure", { class: "channel" }, make("div", { class: "picture" }, canvas, error),
    make("figcaption", {}, make("div", { class: "line" }, label, numbers), make("div", { class: "range" }, chart, black, white)));

  function update({ isOn, limits, counts, error: reason }) {
    box.checked = isOn;
    const end = axisEnd(counts, limits);
    black.max = white.max = end;
    [black.value, white.value] = limits;
    numbers.textContent = `${limits[0]}–${limits[1]}`;
    canvas.hidden = !!reason;
    error.hidden = !reason;
    error.textContent = reason ?? "";
    drawHistogram(chart, counts, limits, end);
  }
  return { frame, canvas, update };
}

function slider(name, kind) {
  return make("input", { type: "range", min: 0, max: 255, step: 1, class: kind, "aria-label": name });
}

/** Return the value at the right end: dark images get a short axis, which ends above their largest values. */
function axisEnd(counts, [, white]) {
  const few = 0.0005 * counts.reduce((sum, count) => sum + count, 0);
  let top = 255;
  for (let sum = counts[255]; top > 1 && sum <= few; sum += counts[top]) top -= 1;
  return AXES.find((end) => end >= Math.max(top, white));
}

/** Draw the histogram on a square-root scale; values between the two points are drawn stronger. */
function drawHistogram(canvas, counts, [black, white], end) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  const bins = new Float64Array(width);
  counts.slice(0, end + 1).forEach((count, value) => (bins[Math.floor((value * width) / (end + 1))] += count));
  const most = Math.sqrt(Math.max(...bins)) || 1;
  context.clearRect(0, 0, width, height);
  context.fillStyle = getComputedStyle(canvas).color;
  bins.forEach((count, x) => {
    const tall = (height * Math.sqrt(count)) / most;
    const value = (x * (end + 1)) / width;
    context.globalAlpha = value >= black && value <= white ? 0.85 : 0.25;
    context.fillRect(x, height - tall, Math.max(1, width / (end + 1)), tall);
  });
}
