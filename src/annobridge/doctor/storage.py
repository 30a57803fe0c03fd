"""Whether a place is fit for a dataset: permissions, clock, and whether two processes may write there at once."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.media import without_secrets
from ..core.wording import plural
from ..store.probe import ROUNDS, WRITERS, Probe, probe

CLOCK_LIMIT = 10.0  # seconds; leases, which compare times, end two minutes after they were renewed
_ELSEWHERE = (
    "let one process write at a time, or move the dataset to a store that heeds If-None-Match, as Amazon S3, Google Cloud Storage, "
    "Azure Blob Storage or Cloudflare R2"
)


@dataclass(frozen=True)
class StorageReport:
    """What a place allows and does, as ``check_storage`` found.

    Attributes:
        uri: the place.
        two_writers: whether two processes may write there at once; ``None`` if it could not be tried out.
        denied: what is denied there, of ``"list"``, ``"read"``, ``"write"`` and ``"delete"``.
        clock: how many seconds its clock is ahead of that of this machine; ``None`` if it could not be read.
        rounds: how often several writers created one file at once.
        several: in how many rounds more than one was told that it had created the file, or the file was that of a loser.
        nobody: in how many rounds nobody was.
        failed: how many writers got another answer than that they had created it, or that it was there.
        left: files of the check that could not be removed.
    """

    uri: str
    two_writers: bool | None
    denied: tuple[str, ...]
    clock: float | None
    rounds: int
    several: int
    nobody: int
    failed: int
    left: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether several processes can work there: nothing is denied, the clock is right, and two writers are safe."""
        return bool(self.two_writers) and not self.denied and not self._is_clock_off

    @property
    def _is_clock_off(self) -> bool:
        return self.clock is not None and abs(self.clock) > CLOCK_LIMIT

    @property
    def verdict(self) -> str:
        """Whether two writers are safe, in one sentence."""
        if self.two_writers is None:
            return "Whether two writers are safe here is not known, as nothing can be written."
        if not self.rounds:
            return (
                "This store cannot have two writers, nor any commit: it cannot create a file only if it does not exist yet; "
                f"{_ELSEWHERE}."
            )
        if self.several:
            return (
                f"This store cannot have two writers: in {self.several} of {self.rounds} rounds, more than one of {WRITERS} that "
                f"created the same file at once was told that it had done so; {_ELSEWHERE}."
            )
        if not self.two_writers:
            return (
                f"This store cannot have two writers: in {self.nobody} of {self.rounds} rounds, nobody could create a file; "
                f"{_ELSEWHERE}."
            )
        if self._is_clock_off:
            return "Two writers are safe here if their clocks agree: of several that create the same file at once, one succeeds."
        return (
            f"Two writers are safe here: in {self.rounds} rounds, no more than one of {WRITERS} that created the same file at once "
            "succeeded."
        )

    def lines(self) -> list[str]:
        """The report in sentences."""
        lines = [self.verdict]
        if self.denied:
            lines.append(f"Denied: {', '.join(self.denied)}. {_NEEDS}")
        if self.clock is not None and self._is_clock_off:
            way = "ahead of" if self.clock > 0 else "behind"
            lines.append(
                f"The clock there is {abs(self.clock):,.0f} seconds {way} the one of this machine; leases compare times, so set "
                "the one that is wrong."
            )
        if self.two_writers and self.nobody:
            lines.append(f"In {plural(self.nobody, 'round')} nobody did; writers then try again.")
        if self.failed:
            lines.append(
                f"{plural(self.failed, 'request')} failed for another reason, as happens where a store is slow or limits them."
            )
        if self.left:
            lines.append(
                f"{plural(len(self.left), 'small file')} of this check could not be removed, as {self.left[0]!r}."
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        names = ("uri", "two_writers", "clock", "rounds", "several", "nobody", "failed")
        plain = {name: getattr(self, name) for name in names}
        lists = {"denied": list(self.denied), "left": list(self.left)}
        return {**plain, **lists, "ok": self.ok, "verdict": self.verdict}

    def __repr__(self) -> str:
        return "\n".join([f"{self.uri!r}:", *(f"  {line}" for line in self.lines())])

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{html.escape(line)}</li>" for line in self.lines())
        return f"<b>{html.escape(self.uri)}</b><ul>{items}</ul>"


_NEEDS = "Datasets are listed, read and written; optimize() and whatever removes a dataset delete."


def check_storage(uri: str | Path, storage_options: Mapping[str, str] | None = None) -> StorageReport:
    """Try out whether a place is fit for a dataset, and whether two processes may write there at once.

    Commits require that one of several writers that create a file succeeds, and the others get an error. This has 8 threads do it
    20 times. Permissions and the clock of the store are looked at too. The small files that this writes, into a folder of their own
    below the place, are removed afterwards, also after an error. There may be a dataset or not.

    A race that does not occur proves nothing: a store that loses one write in a million passes.

    Args:
        uri: a folder, or ``s3://``, ``gs://``, ``az://``.
        storage_options: options of the object store.

    Raises:
        StoreError: there is no such bucket, it does not answer, or it does not accept the credentials.
    """
    return _report(without_secrets(str(uri)), probe(str(uri), storage_options))


def _report(uri: str, found: Probe) -> StorageReport:
    rounds = found.rounds
    several = sum(r.winners > 1 or r.kept is False for r in rounds)
    nobody = sum(r.winners == 0 for r in rounds)
    safe = None if found.conditional is None else bool(rounds) and not several and nobody < ROUNDS / 2
    clock = None if found.clock is None else round(found.clock, 1)
    return StorageReport(
        uri, safe, found.denied, clock, len(rounds), several, nobody, sum(r.failed for r in rounds), found.left
    )
