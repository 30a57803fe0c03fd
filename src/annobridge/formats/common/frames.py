"""Frames of videos as items of an export: one for each frame that has labels."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ...core.arrays import Bools, as_array, as_mask, equal, index_of
from .items import ITEMS

Ints = npt.NDArray[np.int64]
_SPAN = 1 << 32  # more than any frame number
# The videos of an export. ``name`` is the path of the file below the folder that all files have in common.
VIDEOS = pa.schema([
    pa.field("sample_id", pa.string(), nullable=False),
    pa.field("name", pa.string(), nullable=False),
    pa.field("split", pa.string()),
    pa.field("width", pa.int32()),
    pa.field("height", pa.int32()),
    pa.field("frames", pa.int32()),
    pa.field("fps", pa.float64()),
])  # fmt: skip


def is_video(samples: pa.Table) -> Bools:
    """Which samples are videos."""
    return equal(samples["media_type"], "video")


def of_frames(samples: pa.Table, labels: pa.Table) -> pa.Table:
    """The labels without those of whole videos."""
    videos = samples["sample_id"].filter(pa.array(is_video(samples)))
    if not len(videos) or not labels.num_rows:
        return labels
    whole = pc.and_(pc.is_null(labels["frame_number"]), pc.is_in(labels["sample_id"], value_set=as_array(videos)))
    return labels.filter(pc.invert(whole)).combine_chunks()


class FrameKeys:
    """The items of some samples and labels, in order: a number for each that grows with the sample, and with the frame."""

    def __init__(self, samples: pa.Table, labels: pa.Table) -> None:
        videos = is_video(samples)
        rows = (
            as_array(index_of(labels["sample_id"], samples["sample_id"]))
            .to_numpy(zero_copy_only=False)
            .astype(np.int64)
        )
        self._labels = rows * _SPAN
        self.keys = np.arange(samples.num_rows, dtype=np.int64) * _SPAN
        if videos.any():
            frames = pc.fill_null(labels["frame_number"], 0).to_numpy()
            self._labels += np.where(videos[rows], frames, 0)
            self.keys = np.unique(np.concatenate([self.keys[~videos], self._labels[videos[rows]]]))

    def items(self) -> Ints:
        """The item of each label, from 0."""
        found: Ints = np.searchsorted(self.keys, self._labels)
        return found


def frame_items(samples: pa.Table, labels: pa.Table) -> tuple[Ints, Ints]:
    """The items: the row of the sample of each, and its frame from 1; 0 for an image."""
    keys = FrameKeys(samples, labels).keys
    return keys // _SPAN, keys % _SPAN


def video_rows(samples: pa.Table) -> pa.Table:
    """The videos among samples with a column ``name``."""
    rows = samples.filter(pa.array(is_video(samples)))
    return pa.Table.from_arrays([as_array(rows[f.name]) for f in VIDEOS], schema=VIDEOS)


def frames_of(samples: pa.Table, frames: Ints) -> pa.Table:
    """Items (``ITEMS``), given the sample and the frame from 1 of each; 0 for an image."""
    known = pa.array(frames > 0)
    files = samples["name"].to_pylist()
    names = [
        f"{os.path.splitext(name)[0]}/frame_{frame - 1:06d}" if frame else name
        for name, frame in zip(files, frames.tolist(), strict=True)
    ]
    columns = {
        "name": pa.array(names, pa.string()),
        "frame": pa.array(frames - 1, mask=frames == 0),
        "video": pc.if_else(known, samples["name"], None),
        "frames": pc.if_else(known, samples["frames"], None),
        **{name: samples[name] for name in ("split", "width", "height")},
    }
    arrays = [
        as_array(columns[f.name]).cast(f.type) if f.name in columns else pa.nulls(len(names), f.type) for f in ITEMS
    ]
    return pa.Table.from_arrays(arrays, schema=ITEMS)


def has_frames(items: pa.Table) -> bool:
    """Whether items are frames of videos."""
    return bool(as_mask(items["video"].is_valid()).any())
