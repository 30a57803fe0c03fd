"""The ``labels`` table: one row per label of every field, and one atomic commit for all that a load changes.

A commit marks the rows that go in deletion vectors, streams the rows that come into new fragments, and makes both visible by one
transaction: an ``Update``, or an ``Append`` if no row goes. Compared with ``merge_insert`` and ``delete``
(``benchmarks/commit.py``) it takes one version instead of two or more, and a fraction of the memory. Lance refuses it when any
program changed an affected fragment since it was read. Then the rows are looked up again by id and revision, and the commit is
repeated, or the plan is stale.

A replaced row keeps its row id, and with it its position among the labels of its sample, and the values of columns that users
added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain

import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from lance.commit import CommitConflictError
from lance.fragment import RowIdSequence

from ..core import ids
from ..core.arrays import as_array
from ..core.labels import LABELS, OURS
from ..exceptions import StalePlan, StoreError
from .by_task import ByTask
from .commits import MAX_ATTEMPTS, Commits, Fragments, change_of_rows
from .row_set import RowSet
from .row_stream import RowStream
from .tables import Database, in_list, quote
from .task_index import filter_by_samples
from .task_rows import Places, TaskRows, read

_IDS_PER_CONDITION = 20_000
LABELS_WITH_ROW_ID = LABELS.append(OURS.field("_rowid"))  # row ids give the order in which labels were added
_KEYS = ("label_id", "rev", "_rowaddr", "_rowid")
ROW_KEYS = pa.schema([OURS.field(name) for name in _KEYS])  # rows to replace or delete


class Labels:
    """Reads and writes the labels of a dataset. Conditions (``where``) are SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._commits = Commits(database, "labels")

    def version(self) -> int:
        """The newest version of the table."""
        return int(self._database.table("labels").version)

    def count(self, where: str | None = None) -> int:
        """The number of labels that meet a condition, or of all."""
        return self._database.count("labels", where)

    def exists(self, where: str) -> bool:
        """Whether any label meets a condition."""
        return any(batch.num_rows for batch in self._database.scan("labels", ["field"], where, limit=1))

    def samples_with(self, where: str) -> pa.Array:
        """The ids of the samples with a label that meets a condition."""
        parts = [pc.unique(batch["sample_id"]) for batch in self.scan(where, ["sample_id"])]
        return pc.unique(pa.chunked_array(parts, pa.string()))

    def fields(self) -> list[str]:
        """The names of the fields that have labels, sorted."""
        parts = [pc.unique(batch["field"]) for batch in self.scan(None, ["field"])]
        return sorted(pc.unique(pa.chunked_array(parts, pa.string())).to_pylist())

    def exists_other_than(self, label_ids: pa.Array, where: str) -> bool:
        """Whether any label that meets a condition has another id than these."""
        found = (pc.is_in(batch["label_id"], value_set=label_ids) for batch in self.scan(where, ["label_id"]))
        return any(not pc.all(known, min_count=0).as_py() for known in found)

    def scan(
        self,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        version: int | None = None,
        address: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """Stream labels; see ``Database.scan``. Raises ``StalePlan`` for a version that was cleaned away."""
        if version is not None:
            self._planned(version)
        return self._database.scan("labels", columns or LABELS.names, where, version, address)

    def scan_with_row_id(self, where: str | None, version: int | None = None) -> Iterator[pa.RecordBatch]:
        """Stream labels as ``LABELS_WITH_ROW_ID``; see ``sort_by_insertion``."""
        for batch in self.scan(where, LABELS.names, version, address=True):
            yield batch.select(LABELS_WITH_ROW_ID.names)

    def scan_ours(self, where: str, version: int | None = None) -> Iterator[pa.RecordBatch]:
        """Stream labels as ``OURS``."""
        columns = [n for n in OURS.names if n not in ("_rowaddr", "_rowid")]
        for batch in self.scan(where, columns, version, address=True):
            yield batch.select(OURS.names)

    def find_rows(self, tasks: ByTask, where: str, version: int) -> TaskRows:
        """Where the labels of the samples of each task lie that meet a condition."""
        self._planned(version)
        return TaskRows(self._database, "labels", version, "sample_id", tasks.numbers_of_samples(), where)

    def rows_at(self, places: Places) -> pa.Table:
        """The labels that ``find_rows`` found there (``OURS``)."""
        self._planned(places.version)
        columns = [n for n in OURS.names if n not in ("_rowaddr", "_rowid")]
        return pa.Table.from_batches((b.select(OURS.names) for b in read(self._database, places, columns)), OURS)

    def get_by_ids(self, label_ids: pa.Array, version: int | None = None) -> pa.Table:
        """The labels with these ids, as ``OURS``."""
        parts = [label_ids.slice(n, _IDS_PER_CONDITION) for n in range(0, len(label_ids), _IDS_PER_CONDITION)]
        batches = [batch for part in parts for batch in self.scan_ours(in_list("label_id", part.to_pylist()), version)]
        return pa.Table.from_batches(batches, OURS)

    def of_samples(self, sample_ids: pa.Array, condition: str, version: int | None = None) -> pa.Table:
        """The labels of some samples that meet a condition, as ``LABELS``."""
        parts = [sample_ids.slice(n, _IDS_PER_CONDITION) for n in range(0, len(sample_ids), _IDS_PER_CONDITION)]
        conditions = (f"({condition}) AND {in_list('sample_id', part.to_pylist())}" for part in parts)
        batches = [batch for where in conditions for batch in self.scan(where, LABELS.names, version)]
        return pa.Table.from_batches(batches, LABELS)

    def rows_to_replace(self, where: str, version: int) -> pa.Table:
        """The labels that meet a condition, as ``ROW_KEYS``."""
        batches = self.scan(where, ["label_id", "rev"], version, address=True)
        return pa.Table.from_batches((batch.select(ROW_KEYS.names) for batch in batches), ROW_KEYS)

    def rows_of_samples(self, sample_ids: pa.Array, version: int) -> pa.Table:
        """The labels of some samples, as ``ROW_KEYS``."""
        batches = filter_by_samples(
            self.scan(None, ["label_id", "rev", "sample_id"], version, address=True), sample_ids
        )
        return pa.Table.from_batches((batch.select(ROW_KEYS.names) for batch in batches), ROW_KEYS)

    def write(self, batches: Iterable[pa.RecordBatch], user_columns_version: int | None = None) -> Fragments:
        """Write new labels to data files, which are part of no version before ``commit``.

        Args:
            batches: labels, as ``LABELS``.
            user_columns_version: a version that contains these labels, from which the values of the columns that users
                added are taken; by default they are null.
        """
        table, rows = self._commits.latest(), iter(batches)
        if (first := next(rows, None)) is None:
            return []
        rows, own = chain([first], rows), user_columns(table)
        if user_columns_version is None or not own:
            require_nullable(own)
            return self._commits.write_fragments(rows, table, LABELS)
        schema, then = pa.schema([*LABELS, *own]), self._planned(user_columns_version)
        whole = (_joined(batch, _user_values(then, own, "label_id", batch["label_id"]), schema) for batch in rows)
        return self._commits.write_fragments(whole, table, schema)

    def has_user_columns(self) -> bool:
        """Whether users added columns to the table."""
        return bool(user_columns(self._commits.latest()))

    def version_before(self, version: int | None) -> int | None:
        """The version before ``version``; ``None`` if it was cleaned up."""
        try:
            return None if version is None else int(self._database.table("labels", version - 1).version)
        except (ValueError, OSError):
            return None

    def require_nullable(self) -> None:
        """Raise ``StoreError`` when a column that a user added must not be null, so that no label can be added."""
        require_nullable(user_columns(self._commits.latest()))

    def delete_by_samples(self, sample_ids: pa.Array) -> None:
        """Delete all labels of some samples, also those that others add or change at the same time."""
        for _ in range(MAX_ATTEMPTS):
            version = self.version()
            with suppress(StalePlan):
                self.commit(version, self.rows_of_samples(sample_ids, version))
                return
        raise self._commits.contention_error()

    def delete_all(self) -> None:
        """Delete all labels."""
        if self.count():
            version = self.version()
            self.commit(version, self.rows_to_replace("true", version))

    def commit(
        self,
        version: int,
        rows: pa.Table | None = None,
        edited: Iterable[pa.RecordBatch] = (),
        added: Sequence[lance.FragmentMetadata] = (),
        *,
        token: str = "",
        new_ids: Callable[[], Iterable[pa.Array]] = tuple,
        is_only_writer: Callable[[], bool] = lambda: True,
    ) -> int:
        """Replace, delete and add labels in one version; returns it.

        Args:
            version: the version that ``rows`` was read from.
            rows: the rows to replace or delete, as ``ROW_KEYS``.
            edited: the new values (``LABELS``) of the first of ``rows``, in their order and with their ids. The other rows
                are deleted.
            added: new labels, from ``write``.
            token: is stored with the commit, for ``find_commit``.
            new_ids: returns the ids in ``added`` that must not be in use.
            is_only_writer: asked before each attempt: whether no other process may be adding labels with the same ids. It may
                raise to stop the commit.

        Raises:
            StalePlan: one of ``rows`` was changed or deleted since ``version``, or a new id is in use. Nothing is written.
        """
        rows = ROW_KEYS.empty_table() if rows is None else rows
        new = [*self.rewrite(version, rows.to_batches(), edited), *added]
        return self.commit_written(
            version, RowSet(rows["_rowaddr"].to_numpy()), new, lambda: rows, token=token, new_ids=new_ids,
            is_only_writer=is_only_writer,
        )  # fmt: skip

    def commit_written(
        self,
        version: int,
        rows: RowSet,
        new: Sequence[lance.FragmentMetadata],
        keys: Callable[[], pa.Table],
        *,
        token: str = "",
        new_ids: Callable[[], Iterable[pa.Array]] = tuple,
        is_only_writer: Callable[[], bool] = lambda: True,
    ) -> int:
        """As ``commit``, of files that were written before, here or by other processes: ``new`` has those of ``rewrite``, then
        those of ``write``. ``rows`` are replaced or deleted; ``keys`` returns them as ``ROW_KEYS``, and is called if others have
        committed since ``version``, which they are in.
        """
        self._database.require_writable()
        planned = table = self._planned(version)
        if not new and not rows:
            return version
        for attempt in range(MAX_ATTEMPTS):
            latest = self._latest_or_fenced(is_only_writer, attempt)
            if latest.version != version:  # others committed since; their changes must not concern these rows
                if not latest.schema.equals(planned.schema):
                    raise StalePlan("The columns of the labels table were changed by others meanwhile; plan again.")
                with self._commits.reading():
                    self._require_new(latest, version, new_ids())
                    rows, table = self._found_again(latest, version, keys()), latest
            try:
                return self._commits.commit(table, change_of_rows(table, rows, new), token)
            except CommitConflictError:
                continue
        raise self._commits.contention_error()

    def _latest_or_fenced(self, is_only_writer: Callable[[], bool], attempt: int) -> lance.LanceDataset:
        """The newest version to commit on; a fenced one if others may be adding labels with the same ids.

        Why two loads, A that skips the fence and B, cannot both add one id: B announces its load in the ledger before it
        fences. If A asks after that announcement, it learns of B, and fences too. If A asks before, then it has read
        its version before B's fence, so its commit comes before that fence, where B sees the new labels, or conflicts with it.
        For this the table must be read before ``is_only_writer`` is asked.

        A process that takes A for dead also changes the ledger first, and fences then. So A's commit either comes before
        that fence, where the other finds it by its token, or conflicts, and A is stopped when it asks again.
        """
        latest = self._commits.latest()
        if not is_only_writer():
            latest = self._commits.fence(attempt)
            is_only_writer()  # again, after the fence: it raises if the load was taken for dead before
        return latest

    def rewrite(self, version: int, rows: Iterable[pa.RecordBatch], edited: Iterable[pa.RecordBatch]) -> Fragments:
        """Write new values of labels (``LABELS``), with their row ids and the values of the users' columns.

        ``rows`` are those of ``version`` that they replace, as ``ROW_KEYS``, in the same order. Others may follow.
        """
        table = self._planned(version)
        own = user_columns(table)
        schema = pa.schema([*LABELS, *own])
        replaced, row_ids = RowStream(rows, ROW_KEYS), [np.zeros(0, np.uint64)]

        def whole() -> Iterator[pa.RecordBatch]:
            for batch in edited:
                some = replaced.take(batch.num_rows)
                if not pa.chunked_array([batch["label_id"]]).equals(some["label_id"]):
                    raise ValueError("edited labels are not in the order of the rows that they replace")
                row_ids.append(some["_rowid"].to_numpy())
                yield _joined(batch, _user_values(table, own, "_rowid", as_array(some["_rowid"])), schema)

        fragments = self._commits.write_fragments(whole(), table, schema)
        of_rows, at = np.concatenate(row_ids), 0
        for fragment in fragments:
            fragment.row_id_meta = RowIdSequence(of_rows[at : at + fragment.physical_rows]).to_inline_metadata()
            at += fragment.physical_rows
        return fragments

    def fence(self) -> None:
        """Make a version with which every commit that was planned before it conflicts; see ``Commits``."""
        self._commits.fence()

    def _planned(self, version: int) -> lance.LanceDataset:
        try:
            planned: lance.LanceDataset = self._database.table("labels", version)
        except (ValueError, OSError) as e:
            raise StalePlan(
                f"The labels that this was planned on (version {version}) were cleaned away meanwhile; plan again."
            ) from e
        return planned

    @staticmethod
    def _require_new(table: lance.LanceDataset, version: int, added: Iterable[pa.Array]) -> None:
        created = table.scanner(columns=["label_id"], filter=f"_row_created_at_version > {version}").to_table()
        for new in added if created.num_rows else ():
            clash = created.filter(pc.is_in(created["label_id"], value_set=new))
            if clash.num_rows:
                raise StalePlan(
                    f"The label {clash['label_id'][0].as_py()!r} was added by somebody else meanwhile; plan again."
                )

    @staticmethod
    def _found_again(table: lance.LanceDataset, version: int, before: pa.Table) -> RowSet:
        """The rows in a newer version. Raises ``StalePlan`` if any was changed or deleted since ``version``."""
        if not before.num_rows:
            return RowSet()
        wanted = pa.concat_arrays(before["label_id"].chunks)
        parts = []
        columns = ["label_id", "rev", "_row_last_updated_at_version"]
        for batch in table.scanner(columns=columns, with_row_address=True, batch_size=262_144).to_batches():
            parts.append(batch.filter(pc.is_in(batch["label_id"], value_set=wanted)))
        stale = StalePlan("Labels of this plan were changed by somebody else meanwhile; plan again.")
        if sum(part.num_rows for part in parts) != before.num_rows:
            raise stale
        now = pa.Table.from_batches(parts)
        rev = before["rev"].take(pc.index_in(now["label_id"], value_set=wanted))
        changed = pc.or_(pc.not_equal(rev, now["rev"]), pc.greater(now["_row_last_updated_at_version"], version))
        if pc.any(changed).as_py():
            raise stale
        return RowSet(now["_rowaddr"].to_numpy())

    def find_commit(self, token: str, since: int) -> int | None:
        """The version that the commit with this token made, among those after ``since``; ``None`` if there is none."""
        return self._commits.find_version(token, since)

    def made_by_another(self, version: int, token: str) -> bool:
        """Whether a version was made by another commit than the one with this token; ``False`` if it was cleaned up."""
        return self._commits.token_of(version) not in (token, None)


def sort_by_insertion(rows: pa.Table) -> pa.Table:
    """Sort ``LABELS_WITH_ROW_ID`` by when the labels were added; edits do not count. Returns ``LABELS``."""
    row_ids = rows["_rowid"].to_numpy()
    if len(row_ids) > 1 and (row_ids[1:] < row_ids[:-1]).any():
        rows = rows.take(pa.array(np.argsort(row_ids, kind="stable")))
    return rows.select(LABELS.names)


def user_columns(table: lance.LanceDataset) -> list[pa.Field]:
    """The columns that users added to the table. Edited labels keep their values; in new labels they are null."""
    return [f for f in table.schema if f.name not in LABELS.names]


def require_nullable(own: Sequence[pa.Field]) -> None:
    """Raise ``StoreError`` for a user's column that must not be null."""
    if full := [f.name for f in own if not f.nullable]:
        raise StoreError(
            f"The labels table has the column {full[0]!r}, which was added to it and may not be null, so no label can be "
            f"added; make it nullable: table.alter_columns({{'path': {full[0]!r}, 'nullable': True}})."
        )


def _user_values(table: lance.LanceDataset, own: Sequence[pa.Field], key: str, wanted: pa.Array) -> pa.Table:
    """The users' columns of the rows whose ``key`` is in ``wanted``, in its order; null where ``table`` lacks the column."""
    known = [f.name for f in own if f.name in table.schema.names]
    if not known or not len(wanted):
        return pa.table({f.name: pa.nulls(len(wanted), f.type) for f in own})
    values = wanted.to_pylist()
    where = in_list(key, values) if key == "label_id" else f"{key} IN ({', '.join(map(str, values))})"
    columns = known if key == "_rowid" else [*known, key]
    found = table.scanner(columns=columns, filter=where, with_row_id=True).to_table()
    found = found.take(pc.index_in(wanted, value_set=found[key].combine_chunks()))
    return pa.table({f.name: found[f.name] if f.name in known else pa.nulls(len(wanted), f.type) for f in own})


def _joined(batch: pa.RecordBatch, own: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    columns = [*batch.columns, *(column.combine_chunks() for column in own.columns)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def field_condition(fields: Sequence[str]) -> str:
    """The SQL condition for the labels of some fields."""
    return in_list("field", fields) if len(fields) != 1 else f"field = {quote(fields[0])}"


def fill_missing_ids(rows: pa.Table) -> pa.Table:
    """The rows, with a new random id where ``label_id`` is null."""
    if not rows["label_id"].null_count:
        return rows
    filled = pc.coalesce(rows["label_id"], pa.chunked_array([ids.fresh(rows.num_rows)]))
    return rows.set_column(rows.column_names.index("label_id"), LABELS.field("label_id"), filled)
