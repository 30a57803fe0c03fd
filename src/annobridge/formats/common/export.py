"""What a writer of label files gets: the items of the export, and the labels of each part in the unit of the format."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core.arrays import Bools, as_array, as_mask, is_rotated
from ...core.labels import KIND_TYPES, SAMPLES
from ...exceptions import Unsupported
from ...spill.tables import Tables
from .. import media
from ..base import Part
from ..names import plain_path
from .archive import is_safe_name
from .counts import counts_of_points, mixed, types_of_attributes
from .fidelity import (
    EMPTY,
    FIELDS,
    FURTHER,
    NOTHING,
    PADDED,
    REVIEWED,
    SPLITS,
    WITH_POINTS,
    Fidelity,
    Loss,
    text_values,
)
from .frames import FrameKeys, frame_items, frames_of, is_video, of_frames, video_rows
from .items import ITEMS
from .source import PIXELS, to_pixels

_IMAGES = frozenset({"images", "img", "image_2", "data", "JPEGImages", "imgsFine", "leftImg8bit", "img1"})
_OF_SPLIT = ("{}", "WIDER_{}", "bounding_box_{}")  # folders of a split
_SAMPLES = {
    "sample_id": pa.string(), "filepath": pa.string(), "width": pa.int32(), "height": pa.int32(), "split": pa.string(),
    "media_type": pa.string(), "frames": pa.int32(), "fps": pa.float64(),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExportPart:
    """Some items with their labels. ``labels`` are ``LABELS`` with a column ``item``, sorted by it; in pixels or relative."""

    first: int  # the number of the first item
    items: pa.Table  # ITEMS
    labels: pa.Table
    columns: pa.Table | None = None  # the dataset's own columns of the samples, a row for each item

    def by_item(self) -> Iterator[tuple[int, dict[str, object], pa.Table]]:
        """Number, item and labels, one item after another."""
        numbers = self.labels["item"].to_numpy()
        for at, item in enumerate(self.items.to_pylist()):
            start, end = np.searchsorted(numbers, [self.first + at, self.first + at + 1])
            yield self.first + at, item, self.labels.slice(start, end - start)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A part on disk: its first item, how many it has, and the numbers of its tables."""

    first: int
    count: int
    samples: int
    labels: int
    columns: int  # of the dataset's own


class ExportData:
    """The samples and labels of an export. They wait in temporary files, since class numbers and names need all of them.

    An item is an image, or a frame of a video that has labels: its ``video`` is the name of the video, its ``frame`` is counted
    from 0. ``videos`` are the videos themselves (``frames.VIDEOS``). ``has_frames`` says whether the format can hold them, and
    ``title`` is its name for the error that says that it cannot.
    """

    def __init__(
        self, parts: Iterable[Part], folder: Path, unit: str, classes: Sequence[str] = (), has_frames: bool = False,
        title: str = "this format",
    ) -> None:  # fmt: skip
        self.folder, self._unit = folder, unit
        self.notes = list[str]()  # what was changed, or should be known
        self._lost: Counter[tuple[str, str]] = Counter()
        self._tables, self._parts = Tables(), list[_Kept]()
        self._media: list[media.Media | None] = []
        self._classes_of: dict[str, set[str]] = {}  # kind → the classes that its labels have
        self._first_classes = list(classes)
        self.kinds: Counter[str] = Counter()
        self.rotated = False  # whether a box or an ellipse is turned
        samples, owners, numbers = list[pa.Table](), list[np.ndarray](), list[np.ndarray]()
        reviewed: list[Bools] | None = None  # by item
        count = rows_before = whole = 0
        for part in parts:
            rows = _samples(part.samples)
            if not has_frames and is_video(rows).any():
                raise Unsupported("", [f"Videos cannot be written as {title}, which has no frames; leave them out of the view, or "
                                       "choose a format of tracks, as 'cvat', 'mot' or 'mots'."])  # fmt: skip
            labels = of_frames(rows, part.labels)
            whole += part.labels.num_rows - labels.num_rows
            self._count_classes(labels)
            owner, frames = frame_items(rows, labels)
            if part.reviewed is not None:
                reviewed = [*(reviewed or ()), as_mask(part.reviewed)[owner]]
            samples.append(rows)
            owners.append(owner + rows_before)
            numbers.append(frames)
            self._media.append(media.embedded(part))
            self._parts.append(
                _Kept(count, len(owner), *map(self._tables.add, (rows, labels, _own_columns(part.samples))))
            )
            count, rows_before = count + len(owner), rows_before + rows.num_rows
        self.classes = self._ordered(self._classes_of)
        all_samples = pa.concat_tables(samples) if samples else _samples(pa.table({}))
        self.items, self.videos = _items(all_samples, np.concatenate([*owners, []]), np.concatenate([*numbers, []]))
        # By item, if it is to be kept
        self.reviewed: Bools | None = None if reviewed is None else np.concatenate(reviewed)
        self.given_names = as_array(self.items["name"])  # before a format renames its items
        _require_safe(self.items)
        _require_safe(self.videos)
        self.lose("labels are of whole videos, and are left out", whole)

    def keep_classes_of(self, kinds: Collection[str]) -> None:
        """Leave out of ``classes`` those that only labels of other kinds have, as these are not written."""
        self.classes = self._ordered(kinds)

    def _ordered(self, kinds: Collection[str]) -> list[str]:
        found = set[str]().union(*(self._classes_of.get(kind, ()) for kind in kinds))
        return [*self._first_classes, *sorted(found - set(self._first_classes))]

    def _count_classes(self, labels: pa.Table) -> None:
        for row in labels.group_by(["kind", "label"], use_threads=False).aggregate([]).to_pylist():
            if row["label"]:
                self._classes_of.setdefault(row["kind"], set()).add(row["label"])
        self.kinds.update({v["values"]: v["counts"] for v in pc.value_counts(labels["kind"]).to_pylist()})
        self.rotated = self.rotated or bool(is_rotated(labels["rotation"]).any())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tables.close()

    @property
    def splits(self) -> list[str | None]:
        """The splits in the order in which they occur; ``[None]`` where there are none."""
        return list(dict.fromkeys(self.items["split"].to_pylist())) or [None]

    def rename(self, names: Sequence[str]) -> None:
        """Give every item a new name."""
        self.items = self.items.set_column(0, ITEMS.field("name"), pa.array(names, pa.string()))

    def unique_stems(self) -> None:
        """Rename items whose names differ only in their suffix, for formats whose label files have the name without it."""
        taken: set[tuple[str | None, str]] = set()
        names, renamed = [], 0
        for name, split in zip(self.items["name"].to_pylist(), self.items["split"].to_pylist(), strict=True):
            stem, suffix = os.path.splitext(name)
            new, number = stem, 1
            while (split, new) in taken:
                number += 1
                new = f"{stem}_{number}"
            taken.add((split, new))
            renamed += number > 1
            names.append(new + suffix)
        if renamed:
            self.notes.append(
                f"{renamed:,} images were renamed, as their names differed from others in the suffix only."
            )
            self.rename(names)

    def without_folders(self, replace: Callable[[str], str] = lambda name: name) -> None:
        """Rename items so that their names have no folders and are unique in their split, for formats that have none.

        ``replace`` changes names first, as for characters that the format cannot have in them.
        """
        taken: set[tuple[str | None, str]] = set()
        names, renamed = [], 0
        for name, split in zip(self.items["name"].to_pylist(), self.items["split"].to_pylist(), strict=True):
            flat = replace(name.replace("/", "_"))
            stem, suffix = os.path.splitext(flat)
            number = 1
            while (split, flat) in taken:
                number += 1
                flat = f"{stem}_{number}{suffix}"
            taken.add((split, flat))
            renamed += flat != name
            names.append(flat)
        if renamed:
            self.notes.append(f"{renamed:,} images were renamed, as the format cannot have their names.")
            self.rename(names)

    def lose(self, what: str, count: int, field: str = "") -> None:
        """Tell of a loss that only the writer knows; ``what`` completes "12 …", as "masks have no pixel, and are left out"."""
        if count:
            self._lost[field, what] += count

    def lose_pointless(self) -> None:
        """Tell of keypoints and skeletons all of whose points are missing, in a format that cannot write them."""
        for labels in self.label_tables():
            points = labels.filter(pc.is_in(labels["kind"], value_set=pa.array(WITH_POINTS)))["points"].to_pylist()
            self.lose(NOTHING, sum(not np.isfinite(parts[0]).any() for parts in points))

    @property
    def lost(self) -> list[Loss]:
        """What ``lose`` was told so far."""
        return [Loss(field, what, count) for (field, what), count in self._lost.items()]

    def refuse_classes(self, fits: Callable[[str], bool], where: str) -> None:
        """Refuse classes that would be read back as others. ``where`` completes "does not fit", as "in a line of obj.names"."""
        if odd := [name for name in self.classes if not fits(name)]:
            raise Unsupported("", [f"The class {name!r} does not fit {where}; rename it." for name in odd[:20]])

    def losses(self, fidelity: Fidelity) -> list[Loss]:
        """What this export would lose, by field and kind of loss, and what ``lose`` was told so far."""
        counts: Counter[tuple[str, str]] = Counter()
        by_kind: dict[str, Counter[str]] = {}
        with_labels = more_classes = 0
        points, types = Counter[tuple[str, int]](), Counter[tuple[str, str, str]]()
        for labels in self.label_tables():
            if not labels.num_rows:
                continue
            for loss in fidelity.losses(labels):
                counts[loss.field, loss.what] += loss.count
            for what in fidelity.surplus(labels, "sample_id"):
                counts["", what] += bool(what)
            written = labels.filter(pc.is_in(labels["kind"], value_set=pa.array(list(fidelity.kinds), pa.string())))
            with_labels += len(pc.unique(written["sample_id"]))
            for row in written.group_by(["field", "kind"]).aggregate([([], "count_all")]).to_pylist():
                by_kind.setdefault(row["kind"], Counter())[row["field"]] += row["count_all"]
            if fidelity.same_points:
                points.update(counts_of_points(written))
            if fidelity.one_type:
                types.update(types_of_attributes(written))
            classes = written.filter(pc.equal(written["kind"], "classification"))["sample_id"]
            more_classes += len(classes) - len(pc.unique(classes))
        found = [Loss(field, what, count) for (field, what), count in counts.items() if count]
        for kind, counted in by_kind.items():
            fields = Counter({name: count for name, count in counted.items() if not fidelity.keeps_field(name, kind)})
            if len(fields) > 1:
                what = f"{KIND_TYPES.get(kind, kind)} {FIELDS}"
                found.append(Loss(", ".join(sorted(fields)), what, fields.total()))
        most = max((count for _, count in points), default=0)
        fewer: Counter[str] = Counter()
        for (field, count), labels_of in points.items():
            fewer[field] += labels_of * (count < most)
        found += [Loss(field, PADDED, count) for field, count in fewer.items() if count]
        found += [Loss("", text_values(name), count) for name, count in mixed(types).items()]
        of_images = {
            EMPTY: 0 if fidelity.empty_images else self.items.num_rows - with_labels,
            REVIEWED: 0 if fidelity.reviewed or self.reviewed is None else int(self.reviewed.sum()),
            SPLITS: 0 if fidelity.splits else self.items.num_rows - self.items["split"].null_count,
            FURTHER: 0 if fidelity.several_classes else more_classes,
        }
        return [*found, *(Loss("", what, count) for what, count in of_images.items() if count), *self.lost]

    def not_reviewed(self, part: ExportPart) -> Bools:
        """The items of a part that nobody has reviewed; none where that is not to be kept."""
        if self.reviewed is None:
            return np.zeros(part.items.num_rows, bool)
        return ~self.reviewed[part.first : part.first + part.items.num_rows]

    def label_tables(self) -> Iterator[pa.Table]:
        """The labels of each part as they are in the dataset: relative, in any order. For what is asked of all of them."""
        for kept in self._parts:
            yield self._tables.get(kept.labels)

    def parts(self) -> Iterator[ExportPart]:
        """The parts, one in memory at a time."""
        for kept in self._parts:
            samples, labels = self._tables.get(kept.samples), self._tables.get(kept.labels)
            items = self.items.slice(kept.first, kept.count)
            numbers = FrameKeys(samples, labels).items()
            labels = labels.append_column("item", pa.array(numbers + kept.first, pa.int32()))
            order = pc.sort_indices(labels, [("item", "ascending")])
            labels = labels.take(order).combine_chunks()
            if self._unit == PIXELS and labels.num_rows:
                labels = to_pixels(labels, image_sizes(items)[labels["item"].to_numpy() - kept.first])
            yield ExportPart(kept.first, items, labels, self._tables.get(kept.columns))

    def media_of(self) -> Iterator[tuple[list[dict[str, Any]], pa.Table, media.Media]]:
        """The samples of each part, what opens their media, and what each of them is in the export: an item, or a video."""
        videos = {row["sample_id"]: row for row in self.videos.to_pylist()}
        for kept, inside in zip(self._parts, self._media, strict=True):
            samples = self._tables.get(kept.samples)
            images = (row for row in self.items.slice(kept.first, kept.count).to_pylist() if row["video"] is None)
            rows = [videos.get(sample_id) or next(images) for sample_id in samples["sample_id"].to_pylist()]
            yield rows, samples, media.of(samples, inside)


def image_bytes(files: media.Media, sample_id: str, place: str | None) -> bytes:
    """The file of an image, for formats that have it inside another file. Raises ``InvalidMedia``."""
    return b"".join(media.read_chunks(files, sample_id, place or "", "leave it out of the view"))


def _own_columns(samples: pa.Table) -> pa.Table:
    """The columns of samples that are of the dataset, and not of annobridge."""
    names = [name for name in samples.column_names if name not in (*SAMPLES.names, *_SAMPLES) and name[:1] != "_"]
    return samples.select(names)


def _samples(rows: pa.Table) -> pa.Table:
    columns = {}
    for name, type_ in _SAMPLES.items():
        columns[name] = rows[name].cast(type_) if name in rows.column_names else pa.nulls(rows.num_rows, type_)
    return pa.table(columns)


def _items(samples: pa.Table, owners: np.ndarray, frames: np.ndarray) -> tuple[pa.Table, pa.Table]:
    """The items of an export, given the sample of each and its frame from 1 (0 for images), and its videos. The names of images
    and videos are the paths below the folder that all files have in common, and are unique.
    """
    paths = [
        plain_path(path or sample_id)
        for path, sample_id in zip(samples["filepath"].to_pylist(), samples["sample_id"].to_pylist(), strict=True)
    ]
    names = pa.array(_names(paths, samples["split"].to_pylist()), pa.string())
    rows = samples.append_column("name", names)
    videos = video_rows(rows)
    if not videos.num_rows:
        arrays = [
            as_array(rows[f.name]) if f.name in rows.column_names else pa.nulls(len(names), f.type) for f in ITEMS
        ]
        return pa.Table.from_arrays(arrays, schema=ITEMS), videos
    rows = rows.take(pa.array(owners.astype(np.int64)))
    return frames_of(rows, frames.astype(np.int64)), videos


def _require_safe(items: pa.Table) -> None:
    """Names and splits become paths, which must stay in the folder of the export."""
    for what in ("name", "split"):
        for value in pc.unique(items[what].drop_null()).to_pylist():
            if not is_safe_name(value):
                raise Unsupported("", [f"The {what} {value!r} of a sample leads out of the export; rename it."])


def _names(paths: Sequence[str], splits: Sequence[str | None]) -> list[str]:
    if not paths:
        return []
    folders = sorted({path.rpartition("/")[0] for path in paths})
    is_mixed = len({folder.startswith("/") for folder in folders}) > 1  # paths and URIs
    common = "" if is_mixed else os.path.commonpath(folders)
    start = len(common.rstrip("/")) + 1 if common else 0
    names = []
    taken: set[tuple[str | None, str]] = set()
    for path, split in zip(paths, splits, strict=True):
        parts = path[start:].lstrip("/").split("/")
        if split is not None:  # the split is a folder of its own in the export
            at = next((parts.index(f) for n in _OF_SPLIT if (f := n.format(split)) in parts[:-1]), -1)
            parts = parts[at + 1 :]
        while parts[0] in _IMAGES and len(parts) > 1:  # where formats have their images
            parts = parts[1:]
        first = name = "/".join(parts)
        number = 1
        while (split, name) in taken:
            number += 1
            stem, suffix = os.path.splitext(first)
            name = f"{stem}_{number}{suffix}"
        taken.add((split, name))
        names.append(name)
    return names


def is_line(name: str) -> bool:
    """Whether a name can be a line of a text, without spaces around it."""
    return name == name.strip() and name.splitlines() == [name]


def image_sizes(items: pa.Table) -> np.ndarray:
    """Width and height of each item. Raises ``Unsupported`` if one is not known."""
    if missing := items["width"].null_count:
        if items["video"].null_count < items.num_rows:
            raise Unsupported(
                "", ["The sizes of some videos are not known; set the width and height of these samples."]
            )
        raise Unsupported(
            "", [f"The sizes of {missing:,} images are not known; doctor(repair=True) of the dataset reads them."]
        )
    sizes: np.ndarray = np.stack([items[name].to_numpy() for name in ("width", "height")], axis=1).astype(float)
    return sizes
