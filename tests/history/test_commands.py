"""The commands about versions: what they print, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.history.conftest import versions
from typer.testing import CliRunner, Result

import annobridge as ab
from annobridge.cli import app


@pytest.fixture
def uri(ds: ab.Dataset, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("ANNOBRIDGE_DATASET", "FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(Path(ds.uri).parent)
    return Path(ds.uri).name


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result


def data(*arguments: str, code: int = 0) -> Any:
    return json.loads(run(*arguments, "--json", code=code).stdout)


def test_snapshots_are_made_listed_and_deleted(uri, ds):
    assert run("snapshot", "--list", uri).stdout == f"{uri} has no snapshot yet.\n"
    assert run("snapshot", "v1", uri, "--note", "first").stdout == "Made the snapshot v1: 4 samples, 20 labels.\n"
    assert data("snapshot", "v2", "-d", uri)["labels"] == {"lanes": 4, "objects": 8, "speed": 4, "weather": 4}
    assert [s["name"] for s in data("snapshot", "--list", "--dataset", uri)] == ["v1", "v2"]
    table = run("snapshot", "--list", uri).stdout
    assert [line.split()[0] for line in table.splitlines()[2:]] == ["v1", "v2"]
    assert "first" in table
    assert run("snapshot", "--delete", "v1", uri).stdout == "The snapshot v1 is deleted.\n"
    assert data("snapshot", "--delete", "v2", uri) == {"name": "v2", "deleted": True}
    assert ds.list_snapshots() == []


@pytest.mark.parametrize("arguments", [(), ("v1", "--list"), ("v1", "--delete", "v1"), ("--list", "--delete", "v1")])
def test_one_thing_at_a_time(uri, arguments):
    result = run("snapshot", *arguments, "-d", uri, code=64)
    assert "Give the NAME of a new snapshot, --list, or --delete NAME." in result.stderr


def test_a_name_in_use(uri):
    run("snapshot", "v1", uri)
    result = run("snapshot", "v1", uri, code=1)
    assert result.stderr == (
        "Error: There is a snapshot 'v1' already, and it stays as it is; give another name (letters that differ in case only are "
        "not enough), or delete it first with annobridge snapshot --delete v1.\n"
    )
    error = json.loads(run("snapshot", "a b", uri, "--json", code=1).stderr)["error"]
    assert error["kind"] == "InvalidOption"


def test_differences(uri, ds):
    run("snapshot", "v1", uri)
    assert run("diff", "v1", uri).stdout == "v1 to now: nothing differs.\n"
    assert data("diff", "v1", "now", uri)["differ"] is False
    ds.set_labels([{"label_id": "car0", "label": "person"}, {"label_id": "car1", "confidence": 0.5}])
    ds.delete_labels(["sun2"])
    ds.delete_samples(["s3"])
    run("snapshot", "v2", uri)
    shown = run("diff", "v1", "v2", uri, "--rows", "7", code=2).stdout.splitlines()
    assert shown[0] == "v1 to v2: 8 labels differ, samples: +0 ~0 -1"
    assert any(line.split() == ["objects", "0", "2", "2"] for line in shown)
    assert any(line.split() == ["-", "delete", "weather", "sun", "existence", "sun", "sun2", "s2"] for line in shown)
    assert shown[-1] == "… and 1 change more (--rows 8, or --json)."
    found = data("diff", "v1", uri, code=2)
    assert (found["after"], found["deleted"], found["samples"]) == ("now", 6, {"added": 0, "changed": 0, "deleted": 1})
    assert [c["component"] for c in found["changes"]][-2:] == ["label", "confidence"]
    assert (found["changes"][-2]["before"], found["changes"][-2]["after"]) == ('"car"', '"person"')
    assert "There is no snapshot 'v3'" in run("diff", "v1", "v3", uri, code=1).stderr


def test_the_past_of_a_label(uri, ds):
    made = versions(ds)[-1]
    ds.set_labels([{"label_id": "car0", "label": "person"}])
    ds.set_labels([{"label_id": "car0", "tags": ["x"], "bounding_box": [0.5, 0.5, 0.25, 0.25]}])
    rows = data("history", "car0", uri)
    assert [(r["version"], r["action"]) for r in rows] == [(made, "add"), (made + 1, "edit"), (made + 2, "edit")]
    shown = run("history", "car0", uri).stdout.splitlines()
    assert shown[2].split()[3:] == ["add", "existence", "car"]
    assert shown[3].split()[3:] == ["edit", "label", "car", "person"]
    assert "bounding_box: [" in shown[4]
    assert "has a label 'car9'" in run("history", "car9", uri, code=1).stderr


def test_what_is_not_known_is_told(uri, ds):
    run("snapshot", "v1", uri)
    ds.set_labels([{"label_id": "car0", "label": "person"}])
    ds.delete_labels(["car1"])
    run("optimize", uri, "--cleanup-older-than", "0d")
    shown = run("history", "car0", uri).stdout
    assert "unknown" in shown
    assert "were cleaned away, so this may be several changes" in " ".join(shown.split())


def test_clean_up(uri, ds):
    run("snapshot", "v1", uri)
    ds.delete_labels(["car0"])
    assert run("optimize", uri).stdout == "No old version removed.\n"
    assert run("optimize", uri, "--cleanup-older-than", "1.5h").stdout.startswith("No old version removed.\nKept: ")
    found = data("optimize", uri, "--cleanup-older-than", "0d")
    assert found["removed"]["labels"] > 0
    assert [kept["why"] for kept in found["kept"]] == ["the snapshot 'v1'"]


@pytest.mark.parametrize("age", ["x", "14", "d", "-1d", "99999999999d"])
def test_an_age_that_is_none(uri, ds, age):
    before = versions(ds)
    result = run("optimize", uri, f"--cleanup-older-than={age}", code=1)
    assert result.stderr == (
        f"Error: --cleanup-older-than {age!r} is not an age; give a number and a unit, as 14d, 12h or 30m.\n"
    )
    assert versions(ds) == before


def test_an_export_of_a_snapshot(uri, tmp_path):
    ds = ab.create_dataset("sized")
    boxes = [ab.Detection("car", [0.1, 0.1, 0.2, 0.2])]
    ds.add_samples([ab.Sample(f"{n}.jpg", sample_id=f"s{n}", width=64, height=48, objects=boxes) for n in range(2)])
    run("snapshot", "v1", "sized")
    ds.delete_samples(["s1"])
    arguments = ("-d", "sized", "--format", "coco", "--media", "none")
    assert data("export", str(tmp_path / "then"), *arguments, "--at", "v1")["samples"] == 2
    assert data("export", str(tmp_path / "now"), *arguments)["samples"] == 1
    result = run("export", str(tmp_path / "never"), *arguments, "--at", "v9", code=1)
    assert "There is no snapshot 'v9'" in result.stderr
    assert not (tmp_path / "never").exists()
