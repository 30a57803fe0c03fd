// Loading into the dataset from the page: what will happen, how far it is, and the report.

import { h, replace } from "./dom.js";
import { openDialog } from "./dialogs.js";
import { count } from "./plan.js";

const EVERY = 500; // milliseconds between two looks at a running load

/** The dialog. It stays open while a load is going on; `done()` is called when it is closed after a load that succeeded. */
export function openLoad({ source, counts, waiting, done }) {
  let running = false;
  let loaded = false;
  const dialog = openDialog("Load into the dataset", null, { mayClose: () => !running, closed: () => loaded && done() });
  const undecided = { value: "take" };
  let force = false;

  function choose(error = null, canForce = false) {
    const numbers = counts();
    force = false;
    running = false;
    replace(
      dialog.body,
      h("ul", { class: "numbers" }, numberItem(numbers.accepted, "accepted"), numberItem(numbers.refused, "refused"), numbers.settled ? numberItem(numbers.settled, "settled otherwise") : null, numberItem(numbers.open, "open")),
      numbers.open ? openChoice(numbers, undecided) : null,
      waiting() ? h("p", { class: "field-error" }, `${count(waiting())} verdicts are not stored yet. They will not count until they are.`) : null,
      error ? h("p", { class: "field-error", role: "alert" }, error) : null,
      canForce
        ? h("label", { class: "check" }, h("input", { type: "checkbox", onchange: (event) => (force = event.target.checked) }), "Load although most would be deleted")
        : null,
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { type: "button", class: "button", onclick: dialog.close }, "Not yet"),
        h("button", { type: "button", class: "button primary", data: { first: "" }, onclick: run }, "Load"),
      ),
    );
    // Where changes are open, Enter must not load them unseen: the choice about them comes first.
    dialog.body.querySelector("input[type=radio]:checked, [data-first]").focus();
  }

  async function run() {
    running = true;
    const bar = h("progress", { "aria-label": "Progress of the load" });
    const text = h("p", { role: "status" }, "Planning again from what the tool has now…");
    replace(dialog.body, text, bar);
    try {
      let answer = await source.load(undecided.value, force);
      while (answer.state === "running") {
        await new Promise((wake) => setTimeout(wake, EVERY));
        answer = await source.loadState();
        if (answer.total) {
          bar.max = answer.total;
          bar.value = answer.done;
          text.textContent = `${count(answer.done)} of ${count(answer.total)}`;
        }
      }
      if (answer.state === "failed") choose(answer.error, answer.can_force);
      else report(answer);
    } catch (error) {
      choose(error.message);
    }
  }

  function report(answer) {
    replace(
      dialog.body,
      h("p", { class: "success", role: "status" }, "Loaded."),
      h("pre", { class: "report", tabIndex: 0, "aria-label": "Report" }, answer.lines.join("\n")),
      h("div", { class: "dialog-actions" }, h("button", { type: "button", class: "button primary", data: { first: "" }, onclick: dialog.close }, "Close")),
    );
    dialog.body.querySelector("[data-first]").focus();
    running = false;
    loaded = true;
  }

  choose();
}

function numberItem(number, text) {
  return h("li", null, h("b", null, count(number)), ` ${text}`);
}

function openChoice(numbers, undecided) {
  const option = (value, text) =>
    h(
      "label",
      { class: "check" },
      h("input", { type: "radio", name: "undecided", value, checked: undecided.value === value, onchange: () => (undecided.value = value) }),
      text,
    );
  return h(
    "fieldset",
    null,
    h("legend", null, `The ${count(numbers.open)} that nobody decided about`),
    option("take", `are taken as proposed${numbers.disputed ? `, but for ${count(numbers.disputed)} that annotators dispute` : ""}`),
    option("leave", "are left for later"),
  );
}
