"""Finish: labels as they were put by, looked at against their images, and made rows of ``LABELS``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ....core import attributes, geometry
from ....core.arrays import as_array, as_mask
from ....core.checks import validate
from ....core.labels import LABELS
from ....exceptions import InvalidSource
from ..keys import NO_CONFIDENCE
from ..options import Reading
from . import boxes
from . import value_types as kinds
from .chunk import PREFIX
from .json_lines import fail
from .line_file import LineFile
from .line_keys import ClassKeys
from .value_types import ValueTypes

# Attributes that are columns of LABELS, where their values can be.
ATTRIBUTE_COLUMNS = {
    "label_id": pa.string(),
    "confidence": pa.float64(),
    "index": pa.int64(),
    "tags": pa.list_(pa.string()),
}
_COPIED = ("index", "value", "points", "closed", "filled", "visibility", "mask", "confidence", "label_id")


@dataclass
class LabelRowBuilder:
    """How all labels of a source are finished."""

    options: Reading
    kinds: ValueTypes
    class_keys: ClassKeys

    def __post_init__(self) -> None:
        self._plain: set[str] = set()  # fields whose ``confidence`` is not from 0 to 1

    def unit(self, file: LineFile) -> int:
        """The unit and the form of the boxes of a file that do not say theirs."""
        return file.unit + (boxes.CORNERS if self.options.box_format == "xyxy" else 0)

    def look(self, name: str, table: pa.Table, file: LineFile, check: boxes.BoxCheck) -> None:
        """Look at labels of a field. Raises ``InvalidSource`` with file and line."""
        lines = table["line"].to_numpy()
        where = lambda n: file.place(int(lines[n]))  # noqa: E731
        self._classes(name, table, file.place)
        if "box" in table.column_names:
            at, found, codes = _boxes(table)
            sizes = file.folder.sizes[table["image"].to_numpy()[at]].astype(np.float64)
            check.see(found, codes, sizes, lines[at])
        if PREFIX + "confidence" in table.column_names and self.kinds.type(name, "confidence") in (
            pa.float64(),
            pa.int64(),
        ):
            sure = pc.cast(table[PREFIX + "confidence"], pa.float64(), safe=False)
            odd = pc.or_(pc.and_(pc.less(sure, 0), pc.not_equal(sure, NO_CONFIDENCE)), pc.greater(sure, 1))
            if pc.any(odd).as_py():
                self._plain.add(name)
        if PREFIX + "index" in table.column_names and self.kinds.type(name, "index") == pa.int64():
            _check_index(as_array(table[PREFIX + "index"]).fill_null(0).to_numpy(), where)
        if "mask" in table.column_names:
            self._masks(table, file, where)

    def _masks(self, table: pa.Table, file: LineFile, where: Callable[[int], str]) -> None:
        sizes = file.folder.sizes[table["image"].to_numpy()]
        for n, mask in enumerate(table["mask"].to_pylist()):
            if mask is not None and (wrong := geometry.check_rle(mask, tuple(sizes[n].tolist()))):
                fail(where(n), f"has a mask that {wrong}")

    def rows(self, name: str, table: pa.Table, file: LineFile, ids: pa.Array) -> pa.Table:
        """Labels of a field as rows of ``LABELS``; ``ids`` are those of the samples, by image."""
        sizes = file.folder.sizes[table["image"].to_numpy()].astype(np.float64)
        size = table.num_rows
        made: dict[str, Any] = {
            "sample_id": ids.take(as_array(table["image"])),
            "field": pa.repeat(pa.scalar(name), size),
        }
        made["kind"] = as_array(table["kind"]) if "kind" in table.column_names else pa.repeat(pa.scalar("box"), size)
        made["label"] = (
            as_array(table["label"]) if "label" in table.column_names else self._classes(name, table, file.place)
        )
        made |= {key: as_array(table[key]) for key in _COPIED if key in table.column_names}
        if "box" in table.column_names:
            made["bounding_box"], drop = self._placed(table, file, sizes, made["kind"])
        else:
            drop = np.zeros(size, bool)
        extra, given = self._extra(name, table)
        if "confidence" in given and "confidence" in made:  # of the label, or else of its box
            made["confidence"] = pc.coalesce(made["confidence"], given["confidence"])
        made = {**given, **made}
        made["attributes"] = as_array(table["attributes"]) if "attributes" in table.column_names else extra
        out = pa.table(made)
        if "mask" in made["kind"].unique().to_pylist():
            out = _with_masks(out, sizes)
        if drop.any():
            out = out.filter(pa.array(~drop))
        return validate.clip(out) if "bounding_box" in made else out

    def _placed(
        self, table: pa.Table, file: LineFile, sizes: boxes.Floats, kind: pa.Array
    ) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
        """The boxes, and which labels are nothing but a box without area."""
        at, found, codes = _boxes(table)
        made = boxes.to_relative(found, codes, sizes[at], self.unit(file))
        none = np.zeros(table.num_rows, bool)
        none[at] = boxes.without_area(made)
        index = np.full(table.num_rows, -1)
        index[at] = np.arange(len(at))
        only = as_mask(pc.equal(kind, "box"))
        column = pa.FixedSizeListArray.from_arrays(pa.array(made.ravel()), 4)
        return column.take(pa.array(index, mask=(index < 0) | none)), none & only

    def _classes(self, name: str, table: pa.Table, place: Callable[[int], str]) -> pa.Array:
        key = self.class_keys.of.get(name, "")
        if PREFIX + key not in table.column_names:
            return pa.nulls(table.num_rows, pa.string())
        column = self.kinds.settled(name, key, as_array(table[PREFIX + key]))
        if column.type == pa.string() or pa.types.is_null(column.type):
            return column.cast(pa.string())
        lines = table["line"].to_numpy()
        if column.type not in (pa.int64(), pa.float64()):
            fail(place(int(lines[0])), f"has classes in {key!r} that are neither texts nor numbers; give names.")
        return self._numbered(name, key, column, lambda n: place(int(lines[n])))

    def _numbered(self, name: str, key: str, column: pa.Array, where: Callable[[int], str]) -> pa.Array:
        """The classes that numbers stand for."""
        classes = self.options.classes
        first = int(np.flatnonzero(as_mask(column.is_valid()))[0]) if column.null_count < len(column) else 0
        if classes is None:
            raise InvalidSource(
                f"{where(first)} has the class {column[first].as_py()} in {key!r} of {name!r}, a number; say what the numbers "
                "mean with classes=['…', …] (from 0), or classes='text' to keep them as texts."
            )
        if classes == "text":
            return kinds.json_texts(column)
        numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
        wrong = np.flatnonzero((numbers < 0) | (numbers >= len(classes)) | (numbers != np.floor(numbers)))
        if wrong.size:
            at = int(wrong[0])
            fail(
                where(at),
                f"has the class {column[at].as_py()}, and classes= names {len(classes)}, from 0; name them all.",
            )
        return pa.array(classes, pa.string()).take(pa.array(numbers.astype(np.int64), mask=~as_mask(column.is_valid())))

    def _extra(self, name: str, table: pa.Table) -> tuple[pa.Array, dict[str, pa.Array]]:
        """The attributes, and those of them that are columns of ``LABELS``."""
        rows, parts, given = [], [], {}
        names = sorted(n.removeprefix(PREFIX) for n in table.column_names if n.startswith(PREFIX))
        for key in names:
            if key == self.class_keys.of.get(name):
                continue
            column = self.kinds.settled(name, key, as_array(table[PREFIX + key]))
            if pa.types.is_null(column.type):
                continue
            if self._is_column(name, key, column.type):
                given[key] = column.cast(LABELS.field(key).type)
                if key == "confidence":
                    given[key] = pc.if_else(pc.equal(given[key], NO_CONFIDENCE), None, given[key])
                continue
            at = np.flatnonzero(as_mask(column.is_valid()))
            rows.append(at)
            parts.append(kinds.as_attributes(key, column if len(at) == len(column) else column.take(pa.array(at))))
        if not parts:
            return pa.nulls(table.num_rows, attributes.LIST), given
        return attributes.build(np.concatenate(rows), pa.concat_arrays(parts), table.num_rows), given

    def _is_column(self, field: str, name: str, kind: pa.DataType) -> bool:
        if name == "confidence" and (field in self._plain or kind not in (pa.float64(), pa.int64())):
            return False
        return name in ATTRIBUTE_COLUMNS and kinds.common_type(kind, ATTRIBUTE_COLUMNS[name]) == ATTRIBUTE_COLUMNS[name]


def _check_index(index: npt.NDArray[np.int64], where: Callable[[int], str]) -> None:
    wrong = np.flatnonzero(index != index.astype(np.int32))
    if wrong.size:
        fail(
            where(int(wrong[0])),
            f"has the index {index[wrong[0]]}, which is beyond 32 bits; correct it, or rename the key.",
        )


def _boxes(table: pa.Table) -> tuple[boxes.Ints, boxes.Floats, boxes.Ints]:
    """The rows that have a box, the boxes, and what each says of its numbers."""
    column = as_array(table["box"])
    at = np.flatnonzero(as_mask(column.is_valid()))
    found = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    codes = table["unit"].to_numpy()[at] if "unit" in table.column_names else np.zeros(len(at), np.int8)
    return at, found, codes.astype(np.int64)


def _with_masks(rows: pa.Table, sizes: boxes.Floats) -> pa.Table:
    """Masks that came as polygons, painted; and every mask has its box."""
    out = rows.to_pylist()
    for row, size in zip(out, sizes.astype(int).tolist(), strict=True):
        if row["kind"] == "mask":
            if row.get("mask") is None:
                row["mask"] = dict(geometry.encode_rle(geometry.polygon_mask(row["points"], size)))
                row["points"] = None
            if row.get("bounding_box") is None:
                row["bounding_box"] = geometry.mask_box(row["mask"])
    names = [*rows.column_names, *(n for n in ("mask", "bounding_box") if n not in rows.column_names)]
    return pa.Table.from_pylist(out, pa.schema([LABELS.field(n).with_nullable(True) for n in names]))
