"""Finds and repairs damage in a dataset that earlier versions, crashes or other programs left.

Without ``repair``, nothing is written. The repair of labels by one check is one commit, and a second repair finds nothing to do.
"""

from __future__ import annotations

from ..exceptions import InvalidOption
from ..store.stores import Stores
from . import labels, runs, samples, sizes
from .report import Check, DoctorReport, Finding, Options

__all__ = ["CHECKS", "PIXEL_LABELS", "Check", "DoctorReport", "Finding", "examine"]

PIXEL_LABELS = sizes.CHOICES
CHECKS: tuple[Check, ...] = (
    samples.DUPLICATES,
    labels.DUPLICATES,
    labels.ORPHANS,
    sizes.SWAPPED_SIZES,
    labels.UNSTORABLE,
    runs.ONE_KEY,
    runs.BASELINE,
)


def examine(stores: Stores, repair: bool = False, pixel_labels: str = "keep") -> DoctorReport:
    """Run all checks.

    Args:
        stores: the dataset.
        repair: repair what can be repaired, and check again.
        pixel_labels: for ``sizes``, what to do with labels that may be in pixels: "keep" or "rescale".
    """
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
    return DoctorReport(stores.database.uri, tuple(found), repaired, tuple(left), tuple(sizes.unchecked(stores)))
