"""Read the tables of Open Images, some thousands of rows at a time."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core.geometry import encode_rle
from ...core.labels import ATTRIBUTE
from ...core.rows import attributes as attribute_list
from ..common import csv_rows, mask_images
from ..common.archive import Archive
from ..common.items import Items, Shapes, frame_of
from ..common.report import ReadReport
from .tables import (
    BOX,
    BOXES,
    DEFAULT,
    FLAGS,
    HIERARCHY,
    IMAGES,
    LABELS,
    MADE_ID,
    MASK_BOX,
    MASKS,
    Table,
    class_names,
    image_sizes,
    tables,
)

_APART = "\x1f"  # between texts that are looked at together
_DECIMALS = 5  # by which the boxes of masks are compared; the original has 6
_BOXES_COLUMNS = ("ImageID", "Source", "LabelName", "Confidence", *BOX, *FLAGS)
_LABELS_COLUMNS = ("ImageID", "Source", "LabelName", "Confidence")
_MASKS_COLUMNS = ("ImageID", "LabelName", "MaskPath", "BoxID", *MASK_BOX, "PredictedIoU", "Clicks")
_FLAG = {"1": True, "0": False, "true": True, "false": False}
Texts = dict[str, pa.StringArray]


class Reader:
    """Reads all tables of an archive."""

    def __init__(self, archive: Archive, items: Items, report: ReadReport) -> None:
        self._archive, self._items, self._report = archive, items, report
        self._names, self._sizes = class_names(archive), image_sizes(archive, report)
        self._classes = pa.array(list(self._names), pa.string()), pa.array(list(self._names.values()), pa.string())
        self._known: dict[str | None, dict[str, int]] = defaultdict(dict)  # subset → id → item
        self._ids: dict[str, int] = {}  # id → item, of any subset
        self._groups: dict[tuple[Any, ...], int] = {}  # item, class and box of a mask → number of the group
        self._masked: Counter[int] = Counter()  # item → how many groups
        self._pngs: dict[str, list[str]] = defaultdict(list)
        for name in archive.by_suffix.get(".png", ()):
            self._pngs[name.rpartition("/")[2]].append(name)
        archive.opened.update(
            name for name in archive.names if name.endswith(HIERARCHY)
        )  # classes have no parents here

    def read(self) -> Iterator[pa.Table]:
        """All shapes."""
        verbs = {IMAGES: self._images, MASKS: self._masks, BOXES: self._boxes, LABELS: self._labels}
        columns = {IMAGES: ("ImageID", "Subset"), MASKS: _MASKS_COLUMNS, BOXES: _BOXES_COLUMNS, LABELS: _LABELS_COLUMNS}
        for table in tables(self._archive):
            wanted = columns.get(table.kind, ("ImageID",))
            is_list = table.kind == IMAGES  # titles may have commas
            rows = csv_rows.batches(self._archive, table.name, wanted, self._report, ragged=is_list)
            for places, texts in rows:
                if table.kind in verbs:
                    yield from verbs[table.kind](table, places, texts)
                else:
                    self._report.skip(self._archive.where(table.name), "relationships are not read", len(places))

    def _images(self, table: Table, places: pa.StringArray, texts: Texts) -> Iterator[pa.Table]:
        has_subsets = "Subset" in table.columns
        for place, name, subset in zip(
            places.to_pylist(), texts["ImageID"].to_pylist(), texts["Subset"].to_pylist(), strict=True
        ):
            split = table.subset if not has_subsets else subset if subset not in ("", DEFAULT) else None
            if name:
                self._item(name, split)
            else:
                self._report.skip(place, "it has no ImageID")
        yield from ()

    def _item(self, name: str, split: str | None) -> int:
        """The item of an image; a new one if no table has named it. A list may have it in another subset."""
        known = self._known[split]
        if name not in known:
            width, height = self._sizes.get(name, (None, None))
            known[name] = self._items.add(name, split, width, height, frame_of(name))
            self._ids.setdefault(name, known[name])
        return known[name]

    def _numbers(self, table: Table, ids: pa.StringArray) -> np.ndarray:
        """The items of rows; -1 for rows without an id."""
        coded = ids.dictionary_encode()
        known = self._known[table.subset]
        numbers = []
        for name in coded.dictionary.to_pylist():
            found = known.get(name, self._ids.get(name)) if name else -1
            numbers.append(self._item(name, table.subset) if found is None else found)
        result: np.ndarray = np.array(numbers, np.int32)[coded.indices.to_numpy()]
        return result

    def _label(self, texts: pa.StringArray) -> pa.StringArray:
        """The classes of rows."""
        names, shown = self._classes
        at = pc.index_in(texts, value_set=names) if len(names) else pa.nulls(len(texts), pa.int32())
        if len(names) and at.null_count:
            self._report.note("labels have a class that is not among the class descriptions", at.null_count)
        return pc.coalesce(shown.take(at), pc.if_else(pc.equal(texts, ""), None, texts))

    def _boxes(self, table: Table, places: pa.StringArray, texts: Texts) -> Iterator[pa.Table]:
        items, labels = self._numbers(table, texts["ImageID"]), self._label(texts["LabelName"])
        left, right, top, bottom = (csv_rows.floats(texts[name]) for name in BOX)
        boxes = np.stack([left, top, right - left, bottom - top], axis=1)
        good = csv_rows.good_rows(places, {
            "it has no ImageID": items < 0,
            "it has no LabelName": labels.is_null().to_numpy(zero_copy_only=False),
            "a coordinate is no finite number": csv_rows.not_finite(boxes),
        }, self._report)  # fmt: skip
        groups = self._group_numbers(items, labels, np.stack([left, right, top, bottom], axis=1))
        confidence, score = _confidence(texts["Confidence"])
        flags = [texts[name] for name in FLAGS]
        attributes = _attributes([texts["Source"], score, groups, *flags])
        rows = pa.table({
            "item": pa.array(items), "kind": pa.repeat("box", len(items)), "label": labels, "confidence": confidence,
            "bounding_box": pa.FixedSizeListArray.from_arrays(pa.array(boxes.ravel()), 4), "attributes": attributes,
            "place": places,
        })  # fmt: skip
        yield rows.filter(pa.array(good))

    def _labels(self, table: Table, places: pa.StringArray, texts: Texts) -> Iterator[pa.Table]:
        items, labels = self._numbers(table, texts["ImageID"]), self._label(texts["LabelName"])
        missing = labels.is_null().to_numpy(zero_copy_only=False)
        good = csv_rows.good_rows(
            places, {"it has no ImageID": items < 0, "it has no LabelName": missing}, self._report
        )
        confidence, score = _confidence(texts["Confidence"])
        absent = pc.sum(pc.equal(confidence, 0.0).cast(pa.int64())).as_py() or 0
        self._report.note("classes of images have a confidence of 0: they are not on the image", absent)
        rows = pa.table({
            "item": pa.array(items), "kind": pa.repeat("classification", len(items)), "label": labels,
            "confidence": confidence, "attributes": _attributes([texts["Source"], score]), "place": places,
        })  # fmt: skip
        yield rows.filter(pa.array(good))

    def _masks(self, table: Table, places: pa.StringArray, texts: Texts) -> Iterator[pa.Table]:
        items, labels = self._numbers(table, texts["ImageID"]), self._label(texts["LabelName"])
        coordinates = np.stack([csv_rows.floats(texts[name]) for name in MASK_BOX], axis=1)
        predicted = csv_rows.floats(texts["PredictedIoU"])
        shapes = Shapes()
        given = zip(
            items.tolist(), labels.to_pylist(), coordinates.tolist(), predicted.tolist(), places.to_pylist(),
            *(texts[name].to_pylist() for name in ("MaskPath", "BoxID", "Clicks")), strict=True,
        )  # fmt: skip
        for item, label, box, iou, place, path, box_id, clicks in given:
            file = self._mask_file(path, table.subset)
            if item < 0 or label is None:
                self._report.skip(place, "it has no ImageID, or no LabelName")
                continue
            if file is None:
                self._report.skip(place, "its mask is not in the archive")
                continue
            mask = mask_images.load(self._archive, file, self._report)
            if mask is None:
                continue
            values: dict[str, Any] = {"box_id": None if MADE_ID.fullmatch(box_id) else box_id or None}
            values["clicks"] = clicks or None
            values["predicted_iou"] = iou if np.isfinite(iou) else None
            if np.isfinite(box).all():
                key = _key(item, label, box)
                if key not in self._groups:
                    self._masked[item] += 1
                    self._groups[key] = self._masked[item]
                values["group"] = self._groups[key]
            shapes.add(item, "mask", label, values, mask=dict(encode_rle(mask.values != 0)), place=place)
            yield from shapes.take_full()
        yield shapes.take()

    def _mask_file(self, path: str, subset: str | None) -> str | None:
        """The file of a mask: the one in the folder of the subset, if several have its name."""
        found = self._pngs.get(os.path.basename(path), [])
        found = [name for name in found if f"/{name}".endswith(f"/{path}")] or found
        if len(found) > 1:
            found = [name for name in found if (subset or DEFAULT) in name.split("/")[:-1]]
        return found[0] if len(found) == 1 else None

    def _group_numbers(self, items: np.ndarray, labels: pa.StringArray, boxes: np.ndarray) -> pa.StringArray:
        """The number that ties a box to its mask, as text."""
        found = [""] * len(items)
        if self._groups:
            for at in np.flatnonzero(np.isin(items, list(self._masked))).tolist():
                if np.isfinite(boxes[at]).all():
                    found[at] = str(self._groups.get(_key(items[at], labels[at].as_py(), boxes[at].tolist()), ""))
        return pa.array(found, pa.string())


def _key(item: int, label: str, box: Sequence[float]) -> tuple[Any, ...]:
    return (int(item), label, *(round(value, _DECIMALS) for value in box))


def _confidence(texts: pa.StringArray) -> tuple[pa.Array, pa.StringArray]:
    """The confidences from 0 to 1, and the texts of others."""
    numbers = csv_rows.floats(texts)
    good = (numbers >= 0) & (numbers <= 1)
    return pa.array(numbers, mask=~good), pc.if_else(pa.array(good), "", texts)


def _attributes(texts: Sequence[pa.StringArray]) -> pa.Array:
    """The attributes of rows, from the texts of source, score, group and flags. Each combination is made once."""
    coded = pc.binary_join_element_wise(*texts, _APART).dictionary_encode()
    lists = [_made(value.split(_APART)) for value in coded.dictionary.to_pylist()]
    return pa.array(lists, pa.list_(ATTRIBUTE)).take(coded.indices)


def _made(texts: Sequence[str]) -> list[dict[str, str]] | None:
    source, score, *rest = texts
    values: dict[str, Any] = {"source": source or None}
    if score:
        number = csv_rows.floats(pa.array([score]))[0]
        values["score"] = float(number) if np.isfinite(number) else score
    if rest:
        values["group"] = int(rest[0]) if rest[0] else None
        values |= {name: _FLAG.get(text.lower()) for name, text in zip(FLAGS.values(), rest[1:], strict=True)}
    return attribute_list(values) or None
