"""Fields, and what runs have brought, as the answers of annotators: merged into one field."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import annobridge as ab
from annobridge import demo
from annobridge.backend.memory import SERVERS
from annobridge.core import tasks
from annobridge.exceptions import AnnobridgeError, InvalidOption, UnknownBackend
from annobridge.jobs import execution


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    """Two images; alice, bob and carol have drawn boxes in a field each."""
    SERVERS.clear()
    made = ab.create_dataset(tmp_path / "ds")
    made.add_samples(ab.Sample(f"{i}.jpg", sample_id=f"s{i}") for i in range(2))
    for name, shift in (("alice", 0.0), ("bob", 0.01), ("carol", 0.02)):
        boxes = [ab.Detection("car", [0.1 + shift, 0.1, 0.2, 0.2]), ab.Detection("bus", [0.6, 0.6 + shift, 0.2, 0.2])]
        if name == "carol":
            boxes = [ab.Detection("van", [0.1 + shift, 0.1, 0.2, 0.2]), ab.Detection("bus", [0.3, 0.8, 0.1, 0.1])]
        made.add_labels(name, {"s0": boxes, "s1": boxes[:1]})
    return made


def rows(ds: ab.Dataset, field: str) -> list[tuple[str, str, list[float]]]:
    found = [
        (r["sample_id"], r["label"], [round(n, 6) for n in r["bounding_box"]]) for r in ds.labels(field).to_pylist()
    ]
    return sorted(found)


def test_fields_become_one(ds: ab.Dataset) -> None:
    before = {name: ds.labels(name).to_pylist() for name in ("alice", "bob", "carol")}
    report = ds.merge_annotations(["alice", "bob", "carol"], into="truth", anno_key="merged")
    assert report.added == 3
    assert rows(ds, "truth") == [
        ("s0", "bus", [0.6, 0.605, 0.2, 0.2]),
        ("s0", "car", [0.11, 0.1, 0.2, 0.2]),
        ("s1", "car", [0.11, 0.1, 0.2, 0.2]),
    ]
    assert report.outcome.left == 1  # the bus that only carol has
    assert {name: ds.labels(name).to_pylist() for name in before} == before
    ds.undo_annotations("merged")
    assert "truth" not in ds.label_fields()


def test_a_merge_does_not_tell_of_consensus_false_which_it_does_not_take(ds: ab.Dataset) -> None:
    answers = ["alice", "bob", "carol"]
    assert not any("earlier load" in note for note in ds.plan_merge(answers, into="truth", anno_key="merged").notes)
    first = ds.merge_annotations(answers, into="truth", anno_key="merged")
    assert first.added == 3
    assert not any("earlier load" in note for note in first.notes)
    again = ds.merge_annotations(answers, into="truth", anno_key="merged")
    assert not any("earlier load" in note for note in again.notes)


def test_merging_again_writes_nothing_and_takes_what_is_new(ds: ab.Dataset) -> None:
    ds.merge_annotations(["alice", "bob", "carol"], into="truth", anno_key="merged")
    again = ds.merge_annotations(["alice", "bob", "carol"], into="truth", anno_key="merged")
    assert (again.added, again.edited, again.deleted, again.version) == (0, 0, 0, None)
    first = ds.labels("bob", "label = 'car'").to_pylist()[0]
    ds.set_labels([{"label_id": first["label_id"], "bounding_box": [0.12, 0.1, 0.2, 0.2]}])
    moved = ds.merge_annotations(["alice", "bob", "carol"], into="truth", anno_key="merged")
    assert (moved.added, moved.edited, moved.deleted) == (0, 1, 0)


def test_edits_of_the_result_are_kept(ds: ab.Dataset) -> None:
    ds.merge_annotations(["alice", "bob", "carol"], into="truth", anno_key="merged")
    mine = ds.labels("truth", "label = 'bus'").to_pylist()[0]
    ds.set_labels([{"label_id": mine["label_id"], "label": "truck"}])
    ds.merge_annotations(["alice", "bob", "carol"], into="truth", anno_key="merged")
    assert "truck" in [label for _, label, _ in rows(ds, "truth")]


def test_a_view_is_merged_alone_and_a_plan_is_decided_about(ds: ab.Dataset) -> None:
    assert ds.select(["s1"]).merge_annotations(["alice", "bob"], into="part").added == 1
    plan = ds.plan_merge(["alice", "bob", "carol"], into="truth", anno_key="merged", consensus=ab.Consensus(quorum=1))
    assert [row["proposal"] for row in plan.changes.to_pylist()].count("leave") == 2  # the buses
    plan.decide(where="label = 'bus'", verdict="accept")
    assert plan.load().added == 4


def test_runs_over_one_view_are_answers(ds: ab.Dataset) -> None:
    ds.add_labels("model", {f"s{i}": [ab.Detection("car", [0.1, 0.1, 0.2, 0.2], label_id=f"m{i}")] for i in range(2)})
    runs = {
        name: ds.annotate(name, label_schema="model", backend="memory", progress=False) for name in ("dora", "emil")
    }
    for run in runs.values():
        demo.annotator(run).move("m0", [0.2, 0.1, 0.2, 0.2])
    demo.annotator(runs["dora"]).delete("m1")
    ds.load_annotations("emil", dest_field="by_emil")
    ds.load_annotations("dora")
    assert (len(rows(ds, "by_emil")), len(rows(ds, "model"))) == (2, 1)
    merged = ds.merge_annotations(["dora", "emil"], into="truth", consensus=ab.Consensus(quorum=1))
    assert rows(ds, "truth") == [("s0", "car", [0.2, 0.1, 0.2, 0.2])]
    assert merged.outcome.left == 1


def test_the_answer_of_one_person_does_not_count_twice(ds: ab.Dataset) -> None:
    demo.annotator(ds.annotate("r", label_schema="alice", backend="memory", progress=False)).draw(
        "s0", "bus", [0.3, 0.3, 0.1, 0.1]
    )
    ds.load_annotations("r", dest_field="dora")
    same = "The answers 'r' and 'dora' are one and the same, which is in the field 'dora'; leave one of them out."
    with pytest.raises(InvalidOption) as error:
        ds.merge_annotations(["r", "dora", "bob"], into="truth")
    assert str(error.value) == same
    with pytest.raises(InvalidOption) as error:
        ds.compare_annotations(["r", "dora"])
    assert str(error.value) == same
    ds.load_annotations("r")
    for field in ("alice", "dora"):
        with pytest.raises(InvalidOption) as error:
            ds.merge_annotations(["bob", "r", field], into="truth")
        assert str(error.value) == (
            f"The run 'r' was loaded into the field {field!r}, so that its work would count twice; leave one of the two out."
        )
    assert ds.list_annotation_runs() == ["r"]
    assert ds.merge_annotations(["r", "bob"], into="truth").added == 4


@pytest.mark.parametrize(
    ("answers", "options", "kind", "message"),
    [
        (["alice"], {}, InvalidOption, "There is one answer only, alice; give two at least to merge."),
        (
            ["alice", "alise"],
            {},
            InvalidOption,
            "The dataset has no label field and no run 'alise'; did you mean 'alice'?",
        ),
        (["alice", "alice"], {}, InvalidOption, "The answers ['alice', 'alice'] are no list of different label fields"),
        ("alice", {}, InvalidOption, "The answers 'alice' are no list of different label fields, or keys of runs"),
        (["alice", "bob"], {"into": "bob"}, InvalidOption, "into='bob' is one of the answers, which stay as they are"),
        (
            ["alice", "lines"],
            {},
            InvalidOption,
            "have labels of several types: detections, polylines",
        ),
        (
            ["alice", "bob"],
            {"consensus": True},
            InvalidOption,
            "consensus=True is not known; give an annobridge.Consensus.",
        ),
        (
            ["alice", "sent"],
            {},
            InvalidOption,
            "The run 'sent' was not loaded yet; load it with load_annotations('sent')",
        ),
        (["alice", "bob"], {"anno_key": "sent"}, InvalidOption, "The run 'sent' is another one than of these answers"),
    ],
)
def test_wrong_answers_are_refused(
    ds: ab.Dataset, answers: Any, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    ds.add_labels("lines", {"s0": [ab.Polyline("lane", [[(0, 0), (1, 1)]])]})
    ds.annotate("sent", label_schema="alice", backend="memory", progress=False)
    with pytest.raises(kind) as error:
        ds.merge_annotations(answers, **{"into": "truth", **options})
    assert message in str(error.value)
    assert ds.list_annotation_runs() == ["sent"]
    assert "truth" not in ds.label_fields()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"undecided": "x"}, "undecided='x' is not known"),
        ({"conflicts": "x"}, "conflicts='x' is not known"),
        ({"decisions": "/nope.jsonl"}, "decisions= are about the changes of a run, and there is none yet"),
        ({"workers": -1}, "workers=-1 (argument) is not a number of workers"),
        ({"executor": "foo"}, "There is no executor 'foo'"),
        ({"thing": 1}, "'thing' is not an option of a load"),
    ],
)
def test_a_merge_with_a_wrong_option_leaves_no_run(ds: ab.Dataset, options: dict[str, Any], message: str) -> None:
    merge = ds.plan_merge if "thing" in options else ds.merge_annotations
    with pytest.raises(AnnobridgeError) as error:
        merge(["alice", "bob"], into="truth", **options)
    assert message in str(error.value)
    assert ds.list_annotation_runs() == []


def test_a_run_of_several_fields_needs_its_name(ds: ab.Dataset) -> None:
    ds.annotate("two", label_schema=["alice", "bob"], backend="memory", progress=False)
    ds.load_annotations("two", dest_field={"alice": "a2", "bob": "b2"})
    with pytest.raises(InvalidOption, match=r"The run 'two' has the fields alice, bob; name one with label_field="):
        ds.merge_annotations(["two", "carol"], into="truth")
    assert (
        ds.merge_annotations(["two", "carol"], into="truth", label_field="alice").added == 2
    )  # the buses; the others are ties
    with pytest.raises(InvalidOption, match="The run 'two' has no field 'x'; it has alice, bob"):
        ds.merge_annotations(["two", "carol"], into="other", label_field="x")


def test_the_result_is_the_same_with_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "LABELS_AT_ONCE", 40)
    monkeypatch.setattr(tasks, "DEFAULT_SIZE", 5)
    found = []
    for workers in (1, 2):
        ds = ab.create_dataset(tmp_path / f"ds{workers}")
        ds.add_samples(ab.Sample(f"{i}.jpg", sample_id=f"s{i:02}") for i in range(60))
        rng = np.random.default_rng(3)
        for name in ("alice", "bob", "carol"):
            boxes = {
                f"s{i:02}": [
                    ab.Detection(str(rng.choice(["car", "bus"])), [0.2 * j + rng.uniform(0, 0.02), 0.1, 0.15, 0.2])
                    for j in range(4)
                    if rng.random() < 0.8
                ]
                for i in range(60)
            }
            ds.add_labels(name, boxes)
        report = ds.merge_annotations(["alice", "bob", "carol"], into="truth", workers=workers)
        found.append((rows(ds, "truth"), report.outcome.left, report.added))
    assert found[0] == found[1]
    assert found[0][1] > 0


def test_a_run_keeps_its_consensus_and_its_samples(ds: ab.Dataset) -> None:
    names = ["alice", "bob", "carol"]
    plan = ds.plan_merge(names, into="truth", anno_key="m", consensus=ab.Consensus(quorum=1))
    assert [row["proposal"] for row in ds.plan_annotations("m").changes.to_pylist()].count("leave") == 2
    assert plan.changes.num_rows == ds.plan_annotations("m").changes.num_rows
    assert ds.merge_annotations(names, into="truth", anno_key="m").outcome.options.consensus == ab.Consensus(quorum=1)
    ds.select(["s0"]).merge_annotations(names, into="part", anno_key="part")
    with pytest.raises(InvalidOption) as error:
        ds.merge_annotations(names, into="part", anno_key="part")
    assert str(error.value).startswith(
        "The run 'part' lacks 1 of the 2 samples; add them with extend_annotation('part', …)"
    )
    ds.extend_annotation("part", ds)
    assert ds.merge_annotations(names, into="part", anno_key="part").added == 1


def test_what_the_answers_have_is_expected(ds: ab.Dataset) -> None:
    names = ["alice", "bob"]
    ds.merge_annotations(names, into="truth", anno_key="m")
    values = {"alice": {"j": {"a": [1]}, "x": 1}, "bob": {"j": {"a": [1]}, "x": "one"}}
    for name in names:
        ds.add_labels(name, {"s1": [ab.Detection("truck", [0.6, 0.6, 0.2, 0.2], attributes=values[name])]})
    report = ds.merge_annotations(names, into="truth", anno_key="m")
    assert (report.added, report.outcome.streams.rows["unexpected"]) == (1, 0)
    ds.merge_annotations(names, into="other")  # the first merge of such values
    for field in ("truth", "other"):
        truck = ds.labels(field, "label = 'truck'").to_pylist()[0]
        assert json.loads({a["name"]: a["value"] for a in truck["attributes"]}["j"]) == {"a": [1]}
    again = ds.plan_annotations("m")  # the run knows the class, too
    assert (again.total, again.outcome.streams.rows["unexpected"]) == (0, 0)


def test_a_view_is_merged_again_alone(ds: ab.Dataset) -> None:
    names = ["alice", "bob"]
    ds.merge_annotations(names, into="truth", anno_key="m")
    for name in names:
        ds.add_labels(name, {f"s{i}": [ab.Detection("bus", [0.4, 0.1, 0.1, 0.1])] for i in range(2)})
    assert ds.select(["s0"]).plan_merge(names, into="truth", anno_key="m").total == 1
    assert ds.plan_merge(names, into="truth", anno_key="m", where=["s1"]).total == 1
    assert ds.select(["s0"]).merge_annotations(names, into="truth", anno_key="m").added == 1
    assert [sample for sample, _, box in rows(ds, "truth") if box[0] == 0.4] == ["s0"]
    assert ds.merge_annotations(names, into="truth", anno_key="m").added == 1
    with pytest.raises(InvalidOption, match="The view is empty, so there is nothing to merge"):
        ds.match("false").merge_annotations(names, into="truth", anno_key="m")


def test_a_key_is_that_of_the_same_answers_in_any_order(ds: ab.Dataset) -> None:
    ds.merge_annotations(["alice", "bob"], into="truth", anno_key="m")
    assert ds.merge_annotations(["bob", "alice"], into="truth", anno_key="m").version is None
    with pytest.raises(InvalidOption, match="The run 'm' is another one than of these answers into 'truth'"):
        ds.merge_annotations(["carol", "alice"], into="truth", anno_key="m")
    with pytest.raises(InvalidOption) as error:
        ds.merge_annotations(["alice", "bob"], into="truth", anno_key="m", label_field="x")
    assert str(error.value) == (
        "The run 'm' did not merge the field 'x' of its answers; leave label_field= out, or give another anno_key=."
    )


def test_a_key_is_that_of_one_field_of_the_runs(ds: ab.Dataset) -> None:
    for key in ("one", "two"):
        demo.annotator(ds.annotate(key, label_schema=["alice", "bob"], backend="memory", progress=False)).draw(
            "s0", "bus", [0.3, 0.3, 0.1, 0.1]
        )
        ds.load_annotations(key)
    ds.merge_annotations(["one", "two"], into="truth", anno_key="m", label_field="alice")
    with pytest.raises(
        InvalidOption, match="did not merge the field 'bob' of its answers; give label_field='alice', or"
    ):
        ds.merge_annotations(["one", "two"], into="truth", anno_key="m", label_field="bob")


def test_a_dataset_that_was_moved_or_copied_merges_its_own_answers(ds: ab.Dataset, tmp_path: Path) -> None:
    names = ["alice", "bob", "carol"]
    ds.merge_annotations(names, into="truth", anno_key="m")
    shutil.copytree(tmp_path / "ds", tmp_path / "copy")
    shutil.move(tmp_path / "ds", tmp_path / "moved")
    copy = ab.load_dataset(tmp_path / "copy")
    copy.delete_labels(field="alice")
    copy.delete_labels(field="bob")
    copy.add_labels("bob", {"s0": [ab.Detection("car", [0.1, 0.1, 0.2, 0.2])]})
    copy.add_labels("alice", {"s0": [ab.Detection("car", [0.1, 0.1, 0.2, 0.2])]})
    assert ab.load_dataset(tmp_path / "moved").plan_annotations("m").changes.num_rows == 1  # what was left
    assert copy.plan_annotations("m").changes.num_rows > 1


def test_it_is_no_tool(ds: ab.Dataset) -> None:
    assert "fields" not in ab.list_backends()
    with pytest.raises(UnknownBackend):
        ds.annotate("r", label_schema="alice", backend="fields")
