"""Labels of CVAT's label set that were removed, renamed or made again since the upload.

The server deletes all annotations of a label together with it. Those are not deletions of a person, so they must not be
reported as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core.arrays import as_mask

from .label_set import CurrentLabels
from .vocabulary import Entry, rows_of


@dataclass(frozen=True, slots=True)
class LabelChanges:
    """What happened to the labels of a vocabulary's entries.

    Attributes:
        removed: entries that have no label on the server, and no annotation either.
        relabelled: entries that have no label on the server, but annotations, under other labels.
        remade: entries whose label was made again, and that lack annotations which were sent.
    """

    removed: tuple[Entry, ...]
    relabelled: tuple[Entry, ...]
    remade: tuple[Entry, ...]

    @classmethod
    def of(cls, now: CurrentLabels, sent: pa.Table, labels: pa.Table, *, is_moved: bool) -> LabelChanges:
        """Compare what was sent with what is on the server, on the frames that are loaded.

        Args:
            now: the label set of the server.
            sent: the baseline's rows on these frames.
            labels: the labels that the server has there.
            is_moved: whether the task is in another project than when it was sent. Its labels then have other ids, and
                keep their annotations.
        """
        is_there = as_mask(pc.is_in(sent["remote_id"], value_set=labels["remote_id"].combine_chunks()))
        rows = {entry.name: rows_of(sent, entry) for entry in (*now.unknown, *now.renumbered)}
        some = {name for name, own in rows.items() if (own & is_there).any()}
        all_ = {name for name, own in rows.items() if not (own & ~is_there).any()}
        return cls(
            tuple(e for e in now.unknown if e.name not in some),
            tuple(e for e in now.unknown if e.name in some),
            tuple(e for e in now.renumbered if e.name not in all_ and not (is_moved and e.name in some)),
        )

    @property
    def lost(self) -> tuple[Entry, ...]:
        """The entries whose missing annotations were not deleted by a person."""
        return (*self.removed, *self.relabelled, *self.remade)

    def notes(self, now: CurrentLabels) -> Iterator[str]:
        """A sentence for each of these entries, each label that was renamed, and each attribute that was removed."""
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
            yield from _attribute_notes(entry)


def _attribute_notes(entry: Entry) -> Iterator[str]:
    for a in entry.definitions:
        if a.name in entry.remade:
            yield (
                f"The attribute {a.name!r} of {entry.name!r} was removed from CVAT and made again; values that nobody has set "
                "since stay here as they are."
            )
        elif a.name not in entry.attributes:
            yield f"The attribute {a.name!r} of {entry.name!r} was removed from CVAT; its values stay here as they are."
