"""Fate: what became of labels that are not on the server as they were sent, and what that says of annotations which are missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core.arrays import Bools, as_mask

from .numbers import Current
from .vocabulary import Entry


@dataclass(frozen=True, slots=True)
class Fate:
    """Entries without a label on the server, with all annotations gone (``removed``) or some there under other labels
    (``relabelled``); and those whose label was made again (``remade``), without annotations that were sent.
    """

    removed: tuple[Entry, ...]
    relabelled: tuple[Entry, ...]
    remade: tuple[Entry, ...]

    @classmethod
    def of(cls, now: Current, sent: pa.Table, labels: pa.Table, *, is_moved: bool) -> Fate:
        """``sent`` is what was sent on the frames that are looked at, ``labels`` what is there.

        The server deletes a label with its annotations, and moves a task with them: if some are there, it was moved.
        """
        is_there = as_mask(pc.is_in(sent["remote_id"], value_set=labels["remote_id"].combine_chunks()))
        of = {entry.name: of_entry(sent, entry) for entry in (*now.unknown, *now.renumbered)}
        some = {name for name, rows in of.items() if (rows & is_there).any()}
        all_ = {name for name, rows in of.items() if not (rows & ~is_there).any()}
        return cls(
            tuple(e for e in now.unknown if e.name not in some),
            tuple(e for e in now.unknown if e.name in some),
            tuple(e for e in now.renumbered if e.name not in all_ and not (is_moved and e.name in some)),
        )

    @property
    def lost(self) -> tuple[Entry, ...]:
        """The entries of which nobody deleted what is missing."""
        return (*self.removed, *self.relabelled, *self.remade)

    def notes(self, now: Current) -> Iterator[str]:
        """A sentence for each; for labels that have another name; and for attributes that are gone."""
        for entry in self.removed:
            yield f"The label {entry.name!r} was removed from CVAT, with all its annotations; they stay here as they are."
        for entry in self.relabelled:
            yield (
                f"The label {entry.name!r} is not in CVAT any more, and annotations of it have other labels there; their "
                "attributes, and those that are missing, stay here as they are."
            )
        for entry in self.remade:
            yield (
                f"The label {entry.name!r} in CVAT is not the one that was sent, and annotations of that one are missing; they "
                "stay here as they are."
            )
        for entry in now.vocabulary.entries:
            if (name := now.names.get(entry.number, entry.name)) != entry.name:
                yield f"The label {entry.name!r} is called {name!r} in CVAT now."
            yield from _of_attributes(entry)


def _of_attributes(entry: Entry) -> Iterator[str]:
    for a in entry.definitions:
        if a.name in entry.remade:
            yield (
                f"The attribute {a.name!r} of {entry.name!r} was removed from CVAT and made again; values that nobody has set "
                "since stay here as they are."
            )
        elif a.name not in entry.attributes:
            yield f"The attribute {a.name!r} of {entry.name!r} was removed from CVAT; its values stay here as they are."


def of_entry(labels: pa.Table, entry: Entry) -> Bools:
    """Which labels are of an entry."""
    here = pc.is_in(labels["field"], value_set=pa.array([*entry.fields.values()], pa.string()))
    return as_mask(here if entry.label is None else pc.and_(here, pc.equal(labels["label"], entry.label)))
