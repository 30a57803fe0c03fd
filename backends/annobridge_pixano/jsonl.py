"""Labels -> the text of ``metadata.jsonl``, one line per image. (Building text is work for Python, row by row.)"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from . import messages, sample_columns, values, wire
from .arrays import one
from .layout import SPATIAL, Layout

HEADER = {
    "$pixano": "jsonl/2",
    "defaults": {
        "bbox": {"format": "xywh", "is_normalized": True},
        "source": {"type": "ground_truth", "name": "annobridge"},
    },
}
_TABLE = {"bbox": "bboxes", "mask": "masks", "multi_path": "multi-paths", "keypoints": "keypoints"}
Rows = dict[str, list[Any]]


def lines(layout: Layout, samples: pa.Table, labels: pa.Table, files: Sequence[str]) -> Iterator[bytes]:
    """The lines of the file. ``labels`` are ``REMOTE``, with the ids that they get in Pixano."""
    entities, attrs = entities_of(layout, labels), record_attributes(layout, labels)
    threads = _threads(layout, labels)
    yield _line(HEADER)
    ours = {sample: record for record, sample in layout.samples.items()}
    rows = zip(samples["sample_id"].to_pylist(), files, sample_columns.splits(samples).to_pylist(), strict=True)
    for (sample, name, split), columns in zip(rows, sample_columns.rows(samples, layout), strict=True):
        record = ours.get(sample, sample)
        line: dict[str, Any] = {"id": record, "split": split, "views": {"image": name}}
        line["attrs"] = {"sample_id": sample, **columns, **attrs.get(record, {})}
        line["entities"] = entities.pop(record, [])
        if record in threads:
            line["conversations"] = threads[record]
        yield _line(line)


def entities_of(layout: Layout, labels: pa.Table) -> Rows:
    """The entities of each record: its spatial labels, each with its attributes and annotations."""
    out: Rows = defaultdict(list)
    for kinds in (("box",), ("mask", "segmentation"), ("polygon", "polyline"), ("keypoints",)):
        rows = labels.filter(pc.is_in(labels["kind"], pa.array(kinds))).combine_chunks()
        for record, entity in zip(wire.record_of(rows, layout).to_pylist(), _entities(layout, rows), strict=True):
            out[record].append(entity)
    return out


def counts(labels: pa.Table, samples: int, layout: Layout) -> dict[str, int]:
    """How many rows each table is to have."""
    kinds = Counter(one(labels["kind"]).to_pylist())
    out = Counter({"records": samples, "entities": sum(n for k, n in kinds.items() if k in SPATIAL)})
    for kind, n in kinds.items():
        if kind in SPATIAL:
            out[_TABLE[SPATIAL[kind]]] += n
    masks = labels.filter(pc.is_in(labels["kind"], pa.array(["mask", "segmentation"])))
    out["bboxes"] += len(masks) - masks["bounding_box"].null_count
    if layout.messages:
        out["messages"] = kinds["message"]
    return dict(out)


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _entities(layout: Layout, rows: pa.Table) -> Iterator[dict[str, Any]]:
    """Each label as an entity with its annotations."""
    columns = values.encode_attributes(rows["attributes"], dict(layout.attributes))
    attrs = {
        "category": one(rows["label"]).to_pylist(),
        "label_id": one(rows["label_id"]).to_pylist(),
        "label_field": one(rows["field"]).to_pylist(),
        **{layout.attributes[n].name: c.to_pylist() for n, c in columns.items()},
    }
    names = list(attrs)
    shapes = _shapes(layout, rows)
    for remote, shape, *own in zip(one(rows["remote_id"]).to_pylist(), shapes, *attrs.values(), strict=True):
        entity = remote.rpartition(".")[0]
        kinds = [{"kind": s.pop("kind"), "id": f"{entity}.{k}", **s} for k, s in shape.items()]
        values_ = dict(zip(names, own, strict=True))
        values_["category"] = values_["category"] or ""
        yield {"id": entity, "attrs": values_, "annotations": kinds}


def _shapes(layout: Layout, rows: pa.Table) -> Iterator[dict[str, dict[str, Any]]]:
    """The annotations of each label, by the suffix of their ids. All rows go to one table of Pixano's."""
    kind = SPATIAL[rows["kind"][0].as_py()] if len(rows) else "none"
    if kind in ("bbox", "mask"):
        coords, sure = wire.boxes(rows).to_pylist(), wire.box_confidence(rows).to_pylist()
        for box, confidence, mask in zip(coords, sure, one(rows["mask"]).to_pylist(), strict=True):
            shape = {}
            if kind == "mask":
                rle = {"size": mask["size"], "counts": mask["counts"].decode("ascii")}
                shape["mask"] = {"kind": "mask", "rle": rle}
            if box is not None:
                shape["bbox"] = {"kind": "bbox", "coords": box, "confidence": confidence}
            yield shape
    elif kind == "multi_path":
        columns = (*wire.paths(rows), wire.closed(rows))
        for coords, points, is_closed in zip(*(c.to_pylist() for c in columns), strict=True):
            yield {kind: {"kind": kind, "coords": coords, "num_points": points, "is_closed": is_closed}}
    elif kind == "keypoints":
        coords, states = wire.keypoints(rows)
        columns = (wire.templates(states, layout.template), coords, states)
        for template, xy, seen in zip(*(c.to_pylist() for c in columns), strict=True):
            yield {kind: {"kind": kind, "template_id": template, "coords": xy, "states": seen}}


def record_attributes(layout: Layout, labels: pa.Table) -> dict[str, dict[str, Any]]:
    """The attributes of each record: the classes and values of the whole image."""
    out: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, column in layout.records.items():
        rows = labels.filter(pc.equal(labels["field"], name)).combine_chunks()
        records = wire.record_of(rows, layout).to_pylist()
        texts = one(rows["value"]) if column.kinds == ("scalar",) else one(rows["label"])
        held = values.encode(texts, column.type) if column.kinds == ("scalar",) else pc.fill_null(texts, "")
        for record, value in zip(records, held.to_pylist(), strict=True):
            if column.type == "list":
                out[record].setdefault(column.name, []).append(value)
            else:
                out[record][column.name] = value
    return out


def _threads(layout: Layout, labels: pa.Table) -> dict[str, list[dict[str, Any]]]:
    """The conversations of each record."""
    threads: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for m in sent_messages(layout, labels):
        own = {"type": m["type"], "content": m["content"], "choices": m["choices"], "user": m["user"]}
        if m["type"] == "QUESTION":
            own["question_type"] = m["question_type"]
        threads[m["record_id"], m["conversation_id"]].append(own)
    out: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for (record, thread), own_messages in threads.items():
        out[record].append({"id": thread, "messages": own_messages})
    return out


def sent_messages(layout: Layout, labels: pa.Table) -> list[dict[str, Any]]:
    """The messages as they are sent, each with the ``remote_id`` of its label."""
    rows = labels.filter(pc.equal(labels["kind"], "message"))
    return messages.encode(rows.to_pylist(), {sample: record for record, sample in layout.samples.items()})
