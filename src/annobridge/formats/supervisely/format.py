"""The format: detection, which files are of which image, and what is written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, ClassVar

import pyarrow as pa

from ...exceptions import InvalidSource
from ..common.archive import Archive
from ..common.export import ExportData
from ..common.fidelity import KEPT, NOTHING, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.images import image_names
from ..common.items import Items, Shapes
from ..common.painter import size_of
from ..common.report import ReadReport
from .read import CLASS_TAG, NAME, Reader
from .write import SHAPES, Meta

_ANNOTATION = re.compile(r"(?P<dataset>(?:.*/)?[^/]+)/ann/(?P<image>[^/]+)\.json")
_HEAD = 65_536  # bytes by which meta.json is recognised
_NO_SPLIT = "ds0"  # the name that Supervisely gives to a dataset that has none


class SuperviselyFormat(FileFormat):
    """Projects of images."""

    name: ClassVar[str] = "supervisely"
    title: ClassVar[str] = "a Supervisely project"
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds={"box": KEPT, "polygon": KEPT, "polyline": KEPT, "mask": KEPT, "skeleton": KEPT, "cuboid": KEPT,
               "classification": KEPT, "segmentation": "written as masks", "ellipse": "painted as masks",
               "keypoints": "written as skeletons"},
        attributes=None, rotation=True, confidence=True, tracks=True, holes=True, visibility=True, splits=True, decimals=0,
        only={name: frozenset(SHAPES) for name in ("attributes", "confidence", "tracks")},
        notes=(
            "Positions are rounded to whole pixels.",
            "Missing points of skeletons are left out, and come back as missing.",
        ),
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        """``meta.json`` with classes and tags, and files in ``ann`` folders."""
        meta = _meta_name(archive)
        if meta is None or not any(_ANNOTATION.fullmatch(name) for name in archive.by_suffix.get(".json", ())):
            return None
        with archive.open(meta) as stream:
            head = stream.read(_HEAD)
        return f"{meta} has classes and tags" if b'"classes"' in head and b'"tags"' in head else None

    def is_image(self, name: str) -> bool:
        """Images are in folders ``img``; other folders have drawn masks."""
        return PurePosixPath(name).parent.name == "img"

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Each file in ``ann`` is of an image; images without one have no labels."""
        meta = _meta_name(archive)
        if meta is None:
            raise InvalidSource(f"There is no meta.json in {str(archive.path)!r}; give the folder of the project.")
        root = meta.rpartition("/")[0]
        reader, shapes = Reader(archive, meta, report), Shapes()
        files = {name for name in archive.by_suffix.get(".json", ()) if _ANNOTATION.fullmatch(name)}
        wanted = {
            f"{folder.removesuffix('/img')}/ann/{base}.json"
            for folder, _, base in (name.rpartition("/") for name in image_names(archive))
            if folder.endswith("/img")
        }
        for name in sorted(files | wanted):
            match = _ANNOTATION.fullmatch(name)
            assert match is not None  # noqa: S101 - of all of them
            dataset = match["dataset"].removeprefix(f"{root}/" if root else "").replace("/datasets/", "/")
            image = (
                match["image"],
                None if dataset == _NO_SPLIT else dataset,
                f"{match['dataset']}/img/{match['image']}",
            )
            if name in files:
                reader.read(name, image, items, shapes)
            else:
                items.add(image[0], image[1], file=image[2])
            yield from shapes.take_full()
        yield shapes.take()

    def image_folder(self, split: str | None) -> str:
        """``img`` of the dataset."""
        return f"{split or _NO_SPLIT}/img"

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        """Images have no folders."""
        data.without_folders()

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write ``meta.json``, and a file for each image."""
        meta, names = Meta(data), data.given_names.to_pylist()
        for part in data.parts():
            for number, item, labels in part.by_item():
                rows = labels.to_pylist()
                found: dict[str, Any] = {"description": "", "size": dict(zip(("width", "height"), size_of(item), strict=True)),
                         "tags": [], "objects": []}  # fmt: skip
                for row in rows:
                    if row["kind"] == "classification":
                        found["tags"].append({"name": CLASS_TAG, "value": row["label"]})
                        meta.add_class(row["label"])
                    elif row["kind"] in SHAPES and row["label"] is not None:
                        objects = list(meta.objects(row, size_of(item)))
                        data.lose(NOTHING, not objects)
                        found["objects"] += objects
                if names[number] != item["name"]:
                    found[NAME] = names[number]
                path = data.folder / str(item["split"] or _NO_SPLIT) / "ann" / f"{item['name']}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(found, ensure_ascii=False), "utf-8")
        (data.folder / "meta.json").write_text(json.dumps(meta.to_json(), ensure_ascii=False, indent=1), "utf-8")


def _meta_name(archive: Archive) -> str | None:
    names = [name for name in archive.by_suffix.get(".json", ()) if name.rpartition("/")[2] == "meta.json"]
    return min(names, key=lambda name: (name.count("/"), name)) if names else None
