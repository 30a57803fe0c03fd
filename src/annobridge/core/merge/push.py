"""The push of one task: what changed in the dataset since the baseline, reconciled with what the tool has now.

This is the merge of a load with its sides exchanged: the changes are those of the dataset, and the tool is what they are made in.
So ``theirs`` of the merge are the labels of the dataset, and ``ours`` those of the tool. What is told to people is in their words,
in which ``ours`` is the dataset.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import tasks
from ..arrays import as_array, choose, equal, filter_rows, index_of, not_null, set_columns
from ..labels import LABELS, NOT_MERGED, OURS, REMOTE, conform
from ..review.decisions import OURS as OURS_WINS
from ..review.decisions import THEIRS as THEIRS_WINS
from ..schema import LabelSchema
from .diff import BASE_ROW, rows_by, with_base_rows
from .file_ids import file_labels, with_ids_of_tool
from .match import match
from .output import WRITES, Provenance
from .patch import unchanged_as_in
from .policy import Policy
from .precision import keep_unchanged
from .proposed import Review
from .reconcile import Wording, merge
from .sides import written_since

PUSHED = pa.schema([*WRITES, pa.field("remote_id", pa.string())])
DELETED = REMOTE.append(pa.field("task", pa.string()))
NOT_IN_TOOL = "push"  # in place of the tool's id of a label that is about to be added
_WORDING = Wording(
    both_changed="changed here and in the tool",
    deleted_there="deleted here, and edited in the tool",
    deleted_here="edited here, and deleted in the tool",
    present="the same label is in the tool with other values",
    theirs_kept="ours is taken",
    ours_kept="theirs is kept",
)
_EXCHANGED = {OURS_WINS: THEIRS_WINS, THEIRS_WINS: OURS_WINS}


class ToPush(NamedTuple):
    """What a push does in one task."""

    labels: pa.Table  # PUSHED: labels to add or to edit, as they are to be in the tool, with its ids, null for new ones
    replaced: pa.Table  # REPLACED: the labels of the tool that these replace, and those that are deleted
    deleted: pa.Table  # DELETED: labels to delete there
    intended: pa.Table  # BASELINE: what holds when that is done
    conflicts: pa.Table  # FINDINGS
    refused: pa.Table  # FINDINGS
    proposed: pa.Table  # PROPOSED, in the words of people


class Here(NamedTuple):
    """The labels of one task in the dataset."""

    labels: pa.Table  # OURS, of the fields of the run and the samples of the task
    elsewhere: pa.Array  # ids of labels of the baseline that are on samples out of the task, or in other fields, by now
    of_others: pa.Array  # ids of labels that are in the baseline of another task
    may_be_new: pa.Array | None  # the ids of labels that the view of the run selects; None: all
    before: pa.Table  # OURS, the labels that were written since the baseline, as they were then, where that is known


def plan_push(
    base: pa.Table, there: pa.Table, here: Here, returned: pa.Array, schema: LabelSchema, single: Collection[str],
    policy: Policy, provenance: Provenance, review: Review | None,
) -> ToPush:  # fmt: skip
    """Plan the push of one task.

    Args:
        base: ``BASELINE``, what was sent, or holds since the last load or push.
        there: ``REMOTE``, what the tool has now.
        here: what the dataset has now.
        returned: the ids of the samples for which the tool answered, and which the dataset has.
        schema: of the run. Labels out of it are not pushed, and its restrictions are for the people in the tool only.
        single: the fields that hold one label per sample.
        policy: who wins a conflict, in the words of people.
        provenance: of the push.
        review: what people decided about the changes, in their words.
    """
    base = with_ids_of_tool(base, there)
    base = filter_rows(base, pa.array(~file_labels(base))).combine_chunks()  # the others are new to the tool
    there = match(provenance.run_id, base, there, schema).drop_columns([BASE_ROW.name])
    tool = _as_ours(there, base)
    dataset = _as_theirs(here, base, schema, provenance.versions)
    dataset = filter_rows(dataset, pc.is_in(dataset["sample_id"], value_set=returned)).combine_chunks()
    dataset = with_base_rows(dataset, base)
    if review is not None:
        review = review._replace(decisions=_exchanged(review.decisions))
    merged = merge(
        set_columns(base, unsent=None), dataset, tool, returned, LabelSchema({}), single, policy.exchanged(), provenance,
        _WORDING, review,
    )  # fmt: skip
    writes = _with_own_columns(merged.writes, here.labels)
    is_edit = pc.equal(writes["action"], "edit")
    remote_ids = pc.if_else(is_edit, _of_label(writes, there, "remote_id"), None)
    ids = as_array(merged.replaced.filter(pc.equal(merged.replaced["action"], "delete"))["label_id"])
    deleted = there.filter(pc.is_in(there["label_id"], value_set=ids))
    return ToPush(
        labels=conform(writes.append_column("remote_id", remote_ids), PUSHED),
        replaced=merged.replaced,
        deleted=conform(deleted.append_column("task", provenance.tasks.of(deleted["sample_id"])), DELETED),
        intended=_intended(merged.baseline, writes.filter(pc.invert(is_edit)), here.labels, schema),
        conflicts=_sides_exchanged(merged.conflicts),
        refused=merged.refused,
        proposed=_sides_exchanged(merged.proposed),
    )


def _as_ours(there: pa.Table, base: pa.Table) -> pa.Table:
    """The labels of the tool in the place of those of the dataset. Each counts as written since the baseline, so that its values
    are compared. What the tool was not given, it cannot have changed.
    """
    known = index_of(there["label_id"], base["label_id"])
    columns = {name: choose(not_null(known), base[name].take(known), there[name]) for name in NOT_MERGED}
    rows = set_columns(there.drop_columns(["remote_id"]), rev=-2, **columns)
    return conform(rows, OURS, _row_last_updated_at_version=0, _rowaddr=0, _rowid=0).combine_chunks()


def _as_theirs(here: Here, base: pa.Table, schema: LabelSchema, versions: Mapping[int, int]) -> pa.Table:
    """The labels of the dataset in the place of those of the tool: as they would be sent.

    Labels that nobody wrote since are as in the baseline, whatever the tool makes of their values. So are those that are out of the
    schema by now, and those that were moved to another field or sample: a push leaves them where they are in the tool.
    """
    labels = tasks.select_by_schema(here.labels.select(LABELS.names), schema)
    if here.may_be_new is not None:
        was_sent = pc.is_in(labels["label_id"], value_set=as_array(base["label_id"]))
        labels = labels.filter(pc.or_(was_sent, pc.is_in(labels["label_id"], value_set=here.may_be_new)))
    labels = filter_rows(labels, pc.invert(pc.is_in(labels["label_id"], value_set=here.of_others)))
    before = rows_by(base, labels["label_id"])
    now = here.labels.take(index_of(labels["label_id"], here.labels["label_id"]))
    in_place = np.logical_and.reduce([equal(now[name], as_array(before[name])) for name in ("field", "sample_id")])
    pushes = ~not_null(before["label_id"]) | (written_since(now, before, versions) & in_place)
    labels = filter_rows(labels, pa.array(pushes)).combine_chunks()
    labels = _as_in_baseline(base, labels, here.before)
    exists = pa.concat_arrays([as_array(here.labels["label_id"]), here.elsewhere])
    given = pc.is_in(base["label_id"], value_set=as_array(labels["label_id"]))
    stays = base.filter(pc.and_(pc.is_in(base["label_id"], value_set=exists), pc.invert(given)))
    remote_ids = pc.fill_null(_of_label(labels, base, "remote_id"), NOT_IN_TOOL)
    sent = set_columns(conform(labels, REMOTE, remote_id=""), remote_id=remote_ids)
    return pa.concat_tables([sent, stays.select(REMOTE.names).cast(REMOTE)])


def written_labels(base: pa.Table, here: pa.Table, versions: Mapping[int, int]) -> pa.Table:
    """``label_id`` and ``load`` of the rows of a baseline whose labels (``OURS``) were written since."""
    before = rows_by(base, here["label_id"])
    written = not_null(before["label_id"]) & written_since(here, before, versions)
    return before.select(["label_id", "load"]).filter(pa.array(written))


def _as_in_baseline(base: pa.Table, labels: pa.Table, before: pa.Table) -> pa.Table:
    """Labels, of which the components that did not change here are as in the baseline: a tool may round what it is given."""
    sent = rows_by(base, labels["label_id"])
    labels = keep_unchanged(labels, sent, sent, not_null(sent["label_id"]))
    if not before.num_rows:
        return labels
    then = rows_by(before, labels["label_id"])
    known = not_null(then["label_id"]) & not_null(sent["label_id"]) & equal(then["rev"], as_array(sent["rev"]))
    return unchanged_as_in(sent, labels, then, known)


def _of_label(rows: pa.Table, other: pa.Table, column: str) -> pa.Array:
    """A column of the rows of another table with the same label ids; null where there is none."""
    return as_array(other[column]).take(index_of(rows["label_id"], other["label_id"]))


def _with_own_columns(writes: pa.Table, here: pa.Table) -> pa.Table:
    """The labels to write with the columns that are not merged, as the dataset has them."""
    at = index_of(writes["label_id"], here["label_id"])
    return set_columns(writes, **{name: here[name].take(at) for name in NOT_MERGED})


def _intended(baseline: pa.Table, added: pa.Table, here: pa.Table, schema: LabelSchema) -> pa.Table:
    """The rows of the baseline after the push, with the revisions of the dataset and what is not sent of its labels."""
    is_new = pc.is_in(baseline["label_id"], value_set=as_array(added["label_id"]))
    remote_ids = pc.if_else(is_new, NOT_IN_TOOL, baseline["remote_id"])
    rows = set_columns(baseline, remote_id=remote_ids, rev=pc.fill_null(_of_label(baseline, here, "rev"), -1))
    unsent = tasks.with_unsent(rows.drop_columns(["unsent"]).select(REMOTE.names).cast(REMOTE), here, schema)
    return set_columns(rows, unsent=unsent["unsent"], **{name: unsent[name] for name in NOT_MERGED})


def _exchanged(decisions: pa.Table) -> pa.Table:
    """Decisions with the words for the two sides exchanged."""
    return set_columns(decisions, verdict=_words_exchanged(decisions["verdict"]))


def _sides_exchanged(rows: pa.Table) -> pa.Table:
    """``FINDINGS`` or ``PROPOSED`` with the two sides exchanged."""
    words = {name: _words_exchanged(rows[name]) for name in ("proposal", "verdict") if name in rows.column_names}
    return set_columns(rows, ours=rows["theirs"], theirs=rows["ours"], **words)


def _words_exchanged(words: pa.Array | pa.ChunkedArray) -> pa.Array:
    codes = as_array(words).dictionary_encode()
    return pa.array([_EXCHANGED.get(word, word) for word in codes.dictionary.to_pylist()], pa.string()).take(
        codes.indices
    )
