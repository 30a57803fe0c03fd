"""Samples and labels as the rows of Pixano's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core import attributes

from .. import columns, jsonl, values, wire
from ..arrays import INTS, bools, one
from ..layout import SPATIAL, Column, Layout
from ..values import ARROW
from .plan import OWN
from .tables import ENTITIES, IMAGES, MESSAGES, RECORDS, SHAPES

_SOURCE = {"source_type": "ground_truth", "source_name": "annobridge", "source_metadata": "{}"}
_EMPTY = {"tracklet_id": "", "entity_dynamic_state_id": "", "frame_id": "", "frame_index": -1}
_OWN = {"split": "train", "status": "new", "comment": ""}
_TABLE = {"bbox": "bboxes", "mask": "masks", "multi_path": "multi_paths", "keypoints": "keypoints"}


@dataclass
class Told:
    """What Pixano does not show, though the sidecar keeps it: counts of labels; and images that it does not turn."""

    confidence: int = 0
    absent: int = 0
    unturned: int = 0


def notes(told: Told) -> Iterator[str]:
    """A sentence for each."""
    if told.confidence:
        yield f"The confidence of {told.confidence} labels that are no boxes is not seen in Pixano; an import has it again."
    if told.absent:
        yield (
            f"{told.absent} labels lack a number or a yes/no that others of their kind have: Pixano shows 0 or no there; "
            "an import has it right again."
        )
    if told.unturned:
        yield (
            f"{told.unturned} images are turned by their EXIF data and are no JPEG or WebP: Pixano's page shows them unturned, so "
            "their labels lie elsewhere there; turn the files themselves (PIL.ImageOps.exif_transpose)."
        )


def schemas(layout: Layout, shown: Mapping[str, Column]) -> dict[str, pa.Schema]:
    """The tables that are written, and their columns."""
    records = {c.name: ARROW[c.type] for c in (*layout.records.values(), *shown.values())}
    entities = {c.name: ARROW[c.type] for c in layout.attributes.values()}
    found = {"records": RECORDS | records, "images": IMAGES, "entities": ENTITIES | entities, **SHAPES}
    if layout.messages:
        found["messages"] = MESSAGES
    return {name: _filled(columns_) for name, columns_ in found.items()}


def _filled(types: Mapping[str, pa.DataType]) -> pa.Schema:
    """No column of Pixano's has nulls, but that of the pixels."""
    return pa.schema([pa.field(n, t, nullable=n == "raw_bytes") for n, t in types.items()])


def view_ids(records: pa.Array) -> pa.Array:
    """The id of the one view of each record."""
    return pc.binary_join_element_wise(records, "image", ".")


def tables(
    samples: pa.Table, labels: pa.Table, layout: Layout, shown: Mapping[str, Column], told: Told
) -> dict[str, pa.Table]:
    """The rows of all tables but that of the images. ``labels`` have their ``remote_id``."""
    spatial = labels.filter(pc.is_in(labels["kind"], pa.array(list(SPATIAL)))).combine_chunks()
    whole = labels.filter(pc.is_in(labels["kind"], pa.array(["classification", "scalar"]))).combine_chunks()
    unseen = pc.and_(
        labels["confidence"].is_valid(), pc.invert(pc.is_in(labels["kind"], pa.array(["box", "mask", "segmentation"])))
    )
    told.confidence += int(pc.sum(unseen).as_py() or 0)
    found = {"records": _records(samples, whole, layout, shown), "entities": _entities(spatial, layout, told)}
    found |= _shapes(spatial, layout)
    if layout.messages:
        found["messages"] = _messages(labels, layout)
    return found


def _records(samples: pa.Table, whole: pa.Table, layout: Layout, shown: Mapping[str, Column]) -> pa.Table:
    ids = wire.record_of(samples, layout)
    now = datetime.now(UTC).replace(tzinfo=None)
    given: dict[str, Any] = {"id": ids, "sample_id": one(samples["sample_id"])}
    given |= {n: pa.repeat(pa.scalar(now, pa.timestamp("us")), len(ids)) for n in ("created_at", "updated_at")}
    for name in OWN:
        there = name in samples.column_names and pa.types.is_string(samples[name].type)
        values_ = one(samples[name]) if there else pa.nulls(len(ids), pa.string())
        given[name] = pc.fill_null(values_, _OWN[name])
    held = jsonl.record_attributes(layout, whole)
    for c in layout.records.values():
        found = [held.get(i, {}).get(c.name) for i in ids.to_pylist()]
        given[c.name] = columns.held(pa.array(found, ARROW[c.type]), c.type)
    for name, c in shown.items():
        there = name in samples.column_names
        given[c.name] = columns.held(samples[name] if there else pa.nulls(len(ids), ARROW[c.type]), c.type)
    return pa.table({n: given[n] for n in schemas(layout, shown)["records"].names})


def _entities(rows: pa.Table, layout: Layout, told: Told) -> pa.Table:
    held = values.encode_attributes(rows["attributes"], dict(layout.attributes))
    told.absent += _absent(rows, layout)
    return pa.table(
        {
            "id": _owners(rows),
            "record_id": wire.record_of(rows, layout),
            "parent_id": pa.repeat(pa.scalar(""), len(rows)),
            "category": pc.fill_null(one(rows["label"]), ""),
            "label_id": one(rows["label_id"]),
            "label_field": one(rows["field"]),
            **{layout.attributes[n].name: column for n, column in held.items()},
        }
    )


def _absent(rows: pa.Table, layout: Layout) -> int:
    """How many labels lack an attribute of a type that has no empty value."""
    lacking = np.zeros(len(rows), bool)
    for name, c in layout.attributes.items():
        if c.type in ("int", "float", "bool"):
            theirs = bools(pc.is_in(rows["kind"], pa.array(c.kinds, pa.string())))
            lacking |= theirs & bools(attributes.values(rows["attributes"], name).is_null())
    return int(lacking.sum())


def _owners(rows: pa.Table) -> pa.Array:
    """The entity of each annotation, which is named after it."""
    return pc.replace_substring_regex(one(rows["remote_id"]), r"\.[a-z_]+$", "")


def _shapes(rows: pa.Table, layout: Layout) -> dict[str, pa.Table]:
    out = {}
    for suffix, name in _TABLE.items():
        kinds = [kind for kind, of in SPATIAL.items() if of == suffix]
        if suffix == "bbox":
            kinds += ["mask", "segmentation"]
        own = rows.filter(pc.is_in(rows["kind"], pa.array(kinds))).combine_chunks()
        if suffix == "bbox":
            own = own.filter(own["bounding_box"].is_valid()).combine_chunks()
        out[name] = pa.table({**_base(own, suffix, layout), **_geometry(suffix, own, layout)})
    return {name: table.select(list(SHAPES[name])) for name, table in out.items()}


def _base(rows: pa.Table, suffix: str, layout: Layout) -> dict[str, Any]:
    records, owners = wire.record_of(rows, layout), _owners(rows)
    constants = {n: pa.repeat(pa.scalar(v), len(rows)) for n, v in (_SOURCE | _EMPTY).items()}
    ids = pc.binary_join_element_wise(owners, suffix, ".")
    return {**constants, "id": ids, "record_id": records, "entity_id": owners, "view_id": view_ids(records)}


def _geometry(suffix: str, rows: pa.Table, layout: Layout) -> dict[str, Any]:
    if suffix == "bbox":
        constant = {
            "format": pa.repeat(pa.scalar("xywh"), len(rows)),
            "is_normalized": pa.repeat(pa.scalar(True), len(rows)),
        }
        return {"coords": wire.boxes(rows), "confidence": wire.box_confidence(rows), **constant}
    if suffix == "mask":
        mask = one(rows["mask"])
        return {"size": pc.struct_field(mask, "size").cast(INTS), "counts": pc.struct_field(mask, "counts")}
    if suffix == "multi_path":
        coords, points = wire.paths(rows)
        return {"coords": coords, "num_points": points, "is_closed": wire.closed(rows)}
    coords, states = wire.keypoints(rows)
    return {"coords": coords, "states": states, "template_id": wire.templates(states, layout.template)}


def _messages(labels: pa.Table, layout: Layout) -> pa.Table:
    found = [
        {**m, "id": m["remote_id"], "entity_ids": [], "view_id": "", **_SOURCE}
        for m in jsonl.sent_messages(layout, labels)
    ]
    return pa.Table.from_pylist(found, schema=_filled(MESSAGES))
