"""FiftyOne's CSV: a row for each image, with columns for fields, as ``scene.label``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from ..exceptions import InvalidSource
from .common import csv_rows
from .common.archive import Archive
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.items import Items, Shapes
from .common.report import ReadReport
from .names import with_slashes

_PATH, _TAGS = "filepath", "tags"
_LABEL, _CONFIDENCE = ".label", ".confidence"
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})
_FIELD = "field"  # the attribute that names the field, where there are several


class FiftyOneCsvFormat(FileFormat):
    """Tables of classes of images. They are read only."""

    name: ClassVar[str] = "fiftyone-csv"
    title: ClassVar[str] = "FiftyOne's CSV"
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds={"classification": KEPT}, attributes=frozenset({_FIELD}), confidence=True, splits=True,
        notes=("Read are columns FIELD.label and FIELD.confidence; of several fields, each label has the attribute field.",),
    )  # fmt: skip
    writing: ClassVar[type[WriteOptions] | None] = None

    def detect(self, archive: Archive) -> str | None:
        """A table with paths and labels of fields."""
        name = next(iter(_tables(archive)), None)
        return f"{name} has the columns of FiftyOne" if name else None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Each row is an image."""
        names = _tables(archive)
        if not names:
            raise InvalidSource(
                f"{str(archive.path)!r} has no table with the columns {_PATH} and FIELD{_LABEL}; choose another format."
            )
        shapes = Shapes()
        for name in names:
            columns, _ = csv_rows.header(archive, name)
            fields = [column.removesuffix(_LABEL) for column in columns if column.endswith(_LABEL)]
            read = {_PATH, _TAGS, *(f + end for f in fields for end in (_LABEL, _CONFIDENCE))}
            if unread := [column for column in columns if column not in read]:
                report.assumptions.append(
                    f"Columns of {archive.where(name)} were not read: {', '.join(map(repr, unread[:10]))}."
                )
            folder, slash, _ = name.rpartition("/")
            for places, texts in csv_rows.batches(archive, name, sorted(read), report):
                rows = zip(places.to_pylist(), texts[_PATH].to_pylist(), texts[_TAGS].to_pylist(), strict=True)
                for at, (place, path, tags) in enumerate(rows):
                    if not path:
                        report.skip(place, f"it has no {_PATH}")
                        continue
                    inside = (f"{folder}{slash}data/{path}", f"{folder}{slash}{path}")
                    file = next((one for one in inside if one in archive), None)
                    item = items.add(with_slashes(path), _split(tags), file=file)
                    _add(shapes, item, {field: _at(texts, field, at) for field in fields}, place)
                yield from shapes.take_full()
        yield shapes.take()


def _tables(archive: Archive) -> list[str]:
    found = []
    for name in archive.by_suffix.get(".csv", ()):
        columns, _ = csv_rows.header(archive, name)
        if _PATH in columns and any(column.endswith(_LABEL) and column != _LABEL for column in columns):
            found.append(name)
    return found


def _split(tags: str) -> str | None:
    """The tag that names a split.

    >>> _split("['good', 'train']"), _split("train,day"), _split("day")
    ('train', 'train', None)
    """
    words = [word.strip(" '\"[]") for word in tags.split(",")]
    return next((word for word in words if word.lower() in _SPLITS), None)


def _at(texts: dict[str, pa.StringArray], field: str, row: int) -> tuple[str, str]:
    return texts[field + _LABEL][row].as_py(), texts[field + _CONFIDENCE][row].as_py()


def _add(shapes: Shapes, item: int, fields: dict[str, tuple[str, str]], place: str) -> None:
    for field, (label, confidence) in fields.items():
        if not label:
            continue
        score = float(csv_rows.floats(pa.array([confidence]))[0])
        values: dict[str, Any] = {_FIELD: field} if len(fields) > 1 else {}
        if not 0 <= score <= 1:
            values |= {"score": score} if np.isfinite(score) else {}
        shapes.add(item, "classification", label, values, confidence=score if 0 <= score <= 1 else None, place=place)
