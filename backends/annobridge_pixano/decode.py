"""Pixano's tables -> ``REMOTE``.

``reference`` holds the labels as they were sent (or as the last load left them), by ``remote_id``. They are encoded
again; where Pixano still has just that, the row is taken from the reference, exactly. Only changes are decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core import attributes, geometry
from annobridge.core.labels import REMOTE

from . import messages, values, wire
from .arrays import INTS, Bools, bools, choose, find, first_rows, lengths, one, same, setting
from .layout import Column, Layout

_OURS = ("run", "tool", "annotator", "time", "rev")  # the bridge's to say


@dataclass
class Decoded:
    """The labels, the samples that they are of, and what was left out (sentences)."""

    labels: pa.Table
    samples: pa.Array
    notes: list[str] = field(default_factory=list)


def decode(tables: wire.Wire, layout: Layout, reference: pa.Table) -> Decoded:
    """All labels of a dataset."""
    work = _Decoder(tables, layout, reference.combine_chunks())
    found = pa.concat_tables(work.all()).combine_chunks()
    found = unsigned(found)
    bad = pa.array(sorted(work.unreadable), pa.string())
    samples = wire.sample_of(one(tables["records"]["id"]), layout)
    if len(bad):
        found = found.filter(pc.invert(pc.is_in(found["sample_id"], bad)))
        samples = samples.filter(pc.invert(pc.is_in(samples, bad)))
        names = ", ".join(bad.to_pylist()[:3]) + (" …" if len(bad) > 3 else "")
        work.notes.append(
            f"Left out {len(bad)} sample(s) with shapes that cannot be read ({names}); correct them in Pixano."
        )
    return Decoded(found, samples, work.notes)


def unsigned(labels: pa.Table) -> pa.Table:
    """Labels without what only the bridge can say of them."""
    return setting(labels, **{name: pa.nulls(len(labels), REMOTE.field(name).type) for name in _OURS})


class _Decoder:
    def __init__(self, tables: wire.Wire, layout: Layout, reference: pa.Table) -> None:
        self.tables, self.layout, self.reference = tables, layout, reference
        self.notes: list[str] = []
        self.unreadable: set[str] = set()

    def all(self) -> Iterator[pa.Table]:
        yield REMOTE.empty_table()
        bboxes, masks = self.spatial("bboxes"), self.spatial("masks")
        self.unread(bboxes, ~bools(bboxes["is_normalized"]))
        yield self.masks(masks, bboxes)
        yield self.boxes(self.loose(bboxes, masks))
        yield self.paths(self.spatial("multi-paths"))
        yield self.keypoints(self.spatial("keypoints"))
        for name, column in self.layout.records.items():
            yield self.record_labels(name, column)
        if self.layout.messages:
            yield self.messages()

    # --- spatial ----------------------------------------------------------------------------------------------------

    def spatial(self, name: str) -> pa.Table:
        """The rows of a table whose entity and record exist."""
        rows = self.tables[name].combine_chunks()
        kept = bools(pc.is_in(rows["entity_id"], value_set=one(self.tables["entities"]["id"])))
        kept &= bools(pc.is_in(rows["record_id"], value_set=one(self.tables["records"]["id"])))
        if gone := int((~kept).sum()):
            self.notes.append(
                f"Left out {gone} of Pixano's {name} whose entity or record was deleted: they belong to nothing."
            )
        return rows.filter(pa.array(kept)).combine_chunks()

    def known(self, rows: pa.Table) -> tuple[pa.Table, pa.Table, Bools]:
        """The reference's label of each row (nulls for a new one), its ids anew; the entity; and which are known."""
        at = find(one(rows["id"]), self.reference["remote_id"])
        old = self.reference.take(at)
        records = one(rows["record_id"])
        old = setting(old, remote_id=one(rows["id"]), sample_id=wire.sample_of(records, self.layout))
        entity = self.tables["entities"].take(find(one(rows["entity_id"]), self.tables["entities"]["id"]))
        return old, entity.combine_chunks(), bools(pc.is_valid(at))

    def finish(self, old: pa.Table, entity: pa.Table, known: Bools, kind: pa.Array, **columns: pa.Array) -> pa.Table:
        """Rows with their class, kind and attributes, and the columns given."""
        category = one(entity["category"])
        before = pc.fill_null(one(old["label"]), "")
        label = pc.if_else(pc.equal(category, ""), None, category)
        label = choose(known & same(category, before), one(old["label"]), label)
        kind = choose(known, one(old["kind"]), kind)
        merged = self.attributes(old, entity, known, label, kind)
        return setting(old, label=label, kind=kind, attributes=merged, **columns)

    def attributes(self, old: pa.Table, entity: pa.Table, known: Bools, label: pa.Array, kind: pa.Array) -> pa.Array:
        """Attribute lists: the reference's, with those changed that are not as they were sent."""
        before = values.encode_attributes(old["attributes"], dict(self.layout.attributes))
        changes = {}
        for name, c in self.layout.attributes.items():
            now = one(entity[c.name])
            where = ~(known & same(now, before[name]))
            rows = pa.array(np.flatnonzero(where))
            texts = values.decode(now.take(rows), c.type, c.choices)
            texts = pc.if_else(pa.array(self.absent(now, c, known, label, kind)).take(rows), None, texts)
            spread = pa.array(np.where(where, np.cumsum(where) - 1, 0), mask=~where)
            changes[name] = (where, values.structs(name, texts.take(spread)))
        return attributes.replace(old["attributes"], changes)

    def absent(self, now: pa.Array, c: Column, known: Bools, label: pa.Array, kind: pa.Array) -> Bools:
        """Where an attribute has no value: empty texts and lists; and on new labels, what they cannot have."""
        empty = values.is_empty(now, c.type)
        if c.type in ("str", "list"):
            return empty
        theirs = bools(pc.is_in(kind, pa.array(c.kinds, pa.string())))
        if c.classes is not None:
            theirs &= bools(pc.is_in(label, pa.array(c.classes, pa.string())))
        return np.asarray(empty & ~known & ~theirs, bool)

    def loose(self, bboxes: pa.Table, masks: pa.Table) -> pa.Table:
        """The boxes that are labels themselves, not the box of a mask."""
        return bboxes.filter(pa.array(~np.isin(np.arange(len(bboxes)), self.attached(bboxes, masks).drop_null())))

    def attached(self, bboxes: pa.Table, masks: pa.Table) -> pa.Array:
        """The box of each mask: the row in ``bboxes``, or null."""
        own = bools(pc.is_in(bboxes["id"], value_set=one(self.reference["remote_id"])))
        owners = pc.if_else(pa.array(own), None, one(bboxes["entity_id"]))
        ours = find(pc.binary_join_element_wise(one(masks["entity_id"]), "bbox", "."), bboxes["id"])
        ours = pc.if_else(pc.is_null(owners.take(ours)), None, ours)
        return pc.coalesce(ours, _first(one(masks["entity_id"]), owners))

    def boxes(self, rows: pa.Table) -> pa.Table:
        old, entity, known = self.known(rows)
        coords = _xywh(rows)
        kept = known & same(coords, wire.boxes(old))
        sure = one(rows["confidence"])
        sure = pc.if_else(pc.less(sure, 0.0), None, sure)
        confidence = choose(known, one(old["confidence"]), sure)
        box = choose(kept, one(old["bounding_box"]), coords.cast(REMOTE.field("bounding_box").type))
        kind = pa.repeat(pa.scalar("box"), len(rows))
        return self.finish(old, entity, known, kind, bounding_box=box, confidence=confidence)

    def masks(self, rows: pa.Table, bboxes: pa.Table) -> pa.Table:
        old, entity, known = self.known(rows)
        type_ = REMOTE.field("mask").type
        counts = one(rows["counts"]).cast(pa.binary())
        size = one(rows["size"]).cast(type_.field("size").type)
        mask = pa.StructArray.from_arrays([size, counts], fields=[type_.field("size"), type_.field("counts")])
        before = one(old["mask"])
        kept = known & same(counts, pc.struct_field(before, "counts"))
        kept &= same(one(rows["size"]).cast(INTS), pc.struct_field(before, "size").cast(INTS))
        wrong = np.zeros(len(rows), bool)
        for i in np.flatnonzero(~kept):
            wrong[i] = geometry.check_rle(mask[i].as_py()) is not None
        self.unread(rows, wrong)
        coords = _xywh(bboxes).take(self.attached(bboxes, rows))
        same_box = known & same(coords, wire.boxes(old))
        box = choose(same_box, one(old["bounding_box"]), coords.cast(REMOTE.field("bounding_box").type))
        # The brush moves a mask and leaves its box behind; and a box may be missing.
        around = ~wrong & (
            (~kept & same_box) | bools(pc.is_null(coords)) & ~same_box | ~kept & bools(pc.is_null(coords))
        )
        fresh = [geometry.mask_box(mask[i].as_py()) if at else None for i, at in enumerate(around)]
        box = choose(around, pa.array(fresh, box.type), box)
        kind = pa.repeat(pa.scalar(self.layout.mask_kind), len(rows))
        return self.finish(old, entity, known, kind, mask=choose(kept, before, mask), bounding_box=box)

    def paths(self, rows: pa.Table) -> pa.Table:
        old, entity, known = self.known(rows)
        coords, num_points, closed = (one(rows[n]) for n in ("coords", "num_points", "is_closed"))
        old_coords, old_num = wire.paths(old)
        open_same = same(closed, wire.closed(old))
        kept = known & same(coords, old_coords) & same(num_points, old_num)
        kind = pc.if_else(closed, "polygon", "polyline")
        return self.finish(
            old,
            entity,
            known,
            kind,
            points=choose(kept, one(old["points"]), wire.points(coords, num_points)),
            closed=choose(known & open_same, one(old["closed"]), closed),
            filled=choose(known, one(old["filled"]), closed),
        )

    def keypoints(self, rows: pa.Table) -> pa.Table:
        old, entity, known = self.known(rows)
        coords, states = one(rows["coords"]), one(rows["states"])
        old_coords, old_states = wire.keypoints(old)
        kept = known & same(coords, old_coords) & same(states, old_states)
        points, seen = wire.keypoints_back(coords, states)
        kind = pa.repeat(pa.scalar("keypoints"), len(rows))
        return self.finish(
            old,
            entity,
            known,
            kind,
            points=choose(kept, one(old["points"]), points),
            visibility=choose(kept, one(old["visibility"]), seen),
        )

    def unread(self, rows: pa.Table, where: Bools) -> None:
        """A sample with a shape that cannot be read contributes nothing: it must not look like a deletion."""
        records = one(rows["record_id"]).filter(pa.array(where))
        self.unreadable.update(wire.sample_of(records, self.layout).to_pylist())

    # --- of the whole image -----------------------------------------------------------------------------------------

    def record_labels(self, name: str, column: Column) -> pa.Table:
        """The labels that one record attribute holds."""
        records, now = one(self.tables["records"]["id"]), one(self.tables["records"][column.name])
        ids = pc.binary_join_element_wise(records, name, "/")
        if column.type == "list":
            size = lengths(now)
            records, now = records.take(pa.array(np.repeat(np.arange(len(now)), size))), pc.list_flatten(now)
            ids = pc.binary_join_element_wise(records, name, now, "/")
            rows = first_rows(ids)
            records, now, ids = records.take(rows), now.take(rows), ids.take(rows)
        at = find(ids, self.reference["remote_id"])
        known, old = bools(pc.is_valid(at)), self.reference.take(at)
        place = {"remote_id": ids, "sample_id": wire.sample_of(records, self.layout), "field": name}
        old = setting(old, **place, kind=column.kinds[0])
        if column.kinds == ("classification",):
            kept = known & same(now, pc.fill_null(one(old["label"]), ""))
            old = setting(old, label=choose(kept, one(old["label"]), now))
            gone = bools(pc.equal(now, "")) & ~kept
        else:
            kept = known & same(now, values.encode(one(old["value"]), column.type))
            old = setting(old, value=choose(kept, one(old["value"]), values.decode(now, column.type)))
            gone = values.is_empty(now, column.type) & ~kept & (~known | (column.type in ("str", "json")))
        return old.filter(pa.array(~gone))

    def messages(self) -> pa.Table:
        """Messages of all conversations, in order."""
        rows = self.tables["messages"]
        kept = bools(pc.is_in(rows["record_id"], value_set=one(self.tables["records"]["id"])))
        if gone := int((~kept).sum()):
            self.notes.append(f"Left out {gone} of Pixano's messages whose record was deleted: they belong to nothing.")
        found = rows.filter(pa.array(kept)).to_pylist()
        old = self.reference.filter(pc.equal(self.reference["kind"], "message"))
        known = {row["remote_id"]: row for row in old.to_pylist()}
        records = {sample: record for record, sample in self.layout.samples.items()}
        sent = {row["remote_id"]: row for row in messages.encode(known.values(), records)}
        new = pa.Table.from_pylist(
            messages.decode(found, known, sent),
            schema=pa.schema(
                [REMOTE.field(n) for n in ("remote_id", "label", "value", "index", "attributes")]
                + [pa.field("record_id", pa.string())]
            ),
        ).combine_chunks()
        base = old.take(find(one(new["remote_id"]), old["remote_id"]))
        sample = wire.sample_of(one(new["record_id"]), self.layout)
        columns = {n: one(new[n]) for n in ("remote_id", "label", "value", "index", "attributes")}
        return setting(base, **columns, sample_id=sample, kind="message")


def _first(keys: pa.Array, within: pa.Array) -> pa.Array:
    """The first row of ``within`` that holds each key; null keys of ``within`` match nothing."""
    rows = np.flatnonzero(bools(pc.is_valid(within)))
    at = find(keys, within.drop_null())
    return pa.array(rows, pa.int32()).take(at) if len(rows) else pa.nulls(len(keys), pa.int32())


def _xywh(rows: pa.Table) -> pa.Array:
    """Boxes as ``[x, y, width, height]``, whichever corner they were given by."""
    coords = one(rows["coords"])
    corners = bools(pc.equal(rows["format"], "xyxy"))
    if not corners.any():
        return coords
    xy = pc.list_flatten(coords).to_numpy(zero_copy_only=False).reshape(-1, 4).copy()
    xy[corners, 2:] -= xy[corners, :2]
    return pa.FixedSizeListArray.from_arrays(pa.array(xy.ravel()), 4).cast(coords.type)
