"""What tests of backends share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import responses
from tests import cvat_servers

from annobridge.backend.http import Http


@pytest.fixture(params=["cvat_2_15", "cvat_2_73", *(["cvat_real"] if cvat_servers.HAS_REAL else [])])
def server(request: pytest.FixtureRequest) -> cvat_servers.Server:
    """A CVAT server: each of the doubles, and the real one where there is one."""
    found: cvat_servers.Server = request.getfixturevalue(request.param)
    return found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The oldest CVAT takes the tests of what differs on the wire; the contract, as every other, is there for the rest."""
    old = [item for item in items if _server_of(item) == "cvat_2_15" and not item.get_closest_marker("every_version")]
    config.hook.pytest_deselected(items=old)
    items[:] = [item for item in items if item not in set(old)]


def _server_of(item: pytest.Item) -> object:
    return item.callspec.params.get("server") if hasattr(item, "callspec") else None


@pytest.fixture
def web() -> Iterator[responses.RequestsMock]:
    """A web whose servers answer as a test says."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def http() -> Iterator[Http]:
    with Http("https://tool.example", backend="tool") as made:
        yield made
