"""Write MOTS: painted masks as PNG of 16 bits, or lines with COCO's RLE."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...core.geometry import encode_rle
from ...exceptions import Unsupported
from ...spill.groups import Groups
from ..common import mask_images
from ..common.class_list import classes_text
from ..common.export import ExportData
from ..common.fidelity import COVERED, NOTHING
from ..common.frames import VIDEOS
from ..common.items import ITEMS
from ..common.paint import PAINTED, Canvas
from ..common.painter import size_of
from ..common.sequences import Sequences
from ..mot.layout import CLASSES, GT, INFO
from ..mot.write import folder_of, write_info, write_names
from .read import BASE, INSTANCES

JOINED = "labels become one mask with another of the same class and track on their image"
_MOST_CLASSES = 64  # class * 1000 + object has to fit in 16 bits
_LINES = pa.schema([("frame", pa.int64()), ("value", pa.int64()), ("text", pa.string())])


def place_items(data: ExportData) -> None:
    """Name images ``SPLIT/images/NAME``; frames of a video that is alone in its split lie in no folder."""
    data.unique_stems()
    splits = data.videos["split"].to_pylist()
    items = data.items.to_pylist()
    alone = {split for split in splits if splits.count(split) == 1}
    alone -= {item["split"] for item in items if item["video"] is None}
    names = []
    for item in items:
        name = item["name"].rpartition("/")[2] if item["video"] and item["split"] in alone else item["name"]
        names.append(f"{item['split'] or 'default'}/images/{name}")
    data.items = data.items.set_column(0, ITEMS.field("name"), pa.array(names, pa.string()))
    keys = zip(splits, data.videos["name"].to_pylist(), strict=True)
    videos = [f"{split or 'default'}/{name.rpartition('/')[2] if split in alone else name}" for split, name in keys]
    data.videos = data.videos.set_column(1, VIDEOS.field("name"), pa.array(videos, pa.string()))
    data.items = data.items.set_column(
        ITEMS.names.index("video"), ITEMS.field("video"), pa.array(_renamed(items, splits, videos, alone), pa.string())
    )


def _renamed(
    items: Sequence[Mapping[str, Any]], splits: Sequence[str | None], videos: Sequence[str], alone: set[str | None]
) -> Iterator[str | None]:
    only = {split: video for split, video in zip(splits, videos, strict=True) if split in alone}
    for item in items:
        yield item["video"] and (only.get(item["split"]) or f"{item['split'] or 'default'}/{item['video']}")


class _Numbers:
    """The numbers of objects, 0 to 999 in each sequence and class. A track keeps its own if it is one of these."""

    def __init__(self, data: ExportData, sequences: Sequences) -> None:
        self._classes = {name: number for number, name in enumerate(data.classes, 1)}
        self._sequences = sequences
        self._given: dict[tuple[int, str, int], int] = {}
        self._free: dict[tuple[int, str], Iterator[int]] = {}
        self.changed = self.untracked = 0
        used: dict[tuple[int, str], set[int]] = defaultdict(set)
        for part in data.parts():
            columns = (part.labels[name].to_pylist() for name in ("item", "label", "index", "kind"))
            for item, label, index, kind in zip(*columns, strict=True):
                if index is not None and kind in PAINTED:
                    used[int(sequences.number[item]), label].add(index)
        for key, tracks in used.items():
            own = {track for track in tracks if 0 <= track < BASE}
            self._free[key] = iter(sorted(set(range(1, BASE)) - own))
            for track in sorted(tracks):
                self._given[*key, track] = track if track in own else self._next(key)
                self.changed += track not in own

    def value(self, row: Mapping[str, Any]) -> int:
        """The number of an object's pixels: ``class * 1000 + object``."""
        key = (int(self._sequences.number[row["item"]]), row["label"])
        if row["index"] is None:
            self.untracked += 1
            number = self._next(key)
        else:
            number = self._given[*key, row["index"]]
        return self._classes[row["label"]] * BASE + number

    def _next(self, key: tuple[int, str]) -> int:
        free = self._free.setdefault(key, iter(range(1, BASE)))
        number = next(free, None)
        if number is None:
            raise Unsupported("", [f"MOTS has numbers for {BASE:,} objects of a class in a sequence, and there are more of "
                                   f"{key[1]!r}; split the sequence, or give labels of one object the same index."])  # fmt: skip
        return number

    def notes(self) -> Iterator[str]:
        """What was changed, a sentence each."""
        if self.changed:
            yield f"{self.changed:,} tracks have another number, as MOTS has 0 to {BASE - 1}."
        if self.untracked:
            yield f"{self.untracked:,} labels of no track have a number of their own, as a track of one frame has."


def require_few_classes(data: ExportData) -> None:
    """Raise ``Unsupported`` for more classes than 16 bits hold."""
    if len(data.classes) > _MOST_CLASSES:
        raise Unsupported("", [f"MOTS has numbers for {_MOST_CLASSES} classes, and there are {len(data.classes)}; "
                               "leave some out of the view."])  # fmt: skip


def write_images(data: ExportData) -> None:
    """Write a PNG for each item, and ``labels.txt`` for each split."""
    numbers = _Numbers(data, Sequences(data, digits=True))
    text = classes_text(data.classes)
    for split in data.splits:
        folder = data.folder / (split or "default") / INSTANCES
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CLASSES).write_text(text, "utf-8", newline="\n")
    painted = _Painted(data, numbers)
    for part in data.parts():
        for _, item, labels in part.by_item():
            root = f"{item['split'] or 'default'}/"
            inner = os.path.splitext(str(item["name"]).removeprefix(f"{root}images/"))[0]
            pixels = painted.paint(labels.to_pylist(), size_of(item))
            mask_images.save_numbers(data.folder / root / INSTANCES / f"{inner}.png", pixels, 16)
    data.notes += numbers.notes()


def write_texts(data: ExportData) -> None:
    """Write ``gt/gt.txt`` of each sequence, and ``seqinfo.ini``. Masks of one frame do not overlap."""
    sequences = Sequences(data, digits=True)
    numbers = _Numbers(data, sequences)
    painted = _Painted(data, numbers)
    classes = classes_text(data.classes)
    with Groups(_LINES) as rows:
        for part in data.parts():
            for number, item, labels in part.by_item():
                size = size_of(item)
                lines = list(_lines(painted.paint(labels.to_pylist(), size), int(sequences.frame[number])))
                if lines:
                    batch = pa.RecordBatch.from_pylist(lines, schema=_LINES)
                    rows.add(batch, np.full(len(lines), sequences.number[number]))
        for number, sequence in enumerate(sequences.all):
            folder = data.folder / folder_of(sequence)
            (folder / GT).mkdir(parents=True, exist_ok=True)
            (folder / GT / CLASSES).write_text(classes, "utf-8", newline="\n")
            write_names(folder / GT, data, sequence)
            found = rows.get(number).sort_by([("frame", "ascending"), ("value", "ascending")])
            text = "".join(f"{line}\n" for line in found["text"].to_pylist())
            (folder / GT / f"{GT}.txt").write_text(text, "utf-8", newline="\n")
            write_info(folder / INFO, data, sequence)
    data.notes += numbers.notes()


def _lines(pixels: npt.NDArray[np.int64], frame: int) -> Iterator[dict[str, Any]]:
    height, width = pixels.shape
    for value in np.unique(pixels).tolist():
        if value:
            counts = encode_rle(pixels == value)["counts"].decode()
            text = f"{frame + 1} {value} {value // BASE} {height} {width} {counts}"
            yield {"frame": frame, "value": value, "text": text}


class _Painted:
    """Paints the labels of items, and tells what that loses."""

    def __init__(self, data: ExportData, numbers: _Numbers) -> None:
        self._data, self._numbers = data, numbers

    def paint(self, labels: Sequence[Mapping[str, Any]], size: tuple[int, int]) -> npt.NDArray[np.int64]:
        """The pixels of an item."""
        rows = [row for row in labels if row["kind"] in PAINTED]
        pixels = np.zeros((size[1], size[0]), np.int64)
        if not rows:
            return pixels
        canvas = Canvas(rows, size, dict.fromkeys((row["label"] for row in rows), 1))
        values = np.array([self._numbers.value(row) for row in canvas.rows], np.int64)
        self._data.lose(COVERED, canvas.covered)
        self._data.lose(NOTHING, canvas.empty)
        self._data.lose(JOINED, len(values) - len(set(values.tolist())))
        shown = canvas.labels >= 0
        pixels[shown] = values[canvas.labels[shown]]
        return pixels
