"""The check of values of attributes whose rate jumps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from ..core import attributes
from ..core.arrays import as_array, as_mask, equal
from . import groups
from .base import WARNING, Evidence, Finding


def attribute_jump(evidence: Evidence, *, limit: float = 0.2, at_least: int = 20) -> Iterator[Finding]:
    """The share of a value among the labels that have the attribute would change by much, or many labels would lose the attribute.

    Args:
        evidence: what the load would do.
        limit: by how much the share may change, 0..1; 0.2 allows 30 % to become 50 %.
        at_least: how many labels must have the attribute before, so that the first values of a new one are not told.
    """
    of_field: Counter[tuple[str, str]] = Counter()
    for row in evidence.classes.to_pylist():
        of_field.update({(row["field"], when): row[when] for when in ("before", "after")})
    for (field, name), rows in groups.by(evidence.attributes, "field", "name"):
        had, has = (pc.sum(rows[when]).as_py() for when in ("before", "after"))
        if had < at_least:
            continue
        before, after = had / max(of_field[field, "before"], had), has / max(of_field[field, "after"], has, 1)
        if before - after > limit:
            lost = _edits(evidence, field, name).filter(pc.is_null(_edits(evidence, field, name)["theirs"]))
            yield Finding(
                f"The attribute {name!r} would be on {groups.percent(after)} of the labels of {field!r}; now it is on "
                f"{groups.percent(before)}.",
                lost["change_id"], WARNING, had - has,
            )  # fmt: skip
        if has:
            yield from _jumps(evidence, rows, had, has, limit)


def _jumps(evidence: Evidence, rows: pa.Table, had: int, has: int, limit: float) -> Iterator[Finding]:
    """A finding for each value of one attribute, of which ``had`` and ``has`` labels have any."""
    for row in rows.to_pylist():
        before, after = row["before"] / had, row["after"] / has
        if abs(after - before) > limit:
            yield Finding(
                f"{row['name']} = {row['value']} would be on {groups.percent(after)} of the labels of {row['field']!r} that have "
                f"the attribute; now it is on {groups.percent(before)}.",
                _about(evidence, **row), WARNING, abs(row["after"] - row["before"]),
            )  # fmt: skip


def _edits(evidence: Evidence, field: str | None, name: str | None) -> pa.Table:
    rows = evidence.edited(f"attributes.{name}")
    return rows.filter(pc.equal(rows["field"], field))


def _about(evidence: Evidence, field: str, name: str, value: str, **_: int) -> pa.Array:
    """The ids of the changes that set or take a value: edits of the attribute, and additions of labels with the value."""
    edits = _edits(evidence, field, name)
    touched = edits.filter(pa.array(equal(edits["ours"], value) | equal(edits["theirs"], value)))
    after, added = evidence.after, evidence.added()
    carries = equal(after["field"], field) & equal(attributes.values(after["attributes"], name), value)
    carriers = after["label_id"].filter(pa.array(carries))
    new = added.filter(pa.array(as_mask(pc.is_in(added["label_id"], value_set=as_array(carriers)))))
    return pa.concat_arrays([as_array(touched["change_id"]), as_array(new["change_id"])])
