"""Objects in a column: the boxes of an image with their classes and other values, as Hugging Face's tables and WebDataset's JSON
have them. Such a column is a list of structs, or a struct of lists; which of the two changes from one version to the next.

>>> column = pa.array([[{"bbox": [1, 2, 3, 4], "category": "car"}], []])
>>> found = objects_of(column)
>>> found.owner.tolist(), sorted(found.columns)
([0], ['bbox', 'category'])
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...core import attributes, json_columns
from ...core.arrays import Bools, Ints, as_array, as_mask, list_lengths
from ...core.labels import ATTRIBUTE
from ...core.rows import attribute
from .report import ReadReport

Floats = npt.NDArray[np.float64]
BOXES = ("bbox", "bboxes", "box", "boxes")
CLASSES = (
    "category", "categories", "category_name", "label", "labels", "class", "classes", "class_name", "name", "names",
    "category_id", "class_id", "class_label", "label_id", "category_ids",
)  # fmt: skip
_SCORES = ("confidence", "score", "scores", "confidences")
_TRACKS = ("track_id", "track_ids", "index")
_FLAGS = {"iscrowd": "iscrowd", "is_crowd": "iscrowd", "crowd": "iscrowd", "occluded": "occluded", "is_occluded": "occluded",
          "truncated": "truncated", "is_truncated": "truncated", "difficult": "difficult", "is_difficult": "difficult"}  # fmt: skip
_POLYGONS = ("segmentation", "segmentations", "polygon", "polygons")
_CORNERS = ("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"), ("x1", "y1", "x2", "y2")
_SIDES = ("x", "y", "width", "height"), ("x", "y", "w", "h"), ("left", "top", "width", "height")
NO_CLASS = "object"  # the class of objects that have none


@dataclass
class Objects:
    """The objects of some rows, one after another."""

    owner: Ints  # the row of each
    columns: dict[str, pa.Array]
    uneven: Ints  # rows whose lists differ in length; none of their objects are here


def objects_of(column: pa.Array) -> Objects | None:
    """The objects of a column; ``None`` if it holds none."""
    kind = column.type
    if _is_list(kind) and pa.types.is_struct(kind.value_type) and _box_key([f.name for f in kind.value_type]):
        flat = column.flatten()
        owner = np.repeat(np.arange(len(column)), list_lengths(column))
        names = [f.name for f in flat.type]
        return Objects(owner, dict(zip(names, flat.flatten(), strict=True)), np.zeros(0, np.int64))
    if pa.types.is_struct(kind) and (key := _box_key([f.name for f in kind])):
        lists = dict(zip([f.name for f in kind], column.flatten(), strict=True))
        return _of_lists({name: values for name, values in lists.items() if _is_list(values.type)}, key)
    return None


def objects_of_columns(columns: Mapping[str, pa.Array]) -> Objects | None:
    """The objects of columns that are lists beside each other, without a struct around them."""
    lists = {name: values for name, values in columns.items() if _is_list(values.type)}
    key = _box_key(list(lists))
    if key is None or not _is_list(lists[key].type.value_type):
        return None
    known = {*CLASSES, *_SCORES, *_FLAGS, *_POLYGONS, "area", "areas"}
    others = {name: values for name, values in lists.items() if name in known}
    return _of_lists({key: lists[key], **others}, key)


def _of_lists(lists: Mapping[str, pa.Array], key: str) -> Objects | None:
    if key not in lists:
        return None
    lengths = {name: list_lengths(values) for name, values in lists.items()}
    wanted = lengths[key]
    uneven = np.zeros(len(wanted), bool)
    for found in lengths.values():
        uneven |= (found != wanted) & (found != 0)
    counts = np.where(uneven, 0, wanted)
    owner = np.repeat(np.arange(len(counts)), counts)
    columns = {}
    for name, values in lists.items():
        flat = values.flatten()
        if (lengths[name] != counts).any():
            within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
            starts = np.cumsum(lengths[name]) - lengths[name]
            flat = flat.take(pa.array(starts[owner] + within, mask=lengths[name][owner] == 0))
        columns[name] = flat
    return Objects(owner, columns, np.flatnonzero(uneven))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _box_key(names: Sequence[str]) -> str | None:
    return next((name for name in BOXES if name in names), None)


@dataclass
class BoxForm:
    """What the four numbers of boxes are, decided for a whole source, as no file says it: add all boxes, then ``decide``."""

    corners: bool = False  # [x1, y1, x2, y2], and not [x, y, width, height]
    relative: bool = False  # shares of the image, and not pixels
    _count: int = field(default=0, repr=False)
    _small: bool = field(default=True, repr=False)
    _beyond: int = field(default=0, repr=False)  # boxes that leave their image as [x, y, width, height] in pixels
    _beyond_relative: int = field(default=0, repr=False)
    _ordered: bool = field(
        default=True, repr=False
    )  # the third number is never below the first, nor the fourth the second

    def add(self, objects: Objects, sizes: Floats) -> None:
        """Look at some boxes; ``sizes`` are (width, height) of the image of each row, NaN where it is not known."""
        values, good, corners = boxes_of(objects)
        if corners is not None:
            return
        values, size = values[good], sizes[objects.owner[good]]
        finite = np.isfinite(values).all(axis=1)
        values, size = values[finite], size[finite]
        if not len(values):
            return
        self._count += len(values)
        self._small &= bool((values <= 1).all())
        self._ordered &= bool((values[:, 2:] >= values[:, :2]).all())
        ends = values[:, :2] + values[:, 2:]
        with np.errstate(invalid="ignore"):
            self._beyond += int(((ends > size + 1.5) & (values[:, 2:] <= size + 1.5)).any(axis=1).sum())
            self._beyond_relative += int((ends > 1.001).any(axis=1).sum())

    def decide(self, coordinates: str | None, box_format: str | None) -> str | None:
        """Settle the form, given what the user said; returns a sentence if it was found by looking."""
        self.relative = coordinates == "normalized" if coordinates else bool(self._count and self._small)
        beyond = self._beyond_relative if self.relative else self._beyond
        self.corners = box_format == "xyxy" if box_format else bool(beyond and self._ordered)
        if not self._count or not ((self.relative and not coordinates) or (self.corners and not box_format)):
            return None
        form = "[x1, y1, x2, y2]" if self.corners else "[x, y, width, height]"
        unit = "relative to the image" if self.relative else "in pixels"
        return f"Boxes were read as {form}, {unit}, as no other form fits all of them; box_format= and coordinates= say otherwise."


def boxes_of(objects: Objects) -> tuple[Floats, Bools, bool | None]:
    """Four numbers for each object, which objects have four, and whether they are corners where the names of the numbers say so."""
    column = objects.columns[_box_key(list(objects.columns)) or ""]
    count = len(objects.owner)
    if pa.types.is_struct(column.type):
        given = dict(zip([f.name for f in column.type], column.flatten(), strict=True))
        for names, corners in (*((n, True) for n in _CORNERS), *((n, False) for n in _SIDES)):
            if all(name in given for name in names):
                found = np.stack([_floats(given[name]) for name in names], axis=1)
                return found, np.asarray(np.isfinite(found).all(axis=1)), corners
        return np.zeros((count, 4)), np.zeros(count, bool), None
    if not _is_list(column.type):
        return np.zeros((count, 4)), np.zeros(count, bool), None
    lengths = list_lengths(column)
    flat = _floats(column.flatten())
    good = lengths == 4
    if good.all():
        return flat.reshape(-1, 4), good, None
    values = np.zeros((count, 4))
    starts = (np.cumsum(lengths) - lengths)[good]
    values[good] = flat[starts[:, None] + np.arange(4)] if len(starts) else values[good]
    return values, good, None


def _floats(values: pa.Array) -> Floats:
    """Numbers as floats; NaN for null and for what is no number."""
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)):
        return np.full(len(values), np.nan)
    found: Floats = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return found


def class_names(column: pa.Array, names: Sequence[str] | None) -> pa.Array:
    """Classes as texts: the names that numbers stand for, numbers without names as they are; null for what is neither.

    >>> class_names(pa.array([1, 7]), ["car", "bus"]).to_pylist(), class_names(pa.array([1, 7]), None).to_pylist()
    (['bus', None], ['1', '7'])
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = column.cast(pa.string())
        return pc.if_else(pc.equal(pc.utf8_trim_whitespace(texts), ""), None, texts)
    if pa.types.is_floating(kind):
        whole = _floats(column)
        column = pa.array(np.nan_to_num(whole).astype(np.int64), mask=whole != np.floor(whole))
    elif not pa.types.is_integer(kind):
        return pa.nulls(len(column), pa.string())
    if not names:
        return column.cast(pa.string())
    numbers = pc.fill_null(column.cast(pa.int64(), safe=False), -1).to_numpy()
    known = (numbers >= 0) & (numbers < len(names))
    return pa.array(list(names), pa.string()).take(pa.array(np.where(known, numbers, 0), mask=~known))


def shapes_of(
    objects: Objects,
    form: BoxForm,
    items: Ints,
    sizes: Floats,
    places: Sequence[str],
    names: Mapping[str, Sequence[str]],
    report: ReadReport,
) -> pa.Table:
    """The objects as rows of ``SHAPES`` in pixels.

    Args:
        objects: the objects.
        form: what the numbers of boxes are.
        items: the item of each row.
        sizes: (width, height) of the image of each row.
        places: where each row is, for messages.
        names: the names of the classes, by the name of the column of classes.
        report: objects that cannot be read are skipped there.
    """
    for row in objects.uneven.tolist():
        report.skip(places[row], "the lists of its objects differ in length")
    values, good, corners = boxes_of(objects)
    values = values.copy()  # Arrow's own memory cannot be written to
    _skip(~good, objects, places, "its box is not four numbers", report)
    if form.corners if corners is None else corners:
        values[:, 2:] -= values[:, :2]
    if form.relative and corners is None:
        size = sizes[objects.owner]
        known = np.asarray(np.isfinite(size).all(axis=1))
        _skip(good & ~known, objects, places, "the size of its image is not known", report)
        good = good & known
        values *= np.tile(np.where(known[:, None], size, 1), 2)
    bad = good & ~np.isfinite(values).all(axis=1)
    _skip(bad, objects, places, "a number of its box is not finite", report)
    good &= ~bad
    key = next((name for name in CLASSES if name in objects.columns), None)
    labels = pa.array([NO_CLASS] * len(good), pa.string())
    if key is not None:
        labels = class_names(objects.columns[key], names.get(key))
        without = as_mask(labels.is_null())
        _skip(good & without, objects, places, "it has no class, or a number that stands for none", report)
        good &= ~without
    rows = pa.array(np.flatnonzero(good))
    columns = {name: column.take(rows) for name, column in objects.columns.items()}
    owner = objects.owner[good]
    found = {
        "item": pa.array(items[owner], pa.int32()),
        "label": labels.take(rows),
        "place": pa.array(list(places), pa.string()).take(pa.array(owner)),
        **_geometry(columns, values[good], form.relative, sizes[owner]),
        **_other_columns({n: c for n, c in columns.items() if n != key and n not in BOXES and n not in _POLYGONS}),
    }
    return pa.table(found)


def _skip(where: Bools, objects: Objects, places: Sequence[str], reason: str, report: ReadReport) -> None:
    for row in objects.owner[where].tolist():
        report.skip(places[row], reason)


def _geometry(columns: Mapping[str, pa.Array], boxes: Floats, relative: bool, sizes: Floats) -> dict[str, pa.Array]:
    """Kind, box and points: an object with rings is a polygon, any other a box."""
    count = len(boxes)
    box = pa.FixedSizeListArray.from_arrays(pa.array(boxes.ravel()), 4)
    found = {"kind": pa.repeat(pa.scalar("box"), count), "bounding_box": box}
    key = next((name for name in _POLYGONS if name in columns), None)
    rings = None if key is None else _rings(columns[key])
    if rings is None:
        return found
    points, has = rings
    if relative:
        scale = sizes[np.repeat(np.repeat(np.arange(count), list_lengths(points)), list_lengths(points.flatten()))]
        inner = points.flatten()
        xy = inner.flatten().flatten().to_numpy().reshape(-1, 2) * scale
        flat = pa.FixedSizeListArray.from_arrays(pa.array(xy.ravel()), 2)
        points = _lists(list_lengths(points), _lists(list_lengths(inner), flat))
    return {
        "kind": pa.array(np.where(has, "polygon", "box").tolist(), pa.string()),
        "bounding_box": box.take(pa.array(np.arange(count), mask=has)),
        "points": points.take(pa.array(np.arange(count), mask=~has)),
        "closed": pa.array(np.ones(count, bool), mask=~has),
        "filled": pa.array(np.ones(count, bool), mask=~has),
    }


def _rings(column: pa.Array) -> tuple[pa.Array, Bools] | None:
    """The rings of each object, lists of [x1, y1, x2, y2, …] or of [x, y]; and which objects have some."""
    if not _is_list(column.type) or not _is_list(column.type.value_type):
        return None
    parts, rings = list_lengths(column), column.flatten()
    lengths, flat = list_lengths(rings), rings.flatten()
    if _is_list(flat.type):
        if (list_lengths(flat) != 2).any():
            return None
        lengths, flat = lengths * 2, flat.flatten()
    xy = _floats(flat)
    owner = np.repeat(np.arange(len(parts)), parts)
    good_ring = (lengths >= 6) & (lengths % 2 == 0)
    has = (parts > 0) & (np.bincount(owner[~good_ring], minlength=len(parts)) == 0)
    if not has[parts > 0].all():
        keep = np.repeat(has[owner], lengths)
        xy, lengths, parts = xy[keep], lengths[has[owner]], np.where(has, parts, 0)
    points = pa.FixedSizeListArray.from_arrays(pa.array(xy), 2)
    return _lists(parts, _lists(lengths // 2, points)), has


def _lists(lengths: Ints, flat: pa.Array) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


def _other_columns(columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """Confidence, track and rotation, where the values fit them; all else is attributes."""
    found: dict[str, pa.Array] = {}
    rows, values = [], []
    for name, column in sorted(columns.items()):
        column = as_array(column)
        count = len(column)
        if pa.types.is_null(column.type) or column.null_count == count:
            continue
        numbers = _floats(column)
        given = numbers[~np.isnan(numbers)]
        if name == "attributes" and pa.types.is_string(column.type):
            for row, one in _json_attributes(column):
                rows.append(np.array([row]))
                values.append(pa.array([one], ATTRIBUTE))
        elif name in _SCORES and "confidence" not in found and given.size and ((given >= 0) & (given <= 1)).all():
            found["confidence"] = pa.array(numbers, mask=np.isnan(numbers))
        elif name in _TRACKS and "index" not in found and pa.types.is_integer(column.type) and _fits(given):
            found["index"] = column.cast(pa.int32())
        elif name == "rotation" and given.size:
            found["rotation"] = pa.array(numbers, mask=np.isnan(numbers) | (numbers == 0))
        else:
            if name in _FLAGS and pa.types.is_integer(column.type) and np.isin(given, (0, 1)).all():
                name, column = _FLAGS[name], column.cast(pa.bool_())
            elif pa.types.is_floating(column.type):
                column = pa.array(numbers, mask=~np.isfinite(numbers))
            at = np.flatnonzero(as_mask(column.is_valid()))
            rows.append(at)
            values.append(json_columns.attribute_column(_FLAGS.get(name, name), column.take(pa.array(at))))
    if values:
        size = len(next(iter(columns.values())))
        found["attributes"] = attributes.build(np.concatenate(rows), pa.concat_arrays(values), size)
    return found


def _json_attributes(texts: pa.Array) -> Iterator[tuple[int, dict[str, str]]]:
    """The attributes in texts that are JSON objects: row and attribute."""
    for row, text in enumerate(texts.to_pylist()):
        try:
            found = msgspec.json.decode(text) if text else None
        except (msgspec.DecodeError, RecursionError):
            continue
        if isinstance(found, dict):
            yield from ((row, attribute(name, value)) for name, value in found.items() if value is not None)


def _fits(numbers: Floats) -> bool:
    return bool((np.abs(numbers) < 1 << 31).all())
