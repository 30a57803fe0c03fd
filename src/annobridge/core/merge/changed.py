"""Summaries of a plan: a row for each changed label, counts by class before and after, counts by sample."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

ACTIONS = ("delete", "edit", "add")  # deletions are listed first
CHANGED = pa.schema(
    [
        pa.field("label_id", pa.string()),
        pa.field("sample_id", pa.string()),
        pa.field("field", pa.string()),
        pa.field("action", pa.string()),
        pa.field("before", pa.string()),  # the class; null where the label is new, or has none
        pa.field("after", pa.string()),  # the class; null where the label is deleted, or has none
    ]
)


def changed(before: pa.Table, writes: pa.Table) -> pa.Table:
    """``CHANGED``, a row for each label: deletions first, then edits, then additions.

    ``before`` has the labels that are replaced (``REPLACED``), ``writes`` those that are written (``WRITES``).

    >>> before = pa.table({"label_id": ["a"], "sample_id": ["s"], "field": ["f"], "action": ["edit"], "label": ["car"]})
    >>> after = before.set_column(4, "label", [["bus"]])
    >>> changed(before, after).select(["before", "after"]).to_pylist()
    [{'before': 'car', 'after': 'bus'}]
    """
    index = pc.index_in(before["label_id"], value_set=writes["label_id"].combine_chunks().cast(pa.string()))
    added = writes.filter(pc.equal(writes["action"], "add"))
    names = ["label_id", "sample_id", "field", "action"]
    replaced = [*(before[name] for name in names), before["label"], writes["label"].take(index)]
    new = [*(added[name] for name in names), pa.nulls(added.num_rows, pa.string()), added["label"]]
    table = pa.concat_tables(
        pa.table([column.cast(pa.string()) for column in columns], schema=CHANGED) for columns in (replaced, new)
    )
    return pa.concat_tables(table.filter(pc.equal(table["action"], action)) for action in ACTIONS)


def class_pairs(rows: pa.Table) -> pa.Table:
    """A confusion table: the number of labels for each field, class before and class after; the most frequent first."""
    counted = rows.group_by(["field", "before", "after"], use_threads=False).aggregate([([], "count_all")])
    counted = counted.rename_columns(["field", "before", "after", "labels"])
    return counted.sort_by([("labels", "descending"), ("field", "ascending")])


def by_sample(rows: pa.Table) -> pa.Table:
    """The number of deleted, edited and added labels of each sample; samples with the most changes first."""
    ones = {action: pc.equal(rows["action"], action).cast(pa.int64()) for action in ACTIONS}
    counted = pa.table({"sample_id": rows["sample_id"], **ones})
    counted = counted.group_by("sample_id", use_threads=False).aggregate([(action, "sum") for action in ACTIONS])
    counted = counted.select(["sample_id", *(f"{a}_sum" for a in ACTIONS)]).rename_columns(["sample_id", *ACTIONS])
    total = pc.add(pc.add(counted["delete"], counted["edit"]), counted["add"])
    return counted.take(pc.sort_indices(pa.table({"n": total}), [("n", "descending")]))


def shares(counts: list[int], limit: int) -> list[int]:
    """How many rows of each list to show, ``limit`` in all: as evenly as possible, and what is left over goes to the first lists.

    >>> shares([40, 40, 3], 20), shares([0, 5, 100], 20), shares([2, 2, 2], 1)
    ([9, 8, 3], [0, 5, 15], [1, 0, 0])
    """
    given = [0] * len(counts)
    while (left := limit - sum(given)) > 0 and (open_ := [n for n, c in enumerate(counts) if given[n] < c]):
        each = max(1, left // len(open_))
        for n in open_:
            given[n] += min(each, counts[n] - given[n], max(limit - sum(given), 0))
    return given
