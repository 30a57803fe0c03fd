"""The changes of a plan, one by one, in words: what a person would look at before saying yes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..dataset import Dataset
    from ..results import LoadReport, MergePlan

ROWS = 20
_PART = 1_000  # ids looked up at once
_COLUMNS = ["label_id", "sample_id", "field", "action", "label"]
_UNEXPECTED = ["label_id", "sample_id", "field", "kind", "label", "component", "theirs", "reason"]
Row = Mapping[str, Any]


def listed(ds: Dataset, plan: MergePlan, limit: int | None) -> list[dict[str, Any]]:
    """The first changes of a plan (all without a limit), with the old and the new values in words."""
    changed = plan.to_arrow().slice(0, limit)
    new = {row["label_id"]: row for row in plan.writes().slice(0, limit).to_pylist()}
    old = {row["label_id"]: row for row in _look_up(ds, "label_id", changed["label_id"].to_pylist())}
    files = _files(ds, changed["sample_id"].to_pylist())
    out = []
    for row in changed.select(_COLUMNS).to_pylist():
        now, before = new.get(row["label_id"], {}), old.get(row["label_id"], {})
        what = "; ".join(_words(before, now)) if row["action"] == "edit" else _place(now or before)
        out.append({**row, "components": now.get("components"), "what": what, "file": files.get(row["sample_id"], "")})
    return out


def findings(ds: Dataset, made: MergePlan | LoadReport, limit: int | None) -> dict[str, list[dict[str, Any]]]:
    """Conflicts, refusals and unexpected labels, each with the values in one text; the first ones (all without a limit)
    with the names of their files.
    """
    found = {name: [_finding(row) for row in getattr(made, name).to_pylist()] for name in ("conflicts", "refused")}
    unexpected = made.unexpected.select(_UNEXPECTED).to_pylist()
    found["unexpected"] = [{**row, "values": row["theirs"]} for row in unexpected]
    shown = [row for rows in found.values() for row in rows[:limit]]
    files = _files(ds, [row["sample_id"] for row in shown])
    for row in shown:
        row["file"] = files.get(row["sample_id"], "")
    return found


def _finding(row: dict[str, Any]) -> dict[str, Any]:
    sides = [f"{side} {row[side]}" for side in ("base", "ours", "theirs") if row[side] is not None]
    return {**row, "values": ", ".join(sides)}


def _look_up(ds: Dataset, column: str, ids: Sequence[str]) -> Iterator[Row]:
    for at in range(0, len(ids), _PART):
        quoted = ", ".join("'" + i.replace("'", "''") + "'" for i in ids[at : at + _PART])
        yield from ds.labels(where=f"{column} IN ({quoted})").to_pylist()


def _files(ds: Dataset, sample_ids: Sequence[str]) -> dict[str, str]:
    """The names of the files of some samples."""
    ids = list(dict.fromkeys(sample_ids))
    parts = (ds.select(ids[at : at + _PART]).samples(["sample_id", "filepath"]) for at in range(0, len(ids), _PART))
    rows = (row for part in parts for row in part.to_pylist())
    return {row["sample_id"]: PurePosixPath((row["filepath"] or "").replace("\\", "/")).name for row in rows}


def _words(old: Row, new: Row) -> Iterator[str]:
    for part in new["components"] or ():
        if part == "label":
            before, after = (row.get("label") or row.get("value") or "no class" for row in (old, new))
            yield f"{before} → {after}"
        elif part == "spatial":
            yield f"{_place(old)} → {_place(new)}" if new.get("bounding_box") else f"new shape ({_place(new)})"
        elif part == "index":
            yield f"index {old.get('index')} → {new.get('index')}"
        else:
            name = part.removeprefix("attributes.")
            yield f"{name}: {_attribute(old, name)} → {_attribute(new, name)}"


def _place(row: Row) -> str:
    """Where a label is, in a few signs."""
    if row.get("bounding_box"):
        return "[" + " ".join(f"{v:.2f}" for v in row["bounding_box"]) + "]"
    if row.get("points"):
        return f"{sum(map(len, row['points']))} points"
    return str(row.get("value") or "")


def _attribute(row: Row, name: str) -> str:
    found = [a["value"] for a in row.get("attributes") or () if a["name"] == name]
    return str(json.loads(found[0])) if found else "none"
