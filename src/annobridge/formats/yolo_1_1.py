"""YOLO 1.1: Darknet's layout as CVAT has it: ``obj.data``, ``obj.names``, lists of images, and label files beside the images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array
from ..exceptions import InvalidSource, Unsupported
from .common.archive import Archive
from .common.export import ExportData, ExportPart, is_line
from .common.fidelity import KEPT, NOTHING, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.images import image_names
from .common.items import Items, frame_of
from .common.report import ReadReport
from .common.source import RELATIVE
from .common.yolo_lines import LineRules, read_lines
from .common.yolo_text import box_lines, boxes_around, tell_unseen, with_area, write_texts
from .names import with_slashes

_DEEPEST = 64  # parts of a path that are looked up
_AS_BOXES = "written as the boxes around them"
_KINDS = ("polygon", "polyline", "mask", "segmentation", "keypoints", "skeleton", "ellipse", "cuboid")
_NAMES, _DATA = "obj.names", "obj.data"
_NO_SPLITS = frozenset({"classes", "names", "backup", "eval", "results"})
_DEFAULT = "train"  # of items without a split: Darknet needs one


class Yolo11Format(FileFormat):
    """Darknet's YOLO, boxes only."""

    name: ClassVar[str] = "yolo-1.1"
    title: ClassVar[str] = "YOLO 1.1 (Darknet)"
    unit: ClassVar[str] = RELATIVE
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds=dict.fromkeys(_KINDS, _AS_BOXES) | {"box": KEPT}, splits=True, reviewed=True, parts=True, default_split=_DEFAULT,
        notes=("Images without a split are in the subset train.",),
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        """``obj.names`` or ``obj.data``."""
        return next((f"it has {name}" for name in archive.names if name.rpartition("/")[2] in (_NAMES, _DATA)), None)

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Read the lists, and label files that are in none."""
        layout = _Layout(archive)
        if layout.names is None:
            raise InvalidSource(
                f"{str(archive.path)!r} has no {_NAMES}; add it, with the name of a class on each line."
            )
        classes = [line.strip() for line in archive.text(layout.names).rstrip().splitlines()]
        files = [
            (items.add(name, split, frame=frame_of(name), file=image), labels)
            for name, split, image, labels in layout.entries()
        ]
        rules = LineRules(dict(enumerate(classes)), "detect")
        yield from read_lines(archive, ((n, labels) for n, labels in files if labels is not None), rules, report)

    def image_folder(self, split: str | None) -> str:
        """Images are beside their label files."""
        return f"obj_{split or _DEFAULT}_data"

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        """Give each image a label file of its own."""
        if odd := [split for split in data.splits if split in _NO_SPLITS or (split and "/" in split)]:
            raise Unsupported("", [f"A split cannot be called {odd[0]!r} in {_DATA}; rename it."])
        data.refuse_classes(is_line, f"in a line of {_NAMES}")
        if None in data.splits and _DEFAULT in data.splits:
            column = pa.array([split or _DEFAULT for split in data.items["split"].to_pylist()], pa.string())
            data.items = data.items.set_column(1, data.items.schema.field("split"), column)
        names = [
            name.removeprefix(f"obj_{split or _DEFAULT}_data/")
            for name, split in zip(data.items["name"].to_pylist(), data.items["split"].to_pylist(), strict=True)
        ]
        data.items = data.items.set_column(0, data.items.schema.field("name"), pa.array(names, pa.string()))
        data.unique_stems()

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write label files, lists, ``obj.names`` and ``obj.data``, without a prefix on which only CVAT could rely."""
        lists: dict[str, list[str]] = {split or _DEFAULT: [] for split in data.splits}
        unseen = 0
        for part in data.parts():
            keep = pc.and_(pc.is_in(part.labels["kind"], pa.array(["box", *_KINDS])), part.labels["label"].is_valid())
            rows = part.labels.filter(keep).combine_chunks()
            boxes = boxes_around(rows, part.items, part.first)
            at = np.flatnonzero(with_area(boxes))
            data.lose(NOTHING, len(boxes) - at.size)
            lines = [box_lines(rows, at, boxes[at], data.classes, scores=False)] if at.size else []
            written = ExportPart(part.first, part.items, rows)
            unseen += write_texts(written, lines, lambda item: _label_file(data, item), data.not_reviewed(part))
            for split, name in zip(
                part.items["split"].to_pylist(), as_array(part.items["name"]).to_pylist(), strict=True
            ):
                lists[split or _DEFAULT].append(f"data/obj_{split or _DEFAULT}_data/{name}\n")
        tell_unseen(data, unseen)
        (data.folder / _NAMES).write_text("".join(f"{name}\n" for name in data.classes), "utf-8")
        head = [f"classes = {len(data.classes)}\n", *(f"{split} = data/{split}.txt\n" for split in lists)]
        (data.folder / _DATA).write_text("".join([*head, "names = data/obj.names\n", "backup = backup/\n"]), "utf-8")
        for split, lines_of in lists.items():
            (data.folder / f"{split}.txt").write_text("".join(lines_of), "utf-8")


class _Layout:
    """The files of an archive. Paths in its lists have the prefix ``data/``, which need not exist."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        found = [name for name in archive.names if name.rpartition("/")[2] == _NAMES]
        self.names = min(found, key=lambda name: (name.count("/"), name), default=None)
        if self.names is None:
            odd = [name for name in archive.names if name.endswith(".names")]
            self.names = odd[0] if odd else None
        root = (self.names or "").rpartition("/")[0]
        self._root = f"{root}/" if root else ""
        self._taken = set[str]()

    def entries(self) -> Iterator[tuple[str, str | None, str | None, str | None]]:
        """Name, split, image and label file of each item."""
        for split, file in self._lists().items():
            self._taken.add(file)
            for _, line in self._archive.lines(file):
                image = self._within(line.strip())
                yield self._entry(image, split if split != "images" else None)
        for name in image_names(self._archive):
            if name not in self._taken:
                yield self._entry(name, _split_of(name))
        for name in self._archive.by_suffix.get(".txt", ()):
            if name not in self._taken:
                yield self._entry(name, _split_of(name))

    def _lists(self) -> dict[str, str]:
        """Split → list file, as ``obj.data`` says; without it, the texts beside ``obj.names`` that have the names of images."""
        found: dict[str, str] = {}
        data = f"{self._root}{_DATA}"
        if data in self._archive:
            for _, line in self._archive.lines(data):
                key, _, value = (part.strip() for part in line.partition("="))
                if key not in _NO_SPLITS and value and (file := self._within(value)) in self._archive:
                    found[key] = file
        images = {PurePosixPath(name).suffix.lower() for name in image_names(self._archive)} | {
            ".jpg",
            ".jpeg",
            ".png",
            ".bmp",
        }
        for name in self._archive.by_suffix.get(".txt", ()):
            folder, _, base = name.rpartition("/")
            if name not in found.values() and (f"{folder}/" if folder else "") == self._root:
                with self._archive.open(name) as stream:
                    first = stream.read(4096).decode("utf-8", "replace").strip().splitlines()[:1]
                if first and PurePosixPath(first[0]).suffix.lower() in images:
                    found.setdefault(PurePosixPath(base).stem, name)
        return found

    def _within(self, path: str) -> str:
        """The name in the archive of a path in a list: without what is in front of it elsewhere."""
        parts = [part for part in with_slashes(path).split("/") if part not in ("", ".", "..")]
        for start in range(max(len(parts) - _DEEPEST, 0), len(parts)):
            name = self._root + "/".join(parts[start:])
            if name in self._archive or f"{name.rpartition('.')[0]}.txt" in self._archive:
                return name
        return self._root + "/".join(parts[1:] if parts[:1] == ["data"] else parts)

    def _entry(self, path: str, split: str | None) -> tuple[str, str | None, str | None, str | None]:
        stem = path.rpartition(".")[0]
        labels = f"{stem}.txt" if f"{stem}.txt" in self._archive else None
        image = path if path in self._archive and path != labels else None
        self._taken.update(name for name in (image, labels) if name is not None)
        name = (stem if path.endswith(".txt") else path).removeprefix(self._root)
        folder, _, rest = name.partition("/")
        return (rest if rest and (folder == "data" or _is_data_folder(folder)) else name), split, image, labels


def _is_data_folder(folder: str) -> bool:
    return folder.startswith("obj_") and folder.endswith("_data")


def _split_of(path: str) -> str | None:
    folder = next((part for part in path.split("/")[:-1] if _is_data_folder(part)), None)
    return folder.removeprefix("obj_").removesuffix("_data") if folder else None


def _label_file(data: ExportData, item: dict[str, object]) -> str:
    name = str(item["name"])
    return f"{data.folder}/obj_{item['split'] or _DEFAULT}_data/{name.rpartition('.')[0] or name}.txt"
