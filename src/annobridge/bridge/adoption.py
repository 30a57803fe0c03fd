"""The report of an adoption."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ..core.labels import FOUND_MEDIA
from ..core.merge.adopted import Paired
from .results import AnnotationResults

UNMATCHED = FOUND_MEDIA.append(pa.field("task", pa.string()))


@dataclass(repr=False)
class Adoption:
    """What was adopted, and how it fits the dataset.

    Attributes:
        anno_key: the key of the run.
        tasks: the names of the tasks, as people gave them.
        matched: how many images and videos are samples of the dataset.
        created: how many samples were added for others.
        unmatched: the media that are no sample: the columns of ``FOUND_MEDIA``, and the ``task``. Their labels are left out.
        paired: how many labels of the tool are labels here, too.
        by_id: of them, how many the tool knows by their id here.
        ambiguous: of them, where another label would have fitted about as well.
        only_there: how many labels only the tool has; a load adds them.
        only_here: how many labels only the dataset has; a push adds them.
        results: the run.
    """

    anno_key: str
    tasks: list[str] = field(default_factory=list)
    matched: int = 0
    created: int = 0
    unmatched: pa.Table = field(default_factory=UNMATCHED.empty_table)
    paired: int = 0
    by_id: int = 0
    ambiguous: int = 0
    only_there: int = 0
    only_here: int = 0
    results: AnnotationResults = field(init=False, repr=False)

    def add(self, found: Paired) -> None:
        """Count the labels of a task."""
        self.paired += found.baseline.num_rows
        for name in ("by_id", "ambiguous", "only_there", "only_here"):
            setattr(self, name, getattr(self, name) + getattr(found, name))

    def to_dict(self) -> dict[str, Any]:
        """Counts, and the media without a sample, as plain data."""
        names = ("matched", "created", "paired", "by_id", "ambiguous", "only_there", "only_here")
        return {
            "anno_key": self.anno_key,
            "tasks": self.tasks,
            **{name: getattr(self, name) for name in names},
            "unmatched": self.unmatched.select(["task", "name"]).to_pylist(),
        }

    def __repr__(self) -> str:
        lines = [
            f"Adopted {', '.join(self.tasks)} as {self.anno_key!r}",
            f"  media: {self.matched} are samples here, {self.created} were created, {self.unmatched.num_rows} have no sample",
            f"  labels: {self.paired} are here too ({self.by_id} by their id, {self.ambiguous} ambiguous), {self.only_there} are "
            f"only in the tool, {self.only_here} only here",
        ]
        return "\n".join(lines)
