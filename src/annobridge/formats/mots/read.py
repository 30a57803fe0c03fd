"""Read MOTS: PNG files whose pixels are ``class * 1000 + object``, and text files with COCO's RLE."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ...exceptions import InvalidSource
from ..common import mask_images
from ..common.archive import Archive
from ..common.class_list import read_classes
from ..common.images import image_names, video_names
from ..common.items import Items, Shapes
from ..common.report import ReadReport
from ..mot.layout import CLASSES, MotSequence, find_sequences, first_line, label_files, numbered

BASE = 1000
INSTANCES, TEXTS = "instances", "instances_txt"
_OFFICIAL = {1: "car", 2: "pedestrian"}
_IGNORED, IGNORED_CLASS = "ignored region", 10  # its pixels and lines have the number 10000
_LINE = re.compile(r"(\d{1,9}) (\d{1,9}) (\d{1,9}) (\d{1,9}) (\d{1,9}) ([0-o]+)")
_LONGEST = 1 << 24  # bytes of a line
_MOST_SIDE = 1 << 20
_DIGITS = re.compile(r"\d{1,9}")


def is_mots_line(text: str) -> bool:
    """Whether a line is one of MOTS: frame, object, class, height, width, RLE.

    >>> is_mots_line("1 2002 2 1080 1920 Wde3b0"), is_mots_line("1 2 3 4 5 6")
    (True, False)
    """
    found = _LINE.fullmatch(text[:4096].strip())
    return found is not None and not found[6].isdecimal() and int(found[4]) > 0


def instance_images(archive: Archive) -> list[str]:
    """The PNG files of masks, which are in folders ``instances``."""
    return [name for name in archive.by_suffix.get(".png", ()) if INSTANCES in name.split("/")[:-1]]


def text_files(archive: Archive) -> list[str]:
    """The text files of masks: ``gt.txt``, and those in folders ``instances_txt``; else those that trackers write."""
    texts = archive.by_suffix.get(".txt", ())
    named = [name for name in label_files(archive) if name.endswith("gt.txt")]
    named += [name for name in texts if TEXTS in name.split("/")[:-1]]
    return [name for name in named or texts if is_mots_line(first_line(archive, name))]


def is_empty(archive: Archive) -> bool:
    """Whether an archive has the files of MOTS, and no label in them."""
    lists = (name.split("/")[-2:] for name in archive.by_suffix.get(".txt", ()))
    return [INSTANCES, CLASSES] in lists or any(archive.size(name) == 0 for name in label_files(archive))


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes by their numbers, from 1."""

    names: dict[int, str]

    @classmethod
    def of(cls, archive: Archive, folders: Sequence[str], given: Sequence[str]) -> Classes:
        """Those that are given, else of ``labels.txt`` in one of the folders, else cars and pedestrians."""
        names = tuple(given)
        if not names:
            files = (f"{folder}/{CLASSES}".lstrip("/") for folder in folders)
            name = next((name for name in files if name in archive), None)
            names = read_classes(archive, name) if name is not None else ()
        numbered = dict(enumerate(names, 1)) if names else _OFFICIAL
        return cls({IGNORED_CLASS: _IGNORED} | numbered)


def read_images(archive: Archive, items: Items, given: Sequence[str], report: ReadReport) -> Iterator[pa.Table]:
    """Read the PNG files; images without one are items without labels."""
    found: dict[str, dict[str, str]] = defaultdict(dict)  # folder of the subset → name without suffix → file
    for name in instance_images(archive):
        parts = name.split("/")
        at = parts.index(INSTANCES)
        found["/".join(parts[:at])][os.path.splitext("/".join(parts[at + 1 :]))[0]] = name
    shapes = Shapes()
    for root, masks in sorted(found.items()):
        classes = Classes.of(archive, (f"{root}/{INSTANCES}", root, ""), given)
        split = root.rpartition("/")[2]
        images = _images_of(archive, root)
        frames = _frames(list(masks))
        for name in sorted(masks):
            mask = mask_images.load(archive, masks[name], report)
            width, height = mask.size if mask is not None else (None, None)
            item = items.add(
                name, None if split in ("", "default") else split, width, height, frames[name], images.get(name),
                _video_of(archive, root, name),
            )  # fmt: skip
            if mask is not None:
                _read_mask(shapes, item, mask, classes, archive.where(masks[name]), report)
            yield from shapes.take_full()
    yield shapes.take()


def _images_of(archive: Archive, root: str) -> dict[str, str]:
    """The images beside the masks, by their names without suffix."""
    prefix = f"{root}/images/".lstrip("/")
    return {os.path.splitext(name)[0][len(prefix) :]: name for name in image_names(archive) if name.startswith(prefix)}


def _frames(names: Sequence[str]) -> dict[str, int | None]:
    """The frame of each mask, from 0. Names like ``frame_000007`` count from 0; those of digits may count from 1."""
    numbers: dict[str, list[tuple[str, int]]] = defaultdict(list)
    found: dict[str, int | None] = dict.fromkeys(names)
    for name in names:
        folder, _, base = name.rpartition("/")
        if base.startswith("frame_") and _DIGITS.fullmatch(base[6:]):
            found[name] = int(base[6:])
        elif _DIGITS.fullmatch(base):
            numbers[folder].append((name, int(base)))
    for group in numbers.values():
        first = 0 if any(number == 0 for _, number in group) else 1
        found |= {name: number - first for name, number in group}
    return found


def _video_of(archive: Archive, root: str, name: str) -> str:
    """What the video of a frame is called: by its folder; without one, the only video, or as the subset."""
    if folder := name.rpartition("/")[0]:
        return folder
    prefix = f"{root}/" if root else ""
    videos = [video for video in video_names(archive) if video.startswith(prefix)]
    return videos[0] if len(videos) == 1 else root.rpartition("/")[2] or archive.path.stem


def _read_mask(
    shapes: Shapes, item: int, mask: mask_images.MaskImage, classes: Classes, place: str, report: ReadReport
) -> None:
    if mask.numbers is None:
        report.skip(place, "the mask has colours, and not numbers of objects")
        return
    for value, found in mask_images.objects(mask.numbers):
        number, track = divmod(value, BASE)
        if number not in classes.names:
            report.skip(place, "an object of a class that labels.txt does not have")
        else:
            index = None if value == IGNORED_CLASS * BASE and classes.names[number] == _IGNORED else track
            shapes.add(item, "mask", classes.names[number], mask=found, index=index, place=place)


def read_texts(archive: Archive, items: Items, given: Sequence[str], report: ReadReport) -> Iterator[pa.Table]:
    """Read the text files: of MOTSChallenge's sequences, whose frames count from 1, and of ``instances_txt``, from 0."""
    files = text_files(archive)
    kitti = [name for name in files if TEXTS in name.split("/")[:-1]]
    own = {name for name in files if name not in kitti}
    own |= {name for name in label_files(archive) if name.endswith("gt.txt") and not first_line(archive, name)}
    sequences = [(sequence, 1) for sequence in find_sequences(archive, sorted(own))] if own else []
    sequences += [(_kitti(archive, name), 0) for name in kitti]
    for sequence, first in sequences:
        if sequence.gt is not None or sequence.images:
            yield from _Text(archive, sequence, first, given, items, report).read()


def _kitti(archive: Archive, name: str) -> MotSequence:
    """The sequence of a text file in ``instances_txt``, with its images in ``images`` or ``image_02``."""
    parts = name.split("/")
    root, stem = "/".join(parts[: parts.index(TEXTS)]), parts[-1].removesuffix(".txt")
    sequence = MotSequence(stem, gt=name, video=stem)
    split = root.rpartition("/")[2]
    sequence.split = split if split not in ("", "default") else None
    folders = {f"{root}/{folder}/{stem}".lstrip("/") for folder in ("images", "image_02")}
    sequence.images = numbered([image for image in image_names(archive) if image.rpartition("/")[0] in folders])
    return sequence


class _Text:
    """One text file."""

    def __init__(
        self,
        archive: Archive,
        sequence: MotSequence,
        first: int,
        given: Sequence[str],
        items: Items,
        report: ReadReport,
    ) -> None:
        self._archive, self._sequence, self._first = archive, sequence, first
        self._items, self._report = items, report
        folder = (sequence.gt or "").rpartition("/")[0]
        self._classes = Classes.of(archive, (folder, sequence.folder, folder.rpartition("/")[0], ""), given)
        self._by_frame: dict[int, int] = {}  # frame from 0 → item
        for number in sorted({*sequence.images, *sequence.names}):
            self._add(number - 1, sequence.info.size)

    def _add(self, frame: int, size: tuple[int, int] | None) -> int:
        sequence, (width, height) = self._sequence, size or (None, None)
        name = sequence.item_name(frame + 1) if self._first else f"{sequence.folder}/{frame:06d}"
        self._by_frame[frame] = self._items.add(
            name, sequence.split, width, height, frame, sequence.images.get(frame + 1), sequence.video,
            sequence.info.length,
        )  # fmt: skip
        return self._by_frame[frame]

    def read(self) -> Iterator[pa.Table]:
        """The labels of the file."""
        name = self._sequence.gt
        if name is None:
            return
        shapes = Shapes()
        with self._archive.open(name) as stream:
            number = 0
            while line := stream.readline(_LONGEST):
                number += 1
                place = f"{self._archive.where(name)} line {number}"
                if len(line) == _LONGEST:
                    raise InvalidSource(f"{place} has more than {_LONGEST:,} bytes, and is no line of MOTS.")
                if line.strip():
                    self._read_line(shapes, line.decode("ascii", "replace").strip(), place)
                yield from shapes.take_full()
        yield shapes.take()

    def _read_line(self, shapes: Shapes, line: str, place: str) -> None:
        found = _LINE.fullmatch(line)
        if found is None:
            self._report.skip(place, "it is not: frame, object, class, height, width, RLE")
            return
        frame, value, number, height, width = (int(found[at]) for at in range(1, 6))
        frame -= self._first
        if frame < 0 or not (0 < height < _MOST_SIDE and 0 < width < _MOST_SIDE):
            self._report.skip(place, "its frame or its size is no number that these can have")
            return
        if number not in self._classes.names:
            self._report.skip(place, "its class is not in labels.txt")
            return
        item = self._by_frame.get(frame)
        if item is None:
            item = self._add(frame, (width, height))
        is_ignored = self._classes.names[number] == _IGNORED
        index = None if is_ignored else value % BASE if value // BASE == number else value
        mask = {"size": [height, width], "counts": found[6].encode()}
        shapes.add(item, "mask", self._classes.names[number], mask=mask, index=index, place=place)
