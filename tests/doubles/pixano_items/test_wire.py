"""How the server and its program answer: the double, and the real one where the environment names it."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from . import servers

SCHEMA = """
from pixano.datasets.workspaces import DefaultVQADatasetItem
from pixano.features import Entity


class Thing(Entity):
    category: str = ""
    parts: list[str] = []


class Sample(DefaultVQADatasetItem):
    weather: str = ""
    objects: list[Thing]
"""
LINES = [
    {"image": "a.png", "weather": "dry", "objects": {"bboxes": [[0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4], [0, 0, 1, 1]],
     "category": ["x", "y", "z"], "parts": [["p"], [], ["q", "r"]]}},
    {"image": "train/b.png", "weather": "wet", "objects": None},
    {"image": "missing.png", "weather": "wet", "objects": None},
]  # fmt: skip


@dataclass
class Wire:
    """One dataset, made by the program."""

    url: str
    program: str
    folder: Path
    name: str
    dataset: str = ""

    def load(self, source: Path, *options: str) -> str:
        schema = f"{source / 'schema.py'}:Sample"
        command = [self.program, "data", "import", str(self.folder), str(source), "--schema", schema, *options]
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, check=False
        )
        return done.stdout + done.stderr

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        answer = requests.request(method, self.url + path, json=body, params=query, timeout=60)
        is_json = "json" in answer.headers["Content-Type"]
        return answer.status_code, answer.json() if is_json else answer.text

    def rows(self, path: str) -> list[Any]:
        status, body = self.call("GET", path)
        assert status == 200, body
        return list(body)


def make(source: Path, lines: list[dict[str, Any]]) -> Path:
    (source / "train").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (64, 48)).save(source / "train" / name)
    (source / "schema.py").write_text(SCHEMA)
    (source / "train" / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return source


@pytest.fixture(scope="module", params=servers.KINDS)
def options(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    with servers.options(request.param, tmp_path_factory.mktemp("wire") / "pixano") as given:
        yield given


@pytest.fixture(scope="module")
def wire(options: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    name = f"Wire {uuid.uuid4().hex[:8]}"
    found = Wire(options["url"], options["executable"], Path(options["folder"]), name)
    output = found.load(make(tmp_path_factory.mktemp("made") / "source", LINES), "--name", name, "--type", "vqa")
    shown = [d for d in found.rows("/datasets/info") if d["name"] == name]
    assert shown, output
    found.dataset = shown[0]["id"]
    yield found
    for home in ("library", "media"):
        shutil.rmtree(found.folder / home / name)


def entity(wire: Wire, key: str, **data: Any) -> dict[str, Any]:
    item = wire.rows(f"/items/{wire.dataset}")[0]["id"]
    none = {"name": "", "id": ""}
    own = {"item_ref": {"name": "item", "id": item}, "view_ref": none, "parent_ref": none, "category": "c", "parts": []}
    info = {"name": "objects", "group": "entities", "base_schema": "Entity"}
    return {"id": key, "table_info": info, "data": {**own, **data}}


def test_an_import_keeps_spaces_guesses_and_skips(wire: Wire) -> None:
    assert (wire.folder / "media" / wire.name / "train" / "a.png").is_file()
    assert (wire.folder / "library" / wire.name / "info.json").is_file()
    items = {i["id"]: i["data"] for i in wire.rows(f"/items/{wire.dataset}")}
    assert sorted(i["weather"] for i in items.values()) == [
        "dry",
        "wet",
        "wet",
    ]  # missing.png is an item without a view
    views = wire.rows(f"/views/{wire.dataset}/image")
    assert sorted(v["data"]["url"] for v in views) == [f"{wire.name}/train/{n}.png" for n in "ab"]
    boxes = {tuple(b["data"]["coords"]): b["data"] for b in wire.rows(f"/annotations/{wire.dataset}/bboxes")}
    assert {k: b["is_normalized"] for k, b in boxes.items()} == {
        (0.1, 0.2, 0.3, 0.4): True, (1, 2, 3, 4): False, (0, 0, 1, 1): True,
    }  # fmt: skip
    assert {b["confidence"] for b in boxes.values()} == {1.0}
    things = {e["data"]["category"]: e["data"]["parts"] for e in wire.rows(f"/entities/{wire.dataset}/objects")}
    assert things == {"x": ["p"], "y": [], "z": ["q", "r"]} | {k: v for k, v in things.items() if k not in "xyz"}


def test_an_import_into_what_is_there_is_refused(wire: Wire, tmp_path: Path) -> None:
    output = wire.load(make(tmp_path / "source", LINES), "--name", wire.name, "--type", "vqa")
    assert "already exists" in output


def test_an_import_without_a_type_asks_and_ends(wire: Wire, tmp_path: Path) -> None:
    name = f"{wire.name} asked"
    wire.load(make(tmp_path / "source", LINES), "--name", name)
    assert not (wire.folder / "library" / name).exists()


def test_texts_that_look_like_dates_fail(wire: Wire, tmp_path: Path) -> None:
    name = f"{wire.name} dates"
    output = wire.load(
        make(tmp_path / "s", [{"image": "a.png", "weather": "2024-01-01"}]), "--name", name, "--type", "vqa"
    )
    assert "ValidationError" in output
    for home in ("library", "media"):
        assert (wire.folder / home / name).exists()  # what it began stays
        shutil.rmtree(wire.folder / home / name)


def test_new_rows(wire: Wire) -> None:
    path = f"/entities/{wire.dataset}/objects"
    assert wire.call("POST", path, [entity(wire, "n1", unknown=1), entity(wire, "n2")])[0] == 200
    kept = {e["id"]: e["data"] for e in wire.rows(path)}
    assert "unknown" not in kept["n1"]
    refused = {
        400: [[entity(wire, "n1")], [entity(wire, "n3"), entity(wire, "n3")], [entity(wire, "")],
              [entity(wire, "n3", category=None)], [entity(wire, "n3", item_ref={"name": "item", "id": "ghost"})]],
        422: [entity(wire, "n3"), [entity(wire, "n 3")]],
        500: [[]],
    }  # fmt: skip
    for status, bodies in refused.items():
        for body in bodies:
            assert wire.call("POST", path, body)[0] == status, body
    missing = entity(wire, "n3")
    del missing["data"]["parts"]
    assert wire.call("POST", path, [missing])[0] == 400
    assert "n3" not in {e["id"] for e in wire.rows(path)}


def test_rows_put(wire: Wire) -> None:
    path = f"/entities/{wire.dataset}/objects"
    assert wire.call("PUT", path, [entity(wire, "p1")])[0] == 200  # an unknown id makes a row
    (made,) = wire.call("GET", path, ids=["p1"])[1]
    assert wire.call("PUT", f"{path}/p1", {**made, "data": {**made["data"], "category": "k"}})[0] == 200
    (kept,) = wire.call("GET", path, ids=["p1"])[1]
    assert (kept["created_at"], kept["data"]["category"]) == (made["created_at"], "k")
    bare = {k: v for k, v in kept.items() if k not in ("created_at", "updated_at")}
    assert wire.call("PUT", f"{path}/p1", {**bare, "updated_at": kept["updated_at"]})[0] == 422
    assert wire.call("PUT", f"{path}/other", bare)[0] == 400
    assert wire.call("PUT", f"{path}/p1", bare)[0] == 200
    assert wire.call("GET", path, ids=["p1"])[1][0]["created_at"] > made["created_at"]


def test_deleting_cascades_nowhere(wire: Wire) -> None:
    path, boxes = f"/entities/{wire.dataset}/objects", f"/annotations/{wire.dataset}/bboxes"
    box = wire.rows(boxes)[0]
    owner = box["data"]["entity_ref"]["id"]
    assert wire.call("DELETE", path, ids=[owner, "nobody"]) == (200, None)
    assert wire.call("DELETE", f"{path}/nobody") == (200, None)
    assert wire.call("DELETE", path)[0] == 422
    assert box["id"] in {b["id"] for b in wire.rows(boxes)}
    assert wire.call("GET", path, ids=[owner])[0] == 404


def test_lists(wire: Wire) -> None:
    items = f"/items/{wire.dataset}"
    ids = [i["id"] for i in wire.rows(items)]
    assert [i["id"] for i in wire.call("GET", items, limit=2)[1]] == ids[:2]
    assert [i["id"] for i in wire.call("GET", items, skip=1, limit=1)[1]] == ids[1:2]
    assert {i["id"] for i in wire.call("GET", items, ids=ids[1:])[1]} == set(ids[1:])
    for query in ({"skip": 99, "limit": 1}, {"ids": ["ghost"]}):
        status, body = wire.call("GET", items, **query)
        assert status == 404
        assert body["detail"].startswith("No rows found for ")
    assert wire.call("GET", items, limit=0)[0] == 400
    assert wire.call("GET", f"/annotations/{wire.dataset}/masks")[0] == 404
    assert wire.call("GET", f"/annotations/{wire.dataset}/multi_paths") == (
        404, {"detail": "Table multi_paths is not in the annotations group table."},
    )  # fmt: skip
    assert wire.call("GET", "/items/ghost")[1]["detail"].startswith("Dataset ghost not found in ")
    assert wire.call("GET", f"/browser/{wire.dataset}", where="nonsense ===")[0] == 500


def test_messages_are_rewritten(wire: Wire) -> None:
    at = entity(wire, "")["data"]
    none = {"name": "", "id": ""}
    base = {
        "item_ref": at["item_ref"],
        "view_ref": none,
        "entity_ref": none,
        "source_ref": none,
        "inference_metadata": {},
    }
    info = {"name": "messages", "group": "annotations", "base_schema": "Message"}
    said = {"number": 0, "user": "u", "timestamp": "0001-01-01T00:00:00", "choices": []}

    def sent(kind: str, asked: str, content: str, **more: Any) -> Any:
        data = {**base, **said, "type": kind, "question_type": asked, "content": content, **more}
        message = {"id": uuid.uuid4().hex, "table_info": info, "data": data}
        status, body = wire.call("POST", f"/annotations/{wire.dataset}/messages", [message])
        return (body[0]["data"]["question_type"], body[0]["data"]["content"]) if status == 200 else status

    assert sent("QUESTION", "OPEN", "which?", choices=["a"]) == ("MULTI_CHOICE", "which?")
    assert sent("question", "multi_choice", "which?") == ("OPEN", "which?")
    assert sent("ANSWER", "OPEN", "[[A,B]] why") == ("OPEN", "[[A,B]] why")
    assert sent("ANSWER", "MULTI_CHOICE", "[[A;B]] why") == ("MULTI_CHOICE", "[[A;B]] why")
    assert sent("ANSWER", "MULTI_CHOICE", "[[A,B]] why") == ("MULTI_CHOICE", "[[]] ")
    assert sent("ANSWER", "SINGLE_CHOICE_EXPLANATION", "[[A]]") == 400
    assert sent("ANSWER", "OPEN", "x", choices=["a"]) == 400
