"""What child processes do that are killed in the middle, or that meet each other."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.children import die_at
from tests.doubles import file_backend

import annobridge as ab


def run(folder: Path, server: Path, verb: str, what: str, nth: int, when: str) -> None:
    """Annotate, load or undo the run "r", and be killed at a step."""
    os.environ[file_backend.VARIABLE] = file_backend.NAME
    die_at(what, nth, when)
    ds = ab.load_dataset(folder)
    if verb == "annotate":
        ds.annotate("r", label_schema="objects", backend="folder", folder=str(server), task_size=2)
    elif verb == "load":
        ds.load_annotations("r")
    else:
        ds.undo_annotations("r")


def load_at_once(root: Path, me: str, rounds: int) -> list[str]:
    """Load the run of one dataset after the other, each at the moment at which the other process does; what came of it."""
    os.environ[file_backend.VARIABLE] = file_backend.NAME
    found = []
    for n in range(rounds):
        ds = ab.load_dataset(root / f"ds{n}")
        (root / f"ready{n}-{me}").touch()
        while len(list(root.glob(f"ready{n}-*"))) < 2:
            time.sleep(0.0005)
        try:
            found.append("loaded" if ds.load_annotations("r").version else "nothing")
        except (ab.RunBusy, ab.StalePlan) as e:
            found.append(type(e).__name__)
    return found


def repoint(folder: Path, old: Path, new: Path, what: str, nth: int, when: str) -> None:
    """Rewrite paths, and be killed at a step."""
    die_at(what, nth, when)
    ab.load_dataset(folder).repoint(old, new)


def import_dataset(source: Path, place: Path, mode: str, what: str, nth: int) -> None:
    """Import, and be killed at a step."""
    die_at(what, nth)
    ab.import_dataset(source, place, mode=mode)


def import_to_store(source: Path, place: str, options: dict[str, str], what: str, nth: int) -> None:
    """Import into an object store, and be killed at a step."""
    die_at(what, nth)
    ab.import_dataset(source, place, storage_options=options)


def load_from_store(place: str, options: dict[str, str], key: str) -> int | None:
    """Load a run of a dataset in an object store; the version that it made."""
    os.environ[file_backend.VARIABLE] = file_backend.NAME
    return ab.load_dataset(place, options).load_annotations(key).version
