"""LFW 1.0 (Labeled Faces in the Wild): the person on each image, pairs of images of one person or of two, and landmarks."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..exceptions import InvalidSource
from .common.archive import Archive
from .common.class_folders import first_classes, require_folder_names, split_name, unique
from .common.export import ExportData
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.images import image_names
from .common.items import Items, Shapes, frame_of
from .common.paint import attribute_of
from .common.path_lookup import stem
from .common.report import ReadReport
from .names import with_slashes

_PAIRS, _PEOPLE, _LANDMARKS = "pairs.txt", "people.txt", "landmarks.txt"
_FOLDER, _IMAGES = "annotations", "images"
_POSITIVE, _NEGATIVE = "positive_pairs", "negative_pairs"
_NOBODY = "-"  # in the place of a person
_DEFAULT = "default"  # the subset of images without one
_WITH_PERSON = "written with the class of their image, where all points are there"
_LAST_NUMBER = re.compile(r"\d{1,18}$")
_BREAKS = re.compile(r"[\t\r\n]+")


class LfwFormat(FileFormat):
    """Lists of persons, of pairs and of landmarks."""

    name: ClassVar[str] = "lfw"
    title: ClassVar[str] = "LFW"
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds={"classification": KEPT, "keypoints": KEPT, "skeleton": "written as keypoints"},
        attributes=frozenset({_POSITIVE, _NEGATIVE}), only={"attributes": {"classification"}}, splits=True,
        several_classes=False,
        notes=(
            "The class of an image is the person; the landmarks of an image have no other.",
            f"{_POSITIVE} and {_NEGATIVE} are lists of images, as PERSON/NAME without suffix.",
        ),
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        """A list of pairs, with a list of persons or of landmarks beside it, or in a folder of annotations."""
        for folder in _folders(archive):
            name = folder + _PAIRS
            beside = any(folder + other in archive for other in (_PEOPLE, _LANDMARKS))
            if name in archive and (beside or folder.endswith(f"{_FOLDER}/")):
                return f"{name} is a list of pairs"
        return None

    def is_image(self, name: str) -> bool:
        """All are: a person may be called "masks"."""
        return True

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """The lists of each subset."""
        folders = _folders(archive)
        if not folders:
            raise InvalidSource(f"{str(archive.path)!r} has no {_PAIRS}; add it, or choose another format.")
        for folder in folders:
            yield from _Subset(archive, folder, items, report).read()

    def image_folder(self, split: str | None) -> str:
        """Of a subset; of its persons, the names of the items have the folders."""
        return f"{split or _DEFAULT}/{_IMAGES}"

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        """Put the person in front of the name of each item, and count what does not fit."""
        classes = first_classes(data, ["classification"])
        require_folder_names({name for name in classes if name is not None})
        data.refuse_classes(
            lambda name: name != _NOBODY and name == name.strip() and len(name.splitlines()) == 1,
            "in a line of people.txt",
        )
        people, before = set(data.classes), data.items["name"].to_pylist()
        names = [_in_folder(name, person, people) for name, person in zip(before, classes, strict=True)]
        moved = sum(person is None and old != new for old, new, person in zip(before, names, classes, strict=True))
        if moved:
            data.notes.append(f"{moved:,} images without a person are in a folder of its name; they were renamed.")
        data.rename(unique(names, data.items["split"].to_pylist()))
        data.lose_pointless()

    def fidelity_of(self, data: ExportData, options: WriteOptions) -> Fidelity:
        """Keypoints survive if they have the class of their image, and no point is missing."""
        classes = first_classes(data, ["classification"])
        for part in data.parts():
            rows = _of_kinds(part.labels, "keypoints", "skeleton")
            given = zip(*(rows[name].to_pylist() for name in ("item", "label", "points")), strict=True)
            if any(classes[item] != label or not np.isfinite(points[0]).all() for item, label, points in given):
                return replace(self.fidelity, kinds={**self.fidelity.kinds, "keypoints": _WITH_PERSON})
        return self.fidelity

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write three lists for each subset."""
        for split in data.splits:
            lists = _Lists(data.classes)
            for part in data.parts():
                for _, item, rows in part.by_item():
                    if item["split"] == split:
                        lists.add(str(item["name"]), rows)
            lists.write(data.folder / (split or _DEFAULT) / _FOLDER)


@dataclass(slots=True)
class _Image:
    """An image of the lists."""

    item: int
    person: str | None
    place: str
    positive: list[str] = field(default_factory=list)
    negative: list[str] = field(default_factory=list)


class _Subset:
    """The lists of one folder."""

    def __init__(self, archive: Archive, folder: str, items: Items, report: ReadReport) -> None:
        self._archive, self._folder, self._items, self._report = archive, folder, items, report
        root = folder.removesuffix(f"{_FOLDER}/") if folder.endswith(f"{_FOLDER}/") else folder
        split = root.rstrip("/").rpartition("/")[2] if root != folder else ""
        self._split = split if split not in ("", _DEFAULT) else None
        inside = [name for name in image_names(archive) if name.startswith(root)]
        in_images = f"{root}{_IMAGES}/"
        self._people = self._read_people()
        if any(name.startswith(in_images) for name in inside):
            paths = {name: name[len(in_images) :] for name in inside if name.startswith(in_images)}
        else:  # the original has folders of persons in a folder of any name
            paths = {name: _from_person(name[len(root) :], self._people) for name in inside}
        self._files = {stem(path): name for name, path in paths.items()}
        self._images: dict[tuple[str | None, str], _Image] = {}
        self._by_name: dict[str, list[_Image]] = {}
        self._shapes = Shapes()

    def read(self) -> Iterator[pa.Table]:
        pairs = [(place, cells) for place, cells in self._lines(_PAIRS) if self._take_image(place, cells)]
        for path, name in self._files.items():
            self._image(*self._person(path), self._archive.where(name))
        by_number: dict[tuple[str | None, int], list[str]] = {}
        for person, name in self._images:
            if number := _LAST_NUMBER.search(name):
                by_number.setdefault((person, int(number[0])), []).append(name)
        for place, cells in pairs:
            self._take_pair(place, cells, by_number)
        for place, cells in self._lines(_LANDMARKS):
            self._take_landmarks(place, cells)
            yield from self._shapes.take_full()
        for image in self._images.values():
            if image.person is not None:
                given = {_POSITIVE: image.positive or None, _NEGATIVE: image.negative or None}
                self._shapes.add(image.item, "classification", image.person, given, place=image.place)
            elif image.positive or image.negative:
                self._report.skip(image.place, "it is a pair of an image without a person")
            yield from self._shapes.take_full()
        yield self._shapes.take()

    def _lines(self, base: str) -> Iterator[tuple[str, list[str]]]:
        """Place and cells of each line but those that count, at the beginning."""
        name, most = self._folder + base, 2 if base == _PAIRS else 1  # numbers in a line that counts
        if name in self._archive:
            for number, line in self._archive.lines(name):
                cells = [cell.strip() for cell in line.strip("\r\n").rstrip().split("\t")]
                is_count = number <= 2 and all(map(str.isdecimal, cells)) and len(cells) <= most
                if not is_count:
                    yield f"{self._archive.where(name)} line {number}", cells

    def _read_people(self) -> set[str] | None:
        people = {cells[0] for _, cells in self._lines(_PEOPLE)}
        return people if self._folder + _PEOPLE in self._archive else None

    def _person(self, path: str) -> tuple[str | None, str]:
        """Person and name of an image that may be in the folder of a person."""
        folder, rest = split_name(path)
        is_person = folder is not None and (self._people is None or folder in self._people)
        return (folder, rest) if is_person else (None, path)

    def _image(self, person: str | None, name: str, place: str) -> _Image:
        found = self._images.get((person, name))
        if found is None:
            inside = name if person is None else f"{person}/{name}"
            item = self._items.add(name, self._split, frame=frame_of(name), file=self._files.get(inside))
            found = self._images[person, name] = _Image(item, person, place)
            self._by_name.setdefault(name, []).append(found)
        return found

    def _take_image(self, place: str, cells: list[str]) -> bool:
        """Take the image of a line, which is the first of a pair; says whether the line is a pair."""
        if not all(cells):
            self._report.skip(place, "it has an empty cell")
        elif len(cells) == 1:
            self._image(*self._person(stem(cells[0])), place)
        elif len(cells) in (3, 4):
            self._image(cells[0], _numbered(*cells[:2]), place)
            return True
        else:
            self._report.skip(place, "it is no image and no pair of images")
        return False

    def _take_pair(self, place: str, cells: list[str], by_number: Mapping[tuple[str | None, int], list[str]]) -> None:
        """Take the other image of a pair."""
        person, first, *_, second = cells
        image = self._images[person, _numbered(person, first)]
        other = person if len(cells) == 3 else cells[2]
        if other == _NOBODY:
            image.negative.append(second)
            self._image(None, second, place)
            return
        name = _numbered(other, second)
        if (other, name) not in self._images and second.isdecimal() and len(second) < 10:
            # CVAT writes the last number in a name, as 7 for frame_000007, whatever is before it.
            fits = by_number.get((other, int(second)), [])
            name = fits[0] if len(fits) == 1 else name
        (image.positive if len(cells) == 3 else image.negative).append(f"{other}/{name}")
        self._image(other, name, place)

    def _take_landmarks(self, place: str, cells: list[str]) -> None:
        try:
            numbers = [float(cell) for cell in cells[1:] if "_" not in cell]
        except ValueError:
            numbers = []
        if not numbers or len(numbers) % 2 or len(numbers) < len(cells) - 1 or not np.isfinite(numbers).all():
            self._report.skip(place, "it is no name with pairs of numbers behind it")
            return
        person, name = self._person(stem(with_slashes(cells[0])))
        # Datumaro has names without the person, whatever the image has.
        fits = [] if (person, name) in self._images or person is not None else self._by_name.get(name, [])
        if len(fits) > 1:
            self._report.skip(place, "images of several persons have this name")
            return
        image = fits[0] if fits else self._image(person, name, place)
        points = np.reshape(numbers, (-1, 2)).tolist()
        self._shapes.add(image.item, "keypoints", image.person, points=[points], place=place)


class _Lists:
    """The lines of the lists of one subset."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes, self._counts = classes, Counter[str]()
        self._positive, self._negative, self._plain, self._landmarks = (list[str]() for _ in range(4))

    def add(self, name: str, labels: pa.Table) -> None:
        """The lines of an image; ``name`` has the person in front."""
        path = stem(name)
        rows = _of_kinds(labels, "classification").to_pylist()
        if rows:
            row, person = rows[0], str(rows[0]["label"])
            self._counts[person] += 1
            own = _counted(person, path.removeprefix(f"{person}/"))
            pairs = {key: _references(attribute_of(row, key)) for key in (_POSITIVE, _NEGATIVE)}
            for other in pairs[_POSITIVE]:
                self._positive.append(f"{person}\t{own}\t{_counted(person, other.removeprefix(f'{person}/'))}")
            for other in pairs[_NEGATIVE]:
                folder, rest = split_name(other)
                second = f"{folder}\t{_counted(folder, rest)}" if folder in self._classes else f"{_NOBODY}\t{other}"
                self._negative.append(f"{person}\t{own}\t{second}")
            if not any(pairs.values()):
                self._plain.append(_apart(path))
        else:
            self._plain.append(_apart(path))
        for points in _of_kinds(labels, "keypoints", "skeleton")["points"].to_pylist():
            numbers = np.ravel(points[0]).tolist()
            if np.isfinite(numbers).all():
                self._landmarks.append("\t".join([name, *map(repr, numbers)]))

    def write(self, folder: Path) -> None:
        """Write the lists."""
        people = [f"{name}\t{self._counts[name]}" for name in self._classes]
        pairs = [*self._positive, *self._negative, *self._plain]
        folder.mkdir(parents=True, exist_ok=True)
        for base, lines in ((_PAIRS, pairs), (_PEOPLE, people), (_LANDMARKS, self._landmarks)):
            (folder / base).write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _folders(archive: Archive) -> list[str]:
    """The folders of lists, each with its "/"."""
    found = [name.rpartition("/") for name in archive.by_suffix.get(".txt", ())]
    return sorted({folder + slash for folder, slash, base in found if base == _PAIRS}) or sorted(
        {folder + slash for folder, slash, base in found if base == _LANDMARKS and folder.endswith(_FOLDER)}
    )


def _from_person(path: str, people: set[str] | None) -> str:
    """A path from the folder of the person on.

    >>> _from_person("lfw/Ann_Lee/a.jpg", {"Ann_Lee"}), _from_person("lfw/Ann_Lee/a.jpg", None), _from_person("a.jpg", None)
    ('Ann_Lee/a.jpg', 'Ann_Lee/a.jpg', 'a.jpg')
    """
    parts = path.split("/")
    if people is None:
        return "/".join(parts[-2:])
    at = next((at for at, part in enumerate(parts[:-1]) if part in people), 0)
    return "/".join(parts[at:])


def _numbered(person: str, name: str) -> str:
    """The name of an image that a number stands for.

    >>> _numbered("Ann_Lee", "7"), _numbered("Ann_Lee", "party"), _numbered("Ann_Lee", "7.jpg")
    ('Ann_Lee_0007', 'party', '7')
    """
    return f"{person}_{int(name):04d}" if name.isdecimal() and len(name) < 10 else stem(name)


def _counted(person: str | None, name: str) -> str:
    """The opposite: a number for a name that it stands for. A name that is a number itself gets a suffix."""
    match = re.fullmatch(rf"{re.escape(person or '')}_(\d{{4,9}})", name)
    if match and _numbered(person or "", str(int(match[1]))) == name:
        return str(int(match[1]))
    return _apart(name)


def _apart(name: str) -> str:
    return f"{name}.jpg" if name.isdecimal() else name


def _references(value: Any) -> list[str]:
    """Images of an attribute, which is a list, or text as tools keep it."""
    if isinstance(value, str):
        try:
            value = json.loads(value.replace("'", '"')) if value.startswith("[") else value.split(",")
        except ValueError:
            value = value.strip("[]").split(",")
    return [_BREAKS.sub(" ", str(one)).strip() for one in value if str(one).strip()] if isinstance(value, list) else []


def _of_kinds(labels: pa.Table, *kinds: str) -> pa.Table:
    rows = labels.filter(pc.is_in(labels["kind"], pa.array(kinds)))
    return rows.filter(rows["label"].is_valid()) if kinds == ("classification",) else rows


def _in_folder(name: str, person: str | None, people: set[str]) -> str:
    """A name in the folder of its person. One without a person is in no folder that is called as a person."""
    name = _BREAKS.sub(" ", name)
    folder, rest = split_name(name)
    if person is None:
        return name.replace("/", "_", 1) if folder in people else name
    return f"{person}/{rest if folder == person else name}"
