"""Check of samples: duplicate ids."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core import ids
from ..core.arrays import as_array
from ..core.checks.repeats import repeated as equal_to_earlier
from ..store.samples import NewSampleIds
from ..store.stores import Stores
from ..store.tables import in_list
from .duplicates import repeated_texts
from .labels import repeats_previous
from .report import SHOWN, Check, Finding, Options


def _duplicate_ids(stores: Stores) -> pa.Array:
    return repeated_texts(lambda: (batch["sample_id"] for batch in stores.samples.scan(None, ["sample_id"])))


def _find(stores: Stores) -> Finding | None:
    found = _duplicate_ids(stores)
    if not len(found):
        return None
    first = tuple(found.slice(0, SHOWN).to_pylist())
    what = f"{len(found)} ids are those of several samples, as {first[0]!r}"
    if stores.database.attachment is not None:
        cure = "give the rows of the attached table ids of their own."
        return Finding("sample ids", len(found), f"{what}; {cure}", repairable=False, ids=first)
    copies, others = _split(stores, found)
    unlabelled, labelled = _by_labels(stores, others)
    sentence = (
        f"{what}. --repair keeps one of equal samples ({copies.num_rows} go), and gives {unlabelled.num_rows} that differ ids of "
        "their own."
    )
    if labelled.num_rows:
        sentence += (
            f" {labelled.num_rows} differ and have labels, of which nobody can say whose they are, as "
            f"{labelled['sample_id'][0].as_py()!r}: delete those samples with delete_samples, and add them again."
        )
    return Finding(
        "sample ids", len(found), sentence, repairable=bool(copies.num_rows or unlabelled.num_rows), ids=first
    )


def _split(stores: Stores, duplicate_ids: pa.Array) -> tuple[pa.Table, pa.Table]:
    """The samples with these ids that equal an earlier one, and those that differ from the first of their id."""
    names = stores.samples.schema().names
    where = in_list("sample_id", duplicate_ids.to_pylist())
    rows = pa.Table.from_batches(stores.database.scan("samples", names, where, row_id=True))
    rows = rows.take(pc.sort_indices(rows, [("sample_id", "ascending"), ("_rowid", "ascending")])).combine_chunks()
    copies = equal_to_earlier(rows, ["sample_id"], names)
    kept = rows.filter(pa.array(~copies))
    return rows.filter(pa.array(copies)), kept.filter(pa.array(repeats_previous(as_array(kept["sample_id"]))))


def _by_labels(stores: Stores, rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The samples without labels, and those with labels."""
    if not rows.num_rows:
        return rows, rows
    with_labels = stores.labels.samples_with(in_list("sample_id", pc.unique(rows["sample_id"]).to_pylist()))
    has = pc.is_in(rows["sample_id"], value_set=with_labels)
    return rows.filter(pc.invert(has)), rows.filter(has)


def _repair(stores: Stores, _: Options) -> str:
    with stores.changing_samples("is being repaired"):
        return _separate(stores)


def _separate(stores: Stores) -> str:
    checked = stores.samples.version()
    copies, others = _split(stores, _duplicate_ids(stores))
    unlabelled, _labelled = _by_labels(stores, others)
    new = unlabelled.drop(["_rowid"])
    new = new.set_column(new.column_names.index("sample_id"), "sample_id", ids.fresh(new.num_rows))
    if (
        new.num_rows
    ):  # added before the old rows are deleted: a process that ends in between doubles samples, and loses none
        made = as_array(new["sample_id"])
        stores.samples.append(
            new.schema, new.to_batches(), NewSampleIds(made, made, pa.array([], pa.string())), checked
        )
    gone = np.concatenate([copies["_rowid"].to_numpy(), unlabelled["_rowid"].to_numpy()])
    stores.database.delete_rows("samples", gone)
    return f"{copies.num_rows} equal samples were removed, and {unlabelled.num_rows} that differ have new ids."


DUPLICATES = Check("sample ids", _find, _repair)
