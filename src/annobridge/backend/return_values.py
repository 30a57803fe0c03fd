"""Checks the return values of a backend before anything of them is stored.

Each function returns the value, in its exact types, or raises ``InvalidReturnValue`` with what is wrong: the rest of a sentence
that begins with "The backend returned".
"""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import Bools, as_array, as_mask, equal, not_null
from ..core.checks.repeats import repeated
from ..core.labels import COMMENT_STATES, COMMENTS, FOUND_MEDIA, REMOTE, REVIEWED, TOOL_KEY
from .values import Download, Edits, FoundTask, Pushed, Receipt, SentBack, Status, Task

_SHOWN = 50  # characters of a wrong value
_REQUIRED = [field.name for field in REMOTE if not field.nullable]
_TOOL_COLUMNS = [
    name for name in REMOTE.names if name not in ("label_id", "rev")
]  # the columns that a tool has values for
_JOB = ("name", "state", "assignee", "url")
_COUNTS = ("samples", "reviewed")  # of a job, where they are known
_KEY_OF_TASK = re.compile(r"[A-Za-z0-9_-]+")


class InvalidReturnValue(Exception):
    """A return value that violates the protocol."""


def check_receipt(found: object, task: Task) -> Receipt:
    """Check what ``upload`` returned: each label of the task is in the baseline once, or in ``unsent``."""
    if not isinstance(found, Receipt):
        raise InvalidReturnValue(f"{_shown(found)} instead of a Receipt")
    if found.task != task.name:
        raise InvalidReturnValue(f"a receipt of the task {found.task!r}")
    _require_json(found.state)
    unsent = _strings(found.unsent, "unsent")
    given = as_array(task.labels["label_id"])
    baseline = _baseline(found.baseline, task.labels, _given(unsent, given, "unsent label ids"))
    return Receipt(found.task, found.state, baseline, unsent, check_texts(found.notes, "notes"))


def check_pushed(found: object, edits: Edits) -> Pushed:
    """Check what ``push`` returned: each label to add or edit is in the baseline once, or left out."""
    if not isinstance(found, Pushed):
        raise InvalidReturnValue(f"{_shown(found)} instead of a Pushed")
    if found.state is not None:
        _require_json(found.state)
    labels = edits.task.labels
    left_out = _strings(found.left_out, "left_out")
    known = pa.concat_arrays([as_array(labels["label_id"]), as_array(edits.deleted["label_id"])])
    baseline = _baseline(found.baseline, labels, _given(left_out, known, "left_out label ids"))
    return Pushed(baseline, left_out, found.state, check_texts(found.notes, "notes"))


def check_found(found: object) -> FoundTask:
    """Check a task that ``find_tasks`` returned."""
    if not isinstance(found, FoundTask):
        raise InvalidReturnValue(f"{_shown(found)} instead of a FoundTask")
    if not isinstance(found.key, str) or not _KEY_OF_TASK.fullmatch(found.key):
        raise InvalidReturnValue(f"a FoundTask whose key is {_shown(found.key)} instead of letters, digits, _ and -")
    if not isinstance(found.label_schema, Mapping) or not isinstance(found.title, str):
        raise InvalidReturnValue("a FoundTask whose label_schema is not a mapping, or whose title is not a text")
    for name, spec in found.label_schema.items():
        if fault := _spec_fault(name, spec):
            raise InvalidReturnValue(f"a FoundTask whose label_schema has {fault}")
    _require_json(found.state)
    required = [f.name for f in FOUND_MEDIA if not f.nullable]
    media, faults = _table(found.media, "media", FOUND_MEDIA, "FOUND_MEDIA", required)
    if faults:
        raise InvalidReturnValue(f"media of {media.num_rows} rows, {' and '.join(faults)}")
    return found


def check_stream(found: object) -> BinaryIO:
    """Check what ``read_media`` returned: a binary file, which can be closed."""
    if isinstance(found, io.TextIOBase) or not all(hasattr(found, name) for name in ("read", "__enter__", "__exit__")):
        raise InvalidReturnValue(f"{_shown(found)} instead of a binary stream")
    return found  # type: ignore[return-value]


def _spec_fault(name: object, spec: object) -> str | None:
    """What is wrong in form with a field of the label schema of a ``FoundTask``."""
    if not isinstance(name, str):
        return f"the field {_shown(name)}, whose name is not a text"
    if not isinstance(spec, Mapping):
        return f"{_shown(spec)} as the field {name!r} instead of a mapping"
    if not isinstance(spec.get("type"), str):
        return f"the field {name!r} without a type"
    classes, attributes = spec.get("classes", ()), spec.get("attributes", {})
    if isinstance(classes, str) or not isinstance(classes, Sequence):
        return f"{_shown(classes)} as the classes of the field {name!r} instead of a sequence"
    if not isinstance(attributes, Mapping):
        return f"{_shown(attributes)} as the attributes of the field {name!r} instead of a mapping"
    return None


def _given(ids: pa.Array, given: pa.Array, what: str) -> pa.Array:
    """The ids, all of which have to be among those that the backend was given."""
    if len(ids) and (strange := ~as_mask(pc.is_in(ids, value_set=given))).any():
        raise InvalidReturnValue(f"{what} that were not given to it (first: {_first(ids, strange)})")
    return ids


def _baseline(found: object, sent: pa.Table, left_out: pa.Array) -> pa.Table:
    """Check a baseline of labels that were sent, except those that were left out."""
    baseline = _labels(found, "a baseline", [*_REQUIRED, "label_id", "field"])
    if len(left_out):
        sent = sent.filter(pc.invert(pc.is_in(sent["label_id"], value_set=left_out)))
    if faults := [*_id_faults(baseline, as_array(sent["label_id"])), *_value_faults(baseline, sent)]:
        raise InvalidReturnValue(f"a baseline that {' and '.join(faults)}")
    return baseline


def check_download(found: object) -> Download:
    """Check what ``download`` returned. Of labels that are equal in everything, one is kept, with a note."""
    if not isinstance(found, Download):
        raise InvalidReturnValue(f"{_shown(found)} instead of a Download")
    labels = _labels(found.labels, "labels", _REQUIRED)
    samples = _strings(found.samples, "samples")
    notes = check_texts(found.notes, "notes")
    twice = repeated(labels, TOOL_KEY, _TOOL_COLUMNS)
    if twice.any():
        notes += (
            f"{int(twice.sum())} labels came from the tool more than once, equal in everything, the id of the tool too "
            f"(first: {_first(labels['remote_id'], twice)}); each was taken once.",
        )
        labels = labels.filter(pa.array(~twice))
    return Download(labels, samples, notes, _comments(found.comments), _reviewed(found.reviewed))


def check_sent_back(found: object, refusals: pa.Table) -> SentBack:
    """Check what ``send_back`` returned: each of the refusals is counted once, or left out."""
    if not isinstance(found, SentBack):
        raise InvalidReturnValue(f"{_shown(found)} instead of a SentBack")
    for name in ("placed", "existing"):
        number = getattr(found, name)
        if not _is_count(number):
            raise InvalidReturnValue(f"a SentBack whose {name} is {_shown(number)} instead of a number of refusals")
    given = as_array(refusals["change_id"])
    left_out = _given(_strings(found.left_out, "left_out"), given, "left_out change ids")
    if len(left_out.unique()) != len(left_out):
        raise InvalidReturnValue("left_out with a change id more than once")
    counted = found.placed + found.existing + len(left_out)
    if counted != len(given):
        raise InvalidReturnValue(
            f"a SentBack that counts {counted} refusals, {found.placed} placed, {found.existing} existing and {len(left_out)} left "
            f"out, of the {len(given)} that were given to it"
        )
    return SentBack(found.placed, found.existing, left_out, check_texts(found.notes, "notes"))


def check_texts(found: object, what: str) -> tuple[str, ...]:
    """Check an iterable of strings."""
    if isinstance(found, str) or not isinstance(found, Iterable):
        raise InvalidReturnValue(f"{what} that are {_shown(found)} instead of a sequence of texts")
    listed = tuple(found)
    if wrong := [text for text in listed if not isinstance(text, str)]:
        raise InvalidReturnValue(f"{what} that hold {_shown(wrong[0])}, which is not a text")
    return listed


def check_state(found: object) -> Mapping[str, Any] | None:
    """Check what ``find`` returned: a JSON object, or ``None``."""
    if found is None:
        return None
    _require_json(found)
    return found  # type: ignore[return-value]


def check_status(found: object) -> Status:
    """Check what ``status`` returned."""
    if not isinstance(found, Status):
        raise InvalidReturnValue(f"{_shown(found)} instead of a Status")
    if not isinstance(found.state, str):
        raise InvalidReturnValue(f"a Status whose state is {_shown(found.state)}, which is not a text")
    if not isinstance(found.samples, Mapping) or not all(
        isinstance(n, str) and isinstance(count, int) for n, count in found.samples.items()
    ):
        raise InvalidReturnValue(
            f"a Status whose samples are {_shown(found.samples)} instead of numbers of samples by state"
        )
    if not _optional_text(found.mark) or not _optional_count(found.reviewed):
        raise InvalidReturnValue("a Status whose reviewed is not a number of samples, or whose mark is not a text")
    jobs = found.jobs if isinstance(found.jobs, Iterable) else [found.jobs]
    if wrong := [job for job in jobs if not _is_job(job)]:
        raise InvalidReturnValue(
            f"a Status with the job {_shown(wrong[0])} instead of a mapping of {', '.join(_JOB)} to texts"
        )
    return found


def check_url(found: object) -> str | None:
    """Check what ``editor_url`` returned."""
    if not _optional_text(found):
        raise InvalidReturnValue(f"{_shown(found)} instead of an address or None")
    return found  # type: ignore[return-value]


def _comments(found: object) -> pa.Table:
    """Check a table of comments."""
    required = [field.name for field in COMMENTS if not field.nullable]
    table, faults = _table(found, "comments", COMMENTS, "COMMENTS", required)
    states = pc.unique(table["state"]).to_pylist()
    faults += [
        f"the state {_shown(s)}, which is none of {', '.join(COMMENT_STATES)}"
        for s in states
        if s not in (None, *COMMENT_STATES)
    ]
    if faults:
        raise InvalidReturnValue(f"comments of {table.num_rows} rows, {' and '.join(faults)}")
    return pa.Table.from_arrays([table[name] for name in COMMENTS.names], schema=COMMENTS)


def _reviewed(found: object) -> pa.Table:
    """Check a table of the progress of samples."""
    table, faults = _table(found, "reviewed", REVIEWED, "REVIEWED", [f.name for f in REVIEWED if not f.nullable])
    if (twice := repeated(table, ["sample_id"], [])).any():
        faults.append(
            f"{int(twice.sum())} of samples that are in it before (first: {_first(table['sample_id'], twice)})"
        )
    if faults:
        raise InvalidReturnValue(f"reviewed of {table.num_rows} rows, {' and '.join(faults)}")
    return pa.Table.from_arrays([table[name] for name in REVIEWED.names], schema=REVIEWED)


def _table(
    found: object, what: str, schema: pa.Schema, schema_name: str, required: Sequence[str]
) -> tuple[pa.Table, list[str]]:
    """A table that has exactly the columns of a schema, in any order, and a text about each of the ``required`` ones with nulls."""
    if not isinstance(found, pa.Table):
        raise InvalidReturnValue(
            f"{_shown(found)} as {what} instead of a pyarrow.Table with the columns of {schema_name}"
        )
    if faults := list(_column_faults(found.schema, schema)):
        raise InvalidReturnValue(f"{what} {' and '.join(faults)}, unlike {schema_name}")
    return found, [f"{n} without a {name}" for name in required if (n := found[name].null_count)]


def _labels(given: object, what: str, required: Sequence[str]) -> pa.Table:
    """Check a table of labels."""
    found, faults = _table(given, what, REMOTE, "REMOTE", required)
    names = pc.struct_field(pc.list_flatten(as_array(found["attributes"])), [0])
    if names.null_count:
        faults.append(f"{names.null_count} attributes without a name")
    if (
        kept := as_mask(pc.starts_with(found["remote_id"], "\n"))
    ).any():  # reserved for rows of ``core.merge.destination``
        faults.append(f"{int(kept.sum())} with a remote_id that begins with a line break")
    if faults:
        raise InvalidReturnValue(f"{what} of {found.num_rows} rows, {' and '.join(faults)}")
    return pa.Table.from_arrays([found[name] for name in REMOTE.names], schema=REMOTE)


def _column_faults(schema: pa.Schema, expected: pa.Schema) -> Iterator[str]:
    if schema.equals(expected):
        return
    if missing := [name for name in expected.names if name not in schema.names]:
        yield f"without {_columns(missing)}"
    if more := [name for name in schema.names if name not in expected.names]:
        yield f"with {_columns(more)} too many"
    if twice := [name for name, n in Counter(schema.names).items() if n > 1]:
        yield f"with {_columns(twice)} more than once"
        return
    for field in expected:
        if field.name in schema.names and schema.field(field.name).type != field.type:
            yield f"with the column {field.name!r} of type {schema.field(field.name).type} instead of {field.type}"


def _columns(names: Sequence[str]) -> str:
    return f"the column{'s' * (len(names) > 1)} {', '.join(map(repr, names))}"


def _id_faults(baseline: pa.Table, given: pa.Array) -> Iterator[str]:
    """Differences between the ids of a baseline and those of the labels that were sent."""
    found = as_array(baseline["label_id"])
    if not found.equals(given):
        lacks, strange = (~as_mask(pc.is_in(a, value_set=b)) for a, b in ((given, found), (found, given)))
        twice = repeated(baseline, ["label_id"], [])
        if lacks.any():
            yield f"lacks {int(lacks.sum())} of the {len(given)} labels that were sent (first: {_first(given, lacks)})"
        if strange.any():
            yield f"has {int(strange.sum())} label ids that were not sent (first: {_first(found, strange)})"
        if twice.any():
            yield f"repeats the label id of {int(twice.sum())} rows (first: {_first(found, twice)})"
    if (twice := repeated(baseline, TOOL_KEY, [])).any():
        yield (
            f"gives {int(twice.sum())} labels the remote_id of another on the same sample "
            f"(first: {_first(baseline['remote_id'], twice)})"
        )


def _value_faults(baseline: pa.Table, sent: pa.Table) -> Iterator[str]:
    """Labels of a baseline with another sample, field or kind than they were sent with."""
    ids = as_array(baseline["label_id"])
    sent = sent.select(["label_id", "sample_id", "field", "kind"])
    if not ids.equals(as_array(sent["label_id"])):
        sent = sent.take(pc.index_in(ids, value_set=as_array(sent["label_id"])))
    for name in ("sample_id", "field", "kind"):
        found, given = as_array(baseline[name]), as_array(sent[name])
        wrong = not_null(given) & ~equal(found, given)
        if wrong.any():
            yield (
                f"has another {name} for {int(wrong.sum())} labels than they were sent with (first: {_first(ids, wrong)}, "
                f"{_first(found, wrong)} instead of {_first(given, wrong)})"
            )


def _strings(found: object, what: str) -> pa.Array:
    if not isinstance(found, pa.Array | pa.ChunkedArray):
        raise InvalidReturnValue(f"{what} that are {_shown(found)} instead of a pyarrow array of strings")
    if found.type != pa.string():
        raise InvalidReturnValue(f"{what} of type {found.type} instead of string")
    if found.null_count:
        raise InvalidReturnValue(f"{what} of which {found.null_count} are null")
    return as_array(found)


def _first(values: pa.Array | pa.ChunkedArray, where: Bools) -> str:
    return repr(as_array(values)[int(where.argmax())].as_py())


def _require_json(found: object) -> None:
    if not isinstance(found, Mapping):
        raise InvalidReturnValue(f"a state that is {_shown(found)} instead of a dictionary")
    if fault := _not_json(dict(found), "state"):
        raise InvalidReturnValue(f"a state that is not JSON: {fault}")


def _not_json(value: object, path: str) -> str | None:
    """Why a value would not survive JSON, with the path to it; ``None`` if it would."""
    if isinstance(value, dict):
        if strange := [key for key in value if not isinstance(key, str)]:
            return f"{path} has the key {strange[0]!r}, which is not a text"
        return next((f for k, v in value.items() if (f := _not_json(v, f"{path}[{k!r}]"))), None)
    if isinstance(value, list | tuple):
        return next((f for n, v in enumerate(value) if (f := _not_json(v, f"{path}[{n}]"))), None)
    if isinstance(value, float) and not math.isfinite(value):
        return f"{path} is {value}"
    if value is None or isinstance(value, str | int | float):
        return None
    return f"{path} is {_shown(value)}"


def _is_job(job: object) -> bool:
    return (
        isinstance(job, Mapping)
        and {*job} >= {*_JOB}
        and all(_optional_text(job[name]) for name in _JOB)
        and all(_optional_count(job.get(name)) for name in _COUNTS)
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _optional_count(value: object) -> bool:
    return value is None or _is_count(value)


def _optional_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _shown(value: object) -> str:
    """A wrong value for messages; of a large one, its type."""
    if value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= _SHOWN):
        return repr(value)
    return f"an object of type {type(value).__name__}"
