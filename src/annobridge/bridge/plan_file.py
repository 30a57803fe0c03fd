"""Plans in files: a zip archive with the rows of a plan as Arrow streams, and the rest as JSON."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from ..core.review.decisions import DECISIONS
from ..exceptions import InvalidOption, InvalidSource
from ..spill.streams import Streams
from ..store.run import Run
from .outcome import Options, Outcome
from .plan import STREAMS

_FORMAT = 1
_PLAN, _DECISIONS, _ROWS = "plan.json", "decisions.arrow", "rows/{}.arrow"


class Source(NamedTuple):
    """Where the work of a plan came from, if not from the tool: a file, and the format that was named."""

    path: str | None = None
    format_name: str | None = None


FROM_TOOL = Source()


def save(outcome: Outcome, decisions: pa.Table, dataset_uri: str, source: Source, path: Path) -> None:
    """Write a plan. Raises ``InvalidOption`` if it cannot be written, or not to this place."""
    options = {f: getattr(outcome.options, f) for f in Options.__slots__ if f != "decisions"}
    if callable(options["unexpected"]):
        raise InvalidOption(
            "A plan made with a function as unexpected= cannot be saved; give a word or a dictionary of type to field instead."
        )
    plan = {
        "format": _FORMAT, "dataset": dataset_uri, "anno_key": outcome.run.anno_key, "run_id": outcome.run.run_id,
        "rev": outcome.run.rev, "options": options, "version": outcome.version, "load": outcome.load,
        "destinations": dict(outcome.destinations), "sent": outcome.sent, "unanswered": outcome.unanswered,
        "counts": [[*key, n] for key, n in outcome.counts.items()], "undecided": dict(outcome.undecided),
        "decided_conflicts": outcome.decided_conflicts, "notes": outcome.notes, "digests": outcome.digests,
        "source": source._asdict(),
    }  # fmt: skip
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_PLAN, json.dumps(plan, ensure_ascii=False, indent=1))
            _write(archive, _DECISIONS, decisions.to_reader())
            for name in STREAMS:
                _write(archive, _ROWS.format(name), outcome.streams.reader(name))
    except OSError as error:
        raise InvalidOption(
            f"The plan cannot be written to {str(path)!r}: {error.strerror}; give another place."
        ) from error


def _write(archive: zipfile.ZipFile, name: str, rows: pa.RecordBatchReader) -> None:
    with archive.open(name, "w", force_zip64=True) as file, pa.ipc.new_stream(file, rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)


class SavedPlan(NamedTuple):
    """What is in the file of a plan."""

    values: dict[str, Any]
    streams: Streams
    decisions: pa.Table  # DECISIONS

    def outcome(self, run: Run) -> Outcome:
        """The plan, of a run that did not change since it was saved."""
        v = self.values
        return Outcome(
            self.streams, v["version"], run, v["load"], Options(**v["options"]), v["destinations"], v["sent"],
            v["unanswered"], Counter({(field, action): n for field, action, n in v["counts"]}), Counter(v["undecided"]),
            v["decided_conflicts"], notes=v["notes"], digests=v["digests"],
        )  # fmt: skip


def read(path: Path) -> SavedPlan:
    """Read a plan. Raises ``InvalidSource`` if the file cannot be read, or is no plan."""
    try:
        with zipfile.ZipFile(path) as archive:
            values = json.loads(archive.read(_PLAN))
            if values["format"] != _FORMAT:
                raise InvalidSource(f"The plan {str(path)!r} was written by another version of annobridge; plan again.")
            with archive.open(_DECISIONS) as file:
                decisions = pa.ipc.open_stream(file).read_all().cast(DECISIONS)
            return SavedPlan(values, _streams(archive), decisions)
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or "it is not a plan, or damaged"
        raise InvalidSource(
            f"The plan {str(path)!r} cannot be read: {reason}; save it again with plan.save()."
        ) from error


def _streams(archive: zipfile.ZipFile) -> Streams:
    streams = Streams(STREAMS)
    for name in STREAMS:
        with archive.open(_ROWS.format(name)) as file:
            for batch in pa.ipc.open_stream(file):
                streams.add(name, pa.Table.from_batches([batch]))
    streams.finish()
    return streams
