"""What is not sent is counted and told: at the call, in the run, in the report; strict makes it an error."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import annobridge as ab
from annobridge.backend.memory import MemoryBackend
from annobridge.backend.values import Receipt

BOX = [0.1, 0.1, 0.2, 0.2]
SCHEMA = {"g": {"type": "detections", "classes": ["tree", "car"], "attributes": {}}}
TOLD = [
    "3 labels of 'g' are not sent, with a class that is not in the schema: 'Tree' (2), 'bush' (1).",
    "1 label of 'g' is not sent, of another type than the field's: 'polylines' (1).",
    "2 labels of 'g' are sent without attributes that are not in the schema: 'note' (2), 'score' (1).",
]


@pytest.fixture
def trees(empty: Any) -> Any:
    """Of eight labels, four are sent, two of them without attributes."""
    empty.ds.add_samples(
        [
            ab.Sample("a.jpg", sample_id="s0", g=[
                ab.Detection("Tree", BOX), ab.Detection("Tree", BOX), ab.Detection("car", BOX, note="x", score=1),
                ab.Detection("car", BOX),
            ]),
            ab.Sample("b.jpg", sample_id="s1", g=[
                ab.Detection("bush", BOX), ab.Detection("tree", BOX, note="y"), ab.Detection("car", BOX),
                ab.Polyline("car", [[(0, 0), (1, 1)]]),
            ]),
        ]
    )  # fmt: skip
    return empty


def heard(call: Any) -> tuple[Any, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    return result, [str(w.message) for w in caught if issubclass(w.category, ab.UnsentWarning)]


def test_it_is_told_at_the_call_in_the_run_and_in_the_report(trees):
    _, told = heard(lambda: trees.annotate(schema=SCHEMA))
    assert told == ["\n".join(TOLD)]
    entries = trees.ds.get_annotation_info("r")["not_sent"]
    assert [(e["field"], e["reason"], e["labels"]) for e in entries] == [
        ("g", "class", 3), ("g", "type", 1), ("g", "attribute", 2)
    ]  # fmt: skip
    assert entries[0]["values"] == {"Tree": 2, "bush": 1}
    plan = trees.plan()
    assert list(plan.not_sent) == TOLD
    assert plan.to_dict()["not_sent"] == TOLD
    assert all(sentence in repr(plan) for sentence in TOLD)
    assert plan.total == 0
    assert "not_sent" not in trees.ds.get_annotation_info("r")["options"]
    assert trees.load().total == 0


def test_strict_makes_it_an_error_before_anything_is_sent(trees):
    before = trees.state()
    with pytest.raises(ab.InvalidLabels, match="would not be sent as they are, and strict=True was given") as caught:
        trees.annotate(schema=SCHEMA, strict=True)
    assert list(caught.value.problems) == TOLD
    assert trees.state() == before


def test_nothing_is_said_where_nothing_is_left_out(trees):
    _, told = heard(
        lambda: trees.annotate(
            schema={"g": {"type": "detections", "classes": ["Tree", "car"]}}, view=trees.ds.select("s0"), strict=True
        )
    )
    assert told == []
    assert trees.plan().not_sent == ()


def test_labels_that_a_view_filters_out_are_not_left_behind(trees):
    view = trees.ds.filter_labels("g", "label = 'car' AND kind = 'box'")
    _, told = heard(lambda: trees.annotate(schema=SCHEMA, view=view))
    assert told == ["1 label of 'g' is sent without attributes that are not in the schema: 'note' (1), 'score' (1)."]


def test_labels_for_which_the_tool_has_no_place(trees, monkeypatch):
    upload = MemoryBackend.upload

    def partly(self: MemoryBackend, task: ab.Task) -> Receipt:
        receipt = upload(self, task)
        return Receipt(
            receipt.task, receipt.state, receipt.baseline.slice(1), receipt.baseline["label_id"][:1].combine_chunks()
        )

    monkeypatch.setattr(MemoryBackend, "upload", partly)
    _, told = heard(lambda: trees.annotate(schema={"g": {"type": "detections", "classes": ["car"]}}))
    assert told[-1] == "The tool has no place for 1 label of 'g': 'car' (1)."
    assert trees.ds.get_annotation_info("r")["not_sent"][-1]["reason"] == "tool"


class TestResume:
    """Sending stopped half-way, and the dataset went on."""

    @pytest.fixture
    def stopped(self, bridge: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
        upload = MemoryBackend.upload

        def dying(self: MemoryBackend, task: ab.Task) -> Receipt:
            if self.server.labels:
                raise ab.Unreachable("The server went away.")
            return upload(self, task)

        with monkeypatch.context() as patch:
            patch.setattr(MemoryBackend, "upload", dying)
            with pytest.raises(ab.Unreachable):
                bridge.annotate(task_size=1)
        return bridge

    def test_the_rest_is_sent_without_what_was_deleted(self, stopped):
        stopped.ds.delete_samples(["s2"])
        _, told = heard(lambda: stopped.ds.resume_annotation("r"))
        assert told == ["1 samples of the run 'r' were deleted since it began; they are not sent."]
        assert len(stopped.server.labels) == 3
        assert stopped.load().total == 0
        stopped.again_is_nothing()

    def test_all_the_rest_was_deleted(self, stopped):
        stopped.ds.delete_samples(["s1", "s2", "s3"])
        heard(lambda: stopped.ds.resume_annotation("r"))
        assert stopped.ds.get_annotation_info("r")["state"] == "sent"
        assert stopped.load().total == 0

    def test_nothing_was_sent_and_all_was_deleted(self, bridge, monkeypatch):
        def dead(self: MemoryBackend, task: ab.Task) -> Receipt:
            raise ab.Unreachable("The server went away.")

        with monkeypatch.context() as patch:
            patch.setattr(MemoryBackend, "upload", dead)
            with pytest.raises(ab.Unreachable):
                bridge.annotate()
        bridge.ds.delete_samples([f"s{n}" for n in range(4)])
        with pytest.raises(ab.StoreError, match="All samples of the run 'r' were deleted, so there is nothing to send"):
            bridge.ds.resume_annotation("r")
        assert bridge.ds.list_annotation_runs() == []
