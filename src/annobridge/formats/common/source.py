"""A source of label files that was read: its images as samples, and its shapes as labels, converted part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core.arrays import as_array, as_mask, list_lengths, map_distinct, not_null, replace_values
from ...core.checks import validate
from ...core.geometry import decode_rle, encode_rle, mask_box, paste
from ...core.labels import KIND_TYPES, LABELS
from ...core.merge import border
from ...core.schema import FRAMES
from ...exceptions import InvalidLabels
from ...spill.groups import Groups
from ..base import Part
from .images import Found
from .report import ReadReport

GROUP = 1_000  # items of a part; converting their shapes takes several times their own memory
PIXELS, RELATIVE = "pixels", "relative"
Fields = Mapping[tuple[str | None, str], str]  # role and kind → field
_COLUMNS = [f for f in LABELS if f.name not in ("run", "tool", "rev")]


class LabelSource:
    """What ``FileFormat.open`` returns; a ``Source``. Shapes are kept on disk, one part of them in memory at a time."""

    def __init__(
        self, items: pa.Table, shapes: Groups, found: Found, fields: Fields, unit: str,
        report: ReadReport, assumptions: Sequence[str], scales_masks: bool = False, columns: pa.Table | None = None,
    ) -> None:  # fmt: skip
        self._columns = columns  # more of the samples, a row for each item
        self._items, self._shapes, self._images, self._fields = items, shapes, found.table(), fields
        self._scales_masks = scales_masks
        self._elsewhere = 0  # labels on images that were not found
        self._unit, self.report, self.assumptions = unit, report, tuple(assumptions)
        self._new = _first_rows(as_array(self._images["sample_id"]))

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(self._new)

    @property
    def sample_ids(self) -> set[str]:
        """The ids of the samples whose images were found."""
        return set(self._images["sample_id"].drop_null().to_pylist())

    @property
    def notes(self) -> list[str]:
        """What was left out or changed, a sentence each; complete once the parts were read."""
        return self.report.notes()

    @property
    def skipped(self) -> pa.Table:
        """The annotations that were left out, with place and reason."""
        return self.report.skipped

    @property
    def unread(self) -> int:
        """How many annotations were left out, besides those on images that were not found; complete once the parts were read."""
        return self.report.total - self._elsewhere

    def parts(self) -> Iterator[Part]:
        """The samples with their labels. Labels of an item whose image was not found are skipped. Items of one sample (frames of a
        video, an image named twice) are in the first part that has one of them.
        """
        for number in range(-(-self._items.num_rows // GROUP)):
            start, end = np.searchsorted(self._new, [number * GROUP, (number + 1) * GROUP])
            labels = self._labels(self._shapes.get(number).combine_chunks())
            index = pa.array(self._new[start:end])
            yield Part(self._samples(index), labels, files=self._images.select(["size", "fingerprint"]).take(index))

    def _samples(self, index: pa.Array) -> pa.Table:
        names = ("sample_id", "filepath", "width", "height")
        columns = {name: as_array(self._images[name]).take(index) for name in names}
        if self._items["split"].null_count < self._items.num_rows:
            columns["split"] = as_array(self._items["split"]).take(index)
        if self._items["frames"].null_count < self._items.num_rows:
            columns["frames"] = as_array(self._items["frames"]).take(index)
        if self._columns is not None:
            columns |= {name: as_array(self._columns[name]).take(index) for name in self._columns.column_names}
        return pa.table(columns)

    def _labels(self, shapes: pa.Table) -> pa.Table:
        there = not_null(as_array(self._images["sample_id"]).take(as_array(shapes["item"])))
        self._elsewhere += int((~there).sum())
        self._skip(shapes, ~there, "its image was not found")
        shapes = _where(shapes, there)
        if not shapes.num_rows:
            return pa.schema(_COLUMNS).empty_table()
        labels, known = self._in_samples(shapes, shapes["item"].to_numpy())
        self._skip(shapes, ~known, "the size of its image is not known")
        return self._storable(_with_boxes(_where(labels, known)), _where(shapes, known))

    def _in_samples(self, shapes: pa.Table, items: np.ndarray) -> tuple[pa.Table, np.ndarray]:
        """Shapes as ``LABELS`` rows with relative positions; and which of them have the size that this needs."""
        sizes, images = self._sizes(items), self._images.select(["sample_id", "frame_number"]).take(shapes["item"])
        known = np.isfinite(sizes).all(axis=1)
        needs = np.zeros(len(items), bool)
        if self._unit == PIXELS:
            needs = as_mask(shapes["bounding_box"].is_valid()) | as_mask(shapes["points"].is_valid())
            shapes = to_relative(shapes, np.where(known[:, None], sizes, 1.0))
        frames, fields = as_array(images["frame_number"]), self._field_column(shapes)
        if frames.null_count < len(frames):
            fields = pc.if_else(frames.is_valid(), pc.binary_join_element_wise(FRAMES, fields, ""), fields)
        columns = {f.name: as_array(shapes[f.name]) for f in _COLUMNS if f.name in shapes.column_names}
        columns |= {"sample_id": as_array(images["sample_id"]), "field": fields, "frame_number": frames}
        arrays = [columns[f.name].cast(f.type) for f in _COLUMNS]
        schema = pa.schema([f.with_nullable(True) for f in _COLUMNS])
        return pa.Table.from_arrays(arrays, schema=schema), known | ~needs

    def _field_column(self, shapes: pa.Table) -> pa.Array:
        roles, kinds = as_array(shapes["role"]), as_array(shapes["kind"])
        if roles.null_count == len(roles):
            return map_distinct(kinds, lambda kind: self._fields[None, kind], pa.string())
        pairs = zip(roles.to_pylist(), kinds.to_pylist(), strict=True)
        return pa.array([self._fields[pair] for pair in pairs], pa.string())

    def _sizes(self, items: np.ndarray) -> np.ndarray:
        sizes, differ = item_sizes(self._items, self._images, items)
        if differ:
            self.report.note(
                "labels are on images whose size is not the one that the labels were made for; they were scaled", differ
            )
        return sizes

    def _storable(self, labels: pa.Table, shapes: pa.Table) -> pa.Table:
        """The labels without those that could not be stored, and cut back to their image where they overhang it."""
        sizes = self._images.select(["width", "height"]).take(shapes["item"])
        samples = pa.table([labels["sample_id"], *sizes.columns], ["sample_id", *sizes.column_names])
        wrong_size = validate.other_size(labels, samples)
        if self._scales_masks and wrong_size.any():
            labels = _with_scaled_masks(labels, np.flatnonzero(wrong_size), samples)
            wrong_size = validate.other_size(labels, samples)
        self._skip(shapes, wrong_size, "its mask is not of the size of the image")
        over = border.overhang(labels)
        overhang = over.any(axis=1) & ~wrong_size
        outside = np.zeros(labels.num_rows, bool)
        if overhang.any():
            cut = border.clip_where(labels, overhang)
            outside = overhang & _is_nothing(cut)
            self._skip(shapes, outside, "it is outside its image")
            self.report.note("shapes that overhang their image were cut back to it", int((overhang & ~outside).sum()))
            labels = cut
        keep = ~wrong_size & ~outside
        labels, shapes = _where(labels, keep), _where(shapes, keep)
        bad = validate.unstorable(labels)
        places = shapes["place"].to_pylist() if bad else []
        for row, reason in bad.items():
            self.report.skip(places[row] or "?", f"it {reason}".split(";")[0])
        good = np.ones(labels.num_rows, bool)
        good[list(bad)] = False
        return _where(labels, good)

    def _skip(self, shapes: pa.Table, where: np.ndarray, reason: str) -> None:
        if where.any():
            for place in shapes["place"].filter(pa.array(where)).to_pylist():
                self.report.skip(place or "?", reason)


def item_sizes(table: pa.Table, images: pa.Table, items: np.ndarray) -> tuple[np.ndarray, int]:
    """Width and height for the shapes of each of these items: as the format says, else those of the image, else NaN; and how
    many say another size than their image has.
    """
    rows = pa.array(items)
    declared, shown = (
        np.stack([as_array(t[name]).take(rows).cast(pa.float64()).to_numpy(False) for name in ("width", "height")], 1)
        for t in (table, images)
    )
    both = np.isfinite(declared).all(axis=1) & np.isfinite(shown).all(axis=1)
    differ = both & (declared != shown).any(axis=1)
    return np.where(np.isfinite(declared), declared, shown), int(differ.sum())


def _first_rows(ids: pa.Array) -> np.ndarray:
    """The row at which each id occurs first, ascending; null is none."""
    codes = pc.fill_null(ids.dictionary_encode().indices, -1).to_numpy(zero_copy_only=False)
    found, first = np.unique(codes, return_index=True)
    rows: np.ndarray = np.sort(first[found >= 0])
    return rows


def _where(rows: pa.Table, keep: np.ndarray) -> pa.Table:
    return rows if keep.all() else rows.filter(pa.array(keep)).combine_chunks()


def _with_boxes(labels: pa.Table) -> pa.Table:
    """The labels with the box around each mask of an object that has none; an empty mask has no box."""
    boxes = as_array(labels["bounding_box"])
    lacks = as_mask(pc.equal(labels["kind"], "mask")) & ~as_mask(boxes.is_valid()) & as_mask(labels["mask"].is_valid())
    at = np.flatnonzero(lacks)
    if not at.size:
        return labels
    made = [_box_of(mask) for mask in labels["mask"].take(pa.array(at)).to_pylist()]
    return _set(labels, "bounding_box", replace_values(boxes, at, pa.array(made, boxes.type)))


def _with_scaled_masks(labels: pa.Table, at: np.ndarray, samples: pa.Table) -> pa.Table:
    """The labels with some masks resized to their images, to the nearest pixel. An RLE that is wrong stays as it is."""
    rows = pa.array(at)
    sizes = zip(*(samples[name].take(rows).to_pylist() for name in ("width", "height")), strict=True)
    masks = [_scaled_mask(mask, size) for mask, size in zip(labels["mask"].take(rows).to_pylist(), sizes, strict=True)]
    column = as_array(labels["mask"])
    labels = _set(labels, "mask", replace_values(column, at, pa.array(masks, column.type)))
    boxes = as_array(labels["bounding_box"])
    return _set(labels, "bounding_box", replace_values(boxes, at, pa.array([_box_of(m) for m in masks], boxes.type)))


def _scaled_mask(mask: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    try:
        return dict(encode_rle(paste(decode_rle(mask), [0, 0, 1, 1], size)))
    except (InvalidLabels, ValueError):
        return mask  # told when the label is checked


def _box_of(mask: dict[str, Any]) -> list[float] | None:
    try:
        box = mask_box(mask)
    except (InvalidLabels, ValueError, IndexError, ZeroDivisionError):
        return None  # told when the label is checked
    return box if box[2] > 0 and box[3] > 0 else None


def field_names(pairs: Iterable[tuple[str | None, str]], field: str | None) -> Fields:
    """The field of each pair of role and kind. Without a name, the fields of labels without a role are named after their type;
    with one, they are that name, or, if there are several kinds, the name and the type. Those with a role have the role as name.

    >>> field_names([(None, "box"), (None, "polygon")], None)
    {(None, 'box'): 'detections', (None, 'polygon'): 'polygons'}
    >>> field_names([(None, "box"), ("predictions", "box"), ("predictions", "mask")], "gt")
    {(None, 'box'): 'gt', ('predictions', 'box'): 'gt_predictions_detections', ('predictions', 'mask'): 'gt_predictions_instances'}
    """
    found: dict[tuple[str | None, str], str] = {}
    ordered = sorted(set(pairs), key=lambda pair: (pair[0] is not None, pair[0] or "", pair[1]))
    for role, kind in ordered:
        name = field if role is None or role == field else "_".join(filter(None, (field, role)))
        type_ = KIND_TYPES.get(kind, kind)
        is_alone = sum(other == role for other, _ in ordered) == 1
        chosen = type_ if name is None else name if is_alone else f"{name}_{type_}"
        found[role, kind] = chosen if chosen not in found.values() else f"{chosen}_{type_}"
    return found


def to_relative(shapes: pa.Table, sizes: np.ndarray) -> pa.Table:
    """Shapes in pixels, as shares of images with these ``sizes``, an array of (width, height) for each row."""
    return _scaled(shapes, np.asarray(sizes, float), np.divide)


def to_pixels(labels: pa.Table, sizes: np.ndarray) -> pa.Table:
    """Labels in shares of their image, as pixels of images with these ``sizes``, an array of (width, height) for each row."""
    return _scaled(labels, np.asarray(sizes, float), np.multiply)


def _scaled(rows: pa.Table, sizes: np.ndarray, by: Callable[..., np.ndarray]) -> pa.Table:
    boxes = as_array(rows["bounding_box"])
    if boxes.null_count < len(boxes):
        at = np.flatnonzero(as_mask(boxes.is_valid()))
        values = boxes.take(pa.array(at)).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
        new = pa.FixedSizeListArray.from_arrays(pa.array(by(values, np.tile(sizes[at], 2)).ravel()), 4)
        rows = _set(rows, "bounding_box", replace_values(boxes, at, new.cast(boxes.type)))
    parts = as_array(rows["points"])
    if parts.null_count < len(parts):
        rings = parts.flatten()
        points = rings.flatten()
        owner = np.repeat(np.repeat(np.arange(len(parts)), list_lengths(parts)), list_lengths(rings))
        xy = by(points.flatten().to_numpy(zero_copy_only=False).reshape(-1, 2), sizes[owner])
        flat = pa.FixedSizeListArray.from_arrays(pa.array(xy.ravel()), 2)
        inner = pa.ListArray.from_arrays(_offsets(rings), flat)
        new = pa.ListArray.from_arrays(_offsets(parts), inner, mask=parts.is_null())
        rows = _set(rows, "points", new.cast(parts.type))
    return rows


def _offsets(lists: pa.Array) -> pa.Array:
    return pc.cast(pa.array(np.concatenate([[0], np.cumsum(list_lengths(lists))])), pa.int32())


def _is_nothing(labels: pa.Table) -> np.ndarray:
    """Boxes without an area, and shapes of which all points are on one line of the border: what was outside before a cut."""
    boxes = as_array(labels["bounding_box"])
    nothing = np.zeros(labels.num_rows, bool)
    at = np.flatnonzero(as_mask(boxes.is_valid()))
    values = boxes.take(pa.array(at)).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    nothing[at] = (values[:, 2:] <= 0).any(axis=1)
    parts = as_array(labels["points"])
    rings = parts.flatten()
    owner = np.repeat(np.repeat(np.arange(len(parts)), list_lengths(parts)), list_lengths(rings))
    xy = rings.flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, 2)
    for axis in (0, 1):
        for edge in (0.0, 1.0):
            inside = np.bincount(owner, xy[:, axis] != edge, minlength=len(parts))
            nothing |= (inside == 0) & (np.bincount(owner, minlength=len(parts)) > 0)
    return nothing


def _set(rows: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), rows.schema.field(name), column)
