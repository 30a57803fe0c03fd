"""Staged files, on a disk and in an object store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from proofs.storage import S3

import annobridge as ab
from annobridge.spill.streams import StreamWriter, batches
from annobridge.store.staged_files import STAGING, StagedFolder

SCHEMA = pa.schema([pa.field("a", pa.int64()), pa.field("b", pa.string())])


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with S3() as server:
        yield server


@pytest.fixture(params=["disk", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> StagedFolder:
    if request.param == "disk":
        return StagedFolder(str(tmp_path), None)
    server = request.getfixturevalue("s3")
    return StagedFolder(server.uri(tmp_path), server.options)


def test_what_is_written_is_listed_read_and_removed(root) -> None:
    assert root.files() == []
    one, two = root.of("one"), root.of("two")
    one.write("x.json", b"1")
    one.write("x.json", b"2")
    two.write("y", b"3")
    assert sorted(file.path for file in root.files()) == ["one/x.json", "two/y"]
    assert [file.path for file in one.files()] == ["x.json"]
    assert one.read("x.json").to_pybytes() == b"2"
    one.remove()
    assert [file.path for file in root.files()] == ["two/y"]
    two.remove()
    two.remove()
    assert root.files() == []


def test_the_folder_itself_goes_with_its_last_file(tmp_path) -> None:
    folder = StagedFolder(str(tmp_path), None, "one")
    folder.write("x", b"")
    assert (tmp_path / STAGING).exists()
    folder.remove()
    assert not (tmp_path / STAGING).exists()


def test_streams_are_written_and_read(root) -> None:
    folder = replace(root.of("load"), alone={"rows": ("a",)}, attempt="t1")
    writer = StreamWriter(folder, {"rows": SCHEMA, "none": SCHEMA}, "7")
    for n in range(3):
        writer.add("rows", pa.table({"a": [n, n], "b": ["x", None]}, SCHEMA))
    part = writer.finish()
    assert part.rows == Counter(rows=6)
    assert sorted(part.files.values()) == ["rows-alone.7.t1", "rows.7.t1"]
    assert pa.Table.from_batches(batches([part], "rows"))["a"].to_pylist() == [0, 0, 1, 1, 2, 2]
    assert list(batches([part], "none")) == []


def test_a_file_that_is_not_there(root) -> None:
    with pytest.raises(ab.StoreError, match="The folder '_staging' of the dataset .* cannot be read: .*not found"):
        root.of("one").read("nothing")


def test_its_text_has_no_credentials() -> None:
    folder = StagedFolder("s3://b/d", {"aws_secret_access_key": "sesame"})
    assert "sesame" not in repr(folder)
    assert "sesame" not in repr(replace(folder, attempt="x"))
