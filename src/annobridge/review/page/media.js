// Pictures and labels of samples: fetched once, kept while they are near, fetched ahead.

import { createCache } from "./store.js";

const PICTURES = 24;
const SAMPLES = 96;
const AT_ONCE = 3; // requests that run ahead of the reader

/** Pictures and labels of a source. */
export function createMedia(source) {
  const pictures = createCache(PICTURES, (entry) => entry.promise.then((picture) => picture.release()).catch(() => {}));
  const samples = createCache(SAMPLES);

  function once(cache, key, make) {
    let entry = cache.get(key);
    if (!entry) {
      entry = { value: null, promise: make() };
      entry.promise.then((value) => (entry.value = value)).catch(() => cache.remove(key));
      cache.set(key, entry);
    }
    return entry;
  }

  async function fetchPicture(want) {
    const picture = await source.image(want.number, want.frame, want.width, want.focus);
    const image = new Image();
    image.src = picture.url;
    try {
      await image.decode();
    } catch {
      picture.release();
      throw new Error("The picture cannot be shown by this browser.");
    }
    return { ...picture, image };
  }

  const media = {
    /** The labels of a sample. */
    sample: (number) => once(samples, number, () => source.sample(number)).promise,
    /** The labels of a sample, if they are there already. */
    sampleNow: (number) => samples.get(number)?.value ?? null,
    /** A decoded picture: {url, box, note, image}. `want` is {number, frame, width, focus}. */
    picture: (want) => once(pictures, source.imageKey(want.number, want.frame, want.width, want.focus), () => fetchPicture(want)).promise,
    /** The same, if it is there already. */
    pictureNow: (want) => pictures.get(source.imageKey(want.number, want.frame, want.width, want.focus))?.value ?? null,
    /** Fetch what will probably be looked at next, the likeliest first; a later call gives up the rest of an earlier one. */
    ahead(wants) {
      media.plans = wants.slice();
      if (!media.running) media.running = 0;
      while (media.running < AT_ONCE && media.plans.length) step();
    },
    plans: [],
    running: 0,
  };

  async function step() {
    media.running += 1;
    while (media.plans.length) {
      const want = media.plans.shift();
      await Promise.allSettled([media.sample(want.number), media.picture(want)]);
    }
    media.running -= 1;
  }
  return media;
}
