"""Files of decisions: one JSON object a line, with the columns of ``DECISIONS``.

Lines are only ever appended, by the review page and by anybody else. A line that was not written to its end, because the writer
was killed, is the last one and has no line end: it is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ..core import json_values
from ..core.arrays import as_array
from ..core.review.decisions import DECISIONS, VALUE, VERDICTS
from ..exceptions import InvalidOption
from ..store.run import Run

_REQUIRED = ("run_id", "change_id", "verdict", "bound_to")
_TEXTS = ("value", "by", "note", "rule")
_BOM = b"\xef\xbb\xbf"  # some editors write it
_CURE = "Correct or remove the line."
_SHOWN = 60  # characters of a line
Row = Mapping[str, Any]


class Lines(NamedTuple):
    """What is in a part of a file.

    Attributes:
        rows: the decisions, as rows of ``DECISIONS``.
        complete: how many of the bytes are complete lines.
        lines: how many lines these are.
    """

    rows: list[dict[str, Any]]
    complete: int
    lines: int


def read(path: str | Path, run: Run) -> tuple[pa.Table, list[str]]:
    """The decisions in a file, in its order, and what is to be told about them.

    Raises:
        InvalidOption: the file cannot be read, or one of its lines is no decision about this run; the message names the line.
    """
    data = read_bytes(path)
    found = parse(data, str(path), run)
    notes = []
    if found.complete < len(data):
        notes.append(f"The last line of {path} was not written to its end; it is left out.")
    return table(found.rows), notes


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a file of decisions. Raises ``InvalidOption`` if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise InvalidOption(f"There is no file of decisions {str(path)!r}; correct the path.") from None
    except OSError as error:
        raise InvalidOption(
            f"The file of decisions {str(path)!r} cannot be read ({error.strerror}); give another."
        ) from None


def parse(data: bytes, place: str, run: Run, first_line: int = 1) -> Lines:
    """Read lines.

    Args:
        data: the lines. The last one may lack its end, if it is complete otherwise.
        place: the file, for messages.
        run: the run that the decisions have to be about.
        first_line: the number of the first line.
    """
    whole, _, tail = data.rpartition(b"\n")
    lines = whole.split(b"\n") if len(tail) < len(data) else []
    if is_complete(tail):
        lines.append(tail)
        tail = b""
    if lines and first_line == 1:
        lines[0] = lines[0].removeprefix(_BOM)
    numbered = enumerate(lines, first_line)
    rows = [_decision(line, f"{place}:{number}", run) for number, line in numbered if line.strip()]
    return Lines(rows, len(data) - len(tail), len(lines))


def is_complete(tail: bytes) -> bool:
    """Whether a line without a line end is complete: a JSON object that was cut off is no JSON."""
    try:
        return isinstance(json.loads(tail), dict)
    except (ValueError, RecursionError):
        return False


def table(rows: Sequence[Row]) -> pa.Table:
    """Rows as a table of ``DECISIONS``."""
    return pa.Table.from_pylist(list(rows), schema=DECISIONS)


def to_line(row: Row) -> bytes:
    """A decision as a line of a file."""
    values = {name: row[name] for name in DECISIONS.names}
    values["at"] = row["at"] and row["at"].isoformat()
    return json.dumps(values, ensure_ascii=False).encode() + b"\n"


def unknown_note(decisions: pa.Table, change_ids: pa.Array | pa.ChunkedArray, place: str) -> str | None:
    """A sentence about decisions whose changes the plan does not have; ``None`` if it has all."""
    ids = as_array(decisions["change_id"])
    unknown = pc.unique(ids.filter(pc.invert(pc.is_in(ids, value_set=as_array(change_ids)))))
    if not len(unknown):
        return None
    return (
        f"{place} has decisions about {_changes(len(unknown))} that the plan does not have, as they were loaded, or taken back in "
        "the tool; they are left out."
    )


def _changes(count: int) -> str:
    return f"{count:,} change{'' if count == 1 else 's'}"


def _decision(line: bytes, where: str, run: Run) -> dict[str, Any]:
    """A line as a row of ``DECISIONS``. Raises ``InvalidOption``."""
    found = _object(line, where)
    for name in _REQUIRED:
        if not isinstance(found.get(name), str) or not found[name]:
            raise InvalidOption(f"{where} has no {name!r} (a text), so it is no decision. {_CURE}")
    for name in _TEXTS:
        if not isinstance(found.get(name), str | None):
            raise InvalidOption(f"{where} has the {name} {found[name]!r}, which is no text. {_CURE}")
    if found["verdict"] not in VERDICTS:
        raise InvalidOption(
            f"{where} has the verdict {found['verdict']!r}; verdicts are {', '.join(VERDICTS)}. {_CURE}"
        )
    if found["run_id"] != run.run_id:
        raise InvalidOption(
            f"{where} is a decision about another run ({found['run_id']}) than {run.anno_key!r} ({run.run_id}); give the file "
            "that was written for this run."
        )
    if found["verdict"] == VALUE and not _is_json(found.get("value")):
        raise InvalidOption(f"{where} has the verdict 'value', and no 'value' that is JSON text. {_CURE}")
    return {name: clean(found.get(name)) for name in DECISIONS.names if name != "at"} | {
        "at": _time(found.get("at"), where)
    }


def clean(text: str | None) -> str | None:
    """A text without halves of surrogate pairs, which JSON can say and UTF-8 cannot."""
    return text if text is None else text.encode("utf-8", "replace").decode()


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        found = json_values.read(line.decode())
    except ValueError:  # UnicodeDecodeError is one
        found = None
    if not isinstance(found, dict):
        shown = line[:_SHOWN].decode(errors="replace").strip()
        raise InvalidOption(f"{where} is no JSON object, and so no decision: {shown!r}. {_CURE}")
    return found


def _is_json(text: str | None) -> bool:
    try:
        json_values.read(text or "")
    except ValueError:
        return False
    return True


def _time(text: Any, where: str) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        raise InvalidOption(
            f"{where} has the time {text!r}; give it as ISO 8601, as 2026-01-31T12:00:00Z. {_CURE}"
        ) from None
