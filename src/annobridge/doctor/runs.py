"""Checks of the ledger: keys that two runs have, and labels that one task's baseline has twice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..store.stores import Stores
from .duplicates import joined_keys, repeated_texts
from .labels import repeats
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


def _repair_keys(stores: Stores, __: Options) -> str:
    taken = set(stores.runs.keys())
    told, seen = [], set[str]()
    for run in stores.runs.all_readable():
        if run.anno_key in seen:
            new = next(k for n in range(2, 2 + len(taken) + 1) if (k := f"{run.anno_key}_{n}") not in taken)
            taken.add(new)
            with stores.runs.hold(run, "is being renamed") as (now, _):
                stores.runs.rename(now, new)
            told.append(f"the later {run.anno_key!r} is {new!r} now")
        seen.add(run.anno_key)
    return f"{'; '.join(told)}."


def _rows(stores: Stores) -> Iterator[tuple[pa.Array, pa.RecordBatch]]:
    for batch in stores.database.scan("annotation_baseline", _KEY, row_id=True):
        yield joined_keys(*(batch[n] for n in _KEY)), batch


def _twins(stores: Stores) -> pa.Table:
    """The rows of the baseline of which there are several, but the last of each."""
    twice = repeated_texts(lambda: (keys for keys, _ in _rows(stores)))
    parts = [
        pa.table({"key": keys, "run_id": batch["run_id"], "row": batch["_rowid"]}).filter(
            pc.is_in(keys, value_set=twice)
        )
        for keys, batch in (_rows(stores) if len(twice) else ())
    ]
    if not parts:
        return pa.table(
            {"key": pa.array([], pa.string()), "run_id": pa.array([], pa.string()), "row": pa.array([], pa.uint64())}
        )
    rows = pa.concat_tables(parts).sort_by([("key", "ascending"), ("row", "ascending")])
    return rows.filter(
        pa.array(np.append(repeats(rows["key"].combine_chunks())[1:], False))
    )  # the next has the same key


def _find_twins(stores: Stores) -> Finding | None:
    twins = _twins(stores)
    if not twins.num_rows:
        return None
    names = {run.run_id: run.anno_key for run in stores.runs.all_readable()}
    keys = sorted({names.get(i, i) for i in pc.unique(twins["run_id"]).to_pylist()})
    sentence = (
        f"The baselines of {', '.join(map(repr, keys))} have {twins.num_rows} labels twice: two processes sent one run at "
        "once, and a load would take labels for deleted. --repair keeps what was written last."
    )
    return Finding("baselines", twins.num_rows, sentence, ids=tuple(keys[:SHOWN]))


def _repair_twins(stores: Stores, _: Options) -> str:
    twins = _twins(stores)
    stores.database.delete_rows("annotation_baseline", twins["row"].to_numpy())
    return f"{twins.num_rows} rows were removed."


ONE_KEY = Check("keys of runs", _find_keys, _repair_keys)
BASELINE = Check("baselines", _find_twins, _repair_twins)
