// What changed, in words: a table of components, and for conflicts three columns.

import { h, icon } from "./dom.js";
import { componentText, isConflict, similar, count } from "./plan.js";
import { valueText, timeText, splitDifference } from "./values.js";

const SIDES = [
  ["base", "Base", "as it was before"],
  ["ours", "Ours", "here"],
  ["theirs", "Theirs", "in the tool"],
];
const ANSWERS = [
  ["base", "1"],
  ["ours", "2"],
  ["theirs", "3"],
  ["both", "4"],
];

/** The size of a change's picture in pixels, or null. */
function pictureSize(changes, i) {
  const sample = changes.samples[changes.sample[i]];
  return sample.width && sample.height ? [sample.width, sample.height] : null;
}

/** The changes of the same label on the same frame, in the order of their components. */
export function siblings(changes, i) {
  const place = ["sample", "field", "label_id", "frame"];
  const found = [];
  for (let j = 0; j < changes.total; j += 1) if (place.every((name) => changes[name][j] === changes[name][i])) found.push(j);
  return found;
}

/** The table of what changed of the label. `go(j)` moves to another change of the same label. */
export function diffTable(changes, i, go) {
  return h(
    "table",
    { class: "diff" },
    h("caption", { class: "unseen" }, "What changed"),
    h("thead", null, h("tr", null, ["Part", "Before", "Here", "In the tool"].map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", null, siblings(changes, i).map((j) => diffRow(changes, j, j === i, go))),
  );
}

function diffRow(changes, j, current, go) {
  const name = componentText(changes.component[j]);
  const size = pictureSize(changes, j);
  const [base, ours, theirs] = SIDES.map(([side]) => valueText(changes.component[j], changes[side][j], size));
  const heading = current ? name : h("button", { type: "button", class: "link", onclick: () => go(j) }, name);
  const isText = changes.component[j] !== "spatial" && changes.component[j] !== "existence";
  const differs = isText && ours !== null && theirs !== null && ours !== theirs ? splitDifference(ours, theirs) : null;
  return h(
    "tr",
    { class: current ? "current" : null },
    h("th", { scope: "row" }, heading),
    h("td", null, base ?? nothing()),
    h("td", { class: "was" }, differs ? marked(differs[0], "del") : (ours ?? nothing())),
    h("td", { class: "now" }, differs ? marked(differs[1], "ins") : (theirs ?? nothing())),
  );
}

function marked([start, middle, end], tag) {
  return [start, middle ? h(tag, null, middle) : null, end];
}

function nothing() {
  return h("span", { class: "nothing" }, "none");
}

/** Who changed it and when, on both sides. */
export function whoTable(changes, i) {
  const rows = [
    ["In the tool", changes.their_by[i], changes.their_at[i]],
    ["Here", changes.our_by[i], changes.our_at[i]],
  ].filter(([, by, at]) => by || at);
  if (!rows.length) return null;
  return h("dl", { class: "who" }, rows.map(([where, by, at]) => [h("dt", null, where), h("dd", null, by ?? "not known", at ? h("time", { datetime: at }, timeText(at)) : null)]));
}

/** A conflict as three columns with its answers. `answer(verdict)` gives one, `answerAlike(verdict, numbers)` the same to many. */
export function conflictPanel(changes, ledger, i, answer, answerAlike) {
  const alike = similar(changes, i).filter((j) => j === i || ledger.verdict(j) === null);
  const legal = ANSWERS.filter(([verdict]) => changes.choices[i].includes(verdict));
  return h(
    "div",
    { class: "conflict" },
    h("div", { class: "conflict-sides" }, SIDES.map((side) => sideColumn(changes, ledger, i, side, answer))),
    changes.choices[i].includes("both")
      ? choiceButton(changes, ledger, i, "both", "Keep both", "4", () => answer("both"))
      : null,
    alike.length > 1
      ? h(
          "div",
          { class: "alike", role: "group", "aria-label": "The same answer for all like this" },
          h("p", null, `Same answer for the ${count(alike.length)} like this:`),
          h(
            "div",
            { class: "alike-buttons" },
            legal.map(([verdict, key]) =>
              h("button", { type: "button", class: "button small", data: { alike: verdict }, onclick: () => answerAlike(verdict, alike) }, `${count(alike.length)} × ${verdict}`, h("kbd", { "aria-hidden": "true" }, `⇧${key}`)),
            ),
          ),
        )
      : null,
  );
}

function sideColumn(changes, ledger, i, [side, title, where], answer) {
  const by = { ours: changes.our_by[i], theirs: changes.their_by[i], base: null }[side];
  const at = { ours: changes.our_at[i], theirs: changes.their_at[i], base: null }[side];
  const value = valueText(changes.component[i], changes[side][i], pictureSize(changes, i));
  const key = ANSWERS.find(([verdict]) => verdict === side)[1];
  return h(
    "section",
    { class: `side side-${side}${isProposed(changes, i, side) ? " proposed" : ""}` },
    h("h3", null, title, h("small", null, where)),
    h("p", { class: "side-value" }, value ?? nothing()),
    h("p", { class: "side-who" }, by ?? "", at ? h("time", { datetime: at }, timeText(at)) : null),
    changes.choices[i].includes(side) ? choiceButton(changes, ledger, i, side, `Take ${side}`, key, () => answer(side)) : null,
  );
}

function isProposed(changes, i, verdict) {
  const proposal = changes.proposal[i] === "accept" ? "theirs" : changes.proposal[i];
  return isConflict(changes, i) && proposal === verdict;
}

/** A button that gives a verdict; it says whether it is the verdict now, and whether it is proposed. */
export function choiceButton(changes, ledger, i, verdict, title, key, act, name = "") {
  const chosen = ledger.verdict(i) === verdict;
  const proposed = isProposed(changes, i, verdict);
  return h(
    "button",
    { type: "button", class: `button ${name}${chosen ? " chosen" : ""}`, "aria-pressed": String(chosen), data: { verdict }, onclick: act },
    chosen ? icon("check") : null,
    title,
    proposed ? h("span", { class: "badge" }, "proposed") : null,
    h("kbd", { "aria-hidden": "true" }, key),
  );
}
