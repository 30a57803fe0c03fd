"""The double of CVAT answers as the real servers did, and goes wrong when it is told to. More is in `cvat/test_*.py`.

The golden recordings are reduced from conversations with real CVAT 2.15.0 and 2.73.0 servers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from tests.doubles.cvat import PASSWORD, USERNAME, CvatServer, conversation
from tests.doubles.cvat.caller import NEW, OLD, Caller, image

GOLDEN = Path(__file__).parents[1] / "golden" / "cvat"


@pytest.fixture
def server() -> Iterator[CvatServer]:
    with CvatServer() as running:
        yield running


@pytest.mark.parametrize("version", [OLD, NEW])
def test_it_answers_as_the_real_servers(version: str) -> None:
    expected = conversation.read(GOLDEN / f"conversation-{version.removesuffix('.0')}.jsonl")
    with CvatServer(version) as server:
        found = conversation.hold(server.url, USERNAME, PASSWORD)
        assert not server.slips
    assert not list(conversation.differences(expected, found))


def test_a_difference_is_told() -> None:
    one = conversation.heard("step", "GET", "/x", 200, "text/html", "text")
    other = conversation.heard("step", "GET", "/x", 404, "text/html", "text")
    assert not list(conversation.differences([one], [one]))
    assert len(list(conversation.differences([one], [other]))) == 1
    assert list(conversation.differences([one], [])) == ["step: missing"]
    assert list(conversation.differences([], [one])) == ["step: not expected"]


def test_the_order_of_a_list_means_nothing() -> None:
    left, right = (conversation.heard("s", "GET", "/", 200, "x/json", body) for body in ([1, "a"], ["b", 2, 3]))
    assert left == right
    assert left != conversation.heard("s", "GET", "/", 200, "x/json", [None])


@pytest.mark.parametrize(
    ("text", "has_tokens"), [("2.15.0", False), ("2.47.3", False), ("2.48.0", True), ("2.80.1-dev", True)]
)
def test_any_release_reports_itself_and_has_what_came_before(text: str, has_tokens: bool) -> None:
    with CvatServer(text) as server:
        caller = Caller(server)
        assert caller.json("GET", "/server/about")["version"] == text
        assert (caller.status("GET", "/auth/access_tokens") == 200) is has_tokens


def test_a_planned_answer_comes_once_and_nothing_is_done(server: CvatServer) -> None:
    caller = Caller(server)
    server.fail_next("POST", r"/tasks$", 503, {"detail": "busy"}, {"Retry-After": "7"})
    refused = caller.call("POST", "/tasks", {"name": "t"})
    assert (refused.status_code, refused.json(), refused.headers["Retry-After"]) == (503, {"detail": "busy"}, "7")
    assert not server.tasks
    assert caller.status("POST", "/tasks", {"name": "t"}) == 201


def test_a_planned_page_is_html(server: CvatServer) -> None:
    server.fail_next("*", "/users", 502, "<html>Bad Gateway</html>", times=2)
    for _ in range(2):
        found = Caller(server).call("GET", "/users/self")
        assert (found.status_code, found.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert Caller(server).status("GET", "/users/self") == 200


def test_a_lost_answer_is_lost_after_the_work(server: CvatServer) -> None:
    server.fail_next("POST", r"/tasks$", drop=True)
    with pytest.raises(requests.ConnectionError):
        Caller(server).call("POST", "/tasks", {"name": "t"})
    assert len(server.tasks) == 1
    assert server.requests[-1].status is None


def test_a_cut_answer_breaks_off(server: CvatServer) -> None:
    server.fail_next("GET", "/users/self", cut=20)
    with pytest.raises(requests.RequestException):
        Caller(server).call("GET", "/users/self")


def test_a_late_answer_is_late(server: CvatServer) -> None:
    server.fail_next("GET", "/users/self", delay=0.2)
    before = time.monotonic()
    assert Caller(server).status("GET", "/users/self") == 200
    assert time.monotonic() - before >= 0.2


def test_plans_can_be_given_up(server: CvatServer) -> None:
    server.fail_next("GET", "/users/self", 500)
    server.clear_faults()
    assert Caller(server).status("GET", "/users/self") == 200


def test_calls_are_recorded(server: CvatServer) -> None:
    Caller(server).call("GET", "/users?username=admin&search=")
    last = server.requests[-1]
    assert (last.method, last.path, last.status) == ("GET", "/api/users", 200)
    assert last.query == {"username": "admin", "search": ""}
    Caller(server).call("POST", "/tasks", {"name": "t"})
    assert server.requests[-1].size == len('{"name": "t"}')


def test_behind_a_proxy_urls_name_another_host(server: CvatServer) -> None:
    caller = Caller(server)
    assert caller.json("GET", "/users/self")["url"].startswith(server.url)
    server.call_itself("https://cvat.example")
    assert caller.json("GET", "/users/self")["url"].startswith("https://cvat.example/api/users/")
    server.call_itself(None)
    forwarded = {"X-Forwarded-Host": "proxy.example", "X-Forwarded-Proto": "https"}
    assert caller.json("GET", "/users/self", headers=forwarded)["url"].startswith("https://proxy.example/api/")


def test_a_kept_connection_does_not_hold_the_end() -> None:
    with CvatServer() as server, requests.Session() as session:
        assert session.get(f"{server.url}/api/server/about", timeout=5).ok
        server.close()
        with pytest.raises(requests.ConnectionError):
            session.get(f"{server.url}/api/server/about", timeout=5)


def test_what_is_stored_can_be_looked_at(server: CvatServer) -> None:
    caller = Caller(server)
    task = caller.full_task(2)
    caller.written(f"tasks/{task}", "put", shapes=[caller.box(task)])
    assert [shape["points"] for shape in server.annotations_of(task)] == [[1, 2, 30, 40]]
    assert server.labels_of(task)["a"].id == caller.label(task)["id"]
    assert server.tasks[task].size == 2
    assert len(server.jobs) == 1


def test_a_mistake_of_its_own_is_a_500_that_can_be_looked_into(server: CvatServer) -> None:
    caller = Caller(server)
    assert caller.status("POST", "/issues", {"job": [], "frame": 0, "position": [1, 2], "message": "m"}) == 500
    assert "TypeError" in server.slips[0]


def test_media_of_an_upload_take_their_time() -> None:
    with CvatServer(creation_delay=30) as server:
        caller = Caller(server)
        task = caller.task()
        caller.upload(task, {"a.jpg": image()})
        assert caller.json("GET", f"/tasks/{task}/status")["state"] == "Queued"
        server.advance(20)
        assert caller.json("GET", f"/tasks/{task}/status")["state"] == "Started"
        assert "size" in caller.json("GET", f"/tasks/{task}")
        assert caller.jobs(task) == []
        server.advance(20)
        assert caller.json("GET", f"/tasks/{task}/status")["state"] == "Finished"
        assert len(caller.jobs(task)) == 1
