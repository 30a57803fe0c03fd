"""Samples and labels are added to a dataset: both, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import pyarrow as pa

from ..core.arrays import as_array
from ..store.stores import WAIT, Stores
from .new_label_rows import FieldRows
from .new_labels import NewLabels
from .parse_samples import image_sizes

PURPOSE = "is having samples added"  # what the lock of the samples says to other processes


def add_samples(
    stores: Stores,
    samples: pa.Table,
    labels: Callable[[list[str]], Mapping[str, Iterable[pa.Table]]],
    label_types: Mapping[str, str] | None = None,
    files: pa.Table | None = None,
) -> list[str]:
    """Add samples and their labels; returns the ids of the samples.

    Args:
        stores: the dataset.
        samples: the columns of the samples.
        labels: returns the labels by field, given the ids of the samples.
        label_types: the types of the labels by field, where the columns do not tell them.
        files: ``size`` and ``fingerprint`` of the file of each sample, to be recorded.

    Raises:
        InvalidLabels: labels cannot be stored, or an id is not new. Nothing was added.
    """
    with stores.changing_samples(PURPOSE, WAIT):
        rows, sample_ids = stores.samples.prepare_rows(samples)
        version = stores.samples.version()
        stores.samples.require_new(sample_ids, version)
        ids: list[str] = sample_ids.ids.to_pylist()
        new_labels = NewLabels(stores)
        fragments = new_labels.write(_label_batches(stores, rows, labels(ids), label_types or {}, new_labels))
        new_labels.commit(fragments, sample_ids.given)
        stores.fingerprints.forget(sample_ids.given)
        if files is not None:
            stores.fingerprints.record_of(sample_ids.ids, files)
        stores.samples.append(rows.schema, rows.to_batches(), sample_ids, version)
        return ids


def _label_batches(
    stores: Stores,
    samples: pa.Table,
    labels: Mapping[str, Iterable[pa.Table]],
    label_types: Mapping[str, str],
    new_labels: NewLabels,
) -> Iterator[pa.RecordBatch]:
    sample_ids, sizes = as_array(samples["sample_id"]), image_sizes(samples)
    for field, tables in labels.items():
        rows = FieldRows(stores, field, label_types.get(field), False, sample_ids, new_labels, sizes)
        yield from rows.batches(tables)


def add_labels(stores: Stores, field: str, tables: Iterable[pa.Table], label_type: str | None, clip: bool) -> int:
    """Add labels to samples of the dataset, as one version; returns how many.

    Args:
        stores: the dataset.
        field: the field of the labels.
        tables: their columns.
        label_type: their type, or ``None`` where the columns tell it.
        clip: whether values outside the image are clipped, and not refused.

    Raises:
        InvalidLabels: labels cannot be stored, or an id is not new. Nothing was added.
        SampleNotFound: a label is of a sample that the dataset does not have.
    """
    new_labels = NewLabels(stores)
    rows = FieldRows(stores, field, label_type, clip, stores.samples.ids(), new_labels)
    new_labels.commit(new_labels.write(rows.batches(tables)), pa.array([], pa.string()))
    return new_labels.count
