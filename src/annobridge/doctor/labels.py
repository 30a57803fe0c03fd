"""Checks of labels: duplicate ids, invalid values, and missing samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core import ids
from ..core.arrays import Bools, as_array
from ..core.checks import validate
from ..core.checks.repeats import repeated as equal_to_earlier
from ..core.labels import LABELS, OURS
from ..store.labels import ROW_KEYS
from ..store.stores import Stores
from .duplicates import repeated_texts
from .report import SHOWN, Check, Finding, Options

_PROVENANCE = ("rev", "run", "tool", "annotator", "time")
_CONTENT = [n for n in LABELS.names if n not in _PROVENANCE]
_MAX_KEPT = 1000  # labels of which the fault is kept


def _duplicate_ids(stores: Stores) -> pa.Array:
    return repeated_texts(lambda: (batch["label_id"] for batch in stores.labels.scan(None, ["label_id"])))


def _find_duplicates(stores: Stores) -> Finding | None:
    found = _duplicate_ids(stores)
    if not len(found):
        return None
    first = tuple(found.slice(0, SHOWN).to_pylist())
    sentence = (
        f"{len(found)} ids are those of several labels, as {first[0]!r}. --repair keeps the newest of labels that are equal, and "
        "gives those that differ ids of their own."
    )
    return Finding("label ids", len(found), sentence, ids=first)


def _repair_duplicates(stores: Stores, _: Options) -> str:
    version = stores.labels.version()
    rows = stores.labels.get_by_ids(_duplicate_ids(stores), version)
    order = [(n, "ascending") for n in ("label_id", "_row_last_updated_at_version", "rev", "_rowaddr")]
    rows = rows.take(pc.sort_indices(rows, order)).combine_chunks()
    newest_first = pa.array(np.arange(rows.num_rows)[::-1])
    copies = equal_to_earlier(rows.take(newest_first), ["label_id"], _CONTENT)[::-1]
    kept = rows.filter(pa.array(~copies))
    later = repeats_previous(as_array(kept["label_id"]))
    others = kept.filter(pa.array(later))
    others = others.set_column(0, OURS.field(0), ids.fresh(others.num_rows))
    gone = pa.concat_tables([others, rows.filter(pa.array(copies))]).select(ROW_KEYS.names)
    stores.labels.commit(version, gone, others.select(LABELS.names).to_batches())
    return f"{int(copies.sum())} equal labels were removed, and {others.num_rows} that differ have new ids."


def repeats_previous(sorted_ids: pa.Array) -> Bools:
    """Boolean array: which ids are equal to the one before."""
    found = np.zeros(len(sorted_ids), bool)
    if len(sorted_ids) > 1:
        found[1:] = pc.equal(sorted_ids[1:], sorted_ids[:-1]).to_numpy(zero_copy_only=False)
    return found


def _orphans(stores: Stores, version: int | None = None) -> Iterator[pa.RecordBatch]:
    known = as_array(pa.chunked_array([b["sample_id"] for b in stores.samples.scan(None, ["sample_id"])], pa.string()))
    columns = ["label_id", "rev", "sample_id", "field"]
    for batch in stores.labels.scan(None, columns, version, address=True):
        orphans = batch.filter(pc.invert(pc.is_in(batch["sample_id"], value_set=known)))
        if orphans.num_rows:
            yield orphans


def _find_orphans(stores: Stores) -> Finding | None:
    found = list(_orphans(stores))
    count = sum(batch.num_rows for batch in found)
    if not count:
        return None
    first = tuple(found[0]["label_id"].slice(0, SHOWN).to_pylist())
    fields = sorted({name for batch in found for name in pc.unique(batch["field"]).to_pylist()})
    sentence = (
        f"{count} labels of {', '.join(map(repr, fields))} are of samples that the dataset does not have, as {first[0]!r} of "
        f"{found[0]['sample_id'][0].as_py()!r}. If an import was interrupted, repeat it with mode='add'; --repair deletes them."
    )
    return Finding("labels without a sample", count, sentence, ids=first)


def _repair_orphans(stores: Stores, _: Options) -> str:
    version = stores.labels.version()
    found = list(_orphans(stores, version))
    rows = pa.Table.from_batches(found).select(ROW_KEYS.names)
    stores.labels.commit(version, rows)
    return f"{rows.num_rows} labels were deleted."


def _find_unstorable(stores: Stores) -> Finding | None:
    count, faults = 0, dict[str, str]()
    for batch in stores.labels.scan():
        wrong = validate.unstorable(
            validate.clip(pa.Table.from_batches([batch]))
        )  # a load may keep shapes over the border
        count += len(wrong)
        for row, what in sorted(wrong.items())[: _MAX_KEPT - len(faults)]:
            faults[batch["label_id"][row].as_py()] = what
    if not count:
        return None
    listed = "; ".join(f"{label!r} {what.rstrip('.')}" for label, what in list(faults.items())[:SHOWN])
    more = f"; and {count - SHOWN} more" if count > SHOWN else ""
    cure = "Use set_labels to correct them, or delete_labels."
    sentence = f"{count} labels have values that may not be stored: {listed}{more}. {cure}"
    return Finding("values", count, sentence, repairable=False, ids=tuple(faults))


DUPLICATES = Check("label ids", _find_duplicates, _repair_duplicates)
ORPHANS = Check("labels without a sample", _find_orphans, _repair_orphans)
UNSTORABLE = Check("values", _find_unstorable)
