"""Checks of what a trial leaves; each returns a ``Finding``."""

from __future__ import annotations

from collections.abc import Sequence

from .children import Outcome
from .framework import Finding
from .target import Snapshot, difference


def check_outcome(outcome: Outcome, what: str) -> Finding:
    """Count an exception other than an ``AnnobridgeError``, and a process that did not end."""
    return Finding(
        bare=int(outcome.kind == "bare"),
        hung=int(outcome.kind == "hung"),
        notes=(f"{what}: {outcome.text}",) if outcome.kind in ("bare", "hung") else (),
    )


def check_content(found: Snapshot, allowed: Sequence[Snapshot], when: str) -> Finding:
    """Count what is in none of the allowed snapshots, or missing from all of them, and duplicate ids."""
    differs = difference(found.content, [one.content for one in allowed])
    notes = (f"{when}: {differs}",) if differs else ()
    duplicate_ids = (
        (f"{when}: {len(found.duplicate_ids)} ids are there twice ({found.duplicate_ids[0]}, …)",)
        if found.duplicate_ids
        else ()
    )
    return Finding(
        lost=differs.missing.total() + differs.unexpected.total(),
        doubled=differs.doubled.total() + len(found.duplicate_ids),
        notes=notes + duplicate_ids,
    )


def check_is_one_of(found: Snapshot, allowed: Sequence[Snapshot], when: str) -> Finding:
    """``check_content``, where a mixture of the allowed snapshots counts as lost."""
    finding = check_content(found, allowed, when)
    if finding.sound and all(found.content != one.content for one in allowed):
        after = allowed[-1].content
        there, missing = (found.content & after).total(), after - found.content
        response = f"{missing.total()} missing ({next(iter(missing))}, …)" if missing else "but too much is left"
        return Finding(
            lost=max(1, missing.total()),
            notes=(f"{when}: in between; {there} of {after.total()} are there, {response}",),
        )
    return finding


def check_plan_is_empty(plan: tuple[int, int, int]) -> Finding:
    """Count the changes of a plan (added, edited, deleted) after which nobody edited anything in the tool."""
    added, edited, deleted = plan
    note = f"nobody touched anything, and the next load would do +{added} ~{edited} -{deleted}"
    return Finding(lost=edited + deleted, doubled=added, notes=(note,) if any(plan) else ())
