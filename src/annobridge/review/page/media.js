// Pictures and labels of samples: fetched once, kept while they are near, fetched ahead.

import { createCache } from "./store.js";

const PICTURES = 24; // kept as files
const DECODED = 6; // kept ready to be shown: each takes four bytes a pixel
const SAMPLES = 96;
const AT_ONCE = 3; // requests that run ahead of the reader
const READY = 3; // pictures ahead that are decoded too

/** Pictures and labels of a source. A picture that is wanted is named by {number, frame, width, focus}. */
export function createMedia(source) {
  const files = createCache(PICTURES);
  const bitmaps = createCache(DECODED, (entry) => entry.promise.then(({ bitmap }) => bitmap.close()).catch(() => {}));
  const samples = createCache(SAMPLES);
  let ahead = [];
  let running = 0;

  function once(cache, key, make) {
    let entry = cache.get(key);
    if (!entry) {
      entry = { value: null, promise: make() };
      entry.promise.then((value) => (entry.value = value)).catch(() => cache.remove(key));
      cache.set(key, entry);
    }
    return entry;
  }

  function keyOf(want) {
    return source.imageKey(want.number, want.frame, want.width, want.focus);
  }

  function file(want) {
    return once(files, keyOf(want), () => source.image(want.number, want.frame, want.width, want.focus)).promise;
  }

  async function decode(want) {
    const found = await file(want);
    try {
      return { ...found, bitmap: await bitmapOf(found.blob) };
    } catch {
      throw new Error("The picture cannot be shown by this browser.");
    }
  }

  const media = {
    /** The labels of a sample. */
    sample: (number) => once(samples, number, () => source.sample(number)).promise,
    /** The labels of a sample, if they are there already. */
    sampleNow: (number) => samples.get(number)?.value ?? null,
    /** A decoded picture: {bitmap, box, note}. The bitmap is closed when others were asked for since: draw it at once. */
    picture: (want) => once(bitmaps, keyOf(want), () => decode(want)).promise,
    /** The same, if it is there already. */
    pictureNow: (want) => bitmaps.get(keyOf(want))?.value ?? null,
    /** Fetch what will probably be looked at next, the likeliest first; a later call gives up the rest of an earlier one. */
    ahead(wants) {
      ahead = wants.map((want, place) => [want, place < READY]);
      while (running < AT_ONCE && ahead.length) step();
    },
  };

  async function step() {
    running += 1;
    while (ahead.length) {
      const [want, ready] = ahead.shift();
      await Promise.allSettled([media.sample(want.number), ready ? media.picture(want) : file(want)]);
    }
    running -= 1;
  }
  return media;
}

/** A bitmap, which gives its memory back when it is told to; what an image element has decoded stays for long. */
async function bitmapOf(blob) {
  if (blob.type !== "image/svg+xml") return createImageBitmap(blob);
  const image = new Image();
  const url = URL.createObjectURL(blob);
  image.src = url;
  try {
    await image.decode();
    return await createImageBitmap(image);
  } finally {
    URL.revokeObjectURL(url);
  }
}
