"""Removes old versions of the tables, except those that something still needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ..display import html
from ..exceptions import InvalidOption
from ..store import table_versions
from ..store.load_staging import is_of_load
from ..store.run import SENT, Load, Run
from ..store.snapshots import snapshot_of_tag
from ..store.stores import WAIT, Stores

_SETTLED = ("applied", "undone", "aborted", "pushed", "extended")  # states of loads that need no old version any more
_NOUNS = {"extending": "extension", "pushing": "push"}  # state of an event that is not a load → what it is
_LABELS = "labels"


@dataclass(frozen=True, slots=True)
class Kept:
    """Old versions of a table that were kept: from ``first`` to ``last``, and why."""

    table: str
    first: int
    last: int
    why: str

    def __str__(self) -> str:
        versions = f"version {self.first}" if self.first == self.last else f"versions {self.first} to {self.last}"
        return f"{versions} of {self.table}: {self.why}"


@dataclass(frozen=True, slots=True)
class OptimizeReport:
    """What ``Dataset.optimize`` did.

    Attributes:
        removed: table → how many of its versions were removed.
        bytes: how much space that freed.
        recent: how many old versions were kept because they are not old enough.
        kept: the versions that are old enough, and were kept because something needs them.
        not_compacted: the tables that were not compacted, as other processes wrote to them all the time.
    """

    removed: Mapping[str, int]
    bytes: int
    recent: int
    kept: tuple[Kept, ...]
    not_compacted: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The report as lines of text."""
        count = sum(self.removed.values())
        tables = ", ".join(f"{n} of {name}" for name, n in sorted(self.removed.items()))
        head = f"{count} old versions removed ({tables}), {self.bytes:,} bytes" if count else "no old version removed"
        recent = [f"kept: {self.recent} versions that are not old enough"] if self.recent else []
        busy = [
            f"not compacted: {name}, as other processes wrote to it during each attempt; repeat when it is quieter"
            for name in self.not_compacted
        ]
        return [head, *recent, *(f"kept: {kept}" for kept in self.kept), *busy]

    def __repr__(self) -> str:
        return "Optimized: " + "\n  ".join(self.lines())

    def _repr_html_(self) -> str:
        return html.titled("Optimized", *map(html.line, self.lines()))


def optimize(stores: Stores, older_than: timedelta | None) -> OptimizeReport:
    """Compact the tables, and remove old versions; see ``Dataset.optimize``."""
    if older_than is not None:
        _border(older_than)
    not_compacted = tuple(table_versions.compact(stores.database))
    if older_than is None:
        return OptimizeReport({}, 0, 0, (), not_compacted)
    with stores.changing_samples("is being cleaned up", WAIT):
        return replace(_clean_up(stores, older_than), not_compacted=not_compacted)


def _border(older_than: timedelta) -> datetime:
    """The time before which versions are old enough. Raises ``InvalidOption`` if there is no such time."""
    try:
        if isinstance(older_than, timedelta) and older_than >= timedelta(0):
            return datetime.now(UTC) - older_than
    except OverflowError:  # before the year 1
        pass
    raise InvalidOption(
        f"cleanup_older_than={older_than!r} is not an age; give a timedelta from 0 to some years, or None to keep all versions."
    )


def _clean_up(stores: Stores, older_than: timedelta) -> OptimizeReport:
    database = stores.database
    stores.snapshots.remove_leftovers()
    stores.snapshots.restore_tags()
    border = _border(older_than)
    # The versions are listed before the ledger is read: what a load commits that begins in between is newer than all of them.
    found = {
        n: table_versions.existing(database, n)
        for n in sorted(database.own_tables.keys() & set(database.table_names()))
    }
    removed, size, recent, kept = {}, 0, 0, []
    for table, times in found.items():
        old = {version for version in times if version < max(times)}
        young = {version for version in old if times[version] > border}
        needed = _merged(_needs(stores, table), old - young)
        done = table_versions.remove(database, table, old - young - needed.keys())
        if done.versions:
            removed[table] = done.versions
        size += done.bytes
        recent += len(young - needed.keys())
        kept += _ranges(table, needed)
    return OptimizeReport(removed, size, recent, tuple(kept))


def _needs(stores: Stores, table: str) -> Iterator[tuple[range, str]]:
    """Versions of a table that something needs, and what that is."""
    for tag, version in table_versions.tags(stores.database, table).items():
        snapshot = snapshot_of_tag(tag)
        other = "a load on a cluster" if is_of_load(tag) else f"the tag {tag!r} of another program"
        why = other if snapshot is None else f"the snapshot {snapshot!r}"
        yield range(version, version + 1), why
    for snapshot in stores.snapshots.unknown(table):
        newest = int(stores.database.table(table).version)
        yield range(newest + 1), f"the snapshot {snapshot!r}, whose record cannot be read, may need them"
    if table == _LABELS:
        yield from _needs_of_runs(stores)


def _needs_of_runs(stores: Stores) -> Iterator[tuple[range, str]]:
    runs, newest = stores.runs.all_readable(), stores.labels.version()
    if len(runs) < len(stores.runs.keys()):
        yield range(newest + 1), "a run whose entry in the ledger cannot be read may need them"
    has_user_columns = stores.labels.has_user_columns()
    for run in runs:
        if run.state != SENT and run.extension is None:
            yield (
                range(run.labels_version, run.labels_version + 1),
                f"the run {run.anno_key!r}, which is not sent in full",
            )
        for load in run.loads:
            yield from _needs_of_load(run, load, newest, has_user_columns)


def _needs_of_load(run: Run, load: Load, newest: int, has_user_columns: bool) -> Iterator[tuple[range, str]]:
    what = f"{_NOUNS.get(load.state, 'load')} {load.number} of the run {run.anno_key!r}"
    if load.state not in _SETTLED:  # its commit is looked for in all versions since
        since = load.since if load.undone is None else load.undone
        yield range(since, newest + 1), f"{what}, which was interrupted or is not done"
    if has_user_columns and load.version is not None and load.state in ("applied", "undoing"):
        yield range(load.version - 1, load.version), f"undoing {what}: values of columns that were added to the labels"


def _merged(needs: Iterable[tuple[range, str]], old: set[int]) -> dict[int, str]:
    """Old version → what needs it."""
    found: dict[int, list[str]] = defaultdict(list)
    for versions, why in needs:
        for version in old.intersection(versions):
            found[version].append(why)
    return {version: "; ".join(dict.fromkeys(found[version])) for version in sorted(found)}


def _ranges(table: str, needed: Mapping[int, str]) -> list[Kept]:
    """What was kept; versions that follow each other, and are kept for the same reason, as one."""
    kept: list[Kept] = []
    for version, why in needed.items():
        if kept and (kept[-1].last + 1, kept[-1].why) == (version, why):
            kept[-1] = Kept(table, kept[-1].first, version, why)
        else:
            kept.append(Kept(table, version, version, why))
    return kept
