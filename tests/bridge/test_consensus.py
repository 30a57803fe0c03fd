"""Loads where several annotators answered: one of them, or the consensus of all; and what too few agree about."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import annobridge as ab
from annobridge import demo
from annobridge.backend.memory import SERVERS
from annobridge.cli.option_groups import consensus_of
from annobridge.core.labels import COMMENTS, REVIEWED
from annobridge.demo.tools import MemoryAnnotator
from annobridge.exceptions import InvalidOption, ReviewRequired

BOX = [0.1, 0.1, 0.2, 0.2]
MAJORITY = ab.Consensus()
NOTE = "The consensus of all annotators is taken, as by an earlier load; give consensus=False for none."


class World:
    """Two images with two boxes each, in a run that several people answer."""

    def __init__(self, root: Path) -> None:
        SERVERS.clear()
        self.ds = ab.create_dataset(root / "ds")
        self.ds.add_samples(
            ab.Sample(
                f"{i}.jpg",
                sample_id=f"s{i}",
                width=100,
                height=100,
                objects=[
                    ab.Detection("car", [0.1, 0.1, 0.2, 0.2], label_id=f"car{i}", colour="red"),
                    ab.Detection("bus", [0.6, 0.6, 0.2, 0.2], label_id=f"bus{i}", colour="blue"),
                ],
            )
            for i in range(2)
        )
        self.run = self.ds.annotate("r", label_schema="objects", backend="memory", progress=False)

    def person(self, name: str) -> MemoryAnnotator:
        return demo.annotator(self.run, name)

    def people(self, *names: str) -> list[MemoryAnnotator]:
        return [self.person(name) for name in names]

    def labels(self, field: str = "objects") -> dict[str, Any]:
        return {row["label_id"]: row for row in self.ds.labels(field).to_pylist()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_untouched_answers_change_nothing(world: World) -> None:
    world.people("alice", "bob", "carol")
    before = world.labels()
    report = world.ds.load_annotations("r", consensus=MAJORITY)
    assert (report.added, report.edited, report.deleted, report.version) == (0, 0, 0, None)
    assert world.labels() == before


def test_what_most_say_is_loaded_in_one_commit_and_taken_back(world: World) -> None:
    alice, bob, carol = world.people("alice", "bob", "carol")
    for one in (alice, bob):
        one.set_class("car0", "bus")
        one.delete("bus0")
    for one, x in ((bob, 0.30), (carol, 0.31)):
        one.draw("s1", "car", [x, 0.3, 0.1, 0.1])
    alice.set_attribute("car1", "colour", "blue")  # she alone
    before = world.labels()
    report = world.ds.load_annotations("r", consensus=MAJORITY)
    assert (report.added, report.edited, report.deleted) == (1, 1, 0)  # one kept bus0, so that is left for a decision
    after = world.labels()
    assert (after["car0"]["label"], after["car1"]["attributes"]) == ("bus", before["car1"]["attributes"])
    (new,) = set(after) - set(before)
    assert after[new]["bounding_box"] == pytest.approx([0.305, 0.3, 0.1, 0.1])
    assert after[new]["confidence"] == pytest.approx(2 / 3)
    assert after[new]["annotator"] == "bob, carol"
    assert report.outcome.left == 1
    world.ds.undo_annotations("r")
    assert world.labels().keys() == before.keys()


def test_what_too_few_have_is_told_and_loaded_once_it_is_accepted(world: World) -> None:
    alice, _, _ = world.people("alice", "bob", "carol")
    alice.draw("s0", "car", [0.4, 0.1, 0.1, 0.1])
    plan = world.ds.plan_annotations("r", consensus=MAJORITY)
    (change,) = plan.changes.to_pylist()
    assert (change["kind"], change["group"], change["proposal"]) == ("add", "dispute", "leave")
    assert change["why"] == "1 of 3 annotators have it; by default, it is left for later"
    report = world.ds.load_annotations("r", consensus=MAJORITY)
    assert report.added == 0
    assert any("1 change was left for a decision, as the annotators do not agree" in note for note in report.notes)
    plan.decide(where="true", verdict="accept")
    assert plan.load().added == 1
    again = world.ds.load_annotations("r", consensus=MAJORITY)
    assert (again.added, again.deleted, again.outcome.left) == (0, 0, 0)


@pytest.mark.parametrize(
    ("dest_field", "shown"),
    [(None, ""), ("out", "--dest-field out "), ({"objects": "out"}, "--dest-field objects=out ")],
)
def test_the_command_that_is_told_shows_the_same_changes(world: World, dest_field: Any, shown: str) -> None:
    world.people("Zoë Müller", "bob", "carol")[0].draw("s0", "car", [0.4, 0.1, 0.1, 0.1])
    consensus = ab.Consensus(quorum=0.7, classes="weighted", weights={"Zoë Müller": 0.5})
    report = world.ds.load_annotations("r", consensus=consensus, dest_field=dest_field)
    (note,) = (note for note in report.notes if "left for a decision" in note)
    assert note == (
        f'1 change was left for a decision, as the annotators do not agree: "annobridge review r {shown}--consensus quorum=0.7 '
        "--consensus classes=weighted --consensus 'weights.Zoë Müller=0.5'\"."
    )
    words = shlex.split(note.split('"')[1])
    given = [words[at + 1] for at, word in enumerate(words) if word == "--consensus"]
    assert consensus_of(given) == consensus


def test_a_refused_one_stays_out(world: World) -> None:
    world.people("alice", "bob", "carol")[0].draw("s0", "car", [0.4, 0.1, 0.1, 0.1])
    plan = world.ds.plan_annotations("r", consensus=MAJORITY)
    plan.decide(where="true", verdict="refuse")
    assert plan.load().added == 0
    assert world.ds.load_annotations("r", consensus=MAJORITY).outcome.left == 0


def test_a_class_with_a_tie_is_left_and_can_be_given(world: World) -> None:
    alice, bob = world.people("alice", "bob")
    for one, name in ((alice, "car"), (bob, "bus")):
        one.draw("s0", name, [0.4, 0.1, 0.1, 0.1])
    plan = world.ds.plan_annotations("r", consensus=MAJORITY)
    (change,) = plan.changes.to_pylist()
    assert change["why"].startswith("annotators differ about the class: car (alice), bus (bob)")
    assert world.ds.load_annotations("r", consensus=MAJORITY).added == 0


def test_restrictions_hold_for_a_consensus(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.ds.annotate("strict", label_schema="objects", allow_deletions=False, backend="memory", progress=False)
    run = world.ds.load_annotation_results("strict")
    for name in ("alice", "bob"):
        demo.annotator(run, name).delete("car0")
    report = world.ds.load_annotations("strict", consensus=MAJORITY)
    assert report.deleted == 0
    assert report.refused["reason"].to_pylist() == ["deletions are not allowed"]


def test_a_saved_plan_keeps_its_consensus(world: World, tmp_path: Path) -> None:
    for one in world.people("alice", "bob", "carol")[:2]:
        one.set_class("car0", "bus")
    consensus = ab.Consensus(quorum=0.6, geometry="weighted", classes="weighted", weights={"alice": 2.0})
    world.ds.plan_annotations("r", consensus=consensus).save(tmp_path / "plan.zip")
    plan = ab.load_plan(tmp_path / "plan.zip")
    assert plan.outcome.options.consensus == consensus
    assert plan.load().edited == 1


def test_a_plan_is_stale_when_somebody_goes_on(world: World) -> None:
    alice, bob = world.people("alice", "bob")
    for one in (alice, bob):
        one.set_class("car0", "bus")
    plan = world.ds.plan_annotations("r", consensus=MAJORITY)
    assert plan.apply().edited == 1
    for one in (alice, bob):
        one.set_class("car1", "bus")
    plan = world.ds.plan_annotations("r")
    bob.set_class("bus1", "car")
    with pytest.raises(ab.StalePlan, match="went on since the plan"):
        plan.apply()


def test_the_run_remembers_its_consensus(world: World) -> None:
    for one in world.people("alice", "bob"):
        one.set_class("car0", "bus")
    world.ds.load_annotations("r", consensus=MAJORITY)
    plan = world.ds.plan_annotations("r")
    assert plan.changes.num_rows == 0
    assert any("The consensus of all annotators is taken, as by an earlier load" in note for note in plan.notes)
    back = world.ds.plan_annotations("r", consensus=False)  # the tool's own answer, which nobody has edited
    assert [row["class_to"] for row in back.changes.to_pylist()] == ["car"]
    world.ds.undo_annotations("r")
    assert world.ds.plan_annotations("r").notes == ()


class TestTheLastConsensus:
    """It is taken again by loads into the same fields, as these would take its result back otherwise."""

    @staticmethod
    def load_one_more(world: World) -> None:
        for one in world.people("alice", "bob"):
            one.draw("s0", "car", [0.4, 0.1, 0.1, 0.1])
        assert world.ds.load_annotations("r", consensus=MAJORITY).added == 1

    def test_loads_into_another_field_do_not_end_it(self, world: World) -> None:
        self.load_one_more(world)
        raw = world.ds.load_annotations("r", consensus=False, dest_field="raw")
        assert raw.added == 4
        again = world.ds.load_annotations("r")
        assert (again.deleted, again.notes) == (0, (NOTE,))
        assert world.ds.load_annotations("r", dest_field="raw").notes == ()  # the tool's own answer, as before

    def test_it_is_of_any_field_that_labels_go_to(self, world: World) -> None:
        others = {"s0": [ab.Detection("car", BOX, label_id="other")], "s1": [ab.Detection("bus", BOX)]}
        world.ds.add_labels("others", others)
        run = world.ds.annotate("two", label_schema=["objects", "others"], backend="memory", progress=False)
        for name in ("alice", "bob"):
            one = demo.annotator(run, name)
            one.set_class("car0", "bus")
            one.set_class("other", "bus")
        assert world.ds.load_annotations("two", consensus=MAJORITY).edited == 2
        assert (
            NOTE in world.ds.load_annotations("two", dest_field={"objects": "copy"}).notes
        )  # others stay where they are
        assert world.labels("others")["other"]["label"] == "bus"
        world.ds.load_annotations("two", dest_field={"objects": "copy"}, consensus=False)
        assert NOTE in world.ds.plan_annotations("two").notes  # that of objects
        assert world.ds.plan_annotations("two", dest_field={"objects": "copy"}).notes == ()

    def test_files_do_not_end_it(self, world: World, tmp_path: Path) -> None:
        world.ds.export(tmp_path / "labels", format="coco", save_media=False)
        self.load_one_more(world)
        world.ds.load_annotations("r", path=tmp_path / "labels", dest_field="of_file")
        assert world.ds.load_annotations("r", path=tmp_path / "labels").deleted == 1
        assert NOTE in world.ds.plan_annotations("r").notes
        assert NOTE not in world.ds.plan_annotations("r", dest_field="of_file").notes

    def test_it_is_of_a_load_that_left_everything(self, world: World) -> None:
        world.people("alice", "bob", "carol")[0].draw("s0", "car", [0.4, 0.1, 0.1, 0.1])
        report = world.ds.load_annotations("r", consensus=MAJORITY)
        assert (report.version, report.outcome.left) == (None, 1)
        plan = world.ds.plan_annotations("r")
        assert NOTE in plan.notes
        assert plan.changes.num_rows == 1
        world.ds.load_annotations("r")
        assert len(world.ds.get_annotation_info("r")["loads"]) == 1  # recorded once
        world.ds.undo_annotations("r")
        assert world.ds.plan_annotations("r").notes == ()

    def test_a_load_without_changes_ends_it(self, world: World) -> None:
        world.people("alice", "bob")
        world.ds.load_annotations("r", consensus=MAJORITY)
        assert NOTE in world.ds.plan_annotations("r").notes
        world.ds.load_annotations("r", consensus=False)
        assert world.ds.plan_annotations("r").notes == ()


def test_protected_fields_want_a_decision_about_all(world: World) -> None:
    for one in world.people("alice", "bob"):
        one.set_class("car0", "bus")
    world.ds.protect("objects")
    with pytest.raises(ReviewRequired):
        world.ds.load_annotations("r", consensus=MAJORITY)


def test_into_another_field_what_too_few_kept_is_there_to_be_accepted(world: World) -> None:
    alice, bob, _ = world.people("alice", "bob", "carol")
    for one in (alice, bob):
        one.delete("car0")
    plan = world.ds.plan_annotations("r", consensus=MAJORITY, dest_field="truth")
    waiting = [row["label"] for row in plan.changes.to_pylist() if row["proposal"] == "leave"]
    assert waiting == ["car"]
    assert world.ds.load_annotations("r", consensus=MAJORITY, dest_field="truth").added == 3
    assert world.labels().keys() == {"car0", "bus0", "car1", "bus1"}


class TestWhatChangedSinceTheLastLoad:
    def test_another_reading_is_another_load(self, world: World) -> None:
        for one in world.people("alice", "bob"):
            one.draw("s0", "car", [0.4, 0.1, 0.1, 0.1])
        assert world.ds.load_annotations("r", since="last").added == 0
        assert world.ds.load_annotations("r", consensus=MAJORITY, since="last").added == 1
        other = world.ds.load_annotations("r", consensus=ab.Consensus(quorum=1), since="last")
        assert other.outcome.skipped == 0
        assert world.ds.load_annotations("r", since="last").outcome.skipped == 2

    def test_answers_are_part_of_it(self, world: World) -> None:
        people = world.people("alice", "bob")
        world.ds.load_annotations("r", consensus=MAJORITY, since="last")
        assert world.ds.load_annotations("r", since="last").outcome.skipped == 2
        for one in people:
            one.draw("s0", "car", [0.4, 0.1, 0.1, 0.1])
        assert world.ds.load_annotations("r", since="last").added == 1


class TestOneAnnotator:
    def test_their_answer_goes_to_a_field_of_its_own(self, world: World) -> None:
        alice, bob = world.people("alice", "bob")
        alice.delete("car0")
        bob.set_class("bus1", "car")
        reports = world.ds.load_answers("r")
        assert {name: report.added for name, report in reports.items()} == {"alice": 3, "bob": 4}
        assert world.ds.label_fields() == ["objects", "objects_alice", "objects_bob"]
        assert sorted(row["label"] for row in world.labels("objects_bob").values()) == ["bus", "car", "car", "car"]
        again = world.ds.load_answers("r")
        assert all((r.added, r.edited, r.deleted) == (0, 0, 0) for r in again.values())

    def test_samples_without_their_answer_stay(self, world: World) -> None:
        alice = world.person("alice")
        alice.delete("car1")
        alice.leave_out("s0")
        report = world.ds.load_annotations("r", annotator="alice")
        assert (report.deleted, report.outcome.unanswered) == (1, 1)
        assert world.labels().keys() == {"car0", "bus0", "bus1"}

    def test_somebody_unknown_is_an_error_with_the_names(self, world: World) -> None:
        world.people("alice", "bob")
        before = world.labels()
        with pytest.raises(InvalidOption) as error:
            world.ds.load_annotations("r", annotator="dave", dest_field="x")
        assert str(error.value) == "Nobody named 'dave' has answered the run 'r'; alice, bob did."
        assert world.labels() == before
        assert world.ds.label_fields() == ["objects"]

    def test_nobody_is_unknown_while_there_are_tasks_that_were_not_read(self, world: World) -> None:
        run = world.ds.annotate("two", label_schema="objects", backend="memory", task_size=1, progress=False)
        first, second = (receipt.task for receipt in run.receipts())
        MemoryAnnotator(run.backend.config.url, [first], "alice")
        MemoryAnnotator(run.backend.config.url, [second], "bob")
        assert world.ds.load_annotations("two", annotator="alice", dest_field="of_alice", since="last").added == 2
        again = world.ds.load_annotations("two", annotator="alice", dest_field="of_alice", since="last")
        assert again.notes == ("2 samples were left out by the options of the load; their labels stay as they are.",)
        other = world.ds.load_annotations("two", annotator="alice", dest_field="of_alice", where=["s1"])
        assert other.notes[1:] == ("Nobody named 'alice' has answered any task that this load looked at.",)
        weighted = ab.Consensus(classes="weighted", weights={"alice": 2})
        notes = world.ds.plan_annotations("two", consensus=weighted, where=["s1"]).notes
        assert not any("count for nothing" in note for note in notes)

    def test_two_names_for_one_field_are_refused(self, world: World) -> None:
        world.people("a.b", "a b")
        with pytest.raises(InvalidOption, match="Two answers would go to the field 'objects_a_b'"):
            world.ds.load_answers("r")
        assert world.ds.label_fields() == ["objects"]


@pytest.mark.parametrize("options", [{"consensus": MAJORITY}, {"annotator": "alice"}])
def test_what_the_tool_says_about_samples_is_in_any_reading(world: World, options: dict[str, Any]) -> None:
    for one in world.people("alice", "bob"):
        one.set_class("car0", "bus")
        one.set_class("car1", "bus")
    server, (receipt,) = SERVERS[world.run.backend.config.url], world.run.receipts()
    said = [
        {"sample_id": "s0", "reviewed": True, "state": "done"},
        {"sample_id": "s1", "reviewed": False, "state": "open"},
    ]
    server.reviewed[receipt.task] = pa.Table.from_pylist(said, REVIEWED)
    comment = {"sample_id": "s0", "thread": "1", "text": "look", "state": "open"}
    server.comments[receipt.task] = pa.Table.from_pylist([comment], COMMENTS)
    report = world.ds.load_annotations("r", reviewed_only=True, **options)
    assert (report.edited, report.outcome.skipped) == (1, 1)
    assert world.labels()["car1"]["label"] == "car"
    assert report.comments["text"].to_pylist() == ["look"]
    assert world.ds.reviewed("r")["state"].to_pylist() == ["done", "open"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"consensus": "median"}, "consensus='median' is not known; give an annobridge.Consensus."),
        (
            {"annotator": 7},
            "annotator=7 does not fit: it is one name, and consensus= takes all answers",
        ),
        (
            {"annotator": "alice", "consensus": MAJORITY},
            "annotator='alice' does not fit",
        ),
    ],
)
def test_wrong_options_are_refused(world: World, options: dict[str, Any], message: str) -> None:
    world.people("alice", "bob")
    with pytest.raises(InvalidOption) as error:
        world.ds.load_annotations("r", **options)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("options", [{"consensus": MAJORITY}, {"annotator": "alice"}])
def test_a_file_has_one_answer(world: World, tmp_path: Path, options: dict[str, Any]) -> None:
    world.ds.export(tmp_path / "labels", format="coco", save_media=False)
    with pytest.raises(InvalidOption) as error:
        world.ds.load_annotations("r", path=tmp_path / "labels", **options)
    name = next(iter(options))
    assert str(error.value).startswith(
        f"{name}= needs the answers of several annotators, and a file has one answer for each sample."
    )
    assert world.ds.get_annotation_info("r")["loads"] == []


def test_one_answer_only_is_told(world: World) -> None:
    world.person("alice").delete("car0")
    report = world.ds.load_annotations("r", consensus=MAJORITY)
    assert report.deleted == 1
    assert "2 samples were answered by one person only; their labels were taken as they are." in report.notes


def test_a_consensus_of_nobody_is_told(world: World) -> None:
    world.person("truth").delete("car0")
    (answers,) = SERVERS[world.run.backend.config.url].answers.values()
    answers["truth"] = replace(answers["truth"], is_truth=True)
    report = world.ds.load_annotations("r", consensus=MAJORITY)
    assert (report.total, report.outcome.unanswered) == (0, 2)
    assert (
        "Nobody has answered the run 'r', so there is no consensus, and nothing is loaded; what the tool takes for the truth is "
        "not counted as an answer."
    ) in report.notes


def test_weights_of_nobody_are_told(world: World) -> None:
    world.people("alice", "bob")
    consensus = ab.Consensus(classes="weighted", weights={"alice": 2, "objects_bob": 3})
    notes = world.ds.plan_annotations("r", consensus=consensus).notes
    assert "The weights of objects_bob count for nothing, as nobody of these names has answered." in notes


def test_a_run_that_nobody_answered_by_name_is_told(world: World) -> None:
    with pytest.raises(InvalidOption) as error:
        world.ds.load_answers("r")
    assert str(error.value) == "Nobody has answered the run 'r' by name, so there is nothing to load."
