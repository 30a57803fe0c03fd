"""Pixano datasets on disk, made for tests: the tables of the contract, filled with rows as short as can be."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa
from PIL import Image

from annobridge.core.labels import LABELS, SAMPLES
from annobridge.formats.base import Part
from annobridge.formats.pixano_library import LibraryFormat
from annobridge.formats.pixano_library.codec.tables import (
    DISK_ANNOTATIONS,
    DISK_BASE,
    DISK_ENTITIES,
    DISK_FRAME,
    DISK_IMAGES,
    DISK_MESSAGES,
    DISK_RECORDS,
)

WIDTH, HEIGHT = 32, 24
FORMAT = LibraryFormat()
Row = dict[str, Any]

TABLES: dict[str, dict[str, pa.DataType]] = {
    "records": {n: t for n, t in DISK_RECORDS.items() if n != "sample_id"},
    "images": DISK_IMAGES,
    "sequence_frames": {**DISK_IMAGES, "timestamp": pa.float64(), "frame_index": pa.int64()},
    "entities": {n: t for n, t in DISK_ENTITIES.items() if not n.startswith("label_")},
    **DISK_ANNOTATIONS,
    "classifications": {**DISK_BASE, "labels": pa.list_(pa.string()), "confidences": pa.list_(pa.float64())},
    "tracklets": {**DISK_BASE, "start_timestep": pa.int64(), "end_timestep": pa.int64()},
    "relations": {**DISK_BASE, "predicate": pa.string()},
    "entity_dynamic_states": {n: t for n, t in DISK_FRAME.items() if n != "entity_dynamic_state_id"},
    "messages": DISK_MESSAGES,
}
_EMPTY = {
    pa.string(): "",
    pa.int64(): 0,
    pa.float64(): 0.0,
    pa.bool_(): False,
    pa.binary(): b"",
    pa.large_binary(): None,
}
_USUAL: Row = {
    "split": "train",
    "status": "new",
    "width": WIDTH,
    "height": HEIGHT,
    "format": "PNG",
    "logical_name": "image",
}
_USUAL |= {"uri": "http://images/a.png", "frame_index": -1, "confidence": -1.0, "is_normalized": True}


def png(colour: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), (colour, 9, 9)).save(stream, "PNG")
    return stream.getvalue()


def dataset(folder: Path, info: Row | None = None, **tables: list[Row]) -> Path:
    """A dataset with these rows; columns that a table of Pixano's does not have are attributes."""
    folder.mkdir(parents=True)
    (folder / "info.json").write_text(json.dumps({"name": folder.name, "spec_version": 2} | (info or {})))
    for name, rows in {"entities": [], **tables}.items():
        extra = {n: pa.infer_type([r[n] for r in rows]) for r in rows for n in r if n not in TABLES[name]}
        types = {**TABLES[name], **extra}
        own = {"format": "xywh"} if name == "bboxes" else {"number": 0} if name == "messages" else {}
        whole = [
            {n: row.get(n, ({**_USUAL, **own}).get(n, _EMPTY.get(t, []))) for n, t in types.items()} for row in rows
        ]
        if name == "records":
            whole = [{**row, "created_at": 0, "updated_at": 0} for row in whole]
        table = pa.Table.from_pylist(whole, schema=pa.schema(types))
        lance.write_dataset(table, str(folder / "db" / f"{name}.lance"), data_storage_version="2.0")
    return folder


def one_image(folder: Path, **tables: list[Row]) -> Path:
    """A dataset with the record ``r``, its image, and the entity ``e``, a car."""
    given = {
        "records": [{"id": "r"}],
        "images": [{"id": "v", "record_id": "r"}],
        "entities": [{"id": "e", "record_id": "r", "category": "car"}],
    }
    return dataset(folder, **{**given, **tables})


def of_e(**row: Any) -> Row:
    """An annotation of the entity ``e``."""
    return {"record_id": "r", "entity_id": "e", "view_id": "v", **row}


def read(source: Path, **options: Any) -> tuple[list[Row], list[Row], list[str]]:
    """Samples, labels (less what is empty) and notes."""
    opened = FORMAT.open(source, FORMAT.reading(**options))
    parts = list(opened.parts())
    assert sum(len(p.samples) for p in parts) == opened.count
    labels = [{k: v for k, v in row.items() if v not in (None, [])} for p in parts for row in p.labels.to_pylist()]
    return [row for p in parts for row in p.samples.to_pylist()], labels, [*opened.notes, *opened.assumptions]


def written(folder: Path, parts: Iterator[Part] | list[Part], **options: Any) -> list[str]:
    """Write a dataset; the notes."""
    folder.mkdir()
    return FORMAT.write(iter(parts), folder, FORMAT.writing(**options))


def samples(folder: Path, ids: list[str], **columns: Any) -> pa.Table:
    """Samples with images of their own."""
    rows = []
    for number, sample_id in enumerate(ids):
        path = folder / f"image{number}.png"
        path.write_bytes(png(number))
        rows.append({"sample_id": sample_id, "media_type": "image", "filepath": str(path)})
    table = pa.Table.from_pylist(rows, schema=SAMPLES)
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    return table


def no_labels() -> pa.Table:
    return LABELS.empty_table()
