"""What a writer of label files gets: the items of the export, and the labels of each part in the unit of the format."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core.arrays import as_array, is_rotated
from ...core.labels import KIND_TYPES
from ...exceptions import InvalidMedia, Unsupported
from ...spill.tables import Tables
from .. import media
from ..base import Part
from .archive import is_safe_name
from .fidelity import EMPTY, FIELDS, FURTHER, NOTHING, SPLITS, WITH_POINTS, Fidelity, Loss
from .items import ITEMS
from .source import PIXELS, to_pixels

_IMAGES = frozenset({"images", "image_2", "data", "JPEGImages", "imgsFine", "leftImg8bit"})
_OF_SPLIT = ("{}", "WIDER_{}", "bounding_box_{}")  # folders of a split
_SAMPLES = ("sample_id", "filepath", "width", "height", "split", "media_type")


@dataclass(frozen=True, slots=True)
class ExportPart:
    """Some items with their labels. ``labels`` are ``LABELS`` with a column ``item``, sorted by it; in pixels or relative."""

    first: int  # the number of the first item
    items: pa.Table  # ITEMS
    labels: pa.Table

    def by_item(self) -> Iterator[tuple[int, dict[str, object], pa.Table]]:
        """Number, item and labels, one item after another."""
        numbers = self.labels["item"].to_numpy()
        for at, item in enumerate(self.items.to_pylist()):
            start, end = np.searchsorted(numbers, [self.first + at, self.first + at + 1])
            yield self.first + at, item, self.labels.slice(start, end - start)


class ExportData:
    """The samples and labels of an export. They wait in temporary files, since class numbers and names need all of them."""

    def __init__(self, parts: Iterable[Part], folder: Path, unit: str, classes: Sequence[str] = ()) -> None:
        self.folder, self._unit = folder, unit
        self.notes = list[str]()  # what was changed, or should be known
        self._lost: Counter[tuple[str, str]] = Counter()
        self._tables, self._numbers = (
            Tables(),
            list[tuple[int, int, int]](),
        )  # first item, number of samples and of labels
        self._media: list[media.Media | None] = []
        found: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.rotated = False  # whether a box or an ellipse is turned
        samples = []
        count = 0
        for part in parts:
            rows = _samples(part.samples)
            samples.append(rows)
            found.update(
                {v["values"]: v["counts"] for v in pc.value_counts(part.labels["label"]).to_pylist() if v["values"]}
            )
            self.kinds.update({v["values"]: v["counts"] for v in pc.value_counts(part.labels["kind"]).to_pylist()})
            self.rotated = self.rotated or bool(is_rotated(part.labels["rotation"]).any())
            self._media.append(media.embedded(part))
            self._numbers.append((count, self._tables.add(rows), self._tables.add(part.labels)))
            count += rows.num_rows
        all_samples = pa.concat_tables(samples) if samples else _samples(pa.table({}))
        if "video" in all_samples["media_type"].to_pylist():
            raise Unsupported("", ["Videos cannot be exported as label files of images; leave them out of the view."])
        self.classes = [*classes, *sorted(name for name in found if name not in set(classes))]
        self.items = _items(all_samples)
        _require_safe(self.items)

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
            classes = written.filter(pc.equal(written["kind"], "classification"))["sample_id"]
            more_classes += len(classes) - len(pc.unique(classes))
        found = [Loss(field, what, count) for (field, what), count in counts.items() if count]
        for kind, counted in by_kind.items():
            fields = Counter({name: count for name, count in counted.items() if not fidelity.keeps_field(name, kind)})
            if len(fields) > 1:
                what = f"{KIND_TYPES.get(kind, kind)} {FIELDS}"
                found.append(Loss(", ".join(sorted(fields)), what, fields.total()))
        of_images = {
            EMPTY: 0 if fidelity.empty_images else self.items.num_rows - with_labels,
            SPLITS: 0 if fidelity.splits else self.items.num_rows - self.items["split"].null_count,
            FURTHER: 0 if fidelity.several_classes else more_classes,
        }
        return [*found, *(Loss("", what, count) for what, count in of_images.items() if count), *self.lost]

    def label_tables(self) -> Iterator[pa.Table]:
        """The labels of each part as they are in the dataset: relative, in any order. For what is asked of all of them."""
        for _, _, number in self._numbers:
            yield self._tables.get(number)

    def parts(self) -> Iterator[ExportPart]:
        """The parts, one in memory at a time."""
        for first, samples_number, labels_number in self._numbers:
            samples, labels = self._tables.get(samples_number), self._tables.get(labels_number)
            items = self.items.slice(first, samples.num_rows)
            at = pc.index_in(labels["sample_id"], value_set=as_array(samples["sample_id"]))
            numbers = as_array(at).cast(pa.int32())
            labels = labels.append_column("item", pc.add(numbers, pa.scalar(first, pa.int32())))
            order = pc.sort_indices(labels, [("item", "ascending")])
            labels = labels.take(order).combine_chunks()
            if self._unit == PIXELS and labels.num_rows:
                local = pc.subtract(labels["item"], first).to_numpy()
                labels = to_pixels(labels, image_sizes(items)[local])
            yield ExportPart(first, items, labels)

    def media_of(self) -> Iterator[tuple[int, pa.Table, media.Media]]:
        """The samples of each part and what opens their media, with the number of the first item."""
        for (first, number, _), inside in zip(self._numbers, self._media, strict=True):
            samples = self._tables.get(number)
            yield first, samples, media.of(samples, inside)


def place_images(data: ExportData, folder_of: Callable[[str | None], str], how: bool | str) -> None:
    """Copy or link the images into the export; with ``False``, nothing."""
    if how is False:
        return
    for first, samples, files in data.media_of():
        rows = data.items.slice(first, samples.num_rows).to_pylist()
        for item, sample_id, place in zip(
            rows, samples["sample_id"].to_pylist(), samples["filepath"].to_pylist(), strict=True
        ):
            target = data.folder / folder_of(item["split"]) / item["name"]
            target.parent.mkdir(parents=True, exist_ok=True)
            path = files.path(sample_id)
            if how == "link" and path is not None:
                if not path.is_file():
                    raise InvalidMedia(
                        f"{str(path)!r} of sample {sample_id!r} does not exist; leave it out of the view."
                    )
                os.symlink(path.absolute(), target)
            elif path is not None and path.is_file():
                shutil.copyfile(path, target)
            else:
                with target.open("wb") as copy:
                    for piece in media.read_chunks(files, sample_id, place or "", "leave it out of the view"):
                        copy.write(piece)


def _samples(rows: pa.Table) -> pa.Table:
    columns = {}
    for name in _SAMPLES:
        type_ = pa.int32() if name in ("width", "height") else pa.string()
        columns[name] = rows[name].cast(type_) if name in rows.column_names else pa.nulls(rows.num_rows, type_)
    return pa.table(columns)


def _items(samples: pa.Table) -> pa.Table:
    """The items of an export: names are the paths below the folder that all files have in common, and are unique."""
    paths = [
        _plain(path or sample_id)
        for path, sample_id in zip(samples["filepath"].to_pylist(), samples["sample_id"].to_pylist(), strict=True)
    ]
    splits = samples["split"].to_pylist()
    names = _names(paths, splits)
    columns = {"name": pa.array(names, pa.string()), **{n: samples[n] for n in ("split", "width", "height")}}
    arrays = [as_array(columns[f.name]) if f.name in columns else pa.nulls(len(names), f.type) for f in ITEMS]
    return pa.Table.from_arrays(arrays, schema=ITEMS)


def _require_safe(items: pa.Table) -> None:
    """Names and splits become paths, which must stay in the folder of the export."""
    for what in ("name", "split"):
        for value in pc.unique(items[what].drop_null()).to_pylist():
            if not is_safe_name(value):
                raise Unsupported("", [f"The {what} {value!r} of a sample leads out of the export; rename it."])


def _plain(path: str) -> str:
    path = path.replace("\\", "/")
    return str(PurePosixPath(path)) if "//" in path or "./" in path else path  # making a path object costs most here


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
        raise Unsupported(
            "", [f"The sizes of {missing:,} images are not known; doctor(repair=True) of the dataset reads them."]
        )
    sizes: np.ndarray = np.stack([items[name].to_numpy() for name in ("width", "height")], axis=1).astype(float)
    return sizes
