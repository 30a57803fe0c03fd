// Which verdict counts for each change: what the server has, and above it what was not stored yet.

/** The state of decisions, by the number of the change. */
export function createLedger(changes) {
  const stored = new Array(changes.total).fill(null); // the newest record of each change
  const pending = new Array(changes.total).fill(null); // given here, not stored yet
  const isStale = (i, record) => record.stale === true || record.bound_to !== changes.bound_to[i];
  const ledger = {
    /** Take records of the server, in any order; the one with the highest number counts. */
    take(records) {
      for (const record of records) {
        const i = changes.position.get(record.change_id);
        if (i !== undefined && (stored[i]?.seq ?? -1) <= record.seq) stored[i] = record;
      }
    },
    /** Show a record before it is stored. */
    expect(i, record) {
      pending[i] = record;
    },
    /** A record was stored or refused: what the server has counts again, unless a newer one waits. */
    settle(i, record) {
      if (pending[i] === record) pending[i] = null;
    },
    isPending: (i) => pending[i] !== null,
    /** The newest record, or null; its verdict may be "open", which withdraws others. */
    record: (i) => pending[i] ?? stored[i],
    /** The verdict that counts, or null. */
    verdict: (i) => (["decided", "recorded"].includes(ledger.state(i)) ? ledger.record(i).verdict : null),
    note: (i) => ledger.record(i)?.note || "",
    /** "open", "decided", "stale" (decided about something else), or "recorded" (decided in an earlier load). */
    state(i) {
      const record = ledger.record(i);
      if (!record || record.verdict === "open") return "open";
      if (isStale(i, record)) return "stale";
      return record.recorded ? "recorded" : "decided";
    },
    /** Whether the verdict takes what the tool has, refuses it, or is another answer. */
    outcome(i) {
      const verdict = ledger.verdict(i);
      if (verdict === null) return null;
      if (verdict === "accept" || verdict === "theirs") return "accepted";
      return verdict === "refuse" || verdict === "ours" ? "refused" : "settled";
    },
    counts() {
      const counts = { looked: 0, ruled: 0, recorded: 0, open: 0, stale: 0, accepted: 0, refused: 0, settled: 0, rules: 0, disputed: 0 };
      const rules = new Set();
      for (let i = 0; i < changes.total; i += 1) {
        const state = ledger.state(i);
        const outcome = ledger.outcome(i);
        if (outcome) counts[outcome] += 1;
        if (state === "stale") counts.stale += 1;
        if (state === "open" && changes.proposal[i] === "leave") counts.disputed += 1;
        if (state === "open" || state === "stale") counts.open += 1;
        else if (state === "recorded") counts.recorded += 1;
        else if (ledger.record(i).rule) counts.ruled += 1;
        else counts.looked += 1;
        if (state === "decided" && ledger.record(i).rule) rules.add(ledger.record(i).rule);
      }
      counts.rules = rules.size;
      return counts;
    },
    /** The numbers of the changes that are refused: what can be sent back. */
    refused: () => changes.order.filter((i) => ledger.outcome(i) === "refused" && ledger.state(i) !== "recorded"),
  };
  return ledger;
}

/** The legal verdict that says yes (take what the tool has) or no (leave it) to a change, or null. */
export function verdictFor(changes, i, yes) {
  const legal = changes.choices[i];
  return (yes ? ["accept", "theirs"] : ["refuse", "ours"]).find((verdict) => legal.includes(verdict)) ?? null;
}
