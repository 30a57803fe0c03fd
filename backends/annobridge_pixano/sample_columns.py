"""The dataset's own columns of samples. People see them in Pixano and can filter by them; they are never read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core.arrays import as_array
from annobridge.core.digest import digest
from annobridge.formats.pixano_library.codec import encode, values
from annobridge.formats.pixano_library.codec.layout import Layout

from .task_layout import is_split

DEFAULT_SPLIT = "train"
_NEVER_EMPTY = ("int", "float", "bool")  # types in which Pixano has no value for "none"


def splits(samples: pa.Table) -> pa.Array:
    """The split of each sample."""
    if not any(map(is_split, samples.schema)):
        return pa.repeat(pa.scalar(DEFAULT_SPLIT), len(samples))
    given = as_array(samples["split"]).cast(pa.string())
    return pc.if_else(pc.fill_null(pc.equal(pc.utf8_trim_whitespace(given), ""), True), DEFAULT_SPLIT, given)


def as_dicts(samples: pa.Table, layout: Layout) -> list[dict[str, Any]]:
    """The columns of each sample, with the names and types that they have in Pixano."""
    if not layout.shown:
        return [{} for _ in range(len(samples))]
    return list(as_records(samples, layout).drop_columns(["id", "split"]).to_pylist())


def as_records(samples: pa.Table, layout: Layout) -> pa.Table:
    """The ids and splits of the records, and the columns of their samples as Pixano has them."""
    shown = {c.name: values.encode_column(_finite(samples[name]), c.type) for name, c in layout.shown.items()}
    return pa.table({"id": encode.record_ids(samples, layout), "split": splits(samples), **shown})


def notes(samples: pa.Table, layout: Layout) -> Iterator[str]:
    """What people see otherwise than it is here."""
    lacking = [n for n, c in layout.shown.items() if c.type in _NEVER_EMPTY and _finite(samples[n]).null_count]
    if lacking:
        yield (
            f"Some samples have no value in {', '.join(lacking)}: Pixano has no empty number or boolean, and shows 0 or false "
            "there."
        )
    if renamed := [f"{n} as {c.name}" for n, c in layout.shown.items() if c.name != n]:
        yield f"These columns of the samples have other names in Pixano: {', '.join(renamed)}."


def digests(records: pa.Table, layout: Layout) -> dict[str, str]:
    """A digest of each column, to find out later whether people have edited it.

    Args:
        records: ``id``, ``split`` and the columns of the samples, in any order of rows.
        layout: names these columns.
    """
    ordered = records.sort_by("id")
    names = ["id", "split", *(c.name for c in layout.shown.values())]
    return {name: digest(ordered.select([name])) for name in names if not ordered[name].null_count}


def edited_notes(records: pa.Table, layout: Layout, sent: Mapping[str, str]) -> Iterator[str]:
    """A note if people edited some columns; ``sent`` are the digests of what was sent."""
    now = digests(records, layout)
    if now["id"] != sent.get("id"):
        return  # records were deleted, or the receipt is one of 0.1, without digests
    names = {c.name: name for name, c in layout.shown.items()}
    if edited := [names.get(column, column) for column, before in sent.items() if now.get(column, before) != before]:
        yield (
            f"Somebody edited {', '.join(edited)} of samples in Pixano. Columns of samples are shown there and never taken back; "
            "change them in the dataset."
        )


def _finite(column: pa.ChunkedArray) -> pa.Array:
    """A column with null in place of NaN and infinity, which JSON does not have."""
    found = as_array(column)
    if not pa.types.is_floating(found.type):
        return found
    found = found.cast(pa.float64())
    return pc.if_else(pc.is_finite(found), found, None)
