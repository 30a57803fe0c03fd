"""Reviews of real plans: what is in the dataset afterwards is exactly what was decided."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image
from tests.review.conftest import Client

import annobridge as ab
from annobridge.backend.memory import SERVERS
from annobridge.exceptions import InvalidOption
from annobridge.review.server import ReviewServer

BOX, MOVED = [0.1, 0.2, 0.3, 0.4], [0.2, 0.2, 0.3, 0.4]
URL = "memory://real-plan"


class Street:
    """Three images, each with two cars and a person; in the tool, the cars were moved, the persons deleted, and buses drawn."""

    def __init__(self, folder: Path) -> None:
        for n in range(3):
            Image.new("RGB", (64, 48), (80 * n, 0, 0)).save(folder / f"{n}.png")
        self.ds = ab.create_dataset(folder / "ds")
        self.ds.add_samples(
            ab.Sample(folder / f"{n}.png", f"s{n}", width=64, height=48, objects=[
                ab.Detection("car", BOX, label_id=f"a{n}"), ab.Detection("car", BOX, label_id=f"b{n}"),
                ab.Detection("person", BOX, label_id=f"p{n}"),
            ])
            for n in range(3)
        )  # fmt: skip
        self.ds.annotate("r1", "objects", classes=["car", "person", "bus"], backend="memory", url=URL)
        self.work(self.first_work)

    @staticmethod
    def first_work(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        kept = [row | {"bounding_box": MOVED} for row in rows if not row["label_id"].startswith("p")]
        new = [
            row | {"label_id": None, "remote_id": f"new{row['sample_id']}", "label": "bus"}
            for row in rows if row["label_id"].startswith("a")
        ]  # fmt: skip
        return kept + new

    def work(self, change: Any) -> None:
        """Change the rows in the tool."""
        (task,) = SERVERS[URL].labels
        table = SERVERS[URL].labels[task]
        SERVERS[URL].labels[task] = pa.Table.from_pylist(change(table.to_pylist()), table.schema)

    def state(self) -> dict[str, Any]:
        """Label → its x, and the classes of new ones."""
        rows = self.ds.labels("objects").to_pylist()
        known = {row["label_id"]: row["bounding_box"][0] for row in rows if len(row["label_id"]) == 2}
        return known | {"new": sum(row["label"] == "bus" for row in rows)}


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    yield Street(tmp_path)
    SERVERS.pop(URL)


@pytest.fixture
def open_review(street: Street, tmp_path: Path) -> Iterator[Any]:
    """Start reviews of the current plan."""
    servers: list[ReviewServer] = []

    def start(name: str = "d.jsonl") -> tuple[Client, dict[str, Any]]:
        servers.append(street.ds.plan_annotations("r1").review(tmp_path / name, reviewer="ann"))
        client = Client(servers[-1])
        return client, client.get("api/plan").json()

    yield start
    for server in servers:
        server.stop()


def about(plan: dict[str, Any], label_id: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
    """What a page posts about changes, without the verdict."""
    columns = plan["changes"]
    return [
        {"change_id": i, "bound_to": b}
        for i, b, label, what in zip(
            columns["id"], columns["bound_to"], columns["label_id"], columns["kind"], strict=True
        )
        if label_id in (None, label) and kind in (None, what)
    ]


def load(client: Client, undecided: str) -> dict[str, Any]:
    assert client.post("api/load", {"undecided": undecided, "force": True}).status_code == 202
    for _ in range(1000):
        state = client.get("api/load").json()
        if state["state"] != "running":
            return state
        time.sleep(0.01)
    raise AssertionError("the load does not end")


def test_the_dataset_is_what_was_decided(street, open_review):
    client, plan = open_review()
    assert sorted(plan["changes"]["kind"]) == ["add"] * 3 + ["delete"] * 3 + ["edit"] * 6
    client.decide(*(one | {"verdict": "accept"} for one in about(plan, kind="edit")))
    client.decide(*(one | {"verdict": "refuse"} for one in about(plan, "a1")), by="bob")
    client.decide(*(one | {"verdict": "refuse", "note": "it is there"} for one in about(plan, "p0")))
    client.decide(*(one | {"verdict": "accept"} for one in about(plan, "p1")))
    state = load(client, "leave")
    assert (state["state"], state["error"]) == ("done", None)
    assert state["lines"][0].startswith("Loaded 'r1': +0 ~5 -1")
    assert street.state() == {
        "a0": 0.2, "b0": 0.2, "p0": 0.1, "a1": 0.1, "b1": 0.2, "a2": 0.2, "b2": 0.2, "p2": 0.1, "new": 0,
    }  # fmt: skip
    after = client.get("api/plan").json()
    assert sorted(after["changes"]["kind"]) == ["add"] * 3 + ["delete"] * 2 + ["edit"]
    records = {r["change_id"]: r for r in after["decisions"] if not r["stale"]}
    (refused,) = about(after, "a1")
    assert (records[refused["change_id"]]["verdict"], records[refused["change_id"]]["recorded"]) == ("refuse", True)


def test_what_is_refused_stays_so_until_it_changes_in_the_tool(street, open_review):
    client, plan = open_review()
    client.decide(*(one | {"verdict": "refuse"} for one in about(plan, "a1")))
    load(client, "take")
    assert street.state()["a1"] == 0.1
    again, plan = open_review("other.jsonl")
    (record,) = plan["decisions"]
    assert (record["recorded"], record["seq"], record["by"]) == (True, 0, "ann")
    street.work(lambda rows: [r | {"bounding_box": [0.3, 0.2, 0.3, 0.4]} if r["label_id"] == "a1" else r for r in rows])
    _, plan = open_review("third.jsonl")
    assert [r["stale"] for r in plan["decisions"]] == [True]
    load(again, "take")  # plans again: what was refused is another thing now
    assert street.state()["a1"] == 0.3


def test_a_change_in_the_tool_makes_a_decision_stale_and_it_is_not_applied(street, open_review):
    client, plan = open_review()
    client.decide(*(one | {"verdict": "refuse"} for one in about(plan, "b2")))
    street.work(lambda rows: [r | {"bounding_box": [0.3, 0.2, 0.3, 0.4]} if r["label_id"] == "b2" else r for r in rows])
    state = load(client, "leave")
    assert any("stale" in line for line in state["lines"])
    assert street.state()["b2"] == 0.1  # nobody decided about what is there now
    (record,) = [
        r for r in client.get("api/plan").json()["decisions"] if r["change_id"] == about(plan, "b2")[0]["change_id"]
    ]
    assert record["stale"]


def test_the_file_loads_by_itself(street, open_review, tmp_path):
    client, plan = open_review()
    client.decide(*(one | {"verdict": "refuse"} for one in about(plan, "a0") + about(plan, kind="delete")))
    report = street.ds.load_annotations("r1", decisions=tmp_path / "d.jsonl")
    assert (report.added, report.edited, report.deleted) == (3, 5, 0)
    assert street.state()["a0"] == 0.1


def test_labels_and_pictures(street, open_review, tmp_path):
    client, plan = open_review()
    place = next(n for n, s in enumerate(plan["samples"]) if s["name"] == "1.png")
    assert client.get(f"api/samples/{place}/image").content == (tmp_path / "1.png").read_bytes()
    labels = client.get(f"api/samples/{place}").json()["labels"]
    sides = {(row["label_id"], row["side"]): row["box"] for row in labels}
    assert (sides["a1", "ours"], sides["a1", "theirs"]) == (BOX, MOVED)
    assert ("p1", "ours") in sides
    assert ("p1", "theirs") not in sides


def test_a_sample_that_is_deleted_meanwhile(street, tmp_path):
    plan = street.ds.plan_annotations("r1")
    assert plan.changes.num_rows == 12
    street.ds.delete_samples(["s1"])
    with plan.review(tmp_path / "d.jsonl") as server:
        client = Client(server)
        found = client.get("api/plan").json()
        assert sorted(s["name"] for s in found["samples"]) == ["", "0.png", "2.png"]
        gone = next(n for n, s in enumerate(found["samples"]) if not s["name"])
        assert client.get(f"api/samples/{gone}").status_code == 200
        assert "not there any more" in client.get(f"api/samples/{gone}/image").headers["x-annobridge-placeholder"]


def test_what_is_refused_goes_back_to_the_annotators(open_review):
    client, plan = open_review()
    assert plan["can_send_back"]
    refused = about(plan, "a1")
    client.decide(refused[0] | {"verdict": "refuse", "note": "it was right before"})
    answer = client.post("api/send_back", {"change_ids": [refused[0]["change_id"]] * 2, "note": "see the guide"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["sent"] == 1
    assert answer.json()["text"].startswith("1 refused changes of 'r1' were sent back into the tool")
    nothing = client.post("api/send_back", {"change_ids": [], "note": ""})
    assert (nothing.status_code, nothing.json()["error"][:28]) == (500, "There is nothing to send bac")


def test_a_saved_plan_is_reviewed(street, tmp_path):
    street.ds.plan_annotations("r1").save(tmp_path / "plan.zip")
    with ab.load_plan(tmp_path / "plan.zip", url=URL).review(tmp_path / "d.jsonl") as server:
        client = Client(server)
        plan = client.get("api/plan").json()
        client.decide(*(one | {"verdict": "refuse"} for one in about(plan)))
        assert load(client, "take")["report"]["edited"] == 0
    assert street.state() == {f"{c}{n}": 0.1 for n in range(3) for c in "abp"} | {"new": 0}


def test_decisions_of_another_run(street, open_review, tmp_path):
    client, plan = open_review()
    client.decide(about(plan)[0] | {"verdict": "accept"})
    street.ds.annotate("r2", "objects", backend="memory", url=URL)
    with pytest.raises(InvalidOption, match=r"d\.jsonl:1 is a decision about another run"):
        street.ds.plan_annotations("r2").review(tmp_path / "d.jsonl")
    shutil.copy(tmp_path / "d.jsonl", tmp_path / "r2.jsonl")
    with pytest.raises(InvalidOption, match=r"r2\.jsonl:1 is a decision about another run"):
        street.ds.load_annotations("r2", decisions=tmp_path / "r2.jsonl")
