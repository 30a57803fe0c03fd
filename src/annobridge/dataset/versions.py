"""The methods of datasets that are about their versions: snapshots, differences, the past of a label, clean-up."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from ..store.stores import Stores
from .arrow_stream import ArrowStream
from .no_new_attributes import NoNewAttributes

if TYPE_CHECKING:
    from ..history.clean_up import OptimizeReport
    from ..history.difference import Difference
    from ..store.snapshots import Snapshot


class VersionVerbs(NoNewAttributes):
    """The methods of ``Dataset`` about its versions."""

    __slots__ = ()

    @property
    @abstractmethod
    def stores(self) -> Stores:
        """The tables of the dataset."""

    @abstractmethod
    def __init__(self, stores: Stores) -> None: ...

    def snapshot(self, name: str, note: str = "") -> Snapshot:
        """Give the dataset as it is a name: its samples and labels of this moment stay readable, by ``at(name)``.

        Nothing is copied. Clean-up, by annobridge or LanceDB, keeps what a snapshot needs. The samples of a dataset that was made
        by ``attach`` are a table of yours, which annobridge never writes: its version is recorded, but not protected.

        Args:
            name: letters, digits, and single ``.``, ``_`` or ``-`` between them, as ``"v1.2"``.
            note: what it is.

        Raises:
            InvalidOption: the name is not one of a snapshot.
            StoreError: the name is in use, or another process is adding or deleting samples. Nothing is changed.
        """
        from ..history import snapshots

        return snapshots.take(self.stores, name, note)

    def list_snapshots(self) -> list[Snapshot]:
        """The snapshots, oldest first."""
        return self.stores.snapshots.all()

    def delete_snapshot(self, name: str) -> None:
        """Delete a snapshot: the next clean-up may remove its versions. The dataset as it is stays as it is.

        Raises:
            StoreError: there is none of that name.
        """
        from ..history import snapshots

        snapshots.delete(self.stores, name)

    def at(self, name: str) -> Self:
        """The dataset as of a snapshot, to read it: views, labels, counts, exports, media.

        Whatever would write to it or send it raises ``StoreError``. Annotation runs are listed as they are now. Media are not
        part of a snapshot: files that were changed or moved since are read as they are.

        Args:
            name: the name of a snapshot; or ``"now"`` for the dataset as it is at this moment, which nothing keeps from clean-up.

        Raises:
            StoreError: there is no such snapshot, or another program has cleaned its versions away.
        """
        from ..history import snapshots

        return type(self)(snapshots.open_at(self.stores, name))

    def diff(self, before: str, after: str = "now") -> Difference:
        """What was added, edited and deleted between two snapshots, with the tables of a plan.

        Args:
            before: the name of a snapshot, or ``"now"`` for the dataset as it is.
            after: the same.

        Raises:
            StoreError: there is no such snapshot, or another program has cleaned its versions away.
        """
        from ..history.difference import difference
        from ..history.snapshots import open_at

        return difference((before, open_at(self.stores, before)), (after, open_at(self.stores, after)))

    def history(self, label_id: str) -> ArrowStream:
        """What happened to a label, a row for each version that changed it, oldest first. Writes of equal values are left out.

        The columns are those of ``annobridge.history.label_history.HISTORY``. ``action`` is add, edit, delete or undo; ``before``
        and ``after`` are the columns that changed, as JSON. ``by``, ``run`` and ``load`` say who did it, where that is known: of
        edits and deletions by ``set_labels`` and ``delete_labels`` it is not. Where versions were cleaned away, ``note`` says
        what is not known.

        Raises:
            InvalidOption: ``label_id`` is not a text.
            StoreError: no version that is left has the label.
        """
        from ..history.label_history import history

        rows = history(self.stores, label_id)
        return ArrowStream(rows.schema, lambda: iter(rows.to_batches()))

    def optimize(self, cleanup_older_than: timedelta | None = None) -> OptimizeReport:
        """Compact the small files of many writes, so that reading is faster; and remove old versions, to free disk space.

        Clean-up never removes the newest version, one of a snapshot, one with a tag of another program, or one that a run needs: to
        be sent in full, to settle an interrupted load, or to undo a load with the values of columns that you added to the labels.

        Args:
            cleanup_older_than: the age from which on versions are removed, as ``timedelta(days=14)``. By default, all are
                kept. A short age takes versions from processes that are reading them; with 0, nothing else should be running.

        Returns:
            What was removed, and what was kept and why.

        Raises:
            InvalidOption: the age is negative, or longer than the calendar.
            StoreError: another process is adding or deleting samples.
        """
        from ..history.clean_up import optimize

        return optimize(self.stores, cleanup_older_than)
