"""The command line: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import typer
from PIL import Image
from tests.command_line import MEMORY, URL, data, isolated, run
from tests.formats.label_files import packed

import annobridge as ab
from annobridge.backend.memory import SERVERS
from annobridge.cli import COMMANDS, app, root

_isolated = pytest.fixture(autouse=True)(isolated)


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """A dataset of four images, each with a car and a person."""
    ds = ab.create_dataset(tmp_path / "street dataset")
    box = [0.1, 0.2, 0.3, 0.4]
    ds.add_samples(
        ab.Sample(f"/img/{n}.jpg", f"s{n}", split="a" if n < 2 else "b", objects=[
            ab.Detection("car", box, label_id=f"c{n}", parked=False), ab.Detection("person", box, label_id=f"p{n}"),
        ])
        for n in range(4)
    )  # fmt: skip
    return ds.uri


def send(uri: str, *arguments: str) -> Any:
    return data("annotate", "r1", "-d", uri, "--field", "objects", "-b", "memory", *MEMORY, *arguments)


def work(which: str = "c0", **changes: Any) -> None:
    """Edit a label in the tool (the car of the first image), as a person would."""
    server = SERVERS[URL]
    (task,) = server.labels
    rows = server.labels[task].to_pylist()
    row = next(r for r in rows if r["label_id"] == which)
    row.update(changes)
    server.labels[task] = pa.Table.from_pylist(rows, server.labels[task].schema)


# --- data and settings ----------------------------------------------------------------------------------------------


def test_help_names_every_command_and_imports_no_store() -> None:
    slow = {"lancedb", "pyarrow", "lance", "pydantic", "numpy"}
    code = f"import sys, annobridge.cli; print(sorted({slow} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    result = run("--help")
    assert result.exit_code == 0
    commands = (
        "demo datasets info import doctor annotate runs status plan review load undo send-back resume abort cleanup rename forget "
        "backends config login"
    )
    assert all(f" {name} " in result.stdout for name in [*commands.split(), "pixano"])


def test_help_of_every_command_fits_80_columns() -> None:
    for name in ("demo", "annotate", "plan", "load", "pixano", "login"):
        result = run(name, "--help")
        assert result.exit_code == 0
        assert max(map(len, result.stdout.splitlines())) <= 80


def test_import_makes_a_dataset_and_adds_to_it(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "photos" / "a b.png")
    target = str(tmp_path / "new")
    assert data("import", str(tmp_path / "photos"), target, "--tag", "x")["samples"] == 1
    Image.new("RGB", (8, 6)).save(tmp_path / "photos" / "c.png")
    assert run("import", str(tmp_path / "photos"), target).exit_code == 1
    again = data("import", str(tmp_path / "photos"), target, "--mode", "add")
    assert (again["samples"], again["known"]) == (1, 1)
    assert data("info", "-d", target)["samples"] == 2
    assert [d["name"] for d in data("datasets", str(tmp_path))] == ["new"]


def test_what_import_says_is_said_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "in" / "a.png")
    boxes = {"bbox": [[0, 0, 4, 4], [0, 0, 2, 2]], "categories": [0, 1]}
    (tmp_path / "in" / "metadata.jsonl").write_text(json.dumps({"file_name": "a.png", "objects": boxes}))
    told = run("import", str(tmp_path / "in"), str(tmp_path / "a"), "--classes", "car, dog").stdout
    assert "[x, y, width, height]" in told.replace("\n", " ")
    fields = data("info", "-d", str(tmp_path / "a"))["fields"]
    assert fields[0]["classes"] == ["car", "dog"]
    run("import", str(tmp_path / "in"), str(tmp_path / "b"), "--classes", "text")
    assert data("info", "-d", str(tmp_path / "b"))["fields"][0]["classes"] == ["0", "1"]
    assert (
        run(
            "export", str(tmp_path / "out"), "-f", "folder", "--dialect", "file_name", "-d", str(tmp_path / "a")
        ).exit_code
        == 0
    )
    assert (tmp_path / "out" / "metadata.jsonl").is_file()


def test_a_failed_import_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("import", str(tmp_path / "empty"), str(tmp_path / "new"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no image" in result.stderr
    assert not (tmp_path / "new").exists()


def test_import_refuses_a_folder_that_is_something_else(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    result = run("import", str(tmp_path), str(tmp_path))
    assert result.exit_code == 1
    assert "There is something at" in result.stderr


def test_info_tells_fields_and_classes(uri: str) -> None:
    (field,) = data("info", "-d", uri)["fields"]
    assert (field["field"], field["types"], field["labels"]) == ("objects", ["detections"], 8)
    assert (field["classes"], field["attributes"]) == (["car", "person"], {"parked": ["bool"]})
    assert "detections" in run("info", "-d", uri).stdout


def test_the_dataset_may_come_from_the_environment_or_the_folder(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOBRIDGE_DATASET", uri)
    assert data("info")["samples"] == 4
    monkeypatch.delenv("ANNOBRIDGE_DATASET")
    monkeypatch.chdir(uri)
    assert data("info")["samples"] == 4


def test_no_dataset_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("runs")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert "--dataset" in result.stderr


def test_config_gives_each_value_with_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOBRIDGE_PIXANO_URL", "http://127.0.0.1:1")
    rows = {(r["backend"], r["option"]): r for r in data("config")}
    assert rows["pixano", "url"]["origin"] == "environment ANNOBRIDGE_PIXANO_URL"
    assert rows["", "default_backend"]["origin"] == "default"
    assert "http://127.0.0.1:1" in run("config").stdout


def test_a_variable_that_a_backend_reads_itself_is_no_option(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOBRIDGE_PIXANO_ENV", "/somewhere")
    assert not [r for r in data("config") if r["option"] == "env"]
    monkeypatch.setenv("ANNOBRIDGE_PIXANO_URL", "http://127.0.0.1:1")
    assert "refuses connections" in run("annotate", "r1", "-d", uri, "--field", "objects", "-b", "pixano").stderr


def test_config_prints_the_schema_of_its_file() -> None:
    assert "backends" in data("config", "--schema")["properties"]


def test_config_lists_all_that_is_wrong_after_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".annobridge").write_text('[backends.pixano]\ntimeout = "soon"\ntiemout = 3\n')
    monkeypatch.setenv("ANNOBRIDGE_MEMORY_TASK_SIZE", "0")
    result = run("config")
    assert result.exit_code == 1
    assert "soon" in result.stdout
    assert result.stderr.splitlines()[0] == "Error: Something is wrong with these settings; correct what is named:"
    for words in (
        "memory cannot use task_size (environment ANNOBRIDGE_MEMORY_TASK_SIZE): ",
        "pixano has no option 'tiemout' (~/.annobridge line 3); did you mean 'timeout'?",
        "pixano cannot use timeout (~/.annobridge line 2): ",
    ):
        assert f"\n  - {words}" in result.stderr
    assert "timeout" in {row["option"] for row in data("config", code=1)}
    (tmp_path / ".annobridge").write_text('[backends.pixano]\ntimeout = "so')
    assert "line 2, at 'timeout'" in run("config").stderr


def test_backends_tell_what_they_can() -> None:
    rows = {r["name"]: r for r in data("backends")}
    assert "detections" in rows["pixano"]["label_types"]
    assert rows["pixano"]["default"]
    assert "skeletons" in run("backends").stdout


def test_login_needs_a_backend_with_credentials() -> None:
    assert "needs no credentials" in run("login", "memory").stderr
    assert "did you mean 'pixano'" in run("login", "pixanno").stderr


# --- runs -----------------------------------------------------------------------------------------------------------


def test_from_annotate_to_undo(uri: str) -> None:
    sent = send(uri)
    assert sent["samples"] == 4
    assert sent["next"] is None
    assert data("plan", "r1", "-d", uri, *MEMORY)["pending"] is False
    work(label="person", bounding_box=[0.1, 0.1, 0.1, 0.1])
    plan = data("plan", "r1", "-d", uri, *MEMORY, code=2)
    assert plan["pending"]
    (change,) = plan["changes"]
    assert change["what"] == "car → person; [0.10 0.20 0.30 0.40] → [0.10 0.10 0.10 0.10]"
    assert (change["file"], sorted(change["components"])) == ("0.jpg", ["label", "spatial"])
    report = data("load", "r1", "-d", uri, *MEMORY)
    assert (report["edited"], report["added"], report["deleted"]) == (1, 0, 0)
    assert data("plan", "r1", "-d", uri, *MEMORY)["edited"] == 0
    assert data("undo", "r1", "-d", uri)["taken_back"] == {"add": 0, "edit": 1, "delete": 0}


def test_decisions_come_from_a_file(uri: str, tmp_path: Path) -> None:
    send(uri)
    work(label="person")
    work("p1", label="car")
    plan = ab.load_dataset(uri).plan_annotations("r1", url=URL)
    plan.decide("label_id = 'c0'", "refuse", note="no", by="alice")
    plan.decide("label_id = 'p1'", "accept", by="alice")
    (row,) = plan.decisions.slice(0, 1).to_pylist()
    file = tmp_path / "decisions.jsonl"
    file.write_text(json.dumps(row | {"at": row["at"].isoformat()}) + "\n")
    chosen = ("r1", "-d", uri, *MEMORY, "--decisions", str(file))
    assert data("plan", *chosen, code=2)["edited"] == 1
    assert data("load", *chosen, "--undecided", "leave")["edited"] == 0
    printed = run("load", *chosen).output
    assert "refused by alice: no" in printed
    assert data("load", *chosen)["decided"] == {"looked_at": 0, "by_rule": 0}
    file.write_text(f"{file.read_text()}nonsense\n")
    result = run("load", *chosen)
    assert result.exit_code == 1
    assert "decisions.jsonl:2" in result.output.replace("\n", "")


def test_fields_are_protected(uri: str) -> None:
    send(uri)
    work(label="person")
    assert data("protect", "-d", uri)["protections"] == {}
    assert data("protect", "--field", "obj*", "-d", uri)["protections"] == {"obj*": "required"}
    result = run("load", "r1", "-d", uri, *MEMORY)
    assert result.exit_code == 1
    assert "leave them for later with --undecided leave" in " ".join(result.output.split())
    assert "obj*" in run("protect", "-d", uri).output
    assert run("protect", "--remove", "-d", uri).exit_code == 64
    assert data("protect", "--field", "obj*", "--remove", "-d", uri)["protections"] == {}
    assert data("load", "r1", "-d", uri, *MEMORY)["edited"] == 1


def test_people_read_tables_of_80_columns(uri: str) -> None:
    send(uri)
    work(label="person")
    results = [
        run("plan", "r1", "-d", uri, *MEMORY),
        run("load", "r1", "-d", uri, *MEMORY),
        run("status", "r1", "-d", uri, *MEMORY),
    ]
    assert [r.exit_code for r in results] == [2, 0, 0]
    for result in [*results, run("runs", "-d", uri), run("undo", "r1", "-d", uri), run("info", "-d", uri)]:
        assert result.stdout.strip()
        assert max(map(len, result.stdout.splitlines())) <= 80
    assert "car → person" in results[0].stdout
    assert "nothing written yet" in results[0].stdout


def test_annotate_takes_a_part_and_a_new_field(uri: str) -> None:
    more = ("--where", "split = 'b'", "--limit", "1", "-b", "memory", *MEMORY)
    sent = data("annotate", "r2", "-d", uri, "--field", "boxes", "--type", "detection", "--classes", "bus, tram", *more)
    assert sent["samples"] == 1
    assert sent["label_schema"]["boxes"]["classes"] == ["bus", "tram"]


@pytest.mark.parametrize("name", ["schema.json", "schema.toml"])
def test_a_schema_may_be_a_file(uri: str, tmp_path: Path, name: str) -> None:
    text = {"schema.json": '{"objects": {"classes": ["car"]}}', "schema.toml": '[objects]\nclasses = ["car"]\n'}[name]
    (tmp_path / name).write_text(text)
    sent = data("annotate", "r1", "-d", uri, "--schema", str(tmp_path / name), "-b", "memory", *MEMORY)
    assert sent["label_schema"]["objects"]["classes"] == ["car"]


@pytest.mark.parametrize(("text", "why"), [(None, "cannot be read"), ("{", "not well formed")])
def test_a_bad_schema_file_is_one_sentence(uri: str, tmp_path: Path, text: str | None, why: str) -> None:
    file = tmp_path / "schema.json"
    if text:
        file.write_text(text)
    result = run("annotate", "r1", "-d", uri, "--schema", str(file), "-b", "memory")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert why in result.stderr


def test_options_go_to_the_backend(uri: str) -> None:
    assert len(send(uri, "-o", "task_size=2")["tasks"]) == 2
    unknown = run("annotate", "r2", "-d", uri, "--field", "objects", "-b", "memory", "-o", "taks_size=2")
    assert "did you mean 'task_size'" in unknown.stderr
    bare = run("annotate", "r2", "-d", uri, "--field", "objects", "-b", "memory", "-o", "size")
    assert "NAME=VALUE" in bare.stderr


def test_unexpected_labels_need_a_choice(uri: str) -> None:
    send(uri)
    work(label="spaceship")
    assert data("plan", "r1", "-d", uri, *MEMORY, code=2)["unexpected"] == 1
    planned = run("plan", "r1", "-d", uri, *MEMORY)
    assert (planned.exit_code, "1 outside the schema: not decided" in planned.stdout) == (2, True)
    told = " ".join(planned.stdout.split())
    assert "A plain load would stop (on a terminal, ask), as nobody said what to do with what is outside" in told
    assert "Choose --unexpected keep | ignore | return | TYPE=FIELD." in told
    assert data("plan", "r1", "-d", uri, *MEMORY, "--unexpected", "ignore")["stop"] is None
    stopped = run("load", "r1", "-d", uri, *MEMORY)
    assert stopped.exit_code == 1
    assert "there is no terminal to ask on" in stopped.stderr
    assert "--unexpected keep" in stopped.stderr
    kept = data("load", "r1", "-d", uri, *MEMORY, "--unexpected", "return")
    assert [f["label"] for f in kept["findings"]["unexpected"]] == ["spaceship"]


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("keep", "1 outside the schema: kept"),
        ("ignore", "1 outside the schema: left out"),
        ("detections=others", "1 outside the schema: detections go to others, others are left out"),
    ],
)
def test_a_load_says_what_became_of_the_unexpected(uri: str, choice: str, words: str) -> None:
    send(uri)
    work(label="spaceship")
    assert words in run("load", "r1", "-d", uri, *MEMORY, "--unexpected", choice).stdout


def test_findings_name_the_files_of_the_rows_that_are_shown(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    send(uri)
    for label_id in ("c0", "c1", "c2"):
        work(label_id, label="spaceship")
    asked: list[list[str]] = []
    select = ab.Dataset.select
    monkeypatch.setattr(ab.Dataset, "select", lambda ds, ids: (asked.append(list(ids)), select(ds, ids))[1])
    result = run("plan", "r1", "-d", uri, *MEMORY, "--rows", "2")
    assert asked == [["s0", "s1"]]
    assert [row.split()[-1] for row in result.stdout.splitlines() if "spaceship" in row] == ["0.jpg", "1.jpg"]
    found = data("plan", "r1", "-d", uri, *MEMORY, code=2)["findings"]["unexpected"]
    assert [(f["file"], f["sample_id"]) for f in found] == [("0.jpg", "s0"), ("1.jpg", "s1"), ("2.jpg", "s2")]


def test_the_address_of_the_editor_can_be_copied(uri: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    url = f"http://127.0.0.1:7492/#/dataset/{'x' * 90}/item/0123456789"
    monkeypatch.setattr("annobridge.backend.memory.MemoryBackend.editor_url", lambda *_: url)
    monkeypatch.setattr("annobridge.backend.memory.MemoryBackend.in_process", False)
    sent = run("annotate", "r1", "-d", uri, "--field", "objects", "-b", "memory", *MEMORY)
    for result in (sent, run("status", "r1", "-d", uri, *MEMORY), run("resume", "r1", "-d", uri, *MEMORY)):
        assert f"Work on it at {url}\n" in result.stdout
    assert any(line.endswith(f"annobridge plan r1 -d '{uri}' -o {MEMORY[1]}") for line in sent.stdout.splitlines())
    ab.load_dataset(uri).load_annotation_results("r1").print_status()
    assert f"Work on it at {url}\n" in capsys.readouterr().out


def test_conflicts_are_listed(uri: str) -> None:
    send(uri)
    work(label="person")
    ab.load_dataset(uri).set_labels([{"label_id": "c0", "label": "person2"}])
    result = run("plan", "r1", "-d", uri, *MEMORY, "--conflicts", "ours")
    assert result.exit_code == 0
    assert "1 conflict\n" in result.stdout
    assert "0.jpg" in result.stdout
    assert run("load", "r1", "-d", uri, *MEMORY, "--conflicts", "fail").exit_code == 1


def test_another_field_may_take_the_work(uri: str) -> None:
    send(uri)
    work(label="person")
    assert data("load", "r1", "-d", uri, *MEMORY, "--dest-field", "checked")["fields"]["checked"]
    assert [f["field"] for f in data("info", "-d", uri)["fields"]] == ["checked", "objects"]


def test_abort_and_cleanup_ask_first(uri: str) -> None:
    send(uri)
    for verb in ("cleanup", "abort"):
        refused = run(verb, "r1", "-d", uri, *MEMORY)
        assert refused.exit_code == 1
        assert "--yes" in refused.stderr
        assert data("runs", "-d", uri)
    assert data("cleanup", "r1", "-d", uri, *MEMORY, "--yes")["cleaned"]
    assert not SERVERS[URL].labels
    assert data("abort", "r1", "-d", uri, *MEMORY, "--yes")["aborted"]
    assert data("runs", "-d", uri) == []


def test_forget_asks_first_and_leaves_labels_and_tasks(uri: str) -> None:
    send(uri)
    refused = run("forget", "r1", "-d", uri)
    assert refused.exit_code == 1
    assert "There is no terminal to answer on; give --yes if that is meant." in refused.stderr
    assert data("runs", "-d", uri)
    assert data("forget", "r1", "-d", uri, "--yes") == {"anno_key": "r1", "forgotten": True}
    assert data("runs", "-d", uri) == []
    assert SERVERS[URL].labels
    assert data("info", "-d", uri)["fields"][0]["labels"] == 8
    assert "There is no annotation run 'r1'" in run("forget", "r1", "-d", uri, "--yes").stderr


def test_rename_gives_a_run_another_key(uri: str) -> None:
    send(uri)
    assert data("rename", "r1", "round_1", "-d", uri) == {"anno_key": "round_1", "was": "r1"}
    assert [r["anno_key"] for r in data("runs", "-d", uri)] == ["round_1"]
    assert "is not a name" in run("rename", "round_1", "round 1", "-d", uri).stderr
    taken = run("rename", "round_1", "round_1", "-d", uri)
    assert taken.exit_code == 1
    assert "is in use" in taken.stderr
    assert run("rename", "round_1", "r2", "-d", uri).stdout == "round_1 is r2 now.\n"


def test_resume_of_a_sent_run_is_harmless(uri: str) -> None:
    send(uri)
    assert data("resume", "r1", "-d", uri, *MEMORY)["state"] == "sent"


def test_load_may_clean_up(uri: str) -> None:
    send(uri)
    data("load", "r1", "-d", uri, *MEMORY, "--cleanup")
    assert not SERVERS[URL].labels


@pytest.fixture
def edited(uri: str, tmp_path: Path) -> Path:
    """An export of the dataset as COCO, in which the car of the first image became a person; as a zip."""
    desk = ab.load_dataset(shutil.copytree(uri, tmp_path / "desk"))
    for n in range(4):
        Image.new("RGB", (100, 50)).save(tmp_path / f"{n}.jpg")
    sizes = [(f"s{n}", 100, 50) for n in range(4)]
    desk.stores.samples.set_sizes([name for name, *_ in sizes], np.array([size for _, *size in sizes]))
    desk.set_labels(pa.table({"label_id": ["c0"], "label": ["person"]}))
    desk.set_labels(pa.table({"label_id": ["p1"], "bounding_box": [[0.5, 0.5, 0.1, 0.1]]}))
    ab.export_dataset(desk, tmp_path / "out", format="coco", save_media=False)
    return packed(tmp_path / "out", tmp_path / "export.zip")


@pytest.fixture
def measured(uri: str) -> str:
    """The dataset, whose images have sizes."""
    ab.load_dataset(uri).stores.samples.set_sizes([f"s{n}" for n in range(4)], np.array([[100, 50]] * 4))
    return uri


def test_a_file_may_take_the_place_of_the_tool(measured: str, edited: Path) -> None:
    send(measured)
    plan = data("plan", "r1", "-d", measured, "--path", str(edited), code=2)
    assert (plan["added"], plan["edited"], plan["deleted"]) == (1, 1, 1)
    assert any(note.endswith("export.zip' as a COCO dataset.") for note in plan["notes"])
    shown = run("plan", "r1", measured, "--path", str(edited), "-f", "coco", "-o", "files=*.json")
    assert shown.exit_code == 2
    assert "Plan of r1: 3 changes, nothing written yet" in shown.stdout
    loaded = data("load", "r1", measured, "--path", str(edited), "--format", "coco", "-o", "max_files=10")
    assert (loaded["added"], loaded["edited"], loaded["deleted"]) == (1, 1, 1)
    assert data("load", "r1", measured, "--path", str(edited))["version"] is None
    assert "there was nothing to change" in run("load", "r1", measured, "--path", str(edited)).stdout
    assert data("undo", "r1", measured)["taken_back"] == {"add": 1, "edit": 1, "delete": 1}


def test_what_is_wrong_with_a_file_is_said_in_options(measured: str, edited: Path, tmp_path: Path) -> None:
    send(measured)

    def error(*arguments: str) -> str:
        result = run("load", "r1", "-d", measured, *arguments)
        assert result.exit_code == 1
        return " ".join(result.stderr.split())

    path = ("--path", str(edited))
    assert "--format coco is the format of a file; give its --path, too." in error("--format", "coco")
    assert "--cleanup removes the tasks from the tool" in error(*path, "--cleanup")
    assert "remove them with annobridge cleanup when" in error(*path, "--cleanup")
    assert "has no option 'url'" in error(*path, *MEMORY)
    assert "There is no format 'cooc'; did you mean 'coco'" in error(*path, "-f", "cooc")
    assert "There is no file or folder" in error("--path", str(tmp_path / "nowhere.zip"))
    (tmp_path / "x.bin").write_text("hello")
    assert "was not recognised; say which it is with --format, one of" in error("--path", str(tmp_path / "x.bin"))


# --- errors, and plug-ins -------------------------------------------------------------------------------------------


def test_an_error_is_one_sentence_and_debug_shows_where(uri: str) -> None:
    result = run("plan", "nope", "-d", uri)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: There is no annotation run 'nope'; there is none.\n"
    assert isinstance(run("plan", "nope", "-d", uri, "--debug").exception, ab.RunNotFound)


@pytest.mark.parametrize(
    "arguments", [["plan"], ["plan", "r1", "--typo"], ["annotate", "r1", "--limit", "0"], ["plann"], ["--typo"], []]
)
def test_wrong_usage_has_an_exit_code_of_its_own(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.output.strip() != "") == (64, True)
    told = run(*arguments, "--json")
    assert (told.exit_code, told.stdout) == (64, "")
    error = json.loads(told.stderr)["error"]
    assert error["kind"] == "UsageError"
    assert error["message"]


def test_errors_are_json_where_the_answer_would_be(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("plan", "nope", "-d", uri, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    message = "There is no annotation run 'nope'; there is none."
    assert json.loads(result.stderr) == {"error": {"kind": "RunNotFound", "message": message}}
    unasked = run("forget", "nope", "-d", uri, "--json")
    assert json.loads(unasked.stderr)["error"]["kind"] == "RunNotFound"
    monkeypatch.setenv("ANNOBRIDGE_FOO", "1")
    broken = run("config", "--json")
    assert (broken.exit_code, json.loads(broken.stdout)[0]["option"]) == (1, "default_backend")
    assert "ANNOBRIDGE_FOO" in json.loads(broken.stderr)["error"]["message"]


@pytest.mark.parametrize("order", [("r1", "DATASET"), ("DATASET", "r1")])
def test_the_dataset_may_stand_without_its_option(uri: str, order: tuple[str, str]) -> None:
    send(uri)
    words = [uri if word == "DATASET" else word for word in order]
    assert data("plan", *words, *MEMORY)["anno_key"] == "r1"
    assert data("status", *words, *MEMORY)["anno_key"] == "r1"
    assert data("info", uri)["samples"] == 4
    assert data("runs", uri)[0]["anno_key"] == "r1"
    assert data("rename", "r1", "r2", uri) == {"anno_key": "r2", "was": "r1"}


def test_a_dataset_that_is_given_twice_must_be_one(uri: str, tmp_path: Path) -> None:
    assert data("info", uri, "-d", uri)["samples"] == 4
    twice = run("info", uri, "-d", str(tmp_path / "other"))
    assert twice.exit_code == 64
    assert "given twice" in " ".join(twice.stderr.replace("│", " ").split())
    assert run("plan", uri).exit_code == 64


def test_keys_that_are_folders_are_keys(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r1").mkdir()
    Path(uri).rename("street")
    assert data("annotate", "r1", "street", "--field", "objects", "-b", "memory", *MEMORY)["anno_key"] == "r1"
    assert "There is no folder 'nowhere'" in run("plan", "r2", "nowhere").stderr


def test_every_command_has_an_example_that_can_be_run() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    examples = {name: example for section in COMMANDS.values() for name, (_, example) in section.items()}
    assert set(examples) == set(commands)
    for name, example in examples.items():
        assert " ".join(example.split()) in " ".join(run(name, "--help").stdout.split())
        program, verb, *arguments = shlex.split(example)
        assert (program, verb) == ("annobridge", name)
        commands[name].make_context(name, arguments)  # raises for an argument or option that is not there


def test_annotate_has_the_permissions_of_the_library(uri: str) -> None:
    flags = ("additions", "deletions", "label-edits", "index-edits", "spatial-edits")
    sent = send(uri, *(f"--no-allow-{flag}" for flag in flags), "--attributes", "parked")
    field = sent["label_schema"]["objects"]
    assert {name for name in field if name.startswith("allow_")} == {f"allow_{f.replace('-', '_')}" for f in flags}
    assert not any(field[name] for name in field if name.startswith("allow_"))
    assert list(field["attributes"]) == ["parked"]
    assert run("annotate", "r2", uri, "--field", "objects", "--attributes", "typo", "-b", "memory").exit_code == 1
    none = data("annotate", "r3", uri, "--field", "objects", "--attributes", "none", "-b", "memory")
    assert not none["label_schema"]["objects"].get("attributes")


@pytest.mark.parametrize(
    ("filters", "samples", "labels"),
    [
        (("--sample", "s0", "--sample", "s3"), 2, 4),
        (("--where", "split = 'a'", "--limit", "1"), 1, 2),
        (("--match-labels", "objects=label_id = 'c1'"), 1, 2),
        (("--filter-labels", "objects=label = 'car'"), 4, 4),
        (("--tag", "nobody"), 0, 0),
    ],
)
def test_annotate_sends_what_the_filters_leave(uri: str, filters: tuple[str, ...], samples: int, labels: int) -> None:
    result = run("annotate", "r1", uri, "--field", "objects", "-b", "memory", *MEMORY, *filters, "--json")
    if not samples:
        assert result.exit_code == 1
        return
    assert json.loads(result.stdout)["samples"] == samples
    assert sum(table.num_rows for table in SERVERS[URL].labels.values()) == labels


def test_a_part_of_a_plan_can_be_listed(uri: str) -> None:
    send(uri)
    work("c0", label="person")
    work("c1", bounding_box=[0.1, 0.1, 0.1, 0.1])
    server = SERVERS[URL]
    (task,) = server.labels
    server.labels[task] = server.labels[task].filter(pc.not_equal(server.labels[task]["label_id"], "p2"))

    def ids(*arguments: str) -> list[str]:
        found = data("plan", "r1", uri, *MEMORY, *arguments, code=2)
        assert (found["edited"], found["deleted"], found["chosen"]) == (2, 1, len(found["changes"]))
        return [change["label_id"] for change in found["changes"]]

    assert ids() == ["p2", "c0", "c1"]
    assert ids("--action", "delete") == ["p2"]
    assert ids("--class", "person") == ["p2", "c0"]
    assert ids("--class", "car", "--action", "edit") == ["c0", "c1"]
    assert ids("--sample", "s1") == ids("--sample", "1.jpg") == ["c1"]
    assert ids("--field", "nothing") == []
    found = data("plan", "r1", uri, *MEMORY, code=2)
    assert {"field": "objects", "before": "car", "after": "person", "labels": 1} in found["classes"]
    assert {"field": "objects", "before": "person", "after": None, "labels": 1} in found["classes"]
    assert {"sample_id": "s0", "delete": 0, "edit": 1, "add": 0, "file": "0.jpg"} in found["samples"]
    lines = run("plan", "r1", uri, *MEMORY).stdout.splitlines()
    assert any(line.split() == ["objects", "car", "person", "1"] for line in lines)
    assert run("plan", "r1", uri, *MEMORY, "--action", "move").exit_code == 64


def test_samples_are_told_by_their_path_in_the_dataset(tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "set")
    box = [0.1, 0.2, 0.3, 0.4]
    ds.add_samples(
        ab.Sample(f"/img/{part}/0.jpg", part, objects=[ab.Detection("car", box, label_id=f"{part}-0123456789")])
        for part in ("a", "b")
    )
    data("annotate", "r1", ds.uri, "--field", "objects", "--classes", "car,bus", "-b", "memory", *MEMORY)
    work("b-0123456789", label="bus")
    (row,) = [
        line for line in run("plan", "r1", ds.uri, *MEMORY).stdout.splitlines() if "edit" in line and "0.jpg" in line
    ]
    assert row.split()[-2:] == ["b-012345", "b/0.jpg"]


def test_completion_is_offered() -> None:
    assert "--install-completion" in run("--help").stdout
    env = {**os.environ, "_ANNOBRIDGE_COMPLETE": "complete_bash", "COMP_WORDS": "annobridge pl", "COMP_CWORD": "1"}
    code = "from annobridge.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert done.stdout.split() == ["plan"]


def test_sigterm_ends_a_command_and_its_temporary_files(tmp_path: Path) -> None:
    code = (
        "import annobridge.store.tables, time, os, signal\n"
        "from annobridge.cli import main\n"
        "from annobridge.cli.commands import datasets\n"
        "from annobridge.spill import streams, temporary\n"
        "def open_dataset(uri):\n"
        "    with temporary.folder() as folder:\n"
        "        rows = streams.Streams({})\n"
        "        print(len(os.listdir(os.environ['TMPDIR'])), flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(60)\n"
        "datasets.open_dataset = open_dataset\n"
        "import sys; sys.argv = ['annobridge', 'info']\n"
        "main()\n"
    )
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (143, "2\n", "")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_exits_with_130(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("annobridge.dataset.load_dataset", interrupted)
    assert run("info", "-d", uri).exit_code == 130


class _Entry:
    """An entry point whose module does not import."""

    name, value, module, dist = "broken", "nowhere:app", "nowhere", None

    def load(self) -> Any:
        raise ImportError("no such module")


def test_a_broken_plug_in_harms_only_its_own_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root, "entry_points", lambda _: [_Entry()])
    assert "broken" in run("--help").stdout
    result = run("broken", "up")
    assert result.exit_code == 1
    assert "cannot be loaded" in result.stderr


def test_pixano_tells_its_state(tmp_path: Path) -> None:
    assert data("pixano", "status", "--folder", str(tmp_path / "p")) == {"running": False}
    assert data("pixano", "down", "--folder", str(tmp_path / "p"))["stopped"] is False


def test_as_a_program_stdout_is_json_and_stderr_the_rest(uri: str) -> None:
    command = [
        sys.executable,
        "-m",
        "annobridge",
        "annotate",
        "r1",
        "-d",
        uri,
        "--field",
        "objects",
        "-b",
        "memory",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["state"] == "sent"
    again = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert (again.returncode, again.stdout) == (1, "")
    error = json.loads(again.stderr)["error"]
    assert error["kind"] == "RunExists"
    assert error["message"].startswith("The anno_key 'r1' is in use; choose another, annobridge resume r1 if")


# --- comments, and what was refused -----------------------------------------------------------------------------------


def refuse(uri: str, path: Path, note: str = "Look at the plate") -> Path:
    """A file of decisions that refuses all changes."""
    plan = ab.load_dataset(uri).plan_annotations("r1", url=URL)
    plan.decide(verdict="refuse", note=note, by="alice")
    rows = [{**row, "at": row["at"].isoformat()} for row in plan.decisions.to_pylist()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_what_a_file_refuses_goes_back_and_comes_as_comments(uri: str, tmp_path: Path) -> None:
    send(uri, "--classes", "car,person")
    work("c0", label="person", annotator="bob")
    decisions = str(refuse(uri, tmp_path / "decisions.jsonl"))
    done = run("send-back", "r1", uri, "--decisions", decisions, *MEMORY)
    assert done.exit_code == 0, done.output
    assert done.stdout == "1 refused changes of 'r1' were sent back into the tool.\n"
    again = data("send-back", "r1", "-d", uri, "--decisions", decisions, *MEMORY)
    assert again == {"anno_key": "r1", "placed": 0, "existing": 1, "written": 0, "files": [], "notes": []}
    found = data("plan", "r1", "-d", uri, *MEMORY, code=2)
    assert found["comments"] == 1
    (comment,) = found["findings"]["comments"]
    assert comment["text"] == "Refused: class car → person. “Look at the plate” (alice)"
    assert (comment["state"], comment["sample_id"], comment["file"]) == ("open", "s0", "0.jpg")
    shown = run("load", "r1", uri, "--decisions", decisions, *MEMORY)
    assert "1 comment in the tool, 1 of open threads" in shown.stdout
    assert "0.jpg" in shown.stdout
    refused_before = data("send-back", "r1", "-d", uri, *MEMORY)
    assert (refused_before["placed"], refused_before["existing"]) == (0, 1)


def test_nothing_to_send_back_is_said(uri: str) -> None:
    send(uri)
    result = run("send-back", "r1", uri, *MEMORY)
    assert result.exit_code == 1
    said = " ".join(result.stderr.split())
    assert (
        "There is nothing to send back, as no change is refused; give the --decisions FILE in which some are." in said
    )


def test_where_the_tool_has_no_place_files_are_written(uri: str, tmp_path: Path, monkeypatch: Any) -> None:
    from dataclasses import replace

    from annobridge.backend.memory import MemoryBackend

    monkeypatch.setattr(MemoryBackend, "capabilities", replace(MemoryBackend.capabilities, send_back=False))
    send(uri, "--classes", "car,person")
    work("c0", label="person", annotator="bob")
    decisions = str(refuse(uri, tmp_path / "decisions.jsonl", note=""))
    found = data(
        "send-back", "r1", "-d", uri, "--decisions", decisions, "--note", "all", "--folder", str(tmp_path), *MEMORY
    )
    assert (found["written"], found["files"]) == (1, [str(tmp_path / "r1-bob.csv")])
    assert "class car → person,all,alice,c0" in (tmp_path / "r1-bob.csv").read_text("utf-8-sig")


def test_many_comments_are_counted_and_the_first_are_shown(uri: str) -> None:
    from annobridge.core.labels import COMMENTS

    send(uri)
    server = SERVERS[URL]
    (task,) = server.labels
    rows = [{"sample_id": "s0", "text": f"no. {n}", "state": "resolved", "thread": str(n)} for n in range(25)]
    server.comments[task] = pa.Table.from_pylist(rows, COMMENTS)
    shown = run("plan", "r1", uri, *MEMORY).stdout
    assert "25 comments in the tool, 0 of open threads" in shown
    assert "no. 19" in shown
    assert "no. 20" not in shown
    assert "… and 5 comments more (--json lists all)." in shown
