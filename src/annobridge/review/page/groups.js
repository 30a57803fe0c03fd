// The groups of changes in order of risk, with their parts; a group is a filter.

import { h, icon, replace } from "./dom.js";
import { GROUPS, GROUPINGS, partOf, compareParts, count } from "./plan.js";

const MOST_PARTS = 80; // parts of a group that are listed

/** The panel of groups. `choose(group, part)` sets the filter. */
export function createGroups({ store, changes, ledger, choose, regroup }) {
  const { state } = store;
  const select = h(
    "select",
    { class: "plain-select", "aria-label": "Divide groups by", onchange: () => regroup(select.value) },
    GROUPINGS.map(({ name, title }) => h("option", { value: name }, title)),
  );
  const list = h("ul", { class: "groups" });
  const element = h(
    "nav",
    { class: "group-panel", "aria-label": "Groups" },
    h("div", { class: "panel-head" }, h("h2", null, "Groups"), h("label", { class: "by" }, "by ", select)),
    list,
  );

  function render() {
    const { filter } = state;
    const tally = new Map(GROUPS.map((group) => [group.name, { total: 0, open: 0, parts: new Map() }]));
    const all = { total: 0, open: 0 };
    for (let i = 0; i < changes.total; i += 1) {
      const open = ledger.verdict(i) === null ? 1 : 0;
      const group = tally.get(changes.group[i]);
      all.total += 1;
      all.open += open;
      if (!group) continue;
      group.total += 1;
      group.open += open;
      if (changes.group[i] === filter.group) addPart(group.parts, partOf(changes, i, filter.grouping), open);
    }
    const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    select.value = filter.grouping;
    replace(
      list,
      h("li", null, line({ key: "all", title: "All changes", drawing: "all", tally: all, current: filter.group === null, act: () => choose(null, null) })),
      GROUPS.filter((group) => tally.get(group.name).total).map((group) => groupItem(group, tally.get(group.name), filter)),
    );
    if (focused) [...element.querySelectorAll("button")].find((button) => button.dataset.key === focused)?.focus();
  }

  function groupItem(group, numbers, filter) {
    const chosen = filter.group === group.name;
    return h(
      "li",
      null,
      line({
        key: group.name,
        title: group.title,
        drawing: group.icon,
        name: `kind-${group.name.replace(" ", "-")}`,
        tally: numbers,
        current: chosen && filter.part === null,
        act: () => choose(group.name, null),
      }),
      chosen && numbers.parts.size > 1 ? partList(group, numbers.parts, filter) : null,
    );
  }

  function partList(group, parts, filter) {
    const names = [...parts.keys()].sort(compareParts);
    const listed = names.length > MOST_PARTS ? names.sort((a, b) => parts.get(b).total - parts.get(a).total).slice(0, MOST_PARTS) : names;
    return h(
      "ul",
      { class: "parts" },
      listed.map((name) =>
        h("li", null, line({ key: `${group.name}/${name}`, title: name, tally: parts.get(name), current: filter.part === name, act: () => choose(group.name, name) })),
      ),
      names.length > MOST_PARTS ? h("li", { class: "more" }, `${count(names.length - MOST_PARTS)} smaller ones: search for them`) : null,
    );
  }

  store.watch(["filter", "version"], render);
  return { element };
}

function addPart(parts, name, open) {
  const part = parts.get(name) ?? { total: 0, open: 0 };
  part.total += 1;
  part.open += open;
  parts.set(name, part);
}

function line({ key, title, drawing, name = "", tally, current, act }) {
  return h(
    "button",
    { type: "button", class: `group-line${tally.open ? "" : " finished"}`, "aria-current": current ? "true" : null, data: { key }, onclick: act },
    drawing ? h("span", { class: `kind ${name}` }, icon(drawing)) : null,
    h("span", { class: "group-title", title }, title),
    h("span", { class: "group-open" }, tally.open ? `${count(tally.open)} open` : "done"),
    h("span", { class: "group-total" }, count(tally.total)),
  );
}
