"""The labels of one sequence as tracks: which label is in which track, where these are keyframes, and where they end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...core import attributes
from ...core.arrays import as_array, as_mask, list_array, set_columns
from ..common import interpolate
from .write_rows import SCORE, track_elements, track_heads

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_TYPES = {"box": "rectangle", "keypoints": "points"}  # CVAT's names of kinds, where they are others
_MASKS = ("mask", "segmentation")
_MANY = 20_000  # elements that are made at a time


class TrackRows:
    """Labels (``LABELS`` in pixels, with ``frame``) of one sequence of ``length`` frames; ``None`` if that is not known.

    A track is the labels with one ``index``, class, kind, group and source, at most one on each frame. A label without an index
    is a track by itself, with a number above all others; and so is each mask, as CVAT has no tracks of masks, with the number of
    its index.
    """

    def __init__(self, labels: pa.Table, length: int | None) -> None:
        self._length = length
        index = pc.fill_null(as_array(labels["index"]).cast(pa.int64()), -1).to_numpy()
        frames = labels["frame"].to_numpy()
        self.untracked = int((index < 0).sum())
        track = _tracks(labels, index, frames)
        numbers = index.copy()
        numbers[index < 0] = index.max(initial=-1) + 1 + np.arange(self.untracked)
        order = np.lexsort((frames, track, numbers))
        self._labels = labels.take(pa.array(order)).combine_chunks()
        self._frames, self._numbers, track = frames[order], numbers[order], track[order]
        self._starts = np.flatnonzero(np.diff(track, prepend=-1))  # of each track, its first row
        self._ends = np.append(self._starts[1:], len(track))

    @cached_property
    def _track(self) -> Ints:
        """The track of each row, by its place."""
        return np.repeat(np.arange(len(self._starts)), self._ends - self._starts)

    def mutable(self) -> dict[str, set[str]]:
        """The attributes that change within a track, by class."""
        rows, flat = attributes.flattened(self._labels["attributes"])
        found: dict[str, set[str]] = defaultdict(set)
        scored = self._labels.filter(self._labels["confidence"].is_valid())
        for name in pc.unique(scored["label"]).to_pylist():
            found[name or ""].add(SCORE)
        table = pa.table({"track": self._track[rows], "name": flat.field("name"), "value": flat.field("value")})
        counted = table.group_by(["track", "name"]).aggregate([("value", "count_distinct"), ("value", "count")])
        sizes = (self._ends - self._starts)[counted["track"].to_numpy()]
        changes = (counted["value_count_distinct"].to_numpy() > 1) | (counted["value_count"].to_numpy() < sizes)
        some = counted.filter(pa.array(changes))
        names = self._labels["label"].take(pa.array(self._starts[some["track"].to_numpy()]))
        for label, name in zip(names.to_pylist(), some["name"].to_pylist(), strict=True):
            found[label or ""].add(name)
        return found

    def texts(self) -> Iterator[str]:
        """The elements of the tracks, some thousands at a time."""
        keyframes = self._keyframes()
        closed = self._closed()
        heads = track_heads(self._labels.take(pa.array(self._starts)).combine_chunks(),
                            pa.array(self._numbers[self._starts]).cast(pa.string()))  # fmt: skip
        first = 0
        while first < len(self._starts):
            last = int(np.searchsorted(self._ends, self._starts[first] + _MANY, side="right"))
            last = max(last, first + 1)
            rows = np.arange(self._starts[first], self._ends[last - 1])
            bodies = self._bodies(rows, keyframes, closed, first, last)
            yield "".join(
                f"{head}{body}  </track>\n"
                for head, body in zip(heads[first:last].to_pylist(), bodies.to_pylist(), strict=True)
            )
            first = last

    def _bodies(self, rows: Ints, keyframes: Bools, closed: Bools, first: int, last: int) -> pa.Array:
        """The shapes of some tracks, one text for each. Behind a shape after which the track is hidden, it is there once more."""
        ends = rows[closed[rows]]
        source = np.concatenate([rows, ends])
        frames = np.concatenate([self._frames[rows], self._frames[ends] + 1])
        outside = np.arange(len(source)) >= len(rows)
        key = np.concatenate([keyframes[rows], np.ones(len(ends), bool)])
        order = np.lexsort((outside, source))
        source, frames, outside, key = source[order], frames[order], outside[order], key[order]
        labels = self._labels.take(pa.array(source)).combine_chunks()
        texts, places = [pa.array([], pa.string())], [np.zeros(0, np.int64)]
        flags = pa.array(["0", "1"])
        for kind in pc.unique(labels["kind"]).to_pylist():
            at = np.flatnonzero(as_mask(pc.equal(labels["kind"], kind)))
            some = labels.take(pa.array(at)).combine_chunks()
            if kind == "skeleton":
                some = _hidden(some, outside[at])
            made = track_elements(
                some, kind, pa.array(frames[at]).cast(pa.string()), flags.take(pa.array(key[at].astype(np.int8))),
                flags.take(pa.array(outside[at].astype(np.int8))),
            )  # fmt: skip
            texts.append(as_array(made))
            places.append(at)
        every = pa.concat_arrays(texts).take(pa.array(np.argsort(np.concatenate(places))))
        lengths = np.bincount(self._track[source] - first, minlength=last - first)
        return pc.binary_join(list_array(lengths, every), "")

    def _closed(self) -> Bools:
        """The rows after which a track is hidden: before a gap, and at its end unless that is the end of the sequence."""
        following = np.append(self._frames[1:], -1)
        following[self._ends - 1] = -1
        is_shown = following == self._frames + 1
        is_last = np.zeros(len(is_shown), bool) if self._length is None else self._frames + 1 >= self._length
        found: Bools = ~is_shown & ~is_last
        return found

    def _keyframes(self) -> Bools:
        """The rows that are written as keyframes: all; or, in tracks where some are flagged as such, these and as many others as
        CVAT needs to interpolate the rest.
        """
        flagged = as_mask(pc.fill_null(self._labels["keyframe"], False))
        some = np.logical_or.reduceat(flagged, self._starts)
        all_of = np.logical_and.reduceat(flagged, self._starts)
        found = flagged | ~some[self._track]
        for track in np.flatnonzero(some & ~all_of).tolist():
            start, end = int(self._starts[track]), int(self._ends[track])
            rows = self._labels.slice(start, end - start)
            found[start:end] = _needed(rows, self._frames[start:end], flagged[start:end])
        return found


def _tracks(labels: pa.Table, index: Ints, frames: Ints) -> Ints:
    """A number for each label, the same for those of one track."""
    named = [pc.fill_null(as_array(labels[name]), "") for name in ("label", "kind")]
    named += [pc.fill_null(attributes.values(labels["attributes"], name), "") for name in ("group", "source")]
    joined = pc.binary_join_element_wise(*named, "\0").dictionary_encode()
    rank = np.argsort(pc.sort_indices(joined.dictionary).to_numpy())  # so that tracks are in the order of their classes
    alike = rank[joined.indices.to_numpy()]
    alone = (index < 0) | as_mask(pc.is_in(labels["kind"], value_set=pa.array(_MASKS)))
    pairs = np.stack([index, alike, np.where(alone, np.arange(1, len(index) + 1), 0)], axis=1)
    track = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)
    # Of labels of one track on one frame, each but the first is in a further track.
    order = np.lexsort((frames, track))
    same = (np.diff(track[order], prepend=-1) == 0) & (np.diff(frames[order], prepend=-1) == 0)
    position = np.arange(len(order))
    repeated = np.zeros(len(order), np.int64)
    repeated[order] = position - np.maximum.accumulate(np.where(same, 0, position))
    return np.unique(np.stack([track, repeated], axis=1), axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _needed(labels: pa.Table, frames: Ints, flagged: Bools) -> Bools:
    """Which labels of a track have to be keyframes, so that interpolation gives the others."""
    kind = labels["kind"][0].as_py()
    held = zip(
        labels["attributes"].to_pylist(),
        labels["visibility"].to_pylist(),
        labels["confidence"].to_pylist(),
        strict=True,
    )
    rows = list(held)
    changed = np.array([False, *(a != b for a, b in zip(rows[1:], rows[:-1], strict=True))])
    rotation = pc.fill_null(labels["rotation"], 0.0).to_numpy()
    return interpolate.needed_keyframes(
        _TYPES.get(kind, kind), frames, list(_vectors(labels, kind)), rotation, flagged | changed
    )


def _vectors(labels: pa.Table, kind: str) -> Iterator[npt.NDArray[np.float64]]:
    """The numbers of each shape that are interpolated."""
    if kind in ("box", "ellipse"):
        xywh = as_array(labels["bounding_box"]).flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
        yield from np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]])
        return
    for parts in labels["points"].to_pylist():
        yield np.nan_to_num(np.array(parts[0], np.float64).ravel())  # a missing point is written as 0, 0


def _hidden(labels: pa.Table, outside: Bools) -> pa.Table:
    """Skeletons whose points are all missing where they are outside."""
    if not outside.any():
        return labels
    seen = [
        [0] * len(parts[0]) if hidden else shown
        for shown, parts, hidden in zip(
            labels["visibility"].to_pylist(), labels["points"].to_pylist(), outside.tolist(), strict=True
        )
    ]
    return set_columns(labels, visibility=pa.array(seen, pa.list_(pa.int8())))
