"""What the three formats of ICDAR share: folders of subsets, numbers in lines, quoted texts."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import Any

from ..common.archive import Archive
from ..common.export import ExportData
from ..common.images import image_names
from ..common.items import Items, frame_of
from ..common.voc_tree import SPLITS

LABEL = "icdar"  # the class that CVAT gives to all labels of these formats, which have none
IMAGES = "images"
_ROOTS = frozenset({"word_recognition", "text_localization", "text_segmentation"})
_DEFAULT = "default"
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


class Layout:
    """The subsets of a source, and the images in them."""

    def __init__(self, archive: Archive) -> None:
        names = image_names(archive)
        self._files = {os.path.splitext(name)[0]: name for name in names}
        parts = [name.split("/") for name in names]
        self._folders = {"/".join(p[: p.index(IMAGES)]) for p in parts if IMAGES in p[:-1]}

    def place(self, name: str) -> tuple[str, str]:
        """The folder of the subset that a label file is in, and the folder in it, both without ``/`` at the end."""
        parts = name.split("/")[:-1]
        for count in range(len(parts), 0, -1):
            folder = "/".join(parts[:count])
            if folder in self._folders or parts[count - 1].lower() in (*SPLITS, _DEFAULT):
                return folder, "/".join(parts[count:])
        first = 2 if parts and parts[0] in _ROOTS else 1
        return "/".join(parts[:first]), "/".join(parts[first:])

    def add(self, items: Items, folder: str, image: str) -> int:
        """Add the item of an image in ``images``, whose name may lack the suffix."""
        split = folder.rpartition("/")[2]
        stem = os.path.splitext(image)[0]
        beside = f"{folder}/{IMAGES}" if folder else IMAGES
        file = self._files.get(f"{beside}/{image}") or self._files.get(f"{beside}/{stem}")
        is_split = split not in ("", _DEFAULT, *_ROOTS)
        return items.add(image, split if is_split else None, frame=frame_of(image.rpartition("/")[2]), file=file)


def numbers_of(words: list[str]) -> list[float] | None:
    """Words as finite numbers; ``None`` if one is none."""
    if not all(map(_NUMBER.fullmatch, words)):
        return None
    found = [float(word) for word in words]
    return found if all(map(math.isfinite, found)) else None


def quoted(line: str) -> tuple[str, str] | None:
    r"""What is before the first quote of a line, and all between it and the last one: quotes in a text are not escaped.

    >>> quoted('1 2 "say "yes""')
    ('1 2 ', 'say "yes"')
    """
    start, end = line.find('"'), line.rstrip().rfind('"')
    return (line[:start], line[start + 1 : end]) if 0 <= start < end and not line[end + 1 :].strip() else None


def text_of(data: ExportData, attributes: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of these attributes, on one line; ``None`` if there is none."""
    value = next((attributes[name] for name in names if attributes.get(name) is not None), None)
    if value is None:
        return None
    text = str(value)
    if len(lines := text.splitlines()) > 1 or (lines and lines[0] != text):
        text = " ".join(lines)
        if (note := "Texts of several lines are written on one.") not in data.notes:
            data.notes.append(note)
    return text


def image_folder(split: str | None) -> str:
    """Where images of a split are."""
    return f"{split or _DEFAULT}/{IMAGES}"
