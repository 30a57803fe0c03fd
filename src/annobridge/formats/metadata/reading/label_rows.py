"""Labels of chunks, checked against their images, and made rows of ``LABELS``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....core import attributes, geometry
from ....core.arrays import Bools, Ints, as_array, as_mask
from ....core.checks import validate
from ....core.labels import LABELS
from ....exceptions import InvalidSource
from ..keys import NO_CONFIDENCE
from ..options import Reading
from . import boxes, value_types
from .boxes import Floats
from .chunk import PREFIX
from .json_lines import fail
from .line_file import LineFile
from .line_keys import ClassKeys
from .value_types import ValueTypes, Where

# Attributes that become columns of LABELS, if their values are of these types.
ATTRIBUTE_COLUMNS = {
    "label_id": pa.string(), "confidence": pa.float64(), "index": pa.int64(), "tags": pa.list_(pa.string()),
}  # fmt: skip
_NUMBERS = (pa.float64(), pa.int64())
_COPIED = ("index", "value", "points", "closed", "filled", "visibility", "mask", "confidence", "label_id")


@dataclass
class LabelRowBuilder:
    """Builds the rows of all labels of a source. ``check`` looks at all of them before ``rows`` builds the first.

    Attributes:
        options: what the user said of the source.
        types: the types of all values.
        class_keys: the key of the class in each field.
    """

    options: Reading
    types: ValueTypes
    class_keys: ClassKeys

    def __post_init__(self) -> None:
        self._other_scores: set[str] = set()  # fields whose ``score`` is an attribute
        self._other_confidence: set[str] = (
            set()
        )  # fields whose ``confidence`` is not from 0 to 1, and stays an attribute

    def default_box(self, file: LineFile) -> int:
        """The flags (``boxes``) of boxes of a file that do not state their unit."""
        return file.unit + (boxes.CORNERS if self.options.box_format == "xyxy" else 0)

    def check(self, name: str, table: pa.Table, file: LineFile, box_check: boxes.BoxCheck) -> None:
        """Check labels of a field (a table of ``Chunk.label_tables``). Raises ``InvalidSource`` with file and line."""
        lines = table["line"].to_numpy()
        where: Where = lambda n: file.location(int(lines[n]))  # noqa: E731
        self._classes(name, table, where, file)
        self._look_at_scores(name, table, file)
        if "box" in table.column_names:
            rows, found, flags = _boxes(table)
            sizes = file.folder.sizes[table["image"].to_numpy()[rows]].astype(np.float64)
            box_check.add(found, flags, sizes, lines[rows])
        if PREFIX + "confidence" in table.column_names and self.types.type(name, "confidence") in _NUMBERS:
            values = pc.cast(table[PREFIX + "confidence"], pa.float64(), safe=False)
            negative = pc.and_(pc.less(values, 0), pc.not_equal(values, NO_CONFIDENCE))
            if pc.any(pc.or_(negative, pc.greater(values, 1))).as_py():
                self._other_confidence.add(name)
        if PREFIX + "index" in table.column_names and self.types.type(name, "index") == pa.int64():
            _check_index(as_array(table[PREFIX + "index"]).fill_null(0).to_numpy(), where)
        if "mask" in table.column_names:
            sizes = file.folder.sizes[table["image"].to_numpy()]
            for n, mask in enumerate(table["mask"].to_pylist()):
                if mask is not None and (wrong := geometry.check_rle(mask, tuple(sizes[n].tolist()))):
                    fail(where(n), f"has a mask that {wrong}")

    def rows(self, name: str, table: pa.Table, file: LineFile, sample_ids: pa.Array) -> pa.Table:
        """Labels of a field as rows of ``LABELS``; ``sample_ids`` are by image of the folder."""
        count, lines = table.num_rows, table["line"].to_numpy()
        sizes = file.folder.sizes[table["image"].to_numpy()].astype(np.float64)
        has_kind, has_box = "kind" in table.column_names, "box" in table.column_names
        columns: dict[str, Any] = {
            "sample_id": sample_ids.take(as_array(table["image"])),
            "field": pa.repeat(pa.scalar(name), count),
            "kind": as_array(table["kind"]) if has_kind else pa.repeat(pa.scalar("box"), count),
        }
        if "label" in table.column_names:
            columns["label"] = as_array(table["label"])
        else:
            columns["label"] = self._classes(name, table, lambda n: file.location(int(lines[n])), file)
        columns |= {key: as_array(table[key]) for key in _COPIED if key in table.column_names}
        dropped = np.zeros(count, bool)
        if has_box:
            columns["bounding_box"], dropped = self._relative_boxes(table, file, sizes, columns["kind"])
        extra, from_attributes = self._attributes(name, table)
        if "confidence" in from_attributes and "confidence" in columns:  # the label's own, or else that of its box
            columns["confidence"] = pc.coalesce(columns["confidence"], from_attributes["confidence"])
        columns = {**from_attributes, **columns}
        columns["attributes"] = as_array(table["attributes"]) if "attributes" in table.column_names else extra
        found = pa.table(columns)
        if "mask" in columns["kind"].unique().to_pylist():
            found = _with_masks(found, sizes)
        if dropped.any():
            found = found.filter(pa.array(~dropped))
        return validate.clip(found) if has_box else found

    def _relative_boxes(self, table: pa.Table, file: LineFile, sizes: Floats, kind: pa.Array) -> tuple[pa.Array, Bools]:
        """The boxes relative to the image, null where there is none or it has no area; and which labels were only such a box."""
        rows, found, flags = _boxes(table)
        relative = boxes.to_relative(found, flags, sizes[rows], self.default_box(file))
        empty = np.zeros(table.num_rows, bool)
        empty[rows] = boxes.without_area(relative)
        index = np.full(table.num_rows, -1)
        index[rows] = np.arange(len(rows))
        column = pa.FixedSizeListArray.from_arrays(pa.array(relative.ravel()), 4)
        column = column.take(pa.array(index, mask=(index < 0) | empty))
        return column, empty & as_mask(pc.equal(kind, "box"))

    def _look_at_scores(self, name: str, table: pa.Table, file: LineFile) -> None:
        """Whether the values of ``score`` are confidences: numbers from 0 to 1, where nothing is called ``confidence``."""
        if PREFIX + "score" not in table.column_names:
            return
        values = as_array(table[PREFIX + "score"])
        is_number = values.type in _NUMBERS or pa.types.is_null(values.type)
        extremes = pc.min_max(values.cast(pa.float64())).as_py() if is_number else {"min": -1.0, "max": 2.0}
        fits = extremes["min"] is None or (extremes["min"] >= 0 and extremes["max"] <= 1)
        if not fits or not file.has_scores or PREFIX + "confidence" in table.column_names:
            self._other_scores.add(name)

    def _classes(self, name: str, table: pa.Table, where: Where, file: LineFile) -> pa.Array:
        """The class of each label. Raises ``InvalidSource`` for classes that are neither texts nor known numbers."""
        key = self.class_keys.by_field.get(name, "")
        if PREFIX + key not in table.column_names:
            return pa.nulls(table.num_rows, pa.string())
        column = self.types.cast(name, key, as_array(table[PREFIX + key]))
        if column.type == pa.string() or pa.types.is_null(column.type):
            return column.cast(pa.string())
        if column.type not in _NUMBERS:
            fail(where(0), f"has classes in {key!r} that are neither texts nor numbers; give names.")
        return self._class_names(name, key, column, where, file)

    def _class_names(self, name: str, key: str, column: pa.Array, where: Where, file: LineFile) -> pa.Array:
        """The classes that numbers stand for, by the option ``classes``, or by a description of the dataset; else the numbers."""
        classes = self.options.classes or file.features.names.get((name,) if name == key else (name, key))
        if classes is None and not file.is_file:
            first = int(np.flatnonzero(as_mask(column.is_valid()))[0]) if column.null_count < len(column) else 0
            raise InvalidSource(
                f"{where(first)} has the class {column[first].as_py()} in {key!r} of {name!r}, a number; say what the numbers "
                "mean with classes=['…', …] (from 0), or classes='text' to keep them as texts."
            )
        if classes is None:
            note = (
                f"The classes in {key!r} of {name!r} in {str(file.path)!r} are numbers without names, and are kept as texts; "
                "name them with classes=['…', …] (from 0)."
            )
            if note not in file.notes:
                file.notes.append(note)
        if classes is None or classes == "text":
            return value_types.json_texts(column)
        numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
        wrong = np.flatnonzero((numbers < 0) | (numbers >= len(classes)) | (numbers != np.floor(numbers)))
        if wrong.size:
            row = int(wrong[0])
            fail(
                where(row),
                f"has the class {column[row].as_py()}, and classes= names {len(classes)}, from 0; name them all.",
            )
        index = pa.array(numbers.astype(np.int64), mask=~as_mask(column.is_valid()))
        return pa.array(classes, pa.string()).take(index)

    def _attributes(self, name: str, table: pa.Table) -> tuple[pa.Array, dict[str, pa.Array]]:
        """The attributes of each label, and those of them that become columns of ``LABELS``."""
        rows, values, columns = [], [], {}
        for key in sorted(n.removeprefix(PREFIX) for n in table.column_names if n.startswith(PREFIX)):
            if key == self.class_keys.by_field.get(name):
                continue
            column = self.types.cast(name, key, as_array(table[PREFIX + key]))
            if pa.types.is_null(column.type):
                continue
            if key == "score" and name not in self._other_scores:
                columns["confidence"] = column.cast(pa.float64())
                continue
            if self._becomes_column(name, key, column.type):
                columns[key] = column.cast(LABELS.field(key).type)
                if key == "confidence":
                    columns[key] = pc.if_else(pc.equal(columns[key], NO_CONFIDENCE), None, columns[key])
                continue
            valid = np.flatnonzero(as_mask(column.is_valid()))
            rows.append(valid)
            column = column if len(valid) == len(column) else column.take(pa.array(valid))
            values.append(value_types.as_attributes(key, column))
        if not values:
            return pa.nulls(table.num_rows, attributes.LIST), columns
        return attributes.build(np.concatenate(rows), pa.concat_arrays(values), table.num_rows), columns

    def _becomes_column(self, field: str, name: str, kind: pa.DataType) -> bool:
        if name == "confidence" and (field in self._other_confidence or kind not in _NUMBERS):
            return False
        wanted = ATTRIBUTE_COLUMNS.get(name)
        return wanted is not None and value_types.common_type(kind, wanted) == wanted


def _check_index(index: Ints, where: Callable[[int], str]) -> None:
    wrong = np.flatnonzero(index != index.astype(np.int32))
    if wrong.size:
        fail(
            where(int(wrong[0])),
            f"has the index {index[wrong[0]]}, which is beyond 32 bits; correct it, or rename the key.",
        )


def _boxes(table: pa.Table) -> tuple[Ints, Floats, Ints]:
    """The rows that have a box, their boxes, and the flags of these."""
    column = as_array(table["box"])
    rows = np.flatnonzero(as_mask(column.is_valid()))
    found = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    flags = table["unit"].to_numpy()[rows] if "unit" in table.column_names else np.zeros(len(rows), np.int8)
    return rows, found, flags.astype(np.int64)


def _with_masks(labels: pa.Table, sizes: Floats) -> pa.Table:
    """Labels with the masks that came as polygons drawn, and with the boxes of masks that came without."""
    rows = labels.to_pylist()
    for row, size in zip(rows, sizes.astype(int).tolist(), strict=True):
        if row["kind"] == "mask":
            if row.get("mask") is None:
                row["mask"] = dict(geometry.encode_rle(geometry.polygon_mask(row["points"], size)))
                row["points"] = None
            if row.get("bounding_box") is None:
                row["bounding_box"] = geometry.mask_box(row["mask"])
    names = [*labels.column_names, *(n for n in ("mask", "bounding_box") if n not in labels.column_names)]
    return pa.Table.from_pylist(rows, pa.schema([LABELS.field(n).with_nullable(True) for n in names]))
