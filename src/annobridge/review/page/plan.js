// The plan as the page sees it: columns of changes, their order by risk, and what belongs together.

/** The groups of changes, the riskiest first. */
export const GROUPS = [
  { name: "conflict", title: "Conflicts", one: "Conflict", icon: "fork" },
  { name: "dispute", title: "Disputed", one: "Disputed by the annotators", icon: "fork" },
  { name: "deletion", title: "Deletions", one: "Deletion", icon: "minus" },
  { name: "class change", title: "Class changes", one: "Class change", icon: "letter" },
  { name: "large move", title: "Large moves", one: "Large move", icon: "move" },
  { name: "attribute change", title: "Attribute changes", one: "Attribute change", icon: "list" },
  { name: "addition", title: "Additions", one: "Addition", icon: "plus" },
  { name: "small move", title: "Small moves", one: "Small move", icon: "nudge" },
];

/** What is said of a plan without changes. */
export const NO_CHANGES = "This plan has no changes.";

/** What the changes of a group may be divided by. */
export const GROUPINGS = [
  { name: "class", title: "class" },
  { name: "annotator", title: "annotator" },
  { name: "field", title: "field" },
  { name: "size", title: "size of move" },
];

const SIZES = ["IoU below 0.5", "IoU 0.5 to 0.8", "IoU 0.8 to 0.95", "IoU 0.95 and more", "not moved"];
const NUMBERS = new Intl.NumberFormat("en");

/** A whole number with separators: 4,120. */
export function count(number) {
  return NUMBERS.format(number);
}

/** The changes of a plan, with what is computed of them once. */
export function readChanges(plan) {
  const columns = plan.changes;
  const total = columns.id.length;
  const position = new Map(columns.id.map((id, i) => [id, i]));
  const rank = new Map(GROUPS.map((group, i) => [group.name, i]));
  const ranks = columns.group.map((name) => rank.get(name) ?? GROUPS.length);
  const order = Int32Array.from({ length: total }, (_, i) => i);
  order.sort(
    (a, b) =>
      ranks[a] - ranks[b] || columns.sample[a] - columns.sample[b] || (columns.frame[a] ?? 0) - (columns.frame[b] ?? 0) || a - b,
  );
  return { ...columns, total, position, order, samples: plan.samples };
}

/** "car → truck", or "car" where the class stays. */
export function classText(changes, i) {
  const from = changes.from[i];
  const to = changes.to[i];
  if (from !== null && to !== null && from !== to) return `${isolated(from)} → ${isolated(to)}`;
  return changes.label[i] ?? to ?? from ?? "no class";
}

/** A name, set apart if it is written from right to left: beside another one it would change places with it. */
function isolated(name) {
  return /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/.test(name) ? `\u2068${name}\u2069` : name;
}

/** What a change belongs to when its group is divided by `grouping`. */
export function partOf(changes, i, grouping) {
  if (grouping === "annotator") return changes.their_by[i] ?? "not known";
  if (grouping === "field") return changes.field[i];
  if (grouping === "size") return sizeOf(changes.iou[i]);
  return classText(changes, i);
}

function sizeOf(iou) {
  if (iou === null || iou === undefined) return SIZES[4];
  return SIZES[[0.5, 0.8, 0.95].filter((limit) => iou >= limit).length];
}

/** Compare two parts: sizes from the largest move on, other names as people sort them. */
export function compareParts(a, b) {
  const places = [SIZES.indexOf(a), SIZES.indexOf(b)];
  return places[0] >= 0 && places[1] >= 0 ? places[0] - places[1] : a.localeCompare(b, "en", { numeric: true });
}

/** Whether a change is a conflict. */
export function isConflict(changes, i) {
  return changes.group[i] === "conflict";
}

/** The component in words. */
export function componentText(component) {
  if (component === "existence") return "label";
  if (component === "label") return "class";
  if (component === "spatial") return "shape";
  if (component === "index") return "track";
  return component.replace(/^attributes\./, "");
}

/** One line that says what happened. */
export function summary(changes, i) {
  const component = componentText(changes.component[i]);
  const kind = changes.kind[i];
  if (isConflict(changes, i)) return changes.component[i] === "existence" ? conflictText(kind) : `${component}: changed on both sides`;
  if (kind === "add") return "added in the tool";
  if (kind === "delete") return "deleted in the tool";
  if (changes.component[i] === "spatial") return moveText(changes, i);
  if (changes.component[i] === "label") return "class changed";
  return `${component}: ${short(changes.ours[i] ?? changes.base[i])} → ${short(changes.theirs[i])}`;
}

function conflictText(kind) {
  if (kind === "add/add") return "added on both sides";
  if (kind === "edit/delete") return "edited in the tool, deleted here";
  if (kind === "delete/edit") return "deleted in the tool, edited here";
  return "edited on both sides";
}

function moveText(changes, i) {
  const parts = [];
  if (changes.shift[i] >= 0.05) parts.push(`moved ${changes.shift[i].toFixed(changes.shift[i] < 10 ? 1 : 0)} px`);
  if (changes.iou[i] !== null) parts.push(`IoU ${changes.iou[i].toFixed(2)}`);
  return parts.join(" · ") || "shape changed";
}

function short(text) {
  if (text === null || text === undefined) return "none";
  const plain = text.startsWith('"') ? JSON.parse(text) : text;
  return plain.length > 24 ? `${plain.slice(0, 23)}…` : plain;
}

/** The part of the picture that a change is about, relative: the union of its boxes; null where it has no place. */
export function extent(changes, i) {
  const boxes = [changes.base_box[i], changes.ours_box[i], changes.theirs_box[i]].filter(Boolean);
  if (!boxes.length) return null;
  const left = Math.min(...boxes.map((box) => box[0]));
  const top = Math.min(...boxes.map((box) => box[1]));
  const right = Math.max(...boxes.map((box) => box[0] + box[2]));
  const bottom = Math.max(...boxes.map((box) => box[1] + box[3]));
  return [left, top, right - left, bottom - top];
}

/** Whether a change is of the same track, or the same label, as another on the same sample. */
export function sameTrack(changes, i, label) {
  if (label.field !== changes.field[i]) return false;
  return changes.index[i] !== null ? label.index === changes.index[i] : label.label_id === changes.label_id[i];
}

/** The changes that ask the same question: group, component, kind, and classes from and to. */
export function similar(changes, i) {
  const alike = ["group", "component", "kind", "from", "to"];
  return changes.order.filter((j) => alike.every((name) => changes[name][i] === changes[name][j]));
}

/** In words what `similar` looks at, for the rule of the decisions. */
export function similarText(changes, i) {
  return `${changes.group[i]}, ${changes.kind[i]}, ${componentText(changes.component[i])}, class ${classText(changes, i)}`;
}
