"""Frames: which frame of a CVAT task shows which sample, and which frame of its video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core.arrays import as_array

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of one task, by their number from 0. ``numbers`` are those of the video, from 1; 0 for an image.

    ``sizes`` are width and height in pixels, shape (n, 2), as the server has them: images turned as their EXIF data say.
    """

    samples: pa.Array
    numbers: Ints
    sizes: Ints
    deleted: frozenset[int] = frozenset()

    @classmethod
    def of(cls, meta: Mapping[str, Any], names: Mapping[str, str]) -> Frames:
        """From the server's description of its media; ``names`` says which sample a file is of. Raises ``KeyError``
        for a file that was not sent.
        """
        listed, size = meta["frames"], int(meta["size"])
        deleted = frozenset(meta.get("deleted_frames") or ())
        if len(listed) == size and not _is_video(listed, size):
            found = pa.array([names[f["name"]] for f in listed], pa.string())
            return cls(found, np.zeros(size, np.int64), _sizes(listed), deleted)
        step = int(str(meta.get("frame_filter") or "step=1").partition("=")[2] or 1)
        numbers = int(meta.get("start_frame") or 0) + step * np.arange(size) + 1
        sample = pa.repeat(pa.scalar(names[listed[0]["name"]]), size)
        return cls(sample, numbers, np.repeat(_sizes(listed[:1]), size, axis=0), deleted)

    def __len__(self) -> int:
        return len(self.numbers)

    def place(self, labels: pa.Table) -> Ints:
        """The frame of each label; -1 where it is on none."""
        if not self.numbers.any():
            return _ints(pc.index_in(as_array(labels["sample_id"]), value_set=self.samples))
        here = pc.equal(labels["sample_id"], self.samples[0])
        numbers = pc.if_else(here, labels["frame_number"], pa.scalar(None, pa.int32()))
        return _ints(pc.index_in(as_array(numbers).cast(pa.int64()), value_set=pa.array(self.numbers)))

    def answered(self, kept: npt.NDArray[np.bool_]) -> pa.Array:
        """The samples of which at least one of the ``kept`` frames is there."""
        return pc.unique(self.samples.filter(pa.array(kept)))


def _is_video(listed: Sequence[Any], size: int) -> bool:
    """A video is listed as one file; of one frame, it can only be told by its name."""
    suffix = str(listed[0]["name"]).rpartition(".")[2].lower() if listed else ""
    return len(listed) == 1 and (size > 1 or suffix in VIDEOS)


VIDEOS = {"mp4", "m4v", "mov", "avi", "mkv", "webm", "mpg", "mpeg", "ts", "wmv", "flv", "3gp"}


def _sizes(listed: Sequence[Mapping[str, Any]]) -> Ints:
    return np.array([(f["width"], f["height"]) for f in listed], np.int64).reshape(-1, 2)


def _ints(values: pa.Array | pa.ChunkedArray) -> Ints:
    found: Ints = pc.fill_null(as_array(values), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return found
