// The frames of a video: where the track has a label, and where it was changed.

import { h, svg, icon, replace } from "./dom.js";
import { sameTrack } from "./plan.js";

/** The strip below a video. `go(frame)` shows a frame. */
export function createTimeline({ store, changes, go }) {
  const { state } = store;
  const slider = h("input", { type: "range", min: 1, step: 1, class: "frame-slider", "aria-label": "Frame", oninput: () => go(Number(slider.value)) });
  const label = h("output", { class: "frame-label" });
  const strip = svg("svg", { class: "strip", preserveAspectRatio: "none", "aria-hidden": "true", onclick: pick });
  const jump = h("div", { class: "jumps" });
  const element = h(
    "div",
    { class: "timeline", role: "group", "aria-label": "Frames", hidden: true },
    h("div", { class: "frame-row" }, step("frame before", -1), slider, step("frame after", 1), label),
    strip,
    jump,
  );

  function step(title, by) {
    return h("button", { type: "button", class: "button small icon-only", "aria-label": title, onclick: () => go(state.frame + by) }, by < 0 ? "‹" : "›");
  }

  function total() {
    const sample = changes.samples[changes.sample[state.cursor]];
    return Math.max(1, state.frame ?? 1, sample.frames ?? lastKnown());
  }

  /** The last frame that has a label or a change, where the length of the video is not known. */
  function lastKnown() {
    return (state.labels ?? []).reduce((last, one) => Math.max(last, one.frame ?? 1), changedFrames(state.cursor).at(-1) ?? 1);
  }

  function pick(event) {
    const box = strip.getBoundingClientRect();
    go(Math.min(total(), Math.floor(((event.clientX - box.left) / box.width) * total()) + 1));
  }

  function render() {
    const i = state.cursor;
    const video = i >= 0 && changes.samples[changes.sample[i]].media === "video";
    element.hidden = !video;
    if (!video) return;
    const frames = total();
    slider.max = frames;
    slider.value = state.frame;
    const { fps } = changes.samples[changes.sample[i]];
    replace(label, `frame ${state.frame} of ${frames}${fps ? ` · ${((state.frame - 1) / fps).toFixed(2)} s` : ""}`);
    const labelled = new Set();
    for (const one of state.labels ?? []) if (one.frame !== null && sameTrack(changes, i, one)) labelled.add(one.frame);
    const changed = changedFrames(i);
    strip.setAttribute("viewBox", `0 0 ${frames} 10`);
    replace(
      strip,
      svg("rect", { class: "strip-ground", x: 0, y: 4, width: frames, height: 2 }),
      spans(labelled).map(([first, last]) => svg("rect", { class: "strip-label", x: first - 1, y: 2.5, width: last - first + 1, height: 5 })),
      changed.map((frame) => svg("rect", { class: "strip-change", x: frame - 1, y: 0, width: 1, height: 10 })),
      svg("rect", { class: "strip-now", x: state.frame - 1, y: 0.6, width: Math.max(1, frames / 200), height: 8.8 }),
    );
    replace(jump, changed.length > 1 || changed[0] !== state.frame ? jumps(changed) : null);
  }

  function changedFrames(i) {
    const frames = new Set();
    for (let j = 0; j < changes.total; j += 1) {
      const label = { field: changes.field[j], index: changes.index[j], label_id: changes.label_id[j] };
      if (changes.sample[j] === changes.sample[i] && changes.frame[j] !== null && sameTrack(changes, i, label)) frames.add(changes.frame[j]);
    }
    return [...frames].sort((a, b) => a - b);
  }

  function jumps(changed) {
    const before = changed.filter((frame) => frame < state.frame).at(-1);
    const after = changed.find((frame) => frame > state.frame);
    const here = changed.includes(state.frame) ? "changed here" : "not changed here";
    return [
      h("span", { class: "jump-text" }, icon("pen"), `${here} · ${changed.length} changed ${changed.length === 1 ? "frame" : "frames"} in this track`),
      before ? h("button", { type: "button", class: "link", onclick: () => go(before) }, `‹ frame ${before}`) : null,
      after ? h("button", { type: "button", class: "link", onclick: () => go(after) }, `frame ${after} ›`) : null,
    ];
  }

  store.watch(["cursor", "frame", "labels", "drawn"], render);
  return { element, total };
}

/** Runs of consecutive frames: [first, last]. */
function spans(frames) {
  const found = [];
  for (const frame of [...frames].sort((a, b) => a - b)) {
    if (found.length && found.at(-1)[1] === frame - 1) found.at(-1)[1] = frame;
    else found.push([frame, frame]);
  }
  return found;
}
