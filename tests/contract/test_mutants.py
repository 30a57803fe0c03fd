"""The contract finds mistakes of backends, and accepts tools that only round. ``MUTANTS`` lists mistakes, each with its law."""

from __future__ import annotations

import functools
import inspect
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.contract.test_memory import MemoryAnnotator
from tests.doubles import picture_backend
from tests.doubles.picture_backend import PictureBackend

import annobridge as ab
from annobridge.backend import Edits, Pushed, Receipt, SentBack
from annobridge.backend.memory import MemoryBackend
from annobridge.bridge.results import AnnotationResults
from annobridge.core.ids import derive
from annobridge.core.labels import COMMENTS, REMOTE
from annobridge.core.rows import attribute
from annobridge.testing import BackendContract, Tool, examples

Mutant = Callable[[pytest.MonkeyPatch], None]
TOKEN = "t0ken-0f-the-test"


class _Pictures(BackendContract):
    backend = PictureBackend
    any_class = True

    @pytest.fixture(autouse=True)
    def _registered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(picture_backend.VARIABLE, picture_backend.NAME)

    def options(self) -> Mapping[str, Any]:
        return {"url": f"memory://{self.folder}", "token": TOKEN}

    def tool(self, results: AnnotationResults) -> Tool:
        return MemoryAnnotator(_backend(results).server)

    def image(self, results: AnnotationResults, sample_id: str) -> bytes:
        return _backend(results).shown[sample_id]

    def shown_read_only(self, results: AnnotationResults) -> set[str]:
        return _backend(results).locked


def _backend(results: AnnotationResults) -> PictureBackend:
    assert isinstance(results.backend, PictureBackend)
    return results.backend


class TestRounding(_Pictures):
    """A tool that keeps three digits, as its baseline shows, is accepted."""

    @pytest.fixture(autouse=True)
    def _rounding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        baseline(_rounded)(monkeypatch)
        labels(_rounded)(monkeypatch)
        push = PictureBackend.push

        def rounding(self: PictureBackend, receipt: Receipt, edits: Edits) -> Pushed:
            done = push(self, receipt, edits)
            return replace(done, baseline=_rounded(done.baseline))

        monkeypatch.setattr(PictureBackend, "push", rounding)


class TestClassesOnly(_Pictures):
    """A tool for classes of whole images, in which no shape can be drawn, is accepted."""

    draws = frozenset({"classifications"})

    @pytest.fixture(autouse=True)
    def _no_shapes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        labels_only(monkeypatch, "classifications")


def labels_only(patch: pytest.MonkeyPatch, label_type: str) -> None:
    can = replace(PictureBackend.capabilities, label_types=frozenset({label_type}))
    patch.setattr(PictureBackend, "capabilities", can)


# How a backend is changed


def answer(method: str, change: Callable[..., Any]) -> Mutant:
    """A method returns ``change(result, backend, argument)``."""
    real = getattr(PictureBackend, method)

    @functools.wraps(real)
    def wrong(self: PictureBackend, given: Any) -> Any:
        return change(real(self, given), self, given)

    return lambda patch: patch.setattr(PictureBackend, method, wrong)


def baseline(change: Callable[[pa.Table], pa.Table]) -> Mutant:
    return answer("upload", lambda receipt, *_: replace(receipt, baseline=change(receipt.baseline)))


def labels(change: Callable[[pa.Table], pa.Table]) -> Mutant:
    return answer("download", lambda found, *_: replace(found, labels=change(found.labels)))


def both(*mutants: Mutant) -> Mutant:
    def apply(patch: pytest.MonkeyPatch) -> None:
        for mutant in mutants:
            mutant(patch)

    return apply


def column(table: pa.Table, name: str, change: Callable[[list[Any]], list[Any]]) -> pa.Table:
    values = pa.array(change(table[name].to_pylist()), REMOTE.field(name).type)
    return table.set_column(table.column_names.index(name), REMOTE.field(name), values)


def _rounded(table: pa.Table) -> pa.Table:
    def digits(boxes: list[Any]) -> list[Any]:
        return [box and np.round(box, 3).tolist() for box in boxes]

    def rings(shapes: list[Any]) -> list[Any]:
        return [shape and [np.round(ring, 3).tolist() for ring in shape] for shape in shapes]

    return column(column(table, "bounding_box", digits), "points", rings)


def _next_image(receipt: ab.Receipt, backend: PictureBackend, task: ab.Task) -> ab.Receipt:
    names = task.samples["sample_id"].to_pylist()
    images = [backend.shown[name] for name in names]
    backend.shown.update(zip(names, [*images[1:], images[0]], strict=True))
    return receipt


def new_id(of: Callable[[list[Any]], str]) -> Mutant:
    """A tool that gives new labels ``of(rows of the image)`` as remote id."""
    draw = MemoryAnnotator.add

    def add(self: MemoryAnnotator, sample_id: str, **columns: Any) -> None:
        draw(self, sample_id, **columns)
        task, rows = self._rows(sample_id)
        there = [r for r in rows if r["sample_id"] == sample_id]
        self._put(task, [*rows[:-1], {**rows[-1], "remote_id": of(there)}])

    return lambda patch: patch.setattr(MemoryAnnotator, "add", add)


def ids_of_remote_ids(run_id: str, names: pa.Array) -> pa.Array:
    """A bridge that takes a remote id for unique in the whole run: the sample is not in the ids of new labels."""
    return derive(run_id, pa.array([name.partition("\n")[0] for name in names.to_pylist()], pa.string()))


def own_attribute(change: Callable[[dict[str, Any]], list[Any]]) -> Mutant:
    """The attributes of each label become ``change(row)``; those of one class have the attribute ``own``."""

    def changed(table: pa.Table) -> pa.Table:
        return column(table, "attributes", lambda _: [change(row) for row in table.to_pylist()])

    return both(baseline(changed), labels(changed))


def foreign_class(name: str | None) -> Mutant:
    return labels(lambda t: column(t, "label", lambda names: [name if n == "unicorn" else n for n in names]))


def never_taken(backend: PictureBackend, receipt: ab.Receipt) -> None:
    """A ``delete`` that does nothing."""


def confusing(method: str) -> Mutant:
    """A method for which the backend keeps its argument, so that threads take each other's."""
    real, kept = getattr(PictureBackend, method), [None]

    @functools.wraps(real)
    def wrong(self: PictureBackend, given: Any) -> Any:
        kept[0] = given
        time.sleep(0.02)
        return real(self, kept[0])

    return lambda patch: patch.setattr(PictureBackend, method, wrong)


def patched(target: str, wrong: Callable[..., Any]) -> Mutant:
    return lambda patch: patch.setattr(target, wrong)


def remembered_nothing(backend: PictureBackend, receipt: ab.Receipt, refusals: pa.Table) -> SentBack:
    """A ``send_back`` that places everything anew."""
    there = backend.server.comments.pop(receipt.task, COMMENTS.empty_table())
    done = MemoryBackend.send_back(backend, receipt, refusals)
    backend.server.comments[receipt.task] = pa.concat_tables([there, backend.server.comments[receipt.task]])
    return done


def once_a_task(backend: PictureBackend, receipt: ab.Receipt, refusals: pa.Table) -> SentBack:
    """A ``send_back`` that takes any comment for those of all refusals."""
    if receipt.task in backend.server.comments:
        return SentBack(len(refusals))
    return MemoryBackend.send_back(backend, receipt, refusals)


def deleting_labels(backend: PictureBackend, receipt: ab.Receipt, refusals: pa.Table) -> SentBack:
    backend.server.labels[receipt.task] = backend.server.labels[receipt.task].slice(1)
    return MemoryBackend.send_back(backend, receipt, refusals)


def comments(change: Callable[[pa.Table], pa.Table]) -> Mutant:
    return answer("download", lambda found, *_: replace(found, comments=change(found.comments)))


def all_of(table: pa.Table, name: str, value: Any) -> pa.Table:
    """A table of comments with one value in a whole column."""
    kind = COMMENTS.field(name).type
    return table.set_column(table.column_names.index(name), name, pa.array([value] * len(table), kind))


UPRIGHT = functools.partial(column, name="rotation", change=lambda values: [None] * len(values))
SHIFTED = functools.partial(column, name="sample_id", change=lambda ids: [ids[-1], *ids[:-1]])
AT_ONCE = "test_tasks_are_transferred_at_once"
UNTOUCHED = "test_untouched_labels_come_back_equal"
NEW = "test_new_labels_have_ids_of_their_own"
IMAGES, SECRETS = "test_every_image_is_shown_under_its_sample", "test_no_secret_is_kept_or_shown"
OWN, FOREIGN = "test_attributes_of_one_class_stay_with_it", "test_a_class_that_is_not_in_the_schema_is_unexpected"
BACK, COMMENTED = "test_what_is_refused_goes_back_once", "test_what_went_back_is_read_as_comments"
ABORTED = "test_a_run_that_lost_an_answer_is_aborted"
DOUBLE = "tests.doubles.picture_backend.PictureBackend"
MUTANTS: dict[str, tuple[Mutant, str]] = {
    "images under other samples": (answer("upload", _next_image), IMAGES),
    "labels under other samples": (both(baseline(SHIFTED), labels(SHIFTED)), UNTOUCHED),
    "a baseline short by one": (baseline(lambda t: t.slice(1)), UNTOUCHED),
    "an empty baseline": (baseline(lambda t: t.slice(0, 0)), UNTOUCHED),
    "a baseline with a row twice": (baseline(lambda t: pa.concat_tables([t, t.slice(0, 1)])), UNTOUCHED),
    "invented label ids": (baseline(lambda t: column(t, "label_id", lambda ids: ["x", *ids[1:]])), UNTOUCHED),
    "a receipt of another task": (answer("upload", lambda r, *_: replace(r, task="other")), UNTOUCHED),
    "rows twice": (labels(lambda t: pa.concat_tables([t, t.slice(1)])), "test_the_baseline_is_what_is_downloaded"),
    "a page twice, another lost": (
        labels(lambda t: pa.concat_tables([t.slice(0, 50), t.slice(0, len(t) - 50)]) if len(t) > 50 else t),
        "test_more_labels_than_a_page_come_back",
    ),
    "the second half lost": (labels(lambda t: t.slice(0, (len(t) + 1) // 2)), UNTOUCHED),
    "the second page lost": (labels(lambda t: t.slice(0, 100)), "test_more_labels_than_a_page_come_back"),
    "new labels of one image with one id": (new_id(lambda _: "new"), NEW),
    "ids of new labels that are the same in every task": (
        both(new_id(lambda there: str(len(there))), patched("annobridge.core.ids.derive", ids_of_remote_ids)),
        NEW,
    ),
    "new ids at every download": (
        labels(lambda t: column(t, "remote_id", lambda ids: [f"{i}-{np.random.default_rng().integers(1 << 40)}" for i in ids])),
        UNTOUCHED,
    ),
    "rotation dropped": (both(baseline(UPRIGHT), labels(UPRIGHT)), "test_turned_boxes_stay_turned"),
    "another field": (labels(lambda t: column(t, "field", lambda names: ["other"] * len(names))), UNTOUCHED),
    "another class": (labels(lambda t: column(t, "label", lambda names: ["person"] * len(names))), UNTOUCHED),
    "rounded in the download only": (labels(_rounded), UNTOUCHED),
    "samples without labels not answered for": (
        answer("download", lambda d, *_: replace(d, samples=pa.array(set(d.labels["sample_id"].to_pylist()), pa.string()))),
        "test_the_baseline_is_what_is_downloaded",
    ),
    "a secret in the state": (
        answer("upload", lambda r, self, _: replace(r, state={"login": self.config.token.get_secret_value()})),
        SECRETS,
    ),
    "find forgets": (answer("find", lambda *_: None), ABORTED),
    "nothing is deleted": (patched(f"{DOUBLE}.delete", never_taken), "test_deleting_twice_is_quiet_and_then_the_task_is_gone"),
    "a new task at every try": (
        answer("upload", lambda r, *_: replace(r, state={"task": str(np.random.default_rng().integers(1 << 40))})),
        "test_sending_again_under_the_same_name_makes_no_second_task",
    ),
    "class attribute dropped": (own_attribute(lambda row: []), OWN),
    "class attribute on every class": (own_attribute(lambda row: [attribute("own", "007")]), OWN),
    "read-only value taken": (
        patched("annobridge.core.merge.restrict._Rules._read_only", lambda self, name, labels: np.zeros(len(labels), bool)),
        "test_a_read_only_attribute_is_not_taken",
    ),
    "read-only value not sent": (
        own_attribute(lambda row: [a for a in row["attributes"] if a["name"] != "my_text"]),
        "test_a_read_only_attribute_is_not_taken",
    ),
    "read-only not shown": (
        answer("upload", lambda r, self, _: self.locked.clear() or r),
        "test_a_read_only_attribute_is_shown_as_such",
    ),
    "all attributes shown read-only": (
        answer("upload", lambda r, self, task: self.locked.update(task.schema.fields["field"].all_attributes()) or r),
        "test_a_read_only_attribute_is_shown_as_such",
    ),
    "unexpected class renamed": (foreign_class("person"), FOREIGN),
    "unexpected class lost": (foreign_class(None), FOREIGN),
    "unexpected class hidden": (foreign_class("car"), FOREIGN),
    "largest_task ignored": (
        patched("annobridge.core.tasks.size", lambda asked, largest: asked or 2_000),
        "test_a_task_is_no_larger_than_the_tool_takes",
    ),
    "a refusal placed at every call": (patched(f"{DOUBLE}.send_back", remembered_nothing), BACK),
    "refusals counted and not kept": (
        patched(f"{DOUBLE}.send_back", lambda _self, _receipt, refusals: SentBack(len(refusals))), BACK,
    ),
    "refusals that are not counted": (patched(f"{DOUBLE}.send_back", lambda *_: SentBack(0)), BACK),
    "new refusals not told from old ones": (
        patched(f"{DOUBLE}.send_back", once_a_task), "test_more_refusals_are_added_to_those_before",
    ),
    "labels lost when work is sent back": (patched(f"{DOUBLE}.send_back", deleting_labels), BACK),
    "comments lost": (comments(lambda t: t.slice(1)), COMMENTED),
    "comments without the message": (comments(lambda t: all_of(t, "text", "Refused.")), COMMENTED),
    "comments that are resolved": (comments(lambda t: all_of(t, "state", "resolved")), COMMENTED),
    "comments at another place": (comments(lambda t: all_of(t, "box", [0.9, 0.9, 0.1, 0.1])), COMMENTED),
    "comments on another sample": (comments(lambda t: all_of(t, "sample_id", "s5")), COMMENTED),
    "comments of a state of the tool's": (comments(lambda t: all_of(t, "state", "closed")), COMMENTED),
    "uploads that take each other's task": (confusing("upload"), AT_ONCE),
    "downloads that take each other's task": (confusing("download"), AT_ONCE),
    "a status that fails": (answer("status", lambda *_: {}["state"]), "test_a_run_that_lost_an_answer_is_resumed"),
}  # fmt: skip


HARMLESS: dict[str, tuple[Mutant, str]] = {
    "nothing is wrong": (lambda _: None, IMAGES),
    "nothing is kept": (lambda _: None, SECRETS),
    "numbers that begin anew on each image": (new_id(lambda there: str(len(there))), NEW),
}


def check(law: str, folder: Path, request: pytest.FixtureRequest) -> None:
    """Call a law."""
    laws = _Pictures()
    laws.folder = folder
    needed = [*inspect.signature(getattr(laws, law)).parameters]
    given = {n: "detections" if n == "label_type" else request.getfixturevalue(n) for n in needed}
    request.getfixturevalue("monkeypatch").setenv(picture_backend.VARIABLE, picture_backend.NAME)
    getattr(laws, law)(**given)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_law_finds_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """By an assertion, or by an error that says what is wrong; never by an exception that a writer has to debug."""
    mutant, law = MUTANTS[name]
    mutant(monkeypatch)
    with pytest.raises((AssertionError, ab.AnnobridgeError)) as caught:
        check(law, tmp_path, request)
    if isinstance(caught.value, AssertionError):
        assert re.fullmatch(r"The \w+ .*is expected to .+; instead, .+\.", str(caught.value), re.DOTALL)


@pytest.mark.parametrize("law", sorted({law for _, law in MUTANTS.values()}))
def test_nothing_is_found_in_the_backend_without_a_mistake(
    law: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    check(law, tmp_path, request)


@pytest.mark.parametrize("name", HARMLESS)
def test_the_law_lets_it_pass(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    mutant, law = HARMLESS[name]
    mutant(monkeypatch)
    check(law, tmp_path, request)


@pytest.mark.parametrize("label_type", sorted(set(examples.types()) - {"detections", "classifications"}))
@pytest.mark.parametrize(
    "law",
    [
        "test_every_change_is_accepted_refused_or_in_conflict",
        "test_nothing_allowed_changes_nothing",
        "test_all_allowed_and_no_edits_here_gives_what_the_tool_has",
        "test_attributes_of_one_class_stay_with_it",
    ],
)
def test_a_tool_for_one_type_is_tested_too(
    law: str, label_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    labels_only(monkeypatch, label_type)
    check(law, tmp_path, request)


def test_what_a_person_cannot_do_is_skipped_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any
) -> None:
    labels_only(monkeypatch, "polygons")
    with pytest.raises(
        pytest.skip.Exception, match="the person at the tool of pictures makes no new polygons: see `draws`"
    ):
        check(NEW, tmp_path, request)


def test_what_the_backend_refuses_to_send_is_skipped_by_its_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    def upright(backend: PictureBackend, task: ab.Task) -> list[str]:
        return ["Boxes are upright here."] if task.labels["rotation"].null_count < len(task.labels) else []

    monkeypatch.setattr(PictureBackend, "check_task", upright)
    with pytest.raises(pytest.skip.Exception, match="pictures refuses these detections .*Boxes are upright here"):
        check("test_turned_boxes_stay_turned", tmp_path, request)


def test_a_person_who_does_nothing_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The sentence says what the load should have had, and what it had."""
    monkeypatch.setattr(MemoryAnnotator, "edit", lambda *_, **__: None)
    with pytest.raises(
        AssertionError, match="find 1 added, 2 edited, 1 deleted when .*; instead, it found 1 added, 1 deleted"
    ):
        check("test_loading_twice_is_loading_once", tmp_path, request)
