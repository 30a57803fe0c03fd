"""Samples and labels as the rows of Pixano's tables on disk, but for the table of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....core import attributes
from ....core.arrays import as_array, as_mask
from ..codec import encode, messages, values
from ..codec.layout import SPATIAL, Layout
from ..codec.tables import (
    DISK_ANNOTATIONS,
    DISK_ENTITIES,
    DISK_IMAGES,
    DISK_MESSAGES,
    DISK_RECORDS,
    INTS,
)
from .survey import PIXANO_COLUMNS

_SOURCE = {"source_type": "ground_truth", "source_name": "annobridge", "source_metadata": "{}"}
_NO_FRAME = {"tracklet_id": "", "entity_dynamic_state_id": "", "frame_id": "", "frame_index": -1}
_DEFAULTS = {"split": "train", "status": "new", "comment": ""}  # of PIXANO_COLUMNS
_TABLES = {"bbox": "bboxes", "mask": "masks", "multi_path": "multi_paths", "keypoints": "keypoints"}


@dataclass
class NotShown:
    """Numbers of labels and images that Pixano does not show as they are. The sidecar has the labels in full."""

    confidences: int = 0
    missing_values: int = 0
    unturned_images: int = 0

    def notes(self) -> Iterator[str]:
        """A sentence for each."""
        if self.confidences:
            yield (
                f"The confidence of {self.confidences} labels that are no boxes is not seen in Pixano; an import has it again."
            )
        if self.missing_values:
            yield (
                f"{self.missing_values} labels lack a number or a yes/no that others of their kind have: Pixano shows 0 or no "
                "there; an import has it right again."
            )
        if self.unturned_images:
            yield (
                f"{self.unturned_images} images are turned by their EXIF data and are no JPEG or WebP: Pixano's page shows them "
                "unturned, so their labels lie elsewhere there; turn the files themselves (PIL.ImageOps.exif_transpose)."
            )


def schemas(layout: Layout) -> dict[str, pa.Schema]:
    """The columns of each table, images included."""
    record_columns = {c.name: values.ARROW_TYPES[c.type] for c in (*layout.records.values(), *layout.shown.values())}
    entity_columns = {c.name: values.ARROW_TYPES[c.type] for c in layout.attributes.values()}
    types = {
        "records": DISK_RECORDS | record_columns,
        "images": DISK_IMAGES,
        "entities": DISK_ENTITIES | entity_columns,
    }
    types |= DISK_ANNOTATIONS
    if layout.messages:
        types["messages"] = DISK_MESSAGES
    return {name: _not_null(columns) for name, columns in types.items()}


def _not_null(types: Mapping[str, pa.DataType]) -> pa.Schema:
    """Columns without nulls, as Pixano's are, except for the pixels."""
    return pa.schema([pa.field(n, t, nullable=n == "raw_bytes") for n, t in types.items()])


def view_ids(records: pa.Array) -> pa.Array:
    """The id of the one view of each record."""
    return pc.binary_join_element_wise(records, "image", ".")


def tables(samples: pa.Table, labels: pa.Table, layout: Layout, not_shown: NotShown) -> dict[str, pa.Table]:
    """The rows of a part.

    Args:
        samples: the samples.
        labels: their labels, with their ``remote_id``.
        layout: the layout, with the record ids of these samples.
        not_shown: counts what Pixano does not show.
    """
    spatial = labels.filter(pc.is_in(labels["kind"], pa.array(list(SPATIAL)))).combine_chunks()
    of_images = labels.filter(pc.is_in(labels["kind"], pa.array(["classification", "scalar"]))).combine_chunks()
    shows_confidence = as_mask(pc.is_in(labels["kind"], pa.array(["box", "mask", "segmentation"])))
    not_shown.confidences += int((as_mask(labels["confidence"].is_valid()) & ~shows_confidence).sum())
    not_shown.missing_values += _count_missing(spatial, layout)
    found = {"records": _records(samples, of_images, layout), "entities": _entities(spatial, layout)}
    found |= _annotations(spatial, layout)
    if layout.messages:
        found["messages"] = _messages(labels, layout)
    return found


def _records(samples: pa.Table, labels: pa.Table, layout: Layout) -> pa.Table:
    ids = encode.record_ids(samples, layout)
    now = datetime.now(UTC).replace(tzinfo=None)
    columns: dict[str, Any] = {"id": ids, "sample_id": as_array(samples["sample_id"])}
    columns |= {n: pa.repeat(pa.scalar(now, pa.timestamp("us")), len(ids)) for n in ("created_at", "updated_at")}
    for name in PIXANO_COLUMNS:
        is_there = name in samples.column_names and pa.types.is_string(samples[name].type)
        given = as_array(samples[name]) if is_there else pa.nulls(len(ids), pa.string())
        columns[name] = pc.fill_null(given, _DEFAULTS[name])
    by_record = encode.record_attributes(labels, layout)
    for c in layout.records.values():
        found = [by_record.get(i, {}).get(c.name) for i in ids.to_pylist()]
        columns[c.name] = values.encode_column(pa.array(found, values.ARROW_TYPES[c.type]), c.type)
    for name, c in layout.shown.items():
        is_there = name in samples.column_names
        given = samples[name] if is_there else pa.nulls(len(ids), values.ARROW_TYPES[c.type])
        columns[c.name] = values.encode_column(given, c.type)
    return pa.table({n: columns[n] for n in schemas(layout)["records"].names})


def _entities(rows: pa.Table, layout: Layout) -> pa.Table:
    columns = values.encode_attributes(rows["attributes"], layout.attributes)
    return pa.table(
        {
            "id": _entity_ids(rows),
            "record_id": encode.record_ids(rows, layout),
            "parent_id": pa.repeat(pa.scalar(""), len(rows)),
            "category": pc.fill_null(as_array(rows["label"]), ""),
            "label_id": as_array(rows["label_id"]),
            "label_field": as_array(rows["field"]),
            **{layout.attributes[n].name: column for n, column in columns.items()},
        }
    )


def _count_missing(rows: pa.Table, layout: Layout) -> int:
    """The number of labels without an attribute whose type has no empty value."""
    is_missing = np.zeros(len(rows), bool)
    for name, c in layout.attributes.items():
        if c.type in ("int", "float", "bool"):
            expected = as_mask(pc.is_in(rows["kind"], pa.array(c.kinds, pa.string())))
            is_missing |= expected & as_mask(attributes.values(rows["attributes"], name).is_null())
    return int(is_missing.sum())


def _entity_ids(rows: pa.Table) -> pa.Array:
    """The entity of each label, from the id of its annotation: ``<entity>.bbox`` and so on."""
    return pc.replace_substring_regex(as_array(rows["remote_id"]), r"\.[a-z_]+$", "")


def _annotations(rows: pa.Table, layout: Layout) -> dict[str, pa.Table]:
    found = {}
    for suffix, name in _TABLES.items():
        kinds = [kind for kind, annotation in SPATIAL.items() if annotation == suffix]
        if suffix == "bbox":
            kinds += ["mask", "segmentation"]  # Pixano shows the box around a mask, too
        own = rows.filter(pc.is_in(rows["kind"], pa.array(kinds))).combine_chunks()
        if suffix == "bbox":
            own = own.filter(own["bounding_box"].is_valid()).combine_chunks()
        columns = {**_common_columns(own, suffix, layout), **_geometry(suffix, own, layout)}
        found[name] = pa.table({n: columns[n] for n in DISK_ANNOTATIONS[name]})
    return found


def _common_columns(rows: pa.Table, suffix: str, layout: Layout) -> dict[str, Any]:
    records, entities = encode.record_ids(rows, layout), _entity_ids(rows)
    constants = {n: pa.repeat(pa.scalar(v), len(rows)) for n, v in (_SOURCE | _NO_FRAME).items()}
    ids = pc.binary_join_element_wise(entities, suffix, ".")
    return {**constants, "id": ids, "record_id": records, "entity_id": entities, "view_id": view_ids(records)}


def _geometry(suffix: str, rows: pa.Table, layout: Layout) -> dict[str, Any]:
    if suffix == "bbox":
        form = {
            "format": pa.repeat(pa.scalar("xywh"), len(rows)),
            "is_normalized": pa.repeat(pa.scalar(True), len(rows)),
        }
        return {"coords": encode.boxes(rows), "confidence": encode.box_confidence(rows), **form}
    if suffix == "mask":
        mask = as_array(rows["mask"])
        return {"size": pc.struct_field(mask, "size").cast(INTS), "counts": pc.struct_field(mask, "counts")}
    if suffix == "multi_path":
        coords, num_points = encode.paths(rows)
        return {"coords": coords, "num_points": num_points, "is_closed": encode.closed(rows)}
    coords, states = encode.keypoints(rows)
    return {"coords": coords, "states": states, "template_id": encode.templates(states, layout.template)}


def _messages(labels: pa.Table, layout: Layout) -> pa.Table:
    found = [
        {**m, "id": m["remote_id"], "entity_ids": [], "view_id": "", **_SOURCE} for m in messages.encode(labels, layout)
    ]
    return pa.Table.from_pylist(found, schema=_not_null(DISK_MESSAGES))
