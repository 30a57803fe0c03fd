"""The area ``imports``: hostile sources. Each must be imported or raise an ``AnnobridgeError`` of one sentence, in bounded memory
and time, and after an error the dataset must be as before.
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import annobridge as ab

from . import actions, hostile
from .checks import check_content, check_is_one_of, check_outcome
from .framework import Finding, Row, Shared, Trial, TrialContext, area
from .states import States
from .target import Snapshot, Target

MEMORY = 600  # MiB that an import may add to the process
_LONGEST = 3_000  # characters of a sentence
_TRACE = Path("/tmp/annobridge-proofs-were-here")  # made by a pickle that was run
ROWS: dict[str, Callable[[], Iterable[hostile.Source]]] = {
    "metadata.jsonl": hostile.lines,
    "images": hostile.media,
    "files": hostile.files,
    "FiftyOne": hostile.fiftyone,
}


@dataclass(frozen=True)
class Result:
    """How an import ended: the error message or ``""``, the memory that it took in MiB, and a snapshot if the dataset changed."""

    error: str
    memory: int
    snapshot: Snapshot | None


@area("imports", "sources that are damaged, or made to harm")
def imports(shared: Shared) -> Iterator[Row]:
    """Yield a row for each kind of source."""
    states = States(shared, "disk")
    for name, sources in ROWS.items():
        yield Row(name, partial(_plan, states, sources))


def _plan(states: States, sources: Callable[[], Iterable[hostile.Source]], context: TrialContext) -> list[Trial]:
    target, _ = states.base(context, "plain")
    before: Snapshot = context.call(actions.snapshot, target)
    found = list(sources())[: context.shared.settings.rounds]
    return [Trial(source.name, partial(_trial, target=target, source=source, before=before)) for source in found]


def _trial(context: TrialContext, target: Target, source: hostile.Source, before: Snapshot) -> Finding:
    mine = replace(target, uri=str(context.folder / "dataset"))
    shutil.copytree(target.uri, mine.uri)
    folder = context.folder / "hostile"
    folder.mkdir()
    source.make(folder)
    outcome = context.attempt(import_source, folder / source.inner, mine)
    finding = check_outcome(outcome, "the import") + Finding(landed=True)
    if outcome.kind != "done":
        return finding + check_is_one_of(context.call(actions.snapshot, mine), [before], "after the failure")
    result: Result = outcome.value
    finding += _check_result(result)
    if result.snapshot is None:
        return finding
    return finding + (
        check_is_one_of(result.snapshot, [before], "after the refusal")
        if result.error
        else _kept(result.snapshot, before)
    )


def _check_result(result: Result) -> Finding:
    """Check that an error is a sentence, that no code was run, and that memory was bounded."""
    text, notes = result.error, []
    if text and (len(text) > _LONGEST or "Traceback" in text or text.rstrip()[-1] not in ".)"):
        notes.append(f"no sentence: {text[:300]}")
    if _TRACE.exists():
        notes.append("code of the source was run")
    over = result.memory > MEMORY
    memory = (f"it took {result.memory} MiB",) if over else ()
    return Finding(bare=len(notes), hung=int(over), notes=(*notes, *memory))


def _kept(now: Snapshot, before: Snapshot) -> Finding:
    """Check that what was in the dataset is still there; the import may have added to it."""
    return check_content(now, [before, Snapshot(before.content | now.content)], "after the import")


def import_source(source: Path, target: Target) -> Result:
    """Import into a dataset; called in a child process."""
    start, before = _resident(), _versions(target)
    try:
        ab.import_dataset(source, target.uri, mode="add", storage_options=target.options, progress=False)
    except ab.AnnobridgeError as error:
        text = str(error)
    else:
        text = ""
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10) - start
    return Result(text, memory, actions.snapshot(target) if _versions(target) != before else None)


def _versions(target: Target) -> set[Path]:
    """The versions of the tables of samples and labels; reading the tables themselves costs more than most imports."""
    return {path for name in ("samples", "labels") for path in Path(target.uri, f"{name}.lance", "_versions").iterdir()}


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20
