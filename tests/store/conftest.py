"""Servers on loopback that have files: a web server, and an object store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from proofs.storage import S3
from tests.file_servers import WebServer


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    with S3() as server:
        yield server
