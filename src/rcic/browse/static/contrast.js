// Contrast: black and white points, a channel in grey, the composite of channels in colours.

const DARK = 0.02; // share of pixels that automatic contrast makes black
const BRIGHT = 0.003; // and white

/** Return the number of pixels of the images at each value, (256). */
export function histogram(images) {
  const counts = new Uint32Array(256);
  for (const { data } of images) for (let i = 0; i < data.length; i++) counts[data[i]] += 1;
  return counts;
}

/** Return the [black, white] points that clip the darkest and brightest few pixels. */
export function autoLimits(counts) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (!total) return [0, 255];
  let black = 0;
  for (let sum = counts[0]; sum < DARK * total; sum += counts[black]) black += 1;
  let white = 255;
  for (let sum = counts[255]; sum < BRIGHT * total; sum += counts[white]) white -= 1;
  black = Math.min(black, 254);
  return [black, Math.max(white, black + 1)];
}

/** Return value -> brightness, (256): black or less is 0, white or more is 255. */
export function curve([black, white]) {
  return Uint8ClampedArray.from({ length: 256 }, (_, value) => (255 * (value - black)) / (white - black));
}

/** Draw a channel in grey. */
export function drawGrey(canvas, image, limits) {
  const { width, height, data } = image;
  const shades = curve(limits);
  paint(canvas, width, height, (out) => {
    for (let i = 0, at = 0; i < data.length; i++, at += 4) {
      out[at] = out[at + 1] = out[at + 2] = shades[data[i]];
      out[at + 3] = 255;
    }
  });
}

/**
 * Draw the sum of channels in their colours. `layers` are {image, limits, colour ("#rrggbb")} of one size; with many
 * of them each is dimmed, so that the sum does not turn white.
 */
export function drawComposite(canvas, layers) {
  const { width, height } = layers[0].image;
  const colours = layers.map(({ colour }) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255));
  const most = Math.max(1, ...[0, 1, 2].map((part) => colours.reduce((sum, colour) => sum + colour[part], 0)));
  const sums = [0, 1, 2].map(() => new Uint16Array(width * height));
  layers.forEach(({ image, limits }, number) => {
    const shades = curve(limits);
    colours[number].forEach((share, part) => {
      const brightness = Uint16Array.from(shades, (shade) => (shade * share) / most ** 0.8);
      const sum = sums[part];
      for (let i = 0; i < sum.length; i++) sum[i] += brightness[image.data[i]];
    });
  });
  paint(canvas, width, height, (out) => {
    for (let i = 0, at = 0; i < sums[0].length; i++, at += 4) {
      out[at] = sums[0][i]; // the array cuts off above 255
      out[at + 1] = sums[1][i];
      out[at + 2] = sums[2][i];
      out[at + 3] = 255;
    }
  });
}

function paint(canvas, width, height, fill) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  fill(picture.data);
  context.putImageData(picture, 0, 0);
}
