"""Write a dataset that a Pixano 0.8 server opens."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ....store import lance_files
from ... import media as formats_media
from ...base import Part
from ..codec.layout import Column, Layout
from ..codec.values import EMPTY
from ..reading.dataset_folder import DB, INFO, SPEC_VERSION
from ..sidecar import Sidecar, SidecarWriter
from .image_rows import image_rows, with_paths
from .survey import Survey, with_remote_ids, with_samples
from .table_rows import NotShown, schemas, tables

_FILE_VERSION: Final = "2.0"  # newer ones make the LanceDB of Pixano 0.8 panic
_BASE_CLASSES = {"bbox": "BBox", "mask": "CompressedRLE", "multi_path": "MultiPath", "keypoint": "KeyPoints"}
_UNUSED_CLASSES = ("entity_dynamic_state", "classification", "relation", "tracklet", "text_span", "timeseries")
_CHOICE_GROUPS = ("item", "records", "views", "entities", "entity_dynamic_states", "annotations", "embeddings")
_TYPES = {"str": "str", "json": "str", "int": "int", "float": "float", "bool": "bool", "list": "str"}  # in info.json


def write(parts: Iterator[Part], folder: Path, name: str, description: str, template: str) -> list[str]:
    """Fill an empty folder.

    There are two passes over the parts: what cannot be held in Pixano is reported before a table is made, and which columns
    the tables have is known only at the end.

    Args:
        parts: the samples and labels.
        folder: the folder of the dataset.
        name: what Pixano calls it.
        description: what Pixano says of it.
        template: the template of keypoints.

    Returns:
        Notes: sentences about what Pixano does not show.

    Raises:
        Unsupported: Pixano cannot hold the samples and labels.
        InvalidMedia: an image cannot be read.
    """
    sidecar, survey = SidecarWriter(folder), Survey(template)
    media_in_tables = []
    for part in parts:
        media_in_tables.append(formats_media.embedded(part))
        sidecar.spill(*survey.add(with_paths(part.samples, media_in_tables[-1]), part.labels))
    layout = survey.layout()
    table_schemas = schemas(layout)
    (folder / DB).mkdir()
    for table, schema in table_schemas.items():
        lance_files.create(_table_path(folder, table), schema, _FILE_VERSION)
    not_shown = NotShown()
    for (samples, labels), in_table in zip(sidecar.spilled(), media_in_tables, strict=True):
        layout_here = with_samples(layout, samples)
        labels = with_remote_ids(labels, layout_here)
        sidecar.add(samples, labels)
        for table, rows in tables(samples, labels, layout_here, not_shown).items():
            if len(rows):
                schema = table_schemas[table]
                batches = iter(rows.cast(schema).to_batches())
                lance_files.append(_table_path(folder, table), schema, batches, _FILE_VERSION)
        media = formats_media.of(samples, in_table)
        images = image_rows(samples, media, layout_here, table_schemas["images"], not_shown)
        lance_files.append(_table_path(folder, "images"), table_schemas["images"], images, _FILE_VERSION)
    sidecar.close()
    # The columns of the samples have a key of their own in the sidecar; its layout has none.
    Sidecar(sidecar.folder, replace(layout, shown={}), layout.shown, survey.fields()).save()
    _save(folder / INFO, _info(name, description, survey.storage_mode(), layout))
    classes = {"name": "category", "restricted": False, "values": sorted(survey.classes)}
    choices: dict[str, Any] = {group: {} for group in _CHOICE_GROUPS}
    _save(folder / "features_values.json", choices | {"entities": {"entities": [classes]}})
    return list(not_shown.notes())


def _table_path(folder: Path, name: str) -> Path:
    return folder / DB / f"{name}.lance"


def _info(name: str, description: str, storage_mode: str, layout: Layout) -> dict[str, Any]:
    entity = [Column(n, "str") for n in ("category", "label_id", "label_field")]
    record = [Column("sample_id", "str"), *layout.records.values(), *layout.shown.values()]
    return {
        "id": uuid.uuid4().hex,
        "name": name,
        "description": description,
        "size": "Unknown",
        "preview": "",
        "creation_date": datetime.now(UTC).isoformat(),
        "bookmarks": [],
        "workspace": "image_vqa" if layout.messages else "image",
        "storage_mode": storage_mode,
        "spec_version": SPEC_VERSION,
        "record": _class_info("Record", record),
        "entity": _class_info("Entity", [*entity, *layout.attributes.values()]),
        **{key: _class_info(base) for key, base in _BASE_CLASSES.items()},
        "message": _class_info("Message") if layout.messages else None,
        **dict.fromkeys(_UNUSED_CLASSES),
        "views": {"image": _class_info("Image")},
    }


def _class_info(base: str, columns: Iterable[Column] = ()) -> dict[str, Any]:
    """The description of a table in ``info.json``: one of Pixano's classes, and the columns that are added to it."""
    fields = {
        c.name: {"collection": c.type == "list", "type": _TYPES[c.type], "required": False, "default": EMPTY[c.type]}
        for c in columns
    }
    return {"base": base, "fields": fields, "name": f"Custom{base}"} if fields else {"base": base, "fields": {}}


def _save(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=4), "utf-8")
