"""The demo, from start to end: with the memory backend, and with a real Pixano server."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from typer.testing import CliRunner

import annobridge as ab
from annobridge import demo as drawn
from annobridge.cli import app
from annobridge.demo import scenes


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


def demo(*arguments: str) -> Any:
    result = CliRunner().invoke(app, ["demo", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def check(data: dict[str, Any], root: Path) -> None:
    """What holds for every demo with drawn scenes."""
    assert Path(data["folder"]) == root
    counts = {
        name: data["report"][name] for name in ("added", "edited", "deleted", "conflicts", "refused", "unexpected")
    }
    assert counts == {"added": 1, "edited": 4, "deleted": 1, "conflicts": 0, "refused": 0, "unexpected": 0}
    assert (data["again"]["added"], data["again"]["edited"], data["again"]["deleted"]) == (0, 0, 0)
    ds = ab.load_dataset(root / "dataset")
    (car,) = ds.labels(where="label_id = 'street_02.car2'").to_pylist()
    truth = scenes.scenes()[1].thing("car2")
    assert tuple(car["bounding_box"]) == truth.box  # from the tool
    assert {a["name"]: a["value"] for a in car["attributes"]}["colour"] == '"yellow"'  # from here
    for picture in data["pictures"]:
        with Image.open(picture) as image:
            assert image.size[0] > scenes.WIDTH


def test_the_demo_with_the_memory_backend(tmp_path: Path) -> None:
    data = demo("-b", "memory")
    check(data, tmp_path / "annobridge-demo")
    second = demo("-b", "memory")  # a second one has a folder of its own
    assert Path(second["folder"]) == tmp_path / "annobridge-demo-2"


def test_the_output_fits_80_columns() -> None:
    result = CliRunner().invoke(app, ["demo", "-b", "memory"])
    assert result.exit_code == 0
    lines = [line for line in result.stdout.splitlines() if not line.startswith("     ")]  # those are commands
    assert max(map(len, lines)) <= 80
    assert "nothing written yet" in result.stdout
    assert "nothing to change" in result.stdout


@pytest.mark.parametrize("count", [1, 2, 7])
def test_own_images(tmp_path: Path, count: int) -> None:
    (tmp_path / "my photos").mkdir()
    for n in range(count):
        Image.new("RGB", (40 + n, 30), (90, 120, 10 * n)).save(tmp_path / "my photos" / f"{n}.jpg")
    data = demo("-b", "memory", "--images", "my photos")
    assert data["report"]["added"] == 1
    assert data["report"]["edited"] == min(count, 3)
    assert data["report"]["deleted"] == (count > 3)


def test_a_photo_that_cannot_be_read_is_named_before_anything_is_made(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (400, 300), (9, 9, 9)).save(photos / "good.jpg")
    (photos / "empty.jpg").touch()
    result = CliRunner().invoke(app, ["demo", "-b", "memory", "--images", "photos"])
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "Error: Mend or remove what cannot be read, or give --images another folder: The im"
    )
    assert "empty.jpg' is empty (0 bytes)" in result.stderr
    whole = (photos / "good.jpg").read_bytes()
    (photos / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    result = CliRunner().invoke(app, ["demo", "-b", "memory", "--images", "photos"])
    assert result.stderr.count("\n  - The image ") == 2
    assert "cut.jpg" in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["photos"]


def test_own_images_are_not_those_of_an_earlier_demo(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (90, 120, 7)).save(tmp_path / "mine.jpg")
    demo("-b", "memory")
    data = demo("-b", "memory", "--images", ".", "--folder", "mine too")
    again = demo("-b", "memory", "--images", ".")
    for one in (data, again):
        files = ab.load_dataset(Path(one["folder"]) / "dataset").samples(["filepath"]).to_pylist()
        assert [row["filepath"] for row in files] == [str(tmp_path / "mine.jpg")]
    result = CliRunner().invoke(app, ["demo", "-b", "memory", "--images", "annobridge-demo"])
    assert "There is no image below" in result.stderr


def test_bad_arguments_start_nothing(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for arguments, why in [
        (["--folder", "full"], "is not empty"),
        (["-b", "memory", "--open"], "no page to open"),
        (["-b", "nope"], "it can with memory, pixano"),
        (["-b", "memory", "--images", "nowhere"], "There is no folder"),
    ]:
        result = CliRunner().invoke(app, ["demo", *arguments])
        assert result.exit_code == 1
        assert why in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full"]


def test_scenes_are_the_same_each_time_and_their_boxes_inside() -> None:
    one, two = scenes.scenes(3), scenes.scenes(3)
    assert [s.image.tobytes() for s in one] == [s.image.tobytes() for s in two]
    for scene in scenes.scenes():
        for thing in scene.things:
            x, y, w, h = thing.box
            assert min(x, y) >= 0 < min(w, h)
            assert max(x + w, y + h) <= 1


def test_the_drawn_dataset_and_its_corrections(tmp_path: Path) -> None:
    ds = drawn.street(tmp_path / "street")
    assert (len(ds), ds.label_fields()) == (12, ["ground", "objects", "weather"])
    run = ds.annotate("run", label_schema=["objects", "weather"], backend="memory", task_size=4)
    assert len(run.receipts()) == 3
    assert [line.partition(":")[0] for line in drawn.correct(run)] == ["street_02"] * 2 + ["street_05"] * 3 + [
        "street_08"
    ]
    report = ds.load_annotations("run")
    assert (report.added, report.edited, report.deleted) == (1, 4, 1)
    truth = {thing.name: thing for thing in scenes.scenes()[1].things}
    (car,) = ds.labels(where="label_id = 'street_02.car2'").to_pylist()
    assert tuple(car["bounding_box"]) == truth["car2"].box
    run.cleanup()


def test_the_dataset_is_not_drawn_among_files(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ab.StoreError, match="is not empty; remove it, or give another folder"):
        drawn.street(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_labels_in_another_tool_are_not_edited_from_here(tmp_path: Path) -> None:
    ds = drawn.street(tmp_path / "street")
    run = ds.annotate("run", label_field="objects", attributes=False, backend="files", path=str(tmp_path / "files"))
    for edit in (drawn.annotator, drawn.correct):
        with pytest.raises(
            ab.InvalidOption, match="The run 'run' is in files, where people edit .* annotate with backend"
        ):
            edit(run)


def test_what_the_run_does_not_have_cannot_be_edited(tmp_path: Path) -> None:
    ds = drawn.street(tmp_path / "street")
    somebody = drawn.annotator(ds.limit(1).annotate("run", label_field="objects", backend="memory"))
    for edit in (
        lambda: somebody.move("street_05.car1", [0, 0, 0.1, 0.1]),
        lambda: somebody.set_class("street_05.car1", "sign"),
        lambda: somebody.set_attribute("street_05.car1", "occluded", True),
        lambda: somebody.delete("street_05.car1"),
    ):
        with pytest.raises(ab.InvalidOption, match="The run has no label 'street_05.car1' in the memory backend"):
            edit()
    with pytest.raises(ab.InvalidOption, match="The run has no image 'street_05' in the memory backend"):
        somebody.draw("street_05", "car", [0, 0, 0.1, 0.1])
    assert ds.plan_annotations("run").total == 0


def test_the_review_page_decides_what_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody refuses the deletion on the page, and loads from there; the demo goes on."""

    def person(url: str) -> bool:
        threading.Thread(target=refuse_and_load, args=(url,)).start()
        return True

    def refuse_and_load(url: str) -> None:
        with requests.Session() as session:
            session.get(url)
            root = url.partition("?")[0]
            plan = session.get(f"{root}api/plan").json()
            columns = plan["changes"]
            at = columns["kind"].index("delete")
            one = {"change_id": columns["id"][at], "verdict": "refuse", "value": None, "note": "", "rule": None}
            body = {"by": "lea", "decisions": [one | {"bound_to": columns["bound_to"][at]}]}
            session.post(f"{root}api/decisions", json=body).raise_for_status()
            session.post(f"{root}api/load", json={"undecided": "take", "force": False}).raise_for_status()

    monkeypatch.setenv("BROWSER", "a browser")
    monkeypatch.setattr("webbrowser.open", person)
    data = demo("--review")
    assert (data["report"]["added"], data["report"]["edited"], data["report"]["deleted"]) == (1, 4, 0)
    decided = [json.loads(line) for line in (tmp_path / "annobridge-demo" / "decisions.jsonl").read_text().splitlines()]
    assert [(d["verdict"], d["by"]) for d in decided] == [("refuse", "lea")]
    assert ab.load_dataset(tmp_path / "annobridge-demo" / "dataset").count_labels("objects") > 0


@pytest.mark.server
def test_the_demo_with_a_real_server(tmp_path: Path) -> None:
    data = demo("-b", "pixano")
    check(data, tmp_path / "annobridge-demo")
    assert not json.loads(
        CliRunner().invoke(app, ["pixano", "status", "--folder", "annobridge-demo/pixano", "--json"]).stdout
    )["running"]


@pytest.mark.server
def test_open_leaves_the_server_to_the_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from annobridge_pixano.annotator import ScriptedAnnotator

    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    data = demo("-b", "pixano", "--open", "--folder", "it's mine")
    try:
        assert opened == [data["url"]]
        annotator = ScriptedAnnotator(data["url"].partition("/#")[0])
        annotator.rename(data["url"].rpartition("/")[2], "street_01.car1", "sign")
        annotator.close()
        (tmp_path / "elsewhere").mkdir()
        codes = [
            _shell(data["commands"][name], tmp_path / "elsewhere") for name in ("plan", "load", "plan", "undo", "plan")
        ]
        assert codes == [2, 0, 0, 0, 2]
    finally:
        assert _shell(data["commands"]["stop the server"], tmp_path) == 0


def _shell(command: str, folder: Path) -> int:
    return subprocess.run(
        command, shell=True, cwd=folder, capture_output=True, stdin=subprocess.DEVNULL, check=False
    ).returncode
