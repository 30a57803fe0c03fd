// Where the reader is: the filter, the changes it shows, the one at the cursor, and what is selected.

import { applyFilter, EVERYTHING } from "./filter.js";
import { GROUPINGS } from "./plan.js";

/** Ways to move through the changes. */
export function createMoves({ store, changes, ledger }) {
  const { state } = store;

  function goTo(i) {
    const frame = i < 0 ? null : changes.frame[i];
    store.set({ cursor: i, frame });
  }

  function firstOpen(start = 0) {
    for (let place = start; place < state.shown.length; place += 1) if (ledger.verdict(state.shown[place]) === null) return place;
    return -1;
  }

  function show(filter) {
    const shown = applyFilter(changes, ledger, filter);
    store.set({ filter, shown });
  }

  return {
    goTo,
    /** Change the filter; the cursor stays if its change is still shown. */
    refine(patch) {
      show({ ...state.filter, ...patch });
      store.set({ selection: new Set() });
      if (!state.shown.includes(state.cursor)) goTo(state.shown[Math.max(0, firstOpen())] ?? -1);
    },
    /** States changed: what depends on them is filtered again. */
    refresh() {
      if (state.filter.state || state.filter.text) show(state.filter);
    },
    /** Go forth or back by a number of changes. */
    step(by) {
      const place = state.shown.indexOf(state.cursor);
      const next = Math.min(state.shown.length - 1, Math.max(0, place + by));
      if (next !== place && state.shown.length) goTo(state.shown[next]);
    },
    edge(last) {
      if (state.shown.length) goTo(state.shown[last ? state.shown.length - 1 : 0]);
    },
    placeNow: () => state.shown.indexOf(state.cursor),
    /** After a verdict: to the next that is open, or else to the next. `place` is where the decided one was. */
    advance(place) {
      const start = state.shown[place] === state.cursor ? place + 1 : Math.max(0, place);
      const open = firstOpen(start);
      const next = open >= 0 ? open : Math.min(start, state.shown.length - 1);
      if (state.shown.length) goTo(state.shown[next]);
      else goTo(-1);
      return open >= 0;
    },
    /** Show a change, whatever the filter. */
    reveal(i) {
      if (!state.shown.includes(i)) show({ ...EVERYTHING, grouping: state.filter.grouping, group: changes.group[i] });
      goTo(i);
    },
    nextGrouping() {
      const at = GROUPINGS.findIndex(({ name }) => name === state.filter.grouping);
      return GROUPINGS[(at + 1) % GROUPINGS.length].name;
    },
    select(i) {
      const selection = new Set(state.selection);
      if (!selection.delete(i)) selection.add(i);
      store.set({ selection, anchor: i });
    },
    /** Select all from the last selected, or the cursor, to this one. */
    selectTo(i) {
      const [from, to] = [state.shown.indexOf(state.anchor ?? state.cursor), state.shown.indexOf(i)].sort((a, b) => a - b);
      if (from < 0) return;
      store.set({ selection: new Set([...state.selection, ...state.shown.slice(from, to + 1)]) });
    },
    clearSelection() {
      if (state.selection.size) store.set({ selection: new Set(), anchor: null });
    },
  };
}
