"""A web server on loopback that has files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.file_servers import WebServer


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server
