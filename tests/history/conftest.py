"""A dataset with a run, and what people did to it in each version."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import lance
import pytest
from tests.bridge.conftest import Bridge, fill

import annobridge as ab
from annobridge.backend.memory import SERVERS

NOTHING = timedelta(0)


def content(ds: ab.View) -> tuple[dict[str, Any], dict[str, Any]]:
    """All samples and labels by id."""
    labels, samples = ds.labels().to_pylist(), ds.samples().to_pylist()
    return {row["sample_id"]: row for row in samples}, {row["label_id"]: row for row in labels}


def table(ds: ab.Dataset, name: str = "labels") -> lance.LanceDataset:
    return lance.dataset(f"{ds.uri}/{name}.lance")


def versions(ds: ab.Dataset, name: str = "labels") -> list[int]:
    """The versions of a table that are there."""
    return [found["version"] for found in table(ds, name).versions()]


@pytest.fixture
def bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bridge]:
    """Four images with labels of five fields (see ``fill``), not sent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    ds = ab.create_dataset(tmp_path / "ds")
    fill(ds)
    bridge = Bridge(tmp_path / "ds", ds, f"memory://{uuid.uuid4()}")
    yield bridge
    SERVERS.pop(bridge.url, None)


@pytest.fixture
def ds(bridge: Bridge) -> ab.Dataset:
    """The same dataset."""
    return bridge.ds
