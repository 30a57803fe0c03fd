"""COCO: one JSON file per subset, with images, annotations and categories."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from .common.archive import Archive
from .common.export import ExportData
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.items import Items, Shapes
from .common.report import ReadReport


class CocoFormat(FileFormat):
    """COCO instances."""

    name = "coco"
    title = "a COCO dataset"
    fidelity = Fidelity(kinds={"box": KEPT, "polygon": KEPT}, attributes=None, parts=True, splits=True)

    def detect(self, archive: Archive) -> str | None:
        for name in archive.by_suffix.get(".json", ()):
            head = archive.open(name).read(4096)
            if b'"images"' in head or b'"annotations"' in head:
                return f"{name} has images and annotations"
        return None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        for name in archive.by_suffix.get(".json", ()):
            document = json.loads(archive.read(name))
            split = PurePosixPath(name).stem.rpartition("_")[2]
            numbers = {
                i["id"]: items.add(i["file_name"], split, i.get("width"), i.get("height")) for i in document["images"]
            }
            classes = {c["id"]: c["name"] for c in document["categories"]}
            shapes = Shapes()
            for a in document["annotations"]:
                place = f"{archive.where(name)} annotation {a.get('id')}"
                if a["image_id"] not in numbers:
                    report.skip(place, "its image is not in the file")
                    continue
                shapes.add(
                    numbers[a["image_id"]], "box", classes[a["category_id"]], bounding_box=a["bbox"], place=place
                )
                yield from shapes.take_full()
            yield shapes.take()

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        for split in data.splits:
            document: dict[str, Any] = {
                "images": [],
                "annotations": [],
                "categories": [{"id": n, "name": c} for n, c in enumerate(data.classes, 1)],
            }
            for part in data.parts():
                for number, item, labels in part.by_item():
                    if item["split"] != split:
                        continue
                    document["images"].append(
                        {"id": number + 1, "file_name": item["name"], "width": item["width"], "height": item["height"]}
                    )
                    for row in labels.to_pylist():
                        document["annotations"].append(
                            {
                                "id": len(document["annotations"]) + 1,
                                "image_id": number + 1,
                                "category_id": data.classes.index(row["label"]) + 1,
                                "bbox": row["bounding_box"],
                            }
                        )
            path = data.folder / "annotations" / f"instances_{split or 'default'}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
