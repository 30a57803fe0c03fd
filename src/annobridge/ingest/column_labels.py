"""Adopt: labels that lie in a column of the samples become labels of a field."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core import labels_from_column
from ..core.arrays import not_null
from ..exceptions import InvalidMedia, StoreError
from ..store import media
from ..store.labels import field_condition
from ..store.stores import Stores


def adopted(stores: Stores, column: str, field: str, form: labels_from_column.ColumnFormat) -> Iterator[pa.Table]:
    """The labels of samples that have none in the field, in bounded memory.

    Looks up the sizes of images that are not known, if boxes are in pixels.
    """
    schema = stores.samples.schema()
    if column not in schema.names:
        raise StoreError(f"The samples have no column {column!r}; they have {', '.join(schema.names)}.")
    labels_from_column.check(column, schema.field(column).type, form)
    pixels = form.coordinates == "pixels"
    names = ["sample_id", column, *(["media_type", "filepath", "width", "height"] if pixels else [])]
    done = stores.labels.samples_with(field_condition([field]))
    for batch in stores.samples.scan(None, names):
        batch = batch.filter(pc.invert(pc.is_in(batch["sample_id"], value_set=done)))
        sizes = _sizes(stores, batch) if pixels else np.ones((batch.num_rows, 2))
        yield labels_from_column.labels(batch["sample_id"], batch[column], sizes, form)


def _sizes(stores: Stores, batch: pa.RecordBatch) -> np.ndarray:
    """``[width, height]`` of each sample; those that were read from the media are kept."""
    sizes = np.stack([batch[n].fill_null(0).to_numpy() for n in ("width", "height")], axis=1)
    unknown = ~(not_null(batch["width"]) & not_null(batch["height"]))
    if unknown.any():
        samples = pa.Table.from_batches([batch.filter(pa.array(unknown))])
        found, faults = media.check_media(samples, stores.samples.media(samples), size=media.header_size)
        if faults:
            raise InvalidMedia(media.describe_bad_files(faults, "leave the column as it is"))
        stores.samples.set_sizes(samples["sample_id"].to_pylist(), found)
        sizes[unknown] = found
    return sizes
