"""Files that are sent in batches: whole, in order, read as they are sent, and again from the start."""

from __future__ import annotations

import io
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st

from annobridge.backend.http import Http
from annobridge.backend.uploads import MediaFile, Multipart, batches, files_of
from annobridge.exceptions import Broken, InvalidMedia, Rejected

URL = "https://tool.example"


def file(name: str, content: bytes, size: int | None = None) -> MediaFile:
    return MediaFile(f"sample {name}", name, len(content) if size is None else size, lambda: io.BytesIO(content))


def parts(body: bytes, content_type: str) -> list[tuple[str, str | None, bytes]]:
    """Field, file name and content of each part, as another library reads them."""
    whole = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    found = []
    for part in whole.get_payload():
        name = part.get_param("name", header="content-disposition")
        found.append((str(name), part.get_filename(), part.get_payload(decode=True)))
    return found


@given(st.lists(st.integers(0, 12), max_size=30), st.integers(1, 5), st.integers(1, 20))
def test_batches_are_bounded_and_complete(sizes: list[int], count: int, size: int) -> None:
    files = [file(str(n), b"x" * length) for n, length in enumerate(sizes)]
    found = list(batches(files, count=count, size=size))
    assert [one for batch in found for one in batch] == files
    for batch, following in zip(found, [*found, None][1:], strict=bool(found)):
        total = sum(one.size for one in batch)
        assert 1 <= len(batch) <= count
        assert total <= size or len(batch) == 1
        assert following is None or len(batch) == count or total + following[0].size > size


@given(st.lists(st.binary(max_size=70), min_size=1, max_size=4), st.lists(st.integers(1, 99), min_size=1))
def test_a_body_reads_the_same_in_pieces_of_any_size_and_again(contents: list[bytes], pieces: list[int]) -> None:
    body = Multipart([file(f"{n}.png", c) for n, c in enumerate(contents)], {"quality": 70}, "files[{}]")
    whole = body.read()
    assert len(whole) == len(body)
    assert body.read(1) == b""
    body.seek(0)
    again, sizes = b"", [*pieces, len(body)]
    for size in sizes:
        piece = body.read(size)
        assert len(piece) == min(size, len(body) - len(again))
        again += piece
        assert body.tell() == len(again)
    assert again == whole
    found = parts(whole, body.content_type)
    assert [(name, filename) for name, filename, _ in found] == [
        ("quality", None), *((f"files[{n}]", f"{n}.png") for n in range(len(contents)))
    ]  # fmt: skip
    assert whole.count(b"\r\n70\r\n") >= 1
    for content in contents:
        assert content in whole


@pytest.mark.parametrize("name", ["plain.png", 'a"b.png', "a\r\nX: y.png", "日本.png", "a;b c.png"])
def test_a_name_makes_no_headers(name: str) -> None:
    body = Multipart([file(name, b"picture")], {}, "file")
    found = parts(body.read(), body.content_type)
    assert [(field, content) for field, _, content in found] == [("file", b"picture")]


@pytest.mark.parametrize("size", [3, 5])
def test_a_file_that_changes_while_it_is_sent_is_named(size: int) -> None:
    body = Multipart([file("a.png", b"four", size)], {}, "file")
    with pytest.raises(
        InvalidMedia, match=r"sample a.png' \(sent as 'a.png'\) changed while it was sent: it had [35] bytes"
    ):
        body.read()


def test_a_body_goes_back_to_its_start_only() -> None:
    with pytest.raises(io.UnsupportedOperation):
        Multipart([], {}, "file").seek(3)


class Disk:
    """The media of a task: one file on disk, one that is not."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "a.png"
        self.file.write_bytes(b"on disk")

    def open(self, sample_id: str) -> Any:
        return self.file.open("rb") if sample_id == "a" else io.BytesIO(b"in a bucket")

    def path(self, sample_id: str) -> Path | None:
        return self.file if sample_id == "a" else None


def test_files_of_samples_know_their_size(tmp_path: Path) -> None:
    found = list(files_of(Disk(tmp_path), {"a": "0.png", "b": "1.png"}))
    assert [(one.name, one.size) for one in found] == [("0.png", 7), ("1.png", 11)]
    for one, content in zip(found, [b"on disk", b"in a bucket"], strict=True):
        with one.open() as stream:
            assert stream.read() == content


def test_an_upload_is_sent_and_its_answer_checked() -> None:
    with responses.RequestsMock() as web, Http(URL, backend="tool") as http:
        web.post(f"{URL}/import", json={"ids": [1, 2]})
        files = [file("a.png", b"A" * 100_000), file("b.png", b"B")]
        assert http.upload("/import", files, fields={"deep": True}, expect={"ids": [int]}) == {"ids": [1, 2]}
        request = web.calls[0].request
        body = request.body  # responses reads it
        assert int(request.headers["Content-Length"]) == len(body)
        assert parts(body, request.headers["Content-Type"]) == [
            ("deep", None, b"true"), ("file", "a.png", b"A" * 100_000), ("file", "b.png", b"B")
        ]  # fmt: skip


def test_an_upload_is_repeated_from_its_start_when_that_is_allowed(monkeypatch) -> None:
    opened: list[str] = []
    picture = MediaFile("s", "a.png", 4, lambda: opened.append("a") or io.BytesIO(b"four"))
    bodies: list[bytes] = []

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        bodies.append(request.body)
        return (503, {}, "") if len(bodies) == 1 else (200, {}, "[1]")

    with responses.RequestsMock() as web, Http(URL, backend="tool") as http:
        monkeypatch.setattr(http._transport, "sleep", lambda _: None)
        web.add_callback("POST", f"{URL}/import", answer)
        assert http.upload("/import", [picture], repeatable=True, expect=[int]) == [1]
    assert bodies[0] == bodies[1]
    assert b"four" in bodies[0]
    assert opened == ["a", "a"]


def test_a_refused_upload_is_one_error(monkeypatch) -> None:
    with responses.RequestsMock() as web, Http(URL, backend="tool") as http:
        web.post(f"{URL}/import", status=413, json={"detail": "too large"})
        with pytest.raises(Rejected, match=r"POST /import is rejected \(413\): too large"):
            http.upload("/import", [file("a.png", b"x")])
    with responses.RequestsMock() as web, Http(URL, backend="tool") as http:
        web.post(f"{URL}/import", json={"ids": None})
        with pytest.raises(Broken, match="'ids' is null, and should be a list.*outcome is unknown"):
            http.upload("/import", [file("a.png", b"x")], expect={"ids": [int]})
