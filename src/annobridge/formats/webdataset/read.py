"""Reading: samples one after another, and the objects in their JSON."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from ...core.media import PICTURES
from ...exceptions import InvalidSource
from ...spill.tables import Tables
from ..common import objects
from ..common.archive import Archive
from ..common.items import ITEMS, Items, Shapes
from ..common.mask_images import add_mask
from ..common.objects import BoxForm
from ..common.report import ReadReport
from ..common.shard_names import Unpacked, plain_name, split_of
from ..common.tar import members, tar_names
from .options import WebDatasetReading

_BATCH = 500  # samples
_LOOKED_AT = 40  # members of a tar by which it is recognised
_MOST_PARTS = 100  # of a sample
CLASSES = "classes.txt"  # beside the tars: the names of classes in the order of their numbers
_TEXTS = {"txt": "text", "text": "text", "caption": "caption"}
CLASS_KEYS = ("label", "labels", "class", "cls", "category")
_MASKS = re.compile(r"(.*[._])?(mask|masks|seg|segmentation|label|labels|annotation|semantic|panoptic|instance)s?\.png")
OWN = frozenset(
    {"sample_id", "media_type", "filepath", "frames", "fps", "split", "tags", "width", "height", "file_name"}
)
_COLUMN = re.compile(r"[^_.][^.]*")
_DECODER = msgspec.json.Decoder()
Parts = dict[str, bytes]


def key_of(member: str) -> tuple[str, str]:
    """The key of a member, which ends at the first dot of its base name, and the rest in lower case."""
    folder, slash, base = member.rpartition("/")
    stem, _, suffix = base.partition(".")
    return f"{folder}{slash}{stem}", suffix.lower()


def is_image(suffix: str) -> bool:
    return f".{suffix}" in PICTURES


class Reader:
    """Reads all tars of an archive. Objects wait on disk until the form of their boxes is decided."""

    def __init__(self, archive: Archive, items: Items, options: WebDatasetReading, report: ReadReport) -> None:
        self._archive, self._items, self._options, self._report = archive, items, options, report
        self._unpacked, self._shapes, self._tables = Unpacked(archive), Shapes(), Tables()
        self._numbers: list[int] = []  # of tables with objects
        self._sizes: list[np.ndarray] = []
        self._names: Sequence[str] = options.classes
        self._rows: list[dict[str, Any]] = []
        self._columns: list[dict[str, Any]] = []
        self._objects: dict[str, list[tuple[int, str, Any]]] = {}  # by the name of their key: item, place and value
        self._left: Counter[str] = Counter()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._tables.close()

    def read(self) -> Iterator[pa.Table]:
        """All shapes (``SHAPES``)."""
        for name in self._archive.by_suffix.get(".txt", ()):
            if not self._names and name.rpartition("/")[2] == CLASSES:
                self._names = [line for _, line in self._archive.lines(name)]
        for name in tar_names(self._archive):
            split, where = split_of(name), self._archive.where(name)
            for key, parts in _samples(members(self._archive, name), where):
                self._add(key, parts, split, f"{where} sample {key!r}")
                if len(self._rows) >= _BATCH:
                    self._flush()
                    yield from self._shapes.take_full()
        self._flush()
        yield self._shapes.take()
        for suffix, count in self._left.items():
            self._report.note(f"parts {suffix!r} of samples were left out", count)
        sizes = np.concatenate([np.zeros((0, 2)), *self._sizes])
        form = BoxForm()
        for rows, found, _ in self._found():
            form.add(found, sizes[rows])
        if said := form.decide(self._options.coordinates, self._options.box_format):
            self._report.assumptions.append(said)
        classes: Mapping[str, Sequence[str]] = dict.fromkeys(objects.CLASSES, self._names) if self._names else {}
        for rows, found, places in self._found():
            yield objects.shapes_of(found, form, rows, sizes[rows], places, classes, self._report)

    def _found(self) -> Iterator[tuple[np.ndarray, objects.Objects, list[str]]]:
        """Items, objects and places."""
        for number in self._numbers:
            table = self._tables.get(number).combine_chunks()
            found = objects.objects_of(table["objects"].combine_chunks())
            if found is not None:
                yield table["item"].to_numpy(), found, table["place"].to_pylist()

    def _add(self, key: str, parts: Parts, split: str | None, place: str) -> None:
        item = len(self._items) + len(self._rows)
        found = self._json(parts.pop("json"), place) if "json" in parts else {}
        image = next((suffix for suffix in parts if is_image(suffix)), None)
        given = found.pop("file_name", None)
        name = plain_name(given) if isinstance(given, str) else None
        name = name or f"{key}.{image or 'jpg'}"
        said = found.pop("split", None)
        split = said if isinstance(said, str) and said and plain_name(said) == said else split
        size = (found.pop("width", None), found.pop("height", None))
        width, height = size if all(type(s) is int and 0 < s < 1 << 31 for s in size) else (None, None)
        file, shown = None, None
        if image is not None:
            data = parts.pop(image)
            file, shown = self._unpacked.add(split or "images", name, data)
        if shown is not None and (width, height) in (shown, shown[::-1]):
            width, height = None, None  # as shown, or as stored
        self._sizes.append(np.array([(width, height) if width else shown or (np.nan, np.nan)], float))
        self._rows.append({"name": name, "split": split, "width": width, "height": height, "file": file})
        self._add_classes(item, found, parts, place)
        columns: dict[str, Any] = {}
        for suffix, data in parts.items():
            if suffix in _TEXTS:
                columns[_TEXTS[suffix]] = data.decode("utf-8", "replace").strip()
            elif _MASKS.fullmatch(suffix):
                add_mask(self._shapes, item, data, f"{place} {suffix!r}", self._names, self._report)
            else:
                self._left[suffix] += 1
        self._take_objects(item, found, place)
        for name_, value in found.items():
            if isinstance(value, str | int | float) and _COLUMN.fullmatch(name_) and name_ not in OWN:
                columns.setdefault(name_, value)
            elif value is not None and value not in ([], {}):
                self._left[f"json/{name_}"] += 1
        self._columns.append(columns)

    def _json(self, data: bytes, place: str) -> dict[str, Any]:
        try:
            found = _DECODER.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self._report.skip(place, "its JSON cannot be read")
            return {}
        if isinstance(found, list):
            return {"objects": found}
        if not isinstance(found, dict):
            self._report.skip(place, "its JSON is no object")
            return {}
        return found

    def _add_classes(self, item: int, found: dict[str, Any], parts: Parts, place: str) -> None:
        text = parts.pop("cls", b"").decode("utf-8", "replace").strip()
        value: Any = int(text) if re.fullmatch(r"\d{1,9}", text) else text or None
        for key in CLASS_KEYS:
            given = found.get(key)
            is_list = isinstance(given, list) and all(isinstance(v, str) for v in given) and "boxes" not in found
            if (isinstance(given, str | int) and not isinstance(given, bool)) or (is_list and "bbox" not in found):
                value = found.pop(key)
                break
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, int) and self._names:
                if not 0 <= one < len(self._names):
                    self._report.skip(place, "the number of its class has no name")
                    continue
                one = self._names[one]
            if one is not None and str(one):
                self._shapes.add(item, "classification", str(one), place=place)

    def _take_objects(self, item: int, found: dict[str, Any], place: str) -> None:
        """Take what holds boxes out of the JSON: lists of objects, objects of lists, and lists beside each other."""
        for key, value in list(found.items()):
            holds = isinstance(value, dict) and any(isinstance(value.get(box), list) for box in objects.BOXES)
            is_list = isinstance(value, list) and any(
                isinstance(v, dict) and any(b in v for b in objects.BOXES) for v in value
            )
            if holds or is_list:
                self._objects.setdefault(key, []).append((item, place, found.pop(key)))
        lists = {key: value for key, value in found.items() if isinstance(value, list)}
        if any(box in lists for box in objects.BOXES):
            self._objects.setdefault("", []).append((item, place, lists))
            for key in lists:
                del found[key]

    def _flush(self) -> None:
        """Make items of the rows, and keep their objects on disk."""
        if not self._rows:
            return
        rows = pa.Table.from_pylist(
            self._rows, pa.schema([ITEMS.field(n) for n in ("name", "split", "width", "height", "file")])
        )
        names_ = list(dict.fromkeys(name for row in self._columns for name in row))
        more = {name: _column([row.get(name) for row in self._columns]) for name in names_}
        self._items.extend(rows, pa.table(more) if more else None)
        for key, values in self._objects.items():
            self._keep(key, values)
        self._rows, self._columns, self._objects = [], [], {}

    def _keep(self, key: str, values: Sequence[tuple[int, str, Any]]) -> None:
        try:
            column = pa.array([value for _, _, value in values])
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            if len(values) > 1:
                for one in values:
                    self._keep(key, [one])
            else:
                self._report.skip(values[0][1], f"the values in its {key or 'boxes'!r} are of several types")
            return
        items, places = ([value[at] for value in values] for at in (0, 1))
        self._numbers.append(
            self._tables.add(pa.table({"item": pa.array(items, pa.int64()), "place": places, "objects": column}))
        )


def _column(values: Sequence[Any]) -> pa.Array:
    """Values of several types become text."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) > 1 and not kinds <= {int, float}:
        values = [value if isinstance(value, str | None) else json.dumps(value) for value in values]
    try:
        return pa.array([float(v) if v is not None and kinds == {int, float} else v for v in values])
    except (OverflowError, pa.ArrowException):
        return pa.array([None if value is None else str(value) for value in values])


def _samples(found: Iterator[tuple[str, bytes]], where: str) -> Iterator[tuple[str, Parts]]:
    """The members of a tar by their keys: those of one sample follow each other."""
    current, parts = "", Parts()
    for member, data in found:
        key, suffix = key_of(member)
        if key.rpartition("/")[2] in ("", "__MACOSX") or "/." in f"/{member}":
            continue
        if key != current and parts:
            yield current, parts
            parts = {}
        current = key
        if suffix in parts:
            raise InvalidSource(f"The member {member!r} is in {where} more than once; the archive is refused.")
        parts[suffix] = data
        if len(parts) > _MOST_PARTS:
            raise InvalidSource(
                f"The sample {key!r} in {where} has more than {_MOST_PARTS} parts; the archive is refused."
            )
    if parts:
        yield current, parts
