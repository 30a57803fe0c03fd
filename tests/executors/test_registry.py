"""Adapters are found by their entry points, those of strangers too."""

from __future__ import annotations

import socket
import socketserver
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from annobridge import entry_points
from annobridge.exceptions import ConfigError, InvalidOption
from annobridge.executors import registry
from annobridge.executors.base import Cluster
from annobridge.executors.reachable import listens
from annobridge.jobs.execution import Execution


class Strange:
    on_this_machine = False
    takes_address = True

    @contextmanager
    def connected(self, address: str | None, workers: int | None) -> Any:
        with ThreadPoolExecutor(1) as threads:
            yield Cluster(threads, workers or 1, f"threads at {address}")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """The entry points, to which a test adds some."""
    found = [entry for entries in entry_points.by_name(registry.GROUP).values() for entry in entries]
    monkeypatch.setattr(registry.entry_points, "entry_points", lambda group: tuple(found))
    return found


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, registry.GROUP)


def test_those_that_are_shipped_are_there() -> None:
    assert {"local", "dask", "ray"} <= set(registry.names())


def test_one_of_a_stranger_is_used(installed) -> None:
    installed.append(entry("strange", f"{__name__}:Strange"))
    given = {"executor": "strange", "workers": 3, "executor_address": "x"}
    execution = Execution.of(given)
    assert given == {}
    assert execution.on_cluster
    with execution.connected() as cluster:
        assert (cluster.executor.submit(max, 1, 2).result(), cluster.at_once, cluster.name) == (2, 3, "threads at x")


def test_two_of_one_name_are_refused(installed) -> None:
    installed += [entry("strange", f"{__name__}:Strange"), entry("strange", f"{__name__}:Strange")]
    with pytest.raises(ConfigError, match="^Two packages have an executor 'strange': .* uninstall one of them"):
        Execution.of({"executor": "strange"})


def test_one_that_needs_a_package(installed) -> None:
    installed.append(entry("strange", "no_such_package:Strange"))
    with pytest.raises(
        ConfigError, match="^executor='strange' cannot be used, as no_such_package is not installed; inst"
    ):
        Execution.of({"executor": "strange"})


def test_an_object_that_has_submit_takes_no_address() -> None:
    with (
        ThreadPoolExecutor(1) as threads,
        pytest.raises(
            InvalidOption, match="executor=ThreadPoolExecutor does not take; leave it out, or name the executor"
        ),
    ):
        Execution.of({"executor": threads, "executor_address": "x"})


class Talks(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"x")


def test_whether_something_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert listens(f"127.0.0.1:{port}", 1)
        assert listens(f"tcp://127.0.0.1:{port}", 1)
        assert not listens(f"tcp://127.0.0.1:{port}", 0.2, speaks_first=True)
    assert not listens(f"127.0.0.1:{port}", 1)
    assert listens("a-name-that-the-engine-knows", 1)


def test_whether_what_listens_speaks() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), Talks) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        assert listens(f"127.0.0.1:{server.server_address[1]}", 5, speaks_first=True)
        server.shutdown()
        thread.join()
