"""The rows that a push changes, without a server: applied to the tables, they decode as what was meant."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pytest

from annobridge.backend import Receipt
from annobridge.core import rows
from annobridge.core.labels import REMOTE
from annobridge.core.rows import Label, attributes
from annobridge.formats.pixano_library.codec.decode import decode
from annobridge.formats.pixano_library.codec.layout import Layout
from annobridge_pixano import rest_tables
from annobridge_pixano.pushed_labels import PushedLabels, resolve
from annobridge_pixano.row_changes import Change, SpatialChanges, message_changes, record_changes

from . import pixano_cases as cases
from .pushing import edits_of
from .test_pixano_codec import laid_out, sent, stored

Tables = dict[str, pa.Table]


@dataclass
class Server:
    """Tables that answer to changes as Pixano does: an update is a patch, and removing a row leaves those that refer to it."""

    layout: Layout
    tables: Tables

    def make(self, changes: Iterator[Change]) -> list[Change]:
        made = list(changes)
        for change in made:
            found = {r["id"]: r for r in self.tables[change.table].to_pylist()}
            assert (change.method == "create") == (change.row not in found)
            assert "id" not in change.values
            if change.method == "remove":
                del found[change.row]
            else:
                found[change.row] = {**found.get(change.row, {}), **change.values, "id": change.row}
            schema = rest_tables.schemas(self.layout)[change.table]
            self.tables[change.table] = pa.Table.from_pylist([*found.values()], schema=schema)
        return made


@dataclass
class Sent:
    server: Server
    receipt: Receipt

    def push(self, **given: Any) -> tuple[PushedLabels, list[Change], pa.Table]:
        """What is pushed, the changes, and the labels that are there afterwards, with what was meant as their baseline."""
        server, baseline = self.server, self.receipt.baseline
        edits = edits_of(cases.task(), self.receipt, **given)
        there = decode(server.tables, server.layout, baseline).labels
        pushed = resolve(edits, server.layout, server.tables, there, baseline)
        before = copy.copy(server.tables)
        spatial = SpatialChanges(server.layout, before, pushed, edits.deleted)
        views = dict.fromkeys(spatial.views_needed(), "view")
        made = server.make(spatial.all(views))
        made += server.make(record_changes(server.layout, before, pushed, edits.deleted))
        made += server.make(message_changes(server.layout, before, pushed, edits.deleted, there))
        gone = {*edits.task.labels["label_id"].to_pylist(), *edits.deleted["label_id"].to_pylist()}
        others = [r for r in baseline.to_pylist() if r["label_id"] not in gone]
        meant = pa.concat_tables([pa.Table.from_pylist(others, schema=REMOTE), pushed.labels])
        now = decode(server.tables, server.layout, meant).labels
        assert cases.plain(now) == cases.plain(meant)
        return pushed, made, now


@pytest.fixture
def everything() -> Sent:
    layout, _, labels = laid_out()
    tables = stored(sent(), layout)
    baseline = decode(tables, layout, labels.filter(pa.compute.not_equal(labels["kind"], "message"))).labels
    named = [
        {**r, "label_id": r["label_id"] or r["remote_id"], "field": r["field"] or "talk"} for r in baseline.to_pylist()
    ]
    return Sent(Server(layout, dict(tables)), Receipt("t-0", baseline=pa.Table.from_pylist(named, schema=REMOTE)))


def new(label: Label, label_id: str, sample: str = "s2", field: str = "objects") -> dict[str, Any]:
    return label.row() | {"label_id": label_id, "sample_id": sample, "field": field}


def test_only_what_differs_is_written(everything: Sent) -> None:
    _, made, _ = everything.push(
        edit={"doomed": {"label": "bus"}, "l0": {"bounding_box": [0.1, 0.2, 0.30000000000000004, 0.4]}}
    )
    assert made == [Change("update", "entities", "doomed", {"category": "bus"})]
    assert everything.push(edit={"doomed": {"label": "bus"}})[1] == []  # it is so already


def test_attributes_are_set_and_emptied(everything: Sent) -> None:
    row = next(r for r in everything.receipt.baseline.to_pylist() if r["label_id"] == "l0")
    kept = {a["name"]: json.loads(a["value"]) for a in row["attributes"]} | {"plate": None, "count": None, "score": 0.1}
    _, made, _ = everything.push(edit={"l0": {"attributes": attributes(kept)}})
    assert made == [Change("update", "entities", "l0", {"score": 0.1, "count": 0, "plate": ""})]


def test_ids_that_pixano_cannot_have_or_has_for_others(everything: Sent) -> None:
    box = rows.Detection("car", [0.1, 0.1, 0.2, 0.2])
    taken = everything.receipt.baseline.to_pylist()
    renamed = [{**r, "label_id": "other"} if r["label_id"] == "doomed" else r for r in taken]
    there = replace(
        everything, receipt=replace(everything.receipt, baseline=pa.Table.from_pylist(renamed, schema=REMOTE))
    )
    pushed, made, _ = there.push(add=[new(box, "doomed"), new(box, "a/b c", "s0"), new(box, "plain", "s0")])
    ids = pushed.labels["remote_id"].to_pylist()
    assert ids[2] == "plain.bbox"
    assert all(i.startswith("label.") and i.endswith(".bbox") for i in ids[:2])
    assert len({*ids}) == 3
    assert [change.method for change in made] == ["create"] * 6


def test_classes_in_lists(everything: Sent) -> None:
    ids = {
        (r["sample_id"], r["label"]): r["label_id"]
        for r in everything.receipt.baseline.to_pylist()
        if r["field"] == "tags"
    }
    edit, delete = {ids["s0", "b"]: {"label": "c"}}, [ids["s0", "a"]]
    pushed, made, _ = everything.push(edit=edit, add=[new(rows.Classification("c"), "n", "s2", "tags")], delete=delete)
    assert pushed.labels["remote_id"].to_pylist() == ["s0/tags/c", "s2/tags/c"]
    assert sorted(made, key=lambda c: c.row) == [
        Change("update", "records", "s0", {"tags": ["c"]}),
        Change("update", "records", "s2", {"tags": ["a", "c"]}),
    ]


def test_swapped_classes_in_a_list(everything: Sent) -> None:
    ids = {
        (r["sample_id"], r["label"]): r["label_id"]
        for r in everything.receipt.baseline.to_pylist()
        if r["field"] == "tags"
    }
    pushed, made, _ = everything.push(edit={ids["s0", "a"]: {"label": "b"}, ids["s0", "b"]: {"label": "a"}})
    assert sorted(pushed.labels["remote_id"].to_pylist()) == ["s0/tags/a", "s0/tags/b"]
    assert made == [Change("update", "records", "s0", {"tags": ["b", "a"]})]


def test_rows_that_refer_to_others_are_removed_first(everything: Sent) -> None:
    _, made, _ = everything.push(delete=["thing"])
    assert [(c.method, c.table, c.row) for c in made] == [
        ("remove", "masks", "thing.mask"),
        ("remove", "bboxes", "thing.bbox"),
        ("remove", "entities", "thing"),
    ]


def test_an_object_whose_shape_an_earlier_call_removed_is_removed(everything: Sent) -> None:
    everything.server.make(iter([Change("remove", "bboxes", "doomed.bbox", {})]))
    _, made, _ = everything.push(delete=["doomed"])
    assert made == [Change("remove", "entities", "doomed", {})]
