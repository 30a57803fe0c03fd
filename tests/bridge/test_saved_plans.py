"""Files of plans that are damaged, or made to do harm."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.bridge.conftest import Bridge

import annobridge as ab

Members = dict[str, bytes]


@pytest.fixture
def members(sent: Bridge, tmp_path: Path) -> Members:
    """The members of the file of a plan with some changes."""
    sent.hands.delete("man0")
    sent.hands.set("car0", label="person")
    sent.plan().save(tmp_path / "good")
    with zipfile.ZipFile(tmp_path / "good") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(folder: Path, members: Members) -> Path:
    with zipfile.ZipFile(folder / "bad", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return folder / "bad"


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def other_values(plan: dict[str, object]) -> Iterator[dict[str, object]]:
    for name in plan:
        yield {n: v for n, v in plan.items() if n != name}
        for value in (None, [5], 7.5):
            yield plan | {name: value}
    yield plan | {"options": {"decisions": []}}
    yield plan | {"options": {"of_the_future": 1}}
    yield plan | {"undecided": {"objects": "x"}}


def test_what_a_file_says_is_checked(members: Members, tmp_path: Path) -> None:
    for values in other_values(json.loads(members["plan.json"])):
        file = written(tmp_path, members | {"plan.json": json.dumps(values).encode()})
        with pytest.raises(ab.InvalidSource, match=r"bad' (cannot be read|was written by another version)"):
            ab.load_plan(file)


def test_rows_of_a_file_are_checked(members: Members, tmp_path: Path) -> None:
    other = stream(pa.table({"x": [1]}))
    for name, data in members.items():
        for bad in (b"", b"junk", data[: len(data) // 2], other):
            with pytest.raises(ab.InvalidSource, match="it is not a plan, or damaged; save it again with plan.save"):
                ab.load_plan(written(tmp_path, members | {name: bad}))


def test_damage_at_any_place_is_told(members: Members, tmp_path: Path) -> None:
    good, random = written(tmp_path, members).read_bytes(), np.random.default_rng(1)
    for _ in range(100):
        damaged = np.frombuffer(good, np.uint8).copy()
        damaged[random.integers(0, len(good), 3)] = random.integers(0, 256, 3)
        (tmp_path / "bad").write_bytes(damaged.tobytes())
        try:
            ab.load_plan(tmp_path / "bad")
        except ab.AnnobridgeError as error:
            assert str(error).endswith(".")  # noqa: PT017 - some damage does not matter


def test_a_bomb_is_not_unpacked(members: Members, tmp_path: Path) -> None:
    file = written(tmp_path, members | {"plan.json": b" " * (64 << 20)})
    with pytest.raises(ab.InvalidSource, match="it is not a plan, or damaged"):
        ab.load_plan(file)


def test_rows_of_a_file_are_never_written(sent: Bridge, members: Members, tmp_path: Path) -> None:
    rows = pa.ipc.open_stream(members["rows/writes.arrow"]).read_all()
    at = rows.schema.get_field_index("label")
    forged = rows.set_column(at, rows.schema.field(at), pa.array(["forged"] * rows.num_rows))
    report = ab.load_plan(written(tmp_path, members | {"rows/writes.arrow": stream(forged)})).apply()
    assert report.total == 2
    assert sent.label("car0")["label"] == "person"


def test_a_plan_is_found_from_any_folder(sent: Bridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sent.hands.delete("man0")
    ab.load_dataset(sent.path.name).plan_annotations("r").save("plan")
    monkeypatch.chdir("/")
    assert ab.load_plan(tmp_path / "plan").apply().deleted == 1


def test_no_credential_is_in_the_file(sent: Bridge, tmp_path: Path) -> None:
    sent.hands.delete("man0")
    sent.ds.plan_annotations("r", url=f"{sent.url}").save(tmp_path / "plan")
    assert sent.url.encode() not in zipfile.ZipFile(tmp_path / "plan").read("plan.json")
