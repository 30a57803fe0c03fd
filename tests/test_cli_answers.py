"""The commands about several annotators."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import command_line

import annobridge as ab
from annobridge import demo
from annobridge.backend.memory import SERVERS

CAR, BUS = [0.1, 0.1, 0.2, 0.2], [0.6, 0.6, 0.2, 0.2]


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    yield from command_line.isolated(monkeypatch, tmp_path)


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A dataset with a run that alice and bob have answered: bob has deleted a bus."""
    SERVERS.clear()
    place = tmp_path / "data.lancedb"
    ds = ab.create_dataset(place)
    ds.add_samples(
        ab.Sample(
            f"{i}.jpg",
            sample_id=f"s{i}",
            objects=[ab.Detection("car", CAR, label_id=f"car{i}"), ab.Detection("bus", BUS, label_id=f"bus{i}")],
        )
        for i in range(2)
    )
    run = ds.annotate("r", label_schema="objects", backend="memory", progress=False)
    demo.annotator(run, "alice")
    demo.annotator(run, "bob").delete("bus1")
    return str(place)


def test_from_answers_to_a_field(place: str, tmp_path: Path) -> None:
    loaded = command_line.data("load-answers", "r", place)
    assert {name: report["fields"] for name, report in loaded.items()} == {
        "alice": {"objects_alice": {"add": 4, "edit": 0, "delete": 0}},
        "bob": {"objects_bob": {"add": 3, "edit": 0, "delete": 0}},
    }
    names = ["objects_alice", "objects_bob"]
    compared = command_line.data("compare", *names, place, "--html", str(tmp_path / "a.html"))
    assert compared["pairs"][0]["agreed"] == 3
    assert compared["images"][0]["sample_id"] == "s1"
    assert (tmp_path / "a.html").exists()
    merged = command_line.data("merge", *names, place, "--into", "truth", "--consensus", "quorum=0.6", "--key", "m")
    assert merged["fields"]["truth"]["add"] == 3
    measured = command_line.data("quality", *names, "-d", place, "--truth", "truth")
    assert [row["annotator"] for row in measured["annotators"]] == ["objects_bob", "objects_alice"]


def test_a_merge_that_deletes_most_labels_needs_force(place: str) -> None:
    command_line.run("load-answers", "r", place)
    old = [ab.Detection("car", [i / 40, 0.8, 0.02, 0.02]) for i in range(30)]
    ab.load_dataset(place).add_labels("truth", {"s0": old})
    merge = ("merge", "objects_alice", "objects_bob", place, "--into", "truth", "--key", "m")
    refused = command_line.run(*merge)
    assert refused.exit_code == 1
    assert "load with --force" in " ".join(refused.output.split())
    assert command_line.data(*merge, "--force")["fields"]["truth"]["delete"] == 30


def test_they_are_tables_for_people(place: str) -> None:
    assert "bob" in command_line.run("load-answers", "r", place).output
    compared = command_line.run("compare", "r", "-d", place)
    assert compared.exit_code == 0
    assert "1.000" in compared.output
    assert "IoU 0.5" in compared.output
    measured = command_line.run("quality", "objects_alice", "objects_bob", place, "--truth", "objects")
    assert measured.exit_code == 0
    assert "0.750" in measured.output


def test_a_consensus_is_planned_and_loaded(place: str) -> None:
    plan = command_line.run("plan", "r", place, "--consensus", "quorum=0.6")
    assert plan.exit_code == 0, plan.output  # bob's deletion waits for a decision, so that a load would write nothing
    assert "left for a decision" in plan.output.replace("\n", " ")
    assert command_line.run("load", "r", place, "--consensus", "default").exit_code == 0
    only = command_line.data("load", "r", place, "--annotator", "bob", "--dest-field", "by_bob")
    assert only["fields"]["by_bob"]["add"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plan", "r", "--consensus", "quorum=0"), '--consensus "quorum=0.0" is not a share of the annotators'),
        (("plan", "r", "--consensus", "iou=2"), '--consensus "iou=2.0" is not an intersection over union'),
        (("plan", "r", "--consensus", "classes=x"), '--consensus "classes=x" is not known; give one of '),
        (
            ("merge", "objects", "r", "--into", "x", "--consensus", "quorum=2"),
            '--consensus "quorum=2.0" is not a share',
        ),
        (("plan", "r", "--consensus", "quorum=much"), '--consensus "quorum=much" is not a number'),
        (
            ("plan", "r", "--consensus", "votes=2"),
            '--consensus "votes=2" is not known; give "default", "none", "quorum=…", "iou=…", "geometry=…", "classes=…", or',
        ),
        (("plan", "r", "--consensus", "weights=2"), '--consensus "weights=2" is not known'),
        (("plan", "r", "--consensus", "weights.bob=0"), "The weight 0.0 of 'bob' is not a number above 0"),
        (("merge", "objects", "--into", "x"), "There is one answer only, objects"),
        (
            ("merge", "objects", "r", "--into", "x", "--consensus", "none"),
            'leave it out, or give "default", "quorum=…", "iou=…"',
        ),
        (("compare", "objects", "nothing"), "The dataset has no label field and no run 'nothing'"),
        (("quality", "r"), "There is no truth to compare with"),
    ],
)
def test_wrong_calls_are_sentences(place: str, arguments: tuple[str, ...], message: str) -> None:
    result = command_line.run(*arguments, "-d", place)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())
