"""The tables of one dataset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..exceptions import StoreError
from .attached_tables import AttachedSamples
from .baseline import Baseline
from .labels import Labels
from .lease import Hold, Leases
from .runs import Runs
from .samples import Samples
from .tables import Database


@dataclass(frozen=True, slots=True)
class Stores:
    """The tables of a dataset, each behind its own verbs."""

    database: Database
    samples: Samples
    labels: Labels
    runs: Runs
    baseline: Baseline

    @classmethod
    def open(cls, database: Database) -> Stores:
        """The stores of a database."""
        labels = Labels(database)
        samples = Samples(database) if database.attachment is None else AttachedSamples(database, database.attachment)
        return cls(database, samples, labels, Runs(database, labels), Baseline(database))

    @contextmanager
    def changing_samples(self, purpose: str, wait: float = 0) -> Iterator[Hold]:
        """Add or delete samples, with their labels, for the length of the block, while nobody else does.

        Samples and labels are two tables, so this takes two commits. What makes them one: a label whose sample is not in
        the dataset is not part of the dataset. So labels are added before their samples, and deleted after them, and the
        commit of the samples is the moment at which both come or go.
        """
        what = f"The dataset {self.database.uri!r}"
        with Leases(self.database).hold("samples", purpose, what, wait, busy=StoreError) as hold:
            yield hold
