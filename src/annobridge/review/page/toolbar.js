// What is above and below the picture: how it is shown, and what the lines mean.

import { h, replace, visible } from "./dom.js";
import { isConflict } from "./plan.js";

/** The bar above the picture. */
export function createToolbar({ store, changes, actions }) {
  const { state } = store;
  const file = h("h2", { class: "file" });
  const place = h("span", { class: "file-place" });
  const buttons = {
    blink: holdButton(store),
    twoUp: toggle("Side by side", "d", actions.twoUp),
    onion: toggle("Fade", "o", actions.onion),
    neighbours: toggle("Others", "h", actions.neighbours),
  };
  const fade = h("input", { type: "range", min: 0, max: 1, step: 0.01, value: state.onion, "aria-label": "Fade from before to after", oninput: () => store.set({ onion: Number(fade.value) }) });
  const fadeRow = h("label", { class: "fade", hidden: true }, h("span", null, "before"), fade, h("span", null, "after"));
  const element = h(
    "div",
    { class: "toolbar", role: "toolbar", "aria-label": "View" },
    h("div", { class: "file-box" }, file, place),
    fadeRow,
    h("div", { class: "tools" }, Object.values(buttons)),
  );

  store.watch(["cursor", "shown"], () => {
    const i = state.cursor;
    file.textContent = i < 0 ? "" : visible(changes.samples[changes.sample[i]].name);
    file.title = file.textContent;
    file.hidden = !file.textContent;
    const at = i < 0 ? -1 : state.shown.indexOf(i);
    place.textContent = at < 0 ? "" : `${(at + 1).toLocaleString("en")} of ${state.shown.length.toLocaleString("en")}`;
  });
  function arrangeButtons() {
    press(buttons.blink, state.blink);
    press(buttons.twoUp, state.view === "two-up");
    press(buttons.onion, state.view === "onion");
    press(buttons.neighbours, state.neighbours);
    const opened = state.view === "onion" && fadeRow.hidden;
    fadeRow.hidden = state.view !== "onion";
    fade.value = state.onion;
    if (opened) fade.focus();
  }
  arrangeButtons();
  store.watch(["view", "neighbours", "blink", "onion"], arrangeButtons);
  return { element };
}

/** The bar below the picture: what the lines mean, and the zoom. */
export function createLegend({ store, changes, stage }) {
  const { state } = store;
  const lines = h("div", { class: "lines" });
  const scale = h("output", { class: "scale", "aria-label": "Zoom" });
  const crop = toggle("Change", "z", () => stage.use("crop"));
  const fit = toggle("Whole", "0", () => stage.use("fit"));
  const zoom = h("div", { class: "tools" }, tool("−", "Zoom out", () => stage.zoom(0.8)), scale, tool("+", "Zoom in", () => stage.zoom(1.25)), crop, fit);
  press(crop, state.zoomMode === "crop");
  const element = h("div", { class: "legend", role: "group", "aria-label": "Lines and zoom" }, lines, zoom);
  store.watch(["cursor", "drawn"], () => {
    const conflict = state.cursor >= 0 && isConflict(changes, state.cursor);
    const known = conflict
      ? [["base", "base"], ["before", "ours, here"], ["after", "theirs, in the tool"]]
      : [["before", "before"], ["after", "after"]];
    replace(
      lines,
      [...known, ["other", "others"]].map(([role, text]) => h("span", { class: "legend-item" }, h("i", { class: `swatch role-${role}`, "aria-hidden": "true" }), text)),
    );
  });
  store.watch(["zoomMode", "scale", "drawn"], () => {
    press(crop, state.zoomMode === "crop");
    press(fit, state.zoomMode === "fit");
    scale.textContent = state.drawn < 0 ? "" : `${Math.round(state.scale * 100)} %`;
  });
  return { element };
}

/** A button that shows only what was before while it is held. */
function holdButton(store) {
  const button = toggle("Before", "Space", () => {});
  button.title = "held: only what was before";
  const show = (blink) => () => store.set({ blink });
  button.addEventListener("pointerdown", show(true));
  for (const name of ["pointerup", "pointerleave", "pointercancel"]) button.addEventListener(name, show(false));
  button.addEventListener("keydown", (event) => [" ", "Enter"].includes(event.key) && store.set({ blink: true }));
  button.addEventListener("keyup", show(false));
  return button;
}

function toggle(title, key, act) {
  return h("button", { type: "button", class: "button small", "aria-pressed": "false", "aria-keyshortcuts": key, onclick: act }, title, h("kbd", { "aria-hidden": "true" }, key));
}

function tool(text, title, act) {
  return h("button", { type: "button", class: "button small icon-only", "aria-label": title, onclick: act }, text);
}

function press(button, on) {
  button.setAttribute("aria-pressed", String(on));
}
