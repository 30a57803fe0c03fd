"""Labels in any form that users give, parsed into tables with columns of ``LABELS``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any

import pyarrow as pa

from ..core import ids
from ..core.did_you_mean import did_you_mean
from ..core.labels import LABELS
from ..core.rows import Label
from ..exceptions import InvalidLabels

_CHUNK = 65_536  # rows of a table
_ID_COLUMNS = ("sample_id", "label_id")
_FORMS = {  # of columns whose Arrow type says little
    "attributes": "a list of {'name': …, 'type': …, 'value': JSON text}, which Detection(…) and the like write for you",
    "bounding_box": "[x, y, width, height], four numbers relative to the image",
    "mask": "{'size': [height, width], 'counts': …}",
    "points": "a list of parts, each a list of [x, y]",
}
WRONG_TYPE = (pa.ArrowException, TypeError, ValueError, OverflowError)  # what Arrow raises for a value of another type


def parse_labels(given: Any) -> Iterator[pa.Table]:
    """Labels as tables of bounded size.

    Args:
        given: an Arrow table or stream, a dictionary of columns (with ``sample_id``), a dictionary of labels by sample id, or
            an iterable of labels or dictionaries.

    Raises:
        InvalidLabels: it is none of these, or a value is of another type than its column.
    """
    if isinstance(given, Mapping) and "sample_id" in given:
        given = _table_of_columns(given)
    if hasattr(given, "__arrow_c_stream__"):
        for batch in pa.RecordBatchReader.from_stream(given):
            for start in range(0, batch.num_rows, _CHUNK):
                yield pa.Table.from_batches([batch.slice(start, _CHUNK)])
        return
    rows: list[dict[str, Any]] = []
    for row in dictionaries(given):
        rows.append(row)
        if len(rows) == _CHUNK:
            yield table_of_dictionaries(rows)
            rows = []
    if rows:
        yield table_of_dictionaries(rows)


def dictionaries(given: Any) -> Iterator[dict[str, Any]]:
    """Each label as a dictionary of columns, from labels or dictionaries, or a dictionary of them by sample id."""
    pairs = given.items() if isinstance(given, Mapping) else [(None, given)]
    for sample_id, labels in pairs:
        if isinstance(labels, str) or not isinstance(labels, Iterable | Label):
            raise _not_a_label(labels)
        for label in [labels] if isinstance(labels, Label) else labels:
            if not isinstance(label, Label | Mapping):
                raise _not_a_label(label)
            row = label.row() if isinstance(label, Label) else dict(label)
            yield row if sample_id is None else {**row, "sample_id": sample_id}


def _not_a_label(given: Any) -> InvalidLabels:
    cure = "give labels as Detection(…) makes them, dictionaries of columns, or an Arrow table"
    return InvalidLabels("", [f"{given!r} is not a label; {cure}."])


def table_of_dictionaries(rows: list[dict[str, Any]]) -> pa.Table:
    """Dictionaries as a table with the columns that any of them has."""
    names = {name for row in rows for name in row}
    require_columns(sorted(names - set(LABELS.names), key=str))
    columns = {}
    for field in LABELS:
        if field.name in names:
            values = [row.get(field.name) for row in rows]
            try:
                is_id = field.name in _ID_COLUMNS
                columns[field.name] = ids.from_python(values) if is_id else pa.array(values, field.type)
            except WRONG_TYPE as e:
                raise _wrong_type(field.name, e) from None
    return pa.table(columns)


def _table_of_columns(columns: Mapping[str, Any]) -> pa.Table:
    length = len(columns["sample_id"]) if _is_column(columns["sample_id"]) else 0
    for name, values in columns.items():
        if not _is_column(values) or len(values) != length:
            raise InvalidLabels("", [f"The column {name!r} is {values!r}; give a list, as long as that of sample_id."])
    return table_of_dictionaries([{n: values[i] for n, values in columns.items()} for i in range(length)])


def _is_column(values: Any) -> bool:
    return isinstance(values, Sized) and not isinstance(values, str | Mapping)


def require_columns(names: Iterable[Any]) -> None:
    """Raise ``InvalidLabels`` for the first name that is not a column of ``LABELS``."""
    for name in names:
        if name not in LABELS.names:
            raise InvalidLabels("", [f"{name!r} is not a column of labels; {did_you_mean(str(name), LABELS.names)}"])


def cast_column(name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column in the type that it has in ``LABELS``. Raises ``InvalidLabels``."""
    if name in _ID_COLUMNS:
        return ids.as_texts(values)
    try:
        return values.cast(LABELS.field(name).type)
    except WRONG_TYPE as e:
        raise _wrong_type(name, e) from None


def _wrong_type(name: str, error: Exception) -> InvalidLabels:
    form = _FORMS.get(name, f"of the type {LABELS.field(name).type}")
    return InvalidLabels("", [f"The column {name!r} should be {form}: {first_line(error)}."])


def first_line(error: Exception) -> str:
    """The first line of an error's message, without the period."""
    return str(error).splitlines()[0].rstrip(".")
