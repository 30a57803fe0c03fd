"""Writing a dataset that a Pixano 0.8 server opens: the tables, in a file version that its LanceDB reads, and what they are."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa

from annobridge.formats import media as opening
from annobridge.formats.base import Part

from .. import columns
from ..layout import Column, Layout
from . import media, rows
from .place import DB, INFO, SPEC
from .plan import Plan, of_samples, with_remote_ids
from .sidecar import Draft, Sidecar

# Newer file versions make the LanceDB that Pixano 0.8 has panic.
_VERSION: dict[str, Any] = {"data_storage_version": "2.0", "data_cache_bytes": 48 << 20}
_SLOTS = {"bbox": "BBox", "mask": "CompressedRLE", "multi_path": "MultiPath", "keypoint": "KeyPoints"}
_NO_SLOTS = ("entity_dynamic_state", "classification", "relation", "tracklet", "text_span", "timeseries")
_GROUPS = ("item", "records", "views", "entities", "entity_dynamic_states", "annotations", "embeddings")


def write(parts: Iterator[Part], folder: Path, name: str, description: str, template: str) -> list[str]:
    """Fill ``folder``. Parts are looked at and kept first, so that what cannot be held is said before a table is made."""
    draft, plan = Draft(folder), Plan(template)
    inside = []
    for part in parts:
        inside.append(opening.inside(part))
        draft.add(*plan.add(media.placed(part.samples, inside[-1]), part.labels))
    layout, shown = plan.done()
    tables = _Tables(folder / DB, rows.schemas(layout, shown))
    told = rows.Told()
    for (samples, labels), opener in zip(draft.parts(), inside, strict=True):
        here = of_samples(layout, samples)
        labels = with_remote_ids(labels, here)
        draft.keep(samples, labels)
        for table, found in rows.tables(samples, labels, here, shown, told).items():
            tables.add(table, found)
        images = media.rows(samples, opening.of(samples, opener), here, tables.schema("images"), told)
        tables.stream("images", images)
    draft.close()
    Sidecar(draft.folder, layout, shown, plan.fields()).save()
    _save(folder / INFO, _info(name, description, plan.storage(), layout, shown))
    classes = {"name": "category", "restricted": False, "values": sorted(plan.classes)}
    choices: dict[str, Any] = {group: {} for group in _GROUPS}
    _save(folder / "features_values.json", choices | {"entities": {"entities": [classes]}})
    return list(rows.notes(told))


class _Tables:
    """The tables of a new dataset, all there from the start."""

    def __init__(self, folder: Path, schemas: Mapping[str, pa.Schema]) -> None:
        self._folder, self._schemas = folder, schemas
        folder.mkdir()
        for name, schema in schemas.items():
            lance.write_dataset(schema.empty_table(), self._path(name), mode="create", **_VERSION)

    def schema(self, name: str) -> pa.Schema:
        """The columns of a table."""
        return self._schemas[name]

    def add(self, name: str, found: pa.Table) -> None:
        """Append rows."""
        if len(found):
            lance.write_dataset(found.cast(self._schemas[name]), self._path(name), mode="append", **_VERSION)

    def stream(self, name: str, batches: Iterator[pa.RecordBatch]) -> None:
        """Append rows that are made while they are written. Raises what making them raised, which Lance would wrap."""
        failed: list[Exception] = []

        def made() -> Iterator[pa.RecordBatch]:
            try:
                yield from batches
            except Exception as error:
                failed.append(error)
                raise

        reader = pa.RecordBatchReader.from_batches(self._schemas[name], made())
        try:
            lance.write_dataset(reader, self._path(name), mode="append", **_VERSION)
        except Exception:
            if failed:
                raise failed[0] from None
            raise

    def _path(self, name: str) -> str:
        return str(self._folder / f"{name}.lance")


def _info(name: str, description: str, storage: str, layout: Layout, shown: Mapping[str, Column]) -> dict[str, Any]:
    entity = [Column(n, "str") for n in ("category", "label_id", "label_field")]
    record = [Column("sample_id", "str"), *layout.records.values(), *shown.values()]
    return {
        "id": uuid.uuid4().hex,
        "name": name,
        "description": description,
        "size": "Unknown",
        "preview": "",
        "creation_date": datetime.now(UTC).isoformat(),
        "bookmarks": [],
        "workspace": "image_vqa" if layout.messages else "image",
        "storage_mode": storage,
        "spec_version": SPEC,
        "record": columns.slot("Record", record),
        "entity": columns.slot("Entity", [*entity, *layout.attributes.values()]),
        **{slot: columns.slot(base) for slot, base in _SLOTS.items()},
        "message": columns.slot("Message") if layout.messages else None,
        **dict.fromkeys(_NO_SLOTS),
        "views": {"image": columns.slot("Image")},
    }


def _save(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=4), "utf-8")
