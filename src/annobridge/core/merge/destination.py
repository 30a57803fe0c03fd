"""Destination: the result of a load carried into another field, while the field that was sent stays as it is.

The other field gets what the field itself would have become. Its labels have ids of their own, derived from those of the
originals; restrictions and conflicts are those of the field that was sent. Loading again merges with what was done to
the other field meanwhile, by a baseline of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from ...exceptions import SchemaError
from .. import ids
from ..arrays import filter_rows
from ..labels import LABELS, REMOTE, SINGLE, conform
from ..schema import FRAMES, FieldSchema, LabelSchema, is_field_name
from .reconcile import Merged, Provenance, merge

_COPY_PREFIX = "\n"  # how the remote id of a carried label begins; no tool's own id does


def resolve(given: str | Mapping[str, str] | None, schema: LabelSchema) -> dict[str, str]:
    """Field → destination, from what was given: one name is enough for one field, and each must be one that can be."""
    fields = list(schema.fields)
    if isinstance(given, str):
        if len(fields) != 1:
            raise SchemaError(
                f"dest_field={given!r} is one name, but the run has {len(fields)} fields; "
                f"give a dictionary, as {{{fields[0]!r}: {given!r}}}."
            )
        given = {fields[0]: given}
    wanted = dict(given or {})
    if unknown := set(wanted) - set(fields):
        raise SchemaError(
            f"dest_field names {sorted(unknown)[0]!r}, which is not a field of the run; it has {', '.join(fields)}."
        )
    for name, target in wanted.items():
        if problem := _problem(target, schema.fields[name], schema):
            raise SchemaError(f"dest_field sends {name!r} to {target!r}, {problem}")
        if list(wanted.values()).count(target) > 1:
            raise SchemaError(f"dest_field sends two fields to {target!r}; give each its own.")
    return wanted


def _problem(target: str, source: FieldSchema, schema: LabelSchema) -> str | None:
    """What is wrong with a name as a destination."""
    bare = target.removeprefix(FRAMES)
    if target in schema.fields:
        return "which is a field of the run itself; choose another."
    if not is_field_name(target):
        return "which is not a name; use letters, digits and _."
    if source.in_video and bare == target:
        return f"but labels of video frames need a field of frames; give {FRAMES + target!r}."
    if not source.in_video and bare != target:
        return f"which is a field of video frames; give {bare!r}."
    return None


def single_label_fields(schema: LabelSchema, destinations: Mapping[str, str]) -> list[str]:
    """The fields, destinations among them, that hold one label per sample."""
    own = [spec.name for spec in schema.fields.values() if spec.type in SINGLE]
    return [*own, *(destinations[name] for name in own if name in destinations)]


def split_baseline(base: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The baseline of what was sent, and that of what was carried into other fields."""
    carried = pc.starts_with(base["remote_id"], _COPY_PREFIX)
    return filter_rows(base, pc.invert(carried)).combine_chunks(), base.filter(carried).combine_chunks()


def redirect(
    merged: Merged, sent: pa.Table, copies: pa.Table, ours: pa.Table, returned: pa.Array,
    fields: Mapping[str, str], single: Collection[str], policy: str, provenance: Provenance,
) -> Merged:  # fmt: skip
    """``merged`` with what concerns ``fields`` (field → destination) done there and not in the field itself."""
    to = pa.array(list(fields))
    result = _labels_after_load(merged, sent, ours, to)
    result = result.filter(pc.is_in(result["sample_id"], value_set=returned)).combine_chunks()
    theirs = _as_copies(result, fields, provenance.run_id)
    there = merge(
        copies.filter(pc.is_in(copies["field"], value_set=pa.array(list(fields.values())))).combine_chunks(),
        theirs, ours, returned, LabelSchema({}), single, policy, provenance,
    )  # fmt: skip
    here = {n: _without_fields(getattr(merged, n), to) for n in ("writes", "replaced", "baseline")}
    both = {n: pa.concat_tables([here.get(n, getattr(merged, n)), getattr(there, n)]) for n in Merged.__slots__}
    return replace(merged, **both)


def _without_fields(rows: pa.Table, fields: pa.Array) -> pa.Table:
    return rows.filter(pc.invert(pc.is_in(rows["field"], value_set=fields)))


def _labels_after_load(merged: Merged, sent: pa.Table, ours: pa.Table, fields: pa.Array) -> pa.Table:
    """The labels of the run as the load would leave them."""
    known = pc.is_in(ours["label_id"], value_set=sent["label_id"].combine_chunks())
    gone = pc.is_in(ours["label_id"], value_set=merged.replaced["label_id"].combine_chunks())
    kept = ours.filter(pc.and_(known, pc.invert(gone))).select(LABELS.names)
    rows = pa.concat_tables([kept, merged.writes.select(LABELS.names)])
    return rows.filter(pc.is_in(rows["field"], value_set=fields)).combine_chunks()


def _as_copies(rows: pa.Table, fields: Mapping[str, str], run_id: str) -> pa.Table:
    codes = pc.index_in(rows["field"], value_set=pa.array(list(fields)))
    target = pa.array(list(fields.values()), pa.string()).take(codes.combine_chunks())
    keys = pc.binary_join_element_wise(target, rows["label_id"].combine_chunks(), _COPY_PREFIX)
    remote = pc.binary_join_element_wise(pa.repeat("", rows.num_rows), rows["label_id"].combine_chunks(), _COPY_PREFIX)
    bare = rows.drop_columns(["label_id", "field", "rev", "run", "tool"])
    out = conform(bare, REMOTE, remote_id="")
    for name, column in (("label_id", ids.derive(run_id, keys.to_pylist())), ("field", target), ("remote_id", remote)):
        out = out.set_column(out.column_names.index(name), REMOTE.field(name), column)
    return out
