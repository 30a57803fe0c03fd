"""Fixtures for all tests. Servers are started once, when a test first asks for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from proofs.storage import S3
from tests import cvat_servers
from tests.doubles.cvat import CvatServer
from tests.generated import QUICK
from xdist.scheduler import LoadScopeScheduling

from annobridge.core.media import CACHE

# ``quick`` is what a change is checked with, ``full`` (``--hypothesis-profile=full``) what a release is. No deadline: a busy
# machine is no mistake. A test that takes a fixture resets in each example what it changes.
_HEALTH = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
settings.register_profile("quick", max_examples=QUICK, deadline=None, suppress_health_check=_HEALTH)
settings.register_profile("full", max_examples=10 * QUICK, deadline=None, suppress_health_check=_HEALTH)
settings.load_profile("quick")


# Beginnings of node ids. pytest-xdist gives all tests of a group to one worker, which starts what they share once.
_TOGETHER = {
    "tests/backend/test_pixano_push.py": "pixano",
    "tests/backend/test_pixano_adopt.py": "pixano",
    "tests/backend/test_pixano_stories.py": "pixano",
    "tests/backend/test_pixano_page.py": "pixano",
    "tests/backend/test_pixano_server.py": "pixano",
    "tests/backend/test_pixano_shown.py": "pixano",
    "tests/bridge/test_attached.py::test_through_a_real_server_and_back": "pixano",
    "tests/bridge/test_attached.py::test_media_outside_of_the_view_are_not_read": "pixano",
    "tests/contract/test_pixano.py": "pixano",
    "tests/formats/test_pixano_library.py": "pixano",
    "tests/formats/test_seeds_on_pixano.py": "pixano",
    "tests/bridge/test_cluster.py": "dask",
    "tests/bridge/test_cluster_bad_input.py": "bad-dask",
    "tests/bridge/test_cluster_ray.py": "ray",
    "tests/bridge/test_crash.py": "children",
    "tests/bridge/test_imports.py": "children",
    "tests/media/test_repoint.py": "children",
    "tests/test_proofs.py": "children",
    "tests/doubles/pixano_items/test_wire.py": "wire",
    "tests/test_demo.py": "demo",
}


class _Shares(LoadScopeScheduling):
    """Groups first, the largest first; then each test to the worker that is free. (``--dist loadgroup`` needs an older pytest.)"""

    def _split_scope(self, nodeid: str) -> str:
        return next((group for start, group in _TOGETHER.items() if nodeid.startswith(start)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    return _Shares(config, log) if config.option.dist == "load" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    with_server = [item.nodeid for item in items if "pixano_url" in getattr(item, "fixturenames", ())]
    if strangers := [name for name in with_server if not name.startswith(tuple(_TOGETHER))]:
        raise pytest.UsageError(f"{strangers[0]} uses the real Pixano server: add it to _TOGETHER in tests/conftest.py")


@pytest.fixture(scope="session", autouse=True)
def _own_media_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Files that are read by URI are kept in a folder of the tests."""
    os.environ[CACHE] = str(tmp_path_factory.mktemp("media-cache"))


@pytest.fixture(scope="session")
def pixano_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Pixano 0.8.0 on loopback, with an empty library; stopped at the end of the session."""
    from annobridge_pixano import server

    root = tmp_path_factory.mktemp("pixano")
    running = server.up(root, 0)
    yield running.url
    assert server.down(root)


@pytest.fixture(scope="session")
def _s3() -> Iterator[S3]:
    with S3() as server:
        yield server


@pytest.fixture
def s3(_s3: S3) -> Iterator[S3]:
    """An S3 server on loopback. A test may have it misbehave, see ``S3.behave``; afterwards, it is as S3 again."""
    _s3.behave()
    yield _s3
    _s3.behave()


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
