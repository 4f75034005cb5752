// Images as arrays of grey values, cached and prefetched.

const MOST_BYTES = 192 * 2 ** 20;
const AHEAD = 3; // concurrent prefetch requests

const kept = new Map(); // address -> promise of an image, least recently used first
let waiting = []; // addresses to prefetch
let running = 0;

/**
 * Return a promise of an image {width, height, data (Uint8Array)} or, if it cannot be shown, {error}.
 * Without `size` the image has its full size.
 */
export function pixels(address, site, channel, size) {
  return fetched(imageAt({ ...address, site, channel, ...(size ? { size } : {}) }));
}

/** Return a promise of a small image: {channels: [{width, height, data} or null if it cannot be shown]} or {error}. */
export async function thumb(address, site, size, numbers) {
  const image = await fetched(`/thumb?${new URLSearchParams({ ...address, site, size })}`);
  if (image.error) return image;
  const height = image.height / numbers.length, length = image.width * height;
  const part = (i) => ({ width: image.width, height, data: image.data.subarray(i * length, (i + 1) * length) });
  return { channels: numbers.map((number, i) => (image.absent.has(number) ? null : part(i))) };
}

const imageAt = (query) => `/image?${new URLSearchParams(query)}`;

/** Prefetch the images of wells; earlier prefetches that have not begun are dropped. */
export function fetchAhead(addresses, sites, channels, size) {
  waiting = addresses.flatMap((address) =>
    sites.flatMap((site) => channels.map((channel) => imageAt({ ...address, site, channel, size }))),
  );
  pump();
}

function pump() {
  while (running < AHEAD && waiting.length) {
    const place = waiting.shift();
    if (kept.has(place)) continue;
    running += 1;
    fetched(place).finally(() => {
      running -= 1;
      pump();
    });
  }
}

function fetched(place) {
  const image = kept.get(place) ?? load(place);
  kept.delete(place);
  kept.set(place, image);
  return image;
}

async function load(place) {
  let image;
  try {
    const answer = await fetch(place);
    image = answer.ok ? await decode(await answer.blob()) : { error: (await answer.json()).error };
    image.fullWidth = Number(answer.headers.get("Full-Width"));
    image.absent = new Set((answer.headers.get("Absent-Channels") ?? "").split(",").filter(Boolean).map(Number));
  } catch {
    kept.delete(place); // to be requested again
    return { error: "no response: was the program stopped?" };
  }
  queueMicrotask(forget);
  return image;
}

async function decode(blob) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const colours = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height);
  for (let i = 0; i < data.length; i++) data[i] = colours[4 * i];
  sizes.set(data, data.length);
  total += data.length;
  return { width, height, data };
}

const sizes = new WeakMap();
let total = 0;

/** Drop the least recently used images. */
async function forget() {
  while (total > MOST_BYTES && kept.size > 1) {
    const [place, promise] = kept.entries().next().value;
    kept.delete(place);
    const image = await promise;
    total -= image.data ? sizes.get(image.data) : 0;
  }
}
