"""CreateML: a JSON list of images, each with boxes by their centre in pixels, as Apple's Create ML and Roboflow have it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .common.archive import Archive
from .common.corners import upright
from .common.export import ExportData, ExportPart
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.items import Items, Shapes
from .common.json_stream import JsonStream
from .common.report import ReadReport
from .common.source import PIXELS

_FILE = "_annotations.createml.json"
_IMAGE_KEYS = ("image", "imagefilename", "imageURL", "image_name")
_LABEL_KEYS = ("annotations", "annotation")
_NOT_KEYS = (b'"data"', b'"from_name"', b'"annotator"', b'"shapes"', b'"bbox"')  # of other lists of images
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})
_HEAD = 8_192  # bytes by which a file is recognised


class CreateMLFormat(FileFormat):
    """Lists of images with boxes."""

    name: ClassVar[str] = "createml"
    title: ClassVar[str] = "CreateML JSON"
    unit: ClassVar[str] = PIXELS
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds={"box": KEPT, "classification": KEPT}, splits=True,
        notes=("Labels of the whole image are annotations without coordinates.",),
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        """A JSON list of images with annotations."""
        for name in archive.by_suffix.get(".json", ()):
            if name.endswith(".createml.json"):
                return f"{name} is called so"
            with archive.open(name) as stream:
                head = stream.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()
            named = [f'"{key}"'.encode() in head for key in (*_IMAGE_KEYS, *_LABEL_KEYS)]
            is_list = any(named[: len(_IMAGE_KEYS)]) and any(named[len(_IMAGE_KEYS) :])
            if head.startswith(b"[") and is_list and not any(key in head for key in _NOT_KEYS):
                return f"{name} is a list of images with annotations"
        return None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Each entry of each list is an image."""
        shapes = Shapes()
        for file in _files(archive):
            folder = file.rpartition("/")[0]
            split = folder.rpartition("/")[2]
            for number, entry in _entries(archive, file):
                place = f"{archive.where(file)} image {number}"
                name = next(
                    (entry[k] for k in _IMAGE_KEYS if isinstance(entry, dict) and isinstance(entry.get(k), str)), ""
                )
                if not name:
                    report.skip(place, "it does not name an image")
                    continue
                beside = f"{folder}/{name}" if folder else name
                item = items.add(name, split if split.lower() in _SPLITS else None, file=beside)
                found: Any = next((entry[key] for key in _LABEL_KEYS if key in entry), [])
                for at, annotation in enumerate(found if isinstance(found, list) else [found]):
                    _add(shapes, item, annotation, f"{place} ({name}) annotation {at}", report)
                yield from shapes.take_full()
        yield shapes.take()

    def image_folder(self, split: str | None) -> str:
        """Beside the list."""
        return split or "."

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write a list for each split."""
        for split in data.splits:
            path = data.folder / (split or ".") / _FILE
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8") as file:
                before = "["
                for part in data.parts():
                    labels = _upright(part.labels)
                    for _, item, rows in ExportPart(part.first, part.items, labels).by_item():
                        if item["split"] == split:
                            entry = {"image": item["name"], "annotations": _annotations(rows)}
                            file.write(f"{before}\n{json.dumps(entry, ensure_ascii=False)}")
                            before = ","
                file.write("\n]\n" if before == "," else "[]\n")


def _files(archive: Archive) -> list[str]:
    names = archive.by_suffix.get(".json", [])
    return [name for name in names if name.endswith(".createml.json")] or list(names)


def _entries(archive: Archive, file: str) -> Iterator[tuple[int, Any]]:
    """The entries of a list, each with its number from 0."""
    with archive.open(file) as stream:
        yield from enumerate(
            JsonStream(stream, archive.where(file)).elements(
                "is no list of images; choose the format that it has with format=…."
            )
        )


def _add(shapes: Shapes, item: int, annotation: Any, place: str, report: ReadReport) -> None:
    if not isinstance(annotation, dict) or not isinstance(label := annotation.get("label"), str) or not label:
        report.skip(place, "it has no label")
        return
    given = annotation.get("coordinates")
    if given is None:
        shapes.add(item, "classification", label, place=place)
        return
    values = [given.get(key) if isinstance(given, dict) else None for key in ("x", "y", "width", "height")]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        report.skip(place, "its coordinates are not the numbers x, y, width and height")
        return
    x, y, width, height = np.array(values, float).tolist()
    if not np.isfinite([x, y, width, height]).all():
        report.skip(place, "a coordinate is not a finite number")
        return
    shapes.add(item, "box", label, bounding_box=[x - width / 2, y - height / 2, width, height], place=place)


def _upright(labels: pa.Table) -> pa.Table:
    """The labels that are written, with the upright boxes around turned ones."""
    rows = labels.filter(
        pc.and_(pc.is_in(labels["kind"], pa.array(["box", "classification"])), labels["label"].is_valid())
    )
    return upright(rows)


def _annotations(rows: pa.Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for label, box in zip(rows["label"].to_pylist(), rows["bounding_box"].to_pylist(), strict=True):
        entry: dict[str, Any] = {"label": label}
        if box is not None:
            x, y, width, height = box
            entry["coordinates"] = {"x": x + width / 2, "y": y + height / 2, "width": width, "height": height}
        found.append(entry)
    return found
