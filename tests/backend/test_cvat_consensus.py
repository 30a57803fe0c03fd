"""Three people label the same images in CVAT, and an expert some of them: agreement, quality and a consensus of their jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.backend.cvat_cases import HEIGHT, WIDTH
from tests.backend.test_cvat_answers import Work
from tests.contract.cvat_hands import Editor
from tests.cvat_servers import Server

import annobridge as ab

SCHEMA = {"objects": {"type": "detections", "classes": ["car", "person"], "attributes": False}}


class Round:
    """A run with three replicas of its job. The first two people agree on a car; the third calls it a person."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.ds = ab.create_dataset(folder / "ds")
        for n in range(3):
            Image.new("RGB", (WIDTH, HEIGHT), (60 * n, 90, 120)).save(folder / f"{n}.png")
        self.ds.add_samples(ab.Sample(folder / f"{n}.png", sample_id=f"s{n}") for n in range(3))
        self.login = {"url": server.url, "token": server.token, "progress": False}
        self.run = self.ds.annotate("r", label_schema=SCHEMA, backend="cvat", consensus_replicas=3, **self.login)
        self.editor = Editor(server.url, server.token, self.run)
        self.work = Work(self)  # type: ignore[arg-type]
        for number, name, shift in ((1, "car", 0.0), (2, "car", 0.5), (3, "person", 1.0)):
            self.work.draw(number, (0, 3.0 + shift, name), (1, 20.0, "car"))
        self.work.draw(1, (2, 5.0, "car"))  # she alone

    def close(self) -> None:
        self.editor.close()
        self.run.cleanup()


@pytest.fixture
def round_(server: Server, tmp_path: Path) -> Iterator[Round]:
    made = Round(tmp_path, server)
    yield made
    made.close()


def labels(ds: ab.Dataset, field: str = "objects") -> list[tuple[str, str, float]]:
    rows = ds.labels(field).to_pylist()
    return sorted((row["sample_id"], row["label"], round(row["bounding_box"][0] * WIDTH, 3)) for row in rows)


def test_the_consensus_is_loaded_and_what_one_alone_drew_is_left(round_: Round) -> None:
    report = round_.ds.load_annotations("r", consensus=ab.Consensus(), **round_.login)
    assert labels(round_.ds) == [("s0", "car", 3.5), ("s1", "car", 20.0)]
    assert (report.added, report.outcome.left) == (2, 1)
    again = round_.ds.load_annotations("r", **round_.login)
    assert (again.added, again.edited, again.deleted) == (0, 0, 0)


def test_people_are_compared_and_measured_against_the_ground_truth_job(round_: Round) -> None:
    round_.work.truth([0, 1])
    number = len(round_.work.jobs) - 1
    round_.work.draw(number, (0, 3.0, "car"), (1, 20.0, "car"))
    agreement = round_.ds.compare_annotations("r", **_connection(round_))
    assert agreement.annotators == ["replica 1", "replica 2", "replica 3"]
    pair: dict[str, Any] = next(r for r in agreement.pairs.to_pylist() if r["right"] == "replica 3")
    assert (pair["matched"], pair["agreed"]) == (2, 1)
    quality = round_.ds.annotation_quality("r", **_connection(round_))
    assert quality.truth == "ground truth"
    rows = {row["annotator"]: (row["labels"], row["correct"]) for row in quality.annotators.to_pylist()}
    assert rows == {"replica 1": (2, 2), "replica 2": (2, 2), "replica 3": (2, 1)}


def test_each_answer_goes_to_a_field_of_its_own(round_: Round) -> None:
    round_.ds.load_answers("r", **round_.login)
    assert round_.ds.label_fields() == ["objects_replica_1", "objects_replica_2", "objects_replica_3"]
    assert len(labels(round_.ds, "objects_replica_1")) == 3


def _connection(round_: Round) -> dict[str, Any]:
    return {name: round_.login[name] for name in ("url", "token")}
