"""VGGFace2 1.0: tables with one box and five landmarks for each image, in folders that are named after a class."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..exceptions import InvalidSource
from .common import csv_rows
from .common.archive import Archive
from .common.class_folders import NO_LABEL, first_classes, require_folder_names, split_name, unique
from .common.corners import upright
from .common.export import ExportData, ExportPart
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.images import image_names
from .common.items import Items, Shapes, frame_of
from .common.path_lookup import stem
from .common.report import ReadReport
from .names import with_slashes

_FOLDER, _CLASSES = "bb_landmark", "labels.txt"
_TABLE = re.compile(r"loose_(bb|landmark)_(.+)\.csv")
_ID = "NAME_ID"
_BOX = ("X", "Y", "W", "H")
_POINTS = tuple(f"P{n}{axis}" for n in range(1, 6) for axis in "XY")
_DEFAULT = "default"  # the subset of images without one
_FIVE = "written, where they have five points that are all there"


class VggFace2Format(FileFormat):
    """Tables of boxes and of landmarks."""

    name: ClassVar[str] = "vggface2"
    title: ClassVar[str] = "VGGFace2"
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds={"box": KEPT, "keypoints": KEPT, "classification": KEPT},
        splits=True, single=frozenset({"box", "keypoints", "classification"}), one_class=True,
        notes=("Keypoints have five points.", "The class of the labels of an image is its folder.",),
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        """Tables by their names."""
        name = next(iter(_tables(archive)), None)
        return f"{name[2]} is called as a table of VGGFace2" if name else None

    def is_image(self, name: str) -> bool:
        """All are: a class may be called "masks"."""
        return True

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Each row of each table."""
        tables = _tables(archive)
        if not tables:
            raise InvalidSource(
                f"{str(archive.path)!r} has no {_FOLDER}/loose_bb_NAME.csv and no {_FOLDER}/loose_landmark_NAME.csv; "
                "add them, or choose another format."
            )
        rows = _Rows(archive, items, report)
        for what, split, name in tables:
            yield from rows.read(name, split, what == "bb")

    def image_folder(self, split: str | None) -> str:
        """The folder of a subset; of its classes, the names of the items have the folders."""
        return split or _DEFAULT

    def fidelity_of(self, data: ExportData, options: WriteOptions) -> Fidelity:
        """Keypoints survive if they have five points."""
        has_five = [bool(fits) for table in data.label_tables() for fits in _have_five(table)]
        if all(has_five):
            return self.fidelity
        kinds = {kind: fate for kind, fate in self.fidelity.kinds.items() if kind != "keypoints"}
        return replace(self.fidelity, kinds=kinds | {"keypoints": _FIVE} if any(has_five) else kinds)

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        """Put the class in front of the name of each item."""
        fidelity = self.fidelity_of(data, options)
        classes = first_classes(data, list(fidelity.kinds), lambda labels: _kept(labels, fidelity))
        require_folder_names({name for name in classes if name is not None})
        names = [_in_folder(name, class_) for name, class_ in zip(data.items["name"].to_pylist(), classes, strict=True)]
        data.rename(unique(names, data.items["split"].to_pylist()))
        data.lose_pointless()

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write two tables for each subset, and ``labels.txt``."""
        (data.folder / _CLASSES).write_text("".join(f"{name}\n" for name in data.classes), "utf-8")
        folder = data.folder / _FOLDER
        folder.mkdir(exist_ok=True)
        fidelity = self.fidelity_of(data, options)
        for split in data.splits:
            with (
                (folder / f"loose_bb_{split or _DEFAULT}.csv").open("w", encoding="utf-8", newline="") as box_file,
                (folder / f"loose_landmark_{split or _DEFAULT}.csv").open("w", encoding="utf-8", newline="") as file,
            ):
                boxes, landmarks = csv.writer(box_file, lineterminator="\n"), csv.writer(file, lineterminator="\n")
                boxes.writerow([_ID, *_BOX])
                landmarks.writerow([_ID, *_POINTS])
                for part in data.parts():
                    labels = upright(_kept(part.labels, fidelity))
                    for _, item, rows in ExportPart(part.first, part.items, labels).by_item():
                        if item["split"] == split:
                            _write_item(stem(str(item["name"])), rows, boxes, landmarks)


class _Rows:
    """The rows of all tables. Rows of one image are of one item, whatever table they are in."""

    def __init__(self, archive: Archive, items: Items, report: ReadReport) -> None:
        self._archive, self._items, self._report = archive, items, report
        self._files = {stem(name): name for name in image_names(archive)}
        self._known: dict[tuple[str, str], int] = {}
        self._shapes = Shapes()

    def read(self, name: str, split: str, is_box: bool) -> Iterator[pa.Table]:
        root = name.rpartition("/")[0].removesuffix(_FOLDER)
        self._archive.opened.add(f"{root}{_CLASSES}")  # the classes are the folders
        columns = _BOX if is_box else _POINTS
        for places, texts in csv_rows.batches(self._archive, name, (_ID, *columns), self._report):
            values = np.stack([csv_rows.floats(texts[column]) for column in columns], axis=1)
            is_empty = csv_rows.is_empty([texts[column] for column in columns])
            ids = texts[_ID].to_pylist()
            for place, name_id, row, empty in zip(places.to_pylist(), ids, values, is_empty.tolist(), strict=True):
                if name_id:
                    self._add(root, split, with_slashes(name_id), None if empty else row, is_box, place)
                else:
                    self._report.skip(place, f"it has no {_ID}")
            yield from self._shapes.take_full()
        yield self._shapes.take()

    def _add(self, root: str, split: str, path: str, row: np.ndarray | None, is_box: bool, place: str) -> None:
        folder, rest = split_name(path)
        label = None if folder == NO_LABEL else folder
        item = self._known.get((split, path))
        if item is None:
            file = next((self._files[p] for p in (f"{root}{split}/{path}", root + path) if p in self._files), None)
            item = self._items.add(rest, None if split == _DEFAULT else split, frame=frame_of(rest), file=file)
            self._known[split, path] = item
        if row is None:
            if not is_box and label is not None:
                self._shapes.add(item, "classification", label, place=place)
        elif not np.isfinite(row).all():
            self._report.skip(place, "its numbers are not all there, or are no numbers")
        elif is_box:
            self._shapes.add(item, "box", label, bounding_box=row.tolist(), place=place)
        else:
            self._shapes.add(item, "keypoints", label, points=[row.reshape(5, 2).tolist()], place=place)


def _write_item(name_id: str, rows: pa.Table, boxes: Any, landmarks: Any) -> None:
    by_kind = {kind: rows.filter(pc.equal(rows["kind"], kind)) for kind in ("box", "keypoints", "classification")}
    for box in by_kind["box"]["bounding_box"].to_pylist():
        boxes.writerow([name_id, *box])
    # The row of the class comes first: readers refuse one that follows landmarks.
    if by_kind["classification"].num_rows or not rows.num_rows:
        landmarks.writerow([name_id, *[""] * len(_POINTS)])
    for points in by_kind["keypoints"]["points"].to_pylist():
        landmarks.writerow([name_id, *np.ravel(points[0]).tolist()])


def _have_five(labels: pa.Table) -> list[bool]:
    """Whether each of the keypoints has five points that are all there."""
    points = labels.filter(pc.equal(labels["kind"], "keypoints"))["points"].to_pylist()
    return [len(p[0]) == 5 and bool(np.isfinite(p).all()) for p in points]


def _kept(labels: pa.Table, fidelity: Fidelity) -> pa.Table:
    """The labels that are written: of those without keypoints of another number of points, those for which their image has room."""
    five = iter(_have_five(labels))
    fits = [next(five) if kind == "keypoints" else kind in fidelity.kinds for kind in labels["kind"].to_pylist()]
    labels = labels.filter(pa.array(fits, pa.bool_()))
    return labels.filter(pa.array([not said for said in fidelity.surplus(labels, "item")], pa.bool_()))


def _tables(archive: Archive) -> list[tuple[str, str, str]]:
    """What, the subset and the name of each table; landmarks first."""
    matches = [(_TABLE.fullmatch(name.rpartition("/")[2]), name) for name in archive.by_suffix.get(".csv", ())]
    return sorted(((m[1], m[2], name) for m, name in matches if m), reverse=True)


def _in_folder(name: str, class_: str | None) -> str:
    """A name in the folder of its class; one that is there, or in that of no class, stays."""
    folder, rest = split_name(name)
    wanted = class_ or NO_LABEL
    return f"{wanted}/{rest if folder in (wanted, NO_LABEL) else name}"
