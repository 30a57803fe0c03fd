"""Shapes of CVAT's XML on their way into columns: texts as they are in the file, converted many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...core.arrays import as_mask, list_array, list_lengths
from ...core.labels import ATTRIBUTE, MASK, POINT
from ..common.report import ReadReport

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
COMMON = ("item", "line", "label", "occluded", "z_order", "group", "source", "index", "keyframe", "rotation")
MANY = 8_192  # rows of a batch
_TEXTS = pa.array(["bool", "int", "str", "float", "json"])
_TYPES = {name: at for at, name in enumerate(_TEXTS.to_pylist())}
_WORDS = pa.array(["false", "true"])
_SOURCES = ("auto", "semi-auto", "file")  # "manual" is what is meant where nothing is said
NOT_NUMBERS = "a position is missing, or is no number"


class Attributes:
    """The attributes of some rows that stand in elements of their own: row, name, type and JSON text of each."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.names: list[str] = []
        self.types: list[str] = []
        self.values: list[str] = []

    def add(self, row: int, name: str, made: tuple[str, str]) -> None:
        """Add one of a row."""
        self.rows.append(row)
        self.names.append(name)
        self.types.append(made[0])
        self.values.append(made[1])


class Kind:
    """The rows of one kind: the values of ``COMMON`` and the texts of the geometry, of one row after another in one list."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.count = 0
        self.attributes = Attributes()
        self.confidences: dict[int, float] = {}

    def add(self, row: tuple[Any, ...]) -> None:
        """Add a row. All rows of a kind are of the same length."""
        self.values += row
        self.count += 1


class Rows:
    """The rows of a file, by kind. ``where`` names the file in the places of rows; ``classes`` are those that it declares."""

    def __init__(self, where: str, report: ReadReport) -> None:
        self._where, self._report = where, report
        self.kinds: dict[str, Kind] = {}
        self.classes: set[str] = set()

    def kind(self, name: str) -> Kind:
        """The rows of a kind; append to them."""
        found = self.kinds.get(name)
        if found is None:
            found = self.kinds[name] = Kind()
        return found

    def place(self, line: int | None) -> str:
        """Where something is, for a message."""
        return f"{self._where}, line {line}"

    @property
    def is_full(self) -> bool:
        """Whether they are enough for a batch."""
        return sum(kind.count for kind in self.kinds.values()) >= MANY

    def take(self) -> Iterator[pa.Table]:
        """The rows so far as tables of ``SHAPES``; they are then forgotten."""
        kinds, self.kinds = self.kinds, {}
        for name, kind in kinds.items():
            if kind.count:
                yield self._table(name, kind)

    def _table(self, name: str, kind: Kind) -> pa.Table:
        size = kind.count
        width = len(kind.values) // size
        columns = {column: kind.values[at::width] for at, column in enumerate(COMMON)}
        geometry = [kind.values[at::width] for at in range(len(COMMON), width)]
        values, good, reason = _GEOMETRY[name](geometry, size)
        label = pa.array(columns["label"], pa.string())
        if self.classes and (unknown := size - (pc.sum(pc.is_in(label, pa.array(sorted(self.classes)))).as_py() or 0)):
            self._report.note("labels have a class that their file does not declare; they were read", unknown)
        place = pc.binary_join_element_wise(
            f"{self._where}, line ", pa.array(columns["line"], pa.int32()).cast(pa.string()), ""
        )
        made = {
            "item": pa.array(columns["item"], pa.int32()),
            "kind": pa.repeat(pa.scalar(name), size),
            "label": label,
            "index": pa.array(columns["index"], pa.int32()),
            "keyframe": pa.array(columns["keyframe"], pa.bool_()),
            "attributes": _attributes(kind.attributes, columns, size),
            "place": place,
            **values,
        }
        if name in ("box", "ellipse"):
            rotation = numbers(columns["rotation"])
            made["rotation"] = pa.array(rotation, mask=~np.isfinite(rotation))
        if kind.confidences:
            known = np.full(size, np.nan)
            known[list(kind.confidences)] = list(kind.confidences.values())
            made["confidence"] = pa.array(known, mask=np.isnan(known))
        table = pa.table(made)
        if good.all():
            return table
        for at in place.filter(pa.array(~good)).to_pylist():
            self._report.skip(at, reason)
        return table.filter(pa.array(good))


def numbers(texts: Sequence[str | None]) -> npt.NDArray[np.float64]:
    """Texts as numbers; NaN for what is none."""
    column = pa.array(texts, pa.string())
    try:
        found: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return np.array([_number(text) for text in texts], np.float64)
    return found


def integers(texts: Sequence[str | None]) -> pa.Array:
    """Texts as whole numbers; null for what is none."""
    try:
        return pa.array(texts, pa.string()).cast(pa.int64())
    except pa.ArrowInvalid:
        values = np.array([_number(text) for text in texts], np.float64)
        whole = np.isfinite(values) & (np.abs(values) < 2**53) & (np.floor(values) == values)
        return pa.array(np.where(whole, values, 0).astype(np.int64), mask=~whole)


def _finite(values: npt.NDArray[np.float64]) -> Bools:
    """Which rows are all numbers."""
    finite: Bools = np.logical_and.reduce(np.isfinite(values), axis=1)
    return finite


def _number(text: str | None) -> float:
    try:
        return float(text) if text is not None else np.nan
    except ValueError:
        return np.nan


_Made = tuple[dict[str, Any], Bools, str]


def _boxes(geometry: Sequence[Any], _: int) -> _Made:
    values = np.stack([numbers(texts) for texts in geometry], axis=1)
    low, high = np.minimum(values[:, :2], values[:, 2:]), np.maximum(values[:, :2], values[:, 2:])
    return _four(np.hstack([low, high - low])), _finite(values), NOT_NUMBERS


def _ellipses(geometry: Sequence[Any], _: int) -> _Made:
    centre, radius = (np.stack([numbers(texts) for texts in pair], axis=1) for pair in (geometry[:2], geometry[2:]))
    good = _finite(np.hstack([centre, radius]))
    return _four(np.hstack([centre - radius, 2 * radius])), good, NOT_NUMBERS


def _four(boxes: npt.NDArray[np.float64]) -> dict[str, Any]:
    return {"bounding_box": pa.FixedSizeListArray.from_arrays(pa.array(boxes.ravel()), 4)}


def _chains(geometry: Sequence[Any], size: int) -> tuple[pa.Array, Ints, Bools]:
    """The points of texts like ``"1,2;3,4"``, one part in each row; how many they are; and which rows are right."""
    texts = pa.array(geometry[0], pa.string())
    pieces = pc.split_pattern(pc.replace_substring(texts, ";", ","), ",")
    lengths = list_lengths(pieces)
    flat = pieces.flatten()
    try:
        values = flat.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        values = np.array([_number(text) for text in flat.to_pylist()], np.float64)
    good = (lengths % 2 == 0) & (lengths > 0)
    owner = np.repeat(np.arange(size), lengths)
    good &= np.bincount(owner, ~np.isfinite(values), minlength=size) == 0
    values, counts = values[good[owner]], np.where(good, lengths // 2, 0)
    points = pa.FixedSizeListArray.from_arrays(pa.array(values), 2)
    return list_array(np.ones(size, np.int64), list_array(counts, points)), counts, good


def _polygons(geometry: Sequence[Any], size: int) -> _Made:
    points, _, good = _chains(geometry, size)
    flags = pa.repeat(pa.scalar(True), size)
    return {"points": points, "closed": flags, "filled": flags}, good, NOT_NUMBERS


def _polylines(geometry: Sequence[Any], size: int) -> _Made:
    points, _, good = _chains(geometry, size)
    flags = pa.repeat(pa.scalar(False), size)
    return {"points": points, "closed": flags, "filled": flags}, good, NOT_NUMBERS


def _keypoints(geometry: Sequence[Any], size: int) -> _Made:
    points, counts, good = _chains(geometry, size)
    visible = pa.array(np.full(counts.sum(), 2, np.int8))
    return {"points": points, "visibility": list_array(counts, visible)}, good, NOT_NUMBERS


def _cuboids(geometry: Sequence[Any], size: int) -> _Made:
    values = np.stack([numbers(texts) for texts in geometry], axis=1)
    points = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 2)
    lists = list_array(np.ones(size, np.int64), list_array(np.full(size, 8), points))
    return {"points": lists}, _finite(values), NOT_NUMBERS


def _skeletons(geometry: Sequence[Any], size: int) -> _Made:
    points, visibility = geometry
    lists = pa.array([[part] for part in points], pa.list_(pa.list_(POINT)))
    return {"points": lists, "visibility": pa.array(visibility, pa.list_(pa.int8()))}, np.ones(size, bool), ""


def _masks(geometry: Sequence[Any], size: int) -> _Made:
    return {"mask": pa.array(geometry[0], MASK)}, np.ones(size, bool), ""


def _classes(_: Sequence[Any], size: int) -> _Made:
    return {}, np.ones(size, bool), ""


_GEOMETRY: dict[str, Callable[[Sequence[Any], int], _Made]] = {
    "box": _boxes,
    "ellipse": _ellipses,
    "polygon": _polygons,
    "polyline": _polylines,
    "keypoints": _keypoints,
    "cuboid": _cuboids,
    "skeleton": _skeletons,
    "mask": _masks,
    "classification": _classes,
}


def _attributes(given: Attributes, columns: dict[str, Any], size: int) -> pa.ListArray:
    """The column ``attributes``: those in elements, and ``occluded``, ``z_order``, ``group`` and ``source`` of the shape itself.

    An element wins over a property of the same name.
    """
    occluded = pa.array(columns["occluded"], pa.string())
    z_order, group = integers(columns["z_order"]), integers(columns["group"])
    source = pa.array(columns["source"], pa.string())
    own: list[tuple[str, str, Bools, pa.Array]] = [
        ("group", "int", as_mask(pc.not_equal(group, 0)), group.cast(pa.string())),
        ("occluded", "bool", as_mask(occluded.is_valid()), _WORDS.take(pc.equal(occluded, "1").cast(pa.int8()))),
        ("z_order", "int", as_mask(z_order.is_valid()), z_order.cast(pa.string())),
    ]
    unusual = as_mask(pc.is_in(source, pa.array(_SOURCES)))
    if unusual.any():
        own.append(("source", "str", unusual, pc.binary_join_element_wise('"', source, '"', "")))
    names = sorted({*given.names, *(name for name, _, where, _ in own if where.any())})
    rank = {name: at for at, name in enumerate(names)}
    rows, ranks = [np.array(given.rows, np.int64)], [np.array([rank[name] for name in given.names], np.int64)]
    types = [np.array([_TYPES[type_] for type_ in given.types], np.int64)]
    values = [pa.array(given.values, pa.string())]
    for name, type_, where, texts in own:
        if (at := np.flatnonzero(where)).size:
            rows.append(at)
            ranks.append(np.full(at.size, rank[name]))
            types.append(np.full(at.size, _TYPES[type_]))
            values.append(texts if at.size == size else texts.take(pa.array(at)))
    all_rows, all_ranks = np.concatenate(rows), np.concatenate(ranks)
    key = all_rows * max(len(names), 1) + all_ranks
    order = np.argsort(key, kind="stable")
    first = np.concatenate([[True], np.diff(key[order]) > 0]) if order.size else np.zeros(0, bool)
    order = order[first]
    structs = pa.StructArray.from_arrays(
        [
            pa.array(names, pa.string()).take(pa.array(all_ranks[order])),
            _TEXTS.take(pa.array(np.concatenate(types)[order])),
            pa.concat_arrays(values).take(pa.array(order)),
        ],
        fields=list(ATTRIBUTE),
    )
    return list_array(np.bincount(all_rows[order], minlength=size), structs)
