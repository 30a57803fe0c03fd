"""A backend makes a slip: one sentence says which, nothing is stored, and the run can go on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

import annobridge as ab
from annobridge.backend.memory import MemoryBackend
from annobridge.core.labels import REMOTE
from annobridge.core.rows import attribute

OBJECTS = {"objects": {"type": "detections", "classes": ["car", "person"]}}
Change = Callable[[Any], Any]


def column(table: pa.Table, name: str, values: list[Any], kind: pa.DataType | None = None) -> pa.Table:
    at = table.column_names.index(name)
    return table.set_column(at, name, pa.array(values, kind or table.schema.field(name).type))


def first(table: pa.Table, name: str, value: Any) -> pa.Table:
    """``value`` in the first row of a column."""
    return column(table, name, [value, *table[name].to_pylist()[1:]])


def in_baseline(change: Callable[[pa.Table], Any]) -> Change:
    return lambda receipt: replace(receipt, baseline=change(receipt.baseline))


def in_labels(change: Callable[[pa.Table], Any]) -> Change:
    return lambda download: replace(download, labels=change(download.labels))


def slip(monkeypatch: pytest.MonkeyPatch, method: str, change: Change) -> None:
    """What the method answers is changed on its way."""
    real = getattr(MemoryBackend, method)
    monkeypatch.setattr(MemoryBackend, method, lambda self, *given: change(real(self, *given)))


ANY = [
    (lambda t: None, "instead of a pyarrow.Table"),
    (lambda t: t.drop_columns(["tags", "rev"]), "without the columns 'rev', 'tags'|without the columns 'tags', 'rev'"),
    (lambda t: t.append_column("zzz", t["label"]), "with the column 'zzz' too many"),
    (lambda t: t.append_column("label", t["label"]), "with the column 'label' more than once"),
    (lambda t: column(t, "remote_id", list(range(len(t))), pa.int64()), "'remote_id' of type int64 instead of string"),
    (lambda t: column(t, "label", t["label"].to_pylist(), pa.large_string()), "'label' of type large_string"),
    (lambda t: column(t, "attributes", [[]] * len(t), pa.list_(pa.string())), "'attributes' of type list"),
    (lambda t: pa.Table.from_arrays(first(t, "remote_id", None).columns, t.column_names), "1 without a remote_id"),
    (lambda t: pa.Table.from_arrays(first(t, "kind", None).columns, t.column_names), "1 without a kind"),
    (lambda t: pa.Table.from_arrays(first(t, "sample_id", None).columns, t.column_names), "1 without a sample_id"),
    (lambda t: first(t, "remote_id", "\nx"), "1 with a remote_id that begins with a line break"),
    (lambda t: first(t, "attributes", [None]), "1 attributes without a name"),
]
RECEIPTS: list[tuple[Change, str]] = [
    (lambda r: None, "None instead of a Receipt"),
    (lambda r: "done", "'done' instead of a Receipt"),
    (lambda r: replace(r, task="other"), "a receipt of the task 'other'"),
    (lambda r: replace(r, state=[1]), "a state that is an object of type list instead of a dictionary"),
    (lambda r: replace(r, state={"a": {1: 2}}), r"state\['a'\] has the key 1, which is not a text"),
    (lambda r: replace(r, state={"a": [1.0, math.nan]}), r"state\['a'\]\[1\] is nan"),
    (lambda r: replace(r, state={"a": {1, 2}}), r"state\['a'\] is an object of type set"),
    (in_baseline(lambda t: t.slice(0, 0)), r"lacks 8 of the 8 labels that were sent \(first: 'car0'\)"),
    (in_baseline(lambda t: t.slice(2)), r"lacks 2 of the 8 labels that were sent \(first: 'car0'\)"),
    (in_baseline(lambda t: first(t, "label_id", "x")), "lacks 1 of the 8 .* has 1 label ids that were not sent .*'x'"),
    (in_baseline(lambda t: pa.concat_tables([t, t.slice(0, 2)])), r"repeats the label id of 2 rows \(first: 'car0'\)"),
    (in_baseline(lambda t: first(t, "label_id", None)), "1 without a label_id"),
    (in_baseline(lambda t: first(t, "field", None)), "1 without a field"),
    (in_baseline(lambda t: first(t, "sample_id", "s3")), "another sample_id for 1 labels .*'car0', 's3' instead of 's0'"),
    (in_baseline(lambda t: first(t, "field", "other")), "another field for 1 labels .*'other' instead of 'objects'"),
    (in_baseline(lambda t: first(t, "kind", "mask")), "another kind for 1 labels .*'mask' instead of 'box'"),
    (in_baseline(lambda t: column(t, "remote_id", ["1"] * 8)), "gives 4 labels the remote_id of another on the same sample"),
    (lambda r: replace(r, unsent=["car0"]), "unsent that are an object of type list instead of a pyarrow array of strings"),
    (lambda r: replace(r, unsent=pa.array(["x"])), r"unsent label ids that were not given to it \(first: 'x'\)"),
    (lambda r: replace(r, unsent=pa.array(["car0"])), r"has 1 label ids that were not sent \(first: 'car0'\)"),
    *((in_baseline(change), f"a baseline .*({words})") for change, words in ANY),
]  # fmt: skip
DOWNLOADS: list[tuple[Change, str]] = [
    (lambda d: None, "None instead of a Download"),
    (lambda d: d.labels, "an object of type Table instead of a Download"),
    (lambda d: replace(d, samples=d.samples.to_pylist()), "samples that are an object of type list instead of a pyarrow array"),
    (lambda d: replace(d, samples=pa.array([1, 2])), "samples of type int64 instead of string"),
    (lambda d: replace(d, samples=pa.array(["s0", None])), "samples of which 1 are null"),
    (lambda d: replace(d, notes="a note"), "notes that are 'a note' instead of a sequence of texts"),
    (lambda d: replace(d, notes=(1,)), "notes that hold 1, which is not a text"),
    (lambda d: replace(d, notes=None), "notes that are None instead of a sequence of texts"),
    *((in_labels(change), f"labels .*({words})") for change, words in ANY),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(RECEIPTS)))
def test_a_wrong_receipt_is_refused_and_the_run_can_be_resumed(bridge, monkeypatch, number):
    change, words = RECEIPTS[number]
    before = bridge.labels()
    with monkeypatch.context() as patch:
        slip(patch, "upload", change)
        with pytest.raises(ab.BackendError, match=words) as error:
            bridge.annotate(schema=OBJECTS)
    task = bridge.ds.stores.runs.tasks(bridge.ds.stores.runs.get_idle("r"))["task"][0].as_py()
    said = str(error.value)
    assert said.startswith(f"The backend 'memory' returned from upload of the task '{task}' ")
    assert "mistake in the backend" in said
    assert "resume_annotation('r')" in said
    assert len(said.splitlines()) == 1
    assert bridge.ds.stores.database.table("annotation_baseline").count_rows() == 0
    bridge.ds.resume_annotation("r")
    bridge.again_is_nothing()
    assert bridge.labels() == before


@pytest.mark.parametrize("number", range(len(DOWNLOADS)))
def test_a_wrong_download_is_refused_and_changes_nothing(sent, monkeypatch, number):
    change, words = DOWNLOADS[number]
    sent.hands.set("car0", label="person")
    before = sent.versions()
    with monkeypatch.context() as patch:
        slip(patch, "download", change)
        with pytest.raises(ab.BackendError, match=words) as error:
            sent.load()
    assert str(error.value).startswith("The backend 'memory' returned from download of the task 'r-")
    assert str(error.value).endswith(
        "This is a mistake in the backend. Nothing was loaded; load_annotations('r') tries again."
    )
    assert sent.versions() == before
    assert sent.load().edited == 1


def test_labels_that_are_declared_unsent_stay_as_they_are(bridge, monkeypatch):
    def without_car0(receipt: ab.Receipt) -> ab.Receipt:
        table = receipt.baseline
        bridge.server.labels[receipt.task] = table.slice(1)
        return replace(receipt, baseline=table.slice(1), unsent=table["label_id"].slice(0, 1))

    slip(monkeypatch, "upload", without_car0)
    before = bridge.labels()
    bridge.annotate(schema=OBJECTS)
    bridge.hands.delete("man0")
    assert (bridge.load().deleted, set(before) - set(bridge.labels())) == (1, {"man0"})
    assert bridge.label("car0") == before["car0"]


def test_columns_in_another_order_and_samples_in_chunks_are_right(sent, monkeypatch):
    names = sorted(REMOTE.names)
    slip(
        monkeypatch, "download", lambda d: ab.Download(d.labels.select(names), pa.chunked_array([d.samples]), ["note"])
    )
    sent.hands.set("car0", label="person")
    report = sent.load()
    assert (report.total, report.notes) == (1, ("note",))


@pytest.mark.parametrize(
    ("method", "answer", "words"),
    [
        ("check", "no", "problems that are 'no' instead of a sequence of texts"),
        ("check", None, "problems that are None instead of a sequence of texts"),
        ("check", [None], "problems that hold None, which is not a text"),
        ("check_task", "no", "problems that are 'no' instead of a sequence of texts"),
        ("check_task", 7, "problems that are 7 instead of a sequence of texts"),
    ],
)
def test_a_wrong_answer_to_a_check_stops_before_anything_is_sent(bridge, monkeypatch, method, answer, words):
    before = bridge.state()
    monkeypatch.setattr(MemoryBackend, method, lambda *_: answer)
    with pytest.raises(ab.BackendError, match=f"returned from {method}.* {words}.*Nothing was sent"):
        bridge.annotate()
    assert bridge.state() == before


@pytest.mark.parametrize(
    ("method", "answer", "words"),
    [
        ("status", None, "None instead of a Status"),
        ("status", {"state": "open"}, "an object of type dict instead of a Status"),
        ("status", ab.Status(None), "a Status whose state is None, which is not a text"),
        ("status", ab.Status("open", [1]), "a Status whose samples are an object of type list"),
        ("status", ab.Status("open", {"new": "3"}), "a Status whose samples are"),
        ("status", ab.Status("open", {}, ({"name": "job"},)), "a Status with the job"),
        ("status", ab.Status("open", {}, None), "a Status with the job None"),
        ("editor_url", 7, "7 instead of an address or None"),
    ],
)  # fmt: skip
def test_a_wrong_status_or_address_is_named(sent, monkeypatch, method, answer, words):
    monkeypatch.setattr(MemoryBackend, method, lambda *_: answer)
    with pytest.raises(ab.BackendError, match=f"returned from {method} of the task 'r-.* {words}"):
        sent.ds.load_annotation_results("r").status()


@pytest.mark.parametrize("answer", [["id"], "id", {1: 2}])
def test_a_wrong_state_of_a_task_that_was_looked_for_is_named(bridge, monkeypatch, answer):
    with monkeypatch.context() as patch:
        slip(patch, "upload", lambda r: None)
        with pytest.raises(ab.BackendError):
            bridge.annotate()
        patch.setattr(MemoryBackend, "find", lambda *_: answer)
        with pytest.raises(ab.BackendError, match="returned from find of the task .* a state that is"):
            bridge.ds.abort_annotation("r")
    assert bridge.ds.list_annotation_runs() == ["r"]
    bridge.ds.abort_annotation("r")
    assert not bridge.server.labels


@pytest.mark.parametrize(
    "error", [KeyError("id"), TypeError("no len()"), AttributeError("'None' has no .x"), OSError(28, "full")]
)
@pytest.mark.parametrize("method", ["check", "check_task", "upload", "download", "delete", "status", "editor_url"])
def test_an_exception_of_a_backend_is_named_with_its_method_and_kept(bridge, monkeypatch, method, error):
    def fails(*_: Any) -> None:
        raise error

    before_sending = method in ("check", "check_task", "upload")
    if not before_sending:
        bridge.annotate()
        results = bridge.ds.load_annotation_results("r")
    monkeypatch.setattr(MemoryBackend, method, fails)
    calls = {"download": bridge.load, "delete": lambda: results.cleanup(), "status": lambda: results.status()}
    call = bridge.annotate if before_sending else calls.get(method, calls["status"])
    words = f"The backend 'memory' failed in {method}.* with {type(error).__name__}: "
    with pytest.raises(ab.BackendError, match=words) as e:
        call()
    causes = [e.value, e.value.__cause__, getattr(e.value.__cause__, "__cause__", None)]
    assert error in causes


def test_an_error_while_problems_are_listed_is_named_too(bridge, monkeypatch):
    def check(*_: Any) -> Any:
        yield "a problem"
        raise KeyError("label")

    monkeypatch.setattr(MemoryBackend, "check_task", check)
    with pytest.raises(ab.BackendError, match="failed in check_task of the task 'r-.* with KeyError: 'label'"):
        bridge.annotate()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ab.Unsupported("", ["not this"]), ab.Denied("no", 403)])
def test_other_errors_pass_as_they_are(bridge, monkeypatch, error):
    monkeypatch.setattr(MemoryBackend, "check", lambda *_: (_ for _ in ()).throw(error))
    with pytest.raises(type(error)) as e:
        bridge.annotate()
    assert e.value is error


def test_a_row_that_comes_twice_is_taken_once_with_a_note(sent):
    sent.hands.copy("car0")
    sent.hands.add("s1", remote_id="new")
    sent.hands.copy("new")
    sent.hands.copy("new", bounding_box=[0.5, 0.5, 0.1, 0.1])
    report = sent.load()
    assert (report.added, report.edited, report.deleted) == (2, 0, 0)  # the copy that differs is a label of its own
    (note,) = report.notes
    assert note.startswith("3 labels came from the tool more than once")
    sent.again_is_nothing()


def test_a_page_that_comes_twice_is_told_by_a_plan_that_is_applied_later(sent):
    for task, table in sent.server.labels.items():
        sent.server.labels[task] = pa.concat_tables([table, table.slice(5)])
    sent.hands.set("car0", label="person")
    plan = sent.plan()
    assert plan.total == 1
    assert any("more than once" in note for note in plan.notes)
    assert plan.apply().total == 1


def test_numbers_that_begin_anew_in_each_task_make_labels_of_their_own(bridge):
    bridge.annotate(task_size=1)
    before = bridge.labels()
    for n in range(4):
        for remote in ("1", "2", "\\n", "2\n1"):
            bridge.hands.add(f"s{n}", remote_id=remote)
    assert bridge.load().added == 16
    assert len(bridge.new(before)) == 16
    bridge.again_is_nothing()
    bridge.ds.undo_annotations("r")
    assert bridge.labels() == before
    assert bridge.load().added == 16
    bridge.ds.annotate("next", label_schema=OBJECTS, backend="memory", url=bridge.url)


def test_a_plan_that_would_write_one_id_twice_is_refused(sent, monkeypatch):
    from annobridge.core.merge import match

    monkeypatch.setattr(match.ids, "join_columns", lambda remote, *_: remote)
    before = sent.versions()
    for n in range(2):
        sent.hands.add(f"s{n}", remote_id="1")
    with pytest.raises(
        ab.MergeError, match=r"write 1 label ids more than once \(first: '.*'\), so nothing was written"
    ):
        sent.load()
    assert sent.versions() == before


def test_an_attribute_without_a_value_is_refused_by_label(sent):
    """What is wrong with one label is no reason to refuse the whole answer."""
    nameless = {**attribute("color", "red"), "value": None}
    sent.hands.set("car0", attributes=[nameless], label="person")
    sent.hands.set("car1", label="person")
    assert sent.load().edited >= 1
    assert sent.label("car1")["label"] == "person"
