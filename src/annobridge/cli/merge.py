"""Commands that merge: what would change, change it, take it back."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..display import terminal
from . import show
from .changes import ROWS, Filter, findings, listed, short
from .options import UNEXPECTED, AsJson, Given, Key, Place, backend_options, one_or_many, open_dataset
from .show import SIGNS
from .wording import spoken

if TYPE_CHECKING:
    from ..bridge.reports import LoadReport, MergePlan
    from ..dataset import Dataset

_IMAGES = 10  # of which the changes are counted, for people


class Action(StrEnum):
    """What happens to a label."""

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
Shown = Annotated[int, typer.Option("--rows", min=0, help="How many changes to list (JSON lists all).")]
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


def plan(
    key: Key,
    dataset: Place = None,
    unexpected: Unexpected = None,
    conflicts: Conflicts = "theirs",
    dest_field: DestField = None,
    force: Force = False,
    invalid: Invalid = None,
    rows: Shown = ROWS,
    field: OfField = None,
    action: OfAction = None,
    label: OfClass = None,
    sample: OfSample = None,
    option: Given = None,
    as_json: AsJson = False,
) -> None:
    """What a load would change; nothing is written. Exits with 2 when changes are pending.

    Deletions are listed first. What is listed can be narrowed; counts and the exit code are of the whole plan.
    """
    ds = open_dataset(dataset)
    choice = one_or_many(unexpected, "--unexpected") or "prompt"
    made = ds.plan_annotations(
        key, dest_field=one_or_many(dest_field, "--dest-field"), unexpected=choice, conflicts=conflicts, force=force,
        invalid=invalid, **backend_options(option),
    )  # fmt: skip
    shown = None if as_json else rows
    chosen = Filter(field or (), [a.value for a in action or ()], label or (), sample or ())
    data = summary(ds, made, shown, choice) | listed(ds, made, chosen, shown)
    data |= {"pending": is_pending(made, choice, conflicts), "stop": _stop(made, choice)}
    show.emit(data, as_json, lambda d: plan_parts(d, rows))
    if data["pending"]:
        raise typer.Exit(2)


def is_pending(made: MergePlan, unexpected: Any, conflicts: str) -> bool:
    """Whether a load with the same options would write something, or stop to ask."""
    counts = made.to_dict()
    asks = (counts["unexpected"] and unexpected == "prompt") or (counts["conflicts"] and conflicts == "fail")
    return bool(made.changes or asks)


def _stop(made: MergePlan, unexpected: Any) -> str | None:
    """What a load without more options would stop at."""
    if unexpected != "prompt" or not made.to_dict()["unexpected"]:
        return None
    return (
        "A plain load would stop (on a terminal, ask), as nobody said what to do with what is outside the schema. "
        f"Choose {UNEXPECTED}."
    )


def summary(
    ds: Dataset, made: MergePlan | LoadReport, limit: int | None = ROWS, unexpected: Any = "prompt"
) -> dict[str, Any]:
    """A plan or report as data: counts, what was not taken in full (the first ones with their files), and the choice."""
    counts = made.to_dict()
    notes = [spoken(note) for note in counts["notes"]]
    return counts | {"notes": notes, "findings": findings(ds, made, limit), "unexpected_choice": unexpected}


def plan_parts(data: dict[str, Any], rows: int = ROWS) -> Iterator[Any]:
    """A plan for people."""
    total = sum(data[n] for n in ("added", "edited", "deleted"))
    if not total:
        yield f"Plan of {data['anno_key']}: nothing to change."
    else:
        yield show.head(f"Plan of {data['anno_key']}: {show.plural(total, 'change')}, nothing written yet")
        yield counts_table(data)
        yield from _change_parts(data, rows)
    yield from finding_parts(data, rows)
    if data.get("stop"):
        yield data["stop"]


def _change_parts(data: dict[str, Any], rows: int) -> Iterator[Any]:
    """The changes that are listed, and, where there are several, how many there are of each kind and on each image."""
    if data["changes"]:
        cells = [
            [show.action(c["action"]), c["field"], c["label"], c["what"], short(c["label_id"]), c["file"]]
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
        cells = [[s["file"] or s["sample_id"], *(s[a] or "" for a in SIGNS)] for s in data["samples"][:_IMAGES]]
        yield show.table(["sample", *SIGNS], cells, tuple(SIGNS))


def counts_table(data: dict[str, Any]) -> Any:
    """Changes by field."""
    columns = ("add", "edit", "delete")
    rows = [[name, *(n[c] for c in columns)] for name, n in data["fields"].items()]
    return show.table(["field", *columns], rows, columns)


_NOUNS = {"conflicts": "conflict", "refused": "refused change"}
_OUTSIDE = {
    "keep": "kept",
    "ignore": "left out",
    "return": "left out, and returned with --json",
    "prompt": "not decided",
}


def _title(name: str, count: int, choice: Any) -> str:
    """The line above findings of one sort."""
    if name in _NOUNS:
        return show.plural(count, _NOUNS[name])
    if isinstance(choice, str):
        return f"{count:,} outside the schema: {_OUTSIDE[choice]}"
    moved = ", ".join(f"{kind} go to {field}" for kind, field in choice.items())
    return f"{count:,} outside the schema: {moved}, others are left out"


def finding_parts(data: dict[str, Any], rows: int = ROWS) -> Iterator[Any]:
    """Conflicts, refusals, unexpected labels and notes for people."""
    for name, found in data["findings"].items():
        if found:
            yield show.head(_title(name, len(found), data["unexpected_choice"]))
            cells = [
                [
                    f["field"],
                    f["component"],
                    f["values"],
                    f["reason"],
                    short(f["label_id"]),
                    f["file"] or f["sample_id"],
                ]
                for f in found[:rows]
            ]
            yield show.table(["field", "part", "values", "reason", "id", "sample"], cells)
    for text in data["notes"]:
        yield f"Note: {text}"


def load(
    key: Key,
    dataset: Place = None,
    unexpected: Unexpected = None,
    conflicts: Conflicts = "theirs",
    dest_field: DestField = None,
    force: Force = False,
    invalid: Invalid = None,
    cleanup: Cleanup = False,
    option: Given = None,
    as_json: AsJson = False,
) -> None:
    """Merge the work of a run back, as one version of the labels."""
    ds = open_dataset(dataset)
    results = ds.load_annotation_results(key, **backend_options(option))
    choice = one_or_many(unexpected, "--unexpected") or "prompt"

    def ask(made: MergePlan) -> str:
        nonlocal choice
        choice = _ask(made)
        return choice

    report = results.load(
        cleanup, ask if terminal.present() and not as_json else None,
        dest_field=one_or_many(dest_field, "--dest-field"), unexpected=choice, conflicts=conflicts, force=force,
        invalid=invalid,
    )  # fmt: skip
    data = summary(ds, report, None if as_json else ROWS, choice) | {"version": report.version}
    show.emit(data, as_json, report_parts)


def _ask(made: MergePlan) -> str:
    """What to do with unexpected labels, asked of the person at the terminal."""
    from rich.prompt import Prompt

    count = show.plural(made.to_dict()["unexpected"], "label")
    question = f"{count} outside the schema ({made.unexpected_reasons}). What shall be done with them?"
    return Prompt.ask(
        question, choices=["keep", "ignore", "return"], default="return", console=show.console(stderr=True)
    )


def report_parts(data: dict[str, Any]) -> Iterator[Any]:
    """A report for people."""
    total = sum(data[n] for n in ("added", "edited", "deleted"))
    if not total:
        yield f"Loaded {data['anno_key']}: there was nothing to change."
    else:
        version = f"version {data['version']} of the labels"
        yield show.head(f"Loaded {data['anno_key']}: {show.plural(total, 'change')}, {version}")
        yield counts_table(data)
    yield from finding_parts(data)


def undo(key: Key, dataset: Place = None, as_json: AsJson = False) -> None:
    """Take back the last load of a run; what was edited here since then stays."""
    show.emit(open_dataset(dataset).undo_annotations(key).to_dict(), as_json, _undone)


def _undone(data: dict[str, Any]) -> Iterator[Any]:
    nouns = {"add": "addition", "edit": "edit", "delete": "deletion"}
    counts = ", ".join(show.plural(n, nouns[a]) for a, n in data["taken_back"].items() if n) or "nothing"
    yield f"Took back load {data['load']} of {data['anno_key']}: {counts}."
    if data["kept"]:
        yield f"Kept as they are, since they were edited here afterwards: {show.plural(len(data['kept']), 'value')}."
