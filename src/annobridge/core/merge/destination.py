"""Destination: write the result of a load into another field, and leave the field that was sent as it is.

The destination gets copies of the labels that the field itself would have after the load. Their ids are derived from those of
the originals; restrictions and conflicts are those of the field that was sent. The copies have a baseline of their own, so that
the next load merges with edits of the destination.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from ...exceptions import SchemaError
from .. import ids
from ..arrays import as_array, filter_rows, index_of, set_columns
from ..labels import LABELS, REMOTE, SINGLE, conform
from ..schema import FRAMES, FieldSchema, LabelSchema, is_field_name
from .diff import with_base_rows
from .output import Merged, Provenance
from .policy import Policy
from .proposed import Review
from .reconcile import merge

_COPY_PREFIX = "\n"  # the remote ids of copies start with it; those of a tool never do


def resolve(given: str | Mapping[str, str] | None, schema: LabelSchema) -> dict[str, str]:
    """Field → destination, from the option ``dest_field``: a mapping, or one name if the run has one field.

    Raises:
        SchemaError: a field is not one of the run, or a destination is not possible.
    """
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
    """Why a field cannot be the destination; ``None`` if it can."""
    bare_name = target.removeprefix(FRAMES)
    if target in schema.fields:
        return "which is a field of the run itself; choose another."
    if not is_field_name(target):
        return "which is not a name; use letters, digits and _."
    if source.in_video and bare_name == target:
        return f"but labels of video frames need a field of frames; give {FRAMES + target!r}."
    if not source.in_video and bare_name != target:
        return f"which is a field of video frames; give {bare_name!r}."
    return None


def with_destinations(schema: LabelSchema, destinations: Mapping[str, str]) -> LabelSchema:
    """The schema, in which a destination is as the field whose labels it gets."""
    return LabelSchema({**schema.fields, **{target: schema.fields[name] for name, target in destinations.items()}})


def single_label_fields(schema: LabelSchema, destinations: Mapping[str, str]) -> list[str]:
    """The fields, destinations among them, that hold one label per sample."""
    own = [spec.name for spec in schema.fields.values() if spec.type in SINGLE]
    return [*own, *(destinations[name] for name in own if name in destinations)]


def split_baseline(base: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The baseline of the labels that were sent, and that of the copies in destinations."""
    is_copy = pc.starts_with(base["remote_id"], _COPY_PREFIX)
    return filter_rows(base, pc.invert(is_copy)).combine_chunks(), base.filter(is_copy).combine_chunks()


def redirect(
    merged: Merged, sent: pa.Table, copies: pa.Table, ours: pa.Table, returned: pa.Array,
    fields: Mapping[str, str], single: Collection[str], policy: Policy, provenance: Provenance, review: Review | None = None,
) -> Merged:  # fmt: skip
    """``merged``, with the changes of some fields made in their destinations instead.

    Args:
        merged: the merge of the fields that were sent.
        sent: the baseline of the labels that were sent.
        copies: the baseline of the copies.
        ours: ``OURS``, the labels of the dataset in the fields and their destinations.
        returned: the ids of the samples that the tool returned.
        fields: field → destination.
        single: the fields that hold one label per sample.
        policy: who wins a conflict in a destination.
        provenance: as for ``merge``.
        review: as for ``merge``; of the changes in the destinations.
    """
    redirected = pa.array(list(fields))
    result = _labels_after_load(merged, sent, ours, redirected)
    result = result.filter(pc.is_in(result["sample_id"], value_set=returned)).combine_chunks()
    # A label that was moved here to a sample of another task has no copy, whichever tasks are merged at once. The task of one that
    # is new in the tool is that of its sample there.
    label_ids, names = (
        pa.concat_arrays([as_array(sent[name]), as_array(merged.writes[name])]) for name in ("label_id", "task")
    )
    in_tool = names.take(index_of(result["label_id"], label_ids))
    stayed = pc.fill_null(pc.equal(in_tool, provenance.tasks.of(result["sample_id"])), True)
    result = filter_rows(result, stayed).combine_chunks()
    theirs = _as_copies(result, fields, provenance.run_id)
    copies = copies.filter(pc.is_in(copies["field"], value_set=pa.array(list(fields.values())))).combine_chunks()
    in_destination = merge(
        copies, with_base_rows(theirs, copies), ours, returned, LabelSchema({}), single, policy, provenance, review=review,
    )  # fmt: skip
    elsewhere = {n: _without_fields(getattr(merged, n), redirected) for n in ("writes", "replaced")}
    # A label that was moved here to another field is edited there, so what the tool has now is its baseline.
    moved = as_array(_without_fields(ours, redirected)["label_id"])
    others = pc.invert(pc.is_in(merged.baseline["field"], value_set=redirected))
    elsewhere["baseline"] = merged.baseline.filter(
        pc.or_(others, pc.is_in(merged.baseline["label_id"], value_set=moved))
    )
    both = {
        n: pa.concat_tables([elsewhere.get(n, getattr(merged, n)), getattr(in_destination, n)])
        for n in Merged.__slots__
    }
    return replace(merged, **both)


def _without_fields(rows: pa.Table, fields: pa.Array) -> pa.Table:
    return rows.filter(pc.invert(pc.is_in(rows["field"], value_set=fields)))


def _labels_after_load(merged: Merged, sent: pa.Table, ours: pa.Table, fields: pa.Array) -> pa.Table:
    """The labels of the run as they would be after the load."""
    was_sent = pc.is_in(ours["label_id"], value_set=sent["label_id"].combine_chunks())
    replaced = pc.is_in(ours["label_id"], value_set=merged.replaced["label_id"].combine_chunks())
    kept = ours.filter(pc.and_(was_sent, pc.invert(replaced))).select(LABELS.names)
    rows = pa.concat_tables([kept, merged.writes.select(LABELS.names)])
    return rows.filter(pc.is_in(rows["field"], value_set=fields)).combine_chunks()


def copy_ids(label_ids: pa.Array | pa.ChunkedArray, target: str | pa.Array, run_id: str) -> pa.Array:
    """The ids of the copies of labels in the field ``target`` (one for all, or one for each)."""
    keys = pc.binary_join_element_wise(target, as_array(label_ids), _COPY_PREFIX)
    return ids.derive(run_id, keys)


def with_copies(disputes: pa.Table, fields: Mapping[str, str], run_id: str) -> pa.Table:
    """``DISPUTES``, and the same about copies of these labels in each destination."""
    ids_of_copies = (copy_ids(disputes["label_id"], target, run_id) for target in fields.values())
    copies = [set_columns(disputes, label_id=label_ids) for label_ids in ids_of_copies]
    return pa.concat_tables([disputes, *copies]).combine_chunks()


def _as_copies(rows: pa.Table, fields: Mapping[str, str], run_id: str) -> pa.Table:
    codes = pc.index_in(rows["field"], value_set=pa.array(list(fields)))
    target = pa.array(list(fields.values()), pa.string()).take(codes.combine_chunks())
    label_id = copy_ids(rows["label_id"], target, run_id)
    remote = pc.binary_join_element_wise(pa.repeat("", rows.num_rows), rows["label_id"].combine_chunks(), _COPY_PREFIX)
    others = rows.drop_columns(["label_id", "field", "rev", "run", "tool"])
    out = conform(others, REMOTE, remote_id="")
    for name, column in (("label_id", label_id), ("field", target), ("remote_id", remote)):
        out = out.set_column(out.column_names.index(name), REMOTE.field(name), column)
    return out
