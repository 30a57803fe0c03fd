"""The commands of the life of a run: ``extend``, ``push``, ``adopt``, ``reviewed``, ``watch``, and loads of some samples."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image
from tests.command_line import MEMORY, URL, data, isolated, run

import annobridge as ab
from annobridge import demo
from annobridge.backend.memory import SERVERS, MemoryBackend
from annobridge.bridge import watch as watching
from annobridge.demo.tools import MemoryAnnotator
from annobridge.exceptions import Unreachable

BOX = [0.1, 0.2, 0.3, 0.4]


_isolated = pytest.fixture(autouse=True)(isolated)


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """A dataset of four images, each with a car; two of them are in the run r1."""
    ds = ab.create_dataset(tmp_path / "street dataset")
    ds.add_samples(
        ab.Sample(f"/img/{n}.jpg", f"s{n}", split="a" if n < 2 else "b", width=100, height=50,
                  objects=[ab.Detection("car", BOX, label_id=f"c{n}", parked=False)])
        for n in range(4)
    )  # fmt: skip
    sent = data("annotate", "r1", "-d", ds.uri, "--field", "objects", "-b", "memory", *MEMORY, "--where", "split = 'a'",
                "--classes", "car,person")  # fmt: skip
    assert sent["samples"] == 2
    return ds.uri


def annotator() -> MemoryAnnotator:
    return MemoryAnnotator(URL, list(SERVERS[URL].samples))


def error(*arguments: str, code: int = 1) -> str:
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    return " ".join(result.stderr.split())


def text(*arguments: str, code: int = 0) -> str:
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    return " ".join(result.stdout.split())


# --- extend ---------------------------------------------------------------------------------------------------------


def test_extend_sends_what_the_run_does_not_have(uri: str) -> None:
    assert data("extend", "r1", uri, "--missing") == {"anno_key": "r1", "missing": 2, "samples": ["s2", "s3"]}
    assert "r1 does not have 2 samples: s2 s3" in text("extend", "r1", uri, "--missing")
    assert len(SERVERS[URL].labels) == 1
    sent = data("extend", "r1", uri, "--sample", "s0", "--sample", "s2")
    assert (sent["sent"], len(sent["tasks"])) == ({"samples": 1, "tasks": 1}, 2)
    assert "Sent 1 sample more, in 1 task, to memory, as a part of 'r1'." in text("extend", "r1", uri)
    assert text("extend", "r1", uri) == "r1 has all of these samples; nothing was sent."
    assert data("extend", "r1", uri)["sent"] == {"samples": 0, "tasks": 0}
    assert text("extend", "r1", uri, "--missing") == "r1 has all of these samples."
    work_on("c3", label="person")
    assert data("load", "r1", uri)["edited"] == 1


def work_on(label_id: str, **values: Any) -> None:
    annotator()._update(label_id, **values)


def test_extend_takes_the_first_that_are_not_in_the_run(uri: str) -> None:
    assert data("extend", "r1", uri, "--limit", "1", "--missing")["samples"] == ["s2"]
    assert data("extend", "r1", uri, "--limit", "1")["sent"] == {"samples": 1, "tasks": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("r2",), "There is no annotation run 'r2'; there is 'r1'."),
        (("r1", "--sample", "s9"), "'s9'"),
        (("r1", "--tag", "nobody"), "The view is empty, so there is nothing to send; widen its conditions."),
        (("r1", "--match-labels", "objects"), "--match-labels 'objects' should be NAME=VALUE"),
        (("r1", "--exclude-reviewed", "boxes"), "no label field 'boxes'"),
        (("r1", "-o", "nothing=1"), "has no option 'nothing'"),
    ],
)
def test_what_cannot_be_extended(uri: str, arguments: tuple[str, ...], message: str) -> None:
    assert message in error("extend", *arguments, "-d", uri)
    assert len(SERVERS[URL].labels) == 1


# --- push -----------------------------------------------------------------------------------------------------------


def edit_here(uri: str) -> None:
    """One label is edited, one added and one deleted in the dataset."""
    ds = ab.load_dataset(uri)
    ds.set_labels([{"label_id": "c0", "label": "person"}])
    ds.delete_labels(["c1"])
    ds.add_labels("objects", {"s1": [ab.Detection("person", [0.5, 0.5, 0.25, 0.25], label_id="new")]})


def test_push_plans_first(uri: str) -> None:
    assert text("push", "r1", uri, "--plan") == "Plan of a push of r1: nothing to push."
    edit_here(uri)
    plan = data("push", "r1", uri, "--plan", code=2)
    assert (plan["added"], plan["edited"], plan["deleted"], plan["pending"]) == (1, 1, 1, True)
    assert {(row["label_id"], row["kind"], row["ours"], row["theirs"]) for row in plan["changes"][1:2]} == {
        ("c0", "edit", '"person"', '"car"')
    }
    shown = text("push", "r1", uri, "--plan", code=2)
    assert "Plan of a push of r1: 3 changes, nothing pushed yet" in shown
    assert "deletion" in shown
    assert "0.jpg" in shown
    assert "… and 1 change more (--rows 3)." in text("push", "r1", uri, "--plan", "--rows", "2", code=2)
    assert annotator()._label("c0")["label"] == "car"


def test_push_changes_the_tool(uri: str) -> None:
    edit_here(uri)
    pushed = data("push", "r1", uri)
    assert (pushed["added"], pushed["edited"], pushed["deleted"], pushed["left_out"]) == (1, 1, 1, 0)
    assert annotator()._label("c0")["label"] == "person"
    assert "there was nothing to change in the tool" in text("push", "r1", uri)
    assert data("plan", "r1", uri)["pending"] is False
    status = data("status", "r1", uri)
    assert [(p["state"], p["add"], p["edit"], p["delete"]) for p in status["pushes"]] == [("pushed", 1, 1, 1)]
    assert "push 1 pushed" in text("status", "r1", uri)
    assert "1 push" in text("runs", uri)


def test_conflicts_of_a_push(uri: str) -> None:
    edit_here(uri)
    work_on("c0", label="bus")
    assert "1 conflict: changed here and in the tool" in text("push", "r1", uri, "--plan", code=2)
    stopped = error("push", "r1", uri, "--conflicts", "label=fail")
    assert "1 changes were made both here and in the tool" in stopped
    assert "push with --conflicts theirs or ours" in stopped
    assert annotator()._label("c0")["label"] == "bus"
    assert data("push", "r1", uri, "--plan", "--conflicts", "label=fail", "--conflicts", "*=ours", code=2)["pending"]
    assert data("push", "r1", uri, "--conflicts", "label=ours")["edited"] == 1
    assert annotator()._label("c0")["label"] == "person"


def test_a_conflict_that_the_tool_wins_leaves_nothing_to_push(uri: str) -> None:
    ab.load_dataset(uri).set_labels([{"label_id": "c0", "label": "person"}])
    work_on("c0", label="bus")
    assert data("push", "r1", uri, "--plan")["pending"] is False
    assert data("push", "r1", uri, "--plan", "--conflicts", "fail", code=2)["pending"]


def test_push_does_not_change_finished_work(uri: str) -> None:
    edit_here(uri)
    annotator().review("s0")
    said = error("push", "r1", uri)
    assert "The push would change 1 samples that people have finished in the tool" in said
    assert "push with --force" in said
    assert data("push", "r1", uri, "--force")["edited"] == 1


def test_decisions_about_a_push(uri: str, tmp_path: Path) -> None:
    edit_here(uri)
    plan = ab.load_dataset(uri).plan_push("r1", url=URL)
    plan.decide("kind = 'delete'", "refuse", by="ann")
    (row,) = plan.decisions.to_pylist()
    file = tmp_path / "decisions.jsonl"
    file.write_text(json.dumps(row | {"at": row["at"].isoformat()}) + "\n")
    assert data("push", "r1", uri, "--decisions", str(file), "--undecided", "leave")["deleted"] == 0
    pushed = data("push", "r1", uri, "--decisions", str(file))
    assert (pushed["added"], pushed["edited"], pushed["deleted"]) == (1, 1, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("r2",), "There is no annotation run 'r2'"),
        (("r1", "--conflicts", "mine"), "--conflicts mine is not known"),
        (("r1", "--conflicts", "lable=ours"), "--conflicts names 'lable', which is no component; did you mean 'label'"),
        (("r1", "--undecided", "x"), "--undecided x is not known"),
        (("r1", "--decisions", "nowhere.jsonl"), "nowhere.jsonl"),
    ],
)
def test_what_cannot_be_pushed(uri: str, arguments: tuple[str, ...], message: str) -> None:
    edit_here(uri)
    assert message in error("push", *arguments, "-d", uri)
    assert annotator()._label("c0")["label"] == "car"


def test_a_tool_without_pushes_is_told(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryBackend, "capabilities", replace(MemoryBackend.capabilities, push=False, adopt=False))
    assert "Changes cannot be pushed to memory" in error("push", "r1", uri)
    assert "Tasks of memory cannot be adopted" in error("adopt", "r2", "-d", uri, "-b", "memory", "--task", "x")


# --- adopt ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def by_hand(uri: str) -> str:
    """A task with one box that is here, one that is not, and an image that is not."""
    ds = ab.load_dataset(uri)
    boxes = {"s2": [("car", (0.1, 0.2, 0.3, 0.4)), ("bus", (0.5, 0.5, 0.25, 0.25))]}
    demo.by_hand(ds.select(["s2", "s3"]), "job7", boxes, URL)
    server = SERVERS[URL]
    media = server.found["job7"].media.to_pylist()
    media.append({**media[0], "name": "elsewhere.jpg"})
    server.found["job7"] = replace(
        server.found["job7"], media=pa.Table.from_pylist(media, server.found["job7"].media.schema)
    )
    return uri


def test_adopt_tells_what_matches(by_hand: str) -> None:
    adopt = ("adopt", "mine", by_hand, "-b", "memory", *MEMORY, "--task", "job7")
    found = data(*adopt)
    assert (found["matched"], found["created"], found["paired"]) == (2, 0, 1)
    assert (found["only_there"], found["only_here"]) == (1, 1)
    assert found["unmatched"] == [{"task": "job7", "name": "elsewhere.jpg"}]
    assert data("plan", "mine", by_hand, code=2)["added"] == 1
    status = data("status", "mine", by_hand)
    assert status["adopted"] == 1
    assert "Of its tasks, 1 were adopted; they stay in the tool." in text("status", "mine", by_hand)
    assert "adopted" in text("runs", by_hand)
    assert "were adopted, and not made by annobridge" in error("cleanup", "mine", by_hand, "--yes")


def test_adopt_prints_a_report(by_hand: str) -> None:
    result = run("adopt", "mine", by_hand, "-b", "memory", *MEMORY, "--task", "job7", "--match", "path")
    *table, command = result.stdout.splitlines()  # a command is not wrapped, so that it can be copied
    assert max(map(len, table)) <= 80
    shown = " ".join(" ".join(table).split())
    assert "Adopted 1 task as 'mine': job7." in shown
    assert "images 2 are samples here" in shown
    assert "labels 1 are only in the tool; a load adds them" in shown
    assert "elsewhere.jpg" in shown
    assert "annobridge plan mine -d" in command


class _Files:
    """The files of a task, which are all the same."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def open(self, _: str) -> BytesIO:
        return BytesIO(self._data)

    def path(self, _: str) -> None:
        return None


def test_images_that_are_not_here_are_created(by_hand: str) -> None:
    stream = BytesIO()
    Image.new("RGB", (100, 50), "navy").save(stream, "JPEG")
    SERVERS[URL].media["job7"] = _Files(stream.getvalue())
    found = data("adopt", "mine", by_hand, "-b", "memory", *MEMORY, "--task", "job7", "--create")
    assert (found["matched"], found["created"], found["unmatched"]) == (2, 1, [])
    assert data("info", by_hand)["samples"] == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Say what to adopt: give --task …, by id or name, or --project"),
        (("--task", "job8"), "has no task 'job8'"),
        (("--task", "job7", "--task", "job7"), "The task job7 is given twice; give each task once."),
        (("--project", "p"), "has no project 'p'"),
        (("--task", "job7", "--schema", "nowhere.json"), "cannot be read"),
        (("--task", "job7", "--media-field", "picture"), "picture"),
    ],
)
def test_what_cannot_be_adopted(by_hand: str, arguments: tuple[str, ...], message: str) -> None:
    assert message in error("adopt", "mine", "-d", by_hand, "-b", "memory", *MEMORY, *arguments)
    assert [row["anno_key"] for row in data("runs", by_hand)] == ["r1"]


def test_a_key_or_task_in_use_is_told(by_hand: str) -> None:
    adopt = ("-d", by_hand, "-b", "memory", *MEMORY, "--task", "job7")
    assert "is in use" in error("adopt", "r1", *adopt)
    data("adopt", "mine", *adopt)
    assert "The run 'mine' holds the task job7 already" in error("adopt", "other", *adopt)
    assert run("adopt", "other", *adopt, "--match", "size").exit_code == 64


# --- reviewed, and loads of some samples ----------------------------------------------------------------------------


def test_reviewed_counts_by_state_and_person(uri: str) -> None:
    assert "No load was told so far" in text("reviewed", "r1", uri)
    annotator().review("s0", by="ann")
    work_on("c0", label="person")
    data("load", "r1", uri)
    found = data("reviewed", "r1", uri)
    assert (found["reviewed"], found["samples"]) == (1, 4)
    assert [(row["sample_id"], row["reviewed"], row["by"]) for row in found["rows"]] == [("s0", True, "ann")]
    shown = text("reviewed", "objects", "-d", uri)
    assert "objects: 1 of the 4 samples of the dataset are reviewed." in shown
    assert "r1 yes completed ann 1" in shown
    assert data("status", "r1", uri)["seen_reviewed"] == 1
    assert "Reviewed: 1 in the tool, 1 as of the last load." in text("status", "r1", uri)
    assert "1 load, 1 reviewed" in text("runs", uri)
    assert "no label field 'nobody'" in error("reviewed", "nobody", uri)


def test_what_is_reviewed_selects_samples(uri: str) -> None:
    annotator().review("s0")
    data("load", "r1", uri)
    assert data("extend", "r1", uri, "--exclude-reviewed", "r1", "--missing")["samples"] == ["s2", "s3"]
    sent = ("--field", "objects", "-b", "memory", *MEMORY)
    assert data("annotate", "r2", "-d", uri, *sent, "--match-reviewed", "objects")["samples"] == 1
    assert data("annotate", "r3", "-d", uri, *sent, "--exclude-reviewed", "r1")["samples"] == 3


@pytest.mark.parametrize("verb", ["plan", "load"])
@pytest.mark.parametrize(
    "part", [("--where", "sample_id = 's0'"), ("--only-sample", "s0"), ("--reviewed-only",), ("--since", "TIME")]
)
def test_some_samples_are_loaded(uri: str, verb: str, part: tuple[str, ...]) -> None:
    work_on("c0", label="person")
    work_on("c1", label="person")
    annotator().review("s1", by="ann")
    rows = SERVERS[URL].reviewed
    (task,) = rows
    old = rows[task].to_pylist()[0] | {"time": datetime(2020, 1, 1, tzinfo=UTC), "reviewed": False}
    rows[task] = pa.Table.from_pylist([old], rows[task].schema)
    annotator().review("s0")
    soon = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    given = [soon if word == "TIME" else word for word in part]
    found = data(verb, "r1", uri, *given, code=2 if verb == "plan" else 0)
    assert found["edited"] == 1
    if verb == "plan":
        assert [change["sample_id"] for change in found["changes"]] == ["s0"]


def test_only_what_changed_since_the_last_load_is_planned(uri: str) -> None:
    work_on("c0", label="person")
    assert data("load", "r1", uri, "--since", "last")["edited"] == 1
    assert data("plan", "r1", uri, "--since", "last")["pending"] is False
    work_on("c1", label="person")
    assert data("plan", "r1", uri, "--since", "last", code=2)["edited"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--since", "yesterday"), "--since 'yesterday' should be last, or a time as 2026-11-29T08:30."),
        (("--only-sample", "s9"), "'s9'"),
        (("--only-sample", "s3"), "None of the 1 samples of --where is in the run 'r1'"),
        (("--where", "split = 'none'", "--only-sample", "s0"), "--where selects no sample"),
        (("--where", "nonsense ="), "nonsense"),
        (("--invalid", "cut"), "--invalid cut is not known; give one of"),
        (
            ("--conflicts", "ours", "--conflicts", "label=fail"),
            "--conflicts 'ours' should be NAME=VALUE, as --conflicts \"attributes=ours\".",
        ),
        (("--conflicts", "attributes=mine"), "--conflicts mine is not known"),
    ],
)
def test_parts_that_are_wrong(uri: str, arguments: tuple[str, ...], message: str) -> None:
    for verb in ("plan", "load"):
        assert message in error(verb, "r1", "-d", uri, *arguments)


def test_reviewed_only_needs_a_tool_that_says_so(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryBackend, "capabilities", replace(MemoryBackend.capabilities, reviewed=False))
    said = error("load", "r1", uri, "--reviewed-only")
    assert "does not say which samples are reviewed, and when, as --reviewed-only needs" in said
    assert "leave --until out" in error("watch", "r1", uri, "--until", "done")


def test_a_plan_is_pending_by_the_policy_of_the_component(uri: str) -> None:
    ab.load_dataset(uri).set_labels([{"label_id": "c0", "label": "bus"}])
    work_on("c0", label="person")
    assert data("plan", "r1", uri, "--conflicts", "*=ours")["pending"] is False
    assert data("plan", "r1", uri, "--conflicts", "*=ours", "--conflicts", "spatial=fail")["pending"] is False
    assert data("plan", "r1", uri, "--conflicts", "*=ours", "--conflicts", "label=fail", code=2)["pending"]


# --- watch ----------------------------------------------------------------------------------------------------------


def lines(*arguments: str, code: int = 0) -> list[dict[str, Any]]:
    result = run("watch", "r1", *arguments, "--json")
    assert result.exit_code == code, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What happens during each pause of the watch, which takes no time; at the end of the list, somebody presses Ctrl-C."""
    left: list[Callable[[], object]] = []

    def sleep(_: float) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop(0)()

    monkeypatch.setattr(watching, "sleep", sleep)
    return left


def test_watch_loads_what_is_finished(uri: str, steps: list[Callable[[], object]], tmp_path: Path) -> None:
    def first() -> None:
        work_on("c0", label="person")
        work_on("c1", label="person")
        annotator().review("s0", by="ann")

    steps += [first, lambda: None, lambda: annotator().review("s0", "s1")]
    out = tmp_path / "out.txt"
    command = f'echo "$ANNOBRIDGE_KEY $ANNOBRIDGE_REVIEWED/$ANNOBRIDGE_TOTAL" >> "{out}"'
    found = lines(uri, "--load", "--until", "done", "--exec", command)
    told = [(event["event"], event.get("reviewed"), event.get("edited")) for event in found]
    assert told == [
        ("progress", 0, None), ("progress", 1, None), ("load", 1, 1), ("exec", None, None), ("progress", 2, None),
        ("load", 2, 1), ("exec", None, None), ("end", None, None),
    ]  # fmt: skip
    assert (found[-1]["why"], found[-1]["code"]) == ("done", 0)
    assert out.read_text() == "r1 1/2\nr1 2/2\n"


def test_watch_plans_without_load(uri: str, steps: list[Callable[[], object]]) -> None:
    work_on("c0", label="person")
    steps += [lambda: annotator().review("s0"), lambda: annotator().review("s1")]
    shown = run("watch", "r1", uri, "--until", "done")
    assert shown.exit_code == 2
    assert "r1: 0 of 2 samples reviewed, open" in shown.stdout
    assert "Plan: 0 added, 1 edited, 0 deleted." in shown.stdout
    assert "r1: all samples are reviewed." in shown.stdout
    assert data("plan", "r1", uri, code=2)["edited"] == 1


def test_ctrl_c_ends_a_watch(uri: str, steps: list[Callable[[], object]]) -> None:
    result = run("watch", "r1", uri, "--load")
    assert (result.exit_code, result.stderr) == (130, "")
    assert "r1: the watch ended." in result.stdout
    steps += [lambda: annotator().review("s0")]
    assert lines(uri, "--load")[-1]["code"] == 0


def test_ctrl_c_during_a_load_waits_for_it(
    uri: str, steps: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from annobridge.bridge.results import AnnotationResults

    load, handler = AnnotationResults.load, signal.getsignal(signal.SIGINT)

    def pressed(self: AnnotationResults, *given: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return load(self, *given, **options)

    monkeypatch.setattr(AnnotationResults, "load", pressed)
    work_on("c0", label="person")
    annotator().review("s0")
    steps += [lambda: pytest.fail("the watch went on")]
    result = run("watch", "r1", uri, "--load")
    assert result.exit_code == 0
    assert "Ending after this load" in result.stdout
    assert "Loaded: 0 added, 1 edited, 0 deleted." in result.stdout
    assert ab.load_dataset(uri).labels("objects", "label = 'person'").to_pylist()
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_load_that_is_refused_is_told_and_the_watch_goes_on(uri: str, steps: list[Callable[[], object]]) -> None:
    work_on("c0", label="spaceship")
    steps += [lambda: annotator().review("s0"), lambda: None]
    found = lines(uri, "--load", code=1)
    assert [event["event"] for event in found] == ["progress", "progress", "refused", "end"]
    assert found[2]["kind"] == "UnexpectedLabels"
    assert "--unexpected" in found[2]["message"]
    steps += [lambda: annotator().review("s1")]
    assert lines(uri, "--load", "--unexpected", "ignore")[-1]["code"] == 0


def test_trouble_is_told(uri: str, steps: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: Any) -> None:
        raise Unreachable("The server refuses connections; start it.")

    status = MemoryBackend.status
    monkeypatch.setattr(MemoryBackend, "status", down)
    steps += [lambda: None, lambda: monkeypatch.setattr(MemoryBackend, "status", status)]
    shown = run("watch", "r1", uri, "--every", "30")
    assert "refuses connections; start it. The next try is in 60 seconds." in " ".join(shown.stdout.split())
    assert "The next try is in 120 seconds." in " ".join(shown.stdout.split())
    assert "0 of 2 samples reviewed" in shown.stdout


def test_what_ends_a_watch(uri: str, steps: list[Callable[[], object]]) -> None:
    assert "There is no annotation run 'r2'" in error("watch", "r2", "-d", uri)
    assert "--every 0.5 is too short; give 1 second or more." in " ".join(
        run("watch", "r1", uri, "--every", "0.5").stderr.split()
    )
    steps += [SERVERS[URL].labels.clear]
    result = run("watch", "r1", uri)
    assert result.exit_code == 1
    assert "Nothing of the run 'r1' is on the server any more" in " ".join(result.stderr.split())


def test_a_command_that_fails_is_told(uri: str, steps: list[Callable[[], object]]) -> None:
    annotator().review("s0", "s1")
    shown = run("watch", "r1", uri, "--until", "done", "--exec", "exit 3")
    assert "'exit 3' ended with 3." in shown.stdout
    assert shown.exit_code == 0


def test_a_command_of_annobridge_may_be_run(
    uri: str, steps: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KEY", "REVIEWED", "TOTAL"):
        monkeypatch.setenv(f"ANNOBRIDGE_{name}", "1")
    assert data("config")


def test_bars_are_drawn_on_a_terminal(
    uri: str, steps: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    from annobridge.cli import show

    monkeypatch.setattr(
        show, "console", lambda stderr=False: Console(stderr=stderr, force_terminal=True, width=80, highlight=False)
    )
    work_on("c0", label="person")
    annotator().review("s0")
    shown = run("watch", "r1", uri, "--load").stdout
    assert "━" in shown
    assert "1/2" in shown
    assert "Loaded: 0 added" in shown
