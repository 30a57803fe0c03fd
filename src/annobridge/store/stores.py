"""The tables of one dataset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..exceptions import StoreError
from .baseline import Baseline
from .external import AttachedSamples
from .labels import Labels
from .lease import Hold, Leases
from .runs import Runs
from .samples import Samples
from .tables import Database


@dataclass(frozen=True, slots=True)
class Stores:
    """The tables of a dataset, each behind its own verbs."""

    db: Database
    samples: Samples
    labels: Labels
    runs: Runs
    baseline: Baseline

    @classmethod
    def of(cls, db: Database) -> Stores:
        """The stores of a database."""
        labels = Labels(db)
        samples = Samples(db) if db.attachment is None else AttachedSamples(db, db.attachment)
        return cls(db, samples, labels, Runs(db, labels), Baseline(db))

    @contextmanager
    def changing_samples(self, purpose: str, wait: float = 0) -> Iterator[Hold]:
        """Add or delete samples, with their labels, for the length of the block, while nobody else does.

        Samples and labels are two tables, so this takes two commits. What makes them one: a label whose sample is not in
        the dataset is not part of the dataset. So labels are added before their samples, and deleted after them, and the
        commit of the samples is the moment at which both come or go.
        """
        what = f"The dataset {self.db.uri!r}"
        with Leases(self.db).hold("samples", purpose, what, wait, busy=StoreError) as hold:
            yield hold
