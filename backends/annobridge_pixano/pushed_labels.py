"""The labels of a push: the id that each has in Pixano, and which of them Pixano has no place for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Edits
from annobridge.core.arrays import Bools, as_array, as_mask, choose, equal, filter_rows, not_null, row_keys, set_columns
from annobridge.core.checks.repeats import repeated
from annobridge.core.labels import REMOTE, conform
from annobridge.formats.pixano_library.codec import encode, values
from annobridge.formats.pixano_library.codec.checks import label_problems
from annobridge.formats.pixano_library.codec.decode import Tables
from annobridge.formats.pixano_library.codec.layout import SAFE_ID, SPATIAL, Layout
from annobridge.formats.pixano_library.codec.tables import ANNOTATIONS

_KEY = ("sample_id", "remote_id")


@dataclass(frozen=True, slots=True)
class PushedLabels:
    """What is to be in Pixano.

    Attributes:
        labels: the labels to write, as they are to be, with the ids that they get or have (``REMOTE``).
        is_new: whether each is to be added.
        before: of each, the id that it has now; null for a new one. Of classifications in a list, the id contains the class.
        left_out: the ids of the others.
        notes: why these are left out.
    """

    labels: pa.Table
    is_new: Bools
    before: pa.Array
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def resolve(edits: Edits, layout: Layout, tables: Tables, there: pa.Table, baseline: pa.Table) -> PushedLabels:
    """Find the labels of a push in Pixano, and give ids to the new ones.

    Args:
        edits: what is to be changed.
        layout: the columns of the dataset.
        tables: the tables of the dataset.
        there: the labels that they hold.
        baseline: the labels as they were sent or as the last load left them.
    """
    labels = conform(edits.task.labels.combine_chunks(), REMOTE, remote_id="")
    is_new = ~not_null(edits.remote_ids)
    ids = choose(is_new | _in_lists(labels, layout), _own_ids(labels, layout, tables, baseline), edits.remote_ids)
    found = PushedLabels(set_columns(labels, remote_id=ids), is_new, edits.remote_ids)
    given = set_columns(found.labels, remote_id=pc.fill_null(edits.remote_ids, ""))
    gone = ~is_new & ~_is_in(given, there)
    found = _without(found, gone, "were deleted in Pixano meanwhile")
    found = _without(found, ~_has_place(found.labels, layout), "belong to no column of the dataset")
    found = _without(
        found, _other_shape(found, there), "have a shape of another table than in Pixano; add them as new ones"
    )
    found = _without(found, _is_taken(found, edits, there), "have a class that their image has already in that field")
    return _without_problems(found, layout)


def _in_lists(labels: pa.Table, layout: Layout) -> Bools:
    names = [name for name, column in layout.records.items() if column.type == "list"]
    return as_mask(pc.is_in(labels["field"], value_set=pa.array(names, pa.string())))


def _own_ids(labels: pa.Table, layout: Layout, tables: Tables, baseline: pa.Table) -> pa.Array:
    """The ids that labels get in Pixano: always the same ones, so that a push that was cut off is continued."""
    annotations = pa.concat_tables([tables[name].select(["id", "entity_id"]) for name in ANNOTATIONS])
    others = baseline.filter(pc.invert(pc.is_in(baseline["label_id"], value_set=as_array(labels["label_id"]))))
    taken = annotations.filter(pc.is_in(annotations["id"], value_set=as_array(others["remote_id"])))["entity_id"]
    ids = as_array(labels["label_id"])
    usable = as_mask(pc.match_substring_regex(ids, f"^{SAFE_ID.pattern}$"))
    usable &= ~as_mask(pc.is_in(ids, value_set=as_array(taken)))
    if not usable.all():
        replaced = [f"label.{hashlib.sha256(i.encode()).hexdigest()[:16]}" for i in ids.to_pylist()]
        ids = choose(usable, ids, pa.array(replaced, pa.string()))
    of_messages = pc.binary_join_element_wise(ids, "message", ".")
    of_others = encode.remote_ids(set_columns(labels, label_id=ids), layout)
    return choose(equal(labels["kind"], "message"), of_messages, of_others)


def _is_in(rows: pa.Table, others: pa.Table) -> Bools:
    keys = row_keys(others, _KEY)
    return as_mask(pc.is_in(row_keys(rows, _KEY), value_set=keys))


def _has_place(labels: pa.Table, layout: Layout) -> Bools:
    kinds = [*SPATIAL, *(["message"] if layout.messages else [])]
    of_records = as_mask(pc.is_in(labels["field"], value_set=pa.array([*layout.records], pa.string())))
    return of_records | as_mask(pc.is_in(labels["kind"], value_set=pa.array(kinds)))


def _other_shape(found: PushedLabels, there: pa.Table) -> Bools:
    """Where an annotation would have to move to another table, which its id cannot."""
    now = there.take(pc.index_in(row_keys(found.labels, _KEY), value_set=row_keys(there, _KEY)))
    tables = [
        pa.array([SPATIAL.get(kind or "") for kind in as_array(rows["kind"]).to_pylist()], pa.string())
        for rows in (now, found.labels)
    ]
    return as_mask(pc.not_equal(*tables))


def _is_taken(found: PushedLabels, edits: Edits, there: pa.Table) -> Bools:
    """Where an id is that of another label: a class is in a list once."""
    labels = found.labels
    written = set_columns(labels, remote_id=pc.fill_null(found.before, ""))
    is_known = not_null(there["label_id"]) & ~_is_in(there, edits.deleted) & ~_is_in(there, written)
    known = there.filter(pa.array(is_known))
    others = known.filter(pc.invert(pc.is_in(known["label_id"], value_set=as_array(labels["label_id"]))))
    return _is_in(labels, others) | np.asarray(repeated(labels, _KEY, []))


def _without(found: PushedLabels, where: Bools, why: str) -> PushedLabels:
    """The labels without some, which are left out for a reason."""
    if not where.any():
        return found
    left = as_array(found.labels["label_id"]).filter(pa.array(where)).to_pylist()
    kept = pa.array(~where)
    return PushedLabels(
        filter_rows(found.labels, kept).combine_chunks(), found.is_new[~where], found.before.filter(kept),
        [*found.left_out, *left], [*found.notes, f"{len(left)} labels ({_some(left)}) {why}."],
    )  # fmt: skip


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:3]) + " …" * (len(ids) > 3)


def _without_problems(found: PushedLabels, layout: Layout) -> PushedLabels:
    """The labels without those whose values Pixano cannot hold; one by one only if there are any."""
    if not list(_problems(found.labels, layout)):
        return found
    for row in reversed(range(len(found.labels))):
        if problems := list(_problems(found.labels.slice(row, 1).combine_chunks(), layout)):
            where = np.arange(len(found.labels)) == row
            found = _without(found, where, f"cannot be held by Pixano: {problems[0].rstrip('.')}")
    return found


def _problems(labels: pa.Table, layout: Layout) -> Iterator[str]:
    yield from label_problems(labels)
    spatial = labels.filter(pc.is_in(labels["kind"], value_set=pa.array([*SPATIAL])))
    yield from values.misfits(spatial.combine_chunks(), layout.attributes)
    for name, column in layout.records.items():
        if column.kinds == ("scalar",):
            texts = pc.unique(labels.filter(pc.equal(labels["field"], name))["value"].drop_null()).to_pylist()
            if bad := [text for text in texts if not values.fits(text, column.type)]:
                yield f"{name} = {bad[0]} does not fit a column of type {column.type}."
