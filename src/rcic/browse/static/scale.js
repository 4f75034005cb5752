// A scale bar: a round length of about a fifth of the image.

const SHARE = 0.2; // of the image's width, at most

/** Return the largest of 1, 2, 5, 10, 20 ... that is not above a number. */
export function roundBelow(most) {
  const ten = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((factor) => factor * ten).find((length) => length <= most * (1 + 1e-9));
}

/** Return a length in micrometres as text. */
export function inWords(length) {
  return length >= 1000 ? `${length / 1000} mm` : length >= 1 ? `${length} µm` : `${Number((1000 * length).toPrecision(1))} nm`;
}

/** Show the bar of an image {fullWidth} whose pixels measure `pixel` micrometres; hide it if either is unknown. */
export function scaleBar(bar, image, pixel) {
  bar.hidden = !(pixel && image?.fullWidth);
  if (bar.hidden) return;
  const whole = pixel * image.fullWidth, length = roundBelow(SHARE * whole);
  bar.style.width = `${(100 * length) / whole}%`;
  bar.dataset.length = inWords(length);
  bar.setAttribute("aria-label", `Scale bar: ${inWords(length)}`);
}
