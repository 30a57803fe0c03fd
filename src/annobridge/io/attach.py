"""A dataset whose samples are the rows of an existing LanceDB table, which is read in place and never written."""

from __future__ import annotations

from pathlib import Path

from ..dataset import Dataset
from ..exceptions import DatasetExists, DatasetNotFound, StoreError
from ..store import tables
from ..store.attached_tables import inspect_table
from ..store.stores import Stores


def attach(
    uri: str | Path,
    table: str = "images",
    id: str = "id",  # noqa: A002 - the word that everybody looks for
    media: str = "image",
    dataset: str | Path | None = None,
    storage_options: dict[str, str] | None = None,
) -> Dataset:
    """Make a dataset of a table of a LanceDB database, or open the one that was made of it.

    Columns named ``width``, ``height``, ``tags``, … are those of samples. The dataset sees later changes of the table.

    Args:
        uri: the database: a folder, or ``s3://``, ``gs://``, ``az://``.
        table: the table.
        id: the column of the sample ids: text or whole numbers, unique.
        media: the column of the images: paths, URIs, bytes, or Lance blobs.
        dataset: where annobridge's own tables are made; by default, beside the table.
        storage_options: options of the object store.

    Returns:
        The dataset. Samples cannot be added to it or deleted from it.

    Raises:
        StoreError: there is no such table or column, ids are null or repeated, or media are not images.
        DatasetExists: there is a dataset of another table or other columns.
    """
    place = str(dataset if dataset is not None else uri)
    found = inspect_table(str(uri), table, id, media, beside=dataset is None, storage_options=storage_options)
    try:
        database = tables.Database.create(place, storage_options, found)
    except DatasetExists:
        database = _opened(place, storage_options)
        if database.attachment != found:
            raise DatasetExists(
                f"There is a dataset at {place!r} already, of another table or other columns; open it with load_dataset, or give "
                "this one a folder of its own with dataset=…."
            ) from None
    return Dataset(Stores.open(database))


def _opened(place: str, storage_options: dict[str, str] | None) -> tables.Database:
    try:
        return tables.Database.open(place, storage_options)
    except DatasetNotFound:
        raise StoreError(
            f"The database {place!r} has tables that are called as annobridge's own ({', '.join(tables.OWN_TABLES)}); give "
            "these a folder of their own with dataset=…."
        ) from None
