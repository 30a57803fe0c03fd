"""MOTChallenge's files: a folder for each sequence, with ``gt/gt.txt``, ``det/det.txt``, ``img1/`` and ``seqinfo.ini``."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..common.archive import Archive
from ..common.images import image_names, video_names

GT, DET, INFO, IMAGES, CLASSES = "gt", "det", "seqinfo.ini", "img1", "labels.txt"
NAMES = "names.txt"  # the names that images had before they were renamed after their frames: ours alone
SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
_LAST_NUMBER = re.compile(r"(\d{1,9})\D*$")
_HEAD = 4096
_MOST = 2**31 - 1


@dataclass(slots=True)
class Info:
    """What ``seqinfo.ini`` says."""

    name: str | None = None
    images: str = IMAGES
    length: int | None = None
    size: tuple[int, int] | None = None


@dataclass(slots=True)
class MotSequence:
    """The files of one sequence. ``images`` are its frames, counted from 1, and ``names`` those that they had elsewhere."""

    folder: str
    gt: str | None = None
    det: str | None = None
    info: Info = field(default_factory=Info)
    images: dict[int, str] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    split: str | None = None
    video: str = ""

    def item_name(self, frame: int) -> str:
        """The name of a frame, as its image has it, with or without suffix."""
        if (name := self.names.get(frame)) is not None:
            return name
        folder = self.folder.rpartition("/")[2]
        return f"{folder}/{self.info.images}/{frame:06d}" if folder else f"{frame:06d}"


def first_line(archive: Archive, name: str) -> str:
    """The first line of a file that is not blank."""
    with archive.open(name) as stream:
        head = stream.read(_HEAD).decode("utf-8", "replace").removeprefix("\ufeff")
    return next((line.strip() for line in head.splitlines() if line.strip()), "")


def label_files(archive: Archive) -> list[str]:
    """The files called ``gt.txt`` and ``det.txt``."""
    names = archive.by_suffix.get(".txt", ())
    return [name for name in names if name.rpartition("/")[2] in (f"{GT}.txt", f"{DET}.txt")]


def find_sequences(archive: Archive, files: Iterable[str]) -> list[MotSequence]:
    """The sequences of an archive, given its label files; also those that have images but no labels."""
    found: dict[str, MotSequence] = {}
    for name in files:
        stem = name.rpartition("/")[2].removesuffix(".txt")
        folder = _folder_of(name, stem)
        sequence = found.setdefault(folder, MotSequence(folder))
        if stem == DET:
            sequence.det = name
        else:
            sequence.gt = name
    for name in archive.names:
        if name.rpartition("/")[2] == INFO:
            folder = name.rpartition("/")[0]
            found.setdefault(folder, MotSequence(folder)).info = read_info(archive, name)
    by_folder: dict[str, list[str]] = defaultdict(list)
    for name in image_names(archive):
        by_folder[name.rpartition("/")[0]].append(name)
    for folder in by_folder:
        if folder.rpartition("/")[2] == IMAGES:
            found.setdefault(folder.rpartition("/")[0], MotSequence(folder.rpartition("/")[0]))
    sequences = [found[folder] for folder in sorted(found)]
    for sequence in sequences:
        sequence.images = numbered(by_folder.get(_below(sequence.folder, sequence.info.images), ()))
        sequence.names = _read_names(archive, sequence)
    _name_videos(archive, sequences)
    _name_splits(sequences)
    return sequences


def _read_names(archive: Archive, sequence: MotSequence) -> dict[int, str]:
    """The names of images by frame, where ``names.txt`` is beside the labels."""
    found: dict[int, str] = {}
    for file in filter(None, (sequence.gt, sequence.det)):
        name = _below(file.rpartition("/")[0], NAMES)
        if name in archive:
            for _, line in archive.lines(name):
                number, _, rest = line.partition(" ")
                if (frame := _integer(number)) is not None and rest:
                    found.setdefault(frame, rest)
    return found


def _folder_of(name: str, stem: str) -> str:
    """The folder of a sequence, given its label file; of one that is called as its sequence, ``FOLDER/NAME`` of it."""
    folder = name.rpartition("/")[0]
    if stem in (GT, DET):
        return folder.rpartition("/")[0] if folder.rpartition("/")[2] == stem else folder
    return _below(folder, stem)


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def numbered(names: Sequence[str]) -> dict[int, str]:
    """Images by their frame, from 1: by the last number in their names, else by their order."""
    found: dict[int, str] = {}
    for name in names:
        number = _LAST_NUMBER.search(name.rpartition("/")[2].rpartition(".")[0])
        if number is None or int(number[1]) in found:
            return dict(enumerate(sorted(names), 1))
        found[int(number[1])] = name
    first = 1 if 0 in found else 0
    return {number + first: found[number] for number in sorted(found)}


def read_info(archive: Archive, name: str) -> Info:
    """``seqinfo.ini``. What is missing or odd in it is as if it were not there."""
    values = {}
    for line in archive.text(name).splitlines():
        key, _, value = line.partition("=")
        values[key.strip().lower()] = value.strip()
    width, height, length = (_integer(values.get(key)) for key in ("imwidth", "imheight", "seqlength"))
    folder = values.get("imdir", IMAGES).strip("/") or IMAGES
    return Info(values.get("name") or None, folder, length, (width, height) if width and height else None)


def _integer(text: str | None) -> int | None:
    number = int(text) if text is not None and text.isdecimal() and len(text) < 11 else 0
    return number if 0 < number <= _MOST else None


def _name_videos(archive: Archive, sequences: Sequence[MotSequence]) -> None:
    """What the video of each sequence is called: the one in its folder, else by the folder or by ``seqinfo.ini``."""
    by_folder: dict[str, list[str]] = defaultdict(list)
    videos = video_names(archive)
    for name in videos:
        by_folder[name.rpartition("/")[0]].append(name)
    for sequence in sequences:
        own = by_folder[sequence.folder]
        if not own and len(sequences) == 1:
            own = videos
        named = sequence.folder.rpartition("/")[2] or sequence.info.name or archive.path.stem
        sequence.video = own[0] if len(own) == 1 else named


def _name_splits(sequences: Sequence[MotSequence]) -> None:
    """The split of each: its folder, or the folder that it is in, if that is called as a split is, or differs between them."""
    parents = {sequence.folder.rpartition("/")[0] for sequence in sequences}
    is_level = len({parent.count("/") for parent in parents if parent}) == 1 and "" not in parents
    for sequence in sequences:
        parent, _, folder = sequence.folder.rpartition("/")
        above = parent.rpartition("/")[2]
        if folder.lower() in SPLITS and above.lower() not in SPLITS:
            sequence.split = folder
        elif above and (above.lower() in SPLITS or (len(parents) > 1 and is_level)):
            sequence.split = above
