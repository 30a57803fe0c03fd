// Where plan, pictures and decisions come from: a server, or the file that the page itself is in.

/** A request that failed. `status` is that of the answer, 0 where there was none. */
export class RequestError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function ask(path, body) {
  const options = { headers: { Accept: "application/json" }, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await reach(path, options);
  const text = await response.text();
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : {};
  } catch {
    throw new RequestError(`The server answered ${response.status} with something that is not JSON.`, response.status);
  }
  if (!response.ok) throw new RequestError(answer.error ?? `The server answered ${response.status}.`, response.status);
  return answer;
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    throw new RequestError("The server does not answer. Is `annobridge review` still running?", 0);
  }
}

/** The server that sent the page. */
export function serverSource() {
  return {
    offline: false,
    plan: () => ask("api/plan"),
    sample: (number) => ask(`api/samples/${number}`),
    post: (by, decisions) => ask("api/decisions", { by, decisions }),
    after: (seq) => ask(`api/decisions?after=${seq}`),
    load: (undecided, force) => ask("api/load", { undecided, force }),
    loadState: () => ask("api/load"),
    sendBack: (changeIds, note) => ask("api/send_back", { change_ids: changeIds, note }),
    imageKey: (number, frame, width) => `${number}/${frame ?? ""}/${width}`,
    async image(number, frame, width) {
      const query = frame === null ? `width=${width}` : `frame=${frame}&width=${width}`;
      const response = await reach(`api/samples/${number}/image?${query}`, { credentials: "same-origin" });
      if (!response.ok) {
        const answer = await response.json().catch(() => ({}));
        throw new RequestError(answer.error ?? `The server answered ${response.status}.`, response.status);
      }
      const [note, frames] = ["Placeholder", "Frames"].map((name) => response.headers.get(`X-Annobridge-${name}`));
      return { blob: await response.blob(), box: null, note, frames: frames && Number(frames) };
    },
  };
}

/**
 * The data inside the page's own file: {plan, samples: {number: {labels}}, images: [{sample, frame, box, src}]}.
 * `box` is the part of the picture that was kept, relative; null is all of it. Decisions are kept by the browser.
 */
export function fileSource(data) {
  const key = `annobridge.decisions.${data.plan.run_id}`;
  const pictures = new Map();
  for (const image of data.images ?? []) {
    const place = `${image.sample}/${image.frame ?? ""}`;
    pictures.set(place, [...(pictures.get(place) ?? []), image]);
  }
  const kept = openKept(key);
  const start = data.plan.seq ?? 0;
  return {
    offline: true,
    keeps: () => kept.works,
    plan: async () => ({
      ...data.plan,
      can_load: false,
      can_send_back: false,
      decisions: [...data.plan.decisions, ...kept.read()],
    }),
    sample: async (number) => data.samples?.[number] ?? { labels: [] },
    async post(by, decisions) {
      const at = new Date().toISOString();
      const before = kept.read();
      const last = before.at(-1)?.seq ?? start;
      const records = decisions.map((decision, place) => ({ ...decision, seq: last + place + 1, by, at, recorded: false, stale: false }));
      kept.write([...before, ...records]);
      return { seq: last + records.length, decisions: records };
    },
    imageKey: (number, frame, width, focus) => `${number}/${frame ?? ""}/${focus.map((value) => value.toFixed(4))}`,
    async image(number, frame, width, focus) {
      const found = bestCrop(pictures.get(`${number}/${frame ?? ""}`) ?? [], focus);
      if (!found) throw new RequestError("This picture was left out of the file to keep it small.", 404);
      return { blob: blobOf(found.src), box: found.box ?? null, note: found.note ?? null };
    },
  };
}

/** The content of a `data:` URI in base64. (It cannot be fetched, as the file's policy allows no connections.) */
function blobOf(uri) {
  const [head, body] = uri.split(",", 2);
  return new Blob([Uint8Array.from(atob(body), (char) => char.charCodeAt(0))], { type: head.slice(5).split(";")[0] });
}

/** The records that the browser keeps; read anew each time, as another tab may have the same file open. */
function openKept(key) {
  const kept = { works: true, read, write };
  let records = [];

  function read() {
    try {
      if (kept.works) records = JSON.parse(localStorage.getItem(key) ?? "[]");
    } catch {
      kept.works = false; // a browser may forbid storage to local files
    }
    return records;
  }

  function write(all) {
    records = all;
    for (const some of [all, latestOnly(all)]) {
      try {
        if (kept.works) localStorage.setItem(key, JSON.stringify(some));
        return;
      } catch {
        // a browser keeps some megabytes: what was decided otherwise later is given up
      }
    }
    kept.works = false;
  }

  write(read());
  return kept;
}

/** The last record of each change, in their order. */
function latestOnly(records) {
  const last = new Map(records.map((record) => [record.change_id, record]));
  return records.filter((record) => last.get(record.change_id) === record);
}

/** The crop that shows most of a place; of equals, the smallest, as it shows most of it in detail. */
function bestCrop(crops, [x, y, width, height]) {
  let best = null;
  let most = -1;
  for (const crop of crops) {
    const [left, top, across, down] = crop.box ?? [0, 0, 1, 1];
    const shared =
      Math.max(0, Math.min(x + width, left + across) - Math.max(x, left)) *
      Math.max(0, Math.min(y + height, top + down) - Math.max(y, top));
    const covered = width * height ? shared / (width * height) : 1;
    const score = covered - (across * down) / 1000;
    if (score > most) [best, most] = [crop, score];
  }
  return best;
}
