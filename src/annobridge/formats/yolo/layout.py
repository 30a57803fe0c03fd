"""Which images and label files of an archive belong together, and to which split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..common.archive import Archive
from ..common.images import image_names
from ..common.report import ReadReport
from ..names import with_slashes
from .config import Config

SPLITS = ("train", "training", "val", "valid", "validation", "dev", "test", "testing", "minival", "minitrain")
_IMAGES, _LABELS = "images", "labels"
_NO_LABELS = frozenset(
    {"classes.txt", "labels.txt", "names.txt", "readme.txt", "readme.roboflow.txt", "readme.dataset.txt"}
)
_MASKS = frozenset({"mask", "masks", "depth", "panoptic"})  # folders of pictures that are no samples


@dataclass(frozen=True, slots=True)
class Entry:
    """An image with its label file; either may be missing from the archive."""

    name: str  # of the item
    split: str | None
    image: str | None
    labels: str | None


class Layout:
    """The images and label files of an archive."""

    def __init__(self, archive: Archive, config: Config, report: ReadReport) -> None:
        self._archive, self._config, self._report = archive, config, report
        self._root = config.folder
        self._images = image_names(archive)
        self._texts = [n for n in archive.by_suffix.get(".txt", ()) if _base(n).lower() not in _NO_LABELS]
        self._folders = {"."} | {
            str(above)
            for folder in {name.rpartition("/")[0] for name in archive.names}
            for above in (folder or ".", *PurePosixPath(folder).parents)
        }
        self._taken = set[str]()  # images and label files that have an entry
        self._lists = set[str]()

    def entries(self) -> Iterator[Entry]:
        """All entries: of the splits that are declared, then what else there is."""
        yield from self._declared()
        for name in self._images:
            labels = self._labels_of(name)
            if name not in self._taken and (labels is not None or not _MASKS & set(name.lower().split("/")[:-1])):
                yield self._entry(name, _split_of(name, _IMAGES), name, labels)
        for name in self._texts:
            if name not in self._taken and name not in self._lists and self._has_labels(name):
                yield self._entry(_stem(name), _split_of(name, _LABELS), None, name)

    def _declared(self) -> Iterator[Entry]:
        splits = [
            (key, [place for path in paths if (place := self._place(path)) is not None])
            for key, paths in self._config.splits.items()
        ]
        splits = [(key, places) for key, places in splits if places]
        # One folder for all splits, as for training and validation alike, is no split, unless it is called so.
        nameless = len(splits) > 1 and all(places == splits[0][1] for _, places in splits)
        splits.sort(key=lambda split: not all(split[0] in PurePosixPath(place).parts for place in split[1]))
        seen = list[list[str]]()
        again = 0
        for key, places in splits:
            if places in seen:  # validation on the images of the training
                continue
            seen.append(places)
            split = None if nameless and key not in PurePosixPath(places[0]).parts else key
            for image, labels in (pair for place in places for pair in self._of_place(place)):
                if (image or labels) in self._taken:
                    again += 1
                else:
                    yield self._entry(image or _stem(labels or ""), split, image, labels)
        if again:
            self._report.note("images are in more than one split; they are in the first one", again)

    def _entry(self, path: str, split: str | None, image: str | None, labels: str | None) -> Entry:
        self._taken.update(name for name in (image, labels) if name is not None)
        there = image if image is not None and image in self._archive else None
        return Entry(_item_name(path, split, self._root), split, there, labels)

    def _of_place(self, place: str) -> Iterator[tuple[str | None, str | None]]:
        """The images and label files of a folder or of a list."""
        if place.endswith(".txt") and place in self._archive:
            self._lists.add(place)
            for _, line in self._archive.lines(place):
                image = self._listed(line.strip(), place)
                yield image, self._labels_of(image)
            return
        inside = "" if place == "." else f"{place}/"
        with_images = set()
        for name in self._images:
            if name.startswith(inside):
                labels = self._labels_of(name)
                with_images.add(labels)
                yield name, labels
        beside = "" if (swapped := _swapped(place)) == "." else f"{swapped}/"
        for name in self._texts:
            if (
                name.startswith(beside)
                and name not in with_images
                and name not in self._lists
                and self._has_labels(name)
            ):
                yield None, name

    def _place(self, path: str) -> str | None:
        """The folder or list file that a path of the YAML file means. It may be absolute, or relative to something else."""
        for candidate in _candidates(path, self._root, self._config.path):
            if candidate in self._archive or candidate in self._folders or _swapped(candidate) in self._folders:
                return candidate
        return None

    def _listed(self, line: str, list_file: str) -> str:
        """The image that a line of a list means; where it is not in the archive, its name as written."""
        folder = str(PurePosixPath(list_file).parent)
        first = None
        for candidate in _candidates(line, "" if folder == "." else folder, ""):
            if candidate in self._archive or self._labels_of(candidate) is not None:
                return candidate
            first = first or candidate
        return first or line

    def _labels_of(self, image: str) -> str | None:
        """The label file of an image: in the folder ``labels`` beside ``images``, or beside it."""
        stem = _stem(image)
        for name in (f"{_swapped(stem)}.txt", f"{stem}.txt"):
            if name in self._archive:
                return name
        return None

    def _has_labels(self, name: str) -> bool:
        """Whether a text without an image has labels: where it lies, or what is in it, says so."""
        if _LABELS in name.split("/")[:-1]:
            return True
        with self._archive.open(name) as stream:
            return is_label_text(stream.read(4096))


def is_label_text(head: bytes) -> bool:
    """Whether the beginning of a file is that of a label file: a whole number and relative positions on each line."""
    lines = [line.split() for line in head.splitlines() if line.strip()]
    lines = lines[: max(1, len(lines) - 1)] if len(head) >= 4096 else lines  # the last may be cut
    try:
        rows = [[float(value) for value in line] for line in lines[:50]]
    except ValueError:
        return False
    return bool(rows) and all(
        len(row) >= 5 and row[0] >= 0 and row[0] == int(row[0]) and all(-0.5 <= value <= 2 for value in row[1:])
        for row in rows
    )


def _candidates(path: str, folder: str, root: str) -> Iterator[str]:
    """The names in an archive that a path may mean, the most exact first."""
    path, root = with_slashes(path.strip()), with_slashes(root.strip())
    for whole in dict.fromkeys((_joined(folder, root, path), _joined(folder, path))):
        if whole is not None:
            yield whole
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for start in range(len(parts)):  # what is in front of it is of the machine where it was made
        for above in dict.fromkeys((folder, "")):
            yield "/".join([*([above] if above else []), *parts[start:]])


def _joined(*paths: str) -> str | None:
    """Paths in one; ``None`` where that leads out of the archive, or one is absolute."""
    parts: list[str] = []
    for path in paths:
        if path.startswith("/") or path[1:2] == ":":
            return None
        for part in path.split("/"):
            if part == ".." and not parts:
                return None
            parts = parts[:-1] if part == ".." else parts if part in ("", ".") else [*parts, part]
    return "/".join(parts) or "."


def _swapped(path: str) -> str:
    """A path with ``labels`` in the place of the last ``images``."""
    parts = path.split("/")
    for at in range(len(parts) - 1, -1, -1):
        if parts[at] == _IMAGES:
            return "/".join([*parts[:at], _LABELS, *parts[at + 1 :]])
    return path


def _split_of(path: str, folder: str) -> str | None:
    """The split that the folders of an image or label file are named after."""
    parts = path.split("/")[:-1]
    at = len(parts) - 1 - parts[::-1].index(folder) if folder in parts else len(parts)
    near: Sequence[str] = [*parts[at + 1 : at + 2], *parts[max(at - 1, 0) : at]] if at < len(parts) else parts[:1]
    return next((part for part in near if part.lower() in SPLITS), None)


def _item_name(path: str, split: str | None, root: str) -> str:
    """The name of an item: without what the layout adds in front of it."""
    parts = path.split("/")
    for folder in (_IMAGES, _LABELS):
        if folder in parts[:-1]:
            parts = parts[len(parts) - parts[::-1].index(folder) :]
            break
    else:
        if root and path.startswith(f"{root}/"):
            parts = path.removeprefix(f"{root}/").split("/")
    if split is not None and len(parts) > 1 and parts[0] == split:
        parts = parts[1:]
    return "/".join(parts)


def _stem(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and "/" not in suffix and _base(stem) else name


def _base(name: str) -> str:
    return name.rpartition("/")[2]
