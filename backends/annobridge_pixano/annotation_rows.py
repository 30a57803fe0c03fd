"""Spatial labels as rows of Pixano: the columns of an entity, and the geometry of its annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core.arrays import as_array
from annobridge.formats.pixano_library.codec import encode, values
from annobridge.formats.pixano_library.codec.layout import SPATIAL, Layout

Object = dict[str, Any]
TABLES = {"bbox": "bboxes", "mask": "masks", "multi_path": "multi-paths", "keypoints": "keypoints"}  # by kind
KIND_GROUPS = (("box",), ("mask", "segmentation"), ("polygon", "polyline"), ("keypoints",))  # kinds of one table


def entity_columns(layout: Layout, rows: pa.Table) -> list[Object]:
    """The class, ids and attributes of each label, by the columns of entities."""
    columns: dict[str, list[Any]] = {}
    if layout.category is not None:
        columns[layout.category] = pc.fill_null(as_array(rows["label"]), "").to_pylist()
    if layout.has_ids:
        columns["label_id"] = as_array(rows["label_id"]).to_pylist()
        columns["label_field"] = as_array(rows["field"]).to_pylist()
    found = values.encode_attributes(rows["attributes"], layout.attributes)
    columns |= {layout.attributes[name].name: column.to_pylist() for name, column in found.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)] or [{}] * len(rows)


def geometries(layout: Layout, rows: pa.Table) -> Iterator[dict[str, Object]]:
    """The geometry of each label, by the kinds of its annotations, in the form of ``metadata.jsonl``.

    All rows are of one of the ``KIND_GROUPS``.
    """
    kind = SPATIAL[rows["kind"][0].as_py()] if len(rows) else "none"
    if kind in ("bbox", "mask"):
        boxes, confidences = encode.boxes(rows).to_pylist(), encode.box_confidence(rows).to_pylist()
        for box, confidence, mask in zip(boxes, confidences, as_array(rows["mask"]).to_pylist(), strict=True):
            found = {}
            if kind == "mask":
                found["mask"] = {"rle": {"size": mask["size"], "counts": mask["counts"].decode("ascii")}}
            if box is not None:
                found["bbox"] = {"coords": box, "confidence": confidence}
            yield found
    elif kind == "multi_path":
        columns = (*encode.paths(rows), encode.closed(rows))
        for coords, num_points, is_closed in zip(*(c.to_pylist() for c in columns), strict=True):
            yield {kind: {"coords": coords, "num_points": num_points, "is_closed": is_closed}}
    elif kind == "keypoints":
        coords, states = encode.keypoints(rows)
        columns = (encode.templates(states, layout.template), coords, states)
        for template, xy, state in zip(*(c.to_pylist() for c in columns), strict=True):
            yield {kind: {"template_id": template, "coords": xy, "states": state}}


def rest_columns(kind: str, geometry: Mapping[str, Any]) -> Object:
    """A geometry of ``geometries`` as columns of its table."""
    if kind == "bbox":
        form = {"coords": geometry["coords"], "format": "xywh", "is_normalized": True}
        return {**form, "confidence": geometry["confidence"]}
    return dict(geometry["rle"] if kind == "mask" else geometry)
