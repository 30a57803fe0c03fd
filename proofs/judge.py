"""From what was seen to what is counted."""

from __future__ import annotations

from collections.abc import Sequence

from .children import Outcome
from .frame import Finding
from .scene import Look, difference


def ended(outcome: Outcome, what: str) -> Finding:
    """Bare tracebacks and processes that hang; an ``AnnobridgeError`` is a fine way to end."""
    return Finding(
        bare=int(outcome.kind == "bare"),
        hung=int(outcome.kind == "hung"),
        notes=(f"{what}: {outcome.text}",) if outcome.kind in ("bare", "hung") else (),
    )


def between(found: Look, allowed: Sequence[Look], when: str) -> Finding:
    """What is missing or too many against all allowed outcomes, and ids that are there twice."""
    differs = difference(found.content, [one.content for one in allowed])
    notes = (f"{when}: {differs}",) if differs else ()
    twins = (f"{when}: {len(found.twins)} ids are there twice ({found.twins[0]}, …)",) if found.twins else ()
    return Finding(
        lost=differs.missing.total() + differs.strange.total(),
        doubled=differs.doubled.total() + len(found.twins),
        notes=notes + twins,
    )


def one_of(found: Look, allowed: Sequence[Look], when: str) -> Finding:
    """The same, and a mixture of two allowed outcomes counts as lost."""
    finding = between(found, allowed, when)
    if finding.sound and all(found.content != one.content for one in allowed):
        after = allowed[-1].content
        there, missing = (found.content & after).total(), after - found.content
        said = f"{missing.total()} missing ({next(iter(missing))}, …)" if missing else "but too much is left"
        return Finding(
            lost=max(1, missing.total()), notes=(f"{when}: in between; {there} of {after.total()} are there, {said}",)
        )
    return finding


def pending(plan: tuple[int, int, int]) -> Finding:
    """Changes that a plan shows though nobody worked in the tool: each would do harm."""
    added, edited, deleted = plan
    note = f"nobody touched anything, and the next load would do +{added} ~{edited} -{deleted}"
    return Finding(lost=edited + deleted, doubled=added, notes=(note,) if any(plan) else ())
