// Images as arrays of grey values, kept for a while, and fetched ahead of need.

const MOST_BYTES = 192 * 2 ** 20;
const AHEAD = 3; // requests at once for what may be needed next

const kept = new Map(); // question -> promise of an image, the longest unused first
let waiting = []; // questions to ask ahead
let running = 0;

/**
 * Return a promise of an image {width, height, data (Uint8Array)} or, if it cannot be shown, {error}.
 * Without `size` the image has its full size.
 */
export function pixels(place, site, channel, size) {
  const question = String(new URLSearchParams({ ...place, site, channel, ...(size ? { size } : {}) }));
  return fetched(question);
}

/** Fetch the images of wells before they are asked for; what was to be fetched before is forgotten. */
export function fetchAhead(places, sites, channels, size) {
  waiting = places.flatMap((place) =>
    sites.flatMap((site) => channels.map((channel) => String(new URLSearchParams({ ...place, site, channel, size })))),
  );
  pump();
}

function pump() {
  while (running < AHEAD && waiting.length) {
    const question = waiting.shift();
    if (kept.has(question)) continue;
    running += 1;
    fetched(question).finally(() => {
      running -= 1;
      pump();
    });
  }
}

function fetched(question) {
  const image = kept.get(question) ?? load(question);
  kept.delete(question);
  kept.set(question, image);
  return image;
}

async function load(question) {
  let image;
  try {
    const answer = await fetch(`/image?${question}`);
    image = answer.ok ? await decode(await answer.blob()) : { error: (await answer.json()).error };
  } catch {
    kept.delete(question); // to be asked again
    return { error: "no answer: has the program been ended?" };
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

/** Drop what has not been used for longest. */
async function forget() {
  while (total > MOST_BYTES && kept.size > 1) {
    const [question, promise] = kept.entries().next().value;
    kept.delete(question);
    const image = await promise;
    total -= image.data ? sizes.get(image.data) : 0;
  }
}
