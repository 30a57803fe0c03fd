"""Fixtures for all tests. Servers are started once, when a test first asks for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from tests import cvat_servers
from tests.doubles.cvat import CvatServer

# ``quick`` is what a change is checked with, ``full`` (``--hypothesis-profile=full``) what a release is. No deadline: a busy
# machine is no mistake. A test that takes a fixture resets in each example what it changes.
_HEALTH = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
settings.register_profile("quick", max_examples=20, deadline=None, suppress_health_check=_HEALTH)
settings.register_profile("full", max_examples=200, deadline=None, suppress_health_check=_HEALTH)
settings.load_profile("quick")


def pytest_itemcollected(item: pytest.Item) -> None:
    """All tests with the real Pixano server run in one worker, which starts it; the workers share out the others singly."""
    if "pixano_url" in getattr(item, "fixturenames", ()) or item.get_closest_marker("server"):
        item.add_marker(pytest.mark.xdist_group("pixano"))


@pytest.fixture(scope="session")
def pixano_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Pixano 0.8.0 on loopback, with an empty library; stopped at the end of the session."""
    from annobridge_pixano import server

    root = tmp_path_factory.mktemp("pixano")
    running = server.up(root, 0)
    yield running.url
    assert server.down(root)


@pytest.fixture(scope="session")
def cvat_2_15() -> Iterator[cvat_servers.Server]:
    """A double of CVAT 2.15.0."""
    with CvatServer(version="2.15.0") as double:
        yield cvat_servers.Server(double.url, double.token, double)


@pytest.fixture(scope="session")
def cvat_2_73() -> Iterator[cvat_servers.Server]:
    """A double of CVAT 2.73.0."""
    with CvatServer(version="2.73.0") as double:
        yield cvat_servers.Server(double.url, double.token, double)


@pytest.fixture(scope="session")
def cvat_real() -> cvat_servers.Server:
    """The real server that the environment names."""
    return cvat_servers.real()
