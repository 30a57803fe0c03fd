"""What a reviewer refused goes back to the annotators: into the tool, or into files."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import annobridge as ab
from annobridge.backend import SentBack
from annobridge.backend.memory import MemoryBackend
from annobridge.core.labels import COMMENTS, conform

BOX = pa.list_(pa.float64(), 4)


def refused(results: Any, *label_ids: str, **columns: Any) -> pa.Table:
    """Rows as those of ``plan.changes``: the class of each label was changed to "person"."""
    rows = []
    for receipt in results.receipts():
        for row in results.with_baseline(receipt).baseline.to_pylist():
            if row["label_id"] in label_ids:
                rows.append({
                    "change_id": f"{row['label_id']}-label", "task": receipt.task, "sample_id": row["sample_id"],
                    "frame_number": row["frame_number"], "field": row["field"], "label_id": row["label_id"], "shape": row["kind"],
                    "component": "label", "kind": "edit", "label": "person", "class_from": row["label"], "class_to": "person",
                    "base": None, "theirs": None, "base_box": row["bounding_box"], "theirs_box": row["bounding_box"],
                    "their_by": "bob", "shift": None, "note": None, "by": "alice", **columns,
                })  # fmt: skip
    return pa.Table.from_pylist(rows)


@pytest.fixture
def results(bridge) -> Any:
    return bridge.annotate(schema={"objects": {"type": "detections", "classes": ["car", "person"]}}, task_size=2)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that has no place for refused changes."""
    monkeypatch.setattr(MemoryBackend, "capabilities", replace(MemoryBackend.capabilities, send_back=False))


def comments(bridge: Any) -> list[dict[str, Any]]:
    return [row for table in bridge.server.comments.values() for row in table.to_pylist()]


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


# Into the tool


def test_a_refusal_is_placed_at_its_label_with_a_sentence(bridge, results) -> None:
    before, labels = bridge.versions(), bridge.labels()
    report = results.send_back(refused(results, "car0", "car3"), note="Look at the plate")
    assert (report.placed, report.existing, report.written, report.files) == (2, 0, 0, [])
    assert str(report) == "2 refused changes of 'r' were sent back into the tool."
    found = comments(bridge)
    assert {c["sample_id"] for c in found} == {"s0", "s3"}
    assert {c["text"] for c in found} == {"Refused: class car → person. “Look at the plate” (alice)"}
    assert {c["remote_id"] for c in found} == {bridge.hands.of(i)["remote_id"] for i in ("car0", "car3")}
    assert all(c["box"] == pytest.approx([0.1, 0.1, 0.3, 1 / 3]) for c in found)
    assert bridge.versions() == before
    assert bridge.labels() == labels


def test_the_note_of_a_change_comes_before_that_of_all(bridge, results) -> None:
    results.send_back(refused(results, "car0", note="own", by=None), note="of all")
    assert [c["text"] for c in comments(bridge)] == ["Refused: class car → person. “own”"]


def test_the_same_refusals_are_not_sent_twice(bridge, results) -> None:
    results.send_back(refused(results, "car0"))
    report = results.send_back(refused(results, "car0", "car1"))
    assert (report.placed, report.existing, report.sent) == (1, 1, 2)
    assert "1 refused changes of 'r' were sent back into the tool; 1 were there already." in str(report)
    assert len(comments(bridge)) == 2


def test_a_place_that_the_change_does_not_have_is_that_of_the_baseline(bridge, results) -> None:
    rows = refused(results, "car0").drop_columns(["theirs_box", "base_box", "their_by", "shift", "note", "by"])
    results.send_back(rows)
    (found,) = comments(bridge)
    assert found["box"] == pytest.approx([0.1, 0.1, 0.3, 1 / 3])
    assert found["text"] == "Refused: class car → person."


def test_a_new_label_has_no_id_of_the_tool(bridge, results) -> None:
    rows = refused(results, "car0", label_id="new", component="existence", kind="add", theirs_box=[0.5, 0.5, 0.1, 0.1])
    results.send_back(rows)
    (found,) = comments(bridge)
    assert (found["remote_id"], found["box"]) == (None, [0.5, 0.5, 0.1, 0.1])
    assert found["text"].startswith("Refused: new person (box).")


def test_the_progress_is_told(results) -> None:
    seen: list[tuple[int, int]] = []
    results.send_back(refused(results, "car0", "car3"), progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 2)
    assert seen[-1] == (2, 2)


# Plans


def test_the_refused_changes_of_a_plan_go_back(bridge, results) -> None:
    bridge.hands.set("car0", label="person", annotator="bob", bounding_box=[0.5, 0.5, 0.25, 0.25])
    bridge.hands.delete("man1")
    new = bridge.hands.add("s2", annotator="eve")
    plan = bridge.plan()
    with pytest.raises(ab.InvalidOption, match=r"nothing to send back, as no change is refused"):
        results.send_back(plan)
    plan.decide("component = 'label'", verdict="refuse", note="Look at the plate", by="alice")
    plan.decide("component = 'existence'", verdict="refuse", by="alice")
    plan.decide("component = 'spatial'", verdict="accept", by="alice")
    assert results.send_back(plan, note="see the guide").placed == 3
    found = {c["text"]: c for c in comments(bridge)}
    assert found.keys() == {
        "Refused: class car → person. “Look at the plate” (alice)",
        "Refused: deletion of the person (box). “see the guide” (alice)",
        "Refused: new car (box). “see the guide” (alice)",
    }
    places = {text.split()[1]: c["box"] for text, c in found.items()}
    assert places["class"] == pytest.approx([0.5, 0.5, 0.25, 0.25])  # where it is in the tool
    assert places["deletion"] == pytest.approx([0.5, 0.5, 0.1, 0.2])  # where it was
    assert found["Refused: new car (box). “see the guide” (alice)"]["remote_id"] is None
    assert new
    assert plan.load().total == 1
    again = results.send_back(bridge.plan())  # it is refused still, and still in the tool
    assert (again.placed, again.existing) == (0, 3)


def test_withdrawn_and_stale_refusals_do_not_go_back(bridge, results) -> None:
    bridge.hands.set("car0", label="person")
    bridge.hands.set("car3", label="person")
    plan = bridge.plan()
    plan.decide(verdict="refuse")
    plan.decide("label_id = 'car3'", verdict="open")
    assert results.send_back(plan).placed == 1
    plan = bridge.plan(decisions=plan)
    bridge.hands.set("car0", label="car", bounding_box=[0.5, 0.5, 0.25, 0.25])
    with pytest.raises(ab.InvalidOption, match="nothing to send back"):
        results.send_back(bridge.plan(decisions=plan))


def test_a_plan_of_another_run_is_refused(bridge, results) -> None:
    bridge.annotate("other")
    plan = bridge.plan("other")
    with pytest.raises(
        ab.InvalidOption, match=r"plan is one of the run 'other', and not of 'r'; nothing was sent back"
    ):
        results.send_back(plan)


def test_a_saved_plan_has_its_comments(bridge, results, tmp_path) -> None:
    bridge.hands.set("car0", label="person")
    plan = bridge.plan()
    plan.decide(verdict="refuse", by="alice")
    results.send_back(plan)
    bridge.plan().save(tmp_path / "plan.zip")
    (comment,) = ab.load_plan(tmp_path / "plan.zip", url=bridge.url).comments.to_pylist()
    assert comment["text"] == "Refused: class car → person. (alice)"


# Refused calls


def test_nothing_is_sent_back_of_nothing(bridge, results) -> None:
    with pytest.raises(
        ab.InvalidOption, match=r"nothing to send back, as no change is refused; refuse some, as with plan"
    ):
        results.send_back(refused(results, "car0").slice(0, 0))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (7, "refused= is an object of type int; give a plan, or rows of its changes"),
        (pa.table({"label_id": ["car0"]}), "refused= has no column 'change_id', 'task', 'sample_id'.*; give rows of plan.changes"),
    ],
)  # fmt: skip
def test_what_is_no_table_of_changes_is_refused(results, given: Any, words: str) -> None:
    with pytest.raises(ab.InvalidOption, match=words):
        results.send_back(given)


def test_a_change_that_is_given_twice_is_refused(bridge, results) -> None:
    rows = refused(results, "car0")
    with pytest.raises(ab.InvalidOption, match=r"has a change more than once; give each row of plan\.changes once"):
        results.send_back(pa.concat_tables([rows, rows]))
    assert not comments(bridge)


def test_changes_of_another_run_are_refused_before_anything_is_sent(bridge, results) -> None:
    other = bridge.annotate("other", schema={"objects": {"type": "detections", "classes": ["car", "person"]}})
    rows = pa.concat_tables([refused(results, "car0"), refused(other, "car1", "man1")])
    words = (
        r"2 of the 3 refused changes are not of the run 'r' \(the first is of the task 'other-.*nothing was sent back"
    )
    with pytest.raises(ab.InvalidOption, match=words):
        results.send_back(rows)
    assert not comments(bridge)


def test_a_tool_that_cannot_be_reached_is_told_with_what_was_sent_before(bridge, results, monkeypatch) -> None:
    real = MemoryBackend.send_back

    def falling(self: MemoryBackend, receipt: Any, rows: pa.Table) -> SentBack:
        if comments(bridge):
            raise ab.Unreachable("memory: the server does not answer.")
        return real(self, receipt, rows)

    with monkeypatch.context() as patch:
        patch.setattr(MemoryBackend, "send_back", falling)
        with pytest.raises(
            ab.Unreachable, match=r"does not answer\. 2 of the 3 refused changes were sent back before; send back again to go on"
        ):  # fmt: skip
            results.send_back(refused(results, "car0", "man1", "car3"))
        bridge.server.comments.clear()
        bridge.server.comments["x"] = conform(
            pa.table({"sample_id": ["s"], "text": ["t"], "state": ["open"], "thread": ["1"]}), COMMENTS
        )
        with pytest.raises(ab.Unreachable, match=r"Nothing was sent back before; send back again"):
            results.send_back(refused(results, "car0"))
    bridge.server.comments.clear()
    assert results.send_back(refused(results, "car0", "man1", "car3")).placed == 3


def test_a_task_that_is_gone_is_told_and_the_others_go_on(bridge, results, tmp_path) -> None:
    rows = refused(results, "car0", "car3")
    gone = bridge.hands.drop_task(0)
    report = results.send_back(rows, folder=tmp_path / "out")
    assert (report.placed, report.written, len(report.files)) == (1, 1, 1)
    assert report.notes == [
        f"The task {gone} is not on the server any more, so nothing can be sent back into it: The memory backend has no task "
        f"'{gone}' in this process: its tasks end with the process that sent them."
    ]


WRONG: list[tuple[Any, str]] = [
    (None, "None instead of a SentBack"),
    (SentBack(-1), "a SentBack whose placed is -1 instead of a number of refusals"),
    (SentBack(1, True), "a SentBack whose existing is True instead of a number"),
    (
        SentBack(1),
        "a SentBack that counts 1 refusals, 1 placed, 0 existing and 0 left out, of the 2 that were given to it",
    ),
    (SentBack(2, left_out=["x"]), "left_out that are an object of type list instead of a pyarrow array"),
    (SentBack(1, left_out=pa.array(["x"])), r"left_out change ids that were not given to it \(first: 'x'\)"),
    (SentBack(0, left_out=pa.array(["car0-label"] * 2)), "left_out with a change id more than once"),
    (SentBack(2, notes="a note"), "notes that are 'a note' instead of a sequence of texts"),
]


@pytest.mark.parametrize(("answer", "words"), WRONG)
def test_a_wrong_answer_of_a_backend_is_named(results, monkeypatch, answer: Any, words: str) -> None:
    monkeypatch.setattr(MemoryBackend, "send_back", lambda *_: answer)
    with pytest.raises(ab.Broken, match=words) as error:
        results.send_back(refused(results, "car0", "car1"))
    assert "This is a mistake in the backend. What it has placed in the tool is still there." in str(error.value)


# Into files


def test_elsewhere_each_annotator_gets_a_file(bridge, results, tmp_path, monkeypatch, elsewhere) -> None:
    monkeypatch.setattr(MemoryBackend, "editor_url", lambda _, receipt: f"https://tool.example/{receipt.task}")
    rows = pa.concat_tables(
        [refused(results, "car0"), refused(results, "car1", their_by="eve"), refused(results, "man3")]
    )
    results = bridge.ds.load_annotation_results("r")
    report = results.send_back(rows, note="Look", folder=tmp_path / "new" / "out")
    assert [f.name for f in report.files] == ["r-bob.csv", "r-eve.csv"]
    assert (report.placed, report.written) == (0, 3)
    assert str(report).startswith("3 refused changes of 'r' were written to ")
    bobs = cells(report.files[0])
    assert [row["label_id"] for row in bobs] == ["car0", "man3"]
    assert bobs[0] == {
        "file": bobs[0]["file"], "frame": "", "field": "objects", "class": "person", "refused": "class car → person",
        "note": "Look", "by": "alice", "label_id": "car0", "url": f"https://tool.example/{rows['task'][0]}",
    }  # fmt: skip
    assert bobs[0]["file"].endswith("img0.jpg")
    assert not comments(bridge)


def test_written_twice_is_written_once(bridge, results, tmp_path, elsewhere) -> None:
    results = bridge.ds.load_annotation_results("r")
    results.send_back(refused(results, "car0"), folder=tmp_path)
    results.send_back(refused(results, "car0", "car1"), folder=tmp_path)
    assert [row["label_id"] for row in cells(tmp_path / "r-bob.csv")] == ["car0", "car1"]
    assert sorted(p.name for p in tmp_path.glob("*r-bob*")) == ["r-bob.csv"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_cells_are_no_formulas(bridge, results, tmp_path, elsewhere, text: str) -> None:
    results = bridge.ds.load_annotation_results("r")
    results.send_back(refused(results, "car0", label=text, note=text, by=text), folder=tmp_path)
    (row,) = cells(tmp_path / "r-bob.csv")
    assert (row["class"], row["note"], row["by"]) == (f"'{text}", f"'{text}", f"'{text}")


@pytest.mark.parametrize(
    ("name", "file"),
    [(None, "r-unknown.csv"), ("", "r-unknown.csv"), ("../../etc/x", "r-__.._etc_x.csv"), ("..", "r-_.csv"),
     ("a b\\c", "r-a_b_c.csv"), ("zoë@x.org", "r-zoë_x.org.csv"), ("x" * 300, f"r-{'x' * 80}.csv")],
)  # fmt: skip
def test_no_name_of_an_annotator_leaves_the_folder(bridge, results, tmp_path, elsewhere, name: Any, file: str) -> None:
    results = bridge.ds.load_annotation_results("r")
    out = tmp_path / "a" / "b"
    report = results.send_back(refused(results, "car0", their_by=name), folder=out)
    assert [f.name for f in report.files] == [file]
    assert [f.name for f in out.iterdir()] == [file]


def test_a_file_that_is_something_else_is_left_alone(bridge, results, tmp_path, elsewhere) -> None:
    (tmp_path / "r-bob.csv").write_text("mine\n")
    results = bridge.ds.load_annotation_results("r")
    with pytest.raises(ab.InvalidOption, match=r"r-bob\.csv' is there, and is not one of refused changes; move it"):
        results.send_back(refused(results, "car0"), folder=tmp_path)
    assert (tmp_path / "r-bob.csv").read_text() == "mine\n"


def test_a_folder_that_cannot_be_made_is_named(bridge, results, tmp_path, elsewhere) -> None:
    (tmp_path / "file").write_text("")
    results = bridge.ds.load_annotation_results("r")
    with pytest.raises(ab.InvalidOption, match=r"The folder '.*file/x' cannot be written \(.*\); give another folder="):
        results.send_back(refused(results, "car0"), folder=tmp_path / "file" / "x")


def test_a_folder_that_cannot_be_made_does_not_hide_what_was_sent(bridge, results, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    rows = refused(results, "car0", "car3")
    bridge.hands.drop_task(0)
    words = r"cannot be written .* 1 of the 2 refused changes were sent back before; send back again to go on"
    with pytest.raises(ab.InvalidOption, match=words):
        results.send_back(rows, folder=tmp_path / "file" / "x")
    assert len(comments(bridge)) == 1


def test_the_files_are_written_while_the_tool_is_away(bridge, results, tmp_path, monkeypatch, elsewhere) -> None:
    def away(*_: Any) -> Any:
        raise ab.Unreachable("memory: the server does not answer.")

    monkeypatch.setattr(MemoryBackend, "editor_url", away)
    results = bridge.ds.load_annotation_results("r")
    assert results.send_back(refused(results, "car0"), folder=tmp_path).written == 1
    assert cells(tmp_path / "r-bob.csv")[0]["url"] == ""


def test_what_the_tool_leaves_out_is_written(bridge, results, tmp_path, monkeypatch) -> None:
    def first_only(self: MemoryBackend, receipt: Any, rows: pa.Table) -> SentBack:
        return SentBack(1, 0, rows["change_id"].combine_chunks()[1:], ("It has one place.",))

    monkeypatch.setattr(MemoryBackend, "send_back", first_only)
    report = results.send_back(refused(results, "car0", "man0", "car1"), folder=tmp_path)
    assert (report.placed, report.written, report.notes) == (1, 2, ["It has one place."])
    assert [row["label_id"] for row in cells(tmp_path / "r-bob.csv")] == ["man0", "car1"]
    assert report.to_dict() == {
        "anno_key": "r", "placed": 1, "existing": 0, "written": 2, "files": [str(tmp_path / "r-bob.csv")],
        "notes": ["It has one place."],
    }  # fmt: skip


# Comments that come back


@pytest.fixture
def commented(bridge, results) -> str:
    task = sorted(bridge.server.labels)[0]
    row = {
        "sample_id": "s0",
        "box": [0.1, 0.2, 0.3, 0.4],
        "author": "eve",
        "text": "A van?",
        "state": "open",
        "thread": "7",
    }
    bridge.server.comments[task] = pa.Table.from_pylist([row, {**row, "sample_id": "elsewhere"}], COMMENTS)
    return task


def test_comments_come_with_a_plan_and_a_load(bridge, commented) -> None:
    for found in (bridge.plan(), bridge.load()):
        assert found.comments.schema == COMMENTS
        assert [(c["sample_id"], c["author"], c["text"]) for c in found.comments.to_pylist()] == [
            ("s0", "eve", "A van?")
        ]
        assert found.to_dict()["comments"] == 1
        assert "(1 comments)" in repr(found)
    assert len(bridge.load().comments) == 1


def test_comments_do_not_make_a_plan_stale(bridge, commented) -> None:
    plan = bridge.plan()
    bridge.server.comments.clear()
    plan.apply()


WRONG_COMMENTS: list[tuple[Any, str]] = [
    (lambda t: None, "None as comments instead of a pyarrow.Table with the columns of COMMENTS"),
    (lambda t: t.drop_columns(["url"]), "comments without the column 'url', unlike COMMENTS"),
    (lambda t: t.append_column("more", t["url"]), "comments with the column 'more' too many"),
    (lambda t: t.set_column(6, "text", pa.nulls(len(t), pa.string())), "comments of 2 rows, 2 without a text"),
    (
        lambda t: t.set_column(7, "state", pa.array(["done"] * len(t))),
        "comments of 2 rows, the state 'done', which is none of open, resolved",
    ),
]


@pytest.mark.parametrize(("change", "words"), WRONG_COMMENTS)
def test_wrong_comments_are_named(bridge, commented, change: Any, words: str) -> None:
    bridge.server.comments[commented] = change(bridge.server.comments[commented])
    with pytest.raises(ab.Broken, match=words):
        bridge.load()
