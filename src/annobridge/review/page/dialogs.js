// Dialogs: the browser's own, so that focus stays inside and Escape closes them.

import { h, replace } from "./dom.js";
import { KEYS } from "./keys.js";

/** Open a dialog. Returns {close, element, body}; `mayClose` says whether its reader may close it now, `closed` is called afterwards. */
export function openDialog(title, content, { wide = false, mayClose = () => true, closed = () => {} } = {}) {
  const body = h("div", { class: "dialog-body" }, content);
  const close = h("button", { type: "button", class: "button quiet icon-only", "aria-label": "Close", onclick: leave }, "✕");
  const element = h("dialog", { class: wide ? "wide" : null, "aria-labelledby": "dialog-title" }, h("header", null, h("h2", { id: "dialog-title" }, title), close), body);
  const back = document.activeElement;
  function leave() {
    if (mayClose()) element.close();
  }
  /** Chromium closes a dialog at the second Escape, whatever becomes of "cancel": the key itself is taken. */
  function takeEscape(event) {
    if (event.key !== "Escape") return;
    event.preventDefault();
    leave();
  }
  document.addEventListener("keydown", takeEscape, true);
  element.addEventListener("close", () => {
    document.removeEventListener("keydown", takeEscape, true);
    element.remove();
    closed();
    if (back instanceof HTMLElement && back.isConnected) back.focus();
  });
  element.addEventListener("click", (event) => {
    if (event.target === element) leave(); // the ground outside of it
  });
  document.body.append(element);
  element.showModal();
  body.querySelector("[data-first]")?.focus();
  return { element, body, close: () => element.close() };
}

/** Ask a question with some answers: a list of [title, act, class]; "Cancel" is added. */
export function askQuestion(title, text, answers) {
  const buttons = h("div", { class: "dialog-actions" });
  const dialog = openDialog(title, [h("p", null, text), buttons]);
  replace(
    buttons,
    h("button", { type: "button", class: "button", onclick: dialog.close }, "Cancel"),
    answers.map(([name, act, kind]) => h("button", { type: "button", class: `button ${kind ?? ""}`, onclick: () => (dialog.close(), act()) }, name)),
  );
  buttons.lastElementChild.focus();
}

/** The list of keys. */
export function showHelp() {
  const parts = [...new Set(KEYS.map(([, , , part]) => part))];
  openDialog(
    "Keys",
    h(
      "div",
      { class: "keys" },
      parts.map((part) =>
        h(
          "section",
          null,
          h("h3", null, part),
          h("dl", null, KEYS.filter((key) => key[3] === part).map(([, keys, text]) => [h("dt", null, keys.split(" ").map((key) => h("kbd", null, key))), h("dd", null, text)])),
        ),
      ),
    ),
    { wide: true },
  );
}
