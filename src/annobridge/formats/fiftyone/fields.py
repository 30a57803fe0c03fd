"""The fields of samples and frames: labels become rows, and what is no label has its place elsewhere, or a note."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.rows import Scalar
from ...exceptions import InvalidLabels, InvalidSource
from ..names import on_disk
from . import columns, documents
from .decode import Around, Homeless, beside, decode, is_label, members
from .documents import Document
from .layout import Layout, Reading
from .rows import LabelRows

_PLACELESS = frozenset({"GeoLocation", "GeoLocations", "Group", "EmbeddedDocument", "DynamicEmbeddedDocument"})
_OWN = columns.OWN | {"_sample_id", "frame_number"}


@dataclass(frozen=True, slots=True)
class Subject:
    """The sample whose fields are read, by its id here, and the size of its image."""

    sample_id: str
    size: tuple[int, int] | None


class Fields:
    """Reads fields; ``left`` counts what has no place here, by field and reason."""

    def __init__(self, layout: Layout, options: Reading) -> None:
        self.left: Counter[tuple[str, str]] = Counter()
        self._layout, self._omitted = layout, set(options.omit_fields)
        self._root = options.rel_dir or layout.folder
        self._dates = layout.dates()

    def cells(self, document: Document) -> dict[str, Any]:
        """The fields of a sample that are columns. Raises ``InvalidSource``."""
        found = {}
        for name, value in document.values.items():
            if name in columns.OWN or name in self._omitted or value is None or is_label(value):
                continue
            _require_known(name, value, document)
            try:
                found[columns.name_of(name)] = columns.cell(value, name in self._dates)
            except Homeless as why:
                self.left[name, str(why)] += 1
        return found

    def labels(self, document: Document, subject: Subject, rows: LabelRows) -> None:
        """Add the labels of a sample, those of its frames too if it has them in itself."""
        self._add(document, document.values, subject, rows, None)
        for number, values in _inner_frames(document, self._layout.folder):
            self._add(document, values, subject, rows, number)

    def frame(self, document: Document, subject: Subject, rows: LabelRows) -> None:
        """Add the labels of a frame. Raises ``InvalidSource``."""
        number = document.values.get("frame_number")
        if not isinstance(number, int):
            raise InvalidSource(f"{document.place} has no frame_number; export the dataset again.")
        self._add(document, document.values, subject, rows, number)

    def _add(
        self, document: Document, fields: Mapping[str, Any], subject: Subject, rows: LabelRows, frame: int | None
    ) -> None:
        for name, value in fields.items():
            field = name if frame is None else f"frames.{name}"
            if value is None or name in _OWN or field in self._omitted:
                continue
            where = {"sample_id": subject.sample_id, "field": field, "frame_number": frame}
            if is_label(value):
                around = Around(subject.size, self._layout.targets(field), self._root)
                self._add_labels(value, around, f"{document.place}, field {field!r}", rows, where)
            elif isinstance(value, bool | int | float | str) and frame is not None:
                rows.add([Scalar(value)], f"{document.place}, field {field!r}", where)
            elif frame is not None:
                _require_known(field, value, document)
                self.left[field, "of values that are not labels, frames have numbers, texts and booleans only"] += 1

    def _add_labels(
        self, value: Mapping[str, Any], around: Around, place: str, rows: LabelRows, where: Mapping[str, Any]
    ) -> None:
        for name in beside(value):
            self.left[f"{where['field']}.{name}", "it belongs to no label"] += 1
        try:
            found = members(value)
        except InvalidLabels as error:
            raise InvalidSource(f"{place}: {error}") from None
        for number, member in enumerate(found, 1):
            try:
                with documents.reading(f"{place}, label {number}"):
                    made = decode(member, around)
            except Homeless as why:
                self.left[where["field"], str(why)] += 1
            except InvalidLabels as error:
                raise InvalidSource(f"{place}, label {number}: {error}") from None
            else:
                rows.add(made, f"{place}, label {number}", where)


def _require_known(name: str, value: Any, document: Document) -> None:
    kind = value.get("_cls") if isinstance(value, dict) else None
    if kind is not None and kind not in _PLACELESS:
        raise InvalidSource(
            f"{document.place}: the field {name!r} is a {kind!r}, which is not known here; "
            f"leave it out with omit_fields=[{name!r}]."
        )


def _inner_frames(document: Document, folder: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The frames that a sample has in itself, or in a file of its own, as older exports do."""
    found = document.values.get("frames")
    if isinstance(found, str):
        file = Path(on_disk(str(folder / found)))
        if not file.is_file():
            raise InvalidSource(f"{document.place}: its frames are not in {str(file)!r}; export it again.")
        found = documents.whole(file).get("frames")
    for number, values in (found or {}).items():
        yield int(number), values
