// The top of the page: what is reviewed, how far it is, who reviews, and what can be done at the end.

import { h, icon, replace } from "./dom.js";
import { count } from "./plan.js";

/** The header. `actions` are {help, load, sendBack, exportFile, retry, reload, rename}. */
export function createHeader({ store, plan, changes, ledger, verdicts, offline, actions }) {
  const { state } = store;
  const numbers = h("p", { class: "counts" });
  const bar = h("div", { class: "bar", "aria-hidden": "true" });
  const trouble = h("div", { class: "trouble", role: "alert", hidden: true });
  const name = h("input", {
    class: "reviewer",
    type: "text",
    value: state.reviewer,
    "aria-label": "Your name",
    placeholder: "your name",
    autocomplete: "off",
    spellcheck: "false",
    onchange: () => actions.rename(name.value.trim()),
  });
  const element = h(
    "header",
    { class: "top" },
    h(
      "div",
      { class: "top-name" },
      h("h1", null, plan.anno_key),
      h("p", null, [plan.dataset, plan.backend].filter(Boolean).join(" ← ")),
    ),
    h("div", { class: "progress" }, numbers, bar),
    trouble,
    h("label", { class: "who-am-i" }, h("span", null, "Reviewer"), name),
    button("Keys", "?", actions.help, "quiet"),
    plan.can_send_back ? button("Send back", "s", actions.sendBack) : null,
    plan.can_load ? button("Load", "l", actions.load, "primary") : null,
    offline ? button("Export decisions.jsonl", null, actions.exportFile, "primary") : null,
  );

  function render() {
    const counts = ledger.counts();
    const parts = [
      `${count(counts.looked)} looked at`,
      `${count(counts.ruled)} by ${count(counts.rules)} ${counts.rules === 1 ? "rule" : "rules"}`,
      counts.recorded ? `${count(counts.recorded)} before` : null,
      `${count(counts.open)} open`,
      counts.stale ? `${count(counts.stale)} of them stale` : null,
    ];
    numbers.textContent = parts.filter(Boolean).join(", ");
    const total = Math.max(1, changes.total);
    replace(
      bar,
      [["looked", counts.looked], ["ruled", counts.ruled], ["recorded", counts.recorded]].map(([kind, number]) =>
        h("span", { class: kind, style: { width: `${(100 * number) / total}%` } }),
      ),
    );
    const { waiting, failure } = verdicts.status();
    const lost = failure ?? state.unreachable;
    element.dataset.waiting = waiting;
    trouble.hidden = !lost && !state.outdated;
    if (state.outdated && !lost) {
      const again = h("button", { type: "button", class: "link", onclick: actions.reload }, "Reload the page");
      replace(trouble, icon("alert"), "The plan was made anew since this page was opened.", again);
      return;
    }
    replace(
      trouble,
      icon("alert"),
      waiting ? `${count(waiting)} ${waiting === 1 ? "verdict is" : "verdicts are"} not stored yet: ${lost}` : (lost ?? ""),
      lost ? h("button", { type: "button", class: "link", onclick: actions.retry }, "Try again") : null,
    );
  }

  store.watch(["version", "unreachable", "outdated"], render);
  return { element };
}

function button(title, key, act, kind = "") {
  return h(
    "button",
    { type: "button", class: `button ${kind}`, "aria-keyshortcuts": key, onclick: act },
    title,
    key ? h("kbd", { "aria-hidden": "true" }, key) : null,
  );
}

/** Remarks about the plan, which can be put away. */
export function notesBanner(notes) {
  if (!notes.length) return null;
  const element = h(
    "section",
    { class: "notes", "aria-label": "Notes" },
    h("ul", null, notes.map((text) => h("li", null, text))),
    h("button", { type: "button", class: "button quiet icon-only", "aria-label": "Put the notes away", onclick: () => element.remove() }, "✕"),
  );
  return element;
}
