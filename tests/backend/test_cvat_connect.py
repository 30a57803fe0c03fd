"""Login and versions: every refusal is a sentence, before anything is sent."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
import responses
from responses import matchers

from annobridge.backend import _transport
from annobridge.exceptions import Denied, MissingCredential, Rejected, Unreachable
from annobridge_cvat import CvatConfig
from annobridge_cvat.connect import NewerServerWarning, connect

URL = "https://cvat.example"
KEY, TOKEN = "0123456789abcdef" * 2 + "01234567", "abcdefgh." + "x" * 32


def about(version: str) -> None:
    responses.get(f"{URL}/api/server/about", json={"name": "Computer Vision Annotation Tool", "version": version})


def known(scheme: str, secret: str) -> None:
    header = {"Authorization": f"{scheme} {secret}"}
    responses.get(f"{URL}/api/users/self", json={"id": 1}, match=[matchers.header_matcher(header)])


def sent() -> list[tuple[str | None, Any]]:
    return [(c.request.path_url, c.request.headers.get("Authorization")) for c in responses.calls]


@responses.activate
def test_a_key_is_sent_as_token_and_an_access_token_as_bearer() -> None:
    about("2.73.0")
    known("Token", KEY)
    known("Bearer", TOKEN)
    assert connect(CvatConfig(url=URL, token=KEY))[1] == (2, 73, 0)
    connect(CvatConfig(url=URL, token=TOKEN))
    assert {a for _, a in sent()} == {f"Token {KEY}", f"Bearer {TOKEN}"}


@responses.activate
def test_a_token_of_another_form_is_tried_as_both() -> None:
    about("2.60.1")
    responses.get(
        f"{URL}/api/users/self", status=401, json={"detail": "Invalid token."},
        match=[matchers.header_matcher({"Authorization": "Bearer strange"})],
    )  # fmt: skip
    known("Token", "strange")
    connect(CvatConfig(url=URL, token="strange"))


@responses.activate
def test_an_unknown_token_is_refused_and_not_shown() -> None:
    responses.get(f"{URL}/api/users/self", status=401, json={"detail": "Invalid token."})
    with pytest.raises(Denied, match="does not know this token; it may be revoked") as e:
        connect(CvatConfig(url=URL, token=TOKEN))
    assert TOKEN not in str(e.value) + repr(e.value.__cause__)


@responses.activate
def test_a_wrong_password_is_refused_though_the_server_says_400() -> None:
    responses.post(f"{URL}/api/auth/login", status=400, json={"non_field_errors": ["Unable to log in."]})
    with pytest.raises(
        Denied, match=r"does not accept the password of 'ada'; correct it with `annobridge login cvat`"
    ) as e:
        connect(CvatConfig(url=URL, username="ada", password="pa55"))
    assert "pa55" not in str(e.value)


@responses.activate
def test_a_login_gives_the_key_and_nobody_is_logged_out() -> None:
    about("2.15.0")
    responses.post(f"{URL}/api/auth/login", json={"key": KEY})
    known("Token", KEY)
    connect(CvatConfig(url=URL, username="ada@example.org", password="pa55"))
    assert json.loads(responses.calls[0].request.body or b"")["email"] == "ada@example.org"
    assert not [path for path, _ in sent() if "logout" in str(path)]


def test_without_credentials_nothing_is_sent() -> None:
    with pytest.raises(MissingCredential, match="needs a token, or a username and a password; set CVAT_ACCESS_TOKEN"):
        connect(CvatConfig(url=URL))


@responses.activate
@pytest.mark.parametrize("version", ["2.14.9", "1.7.0"])
def test_a_server_that_is_too_old_is_refused(version: str) -> None:
    about(version)
    known("Token", KEY)
    with pytest.raises(Rejected, match=rf"is version {version}, and annobridge speaks with 2.15 and newer; upgrade"):
        connect(CvatConfig(url=URL, token=KEY))


@responses.activate
def test_a_server_that_is_newer_than_known_is_a_warning() -> None:
    about("3.1.0")
    known("Token", KEY)
    with pytest.warns(NewerServerWarning, match=r"version 3.1.0, newer than any that annobridge knows \(2.80\)"):
        connect(CvatConfig(url=URL, token=KEY))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        responses.replace(responses.GET, f"{URL}/api/server/about", json={"version": "2.80.4"})
        connect(CvatConfig(url=URL, token=KEY))


@responses.activate
def test_a_web_page_is_not_a_cvat_server() -> None:
    responses.get(f"{URL}/api/users/self", status=404, body="<html><body>Nothing here</body></html>")
    with pytest.raises(Rejected, match="answers, but is not a CVAT server; give the address of its start page"):
        connect(CvatConfig(url=URL, token=KEY))


@responses.activate
def test_something_else_that_answers_json_is_not_a_cvat_server() -> None:
    responses.get(f"{URL}/api/server/about", json={"hello": "world"})
    known("Token", KEY)
    with pytest.raises(Rejected, match="is not a CVAT server"):
        connect(CvatConfig(url=URL, token=KEY))


@responses.activate
def test_an_unknown_organization_is_named() -> None:
    responses.get(f"{URL}/api/users/self", status=404, json={"detail": "nosuch organization does not exist."})
    with pytest.raises(Rejected, match="has no organization 'nosuch'; give the short name of one that you belong to"):
        connect(CvatConfig(url=URL, token=KEY, organization="nosuch"))
    assert responses.calls[0].request.headers["X-Organization"] == "nosuch"


def test_a_secret_is_not_sent_in_the_clear_unless_asked() -> None:
    with pytest.raises(Exception, match="is not encrypted, and a secret would be sent to it in the clear"):
        connect(CvatConfig(url="http://cvat.example", token=KEY))


def test_a_server_that_is_down_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_transport, "_BACKOFF", _transport._BACKOFF.new(backoff_factor=0, backoff_jitter=0))
    with pytest.raises(Unreachable, match="refuses connections"):
        connect(CvatConfig(url="http://127.0.0.1:9", token=KEY))
