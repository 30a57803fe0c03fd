"""Lines with parallel arrays, the labels of an image as ``{"bbox": […], "categories": […]}``: Hugging Face, opsml, and
Pixano's quickstart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ..keys import CATEGORIES, CONVERSATIONS, LABEL, OBJECTS
from . import conversations
from .chunk import Chunk, ParallelLabels, of_sample
from .entities import Entities, check_view
from .folder_files import ImageFolder
from .json_lines import Line, fail
from .line_keys import ClassKeys, Counts, check_metadata, pop_class, pop_classes, pop_record_keys

_SHAPES = {
    "bboxes": "bbox",
    "masks": "mask",
    "keypoints": "keypoints",
}  # arrays of Pixano's, and annotations of an entity
_ENTITY_KEYS = ("entities", OBJECTS)
_OTHER_CONVERSATIONS = "other conversations"  # lines whose conversations are of another form


class FileNameReader:
    """Reads the lines of Hugging Face's imagefolder and of opsml.

    Args:
        folder: the folder of the images.
        key: the key of the image.
        class_keys: where the key of the class is recorded.
    """

    title = "lines with {!r}"
    always_pixels = True

    def __init__(self, folder: ImageFolder, key: str, class_keys: ClassKeys) -> None:
        self._folder, self._key, self._class_keys = folder, key, class_keys
        self._label_keys = LabelKeys()
        self._class_line = ""  # the first with a class of the image
        self._counts = Counts()

    def add_line(self, line: Line, number: int, where: str, chunk: Chunk) -> None:
        """Add the sample and the labels of a line to a chunk. Raises ``InvalidSource``."""
        image = self._folder.find(line.pop(self._key), where, or_above=self._key == "filepath")
        if self._key == "filepath":
            line.pop("size", None)  # of the file, in bytes
        record_keys = pop_record_keys(line, where, ("sample_id",))
        classes, own_class = pop_classes(line, where), self._pop_class(line, where)
        messages = self._pop_conversations(line)
        fields = self._label_keys.pop_from(line, where, _is_objects)
        sample = chunk.add_sample(image, number, record_keys, check_metadata(line, where))
        for name, value in fields.items():
            if columns := self._columns(name, value, where):
                boxes = columns.pop("bbox")
                self._class_keys.check(name, columns, where)
                chunk.add_parallel(name, ParallelLabels(sample, boxes, columns))
        if classes:
            chunk.add_labels(CATEGORIES, of_sample(sample, classes))
        if own_class:
            chunk.add_labels(LABEL, of_sample(sample, own_class))
        if messages is not None:
            chunk.add_labels(CONVERSATIONS, of_sample(sample, conversations.parse_messages(messages, where)))

    def _columns(self, name: str, value: Any, where: str) -> dict[str, Any]:
        """The parallel arrays of a field, ``bbox`` among them; none where the field has no labels."""
        is_list = isinstance(value, list) and all(type(v) is dict for v in value)
        if not is_list and not isinstance(value, dict | None):
            _fail_no_labels(name, value, "'bbox'", where)
        columns = _transposed(value) if is_list else dict(value or {})
        if "bboxes" in columns:
            fail(
                where,
                f"has 'bboxes' in {name!r}, a key of Pixano's, beside an image key that is not; rename it to 'bbox'.",
            )
        columns = {key: v for key, v in columns.items() if v is not None}
        if columns and "bbox" not in columns:
            fail(where, f"has {name!r} without 'bbox'; add the boxes.")
        array_length(columns, name, where)
        return columns

    def _pop_class(self, line: Line, where: str) -> list[dict[str, Any]]:
        """Take the class of the image out of a line. A key ``label`` with other values is labels, or a column."""
        found = pop_class(line)
        if found:
            self._class_line = self._class_line or where
        elif line.get(LABEL) is None:
            line.pop(LABEL, None)
        if self._class_line and LABEL in line:
            fail(
                where,
                f"has {LABEL!r} = {str(line[LABEL])[:60]}, and {self._class_line} has a class there; give a text, or null.",
            )
        return found

    def _pop_conversations(self, line: Line) -> Any:
        """Take conversations of Pixano's form out of a line; those of another form stay a column."""
        if conversations.has_pixano_form(line.get(CONVERSATIONS)):
            return line.pop(CONVERSATIONS)
        self._counts[_OTHER_CONVERSATIONS] += bool(line.get(CONVERSATIONS))
        return None

    def finish(self) -> list[str]:
        """Notes on all lines."""
        if not (count := self._counts[_OTHER_CONVERSATIONS]):
            return []
        return [
            f"{count} lines have {CONVERSATIONS!r} that are not questions with their responses; they are kept as a column."
        ]


class LabelKeys:
    """Which keys hold labels: a key that does on some line of a file is a column on no other."""

    def __init__(self) -> None:
        self._labels: dict[str, str] = {}  # where the first labels of each key are
        self._columns: dict[str, str] = {}  # where the first other value of each key is

    def pop_from(self, line: Line, where: str, holds_labels: Callable[[str, Any], bool]) -> Line:
        """Take the keys that hold labels out of a line, and those without a value that hold labels on other lines.

        Raises ``InvalidSource`` for a key with labels on one line and another value on another.
        """
        found: Line = {}
        for name, value in list(line.items()):
            empty = value is None or value == [] or value == {}
            if holds_labels(name, value):
                found[name] = line.pop(name)
                first, first_other = self._labels, self._columns
            elif empty and name in self._labels:
                del line[name]
                continue
            else:
                first, first_other = self._columns, self._labels
            if empty:
                continue
            first.setdefault(name, where)
            if name in first_other:
                labels, column = (where, first_other[name]) if name in found else (first_other[name], where)
                fail(
                    column,
                    f"has a value in {name!r} that holds no labels, and {labels} has labels; give labels, or null.",
                )
        return found


def _fail_no_labels(name: str, value: Any, key: str, where: str) -> NoReturn:
    fail(where, f"has {name!r} as {str(value)[:60]!r}, which holds no labels; give {{{key}: [[…], …]}}, or null.")


def _is_objects(name: str, value: Any) -> bool:
    if type(value) is dict:
        return name == OBJECTS or "bbox" in value or "bboxes" in value
    if type(value) is list:
        return name == OBJECTS or any(type(v) is dict and "bbox" in v for v in value)
    return name == OBJECTS


def _transposed(rows: Sequence[Line]) -> Line:
    """A list of objects as parallel arrays."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def array_length(columns: Line, name: str, where: str) -> int:
    """The length of the arrays of a field. Raises ``InvalidSource`` unless all are lists of one length."""
    lengths = {key: len(value) for key, value in columns.items() if type(value) is list}
    if len(lengths) < len(columns):
        key = next(key for key in columns if key not in lengths)
        fail(where, f"has {key!r} in {name!r} as {str(columns[key])[:60]!r}; give a list, one value for each box.")
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{n} in {key!r}" for key, n in lengths.items())
        fail(where, f"has arrays of several lengths in {name!r}: {listed}; give one value for each box.")
    return next(iter(lengths.values()), 0)


class QuickstartReader:
    """Reads the lines of Pixano's quickstart: an image under the name of its view, entities under the name of their field.

    Args:
        folder: the folder of the images.
        views: the keys of the images.
        field: the label field of entities that are listed under ``entities`` or ``objects``.
        class_keys: where the key of the class is recorded.
    """

    title = "Pixano's lines with {!r}"
    always_pixels = False

    def __init__(self, folder: ImageFolder, views: Sequence[str], field: str, class_keys: ClassKeys) -> None:
        self._folder, self._views, self._field, self._class_keys = folder, views, field, class_keys
        self._entities = Entities(field, class_keys)
        self._label_keys = LabelKeys()

    def add_line(self, line: Line, number: int, where: str, chunk: Chunk) -> None:
        """Add the samples and labels of a line to a chunk. Raises ``InvalidSource``."""
        images = {view: self._image(line.pop(view), where) for view in self._views if line.get(view) is not None}
        if not images:
            fail(where, f"has no image in {self._views[0]!r}; give its path.")
        record_keys = pop_record_keys(line, where, ("id", "sample_id"))
        classes = pop_classes(line, where)
        messages = line.pop(CONVERSATIONS, None)
        fields = self._label_keys.pop_from(line, where, _is_entities)
        samples = add_views(chunk, images, number, record_keys, check_metadata(line, where))
        first = next(iter(samples.values()))
        for name, value in fields.items():
            if isinstance(value, list):
                field = self._field if name in _ENTITY_KEYS else name
                self._entities.add_to(chunk, value, samples, where, field)
            elif value is not None:
                if not isinstance(value, dict):
                    _fail_no_labels(name, value, "'bboxes'", where)
                self._add_arrays(chunk, name, value, samples, where)
        if classes:
            chunk.add_labels(CATEGORIES, of_sample(first, classes))
        if messages is not None:
            chunk.add_labels(CONVERSATIONS, of_sample(first, conversations.parse_messages(messages, where)))

    def _image(self, value: Any, where: str) -> int:
        if isinstance(value, list):
            if len(value) != 1:
                fail(where, f"names {len(value)} images in one view, a mosaic; give one image, or a view for each.")
            value = value[0]
        return self._folder.find(value, where, or_above=True)

    def _add_arrays(self, chunk: Chunk, name: str, value: Line, samples: dict[str, int], where: str) -> None:
        """Add the labels of a field that are parallel arrays."""
        if "bbox" in value:
            fail(
                where,
                f"has 'bbox' in {name!r}, a key of the file_name dialect, beside Pixano's; rename it to 'bboxes'.",
            )
        columns = {key: v for key, v in value.items() if v is not None}
        given_views = columns.pop("view_ref", None)
        lengths = [len(v) for v in columns.values() if isinstance(v, list)]
        if not lengths or lengths == [1] * len(lengths):  # one entity may have its attributes without lists
            columns = {key: v if isinstance(v, list) else [v] for key, v in columns.items()}
        count = array_length(columns, name, where)
        views = given_views if isinstance(given_views, list) else [given_views] * count
        if len(views) != count:
            fail(where, f"has {len(views)} views for {count} entities in {name!r}; give one for each.")
        for view in views:
            if view is not None:
                check_view(view, samples, where)
        boxes = columns.get("bboxes")
        boxes_only = not columns.keys() & {"masks", "keypoints"} and len(samples) == 1
        if boxes_only and boxes is not None and all(type(box) is not dict for box in boxes):
            del columns["bboxes"]
            self._class_keys.check(name, columns, where)
            chunk.add_parallel(name, ParallelLabels(next(iter(samples.values())), boxes, columns))
            return
        entities = [_entity(columns, n, views[n] or next(iter(samples))) for n in range(count)]
        self._entities.add_to(chunk, entities, samples, where, name)

    def finish(self) -> list[str]:
        """Notes on all lines."""
        return self._entities.notes()


def _is_entities(name: str, value: Any) -> bool:
    if type(value) is dict:
        return name == OBJECTS or bool(value.keys() & {"bbox", *_SHAPES})
    if type(value) is list:
        return name in _ENTITY_KEYS or any(type(v) is dict and "annotations" in v for v in value)
    return name in _ENTITY_KEYS


def _entity(columns: Line, n: int, view: str) -> Line:
    """The n-th label of parallel arrays as an entity."""
    shapes = {_SHAPES[key]: columns[key][n] for key in _SHAPES if key in columns}
    rest = {key: column[n] for key, column in columns.items() if key not in _SHAPES}
    return {**rest, "annotations": {view: shapes}}


def add_views(
    chunk: Chunk, images: dict[str, int], number: int, record_keys: dict[str, Any], metadata: Line
) -> dict[str, int]:
    """Add a sample for each view of a record; returns their numbers by view. With several, their ids are made of the record's."""
    if len(images) == 1:
        return {view: chunk.add_sample(image, number, record_keys, metadata) for view, image in images.items()}
    record = record_keys["sample_id"]
    samples = {}
    for view, image in images.items():
        keys = {**record_keys, "view": view, "record": record, "sample_id": record and f"{record}.{view}"}
        samples[view] = chunk.add_sample(image, number, keys, metadata)
    return samples
