"""What differs between two versions of a dataset, as the tables of a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..bridge.changed_labels import ChangedLabels
from ..bridge.counts import Counts, counted_changes
from ..core import ids
from ..core.arrays import as_array
from ..core.labels import LABELS
from ..core.merge.differences import changes_of, differences
from ..core.merge.output import REPLACED, WRITES
from ..core.merge.proposed import PROPOSED
from ..display import html
from ..spill.groups import Groups
from ..spill.streams import Streams
from ..store import label_versions
from ..store.stores import Stores
from ..store.task_index import filter_by_samples
from .changed_samples import changed_samples

_GROUP = 20_000  # labels that are compared at a time, about


class Difference(ChangedLabels):
    """What was added, edited and deleted between two versions of a dataset; with the tables of a plan.

    Labels are compared by their ids, and by component. By whom and when a label was changed does not count, nor do columns that
    users added to the labels. Labels whose sample is not in a version are not part of it. Samples are compared by their ids, and by
    column: path, tags, sizes and columns of users; not the content of their media.
    """

    def __init__(
        self, before: tuple[str, Stores], after: tuple[str, Stores], added: pa.Array, changed: pa.Array, deleted: pa.Array,
        streams: Streams, counted: Counts,
    ) -> None:  # fmt: skip
        super().__init__(streams, counted)
        self.before, self._before = before
        self.after, self._after = after
        self._samples_added, self._samples_changed, self._samples_deleted = added, changed, deleted

    @cached_property
    def changes(self) -> pa.Table:
        """What changed, a row for each label and component; the riskiest first.

        The columns are those of ``annobridge.core.review.changes.CHANGES``: ``base`` is the value before, ``theirs`` that
        afterwards. Columns that only a plan has are null. Beside the components of a plan there are ``confidence``, ``tags``,
        ``field`` and ``sample_id``.
        """
        proposed = self._streams.table("proposed")
        wanted, columns = pc.unique(proposed["sample_id"]), ["sample_id", "width", "height"]
        sizes = pa.concat_tables(side.samples.rows(wanted, columns) for side in (self._after, self._before))
        sizes = sizes.filter(sizes["sample_id"].is_valid())
        return changes_of(proposed, sizes, self._streams.table("replaced"), self._streams.table("writes"))

    @property
    def samples_added(self) -> pa.Table:
        """The samples that only the later version has, with all of their columns."""
        return self._after.samples.rows(self._samples_added)

    @property
    def samples_changed(self) -> pa.Table:
        """The samples that differ in some column, as they are in the later version."""
        return self._after.samples.rows(self._samples_changed)

    @property
    def samples_deleted(self) -> pa.Table:
        """The samples that only the earlier version has."""
        return self._before.samples.rows(self._samples_deleted)

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.total or any(self._samples.values()))

    @property
    def _samples(self) -> dict[str, int]:
        """How many samples were added, changed and deleted."""
        found = {"added": self._samples_added, "changed": self._samples_changed, "deleted": self._samples_deleted}
        return {name: len(sample_ids) for name, sample_ids in found.items()}

    def to_dict(self) -> dict[str, Any]:
        """The counts as plain data."""
        counts = {name: getattr(self, name) for name in ("added", "edited", "deleted")}
        return {"before": self.before, "after": self.after, "fields": self.counts, **counts, "samples": self._samples}

    def __repr__(self) -> str:
        samples = "samples: +{added} ~{changed} -{deleted}".format_map(self._samples)
        head = f"{self.before!r} to {self.after!r}: +{self.added} ~{self.edited} -{self.deleted}, {samples}"
        return "\n".join([head, *self._signed_counts()])

    def _repr_html_(self) -> str:
        counts, pairs = self._tables_html()
        samples = "{added} samples added, {changed} changed, {deleted} deleted".format_map(self._samples)
        return html.titled(f"{self.before} to {self.after}", counts, html.line(samples), pairs)


def difference(before: tuple[str, Stores], after: tuple[str, Stores]) -> Difference:
    """Compare two versions of a dataset, each with its name."""
    streams = Streams({"writes": WRITES, "replaced": REPLACED, "proposed": PROPOSED})
    counted: Counts = Counter()
    samples_before = samples_after = before[1].samples.ids()
    if before[1].samples.version() != after[1].samples.version():
        samples_after = after[1].samples.ids()
    added, deleted = _missing(samples_after, samples_before), _missing(samples_before, samples_after)
    old, new = label_versions.unshared(before[1].database, after[1].database)
    same = before[1].database, after[1].database
    groups = 1 + max(side.labels.count() for _, side in (before, after)) // _GROUP
    with (
        _grouped(old, samples_before, label_versions.shared(*same), deleted, groups) as rows_before,
        _grouped(new, samples_after, label_versions.shared(*same), added, groups) as rows_after,
    ):
        for group in range(groups):
            old_rows, new_rows = rows_before.get(group), rows_after.get(group)
            if not old_rows.num_rows and not new_rows.num_rows:
                continue
            found = differences(old_rows, new_rows)
            for name, rows in found._asdict().items():
                streams.add(name, rows)
            counted.update(counted_changes(found.writes, found.replaced))
    streams.finish()
    return Difference(before, after, added, changed_samples(before[1], after[1]), deleted, streams, counted)


def _missing(these: pa.Array, others: pa.Array) -> pa.Array:
    return these.filter(pc.invert(pc.is_in(these, value_set=others)))


def _grouped(
    unshared: Iterator[pa.RecordBatch], present: pa.Array, shared: Iterator[pa.RecordBatch], only_here: pa.Array, count: int
) -> Groups:  # fmt: skip
    """The labels of a side that may differ, by a number that follows from their ids.

    Labels in files that both sides share are equal. They differ only where their sample is on one side alone.
    """
    rows = filter_by_samples(unshared, present)
    groups = Groups(LABELS)
    try:
        for batch in chain(rows, filter_by_samples(shared, only_here)) if len(only_here) else rows:
            groups.add(batch, ids.buckets(as_array(batch["label_id"]), count))
    except BaseException:
        groups.close()
        raise
    return groups
