// The panel beside the picture: what the change is, what was decided, and the buttons to decide.

import { h, icon, replace } from "./dom.js";
import { GROUPS, NO_CHANGES, count, classText, componentText, summary, isConflict } from "./plan.js";
import { verdictFor } from "./ledger.js";
import { siblings, diffTable, whoTable, conflictPanel, choiceButton } from "./diff.js";
import { plainText, readValue, timeText } from "./values.js";

const WORDS = { accept: "Accepted", refuse: "Refused", ours: "Ours taken", theirs: "Theirs taken", base: "Base taken", both: "Both kept", value: "Set to" };

/** The panel. `actions` are {accept, refuse, answer, answerAlike, setValue, setNote, withdraw, go}. */
export function createDetails({ store, changes, ledger, actions }) {
  const { state } = store;
  const body = h("div", { class: "details-body" });
  const element = h("aside", { class: "details", "aria-label": "The change", tabIndex: -1 }, body);
  let editing = null; // "note" or "value"

  function render() {
    const i = state.cursor;
    if (i < 0) {
      replace(body, changes.total ? nothingShown(actions.elsewhere()) : h("p", { class: "empty" }, NO_CHANGES));
      return;
    }
    const group = GROUPS.find((one) => one.name === changes.group[i]);
    replace(
      body,
      h("p", { class: "eyebrow" }, h("span", { class: `kind kind-${changes.group[i].replace(" ", "-")}` }, icon(group?.icon ?? "all")), group?.one ?? changes.group[i]),
      h("h2", { class: "details-title" }, classText(changes, i)),
      h("p", { class: "details-summary" }, summary(changes, i)),
      verdictLine(ledger, i),
      isConflict(changes, i) ? conflictPanel(changes, ledger, i, actions.answer, actions.answerAlike) : decideButtons(i),
      changes.choices[i].includes("value") ? valueField(i) : null,
      changes.why[i] ? h("p", { class: "why" }, h("b", null, isConflict(changes, i) ? "Proposal: " : "Why: "), changes.why[i]) : null,
      isConflict(changes, i) && siblings(changes, i).length === 1 ? null : diffTable(changes, i, actions.go),
      whoTable(changes, i),
      placeList(i),
      noteField(i),
    );
    const field = body.querySelector("[data-editing]");
    field?.focus();
    if (editing === "value") field.select();
  }

  function decideButtons(i) {
    const [yes, no] = [verdictFor(changes, i, true), verdictFor(changes, i, false)];
    return h(
      "div",
      { class: "decide" },
      yes ? choiceButton(changes, ledger, i, yes, "Accept", "a", actions.accept, "accept") : null,
      no ? choiceButton(changes, ledger, i, no, "Refuse", "r", actions.refuse, "refuse") : null,
    );
  }

  function valueField(i) {
    const name = componentText(changes.component[i]);
    if (editing !== "value") {
      return h("button", { type: "button", class: "button quiet", onclick: () => edit("value") }, icon("pen"), `Another ${name === "class" ? "class" : "value"}…`, h("kbd", { "aria-hidden": "true" }, "e"));
    }
    const now = ledger.verdict(i) === "value" ? ledger.record(i).value : (changes.theirs[i] ?? changes.ours[i] ?? changes.base[i]);
    const trouble = h("p", { class: "field-error", role: "alert" });
    const input = h("input", {
      type: "text",
      class: "field",
      "aria-label": `New ${name}`,
      list: name === "class" ? "classes" : null,
      value: now === null ? "" : plainText(JSON.parse(now)),
      data: { editing: "value" },
    });
    function save(event) {
      event.preventDefault();
      try {
        const value = readValue(input.value, ["base", "ours", "theirs"].map((side) => changes[side][i]));
        editing = null;
        actions.setValue(i, value);
      } catch (error) {
        trouble.textContent = error.message;
      }
    }
    return h(
      "form",
      { class: "value-form", onsubmit: save, onkeydown: stopOnEscape },
      h("div", { class: "field-row" }, input, h("button", { type: "submit", class: "button" }, "Set")),
      trouble,
    );
  }

  function noteField(i) {
    const note = ledger.note(i);
    if (editing !== "note") {
      return h(
        "div",
        { class: "note" },
        note ? h("p", { class: "note-text" }, note) : null,
        h("button", { type: "button", class: "button quiet", onclick: () => edit("note") }, icon("pen"), note ? "Change the note" : "Write a note", h("kbd", { "aria-hidden": "true" }, "n")),
      );
    }
    const area = h("textarea", { class: "field", rows: 3, "aria-label": "Note", data: { editing: "note" }, value: note });
    function save(event) {
      event?.preventDefault();
      editing = null;
      actions.setNote(i, area.value.trim());
    }
    function key(event) {
      if (event.key === "Enter" && !event.shiftKey) save(event);
      else stopOnEscape(event);
    }
    return h(
      "form",
      { class: "note", onsubmit: save, onkeydown: key },
      area,
      h("div", { class: "field-row" }, h("button", { type: "submit", class: "button" }, "Keep the note"), h("span", { class: "hint" }, "Enter keeps it, Escape does not")),
    );
  }

  function stopOnEscape(event) {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    edit(null);
    actions.focusList();
  }

  function placeList(i) {
    const sample = changes.samples[changes.sample[i]];
    const rows = [
      ["File", sample.name],
      ["Field", changes.field[i]],
      ["Label", changes.label_id[i]],
      changes.index[i] === null ? null : ["Track", String(changes.index[i])],
      changes.frame[i] === null ? null : ["Frame", String(changes.frame[i])],
      changes.iou[i] === null ? null : ["IoU", changes.iou[i].toFixed(3)],
      changes.shift[i] >= 0.05 ? ["Moved", `${changes.shift[i].toFixed(1)} px`] : null,
    ];
    return h("dl", { class: "place" }, rows.filter(Boolean).map(([name, text]) => [h("dt", null, name), h("dd", null, text)]));
  }

  function edit(what) {
    if (what === "value" && (state.cursor < 0 || !changes.choices[state.cursor].includes("value"))) return false;
    editing = state.cursor < 0 ? null : what;
    render();
    return editing !== null;
  }

  store.watch(["cursor"], () => {
    editing = null;
    element.scrollTop = 0;
  });
  store.watch(["cursor", "version", "filter"], () => {
    if (editing === null) render();
  });

  function verdictLine() {
    const i = state.cursor;
    const record = ledger.record(i);
    if (ledger.state(i) === "stale") {
      return h("p", { class: "verdict stale" }, icon("alert"), `Stale: ${record.by ?? "somebody"} decided “${record.verdict}” about something else. Decide again.`);
    }
    const verdict = ledger.verdict(i);
    if (verdict === null) return null;
    const outcome = ledger.outcome(i);
    const word = verdict === "value" ? `${WORDS.value} ${plainText(JSON.parse(record.value))}` : WORDS[verdict];
    const before = record.recorded ? " in an earlier load" : "";
    return h(
      "div",
      { class: `verdict ${outcome}` },
      icon(outcome === "accepted" ? "check" : outcome === "refused" ? "cross" : "fork"),
      h("span", null, h("b", null, word), before, ` by ${record.by || "somebody"}`, record.at ? h("time", { datetime: record.at }, ` ${timeText(record.at)}`) : null,
        record.rule ? h("span", { class: "rule" }, `by rule: ${record.rule}`) : null),
      h("button", { type: "button", class: "link", onclick: actions.withdraw }, "Withdraw"),
    );
  }

  return { element, edit };
}

function nothingShown({ number, show, clear }) {
  return h(
    "div",
    { class: "empty" },
    h("p", null, "Nothing matches the filter."),
    number
      ? h("button", { type: "button", class: "button", onclick: show }, `Look in all groups: ${count(number)}`)
      : h("button", { type: "button", class: "button", onclick: clear }, "Clear the filter"),
  );
}
