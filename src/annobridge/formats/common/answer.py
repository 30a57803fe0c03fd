"""A source of label files as the answer of a tool: its labels with the columns of ``REMOTE``, all of which may be null."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from ...core import attributes
from ...core.arrays import as_array, set_columns
from ...core.labels import REMOTE, conform
from ...core.merge.file_fit import Expected, fitted
from ...core.merge.seen import Seen
from ...core.terms import Terms
from .source import LabelSource

ANSWER = pa.schema([f.with_nullable(True) for f in REMOTE])


def labels_of(source: LabelSource, seen: Seen, expected: Expected, terms: Terms) -> Iterator[pa.RecordBatch]:
    """The labels (``ANSWER``), of the kinds that are ``expected`` of their classes. Those that are expected are also shown to
    ``seen``: of a kind that is in the file for other classes only, it says nothing. They have no field: which it is, the schema of
    the run says.
    """
    for part in source.parts():
        labels = fitted(translated(part.labels, terms), expected)
        seen.add(labels, None if seen.only_class is not None else expected.where(labels))
        yield from conform(labels, ANSWER, field=None).to_batches()


def translated(labels: pa.Table, terms: Terms) -> pa.Table:
    """The labels with our words instead of the tool's."""
    if terms.classes:
        labels = set_columns(labels, label=_replaced(as_array(labels["label"]), terms.classes))
    if terms.attributes and attributes.names(labels["attributes"]) & terms.attributes.keys():
        rows, flat = attributes.flattened(labels["attributes"])
        names = _replaced(flat.field("name"), terms.attributes)
        flat = pa.StructArray.from_arrays(
            [names, flat.field("type"), flat.field("value")], names=["name", "type", "value"]
        )
        labels = set_columns(labels, attributes=attributes.build(rows, flat, labels.num_rows))
    return labels


def _replaced(texts: pa.Array, words: Mapping[str, str]) -> pa.Array:
    at = pc.index_in(texts, value_set=pa.array(list(words), pa.string()))
    return pc.coalesce(pa.array(list(words.values()), pa.string()).take(at), texts)
