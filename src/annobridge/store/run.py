"""A run and its loads as values, and their form in the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from ..core.schema import LabelSchema
from ..exceptions import AnnobridgeError, RunError
from .schemas import RUNS

ANNOTATOR_READING, FILE_READING = "annotator", "file"  # in ``Load.reading``, beside ``CONSENSUS_OPTION``
UNSETTLED_STATES = ("applying", "undoing")
_COUNTS = ("applied", "undoing", "extending", "extended", "pushed")
# Entries of ``Run.options`` that the bridge keeps there for itself; all others are options of the backend.
MEDIA_FIELD_OPTION, NOT_SENT_OPTION, NOTES_OPTION = "media_field", "not_sent", "notes"
ADOPTED_OPTION = "adopted"  # how many of its first tasks were made by others
CONSENSUS_OPTION = "consensus"  # that a run of answers was made for
ANSWER_FIELDS_OPTION = "answer_fields"  # those of the merged answers that are label fields, and not keys of runs
BRIDGE_OPTIONS = (
    MEDIA_FIELD_OPTION, NOT_SENT_OPTION, NOTES_OPTION, ADOPTED_OPTION, CONSENSUS_OPTION, ANSWER_FIELDS_OPTION,
)  # fmt: skip
SENDING, ADOPTING, SENT = "sending", "adopting", "sent"


@dataclass(frozen=True, slots=True)
class Load:
    """An event that changed the baseline of a run after it was sent: a load, an extension by further samples, or a push.

    ``state`` of a load is applying, then applied or aborted; and undoing, then undone (or applied again) once it is undone.
    Of an extension, it is extending, then extended or aborted; of a push, pushing, then pushed.
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
    # Whose answers it took, where several people answer: {"annotator": name}, {"consensus": its options}, or nothing; or
    # {"file": True} where it did not ask the tool
    reading: Mapping[str, Any] = field(default_factory=dict)
    undone: int | None = None  # while undoing: the version that this was planned on; then the one that it made
    first_task: int = 0  # of an extension: the number of its first task

    @property
    def is_unsettled(self) -> bool:
        """Whether it was announced in the ledger and its outcome is not recorded yet."""
        return self.state in UNSETTLED_STATES


def is_remembered(reading: Mapping[str, Any]) -> bool:
    """Whether later loads take the answers that a load has taken: the consensus, or the tool's own."""
    return {ANNOTATOR_READING, FILE_READING}.isdisjoint(reading)


@dataclass(frozen=True, slots=True)
class Run:
    """A row of the ledger."""

    anno_key: str
    run_id: str
    state: str  # sending or adopting, then sent
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
    def extension(self) -> Load | None:
        """The extension whose tasks are being sent, if any."""
        return next((load for load in self.loads if load.state == "extending"), None)

    @property
    def push(self) -> Load | None:
        """The push that was interrupted, or is going on, if any."""
        return next((load for load in self.loads if load.state == "pushing"), None)

    @property
    def sends(self) -> list[int]:
        """The numbers of the events that sent tasks; 0 stands for the first time."""
        return [0, *(load.number for load in self.loads if load.state in ("extending", "extended"))]

    @property
    def versions(self) -> dict[int, int]:
        """Number of each load in ``applied_loads`` → the version of ``labels`` after it."""
        made = {load.number: load.version or load.since for load in self.loads}
        return {number: made.get(number, self.labels_version) for number in self.applied_loads}

    def last_readings(self, destinations: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """Whose answers the last load into each of the fields took to which one with these destinations goes, the latest load last.
        Loads of one annotator, and of files, do not count.
        """
        last: dict[str, Load] = {}
        for load in self.loads:
            if load.state == "applied" and is_remembered(load.reading):
                last |= dict.fromkeys(self._targets(load.destinations), load)
        found = {last[name].number: last[name].reading for name in self._targets(destinations) if name in last}
        return [found[number] for number in sorted(found)]

    def consensus(self, destinations: Mapping[str, str]) -> Mapping[str, Any] | None:
        """The options of the consensus that one of ``last_readings`` has, if any; before any load, of the one that the run was made
        for.
        """
        taken = self.last_readings(destinations) or [self.options]
        return next((found[CONSENSUS_OPTION] for found in reversed(taken) if CONSENSUS_OPTION in found), None)

    def _targets(self, destinations: Mapping[str, str]) -> list[str]:
        return [destinations.get(name, name) for name in self.schema.fields]

    @property
    def fields(self) -> set[str]:
        """The label fields that were sent, and the destinations of loads."""
        return set(self.schema.fields).union(*(load.destinations.values() for load in self.loads))

    @property
    def destinations(self) -> set[str]:
        """The fields that loads which were not undone have put labels into, in place of those that were sent."""
        return {place for load in self.loads if load.state == "applied" for place in load.destinations.values()}

    @property
    def applied_loads(self) -> list[int]:
        """The numbers of the loads, extensions and pushes that count for the baseline, in order; 0 stands for the upload."""
        return [0, *(load.number for load in self.loads if load.state in _COUNTS)]

    def with_state(self, load: Load, state: str, **changes: Any) -> tuple[Load, ...]:
        """Its loads, of which one has another state, and other changes."""
        return tuple(
            replace(known, state=state, **changes) if known.number == load.number else known for known in self.loads
        )

    @property
    def next_load_number(self) -> int:
        """The number of the next load."""
        return max([0, *(load.number for load in self.loads)]) + 1
