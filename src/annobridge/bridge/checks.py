"""Runs the checks of plans, and reports what they found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..checks import Evidence, registry
from ..checks.base import ERROR, LEVELS
from ..display import html
from ..settings import checks as settings


class CheckReport:
    """What the checks of a plan found.

    Attributes:
        anno_key: the key of the run.
        checks: the names of the checks that ran.
        findings: check, level ("error" or "warning"), sentence, count, change_ids; errors first.
    """

    def __init__(self, anno_key: str, checks: Collection[str], findings: pa.Table) -> None:
        self.anno_key, self.checks, self.findings = anno_key, tuple(checks), findings

    @property
    def ok(self) -> bool:
        """Whether no check found an error; there may be warnings."""
        return not self.counts[ERROR]

    @property
    def counts(self) -> dict[str, int]:
        """Level → findings."""
        return {level: pc.sum(pc.equal(self.findings["level"], level), min_count=0).as_py() or 0 for level in LEVELS}

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "anno_key": self.anno_key,
            "ok": self.ok,
            "summary": summary(self.counts, len(self.checks)),
            "checks": list(self.checks),
            "counts": self.counts,
            "findings": self.findings.to_pylist(),
        }

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The findings by the Arrow stream interface, for pandas, polars and duckdb."""
        return self.findings.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        rows = (f"  {row['level']}: {row['sentence']} ({row['check']})" for row in self.findings.to_pylist())
        return "\n".join([self._head(), *rows])

    def _repr_html_(self) -> str:
        names = ["level", "check", "count"]
        rows = self.findings.to_pylist()
        table = [html.table(names, [[row[name] for name in names] for row in rows])] if rows else []
        return html.titled(self._head(), *table, *(html.line(row["sentence"]) for row in rows))

    def _head(self) -> str:
        return f"Checks of {self.anno_key!r}: {summary(self.counts, len(self.checks))}"


def summary(counts: Mapping[str, int], checks: int) -> str:
    """How many findings there are, as a part of a sentence.

    >>> summary({"error": 1, "warning": 2}, 7), summary({"error": 0, "warning": 0}, 1)
    ('1 error, 2 warnings by 7 checks', 'nothing found by 1 check')
    """
    parts = [f"{n:,} {level}{'s' * (n != 1)}" for level, n in counts.items() if n]
    return f"{', '.join(parts) or 'nothing found'} by {checks} check{'s' * (checks != 1)}"


def check(
    anno_key: str,
    evidence: Callable[[], Evidence],
    checks: Collection[str] | None,
    limits: Mapping[str, Mapping[str, Any]],
) -> CheckReport:
    """Run the checks that the caller, or else the configuration file, chooses.

    Args:
        anno_key: the key of the run.
        evidence: makes what they look at; called when the arguments are found to be valid.
        checks: their names; ``None`` for those of the file, or all.
        limits: name of a check → its parameters; those of the file hold for what is not given. A check that has limits here runs
            beside those that ``checks`` names.

    Raises:
        InvalidOption: there is no such check or parameter, or a value has another type.
        ConfigError: the configuration file is wrong.
    """
    registry.require_valid(checks, limits)
    file = settings.chosen()
    names = file.names if checks is None else [*checks, *limits]
    merged = {name: {**file.limits.get(name, {}), **limits.get(name, {})} for name in {**file.limits, **limits}}
    off = {name for name, given in merged.items() if given.get(registry.LEVEL) == registry.OFF}
    run = [name for name in dict.fromkeys(registry.names() if names is None else names) if name not in off]
    return CheckReport(anno_key, run, registry.run(evidence(), run, merged))
