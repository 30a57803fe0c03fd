"""The API: what a page gets, and what is stored."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.review.conftest import decision
from tests.review.fake_plan import FakePlan, change, label

from annobridge.exceptions import TooManyDeletions, UnexpectedLabels


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_plan_comes_column_by_column(serve, plan):
    found = serve(plan).get("api/plan").json()
    assert (found["anno_key"], found["run_id"], found["backend"]) == ("r1", "run1", "memory")
    assert (found["dataset"], found["reviewer"]) == ("street.lancedb", "me")
    assert (found["can_load"], found["can_send_back"], found["seq"], found["decisions"]) == (True, False, 0, [])
    assert [s["name"] for s in found["samples"]] == ["day/a.png", "day/b.png", "night/c.jpg"]
    assert found["samples"][0] == {
        "name": "day/a.png", "width": 64, "height": 48, "media": "image", "frames": None, "fps": None,
    }  # fmt: skip
    changes = found["changes"]
    assert changes["id"] == [f"change{n:06}" for n in range(6)]
    assert changes["sample"] == [0, 0, 1, 1, 2, 2]
    assert changes["theirs_box"][1] == [0.11, 0.1, 0.3, 0.3]
    assert (changes["their_at"][0], changes["our_at"][0]) == ("2026-11-29T12:00:00Z", None)
    assert (changes["iou"][0], changes["frame"][0], changes["choices"][0]) == (0.8, None, ["accept", "refuse"])
    assert {len(column) for column in changes.values()} == {6}


def test_labels_of_a_sample(serve, plan):
    found = serve(plan).get("api/samples/1").json()["labels"]
    assert [(row["label_id"], row["side"], row["box"]) for row in found] == [
        ("label2", "theirs", [0.1, 0.1, 0.3, 0.3]), ("label3", "theirs", [0.1, 0.1, 0.3, 0.3]),
    ]  # fmt: skip


def test_skeletons_have_the_lines_of_the_schema(serve, files):
    pose = label(
        "p", "s0", kind="skeleton", field="people", bounding_box=None, points=[[[0.1, 0.1], [0.2, 0.2], [0.3, 0.1]]]
    )
    plan = FakePlan.of_files(files)
    plan.label_rows.append(pose)
    found = {row["label_id"]: row.get("edges") for row in serve(plan).get("api/samples/0").json()["labels"]}
    assert found == {"label0": None, "p": [[0, 1], [1, 2]]}


@pytest.mark.parametrize("value", ["NaN", "[-Infinity]", "[" * 19_000, "[" * 150 + "]" * 150, '"\\ud83d"'])
def test_a_value_that_could_not_be_read_again_is_refused(serve, files, tmp_path, value):
    plan = FakePlan(
        [change(0, "s0", component="attributes.note", choices=["accept", "refuse", "value"])],
        FakePlan.of_files(files).sample_rows,
    )
    client = serve(plan)
    answer = client.decide(decision(0, "value", value=value))
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"].startswith("The value ")
    assert client.decide(decision(0, "value", value='"fine"')).status_code == 200
    assert len(lines(tmp_path / "r1.decisions.jsonl")) == 1


def test_a_decision_is_in_the_file_before_it_is_answered(serve, plan, tmp_path):
    client = serve(plan)
    answer = client.decide(decision(0), decision(3, "refuse", note="too small"), by="ann")
    assert answer.status_code == 200
    assert answer.json()["seq"] == 2
    assert [(r["seq"], r["verdict"], r["stale"], r["recorded"]) for r in answer.json()["decisions"]] == [
        (1, "accept", False, False), (2, "refuse", False, False),
    ]  # fmt: skip
    first, second = lines(tmp_path / "r1.decisions.jsonl")
    assert (first["run_id"], first["change_id"], first["by"], first["note"]) == ("run1", "change000000", "ann", "")
    assert (second["verdict"], second["note"], second["bound_to"]) == ("refuse", "too small", "bound3")
    assert client.get("api/plan").json()["seq"] == 2


def test_two_pages_see_each_other(serve, plan):
    client = serve(plan)
    client.decide(decision(0), by="ann")
    client.decide(decision(1), by="bob")
    plan_id = client.get("api/plan").json()["plan_id"]
    found = client.get("api/decisions?after=1").json()
    assert (found["seq"], [(r["by"], r["change_id"]) for r in found["decisions"]]) == (2, [("bob", "change000001")])
    assert client.get("api/decisions?after=2").json() == {"seq": 2, "decisions": [], "plan_id": plan_id}


def test_two_servers_share_a_file(serve, files):
    ann, bob = serve(FakePlan.of_files(files)), serve(FakePlan.of_files(files))
    assert ann.decide(decision(0)).json()["seq"] == 1
    assert bob.decide(decision(1)).json()["seq"] == 2
    for client in (ann, bob):
        found = client.get("api/decisions?after=0").json()["decisions"]
        assert [(r["seq"], r["change_id"]) for r in found] == [(1, "change000000"), (2, "change000001")]


def test_decisions_are_there_again_after_a_restart(serve, files, tmp_path):
    serve(FakePlan.of_files(files)).decide(decision(2, "refuse"))
    plan = FakePlan.of_files(files)
    (record,) = serve(plan).get("api/plan").json()["decisions"]
    assert (record["change_id"], record["verdict"], record["seq"]) == ("change000002", "refuse", 1)
    assert plan.decisions["verdict"].to_pylist() == ["refuse"]


def test_a_stale_decision_is_refused_and_not_stored(serve, plan, tmp_path):
    client = serve(plan)
    answer = client.decide(decision(0), decision(1) | {"bound_to": "something else"})
    assert (answer.status_code, answer.json()) == (
        409, {"error": "The change is not the same any more as the one that was looked at; reload the page."},
    )  # fmt: skip
    assert lines(tmp_path / "r1.decisions.jsonl") == []  # not the other one either


def test_a_decision_that_became_stale_is_shown_as_such(serve, files):
    serve(FakePlan.of_files(files)).decide(decision(0))
    later = FakePlan.of_files(files)
    later.rows[0]["bound_to"] = "it was moved again"
    later.__post_init__()
    (record,) = serve(later).get("api/plan").json()["decisions"]
    assert (record["stale"], record["bound_to"]) == (True, "bound0")
    assert later.states()["state"].to_pylist() == ["stale", "open", "open"]


def test_decisions_about_changes_that_are_gone_are_counted(serve, files, tmp_path):
    serve(FakePlan.of_files(files)).decide(decision(0), decision(1), decision(2))
    found = serve(FakePlan([change(0, "s0")], FakePlan.of_files(files).sample_rows[:1])).get("api/plan").json()
    assert [r["change_id"] for r in found["decisions"]] == ["change000000"]
    assert found["seq"] == 3
    assert found["notes"] == [
        f"{tmp_path / 'r1.decisions.jsonl'} has decisions about 2 changes that the plan does not have, as they were loaded, or "
        "taken back in the tool; they are left out."
    ]


@pytest.mark.parametrize(
    ("values", "status", "error"),
    [
        ({"verdict": "maybe"}, 400, "The verdict 'maybe' cannot be given to this change; legal are accept, refuse, open."),
        ({"verdict": "theirs"}, 400, "The verdict 'theirs' cannot be given to this change; legal are accept, refuse, open."),
        ({"verdict": None}, 400, "The verdict None cannot be given to this change; legal are accept, refuse, open."),
        ({"verdict": 7}, 400, "'verdict' should be a text of up to 200 characters."),
        ({"change_id": "no such"}, 409, "The plan was made anew since this page was opened, and does not have that change any "
                                        "more; reload the page."),
        ({"change_id": ["x"]}, 400, "'change_id' should be a text of up to 200 characters."),
        ({"value": '"car"'}, 400, "A value (JSON text) is given with the verdict 'value', and with no other."),
        ({"note": "x" * 20_001}, 400, "'note' should be a text of up to 20,000 characters."),
        ({"rule": 1}, 400, "'rule' should be a text of up to 20,000 characters."),
    ],
)  # fmt: skip
def test_a_decision_that_is_none(serve, plan, tmp_path, values, status, error):
    answer = serve(plan).decide(decision(0) | values)
    assert (answer.status_code, answer.json()) == (status, {"error": error})
    assert lines(tmp_path / "r1.decisions.jsonl") == []


def test_a_value_is_json(serve, files):
    plan = FakePlan.of_files(files)
    plan.rows[0] |= {"component": "label", "choices": ["accept", "refuse", "value"]}
    plan.__post_init__()
    client = serve(plan)
    wrong = client.decide(decision(0, "value", value="car"))
    assert (wrong.status_code, wrong.json()["error"]) == (
        400, "The value car for the change change000000 (label of objects) is not JSON; write a text in quotes, a number, true "
             "or false.",
    )  # fmt: skip
    unknown = client.decide(decision(0, "value", value='"bus"')).json()["error"]
    assert unknown.endswith("is not a class of the schema; it has car, person.")
    assert client.decide(decision(0, "value")).status_code == 400
    assert client.decide(decision(0, "value", value='"car"')).json()["decisions"][0]["value"] == '"car"'


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("api/decisions", [], "The body of the request is no JSON object."),
        ("api/decisions", {"by": "x"}, "'decisions' should be a list of objects."),
        ("api/decisions", {"by": "x", "decisions": ["y"]}, "'decisions' should be a list of objects."),
        ("api/load", {"undecided": "maybe"}, "'undecided' is one of take, leave, and 'force' true or false."),
        (
            "api/load",
            {"undecided": "take", "force": "yes"},
            "'undecided' is one of take, leave, and 'force' true or false.",
        ),
        ("api/send_back", {"change_ids": "x"}, "'change_ids' should be a list of texts, and 'note' a text."),
        ("api/send_back", {"change_ids": [["x"]]}, "'change_ids' should be a list of texts, and 'note' a text."),
        ("api/send_back", {"change_ids": [], "note": ""}, "This review cannot send changes back to the tool."),
    ],
)
def test_a_body_that_is_none(serve, plan, path, body, error):
    answer = serve(plan).post(path, body)
    assert (answer.status_code, answer.json()) == (400, {"error": error})


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("api/samples/3", 404, "There is no sample 3; there are 3, from 0."),
        ("api/samples/999999999", 404, "There is no sample 999999999; there are 3, from 0."),
        ("api/samples/" + "9" * 5000, 404, "There is no such page."),
        ("api/samples/" + "9" * 5000 + "/image", 404, "There is no such page."),
        ("api/samples/%D9%A1", 404, "There is no such page."),
        ("api/samples/-1", 404, "There is no such page."),
        ("api/samples/0/image?width=0", 400, "'width' should be from 1 to 2048."),
        ("api/samples/0/image?width=4000", 400, "'width' should be from 1 to 2048."),
        ("api/samples/0/image?width=1e3", 400, "'width' should be a whole number."),
        ("api/samples/0/image?frame=0", 400, "'frame' should be from 1."),
        ("api/samples/0/image?frame=x", 400, "'frame' should be a whole number."),
        ("api/decisions?after=-1", 400, "'after' should be a whole number."),
        ("api/nothing", 404, "There is no such page."),
        ("static/nothing.js", 404, "There is no such file."),
        ("api/send_back", 405, "That is not possible with this address."),
    ],
)
def test_an_address_that_is_none(serve, plan, path, status, error):
    answer = serve(plan).get(path)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_a_load_takes_the_decisions_and_the_plan_is_made_anew(serve, files):
    after = FakePlan([change(9, "s2"), change(10, "new")], [
        *FakePlan.of_files(files).sample_rows[2:],
        {"sample_id": "new", "media_type": "image", "filepath": str(files[0]), "width": 64, "height": 48},
    ])  # fmt: skip
    plan = FakePlan.of_files(files, after=lambda: after)
    client = serve(plan)
    client.decide(decision(0), decision(1, "refuse"))
    before = client.get("api/plan").json()["plan_id"]
    assert client.post("api/load", {"undecided": "leave", "force": True}).status_code == 202
    state = ended(client)
    assert (state["state"], state["done"], state["total"], state["report"]) == ("done", 2, 2, {"added": 1})
    assert plan.loaded == [{"undecided": "leave", "force": True, "change000000": "accept", "change000001": "refuse"}]
    found = client.get("api/plan").json()
    assert (found["changes"]["id"], found["changes"]["sample"]) == (["change000009", "change000010"], [2, 3])
    assert found["seq"] == 2
    late = client.decide(decision(2))  # of a page that was not loaded again
    assert late.status_code == 409
    assert found["plan_id"] == client.get("api/decisions").json()["plan_id"] != before


def ended(client) -> dict:
    for _ in range(500):
        state = client.get("api/load").json()
        if state["state"] != "running":
            return state
        time.sleep(0.01)
    raise AssertionError("the load does not end")


def test_a_load_that_fails_says_why(serve, files):
    def fail(_):
        raise TooManyDeletions("The load would delete 9 of 10 labels; load with force=True.")

    client = serve(FakePlan.of_files(files, on_load=fail))
    assert client.get("api/load").json()["state"] == "idle"
    client.post("api/load", {"undecided": "take", "force": False})
    state = ended(client)
    assert (state["state"], state["error"]) == ("failed", "The load would delete 9 of 10 labels; load with force=True.")
    assert state["can_force"]
    assert client.decide(decision(0)).status_code == 200


def test_what_to_do_with_unexpected_labels_is_said(serve, files):
    def fail(_):
        raise UnexpectedLabels("The tool returned 2 unexpected labels.")

    client = serve(FakePlan.of_files(files, on_load=fail))
    client.post("api/load", {"undecided": "take", "force": False})
    state = ended(client)
    assert state["error"] == (
        "The tool returned 2 unexpected labels. The page cannot ask: end this review, and start it again with --unexpected keep, "
        "ignore or return (in Python, plan_annotations(…, unexpected=…)). What was decided stays."
    )
    assert not state["can_force"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_load_that_was_done_is_not_called_failed(serve, files):
    def after():
        raise ZeroDivisionError("in the next plan")

    client = serve(FakePlan.of_files(files, after=after))
    client.post("api/load", {"undecided": "take", "force": False})
    state = ended(client)
    assert (state["state"], state["report"], state["error"]) == ("done", {"added": 1}, None)
    assert state["lines"][-1] == "Afterwards, something failed: ZeroDivisionError('in the next plan')."


def test_during_a_load_nothing_is_decided_and_no_other_begins(serve, files):
    import threading

    going_on = threading.Event()

    def slow(_):
        going_on.wait(20)
        return SimpleNamespace(to_dict=dict)

    client = serve(FakePlan.of_files(files, on_load=slow))
    client.post("api/load", {"undecided": "take", "force": False})
    again = client.post("api/load", {"undecided": "take", "force": False})
    late = client.decide(decision(0))
    going_on.set()
    assert (again.status_code, again.json()) == (409, {"error": "A load is going on already."})
    assert (late.status_code, late.json()) == (409, {"error": "A load is going on; decide when it is done."})
    assert ended(client)["state"] == "done"


def test_what_is_refused_is_sent_back(serve, files):
    sent = []

    def send_back(changes, note):
        sent.append((changes.select(["change_id", "note", "by"]).to_pylist(), note))
        return changes.num_rows, "2 issues in CVAT."

    client = serve(FakePlan.of_files(files), send_back=send_back)
    client.decide(decision(0, "refuse", note="too wide"), decision(1, "refuse"))
    found = client.post("api/send_back", {"change_ids": ["change000000", "change000001"], "note": "tighter"})
    assert found.json() == {"sent": 2, "text": "2 issues in CVAT."}
    first, second = (
        {"change_id": f"change00000{n}", "note": note, "by": "ann"} for n, note in ((0, "too wide"), (1, ""))
    )
    assert sent == [([first, second], "tighter")]
    client.decide(decision(1, "open"), decision(2))
    others = client.post("api/send_back", {"change_ids": [f"change00000{n}" for n in range(3)], "note": ""})
    assert (others.status_code, others.json()["error"]) == (
        409, "2 of these changes are not refused (any more), so nothing was sent; look at them again.",
    )  # fmt: skip
    unknown = client.post("api/send_back", {"change_ids": ["x"], "note": ""})
    assert (unknown.status_code, len(sent)) == (409, 1)
