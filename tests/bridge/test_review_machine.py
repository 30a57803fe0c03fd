"""Loads with decisions against a model of dictionaries: the dataset is exactly what was decided, change by change."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.bridge import review_model as model
from tests.bridge.merge_model import Outcome
from tests.bridge.review_model import Change, Proposal
from tests.bridge.test_sync_machine import CLASSES, Past, Run, Sync, one_of
from tests.generated import examples

import annobridge as ab

VALUES = {"label": CLASSES, "attributes.free": [1, 2, 3], "attributes.fixed": ["x", "y"]}
STANDING = ("refuse", "ours")
Given = dict[Change, tuple[str, Any]]


class Reviewed(Sync):
    """Decisions that were recorded are kept by load, and count until that load is undone."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded: dict[str, list[tuple[Past, Change, str, Proposal]]] = defaultdict(list)

    def load(self, data: st.DataObject, policy: str) -> None:
        self._review(data, "theirs" if policy == "fail" else policy, "take", decides=False)

    def work_and_load(self) -> None:
        """Not a step of this machine."""

    @rule(data=st.data(), policy=st.sampled_from(["theirs", "ours"]), undecided=st.sampled_from(["take", "leave"]))
    def review(self, data: st.DataObject, policy: str, undecided: str) -> None:
        if data.draw(st.booleans()):
            self.work(data)
        self._review(data, policy, undecided, decides=True)

    def _review(self, data: st.DataObject, policy: str, undecided: str, decides: bool) -> None:
        run = self._run(data)
        proposed = model.proposals(run.base, run.theirs, self.ours, run.answered)
        plan = self.ds.plan_annotations(run.key, conflicts=policy, force=True, progress=False)
        rows = {self._change(row): row for row in plan.changes.to_pylist()}
        assert {change: row["kind"] for change, row in rows.items()} == {c: p.kind for c, p in proposed.items()}
        standing = self._standing(run, proposed)
        states = {row["change_id"]: row for row in plan.states().to_pylist()}
        recorded = {change for change, row in rows.items() if states[row["change_id"]]["recorded"]}
        assert recorded == set(standing)
        given = self._decide(data, plan, rows) if decides else {}
        ends = {}
        for change, proposal in proposed.items():
            verdict, value = given.get(change, (standing.get(change), None))
            ends[change] = model.effective(proposal.kind, verdict, policy, undecided), value
        want = model.merge(run.base, run.theirs, self.ours, run.answered, ends)
        before = self.ds.stores.labels.version()
        if undecided == "take" and data.draw(st.booleans()):
            report = plan.apply(force=True)
        else:
            report = plan.load(undecided=undecided, force=True, progress=False)
        assert report.total == len(want.writes)
        assert self.ds.stores.labels.version() == before + bool(want.writes)
        self._rename_copies(run, want)
        new = {c: v for c, (v, _) in given.items() if standing.get(c) != v}
        self._note(run, want, new, proposed)

    def _change(self, row: dict[str, Any]) -> Change:
        known = {label_id: name for name, label_id in self.ids.items()}
        side = next(row[s] for s in ("theirs", "base") if row["component"] != "existence" or row[s])
        name = known.get(row["label_id"]) or json.loads(side)["attributes"]["origin"]
        return name, row["component"]

    def _decide(self, data: st.DataObject, plan: ab.MergePlan, rows: dict[Change, dict[str, Any]]) -> Given:
        given: Given = {}
        for change in sorted(rows):
            row = rows[change]
            verdict = one_of(data, [None, None, *row["choices"]])
            if verdict is None:
                continue
            value = one_of(data, VALUES[change[1]]) if verdict == "value" else None
            assert plan.decide(f"change_id = '{row['change_id']}'", verdict, value, by="a reviewer") == 1
            given[change] = verdict, value
        return given

    def _standing(self, run: Run, proposed: dict[Change, Proposal]) -> dict[Change, str]:
        last = {change: (v, p) for past, change, v, p in self.recorded[run.key] if past.undone is None}
        return {c: v for c, (v, p) in last.items() if v in STANDING and proposed.get(c) == p}

    def _rename_copies(self, run: Run, want: Outcome) -> None:
        """The tool's label is one of its own from now on, where both were kept."""
        for name in [w.name for w in want.writes if w.name.endswith("'")]:
            run.theirs[name] = run.theirs.pop(name[:-1])

    def _note(self, run: Run, want: Outcome, new: dict[Change, str], proposed: dict[Change, Proposal]) -> None:
        loads = len(run.loads)
        self._loaded(run, (want, Outcome(run.copies)))
        if new and len(run.loads) == loads:
            self.time += 1
            run.loads.append(Past([], run.base, run.copies, self.time))
        self.recorded[run.key] += [(run.loads[-1], change, v, proposed[change]) for change, v in new.items()]


SETTINGS = examples(8, stateful_step_count=12, suppress_health_check=list(HealthCheck), print_blob=True)
TestReviewed = Reviewed.TestCase
TestReviewed.settings = SETTINGS
