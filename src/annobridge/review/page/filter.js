// Which changes are shown, and the filter in words.

import { classText, partOf, componentText } from "./plan.js";

/** A filter that lets everything through. */
export const EVERYTHING = { group: null, part: null, grouping: "class", state: "", class: "", annotator: "", field: "", component: "", text: "" };

/** The states that can be asked for. */
export const STATES = [
  ["", "any state"],
  ["open", "open"],
  ["decided", "decided"],
  ["accepted", "accepted"],
  ["refused", "refused"],
  ["stale", "stale"],
  ["recorded", "refused before"],
];

const PREFIXES = ["class", "file", "id", "note", "by", "field", "state"];

/** The numbers of the changes that a filter lets through, the riskiest first. */
export function applyFilter(changes, ledger, filter) {
  const words = splitWords(filter.text);
  return changes.order.filter((i) => passes(changes, ledger, filter, i) && words.every((word) => hasWord(changes, ledger, i, word)));
}

function passes(changes, ledger, filter, i) {
  if (filter.group !== null && changes.group[i] !== filter.group) return false;
  if (filter.part !== null && partOf(changes, i, filter.grouping) !== filter.part) return false;
  if (filter.state && !inState(ledger, i, filter.state)) return false;
  if (filter.class && changes.from[i] !== filter.class && changes.to[i] !== filter.class && changes.label[i] !== filter.class) return false;
  if (filter.annotator && changes.their_by[i] !== filter.annotator) return false;
  if (filter.field && changes.field[i] !== filter.field) return false;
  return !filter.component || changes.component[i] === filter.component;
}

function inState(ledger, i, state) {
  if (state === "accepted" || state === "refused") return ledger.outcome(i) === state;
  if (state === "open") return ledger.verdict(i) === null; // a stale one has to be decided again
  if (state === "decided") return ledger.verdict(i) !== null;
  return ledger.state(i) === state;
}

/** The words of a search; "…" keeps spaces, `class:car` looks in one place only. */
function splitWords(text) {
  return [...text.toLowerCase().matchAll(/([a-z]+:)?"([^"]*)"|(\S+)/g)].map(([, prefix, quoted, plain]) => {
    if (plain === undefined) return { place: prefix?.slice(0, -1) ?? null, word: quoted };
    const colon = plain.indexOf(":");
    const place = PREFIXES.includes(plain.slice(0, colon)) ? plain.slice(0, colon) : null;
    return { place, word: place ? plain.slice(colon + 1) : plain };
  });
}

function hasWord(changes, ledger, i, { place, word }) {
  if (place) return placeText(changes, ledger, i, place).toLowerCase().includes(word);
  return PREFIXES.slice(0, 6).some((name) => placeText(changes, ledger, i, name).toLowerCase().includes(word));
}

function placeText(changes, ledger, i, place) {
  if (place === "class") return classText(changes, i);
  if (place === "file") return changes.samples[changes.sample[i]].name;
  if (place === "id") return changes.label_id[i];
  if (place === "note") return ledger.note(i);
  if (place === "by") return changes.their_by[i] ?? "";
  if (place === "field") return changes.field[i];
  const outcome = ledger.outcome(i);
  return [ledger.state(i), outcome, ledger.record(i)?.recorded ? "refused before" : ""].join(" ");
}

/** The filter in words, as it is written into the decisions that were made by it. */
export function filterText(filter) {
  const parts = [];
  if (filter.group !== null) parts.push(filter.group);
  if (filter.part !== null) parts.push(`${filter.grouping} ${filter.part}`);
  if (filter.state) parts.push(`state ${STATES.find(([name]) => name === filter.state)[1]}`);
  if (filter.class) parts.push(`with class ${filter.class}`);
  if (filter.annotator) parts.push(`by ${filter.annotator}`);
  if (filter.field) parts.push(`in ${filter.field}`);
  if (filter.component) parts.push(`of ${componentText(filter.component)}`);
  if (filter.text.trim()) parts.push(`search ${JSON.stringify(filter.text.trim())}`);
  return parts.join(", ") || "all changes";
}

/** Whether anything is kept out. */
export function isFiltered(filter) {
  return filterText(filter) !== "all changes";
}
