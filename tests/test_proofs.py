"""The frame of the proofs: it counts what is lost, doubled, orphaned, bare and hung, whatever loses it."""

from __future__ import annotations

import json
import math
import random
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from proofs import acts, frame, judge, tool
from proofs.__main__ import main
from proofs.children import Step
from proofs.frame import Area, Finding, ProofError, Room, Row, Settings, Stage, Trial
from proofs.kills import Killing, Verb
from proofs.scene import Look, Scene
from proofs.states import States

FINDINGS = {
    "sound": Finding(landed=True),
    "lost": Finding(landed=True, lost=3, notes=("three are gone",)),
    "doubled": Finding(doubled=2),
    "orphans": Finding(landed=True, orphans=1),
    "bare": Finding(bare=1, notes=("KeyError",)),
    "hung": Finding(hung=1),
}


@pytest.fixture
def planted(monkeypatch):
    """The rows of an area that has nothing else."""
    rows: list[Row] = []
    monkeypatch.setitem(frame.AREAS, "planted", Area("planted", "what a test planted", lambda stage: rows))
    return rows


@pytest.fixture
def room(tmp_path):
    with ExitStack() as exit_:
        stage = Stage(Settings(tmp_path / "all", rounds=40, deadline=60), tmp_path / "area", exit_)
        (tmp_path / "room").mkdir()
        yield Room(stage, tmp_path / "room", random.Random(7))


def told(capsys, *arguments: str) -> tuple[int, dict]:
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_findings_are_counted_by_trial(planted, capsys):
    planted.append(Row("all kinds", lambda room: [Trial(n, lambda room, n=n: FINDINGS[n]) for n in FINDINGS]))
    planted.append(Row("none", lambda room: [Trial("one", lambda room: FINDINGS["sound"])] * 3))
    code, found = told(capsys, "planted")
    bad, good = found["rows"]
    assert (code, found["sound"]) == (1, False)
    assert (bad["tried"], bad["landed"]) == (6, 3)
    assert [bad[name] for name in frame.FAILURES] == [1] * 5
    assert bad["notes"][:2] == ["lost: lost 3. three are gone", "doubled: doubled 2."]
    assert (good["tried"], good["landed"], good["notes"]) == (3, 3, [])
    assert told(capsys, "planted", "--only", "none")[0] == 0


@pytest.mark.parametrize("name", ["lost", "doubled", "orphans", "bare", "hung"])
def test_each_kind_alone_fails(planted, capsys, name):
    planted.append(Row("row", lambda room: [Trial("one", lambda room: FINDINGS[name])]))
    assert main(["planted"]) == 1
    assert "planted: row" in capsys.readouterr().out


def test_a_trial_that_cannot_be_carried_out_proves_nothing(planted, capsys):
    def fail(room: Room) -> list[Trial]:
        raise ProofError("the server did not start")

    planted += [Row("trial", lambda room: [Trial("one", fail)]), Row("plan", fail)]
    code, found = told(capsys, "planted")
    assert code == 1
    assert [row["errors"] for row in found["rows"]] == [1, 1]
    assert found["rows"][0]["notes"] == ["one: could not be carried out. the server did not start"]


def test_the_same_seed_chooses_the_same(planted, capsys):
    drawn: list[float] = []
    planted.append(Row("row", lambda room: [Trial("one", lambda room: drawn.append(room.rng.random()) or Finding())]))
    for seed in ("1", "1", "2"):
        main(["planted", "--seed", seed])
    assert drawn[0] == drawn[1] != drawn[2]


def test_an_unknown_area_is_named(capsys):
    with pytest.raises(SystemExit):
        main(["kilsl"])
    assert f"There is no area 'kilsl'; give {', '.join(frame.AREAS)}." in capsys.readouterr().err


def look(text: str, twins: tuple[str, ...] = ()) -> Look:
    return Look(Counter(text), twins)


@pytest.mark.parametrize(
    ("found", "lost", "doubled"),
    [("ab", 0, 0), ("abcd", 0, 0), ("abc", 1, 0), ("b", 1, 0), ("abcdd", 0, 1), ("abxcd", 1, 0), ("", 2, 0)],
)
def test_before_or_after_and_nothing_else(found, lost, doubled):
    finding = judge.one_of(look(found), [look("ab"), look("abcd")], "now")
    assert (finding.lost, finding.doubled) == (lost, doubled)
    assert finding.sound == (not finding.notes)


def test_ids_that_are_there_twice_are_doubled():
    assert judge.between(look("ab", ("s1",)), [look("ab")], "now").doubled == 1


def test_orphans_on_the_server_are_counted(room):
    with tool.server() as server, ExitStack() as exit_:
        states = States(room.stage, "disk")
        scene, server = states.begin(room, "sent", exit_)
        known = room.call(acts.known_tasks, scene)
        assert tool.audit(server, known) == Finding()
        assert tool.audit(server, known[1:]).orphans == 1
        assert tool.audit(server, [*known, known[0]]).doubled == 1
        assert tool.audit(server, [*known, 999]).lost == 1


def test_how_a_child_ends(room):
    nowhere = Scene(str(room.folder / "nothing"), None, Path())
    assert room.attempt(len, "abc").value == 3
    assert room.attempt(math.sqrt, -1).kind == "bare"
    assert "There is no folder" in room.attempt(acts.opened, nowhere).text
    assert room.attempt(acts.opened, nowhere).kind == "refused"
    assert room.attempt(acts.create, nowhere, at=Step(1, "before")).kind == "killed"
    child = room.start(time.sleep, 60)
    child.go()
    assert child.outcome(0.05).kind == "hung"
    with pytest.raises(ProofError, match="sqrt: bare"):
        room.call(math.sqrt, -1)


def test_a_verb_that_never_finishes_is_found_out(room):
    verb = Verb("lose", "plain", acts.delete_labels, acts.opened)
    finding = Killing(verb, States(room.stage, "disk")).plan(room)[0].run(room)
    assert finding.landed
    assert finding.lost > 0
