"""Samples and labels go into the libraries that people have, as they are; each test needs its library."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

import annobridge as ab
from annobridge.core.nest import nest
from annobridge.exceptions import ConfigError


@pytest.fixture(scope="module")
def ds(tmp_path_factory: pytest.TempPathFactory) -> ab.Dataset:
    """Two images; a box, an instance, a polygon and keypoints on the first."""
    root = tmp_path_factory.mktemp("ecosystem")
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 4)).save(root / name)
    ds = ab.create_dataset(root / "ds")
    mask = {"size": [4, 8], "counts": [0, 16, 16]}
    ds.add_samples(
        [
            ab.Sample(
                root / "a.png",
                "a",
                place="Paris",
                objects=[
                    ab.Detection("car", [0.1, 0.2, 0.3, 0.4], confidence=0.5, occluded=True),
                    ab.Detection("dog", mask=mask),
                ],
                shapes=[
                    ab.Polyline("road", [[(0, 0), (1, 0), (1, 1)]], filled=True),
                    ab.Keypoint("nose", [(0.5, 0.5)]),
                ],
            ),
            ab.Sample(root / "b.png", "b"),
        ]
    )
    return ds


def test_pandas(ds: ab.Dataset) -> None:
    pytest.importorskip("pandas")
    frame = ds.labels("objects").to_pandas()
    assert frame.set_index("label").loc["car", "bounding_box"].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert sorted(ds.samples().to_pandas()["sample_id"]) == ["a", "b"]


def test_polars(ds: ab.Dataset) -> None:
    polars = pytest.importorskip("polars")
    frame = ds.labels("objects").to_polars()
    assert frame.lazy().filter(polars.col("confidence") > 0.4).collect()["label"].to_list() == ["car"]
    assert polars.DataFrame(ds.labels("objects")).height == 2


def test_duckdb(ds: ab.Dataset) -> None:
    duckdb = pytest.importorskip("duckdb")
    labels = duckdb.from_arrow(ds.labels().to_reader())
    assert labels.filter("field = 'objects'").aggregate("count(*) AS n").fetchall() == [(2,)]
    assert duckdb.from_arrow(ds.samples().to_reader()).filter("place = 'Paris'").fetchall()[0][0] == "a"


def test_hugging_face_datasets(ds: ab.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", exc_type=ImportError)
    found = datasets.Dataset(pa.table(ds.labels("objects")))
    assert sorted(found["label"]) == ["car", "dog"]
    nested = nest(pa.table(ds.samples()), pa.table(ds.labels()), ["objects", "shapes"])
    assert [len(row["objects"]) for row in datasets.Dataset(nested)] == [2, 0]


def test_torch(ds: ab.Dataset) -> None:
    torch = pytest.importorskip("torch")

    class Boxes(torch.utils.data.IterableDataset):  # type: ignore[misc]
        def __iter__(self) -> Any:
            for batch in ds.labels("objects", "bounding_box IS NOT NULL").to_reader():
                for row in batch.select(["label", "bounding_box"]).to_pylist():
                    yield row["label"], torch.tensor(row["bounding_box"])

    assert [tuple(box.shape) for _, box in torch.utils.data.DataLoader(Boxes(), batch_size=2)] == [(2, 4)]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_library_that_is_not_there_is_named(ds: ab.Dataset, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ConfigError, match=f"{library} is not installed; run: pip install {library} "):
        getattr(ds.samples(), f"to_{library}")()


def test_a_dataset_of_tables_streams_and_nested_samples(ds: ab.Dataset, tmp_path: Path) -> None:
    def content(one: ab.Dataset) -> list[Any]:
        return sorted(
            ((r["sample_id"], r["field"], r["kind"], r["label"], r["bounding_box"]) for r in one.labels().to_pylist()),
            key=str,
        )

    fields = ["objects", "shapes"]
    nested = ds.nested()
    assert nested.schema.names[-2:] == fields
    assert [len(row["objects"]) for row in nested.to_pylist()] == [2, 0]
    assert ds.select("b").nested("shapes").to_pylist()[0]["shapes"] == []
    streams = ab.Dataset.from_arrow(tmp_path / "a", ds.samples(), {f: ds.labels(f) for f in fields[:1]})
    assert len(content(streams)) == 2
    assert content(ab.Dataset.from_arrow(tmp_path / "b", nested, fields)) == content(ds)
    with pytest.raises(ab.InvalidLabels):
        ab.Dataset.from_arrow(
            tmp_path / "c", ds.samples(), {"objects": pa.table({"sample_id": ["a"], "bounding_box": [[2.0, 0, 1, 1]]})}
        )
    with pytest.raises(ab.StoreError, match="no label field 'object'"):
        ds.nested("object")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_a_dataset_of_data_frames(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    samples = pandas.DataFrame(
        {"sample_id": ["x", "y"], "filepath": ["x.png", "y.png"], "place": ["a", None]}, index=[5, 6]
    )
    boxes = pandas.DataFrame({"sample_id": ["y"], "label": ["car"], "bounding_box": [[0.0, 0.0, 0.5, 0.5]]})
    made = ab.Dataset.from_pandas(tmp_path / "ds", samples, {"objects": boxes})
    assert (made.sample_ids(), made.count_labels("objects"), "index" in made.samples().schema.names) == (
        ["x", "y"],
        1,
        False,
    )
