"""What people will not find or cannot do in a tool is told once, when a run is sent."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from tests.doubles import poor_backend
from tests.doubles.poor_backend import LIMIT, PoorBackend

import annobridge as ab
from annobridge.backend import table
from annobridge.backend.memory import MemoryBackend
from annobridge.exceptions import EditorWarning


@pytest.fixture(autouse=True)
def poor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(poor_backend.VARIABLE, poor_backend.NAME)
    PoorBackend.tasks.clear()


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    found = ab.create_dataset(str(tmp_path / "street.lancedb"))
    samples = []
    for name in ("a", "b"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
        sample = ab.Sample(
            str(tmp_path / f"{name}.png"), sample_id=name, place=name.upper(), night=name == "a", size=[1, 2]
        )
        sample["boxes"] = [ab.Detection("car", [0.1, 0.1, 0.2, 0.2])]
        sample["areas"] = [ab.Polyline("road", [[[0, 0], [1, 0], [1, 1]]], closed=True, filled=True)]
        samples.append(sample)
    found.add_samples(samples)
    return found


def test_each_note_is_told_once_in_one_warning(ds: ab.Dataset) -> None:
    schema = {"boxes": {"type": "detections"}, "areas": {"type": "polygons"}}
    with pytest.warns(EditorWarning) as told:
        ds.annotate("r1", label_schema=schema, backend="poor", task_size=1)
    (warning,) = told
    assert str(warning.message).splitlines() == [
        "The run 'r1' is sent; what poor does not show or cannot do:",
        f"  - areas (polygons): {LIMIT}",
        "  - These columns of the samples are neither text, numbers nor booleans, and are not sent: size (list<item: int64>).",
        "  - Small boxes are not drawn.",
    ]
    assert warning.filename == __file__
    info = ds.get_annotation_info("r1")
    assert [f"  - {note}" for note in info["notes"]] == str(warning.message).splitlines()[1:]
    assert "notes" not in info["options"]


def test_plain_columns_go_with_the_samples_and_come_back_unharmed(ds: ab.Dataset) -> None:
    before = ds.samples().to_pylist()
    with pytest.warns(EditorWarning):
        ds.annotate("r1", label_field="boxes", backend="poor")
    (task,) = PoorBackend.tasks
    assert task.samples.select(["sample_id", "place", "night"]).to_pylist() == [
        {"sample_id": "a", "place": "A", "night": True},
        {"sample_id": "b", "place": "B", "night": False},
    ]
    assert "size" not in task.samples.column_names
    assert task.title == "r1 of street.lancedb"
    ds.load_annotations("r1")
    assert ds.samples().to_pylist() == before


def test_a_backend_that_shows_no_columns_gets_none_and_tells_nothing(
    ds: ab.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[pa.Table] = []
    upload = MemoryBackend.upload
    monkeypatch.setattr(MemoryBackend, "upload", lambda self, task: seen.append(task.samples) or upload(self, task))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds.annotate("r1", label_schema={"areas": {"type": "polygons"}}, backend="memory")
    assert "place" not in seen[0].column_names


def test_the_table_lists_the_limits_of_each_tool() -> None:
    both = replace(PoorBackend.capabilities, editor_limits={"polygons": LIMIT, "polylines": LIMIT})

    class Poorer(PoorBackend):
        capabilities = both

    made = table.markdown([MemoryBackend, Poorer])
    assert "| `polygons` | yes | yes (*) |" in made
    assert "| `detections` | yes | yes |" in made
    assert made.endswith(
        f"\n\n(*) What people cannot do in the tool's own page:\n\n- poor, `polygons`, `polylines`: {LIMIT}"
    )
    assert "(*)" not in table.markdown([MemoryBackend])
