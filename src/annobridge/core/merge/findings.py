"""Findings: what a load did not take from the tool: a row for each label and component, with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes
from ..labels import ATTRIBUTE_PREFIX, COMPONENTS, KIND_TYPES

_POINTS = 3  # points of a shape that are shown
_EXAMPLES, _SHOWN = 3, 80  # values that are shown for a reason, and characters of each
FINDINGS = pa.schema(
    [
        pa.field("label_id", pa.string()),
        pa.field("sample_id", pa.string()),
        pa.field("field", pa.string()),
        pa.field("component", pa.string()),  # existence | label | spatial | index | attributes.NAME | type | field
        pa.field("reason", pa.string()),
        pa.field("base", pa.string()),  # the values as text, where they have a short form
        pa.field("ours", pa.string()),
        pa.field("theirs", pa.string()),
    ]
)


def of(rows: pa.Table, where: np.ndarray, component: str, reason: str | pa.Array, **sides: pa.Table) -> pa.Table:
    """``FINDINGS``: one for each row at which ``where`` is true.

    Args:
        rows: a table with label_id, sample_id and field.
        where: a boolean array as long as ``rows``.
        component: the component that all of the findings are about.
        reason: one reason for all, or a column as long as ``rows``.
        **sides: ``base``, ``ours`` and ``theirs``: tables as long as ``rows``, whose values of the component are shown.
    """
    at = pa.array(np.flatnonzero(where))
    columns = {name: rows[name].take(at) for name in ("label_id", "sample_id", "field")}
    columns["component"] = pa.repeat(component, len(at))
    columns["reason"] = pa.repeat(reason, len(at)) if isinstance(reason, str) else reason.take(at)
    columns |= {name: text(side.take(at), component) for name, side in sides.items()}
    arrays = [columns.get(f.name, pa.nulls(len(at), f.type)) for f in FINDINGS]
    return pa.Table.from_arrays(arrays, schema=FINDINGS)


def by_remote_id(theirs: pa.Table) -> pa.Table:
    """Labels that are not matched yet, for findings that name them by the tool's own id."""
    return theirs.set_column(theirs.column_names.index("label_id"), "label_id", theirs["remote_id"])


def text(rows: pa.Table, component: str) -> pa.Array | pa.ChunkedArray:
    """The value of a component as short text; null where it has none."""
    if component == "label":
        return pc.coalesce(rows["label"], rows["value"])
    if component == "index":
        return rows["index"].cast(pa.string())
    if component == "field":
        return rows["field"]
    if component == "type":
        kinds = rows["kind"].to_pylist()
        return pa.array([KIND_TYPES.get(kind, kind) for kind in kinds], pa.string())
    if component == "spatial":
        return pa.array(map(_shape, *(rows[name] for name in COMPONENTS["spatial"])), pa.string())
    if component.startswith(ATTRIBUTE_PREFIX):
        return attributes.values(rows["attributes"], component.removeprefix(ATTRIBUTE_PREFIX))
    return pa.nulls(rows.num_rows, pa.string())


def _shape(*scalars: pa.Scalar) -> str | None:
    """The shape of one label as short text. Row by row, as findings are few."""
    row = dict(zip(COMPONENTS["spatial"], scalars, strict=True))
    words = [name for name in ("closed", "filled") if row[name].as_py()]
    if row["bounding_box"].is_valid:
        words.append("box " + _numbers(row["bounding_box"].as_py()))
    if row["rotation"].as_py():
        words.append(f"turned by {_numbers([row['rotation'].as_py()])}")
    if row["points"].is_valid:
        points = row["points"].values.flatten()
        some = [f"({_numbers(point)})" for point in points.slice(0, _POINTS).to_pylist()]
        words.append(f"{len(points)} points {' '.join(some)}" + (" …" if len(points) > _POINTS else ""))
    if row["mask"].is_valid:
        words.append(f"mask of {len(row['mask']['counts'].as_py() or b'')} bytes")
    if row["frame_number"].is_valid:
        words.append(f"in frame {row['frame_number'].as_py()}")
    return ", ".join(words) or None


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def summary(batches: Iterable[pa.RecordBatch]) -> str:
    """One line about rows of ``UNEXPECTED``: each reason with its count and a few of the values."""
    counts: Counter[str] = Counter()
    values: dict[str, dict[str, None]] = {}
    for batch in batches:
        columns = ["reason", "component", "theirs"]
        groups = pa.Table.from_batches([batch]).group_by(columns, use_threads=False).aggregate([([], "count_all")])
        for row in groups.to_pylist():
            counts[row["reason"]] += row["count_all"]
            examples = values.setdefault(row["reason"], {})
            if row["theirs"] is not None and len(examples) <= _EXAMPLES:
                name = f"{row['component']} = " if row["component"].startswith(ATTRIBUTE_PREFIX) else ""
                examples[name + row["theirs"][:_SHOWN]] = None
    return ", ".join(f"{n} × {reason}{_examples(list(values[reason]))}" for reason, n in counts.most_common())


def _examples(values: list[str]) -> str:
    return f": {', '.join(values[:_EXAMPLES])}{', …' * (len(values) > _EXAMPLES)}" if values else ""
