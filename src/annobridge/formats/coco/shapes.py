"""Annotations as shapes: the columns of many at once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core.arrays import as_mask
from ...core.labels import MASK, POINT
from ..common.report import ReadReport
from ..common.skeletons import POINT_NAMES, point_names
from .attributes import Attributes, More
from .masks import checked
from .records import NOTHING, Annotation, Rle

_POINTS = pa.list_(pa.list_(POINT))
_NO_IMAGE = "its image is not in the file"
_NO_CLASS = "its category is not in the file"
Ints = np.ndarray
_BOX, _SEGMENTATION, _KEYPOINTS = map(attrgetter, ("bbox", "segmentation", "keypoints"))
Lookup = Callable[[Sequence[Any]], Ints]


class Seen:
    """The annotations of a file, by image and id."""

    def __init__(self) -> None:
        self._keys = [np.empty(0, np.int64)]

    def add(self, items: Ints, ids: Sequence[Any]) -> None:
        """Take some annotations."""
        self._keys.append(self._key(items, ids))

    def has(self, items: Ints, ids: Sequence[Any]) -> np.ndarray:
        """Which annotations were taken before."""
        self._keys = [np.unique(np.concatenate(self._keys))]
        found: np.ndarray = np.isin(self._key(items, ids), self._keys[0])
        return found

    @staticmethod
    def _key(items: Ints, ids: Sequence[Any]) -> Ints:
        numbers = np.fromiter((hash(i) % 2**40 for i in ids), np.int64, len(ids))
        keys: Ints = numbers * 2**22 + items % 2**22
        return keys


class Shaper:
    """Makes shapes of annotations.

    Args:
        where: How messages name the file.
        items: The item of each image id; -1 where there is none.
        classes: The name of each category.
        skeletons: The names of the points of each class that has them.
        sizes: The width and height of items, as the file says.
        repeats: The annotations of another file, whose boxes and masks are not read again.
    """

    def __init__(
        self, where: str, items: Lookup, classes: Mapping[Any, str], skeletons: Mapping[str, tuple[str, ...]],
        report: ReadReport, *, sizes: Callable[[Ints], np.ndarray], repeats: Seen | None = None,
    ) -> None:  # fmt: skip
        self._sizes = sizes
        self._where, self._items, self._classes, self._skeletons = where, items, classes, skeletons
        self._report, self._repeats = report, repeats

    def tables(self, rows: Sequence[Annotation], extras: Sequence[str], first: int) -> Iterator[pa.Table]:
        """The shapes of some annotations, the first of which has this number in its file."""
        if not rows:
            return
        items = self._items([row.image_id for row in rows])
        labels = pa.array([self._classes.get(row.category_id) for row in rows], pa.string())
        places = self._places(rows, first)
        good, named = items >= 0, as_mask(labels.is_valid())
        self._skip(places, ~good, _NO_IMAGE)
        if not named.all():
            captions = np.fromiter((row.caption is not NOTHING for row in rows), bool, len(rows)) & ~named
            self._skip(places, good & captions, "it is a caption, and captions are not read")
            void = np.fromiter((row.segments_info is not None for row in rows), bool, len(rows))
            self._skip(places, good & ~named & ~captions & ~void, _NO_CLASS)
        extra = Attributes(rows, extras)
        batch = _Batch(rows, items, labels, places, extra, self._report, self._sizes)
        sorts = self._sorts(rows, good & named, self._known(rows, items) if self._repeats is not None else set())
        both = np.zeros(len(rows), np.int64)
        for at in sorts.values():
            both[at] += 1
        for sort, at in sorts.items():
            if len(at):
                more: list[More] = [()] * len(at)
                if sort == "skeletons" or (both[at] > 1).any():
                    more = [self._more(rows[k], first + k, sort, both[k] > 1) for k in at.tolist()]
                yield from getattr(batch, sort)(at, more)

    def _sorts(self, rows: Sequence[Annotation], good: np.ndarray, elsewhere: set[int]) -> dict[str, Ints]:
        """The annotations of each sort of shape. Keypoints are beside a box or a polygon in one annotation."""
        sort_of: dict[str, list[int]] = {
            name: [] for name in ("boxes", "polygons", "masks", "skeletons", "keypoints", "classes")
        }
        if all(map(_BOX, rows)) and not any(map(_SEGMENTATION, rows)) and not any(map(_KEYPOINTS, rows)):
            return {"boxes": np.flatnonzero(good)}
        for k in np.flatnonzero(good).tolist():
            row = rows[k]
            has_points = row.keypoints is not None and any(row.keypoints[2::3])
            if has_points:
                named = len(self._skeletons.get(self._classes[row.category_id], ())) * 3 == len(row.keypoints or ())
                sort_of["skeletons" if named else "keypoints"].append(k)
                if row.bbox_of:
                    continue
            if k in elsewhere:
                continue
            if isinstance(row.segmentation, Rle):
                sort_of["masks"].append(k)
            elif row.segmentation:
                sort_of["polygons"].append(k)
            elif row.bbox:
                sort_of["boxes"].append(k)
            elif not has_points and row.keypoints is None:
                sort_of["classes"].append(k)
        return {name: np.array(at, np.int64) for name, at in sort_of.items()}

    def _known(self, rows: Sequence[Annotation], items: Ints) -> set[int]:
        assert self._repeats is not None  # noqa: S101 - else it is not asked
        return set(np.flatnonzero(self._repeats.has(items, [row.id for row in rows])).tolist())

    def _more(self, row: Annotation, number: int, sort: str, several: bool) -> More:
        """The number that ties the labels of one annotation together, and the names of a skeleton's points."""
        more: list[tuple[str, Any]] = []
        if several:
            more.append(("group", row.id if isinstance(row.id, int) else number + 1))
        if sort == "skeletons":
            names = self._skeletons[self._classes[row.category_id]]
            if names != point_names(None, len(names)):  # numbers say nothing
                more.append((POINT_NAMES, names))
        return tuple(more)

    def _places(self, rows: Sequence[Annotation], first: int) -> pa.Array:
        given = [row.id for row in rows]
        try:
            ids = pa.array(given, pa.int64()).cast(pa.string())
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # texts
            ids = pa.array([None if i is None else str(i) for i in given], pa.string())
        if ids.null_count:
            numbers = pa.array([f"number {k}" for k in range(first + 1, first + 1 + len(rows))])
            ids = pc.coalesce(ids, numbers)
        return pc.binary_join_element_wise(self._where, "annotation", ids, " ")

    def _skip(self, places: pa.Array, where: np.ndarray, reason: str) -> None:
        for place in places.filter(pa.array(where)).to_pylist() if where.any() else ():
            self._report.skip(place, reason)


class _Batch:
    """Some annotations with what all their shapes share. Each method makes the shapes of one sort."""

    def __init__(
        self, rows: Sequence[Annotation], items: Ints, labels: pa.Array, places: pa.Array, attributes: Attributes,
        report: ReadReport, sizes: Callable[[Ints], np.ndarray],
    ) -> None:  # fmt: skip
        self._sizes = sizes
        self._rows, self._items, self._labels, self._places = rows, items, labels, places
        self._attributes, self._report = attributes, report

    def boxes(self, at: Ints, more: Sequence[More]) -> Iterator[pa.Table]:
        boxes = [self._rows[k].bbox or () for k in at.tolist()]
        good = np.fromiter(map(len, boxes), np.int64, len(boxes)) == 4
        if not good.all():
            self._skip(at[~good], "its bbox is not [x, y, width, height]")
            more = [g for g, keep in zip(more, good.tolist(), strict=True) if keep]
            boxes = [box for box in boxes if len(box) == 4]
            at = at[good]
        xywh = np.fromiter(chain.from_iterable(boxes), np.float64, 4 * len(boxes)).reshape(-1, 4)
        xywh = self._unswapped(xywh, self._items[at])
        flat = pa.FixedSizeListArray.from_arrays(pa.array(xywh.ravel()), 4)
        yield self._table(at, more, "box", True, bounding_box=flat)

    def _unswapped(self, boxes: np.ndarray, items: Ints) -> np.ndarray:
        """Boxes of images whose width and height are swapped in the file, which happens where their EXIF orientation was ignored:
        the centre of one lies outside, and all of them fit the other way round. A box that only lies over the border is none of
        these: people draw such. Scaled, as positions are taken as shares of the size in the file.
        """
        sizes = self._sizes(items)
        centres, ends = boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:]
        off = (sizes > 0).all(axis=1) & (centres > sizes + 1).any(axis=1)
        if not off.any():
            return boxes
        misfits = (ends > sizes[:, ::-1] + 1).any(axis=1)
        swapped = np.isin(items, np.setdiff1d(items[off], items[misfits]))
        self._report.note("boxes are on images whose width and height are swapped in the file", int(swapped.sum()))
        return np.where(swapped[:, None], boxes * np.tile(sizes / np.where(sizes > 0, sizes, 1)[:, ::-1], 2), boxes)

    def polygons(self, at: Ints, more: Sequence[More]) -> Iterator[pa.Table]:
        parts: list[Any] = [self._rows[k].segmentation for k in at.tolist()]
        sizes = np.fromiter(map(len, chain.from_iterable(parts)), np.int64, sum(map(len, parts)))
        if ((sizes < 6) | (sizes % 2 == 1)).any():
            at, more, parts = yield from self._without_stubs(at, more, parts)
        if len(at):
            points = _nested(list(chain.from_iterable(parts)), list(map(len, parts)))
            yield self._table(at, more, "polygon", False, points=points, closed=True, filled=True)

    def _without_stubs(
        self, at: Ints, more: Sequence[More], parts: list[Any]
    ) -> Generator[pa.Table, None, tuple[Ints, list[More], list[Any]]]:
        """Polygons without the parts that have fewer than three points. Where none is left, the box is what there is."""
        whole = [[part for part in some if len(part) >= 6 and not len(part) % 2] for some in parts]
        if dropped := sum(0 < len(new) < len(old) for new, old in zip(whole, parts, strict=True)):
            self._report.note("polygons have parts of fewer than three points, which were left out", dropped)
        boxed = [n for n, new in enumerate(whole) if not new and self._rows[at[n]].bbox]
        if boxed:
            self._report.note("polygons have fewer than three points; their boxes were read instead", len(boxed))
            yield from self.boxes(at[boxed], [more[n] for n in boxed])
        nothing = [n for n, new in enumerate(whole) if not new and not self._rows[at[n]].bbox]
        self._skip(at[nothing], "its polygon has no part of three points")
        kept = [n for n, new in enumerate(whole) if new]
        return at[kept], [more[n] for n in kept], [whole[n] for n in kept]

    def masks(self, at: Ints, more: Sequence[More]) -> Iterator[pa.Table]:
        masks, boxes, kept = [], [], []
        for n, k in enumerate(at.tolist()):
            rle = self._rows[k].segmentation
            assert isinstance(rle, Rle)  # noqa: S101 - so they were sorted
            found = checked(rle.size, rle.counts)
            if isinstance(found, str):
                self._report.skip(self._places[k].as_py(), found)
            else:
                masks.append(found[0])
                boxes.append(found[1])
                kept.append(n)
        columns = {"mask": pa.array(masks, MASK), "bounding_box": pa.array(boxes, pa.list_(pa.float64(), 4))}
        yield self._table(at[kept], [more[n] for n in kept], "mask", False, **columns)

    def skeletons(self, at: Ints, more: Sequence[More]) -> Iterator[pa.Table]:
        yield from self._joints("skeleton", at, more)

    def keypoints(self, at: Ints, more: Sequence[More]) -> Iterator[pa.Table]:
        yield from self._joints("keypoints", at, more)

    def classes(self, at: Ints, more: Sequence[More]) -> Iterator[pa.Table]:
        yield self._table(at, more, "classification", False)

    def _joints(self, kind: str, at: Ints, more: Sequence[More]) -> Iterator[pa.Table]:
        flat = [self._rows[k].keypoints or () for k in at.tolist()]
        good = np.array([len(values) % 3 == 0 for values in flat])
        if not good.all():
            self._skip(at[~good], "its keypoints are not [x, y, visibility, …]")
            more = [g for g, keep in zip(more, good.tolist(), strict=True) if keep]
            at, flat = at[good], [values for values in flat if len(values) % 3 == 0]
        sizes = [len(values) // 3 for values in flat]
        values = np.fromiter(chain.from_iterable(flat), np.float64, 3 * sum(sizes)).reshape(-1, 3)
        seen = np.clip(values[:, 2], 0, 2).astype(np.int8)
        xy = np.where(seen[:, None] == 0, np.nan, values[:, :2])
        points = _rings(xy, sizes, [1] * len(sizes))
        visibility = pa.ListArray.from_arrays(_offsets(sizes), pa.array(seen))
        yield self._table(at, more, kind, False, points=points, visibility=visibility)

    def _skip(self, at: Ints, reason: str) -> None:
        for place in self._places.take(pa.array(at)).to_pylist():
            self._report.skip(place, reason)

    def _table(self, at: Ints, more: Sequence[More], kind: str, turns: bool, **columns: Any) -> pa.Table:
        index = pa.array(at)
        shared = {
            "item": pa.array(self._items[at], pa.int32()),
            "kind": pa.array([kind], pa.string()).take(pa.array(np.zeros(len(at), np.int64))),
            "label": self._labels.take(index),
            "place": self._places.take(index),
        }
        given = {
            name: value if isinstance(value, pa.Array) else pa.repeat(pa.scalar(value), len(at))
            for name, value in columns.items()
        }
        return pa.table({**shared, **self._attributes.columns(at, more, turns=turns), **given})


def _nested(rings: Sequence[Sequence[float]], parts: Sequence[int]) -> pa.Array:
    """Points of shapes. ``rings`` are flat lists of x and y; ``parts`` says how many each shape has."""
    sizes = [len(ring) // 2 for ring in rings]
    xy = np.fromiter(chain.from_iterable(rings), np.float64, 2 * sum(sizes))
    return _rings(xy, sizes, parts)


def _rings(xy: np.ndarray, sizes: Sequence[int], parts: Sequence[int]) -> pa.Array:
    points = pa.FixedSizeListArray.from_arrays(pa.array(xy.ravel()), 2)
    rings = pa.ListArray.from_arrays(_offsets(sizes), points)
    return pa.ListArray.from_arrays(_offsets(parts), rings).cast(_POINTS)


def _offsets(sizes: Sequence[int]) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(np.asarray(sizes, np.int64))]), pa.int32())
