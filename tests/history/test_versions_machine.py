"""Snapshots and clean-ups between everything else: the machine of ``test_sync_machine.py``, with every version it should keep."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc
from hypothesis import HealthCheck
from hypothesis.stateful import initialize, invariant, rule
from tests.bridge.test_sync_machine import Everything, label_of
from tests.generated import examples
from tests.history.conftest import NOTHING

from annobridge.core.labels import LABELS


class Versions(Everything):
    """Every undo still gives back the columns of the users, whatever was cleaned away."""

    @initialize()
    def begin_without_snapshots(self) -> None:
        self.snapshots: dict[str, dict[str, Any]] = {}

    def _stored(self, name: str | None = None) -> dict[str, Any]:
        """The rows of the labels table, now or as of a snapshot, by id."""
        table = self._table() if name is None else self.ds.at(name).stores.database.table("labels")
        return {row["label_id"]: row for row in table.to_table().to_pylist()}

    @rule()
    def snapshot(self) -> None:
        name = f"v{len(self.snapshots)}"
        self.ds.snapshot(name)
        self.snapshots[name] = self._stored()

    @rule()
    def clean_up(self) -> None:
        self.ds.optimize(NOTHING)

    @invariant()
    def snapshots_stay_as_they_were(self) -> None:
        for name, was in getattr(self, "snapshots", {}).items():
            assert self._stored(name) == was

    @invariant()
    def the_difference_leads_from_the_last_one_to_now(self) -> None:
        if not getattr(self, "snapshots", {}):
            return
        name = list(self.snapshots)[-1]
        found, labels = self.ds.diff(name), dict(self.snapshots[name])
        for row in found.to_arrow().filter(pc.equal(found.to_arrow()["action"], "delete")).to_pylist():
            del labels[row["label_id"]]
        labels.update({row["label_id"]: row for row in found.writes().select(LABELS.names).to_pylist()})
        ours, theirs = (
            {i: label_of({**row, "column": None}) for i, row in rows.items()} for rows in (labels, self._stored())
        )
        assert ours == theirs


TestVersions = Versions.TestCase
TestVersions.settings = examples(4, stateful_step_count=12, suppress_health_check=list(HealthCheck), print_blob=True)
