"""Pictures of brushes, as Label Studio exports them: one for each region, whose name says task, annotation, person and class."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...core.geometry import encode_rle
from ..common import mask_images
from ..common.archive import Archive
from ..common.items import Items, Shapes
from ..common.report import ReadReport

NAME = re.compile(
    r"task-(?P<task>\d+)-annotation-(?P<annotation>\d+)-by-(?P<person>\S+?)-(?P<control>[^-]+)-(?P<label>.+)-\d+\.png"
)
Images = Mapping[int, tuple[str, str | None]]  # the image of each task, and its split


def names(archive: Archive) -> list[str]:
    """The pictures of a source."""
    return [name for name in archive.by_suffix.get(".png", ()) if NAME.fullmatch(name.rpartition("/")[2])]


def add(
    archive: Archive,
    name: str,
    images: Images,
    items: dict[int, int],
    all_items: Items,
    shapes: Shapes,
    report: ReadReport,
) -> None:
    """Add the mask of one picture, and the image of its task where it is new.

    Without the tasks of the project, an image is looked up as "task 3".
    """
    found = NAME.fullmatch(name.rpartition("/")[2])
    picture = mask_images.load(archive, name, report)
    if found is None or picture is None:
        return
    task = int(found["task"])
    if task not in items:
        image, split = images.get(task, (f"task {task}", None))
        items[task] = all_items.add(image, split, *picture.size)
    values = picture.numbers if picture.numbers is not None else picture.values
    shapes.add(
        items[task], "mask", found["label"].strip() or None, mask=encode_rle(values != 0), annotator=found["person"],
        place=archive.where(name),
    )  # fmt: skip
