"""Doctor: damage that earlier versions, crashes or other programs left in a dataset is noticed, named, and repaired.

An examination reads and writes nothing. A repair goes through the verbs of the stores: all that it does to labels in one check
is one commit. Repeated, it finds nothing more to do.
"""

from __future__ import annotations

from ..exceptions import InvalidOption
from ..store.stores import Stores
from . import labels, runs, samples, sizes
from .report import Check, DoctorReport, Finding, Options

__all__ = ["CHECKS", "PIXEL_LABELS", "Check", "DoctorReport", "Finding", "examine"]

PIXEL_LABELS = sizes.CHOICES
CHECKS: tuple[Check, ...] = (
    samples.TWICE,
    labels.TWICE,
    labels.ORPHANS,
    sizes.TRANSPOSED,
    labels.UNSOUND,
    runs.ONE_KEY,
    runs.BASELINE,
)


def examine(stores: Stores, repair: bool = False, pixel_labels: str = "keep") -> DoctorReport:
    """Run all checks; with ``repair``, mend what can be mended, check by check, and look again."""
    if pixel_labels not in PIXEL_LABELS:
        raise InvalidOption(f"pixel_labels={pixel_labels!r} is not known; give {' or '.join(map(repr, PIXEL_LABELS))}.")
    options = Options(pixel_labels)
    found: list[Finding] = []
    left: list[Finding] = []
    repaired: dict[str, str] = {}
    for check in CHECKS:
        finding = check.find(stores)
        if finding is None:
            continue
        found.append(finding)
        if repair and finding.repairable and check.repair is not None:
            repaired[check.name] = check.repair(stores, options)
            finding = check.find(stores)
        if finding is not None:
            left.append(finding)
    return DoctorReport(stores.database.uri, tuple(found), repaired, tuple(left), tuple(sizes.unseen(stores)))
