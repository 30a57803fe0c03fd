"""Labels as the lines of ``metadata.jsonl``, the file of an import: a line for each image."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core.arrays import as_array
from annobridge.formats.pixano_library.codec import encode, messages
from annobridge.formats.pixano_library.codec.layout import SPATIAL, Layout

from . import annotation_rows, sample_columns
from .names import base_name

HEADER = {
    "$pixano": "jsonl/2",
    "defaults": {
        "bbox": {"format": "xywh", "is_normalized": True},
        "source": {"type": "ground_truth", "name": "annobridge"},
    },
}
_Object = dict[str, Any]


def lines(layout: Layout, samples: pa.Table, labels: pa.Table, files: Sequence[str]) -> Iterator[bytes]:
    """The lines of the file.

    Args:
        layout: the columns.
        samples: the samples.
        labels: their labels as ``REMOTE``, with the ids that they get in Pixano.
        files: the file name of each sample's image.
    """
    entities, attributes = entities_by_record(layout, labels), encode.record_attributes(labels, layout)
    conversations = _conversations(layout, labels)
    yield _line(HEADER)
    records = encode.record_ids(samples, layout).to_pylist()
    splits = sample_columns.splits(samples).to_pylist()
    own_names = map(base_name, samples["filepath"].to_pylist())
    rows = zip(samples["sample_id"].to_pylist(), own_names, records, files, splits, strict=True)
    for (sample, own_name, record, file, split), columns in zip(
        rows, sample_columns.as_dicts(samples, layout), strict=True
    ):
        line: _Object = {"id": record, "split": split, "views": {"image": file}}
        line["attrs"] = {"sample_id": sample, "sample_file": own_name, **columns, **attributes.get(record, {})}
        line["entities"] = entities.pop(record, [])
        if record in conversations:
            line["conversations"] = conversations[record]
        yield _line(line)


def row_counts(labels: pa.Table, samples: int, layout: Layout) -> dict[str, int]:
    """The number of rows that each table has after the import."""
    kinds = Counter(as_array(labels["kind"]).to_pylist())
    counts = Counter({"records": samples, "entities": sum(n for kind, n in kinds.items() if kind in SPATIAL)})
    for kind, n in kinds.items():
        if kind in SPATIAL:
            counts[annotation_rows.TABLES[SPATIAL[kind]]] += n
    masks = labels.filter(pc.is_in(labels["kind"], pa.array(["mask", "segmentation"])))
    counts["bboxes"] += len(masks) - masks["bounding_box"].null_count
    if layout.messages:
        counts["messages"] = kinds["message"]
    return dict(counts)


def entities_by_record(layout: Layout, labels: pa.Table) -> dict[str, list[_Object]]:
    """The spatial labels of each record as entities, with their attributes and annotations."""
    found: dict[str, list[_Object]] = defaultdict(list)
    for kinds in annotation_rows.KIND_GROUPS:
        rows = labels.filter(pc.is_in(labels["kind"], pa.array(kinds))).combine_chunks()
        for record, entity in zip(encode.record_ids(rows, layout).to_pylist(), _entities(layout, rows), strict=True):
            found[record].append(entity)
    return found


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _entities(layout: Layout, rows: pa.Table) -> Iterator[_Object]:
    remote_ids = as_array(rows["remote_id"]).to_pylist()
    columns, geometries = annotation_rows.entity_columns(layout, rows), annotation_rows.geometries(layout, rows)
    for remote_id, attributes, found in zip(remote_ids, columns, geometries, strict=True):
        entity = remote_id.rpartition(".")[0]
        with_ids = [{"kind": kind, "id": f"{entity}.{kind}", **geometry} for kind, geometry in found.items()]
        yield {"id": entity, "attrs": attributes, "annotations": with_ids}


def _conversations(layout: Layout, labels: pa.Table) -> dict[str, list[_Object]]:
    """The conversations of each record."""
    threads: dict[tuple[str, str], list[_Object]] = defaultdict(list)
    for m in messages.encode(labels, layout):
        message = {"type": m["type"], "content": m["content"], "choices": m["choices"], "user": m["user"]}
        if m["type"] == "QUESTION":
            message["question_type"] = m["question_type"]
        threads[m["record_id"], m["conversation_id"]].append(message)
    found: dict[str, list[_Object]] = defaultdict(list)
    for (record, thread), its_messages in threads.items():
        found[record].append({"id": thread, "messages": its_messages})
    return found
