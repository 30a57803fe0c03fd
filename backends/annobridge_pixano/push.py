"""Push labels into a dataset over REST: one call for each row that changes, one after another, as Pixano has no other.

The server refuses a second writer (``dataset_busy``), so calls are not made at once; each is repeated while it is busy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Edits, Pushed, Receipt
from annobridge.core.arrays import as_array, equal, filter_rows, not_null
from annobridge.core.merge.diff import rows_by
from annobridge.core.merge.patch import unchanged_as_in
from annobridge.exceptions import Gone
from annobridge.formats.pixano_library.codec.decode import Tables, decode
from annobridge.formats.pixano_library.codec.layout import SPATIAL, Layout

from .api import Api
from .pushed_labels import resolve
from .row_changes import Change, SpatialChanges, message_changes, record_changes

_IMAGES = pa.schema([("id", pa.string()), ("record_id", pa.string())])


def push(api: Api, receipt: Receipt, layout: Layout, edits: Edits, read: Callable[[], Tables]) -> Pushed:
    """Change labels of a task; see ``AnnotationBackend.push``. ``read`` returns the tables of the dataset as they are now."""
    dataset, tables = str(receipt.state["dataset"]), read()
    there = decode(tables, layout, receipt.baseline).labels
    edits = _with_work_of_people(edits, receipt.baseline, there)
    deleted = edits.deleted.combine_chunks()
    pushed = resolve(edits, layout, tables, there, receipt.baseline)
    spatial = SpatialChanges(layout, tables, pushed, deleted)
    notes = [*pushed.notes, *_shared_notes(spatial.shared)]
    views = _views(api, dataset, spatial.views_needed())
    _make(api, dataset, spatial.all(views))
    _make(api, dataset, record_changes(layout, tables, pushed, deleted))
    _make(api, dataset, message_changes(layout, tables, pushed, deleted, there))
    written = pushed.labels.filter(
        pc.invert(pc.is_in(pushed.labels["label_id"], pa.array([*spatial.shared], pa.string())))
    )
    changed = pa.concat_arrays([as_array(t["label_id"]) for t in (edits.task.labels, deleted)])
    others = receipt.baseline.filter(pc.invert(pc.is_in(receipt.baseline["label_id"], value_set=changed)))
    now = decode(read(), layout, pa.concat_tables([others, written])).labels
    baseline = now.filter(pc.is_in(now["label_id"], value_set=as_array(written["label_id"]))).combine_chunks()
    given = as_array(edits.task.labels["label_id"])
    left_out = given.filter(pc.invert(pc.is_in(given, value_set=as_array(baseline["label_id"]))))
    return Pushed(baseline, left_out, notes=tuple(notes))


def _with_work_of_people(edits: Edits, baseline: pa.Table, there: pa.Table) -> Edits:
    """The edits with the components that they do not change as Pixano has them now: people may have changed them meanwhile."""
    labels = edits.task.labels.combine_chunks()
    before = rows_by(baseline, labels["label_id"])
    spatial = filter_rows(there, pc.is_in(there["kind"], value_set=pa.array([*SPATIAL])))
    now = rows_by(spatial, edits.remote_ids, "remote_id")
    known = not_null(before["label_id"]) & not_null(now["remote_id"]) & equal(labels["kind"], as_array(now["kind"]))
    return replace(edits, task=replace(edits.task, labels=unchanged_as_in(now, labels, before, known)))


def _views(api: Api, dataset: str, records: frozenset[str]) -> Mapping[str, str]:
    """The id of the image of each record."""
    if not records:
        return {}
    images = api.table(dataset, "images", _IMAGES)
    return dict(zip(images["record_id"].to_pylist(), images["id"].to_pylist(), strict=True))


def _make(api: Api, dataset: str, changes: Iterator[Change]) -> None:
    """Make changes. A row that somebody deleted meanwhile is none any more, as the reading afterwards finds out."""
    for change in changes:
        if change.method == "create":
            api.create(dataset, change.table, change.row, change.values)
            continue
        with suppress(Gone):
            if change.method == "update":
                api.update(dataset, change.table, change.row, change.values)
            else:
                api.remove(dataset, change.table, change.row)


def _shared_notes(shared: frozenset[str]) -> Iterator[str]:
    if shared:
        yield (
            f"{len(shared)} labels ({', '.join(sorted(shared)[:3])}{' …' * (len(shared) > 3)}) were left out: in Pixano they are "
            "parts of one object with others, which have its class and attributes too; change all of them alike."
        )
