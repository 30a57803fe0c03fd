"""Pixano's tables -> labels (``REMOTE``).

Encoding loses information, so what nobody changed is not decoded. The labels as they were sent (``reference``) are encoded
again, and compared with the tables; where the two are equal, the value is taken from the reference, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....core import attributes, geometry
from ....core.arrays import (
    Bools,
    as_array,
    as_mask,
    choose,
    equal,
    first_rows,
    index_of,
    list_array,
    list_lengths,
    not_null,
    set_columns,
)
from ....core.compare import equal_rows
from ....core.flat_points import FlatPoints
from ....core.labels import REMOTE
from ....core.unchanged import sent_of
from . import encode, messages, values
from .layout import Column, Layout
from .tables import INTS, KEYPOINT_STATES

_SET_BY_BRIDGE = ("run", "tool", "annotator", "time", "rev")
_BOX = REMOTE.field("bounding_box").type
Tables = Mapping[str, pa.Table]


@dataclass
class Decoded:
    """What was read.

    Attributes:
        labels: the labels, as ``REMOTE``.
        samples: the ids of the samples that were read. Those with a shape that cannot be read are not among them.
        notes: sentences about what was left out.
    """

    labels: pa.Table
    samples: pa.Array
    notes: list[str] = field(default_factory=list)


def decode(tables: Tables, layout: Layout, reference: pa.Table) -> Decoded:
    """Read all labels of a dataset.

    Args:
        tables: the tables ``records``, ``entities``, those of ``tables.ANNOTATIONS``, and ``messages`` if the layout has them.
        layout: which column holds what.
        reference: the labels as they were sent or as the last load left them, with their ``remote_id``.
    """
    decoder = _Decoder(tables, layout, reference.combine_chunks())
    found = without_provenance(pa.concat_tables(decoder.all()).combine_chunks())
    samples = encode.sample_ids(as_array(tables["records"]["id"]), layout)
    unreadable = pa.array(sorted(decoder.unreadable), pa.string())
    if len(unreadable):
        found = found.filter(pc.invert(pc.is_in(found["sample_id"], unreadable)))
        samples = samples.filter(pc.invert(pc.is_in(samples, unreadable)))
        names = ", ".join(unreadable.to_pylist()[:3]) + (" …" if len(unreadable) > 3 else "")
        decoder.notes.append(
            f"Left out {len(unreadable)} sample(s) with shapes that cannot be read ({names}); correct them in Pixano."
        )
    return Decoded(found, samples, decoder.notes)


def without_provenance(labels: pa.Table) -> pa.Table:
    """The labels with null in the columns that only the bridge fills."""
    return set_columns(labels, **{n: pa.nulls(len(labels), REMOTE.field(n).type) for n in _SET_BY_BRIDGE})


@dataclass
class _Rows:
    """Annotations, and what belongs to each.

    Attributes:
        sent: the row of the reference (null for a new annotation), with its present id and sample.
        entity: the row of the entity.
        known: whether it is in the reference.
    """

    sent: pa.Table
    entity: pa.Table
    known: Bools

    def unchanged(self, now: pa.Array, before: pa.Array) -> Bools:
        """Where the tables have what was sent."""
        return self.known & equal_rows(now, before.cast(now.type))


class _Decoder:
    def __init__(self, tables: Tables, layout: Layout, reference: pa.Table) -> None:
        self.tables, self.layout, self.reference = tables, layout, reference
        self.notes: list[str] = []
        self.unreadable: set[str] = set()  # ids of samples

    def all(self) -> Iterator[pa.Table]:
        """The labels, a table for each kind or field."""
        yield REMOTE.empty_table()
        bboxes, masks = self.annotations("bboxes"), self.annotations("masks")
        self.mark_unreadable(bboxes, ~as_mask(bboxes["is_normalized"]))
        yield self.masks(masks, bboxes)
        yield self.boxes(self.without_boxes_of_masks(bboxes, masks))
        yield self.paths(self.annotations("multi-paths"))
        yield self.keypoints(self.annotations("keypoints"))
        for name, column in self.layout.records.items():
            yield self.record_labels(name, column)
        if self.layout.messages:
            yield self.messages()

    # --- annotations ------------------------------------------------------------------------------------------------

    def annotations(self, name: str) -> pa.Table:
        """The rows of a table whose entity and record exist."""
        rows = self.tables[name].combine_chunks()
        kept = as_mask(pc.is_in(rows["entity_id"], value_set=as_array(self.tables["entities"]["id"])))
        kept &= as_mask(pc.is_in(rows["record_id"], value_set=as_array(self.tables["records"]["id"])))
        if gone := int((~kept).sum()):
            self.notes.append(
                f"Left out {gone} of Pixano's {name} whose entity or record was deleted: they belong to nothing."
            )
        return rows.filter(pa.array(kept)).combine_chunks()

    def matched(self, rows: pa.Table) -> _Rows:
        """The label as it was sent, and the entity, of each annotation."""
        sent, known = sent_of(rows["id"], self.reference)
        samples = encode.sample_ids(as_array(rows["record_id"]), self.layout)
        sent = set_columns(sent, remote_id=rows["id"], sample_id=samples)
        entity = self.tables["entities"].take(index_of(rows["entity_id"], self.tables["entities"]["id"]))
        return _Rows(sent, entity.combine_chunks(), known)

    def labels(self, rows: _Rows, kind: pa.Array, **columns: pa.Array) -> pa.Table:
        """Labels with the class and attributes of their entity, and the columns given. ``kind`` is that of new ones."""
        category = pa.repeat(pa.scalar(""), len(rows.sent))
        if self.layout.category is not None:
            category = as_array(rows.entity[self.layout.category])
        before = as_array(rows.sent["label"])
        label = pc.if_else(pc.equal(category, ""), None, category)
        label = choose(rows.unchanged(category, pc.fill_null(before, "")), before, label)
        kind = choose(rows.known, rows.sent["kind"], kind)
        lists = self.attributes(rows, label, kind)
        return set_columns(rows.sent, label=label, kind=kind, attributes=lists, **columns)

    def attributes(self, rows: _Rows, label: pa.Array, kind: pa.Array) -> pa.Array:
        """The attribute lists of the reference, with those replaced that differ from what was sent."""
        before = values.encode_attributes(rows.sent["attributes"], self.layout.attributes)
        changes = {}
        for name, c in self.layout.attributes.items():
            now = as_array(rows.entity[c.name])
            changed = ~rows.unchanged(now, before[name])
            at = pa.array(np.flatnonzero(changed))
            texts = values.decode(now.take(at), c.type, c.choices)
            texts = pc.if_else(pa.array(self.is_absent(now, c, rows.known, label, kind)).take(at), None, texts)
            spread = pa.array(np.where(changed, np.cumsum(changed) - 1, 0), mask=~changed)
            changes[name] = (changed, values.attribute_structs(name, texts.take(spread)))
        return attributes.replace(rows.sent["attributes"], changes)

    def is_absent(self, now: pa.Array, c: Column, known: Bools, label: pa.Array, kind: pa.Array) -> Bools:
        """Where an empty value says that there is no attribute.

        An empty text or list always does. ``0`` and ``False`` may be meant, so they do only on new labels whose kind or class
        has no such attribute.
        """
        empty = values.is_empty(now, c.type)
        if c.type in ("str", "list"):
            return empty
        has_it = as_mask(pc.is_in(kind, pa.array(c.kinds, pa.string())))
        if c.classes is not None:
            has_it &= as_mask(pc.is_in(label, pa.array(c.classes, pa.string())))
        return empty & ~known & ~has_it

    def without_boxes_of_masks(self, bboxes: pa.Table, masks: pa.Table) -> pa.Table:
        """The boxes that are labels themselves."""
        taken = self.boxes_of_masks(bboxes, masks).drop_null()
        return bboxes.filter(pa.array(~np.isin(np.arange(len(bboxes)), taken)))

    def boxes_of_masks(self, bboxes: pa.Table, masks: pa.Table) -> pa.Array:
        """For each mask, the row of its box in ``bboxes``, or null.

        It is the box with our id for it, else the first box of the same entity that was not sent as a label.
        """
        sent_as_label = as_mask(pc.is_in(bboxes["id"], value_set=as_array(self.reference["remote_id"])))
        owners = pc.if_else(pa.array(sent_as_label), None, as_array(bboxes["entity_id"]))
        ours = index_of(pc.binary_join_element_wise(as_array(masks["entity_id"]), "bbox", "."), bboxes["id"])
        ours = pc.if_else(pc.is_null(owners.take(ours)), None, ours)
        return pc.coalesce(ours, _first_row(as_array(masks["entity_id"]), owners))

    def boxes(self, found: pa.Table) -> pa.Table:
        rows = self.matched(found)
        coords = xywh(found)
        unchanged = rows.unchanged(coords, encode.boxes(rows.sent))
        confidence = as_array(found["confidence"])
        confidence = pc.if_else(pc.less(confidence, 0.0), None, confidence)
        return self.labels(
            rows,
            pa.repeat(pa.scalar("box"), len(found)),
            bounding_box=choose(unchanged, rows.sent["bounding_box"], coords.cast(_BOX)),
            confidence=choose(rows.known, rows.sent["confidence"], confidence),
        )

    def masks(self, found: pa.Table, bboxes: pa.Table) -> pa.Table:
        rows = self.matched(found)
        type_ = REMOTE.field("mask").type
        counts = as_array(found["counts"]).cast(pa.binary())
        size = as_array(found["size"]).cast(type_.field("size").type)
        mask = pa.StructArray.from_arrays([size, counts], fields=[type_.field("size"), type_.field("counts")])
        before = as_array(rows.sent["mask"])
        unchanged = rows.unchanged(counts, pc.struct_field(before, "counts"))
        unchanged &= rows.unchanged(as_array(found["size"]).cast(INTS), pc.struct_field(before, "size"))
        corrupt = np.zeros(len(found), bool)
        for i in np.flatnonzero(~unchanged):
            corrupt[i] = geometry.check_rle(mask[i].as_py()) is not None
        self.mark_unreadable(found, corrupt)
        coords = xywh(bboxes).take(self.boxes_of_masks(bboxes, found))
        box_unchanged = rows.unchanged(coords, encode.boxes(rows.sent))
        box = choose(box_unchanged, rows.sent["bounding_box"], coords.cast(_BOX))
        # The brush changes a mask and leaves its box as it was; and a box may be missing. Then it is computed.
        boxless = as_mask(pc.is_null(coords)) & ~(unchanged & box_unchanged)
        stale = ~corrupt & (boxless | (~unchanged & box_unchanged))
        computed = [geometry.mask_box(mask[i].as_py()) if at else None for i, at in enumerate(stale)]
        return self.labels(
            rows,
            pa.repeat(pa.scalar(self.layout.mask_kind), len(found)),
            mask=choose(unchanged, before, mask),
            bounding_box=choose(stale, pa.array(computed, box.type), box),
        )

    def paths(self, found: pa.Table) -> pa.Table:
        rows = self.matched(found)
        coords, num_points, closed = (as_array(found[n]) for n in ("coords", "num_points", "is_closed"))
        coords_before, num_points_before = encode.paths(rows.sent)
        unchanged = rows.unchanged(coords, coords_before) & rows.unchanged(num_points, num_points_before)
        closed_unchanged = rows.unchanged(closed, encode.closed(rows.sent))
        return self.labels(
            rows,
            pc.if_else(closed, "polygon", "polyline"),
            points=choose(unchanged, rows.sent["points"], _points(coords, num_points)),
            closed=choose(closed_unchanged, rows.sent["closed"], closed),
            filled=choose(rows.known, rows.sent["filled"], closed),
        )

    def keypoints(self, found: pa.Table) -> pa.Table:
        rows = self.matched(found)
        coords, states = as_array(found["coords"]), as_array(found["states"])
        coords_before, states_before = encode.keypoints(rows.sent)
        unchanged = rows.unchanged(coords, coords_before) & rows.unchanged(states, states_before)
        points, visibility = _keypoints(coords, states)
        return self.labels(
            rows,
            pa.repeat(pa.scalar("keypoints"), len(found)),
            points=choose(unchanged, rows.sent["points"], points),
            visibility=choose(unchanged, rows.sent["visibility"], visibility),
        )

    def mark_unreadable(self, rows: pa.Table, where: Bools) -> None:
        """Leave out the samples of these annotations altogether, so that a shape that cannot be read is not taken for deleted."""
        records = as_array(rows["record_id"]).filter(pa.array(where))
        self.unreadable.update(encode.sample_ids(records, self.layout).to_pylist())

    # --- labels of whole images -------------------------------------------------------------------------------------

    def record_labels(self, name: str, column: Column) -> pa.Table:
        """The labels in one attribute of the records: classifications or scalars."""
        records, now = as_array(self.tables["records"]["id"]), as_array(self.tables["records"][column.name])
        ids = pc.binary_join_element_wise(records, name, "/")
        if column.type == "list":
            records, now = records.take(pa.array(np.repeat(np.arange(len(now)), list_lengths(now)))), now.flatten()
            ids = pc.binary_join_element_wise(records, name, now, "/")
            once = first_rows(ids)  # a class that is in a list twice is one label
            records, now, ids = records.take(once), now.take(once), ids.take(once)
        sent, known = sent_of(ids, self.reference)
        samples = encode.sample_ids(records, self.layout)
        sent = set_columns(sent, remote_id=ids, sample_id=samples, field=name, kind=column.kinds[0])
        rows = _Rows(sent, pa.table({}), known)
        if column.kinds == ("classification",):
            unchanged = rows.unchanged(now, pc.fill_null(as_array(sent["label"]), ""))
            found = set_columns(sent, label=choose(unchanged, sent["label"], now))
            absent = equal(now, "") & ~unchanged
        else:
            unchanged = rows.unchanged(now, values.encode(as_array(sent["value"]), column.type))
            found = set_columns(sent, value=choose(unchanged, sent["value"], values.decode(now, column.type)))
            # A known number or boolean that became 0 or false was set to it; one that is new was never set.
            absent = values.is_empty(now, column.type) & ~unchanged
            absent &= ~rows.known | (column.type in ("str", "json"))
        return found.filter(pa.array(~absent))

    def messages(self) -> pa.Table:
        """The messages of all conversations, in order."""
        rows = self.tables["messages"]
        kept = as_mask(pc.is_in(rows["record_id"], value_set=as_array(self.tables["records"]["id"])))
        if gone := int((~kept).sum()):
            self.notes.append(f"Left out {gone} of Pixano's messages whose record was deleted: they belong to nothing.")
        found = rows.filter(pa.array(kept)).to_pylist()
        reference = self.reference.filter(pc.equal(self.reference["kind"], "message"))
        known = {row["remote_id"]: row for row in reference.to_pylist()}
        sent = {row["remote_id"]: row for row in messages.encode(reference, self.layout)}
        changed = pa.Table.from_pylist(
            messages.decode(found, known, sent),
            schema=pa.schema(
                [REMOTE.field(n) for n in ("remote_id", "label", "value", "index", "attributes")]
                + [pa.field("record_id", pa.string())]
            ),
        ).combine_chunks()
        base = reference.take(index_of(changed["remote_id"], reference["remote_id"]))
        samples = encode.sample_ids(as_array(changed["record_id"]), self.layout)
        columns = {n: changed[n] for n in ("remote_id", "label", "value", "index", "attributes")}
        return set_columns(base, **columns, sample_id=samples, kind="message")


def _first_row(keys: pa.Array, within: pa.Array) -> pa.Array:
    """The first row of ``within`` that holds each key. Unlike ``index_of``, ``within`` may have nulls, which match nothing."""
    rows = np.flatnonzero(not_null(within))
    at = index_of(keys, within.drop_null())
    return pa.array(rows, pa.int32()).take(at) if len(rows) else pa.nulls(len(keys), pa.int32())


def xywh(rows: pa.Table) -> pa.Array:
    """Boxes as ``[x, y, width, height]``; in the tables they may also be given by two corners."""
    coords = as_array(rows["coords"])
    by_corners = equal(rows["format"], "xyxy")
    if not by_corners.any():
        return coords
    xy = coords.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4).copy()
    xy[by_corners, 2:] -= xy[by_corners, :2]
    return pa.FixedSizeListArray.from_arrays(pa.array(xy.ravel()), 4).cast(coords.type)


def _points(coords: pa.Array, num_points: pa.Array) -> pa.Array:
    """The inverse of ``encode.paths``."""
    xy = coords.flatten().to_numpy(zero_copy_only=False).reshape(-1, 2)
    part_sizes = num_points.flatten().to_numpy(zero_copy_only=False).astype(np.int64)
    return FlatPoints(xy, part_sizes, list_lengths(num_points)).to_array()


def _keypoints(coords: pa.Array, states: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The inverse of ``encode.keypoints``: points and visibility."""
    counts = list_lengths(states)
    xy = coords.flatten().to_numpy(zero_copy_only=False).copy()
    codes = pc.index_in(states.flatten(), value_set=pa.array(KEYPOINT_STATES)).fill_null(2)
    visibility = codes.to_numpy(zero_copy_only=False).astype(np.int8)
    missing = (visibility == 0) & (xy.reshape(-1, 2) == 0).all(axis=1)
    xy[np.repeat(missing, 2)] = np.nan
    single_part = list_array((counts > 0).astype(np.int64), pa.array(counts[counts > 0]))
    return _points(list_array(2 * counts, pa.array(xy)), single_part), list_array(counts, pa.array(visibility))
