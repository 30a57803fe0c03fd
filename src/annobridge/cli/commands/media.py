"""The command ``media``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from .. import show
from ..options import DatasetOption, JsonOption, open_dataset
from ..wording import to_cli

_SHOWN = 50


def media(
    dataset: DatasetOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Look for files that are missing, or of another size than recorded.")
    ] = False,
    content: Annotated[bool, typer.Option("--content", help="With --check: compare the content too.")] = False,
    record: Annotated[
        bool, typer.Option("--record", help="With --check: record the files that have no record yet.")
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="With --check: record files that have changed as they are now.")
    ] = False,
    repoint: Annotated[
        str | None,
        typer.Option(metavar="OLD=NEW", help="Files have moved: paths that begin with OLD begin with NEW from now on."),
    ] = None,
    missing: Annotated[
        str, typer.Option(metavar="refuse|keep", help="With --repoint: what happens if files are not at the new place.")
    ] = "refuse",
    force: Annotated[
        bool, typer.Option("--force", help="With --repoint: take files of other content than was recorded.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the files of the samples, or rewrite their paths after they have moved.

    A repoint is one version of the samples: the files at the new place are checked first, and nothing is changed if some are
    missing or are other ones. Files inside the dataset's folder need none: their paths are relative to it.

    Exit codes: 0 all is well; 1 --check found missing or changed files, or an error.
    """
    if check == (repoint is not None):
        raise typer.BadParameter("Give one of --check and --repoint OLD=NEW.")
    of_check = {"--content": content, "--record": record, "--accept": accept}
    of_repoint = {"--missing": missing != "refuse", "--force": force}
    action, other, unused = ("--check", "--repoint", of_repoint) if check else ("--repoint", "--check", of_check)
    if wrong := [name for name, is_given in unused.items() if is_given]:
        raise typer.BadParameter(f"{wrong[0]} belongs to {other}; leave it out with {action}.")
    ds = open_dataset(dataset)
    if repoint is not None:
        old, sign, new = repoint.partition("=")
        if not sign:
            raise typer.BadParameter(f"--repoint {repoint!r} should be OLD=NEW, as --repoint /mnt/old=/mnt/new.")
        report = ds.repoint(old, new, missing, force)
        show.emit(report.to_dict(), as_json, lambda _: map(to_cli, report.lines()))
        return
    found = ds.check_media(content, record, accept)
    show.emit(found.to_dict(), as_json, lambda data: _checked(data, found.lines()))
    if not found.ok:
        raise typer.Exit(1)


def _checked(data: dict[str, Any], lines: list[str]) -> Iterator[Any]:
    yield from map(to_cli, lines)
    rows = [
        [row["problem"], row["filepath"] or "–", row["recorded_size"], row["size"], row["why"]]
        for row in data["problems"][:_SHOWN]
    ]
    if rows:
        yield show.table(["problem", "file", "recorded", "now", "why"], rows, ("recorded", "now"))
    if (more := len(data["problems"]) - _SHOWN) > 0:
        yield f"… and {more:,} more; --json has all."
