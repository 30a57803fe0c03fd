"""Requests of other pages, other machines and other programs get nothing."""

from __future__ import annotations

import json
import socket
import time

import pytest
import requests
from tests.review.conftest import Client, decision, images
from tests.review.fake_plan import FakePlan

from annobridge.review.guard import LARGEST_BODY
from annobridge.review.server import review

HOST = "The request names another host than this server; open the address that the terminal shows."
ORIGIN = "The request comes from the page of another site."
TOKEN = "The token of this review is missing; open the address that the terminal shows."
PATHS = (
    "/",
    "/static/index.html",
    "/api/plan",
    "/api/samples/0",
    "/api/samples/0/image",
    "/api/decisions",
    "/api/load",
)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """One server for all: none of these requests may change anything."""
    folder = tmp_path_factory.mktemp("hostile")
    paths = images(folder)
    with review(FakePlan.of_files(paths), "street.lancedb", folder / "d.jsonl") as server:
        yield Client(server)
    assert (folder / "d.jsonl").read_bytes() == b""


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token(client, path):
    for headers in ({"X-Annobridge-Token": ""}, {"X-Annobridge-Token": "wrong"}, {"X-Annobridge-Token": client.token[:-1]},
                    {"X-Annobridge-Token": "", "Cookie": f"annobridge_{client.port}=wrong"},
                    {"X-Annobridge-Token": "", "Cookie": f"annobridge_1={client.token}"}):  # fmt: skip
        answer = client.get(path.lstrip("/"), headers=headers)
        assert (answer.status_code, answer.json()) == (403, {"error": TOKEN})


def test_a_wrong_token_in_the_address(client):
    for query in ("token=wrong", "token=", "token"):
        answer = client.get(f"?{query}", headers={"X-Annobridge-Token": ""})
        assert (answer.status_code, answer.json()) == (403, {"error": TOKEN})
    answer = client.get(f"api/plan?token={client.token}", headers={"X-Annobridge-Token": ""})
    assert answer.status_code == 403  # it would stay in the history of the browser


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_have(client):
    with requests.Session() as browser:
        answer = browser.get(f"{client.origin}/?token={client.token}")
        assert browser.get(f"{client.origin}/api/plan").status_code == 200  # by the cookie
    assert answer.status_code == 200
    assert 'content="0;url=/"' in answer.text
    assert client.token not in answer.text
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/"))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "",
                                  "localhost.evil.example:{port}", "127.0.0.1:{port}.evil.example"])  # fmt: skip
def test_another_host(client, path, host):
    answer = client.get(path.lstrip("/"), headers={"Host": host.format(port=client.port)})
    assert (answer.status_code, answer.json()) == (403, {"error": HOST})


def test_no_host(client):
    status, body = client.raw(f"GET /api/plan HTTP/1.0\nX-Annobridge-Token: {client.token}\n\n")
    assert (status, json.loads(body)) == (403, {"error": HOST})


def test_localhost_is_this_host(client):
    assert client.get("api/plan", headers={"Host": f"localhost:{client.port}"}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1", "https://127.0.0.1:{port}", "http://localhost:{port}"]
)
def test_another_origin(client, origin):
    headers = {"Origin": origin.format(port=client.port)}
    body = {"by": "x", "decisions": [decision(0)]}
    for answer in (client.get("api/plan", headers=headers), client.post("api/decisions", body, headers=headers)):
        assert (answer.status_code, answer.json()) == (403, {"error": ORIGIN})
    own = {"Origin": client.origin}
    assert client.post("api/decisions", body | {"decisions": []}, headers=own).status_code == 200


@pytest.mark.parametrize("path", [
    "/static/../session.py", "/static/%2e%2e/session.py", "/static/..%2fsession.py", "/static/..\\session.py",
    "/static//etc/passwd", "/static/%2fetc%2fpasswd", "/static/index.html%00.js", "/api/samples/../../../../etc/passwd",
    "/api/samples/..%2f..%2f/image",
    "/api/samples/%2fetc%2fpasswd/image", "/api/samples/0/../../../etc/passwd", "//etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
])  # fmt: skip
def test_no_path_leads_to_a_file(client, path):
    status, body = client.raw(
        f"GET {path} HTTP/1.1\nHost: 127.0.0.1:{client.port}\nX-Annobridge-Token: {client.token}\nConnection: close\n\n"
    )
    assert status in (404, 307)
    assert "root:" not in body
    assert "class Session" not in body
    assert status == 307 or json.loads(body)["error"] in ("There is no such page.", "There is no such file.")


def test_no_query_leads_to_a_file(client):
    for query in ("frame=/etc/passwd", "width=../../etc/passwd"):
        assert client.get(f"api/samples/0/image?{query}").status_code == 400


@pytest.mark.parametrize("path", ["api/decisions", "api/load", "api/send_back"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_forms_of_other_sites_cannot_post(client, path, kind):
    answer = client.session.post(
        f"{client.origin}/{path}", data=b'{"by":"x","decisions":[]}', headers={"Content-Type": kind}
    )
    assert (answer.status_code, answer.json()) == (
        415,
        {"error": "The body of the request has to be application/json."},
    )


def test_a_huge_body_is_not_read(client):
    head = (
        f"POST /api/decisions HTTP/1.1\nHost: 127.0.0.1:{client.port}\nX-Annobridge-Token: {client.token}\n"
        "Content-Type: application/json\nConnection: close\n"
    )
    too_large = {"error": "The body of the request is larger than 32 MB."}
    status, body = client.raw(f"{head}Content-Length: {LARGEST_BODY + 1}\n\n")
    assert (status, json.loads(body)) == (413, too_large)

    def parts():  # without a length
        for _ in range(40):
            yield b" " * (1 << 20)

    answer = client.session.post(
        f"{client.origin}/api/decisions", data=parts(), headers={"Content-Type": "application/json"}, timeout=30
    )
    assert (answer.status_code, answer.json()) == (413, too_large)


def test_a_page_that_is_closed_while_it_sends_is_no_fault(client, caplog):
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as half:
        half.sendall(
            f"POST /api/decisions HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\nX-Annobridge-Token: {client.token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{".encode()
        )
        time.sleep(0.2)
    time.sleep(0.2)
    assert client.get("api/decisions").status_code == 200
    assert not caplog.records


def test_deep_json_and_garbage_are_refused(client):
    for data in (b"[" * 100_000, b'{"by":' * 10_000, b"\xff\xfe", b"", b"NaN"):
        answer = client.session.post(
            f"{client.origin}/api/decisions", data=data, headers={"Content-Type": "application/json"}
        )
        assert (answer.status_code, answer.json()) == (400, {"error": "The body of the request is no JSON object."})


def test_every_answer_has_the_headers(client):
    for path in ("", "static/index.html", "api/plan", "api/samples/0", "api/samples/0/image", "api/nothing"):
        for headers in ({}, {"X-Annobridge-Token": "wrong"}):
            found = client.get(path, headers=headers).headers
            assert found["content-security-policy"].startswith(
                "default-src 'none'; script-src 'self'; style-src 'self'"
            )
            assert "frame-ancestors 'none'" in found["content-security-policy"]
            assert "http" not in found["content-security-policy"]
            assert (found["x-content-type-options"], found["referrer-policy"]) == ("nosniff", "no-referrer")
            assert "server" not in found
            assert "access-control-allow-origin" not in found


def test_other_methods_are_refused(client):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert client.session.request(method, f"{client.origin}/api/decisions").status_code in (403, 405)
