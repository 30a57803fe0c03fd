"""What the checks found, and what was repaired."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..store.stores import Stores

SHOWN = 20  # ids that a finding names


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of damage: the name of the check, how often it was found, and a sentence with the cure.

    ``ids`` are the first labels, samples or runs concerned.
    """

    name: str
    count: int
    sentence: str
    repairable: bool = True
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """Choices of the caller for repairs. ``pixel_labels``: see ``sizes``."""

    pixel_labels: str = "keep"


@dataclass(frozen=True, slots=True)
class Check:
    """One check. ``repair`` repairs what ``find`` finds, and returns what it did; ``None`` if only people can."""

    name: str
    find: Callable[[Stores], Finding | None]
    repair: Callable[[Stores, Options], str] | None = None


@dataclass(frozen=True)
class DoctorReport:
    """The findings in a dataset, the repairs (name of the check → what was done), and the findings that are left.

    ``notes`` say what could not be checked.
    """

    dataset: str
    findings: tuple[Finding, ...]
    repaired: Mapping[str, str]
    left: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is left to repair."""
        return not self.left

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "dataset": self.dataset,
            "ok": self.ok,
            "findings": [asdict(f) | {"ids": list(f.ids)} for f in self.findings],
            "repaired": dict(self.repaired),
            "left": [f.name for f in self.left],
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """The report in sentences."""
        left = {f.name for f in self.left}
        lines = [f"{f.name} ({f.count:,}): {f.sentence}" for f in self.findings if f.name not in self.repaired]
        lines += [f"{name}: {done}" for name, done in self.repaired.items()]
        lines += [f"{f.name} ({f.count:,}), still: {f.sentence}" for f in self.left if f.name in self.repaired]
        if not self.findings:
            lines = ["Nothing is wrong."]
        elif any(f.repairable and f.name not in self.repaired and f.name in left for f in self.findings):
            lines.append(
                "`annobridge doctor --repair`, or doctor(repair=True) of the dataset, repairs what can be repaired."
            )
        return [*lines, *self.notes]

    def __repr__(self) -> str:
        head = f"{self.dataset!r}: {len(self.findings)} found, {len(self.repaired)} repaired, {len(self.left)} left"
        return "\n".join([head, *(f"  {line}" for line in self.lines())])

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{html.escape(line)}</li>" for line in self.lines())
        return f"<b>{html.escape(self.dataset)}</b><ul>{items}</ul>"
