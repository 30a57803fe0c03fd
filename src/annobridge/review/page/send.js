// What leaves the page besides verdicts: refused changes for the annotators, and a file of decisions.

import { h, replace } from "./dom.js";
import { openDialog } from "./dialogs.js";
import { count } from "./plan.js";

const COLUMNS = ["run_id", "change_id", "verdict", "value", "by", "at", "note", "rule", "bound_to"];

/** The dialog that sends refused changes back to the annotators. */
export function openSendBack({ source, changes, ledger }) {
  const refused = [...ledger.refused()];
  const note = h("textarea", { class: "field", rows: 3, id: "send-note", data: { first: "" } });
  const trouble = h("p", { class: "field-error", role: "alert" });
  const send = h("button", { type: "button", class: "button primary", onclick: go, disabled: !refused.length }, `Send ${count(refused.length)} back`);
  const dialog = openDialog("Send refused changes back", [
    h("p", null, refused.length
      ? `${count(refused.length)} refused ${refused.length === 1 ? "change goes" : "changes go"} to the annotators, with the notes of the changes.`
      : "Nothing was refused in this review."),
    h("label", { for: "send-note" }, "Note for all of them"),
    note,
    trouble,
    h("div", { class: "dialog-actions" }, h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Not yet"), send),
  ]);

  async function go() {
    send.disabled = true;
    trouble.textContent = "";
    try {
      const answer = await source.sendBack(refused.map((i) => changes.id[i]), note.value.trim());
      replace(
        dialog.body,
        h("p", { class: "success", role: "status" }, `${count(answer.sent)} sent back.`),
        h("pre", { class: "report", tabIndex: 0, "aria-label": "Result" }, answer.text),
        h("div", { class: "dialog-actions" }, h("button", { type: "button", class: "button primary", onclick: () => dialog.close() }, "Close")),
      );
      dialog.body.querySelector("button").focus();
    } catch (error) {
      trouble.textContent = error.message;
      send.disabled = false;
    }
  }
}

/** The decisions as JSON lines, the oldest first. */
export function decisionLines(runId, records) {
  return records.map((record) => `${JSON.stringify(Object.fromEntries(COLUMNS.map((name) => [name, name === "run_id" ? runId : (record[name] ?? null)])))}\n`).join("");
}

/** Let the browser save a text as a file. */
export function saveFile(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/jsonl" }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
