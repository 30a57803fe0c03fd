// One view of the picture: the image on a canvas, masks over it, and an SVG whose units are the picture's pixels.

import { h, svg, replace } from "./dom.js";
import { outline, bounds } from "./shapes.js";

/** A pane. `name` says for a screen reader what it shows. */
export function createPane(name) {
  const photo = h("canvas", { class: "photo", "aria-hidden": "true", hidden: true });
  const context = photo.getContext("2d", { alpha: true });
  const masks = h("div", { class: "masks", "aria-hidden": "true" });
  const drawing = svg("svg", { class: "shapes", role: "img", "aria-label": name, preserveAspectRatio: "none" });
  const tags = h("div", { class: "tags" });
  const picture = h("div", { class: "picture" }, photo, masks, drawing, tags);
  const caption = h("div", { class: "pane-caption", hidden: true });
  const element = h("div", { class: "pane" }, picture, caption);
  return {
    element,
    caption,
    place({ left, top, scale }, [width, height]) {
      Object.assign(picture.style, {
        left: `${left}px`,
        top: `${top}px`,
        width: `${width * scale}px`,
        height: `${height * scale}px`,
      });
      picture.classList.toggle("pixels", scale > 8);
    },
    /** Show a picture (or none), which may be a part of the whole. */
    show(shown) {
      photo.hidden = !shown;
      photo.width = shown ? shown.bitmap.width : 0;
      photo.height = shown ? shown.bitmap.height : 0;
      if (!shown) return;
      context.drawImage(shown.bitmap, 0, 0);
      putAt(photo, shown.box ?? [0, 0, 1, 1]);
    },
    /** Draw layers: a list of {role, labels}, the lowest first; tags are {text, label, role}. */
    draw([width, height], layers, texts, description) {
      drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      drawing.setAttribute("aria-label", description);
      const drawn = layers.map(({ role, labels }) => ({ role, parts: labels.map((label) => shapeOf(label, width, height, role)) }));
      const group = (role, parts) => svg("g", { class: `role-${role}` }, parts);
      replace(
        drawing,
        drawn.map(({ role, parts }) => group(role, parts.map(({ casings }) => casings))), // below all lines, to hide none
        drawn.map(({ role, parts }) => group(role, parts.map(({ lines }) => lines))),
      );
      replace(tags, texts.map(({ text, label, role }) => tagOf(text, label, role, width, height)));
      for (const canvas of masks.children) canvas.width = 0; // gives its memory back at once
      replace(masks);
    },
    /** Put canvases over a part of the picture. */
    cover(layers) {
      for (const canvas of [layers.both, layers.before, layers.after]) putAt(canvas, layers.box);
      replace(masks, layers.both, layers.before, layers.after);
    },
  };
}

function putAt(element, [x, y, width, height]) {
  Object.assign(element.style, { left: `${x * 100}%`, top: `${y * 100}%`, width: `${width * 100}%`, height: `${height * 100}%` });
}

/** A label as paths: dark casings, which make lines visible on any picture, and the lines. */
function shapeOf(label, width, height, role) {
  const { path, filled, dots } = outline(label, width, height);
  const [casings, lines] = [[], []];
  if (path) {
    if (role !== "other") casings.push(svg("path", { class: "casing", d: path }));
    const title = role === "other" && label.label ? svg("title", null, label.label) : null;
    lines.push(svg("path", { class: filled ? "line filled" : "line", d: path, "fill-rule": "evenodd" }, title));
  }
  for (const dot of dots) {
    const d = `M${dot.x.toFixed(2)} ${dot.y.toFixed(2)}h0`; // a line without length has round caps of a size on the screen
    casings.push(svg("path", { class: "dot casing", d }));
    lines.push(svg("path", { class: "dot", d }, svg("title", null, `point ${dot.number}${dot.hidden ? ", hidden" : ""}`)));
    if (dot.hidden) lines.push(svg("path", { class: "dot hole", d }));
  }
  return { casings, lines };
}

function tagOf(text, label, role, width, height) {
  const place = bounds(label, width, height);
  if (!place) return null;
  const below = role !== "after";
  return h("span", {
    class: `tag role-${role}`,
    style: { left: `${place[0] * 100}%`, top: `${(below ? place[3] : place[1]) * 100}%` },
  }, text);
}
