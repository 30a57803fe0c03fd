"""The labels of some samples, from their rows in the tables on disk.

The rows are brought into the form that ``decode`` takes, as if each sample were a record. Then ids, fields, tracks and
confidences are added to new labels, that is those that are not in the sidecar.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....core import attributes, geometry
from ....core.arrays import (
    Bools,
    Ints,
    as_array,
    as_mask,
    choose,
    equal,
    first_rows,
    index_of,
    list_lengths,
    map_distinct,
    not_null,
    set_columns,
)
from ....core.labels import REMOTE, conform
from ..codec import values
from ..codec.decode import Tables, decode
from ..codec.messages import NO_USER
from ..codec.tables import ANNOTATIONS, MESSAGES, NOT_DRAWN
from .column_roles import ColumnRoles
from .coordinates import relative_boxes, relative_keypoints
from .samples import PLACEHOLDER_ID

SPATIAL_TABLES = {
    "bboxes": "bboxes",
    "masks": "masks",
    "multi_paths": "multi-paths",
    "keypoints": "keypoints",
}  # REST's names
_NOT_IMPORTED = ["rev", "run", "tool", "annotator", "time", "remote_id"]
_SEPARATOR = "\x1f"


@dataclass
class Skipped:
    """What was left out of an import so far: numbers of annotations by table, ids of masks, and repeated ids."""

    orphans: Counter[str] = field(default_factory=Counter)
    corrupt_masks: list[str] = field(default_factory=list)
    repeated_ids: int = 0

    def notes(self) -> Iterator[str]:
        """A sentence for each kind of thing that was left out."""
        for table, rows in sorted(self.orphans.items()):
            if rows:
                yield f"{rows} of Pixano's {table} belong to no object or no image (it was deleted), and were left out."
        if masks := self.corrupt_masks:
            names = ", ".join(masks[:3]) + (" …" if len(masks) > 3 else "")
            yield f"{len(masks)} masks cannot be read ({names}), and were left out; draw them again in Pixano."
        if self.repeated_ids:
            yield f"{self.repeated_ids} annotations have the id of another one, and were given new ids."


@dataclass(frozen=True)
class SampleRange:
    """The samples of a part.

    Attributes:
        first: the number of the first in the dataset.
        ids: their ids.
        records: the record of each.
        sizes: width and height of each, shape (samples, 2).
        one_per_record: as in ``Samples``.
        keypoints_in_pixels: whether the coordinates of keypoints are in pixels.
    """

    first: int
    ids: pa.Array
    records: pa.Table
    sizes: Ints
    one_per_record: bool
    keypoints_in_pixels: bool

    def take(self, values_: pa.Array | Ints, rows: pa.Table) -> pa.Array | Ints:
        """The value, out of one for each sample, of the sample that each row belongs to."""
        at = rows["sample"].to_numpy() - self.first
        return values_[at] if isinstance(values_, np.ndarray) else values_.take(pa.array(at))


def read_labels(
    samples: SampleRange, rows: Mapping[str, pa.Table], reference: pa.Table, roles: ColumnRoles, skipped: Skipped
) -> pa.Table:
    """The labels of a part.

    Args:
        samples: the samples.
        rows: their rows in each table, with the number of their sample in the column ``sample``.
        reference: their labels in the sidecar.
        roles: what the columns of the tables are.
        skipped: counts what is left out.

    Returns:
        A table with columns of ``LABELS``.
    """
    layout = replace(roles.layout, samples=_renamed_records(samples))
    owners = rows["entities"]
    raw = {}
    for name in SPATIAL_TABLES:
        raw[name] = _with_entity(name, _readable(name, rows[name], samples, skipped), owners, skipped)
    entities = _entities(samples, raw, owners, rows["entity_dynamic_states"], roles)
    tables = {
        rest_name: _by_sample(raw[name], samples).select(ANNOTATIONS[rest_name].names)
        for name, rest_name in SPATIAL_TABLES.items()
    }
    tables |= {"entities": entities, "records": _records(samples, roles)}
    if layout.messages:
        messages = _by_sample(rows["messages"], samples).select(MESSAGES.names)
        tables["messages"] = messages if len(reference) else _without_placeholder_user(messages)
    found = decode(tables, layout, reference).labels.combine_chunks()
    found = _with_annotation_attributes(found, raw, roles)
    found = _complete(found, _annotation_owners(samples, raw, owners), entities, tables, roles, skipped)
    return pa.concat_tables([found.drop_columns(_NOT_IMPORTED), _classifications(rows["classifications"], samples)])


# --- rows in the form that decode takes -----------------------------------------------------------------------------


def _renamed_records(samples: SampleRange) -> dict[str, str]:
    """Record -> sample, where a sample is a record and has another id."""
    if not samples.one_per_record:
        return {}
    differ = as_array(pc.not_equal(samples.records["id"], samples.ids))
    records, ids = (as_array(x).filter(differ).to_pylist() for x in (samples.records["id"], samples.ids))
    return dict(zip(records, ids, strict=True))


def _readable(name: str, rows: pa.Table, samples: SampleRange, skipped: Skipped) -> pa.Table:
    """Rows with relative coordinates, without corrupt masks."""
    if not len(rows):
        return rows
    if name == "bboxes":
        return relative_boxes(rows, samples.take(samples.sizes, rows))
    if name == "keypoints" and samples.keypoints_in_pixels:
        return relative_keypoints(rows, samples.take(samples.sizes, rows))
    if name == "masks" and (corrupt := _is_corrupt(rows)).any():
        skipped.corrupt_masks += rows["id"].filter(pa.array(corrupt)).to_pylist()
        return rows.filter(pa.array(~corrupt)).combine_chunks()
    return rows


def _is_corrupt(masks: pa.Table) -> Bools:
    pairs = zip(masks["size"].to_pylist(), masks["counts"].to_pylist(), strict=True)
    return np.array([geometry.check_rle({"size": s, "counts": c}) is not None for s, c in pairs], bool)


def _with_entity(name: str, rows: pa.Table, owners: pa.Table, skipped: Skipped) -> pa.Table:
    """Rows whose entity exists."""
    kept = pc.is_in(rows["entity_id"], value_set=as_array(owners["id"]))
    if pc.all(kept, min_count=0).as_py():
        return rows
    skipped.orphans[name] += len(rows) - int(pc.sum(kept).as_py() or 0)
    return rows.filter(kept).combine_chunks()


def _by_sample(rows: pa.Table, samples: SampleRange) -> pa.Table:
    """Rows that have their sample as their record, and as their entity the one of ``_entities``."""
    if samples.one_per_record:
        return rows
    if "entity_id" in rows.column_names:
        rows = set_columns(rows, entity_id=_entity_in_sample(rows))
    return set_columns(rows, record_id=samples.take(samples.ids, rows))


def _entity_in_sample(rows: pa.Table) -> pa.Array:
    """An id for each pair of entity and sample."""
    return pc.binary_join_element_wise(
        as_array(rows["entity_id"]), as_array(rows["sample"]).cast(pa.string()), _SEPARATOR
    )


def _without_placeholder_user(messages: pa.Table) -> pa.Table:
    return set_columns(messages, user=pc.replace_substring_regex(as_array(messages["user"]), f"^{NO_USER}$", ""))


def _records(samples: SampleRange, roles: ColumnRoles) -> pa.Table:
    columns = roles.layout.records.values()
    found = {c.name: values.encode_column(samples.records[c.name], c.type) for c in columns}
    return pa.table({"id": samples.records["id"] if samples.one_per_record else samples.ids, **found})


def _entities(
    samples: SampleRange, raw: Mapping[str, pa.Table], owners: pa.Table, states: pa.Table, roles: ColumnRoles
) -> pa.Table:
    """The entities; where records have several samples, once for every sample in which the entity is annotated."""
    ids, rows = as_array(owners["id"]), owners
    if not samples.one_per_record:
        seen = pa.concat_tables([r.select(["entity_id", "sample"]) for r in raw.values()])
        seen = seen.group_by(["entity_id", "sample"]).aggregate([]).combine_chunks()
        ids, rows = _entity_in_sample(seen), owners.take(index_of(seen["entity_id"], owners["id"]))
    columns = {
        c.name: values.encode_column(rows[c.name], c.type)
        for c in roles.layout.attributes.values()
        if c.name in rows.column_names
    }
    for label_field, name in roles.unset:
        of_field = as_array(pc.equal(rows["label_field"], label_field))
        columns[name] = pc.if_else(of_field, pa.scalar(None, columns[name].type), columns[name])
    at = index_of(ids, _entity_in_sample(states))
    for c in roles.states.values():  # the attribute in this frame overrides the one of the whole entity
        now = values.encode_column(states[c.name], c.type).take(at)
        columns[c.name] = choose(not_null(at), now, columns[c.name]) if c.name in columns else now
    classes = as_array(rows[roles.class_attribute]) if roles.class_attribute else pa.repeat(pa.scalar(""), len(rows))
    sent = {n: as_array(rows[n]) for n in ("label_id", "label_field")} if roles.from_annobridge else {}
    return pa.table({**columns, **sent, "id": ids, "category": classes})


# --- what decode leaves open ----------------------------------------------------------------------------------------


def _annotation_owners(samples: SampleRange, raw: Mapping[str, pa.Table], owners: pa.Table) -> pa.Table:
    """Of each annotation: its entity, that entity in its sample, and for frames of a sequence the number of the track."""
    rows = pa.concat_tables(
        [r.select(["id", "entity_id", "sample", "frame_index"]) for r in raw.values()]
    ).combine_chunks()
    in_sample = rows["entity_id"] if samples.one_per_record else _entity_in_sample(rows)
    track = _track_numbers(owners).take(index_of(rows["entity_id"], owners["id"]))
    track = pc.if_else(pc.greater_equal(rows["frame_index"], 0), track, pa.scalar(None, pa.int32()))
    return pa.table({"id": rows["id"], "entity": rows["entity_id"], "entity_in_sample": in_sample, "track": track})


def _track_numbers(owners: pa.Table) -> pa.Array:
    """The number of each entity within its record, from 1, in the order of the table."""
    codes = as_array(owners["record_id"]).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    numbers = np.empty(len(order), np.int32)
    numbers[order] = np.arange(len(order)) - np.repeat(starts, sizes) + 1
    return pa.array(numbers)


def _complete(
    found: pa.Table, owners: pa.Table, entities: pa.Table, tables: Tables, roles: ColumnRoles, skipped: Skipped
) -> pa.Table:
    """New labels with their ids, fields and tracks, and masks with their confidence."""
    is_new = as_mask(found["label_id"].is_null())
    at = index_of(found["remote_id"], owners["id"])
    entity, track, in_sample = (as_array(owners[n]).take(at) for n in ("entity", "track", "entity_in_sample"))
    is_message = equal(found["kind"], "message")
    ids = choose(is_message, found["remote_id"], _label_ids(found, entity, track))
    fields = map_distinct(found["kind"], lambda kind: roles.fields.get(kind, roles.default_field), pa.string())
    if roles.from_annobridge:
        row = index_of(in_sample, entities["id"])
        sent_field, sent_id = (as_array(entities[n]).take(row) for n in ("label_field", "label_id"))
        fields = choose(as_mask(pc.not_equal(sent_field, "")), sent_field, fields)
        replaced = as_mask(pc.match_substring_regex(ids, PLACEHOLDER_ID)) & as_mask(pc.not_equal(sent_id, ""))
        ids = choose(replaced, sent_id, ids)
    is_new_mask = is_new & equal(found["kind"], roles.layout.mask_kind)
    return set_columns(
        found,
        label_id=_without_repeats(choose(is_new, ids, found["label_id"]), skipped),
        field=pc.coalesce(as_array(found["field"]), fields),
        index=choose(is_new & ~is_message, track, found["index"]),
        confidence=_mask_confidence(in_sample, tables["bboxes"], as_array(found["confidence"]), is_new_mask),
    )


def _mask_confidence(in_sample: pa.Array, boxes: pa.Table, confidence: pa.Array, where: Bools) -> pa.Array:
    """Confidences, those of masks from the boxes around them: masks have none in Pixano."""
    if not where.any():
        return confidence
    of_box = as_array(boxes["confidence"]).take(index_of(in_sample, boxes["entity_id"]))
    return choose(where, pc.if_else(pc.less(of_box, 0.0), None, of_box), confidence)


def _label_ids(found: pa.Table, entity: pa.Array, track: pa.Array) -> pa.Array:
    """The id of the entity if it is one label only, else that of the annotation; null for labels of the whole image."""
    counts = pc.value_counts(entity.drop_null())
    times = counts.field("counts").take(index_of(entity, counts.field("values")))
    is_only = as_mask(pc.equal(times, 1)) & as_mask(track.is_null())
    of_annotation = pc.if_else(entity.is_valid(), as_array(found["remote_id"]), pa.scalar(None, pa.string()))
    return choose(is_only, entity, of_annotation)


def _without_repeats(ids: pa.Array, skipped: Skipped) -> pa.Array:
    """The ids, with null in place of repeated ones: annotations in two tables may have the same id."""
    known = ids.drop_null()
    if pc.count_distinct(known).as_py() == len(known):
        return ids
    is_first = np.zeros(len(ids), bool)
    is_first[np.flatnonzero(not_null(ids))[first_rows(known).to_numpy()]] = True
    skipped.repeated_ids += len(known) - int(is_first.sum())
    return pc.if_else(pa.array(is_first), ids, pa.scalar(None, pa.string()))


def _with_annotation_attributes(found: pa.Table, raw: Mapping[str, pa.Table], roles: ColumnRoles) -> pa.Table:
    """New labels with the attributes of their annotations."""
    is_new = as_mask(found["label_id"].is_null())
    for table, columns in roles.annotation_attributes.items():
        rows = raw[table]
        at = index_of(found["remote_id"], rows["id"])
        where = is_new & not_null(at)
        if not where.any():
            continue
        changes = {}
        for name, c in columns.items():
            now = values.encode_column(rows[c.name], c.type)
            texts = values.decode(now, c.type)
            if c.type in ("str", "json", "list"):
                absent = values.is_empty(now, c.type)
                if c.name == "template_id":
                    absent |= equal(now, NOT_DRAWN)
                texts = pc.if_else(pa.array(absent), None, texts)
            changes[name] = (where, values.attribute_structs(name, texts.take(at)))
        found = set_columns(found, attributes=attributes.replace(found["attributes"], changes))
    return found


def _classifications(rows: pa.Table, samples: SampleRange) -> pa.Table:
    """Pixano's table of classifications, which annobridge does not write: a label for each class."""
    counts = list_lengths(as_array(rows["labels"]))
    row = np.repeat(np.arange(len(rows)), counts)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    ids = as_array(rows["id"]).take(pa.array(row))
    numbered = pc.binary_join_element_wise(ids, pa.array(nth).cast(pa.string()), ":")
    confidence = as_array(rows["confidences"]).flatten()
    confidence = confidence if len(confidence) == len(row) else pa.nulls(len(row), pa.float64())
    found = pa.table(
        {
            "label_id": pc.if_else(pa.array(counts[row] > 1), numbered, ids),
            "sample_id": samples.take(samples.ids, rows).take(pa.array(row)),
            "label": as_array(rows["labels"]).flatten(),
            "confidence": pc.if_else(pc.less(confidence, 0.0), None, confidence),
        }
    )
    whole = conform(found, REMOTE, field="classifications", kind="classification", remote_id="")
    return whole.drop_columns(_NOT_IMPORTED)
