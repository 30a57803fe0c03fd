"""Plans and reports, of loads and pushes, as data, and as texts and tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import show
from .changes import ROWS, findings, short_id
from .show import SIGNS
from .wording import with_notes

if TYPE_CHECKING:
    from ..bridge.merge_plan import MergePlan
    from ..bridge.reports import LoadReport
    from ..dataset import Dataset

_SAMPLES = 10  # in the table of changes by sample


def is_pending(merge_plan: MergePlan, unexpected: Any) -> bool:
    """Whether a load with the same options would write something, or stop to ask."""
    asks = merge_plan.to_dict()["unexpected"] and unexpected == "prompt"
    return bool(merge_plan.total or asks or merge_plan.outcome.failing)


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
    found = {"findings": findings(ds, plan_or_report, limit), "unexpected_choice": unexpected}
    return with_notes(plan_or_report.to_dict()) | found


def plan_parts(data: dict[str, Any], rows: int = ROWS) -> Iterator[Any]:
    """A plan (``summary`` and ``list_changes``) as texts and tables."""
    if not (total := total_changes(data)):
        yield f"Plan of {data['anno_key']}: nothing to change."
    else:
        yield show.heading(f"Plan of {data['anno_key']}: {show.plural(total, 'change')}, nothing written yet")
        yield counts_table(data)
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
    if rows:
        how = f"--rows {data['chosen']}, or --field, --action, --class, --sample"
        yield from show.more(data["chosen"] - len(data["changes"]), "change", how)
    pairs = [p for p in data["classes"] if p["before"] != p["after"]]
    if rows and data["chosen"] > 1 and pairs:
        cells = [[p["field"], p["before"] or "–", p["after"] or "–", p["labels"]] for p in pairs[:rows]]
        yield show.table(["field", "class before", "after", "labels"], cells, ("labels",))
    if rows and len(data["samples"]) > 1:
        cells = [[s["file"] or s["sample_id"], *(s[a] or "" for a in SIGNS)] for s in data["samples"][:_SAMPLES]]
        yield show.table(["sample", *SIGNS], cells, tuple(SIGNS))


def total_changes(data: dict[str, Any]) -> int:
    """How many labels are added, edited and deleted."""
    return sum(int(data[name]) for name in ("added", "edited", "deleted"))


def counts_table(data: dict[str, Any]) -> Any:
    """The counts by field, as a table."""
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
    if rows:
        yield from show.more(len(found) - len(cells), "comment", "--json lists all")


def report_parts(data: dict[str, Any]) -> Iterator[Any]:
    """A report (``summary``, and its version) as texts and tables."""
    if not (total := total_changes(data)):
        yield f"Loaded {data['anno_key']}: there was nothing to change."
    else:
        version = f"version {data['version']} of the labels"
        yield show.heading(f"Loaded {data['anno_key']}: {show.plural(total, 'change')}, {version}")
        yield counts_table(data)
    if any(data["decided"].values()):
        one_by_one, by_rule = (show.plural(data["decided"][name], "change") for name in ("looked_at", "by_rule"))
        yield f"Decided: {one_by_one} one by one, {by_rule} by rule."
    yield from _findings_and_notes(data)
