"""Sequences: the items of an export that belong together as the frames of a video do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .export import ExportData
from .items import frame_of

Ints = npt.NDArray[np.int64]
_MOST = 999_999  # a larger number in a name is no number of a frame
IMAGES = "img1"  # the folder of a sequence's images in MOTChallenge


@dataclass(frozen=True, slots=True)
class FrameSequence:
    """A video, or the images of one folder.

    Attributes:
        name: the path of the folder, or of the video without its suffix; ``""`` for images that are in no folder.
        items: the numbers of its items, in the order of their frames.
        frames: the frame of each, from 0.
        length: how many frames it has, where that is known.
        video: the name of the video; ``None`` for images.
    """

    name: str
    split: str | None
    items: Ints
    frames: Ints
    length: int | None
    size: tuple[int, int] | None
    video: str | None
    fps: float | None = None


class Sequences:
    """The sequences of an export, and the sequence and the frame of each item.

    Images are in the order of their names. Names like ``frame_000007`` say which frame it is, counted from 0; with
    ``digits``, so do names like ``000007``, counted from 1.
    """

    def __init__(self, data: ExportData, digits: bool) -> None:
        found: dict[tuple[str | None, str | None, str], list[int]] = {}
        rows = data.items.to_pylist()
        for at, row in enumerate(rows):
            key = (row["split"], row["video"], "" if row["video"] else folder_of(row["name"]))
            found.setdefault(key, []).append(at)
        videos = {(row["split"], row["name"]): row for row in data.videos.to_pylist()}
        for split, name in videos:
            found.setdefault((split, name, ""), [])
        self.all = [
            _video(name, split, items, rows, videos[split, name])
            if name
            else _images(folder, split, items, rows, digits)
            for (split, name, folder), items in found.items()
        ]
        self.number, self.frame = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
        for number, sequence in enumerate(self.all):
            self.number[sequence.items], self.frame[sequence.items] = number, sequence.frames


def folder_of(name: str) -> str:
    """The folder of a sequence, given the name of an image in it."""
    folder = name.rpartition("/")[0]
    return folder.removesuffix(IMAGES).rstrip("/") if folder.rpartition("/")[2] == IMAGES else folder


def _video(
    name: str, split: str | None, items: list[int], rows: list[dict[str, Any]], video: dict[str, Any]
) -> FrameSequence:
    frames = np.array([rows[at]["frame"] for at in items], np.int64)
    size = (video["width"], video["height"]) if video["width"] and video["height"] else None
    length = video["frames"]
    if length is not None and frames.size:
        length = max(length, int(frames[-1]) + 1)
    return FrameSequence(
        os.path.splitext(name)[0], split, np.array(items, np.int64), frames, length, size, name, video["fps"]
    )


def _images(
    folder: str, split: str | None, items: list[int], rows: list[dict[str, Any]], digits: bool
) -> FrameSequence:
    items = sorted(items, key=lambda at: rows[at]["name"])
    frames = _frames([os.path.splitext(rows[at]["name"])[0].rpartition("/")[2] for at in items], digits)
    order = np.argsort(frames, kind="stable")
    first = rows[items[0]]
    size = (first["width"], first["height"]) if first["width"] and first["height"] else None
    length = int(frames.max()) + 1
    return FrameSequence(folder, split, np.array(items, np.int64)[order], frames[order], length, size, None)


def _frames(stems: Sequence[str], digits: bool) -> Ints:
    """The frames of images, from 0: by the numbers in their names if these are all of one kind, else by their order."""
    in_order = np.arange(len(stems), dtype=np.int64)
    numbers = [frame_of(stem) for stem in stems]
    if None in numbers or len(set(numbers)) < len(numbers):
        return in_order
    found = np.array([number or 0 for number in numbers], np.int64)
    named = {stem.startswith("frame_") for stem in stems}
    if found.max() > _MOST or len(named) > 1:
        return in_order
    if named == {True}:
        return found
    return found - 1 if digits and found.min() > 0 else in_order
