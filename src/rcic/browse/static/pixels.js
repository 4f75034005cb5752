// Images as arrays of grey values, cached and prefetched.

const MOST_BYTES = 192 * 2 ** 20;
const AHEAD = 3; // concurrent prefetch requests

const kept = new Map(); // query -> promise of an image, least recently used first
let waiting = []; // queries to prefetch
let running = 0;

/**
 * Return a promise of an image {width, height, data (Uint8Array)} or, if it cannot be shown, {error}.
 * Without `size` the image has its full size.
 */
export function pixels(address, site, channel, size) {
  const query = String(new URLSearchParams({ ...address, site, channel, ...(size ? { size } : {}) }));
  return fetched(query);
}

/** Prefetch the images of wells; earlier prefetches that have not begun are dropped. */
export function fetchAhead(addresses, sites, channels, size) {
  waiting = addresses.flatMap((address) =>
    sites.flatMap((site) => channels.map((channel) => String(new URLSearchParams({ ...address, site, channel, size })))),
  );
  pump();
}

function pump() {
  while (running < AHEAD && waiting.length) {
    const query = waiting.shift();
    if (kept.has(query)) continue;
    running += 1;
    fetched(query).finally(() => {
      running -= 1;
      pump();
    });
  }
}

function fetched(query) {
  const image = kept.get(query) ?? load(query);
  kept.delete(query);
  kept.set(query, image);
  return image;
}

async function load(query) {
  let image;
  try {
    const answer = await fetch(`/image?${query}`);
    image = answer.ok ? await decode(await answer.blob()) : { error: (await answer.json()).error };
  } catch {
    kept.delete(query); // to be requested again
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
    const [query, promise] = kept.entries().next().value;
    kept.delete(query);
    const image = await promise;
    total -= image.data ? sizes.get(image.data) : 0;
  }
}
