"""How far several annotators agree, as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..bridge.reading import sizes_of_turned
from ..core.agreement.compare import Compared, compare
from ..display.progress import Progress, ProgressChoice
from ..exceptions import ConfigError, InvalidOption
from ..store.stores import Stores
from . import rates
from .coefficients import coefficients
from .parts import Answers
from .tables import Tables, not_compared


class Agreement(Tables):
    """How far several annotators agree. All tables are Arrow's.

    Two objects are one if they are alike enough (``iou``), in the best assignment. They agree if they have the same class, too.

    Attributes:
        annotators: their names, sorted.
        iou: how alike two shapes have to be.
        notes: what to keep in mind, a sentence each.
    """

    def __init__(self, compared: Compared, annotators: list[str], iou: float, select: Callable[..., Any]) -> None:
        self._compared, self._select = compared, select
        self.annotators, self.iou = annotators, iou
        alone, total = not_compared(compared.images), compared.images.num_rows
        self.notes = [f"{alone:,} of {total:,} images were seen by one annotator only."] if alone else []

    @cached_property
    def pairs(self) -> pa.Table:
        """A row for each pair of annotators: how many labels each has on the images that both saw, how many are one and agree, and
        ``precision`` and ``recall`` of the left one, as if the right one were the truth; ``f1``, and ``mean_iou`` of labels
        that agree.
        """
        return rates.of_pairs(self._compared.matches)

    @cached_property
    def classes(self) -> pa.Table:
        """As ``pairs``, for each class."""
        return rates.of_classes(self._compared.matches)

    @cached_property
    def confusion(self) -> pa.Table:
        """How many objects have one class for the left annotator, and which one for the right one; null: none."""
        rows = self._compared.matches.select(["left", "right", "left_class", "right_class", "count"])
        rows = rows.filter(pc.greater(rows["count"], 0))
        return rows.sort_by([(name, "ascending") for name in rows.column_names[:4]])

    @cached_property
    def attributes(self) -> pa.Table:
        """For each attribute of labels that agree: how many there are, and on what share the values are equal."""
        return rates.of_attributes(self._compared.values)

    @cached_property
    def images(self) -> pa.Table:
        """The images, those about which the annotators agree least first: ``disagreement`` is 1 less the mean F1 of all pairs."""
        return self._compared.images.sort_by([("disagreement", "descending"), ("sample_id", "ascending")])

    @cached_property
    def coefficients(self) -> pa.Table:
        """Cohen's kappa for each pair, Krippendorff's alpha for all; of the class, and of each attribute.

        Raises ``ConfigError`` without the packages of ``annobridge[agreement]``.
        """
        return coefficients(self._compared.matches, self._compared.values, self._compared.units)

    def disputed(self, limit: int | None = None, above: float = 0.0) -> Any:
        """The images about which the annotators disagree, most first, as a view: to be sent to somebody else.

        Args:
            limit: how many.
            above: only those with a larger ``disagreement``.
        """
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise InvalidOption(f"limit={limit!r} is no number of images; give 1 or more.")
        if isinstance(above, bool) or not isinstance(above, int | float):
            raise InvalidOption(f"above={above!r} is no disagreement; give a number from 0 to 1.")
        ids = self.images.filter(pc.greater(self.images["disagreement"], above))["sample_id"].to_pylist()
        return self._select(ids[:limit], ordered=True)

    def to_dict(self) -> dict[str, Any]:
        """All tables but that of the images as plain data."""
        names = ("pairs", "classes", "attributes", "confusion")
        tables = {name: getattr(self, name).to_pylist() for name in names}
        return {"annotators": self.annotators, "iou": self.iou, **tables, "notes": self.notes}

    def _heading(self) -> str:
        return f"Agreement of {', '.join(self.annotators)}"

    def _tables(self) -> Iterator[tuple[str, pa.Table]]:
        yield "pairs", self.pairs
        with suppress(ConfigError):  # without the packages
            yield "coefficients", self.coefficients
        for name in ("classes", "attributes", "confusion", "images"):
            yield name, getattr(self, name)

    def __repr__(self) -> str:
        return f"Agreement({', '.join(self.annotators)}, iou={self.iou})"

    def __str__(self) -> str:
        lines = [f"{self._heading()} (IoU {self.iou}):"]
        for row in self.pairs.to_pylist():
            agreed = f"F1 {row['f1']:.3f}, mean IoU {row['mean_iou']:.3f}" if row["agreed"] else "nothing in common"
            if row["f1"] is None:
                agreed = "both left all images empty"
            lines.append(f"  {row['left']} and {row['right']}: {agreed}, {row['agreed']:,} labels agree")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def compared(
    stores: Stores, answers: Answers, iou: float, with_truth: bool, progress: ProgressChoice
) -> tuple[Compared, list[str], str | None]:
    """The counts of all samples, the names of the annotators, and that of the truth."""
    if isinstance(iou, bool) or not isinstance(iou, int | float) or not 0 < iou <= 1:
        raise InvalidOption(f"iou={iou!r} is not an intersection over union; give a number above 0 and up to 1.")
    total, names, truth = Compared.of([]), set[str](), None
    with Progress(progress, answers.count, "comparing") as bar:
        for part in answers.parts():
            truth = part.truth or truth
            given = [one for one in part.given if with_truth or one.annotator != part.truth]
            names |= {one.annotator for one in given}
            reference = part.truth if with_truth else None
            if with_truth and reference is None:
                continue
            sizes = sizes_of_turned(stores, [one.labels for one in part.given])
            total = Compared.of([total, compare(given, iou, answers.single, sizes, reference)])
            bar.advance(pc.count_distinct(pa.chunked_array([one.samples for one in part.given], pa.string())).as_py())
    return total, sorted(names), truth
