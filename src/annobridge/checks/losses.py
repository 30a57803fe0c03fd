"""Checks of what is lost: deletions, and classes of which nothing would be left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from . import groups
from .base import Evidence, Finding


def share_of_deletions(evidence: Evidence, *, limit: float = 0.02, at_least: int = 5) -> Iterator[Finding]:
    """More than a share of the labels of a class, on the samples of the run, would be deleted.

    Args:
        evidence: what the load would do.
        limit: the share that may be deleted, 0..1.
        at_least: how many deletions of a class there must be, so that a few in a small class are not told.
    """
    before: dict[tuple[Any, ...], int] = {
        (row["field"], row["label"]): row["before"] for row in evidence.classes.to_pylist()
    }
    for key, deleted in groups.by(evidence.deleted(), "field", "label"):
        count = deleted.num_rows
        total = max(before.get(key, 0), count)
        if count >= at_least and count > limit * total:
            yield Finding(
                f"{groups.labels(count, *key)} would be deleted, {groups.percent(count / total)} of {total:,}; "
                f"up to {groups.percent(limit)} may be.",
                deleted["change_id"],
            )


def vanishing_class(evidence: Evidence, *, at_least: int = 1) -> Iterator[Finding]:
    """No label of the dataset would have a class any more.

    Args:
        evidence: what the load would do.
        at_least: how many labels of the dataset must have the class.
    """
    takes = pa.concat_tables([evidence.deleted(), evidence.edited("label")])
    for row in evidence.classes.to_pylist():
        had = row["in_dataset"]
        if row["label"] is None or had < max(at_least, 1) or had - row["before"] + row["after"] > 0:
            continue
        taken = takes.filter(
            pc.and_(pc.equal(takes["field"], row["field"]), pc.equal(takes["class_from"], row["label"]))
        )
        yield Finding(
            f"The class {row['label']!r} of {row['field']!r} would vanish: it has {groups.labels(had, row['field'], None)}, "
            "and none after the load.",
            taken["change_id"], count=had,
        )  # fmt: skip
