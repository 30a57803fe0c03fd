"""Tokens that expire: got before the first call, renewed in time, and once after a 401."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable
from typing import Any

import pytest
import responses
from pydantic import SecretStr

from annobridge.backend.http import Http
from annobridge.backend.renewal import Login, Renewal, claims
from annobridge.exceptions import Denied, Unreachable

URL = "https://tool.example"


class Server:
    """Gives tokens t1, t2, … to whom knows the refresh token, and lets in who has the last one."""

    def __init__(self, web: responses.RequestsMock, lifetime: float | None = None) -> None:
        self.given, self.seen, self.lifetime = 0, list[str](), lifetime
        web.add_callback("POST", f"{URL}/token", self.token)
        for method in ("GET", "POST"):
            web.add_callback(method, f"{URL}/rows", self.rows)

    def token(self, request: Any) -> Any:
        self.given += 1
        return 200, {}, f'{{"access": "secret-{self.given}"}}'

    def rows(self, request: Any) -> Any:
        self.seen.append(request.headers.get("Authorization", ""))
        good = self.seen[-1] == f"Bearer secret-{self.given}"
        return (200, {}, "[1]") if good else (401, {}, '{"detail": "Token expired"}')

    def revoke(self) -> None:
        self.given += 1

    def log_in(self, http: Http) -> Callable[[], Login]:
        def obtain() -> Login:
            found = http.send("POST", "/token", json={"refresh": SecretStr("r")}, expect={"access": str})
            return Login({"Authorization": SecretStr(f"Bearer {found['access']}")}, self.lifetime)

        return obtain


def test_a_login_is_made_before_the_first_call_and_kept(http, web) -> None:
    server = Server(web)
    http.log_in(server.log_in(http))
    assert server.given == 0
    assert [http.get("/rows"), http.get("/rows")] == [[1], [1]]
    assert server.seen == ["Bearer secret-1"] * 2


def test_a_token_that_is_refused_is_renewed_once_and_the_call_made_again(http, web) -> None:
    server = Server(web)
    http.log_in(server.log_in(http))
    http.get("/rows")
    server.revoke()
    assert http.send("POST", "/rows", json={}) == [1]  # a 401 says that it was not carried out
    assert server.seen[1:] == ["Bearer secret-1", "Bearer secret-3"]


def test_a_server_that_refuses_every_token_is_asked_twice(http, web) -> None:
    server = Server(web)
    http.log_in(lambda: Login({"Authorization": SecretStr("Bearer wrong-one")}))
    with pytest.raises(Denied, match=r"GET /rows is denied \(401\): Token expired\. Check the credentials") as caught:
        http.get("/rows")
    assert "wrong-one" not in str(caught.value)
    assert len(server.seen) == 2


def test_a_body_that_can_be_read_once_is_not_sent_again(http, web) -> None:
    class Once(io.BytesIO):
        def seekable(self) -> bool:
            return False

    server = Server(web)
    http.log_in(server.log_in(http))
    http.get("/rows")
    server.revoke()
    with pytest.raises(Denied):
        http.send("POST", "/rows", data=Once(b"x"))
    assert len(server.seen) == 2


def test_without_a_login_a_401_is_final(http, web) -> None:
    server = Server(web)
    with pytest.raises(Denied):
        http.get("/rows")
    assert len(server.seen) == 1


def test_a_login_that_fails_is_told_and_tried_again_by_the_next_call(http, web) -> None:
    answers = iter([Unreachable("it refuses connections")])

    def obtain() -> Login:
        for error in answers:
            raise error
        return Login({"Authorization": SecretStr("Bearer secret-0")})

    Server(web)
    http.log_in(obtain)
    with pytest.raises(Unreachable):
        http.get("/rows")
    assert http.get("/rows") == [1]


@pytest.mark.parametrize(("lifetime", "renewals"), [(None, 1), (1000.0, 1), (300.0, 2), (100.0, 5)])
def test_a_token_is_renewed_before_it_is_over(lifetime: float | None, renewals: int) -> None:
    now, made = [0.0], []
    renewal = Renewal(lambda: Login({}, lifetime), made.append, lambda: now[0])
    for second in range(0, 401, 10):
        now[0] = second
        renewal.ensure_valid()
    assert len(made) in (renewals, renewals + 1) if lifetime == 100.0 else len(made) == renewals


def test_threads_that_are_refused_together_log_in_once() -> None:
    made: list[Any] = []
    renewal = Renewal(lambda: Login({}), made.append)
    number = renewal.ensure_valid()
    threads = [threading.Thread(target=renewal.after_refusal, args=(number,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2


def test_a_token_says_what_it_is() -> None:
    payload = base64.urlsafe_b64encode(b'{"token_type": "refresh", "exp": 5}').decode().rstrip("=")
    assert claims(SecretStr(f"x.{payload}.y")) == {"token_type": "refresh", "exp": 5}
    for other in ("", "0123456789abcdef", "a.b", "a.!.c", "a.W10.c", f"{payload}.{payload}"):
        assert claims(SecretStr(other)) == {}
