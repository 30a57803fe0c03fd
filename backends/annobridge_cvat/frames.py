"""The frames of a CVAT task: which sample each one shows, and which frame of the video."""

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
    """The frames of one task; CVAT numbers them from 0.

    Attributes:
        samples: the sample that each frame shows; null for a frame of a task that was adopted, of which the dataset has none.
        numbers: the frame of the video, from 1; 0 for an image.
        sizes: width and height in pixels, shape (n, 2), after the rotation that the EXIF data of an image ask for.
        deleted: the numbers of the frames that people have deleted.
    """

    samples: pa.Array
    numbers: Ints
    sizes: Ints
    deleted: frozenset[int] = frozenset()

    @classmethod
    def of(cls, meta: Mapping[str, Any], samples: Sequence[str | None]) -> Frames:
        """The frames from the server's description of a task's media; ``samples`` has the sample of each file, in its order."""
        listed, size = meta["frames"], int(meta["size"])
        deleted = frozenset(meta.get("deleted_frames") or ())
        if not is_video(meta):
            return cls(pa.array(samples, pa.string()), np.zeros(size, np.int64), _sizes(listed), deleted)
        numbers = first_number(meta) + number_step(meta) * np.arange(size)
        sample = pa.repeat(pa.scalar(samples[0], pa.string()), size)
        return cls(sample, numbers, np.repeat(_sizes(listed[:1]), size, axis=0), deleted)

    def __len__(self) -> int:
        return len(self.numbers)

    def index_of(self, labels: pa.Table) -> Ints:
        """The frame that each label is on; -1 for a label on no frame of the task."""
        if not self.numbers.any():
            return _ints(pc.index_in(as_array(labels["sample_id"]), value_set=self.samples))
        here = pc.equal(labels["sample_id"], self.samples[0])
        numbers = pc.if_else(here, labels["frame_number"], pa.scalar(None, pa.int32()))
        return _ints(pc.index_in(as_array(numbers).cast(pa.int64()), value_set=pa.array(self.numbers)))

    def answered(self, kept: npt.NDArray[np.bool_]) -> pa.Array:
        """The samples that at least one of the ``kept`` frames (a boolean for each) shows."""
        return pc.unique(self.samples.filter(pa.array(kept)).drop_null())

    def completed(self, kept: npt.NDArray[np.bool_]) -> pa.Array:
        """The samples of which every frame is ``kept`` (a boolean for each), except those that people have deleted."""
        missing = ~kept
        missing[list(self.deleted)] = False
        answered = self.answered(kept)
        return answered.filter(pc.invert(pc.is_in(answered, value_set=self.answered(missing))))


def is_video(meta: Mapping[str, Any]) -> bool:
    """Whether the media of a task are a video, which is listed as one file. One with a single frame can be told from an image only
    by its name.
    """
    listed = meta["frames"]
    suffix = str(listed[0]["name"]).rpartition(".")[2].lower() if listed else ""
    return len(listed) == 1 and (int(meta["size"]) > 1 or suffix in VIDEOS)


def first_number(meta: Mapping[str, Any]) -> int:
    """The frame of the video, from 1, that is the first of the task."""
    return int(meta.get("start_frame") or 0) + 1


def number_step(meta: Mapping[str, Any]) -> int:
    """The frames of the video from one of the task to the next."""
    return int(str(meta.get("frame_filter") or "step=1").partition("=")[2] or 1)


VIDEOS = {"mp4", "m4v", "mov", "avi", "mkv", "webm", "mpg", "mpeg", "ts", "wmv", "flv", "3gp"}


def _sizes(listed: Sequence[Mapping[str, Any]]) -> Ints:
    return np.array([(f["width"], f["height"]) for f in listed], np.int64).reshape(-1, 2)


def _ints(values: pa.Array | pa.ChunkedArray) -> Ints:
    found: Ints = pc.fill_null(as_array(values), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return found
