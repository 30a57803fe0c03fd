"""``Http`` against answers of every kind: mapped by ``responses``, and badly behaved ones from a socket."""

from __future__ import annotations

import contextlib
import gzip
import io
import ipaddress
import json
import logging
import re
import socket
import ssl
import struct
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from annobridge.backend.http import Http
from annobridge.backend.uploads import MediaFile, Multipart
from annobridge.exceptions import BackendError, Broken, ConfigError, Denied, Gone, Rejected, Throttled, Unreachable

URL = "https://tool.example"
SECRET = "s3cr3t/canary+value"

Script = Callable[[socket.socket], None]


class FaultServer:
    """Answers connection n with script n (the last one again and again), and counts what came."""

    def __init__(self, *scripts: Script, wrap: Callable[[socket.socket], socket.socket] = lambda raw: raw) -> None:
        self.scripts, self.requests, self.wrap = scripts, list[bytes](), wrap
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads = [threading.Thread(target=self.serve, daemon=True)]
        self.threads[0].start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            script = self.scripts[min(len(self.requests), len(self.scripts) - 1)]
            # the client hangs up, or refuses the certificate, as it should
            with contextlib.suppress(OSError), connection, self.wrap(connection) as talk:
                self.requests.append(read_request(talk))
                script(talk)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.threads[0].join(5)


def read_request(connection: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(body: bytes = b"{}", status: str = "200 OK", length: int | None = None, **headers: str) -> Script:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", "Connection: close"]
    lines += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
    return lambda connection: connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def drip(head: bytes, byte: bytes = b" ") -> Script:
    def script(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(200):
            connection.sendall(byte)
            time.sleep(0.02)

    return script


@pytest.fixture
def serve() -> Iterator[Callable[..., FaultServer]]:
    servers: list[FaultServer] = []

    def start(*scripts: Script, **options: Any) -> FaultServer:
        servers.append(FaultServer(*scripts, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Http]]:
    """Makes an ``Http`` whose pauses are only written down, in ``http.pauses``, and pass on its clock."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    made: list[Http] = []

    def make(url: str = URL, **options: Any) -> Any:
        http: Any = Http(url, backend="tool", **options)
        http.pauses = []
        http._transport.sleep = http.pauses.append
        http._transport.clock = lambda: time.monotonic() + sum(http.pauses)
        made.append(http)
        return http

    yield make
    for http in made:
        http.close()


# --- what comes back


def test_json_comes_back_and_nothing_comes_back_as_none(connect, web) -> None:
    web.get(f"{URL}/base/items", json={"a": [1]})
    web.delete(f"{URL}/base/items", status=204)
    web.post(f"{URL}/base/items", status=202)
    http = connect(f"{URL}/base/")
    assert http.get("/items", {"deep": True, "none": None}) == {"a": [1]}
    assert web.calls[0].request.url == f"{URL}/base/items?deep=true"
    assert http.send("DELETE", "items") is None
    assert http.send("POST", "items", json={"x": 1}) is None
    assert web.calls[2].request.body == b'{"x":1}'
    assert web.calls[2].request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (400, Rejected, "is rejected (400)"),
        (401, Denied, "is denied (401)"),
        (403, Denied, "annobridge login tool"),
        (404, Gone, "finds nothing (404)"),
        (409, Rejected, "is rejected (409)"),
        (410, Gone, "finds nothing (410)"),
        (413, Rejected, "is rejected (413)"),
        (429, Throttled, "is put off (429)"),
        (500, Broken, "fails on the server (500)"),
        (503, Throttled, "is put off (503)"),
        (504, Broken, "fails on the server (504)"),
    ],
)
def test_a_status_becomes_an_error(connect, web, status: int, kind: type[BackendError], words: str) -> None:
    web.get(f"{URL}/x", json={"detail": "because"}, status=status)
    with pytest.raises(kind) as caught:
        connect().get("/x?token=q")
    message = str(caught.value)
    assert words in message
    assert message.startswith(f"tool at {URL}: GET /x ")
    assert "because" in message
    assert "token=q" not in message
    assert (caught.value.status, caught.value.detail) == (status, {"detail": "because"})
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ("busy", "busy."),
        ([{"loc": ["body"], "msg": "missing"}], '[{"loc": ["body"], "msg": "missing"}]'),
        ({"detail": {"code": "id_conflict"}}, '{"detail": {"code": "id_conflict"}}'),
        ({"message": "no such name"}, "no such name."),
    ],
)
def test_the_detail_of_a_refusal_has_any_shape(connect, web, detail: Any, words: str) -> None:
    web.post(f"{URL}/x", json=detail, status=409)
    with pytest.raises(Rejected, match=re.escape(words)) as caught:
        connect().send("POST", "/x")
    assert caught.value.detail == detail


def test_a_refusal_in_html_shows_its_words(connect, web) -> None:
    web.get(f"{URL}/x", body="<html><style>b{}</style><h1>502</h1><p>Bad\x07Gateway</p>", status=500)
    with pytest.raises(Broken, match=r"\(500\): 502 Bad Gateway\. Look at the server's log\.$"):
        connect().get("/x")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html><title>Sign in</title>", "text/html"),
        (b'{"cut": [1, 2', "text/html"),
        (b'{"a": "\xff"}', "text/html"),
        (b"[" * 100_000, "text/html"),
    ],
)
def test_an_answer_that_is_not_json_is_broken(connect, web, body: bytes, kind: str) -> None:
    web.get(f"{URL}/x", body=body, content_type=kind)
    with pytest.raises(Broken, match="GET /x answers 200 with text/html, which cannot be read as JSON: ") as caught:
        connect().get("/x", {"token": "q"})
    assert "Is this the url of a tool server?" in str(caught.value)
    assert len(str(caught.value)) < 400
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_byte_order_mark_is_no_mistake(connect, web) -> None:
    web.get(f"{URL}/x", body=b'\xef\xbb\xbf{"a": 1}')
    assert connect().get("/x") == {"a": 1}


# --- the form of an answer


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"null", "JSON of another form: it is null, and should be an object"),
        (b"[]", "JSON of another form: it is a list without anything in it, and should be an object"),
        (b"17", "JSON of another form: it is 17, and should be an object"),
        (b"{}", "JSON of another form: 'id' is missing"),
        (b'{"id": "5"}', "JSON of another form: 'id' is '5', and should be an integer"),
        (b"", "nothing in it"),
    ],
)
def test_an_answer_of_another_form_is_broken(connect, web, body: bytes, words: str) -> None:
    web.get(f"{URL}/x", body=body)
    web.post(f"{URL}/x", body=body)
    http, shape = connect(), {"id": int}
    with pytest.raises(Broken) as caught:
        http.get("/x", expect=shape)
    assert str(caught.value) == f"tool at {URL}: GET /x answers 200 with {words}. Is this the url of a tool server?"
    with pytest.raises(Broken, match=r"It may have been carried out: the outcome is unknown"):
        http.send("POST", "/x", expect=shape)
    with pytest.raises(Broken) as caught:
        http.send("POST", "/x", expect=shape, repeatable=True)
    assert "unknown" not in str(caught.value)


def test_an_empty_204_is_not_an_object(connect, web) -> None:
    web.delete(f"{URL}/x", status=204)
    assert connect().send("DELETE", "/x") is None
    with pytest.raises(Broken, match="DELETE /x answers 204 with nothing in it"):
        connect().send("DELETE", "/x", expect={})


def test_a_wrong_value_that_is_a_secret_is_not_shown(connect, web) -> None:
    web.get(f"{URL}/x", json={"id": SECRET})
    with pytest.raises(Broken) as caught:
        connect(secrets={"Authorization": SecretStr(f"Token {SECRET}")}).get("/x", expect={"id": int})
    assert SECRET not in str(caught.value)


def test_a_header_that_is_expected_is_there(connect, web) -> None:
    web.post(f"{URL}/files", headers={"Location": "/files/7"})
    assert connect().headers("POST", "/files", expect=["Location"])["Location"] == "/files/7"
    with pytest.raises(Broken, match="POST /files answers 200 with no header 'Upload-Offset'.*outcome is unknown"):
        connect().headers("POST", "/files", expect=["Upload-Offset"])


@pytest.mark.parametrize("status", [204, 404, 410])
def test_what_is_gone_already_is_deleted(connect, web, status: int) -> None:
    web.delete(f"{URL}/x", status=status)
    connect().delete("/x", {"force": "1"})
    assert web.calls[0].request.params == {"force": "1"}


def test_a_refused_deletion_is_an_error(connect, web) -> None:
    web.delete(f"{URL}/x", status=409)
    with pytest.raises(Rejected):
        connect().delete("/x")


# --- repeating


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_idempotent_calls_are_repeated(connect, web, status: int, method: str) -> None:
    web.add(method, f"{URL}/x", status=status)
    web.add(method, f"{URL}/x", json=1)
    http = connect()
    assert http.send(method, "/x") == 1
    assert len(web.calls) == 2


def test_repetitions_end_and_grow(connect, web) -> None:
    web.get(f"{URL}/x", status=503)
    http = connect()
    with pytest.raises(Throttled, match="try again later"):
        http.get("/x")
    assert len(web.calls) == 5
    assert http.pauses[0] == 0
    assert http.pauses[1] >= 0.6
    assert http.pauses[3] >= 2.4


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 500, 501])
def test_other_answers_are_final(connect, web, status: int) -> None:
    web.get(f"{URL}/x", status=status)
    with pytest.raises(BackendError):
        connect().get("/x")
    assert len(web.calls) == 1


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_post_is_sent_once_unless_it_may_be_repeated(connect, web, method: str, status: int) -> None:
    web.add(method, f"{URL}/x", status=status)
    with pytest.raises(BackendError) as caught:
        connect().send(method, "/x", json={})
    assert len(web.calls) == 1
    assert ("the outcome is unknown" in str(caught.value)) is (status in (502, 504))
    with pytest.raises(BackendError):
        connect().send(method, "/x", json={}, repeatable=True)
    assert len(web.calls) == 6


def test_retry_after_is_honoured_and_capped(connect, web) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    for after in ("7", soon, "86400", "soon"):
        web.get(f"{URL}/x", status=429, headers={"Retry-After": after})
    web.get(f"{URL}/x", json=1)
    http = connect()
    assert http.get("/x") == 1
    assert http.pauses[0] == 7
    assert 25 < http.pauses[1] <= 30
    assert http.pauses[2] == 60
    assert http.pauses[3] < 4


def test_nothing_is_repeated_after_the_deadline(connect, web) -> None:
    web.get(f"{URL}/x", status=429, headers={"Retry-After": "50"})
    http = connect(deadline=120)
    with pytest.raises(Throttled):
        http.get("/x")
    assert http.pauses == [50, 50]


def test_retry_on_repeats_until_the_deadline_and_rewinds_the_body(connect, web) -> None:
    seen: list[bytes] = []

    def busy(request: Any) -> tuple[int, dict[str, str], str]:
        seen.append(getattr(request.body, "read", lambda: request.body)())
        return 409, {}, json.dumps({"detail": {"code": "busy"}})

    web.add_callback("POST", f"{URL}/x", busy)
    http = connect(deadline=100)
    body = io.BytesIO(b"skipped|content")
    body.seek(8)
    with pytest.raises(Rejected, match="busy"):
        http.send("POST", "/x", data=body, retry_on=lambda s, d: s == 409 and d["detail"]["code"] == "busy")
    assert len(seen) > 6
    assert set(seen) == {b"content"}
    assert 80 < sum(http.pauses) <= 100


def test_retry_on_leaves_other_refusals(connect, web) -> None:
    web.post(f"{URL}/x", json={"detail": "id conflict"}, status=409)
    with pytest.raises(Rejected):
        connect().send("POST", "/x", retry_on=lambda status, detail: detail == "busy")
    assert len(web.calls) == 1


def test_a_body_that_can_be_read_once_is_sent_once(connect, web) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    web.put(f"{URL}/x", status=503)
    with pytest.raises(Throttled):
        connect().send("PUT", "/x", data=Pipe(b"1"), retry_on=lambda *_: True)
    assert len(web.calls) == 1


# --- polling and paging


def test_poll_waits_longer_and_longer(connect, web) -> None:
    for state in ["queued"] * 20 + ["done"]:
        web.get(f"{URL}/jobs/1", json={"state": state})
    http = connect()
    assert http.poll("/jobs/1", lambda job: job["state"] == "done") == {"state": "done"}
    assert http.pauses == sorted(http.pauses)
    assert http.pauses[-1] == 2


def test_poll_names_what_it_waited_for(connect, web) -> None:
    web.get(f"{URL}/jobs/1", json={"state": "queued", "at": "https://ada:pw@h/x?sig=1"})
    with pytest.raises(Broken) as caught:
        connect().poll("/jobs/1?token=q", lambda job: False, deadline=30)
    assert "waited 30 s for GET /jobs/1; its last answer was" in str(caught.value)
    assert '{"state": "queued", "at": "https://h/x?…"}' in str(caught.value)


def test_pages_bring_all_or_an_error(connect, web) -> None:
    def page(request: Any) -> tuple[int, dict[str, str], str]:
        offset, limit = int(request.params["offset"]), int(request.params["limit"])
        return 200, {}, json.dumps({"items": list(range(7))[offset : offset + min(limit, 3)], "total": 7})

    web.add_callback("GET", f"{URL}/rows", page)
    assert list(connect().pages("/rows", size=5)) == list(range(7))

    web.get(f"{URL}/short", json={"items": [], "total": 2})
    with pytest.raises(Broken, match="GET /short stopped at 0 of 2 items; try again"):
        list(connect().pages("/short"))
    web.get(f"{URL}/odd", json=[1])
    with pytest.raises(
        Broken, match="GET /odd answers 200 with JSON of another form: it is a list, and should be an object"
    ):
        list(connect().pages("/odd"))


def test_pages_without_a_total_end_with_a_short_page(connect, web) -> None:
    for found in ([1, 2], [3, 4], []):
        web.get(f"{URL}/rows", json={"results": found})
    assert list(connect().pages("/rows", size=2, items="results")) == [1, 2, 3, 4]


# --- faults of the network


def test_no_server_says_so(connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    http = connect(url)
    with pytest.raises(Unreachable) as caught:
        http.send("POST", "/x?token=q", json={})
    assert str(caught.value) == (
        f"tool at {url}: POST /x failed: it refuses connections. Is the server running, and is the port right?"
    )
    assert len(http.pauses) == 4  # nothing was sent, so trying again is safe
    assert caught.value.__context__ is None


def test_a_reset_is_repeated_for_get_only(connect, serve) -> None:
    server = serve(reset, answer(b"5"))
    assert connect(server.url).get("/x") == 5
    assert len(server.requests) == 2

    server = serve(reset)
    with pytest.raises(Unreachable, match=r"the connection broke off.*the outcome is unknown"):
        connect(server.url).send("POST", "/x", json={})
    assert len(server.requests) == 1


def test_a_half_closed_socket_is_a_lost_answer(connect, serve) -> None:
    def half_close(connection: socket.socket) -> None:
        connection.shutdown(socket.SHUT_WR)

    server = serve(half_close)
    with pytest.raises(Unreachable, match="the connection broke off"):
        connect(server.url).get("/x")
    assert len(server.requests) == 5


def test_a_truncated_answer_is_broken(connect, serve) -> None:
    server = serve(answer(b'{"a": 1', length=100))
    with pytest.raises(Broken, match=r"GET /x \(200\) failed: its answer is cut short or garbled"):
        connect(server.url).get("/x")
    assert len(server.requests) == 5
    with pytest.raises(Broken, match="the outcome is unknown"):
        connect(server.url).send("POST", "/x")


def test_a_truncated_gzip_is_broken(connect, serve) -> None:
    server = serve(answer(gzip.compress(b'{"a": "' + b"x" * 1000 + b'"}')[:20], Content_Encoding="gzip"))
    with pytest.raises(Broken):
        connect(server.url).get("/x")


def test_what_is_not_http_is_broken(connect, serve) -> None:
    server = serve(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n"))
    with pytest.raises(Broken, match="another kind of server"):
        connect(server.url).get("/x")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 500 No\r\nContent-Length: 100000\r\n\r\n",
    ],
    ids=["body", "chunk size", "header", "status line", "refusal"],
)
def test_a_drip_is_cut_at_the_deadline(connect, serve, head: bytes) -> None:
    server = serve(drip(head, b"0"))
    http, begun = connect(server.url, timeout=5, deadline=0.3), time.monotonic()
    with pytest.raises(BackendError):
        http.get("/x")
    assert time.monotonic() - begun < 1.5
    assert len(server.requests) == 1


def test_a_dripping_download_is_cut_too(connect, serve) -> None:
    server = serve(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"))
    with pytest.raises(Unreachable, match=r"GET /x \(200\) failed: it took too long to answer"):
        b"".join(connect(server.url, deadline=0.3).stream("/x"))


def test_silence_is_cut_by_the_timeout(connect, serve) -> None:
    server = serve(lambda connection: time.sleep(0.6))
    with pytest.raises(Unreachable, match=r"it took too long to answer.*the outcome is unknown"):
        connect(server.url, timeout=0.2).send("POST", "/x")


def test_a_server_that_never_answers_is_asked_twice_at_most(connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections come about, and that is all
        http = connect(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)
        begun = time.monotonic()
        with pytest.raises(Unreachable, match="GET /x failed: it took too long to answer"):
            http.get("/x")
    assert len(http.pauses) == 1
    assert time.monotonic() - begun < 2


def test_a_bomb_is_cut_while_it_unpacks(connect, serve) -> None:
    server = serve(answer(gzip.compress(b" " * 50_000_000), Content_Encoding="gzip"))
    with pytest.raises(Broken, match="the answer to GET /x has more than 1000000 bytes; it was cut"):
        connect(server.url, limit=1_000_000).get("/x")
    assert len(server.requests) == 1


def test_a_limit_names_the_option_that_raises_it(connect, serve) -> None:
    server = serve(answer(b"[" + b"1," * 1000 + b"1]"))
    http = connect(server.url, limit=1000, limit_option="largest_answer")
    with pytest.raises(Broken, match=r"has more than 1000 bytes; it was cut\. Raise `largest_answer`, or send smaller"):
        http.get("/x")
    with pytest.raises(Broken, match=r"has more than 500 bytes; it was cut\. Raise the limit"):
        list(http.stream("/x", limit=500))


@pytest.mark.parametrize("packed", [gzip.compress, lambda body: zlib.compress(body, 9)], ids=["gzip", "deflate"])
def test_an_answer_that_unpacks_to_hundreds_of_times_its_size_is_cut(connect, serve, packed) -> None:
    """Its text is small enough for the limit, and would take gigabytes as lists."""
    coding = {gzip.compress: "gzip"}.get(packed, "deflate")
    server = serve(answer(packed(b"[" + b"[]," * 40_000_000 + b"[]]"), Content_Encoding=coding))
    tracemalloc.start()
    with pytest.raises(
        Broken, match="the answer to GET /x unpacks to more than 400 times its size, as no real one does"
    ):
        connect(server.url, limit=1 << 30).get("/x")
    assert tracemalloc.get_traced_memory()[1] < 200 << 20
    tracemalloc.stop()
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"[" + b"[]," * 1_000_000 + b"[]]", b'[{"a":{}},' * 300_000 + b"1", b"[" * 2_000_000])
def test_a_text_of_little_but_lists_is_not_read(connect, serve, body: bytes) -> None:
    with pytest.raises(
        Broken, match="GET /x answers 200 with JSON that was not read: it is mostly empty lists and objects"
    ):
        connect(serve(answer(body)).url).get("/x")


def test_what_real_servers_answer_is_read(connect, serve) -> None:
    """Equal shapes pack well, and points are many small objects."""
    shapes = [{"type": "polygon", "points": [{"x": 1.0, "y": 2.0}] * 20, "id": n} for n in range(20_000)]
    body = gzip.compress(json.dumps(shapes, separators=(",", ":")).encode())
    assert connect(serve(answer(body, Content_Encoding="gzip")).url).get("/x") == shapes


def test_a_download_streams_and_is_capped(connect, serve) -> None:
    server = serve(answer(b"x" * 100_000))
    assert b"".join(connect(server.url).stream("/x")) == b"x" * 100_000
    assert b"Accept-Encoding: identity" in server.requests[0]
    with pytest.raises(Broken, match="more than 50000 bytes"):
        list(connect(server.url).stream("/x", limit=50_000))


def test_a_long_body_goes_in_pieces_and_a_connection_is_kept(connect, serve) -> None:
    server = serve(answer(b"1"))
    http = connect(server.url)
    assert http.send("PUT", "/x", data=b"y" * (2 << 20)) == 1
    assert server.requests[0].endswith(b"\r\n\r\n" + b"y" * (2 << 20))
    assert f"Content-Length: {2 << 20}".encode() in server.requests[0]


def test_files_are_read_as_they_are_sent(connect, serve) -> None:
    class Picture(io.RawIOBase):
        """16 MB that are nowhere; counts what was read."""

        left = 16 << 20

        def read(self, size: int = -1) -> bytes:
            piece = b"p" * min(size, self.left)
            self.left -= len(piece)
            return piece

    server = serve(answer(b'{"ids": [1]}'))
    http = connect(server.url)
    tracemalloc.start()
    sizes = tracemalloc.get_traced_memory()[0]
    files = [MediaFile("s", "a.png", 16 << 20, Picture)]
    body = Multipart(files, {}, "file")
    while body.read(1 << 16):
        pass
    assert tracemalloc.get_traced_memory()[1] - sizes < 4 << 20
    tracemalloc.stop()
    assert http.upload("/files", files, expect={"ids": [int]}) == {"ids": [1]}
    assert server.requests[0].count(b"p" * (16 << 20)) == 1


def test_a_kept_connection_gets_its_time_back(connect, serve) -> None:
    """The clock of one answer must not cut the next one on the same connection."""

    def three(connection: socket.socket) -> None:
        for n in range(3):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
            time.sleep(0.2)
            connection.sendall(str(n).encode())
            if n < 2:
                read_request(connection)

    server = serve(three)
    http = connect(server.url, timeout=0.5, deadline=0.4)
    assert [http.get("/x") for _ in range(3)] == [0, 1, 2]
    assert len(server.requests) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A self-signed certificate for 127.0.0.1, with its key, in one file."""
    pytest.importorskip("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "t")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(datetime.now(UTC) - timedelta(days=1))
    builder = builder.not_valid_after(datetime.now(UTC) + timedelta(days=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    encoding = serialization.Encoding.PEM
    plain = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(signed.public_bytes(encoding) + plain)
    return str(path)


def test_certificates_are_checked(connect, serve, certificate: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = serve(answer(b"1"), wrap=lambda raw: context.wrap_socket(raw, server_side=True))
    url = server.url.replace("http:", "https:")
    http = connect(url)
    with pytest.raises(
        Unreachable, match=r"its TLS certificate is not trusted \(self.signed certificate\)\. Give the file"
    ):
        http.send("POST", "/x")
    assert http.pauses == []
    assert connect(url, verify=certificate).get("/x") == 1
    other = connect(url.replace("127.0.0.1", "localhost"), verify=certificate)
    with pytest.raises(Unreachable, match=r"not trusted .*Hostname mismatch"):
        other.get("/x")


def test_a_drip_over_tls_is_cut_too(connect, serve, certificate: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    drops = drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    server = serve(drops, wrap=lambda raw: context.wrap_socket(raw, server_side=True))
    with pytest.raises(Unreachable, match="it took too long to answer"):
        connect(server.url.replace("http:", "https:"), verify=certificate, deadline=0.3).get("/x")


# --- redirects and addresses


def test_a_redirect_to_another_port_is_not_followed(connect, serve) -> None:
    other = serve(answer())
    server = serve(answer(b"", "302 Found", Location=f"{other.url}/steal?token=q"))
    http = connect(server.url, secrets={"Authorization": SecretStr(SECRET)})
    with pytest.raises(
        Rejected, match=f"is redirected \\(302\\) to {other.url}/steal, another server, so nothing"
    ) as e:
        http.get("/x")
    assert "token=q" not in str(e.value)
    assert other.requests == []


@pytest.mark.parametrize(
    "target", ["http://tool.example/y", "https://tool.example:444/y", "https://u@tool.example/y", "file:///etc", "//[x"]
)
def test_a_redirect_elsewhere_is_rejected(connect, web, target: str) -> None:
    web.get(f"{URL}/x", status=301, headers={"Location": target})
    with pytest.raises(Rejected, match="another server"):
        connect().get("/x")
    assert len(web.calls) == 1


def test_a_redirect_at_home_is_followed(connect, web) -> None:
    web.get(f"{URL}/x", status=301, headers={"Location": "/y?z=1"})
    web.get(f"{URL}/y?z=1", json=3)
    web.post(f"{URL}/x", status=307, headers={"Location": f"{URL}/y"})
    web.post(f"{URL}/y", json=4)
    web.put(f"{URL}/x", status=301, headers={"Location": "/y"})
    http = connect()
    assert http.get("/x") == 3
    assert http.send("POST", "/x", data=b"body") == 4
    assert web.calls[-1].request.body == b"body"
    with pytest.raises(Rejected, match=r"a PUT is not sent on. Correct the `url`"):
        http.send("PUT", "/x")


def test_redirects_in_a_circle_end(connect, web) -> None:
    web.get(f"{URL}/x", status=302, headers={"Location": "/x"})
    http = connect()
    with pytest.raises(Broken, match="302"):
        http.get("/x")
    assert len(web.calls) == 6
    web.get(f"{URL}/y", status=304)
    with pytest.raises(Broken, match=r"GET /y fails on the server \(304\)"):
        http.get("/y")


def test_an_address_from_the_server_is_fetched_only_at_home(connect, web) -> None:
    web.get(f"{URL}/next?page=2", json=2)
    http = connect()
    assert http.get(f"{URL}/next?page=2") == 2
    for stranger in ("https://other.example/next?page=2", "//other.example/next", "http://169.254.169.254/next"):
        with pytest.raises(Rejected, match="/next is on another server, and was not fetched"):
            http.get(stranger)
    assert len(web.calls) == 1


@pytest.mark.parametrize("url", ["tool.example", "ftp://tool.example", "localhost:8080", "http://", "https://x:port"])
def test_a_url_must_be_a_web_address(url: str) -> None:
    with pytest.raises(ConfigError, match="tool: the url is not a web address; give http:// or https://"):
        Http(url, backend="tool")


@pytest.mark.parametrize("url", ["https://ada:pw1@tool.example", "https://tool.example/?token=pw1"])
def test_a_url_holds_no_secret(url: str) -> None:
    with pytest.raises(ConfigError, match=r"https://tool.example has a user, a password or a query") as caught:
        Http(url, backend="tool")
    assert "pw1" not in str(caught.value)


# --- secrets


@pytest.mark.parametrize("url", ["http://tool.example", "http://10.0.0.7:8080"])
def test_a_secret_needs_encryption(connect, url: str) -> None:
    secrets = {"Authorization": SecretStr(SECRET)}
    with pytest.raises(ConfigError, match="is not encrypted, and a secret would be sent to it in the clear; use https"):
        connect(url, secrets=secrets)
    http = connect(url)
    with pytest.raises(ConfigError, match="not encrypted"):
        http.send("POST", "/login", json={"password": SecretStr(SECRET)})
    connect(url, secrets=secrets, allow_insecure=True)
    connect("http://127.0.0.1:1", secrets=secrets)
    connect("http://localhost:1", secrets=secrets)
    connect("http://[::1]:1", secrets=secrets)


def test_a_secret_that_no_header_can_hold(connect) -> None:
    with pytest.raises(ConfigError, match="the secret for Authorization has characters that no header can hold") as e:
        connect(secrets={"Authorization": SecretStr(f"{SECRET}\r\nX: y")})
    assert SECRET not in str(e.value)


def test_secrets_are_sent_and_never_shown(connect, web, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    quoted = requests.utils.quote(SECRET, safe="")
    web.post(
        f"{URL}/login", json={"detail": f"bad {SECRET} {quoted}", "echo": {"token": f"Token {SECRET}"}}, status=400
    )
    web.get(f"{URL}/html", body=f"<p>{SECRET}</p>")
    http = connect(secrets={"Authorization": SecretStr(f"Token {SECRET}\n")})
    with pytest.raises(Rejected) as refused:
        http.send("POST", "/login", json={"password": SecretStr(SECRET)})
    with pytest.raises(Broken) as html:
        http.get("/html", {"q": "query1"})
    assert web.calls[0].request.headers["Authorization"] == f"Token {SECRET}"
    assert json.loads(web.calls[0].request.body) == {"password": SECRET}
    texts = [str(refused.value), repr(refused.value), repr(refused.value.detail), str(html.value), repr(http)]
    texts += [repr(http._transport), caplog.text]
    for text in texts:
        assert SECRET not in text
        assert quoted not in text
        assert "query1" not in text
    assert "bad *** ***" in str(refused.value)
    assert f"tool at {URL}" in str(refused.value)


def test_the_log_has_a_line_per_call(connect, web, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "annobridge")
    web.get(f"{URL}/x", json=1)
    connect().get("/x", {"token": "q"})
    assert [re.sub(r"\d+ ms", "N ms", m) for m in caplog.messages] == ["tool: GET /x answers 200 after N ms"]


def test_json_that_cannot_be_sent(connect) -> None:
    with pytest.raises(TypeError, match="set cannot be sent as JSON"):
        connect().send("POST", "/x", json={1})


# --- the environment


def test_a_netrc_replaces_nothing(connect, web, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine tool.example login eve password evil\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    web.get(f"{URL}/x", json=1)
    connect().get("/x")
    assert "Authorization" not in web.calls[0].request.headers


def test_cookies_are_not_kept(connect, serve) -> None:
    server = serve(answer(Set_Cookie="sessionid=1; Path=/"))
    http = connect(server.url)
    http.get("/x")
    http.get("/x")
    assert b"ookie" not in server.requests[1]


def test_proxies_of_the_environment_are_used_but_not_on_loopback(connect, serve, monkeypatch) -> None:
    proxy, server = serve(answer(b'"proxied"')), serve(answer(b'"direct"'))
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "skipped.example")
    assert connect("http://tool.example").get("/x") == "proxied"
    assert proxy.requests[0].startswith(b"GET http://tool.example/x")
    assert connect(server.url).get("/x") == "direct"
    assert connect("http://skipped.example")._transport.session.proxies == {}


def test_a_proxy_that_refuses_is_named(connect, monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(Unreachable, match=r"the proxy does not let the call through. Check HTTPS_PROXY"):
        connect().get("/x")


def test_the_authorities_of_the_environment_are_trusted(connect, tmp_path, monkeypatch) -> None:
    (tmp_path / "ca.pem").touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert connect()._transport.session.verify == str(tmp_path / "ca.pem")
    assert connect(verify=False)._transport.session.verify is False
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigError, match=r"The CA file '.*none.pem', named by REQUESTS_CA_BUNDLE, does not exist"):
        connect()
    with pytest.raises(
        ConfigError, match=r"The CA file 'gone.pem', named by `verify`, does not exist; correct the path"
    ):
        connect(verify="gone.pem")
