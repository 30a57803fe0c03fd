"""Fixtures for all tests. The real Pixano server is started once, when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def pixano_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Pixano 0.8.0 on loopback, with an empty library; stopped at the end of the session."""
    from annobridge_pixano import server

    root = tmp_path_factory.mktemp("pixano")
    running = server.up(root, 0)
    yield running.url
    assert server.down(root)
