"""Fixtures: callers of servers of both versions, or of one; each test has its own. Media are ready as soon as they are sent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import CvatServer
from .caller import NEW, OLD, Caller


def _calling(version: str) -> Iterator[Caller]:
    with CvatServer(version, creation_delay=0) as running:
        yield Caller(running)


@pytest.fixture(params=[OLD, NEW])
def caller(request: pytest.FixtureRequest) -> Iterator[Caller]:
    """One of each version."""
    yield from _calling(request.param)


@pytest.fixture
def new() -> Iterator[Caller]:
    yield from _calling(NEW)


@pytest.fixture
def old() -> Iterator[Caller]:
    yield from _calling(OLD)
