"""Transport, credentials, users, organizations, lists."""

from __future__ import annotations

import base64
import gzip
import json

import pytest
import requests
from tests.doubles.cvat import PASSWORD, USERNAME, CvatServer
from tests.doubles.cvat.caller import OLD, Caller

# Transport


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("application/vnd.cvat+json", 200),
        ("application/vnd.cvat+json; version=2.0", 200),
        ("application/vnd.cvat+json; version=3.0", 406),
        ("application/json", 406),
        ("application/json, */*", 200),
    ],
)
def test_accept(caller: Caller, accept: str, status: int) -> None:
    assert caller.status("GET", "/users/self", headers={"Accept": accept}) == status


def test_answers_are_compressed_when_asked(caller: Caller) -> None:
    assert caller.call("GET", "/users/self").headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in caller.call("GET", "/users/self", headers={"Accept-Encoding": "identity"}).headers


def test_a_compressed_request_is_not_understood(caller: Caller) -> None:
    body = gzip.compress(json.dumps({"name": "t"}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    refused = caller.call("POST", "/tasks", data=body, headers=headers)
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith("JSON parse error")


def test_numbers_must_be_json(caller: Caller) -> None:
    headers = {"Content-Type": "application/json"}
    assert caller.status("POST", "/tasks", data='{"name": NaN}', headers=headers) == 400


def test_every_answer_has_a_trace(caller: Caller) -> None:
    traces = {caller.call("GET", path).headers["X-Request-Id"] for path in ("/users/self", "/no/such", "/tasks/9")}
    assert len(traces) == 3


def test_a_method_is_checked_before_the_object(caller: Caller) -> None:
    assert caller.status("PUT", "/tasks/99999") == 405
    assert caller.status("POST", "/labels", {}) == 405


def test_head_is_a_trap_of_new_servers(caller: Caller) -> None:
    assert caller.status("HEAD", "/users/self") == (500 if caller.is_new else 200)


def test_unknown_parameters_and_fields_are_ignored(caller: Caller) -> None:
    caller.task()
    assert caller.json("GET", "/tasks?nmae=x")["count"] == 1
    assert caller.status("POST", "/tasks", {"name": "t", "labels": [], "colour": 3}) == 201


def test_a_patch_with_an_unknown_field(caller: Caller) -> None:
    task = caller.task()
    for field in ({"segment_size": 3}, {"no_such": 1}):
        assert caller.status("PATCH", f"/tasks/{task}", {"name": "other", **field}) == (403 if caller.is_new else 200)
    assert caller.json("GET", f"/tasks/{task}")["name"] == ("t" if caller.is_new else "other")
    assert caller.json("GET", f"/tasks/{task}")["segment_size"] == 0


# Credentials


def test_login_gives_the_same_key_each_time_and_logout_deletes_it(caller: Caller) -> None:
    login = {"username": USERNAME, "password": PASSWORD}
    first, second = (caller.json("POST", "/auth/login", login)["key"] for _ in range(2))
    assert first == second == caller.server.token
    assert caller.status("POST", "/auth/logout") == 200
    assert caller.status("GET", "/users/self") == 401
    assert caller.json("POST", "/auth/login", login, headers={"Authorization": ""})["key"] != first


def test_a_login_without_password_is_answered_with_a_list(caller: Caller) -> None:
    refused = caller.call("POST", "/auth/login", {"username": USERNAME})
    assert (refused.status_code, refused.json()) == (400, ['Must include either "username" or "email" and "password".'])


def test_a_password_with_every_call(caller: Caller) -> None:
    good, bad = (base64.b64encode(f"{USERNAME}:{word}".encode()).decode() for word in (PASSWORD, "x"))
    assert Caller(caller.server, f"Basic {good}").status("GET", "/users/self") == 200
    refused = Caller(caller.server, f"Basic {bad}").call("GET", "/users/self")
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Token")


def test_a_session_needs_its_csrf_token(caller: Caller) -> None:
    with requests.Session() as session:
        url = f"{caller.server.url}/api"
        assert session.post(f"{url}/auth/login", json={"username": USERNAME, "password": PASSWORD}, timeout=9).ok
        assert session.get(f"{url}/users/self", timeout=9).status_code == 200
        refused = session.post(f"{url}/tasks", json={"name": "t", "labels": []}, timeout=9)
        assert (refused.status_code, refused.json()) == (403, {"detail": "CSRF Failed: CSRF token missing."})
        headers = {"X-CSRFToken": session.cookies["csrftoken"]}
        assert (
            session.post(f"{url}/tasks", json={"name": "t", "labels": []}, headers=headers, timeout=9).status_code
            == 201
        )


def test_only_old_servers_set_cookies_on_calls_with_a_key(caller: Caller) -> None:
    cookies = caller.call("GET", "/users/self").cookies
    assert set(cookies.keys()) == (set() if caller.is_new else {"sessionid", "csrftoken"})
    if not caller.is_new:
        found = requests.get(f"{caller.server.url}/api/users/self", cookies=cookies, timeout=9)
        assert found.status_code == 200, "the cookie alone is enough"


def test_a_revoked_key(caller: Caller) -> None:
    caller.server.revoke(caller.server.token)
    assert caller.call("GET", "/users/self").json() == {"detail": "Invalid token."}


def test_old_servers_know_no_bearer() -> None:
    with CvatServer(OLD) as server:
        refused = Caller(server, f"Bearer {server.token}").call("GET", "/users/self")
        assert refused.json() == {"detail": "Authentication credentials were not provided."}
        assert Caller(server).status("POST", "/auth/access_tokens", {"name": "x"}) == 404


def test_an_access_token_reads_and_writes_but_makes_no_tokens(new: Caller) -> None:
    made = new.json("POST", "/auth/access_tokens", {"name": "x", "read_only": False})
    token = Caller(new.server, f"Bearer {made['value']}")
    assert [len(part) for part in made["value"].split(".")] == [8, 32]
    assert token.status("POST", "/tasks", {"name": "t"}) == 201
    assert token.status("POST", "/auth/access_tokens", {"name": "y"}) == 403
    assert token.json("GET", "/auth/access_tokens/self")["id"] == made["id"]
    assert "value" not in token.json("GET", f"/auth/access_tokens/{made['id']}")
    assert Caller(new.server, f"Token {made['value']}").status("GET", "/users/self") == 401
    assert new.status("DELETE", f"/auth/access_tokens/{made['id']}") == 204
    assert token.status("GET", "/users/self") == 401


def test_an_access_token_is_read_only_unless_asked(new: Caller) -> None:
    made = new.json("POST", "/auth/access_tokens", {"name": "x"})
    assert made["read_only"] is True
    token = Caller(new.server, f"Bearer {made['value']}")
    assert token.status("GET", "/tasks") == 200
    assert token.status("POST", "/tasks", {"name": "t"}) == 403


def test_an_expired_access_token(new: Caller) -> None:
    token = Caller(new.server, f"Bearer {new.server.new_access_token(expiry='2020-01-01T00:00:00Z')}")
    assert token.call("GET", "/users/self").json() == {"detail": "Invalid token."}


def test_fifty_access_tokens_are_enough(new: Caller) -> None:
    answers = [new.status("POST", "/auth/access_tokens", {"name": f"t{n}"}) for n in range(51)]
    assert answers == [201] * 50 + [400]


def test_logout_by_access_token_deletes_the_key(new: Caller) -> None:
    token = Caller(new.server, f"Bearer {new.server.new_access_token(read_only=True)}")
    assert token.status("POST", "/auth/logout") == 200
    assert new.status("GET", "/users/self") == 401
    assert token.status("GET", "/users/self") == 200


def test_strangers_are_throttled_and_users_are_not(caller: Caller) -> None:
    caller.server.throttle(2, 60)
    stranger = Caller(caller.server, "")
    answers = [stranger.call("GET", "/server/about") for _ in range(3)]
    assert [found.status_code for found in answers] == [200, 200, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert "Expected available in" in answers[-1].json()["detail"]
    assert caller.status("GET", "/server/about") == 200
    caller.server.advance(61)
    assert stranger.status("GET", "/server/about") == 200


# Users


def test_users_are_found_by_their_exact_name(caller: Caller) -> None:
    for name in ("alice", "alice2"):
        caller.server.add_user(name, "word")
    assert [user["username"] for user in caller.rows("/users?username=alice")] == ["alice"]
    assert len(caller.rows("/users?search=ALIC")) == 2
    logic = '{"==":[{"var":"username"},"alice"]}'
    assert len(caller.rows(f"/users?filter={logic}")) == 1


def test_a_user_sees_himself_only(caller: Caller) -> None:
    caller.server.add_user("alice", "word")
    alice = Caller(caller.server, f"Token {caller.server.key_of('alice')}")
    assert [user["username"] for user in alice.rows("/users")] == ["alice"]
    task = caller.task()
    assert alice.status("GET", f"/tasks/{task}") == 403
    assert alice.rows("/tasks") == []
    assert alice.status("GET", "/tasks/99999") == 404
    mine = alice.task()
    assert alice.status("PATCH", f"/tasks/{mine}", {"assignee_id": 1}) == 403


def test_an_assignee_that_is_none_breaks_the_server(caller: Caller) -> None:
    task = caller.full_task(1)
    job = caller.jobs(task)[0]["id"]
    for wrong in (99999, {"id": 1}):
        assert caller.status("PATCH", f"/tasks/{task}", {"assignee_id": wrong}) == 500
        assert caller.status("PATCH", f"/jobs/{job}", {"assignee": wrong}) == 500
    assert caller.status("POST", "/tasks", {"name": "t", "labels": [], "assignee_id": 99999}) == 500


def test_a_job_is_assigned_by_number(caller: Caller) -> None:
    alice = caller.server.add_user("alice", "word")
    job = caller.jobs(caller.full_task(1))[0]["id"]
    assert caller.json("PATCH", f"/jobs/{job}", {"assignee": alice.id})["assignee"]["username"] == "alice"
    worker = Caller(caller.server, f"Token {caller.server.key_of('alice')}")
    assert [found["id"] for found in worker.rows("/jobs")] == [job]
    assert worker.status("PATCH", f"/jobs/{job}", {"state": "completed"}) == 200
    assert worker.status("PATCH", f"/jobs/{job}", {"stage": "acceptance"}) == 403
    assert worker.status("PUT", f"/jobs/{job}/annotations", {}) == 200
    task = caller.json("GET", f"/jobs/{job}")["task_id"]
    assert worker.status("GET", f"/jobs/{job}/data/meta") == 200
    for path in (f"/tasks/{task}", f"/tasks/{task}/data/meta", f"/tasks/{task}/annotations", f"/labels?task_id={task}"):
        assert worker.status("GET", path) == 403, "the task itself is not shown"
    assert worker.rows(f"/jobs?task_id={task}") != []
    assert caller.json("PATCH", f"/jobs/{job}", {"assignee": None})["assignee"] is None


# Organizations


def test_the_context_of_a_call(caller: Caller) -> None:
    caller.server.add_user("alice", "word")
    caller.server.add_user("bob", "word")
    made = caller.server.add_organization("lab", members=["alice"])
    alice, bob = (Caller(caller.server, f"Token {caller.server.key_of(name)}") for name in ("alice", "bob"))
    inside = caller.json("POST", "/tasks", {"name": "in", "labels": []}, headers={"X-Organization": "lab"})
    outside = caller.task(name="out")
    assert inside["organization"] == made.id
    assert [task["id"] for task in caller.rows("/tasks?org=lab")] == [inside["id"]]
    assert [task["id"] for task in caller.rows(f"/tasks?org_id={made.id}")] == [inside["id"]]
    assert [task["id"] for task in caller.rows("/tasks?org=")] == [outside]
    assert len(caller.rows("/tasks")) == 2
    assert caller.call("GET", "/tasks?org=nosuch").json() == {"detail": "nosuch organization does not exist."}
    assert caller.status("GET", f"/tasks?org=lab&org_id={made.id}") == 400
    assert bob.status("GET", "/tasks?org=lab") == 403
    assert alice.rows("/tasks?org=lab") == [], "a worker sees what is assigned to him"
    assert alice.status("POST", "/tasks?org=lab", {"name": "t", "labels": []}) == 403
    assert {user["username"] for user in alice.rows("/users?org=lab")} == {"admin", "alice"}


def test_an_existing_user_is_a_member_as_soon_as_invited(caller: Caller) -> None:
    caller.server.add_user("alice", "word")
    caller.json("POST", "/organizations", {"slug": "lab"})
    body = {"role": "maintainer", "email": "alice@example.com"}
    assert caller.status("POST", "/invitations?org=lab", body) == 201
    assert {(m["user"]["username"], m["role"]) for m in caller.rows("/memberships?org=lab")} == {
        ("admin", "owner"),
        ("alice", "maintainer"),
    }


# Lists


def test_pages(caller: Caller) -> None:
    made = [caller.task(name=f"t{n}") for n in range(12)]
    first = caller.json("GET", "/tasks")
    assert [task["id"] for task in first["results"]] == made[:1:-1], "newest first, ten of them"
    assert (first["count"], first["previous"]) == (12, None)
    second = requests.get(first["next"], headers=caller.headers, timeout=9).json()
    assert [task["id"] for task in second["results"]] == [made[1], made[0]]
    assert second["next"] is None
    assert "page=1" in second["previous"]
    assert len(caller.json("GET", "/tasks?page_size=all")["results"]) == 12
    assert len(caller.json("GET", "/tasks?page_size=3&page=2")["results"]) == 3
    assert caller.status("GET", "/tasks?page=3") == 404
    assert [task["id"] for task in caller.rows("/tasks?sort=id")] == made
    assert [task["id"] for task in caller.rows("/tasks?sort=nosuch")] == made[::-1]


def test_filters(caller: Caller) -> None:
    first, second, third = (
        caller.task(name=name, subset=subset) for name, subset in [("a", "x"), ("a", "y"), ("b", "x")]
    )

    def found(query: str) -> set[int]:
        return {task["id"] for task in caller.rows(f"/tasks?{query}")}

    assert found("name=a") == {first, second}
    assert found("name=a&subset=y") == {second}
    assert found("search=B") == {third}
    assert found(f'filter={{"in":[{{"var":"id"}},[{first},{third}]]}}') == {first, third}
    assert found('filter={"and":[{"==":[{"var":"name"},"a"]},{"==":[{"var":"subset"},"x"]}]}') == {first}
    assert found("owner=admin") == {first, second, third}
    assert caller.status("GET", "/tasks?filter=nonsense") == 400
