"""Lists of the classes of images as CVAT's Ultralytics YOLO Classification has them: ``train/labels.json``, for each image its name
without suffix, its classes and its path.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pyarrow as pa

from ...exceptions import InvalidSource
from ..names import with_slashes
from .archive import Archive
from .items import Items, Shapes

_NAME = "labels.json"
_DEFAULT = "default"
_MOST = 64 << 20  # bytes


class _Image(msgspec.Struct, forbid_unknown_fields=True):
    labels: list[str]
    path: str


def class_lists(archive: Archive) -> dict[str, dict[str, _Image]]:
    """The lists of an archive by their names; none if one is anything else."""
    found = {}
    for name in archive.by_suffix.get(".json", ()):
        if name.rpartition("/")[2] != _NAME or archive.size(name) > _MOST:
            return {}
        try:
            found[name] = msgspec.json.decode(archive.read(name), type=dict[str, _Image])
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, InvalidSource):
            return {}
    return found


def read_class_lists(archive: Archive, lists: dict[str, dict[str, _Image]], items: Items) -> Iterator[pa.Table]:
    """Add the images, and yield their classes. The split is the folder of a list."""
    shapes = Shapes()
    for name, images in lists.items():
        folder = name.rpartition("/")[0]
        split = folder.rpartition("/")[2] or None
        for key, image in images.items():
            path = with_slashes(image.path) or key
            file = f"{folder}/{path}" if folder else path
            item = items.add(path, None if split == _DEFAULT else split, file=file)
            for label in dict.fromkeys(image.labels):
                shapes.add(item, "classification", label, place=f"{archive.where(name)}, {key!r}")
            yield from shapes.take_full()
    yield shapes.take()
