// Verdicts on their way: shown at once, posted at once, posted again when that failed, and undone without limit.

const BATCH = 1000; // decisions in one request
const FIRST_WAIT = 1000; // milliseconds before a failed request is repeated; doubled each time
const LONGEST_WAIT = 15000;

/**
 * The verdicts of a session. `reviewer()` gives the name, `changed()` is called when a state changed, `trouble(text)` when a
 * verdict was not taken by the server, which is then shown as it was before.
 */
export function createVerdicts({ source, changes, ledger, runId, reviewer, changed, trouble }) {
  const queue = [];
  const undoable = [];
  const unsent = `annobridge.unsent.${runId}`;
  let wait = FIRST_WAIT;
  let timer = null;
  let busy = false;
  let failure = null;

  function keepUnsent() {
    if (source.offline) return;
    try {
      const waiting = queue.map(({ by, decisions }) => ({ by, decisions }));
      if (waiting.length) localStorage.setItem(unsent, JSON.stringify(waiting));
      else localStorage.removeItem(unsent);
    } catch {
      // a browser without storage: the page warns before it is closed
    }
  }

  function enqueue(decisions, by = reviewer()) {
    const at = new Date().toISOString();
    for (let start = 0; start < decisions.length; start += BATCH) {
      const part = decisions.slice(start, start + BATCH);
      const records = part.map((decision) => ({ ...decision, by, at, recorded: false }));
      records.forEach((record) => ledger.expect(changes.position.get(record.change_id), record));
      queue.push({ by, decisions: part, records });
    }
    keepUnsent();
    changed();
    flush();
  }

  async function flush() {
    if (busy || !queue.length) return;
    busy = true;
    clearTimeout(timer);
    while (queue.length) {
      const batch = queue[0];
      try {
        const answer = await source.post(batch.by, batch.decisions);
        ledger.take(answer.decisions);
        done(batch);
      } catch (error) {
        if (isFinal(error)) {
          done(batch);
          trouble(error.message);
        } else {
          failure = error.message;
          timer = setTimeout(flush, wait);
          wait = Math.min(LONGEST_WAIT, wait * 2);
          break;
        }
      }
    }
    busy = false;
    changed();
  }

  function done(batch) {
    queue.shift();
    batch.records.forEach((record) => ledger.settle(changes.position.get(record.change_id), record));
    failure = null;
    wait = FIRST_WAIT;
    keepUnsent();
  }

  function before(i) {
    const none = { verdict: "open", value: null, note: ledger.note(i), rule: null };
    const { verdict, value, note, rule } = ledger.verdict(i) === null ? none : ledger.record(i);
    return { change_id: changes.id[i], verdict, value, note, rule, bound_to: changes.bound_to[i] };
  }

  return {
    /** Give verdicts: a list of {i, verdict, value, note}. `rule` is the text of the rule when they were given at once. */
    give(verdicts, rule = null) {
      undoable.push(verdicts.map(({ i }) => before(i)));
      enqueue(
        verdicts.map(({ i, verdict, value = null, note }) => ({
          change_id: changes.id[i],
          verdict,
          value,
          note: note ?? ledger.note(i),
          rule,
          bound_to: changes.bound_to[i],
        })),
      );
    },
    /** Take back the last verdicts; returns the numbers of their changes, or null when nothing is left to undo. */
    undo() {
      const step = undoable.pop();
      if (!step) return null;
      enqueue(step);
      return step.map((decision) => changes.position.get(decision.change_id));
    },
    /** Post what an earlier page could not, as far as it is still about the same content. */
    resume() {
      try {
        for (const { by, decisions } of JSON.parse(localStorage.getItem(unsent) ?? "[]")) {
          const fit = decisions.filter((one) => changes.bound_to[changes.position.get(one.change_id)] === one.bound_to);
          if (fit.length < decisions.length) trouble("A verdict that was not stored before is about a change that is not there any more.");
          if (fit.length) enqueue(fit, by);
        }
      } catch {
        // nothing was kept
      }
    },
    retry: flush,
    /** How many verdicts are not stored yet, and why. */
    status: () => ({ waiting: queue.reduce((sum, batch) => sum + batch.decisions.length, 0), failure }),
  };
}

/** Whether posting it again cannot help: the server understood and refused. */
function isFinal(error) {
  return error.status === 400 || error.status === 404 || error.status === 409 || error.status === 413 || error.status === 422;
}
