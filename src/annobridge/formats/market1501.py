"""Market-1501 1.0: images of persons whose names say who is on them, and which camera saw them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from ..exceptions import Unsupported
from .common.archive import Archive, is_safe_name
from .common.class_folders import split_name, unique
from .common.export import ExportData
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.images import image_names
from .common.items import Items, Shapes
from .common.paint import attribute_of
from .common.path_lookup import stem
from .common.report import ReadReport
from .names import with_slashes

LABEL = "market-1501"  # the class whose attributes the names are, as CVAT has it
_BOXES, _QUERY = "bounding_box_", "query"
_LIST = re.compile(r"images_(.+)\.txt")
_NAME = re.compile(r"(-?\d{1,18})_c(\d{1,9})s(\d{1,9})_(\d{1,18})_(\d{1,9})(.*)")
_NUMBERS = ("camera_id", "track_id", "frame_id", "bbox_id")
_LEFT_OUT = frozenset(
    {"gt_bbox", "gt_query"}
)  # further folders of the original, with the same images in other sections
_DEFAULT = "default"  # the subset of images without one


class MarketReadOptions(ReadOptions):
    """The options of reading Market-1501."""

    first_camera: int = Field(1, ge=0, le=1, description="the camera_id of c1: 1, or 0 as CVAT counts")


class MarketWriteOptions(WriteOptions):
    """The options of writing Market-1501."""

    first_camera: int = Field(1, ge=0, le=1, description="the camera_id of c1: 1, or 0 as CVAT counts")


class MarketFormat(FileFormat):
    """Folders and lists of images whose names are their labels."""

    name: ClassVar[str] = "market-1501"
    title: ClassVar[str] = "Market-1501"
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds={"classification": KEPT}, attributes=frozenset({"person_id", "query", *_NUMBERS}), splits=True,
        notes=(
            f"Classes of images with a person_id are written; they are read back as {LABEL!r}, with all of these attributes.",
            "Images get the names of Market-1501, with their own name at the end.",
        ),
    )  # fmt: skip
    reading: ClassVar[type[ReadOptions]] = MarketReadOptions
    writing: ClassVar[type[WriteOptions]] = MarketWriteOptions

    def detect(self, archive: Archive) -> str | None:
        """Its folders, or its lists."""
        for name in image_names(archive):
            if _folder_of(name) not in (None, _QUERY) and _NAME.fullmatch(stem(name.rpartition("/")[2])):
                return f"{name} is called as an image of Market-1501"
        for name in _lists(archive):
            first = next((line for _, line in archive.lines(name)), "")
            if _folder_of(first.strip()) is not None:
                return f"{name} is a list of images of Market-1501"
        return None

    def is_image(self, name: str) -> bool:
        """All are but those that the original has twice."""
        return not _LEFT_OUT & set(name.split("/")[:-1])

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """The images of the lists, and those in the folders that no list names."""
        assert isinstance(options, MarketReadOptions)  # noqa: S101 - the options of this format
        shapes, named = Shapes(), set[str]()
        for file in _lists(archive):
            root, _, base = file.rpartition("/")
            match = _LIST.fullmatch(base)
            for number, line in archive.lines(file):
                place = f"{archive.where(file)} line {number}"
                path = with_slashes(line.strip())
                if not is_safe_name(path) or match is None:
                    report.skip(place, "it is no name of an image")
                    continue
                name = f"{root}/{path}" if root else path
                named.add(name)
                _add(items, shapes, path, match[1], name if name in archive else None, place, options.first_camera)
            yield from shapes.take_full()
        for name in image_names(archive):
            folder = _folder_of(name)
            if name not in named and folder is not None and self.is_image(name):
                path = name[name.index(f"{folder}/") :]
                _add(items, shapes, path, folder.removeprefix(_BOXES), name, archive.where(name), options.first_camera)
            yield from shapes.take_full()
        yield shapes.take()

    def image_folder(self, split: str | None) -> str:
        """The names of the items have the folders, as some images are queries."""
        return "."

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        """Give the items the names that say what their labels say."""
        assert isinstance(options, MarketWriteOptions)  # noqa: S101 - the options of this format
        used: Counter[tuple[str, int, int]] = Counter()
        names, nobody, further, renamed, others = [], 0, 0, 0, 0
        for part in data.parts():
            for _, item, labels in part.by_item():
                rows = labels.filter(pc.equal(labels["kind"], "classification")).to_pylist()
                persons = [row for row in rows if attribute_of(row, "person_id") is not None]
                nobody, further = nobody + len(rows) - len(persons), further + max(len(persons) - 1, 0)
                folder, name = f"{_BOXES}{item['split'] or _DEFAULT}", str(item["name"])
                if persons:
                    others += persons[0]["label"] != LABEL
                    is_query = attribute_of(persons[0], "query") is True
                    folder = _QUERY if is_query else folder
                    name = _named(name, persons[0], options.first_camera, used)
                elif _NAME.fullmatch(stem(name.rpartition("/")[2])):
                    inside, slash, base = name.rpartition("/")
                    name, renamed = f"{inside}{slash}_{base}", renamed + 1
                names.append(f"{folder}/{name}")
        data.rename(unique(names, [None] * len(names)))  # queries of all splits are in one folder
        if renamed:
            data.notes.append(
                f"{renamed:,} images without a person have a name that says who is on them; they were renamed."
            )
        data.lose("classes of images have no person_id, and are left out", nobody)
        data.lose(f"persons have another class than {LABEL!r}, which they will have", others)
        data.lose("persons on images that have another one are lost", further)

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write a list for each subset."""
        lines: dict[str | None, list[str]] = {split: [] for split in data.splits}
        for name, split in zip(data.items["name"].to_pylist(), data.items["split"].to_pylist(), strict=True):
            lines[split].append(f"{name}\n")
        for split, some in lines.items():
            (data.folder / f"images_{split or _DEFAULT}.txt").write_text("".join(some), "utf-8")


def _lists(archive: Archive) -> list[str]:
    return [name for name in archive.by_suffix.get(".txt", ()) if _LIST.fullmatch(name.rpartition("/")[2])]


def _folder_of(name: str) -> str | None:
    """The folder of a subset, or of queries, that an image is in."""
    folders = name.split("/")[:-1]
    return next((f for f in folders if f == _QUERY or (f.startswith(_BOXES) and f != _BOXES)), None)


def _add(items: Items, shapes: Shapes, path: str, split: str, file: str | None, place: str, first_camera: int) -> None:
    """Add an image by its path from the folder of its subset on."""
    folder, rest = split_name(path)
    inside, slash, base = rest.rpartition("/")
    match = _NAME.fullmatch(stem(base))
    if match and match[6]:  # the name that the image had before
        base = match[6].removeprefix("_") + base[len(stem(base)) :]
    item = items.add(f"{inside}{slash}{base}", None if split == _DEFAULT else split, file=file)
    if match:
        numbers = dict(zip(_NUMBERS, map(int, match.groups()[1:5]), strict=True))
        numbers["camera_id"] += first_camera - 1
        values = {"person_id": match[1], "query": folder == _QUERY, **numbers}
        shapes.add(item, "classification", LABEL, values, place=place)


def _named(name: str, row: Mapping[str, Any], first_camera: int, used: Counter[tuple[str, int, int]]) -> str:
    """The name of an image that says what its label says. ``used`` counts the frames that have got a number here."""
    folder, slash, base = name.rpartition("/")
    own, suffix = stem(base), base[len(stem(base)) :]
    person = _person(attribute_of(row, "person_id"))
    camera, track = (_whole(row, key, 1) for key in ("camera_id", "track_id"))
    camera += 1 - first_camera if attribute_of(row, "camera_id") is not None else 0
    key = (person, camera, track)
    frame = _whole(row, "frame_id", used[key])
    used[key] = max(used[key], frame + 1)
    new = f"{person}_c{camera}s{track}_{frame:06d}_{_whole(row, 'bbox_id', 0):02d}"
    if own.startswith(new):
        return name
    # The name stays at the end; an underscore keeps it apart from the numbers.
    new += f"_{own}" if own[:1] in "_-" or own[:1].isdecimal() else own
    return f"{folder}{slash}{new}{suffix}"


def _person(value: Any) -> str:
    """The id of a person as a name has it: four digits at least.

    >>> _person(7), _person("0002"), _person(-1), _person("12")
    ('0007', '0002', '-1', '12')
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer():
        return f"{int(value):04d}" if value >= 0 else str(int(value))
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value):
        return value
    raise Unsupported("", [f"The person_id {value!r} is no number, which the names of Market-1501 need; correct it."])


def _whole(row: Mapping[str, Any], key: str, default: int) -> int:
    value = attribute_of(row, key)
    if value is None:
        return default
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise Unsupported("", [f"The {key} {value!r} is no number from 0, which the names need; correct it."])
    return number
