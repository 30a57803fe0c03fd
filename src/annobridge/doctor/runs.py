"""Checks of the ledger: keys that several runs have, and duplicate rows in the baseline of a task."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..store.stores import Stores
from .duplicates import joined_keys, repeated_texts
from .labels import repeats_previous
from .report import SHOWN, Check, Finding, Options

_KEY = ["run_id", "task", "load", "label_id"]


def _keys(stores: Stores) -> pa.Array:
    return repeated_texts(
        lambda: iter([stores.database.read("annotation_runs", ["anno_key"])["anno_key"].combine_chunks()])
    )


def _find_keys(stores: Stores) -> Finding | None:
    found = _keys(stores).to_pylist()
    if not found:
        return None
    sentence = (
        f"Several runs have the key {found[0]!r}, so that all but one cannot be reached. "
        "--repair gives the later ones other keys."
    )
    return Finding("keys of runs", len(found), sentence, ids=tuple(found[:SHOWN]))


def _repair_keys(stores: Stores, _: Options) -> str:
    taken = set(stores.runs.keys())
    renamed, seen = [], set[str]()
    for run in stores.runs.all_readable():
        if run.anno_key in seen:
            new = next(k for n in range(2, 2 + len(taken) + 1) if (k := f"{run.anno_key}_{n}") not in taken)
            taken.add(new)
            with stores.runs.hold(run, "is being renamed") as (now, _hold):
                stores.runs.rename(now, new)
            renamed.append(f"the later {run.anno_key!r} is {new!r} now")
        seen.add(run.anno_key)
    return f"{'; '.join(renamed)}."


def _rows(stores: Stores) -> Iterator[tuple[pa.Array, pa.RecordBatch]]:
    for batch in stores.database.scan("annotation_baseline", _KEY, row_id=True):
        yield joined_keys(*(batch[n] for n in _KEY)), batch


def _duplicate_rows(stores: Stores) -> pa.Table:
    """All baseline rows that a later row with the same key follows."""
    repeated_keys = repeated_texts(lambda: (keys for keys, _ in _rows(stores)))
    parts = [
        pa.table({"key": keys, "run_id": batch["run_id"], "row": batch["_rowid"]}).filter(
            pc.is_in(keys, value_set=repeated_keys)
        )
        for keys, batch in (_rows(stores) if len(repeated_keys) else ())
    ]
    if not parts:
        return pa.table(
            {"key": pa.array([], pa.string()), "run_id": pa.array([], pa.string()), "row": pa.array([], pa.uint64())}
        )
    rows = pa.concat_tables(parts).sort_by([("key", "ascending"), ("row", "ascending")])
    return rows.filter(
        pa.array(np.append(repeats_previous(rows["key"].combine_chunks())[1:], False))
    )  # the next has the same key


def _find_duplicate_rows(stores: Stores) -> Finding | None:
    duplicates = _duplicate_rows(stores)
    if not duplicates.num_rows:
        return None
    names = {run.run_id: run.anno_key for run in stores.runs.all_readable()}
    keys = sorted({names.get(i, i) for i in pc.unique(duplicates["run_id"]).to_pylist()})
    sentence = (
        f"The baselines of {', '.join(map(repr, keys))} have {duplicates.num_rows} labels twice: two processes sent one run at "
        "once, and a load would take labels for deleted. --repair keeps what was written last."
    )
    return Finding("baselines", duplicates.num_rows, sentence, ids=tuple(keys[:SHOWN]))


def _repair_duplicate_rows(stores: Stores, _: Options) -> str:
    duplicates = _duplicate_rows(stores)
    stores.database.delete_rows("annotation_baseline", duplicates["row"].to_numpy())
    return f"{duplicates.num_rows} rows were removed."


ONE_KEY = Check("keys of runs", _find_keys, _repair_keys)
BASELINE = Check("baselines", _find_duplicate_rows, _repair_duplicate_rows)
