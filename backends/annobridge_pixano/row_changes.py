"""The rows of Pixano's tables that a push creates, updates and removes.

Only what differs from what Pixano has is written. Rows that refer to others come after these, and are removed before them, so a
push that is cut off leaves nothing that decodes as another label.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core.arrays import as_array
from annobridge.formats.pixano_library.codec import encode, messages, values
from annobridge.formats.pixano_library.codec.decode import Tables
from annobridge.formats.pixano_library.codec.layout import SPATIAL, Column, Layout
from annobridge.formats.pixano_library.codec.tables import ANNOTATIONS

from .annotation_rows import KIND_GROUPS, TABLES, entity_columns, geometries, rest_columns
from .pushed_labels import PushedLabels

Row = dict[str, Any]
SOURCE = {"source_type": "ground_truth", "source_name": "annobridge", "source_metadata": "{}"}
_OF_LABEL = ("label_id", "label_field")  # columns of entities that only new ones get
_GEOMETRY = {name: [c for c in schema.names if c not in ("id", "record_id", "entity_id", "format", "is_normalized", "confidence")]
             for name, schema in ANNOTATIONS.items()}  # the columns by which a geometry is compared  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """A call that changes a row. ``values`` are the columns to write."""

    method: Literal["create", "update", "remove"]
    table: str
    row: str
    values: Mapping[str, Any]


class SpatialChanges:
    """The changes of entities and annotations.

    Attributes:
        shared: ids of labels that are left out: they share their entity with other labels, which would change as well.
    """

    def __init__(self, layout: Layout, tables: Tables, pushed: PushedLabels, deleted: pa.Table) -> None:
        self._layout, self._pushed, self._deleted = layout, pushed, deleted
        self._rows = {name: {r["id"]: r for r in tables[name].to_pylist()} for name in ("entities", *ANNOTATIONS)}
        self._of_entity: dict[str, list[tuple[str, str]]] = defaultdict(list)  # its annotations, as table and id
        for name in ANNOTATIONS:
            for row in self._rows[name].values():
                self._of_entity[row["entity_id"]].append((name, row["id"]))
        self._labels = [label for kinds in KIND_GROUPS for label in self._wanted(kinds)]
        self.shared = frozenset(self._find_shared())

    def views_needed(self) -> frozenset[str]:
        """The ids of the records that get new annotations."""
        return frozenset(label.record for label in self._labels if label.label_id not in self.shared)

    def all(self, views: Mapping[str, str]) -> Iterator[Change]:
        """The changes, in order.

        Args:
            views: the id of the image of each record.
        """
        for label in self._labels:
            if label.label_id not in self.shared:
                yield from self._of_label(label, views)
        yield from self._removals()

    # --- labels to write --------------------------------------------------------------------------------------------

    def _wanted(self, kinds: tuple[str, ...]) -> Iterator[_Wanted]:
        where = pc.is_in(self._pushed.labels["kind"], value_set=pa.array(kinds))
        rows = self._pushed.labels.filter(where).combine_chunks()
        records = encode.record_ids(rows, self._layout).to_pylist()
        ids = zip(as_array(rows["label_id"]).to_pylist(), as_array(rows["remote_id"]).to_pylist(), records, strict=True)
        columns, found = entity_columns(self._layout, rows), geometries(self._layout, rows)
        for (label_id, remote_id, record), attributes, shapes in zip(ids, columns, found, strict=True):
            kind = SPATIAL[kinds[0]]
            there = self._rows[TABLES[kind]].get(remote_id)
            entity = there["entity_id"] if there else remote_id.rpartition(".")[0]
            yield _Wanted(label_id, remote_id, record, entity, kind, attributes, shapes)

    def _find_shared(self) -> Iterator[str]:
        by_entity: dict[str, list[_Wanted]] = defaultdict(list)
        for label in self._labels:
            by_entity[label.entity].append(label)
        for entity, labels in by_entity.items():
            written = {row for label in labels for row in self._rows_of(label.kind, label.remote_id, entity)}
            all_alike = all(_without_ids(label.columns) == _without_ids(labels[0].columns) for label in labels)
            if all_alike and written.issuperset(self._of_entity[entity]):
                continue
            yield from (label.label_id for label in labels if self._entity_changes(label))

    def _entity_changes(self, label: _Wanted) -> Row:
        """The columns of a label's entity that are to be others."""
        now = self._rows["entities"].get(label.entity)
        return _different(_without_ids(label.columns), now) if now else label.columns

    def _of_label(self, label: _Wanted, views: Mapping[str, str]) -> Iterator[Change]:
        references = {"record_id": label.record, "entity_id": label.entity, "view_id": views.get(label.record, "")}
        if label.entity not in self._rows["entities"]:
            columns = {"record_id": label.record, "parent_id": "", **label.columns}
            yield Change("create", "entities", label.entity, columns)
        for kind, geometry in label.geometries.items():
            table, columns = TABLES[kind], rest_columns(kind, geometry)
            row = label.remote_id if kind == label.kind else self._box_of(label.entity)
            now = self._rows[table].get(row)
            if now is None:
                yield Change("create", table, row, {**references, **SOURCE, **columns})
            elif _different({name: columns[name] for name in _GEOMETRY[table]}, now):
                if kind == "keypoints" and len(columns["states"]) == len(now["states"]):
                    del columns["template_id"]  # it may be one of the user's own
                yield Change("update", table, row, {**columns, **SOURCE})
        if label.kind == "mask" and "bbox" not in label.geometries:
            yield from self._removed([("bboxes", self._box_of(label.entity))])
        if label.entity in self._rows["entities"] and (columns := self._entity_changes(label)):
            yield Change("update", "entities", label.entity, columns)

    def _box_of(self, entity: str) -> str:
        """The id of the box around the mask of an entity, as ``decode`` finds it, or as it is to be."""
        of_labels = {label.remote_id for label in self._labels if label.kind == "bbox"}
        ids = [row for table, row in self._of_entity[entity] if table == "bboxes" and row not in of_labels]
        ours = f"{entity}.bbox"
        return ours if ours in ids or not ids else ids[0]

    # --- labels to delete -------------------------------------------------------------------------------------------

    def _rows_of(self, kind: str, remote_id: str, entity: str) -> list[tuple[str, str]]:
        """The annotations of a label."""
        box = [("bboxes", self._box_of(entity))] if kind == "mask" else []
        return [(TABLES[kind], remote_id), *box]

    def _removals(self) -> Iterator[Change]:
        left = Counter({entity: len(rows) for entity, rows in self._of_entity.items()})
        deleted = self._deleted.filter(pc.is_in(self._deleted["kind"], value_set=pa.array([*SPATIAL])))
        for remote_id, kind in zip(deleted["remote_id"].to_pylist(), deleted["kind"].to_pylist(), strict=True):
            there = self._rows[TABLES[SPATIAL[kind]]].get(remote_id)
            # An earlier call may have been cut off after it removed the annotation.
            entity = there["entity_id"] if there else remote_id.rpartition(".")[0]
            removed = list(self._removed(self._rows_of(SPATIAL[kind], remote_id, entity) if there else []))
            left[entity] -= len(removed)
            yield from removed
            if entity in self._rows["entities"] and left[entity] <= 0:
                yield Change("remove", "entities", entity, {})

    def _removed(self, rows: Iterable[tuple[str, str]]) -> Iterator[Change]:
        return (Change("remove", table, row, {}) for table, row in rows if row in self._rows[table])


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A spatial label as it is to be: its entity's columns, and its geometries by the kind of annotation; ``kind`` is its own."""

    label_id: str
    remote_id: str
    record: str
    entity: str
    kind: str
    columns: Row
    geometries: Mapping[str, Row]


def _without_ids(columns: Row) -> Row:
    return {name: value for name, value in columns.items() if name not in _OF_LABEL}


def _different(wanted: Mapping[str, Any], now: Mapping[str, Any]) -> Row:
    return {name: value for name, value in wanted.items() if now[name] != value}


# --- labels of whole images ---------------------------------------------------------------------------------------------


def record_changes(layout: Layout, tables: Tables, pushed: PushedLabels, deleted: pa.Table) -> Iterator[Change]:
    """The changes of the attributes of records that hold classifications and scalars."""
    now = {row["id"]: row for row in tables["records"].to_pylist()}
    wanted: dict[str, Row] = defaultdict(dict)
    for name, column in layout.records.items():
        by_record: dict[str, list[tuple[str, Any]]] = defaultdict(list)
        for record, old, value in _new_values(name, column, layout, pushed, deleted):
            by_record[record].append((old, value))
        for record in by_record.keys() & now.keys():
            if column.type == "list":
                wanted[record][column.name] = _replaced(now[record][column.name] or [], by_record[record])
            else:
                value = next((v for _, v in by_record[record] if v is not None), values.EMPTY[column.type])
                wanted[record][column.name] = value
    for record, columns in wanted.items():
        if changed := _different(columns, now[record]):
            yield Change("update", "records", record, changed)


def _new_values(
    name: str, column: Column, layout: Layout, pushed: PushedLabels, deleted: pa.Table
) -> Iterator[tuple[str, str, Any]]:
    """Of each label of a field: its record, the class in a list that its id names, and its value; ``None`` to delete it."""
    removed = deleted.filter(pc.equal(deleted["field"], name)).combine_chunks()
    of_field = as_array(pc.equal(pushed.labels["field"], name))
    labels = pushed.labels.filter(of_field).combine_chunks()
    if column.kinds == ("scalar",):
        new = values.encode(as_array(labels["value"]), column.type)
    else:
        new = pc.fill_null(as_array(labels["label"]), "")
    for rows, ids, found in (
        (removed, removed["remote_id"].to_pylist(), [None] * len(removed)),
        (labels, pushed.before.filter(of_field).to_pylist(), new.to_pylist()),
    ):
        records = encode.record_ids(rows, layout).to_pylist()
        for record, remote_id, value in zip(records, ids, found, strict=True):
            yield record, (remote_id or "").removeprefix(f"{record}/{name}/"), value


def _replaced(items: list[str], pairs: list[tuple[str, Any]]) -> list[str]:
    """A list in which some classes are replaced by others, or removed, and new ones come last; each once."""
    by_old = dict(pairs)
    found = [by_old.get(item, item) for item in items] + [value for old, value in pairs if old not in items]
    return list(dict.fromkeys(value for value in found if value is not None))


# --- messages -----------------------------------------------------------------------------------------------------------


def message_changes(
    layout: Layout, tables: Tables, pushed: PushedLabels, deleted: pa.Table, there: pa.Table
) -> Iterator[Change]:
    """The changes of messages. The others of a conversation keep their numbers; new questions are numbered after them.

    Args:
        layout: the columns of the dataset.
        tables: its tables.
        pushed: the labels to write.
        deleted: those to delete.
        there: the labels that the tables hold.
    """
    if not layout.messages:
        return
    now = {row["id"]: row for row in tables["messages"].to_pylist()}
    for remote_id, kind in zip(deleted["remote_id"].to_pylist(), deleted["kind"].to_pylist(), strict=True):
        if kind == "message" and remote_id in now:
            yield Change("remove", "messages", remote_id, {})
    ours = pushed.labels.filter(pc.equal(pushed.labels["kind"], "message"))
    replaced = pa.concat_arrays([as_array(ours["remote_id"]), as_array(deleted["remote_id"])])
    kept = there.filter(pc.invert(pc.is_in(there["remote_id"], value_set=replaced)))
    rows = pa.concat_tables([kept, ours]).combine_chunks()
    written = frozenset(ours["remote_id"].to_pylist())
    indices = {r["remote_id"]: r["index"] for r in rows.select(["remote_id", "index"]).to_pylist()}
    numbers = _Numbers(now.values())
    wanted = messages.encode(rows, layout)
    for message in wanted:
        numbers.know(message, indices[message["remote_id"]], now.get(message["remote_id"]))
    for message in wanted:
        if (row := message.pop("remote_id")) in written:
            message["number"] = numbers.of(message, indices[row])
            yield from _message_change(row, message, now.get(row))


def _message_change(row: str, message: Row, now: Row | None) -> Iterator[Change]:
    if now is None:
        yield Change("create", "messages", row, {**message, **SOURCE})
    elif changed := _different(message, now):
        yield Change("update", "messages", row, {**changed, **SOURCE})


class _Numbers:
    """The numbers of questions in their conversations: an answer has that of its question, which has the same index here."""

    def __init__(self, now: Iterable[Row]) -> None:
        self._by_index: dict[tuple[str, Any], int] = {}
        self._next: dict[str, int] = defaultdict(int)
        for row in now:
            self._next[row["conversation_id"]] = max(self._next[row["conversation_id"]], row["number"] + 1)

    def know(self, message: Row, index: int | None, now: Row | None) -> None:
        """Take the number that a message has, if it stays in its conversation."""
        if now is not None and now["conversation_id"] == message["conversation_id"] and message["type"] != "SYSTEM":
            self._by_index.setdefault((message["conversation_id"], index), now["number"])

    def of(self, message: Row, index: int | None) -> int:
        """The number of a message; a new one for an index that the conversation does not have."""
        if message["type"] == "SYSTEM":
            return 0
        key = (message["conversation_id"], index)
        if key not in self._by_index:
            self._by_index[key] = self._next[message["conversation_id"]]
            self._next[message["conversation_id"]] += 1
        return self._by_index[key]
