"""The commands ``plan``, ``load`` and ``undo``."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...display import terminal
from .. import show
from ..changes import ROWS, Filter, list_changes
from ..option_groups import Merging, Part, Running
from ..options import (
    CheckOption,
    DatasetOption,
    DecisionsOption,
    FormatOption,
    JsonOption,
    KeyArgument,
    LoadOptions,
    PathOption,
    RowsOption,
    Undecided,
    open_dataset,
    parse_checks,
    parse_options,
)
from ..plan_text import is_pending, plan_parts, report_parts, summary, why_stopped
from ..root import CHECK_FAILED, PENDING

if TYPE_CHECKING:
    from ...bridge.merge_plan import MergePlan


class Action(StrEnum):
    DELETE = "delete"
    EDIT = "edit"
    ADD = "add"


Cleanup = Annotated[bool, typer.Option("--cleanup", help="Afterwards, remove the tasks from the tool.")]
OfField = Annotated[list[str] | None, typer.Option("--field", help="List only changes of this field; repeatable.")]
OfAction = Annotated[
    list[Action] | None, typer.Option("--action", help="List only these: delete, edit, add; repeatable.")
]
OfClass = Annotated[
    list[str] | None, typer.Option("--class", help="List only labels that have or had this class; repeatable.")
]
OfSample = Annotated[
    list[str] | None, typer.Option("--sample", help="List only this sample, by id or file; repeatable.")
]


Html = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write a page with the changes and their pictures, which needs no server."),
]
HtmlSize = Annotated[
    float, typer.Option(metavar="MB", help="How large it may be; pictures of the riskiest changes come first.")
]


def plan(
    *,
    key: KeyArgument,
    dataset: DatasetOption = None,
    merging: Merging,
    part: Part,
    running: Running,
    rows: RowsOption = ROWS,
    field: OfField = None,
    action: OfAction = None,
    label: OfClass = None,
    sample: OfSample = None,
    path: PathOption = None,
    format: FormatOption = None,  # noqa: A002 - the word that everybody looks for
    option: LoadOptions = None,
    decisions: DecisionsOption = None,
    undecided: Undecided = "take",
    check: CheckOption = None,
    html: Html = None,
    html_size: HtmlSize = 20.0,
    as_json: JsonOption = False,
) -> None:
    """What a load would change; nothing is written. Exits with 2 when changes are pending, with 3 when a check finds an error.

    Deletions are listed first. What is listed can be narrowed; counts, checks and the exit code are of the whole plan.
    """
    ds = open_dataset(dataset)
    choice = merging.choice
    merge_plan = ds.plan_annotations(
        key, path=path, format=format, decisions=decisions, undecided=undecided, **merging.arguments(),
        **part.arguments(ds), **running.arguments(), **parse_options(option),
    )  # fmt: skip
    shown = None if as_json else rows
    chosen = Filter(field or (), [a.value for a in action or ()], label or (), sample or ())
    data = summary(ds, merge_plan, shown, choice) | list_changes(ds, merge_plan, chosen, shown)
    data |= {"pending": is_pending(merge_plan, choice), "stop": why_stopped(merge_plan, choice)}
    if check:
        names, limits = parse_checks(check)
        data["checks"] = merge_plan.check(names, **limits).to_dict()
    if html is not None:
        data["html"] = _write_page(merge_plan, html, html_size)
    show.emit(data, as_json, lambda d: plan_parts(d, rows))
    if check and not data["checks"]["ok"]:
        raise typer.Exit(CHECK_FAILED)
    if data["pending"]:
        raise typer.Exit(PENDING)


def _write_page(merge_plan: MergePlan, path: Path, megabytes: float) -> dict[str, Any]:
    """Write the page of ``--html``; returns what is to be told about it."""
    from ...review import offline

    file = offline.write(merge_plan, path.expanduser(), merge_plan.dataset_uri, megabytes)
    counts = {name: getattr(file, name) for name in ("size", "changes", "pictures", "left_out")}
    return {"file": str(file.path), **counts, "notes": list(file.notes)}


def load(
    *,
    key: KeyArgument,
    dataset: DatasetOption = None,
    merging: Merging,
    part: Part,
    running: Running,
    cleanup: Cleanup = False,
    path: PathOption = None,
    format: FormatOption = None,  # noqa: A002 - as above
    option: LoadOptions = None,
    decisions: DecisionsOption = None,
    undecided: Undecided = "take",
    as_json: JsonOption = False,
) -> None:
    """Merge the work of a run back, as one version of the labels: from the tool, or from a file that was exported there."""
    from ...bridge import prompt
    from ...bridge.results import loads_of
    from ...dataset.chosen_samples import where_argument

    ds = open_dataset(dataset)
    loads = loads_of(ds.stores, key, path, format, parse_options(option))
    choice = merging.choice

    def ask(merge_plan: MergePlan) -> str:
        nonlocal choice  # the report says it too
        choice = prompt.choose(merge_plan)
        return choice

    chosen = part.arguments(ds)
    report = loads.load(
        cleanup, ask if terminal.on_stdin() and not as_json else None, decisions=decisions, undecided=undecided,
        **merging.arguments(), **running.arguments(), **chosen | {"where": where_argument(ds.stores, chosen["where"])},
    )  # fmt: skip
    data = summary(ds, report, None if as_json else ROWS, choice) | {"version": report.version}
    show.emit(data, as_json, report_parts)


def undo(key: KeyArgument, dataset: DatasetOption = None, as_json: JsonOption = False) -> None:
    """Take back the last load of a run; what was edited here since then stays."""
    show.emit(open_dataset(dataset).undo_annotations(key).to_dict(), as_json, _undone)


def _undone(data: dict[str, Any]) -> Iterator[Any]:
    nouns = {"add": "addition", "edit": "edit", "delete": "deletion"}
    counts = ", ".join(show.plural(n, nouns[a]) for a, n in data["taken_back"].items() if n) or "nothing"
    yield f"Took back load {data['load']} of {data['anno_key']}: {counts}."
    if data["kept"]:
        yield f"Kept as they are, since they were edited here afterwards: {show.plural(len(data['kept']), 'value')}."
