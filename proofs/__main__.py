"""The command line: ``python -m proofs [AREA…]``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from . import answers, imports, kills, races  # noqa: F401 - they register their areas
from .framework import AREAS, Settings, Shared, Tally, run
from .storage import STORAGES

COLUMNS = ("tried", "landed", "lost", "doubled", "orphans", "bare", "hung")
TITLES = {"bare": "bare\ntracebacks"}
NOTES = 3  # shown of each row


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 if anything went wrong."""
    given = _parse(arguments)
    areas = [AREAS[name] for name in given.areas or AREAS]
    with tempfile.TemporaryDirectory(prefix="annobridge-proofs-") as folder:
        settings = Settings(
            Path(folder), given.seed, given.rounds, tuple(given.store) or None, given.jobs, given.deadline
        )
        if given.list:
            return _list(settings)
        console = Console(stderr=True, highlight=False)
        tallies = run(areas, settings, given.only, lambda tally: console.print(_line(tally), markup=False))
    sound = all(tally.sound for tally in tallies)
    if given.json:
        rows = [asdict(tally) for tally in tallies]
        print(json.dumps({"seed": given.seed, "sound": sound, "rows": rows}, indent=2))
    else:
        _print(tallies, given.seed)
    return 0 if sound else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("prove", description="Attack annobridge, and count what was lost.")
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"of {', '.join(AREAS)}; all of them")
    parser.add_argument("--list", action="store_true", help="list areas and rows, and run nothing")
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows whose name contains it")
    parser.add_argument("--rounds", type=int, metavar="N", help="trials of each row")
    parser.add_argument("--store", action="append", default=[], choices=STORAGES, help="may be given twice")
    parser.add_argument("--seed", type=int, default=0, help="the same seed chooses the same trials")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="trials at once (2)")
    parser.add_argument("--deadline", type=float, default=120, metavar="SECONDS", help="for one process (120)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.areas if name not in AREAS]:
        parser.error(f"There is no area {unknown[0]!r}; give {', '.join(AREAS)}.")
    return given


def _list(settings: Settings) -> int:
    for one in AREAS.values():
        print(f"{one.name}: {one.title}")
        with ExitStack() as exit_:
            for row in one.rows(Shared(settings, settings.folder / one.name, exit_)):
                print(f"    {row.name}")
    return 0


def _line(tally: Tally) -> str:
    return f"{tally.area}: {tally.row}: {tally.tried} tried, {tally.seconds:.0f} s, {'ok' if tally.sound else 'FAILED'}"


def _print(tallies: Sequence[Tally], seed: int) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120
    for tally in tallies:
        for note in tally.notes[:NOTES]:
            console.print(f"{tally.area}: {tally.row}: {note}", markup=False)
        if (more := len(tally.notes) - NOTES) > 0:
            console.print(f"{tally.area}: {tally.row}: and {more} more", markup=False)
    table = Table("area", *(TITLES.get(name, name) for name in COLUMNS), title=f"seed {seed}")
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
    for tally in tallies:
        table.add_row(f"{tally.area}: {tally.row}", *(str(getattr(tally, name)) for name in COLUMNS))
    table.add_section()
    table.add_row("all", *(str(sum(getattr(tally, name) for tally in tallies)) for name in COLUMNS))
    console.print(table)
    if errors := sum(tally.errors for tally in tallies):
        console.print(f"{errors} trials could not be carried out; see above.")


if __name__ == "__main__":
    sys.exit(main())
