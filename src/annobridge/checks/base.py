"""What a check of a plan looks at (``Evidence``), and what it says (``Finding``).

A check is a function of the evidence and of limits, which are keyword arguments with defaults; it returns findings. Whoever plans
a load may set the limits. The text of a finding is one sentence with figures: what would happen, to how many labels, of what.

>>> def many_additions(evidence: Evidence, *, limit: int = 1000) -> Iterable[Finding]:
...     added = evidence.added()
...     if added.num_rows > limit:
...         yield Finding(f"{added.num_rows} labels would be added; up to {limit} may be.", added["change_id"])
>>> changes = [{"change_id": f"c{n}", "kind": "add", "component": "existence"} for n in range(3)]
>>> [finding.sentence for finding in many_additions(Evidence.of(changes=changes), limit=2)]
['3 labels would be added; up to 2 may be.']
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array, index_of
from ..core.labels import LABELS, SAMPLES
from ..core.review.changes import CHANGES

Floats = npt.NDArray[np.float64]
ERROR, WARNING = "error", "warning"
LEVELS = (ERROR, WARNING)

# Classes of the run's fields: how many labels have each in the whole dataset, and on the samples of the run before and after the
# load. ``label`` is null for labels without a class, as scalars.
CLASSES = pa.schema(
    [
        pa.field("field", pa.string()),
        pa.field("label", pa.string()),
        pa.field("in_dataset", pa.int64()),
        pa.field("before", pa.int64()),
        pa.field("after", pa.int64()),
    ]
)
# Values of attributes of the run's fields: how many labels of the samples of the run have each before and after the load.
ATTRIBUTES = pa.schema(
    [
        pa.field("field", pa.string()),
        pa.field("name", pa.string()),
        pa.field("value", pa.string()),  # JSON text
        pa.field("before", pa.int64()),
        pa.field("after", pa.int64()),
    ]
)
FINDINGS = pa.schema(
    [
        pa.field("check", pa.string()),  # its name
        pa.field("level", pa.string()),  # error | warning
        pa.field("sentence", pa.string()),
        pa.field("count", pa.int64()),  # of changes, or of labels where the sentence counts these
        pa.field("change_ids", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True)
class Evidence:
    """What a check looks at, as Arrow tables.

    Attributes:
        changes: the changes that the load would make (``CHANGES``); those that were refused are not among them.
        classes: counts of classes before and after (``CLASSES``).
        attributes: counts of values of attributes before and after (``ATTRIBUTES``).
        after: the labels of the samples that have changes, of the run's fields, as they would be after the load (``LABELS``).
        samples: these samples (``SAMPLES``).
    """

    changes: pa.Table
    classes: pa.Table
    attributes: pa.Table
    after: pa.Table
    samples: pa.Table

    @classmethod
    def of(cls, **rows: Sequence[Mapping[str, Any]]) -> Evidence:
        """Evidence made of dictionaries, for tests of checks; what is left out is null, or empty."""
        schemas = {
            "changes": CHANGES, "classes": CLASSES, "attributes": ATTRIBUTES, "after": LABELS, "samples": SAMPLES,
        }  # fmt: skip
        return cls(**{name: pa.Table.from_pylist(list(rows.get(name, ())), schema) for name, schema in schemas.items()})

    def added(self) -> pa.Table:
        """The changes by which a label is added."""
        return self._of_kinds("add", "edit/delete")

    def deleted(self) -> pa.Table:
        """The changes by which a label is deleted."""
        return self._of_kinds("delete", "delete/edit")

    def edited(self, component: str) -> pa.Table:
        """The changes of a component (``"label"``, ``"spatial"``, ``"index"``, ``"attributes.NAME"``) of labels that stay."""
        return self.changes.filter(pc.equal(self.changes["component"], component))

    def shaped(self) -> pa.Table:
        """The changes that bring a shape (``theirs_box``): additions, and edits of shapes."""
        brings = pc.is_in(self.changes["component"], pa.array(["existence", "spatial"]))
        return self.changes.filter(pc.and_(brings, self.changes["theirs_box"].is_valid()))

    def sizes(self, sample_ids: pa.Array | pa.ChunkedArray) -> Floats:
        """Width and height in pixels of the image of each sample id, shape (n, 2); NaN where they are not known."""
        rows = self.samples.take(index_of(sample_ids, self.samples["sample_id"]))
        columns = [
            as_array(rows[name]).cast(pa.float64()).to_numpy(zero_copy_only=False) for name in ("width", "height")
        ]
        return np.stack(columns, axis=1)

    def _of_kinds(self, *kinds: str) -> pa.Table:
        return self.changes.filter(pc.is_in(self.changes["kind"], pa.array(kinds)))


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        sentence: what would happen, with figures.
        change_ids: the changes that it is about.
        level: ``"error"``, by which the plan fails, or ``"warning"``.
        count: how many labels or changes it is about; by default the number of ``change_ids``.
        check: the name of the check; whoever runs the check fills it.
    """

    sentence: str
    change_ids: Sequence[str] | pa.Array | pa.ChunkedArray = ()
    level: str = ERROR
    count: int | None = None
    check: str = ""

    def row(self, check: str, level: str | None = None) -> dict[str, Any]:
        """A row of ``FINDINGS``; ``level`` overrides that of the finding."""
        ids = self.change_ids
        listed = ids.to_pylist() if isinstance(ids, pa.Array | pa.ChunkedArray) else list(ids)
        return {
            "check": check,
            "level": level or self.level,
            "sentence": self.sentence,
            "count": len(listed) if self.count is None else self.count,
            "change_ids": listed,
        }


CheckFunction = Callable[..., Iterable[Finding]]
