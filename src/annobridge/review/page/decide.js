// What a reviewer decides, from keys and buttons to verdicts.

import { askQuestion } from "./dialogs.js";
import { filterText, isFiltered } from "./filter.js";
import { similarText, isConflict, count, classText } from "./plan.js";
import { verdictFor } from "./ledger.js";

const LONGEST_RULE = 2000; // characters; the server takes ten times as many

/** The decisions of a reviewer. `say(text)` shows a notice. */
export function createDecide({ store, changes, ledger, verdicts, moves, say }) {
  const { state } = store;

  function one(verdict, value = null) {
    const i = state.cursor;
    if (i < 0) return;
    if (verdict === null || !changes.choices[i].includes(verdict)) {
      say(isConflict(changes, i) ? `In this conflict the answers are: ${changes.choices[i].join(", ")}.` : "That is no answer to this change.");
      return;
    }
    const place = moves.placeNow();
    verdicts.give([{ i, verdict, value }]);
    say(`${classText(changes, i)}: ${verdict}`, true);
    moves.advance(place);
  }

  function many(yes) {
    const selected = state.selection.size > 0;
    const targets = [...(selected ? changes.order.filter((i) => state.selection.has(i)) : state.shown)];
    const given = targets.map((i) => ({ i, verdict: verdictFor(changes, i, yes) }));
    const legal = given.filter(({ verdict }) => verdict !== null);
    const rule = selected ? `${count(targets.length)} selected` : filterText(state.filter).slice(0, LONGEST_RULE);
    const overruled = legal.filter(({ i, verdict }) => ledger.verdict(i) !== null && !ledger.record(i).rule && ledger.verdict(i) !== verdict);
    const name = yes ? "Accept" : "Refuse";
    const go = (chosen) => {
      verdicts.give(chosen, rule);
      moves.clearSelection();
      const left = targets.length - chosen.length;
      say(`${yes ? "Accepted" : "Refused"} ${count(chosen.length)}${left ? `; ${count(left)} left as they were` : ""}. u takes it back.`);
    };
    if (!legal.length) {
      say("None of these can be answered so.");
    } else if (overruled.length) {
      const others = new Set(overruled.map(({ i }) => i));
      const rest = legal.filter(({ i }) => !others.has(i));
      askQuestion(`${name} ${count(legal.length)}?`, `${count(overruled.length)} of them were decided one by one, and otherwise.`, [
        [`${name} all ${count(legal.length)}`, () => go(legal)],
        ...(rest.length ? [[`${name} the other ${count(rest.length)}`, () => go(rest), "primary"]] : []),
      ]);
    } else if (!selected && !isFiltered(state.filter) && legal.length > 1) {
      askQuestion(`${name} all ${count(legal.length)}?`, "No group is chosen and nothing is filtered: these are all changes of the plan.", [
        [`${name} all ${count(legal.length)}`, () => go(legal), "primary"],
      ]);
    } else go(legal);
  }

  function renote(i, note) {
    const record = ledger.record(i);
    if (note === ledger.note(i)) return;
    const keep = ledger.verdict(i) !== null;
    verdicts.give([{ i, verdict: keep ? record.verdict : "open", value: keep ? record.value : null, note }]);
  }

  return {
    accept: () => one(state.cursor < 0 ? null : verdictFor(changes, state.cursor, true)),
    refuse: () => one(state.cursor < 0 ? null : verdictFor(changes, state.cursor, false)),
    answer: one,
    acceptMany: () => many(true),
    refuseMany: () => many(false),
    /** The same answer for conflicts that ask the same. */
    answerAlike(verdict, alike) {
      const legal = alike.filter((i) => changes.choices[i].includes(verdict));
      if (!legal.length) return;
      const i = state.cursor;
      const place = moves.placeNow();
      verdicts.give([...legal].map((one) => ({ i: one, verdict })), similarText(changes, i).slice(0, LONGEST_RULE));
      say(`${count(legal.length)} answered with ${verdict}. u takes it back.`);
      moves.advance(place);
    },
    setValue(i, value) {
      const place = moves.placeNow();
      verdicts.give([{ i, verdict: "value", value }]);
      moves.advance(place);
    },
    setNote: renote,
    withdraw() {
      if (state.cursor >= 0 && ledger.state(state.cursor) !== "open") verdicts.give([{ i: state.cursor, verdict: "open" }]);
    },
    undo() {
      const done = verdicts.undo();
      if (!done) {
        say("Nothing is left to undo since this page was opened. w withdraws the verdict of a change.");
        return;
      }
      moves.reveal(done[0]);
      say(done.length === 1 ? `Undone: ${classText(changes, done[0])}` : `Undone: ${count(done.length)} verdicts`);
    },
  };
}
