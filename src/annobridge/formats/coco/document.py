"""One document: its images and categories, then its annotations, in whatever order the file has them."""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import repeat
from pathlib import PurePosixPath
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from ..common.archive import Archive
from ..common.items import Items
from ..common.json_stream import Chunk, JsonStream
from ..common.report import ReadReport
from ..names import with_slashes
from .files import CocoFile
from .records import Category, Image, decode

_IMAGES = msgspec.json.Decoder(list[Image])
_CATEGORIES = msgspec.json.Decoder(list[Category])
_INFO = msgspec.json.Decoder()
_FRAME = re.compile(r"frame_(\d{6})")


class Ids:
    """The items of image ids."""

    def __init__(self) -> None:
        self._items: dict[Any, int] = {}
        self._sorted: tuple[np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self._items)

    def add(self, image_id: Any, item: int) -> bool:
        """Whether the id is new."""
        self._sorted = None
        if image_id in self._items:
            return False
        self._items[image_id] = item
        return True

    def find(self, ids: Sequence[Any]) -> np.ndarray:
        """The item of each id; -1 where there is none. ``"17"`` finds 17, and 17 finds ``"17"``, if there is no other."""
        found = np.fromiter(map(self._items.get, ids, repeat(-1)), np.int64, len(ids))
        for k in np.flatnonzero(found < 0).tolist():
            found[k] = self._items.get(_other_spelling(ids[k]), -1)
        return found


def _other_spelling(image_id: Any) -> Any:
    if isinstance(image_id, str) and image_id.isdecimal() and len(image_id) < 20:
        return int(image_id)
    return str(image_id) if isinstance(image_id, int) else None


class Catalogue:
    """The items of all documents of an archive: images of the same name and split are one item."""

    def __init__(self, archive: Archive, items: Items) -> None:
        self._archive, self._items = archive, items
        self._numbers: dict[str | None, dict[str, int]] = defaultdict(dict)  # split → name → item
        self._sizes = array("i")  # width and height of each item; 0 where they are not known

    def numbers(self, images: Sequence[Image], names: Sequence[str], file: CocoFile, split: str | None) -> list[int]:
        """The numbers of the items of some images, which are added if they are new."""
        known, first = self._numbers[split], len(self._items)
        new: list[tuple[Image, str]] = []
        for image, name in zip(images, names, strict=True):
            if known.setdefault(name, first + len(new)) == first + len(new):
                new.append((image, name))
        if new:
            folders = self._folders(file, split)
            sizes = [(_size(image.width), _size(image.height)) for image, _ in new]
            self._items.extend(pa.table({
                "name": pa.array([name for _, name in new], pa.string()),
                "split": pa.array([split] * len(new), pa.string()),
                "width": pa.array([width for width, _ in sizes], pa.int32()),
                "height": pa.array([height for _, height in sizes], pa.int32()),
                "frame": pa.array([_frame(name) for _, name in new], pa.int64()),
                "file": pa.array([self._member(name, folders) for _, name in new], pa.string()),
            }))  # fmt: skip
            self._sizes.extend(side or 0 for size in sizes for side in size)
        return [known[name] for name in names]

    def sizes(self, items: np.ndarray) -> np.ndarray:
        """Width and height of items, as the documents say; 0 where they do not."""
        found: np.ndarray = np.array(self._sizes, np.float64).reshape(-1, 2)[items]
        return found

    def numbered(self, image_id: Any) -> int:
        """The item of an image that is known by its id only, as ``000000000139`` for 139."""
        if image_id is None:
            return -1
        name = f"{image_id:012d}" if isinstance(image_id, int) else str(image_id)
        known = self._numbers[None]
        if name not in known:
            known[name] = self._items.add(name, frame=image_id if isinstance(image_id, int) else None)
            self._sizes.extend((0, 0))
        return known[name]

    def _member(self, name: str, folders: Sequence[str]) -> str | None:
        """The image in the archive, in the layouts that tools write."""
        for folder in folders:
            if (place := folder + name) in self._archive:
                return place
        base = name.rpartition("/")[2]
        return next((place for folder in folders if (place := folder + base) in self._archive), None)

    @lru_cache(1000)  # noqa: B019 - as long as the archive is open
    def _folders(self, file: CocoFile, split: str | None) -> tuple[str, ...]:
        """Where the images of a file can be: the folders that hold any."""
        folder = str(PurePosixPath(file.name).parent)
        here = "" if folder == "." else f"{folder}/"
        above = here.rstrip("/").rpartition("/")[0]
        above = f"{above}/" if above else ""
        subset = PurePosixPath(file.name).stem.removeprefix(file.task).removeprefix("_")
        tries = [
            f"{above}images/{subset}/", f"{above}{subset}/", f"{above}images/{split}/", f"{above}images/", here,
            f"{here}data/", f"{here}images/", above,
        ]  # fmt: skip
        known = {"", *(place for folder in {name.rpartition("/")[0] for name in self._archive.names}
                       for place in _parents(f"{folder}/"))}  # fmt: skip
        return tuple(place for place in dict.fromkeys(tries) if place in known)


def _parents(name: str) -> Iterator[str]:
    yield ""
    at = 0
    while (at := name.find("/", at) + 1) > 0:
        yield name[:at]


class Document:
    """The images and categories of a file, read so far as they come before its annotations."""

    def __init__(self, archive: Archive, file: CocoFile, catalogue: Catalogue, report: ReadReport) -> None:
        self.where = archive.where(file.name)
        self.ids, self.classes, self.point_names = Ids(), dict[Any, str](), dict[str, tuple[str, ...]]()
        self._archive, self._file, self._catalogue, self._report = archive, file, catalogue, report
        self._split = file.split

    def annotations(self) -> Iterator[Chunk]:
        """The annotations, once all images and categories are known: the file is read twice where they come after them."""
        seen: set[str] = set()
        late = False
        for key, value in self._members():
            if isinstance(value, bytes):
                self._info(key, value)
            elif key == "images":
                self._add_images(value)
            elif key == "categories":
                self._add_categories(value)
            elif key == "annotations":
                if seen >= {"images", "categories"}:
                    yield from value
                else:
                    late = True
            seen.add(key)
        if late:
            for key, value in self._members():
                if key == "annotations" and not isinstance(value, bytes):
                    yield from value

    def results(self) -> Iterator[Chunk]:
        """The elements of a file that is a list."""
        for _, value in self._members():
            if not isinstance(value, bytes):
                yield from value

    def _members(self) -> Iterator[tuple[str, Iterator[Chunk] | bytes]]:
        with self._archive.open(self._file.name) as stream:
            yield from JsonStream(stream, self.where).members()

    def _info(self, key: str, value: bytes) -> None:
        if key == "info":
            try:
                split = _INFO.decode(value).get("split")
            except (msgspec.DecodeError, AttributeError):
                return
            self._split = split if isinstance(split, str) and split else self._split

    def _add_images(self, chunks: Iterator[Chunk]) -> None:
        for chunk in chunks:
            images = decode(chunk, _IMAGES, "image", self._report)
            named = [image for image in images if image.file_name]
            self._report.note("images have no file_name, and were left out", len(images) - len(named))
            names = [with_slashes(image.file_name or "") for image in named]
            numbers = self._catalogue.numbers(named, names, self._file, self._split)
            again = sum(not self.ids.add(image.id, n) for image, n in zip(named, numbers, strict=True))
            self._report.note(f"images have an id that another image of {self.where} has", again)

    def _add_categories(self, chunks: Iterator[Chunk]) -> None:
        for chunk in chunks:
            for category in decode(chunk, _CATEGORIES, "category", self._report):
                if category.name is None:
                    continue
                name = str(category.name)
                if self.classes.setdefault(category.id, name) != name:
                    self._report.note(f"categories have an id that another category of {self.where} has")
                if category.keypoints:
                    self.point_names[name] = tuple(category.keypoints)


def _frame(name: str) -> int | None:
    """The number of a frame that is called as CVAT calls it."""
    found = _FRAME.fullmatch(name.rpartition("/")[2].partition(".")[0]) if "frame_" in name else None
    return int(found[1]) if found else None


def _size(value: float | None) -> int | None:
    return int(value) if value is not None and 0 < value < 2**31 else None
