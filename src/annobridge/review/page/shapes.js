// Labels as paths. Positions are relative; paths are in pixels of the picture, where a turn is a turn.

const CUBOID_EDGES = [0, 2, 4, 6].flatMap((upper, place, all) => {
  const next = all[(place + 1) % 4];
  return [
    [upper, upper + 1],
    [upper, next],
    [upper + 1, next + 1],
  ];
});

/** What to draw of a label: {path, filled, dots}; dots are {x, y, hidden, number}. Masks have no path. */
export function outline(label, width, height) {
  const nothing = { path: "", filled: false, dots: [] };
  const points = label.points;
  if (label.shape === "mask" || label.shape === "segmentation") return nothing;
  if (label.shape === "ellipse") return { ...nothing, path: ellipsePath(label, width, height), filled: true };
  if (label.shape === "keypoints" || label.shape === "skeleton") {
    return { ...nothing, path: edgesPath(points?.[0] ?? [], label.edges ?? [], width, height), dots: dotsOf(label, width, height) };
  }
  if (label.shape === "cuboid" && points) return { ...nothing, path: edgesPath(points[0], CUBOID_EDGES, width, height) };
  if (points && points.length) {
    const closed = label.closed || label.filled;
    return { ...nothing, path: points.map((part) => partPath(part, closed, width, height)).join(""), filled: Boolean(label.filled) };
  }
  if (label.box) return { ...nothing, path: partPath(corners(label, width, height), true, 1, 1), filled: true };
  return nothing;
}

/** The corners of a box in pixels, turned clockwise about its centre. */
function corners(label, width, height) {
  const [x, y, across, down] = label.box;
  const [left, top, right, bottom] = [x * width, y * height, (x + across) * width, (y + down) * height];
  const turn = ((label.rotation ?? 0) * Math.PI) / 180;
  const [middleX, middleY] = [(left + right) / 2, (top + bottom) / 2];
  return [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ].map(([px, py]) => [
    middleX + (px - middleX) * Math.cos(turn) - (py - middleY) * Math.sin(turn),
    middleY + (px - middleX) * Math.sin(turn) + (py - middleY) * Math.cos(turn),
  ]);
}

function ellipsePath(label, width, height) {
  if (!label.box) return "";
  const [x, y, across, down] = label.box;
  const radius = [(across * width) / 2, (down * height) / 2];
  const middle = [(x + across / 2) * width, (y + down / 2) * height];
  const turn = ((label.rotation ?? 0) * Math.PI) / 180;
  const end = [radius[0] * Math.cos(turn), radius[0] * Math.sin(turn)];
  const arc = `A${number(radius[0])} ${number(radius[1])} ${number(label.rotation ?? 0)} 0 1 `;
  const [first, second] = [-1, 1].map((side) => `${number(middle[0] + side * end[0])} ${number(middle[1] + side * end[1])}`);
  return `M${first}${arc}${second}${arc}${first}Z`;
}

function partPath(part, closed, width, height) {
  const steps = part.filter(isPlace).map(([x, y], i) => `${i ? "L" : "M"}${number(x * width)} ${number(y * height)}`);
  return steps.join("") + (closed && steps.length ? "Z" : "");
}

function edgesPath(points, edges, width, height) {
  return edges
    .filter(([from, to]) => isPlace(points[from]) && isPlace(points[to]))
    .map(([from, to]) => partPath([points[from], points[to]], false, width, height))
    .join("");
}

function dotsOf(label, width, height) {
  const dots = [];
  (label.points?.[0] ?? []).forEach((point, i) => {
    if (!isPlace(point) || label.visibility?.[i] === 0) return;
    dots.push({ x: point[0] * width, y: point[1] * height, hidden: label.visibility?.[i] === 1, number: i + 1 });
  });
  return dots;
}

function isPlace(point) {
  return Boolean(point) && Number.isFinite(point[0]) && Number.isFinite(point[1]);
}

function number(value) {
  return Number(value.toFixed(2));
}

/** Where a label is, relative: [left, top, right, bottom]; null where it has no place. */
export function bounds(label, width, height) {
  let points = null;
  if (label.mask) {
    const [x, y, across, down] = label.mask.box;
    return [x, y, x + across, y + down];
  }
  if (label.points && label.points.length) points = label.points.flat().filter(isPlace);
  else if (label.box) points = corners(label, width, height).map(([x, y]) => [x / width, y / height]);
  if (!points || !points.length) return null;
  const [xs, ys] = [points.map((point) => point[0]), points.map((point) => point[1])];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}
