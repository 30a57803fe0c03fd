"""Writing COCO: a file per split and task, in the layout that pycocotools, torchvision and CVAT read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ...core.collection import no_collection
from ..common.export import ExportData
from ..common.fidelity import NOTHING
from .rows import INSTANCES, KEYPOINTS, LABELS, TASKS, PartRows, Record, Shape

_LICENSES = [{"name": "", "id": 0, "url": ""}]
_IMAGES = 10_000  # that are encoded at once
Key = tuple[str | None, str]  # split and task


class Writer:
    """Writes all files of an export.

    Args:
        data: The export.
        skeletons: The names and edges of the points of classes, where they are given.
    """

    def __init__(self, data: ExportData, skeletons: Mapping[str, Mapping[str, Any]]) -> None:
        self._data, self._skeletons = data, skeletons
        self._categories = {name: number for number, name in enumerate(data.classes, 1)}
        self._names: dict[str, Sequence[str]] = {name: tuple(s["labels"]) for name, s in skeletons.items()}
        self._next: dict[str | None, int] = defaultdict(lambda: 1)  # the id of the next annotation, by split

    def write(self) -> None:
        """Write the files; annotations are written part by part."""
        kinds = {kind for kind, count in self._data.kinds.items() if count}
        tasks = sorted({TASKS[kind] for kind in kinds if kind in TASKS}) or [INSTANCES]
        with ExitStack() as stack:
            files = {}
            for split in self._data.splits:
                for task in tasks:
                    files[split, task] = stack.enter_context(JsonFile(self._path(split, task)))
                    self._begin(files[split, task], split)
            splits = self._data.items["split"].to_pylist()
            for part in self._data.parts():
                with no_collection():
                    self._add(PartRows(part, self._categories, self._names), files, splits)
            for (_, task), file in files.items():
                file.end_list()
                file.member("categories", self._category_list(task))

    def _path(self, split: str | None, task: str) -> Path:
        name = (split or "default").replace("/", "_")
        return self._data.folder / "annotations" / f"{task}_{name}.json"

    def _begin(self, file: JsonFile, split: str | None) -> None:
        info = dict.fromkeys(("contributor", "date_created", "description", "url", "version", "year"), "")
        file.member("info", info if split is None else {**info, "split": split})
        file.member("licenses", _LICENSES)
        file.begin_list("images")
        items = self._data.items
        for start in range(0, items.num_rows, _IMAGES):
            rows = items.slice(start, _IMAGES).to_pylist()
            file.add([_image(n, row) for n, row in enumerate(rows, start + 1) if row["split"] == split])
        file.end_list()
        file.begin_list("annotations")

    def _add(self, rows: PartRows, files: Mapping[Key, JsonFile], splits: Sequence[str | None]) -> None:
        by_task: dict[str, list[Shape]] = defaultdict(list)
        for task, shapes in rows.shapes():
            by_task[task] += shapes
        if KEYPOINTS in by_task:
            by_task[INSTANCES] = _joined(by_task[KEYPOINTS], by_task[INSTANCES])
        pairs = [(task, shape) for task in (INSTANCES, KEYPOINTS, LABELS) for shape in by_task[task]]
        pairs.sort(key=lambda pair: pair[1].item)  # so that ids do not depend on how the samples are cut into parts
        lists: dict[Key, list[Record]] = defaultdict(list)
        for task, shape in pairs:
            split = splits[shape.item]
            if task != LABELS and shape.record.bbox is msgspec.UNSET:
                self._data.lose(NOTHING, 1)
                continue
            shape.record.id = self._next[split]
            self._next[split] += 1
            lists[split, task].append(shape.record)
        for key, records in lists.items():
            files[key].add(records)

    def _category_list(self, task: str) -> list[dict[str, Any]]:
        categories: list[dict[str, Any]] = []
        for name, number in self._categories.items():
            category: dict[str, Any] = {"id": number, "name": name, "supercategory": ""}
            if task == KEYPOINTS:
                edges = self._skeletons.get(name, {}).get("edges", ())
                category["keypoints"] = list(self._names.get(name, ()))
                category["skeleton"] = [[start + 1, end + 1] for start, end in edges]
            categories.append(category)
        return categories


class JsonFile:
    """A JSON object that is written member by member, and its lists some elements at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._between = b"{"

    def __enter__(self) -> JsonFile:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = self._path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.write(b"}\n")
        self._file.close()

    def member(self, key: str, value: Any) -> None:
        """A whole member."""
        self._key(key)
        self._file.write(msgspec.json.encode(value))

    def begin_list(self, key: str) -> None:
        """The beginning of a member that is a list."""
        self._key(key)
        self._file.write(b"[")
        self._comma = b""

    def add(self, values: Sequence[Any]) -> None:
        """Elements of the list."""
        if values:
            self._file.write(self._comma)
            self._file.write(msgspec.json.encode(values)[1:-1])
            self._comma = b","

    def end_list(self) -> None:
        """The end of the list."""
        self._file.write(b"]")

    def _key(self, key: str) -> None:
        self._file.write(self._between + msgspec.json.encode(key) + b":")
        self._between = b","


def _image(number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    size = {name: row[name] for name in ("width", "height") if row[name] is not None}
    rest = {"license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0}
    return {"id": number, **size, "file_name": row["name"], **rest}


def _joined(joints: Sequence[Shape], others: Sequence[Shape]) -> list[Shape]:
    """Put the box or mask of the same object into the annotation of its keypoints; returns the shapes that remain.

    They are of one object if they are of one image, class and ``group``, and what else is said of them is equal.
    """
    by_group: dict[tuple[int, str, str], list[Shape]] = defaultdict(list)
    for shape in others:
        if shape.group is not None:
            by_group[shape.item, shape.label, shape.group].append(shape)
    taken = set()
    for shape in joints:
        fits = by_group.get((shape.item, shape.label, shape.group or ""), ())
        if len(fits) == 1 and id(fits[0]) not in taken and _says_the_same(shape.record, fits[0].record):
            taken.add(id(fits[0]))
            shape.record.bbox_of = msgspec.UNSET
            for name in ("bbox", "segmentation", "area"):
                setattr(shape.record, name, getattr(fits[0].record, name))
    return [shape for shape in others if id(shape) not in taken]


def _says_the_same(a: Record, b: Record) -> bool:
    ours, theirs = (Record(iscrowd=r.iscrowd, score=r.score, attributes=r.attributes) for r in (a, b))
    return msgspec.json.encode(ours, order="sorted") == msgspec.json.encode(theirs, order="sorted")
