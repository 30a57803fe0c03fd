// Elements of the page. Text is always set as text: there is no way here to write markup from a string.

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "tabIndex", "selected", "open", "indeterminate"]);

/** An HTML element: attributes, listeners (`onclick`), a `style` object, and children (text, nodes, lists of them, null). */
export function h(tag, props, ...children) {
  return furnish(document.createElement(tag), props, children);
}

/** An SVG element, made as by `h`. */
export function svg(tag, props, ...children) {
  return furnish(document.createElementNS(SVG_NAMESPACE, tag), props, children);
}

function furnish(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (PROPERTIES.has(name) && element.namespaceURI !== SVG_NAMESPACE) element[name] = value;
    else if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...contents(children));
  return element;
}

function contents(children) {
  const given = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  return given.map((child) => (typeof child === "string" ? visible(child) : child));
}

/** A text in which marks that turn the rest of a line around are written out: names are what others gave. */
export function visible(text) {
  return text.replace(/[\u202a-\u202e]/g, (mark) => `\\u${mark.charCodeAt(0).toString(16)}`);
}

/** Put other children into an element. */
export function replace(element, ...children) {
  element.replaceChildren(...contents(children));
}

const ICONS = {
  check: "M3.5 8.5l3 3 6-7",
  cross: "M4 4l8 8M12 4l-8 8",
  circle: "M8 3.2a4.8 4.8 0 1 0 0 9.6a4.8 4.8 0 1 0 0-9.6",
  alert: "M8 3v6M8 12v.6",
  fork: "M4.5 3v3.5c0 2 3.5 2 3.5 4V13M11.5 3v3.5c0 2-3.5 2-3.5 4",
  minus: "M3 8h10",
  plus: "M8 3v10M3 8h10",
  letter: "M3.5 13L8 3l4.5 10M5.2 9.5h5.6",
  move: "M3 8h10M10 5l3 3-3 3M6 5L3 8l3 3",
  list: "M3 4.5h10M3 8h10M3 11.5h6",
  nudge: "M4 8h8M9.5 5.5L12 8l-2.5 2.5",
  all: "M3 3h4v4H3zM9 3h4v4H9zM3 9h4v4H3zM9 9h4v4H9z",
  search: "M7 2.8a4.2 4.2 0 1 0 0 8.4a4.2 4.2 0 1 0 0-8.4M10.2 10.2L13.5 13.5",
  pen: "M3 13l.7-2.8L11 3l2 2-7.2 7.3z",
  undo: "M5.5 3.5L3 6l2.5 2.5M3 6h6a3.5 3.5 0 0 1 0 7H6",
};

/** A small drawing that says nothing to a screen reader: the text beside it does. */
export function icon(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}
