"""Some lines of a file: gathered as Python values, and then made tables of samples and, by field, of labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ....core.labels import LABELS
from . import boxes
from .boxes import UNSTATED
from .json_lines import location
from .value_types import ValueTypes, Where

LINES = 1_000  # of a chunk
RECORD_KEYS = ("sample_id", "split", "view", "record")  # columns of samples that are not metadata
PREFIX = "@"  # before the name of an attribute, or of a column of metadata, in the tables
_LABEL_COLUMNS = (
    "kind", "label", "index", "value", "points", "closed", "filled", "visibility", "mask", "confidence", "label_id",
    "attributes",
)  # fmt: skip

Row = dict[str, Any]


@dataclass(slots=True)
class ParallelLabels:
    """The labels of one sample in one field, as parallel arrays.

    Attributes:
        sample: the number of the sample in the chunk.
        boxes: their boxes.
        columns: their attributes by name.
        unit: what the boxes say of their numbers (flags of ``boxes``).
        own: ``confidence`` and ``label_id``, where labels have them.
    """

    sample: int
    boxes: list[Any]
    columns: Mapping[str, Sequence[Any]]
    unit: int = UNSTATED
    own: dict[str, list[Any]] = field(default_factory=dict)


@dataclass
class Chunk:
    """The samples and labels of some lines. Labels name their sample by its number in the chunk.

    Attributes:
        path: the file of the lines, for messages.
        types: where the types of all values are recorded.
        images: the number of each sample's image among the files of the folder.
        lines: the number of each sample's line.
        record_keys: the values of ``RECORD_KEYS`` by sample.
        metadata: all other columns by sample.
        fields: the fields that have labels, in the order in which they came, as keys.
        parallel: labels with a box each, by field.
        labels: labels of any kind by field: rows with ``sample``, columns of ``LABELS``, ``box``, ``unit`` and, for
            attributes, ``extra``.
    """

    path: Path
    types: ValueTypes
    images: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    record_keys: list[Row] = field(default_factory=list)
    metadata: list[Row] = field(default_factory=list)
    fields: dict[str, None] = field(default_factory=dict)
    parallel: dict[str, list[ParallelLabels]] = field(default_factory=dict)
    labels: dict[str, list[Row]] = field(default_factory=dict)

    def add_sample(self, image: int, line: int, record_keys: Row, metadata: Row) -> int:
        """Add a sample; returns its number."""
        self.images.append(image)
        self.lines.append(line)
        self.record_keys.append(record_keys)
        self.metadata.append(metadata)
        return len(self.images) - 1

    def add_labels(self, name: str, rows: Iterable[Row]) -> None:
        """Add labels to a field."""
        self.fields[name] = None
        self.labels.setdefault(name, []).extend(rows)

    def add_parallel(self, name: str, labels: ParallelLabels) -> None:
        """Add labels that are parallel arrays to a field."""
        self.fields[name] = None
        self.parallel.setdefault(name, []).append(labels)

    def sample_table(self) -> pa.Table:
        """``image``, ``line``, ``RECORD_KEYS``, and the metadata (``PREFIX`` before the name), of the types in this chunk."""
        columns: dict[str, pa.Array] = {
            "image": pa.array(self.images, pa.int32()),
            "line": pa.array(self.lines, pa.int32()),
        }
        for name in RECORD_KEYS:
            columns[name] = pa.array([row.get(name) for row in self.record_keys], pa.string())
        for name in _keys(self.metadata):
            values = [row.get(name) for row in self.metadata]
            columns[PREFIX + name] = self.types.add("", name, values, lambda n: location(self.path, self.lines[n]))
        return pa.table(columns)

    def label_tables(self, units: boxes.Units) -> Iterable[tuple[str, pa.Table]]:
        """A field with its labels, or some of them: ``image``, ``line``, perhaps ``box`` (four numbers) and ``unit`` (flags of
        ``boxes``), columns of ``LABELS``, and the attributes (``PREFIX`` before the name).

        ``units`` counts the boxes that do not state their unit.
        """
        for name in self.fields:
            if any(p.boxes for p in self.parallel.get(name, ())):
                yield name, self._parallel_table(name, self.parallel[name], units)
            if rows := self.labels.get(name):
                yield name, self._row_table(name, rows, units)

    def _parallel_table(self, name: str, parts: Sequence[ParallelLabels], units: boxes.Units) -> pa.Table:
        counts = [len(p.boxes) for p in parts]
        table, where = self._table_of_samples(np.repeat([p.sample for p in parts], counts))
        found = boxes.parse_boxes(list(chain.from_iterable(p.boxes for p in parts)), where)
        table = table.append_column("box", pa.FixedSizeListArray.from_arrays(pa.array(found.ravel()), 4))
        flags = np.repeat(np.array([p.unit for p in parts], np.int8), counts)
        if flags.any():
            table = table.append_column("unit", pa.array(flags))
        unstated = flags == UNSTATED
        units.add(found[unstated], table["line"].to_numpy()[unstated])
        for key in _keys(p.own for p in parts):
            table = table.append_column(key, pa.array(_joined(parts, counts, "own", key), LABELS.field(key).type))
        for key in _keys(p.columns for p in parts):
            values = _joined(parts, counts, "columns", key)
            table = table.append_column(PREFIX + key, self.types.add(name, key, values, where))
        return table

    def _row_table(self, name: str, rows: Sequence[Row], units: boxes.Units) -> pa.Table:
        table, where = self._table_of_samples(np.array([row["sample"] for row in rows]))
        with_box = [n for n, row in enumerate(rows) if row.get("box") is not None]
        if with_box:
            lines = table["line"].to_numpy()[with_box]
            found = boxes.parse_boxes([rows[n]["box"] for n in with_box], lambda k: where(with_box[k]))
            flags = np.array([row.get("unit", UNSTATED) for row in rows], np.int8)
            unstated = flags[with_box] == UNSTATED
            units.add(found[unstated], lines[unstated])
            index = np.full(len(rows), -1)
            index[with_box] = np.arange(len(with_box))
            column = pa.FixedSizeListArray.from_arrays(pa.array(found.ravel()), 4)
            column = column.take(pa.array(index, mask=index < 0))
            table = table.append_column("box", column).append_column("unit", pa.array(flags))
        given = _keys(rows)
        for key in _LABEL_COLUMNS:
            if key in given:
                table = table.append_column(key, pa.array([row.get(key) for row in rows], LABELS.field(key).type))
        extra = [row.get("extra") or {} for row in rows]
        for key in _keys(extra):
            table = table.append_column(PREFIX + key, self.types.add(name, key, [e.get(key) for e in extra], where))
        return table

    def _table_of_samples(self, samples: np.ndarray) -> tuple[pa.Table, Where]:
        """The image and the line of each label, given its sample; and the location of the n-th label for messages."""
        lines = np.asarray(self.lines, np.int32)[samples]
        images = np.asarray(self.images, np.int32)[samples]
        table = pa.table({"image": pa.array(images), "line": pa.array(lines)})
        return table, lambda n: location(self.path, int(lines[n]))


def _joined(parts: Sequence[ParallelLabels], counts: Sequence[int], attribute: str, key: str) -> list[Any]:
    """One of the columns of all parts, ``None`` for labels of parts that do not have it."""
    columns = (getattr(p, attribute).get(key) or repeat(None, n) for p, n in zip(parts, counts, strict=True))
    return list(chain.from_iterable(columns))


def of_sample(sample: int, rows: Iterable[Row]) -> Iterable[Row]:
    """Label rows with their sample."""
    return ({"sample": sample, **row} for row in rows)


def _keys(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys of all rows, in the order in which they come."""
    return list(dict.fromkeys(chain.from_iterable(rows)))
