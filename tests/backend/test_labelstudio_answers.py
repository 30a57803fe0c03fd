"""Several people annotate the same images in Label Studio: on a double, and on a real server where one is configured."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import labelstudio_servers
from tests.backend.labelstudio_cases import annotate, dataset, load, tasks
from tests.contract.labelstudio_hands import place
from tests.labelstudio_servers import Server

import annobridge as ab
from annobridge.dataset import Dataset

BOX, NEW = [0.1, 0.2, 0.3, 0.4], [0.6, 0.6, 0.2, 0.2]


@pytest.fixture(
    params=[
        "double",
        pytest.param(
            "real", marks=pytest.mark.skipif(not labelstudio_servers.HAS_REAL, reason="no real server is named")
        ),
    ]
)
def people(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Server]]:
    """Two people at one server; the first one sends."""
    with getattr(labelstudio_servers, request.param)() as server:
        yield server, labelstudio_servers.second(server)


def name_of(person: Server) -> str:
    return str(person.call("GET", "/api/current-user/whoami")["email"])


def submit(
    person: Server, task: dict[str, Any], *boxes: tuple[str, list[float]], copied: bool = True, **more: Any
) -> None:
    """Submit an annotation of one's own: a copy of what was sent, without the boxes of ``more["without"]``, and new boxes."""
    sent = task["annotations"][0]["result"] if copied else []
    results = [one for one in sent if one["id"] not in more.pop("without", ())]
    for label, box in boxes:
        value = place(box) | {"rectanglelabels": [label]}
        results.append(
            {"id": uuid.uuid4().hex[:10], "from_name": "objects", "to_name": "image", "type": "rectanglelabels", "value": value,
             "original_width": 64, "original_height": 48, "image_rotation": 0}
        )  # fmt: skip
    person.call("POST", f"/api/tasks/{task['id']}/annotations/", json={"result": results, **more})


def by_sample(server: Server, results: Any) -> dict[str, dict[str, Any]]:
    return {task["data"]["annobridge_sample"]: task for task in tasks(server, results)}


@pytest.fixture
def made(tmp_path: Path) -> Dataset:
    return dataset(tmp_path, count=3)


def test_untouched_is_nobodys_answer(people: tuple[Server, Server], made: Dataset) -> None:
    results = annotate(people[0], made)
    assert results.annotators() == []


def test_each_person_has_an_answer_with_the_ids_that_were_sent(people: tuple[Server, Server], made: Dataset) -> None:
    server, other = people
    results = annotate(server, made)
    images = by_sample(server, results)
    submit(server, images["s0"])
    submit(other, images["s0"], ("bus", NEW))
    submit(other, images["s1"])
    alice, bob = sorted(people, key=name_of)
    assert results.annotators() == [name_of(alice), name_of(bob)]
    (receipt,) = results.receipts()
    found = {answer.annotator: answer for answer in results.answers_of(receipt)}
    assert sorted(found[name_of(other)].samples.to_pylist()) == ["s0", "s1"]
    assert found[name_of(server)].samples.to_pylist() == ["s0"]
    sent = {row["remote_id"] for row in results.with_baseline(receipt).baseline.to_pylist()}
    assert set(found[name_of(server)].labels["remote_id"].to_pylist()) <= sent
    untouched = made.plan_annotations("run", consensus=ab.Consensus(quorum=0.6), progress=False, **server.options())
    assert [(row["kind"], row["proposal"]) for row in untouched.changes.to_pylist()] == [("add", "leave")]


def test_a_consensus_is_loaded(people: tuple[Server, Server], made: Dataset) -> None:
    server, other = people
    results = annotate(server, made)
    images = by_sample(server, results)
    for person, x in ((server, 0.6), (other, 0.61)):
        submit(person, images["s0"], ("bus", [x, 0.6, 0.2, 0.2]))
    report = load(server, made, consensus=ab.Consensus(quorum=0.6))
    assert (report.added, report.edited, report.deleted) == (1, 0, 0)
    (new,) = made.labels("objects", "label = 'bus'").to_pylist()
    assert new["bounding_box"] == pytest.approx([0.605, 0.6, 0.2, 0.2])
    assert load(server, made).total == 0


def test_ground_truth_is_what_people_are_measured_against(people: tuple[Server, Server], made: Dataset) -> None:
    server, other = people
    results = annotate(server, made)
    images = by_sample(server, results)
    submit(server, images["s0"], ground_truth=True)
    submit(other, images["s0"], ("bus", NEW))
    found = made.annotation_quality("run", **server.options())
    assert found.truth == "ground truth"
    (row,) = found.annotators.to_pylist()
    assert (row["annotator"], row["labels"], row["correct"]) == (name_of(other), 2, 1)


def test_images_without_the_star_are_no_truth_though_nothing_was_sent_for_them(
    people: tuple[Server, Server], tmp_path: Path
) -> None:
    server, other = people
    made = dataset(tmp_path, labels=[], count=3)
    images = by_sample(server, annotate(server, made))
    submit(server, images["s0"], ("bus", NEW), copied=False, ground_truth=True)
    for name in ("s0", "s1"):
        submit(other, images[name], ("bus", NEW), copied=False)
    load(server, made, which="ground_truth", dest_field="truth")
    made.load_annotations("run", annotator=name_of(other), dest_field="other", progress=False, **server.options())
    (row,) = made.annotation_quality(["other"], truth="truth").annotators.to_pylist()
    assert (row["labels"], row["correct"]) == (1, 1)


def test_of_two_annotations_of_one_person_the_later_one_counts_and_it_is_told(
    people: tuple[Server, Server], made: Dataset
) -> None:
    server, other = people
    results = annotate(server, made)
    image = by_sample(server, results)["s0"]
    submit(other, image, ("bus", NEW))
    submit(other, image, copied=False)
    (receipt,) = results.receipts()
    (answer,) = results.answers_of(receipt)
    assert answer.labels.num_rows == 0
    assert "of several by one person, the one that was changed last counts" in answer.notes[0]


def test_skipped_images_and_people_who_do_not_count_are_no_answers(
    people: tuple[Server, Server], made: Dataset
) -> None:
    server, other = people
    results = annotate(server, made)
    images = by_sample(server, results)
    submit(other, images["s0"], was_cancelled=True)
    submit(server, images["s1"])
    assert results.annotators() == [name_of(server)]
    only = made.load_annotation_results("run", **server.options(), only_annotators=[name_of(other)])
    assert only.annotators() == []
