"""The commands about versions of a dataset: ``snapshot``, ``diff``, ``history`` and ``optimize``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...exceptions import InvalidOption
from .. import show
from ..changes import ROWS, short_id
from ..options import DatasetOption, JsonOption, open_dataset
from ..plan_text import counts_table, total_changes
from ..root import PENDING

if TYPE_CHECKING:
    from ...history.difference import Difference

_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_LONGEST = 60  # characters of a value
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def snapshot(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Its name, as v1.", show_default=False)] = None,
    dataset: DatasetOption = None,
    note: Annotated[str | None, typer.Option(help="What it is.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the snapshots.")] = False,
    delete: Annotated[str | None, typer.Option(metavar="NAME", help="Delete this snapshot.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Name the dataset as it is, so that it stays readable whatever happens later; or list or delete such snapshots.

    `annobridge diff`, and `annobridge export --at`, read a snapshot.
    """
    if [name is not None, list_, delete is not None].count(True) != 1:
        raise typer.BadParameter("Give the NAME of a new snapshot, --list, or --delete NAME.")
    ds = open_dataset(dataset)
    if list_:
        found = [s.to_dict() for s in ds.list_snapshots()]
        show.emit(found, as_json, lambda rows: [_table(rows) if rows else f"{ds.uri} has no snapshot yet."])
    elif delete is not None:
        ds.delete_snapshot(delete)
        show.emit({"name": delete, "deleted": True}, as_json, lambda _: [f"The snapshot {delete} is deleted."])
    elif name is not None:
        made = ds.snapshot(name, note or "")
        show.emit(made.to_dict(), as_json, _made)


def _made(data: dict[str, Any]) -> Iterator[Any]:
    counts = f"{show.plural(data['samples'], 'sample')}, {show.plural(sum(data['labels'].values()), 'label')}"
    yield f"Made the snapshot {data['name']}: {counts}."
    if data["unprotected"]:
        yield (
            f"Note: the samples are your table {data['unprotected']!r}, which is never written: version "
            f"{data['versions']['samples']} is recorded, and nothing keeps LanceDB from cleaning it away."
        )


def _table(rows: list[dict[str, Any]]) -> Any:
    cells = [
        [r["name"], show.short_time(r["created"]), r["by"], r["samples"], sum(r["labels"].values()), r["note"]]
        for r in rows
    ]
    return show.table(["snapshot", "made (UTC)", "by", "samples", "labels", "note"], cells, ("samples", "labels"))


def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A snapshot.", show_default=False)],
    after: Annotated[
        str, typer.Argument(metavar="B", help="Another; or now, the dataset as it is.", show_default=False)
    ] = "now",
    dataset: DatasetOption = None,
    rows: Annotated[int, typer.Option("--rows", min=0, help="How many changes to list (JSON lists all).")] = ROWS,
    as_json: JsonOption = False,
) -> None:
    """What was added, edited and deleted between two snapshots. Exits with 2 when there is a difference.

    The riskiest changes are listed first: deletions, then other classes, then large moves.
    """
    found = open_dataset(dataset).diff(before, after)
    data = found.to_dict() | {"changes": _changes(found, None if as_json else rows)}
    data |= {"differ": bool(found), "all_changes": found.changes.num_rows}
    show.emit(data, as_json, lambda d: _diff(d, rows))
    if found:
        raise typer.Exit(PENDING)


def _changes(found: Difference, limit: int | None) -> list[dict[str, Any]]:
    columns = ["label_id", "sample_id", "field", "label", "component", "kind", "group", "base", "theirs"]
    table = found.changes.select(columns).rename_columns([*columns[:-2], "before", "after"])
    rows: list[dict[str, Any]] = table.slice(0, limit).to_pylist()
    return rows


def _diff(data: dict[str, Any], rows: int) -> Iterator[Any]:
    names, samples = f"{data['before']} to {data['after']}", data["samples"]
    if not data["differ"]:
        yield f"{names}: nothing differs."
        return
    total = total_changes(data)
    yield show.heading(
        f"{names}: {show.plural(total, 'label')} differ, "
        f"samples: +{samples['added']} ~{samples['changed']} -{samples['deleted']}"
    )
    if data["fields"]:
        yield counts_table(data)
    if data["changes"]:
        cells = [
            [show.action(c["kind"]), c["field"], c["label"], c["component"], _value(c["before"]), _value(c["after"]),
             short_id(c["label_id"]), c["sample_id"]]
            for c in data["changes"]
        ]  # fmt: skip
        yield show.table(["", "field", "label", "part", "before", "after", "id", "sample"], cells)
    if rows:
        yield from show.more(
            data["all_changes"] - len(data["changes"]), "change", f"--rows {data['all_changes']}, or --json"
        )


def history(
    label_id: Annotated[str, typer.Argument(metavar="LABEL_ID", help="The id of the label.", show_default=False)],
    dataset: DatasetOption = None,
    as_json: JsonOption = False,
) -> None:
    """What happened to a label, oldest first: when, by whom, in which run, and what changed."""
    rows = open_dataset(dataset).history(label_id).to_pylist()
    rows = [row | {"time": row["time"].isoformat() if row["time"] else None} for row in rows]
    show.emit(rows, as_json, _history)


def _history(rows: list[dict[str, Any]]) -> Iterator[Any]:
    cells = [
        [r["version"], show.short_time(r["time"] or "unknown"), r["action"], r["by"], _load(r), ", ".join(r["components"]),
         _value(r["before"]), _value(r["after"])]
        for r in rows
    ]  # fmt: skip
    yield show.table(["version", "time (UTC)", "", "by", "run", "part", "before", "after"], cells, ("version",))
    yield from (f"Version {r['version']}: {r['note']}." for r in rows if r["note"])


def _load(row: dict[str, Any]) -> str:
    return " ".join(filter(None, [row["run"], f"load {row['load']}" if row["load"] is not None else None]))


def _value(text: str | None) -> str:
    """A value that is stored as JSON, as text; of a whole label, its class or value alone."""
    if text is None:
        return ""
    value = json.loads(text)
    if isinstance(value, dict) and "kind" in value and (value.keys() & {"label", "value"}):
        value = value.get("label", value.get("value"))
    if isinstance(value, dict) and len(value) > 1:
        shown = "; ".join(f"{name}: {_text(part)}" for name, part in value.items())
    else:
        shown = _text(next(iter(value.values())) if isinstance(value, dict) and value else value)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def optimize(
    dataset: DatasetOption = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--cleanup-older-than", metavar="AGE", help="Remove versions of this age, as 14d, 12h or 30m; 0d: all."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compact the files of a dataset, and remove old versions of its tables where an age is given.

    Versions that a snapshot, a run, an undo or a tag of another program needs are kept, and listed.
    """
    report = open_dataset(dataset).optimize(None if older_than is None else _age(older_than))
    show.emit(report.to_dict(), as_json, lambda _: [f"{line[:1].upper()}{line[1:]}." for line in report.lines()])


def _age(text: str) -> timedelta:
    if (found := _AGE.fullmatch(text.strip())) is not None:
        with suppress(OverflowError):
            return timedelta(**{_UNITS[found[2]]: float(found[1])})
    raise InvalidOption(f"--cleanup-older-than {text!r} is not an age; give a number and a unit, as 14d, 12h or 30m.")
