"""The command ``send-back``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import show
from ..options import (
    BackendOptions,
    DatasetOption,
    DecisionsOption,
    JsonOption,
    KeyArgument,
    open_dataset,
    parse_options,
)
from ..wording import to_cli


def send_back(
    key: KeyArgument,
    dataset: DatasetOption = None,
    decisions: DecisionsOption = None,
    note: Annotated[
        str, typer.Option(metavar="TEXT", help="For the changes whose decision has no note of its own.")
    ] = "",
    folder: Annotated[
        Path,
        typer.Option(metavar="DIR", help="For CSV files, of what the tool has no place for; one for each annotator."),
    ] = Path("."),
    option: BackendOptions = None,
    as_json: JsonOption = False,
) -> None:
    """Give what was refused back to the annotators: in the tool, or as CSV files.

    These are the changes that the file of decisions refuses, and those that were refused in an earlier load and are still in the
    tool. What went back before is not sent twice.
    """
    results = open_dataset(dataset).load_annotation_results(key, **parse_options(option))
    # "keep", so that labels outside the schema, which may have been refused too, are among the changes
    plan = results.plan(decisions=decisions, unexpected="keep")
    report = results.send_back(plan, note=note, folder=folder)
    report.notes = [to_cli(text) for text in (*plan.notes, *report.notes)]
    data = report.to_dict()
    show.emit(data, as_json, lambda _: _lines(report))


def _lines(report: Any) -> Iterator[Any]:
    yield from (show.unwrapped(to_cli(text)) for text in report.sentences())
