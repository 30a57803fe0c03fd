"""Labels in a column of the samples are made labels of a field."""

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


def labels_in_column(
    stores: Stores, column: str, field: str, form: labels_from_column.ColumnFormat
) -> Iterator[pa.Table]:
    """The labels in a column, of samples that have none in the field, in bounded memory.

    Args:
        stores: the dataset.
        column: the column of the samples.
        field: the field that the labels are for.
        form: what the values of the column mean. If boxes are in pixels, image sizes that are not known are read from the files,
            and stored.

    Raises:
        StoreError: there is no such column.
        InvalidMedia: an image whose size is needed cannot be read.
    """
    schema = stores.samples.schema()
    if column not in schema.names:
        raise StoreError(f"The samples have no column {column!r}; they have {', '.join(schema.names)}.")
    labels_from_column.check(column, schema.field(column).type, form)
    in_pixels = form.coordinates == "pixels"
    names = ["sample_id", column, *(["media_type", "filepath", "width", "height"] if in_pixels else [])]
    labelled = stores.labels.samples_with(field_condition([field]))
    for batch in stores.samples.scan(None, names):
        batch = batch.filter(pc.invert(pc.is_in(batch["sample_id"], value_set=labelled)))
        sizes = _sizes(stores, batch) if in_pixels else np.ones((batch.num_rows, 2))
        yield labels_from_column.labels(batch["sample_id"], batch[column], sizes, form)


def _sizes(stores: Stores, batch: pa.RecordBatch) -> np.ndarray:
    """``[width, height]`` of each sample in pixels; those that had to be read from the files are stored."""
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
