"""What a notebook shows of the public objects."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import annobridge as ab
from annobridge.dataset.arrow_stream import ArrowStream
from annobridge.settings import config


@pytest.fixture
def dataset(tmp_path: Path) -> ab.Dataset:
    ds = ab.create_dataset(tmp_path / "set")
    box = [0.1, 0.2, 0.3, 0.4]
    ds.add_samples(
        [ab.Sample(f"/img/{n}.jpg", f"s{n}", objects=[ab.Detection("<car>", box, parked=True)]) for n in range(12)]
    )
    return ds


def test_a_dataset_and_a_view(dataset: ab.Dataset) -> None:
    shown = dataset._repr_html_()
    assert "12 samples" in shown
    assert "<td>objects</td><td>detections</td><td>12</td><td>&lt;car&gt;</td><td>parked</td>" in shown
    assert "<td>3</td>" in dataset.limit(3)._repr_html_()
    assert "no labels" in dataset.limit(0)._repr_html_()


def test_rows_show_the_first_and_their_number(dataset: ab.Dataset) -> None:
    shown = dataset.labels("objects")._repr_html_()
    assert shown.startswith("<b>12 rows</b><table>")
    assert shown.count("<tr>") == 1 + 10
    assert "<car>" not in shown
    assert dataset.select([]).samples()._repr_html_().startswith("<b>0 rows</b>")


def test_rows_without_an_end_are_not_counted_to_it() -> None:
    def batches():
        while True:
            yield pa.record_batch({"n": [b"x" * 9] * 60_000})

    assert (
        ArrowStream(pa.schema([("n", pa.binary())]), batches)._repr_html_().startswith("<b>more than 100,000 rows</b>")
    )


def test_settings_are_shown_without_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ANNOBRIDGE_CVAT_TOKEN", "s3cr3t")
    monkeypatch.setenv("ANNOBRIDGE_FOO", "1")
    shown = config.annotation_config._repr_html_()
    assert "s3cr3t" not in shown
    assert "<td>environment ANNOBRIDGE_CVAT_TOKEN</td>" in shown
    assert "<p>The environment has ANNOBRIDGE_FOO" in shown


def test_a_plan_shows_which_classes_became_which(dataset: ab.Dataset) -> None:
    url = "memory://notebook"
    dataset.annotate("k", label_field="objects", classes=["<car>", "bus"], backend="memory", url=url)
    from annobridge.backend.memory import SERVERS

    server = SERVERS.pop(url)
    (task,) = server.labels
    rows = server.labels[task].to_pylist()
    server.labels[task] = pa.Table.from_pylist([{**r, "label": "bus"} for r in rows], server.labels[task].schema)
    SERVERS[url] = server
    shown = dataset.plan_annotations("k")._repr_html_()
    assert "<td>objects</td><td>&lt;car&gt;</td><td>bus</td><td>12</td>" in shown
    SERVERS.pop(url)
