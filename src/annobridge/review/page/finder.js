// Search and filter above the groups.

import { h, icon, replace } from "./dom.js";
import { componentText } from "./plan.js";
import { EVERYTHING, STATES } from "./filter.js";

const MOST_NAMES = 1000; // names in a list to choose from
const PATIENCE = 120; // milliseconds after the last key before it is searched

/** The search field and the filters. `refine(patch)` changes the filter. */
export function createFinder({ store, changes, refine }) {
  const { state } = store;
  let timer = 0;
  const search = h("input", {
    type: "search",
    class: "search",
    placeholder: "Search class, file, id, note, annotator",
    "aria-label": "Search",
    "aria-keyshortcuts": "/",
    oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(() => refine({ text: search.value }), PATIENCE);
    },
    onkeydown: (event) => {
      if (event.key !== "Enter") return;
      clearTimeout(timer);
      refine({ text: search.value });
    },
  });
  const selects = {
    state: choices("State", "state", STATES),
    class: choices("Class", "class", named(changes.from.concat(changes.to, changes.label), "any class")),
    annotator: choices("Annotator", "annotator", named(changes.their_by, "anybody")),
    field: choices("Field", "field", named(changes.field, "any field")),
    component: choices("Part", "component", named(changes.component, "any part").map(([value, text]) => [value, value ? componentText(value) : text])),
  };
  const panel = h("div", { class: "filters", id: "filters", hidden: true }, Object.values(selects).map(({ row }) => row));
  const toggle = h("button", { type: "button", class: "button small", "aria-expanded": "false", "aria-controls": "filters", "aria-keyshortcuts": "f", onclick: () => open(panel.hidden) }, "Filter", h("kbd", { "aria-hidden": "true" }, "f"));
  const clear = h("button", { type: "button", class: "link", hidden: true, onclick: reset }, "Clear all");
  const element = h(
    "div",
    { class: "finder", role: "search" },
    h("div", { class: "search-row" }, h("span", { class: "search-field" }, icon("search"), search), toggle),
    panel,
    clear,
  );

  function choices(title, name, options) {
    const select = h("select", { "aria-label": title, onchange: () => refine({ [name]: select.value }) }, options.map(([value, text]) => h("option", { value }, text)));
    return { select, row: h("label", null, h("span", null, title), select) };
  }

  function open(on) {
    panel.hidden = !on;
    toggle.setAttribute("aria-expanded", String(on));
    if (on) selects.state.select.focus();
  }

  function reset() {
    clearTimeout(timer);
    const { grouping, ...rest } = EVERYTHING;
    refine(rest);
  }

  store.watch(["filter"], () => {
    const { filter } = state;
    if (search.value.trim() !== filter.text.trim()) search.value = filter.text;
    for (const [name, { select }] of Object.entries(selects)) select.value = filter[name];
    const number = Object.keys(selects).filter((name) => filter[name]).length;
    replace(toggle, number ? `Filter · ${number}` : "Filter", h("kbd", { "aria-hidden": "true" }, "f"));
    clear.hidden = !number && !filter.text;
  });
  return {
    element,
    focusSearch: () => (search.focus(), search.select()),
    toggleFilters: () => open(panel.hidden),
    reset,
  };
}

function named(column, none) {
  const names = [...new Set(column)].filter((name) => name !== null && name !== "").sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  return [["", none], ...names.slice(0, MOST_NAMES).map((name) => [name, name])];
}
