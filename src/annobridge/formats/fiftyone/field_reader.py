"""Reads the fields of samples and frames: labels become rows, other values columns, and the rest is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.rows import Scalar
from ...exceptions import InvalidLabels, InvalidSource
from ..names import on_disk
from . import documents, sample_columns
from .decode import LabelContext, Unrepresentable, attributes_of_list, decode, is_label, labels_in
from .documents import Document
from .label_rows import LabelRows
from .layout import Layout, Reading

_UNREPRESENTABLE = frozenset({"GeoLocation", "GeoLocations", "Group", "EmbeddedDocument", "DynamicEmbeddedDocument"})
_RESERVED = sample_columns.RESERVED | {"_sample_id", "frame_number"}


@dataclass(frozen=True, slots=True)
class SampleContext:
    """The id of the sample whose fields are read, and ``[width, height]`` of its image in pixels, if it is known."""

    sample_id: str
    size: tuple[int, int] | None


class FieldReader:
    """Reads the fields of documents.

    Attributes:
        skipped: how many values were left out, by field and reason.
    """

    def __init__(self, layout: Layout, options: Reading) -> None:
        self.skipped: Counter[tuple[str, str]] = Counter()
        self._layout, self._omitted = layout, set(options.omit_fields)
        self._root = options.rel_dir or layout.folder
        self._dates = layout.dates()

    def cells(self, document: Document) -> dict[str, Any]:
        """The fields of a sample that are columns. Raises ``InvalidSource``."""
        found = {}
        for name, value in document.values.items():
            if name in sample_columns.RESERVED or name in self._omitted or value is None or is_label(value):
                continue
            _require_known(name, value, document)
            try:
                found[sample_columns.column_name(name)] = sample_columns.cell_value(value, name in self._dates)
            except Unrepresentable as why:
                self.skipped[name, str(why)] += 1
        return found

    def labels(self, document: Document, sample: SampleContext, rows: LabelRows) -> None:
        """Add the labels of a sample, and those of frames that are in its document."""
        self._add(document, document.values, sample, rows, None)
        for number, values in _frames_in(document, self._layout.folder):
            self._add(document, values, sample, rows, number)

    def frame(self, document: Document, sample: SampleContext, rows: LabelRows) -> None:
        """Add the labels of a frame. Raises ``InvalidSource``."""
        number = document.values.get("frame_number")
        if not isinstance(number, int):
            raise InvalidSource(f"{document.location} has no frame_number; export the dataset again.")
        self._add(document, document.values, sample, rows, number)

    def _add(
        self, document: Document, fields: Mapping[str, Any], sample: SampleContext, rows: LabelRows, frame: int | None
    ) -> None:
        for name, value in fields.items():
            field = name if frame is None else f"frames.{name}"
            if value is None or name in _RESERVED or field in self._omitted:
                continue
            where = {"sample_id": sample.sample_id, "field": field, "frame_number": frame}
            if is_label(value):
                context = LabelContext(sample.size, self._layout.targets(field), self._root)
                self._add_labels(value, context, f"{document.location}, field {field!r}", rows, where)
            elif isinstance(value, bool | int | float | str) and frame is not None:
                rows.add([Scalar(value)], f"{document.location}, field {field!r}", where)
            elif frame is not None:
                _require_known(field, value, document)
                self.skipped[field, "of values that are not labels, frames have numbers, texts and booleans only"] += 1

    def _add_labels(
        self, value: Mapping[str, Any], context: LabelContext, location: str, rows: LabelRows, where: Mapping[str, Any]
    ) -> None:
        for name in attributes_of_list(value):
            self.skipped[f"{where['field']}.{name}", "it belongs to no label"] += 1
        try:
            found = labels_in(value)
        except InvalidLabels as error:
            raise InvalidSource(f"{location}: {error}") from None
        for number, member in enumerate(found, 1):
            try:
                with documents.naming_errors(f"{location}, label {number}"):
                    made = decode(member, context)
            except Unrepresentable as why:
                self.skipped[where["field"], str(why)] += 1
            except InvalidLabels as error:
                raise InvalidSource(f"{location}, label {number}: {error}") from None
            else:
                rows.add(made, f"{location}, label {number}", where)


def _require_known(name: str, value: Any, document: Document) -> None:
    kind = value.get("_cls") if isinstance(value, dict) else None
    if kind is not None and kind not in _UNREPRESENTABLE:
        raise InvalidSource(
            f"{document.location}: the field {name!r} is a {kind!r}, which is not known here; "
            f"leave it out with omit_fields=[{name!r}]."
        )


def _frames_in(document: Document, folder: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The frames in the document of a sample, or in a file that it names, as older exports have them."""
    found = document.values.get("frames")
    if isinstance(found, str):
        file = Path(on_disk(str(folder / found)))
        if not file.is_file():
            raise InvalidSource(f"{document.location}: its frames are not in {str(file)!r}; export it again.")
        found = documents.read_document(file).get("frames")
    for number, values in (found or {}).items():
        yield int(number), values
