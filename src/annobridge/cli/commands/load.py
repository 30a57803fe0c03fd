"""The commands ``plan``, ``load`` and ``undo``."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...display import terminal
from .. import show
from ..changes import ROWS, Filter, findings, list_changes, short_id
from ..options import (
    CheckOption,
    DatasetOption,
    JsonOption,
    KeyArgument,
    open_dataset,
    parse_checks,
    parse_one_or_pairs,
    parse_options,
)
from ..root import CHECK_FAILED, PENDING
from ..show import SIGNS
from ..wording import to_cli

if TYPE_CHECKING:
    from ...bridge.merge_plan import MergePlan
    from ...bridge.reports import LoadReport
    from ...dataset import Dataset

_SAMPLES = 10  # in the table of changes by sample


class Action(StrEnum):
    DELETE = "delete"
    EDIT = "edit"
    ADD = "add"


Unexpected = Annotated[
    list[str] | None,
    typer.Option(help="Labels outside the schema: prompt, keep, ignore, return, or TYPE=FIELD (repeatable)."),
]
Conflicts = Annotated[
    str, typer.Option(help="Who wins where both sides changed one thing: theirs (the tool), ours, fail.")
]
DestField = Annotated[
    list[str] | None,
    typer.Option("--dest-field", help="Put the labels into another field: NAME, or FIELD=NAME (repeatable)."),
]
Invalid = Annotated[
    str | None,
    typer.Option(help="Shapes over the border: clip or refuse; by default, clip up to a pixel, refuse the rest."),
]
Force = Annotated[bool, typer.Option("--force", help="Also when most labels of the run would be deleted.")]
Cleanup = Annotated[bool, typer.Option("--cleanup", help="Afterwards, remove the tasks from the tool.")]
PathOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Take the labels from a zip, folder or file instead of the tool."),
]
FormatOption = Annotated[
    str | None, typer.Option("--format", "-f", metavar="NAME", help="Its format, as coco; by default found by looking.")
]
LoadOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option", "-o", metavar="NAME=VALUE",
        help="An option of the backend, as url=http://…, or with --path of the format; repeatable.",
    ),
]  # fmt: skip
RowsOption = Annotated[int, typer.Option("--rows", min=0, help="How many changes to list (JSON lists all).")]
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


DecisionsOption = Annotated[
    Path | None,
    typer.Option(
        "--decisions", metavar="FILE", help="What people decided about single changes, as the review page wrote it."
    ),
]
Undecided = Annotated[
    str,
    typer.Option(help="Changes that nobody decided about: take (load them as proposed), or leave them for later."),
]


Html = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write a page with the changes and their pictures, which needs no server."),
]
HtmlSize = Annotated[
    float, typer.Option(metavar="MB", help="How large it may be; pictures of the riskiest changes come first.")
]


def plan(
    key: KeyArgument,
    dataset: DatasetOption = None,
    unexpected: Unexpected = None,
    conflicts: Conflicts = "theirs",
    dest_field: DestField = None,
    force: Force = False,
    invalid: Invalid = None,
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
    choice = parse_one_or_pairs(unexpected, "--unexpected") or "prompt"
    merge_plan = ds.plan_annotations(
        key, dest_field=parse_one_or_pairs(dest_field, "--dest-field"), unexpected=choice, conflicts=conflicts, force=force,
        invalid=invalid, path=path, format=format, decisions=decisions, undecided=undecided, **parse_options(option),
    )  # fmt: skip
    shown = None if as_json else rows
    chosen = Filter(field or (), [a.value for a in action or ()], label or (), sample or ())
    data = summary(ds, merge_plan, shown, choice) | list_changes(ds, merge_plan, chosen, shown)
    data |= {"pending": _is_pending(merge_plan, choice, conflicts), "stop": why_stopped(merge_plan, choice)}
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


def _is_pending(merge_plan: MergePlan, unexpected: Any, conflicts: str) -> bool:
    """Whether a load with the same options would write something, or stop to ask."""
    counts = merge_plan.to_dict()
    asks = (counts["unexpected"] and unexpected == "prompt") or (counts["conflicts"] and conflicts == "fail")
    return bool(merge_plan.total or asks)


def why_stopped(merge_plan: MergePlan, unexpected: Any) -> str | None:
    """Why a load with the same options would stop, if it would."""
    if unexpected != "prompt" or not merge_plan.to_dict()["unexpected"]:
        return None
    return (
        "A plain load would stop (on a terminal, ask), as nobody said what to do with what is outside the schema. "
        "Choose --unexpected keep | ignore | return | TYPE=FIELD."
    )


def summary(
    ds: Dataset, plan_or_report: MergePlan | LoadReport, limit: int | None = ROWS, unexpected: Any = "prompt"
) -> dict[str, Any]:
    """A plan or report as data: its counts, its findings (the first ``limit`` with their files), and the value of --unexpected."""
    counts = plan_or_report.to_dict()
    notes = [to_cli(note) for note in counts["notes"]]
    return counts | {"notes": notes, "findings": findings(ds, plan_or_report, limit), "unexpected_choice": unexpected}


def plan_parts(data: dict[str, Any], rows: int = ROWS) -> Iterator[Any]:
    """A plan (``summary`` and ``list_changes``) as texts and tables."""
    total = sum(data[n] for n in ("added", "edited", "deleted"))
    if not total:
        yield f"Plan of {data['anno_key']}: nothing to change."
    else:
        yield show.heading(f"Plan of {data['anno_key']}: {show.plural(total, 'change')}, nothing written yet")
        yield _counts_table(data)
        yield from _changes(data, rows)
    yield from _findings_and_notes(data, rows)
    if data.get("stop"):
        yield data["stop"]
    if page := data.get("html"):
        counts = f"{show.plural(page['changes'], 'change')} with {show.plural(page['pictures'], 'picture')}"
        yield f"Wrote {page['file']} ({page['size'] / 1e6:.1f} MB): {counts}. Load what is decided there with --decisions."
        yield from (f"Note: {note}" for note in page["notes"] if note not in data["notes"])
    if "checks" in data:
        yield from _checks(data["checks"])


def _checks(found: dict[str, Any]) -> Iterator[Any]:
    yield show.heading(f"Checks: {found['summary']}")
    if found["findings"]:
        cells = [[show.level(f["level"]), f["check"], f["sentence"]] for f in found["findings"]]
        yield show.table(["", "check", "finding"], cells)


def _changes(data: dict[str, Any], rows: int) -> Iterator[Any]:
    """The listed changes; with several of them, also their counts by class and by sample."""
    if data["changes"]:
        cells = [
            [show.action(c["action"]), c["field"], c["label"], c["what"], short_id(c["label_id"]), c["file"]]
            for c in data["changes"]
        ]
        yield show.table(["", "field", "label", "change", "id", "sample"], cells)
    if (more := data["chosen"] - len(data["changes"])) and rows:
        yield f"… and {show.plural(more, 'change')} more (--rows {data['chosen']}, or --field, --action, --class, --sample)."
    pairs = [p for p in data["classes"] if p["before"] != p["after"]]
    if rows and data["chosen"] > 1 and pairs:
        cells = [[p["field"], p["before"] or "–", p["after"] or "–", p["labels"]] for p in pairs[:rows]]
        yield show.table(["field", "class before", "after", "labels"], cells, ("labels",))
    if rows and len(data["samples"]) > 1:
        cells = [[s["file"] or s["sample_id"], *(s[a] or "" for a in SIGNS)] for s in data["samples"][:_SAMPLES]]
        yield show.table(["sample", *SIGNS], cells, tuple(SIGNS))


def _counts_table(data: dict[str, Any]) -> Any:
    columns = ("add", "edit", "delete")
    rows = [[name, *(n[c] for c in columns)] for name, n in data["fields"].items()]
    return show.table(["field", *columns], rows, columns)


_NOUNS = {"conflicts": "conflict", "refused": "refused change"}
_UNEXPECTED_TEXTS = {
    "keep": "kept",
    "ignore": "left out",
    "return": "left out, and returned with --json",
    "prompt": "not decided",
}


def _title(name: str, count: int, choice: Any) -> str:
    if name in _NOUNS:
        return show.plural(count, _NOUNS[name])
    if isinstance(choice, str):
        return f"{count:,} outside the schema: {_UNEXPECTED_TEXTS[choice]}"
    moved = ", ".join(f"{kind} go to {field}" for kind, field in choice.items())
    return f"{count:,} outside the schema: {moved}, others are left out"


def _findings_and_notes(data: dict[str, Any], rows: int = ROWS) -> Iterator[Any]:
    for name, found in data["findings"].items():
        if found and name == "comments":
            yield from _comments(found, rows)
        elif found:
            yield show.heading(_title(name, len(found), data["unexpected_choice"]))
            cells = [
                [
                    f["field"],
                    f["component"],
                    f["values"],
                    f["reason"],
                    short_id(f["label_id"]),
                    f["file"] or f["sample_id"],
                ]
                for f in found[:rows]
            ]
            yield show.table(["field", "part", "values", "reason", "id", "sample"], cells)
    for text in data["notes"]:
        yield f"Note: {text}"


def _comments(found: list[dict[str, Any]], rows: int) -> Iterator[Any]:
    """What people wrote in the tool."""
    still_open = sum(comment["state"] == "open" for comment in found)
    yield show.heading(f"{show.plural(len(found), 'comment')} in the tool, {still_open:,} of open threads")
    cells = [[c["state"], c["author"], c["text"], c["file"] or c["sample_id"], c["frame_number"]] for c in found[:rows]]
    if cells:
        yield show.table(["state", "by", "comment", "sample", "frame"], cells)
    if (more := len(found) - len(cells)) and rows:
        yield f"… and {show.plural(more, 'comment')} more (--json lists all)."


def load(
    key: KeyArgument,
    dataset: DatasetOption = None,
    unexpected: Unexpected = None,
    conflicts: Conflicts = "theirs",
    dest_field: DestField = None,
    force: Force = False,
    invalid: Invalid = None,
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

    ds = open_dataset(dataset)
    loads = loads_of(ds.stores, key, path, format, parse_options(option))
    choice = parse_one_or_pairs(unexpected, "--unexpected") or "prompt"

    def ask(merge_plan: MergePlan) -> str:
        nonlocal choice  # the report says it too
        choice = prompt.choose(merge_plan)
        return choice

    report = loads.load(
        cleanup, ask if terminal.on_stdin() and not as_json else None,
        dest_field=parse_one_or_pairs(dest_field, "--dest-field"), unexpected=choice, conflicts=conflicts, force=force,
        invalid=invalid, decisions=decisions, undecided=undecided,
    )  # fmt: skip
    data = summary(ds, report, None if as_json else ROWS, choice) | {"version": report.version}
    show.emit(data, as_json, report_parts)


def report_parts(data: dict[str, Any]) -> Iterator[Any]:
    """A report (``summary``, and its version) as texts and tables."""
    total = sum(data[n] for n in ("added", "edited", "deleted"))
    if not total:
        yield f"Loaded {data['anno_key']}: there was nothing to change."
    else:
        version = f"version {data['version']} of the labels"
        yield show.heading(f"Loaded {data['anno_key']}: {show.plural(total, 'change')}, {version}")
        yield _counts_table(data)
    if any(data["decided"].values()):
        one_by_one, by_rule = (show.plural(data["decided"][name], "change") for name in ("looked_at", "by_rule"))
        yield f"Decided: {one_by_one} one by one, {by_rule} by rule."
    yield from _findings_and_notes(data)


def undo(key: KeyArgument, dataset: DatasetOption = None, as_json: JsonOption = False) -> None:
    """Take back the last load of a run; what was edited here since then stays."""
    show.emit(open_dataset(dataset).undo_annotations(key).to_dict(), as_json, _undone)


def _undone(data: dict[str, Any]) -> Iterator[Any]:
    nouns = {"add": "addition", "edit": "edit", "delete": "deletion"}
    counts = ", ".join(show.plural(n, nouns[a]) for a, n in data["taken_back"].items() if n) or "nothing"
    yield f"Took back load {data['load']} of {data['anno_key']}: {counts}."
    if data["kept"]:
        yield f"Kept as they are, since they were edited here afterwards: {show.plural(len(data['kept']), 'value')}."
