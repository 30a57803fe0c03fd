"""A run that was sent, for the tests of whole plans."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bridge.conftest import Bridge, fill

import annobridge as ab
from annobridge.backend.memory import SERVERS


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bridge]:
    """A run of four images, sent to a tool in memory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("ANNOBRIDGE_CONFIG_PATH", "FORCE_COLOR", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    ds = ab.create_dataset(tmp_path / "ds")
    fill(ds)
    bridge = Bridge(tmp_path / "ds", ds, f"memory://{uuid.uuid4()}")
    bridge.annotate()
    yield bridge
    SERVERS.pop(bridge.url, None)
