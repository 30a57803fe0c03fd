"""A run and its loads as values, and their form in the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from ..core.schema import LabelSchema
from ..exceptions import AnnobridgeError, RunError
from .tables import RUNS

UNSETTLED_STATES = ("applying", "undoing")
# Entries of ``Run.options`` that the bridge keeps there for itself; all others are options of the backend.
MEDIA_FIELD_OPTION, NOT_SENT_OPTION, NOTES_OPTION = "media_field", "not_sent", "notes"
BRIDGE_OPTIONS = (MEDIA_FIELD_OPTION, NOT_SENT_OPTION, NOTES_OPTION)


@dataclass(frozen=True, slots=True)
class Load:
    """One load of a run.

    ``state`` is applying, then applied or aborted; and undoing, then undone (or applied again) once it is undone.
    """

    number: int
    state: str
    token: str
    since: int  # the version of ``labels`` that the load was planned on
    version: int | None = None  # the version of ``labels`` that it made; None when it changed no label
    owner: str = ""
    time: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    destinations: Mapping[str, str] = field(
        default_factory=dict
    )  # field of the run → field that its labels went to instead
    undone: int | None = None  # while undoing: the version that this was planned on; then the one that it made

    @property
    def is_unsettled(self) -> bool:
        """Whether it was announced in the ledger and its outcome is not recorded yet."""
        return self.state in UNSETTLED_STATES


@dataclass(frozen=True, slots=True)
class Run:
    """A row of the ledger."""

    anno_key: str
    run_id: str
    state: str  # sending | sent
    backend: str
    schema: LabelSchema
    options: Mapping[str, Any]
    view: Sequence[Mapping[str, Any]]
    labels_version: int
    created: datetime
    updated: datetime
    loads: tuple[Load, ...] = ()
    rev: int = 1

    def to_row(self) -> dict[str, Any]:
        """The run as a row of ``RUNS``."""
        values = {
            "label_schema": json.dumps(self.schema.to_dict()),
            "options": json.dumps(dict(self.options)),
            "view": json.dumps(list(self.view)),
            "loads": json.dumps([asdict(load) for load in self.loads]),
        }
        return {n: values.get(n, getattr(self, n, None)) for n in RUNS.names}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Run:
        """The run of a row of ``RUNS``. Raises ``RunError`` for a row that cannot be read."""
        try:
            return cls(
                row["anno_key"], row["run_id"], row["state"], row["backend"],
                LabelSchema.from_dict(json.loads(row["label_schema"])), json.loads(row["options"]),
                json.loads(row["view"]), row["labels_version"], row["created"], row["updated"],
                tuple(Load(**load) for load in json.loads(row["loads"])), row["rev"],
            )  # fmt: skip
        except (ValueError, TypeError, KeyError, AttributeError, AnnobridgeError) as e:
            raise RunError(
                f"The entry of the run {row['anno_key']!r} in the ledger cannot be read ({e}): it is damaged, or a later version "
                f"of annobridge wrote it. Use that version, or forget the run with delete_annotation_run({row['anno_key']!r})."
            ) from e

    @property
    def versions(self) -> dict[int, int]:
        """Number of each load in ``applied_loads`` → the version of ``labels`` after it."""
        made = {load.number: load.version or load.since for load in self.loads}
        return {number: made.get(number, self.labels_version) for number in self.applied_loads}

    @property
    def fields(self) -> set[str]:
        """The label fields that were sent, and the destinations of loads."""
        return set(self.schema.fields).union(*(load.destinations.values() for load in self.loads))

    @property
    def applied_loads(self) -> list[int]:
        """The numbers of the loads that count for the baseline, in order; 0 stands for the upload."""
        return [0, *(load.number for load in self.loads if load.state in ("applied", "undoing"))]

    @property
    def next_load_number(self) -> int:
        """The number of the next load."""
        return max([0, *(load.number for load in self.loads)]) + 1
