"""The image of a frame. Tracks name no images, so they are found by their names or by their order."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .meta import Task

_FRAME = re.compile(r"(?:^|/)frame_(\d{6,9})\.\w+$")


class FrameFiles:
    """The images of an archive, in order. ``stem`` is the name of the XML file without suffix."""

    def __init__(self, images: Sequence[str], stem: str) -> None:
        self._images, self._stem = images, stem
        self._found: dict[str | None, dict[int, str]] = {}

    def find(self, task: Task, frame: int) -> str | None:
        """The image of a frame of a task, which is counted from 0; ``None`` if none can be told."""
        if not self._images:
            return None
        if task.id not in self._found:
            self._found[task.id] = self._of(task)
        return self._found[task.id].get(frame)

    def _of(self, task: Task) -> dict[int, str]:
        """Images called ``frame_000007`` are that frame; others are the frames in their order, if there are as many."""
        images = self._in_folder(task)
        numbered = {int(found[1]) - task.shift: image for image in images if (found := _FRAME.search(image))}
        if numbered:
            return numbered if len(numbered) == len(images) else {}
        return dict(enumerate(images)) if len(images) == task.count else {}

    def _in_folder(self, task: Task) -> Sequence[str]:
        """The images in the folder that is called as the task or as the file; all, if there is none."""
        for name in filter(None, (task.name, self._stem)):
            found = [image for image in self._images if f"/{image.rpartition('/')[0]}".endswith(f"/{name}")]
            if task.subset and (inner := [image for image in found if task.subset in image.split("/")]):
                found = inner
            if found:
                return found
        return self._images
