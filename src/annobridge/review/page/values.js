// Values of components as text: JSON for people.

const LONGEST_TEXT = 400; // characters of a value in a table
const HIDDEN = new Set(["kind", "frame_number", "mask", "points", "visibility", "closed", "filled", "bounding_box", "attributes", "label"]);
const NAMES = { frame_number: "frame", index: "track" };

/** The text of a component's value, or null where it is absent. `size` is that of the picture in pixels, where it is known. */
export function valueText(component, json, size) {
  if (json === null || json === undefined) return null;
  const value = JSON.parse(json);
  if (component === "spatial") return cut(shapeText(value, size));
  if (component === "existence") return cut(wholeText(value, size));
  return cut(plainText(value));
}

/** A JSON value without quotes around strings. */
export function plainText(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function cut(text) {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT - 1)}…` : text;
}

function shapeText(value, size) {
  const parts = [value.kind ?? "shape"];
  const box = value.bounding_box ?? value.box;
  if (box) parts.push(boxText(box, size));
  if (value.rotation) parts.push(`turned ${Number(value.rotation.toFixed(1))}°`);
  if (value.points) parts.push(pointsText(value.points));
  if (value.visibility) parts.push(`${value.visibility.filter((one) => one === 2).length} visible`);
  if (value.frame_number !== undefined && value.frame_number !== null) parts.push(`frame ${value.frame_number}`);
  return parts.join(" · ");
}

function wholeText(value, size) {
  const parts = [];
  if (value.label) parts.push(value.label);
  if (["box", "mask", "ellipse", "polygon", "polyline", "keypoints", "skeleton", "cuboid", "segmentation"].includes(value.kind)) {
    parts.push(shapeText(value, size));
  }
  for (const [name, one] of Object.entries(value.attributes ?? {})) parts.push(`${name} = ${plainText(one)}`);
  for (const [name, one] of Object.entries(value)) {
    if (!HIDDEN.has(name) && name !== "rotation" && one !== null) parts.push(`${NAMES[name] ?? name} ${plainText(one)}`);
  }
  return parts.join(" · ") || JSON.stringify(value);
}

function boxText(box, size) {
  const [width, height] = size ?? [null, null];
  if (!width || !height) return box.map((one) => one.toFixed(3)).join(", ");
  const [x, y, across, down] = [box[0] * width, box[1] * height, box[2] * width, box[3] * height].map((one) => Math.round(one));
  return `${across} × ${down} px at ${x}, ${y}`;
}

function pointsText(points) {
  const number = points.reduce((sum, part) => sum + part.length, 0);
  return points.length > 1 ? `${number} points in ${points.length} parts` : `${number} points`;
}

/** What a reviewer typed as JSON text, in the type that the component has; throws an Error with a sentence. */
export function readValue(text, examples) {
  const known = examples.filter((json) => json !== null && json !== undefined).map((json) => JSON.parse(json));
  const kinds = new Set(known.map((value) => (value === null || typeof value === "object" ? "json" : typeof value)));
  const kind = kinds.size === 1 ? [...kinds][0] : "string";
  const trimmed = text.trim();
  if (!trimmed) throw new Error("A value is needed. To leave everything as it is, press Escape.");
  if (kind === "string") return JSON.stringify(trimmed);
  if (kind === "boolean") {
    if (trimmed !== "true" && trimmed !== "false") throw new Error(`“${trimmed}” is neither true nor false.`);
    return trimmed;
  }
  if (kind === "number") {
    if (!Number.isFinite(Number(trimmed))) throw new Error(`“${trimmed}” is not a number.`);
    return JSON.stringify(Number(trimmed));
  }
  try {
    return JSON.stringify(JSON.parse(trimmed));
  } catch {
    throw new Error(`“${trimmed}” is not JSON.`);
  }
}

/** A time as people write it: 2026-11-28 14:05. */
export function timeText(iso) {
  return iso ? iso.slice(0, 16).replace("T", " ") : "";
}

/** Two texts in three parts each: the words they share at the start, what differs, and the words they share at the end. */
export function splitDifference(before, after) {
  const words = [before, after].map((text) => text.split(/(?<=\s)/));
  const most = Math.min(words[0].length, words[1].length);
  let start = 0;
  while (start < most && words[0][start] === words[1][start]) start += 1;
  let end = 0;
  while (end < most - start && words[0].at(-1 - end) === words[1].at(-1 - end)) end += 1;
  return words.map((all) => [all.slice(0, start), all.slice(start, all.length - end), all.slice(all.length - end)].map((part) => part.join("")));
}
