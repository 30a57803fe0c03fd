"""Rewrites the beginnings of the paths of media that have moved, in one version of the samples."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array
from ..core.media import without_secrets
from ..core.path_prefix import begins_with, is_windows, replace_prefix, trimmed
from ..core.wording import LISTED, listed, plural
from ..display.progress import Progress, ProgressChoice
from ..exceptions import InvalidMedia, InvalidOption, StoreError
from ..spill.streams import Streams
from ..store.file_records import among
from ..store.media_paths import IN_DATASET
from ..store.remote import is_uri
from ..store.schemas import FILES
from ..store.stores import Stores
from .look import UNREADABLE, Look, Recorded, difference, look_at

_MISSING = ("refuse", "keep")


@dataclass(frozen=True)
class RepointReport:
    """What a repoint did.

    Attributes:
        dataset: the dataset.
        old: the prefix that was replaced, without a login.
        new: what replaced it, without a login.
        moved: how many samples have a new path.
        missing: how many keep the old one, as their file is not at the new place.
        changed: how many of the moved have other content than was recorded; their record is new.
        unchecked: how many of the moved were not compared by content: there is no record and no file at the old place, or the new
            place is on a server, of which the size is compared, if it tells one.
        notes: what else there is to say, a sentence each.
    """

    dataset: str
    old: str
    new: str
    moved: int = 0
    missing: int = 0
    changed: int = 0
    unchecked: int = 0
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return asdict(self) | {"notes": list(self.notes)}

    def lines(self) -> list[str]:
        """The report in sentences."""
        lines = [f"Paths changed from {self.old!r} to {self.new!r}: {self.moved:,}."] if self.moved else []
        if self.missing:
            lines.append(f"Paths that stay, as their files are not at the new place: {self.missing:,}.")
        if self.changed:
            lines.append(f"Files of other content than was recorded: {self.changed:,}.")
        if self.unchecked:
            lines.append(
                f"The content of {plural(self.unchecked, 'file')} was not compared with what was there before: there is no record "
                "of it, which check_media(record=True) makes, or the file is on a server."
            )
        return [*lines, *self.notes]

    def __repr__(self) -> str:
        return "\n".join(self.lines())


def repoint(
    stores: Stores, old: str, new: str, missing: str = "refuse", force: bool = False, progress: ProgressChoice = None
) -> RepointReport:
    """Replace the prefix ``old`` of paths by ``new``; see ``Dataset.repoint``."""
    old, new = _checked(old, new, missing)
    stores.samples.require_writable()
    with stores.changing_samples("is having the paths of its media changed"):
        version = stores.samples.version()
        count, first = _matching(stores, old, version)
        if not count:
            return _nothing(stores, old, new, first, version)
        _require_free(stores, old, new, version)
        found = _Found(missing == "keep")
        with Progress(progress, count, "checking", noun="files") as bar:
            for files in _looked_at(stores, old, new, version):
                for file in files:
                    found.add(*file)
                    bar.advance()
                found.spill()
        if found.absent == count and _all_below(stores, old, new, version):
            return _done(stores, old, new, count)  # ``new`` is below ``old``: what was rewritten matches again
        found.raise_problems(count, force)
        kept = found.kept()
        # Without a record no file is taken for a changed one, if the process is killed before the new records are written.
        for batch in found.changed_files():
            stores.fingerprints.forget(batch["sample_id"])
        stores.samples.replace_paths(version, lambda rows: _replaced(rows, old, new, kept))
        stores.fingerprints.record(found.changed_files())
    counts = (count - len(kept), len(kept), found.changed, found.unchecked)
    return RepointReport(stores.database.uri, without_secrets(old), without_secrets(new), *counts)


class _Found:
    """What is at the new place: ``add`` files, ``spill`` now and then, ``raise_problems`` at the end, and then read."""

    def __init__(self, keep: bool) -> None:
        self._keep = keep
        self.changed = self.unchecked = self.absent = 0
        self._first_absent: list[str] = []
        self._first_changed = ""
        self._streams = Streams({"absent": FILES, "changed": FILES})
        self._rows: dict[str, list[dict[str, Any]]] = {"absent": [], "changed": []}

    def add(self, sample_id: str, place: str, was: Recorded, now: Look) -> None:
        """Note what was found of one file."""
        if now.problem:
            self.absent += 1
            if len(self._first_absent) < LISTED:
                why = f" ({now.why})" if now.problem == UNREADABLE else ""
                self._first_absent.append(f"{without_secrets(place)!r}{why}")
            self._rows["absent"].append({"sample_id": sample_id})
        elif difference(now, was):
            self.changed += 1
            self._first_changed = self._first_changed or without_secrets(place)
            self._rows["changed"].append({"sample_id": sample_id, "size": now.size, "fingerprint": now.content})
        elif now.content is None or was.content is None:
            self.unchecked += 1

    def spill(self) -> None:
        """Write the rows so far to disk."""
        for name, rows in self._rows.items():
            self._streams.add(name, pa.Table.from_pylist(rows, FILES))
            rows.clear()

    def raise_problems(self, count: int, force: bool) -> None:
        """Raise ``InvalidMedia`` for what is missing or changed, unless that is wanted."""
        self._streams.finish()
        if self.absent and not self._keep:
            shown = "\n  - ".join(listed(self._first_absent, self.absent))
            raise InvalidMedia(
                f"{self.absent} of {count} files are not at the new place, and nothing was changed; correct the prefix, or leave "
                f"the paths of those as they are with missing='keep':\n  - {shown}"
            )
        if self.changed and not force:
            raise InvalidMedia(
                f"{self.changed} of {count} files at the new place have other content than was recorded, the first "
                f"{self._first_changed!r}. Nothing was changed; correct the prefix, or take them as they are with force=True."
            )

    def kept(self) -> pa.Array:
        """The samples whose files are not there, and that keep their paths."""
        return as_array(self._streams.table("absent")["sample_id"])

    def changed_files(self) -> Iterator[pa.RecordBatch]:
        """The records of changed files."""
        return self._streams.batches("changed")


def _checked(old: str, new: str, missing: str) -> tuple[str, str]:
    """The prefixes as they are compared. Raises ``InvalidOption``."""
    if missing not in _MISSING:
        raise InvalidOption(f"missing={missing!r} is not known; give {' or '.join(map(repr, _MISSING))}.")
    if not old.strip() or not new.strip():
        raise InvalidOption("A prefix of paths is empty; give the folder or URI that they begin with, old and new.")
    old, new = (os.path.expanduser(text) if text.startswith("~") else text for text in (old, new))
    is_absolute = os.path.isabs(old) or is_windows(old) or is_uri(old)
    if is_absolute and not (os.path.isabs(new) or is_windows(new) or is_uri(new)):
        new = os.path.abspath(new)
    if trimmed(old) == trimmed(new):
        raise InvalidOption(f"The old and the new prefix are both {without_secrets(old)!r}; give two.")
    return old, new


def _rows(stores: Stores, version: int) -> Iterator[pa.RecordBatch]:
    """Samples as the table has them: paths inside the dataset's folder are relative to it, and move with it."""
    return stores.database.scan("samples", ["sample_id", "filepath"], None, version)


def _outside(paths: pa.Array, prefix: str) -> pa.Array:
    """Which stored paths begin with a prefix, and are not relative to the dataset."""
    return pc.and_not(begins_with(paths, prefix), pc.fill_null(pc.starts_with(paths, IN_DATASET), False))


def _matching(stores: Stores, prefix: str, version: int) -> tuple[int, str | None]:
    """How many paths begin with a prefix; and one path of those that do not."""
    count, other = 0, None
    for batch in _rows(stores, version):
        inside = _outside(batch["filepath"], prefix)
        count += pc.sum(inside).as_py() or 0
        if other is None and len(rest := batch["filepath"].filter(pc.invert(inside)).drop_null()):
            other = stores.samples.paths.whole(rest.slice(0, 1))[0].as_py()
    return count, other


def _nothing(stores: Stores, old: str, new: str, first: str | None, version: int) -> RepointReport:
    """The report where no path begins with ``old``, if it seems to be done already. Raises ``StoreError`` else."""
    is_inside = stores.samples.paths.stored(pa.array([f"{trimmed(old)}/file"]))[0].as_py().startswith(IN_DATASET)
    if not is_inside and (done := _count_below(stores, new, version)):
        return _done(stores, old, new, done)
    if inside := _count_below(stores, old, version):
        raise StoreError(
            f"The paths that begin with {without_secrets(old)!r} ({inside:,}) are inside the dataset's folder, and relative to it: "
            "they move with the folder, and are never changed. Nothing was changed; leave these files where they are, or delete "
            "their samples and add those of the files elsewhere."
        )
    example = f"; they are as {without_secrets(first)!r}" if first is not None else ""
    raise StoreError(
        f"No path of the dataset begins with {without_secrets(old)!r}{example}. Nothing was changed; correct the prefix."
    )


def _count_below(stores: Stores, prefix: str, version: int) -> int:
    """How many whole paths begin with a prefix."""
    whole = (stores.samples.paths.whole(batch["filepath"]) for batch in _rows(stores, version))
    return sum(pc.sum(begins_with(paths, prefix)).as_py() or 0 for paths in whole)


def _all_below(stores: Stores, old: str, new: str, version: int) -> bool:
    """Whether each path that begins with ``old`` begins with ``new`` too, which is possible where that is below ``old``."""
    if not begins_with(pa.array([new]), old)[0].as_py():
        return False
    paths = (batch["filepath"].filter(_outside(batch["filepath"], old)) for batch in _rows(stores, version))
    return all(pc.all(begins_with(inside, new)).as_py() is not False for inside in paths)


def _done(stores: Stores, old: str, new: str, count: int) -> RepointReport:
    old, new = without_secrets(old), without_secrets(new)
    begin = "path begins" if count == 1 else "paths begin"
    note = (
        f"{count:,} {begin} with {new!r} already, and none is left to change: it seems to be done. Nothing was changed."
    )
    return RepointReport(stores.database.uri, old, new, notes=(note,))


def _require_free(stores: Stores, old: str, new: str, version: int) -> None:
    """Raise ``StoreError`` if a new path is that of another sample."""
    paths = stores.samples.paths
    _require_apart(stores, old, new, version)
    there = [_stored_below(stores, batch["filepath"], old, new) for batch in _rows(stores, version)]
    taken = pa.concat_arrays(there) if there else pa.array([], pa.string())
    if not len(taken):
        return
    for batch in _rows(stores, version):
        would = paths.stored(_replaced(batch, old, new, pa.array([], pa.string())).drop_null())
        twice = would.filter(pc.is_in(would, value_set=taken))
        if len(twice):
            first = paths.whole(twice)[0].as_py()
            raise StoreError(
                f"Another sample has the file {without_secrets(first)!r} already, which would be that of two. Nothing was changed; "
                "delete one of the samples first, as with delete_samples."
            )


def _require_apart(stores: Stores, old: str, new: str, version: int) -> None:
    """Raise ``StoreError`` if two paths, as those of Windows that differ in case, would be one."""
    if not is_windows(old) or is_windows(new):
        return
    moved = [batch["filepath"].filter(_outside(batch["filepath"], old)) for batch in _rows(stores, version)]
    before = pc.unique(pa.chunked_array(moved, pa.string()))
    after = pc.value_counts(replace_prefix(before, old, new))
    if len(after) < len(before):
        twice = after.filter(pc.greater(after.field("counts"), 1))[0].as_py()["values"]
        raise StoreError(
            f"Two samples have the file that would be {without_secrets(twice)!r}, in two spellings. Nothing was changed; delete "
            "one of the samples first, as with delete_samples."
        )


def _stored_below(stores: Stores, column: pa.Array, old: str, new: str) -> pa.Array:
    """The stored paths below ``new`` that stay as they are."""
    whole = stores.samples.paths.whole(column)
    stays = pc.and_not(begins_with(whole, new), _outside(column, old))
    return as_array(stores.samples.paths.stored(column.filter(stays)))


def _replaced(rows: pa.RecordBatch, old: str, new: str, kept: pa.Array) -> pa.Array:
    """The new path of each row; null for those that stay."""
    moves = pc.and_not(_outside(rows["filepath"], old), pc.is_in(rows["sample_id"], value_set=kept))
    return pc.if_else(moves, replace_prefix(rows["filepath"], old, new), pa.scalar(None, pa.string()))


def _looked_at(stores: Stores, old: str, new: str, version: int) -> Iterator[Iterable[tuple[str, str, Recorded, Look]]]:
    """Id, new path, record, and what is there, of each sample that would move, in parts.

    Where nothing is recorded, the file at the old place counts as the record, if there is one.
    """
    known = stores.fingerprints.table()
    for batch in _rows(stores, version):
        batch = batch.filter(_outside(batch["filepath"], old))
        here = batch["filepath"].to_pylist()
        there = replace_prefix(batch["filepath"], old, new).to_pylist()
        records = [Recorded(row["size"], row["fingerprint"]) for row in among(known, batch["sample_id"]).to_pylist()]
        unknown = [row for row, record in enumerate(records) if record.size is None]
        options = stores.database.storage_options
        for row, before in zip(unknown, look_at([here[row] for row in unknown], options, True), strict=True):
            records[row] = Recorded(before.size, before.content)
        looks = look_at(there, options, True)
        yield zip(batch["sample_id"].to_pylist(), there, records, looks, strict=True)
