// Masks as pictures: what stayed is tinted, what was added is striped, what was removed is dotted, and both have an outline.

import { h } from "./dom.js";

const LONGEST_SIDE = 640; // pixels of the drawing, whatever the size of the mask
const BEFORE = [255, 138, 31];
const AFTER = [56, 152, 255];
const KEPT = [170, 190, 215];

/** Canvases over the part of the picture where two masks are, either may be null: {before, after, both, box}. */
export async function maskLayers(before, after) {
  const masks = [before, after].filter(Boolean);
  if (!masks.length) return null;
  const left = Math.min(...masks.map((mask) => mask.box[0]));
  const top = Math.min(...masks.map((mask) => mask.box[1]));
  const right = Math.max(...masks.map((mask) => mask.box[0] + mask.box[2]));
  const bottom = Math.max(...masks.map((mask) => mask.box[1] + mask.box[3]));
  const box = [left, top, right - left, bottom - top];
  const images = await Promise.all([before, after].map((mask) => (mask ? decodeMask(mask) : null)));
  const size = drawingSize(masks[0], images[0] ?? images[1], box);
  const alphas = [before, after].map((mask, i) => (mask ? alphaOf(images[i], mask, box, size) : new Uint8Array(size[0] * size[1])));
  const empty = new Uint8Array(size[0] * size[1]);
  return {
    box,
    both: paintMasks(alphas[0], alphas[1], size, "mask both"),
    before: paintMasks(alphas[0], empty, size, "mask before", true),
    after: paintMasks(empty, alphas[1], size, "mask after", true),
  };
}

async function decodeMask(mask) {
  const image = new Image();
  image.src = mask.png;
  await image.decode();
  return image;
}

/** The size of the drawing: the shape of the box in pixels, as long as LONGEST_SIDE. */
function drawingSize(mask, image, box) {
  const across = (box[2] / mask.box[2]) * image.naturalWidth;
  const down = (box[3] / mask.box[3]) * image.naturalHeight;
  const scale = LONGEST_SIDE / Math.max(across, down, 1);
  return [Math.max(1, Math.round(across * scale)), Math.max(1, Math.round(down * scale))];
}

function alphaOf(image, mask, box, [width, height]) {
  const canvas = h("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.drawImage(
    image,
    ((mask.box[0] - box[0]) / box[2]) * width,
    ((mask.box[1] - box[1]) / box[3]) * height,
    (mask.box[2] / box[2]) * width,
    (mask.box[3] / box[3]) * height,
  );
  const pixels = context.getImageData(0, 0, width, height).data;
  return Uint8Array.from({ length: width * height }, (_, i) => (pixels[4 * i + 3] > 127 ? 1 : 0));
}

function paintMasks(before, after, [width, height], name, plain = false) {
  const canvas = h("canvas", { class: name, width, height, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  const drawing = context.createImageData(width, height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const i = y * width + x;
      const colour = colourAt(before, after, i, x, y, width, height, plain);
      if (colour) drawing.data.set(colour, 4 * i);
    }
  }
  context.putImageData(drawing, 0, 0);
  return canvas;
}

function colourAt(before, after, i, x, y, width, height, plain) {
  if (after[i] && isEdge(after, i, x, y, width, height)) return [...AFTER, 255];
  if (before[i] && isEdge(before, i, x, y, width, height) && (x + y) % 14 < 9) return [...BEFORE, 255];
  if (before[i] && after[i]) return [...KEPT, 90];
  if (after[i]) return [...AFTER, plain || (x + y) % 14 < 5 ? 170 : 70];
  if (before[i]) return [...BEFORE, plain || (x % 9 < 4 && y % 9 < 4) ? 180 : 70];
  return null;
}

function isEdge(mask, i, x, y, width, height) {
  if (x < 2 || y < 2 || x >= width - 2 || y >= height - 2) return true;
  return !mask[i - 2] || !mask[i + 2] || !mask[i - 2 * width] || !mask[i + 2 * width];
}
