"""Read the sequences of a MOT archive: boxes of tracks, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...core import attributes
from ...core.labels import ATTRIBUTE
from ..common.archive import Archive
from ..common.class_list import read_classes
from ..common.items import Items
from ..common.report import ReadReport
from .layout import CLASSES, MotSequence
from .lines import Lines, read_lines

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
OFFICIAL = (
    "pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non motorized vehicle", "static person",
    "distractor", "occluder", "occluder on the ground", "occluder full", "reflection", "crowd",
)  # fmt: skip
_MOST = 2**31 - 2
_ONE_CLASS = "object"  # of lines without a class, where there are several


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes by their numbers, from 1; ``default`` is that of lines that have none."""

    names: tuple[str, ...]
    default: str

    @classmethod
    def of(cls, archive: Archive, sequence: MotSequence, given: Sequence[str]) -> Classes:
        """Those that are given, else of ``labels.txt`` beside the labels or above, else MOTChallenge's own."""
        names = tuple(given) or cls._listed(archive, sequence)
        if names is None:
            return cls(OFFICIAL, OFFICIAL[0])
        return cls(names, names[0] if len(names) == 1 else _ONE_CLASS)

    @staticmethod
    def _listed(archive: Archive, sequence: MotSequence) -> tuple[str, ...] | None:
        folder = (sequence.gt or sequence.det or "").rpartition("/")[0]
        beside = (f"{sequence.folder}/gt", folder, sequence.folder, sequence.folder.rpartition("/")[0], "")
        for place in beside:
            name = f"{place}/{CLASSES}".lstrip("/")
            if name in archive:
                return read_classes(archive, name)
        return None


class SequenceReader:
    """One sequence. ``scores`` says that the seventh number of a line is a confidence, and not whether to ignore it."""

    def __init__(
        self, archive: Archive, sequence: MotSequence, classes: Classes, items: Items, report: ReadReport, scores: bool
    ) -> None:
        self._archive, self._sequence, self._classes = archive, sequence, classes
        self._items, self._report, self._scores = items, report, scores
        self._by_frame: dict[int, int] = {}  # frame → item
        for frame in sorted({*sequence.images, *sequence.names}):
            self._add(frame)

    def read(self, name: str) -> Iterator[pa.Table]:
        """The labels of a file."""
        for lines in read_lines(self._archive, name):
            table = self._table(name, lines)
            if table.num_rows:
                yield table

    def _add(self, frame: int) -> None:
        sequence, info = self._sequence, self._sequence.info
        width, height = info.size or (None, None)
        self._by_frame[frame] = self._items.add(
            sequence.item_name(frame), sequence.split, width, height, frame - 1, sequence.images.get(frame),
            sequence.video, info.length,
        )  # fmt: skip

    def _table(self, name: str, lines: Lines) -> pa.Table:
        values = lines.values
        number = pa.array(lines.numbers).cast(pa.string())
        places = pc.binary_join_element_wise(self._archive.where(name), number, " line ")
        good = lines.good
        self._skip(places, ~good, "it is no line of six to ten numbers")
        framed = good & _whole(values[:, 0], 1)
        self._skip(places, good & ~framed, "its frame is no number from 1 on")
        classes, known = self._class_numbers(values, lines.counts)
        self._skip(places, framed & ~known, "its class has no name in labels.txt, nor in the option classes")
        keep = framed & known
        values, classes, counts = values[keep], classes[keep], lines.counts[keep]
        frames = values[:, 0].astype(np.int64)
        for frame in np.unique(frames).tolist():
            if frame not in self._by_frame:
                self._add(frame)
        tracked = _whole(values[:, 1], 0)
        self._report.note("track numbers are no whole numbers from 0 on; these labels are of no track",
                          int((~tracked & (values[:, 1] != -1)).sum()))  # fmt: skip
        names = pa.array([self._classes.default, *self._classes.names])
        confidence, extra = self._seventh(values, counts)
        return pa.table({
            "item": pa.array([self._by_frame[frame] for frame in frames.tolist()], pa.int32()),
            "kind": pa.repeat(pa.scalar("box"), len(frames)),
            "label": names.take(pa.array(classes)),
            "index": pa.array(np.where(tracked, values[:, 1], 0).astype(np.int32), mask=~tracked),
            "confidence": pa.array(confidence, mask=np.isnan(confidence)),
            "bounding_box": pa.FixedSizeListArray.from_arrays(pa.array(values[:, 2:6].ravel()), 4),
            "attributes": _attributes(extra, len(frames)),
            "place": places.filter(pa.array(keep)),
        })  # fmt: skip

    def _class_numbers(self, values: Floats, counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Bools]:
        """The class of each line, 0 for the default; and which are known. Ten numbers may end with a place in the world."""
        number = values[:, 7]
        has = (counts >= 8) & (number > 0)
        in_world = has & (counts == 10) & ~(_whole(number, 1) & (values[:, 8] <= 1))
        self._report.note("lines have a place in the world, which is not read", int(in_world.sum()))
        has &= ~in_world
        known = ~has | (_whole(number, 1) & (number <= len(self._classes.names)))
        return np.where(has & known, number, 0).astype(np.int64), known

    def _seventh(
        self, values: Floats, counts: npt.NDArray[np.int64]
    ) -> tuple[Floats, dict[str, tuple[Bools, pa.Array]]]:
        """Confidences, NaN where there is none; and attributes: which rows have each, and its values."""
        seventh = np.where(counts >= 7, values[:, 6], np.nan)
        is_flag = np.isin(seventh, (0, 1)) & (not self._scores)
        is_score = (seventh >= 0) & (seventh <= 1) & ~is_flag
        is_other = np.isfinite(seventh) & ~is_flag & ~is_score & (seventh != -1)
        extra = {"ignored": (is_flag, _booleans(seventh == 0)), "score": (is_other, _floats(seventh))}
        if not self._scores:
            visible = np.where((counts >= 9) & (values[:, 7] > 0), values[:, 8], np.nan)
            has = (visible >= 0) & (visible <= 1)
            extra |= {"occluded": (has, _booleans(visible <= 0)), "visibility": (has, _floats(visible))}
        return np.where(is_score, seventh, np.nan), extra

    def _skip(self, places: pa.Array, where: Bools, reason: str) -> None:
        for place in places.filter(pa.array(where)).to_pylist():
            self._report.skip(place, reason)


def _whole(values: Floats, least: int) -> Bools:
    """Which are whole numbers from ``least`` on, as 32 bits hold them."""
    with np.errstate(invalid="ignore"):
        found: Bools = (values >= least) & (values <= _MOST) & (np.floor(values) == values)
    return found


def _booleans(values: Bools) -> pa.Array:
    return pa.array(["false", "true"]).take(pa.array(values.astype(np.int8)))


def _floats(values: Floats) -> pa.Array:
    """Numbers as JSON texts; there are few different ones."""
    different, where = np.unique(values, return_inverse=True)
    return pa.array([repr(value) for value in different.tolist()], pa.string()).take(pa.array(where))


_TYPES = {"ignored": "bool", "occluded": "bool", "score": "float", "visibility": "float"}


def _attributes(extra: dict[str, tuple[Bools, pa.Array]], size: int) -> pa.Array:
    rows, names, types, values = list[np.ndarray](), list[str](), list[str](), list[pa.Array]()
    for name, (where, texts) in sorted(extra.items()):
        at = np.flatnonzero(where)
        if at.size:
            rows.append(at)
            names += [name] * at.size
            types += [_TYPES[name]] * at.size
            values.append(texts.take(pa.array(at)))
    if not rows:
        return pa.nulls(size, attributes.LIST)
    flat = pa.StructArray.from_arrays(
        [pa.array(names), pa.array(types), pa.concat_arrays(values)], fields=list(ATTRIBUTE)
    )
    return attributes.build(np.concatenate(rows), flat, size)
