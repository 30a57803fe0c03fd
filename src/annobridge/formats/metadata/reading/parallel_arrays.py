"""Parallel arrays: the labels of an image as ``{"bbox": […], "categories": […]}``. Hugging Face, opsml, Pixano's first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ..keys import CONVERSATIONS
from . import conversations
from .chunk import Chunk, ParallelLabels
from .entities import Entities, check_view
from .folder_files import ImageFolder
from .json_lines import Line, fail
from .line_keys import ClassKeys, check_metadata, pop_classes, pop_record_keys

_SHAPES = {"bboxes": "bbox", "masks": "mask", "keypoints": "keypoints"}  # Pixano's tables, and what one row of them is
_ENTITY_KEYS = ("entities", "objects")


class FileNameReader:
    """Lines of Hugging Face's imagefolder and of opsml."""

    title = "lines with {!r}"
    pixels = True

    def __init__(self, folder: ImageFolder, key: str, class_keys: ClassKeys) -> None:
        self._folder, self._key, self._class_keys = folder, key, class_keys
        self._fields = LabelKeys()
        self._other_talks = 0

    def take(self, line: Line, number: int, where: str, chunk: Chunk) -> None:
        """Put what a line says into a chunk."""
        image = self._folder.image(line.pop(self._key), where, or_above=self._key == "filepath")
        if self._key == "filepath":
            line.pop("size", None)  # of the file, in bytes
        given = pop_record_keys(line, where, ("sample_id",))
        classes = pop_classes(line, where)
        talks = self._talks(line)
        fields = self._fields.take(line, where, _is_objects)
        sample = chunk.add_sample(image, number, given, check_metadata(line, where))
        if classes:
            chunk.add_labels("categories", ({"sample": sample, **row} for row in classes))
        if talks is not None:
            rows = conversations.parse_messages(talks, where)
            chunk.add_labels(CONVERSATIONS, ({"sample": sample, **row} for row in rows))
        for name, value in fields.items():
            if (found := self._objects(name, value, where)) is not None:
                boxes, columns = found
                self._class_keys.see(name, columns, where)
                chunk.parallel.setdefault(name, []).append(ParallelLabels(sample, boxes, columns))

    def _objects(self, name: str, value: Any, where: str) -> tuple[list[Any], dict[str, Any]] | None:
        rows = isinstance(value, list) and all(type(v) is dict for v in value)
        if not rows and not isinstance(value, dict | None):
            _fail_no_labels(name, value, "'bbox'", where)
        columns = _transposed(value) if rows else dict(value or {})
        if "bboxes" in columns:
            fail(
                where,
                f"has 'bboxes' in {name!r}, a key of Pixano's, beside an image key that is not; rename it to 'bbox'.",
            )
        columns = {key: v for key, v in columns.items() if v is not None}
        if not columns:
            return None
        if "bbox" not in columns:
            fail(where, f"has {name!r} without 'bbox'; add the boxes.")
        array_length(columns, name, where)
        return columns.pop("bbox"), columns

    def _talks(self, line: Line) -> Any:
        """Take conversations of Pixano's form out of a line; those of another form stay a column."""
        if conversations.has_pixano_form(line.get(CONVERSATIONS)):
            return line.pop(CONVERSATIONS)
        self._other_talks += bool(line.get(CONVERSATIONS))
        return None

    def done(self) -> list[str]:
        """What to tell at the end of the file."""
        if not self._other_talks:
            return []
        return [
            f"{self._other_talks} lines have {CONVERSATIONS!r} that are not questions with their responses; they are kept "
            "as a column."
        ]


class LabelKeys:
    """Which keys hold labels: one that does on some line of a file is a column on no other."""

    def __init__(self) -> None:
        self._labels: dict[str, str] = {}  # the first line of each
        self._columns: dict[str, str] = {}

    def take(self, line: Line, where: str, holds: Callable[[str, Any], bool]) -> Line:
        """Take the keys that hold labels out of a line. Raises ``InvalidSource`` if others have a column there."""
        found: Line = {}
        for name, value in list(line.items()):
            empty = value is None or value == [] or value == {}
            if holds(name, value):
                found[name] = line.pop(name)
                seen, others = self._labels, self._columns
            elif empty and name in self._labels:
                del line[name]
                continue
            else:
                seen, others = self._columns, self._labels
            if not empty and name not in seen:
                seen[name] = where
            if not empty and name in others:
                labels, column = (where, others[name]) if seen is self._labels else (others[name], where)
                fail(
                    column, f"has a value in {name!r} that is no labels, and {labels} has labels; give labels, or null."
                )
        return found


def _fail_no_labels(name: str, value: Any, key: str, where: str) -> NoReturn:
    fail(where, f"has {name!r} as {str(value)[:60]!r}, which is no labels; give {{{key}: [[…], …]}}, or null.")


def _is_objects(name: str, value: Any) -> bool:
    if type(value) is dict:
        return name == "objects" or "bbox" in value or "bboxes" in value
    if type(value) is list:
        return name == "objects" or any(type(v) is dict and "bbox" in v for v in value)
    return name == "objects"


def _transposed(rows: Sequence[Line]) -> Line:
    """A list of objects as parallel arrays."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def array_length(columns: Line, name: str, where: str) -> int:
    """The length of all arrays. Raises ``InvalidSource`` unless they have one."""
    if set(map(type, columns.values())) == {list} and len(all_lengths := set(map(len, columns.values()))) == 1:
        return all_lengths.pop()
    lengths = {key: len(value) for key, value in columns.items() if type(value) is list}
    if len(lengths) < len(columns):
        key = next(key for key in columns if key not in lengths)
        fail(where, f"has {key!r} in {name!r} as {str(columns[key])[:60]!r}; give a list, one value for each box.")
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{n} in {key!r}" for key, n in lengths.items())
        fail(where, f"has arrays of several lengths in {name!r}: {said}; give one value for each box.")
    return next(iter(lengths.values()), 0)


class QuickstartReader:
    """Lines of Pixano's quickstart: an image under the name of its view, entities under the name of their field."""

    title = "Pixano's lines with {!r}"
    pixels = False

    def __init__(self, folder: ImageFolder, views: Sequence[str], field: str, class_keys: ClassKeys) -> None:
        self._folder, self._views, self._class_keys = folder, views, class_keys
        self._entities = Entities(field, class_keys)
        self._field = field
        self._fields = LabelKeys()

    def take(self, line: Line, number: int, where: str, chunk: Chunk) -> None:
        """Put what a line says into a chunk."""
        images = {view: self._image(line.pop(view), where) for view in self._views if line.get(view) is not None}
        if not images:
            fail(where, f"has no image in {self._views[0]!r}; give its path.")
        given = pop_record_keys(line, where, ("id", "sample_id"))
        classes = pop_classes(line, where)
        talks = line.pop(CONVERSATIONS, None)
        fields = self._fields.take(line, where, _is_entities)
        samples = add_views(chunk, images, number, given, check_metadata(line, where))
        first = next(iter(samples.values()))
        if classes:
            chunk.add_labels("categories", ({"sample": first, **row} for row in classes))
        if talks is not None:
            rows = conversations.parse_messages(talks, where)
            chunk.add_labels(CONVERSATIONS, ({"sample": first, **row} for row in rows))
        for name, value in fields.items():
            if isinstance(value, list):
                listed = self._field if name in _ENTITY_KEYS else name
                self._entities.take(value, samples, where, chunk, listed)
            elif value is not None:
                if not isinstance(value, dict):
                    _fail_no_labels(name, value, "'bboxes'", where)
                self._take(name, value, samples, where, chunk)

    def _image(self, value: Any, where: str) -> int:
        if isinstance(value, list):
            if len(value) != 1:
                fail(where, f"names {len(value)} images in one view, a mosaic; give one image, or a view for each.")
            value = value[0]
        return self._folder.image(value, where, or_above=True)

    def _take(self, name: str, value: Line, samples: dict[str, int], where: str, chunk: Chunk) -> None:
        if "bbox" in value:
            fail(
                where,
                f"has 'bbox' in {name!r}, a key of the file_name dialect, beside Pixano's; rename it to 'bboxes'.",
            )
        columns = {key: v for key, v in value.items() if v is not None}
        views = columns.pop("view_ref", None)
        lists = [len(v) for v in columns.values() if isinstance(v, list)]
        if not lists or lists == [1] * len(lists):  # one entity may have its attributes bare
            columns = {key: v if isinstance(v, list) else [v] for key, v in columns.items()}
        count = array_length(columns, name, where)
        seen = views if isinstance(views, list) else [views] * count
        if len(seen) != count:
            fail(where, f"has {len(seen)} views for {count} entities in {name!r}; give one for each.")
        for view in seen:
            if view is not None:
                check_view(view, samples, where)
        found = columns.get("bboxes")
        alone = not columns.keys() & {"masks", "keypoints"} and len(samples) == 1
        if alone and found is not None and all(type(box) is not dict for box in found):
            del columns["bboxes"]
            self._class_keys.see(name, columns, where)
            chunk.parallel.setdefault(name, []).append(ParallelLabels(next(iter(samples.values())), found, columns))
            return
        rows = [_entity(columns, n, seen[n] or next(iter(samples))) for n in range(count)]
        self._entities.take(rows, samples, where, chunk, name)

    def done(self) -> list[str]:
        """What to tell at the end of the file."""
        return self._entities.notes()


def _is_entities(name: str, value: Any) -> bool:
    if type(value) is dict:
        return name == "objects" or bool(value.keys() & {"bbox", *_SHAPES})
    if type(value) is list:
        return name in _ENTITY_KEYS or any(type(v) is dict and "annotations" in v for v in value)
    return name in _ENTITY_KEYS


def _entity(columns: Line, n: int, view: str) -> Line:
    shapes = {_SHAPES[key]: columns[key][n] for key in _SHAPES if key in columns}
    rest = {key: column[n] for key, column in columns.items() if key not in _SHAPES}
    return {**rest, "annotations": {view: shapes}}


def add_views(chunk: Chunk, images: dict[str, int], number: int, given: dict[str, Any], line: Line) -> dict[str, int]:
    """A sample for each view of a record; with several, their ids are made of the record's."""
    if len(images) == 1:
        return {view: chunk.add_sample(image, number, given, line) for view, image in images.items()}
    record = given["sample_id"]
    samples = {}
    for view, image in images.items():
        named = {**given, "view": view, "record": record, "sample_id": record and f"{record}.{view}"}
        samples[view] = chunk.add_sample(image, number, named, line)
    return samples
