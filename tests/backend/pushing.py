"""Pushes that are put together by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from annobridge.backend import Edits, Pushed, Receipt, Task
from annobridge.core.labels import LABELS, REMOTE


def edits_of(
    task: Task,
    receipt: Receipt,
    edit: Mapping[str, Mapping[str, Any]] | None = None,
    add: Iterable[Mapping[str, Any]] = (),
    delete: Iterable[str] = (),
) -> Edits:
    """What a push is given.

    Args:
        task: the task as it was sent.
        receipt: its receipt, whose baseline is what the tool has.
        edit: the columns to change, by the id of the label.
        add: rows of new labels.
        delete: ids of labels.
    """
    edit = edit or {}
    rows = {row["label_id"]: row for row in receipt.baseline.to_pylist()}
    changed = [{**rows[label], **columns, "rev": 2} for label, columns in edit.items()]
    new = [{"rev": 1, **row} for row in add]
    written = [{name: row.get(name) for name in LABELS.names} for row in (*changed, *new)]
    remote_ids = [row["remote_id"] for row in changed] + [None] * len(new)
    deleted = pa.Table.from_pylist([rows[label] for label in delete], schema=REMOTE)
    labels = pa.Table.from_pylist(written, schema=LABELS)
    return Edits(replace(task, labels=labels), pa.array(remote_ids, pa.string()), deleted)


def after(receipt: Receipt, edits: Edits, pushed: Pushed) -> Receipt:
    """The receipt with the baseline as it stands after a push."""
    gone = {*edits.task.labels["label_id"].to_pylist(), *edits.deleted["label_id"].to_pylist()}
    kept = [row for row in receipt.baseline.to_pylist() if row["label_id"] not in gone]
    baseline = pa.concat_tables([pa.Table.from_pylist(kept, schema=REMOTE), pushed.baseline])
    return replace(receipt, baseline=baseline, state=receipt.state if pushed.state is None else pushed.state)
