"""All stores of one dataset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..exceptions import StoreError
from .answered import Answered
from .attached_tables import AttachedSamples
from .baseline import Baseline
from .decisions import Protections, Recorded
from .file_records import Fingerprints
from .labels import Labels
from .lease import Hold, Leases
from .marks import Marks
from .pushes import Pushes
from .runs import Runs
from .sample_states import SampleStates
from .samples import Samples
from .snapshots import Snapshots
from .tables import Database

WAIT = 60.0  # seconds, for another process that adds or deletes samples


@dataclass(frozen=True, slots=True)
class Stores:
    """The database of a dataset, and an object for each kind of its data."""

    database: Database
    samples: Samples
    labels: Labels
    runs: Runs
    baseline: Baseline
    decisions: Recorded
    protections: Protections
    sample_states: SampleStates
    marks: Marks
    answered: Answered
    pushes: Pushes
    fingerprints: Fingerprints
    snapshots: Snapshots

    @classmethod
    def open(cls, database: Database) -> Stores:
        """The stores of an open database."""
        labels = Labels(database)
        samples = Samples(database) if database.attachment is None else AttachedSamples(database, database.attachment)
        return cls(
            database, samples, labels, Runs(database, Labels(database.newest)), Baseline(database), Recorded(database),
            Protections(database), SampleStates(database), Marks(database), Answered(database), Pushes(database),
            Fingerprints(database), Snapshots(database),
        )  # fmt: skip

    @contextmanager
    def changing_samples(self, purpose: str, wait: float = 0) -> Iterator[Hold]:
        """Hold the lease for adding or deleting samples with their labels.

        Samples and labels are two tables, so this takes two commits. They act as one because a label without its sample does
        not count: labels are added before their samples, and deleted after them. Both appear, or disappear, with the commit of
        the samples; a process that ends between the two leaves labels that do not count.

        Args:
            purpose: what the caller does, as "is being imported into".
            wait: how many seconds to wait for the lease at most.

        Raises:
            StoreError: another process holds the lease.
        """
        what = f"The dataset {self.database.uri!r}"
        with Leases(self.database).hold("samples", purpose, what, wait, busy=StoreError) as hold:
            yield hold
