"""The ``labels`` table: one row per label of every field, and one atomic commit for all that a load changes.

How the commit is made: the rows that go are marked in deletion vectors, the rows that come are streamed into new
fragments, and one ``Update`` transaction makes both visible. Against ``merge_insert`` plus ``delete`` (``benchmarks/commit.py``)
that is one version instead of two or more, a fraction of the memory, and Lance itself refuses the commit when
anybody, annobridge or not, changed a touched fragment since it was read: then the rows are looked up again by id and
revision, and the commit is redone, or the plan is stale.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from lance.commit import CommitConflictError

from ..core import ids
from ..core.labels import LABELS, OURS
from ..exceptions import StalePlan
from .tables import WRITE_CACHE, Database, among, quote

_LOOK_UP = 20_000  # ids in one condition
_ATTEMPTS = 10
TOKEN = "annobridge.token"  # noqa: S105 - a property of the commit


class Labels:
    """Reading and writing label rows."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def version(self) -> int:
        """The version of the table now."""
        return int(self.db.table("labels").version)

    def count(self, where: str | None = None) -> int:
        """How many labels there are."""
        return int(self.db.table("labels").count_rows(where))

    def any(self, where: str) -> bool:
        """Whether there is a label that meets a condition."""
        return bool(self.db.table("labels").scanner(columns=["field"], filter=where, limit=1).to_table().num_rows)

    def samples_with(self, where: str) -> pa.Array:
        """The samples that have labels which meet a condition."""
        parts = [pc.unique(batch["sample_id"]) for batch in self.scan(where, ["sample_id"])]
        return pc.unique(pa.chunked_array(parts, pa.string()))

    def any_but(self, label_ids: pa.Array, where: str) -> bool:
        """Whether labels that meet a condition are there, other than these."""
        found = (pc.is_in(batch["label_id"], value_set=label_ids) for batch in self.scan(where, ["label_id"]))
        return any(not pc.all(known, min_count=0).as_py() for known in found)

    def append(self, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Add labels with new ids; one version."""
        self.db.append("labels", rows)

    def extend(self, batches: Iterator[pa.RecordBatch]) -> None:
        """Add the labels of a stream, in one version; none if it raises, and what it raised is raised (Lance would wrap it)."""
        raised: list[Exception] = []

        def watched() -> Iterator[pa.RecordBatch]:
            try:
                yield from batches
            except Exception as e:
                raised.append(e)
                raise

        rows = watched()
        if (first := next(rows, None)) is None:
            return
        try:
            self.append(pa.RecordBatchReader.from_batches(LABELS, chain([first], rows)))
        except Exception:
            if raised:
                raise raised[0] from None
            raise

    def scan(
        self,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        version: int | None = None,
        address: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """Stream labels."""
        return self.db.scan("labels", columns or LABELS.names, where, version, address)

    def ours(self, where: str, version: int | None = None) -> Iterator[pa.RecordBatch]:
        """Stream labels as ``OURS``."""
        for batch in self.scan(where, [n for n in OURS.names if n != "_rowaddr"], version, address=True):
            yield batch.select(OURS.names)

    def of_ids(self, label_ids: pa.Array, version: int | None = None) -> pa.Table:
        """The labels of some ids (``OURS``), wherever they are."""
        batches = [
            batch for part in _parts(label_ids) for batch in self.ours(among("label_id", part.to_pylist()), version)
        ]
        return pa.Table.from_batches(batches, OURS)

    def commit(
        self,
        version: int,
        before: pa.Table,
        writes: pa.RecordBatchReader | None,
        token: str = "",
        added: Callable[[], Iterable[pa.Array]] = tuple,
        alone: Callable[[], bool] = lambda: True,
    ) -> int:
        """Replace and delete the rows of ``before`` (label_id, rev, _rowaddr as of ``version``) and add ``writes``, at once.

        ``added`` gives the ids among the writes that must not exist yet; it is asked only if others wrote meanwhile.
        ``alone`` is asked before each attempt whether no other load is under way; it may raise to stop the commit.
        Returns the new version. Raises ``StalePlan`` when a row has another revision than ``before`` says, is gone, or is
        there already; nothing is written then.
        """
        latest = self.db.table("labels")
        table = latest if latest.version == version else self._planned(version)
        options = self.db.storage_options
        new = (
            []
            if writes is None
            else lance.fragment.write_fragments(writes, table, storage_options=options, data_cache_bytes=WRITE_CACHE)
        )
        addresses = before["_rowaddr"].to_numpy()
        for attempt in range(_ATTEMPTS):
            latest = self.db.table("labels")
            if not alone():
                latest = self.fence(attempt)
            if latest.version != version:
                self._require_new(latest, version, added())
                addresses = self._found_again(latest, version, before)
                table, version = latest, latest.version
            updated, removed = _deletions(table, addresses)
            change = lance.LanceOperation.Update(
                removed_fragment_ids=removed, updated_fragments=updated, new_fragments=new, update_mode="rewrite_rows"
            )
            try:
                return self._committed(table, change, token)
            except CommitConflictError:
                continue
        raise _restless()

    def _committed(self, table: lance.LanceDataset, change: lance.LanceOperation.BaseOperation, token: str) -> int:
        """Commit a change to the table as read. Raises Lance's ``CommitConflictError``."""
        properties = {TOKEN: token or uuid.uuid4().hex}
        done = lance.LanceDataset.commit(
            table.uri, lance.Transaction(table.version, change, transaction_properties=properties),
            storage_options=self.db.storage_options,
        )  # fmt: skip
        return int(done.version)

    def fence(self, attempt: int = 0) -> lance.LanceDataset:
        """The table as of a version that changes nothing, and that no commit planned before it can pass.

        Lance lets two commits of nothing but new rows pass each other. A change of the columns, even to what they are,
        conflicts with everything: whoever read the table before the fence has to look again, at what came before it too.
        """
        for more in range(_ATTEMPTS):
            time.sleep(random.uniform(0, 0.02 * (attempt + more)))  # noqa: S311 - so that two who fence at once come apart
            table = self.db.table("labels")
            try:
                version = self._committed(table, lance.LanceOperation.Project(table.schema), "")
            except CommitConflictError:
                continue
            fenced: lance.LanceDataset = self.db.table("labels", version)
            return fenced
        raise _restless()

    def _planned(self, version: int) -> lance.LanceDataset:
        try:
            planned: lance.LanceDataset = self.db.table("labels", version)
        except (ValueError, OSError) as e:
            raise StalePlan("The labels that this plan was made on were cleaned away meanwhile; plan again.") from e
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
    def _found_again(table: lance.LanceDataset, version: int, before: pa.Table) -> np.ndarray:
        """Where the rows lie in a newer version, provided that nobody changed them since."""
        if not before.num_rows:
            return np.zeros(0, np.uint64)
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
        moved = pc.or_(pc.not_equal(rev, now["rev"]), pc.greater(now["_row_last_updated_at_version"], version))
        if pc.any(moved).as_py():
            raise stale
        addresses: np.ndarray = now["_rowaddr"].to_numpy()
        return addresses

    def find_commit(self, token: str, since: int) -> int | None:
        """The version whose commit bears a token, looked for in the log after a version."""
        latest = self.version()
        for version in range(since + 1, latest + 1):
            try:
                properties = self.db.table("labels").read_transaction(version).transaction_properties or {}
            except OSError as e:
                if (
                    "not found" in str(e).lower()
                ):  # cleaned away; a load that was in it is found done when it is planned again
                    continue
                raise
            if properties.get(TOKEN) == token:
                return version
        return None


def _restless() -> StalePlan:
    return StalePlan(
        f"The labels table was changed by others in each of {_ATTEMPTS} attempts; try again when it is quieter."
    )


def _deletions(table: lance.LanceDataset, addresses: np.ndarray) -> tuple[list[lance.FragmentMetadata], list[int]]:
    """Deletion vectors for rows by address: updated fragments, and those that have no row left."""
    updated, removed = [], []
    fragments = (addresses >> np.uint64(32)).astype(np.int64)
    for number in np.unique(fragments):
        offsets = (addresses[fragments == number] & np.uint64(0xFFFFFFFF)).tolist()
        fragment: Any = table.get_fragment(int(number))
        left = fragment.delete_rows(offsets)
        if left is None:
            removed.append(int(number))
        else:
            updated.append(left)
    return updated, removed


def _parts(label_ids: pa.Array) -> Iterator[pa.Array]:
    for at in range(0, len(label_ids), _LOOK_UP):
        yield label_ids.slice(at, _LOOK_UP)


def of_fields(fields: Sequence[str]) -> str:
    """A condition for the labels of some fields."""
    return among("field", fields) if len(fields) != 1 else f"field = {quote(fields[0])}"


def with_ids(rows: pa.Table) -> pa.Table:
    """``rows`` with a new id where they have none."""
    if not rows["label_id"].null_count:
        return rows
    filled = pc.coalesce(rows["label_id"], pa.chunked_array([ids.fresh(rows.num_rows)]))
    return rows.set_column(rows.column_names.index("label_id"), LABELS.field("label_id"), filled)
