// What each key does. The help dialog lists the same table.

/** Actions by key: [action, keys as shown, what it does, part of the page]. */
export const KEYS = [
  ["next", "j ↓", "next change", "Go"],
  ["previous", "k ↑", "previous change", "Go"],
  ["first", "Home", "first change shown", "Go"],
  ["last", "End", "last change shown", "Go"],
  ["accept", "a", "accept and go on (in a conflict: theirs)", "Decide"],
  ["refuse", "r", "refuse and go on (in a conflict: ours)", "Decide"],
  ["base", "1", "conflict: as it was before", "Decide"],
  ["ours", "2", "conflict: what is here", "Decide"],
  ["theirs", "3", "conflict: what is in the tool", "Decide"],
  ["both", "4", "conflict: keep both", "Decide"],
  ["alike", "Shift 1…4", "the same answer for all conflicts like this", "Decide"],
  ["value", "e", "another class or value", "Decide"],
  ["note", "n", "write a note", "Decide"],
  ["withdraw", "w", "withdraw the verdict", "Decide"],
  ["undo", "u", "undo the last step, without limit", "Decide"],
  ["select", "x", "select, or no longer", "Many at once"],
  ["acceptMany", "A", "accept the selected, or all that are shown", "Many at once"],
  ["refuseMany", "R", "refuse the selected, or all that are shown", "Many at once"],
  ["escape", "Esc", "clear the selection; leave a field", "Many at once"],
  ["blink", "Space", "held: only what was before", "Look"],
  ["twoUp", "d", "before and after side by side", "Look"],
  ["onion", "o", "fade between before and after", "Look"],
  ["neighbours", "h", "hide or show the other labels", "Look"],
  ["crop", "z", "zoom to the change", "Look"],
  ["fit", "0", "the whole picture", "Look"],
  ["zoomIn", "+", "zoom in", "Look"],
  ["zoomOut", "−", "zoom out", "Look"],
  ["panLeft", "Shift ←↑→↓", "move the picture", "Look"],
  ["frameBack", ",", "frame before", "Look"],
  ["frameOn", ".", "frame after", "Look"],
  ["search", "/", "search", "Find"],
  ["filter", "f", "filter", "Find"],
  ["grouping", "g", "divide the groups by something else", "Find"],
  ["load", "l", "load into the dataset", "Finish"],
  ["sendBack", "s", "send the refused back", "Finish"],
  ["help", "?", "this list", "Finish"],
];

const ACTIONS = {
  j: "next",
  ArrowDown: "next",
  k: "previous",
  ArrowUp: "previous",
  Home: "first",
  End: "last",
  a: "accept",
  r: "refuse",
  A: "acceptMany",
  R: "refuseMany",
  1: "base",
  2: "ours",
  3: "theirs",
  4: "both",
  e: "value",
  n: "note",
  w: "withdraw",
  u: "undo",
  x: "select",
  Escape: "escape",
  " ": "blink",
  d: "twoUp",
  o: "onion",
  h: "neighbours",
  z: "crop",
  0: "fit",
  "+": "zoomIn",
  "=": "zoomIn",
  "-": "zoomOut",
  "−": "zoomOut",
  ",": "frameBack",
  ".": "frameOn",
  "/": "search",
  f: "filter",
  g: "grouping",
  l: "load",
  s: "sendBack",
  "?": "help",
};
const PANS = { ArrowLeft: "panLeft", ArrowRight: "panRight", ArrowUp: "panUp", ArrowDown: "panDown" };
const ALIKE = { Digit1: "base", Digit2: "ours", Digit3: "theirs", Digit4: "both" };

/** Whether a key is typed into something that has its own use for it. */
function isTaken(event) {
  const target = event.target;
  if (!(target instanceof Element)) return false;
  if (target.matches("textarea, select, input:not([type=checkbox]):not([type=range])")) return event.key !== "Escape";
  if (target.matches("input[type=range]")) return !event.shiftKey && /^(Arrow|Home|End|Page)/.test(event.key);
  return target.matches("button, input[type=checkbox], a, summary") && (event.key === " " || event.key === "Enter");
}

/** The key, where a capital letter needs Shift: Caps Lock must not decide for many at once. */
function letterOf(event) {
  if (!/^[a-z]$/i.test(event.key)) return event.key;
  return event.shiftKey ? event.key.toUpperCase() : event.key.toLowerCase();
}

/** The action of a key, or null: {name, side} where `side` is the answer for all alike. */
export function keyAction(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTaken(event)) return null;
  if (document.querySelector("dialog[open]")) return null;
  if (event.shiftKey && ALIKE[event.code]) return { name: "alike", side: ALIKE[event.code] };
  if (event.shiftKey && PANS[event.key]) return { name: PANS[event.key] };
  const key = letterOf(event);
  const name = Object.hasOwn(ACTIONS, key) ? ACTIONS[key] : null;
  return name ? { name } : null;
}
