"""Plans in files: a zip archive with the rows of a plan as Arrow streams, and the rest as JSON."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from ..core.agreement.consensus import Consensus
from ..core.review.decisions import DECISIONS
from ..exceptions import InvalidOption, InvalidSource
from ..spill.streams import Streams
from ..store.remote import absolute
from ..store.run import Run
from .outcome import LAST, Options, Outcome
from .task_planner import STREAMS

_FORMAT = 3
_PLAN, _DECISIONS, _ROWS = "plan.json", "decisions.arrow", "rows/{}.arrow"


class Source(NamedTuple):
    """Where the work of a plan came from, if not from the tool: a file, and the format that was named."""

    path: str | None = None
    format_name: str | None = None


FROM_TOOL = Source()
_OPTIONS = [name for name in Options.__slots__ if name != "decisions"]
_VALUES: dict[str, type] = {
    "dataset": str, "anno_key": str, "run_id": str, "rev": int, "options": dict, "version": int, "load": int, "destinations": dict,
    "looked_at": int, "samples_version": int, "unanswered": int, "counts": list, "undecided": dict, "failing": int, "notes": list,
    "digests": dict, "source": dict,
}  # fmt: skip
_SMALL, _MAX_RATIO = 16 << 20, 200  # bytes of a member that are always unpacked; and how often its size others may have
_ERRORS = (
    OSError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, LookupError, TypeError, ValueError, ArithmeticError,
    RuntimeError, MemoryError, pa.ArrowException,
)  # fmt: skip


def save(outcome: Outcome, decisions: pa.Table, dataset_uri: str, source: Source, path: Path) -> None:
    """Write a plan. Raises ``InvalidOption`` if it cannot be written, or not to this place."""
    options = {f: getattr(outcome.options, f) for f in _OPTIONS}
    if outcome.options.where is not None:
        options["where"] = outcome.options.where.to_pylist()
    if isinstance(outcome.options.since, datetime):
        options["since"] = outcome.options.since.isoformat()
    if outcome.options.consensus is not None:
        options["consensus"] = asdict(outcome.options.consensus)
    if callable(options["unexpected"]):
        raise InvalidOption(
            "A plan made with a function as unexpected= cannot be saved; give a word or a dictionary of type to field instead."
        )
    plan = {
        "format": _FORMAT, "dataset": absolute(dataset_uri), "anno_key": outcome.run.anno_key, "run_id": outcome.run.run_id,
        "rev": outcome.run.rev, "options": options, "version": outcome.version, "load": outcome.load,
        "samples_version": outcome.samples_version,
        "destinations": dict(outcome.destinations), "looked_at": outcome.looked_at, "unanswered": outcome.unanswered,
        "counts": [[*key, n] for key, n in outcome.counts.items()], "undecided": dict(outcome.undecided),
        "failing": outcome.failing, "notes": outcome.notes, "digests": outcome.digests,
        "source": {**source._asdict(), "path": source.path and absolute(source.path)},
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
    options: Options
    source: Source
    streams: Streams
    decisions: pa.Table  # DECISIONS

    def outcome(self, run: Run) -> Outcome:
        """The plan, of a run that did not change since it was saved."""
        v = self.values
        counts = Counter({(field, action): n for field, action, n in v["counts"]})
        return Outcome(
            self.streams, v["version"], run, v["load"], self.options, v["destinations"], looked_at=v["looked_at"],
            unanswered=v["unanswered"], counts=counts, undecided=Counter(v["undecided"]), failing=v["failing"],
            notes=v["notes"], digests=v["digests"], samples_version=v["samples_version"],
        )  # fmt: skip


def read(path: Path) -> SavedPlan:
    """Read a plan. Raises ``InvalidSource`` if the file cannot be read, or is no plan."""
    try:
        with zipfile.ZipFile(path) as archive:
            if large := [
                e.filename for e in archive.infolist() if e.file_size > max(_SMALL, _MAX_RATIO * e.compress_size)
            ]:
                raise ValueError(f"{large[0]} unpacks to more than {_MAX_RATIO} times its size")
            values = json.loads(archive.read(_PLAN))
            if values["format"] != _FORMAT:
                raise InvalidSource(f"The plan {str(path)!r} was written by another version of annobridge; plan again.")
            _check(values)
            decisions = pa.Table.from_batches(_batches(archive, _DECISIONS, DECISIONS), DECISIONS)
            return SavedPlan(
                values, _options(values["options"]), Source(**values["source"]), _streams(archive), decisions
            )
    except _ERRORS as error:
        reason = getattr(error, "strerror", None) or "it is not a plan, or damaged"
        raise InvalidSource(
            f"The plan {str(path)!r} cannot be read: {reason}; save it again with plan.save()."
        ) from error


def _options(stored: dict[str, Any]) -> Options:
    where, since, consensus = stored["where"], stored["since"], stored["consensus"]
    return Options(**stored | {
        "where": where if where is None else pa.array(where, pa.string()),
        "since": since if since in (None, LAST) else datetime.fromisoformat(since),
        "consensus": consensus and Consensus(**consensus),
    })  # fmt: skip


def _check(values: dict[str, Any]) -> None:
    """Raise ``TypeError`` or ``ValueError`` for values that no plan has."""
    if wrong := [name for name, kind in _VALUES.items() if type(values.get(name)) is not kind]:
        raise TypeError(f"{wrong[0]} has another type")
    texts = [
        *values["destinations"].values(), *values["notes"], *values["digests"].values(), *filter(None, values["source"].values()),
        *(text for field, action, _ in values["counts"] for text in (field, action)),
    ]  # fmt: skip
    numbers = [*values["undecided"].values(), *(count for *_, count in values["counts"])]
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(number, int) for number in numbers):
        raise TypeError("a text or a number has another type")
    if set(values["options"]) - set(_OPTIONS):
        raise ValueError("it has options of another version")


def _batches(archive: zipfile.ZipFile, name: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of a member, which Arrow may not touch before they are checked: damaged ones end the process."""
    with archive.open(name) as file:
        for batch in pa.ipc.open_stream(file):
            batch.validate(full=True)
            if batch.schema != schema:
                raise ValueError(f"{name} has other columns")
            yield batch


def _streams(archive: zipfile.ZipFile) -> Streams:
    streams = Streams(STREAMS)
    for name, schema in STREAMS.items():
        for batch in _batches(archive, _ROWS.format(name), schema):
            streams.add(name, pa.Table.from_batches([batch]))
    streams.finish()
    return streams
