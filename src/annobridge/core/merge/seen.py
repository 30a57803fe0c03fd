"""What the labels of one file have, by which it is known what the file can say."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes
from ..arrays import Bools, as_mask, is_rotated

PARTS, HIDDEN = "parts", "hidden"  # in ``Seen.columns``: shapes of several parts, points that are hidden
HIDDEN_POINT, VISIBLE_POINT = 1, 2  # in ``visibility``


@dataclass
class Seen:
    """What the labels of one file have, all taken together: about anything else, the file is silent.

    Attributes:
        kinds: those that the format writes as they are.
        holes: whether it writes holes.
        default_confidence: what it writes for labels without a confidence; None: nothing.
        only_class: the class that all labels have in it, of formats without classes.
        overlaps: whether masks keep pixels that other labels cover.
        unread: how many labels of the file could not be read; those that are missing in it may be these.
        is_empty: whether no labels were in it so far.
        found: the kinds of labels that are in the file.
        columns: (kind, column) for columns that any label of the kind has; or (kind, "parts"), (kind, "hidden").
        attributes: (kind, name) for attributes that any label of the kind has.
    """

    kinds: frozenset[str]
    holes: bool
    default_confidence: float | None = None
    only_class: str | None = None
    overlaps: bool = True
    unread: int = 0
    is_empty: bool = True
    found: set[str] = field(default_factory=set)
    columns: set[tuple[str, str]] = field(default_factory=set)
    attributes: set[tuple[str, str]] = field(default_factory=set)

    def add(self, labels: pa.Table, where: Bools | None = None) -> None:
        """Look at labels of the file, or at some of them."""
        self.is_empty &= not labels.num_rows
        if where is not None:
            labels = labels.filter(pa.array(where))
        for kind in pc.unique(labels["kind"]).to_pylist():
            rows = labels.filter(pc.equal(labels["kind"], kind))
            self.found.add(kind)
            points = set(pc.unique(pc.list_flatten(rows["visibility"])).to_pylist())
            several = pc.greater(pc.list_value_length(rows["points"]), 1)
            has = {
                "index": rows["index"].null_count < len(rows),
                "rotation": is_rotated(rows["rotation"]).any(),
                "closed": as_mask(rows["closed"]).any(),
                HIDDEN: HIDDEN_POINT in points,
                PARTS: as_mask(several).any(),
            }
            self.columns |= {(kind, name) for name, is_there in has.items() if is_there}
            self.attributes |= {(kind, name) for name in attributes.names(rows["attributes"])}

    def holds(self, kind: str) -> bool:
        """Whether labels of a kind would be in the file as they are; in a file without labels, all that the format writes,
        unless it has a single class, which other labels do not have.
        """
        return kind in self.kinds and (kind in self.found or (self.is_empty and self.only_class is None))

    def silent(self, kinds: pa.ChunkedArray, column: str) -> Bools:
        """Which labels are of a kind of which no label in the file has a column."""
        spoken = [kind for kind, name in self.columns if name == column]
        return ~as_mask(pc.is_in(kinds, value_set=pa.array(spoken, pa.string())))
