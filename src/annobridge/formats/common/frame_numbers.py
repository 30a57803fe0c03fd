"""The image of a frame by the number in its name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable

from ..names import composed

_LAST_NUMBER = re.compile(r"(\d+)\D*$")


class FrameNumbers:
    """Images by the last number in their names. ``stem`` gives a name without its suffix."""

    def __init__(self, paths: Iterable[str], stem: Callable[[str], str]) -> None:
        self._stem = stem
        self._paths: dict[int, list[str]] = defaultdict(list)
        for path in paths:
            if number := _LAST_NUMBER.search(stem(path.rpartition("/")[2])):
                self._paths[int(number[1])].append(path)
        self._first = 1 if 1 in self._paths and 0 not in self._paths else 0

    def find(self, frame: int, video: str | None) -> str | None:
        """The image of a frame. Frames of a video are counted from 0, and images perhaps from 1. Of several images with one number,
        that in the folder called as the video.
        """
        paths = self._paths.get(frame if video is None else frame + self._first, [])
        if len(paths) > 1 and video is not None:
            folder = composed(self._stem(video).rpartition("/")[2])
            paths = [path for path in paths if folder in composed(path).split("/")[:-1]]
        return paths[0] if len(paths) == 1 else None
