"""Imports: hostile sources. Each ends in one sentence of an ``AnnobridgeError``, or in an import; in bounded memory and time, and
after a refusal the dataset is as before.
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

from . import acts, hostile
from .frame import Finding, Room, Row, Stage, Trial, area
from .judge import between, ended, one_of
from .scene import Look, Scene
from .states import States

MEMORY = 600  # MiB that an import may take more than the process had
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
    """How an import ended: the error's text, or ``""``; the memory that it took, in MiB; and the dataset, if it has changed."""

    error: str
    memory: int
    look: Look | None


@area("imports", "sources that are damaged, or made to harm")
def imports(stage: Stage) -> Iterator[Row]:
    """A row for each kind of source."""
    states = States(stage, "disk")
    for name, sources in ROWS.items():
        yield Row(name, partial(_plan, states, sources))


def _plan(states: States, sources: Callable[[], Iterable[hostile.Source]], room: Room) -> list[Trial]:
    scene, _ = states.base(room, "plain")
    before: Look = room.call(acts.look, scene)
    found = list(sources())[: room.stage.settings.rounds]
    return [Trial(source.name, partial(_trial, scene=scene, source=source, before=before)) for source in found]


def _trial(room: Room, scene: Scene, source: hostile.Source, before: Look) -> Finding:
    mine = replace(scene, uri=str(room.folder / "dataset"))
    shutil.copytree(scene.uri, mine.uri)
    folder = room.folder / "hostile"
    folder.mkdir()
    source.make(folder)
    outcome = room.attempt(take, folder / source.inner, mine)
    finding = ended(outcome, "the import") + Finding(landed=True)
    if outcome.kind != "done":
        return finding + one_of(room.call(acts.look, mine), [before], "after the failure")
    result: Result = outcome.value
    finding += _told(result)
    if result.look is None:
        return finding
    return finding + (
        one_of(result.look, [before], "after the refusal") if result.error else _kept(result.look, before)
    )


def _told(result: Result) -> Finding:
    """A sentence, and within the bounds."""
    text, notes = result.error, []
    if text and (len(text) > _LONGEST or "Traceback" in text or text.rstrip()[-1] not in ".)"):
        notes.append(f"no sentence: {text[:300]}")
    if _TRACE.exists():
        notes.append("code of the source was run")
    over = result.memory > MEMORY
    memory = (f"it took {result.memory} MiB",) if over else ()
    return Finding(bare=len(notes), hung=int(over), notes=(*notes, *memory))


def _kept(now: Look, before: Look) -> Finding:
    """What was there is there still; what came with the import may be more."""
    return between(now, [before, Look(before.content | now.content)], "after the import")


def take(source: Path, scene: Scene) -> Result:
    """Import into a dataset that has something; runs in a child."""
    start, before = _resident(), _versions(scene)
    try:
        ab.import_dataset(source, scene.uri, mode="add", storage_options=scene.options, progress=False)
    except ab.AnnobridgeError as error:
        text = str(error)
    else:
        text = ""
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10) - start
    return Result(text, memory, acts.look(scene) if _versions(scene) != before else None)


def _versions(scene: Scene) -> set[Path]:
    """The versions of the tables of samples and labels; reading the tables themselves costs more than most imports."""
    return {path for name in ("samples", "labels") for path in Path(scene.uri, f"{name}.lance", "_versions").iterdir()}


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20
