// The review page: it reads the plan, builds the parts, and connects them.

import { h, replace } from "./dom.js";
import { createStore } from "./store.js";
import { serverSource, fileSource } from "./source.js";
import { readChanges, similar, count, GROUPS, classText, summary } from "./plan.js";
import { createLedger } from "./ledger.js";
import { createVerdicts } from "./verdicts.js";
import { EVERYTHING, filterText, applyFilter } from "./filter.js";
import { createMedia } from "./media.js";
import { createMoves } from "./moves.js";
import { createDecide } from "./decide.js";
import { createStage } from "./stage.js";
import { createList, createBulk } from "./list.js";
import { createGroups } from "./groups.js";
import { createFinder } from "./finder.js";
import { createDetails } from "./details.js";
import { createTimeline } from "./timeline.js";
import { createToolbar, createLegend } from "./toolbar.js";
import { createHeader, notesBanner } from "./header.js";
import { openLoad } from "./load.js";
import { openSendBack, decisionLines, saveFile } from "./send.js";
import { showHelp } from "./dialogs.js";
import { keyAction } from "./keys.js";

const POLL = 2000; // milliseconds between two looks for what others decided
const AHEAD = 6; // pictures fetched ahead
const NOTICE = 5000; // milliseconds that a notice stays

async function start() {
  const app = document.getElementById("app");
  const inline = document.getElementById("data");
  try {
    const source = inline ? fileSource(JSON.parse(inline.textContent)) : serverSource();
    build(app, source, await source.plan());
  } catch (error) {
    replace(app, h("p", { class: "stage-message", role: "alert" }, error.message));
  }
}

function build(app, source, plan) {
  const changes = readChanges(plan);
  const ledger = createLedger(changes);
  ledger.take(plan.decisions);
  document.title = `${plan.anno_key} · annobridge review`;
  const store = createStore({
    cursor: -1,
    drawn: -1,
    frame: null,
    drawnFrame: null,
    labels: [],
    shown: changes.order,
    filter: null,
    selection: new Set(),
    anchor: null,
    version: 0,
    view: "overlay",
    blink: false,
    onion: 0.5,
    neighbours: true,
    zoomMode: "crop",
    scale: 1,
    reviewer: storedName() || plan.reviewer || "",
    unreachable: null,
    outdated: false,
  });
  const { state } = store;
  const notices = h("div", { class: "notices", role: "status", "aria-live": "polite" });
  const announcer = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
  const say = (text, quiet = false) => notice(notices, announcer, text, quiet);
  const media = createMedia(source);
  const moves = createMoves({ store, changes, ledger });
  const changed = () => {
    store.set({ version: state.version + 1 });
    moves.refresh();
  };
  const verdicts = createVerdicts({
    source,
    changes,
    ledger,
    runId: plan.run_id,
    reviewer: () => state.reviewer,
    changed,
    trouble: (text) => say(`A verdict was not stored: ${text}`),
  });
  const decide = createDecide({ store, changes, ledger, verdicts, moves, say });
  const stage = createStage({ store, changes, media });
  const views = viewActions(store);
  const list = createList({ store, changes, ledger, choose });
  const focusList = () => list.element.focus({ preventScroll: true });
  const finish = finishActions({ source, plan, changes, ledger, verdicts });
  const header = createHeader({
    store, plan, changes, ledger, verdicts, offline: source.offline,
    actions: { help: showHelp, ...finish, retry: verdicts.retry, rename, reload: () => location.reload() },
  });
  const bulk = createBulk({ store, title: () => listTitle(state), act: (yes) => (yes ? decide.acceptMany() : decide.refuseMany()) });
  const groups = createGroups({
    store, changes, ledger,
    choose: (group, part) => moves.refine({ group, part }),
    regroup: (grouping) => moves.refine({ grouping, part: null }),
  });
  const finder = createFinder({ store, changes, refine: moves.refine });
  const toolbar = createToolbar({ store, changes, actions: views });
  const legend = createLegend({ store, changes, stage });
  const timeline = createTimeline({ store, changes, go: goFrame });
  const details = createDetails({
    store, changes, ledger,
    actions: { ...decide, elsewhere, setValue: then(decide.setValue, focusList), setNote: then(decide.setNote, focusList), go: moves.reveal, focusList },
  });

  /** What to do when nothing is shown: how many would be without the group, and how to see them. */
  function elsewhere() {
    const filter = { ...state.filter, group: null, part: null };
    return { number: state.filter.group === null ? 0 : applyFilter(changes, ledger, filter).length, show: () => moves.refine(filter), clear: finder.reset };
  }

  function choose(i, event) {
    if (event.shiftKey) moves.selectTo(i);
    else if (event.ctrlKey || event.metaKey) moves.select(i);
    else store.set({ anchor: i });
    moves.goTo(i);
  }

  function goFrame(frame) {
    if (state.cursor < 0 || state.frame === null) return;
    store.set({ frame: Math.min(timeline.total(), Math.max(1, frame)) });
  }

  function rename(reviewer) {
    store.set({ reviewer });
    try {
      localStorage.setItem("annobridge.reviewer", reviewer);
    } catch {
      // it counts until the page is closed
    }
  }

  replace(
    app,
    header.element,
    notesBanner(plan.notes.concat(source.keeps?.() === false ? ["This browser keeps nothing for local files: export the decisions before you close the page."] : [])),
    h(
      "main",
      null,
      h("div", { class: "left" }, finder.element, groups.element, bulk.element, list.element),
      h("div", { class: "middle" }, toolbar.element, stage.element, legend.element, timeline.element),
      details.element,
    ),
    notices,
    announcer,
    h("datalist", { id: "classes" }, [...new Set(changes.from.concat(changes.to))].filter(Boolean).slice(0, 1000).map((value) => h("option", { value }))),
  );

  const actions = {
    next: () => moves.step(1),
    previous: () => moves.step(-1),
    first: () => moves.edge(false),
    last: () => moves.edge(true),
    ...decide,
    base: () => decide.answer("base"),
    ours: () => decide.answer("ours"),
    theirs: () => decide.answer("theirs"),
    both: () => decide.answer("both"),
    alike: (side) => state.cursor >= 0 && changes.group[state.cursor] === "conflict" && decide.answerAlike(side, similar(changes, state.cursor).filter((i) => i === state.cursor || ledger.verdict(i) === null)),
    value: () => details.edit("value") || say("This change takes no other value."),
    note: () => details.edit("note"),
    select: () => state.cursor >= 0 && moves.select(state.cursor),
    escape: () => (document.activeElement.matches("input, select, textarea") ? focusList() : moves.clearSelection()),
    ...views,
    crop: () => stage.use("crop"),
    fit: () => stage.use("fit"),
    zoomIn: () => stage.zoom(1.25),
    zoomOut: () => stage.zoom(0.8),
    panLeft: () => stage.pan(60, 0),
    panRight: () => stage.pan(-60, 0),
    panUp: () => stage.pan(0, 60),
    panDown: () => stage.pan(0, -60),
    frameBack: () => goFrame(state.frame - 1),
    frameOn: () => goFrame(state.frame + 1),
    search: finder.focusSearch,
    filter: finder.toggleFilters,
    grouping: () => moves.refine({ grouping: moves.nextGrouping(), part: null }),
    help: showHelp,
    load: () => plan.can_load && finish.load(),
    sendBack: () => plan.can_send_back && finish.sendBack(),
  };
  listen(app, actions, store, focusList, () => verdicts.status().waiting > 0 || source.keeps?.() === false);

  store.watch(["drawn", "shown", "drawnFrame"], () => media.ahead(nextPictures(state, changes, stage)));
  store.watch(["cursor"], () => {
    const i = state.cursor;
    if (i < 0) return;
    const group = GROUPS.find((one) => one.name === changes.group[i])?.one ?? changes.group[i];
    announcer.textContent = `${group}, ${classText(changes, i)}, ${summary(changes, i)}, ${changes.samples[changes.sample[i]].name}`;
  });
  store.set({ version: 1 });
  moves.refine({ ...EVERYTHING });
  if (isInSight(app)) focusList();
  verdicts.resume();
  if (!source.offline) poll(source, plan, ledger, changed, store);
}

function then(act, after) {
  return (...values) => {
    act(...values);
    after();
  };
}

function storedName() {
  try {
    return localStorage.getItem("annobridge.reviewer");
  } catch {
    return null;
  }
}

function listTitle(state) {
  if (state.selection.size) return `${count(state.selection.size)} selected`;
  const text = filterText(state.filter);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function viewActions(store) {
  const { state } = store;
  return {
    blink: () => store.set({ blink: true }),
    twoUp: () => store.set({ view: state.view === "two-up" ? "overlay" : "two-up" }),
    onion: () => store.set({ view: state.view === "onion" ? "overlay" : "onion" }),
    neighbours: () => store.set({ neighbours: !state.neighbours }),
  };
}

function finishActions({ source, plan, changes, ledger, verdicts }) {
  return {
    load: () =>
      openLoad({ source, counts: ledger.counts, waiting: () => verdicts.status().waiting, done: () => location.reload() }),
    sendBack: () => openSendBack({ source, changes, ledger }),
    exportFile: async () => {
      const now = await source.plan();
      saveFile("decisions.jsonl", decisionLines(plan.run_id, now.decisions.filter((record) => !record.recorded)));
    },
  };
}

function notice(notices, announcer, text, quiet) {
  if (quiet) {
    announcer.textContent = text;
    return;
  }
  const element = h("p", { class: "notice" }, text);
  notices.append(element);
  while (notices.childElementCount > 3) notices.firstElementChild.remove();
  setTimeout(() => element.remove(), NOTICE + 40 * text.length);
}

/** Whether the review is what the reader looks at: in a file of its own, a summary stands above it. */
function isInSight(app) {
  return app.getBoundingClientRect().top < window.innerHeight / 2;
}

function listen(app, actions, store, focusList, isUnsaved) {
  document.addEventListener("keydown", (event) => {
    const action = isInSight(app) ? keyAction(event) : null;
    if (!action) return;
    event.preventDefault();
    if (event.repeat && !["next", "previous", "frameOn", "frameBack", "zoomIn", "zoomOut"].includes(action.name) && !action.name.startsWith("pan")) return;
    actions[action.name](action.side);
  });
  const endBlink = () => store.set({ blink: false });
  document.addEventListener("keyup", (event) => event.key === " " && endBlink());
  window.addEventListener("blur", endBlink);
  // A button that was clicked gives the focus back, so that Space blinks instead of pressing it again.
  document.addEventListener("click", (event) => {
    const clicked = event.detail && event.target instanceof Element ? event.target.closest("button") : null;
    if (clicked && !clicked.closest("dialog") && document.activeElement.matches("button, body")) focusList();
  });
  window.addEventListener("beforeunload", (event) => isUnsaved() && event.preventDefault());
}

/** The pictures that are likely to be looked at next. */
function nextPictures(state, changes, stage) {
  if (state.drawn < 0) return [];
  const wants = new Map();
  const add = (i, frame) => {
    const want = stage.wanted(i, frame);
    wants.set(`${want.number}/${want.frame ?? ""}`, want);
  };
  const sample = changes.samples[changes.sample[state.drawn]];
  const last = sample.media === "video" && state.frame !== null ? (sample.frames ?? state.frame) : 0;
  for (const by of [1, -1, 2]) if (state.frame + by >= 1 && state.frame + by <= last) add(state.drawn, state.frame + by);
  const place = state.shown.indexOf(state.drawn);
  for (let next = place + 1; next < Math.min(state.shown.length, place + 200) && wants.size < AHEAD; next += 1) {
    add(state.shown[next], changes.frame[state.shown[next]]);
  }
  if (place > 0) add(state.shown[place - 1], changes.frame[state.shown[place - 1]]);
  return [...wants.values()];
}

async function poll(source, plan, ledger, changed, store) {
  let after = plan.seq;
  for (;;) {
    await new Promise((wake) => setTimeout(wake, POLL));
    if (document.hidden) continue;
    try {
      const answer = await source.after(after);
      after = answer.seq;
      store.set({ unreachable: null, outdated: answer.plan_id !== plan.plan_id });
      if (answer.decisions.length) {
        ledger.take(answer.decisions);
        changed();
      }
    } catch (error) {
      store.set({ unreachable: error.message });
    }
  }
}

start();
