"""The dataset's own columns of samples, as people see them in Pixano and can filter by them. They are never read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core.digest import digest

from . import columns, wire
from .arrays import one
from .layout import Layout, is_split

SPLIT = "train"  # of samples that have none
_NO_EMPTY = ("int", "float", "bool")  # types in which Pixano has no value that says "none"


def splits(samples: pa.Table) -> pa.Array:
    """The split of each sample."""
    if not any(map(is_split, samples.schema)):
        return pa.repeat(pa.scalar(SPLIT), len(samples))
    given = one(samples["split"]).cast(pa.string())
    return pc.if_else(pc.fill_null(pc.equal(pc.utf8_trim_whitespace(given), ""), True), SPLIT, given)


def rows(samples: pa.Table, layout: Layout) -> list[dict[str, Any]]:
    """The columns of each sample, under the names and in the types that Pixano has for them."""
    sent = as_records(samples, layout)
    return sent.drop_columns(["id", "split"]).to_pylist() if layout.shown else [{} for _ in range(len(samples))]


def as_records(samples: pa.Table, layout: Layout) -> pa.Table:
    """The records' ids, splits and columns as Pixano has them."""
    shown = {c.name: columns.held(_finite(samples[name]), c.type) for name, c in layout.shown.items()}
    return pa.table({"id": wire.record_of(samples, layout), "split": splits(samples), **shown})


def notes(samples: pa.Table, layout: Layout) -> Iterator[str]:
    """What of it is not seen as it is."""
    lacking = [n for n, c in layout.shown.items() if c.type in _NO_EMPTY and _finite(samples[n]).null_count]
    if lacking:
        yield (
            f"Some samples have no value in {', '.join(lacking)}: Pixano has no empty number or boolean, and shows 0 or false "
            "there."
        )
    if renamed := [f"{n} as {c.name}" for n, c in layout.shown.items() if c.name != n]:
        yield f"These columns of the samples have other names in Pixano: {', '.join(renamed)}."


def digests(records: pa.Table, layout: Layout) -> dict[str, str]:
    """What each column of the records holds, in short: so that it is seen later whether people have edited it.

    ``records`` have ``id``, ``split`` and the columns that are shown.
    """
    ordered = records.sort_by("id")
    names = ["id", "split", *(c.name for c in layout.shown.values())]
    return {name: digest(ordered.select([name])) for name in names if not ordered[name].null_count}


def edited(records: pa.Table, layout: Layout, sent: Mapping[str, str]) -> Iterator[str]:
    """What people changed that is not taken back; ``sent`` are the digests of what was sent."""
    now = digests(records, layout)
    if now["id"] != sent.get("id"):
        return  # records were deleted, or a receipt of 0.1
    ours = {c.name: name for name, c in layout.shown.items()}
    if names := [ours.get(name, name) for name, was in sent.items() if now.get(name, was) != was]:
        yield (
            f"Somebody edited {', '.join(names)} of samples in Pixano. Columns of samples are shown there and never taken back; "
            "change them in the dataset."
        )


def _finite(column: pa.ChunkedArray) -> pa.Array:
    """A column with null for what JSON has no number for."""
    values = one(column)
    if not pa.types.is_floating(values.type):
        return values
    values = values.cast(pa.float64())
    return pc.if_else(pc.is_finite(values), values, None)
