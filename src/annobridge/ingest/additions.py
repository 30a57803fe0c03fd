"""Additions: samples and labels come into a dataset, both or neither."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import pyarrow as pa

from ..core.arrays import as_array
from ..store.stores import Stores
from . import label_input
from .new_labels import NewLabels

PURPOSE = "is having samples added"
WAIT = 60.0  # seconds, for somebody else who adds or deletes samples


def add_samples(
    stores: Stores,
    samples: pa.Table,
    labels: Callable[[list[str]], Mapping[str, Iterable[pa.Table]]],
    label_types: Mapping[str, str] | None = None,
) -> list[str]:
    """Add samples, and labels of theirs; returns the ids of the samples. ``labels`` gives them by field, from those ids."""
    with stores.changing_samples(PURPOSE, WAIT):
        rows, identity = stores.samples.prepare_rows(samples)
        checked = stores.samples.version()
        stores.samples.require_new(identity, checked)
        sample_ids: list[str] = identity.ids.to_pylist()
        given = NewLabels(stores)
        added = given.write(_ready(stores, rows, labels(sample_ids), label_types or {}, given))
        given.commit(added, identity.given)
        stores.samples.append(rows.schema, rows.to_batches(), identity, checked)
        return sample_ids


def _ready(
    stores: Stores, samples: pa.Table, labels: Mapping[str, Iterable[pa.Table]], label_types: Mapping[str, str],
    given: NewLabels,
) -> Iterator[pa.RecordBatch]:  # fmt: skip
    sample_ids, sizes = as_array(samples["sample_id"]), label_input.with_sizes(samples)
    for field, tables in labels.items():
        parts = label_input.LabelParts(stores, field, label_types.get(field), False, sample_ids, given, sizes)
        yield from parts.batches(tables)


def add_labels(stores: Stores, field: str, tables: Iterable[pa.Table], label_type: str | None, clip: bool) -> int:
    """Add labels to samples that are there, as one version; returns how many."""
    given = NewLabels(stores)
    parts = label_input.LabelParts(stores, field, label_type, clip, stores.samples.ids(), given)
    given.commit(given.write(parts.batches(tables)), pa.array([], pa.string()))
    return given.labels
