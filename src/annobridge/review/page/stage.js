// The picture of the change at the cursor: before and after over each other, beside each other, or faded.

import { h, replace } from "./dom.js";
import { createCamera } from "./camera.js";
import { createPane } from "./pane.js";
import { maskLayers } from "./masks.js";
import { bounds } from "./shapes.js";
import { NO_CHANGES, extent, isConflict, sameTrack, classText, summary } from "./plan.js";

const WIDTHS = [1280, 2048]; // pixels across that are asked for: first, and when zoomed in

/** The stage. It watches the store, and shows the change at `cursor` on frame `frame`. */
export function createStage({ store, changes, media }) {
  const { state } = store;
  const camera = createCamera();
  const panes = [createPane("before and after"), createPane("after")];
  const message = h("p", { class: "stage-message", role: "status", hidden: true });
  const element = h("div", { class: "panes", tabIndex: 0, role: "group", "aria-label": "Picture" }, panes.map((pane) => pane.element), message);
  let size = [1000, 750];
  let shownKey = null;
  let turn = 0;
  let sharper = 0;
  let shownWidth = 0;

  function place() {
    for (const pane of panes) pane.place(camera, size);
    store.set({ zoomMode: camera.mode, scale: camera.scale });
    clearTimeout(sharper);
    sharper = setTimeout(sharpen, 150);
  }

  /** What to ask of the source for a change. */
  function wanted(i, frame, width = WIDTHS[0]) {
    const sample = changes.samples[changes.sample[i]];
    const asked = sample.width ? Math.min(width, sample.width) : width;
    return { number: changes.sample[i], frame: sample.media === "video" ? (frame ?? 1) : null, width: asked, focus: extent(changes, i) ?? [0, 0, 1, 1] };
  }

  /** Show as many pixels as the zoom needs. */
  async function sharpen() {
    const i = state.cursor;
    const sample = i < 0 ? null : changes.samples[changes.sample[i]];
    if (!sample?.width || sample.width <= WIDTHS[0] || state.drawn !== i) return;
    const width = sample.width * camera.scale * devicePixelRatio > WIDTHS[0] * 1.2 ? WIDTHS[1] : WIDTHS[0];
    if (width === shownWidth) return;
    const mine = turn;
    const picture = await media.picture(wanted(i, state.frame, width)).catch(() => null);
    if (picture && !picture.note && mine === turn) exhibit(picture, width);
  }

  function exhibit(picture, width = WIDTHS[0]) {
    shownWidth = width;
    panes[0].show(picture);
    panes[1].show(state.view === "two-up" ? picture : null);
  }

  async function render() {
    const mine = ++turn;
    const i = state.cursor;
    if (i < 0) {
      exhibit(null);
      for (const pane of panes) pane.draw(size, [], [], "no change");
      say(changes.total ? "Nothing matches the filter." : NO_CHANGES);
      return;
    }
    const sample = changes.samples[changes.sample[i]];
    const want = wanted(i, state.frame);
    const picture = media.pictureNow(want);
    const labels = media.sampleNow(want.number);
    if (picture && labels) {
      finish(i, sample, want, picture, labels, mine);
      return;
    }
    const slow = setTimeout(() => {
      if (mine !== turn) return;
      exhibit(null);
      for (const pane of panes) pane.draw(size, [], [], "loading");
      say("Loading the picture…");
    }, 120);
    const [image, read] = await Promise.allSettled([media.picture(want), media.sample(want.number)]);
    clearTimeout(slow);
    if (mine !== turn) return;
    const failed = [image, read].find((one) => one.status === "rejected");
    finish(i, sample, want, image.value ?? null, read.value ?? { labels: [] }, mine, failed?.reason.message);
  }

  function finish(i, sample, want, picture, read, mine, trouble = null) {
    if (picture?.frames) sample.frames = picture.frames; // as the file has them
    if (sample.width && sample.height) size = [sample.width, sample.height];
    else if (picture && !picture.box) size = [picture.bitmap.width, picture.bitmap.height];
    const key = `${want.number}/${want.frame ?? ""}`;
    const scene = compose(changes, i, read.labels, state.frame, size);
    camera.resize(paneSize());
    camera.lookAt(size, scene.focus, key === shownKey);
    shownKey = key;
    exhibit(picture?.note ? null : picture); // a placeholder says only what the message says
    for (const pane of panes) pane.draw(size, scene.layers, scene.tags, `${classText(changes, i)}: ${summary(changes, i)}`);
    place();
    say(trouble ?? (picture?.note ? `This picture cannot be read: ${picture.note}` : null));
    store.set({ drawn: state.cursor, drawnFrame: state.frame, labels: read.labels });
    element.dataset.drawn = changes.id[i];
    showMasks(scene, mine);
  }

  async function showMasks(scene, mine) {
    const layers = await Promise.all(panes.map(() => maskLayers(scene.masks.before, scene.masks.after))).catch(() => []);
    if (mine !== turn) return;
    layers.forEach((one, p) => one && panes[p].cover(one));
    element.dataset.masks = layers[0] ? "shown" : "none";
  }

  function say(text) {
    message.hidden = !text;
    message.textContent = text ?? "";
  }

  function paneSize() {
    const box = panes[0].element.getBoundingClientRect();
    return [Math.max(box.width, 1), Math.max(box.height, 1)];
  }

  function arrange() {
    element.dataset.view = state.view;
    element.classList.toggle("blink", state.blink);
    element.classList.toggle("without-others", !state.neighbours);
    element.style.setProperty("--onion", state.onion);
    panes[1].element.hidden = state.view !== "two-up";
    const names = state.cursor >= 0 && isConflict(changes, state.cursor) ? ["ours: here", "theirs: in the tool"] : ["before", "after"];
    panes.forEach((pane, p) => {
      pane.caption.hidden = state.view !== "two-up";
      replace(pane.caption, names[p]);
    });
  }

  followPointer(element, panes, camera, place);
  new ResizeObserver(() => {
    camera.resize(paneSize());
    place();
  }).observe(element);
  store.watch(["view", "blink", "neighbours", "onion", "cursor"], arrange);
  store.watch(["cursor", "frame", "view"], render);
  arrange();
  if (!changes.total) render();
  return {
    element,
    wanted,
    use(mode) {
      camera.use(mode);
      place();
    },
    zoom(factor) {
      camera.zoom(factor);
      place();
    },
    pan(across, down) {
      camera.pan(across, down);
      place();
    },
  };
}

function followPointer(element, panes, camera, place) {
  let from = null;
  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const pane = event.target.closest(".pane") ?? panes[0].element;
      const box = pane.getBoundingClientRect();
      camera.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), event.clientX - box.left, event.clientY - box.top);
      place();
    },
    { passive: false },
  );
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = [event.clientX, event.clientY];
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    if (!from) return;
    camera.pan(event.clientX - from[0], event.clientY - from[1]);
    from = [event.clientX, event.clientY];
    place();
  });
  for (const name of ["pointerup", "pointercancel"]) element.addEventListener(name, () => (from = null));
}

/** What to draw of a change on a frame: layers, tags, masks, and the place to look at. */
function compose(changes, i, labels, frame, [width, height]) {
  const video = changes.samples[changes.sample[i]].media === "video";
  const here = labels.filter((label) => !video || (label.frame ?? null) === frame);
  const onTrack = (label) => (video ? sameTrack(changes, i, label) : isLabel(changes, i, label));
  const mine = here.filter(onTrack);
  const sides = Object.fromEntries(["base", "ours", "theirs", "same"].map((side) => [side, mine.filter((label) => label.side === side)]));
  const conflict = isConflict(changes, i);
  const before = sides.ours.length || conflict ? sides.ours : sides.base;
  const atChange = !video || frame === changes.frame[i];
  if (atChange && !mine.length) fallBack(changes, i, sides, before);
  const others = here.filter((label) => !onTrack(label) && (label.side === "same" || label.side === "theirs"));
  const layers = [
    { role: "other", labels: others },
    { role: "same", labels: sides.same },
    { role: "base", labels: conflict ? sides.base : [] },
    { role: "after", labels: sides.theirs },
    { role: "before", labels: before },
  ];
  const masks = { before: maskOf(before), after: maskOf(sides.theirs.length ? sides.theirs : sides.same) };
  return { layers, tags: tagsOf(changes, i, sides, before), masks, focus: focusOf(changes, i, [...before, ...mine], width, height, atChange) };
}

function isLabel(changes, i, label) {
  return label.label_id === changes.label_id[i] && label.field === changes.field[i];
}

/** Without labels of the sample, the boxes of the plan are drawn. */
function fallBack(changes, i, sides, before) {
  const boxes = { base: changes.base_box[i], ours: changes.ours_box[i], theirs: changes.theirs_box[i] };
  for (const [side, box] of Object.entries(boxes)) {
    if (box) sides[side].push({ shape: "box", side, box, label: side === "theirs" ? changes.to[i] : changes.from[i] });
  }
  if (!before.length) before.push(...(sides.ours.length ? sides.ours : sides.base));
}

function maskOf(labels) {
  return labels.find((label) => label.mask)?.mask ?? null;
}

function focusOf(changes, i, labels, width, height, atChange) {
  if (atChange && extent(changes, i)) return extent(changes, i);
  const boxes = labels.map((label) => bounds(label, width, height)).filter(Boolean);
  if (!boxes.length) return null;
  const [left, top] = [0, 1].map((axis) => Math.min(...boxes.map((box) => box[axis])));
  const [right, bottom] = [2, 3].map((axis) => Math.max(...boxes.map((box) => box[axis])));
  return [left, top, right - left, bottom - top];
}

function tagsOf(changes, i, sides, before) {
  const after = sides.theirs[0] ?? sides.same[0];
  const was = before[0];
  const conflict = isConflict(changes, i);
  const tags = [];
  if (after) tags.push({ role: "after", label: after, text: after.label, title: conflict ? "theirs" : null });
  if (was && (!after || was.label !== after.label)) {
    const title = conflict ? "ours" : after ? "before" : "deleted";
    tags.push({ role: "before", label: was, text: was.label, title });
  }
  return tags.filter(({ text }) => text).map((tag) => ({ ...tag, text: tag.title ? `${tag.title}: ${tag.text}` : tag.text }));
}
