"""All that one dataset keeps, in one hand."""

from __future__ import annotations

from dataclasses import dataclass

from .attached import AttachedSamples
from .baseline import Baseline
from .labels import Labels
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
