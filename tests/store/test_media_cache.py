"""Files that are read by URI: what is asked of servers, what is kept, and what is told."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from proofs.storage import BUCKET, S3
from tests.file_servers import WebServer

from annobridge.core.media import CACHE, CACHE_SIZE
from annobridge.exceptions import InvalidOption
from annobridge.store import media_cache, remote
from annobridge.store.media import FileMedia, check_media
from annobridge.store.media_files import MediaFiles
from annobridge.store.object_files import ObjectFile, open_store
from annobridge.store.tables import Database

SECRET = "s3cretsignature"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv(CACHE, str(folder))
    monkeypatch.delenv(CACHE_SIZE, raising=False)
    return folder


def read(uri: str, **options: dict[str, str] | None) -> bytes:
    with media_cache.open_cached(uri, **options) as stream:
        return stream.read()


def test_a_file_is_downloaded_once_and_asked_about_each_time(web: WebServer) -> None:
    web.files["/a.png"] = b"one"
    assert [read(f"{web.url}/a.png") for _ in range(3)] == [b"one"] * 3
    assert web.statuses == [200, 304, 304]
    web.files["/a.png"] = b"two, longer"
    assert [read(f"{web.url}/a.png") for _ in range(2)] == [b"two, longer"] * 2
    assert web.statuses[3:] == [200, 304]


def test_only_the_newest_bytes_of_a_file_are_kept(web: WebServer, cache: Path) -> None:
    for content in (b"one", b"two", b"three"):
        web.files["/a.png"] = content
        assert read(f"{web.url}/a.png") == content
    assert [path.read_bytes() for path in cache.glob("*.data")] == [b"three"]
    assert not list(cache.glob("*.part"))


def test_a_file_that_is_gone_there_is_not_served_from_the_cache(web: WebServer) -> None:
    web.files["/a.png"] = b"one"
    read(f"{web.url}/a.png")
    del web.files["/a.png"]
    with pytest.raises(FileNotFoundError):
        read(f"{web.url}/a.png")


def test_an_expired_signature_gets_nothing_from_the_cache(web: WebServer) -> None:
    web.files["/a.png"] = b"one"
    read(f"{web.url}/a.png?sig={SECRET}")
    web.status = 403
    with pytest.raises(OSError, match="the server answers 403"):
        read(f"{web.url}/a.png?sig={SECRET}")


def test_a_url_that_is_signed_anew_finds_its_entry_and_no_name_has_the_signature(web: WebServer, cache: Path) -> None:
    web.files["/a.png"] = b"one"
    for signature in (SECRET, "other"):
        assert read(f"{web.url}/a.png?w=2&X-Amz-Expires=60&X-Amz-Signature={signature}") == b"one"
    assert web.statuses == [200, 304]
    assert all(SECRET not in path.name and SECRET.encode() not in path.read_bytes() for path in cache.iterdir())


@given(st.dictionaries(st.sampled_from(["w", "page", "id"]), st.text("ab1", min_size=1), min_size=1))
def test_queries_that_sign_nothing_are_different_files(query: dict[str, str]) -> None:
    text = "&".join(f"{n}={v}" for n, v in query.items())
    assert media_cache._key(f"https://h/a?{text}") != media_cache._key("https://h/a")
    assert media_cache._key(f"https://h/a?{text}") == media_cache._key(f"https://h/a?{text}&se=1&sp=r&sv=2&sig=x")
    assert media_cache._key(f"https://h/a?{text}&st=1&sig=a") != media_cache._key(
        f"https://h/a?{text}&st=2&sig=a"
    )  # not Azure


@pytest.mark.parametrize("chunked", [False, True])
def test_what_cannot_be_compared_later_is_not_kept(web: WebServer, cache: Path, chunked: bool) -> None:
    web.validators, web.chunked = False, chunked
    web.files["/a.png"] = b"one"
    assert [read(f"{web.url}/a.png") for _ in range(2)] == [b"one"] * 2
    assert web.statuses == [200, 200]
    assert not list(cache.glob("*.data"))


def test_a_chunked_answer_with_an_etag_is_kept(web: WebServer) -> None:
    web.chunked = True
    web.files["/a.png"] = b"one"
    assert [read(f"{web.url}/a.png") for _ in range(2)] == [b"one"] * 2
    assert web.statuses == [200, 304]


def test_damage_in_the_cache_is_replaced(web: WebServer, cache: Path) -> None:
    web.files["/a.png"] = b"one"
    read(f"{web.url}/a.png")
    for damage in (lambda p: p.write_bytes(b"o"), Path.unlink):
        damage(next(cache.glob("*.data")))
        assert read(f"{web.url}/a.png") == b"one"
    next(cache.glob("*.json")).write_text("{")
    assert read(f"{web.url}/a.png") == b"one"
    assert web.statuses == [200] * 4


def test_an_entry_cannot_name_a_file_elsewhere(web: WebServer, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "private").write_bytes(b"123")
    web.files["/a.png"] = b"one"
    read(f"{web.url}/a.png")
    entry = next(cache.glob("*.json"))
    entry.write_text(json.dumps(json.loads(entry.read_text()) | {"data": "../private"}))
    assert read(f"{web.url}/a.png") == b"one"


def test_the_cache_stays_within_its_size_and_keeps_what_was_used_last(
    web: WebServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_SIZE, "10KB")
    web.files = {f"/{n}.png": bytes([n]) * 1024 for n in range(40)}
    for n in range(40):
        assert read(f"{web.url}/{n}.png") == bytes([n]) * 1024
        read(f"{web.url}/0.png")
        time.sleep(0.002)  # times of files are as fine as the clock of the system
        assert sum(path.stat().st_size for path in cache.glob("*.data")) <= 11 * 1024
    before = len(web.statuses)
    read(f"{web.url}/0.png")
    read(f"{web.url}/39.png")
    assert web.statuses[before:] == [304, 304]


def test_a_file_larger_than_the_cache_is_read_and_not_kept(
    web: WebServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_SIZE, "1KB")
    web.files["/a.png"] = b"x" * 2000
    assert read(f"{web.url}/a.png") == b"x" * 2000
    assert not list(cache.glob("*.data"))


@pytest.mark.parametrize("name", [CACHE, CACHE_SIZE])
def test_the_cache_can_be_off(web: WebServer, cache: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "0")
    web.files["/a.png"] = b"one"
    assert [read(f"{web.url}/a.png") for _ in range(2)] == [b"one"] * 2
    assert web.statuses == [200, 200]
    assert not cache.exists()


def test_a_size_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_SIZE, "much")
    with pytest.raises(InvalidOption, match="ANNOBRIDGE_MEDIA_CACHE_SIZE='much' .* is not a size; give one, as 20GB"):
        media_cache.shared()


def test_a_place_that_cannot_be_written_is_told_and_files_are_read(
    web: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE, str(tmp_path / "file"))
    web.files["/a.png"] = b"one"
    with pytest.warns(UserWarning, match="Files read by URI are not kept in .*name another folder"):
        assert read(f"{web.url}/a.png") == b"one"


def test_a_full_disk_is_told_once_and_files_are_read(
    web: WebServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    web.files |= {"/a.png": b"one", "/b.png": b"two"}
    read(f"{web.url}/b.png")
    monkeypatch.setattr(media_cache.os, "replace", full)
    with pytest.warns(UserWarning, match=f"not kept in '{cache}' \\(No space left on device\\); make room") as told:
        assert [read(f"{web.url}/a.png") for _ in range(3)] == [b"one"] * 3
    assert len(told) == 1
    with pytest.raises(FileNotFoundError):
        read(f"{web.url}/none.png")


def test_threads_and_processes_share_a_cache(web: WebServer, cache: Path) -> None:
    web.files = {f"/{n}.png": bytes([n]) * (50_000 + n) for n in range(8)}
    environment = os.environ | {CACHE: str(cache), CACHE_SIZE: "200KB"}
    code = f"""
from annobridge.store.media_cache import open_cached
for turn in range(15):
    for n in range(8):
        with open_cached(f"{web.url}/{{n}}.png") as stream:
            assert stream.read() == bytes([n]) * (50_000 + n)
"""
    with ThreadPoolExecutor(3) as pool:
        ends = list(pool.map(lambda _: subprocess.run([sys.executable, "-c", code], env=environment), range(3)))
    assert [end.returncode for end in ends] == [0, 0, 0]
    assert not list(cache.glob("*.part"))


def test_what_a_killed_process_left_is_removed(web: WebServer, cache: Path) -> None:
    web.files["/a.png"] = b"one"
    cache.mkdir()
    (cache / "old.part").write_bytes(b"half")
    (cache / "new.part").write_bytes(b"half")
    os.utime(cache / "old.part", (0, 0))
    read(f"{web.url}/a.png")
    assert [path.name for path in cache.glob("*.part")] == ["new.part"]


def test_the_state_of_a_file_takes_no_download(web: WebServer) -> None:
    web.files["/a.png"] = b"12345"
    assert remote.open_remote(f"{web.url}/a.png").state().size == 5
    assert web.requests == [("HEAD", "/a.png")]


def test_where_head_is_refused_as_by_signed_urls_get_is_asked(web: WebServer) -> None:
    web.files["/a.png"] = b"12345"
    web.head = 403
    assert remote.open_remote(f"{web.url}/a.png?sig=x").state().size == 5
    web.status = 403
    with pytest.raises(OSError, match="the server answers 403"):
        remote.open_remote(f"{web.url}/a.png?sig=x").state()
    with pytest.raises(OSError, match=r"the server does not answer \(ConnectionError\)"):
        remote.open_remote("http://127.0.0.1:9/a.png").state()


@pytest.mark.parametrize(("uri", "scheme"), [("ftp://host/a.png", "ftp"), ("hdfs://host/a.png", "hdfs")])
def test_a_scheme_that_is_not_known(uri: str, scheme: str) -> None:
    with pytest.raises(OSError, match=f"files of {scheme}:// cannot be read; the known ones are http://, .*s3://"):
        remote.open_remote(uri)


def test_file_uris_are_paths(tmp_path: Path) -> None:
    path = tmp_path / "a b.png"
    path.write_bytes(b"one")
    media = FileMedia({"s": f"file://{quote(str(path))}"})
    assert media.path("s") == path
    with media.open("s") as stream:
        assert stream.read() == b"one"


def test_files_of_an_object_store(s3: S3, cache: Path) -> None:
    uri = f"s3://{BUCKET}/cache/a%20b.png"
    assert ObjectFile(uri, s3.options).create(io.BytesIO(b"one"))
    assert not ObjectFile(uri, s3.options).create(io.BytesIO(b"two"))
    assert remote.open_remote(uri, s3.options).state().size == 3
    assert [read(uri, options=s3.options) for _ in range(2)] == [b"one"] * 2
    assert [path.read_bytes() for path in cache.glob("*.data")] == [b"one"]
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        read(f"s3://{BUCKET}/cache/none.png", options=s3.options)


def test_options_of_lance_that_a_store_does_not_have_are_left_out(s3: S3) -> None:
    options = (s3.options or {}) | {"headers.x-test": "1"}
    with pytest.raises(FileNotFoundError):
        remote.open_remote(f"s3://{BUCKET}/none.png", options).state()


def test_a_token_that_lance_takes_for_google_is_used_for_media() -> None:
    store, key = open_store("gs://bucket/a.png", {"google_storage_token": SECRET})
    assert (store.config["bearer_token"], key) == (SECRET, "a.png")


def test_credentials_are_in_no_error(web: WebServer) -> None:
    web.status = 401
    places = [
        f"http://user:{SECRET}@{web.url.removeprefix('http://')}/a.png?sig={SECRET}",
        f"ftp://{SECRET}@host/a.png",
    ]
    samples = pa.table({"sample_id": ["a", "b"], "media_type": ["image", "video"], "filepath": places})
    _, faults = check_media(samples, FileMedia.of(samples))
    assert len(faults) == 2
    assert "of sample 'a' cannot be read: the server answers 401." in faults[0]
    assert all(SECRET not in fault for fault in faults)


def test_media_files_in_an_object_store(s3: S3, tmp_path: Path) -> None:
    files = MediaFiles(Database.create(s3.uri(tmp_path / "ds.lancedb"), s3.options))
    first = files.write("cam 1/0.png", io.BytesIO(b"one"))
    assert first == f"{s3.uri(tmp_path)}/ds.lancedb/media/cam 1/0.png"
    assert files.write("cam 1/0.png", io.BytesIO(b"one")) == first
    other = files.write("cam 1/0.png", io.BytesIO(b"two"))
    assert read(first, options=s3.options) == b"one"
    assert read(other, options=s3.options) == b"two"
