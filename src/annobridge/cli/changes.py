"""The changes, conflicts and refused values of a plan or report as rows of text, for tables and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from ..bridge.merge_plan import MergePlan
    from ..bridge.reports import LoadReport
    from ..dataset import Dataset

ROWS = 20
_BATCH = 1_000  # ids in one query
_ID = 8  # characters of a label id that are shown
_UNEXPECTED = ["label_id", "sample_id", "field", "kind", "label", "component", "theirs", "reason"]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Filter:
    """Which changes to list; an empty criterion selects all.

    ``label`` is the class before or after the change, ``sample`` a sample id or its path as it is listed.
    """

    field: Sequence[str] = ()
    action: Sequence[str] = ()
    label: Sequence[str] = ()
    sample: Sequence[str] = ()

    def apply(self, ds: Dataset, rows: pa.Table) -> pa.Table:
        """The rows of ``MergePlan.changed()`` that meet all criteria."""
        import pyarrow as pa
        import pyarrow.compute as pc

        def is_in(column: str, values: Sequence[str]) -> Any:
            return pc.is_in(rows[column], value_set=pa.array(values, pa.string()))

        for column, values in (("field", self.field), ("action", self.action)):
            rows = rows.filter(is_in(column, values)) if values else rows
        if self.label:
            rows = rows.filter(pc.or_(is_in("before", self.label), is_in("after", self.label)))
        if self.sample:
            files = files_of(ds, rows["sample_id"].unique().to_pylist())
            rows = rows.filter(is_in("sample_id", [s for s, f in files.items() if {s, f} & set(self.sample)]))
        return rows


def list_changes(ds: Dataset, plan: MergePlan, chosen: Filter, limit: int | None) -> dict[str, Any]:
    """The chosen changes of a plan as data, with old and new values as text.

    ``changes`` has at most ``limit`` of them (``None``: all), shared among the actions; ``chosen`` is how many there are, and
    ``classes`` and ``samples`` count them by class and by sample.
    """
    import pyarrow.compute as pc

    from ..core.merge import changed

    rows = chosen.apply(ds, plan.changed())
    by_sample = changed.by_sample(rows).slice(0, limit).to_pylist()
    shown = _first(rows, limit)
    new = plan.writes()
    new = new.filter(pc.is_in(new["label_id"], value_set=shown["label_id"].combine_chunks()))
    now = {row["label_id"]: row for row in new.to_pylist()}
    old = {row["label_id"]: row for row in _look_up(ds, "label_id", shown["label_id"].to_pylist())}
    files = files_of(ds, [*shown["sample_id"].to_pylist(), *(row["sample_id"] for row in by_sample)])
    return {
        "chosen": rows.num_rows,
        "changes": [_change(row, old, now, files) for row in shown.to_pylist()],
        "classes": changed.class_pairs(rows).to_pylist(),
        "samples": [{**row, "file": files.get(row["sample_id"], "")} for row in by_sample],
    }


def _first(rows: pa.Table, limit: int | None) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    from ..core.merge import changed

    if limit is None:
        return rows
    parts = [rows.filter(pc.equal(rows["action"], action)) for action in changed.ACTIONS]
    counts = changed.shares([part.num_rows for part in parts], limit)
    return pa.concat_tables(part.slice(0, count) for part, count in zip(parts, counts, strict=True))


def _change(row: Row, old: Mapping[str, Row], now: Mapping[str, Row], files: Mapping[str, str]) -> dict[str, Any]:
    after, before = now.get(row["label_id"], {}), old.get(row["label_id"], {})
    what = _edit(before, after) if row["action"] == "edit" else _position(after or before)
    label = row["before"] if row["action"] == "delete" else row["after"]
    names = ("label_id", "sample_id", "field", "action")
    return {
        **{name: row[name] for name in names},
        "label": label,
        "components": after.get("components"),
        "what": what,
        "file": files.get(row["sample_id"], ""),
    }


def _edit(before: Row, after: Row) -> str:
    """What an edit changed, and the position of the label where the edit does not tell it."""
    text = "; ".join(_edited_components(before, after))
    position = _position(after)
    return text if not position or "spatial" in (after.get("components") or ()) else f"{text}, {position}"


def short_id(label_id: str | None) -> str:
    """The first characters of a label id, for tables."""
    return (label_id or "")[:_ID]


def findings(ds: Dataset, plan: MergePlan | LoadReport, limit: int | None) -> dict[str, list[dict[str, Any]]]:
    """The conflicts, refused values and unexpected labels of a plan or report, each with its values as one text; and the
    comments of people in the tool.

    The first ``limit`` of each (``None``: all) have the path of their sample as ``file``.
    """
    found = {name: [_finding(row) for row in getattr(plan, name).to_pylist()] for name in ("conflicts", "refused")}
    unexpected = plan.unexpected.select(_UNEXPECTED).to_pylist()
    found["unexpected"] = [{**row, "values": row["theirs"]} for row in unexpected]
    found["comments"] = plan.comments.to_pylist()
    shown = [row for rows in found.values() for row in rows[:limit]]
    files = files_of(ds, [row["sample_id"] for row in shown])
    for row in shown:
        row["file"] = files.get(row["sample_id"], "")
    return found


def _finding(row: dict[str, Any]) -> dict[str, Any]:
    sides = [f"{side} {row[side]}" for side in ("base", "ours", "theirs") if row[side] is not None]
    return {**row, "values": ", ".join(sides)}


def _look_up(ds: Dataset, column: str, ids: Sequence[str]) -> Iterator[Row]:
    for at in range(0, len(ids), _BATCH):
        quoted = ", ".join("'" + i.replace("'", "''") + "'" for i in ids[at : at + _BATCH])
        yield from ds.labels(where=f"{column} IN ({quoted})").to_pylist()


def files_of(ds: Dataset, sample_ids: Sequence[str]) -> dict[str, str]:
    """The files of samples by their ids, as paths relative to the folder that all files of the dataset are in."""
    ids = list(dict.fromkeys(sample_ids))
    if not ids:
        return {}
    parts = (ds.select(ids[at : at + _BATCH]).samples(["sample_id", "filepath"]) for at in range(0, len(ids), _BATCH))
    rows = (row for part in parts for row in part.to_pylist())
    shared = len(_shared_folder(ds))
    return {row["sample_id"]: "/".join(_path(row["filepath"]).parts[shared:]) for row in rows}


def _shared_folder(ds: Dataset) -> Sequence[str]:
    """The parts of the folder that all files are in. The first and the last file in sorted order are enough to know it."""
    import pyarrow.compute as pc

    found: list[str] = []
    for batch in ds.samples(["filepath"]).to_reader():
        ends = pc.min_max(batch["filepath"]).as_py()
        found = sorted({*found, *(end for end in ends.values() if end is not None)})
        found = [found[0], found[-1]] if found else []
    if not found:
        return ()
    first, last = (_path(text).parent.parts for text in (found[0], found[-1]))
    different = (n for n, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1])
    return first[: next(different, min(len(first), len(last)))]


def _path(text: str | None) -> PurePosixPath:
    return PurePosixPath((text or "").replace("\\", "/"))


def _edited_components(old: Row, new: Row) -> Iterator[str]:
    for component in new["components"] or ():
        if component == "label":
            before, after = (row.get("label") or row.get("value") or "no class" for row in (old, new))
            yield f"{before} → {after}"
        elif component == "spatial":
            yield f"{_position(old)} → {_position(new)}" if new.get("bounding_box") else f"new shape ({_position(new)})"
        elif component == "index":
            yield f"index {old.get('index')} → {new.get('index')}"
        else:
            name = component.removeprefix("attributes.")
            yield f"{name}: {_attribute(old, name)} → {_attribute(new, name)}"


def _position(row: Row) -> str:
    """The box of a label, the number of its points, or its value, as a short text."""
    if row.get("bounding_box"):
        return "[" + " ".join(f"{v:.2f}" for v in row["bounding_box"]) + "]"
    if row.get("points"):
        return f"{sum(map(len, row['points']))} points"
    return str(row.get("value") or "")


def _attribute(row: Row, name: str) -> str:
    found = [a["value"] for a in row.get("attributes") or () if a["name"] == name]
    return str(json.loads(found[0])) if found else "none"
