"""The proofs count what is lost, doubled, orphaned, bare and hung, whatever the cause."""

from __future__ import annotations

import json
import math
import random
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from proofs import actions, checks, cvat, framework
from proofs.__main__ import main
from proofs.children import Step
from proofs.framework import Area, Finding, ProofError, Row, Settings, Shared, Trial, TrialContext
from proofs.kills import Killing, Verb
from proofs.states import States
from proofs.target import Snapshot, Target

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
    monkeypatch.setitem(framework.AREAS, "planted", Area("planted", "what a test planted", lambda shared: rows))
    return rows


@pytest.fixture
def context(tmp_path):
    with ExitStack() as exit_:
        shared = Shared(Settings(tmp_path / "all", rounds=40, deadline=60), tmp_path / "area", exit_)
        (tmp_path / "room").mkdir()
        yield TrialContext(shared, tmp_path / "room", random.Random(7))


def run_main(capsys, *arguments: str) -> tuple[int, dict]:
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_findings_are_counted_by_trial(planted, capsys):
    planted.append(Row("all kinds", lambda context: [Trial(n, lambda context, n=n: FINDINGS[n]) for n in FINDINGS]))
    planted.append(Row("none", lambda context: [Trial("one", lambda context: FINDINGS["sound"])] * 3))
    code, found = run_main(capsys, "planted")
    bad, good = found["rows"]
    assert (code, found["sound"]) == (1, False)
    assert (bad["tried"], bad["landed"]) == (6, 3)
    assert [bad[name] for name in framework.FAILURES] == [1] * 5
    assert bad["notes"][:2] == ["lost: lost 3. three are gone", "doubled: doubled 2."]
    assert (good["tried"], good["landed"], good["notes"]) == (3, 3, [])
    assert run_main(capsys, "planted", "--only", "none")[0] == 0


@pytest.mark.parametrize("name", ["lost", "doubled", "orphans", "bare", "hung"])
def test_each_kind_alone_fails(planted, capsys, name):
    planted.append(Row("row", lambda context: [Trial("one", lambda context: FINDINGS[name])]))
    assert main(["planted"]) == 1
    assert "planted: row" in capsys.readouterr().out


def test_a_trial_that_cannot_be_carried_out_proves_nothing(planted, capsys):
    def fail(context: TrialContext) -> list[Trial]:
        raise ProofError("the server did not start")

    planted += [Row("trial", lambda context: [Trial("one", fail)]), Row("plan", fail)]
    code, found = run_main(capsys, "planted")
    assert code == 1
    assert [row["errors"] for row in found["rows"]] == [1, 1]
    assert found["rows"][0]["notes"] == ["one: could not be carried out. the server did not start"]


def test_the_same_seed_chooses_the_same(planted, capsys):
    drawn: list[float] = []
    planted.append(
        Row("row", lambda context: [Trial("one", lambda context: drawn.append(context.rng.random()) or Finding())])
    )
    for seed in ("1", "1", "2"):
        main(["planted", "--seed", seed])
    assert drawn[0] == drawn[1] != drawn[2]


def test_an_unknown_area_is_named(capsys):
    with pytest.raises(SystemExit):
        main(["kilsl"])
    assert f"There is no area 'kilsl'; give {', '.join(framework.AREAS)}." in capsys.readouterr().err


def snapshot(text: str, duplicate_ids: tuple[str, ...] = ()) -> Snapshot:
    return Snapshot(Counter(text), duplicate_ids)


@pytest.mark.parametrize(
    ("found", "lost", "doubled"),
    [("ab", 0, 0), ("abcd", 0, 0), ("abc", 1, 0), ("b", 1, 0), ("abcdd", 0, 1), ("abxcd", 1, 0), ("", 2, 0)],
)
def test_before_or_after_and_nothing_else(found, lost, doubled):
    finding = checks.check_is_one_of(snapshot(found), [snapshot("ab"), snapshot("abcd")], "now")
    assert (finding.lost, finding.doubled) == (lost, doubled)
    assert finding.sound == (not finding.notes)


def test_ids_that_are_there_twice_are_doubled():
    assert checks.check_content(snapshot("ab", ("s1",)), [snapshot("ab")], "now").doubled == 1


def test_orphans_on_the_server_are_counted(context):
    with ExitStack() as exit_:
        states = States(context.shared, "disk")
        target, server = states.begin(context, "sent", exit_)
        known = context.call(actions.known_tasks, target)
        assert cvat.audit(server, known) == Finding()
        assert cvat.audit(server, known[1:]).orphans == 1
        assert cvat.audit(server, [*known, known[0]]).doubled == 1
        assert cvat.audit(server, [*known, 999]).lost == 1


def test_how_a_child_ends(context):
    nowhere = Target(str(context.folder / "nothing"), None, Path())
    assert context.attempt(len, "abc").value == 3
    assert context.attempt(math.sqrt, -1).kind == "bare"
    assert "There is no folder" in context.attempt(actions.open_dataset, nowhere).text
    assert context.attempt(actions.open_dataset, nowhere).kind == "refused"
    assert context.attempt(actions.create, nowhere, at=Step(1, "before")).kind == "killed"
    child = context.start(time.sleep, 60)
    child.go()
    assert child.outcome(0.05).kind == "hung"
    with pytest.raises(ProofError, match="sqrt: bare"):
        context.call(math.sqrt, -1)


def test_a_verb_that_never_finishes_is_found_out(context):
    verb = Verb("lose", "plain", actions.delete_labels, actions.open_dataset)
    finding = Killing(verb, States(context.shared, "disk")).plan(context)[0].run(context)
    assert finding.landed
    assert finding.lost > 0
