"""Media that are written into a dataset: their names, what is there already, and processes that are killed."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annobridge.store import media_files
from annobridge.store.media_files import MediaFiles
from annobridge.store.tables import Database


@pytest.fixture
def files(tmp_path: Path) -> MediaFiles:
    return MediaFiles(Database.create(str(tmp_path / "ds.lancedb")))


def write(files: MediaFiles, name: str, data: bytes) -> Path:
    return Path(files.write(name, io.BytesIO(data)))


def test_a_file_is_written_below_the_dataset(files: MediaFiles, tmp_path: Path) -> None:
    path = write(files, "cam/0.png", b"one")
    assert path == tmp_path / "ds.lancedb" / "media" / "cam" / "0.png"
    assert path.read_bytes() == b"one"


def test_the_same_bytes_are_written_once_and_others_get_another_name(files: MediaFiles) -> None:
    first = write(files, "0.png", b"one")
    assert write(files, "0.png", b"one") == first
    other = write(files, "0.png", b"two")
    assert other != first
    assert other.suffix == ".png"
    assert write(files, "0.png", b"two") == other
    assert (first.read_bytes(), other.read_bytes()) == (b"one", b"two")
    assert sorted(first.parent.iterdir()) == sorted([first, other])  # nothing temporary is left


def test_a_folder_of_the_name_stays(files: MediaFiles) -> None:
    inner = write(files, "a.png/0.png", b"one")
    assert write(files, "a.png", b"two").read_bytes() == b"two"
    assert inner.read_bytes() == b"one"


def test_a_stream_that_fails_leaves_nothing(files: MediaFiles, tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        files.write("0.png", Broken())
    assert list((tmp_path / "ds.lancedb" / "media").iterdir()) == []


def test_without_hard_links_files_are_copied(files: MediaFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    first = write(files, "0.png", b"one")
    assert write(files, "0.png", b"one") == first
    assert write(files, "0.png", b"two") != first
    assert first.read_bytes() == b"one"


@given(st.text(max_size=300))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    safe = media_files._safe_name(name)
    assert safe
    assert not safe.startswith("/")
    parts = safe.split("/")
    assert not {"", ".", ".."} & set(parts)
    assert not any(set(part) & set('<>:"|?*\\\0') for part in parts)
    assert all(len(part) <= 151 for part in parts)
    assert media_files._safe_name(safe) == safe


@pytest.mark.parametrize(
    ("name", "safe"),
    [("C:\\Users\\x\\0.png", "Users/x/0.png"), ("../../etc/passwd", "etc/passwd"), ("a/./b.png", "a/b.png"), ("", "file"),
     ("CON", "_CON"), ("0.png ", "0.png"), ("é/ü.png", "é/ü.png")],
)  # fmt: skip
def test_names(name: str, safe: str) -> None:
    assert media_files._safe_name(name) == safe
