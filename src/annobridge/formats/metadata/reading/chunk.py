"""Chunk: some lines of a file, gathered as Python has them, then as tables: the samples, and the labels field by field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ....core.labels import LABELS
from . import boxes
from .json_lines import location
from .value_types import ValueTypes, Where

LINES = 1_000  # of a chunk
CLASS_KEYS = ("category", "categories", "label", "labels")
RECORD_KEYS = ("sample_id", "split", "view", "record")  # columns that are no metadata
PREFIX = "@"  # before the name of an attribute, or of a column of metadata
_LABEL_COLUMNS = (
    "kind",
    "label",
    "index",
    "value",
    "points",
    "closed",
    "filled",
    "visibility",
    "mask",
    "confidence",
    "label_id",
    "attributes",
)

Row = dict[str, Any]


@dataclass(slots=True)
class ParallelLabels:
    """The labels of one image in one field, as parallel arrays: boxes, and attributes by name."""

    sample: int
    boxes: list[Any]
    columns: dict[str, list[Any]]


@dataclass
class Chunk:
    """Lines of one file. Samples are numbered within the chunk; labels name theirs by that number."""

    path: Path
    kinds: ValueTypes
    images: list[int] = field(default_factory=list)  # the place of each sample's image among the files of the folder
    lines: list[int] = field(default_factory=list)
    own: list[Row] = field(default_factory=list)  # of OWN, by sample
    metadata: list[Row] = field(default_factory=list)  # by sample
    parallel: dict[str, list[ParallelLabels]] = field(default_factory=dict)
    labels: dict[str, list[Row]] = field(
        default_factory=dict
    )  # ``sample``, columns of LABELS, ``box``, ``unit``, ``extra``

    def add_sample(self, image: int, line: int, own: Row, metadata: Row) -> int:
        """A sample; returns its number."""
        self.images.append(image)
        self.lines.append(line)
        self.own.append(own)
        self.metadata.append(metadata)
        return len(self.images) - 1

    def add_labels(self, name: str, rows: Iterable[Row]) -> None:
        """Labels of any kind, of a field."""
        self.labels.setdefault(name, []).extend(rows)

    def samples(self) -> pa.Table:
        """``image``, ``line``, the columns of ``OWN`` that are known, and the metadata, typed as far as this chunk tells."""
        columns: dict[str, pa.Array] = {
            "image": pa.array(self.images, pa.int32()),
            "line": pa.array(self.lines, pa.int32()),
        }
        for name in RECORD_KEYS:
            columns[name] = pa.array([row.get(name) for row in self.own], pa.string())
        for name in _union(self.metadata):
            values = [row.get(name) for row in self.metadata]
            columns[PREFIX + name] = self.kinds.see("", name, values, lambda n: location(self.path, self.lines[n]))
        return pa.table(columns)

    def fragments(self, units: boxes.Units) -> Iterable[tuple[str, pa.Table]]:
        """The labels, field by field: ``image``, ``line``, ``kind``, ``class``, ``box``, ``unit``, and attributes by name."""
        for name, parts in self.parallel.items():
            if any(p.boxes for p in parts):
                yield name, self._arrays(name, parts, units)
        for name, rows in self.labels.items():
            if rows:
                yield name, self._rows(name, rows, units)

    def _arrays(self, name: str, parts: Sequence[ParallelLabels], units: boxes.Units) -> pa.Table:
        counts = [len(p.boxes) for p in parts]
        samples = np.repeat([p.sample for p in parts], counts)
        table = self._placed(samples)
        lines = table["line"].to_numpy()
        where = self._where(lines)
        found = boxes.parse_boxes(list(chain.from_iterable(p.boxes for p in parts)), where)
        units.see(found, lines)
        table = table.append_column("box", pa.FixedSizeListArray.from_arrays(pa.array(found.ravel()), 4))
        for key in _union([p.columns for p in parts]):
            values = list(
                chain.from_iterable(p.columns.get(key) or repeat(None, n) for p, n in zip(parts, counts, strict=True))
            )
            table = table.append_column(PREFIX + key, self.kinds.see(name, key, values, where))
        return table

    def _rows(self, name: str, rows: Sequence[Row], units: boxes.Units) -> pa.Table:
        table = self._placed(np.array([row["sample"] for row in rows]))
        lines = table["line"].to_numpy()
        where = self._where(lines)
        given = [n for n, row in enumerate(rows) if row.get("box") is not None]
        if given:
            found = boxes.parse_boxes([rows[n]["box"] for n in given], lambda k: where(given[k]))
            codes = np.array([row.get("unit", boxes.UNSTATED) for row in rows], np.int8)
            free = codes[given] == boxes.UNSTATED
            units.see(found[free], lines[given][free])
            at = np.full(len(rows), -1)
            at[given] = np.arange(len(given))
            column = pa.FixedSizeListArray.from_arrays(pa.array(found.ravel()), 4).take(pa.array(at, mask=at < 0))
            table = table.append_column("box", column).append_column("unit", pa.array(codes))
        there = _union(rows)
        for key in _LABEL_COLUMNS:
            if key in there:
                table = table.append_column(key, pa.array([row.get(key) for row in rows], LABELS.field(key).type))
        extra = [row.get("extra") or {} for row in rows]
        for key in _union(extra):
            table = table.append_column(PREFIX + key, self.kinds.see(name, key, [e.get(key) for e in extra], where))
        return table

    def _where(self, lines: np.ndarray) -> Where:
        """How a sentence calls the n-th label."""

        def where(n: int) -> str:
            return location(self.path, int(lines[n]))

        return where

    def _placed(self, samples: np.ndarray) -> pa.Table:
        """The image and the line of each label."""
        return pa.table({
            "image": pa.array(np.asarray(self.images, np.int32)[samples]),
            "line": pa.array(np.asarray(self.lines, np.int32)[samples]),
        })  # fmt: skip


def _union(rows: Iterable[Row]) -> list[str]:
    """All names, in the order in which they come."""
    return list(dict.fromkeys(chain.from_iterable(rows)))
