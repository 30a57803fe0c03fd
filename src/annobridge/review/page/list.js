// The list of changes: only the rows in sight are in the page, whatever the length.

import { h, icon, replace } from "./dom.js";
import { GROUPS, classText, summary, count } from "./plan.js";

const ROW = 46; // pixels
const SPARE = 6; // rows above and below
const MOST_ROWS = 56;
const OUTCOMES = { accepted: ["check", "accepted"], refused: ["cross", "refused"], settled: ["fork", "settled"] };

/** The list. `choose(i, event)` is called when a row is clicked. */
export function createList({ store, changes, ledger, choose }) {
  const { state } = store;
  const spacer = h("div", { class: "spacer", role: "presentation" });
  const element = h(
    "div",
    { class: "list", role: "listbox", tabIndex: 0, "aria-label": "Changes", "aria-multiselectable": "true" },
    spacer,
  );
  let waiting = 0;

  function render() {
    waiting = 0;
    const first = Math.max(0, Math.floor(element.scrollTop / ROW) - SPARE);
    const rows = Math.min(MOST_ROWS, Math.ceil(element.clientHeight / ROW) + 2 * SPARE);
    const last = Math.min(state.shown.length, first + rows);
    spacer.style.height = `${state.shown.length * ROW}px`;
    const cells = [];
    for (let place = first; place < last; place += 1) cells.push(row(place));
    replace(spacer, cells);
    if (document.getElementById(`row-${state.cursor}`)) element.setAttribute("aria-activedescendant", `row-${state.cursor}`);
    else element.removeAttribute("aria-activedescendant");
  }

  function row(place) {
    const i = state.shown[place];
    const sample = changes.samples[changes.sample[i]];
    const selected = state.selection.has(i);
    const frame = changes.frame[i] === null ? "" : ` · frame ${changes.frame[i]}`;
    return h(
      "div",
      {
        class: `row${i === state.cursor ? " current" : ""}${selected ? " selected" : ""}`,
        role: "option",
        id: `row-${i}`,
        "aria-selected": String(selected),
        "aria-setsize": state.shown.length,
        "aria-posinset": place + 1,
        data: { change: changes.id[i] },
        style: { top: `${place * ROW}px` },
        onclick: (event) => choose(i, event),
      },
      stateIcon(ledger, i),
      h(
        "span",
        { class: "row-text" },
        h("span", { class: "row-title" }, groupIcon(changes.group[i]), h("b", null, classText(changes, i)), ` ${summary(changes, i)}`),
        h("span", { class: "row-place" }, `${sample.name}${frame}`),
      ),
      ledger.note(i) ? h("span", { class: "row-note", title: ledger.note(i) }, icon("pen"), h("span", { class: "unseen" }, "has a note")) : null,
    );
  }

  function schedule() {
    if (!waiting) waiting = requestAnimationFrame(render);
  }

  function reveal() {
    const place = state.shown.indexOf(state.cursor);
    if (place < 0) return;
    const top = place * ROW;
    if (top < element.scrollTop + ROW) element.scrollTop = Math.max(0, top - ROW);
    else if (top + 2 * ROW > element.scrollTop + element.clientHeight) element.scrollTop = top + 2 * ROW - element.clientHeight;
  }

  element.addEventListener("scroll", schedule, { passive: true });
  new ResizeObserver(schedule).observe(element);
  store.watch(["shown", "cursor", "selection", "version"], () => {
    spacer.style.height = `${state.shown.length * ROW}px`;
    reveal();
    render();
  });
  return { element };
}

/** The state of a change as a drawing with a text. */
export function stateIcon(ledger, i) {
  const state = ledger.state(i);
  const outcome = OUTCOMES[ledger.outcome(i)];
  const pending = ledger.isPending(i) ? " pending" : "";
  if (state === "stale") return mark("alert", "stale", "decided about something else: decide again");
  if (!outcome) return mark("circle", `open${pending}`, "open");
  const rule = ledger.record(i).rule ? ", by rule" : "";
  const kind = state === "recorded" ? `${outcome[1]} before` : `${outcome[1]}${rule}`;
  return mark(outcome[0], `${outcome[1]}${rule ? " ruled" : ""}${pending}`, kind);
}

function mark(drawing, name, text) {
  return h("span", { class: `mark ${name}`, title: text }, icon(drawing), h("span", { class: "unseen" }, text));
}

function groupIcon(name) {
  const group = GROUPS.find((one) => one.name === name);
  return h("span", { class: `kind kind-${name.replace(" ", "-")}`, title: group?.one ?? name }, icon(group?.icon ?? "all"));
}

/** The heading of the list, with the buttons that decide for all in it. */
export function createBulk({ store, title, act }) {
  const { state } = store;
  const heading = h("h2", { class: "list-title" });
  const accept = h("button", { class: "button accept", type: "button", onclick: () => act(true) });
  const refuse = h("button", { class: "button refuse", type: "button", onclick: () => act(false) });
  const element = h("div", { class: "bulk" }, heading, h("div", { class: "bulk-buttons" }, accept, refuse));
  store.watch(["shown", "selection", "filter", "version"], () => {
    const many = state.selection.size;
    const number = many || state.shown.length;
    replace(heading, title());
    for (const [button, verb, key] of [[accept, "Accept", "A"], [refuse, "Refuse", "R"]]) {
      replace(button, `${verb} ${count(number)} ${many ? "selected" : "shown"}`, h("kbd", { "aria-hidden": "true" }, key));
      button.setAttribute("aria-keyshortcuts", `Shift+${key}`);
      button.disabled = !number;
    }
  });
  return { element };
}
