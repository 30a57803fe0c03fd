"""What the samples and labels to be written contain, found before the first line: every line of a file has the same keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from ....core.arrays import is_rotated
from ....core.labels import LABELS, SAMPLES
from ....core.schema import infer
from ....spill.tables import Tables
from ....store.media import Media
from ... import media
from ...base import Part
from .line_writer import unsupported

_JSON_TYPES = ("bool", "int", "float", "string", "large_string", "null")


@dataclass
class Survey:
    """What is in all parts.

    Attributes:
        fields: kinds of labels and types of attributes by label field.
        label_columns: the columns of ``LABELS`` that have a value, by label field.
        without_class: label fields with labels that have no class.
        sample_columns: the types of the samples' columns that are written.
        has_splits: whether the samples have a column ``split``.
        notes: what is left out, a sentence each.
        media: what opens the images of each part; ``None`` for files at the paths of the samples.
    """

    fields: dict[str, infer.FieldStats] = field(default_factory=dict)
    label_columns: dict[str, set[str]] = field(default_factory=dict)
    without_class: set[str] = field(default_factory=set)
    sample_columns: dict[str, pa.DataType] = field(default_factory=dict)
    has_splits: bool = False
    notes: list[str] = field(default_factory=list)
    media: list[Media | None] = field(default_factory=list)

    def add(self, part: Part) -> None:
        """Look at one part. Raises ``Unsupported`` for videos."""
        self.media.append(media.embedded(part))
        self._add_sample_columns(part.samples)
        self._add_label_columns(part.labels)
        self._add_fields(infer.describe(part.labels.select(infer.COLUMNS).to_batches()))

    def _add_sample_columns(self, samples: pa.Table) -> None:
        if "media_type" in samples.column_names and pc.any(pc.equal(samples["media_type"], "video")).as_py():
            raise unsupported(
                "metadata.jsonl is about images, and the view has videos; "
                "leave them out with match(\"media_type = 'image'\")."
            )
        self.has_splits = "split" in samples.column_names
        for column in samples.schema:
            own = column.name in SAMPLES.names or column.name in ("split", *self.sample_columns)
            if own and not (column.name == "tags" and _any_tags(samples)):
                continue
            if _is_json_type(column.type):
                self.sample_columns[column.name] = column.type
                continue
            note = f"The column {column.name!r} is {column.type}, which no line holds; it was left out."
            if note not in self.notes:
                self.notes.append(note)

    def _add_label_columns(self, labels: pa.Table) -> None:
        for name in pc.unique(labels["field"]).to_pylist():
            rows = labels.filter(pc.equal(labels["field"], name))
            used = {c for c in LABELS.names if c in rows.column_names and rows[c].null_count < rows.num_rows}
            if rows["label"].null_count and pc.any(pc.not_equal(rows["kind"], "message")).as_py():
                self.without_class.add(name)
            if "tags" in used and not _any_tags(rows):
                used.discard("tags")
            if "rotation" in used and not is_rotated(rows["rotation"]).any():
                used.discard("rotation")
            self.label_columns.setdefault(name, set()).update(used)

    def _add_fields(self, found: Mapping[str, infer.FieldStats]) -> None:
        for name, stats in found.items():
            known = self.fields.setdefault(name, infer.FieldStats())
            known.kinds |= stats.kinds
            for attribute, types in stats.attributes.items():
                known.attributes.setdefault(attribute, set()).update(types)


def survey(parts: Iterable[Part]) -> tuple[Iterator[tuple[pa.Table, pa.Table]], Survey]:
    """The samples and labels of all parts, kept on disk, and what is in them."""
    tables, found = Tables(), Survey()
    numbers = []
    for part in parts:
        numbers.append((tables.add(part.samples), tables.add(part.labels)))
        found.add(part)
    return ((tables.get(samples), tables.get(labels)) for samples, labels in numbers), found


def _any_tags(rows: pa.Table) -> bool:
    return bool(pc.any(pc.greater(pc.list_value_length(rows["tags"]), 0)).as_py())


def _is_json_type(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_list(kind) else kind
    name = str(inner).rstrip("0123456789").removeprefix("u")
    return name.replace("double", "float").replace("halffloat", "float") in _JSON_TYPES
