"""The command ``push``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import show
from ..changes import ROWS, files_of, short_id
from ..option_groups import Conflicts, policy
from ..options import (
    BackendOptions,
    DatasetOption,
    DecisionsOption,
    JsonOption,
    KeyArgument,
    RowsOption,
    Undecided,
    open_dataset,
    parse_options,
)
from ..plan_text import counts_table, total_changes
from ..root import PENDING
from ..wording import with_notes

if TYPE_CHECKING:
    from ...bridge.push_plan import PushPlan
    from ...dataset import Dataset

_COLUMNS = (
    "change_id", "sample_id", "frame_number", "field", "label_id", "component", "kind", "group", "label", "base", "ours",
    "theirs", "proposal", "why",
)  # fmt: skip
_LONG = 30  # characters of a value that people are shown


def push(
    *,
    key: KeyArgument,
    dataset: DatasetOption = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only tell what would change in the tool; exits with 2 if something would.")
    ] = False,
    conflicts: Conflicts = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also if most of the run would be deleted there, or samples are finished there."),
    ] = False,
    decisions: DecisionsOption = None,
    undecided: Undecided = "take",
    rows: RowsOption = ROWS,
    option: BackendOptions = None,
    as_json: JsonOption = False,
) -> None:
    """Send what changed here to the tool: labels that were added, edited or deleted since, where nobody there changed the same.

    Of changes on both sides, --conflicts theirs (the default) keeps what the tool has, and ours pushes what is here.
    """
    ds = open_dataset(dataset)
    given: dict[str, Any] = {
        "conflicts": policy(conflicts), "decisions": decisions, "undecided": undecided, **parse_options(option)
    }  # fmt: skip
    if not plan:
        report = ds.push_annotations(key, force=force, **given)
        show.emit(with_notes(report.to_dict()), as_json, _pushed)
        return
    push_plan = ds.plan_push(key, **given)
    data = _planned(ds, push_plan, None if as_json else rows)
    show.emit(data, as_json, lambda data: _plan(data, rows))
    if data["pending"]:
        raise typer.Exit(PENDING)


def _planned(ds: Dataset, push_plan: PushPlan, limit: int | None) -> dict[str, Any]:
    """A plan as data, with the first ``limit`` of its changes (``None``: all)."""
    counts = with_notes(push_plan.to_dict())
    listed = push_plan.changes.slice(0, limit).select([*_COLUMNS, "ours_box", "theirs_box"]).to_pylist()
    files = files_of(ds, [row["sample_id"] for row in listed])
    changes = [{**row, "file": files.get(row["sample_id"], "")} for row in listed]
    found = {"changes": changes, "listed_of": push_plan.changes.num_rows}
    # A conflict under "fail" writes nothing, and stops the push.
    return counts | found | {"pending": bool(push_plan.total or push_plan.outcome.failing)}


def _plan(data: dict[str, Any], rows: int) -> Iterator[Any]:
    if total := total_changes(data):
        yield show.heading(f"Plan of a push of {data['anno_key']}: {show.plural(total, 'change')}, nothing pushed yet")
        yield counts_table(data)
    else:
        yield f"Plan of a push of {data['anno_key']}: nothing to push."
    if data["changes"]:
        cells = [
            [
                row["group"], row["field"], row["component"], _value(row, "ours"), _value(row, "theirs"),
                "" if row["proposal"] == "accept" else row["proposal"], short_id(row["label_id"]),
                row["file"] or row["sample_id"],
            ]
            for row in data["changes"]
        ]  # fmt: skip
        yield show.table(["", "field", "part", "here", "in the tool", "kept", "id", "sample"], cells)
    if rows:
        yield from show.more(data["listed_of"] - len(data["changes"]), "change", f"--rows {data['listed_of']}")
    yield from _told(data)


def _value(row: dict[str, Any], side: str) -> str:
    """The value of a side as a short text: of shapes, and of whole labels, the box around them."""
    if row[side] is None:
        return "–"
    if (box := row[f"{side}_box"]) and row["component"] in ("existence", "spatial"):
        place = "[" + " ".join(f"{v:.2f}" for v in box) + "]"
        return f"{row['label']} {place}" if row["component"] == "existence" else place
    if row["component"] == "existence":
        return str(row["label"] or "")
    text = str(row[side]).strip('"')
    return text if len(text) <= _LONG else text[: _LONG - 1] + "…"


def _pushed(data: dict[str, Any]) -> Iterator[Any]:
    if total := total_changes(data):
        yield show.heading(f"Pushed {data['anno_key']}: {show.plural(total, 'change')} in the tool")
        yield counts_table(data)
    else:
        yield f"Pushed {data['anno_key']}: there was nothing to change in the tool."
    if data["left_out"]:
        yield f"The tool did not take {show.plural(data['left_out'], 'change')}; the next push tries again."
    yield from _told(data)


def _told(data: dict[str, Any]) -> Iterator[Any]:
    if data["conflicts"]:
        yield f"{show.plural(data['conflicts'], 'conflict')}: changed here and in the tool (--conflicts says who wins)."
    yield from (f"Note: {note}" for note in data["notes"])
