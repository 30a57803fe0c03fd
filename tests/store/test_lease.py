"""Leases: one holder at a time, whoever else wants it; taken over when the holder has ended or is not heard of any more."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import annobridge as ab
from annobridge import processes
from annobridge.exceptions import StoreError
from annobridge.store import lease
from annobridge.store.lease import Lease, Leases
from annobridge.store.tables import Database


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    return Leases(Database.create(str(tmp_path / "ds")))


def elsewhere(**changes: Any) -> Lease:
    """A lease of a process that this machine cannot look up."""
    now = datetime.now(UTC)
    values = {"token": "t", "owner": "far|boot|ns|7|9", "purpose": "is being sent", "since": now.isoformat(),
              "expires": (now + timedelta(minutes=1)).isoformat()}  # fmt: skip
    return Lease(**values | changes)


def put(leases: Leases, name: str, entry: Lease) -> None:
    leases._commit(leases._commits.latest(), {name: entry})


def test_a_held_lease_is_refused_to_others_and_free_afterwards(leases: Leases) -> None:
    with leases.hold("run", "is being sent", "The run 'a'") as hold:
        hold.check()
        pattern = rf"The run 'a' is being sent by process {os.getpid()} on .* since .* UTC; wait until that has ended"
        with pytest.raises(ab.RunBusy, match=pattern), leases.hold("run", "is being loaded", "The run 'a'"):
            pass
        with leases.hold("another", "is being loaded", "The run 'b'"):
            pass
    assert leases.all() == {}
    with leases.hold("run", "is being loaded", "The run 'a'"):
        pass


def test_it_is_released_when_the_block_raises(leases: Leases) -> None:
    with pytest.raises(ZeroDivisionError), leases.hold("run", "is being sent", "The run 'a'"):
        _ = 1 / 0
    assert leases.all() == {}


def test_the_error_is_of_the_kind_that_is_asked_for(leases: Leases) -> None:
    put(leases, "samples", elsewhere())
    held = leases.hold("samples", "x", "The dataset 'd'", busy=StoreError)
    with pytest.raises(StoreError, match="The dataset 'd' is being sent by process 7 on far"), held:
        pass


def test_a_lease_of_another_machine_holds_until_it_expires(leases: Leases) -> None:
    put(leases, "run", elsewhere())
    assert leases.find("run") == elsewhere(**{f: getattr(leases.all()["run"], f) for f in ("since", "expires")})
    put(leases, "run", elsewhere(expires=(datetime.now(UTC) - timedelta(seconds=1)).isoformat()))
    assert leases.find("run") is None
    with leases.hold("run", "is being loaded", "The run 'a'") as hold:
        assert leases.all()["run"].token == hold.lease.token


def test_the_holder_hears_that_it_was_taken_over(leases: Leases) -> None:
    with leases.hold("run", "is being sent", "The run 'a'") as hold:
        put(leases, "run", elsewhere())
        with pytest.raises(ab.RunBusy, match="The run 'a' was taken over by another process"):
            hold.check()
    assert leases.all()["run"].owner == "far|boot|ns|7|9"  # the lease of the other is not released with ours


def test_it_is_renewed_for_as_long_as_the_block_lasts(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEWAL", timedelta(seconds=0.05))
    with leases.hold("run", "is being sent", "The run 'a'") as hold:
        first = leases.all()["run"].expires
        deadline = time.monotonic() + 20
        while leases.all()["run"].expires == first and time.monotonic() < deadline:
            time.sleep(0.02)
        assert leases.all()["run"].expires > first
        hold.check()


def test_waiting_ends_when_the_lease_is_free_or_the_time_is_up(leases: Leases) -> None:
    with leases.hold("run", "is being sent", "The run 'a'"):
        with pytest.raises(ab.RunBusy), leases.hold("run", "is being loaded", "The run 'a'", wait=0.2):
            pass
        got: list[str] = []

        def later() -> None:
            with leases.hold("run", "is being loaded", "The run 'a'", wait=20) as hold:
                got.append(hold.lease.purpose)

        thread = threading.Thread(target=later)
        thread.start()
        time.sleep(0.2)
        assert not got
    thread.join(20)
    assert got == ["is being loaded"]


def test_of_many_who_take_it_at_once_one_gets_it(leases: Leases) -> None:
    inside, most = [0], [0]
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        for _ in range(3):
            with leases.hold("run", "is being sent", "The run 'a'", wait=30):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.005)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


@pytest.mark.parametrize("text", ["{", "[]", '{"token": "t"}', "null"])
def test_a_damaged_entry_holds_nothing(leases: Leases, text: str) -> None:
    import lance

    table, operation = leases._commits.latest(), lance.LanceOperation
    entry = operation.UpdateMap(updates={"annobridge.lease.run": text})
    leases._commits.commit(table, operation.UpdateConfig(config_updates=entry))
    with leases.hold("run", "is being sent", "The run 'a'") as hold:
        hold.check()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked up in /proc")
class TestProcesses:
    def owner_of(self, pid: int) -> str:
        host, boot, namespace, *_ = processes.current_process().split("|")
        return "|".join((host, boot, namespace, str(pid), processes.start_time(pid)))

    def test_a_running_process_has_not_ended(self) -> None:
        assert not processes.has_ended(processes.current_process())

    def test_a_zombie_has_ended(self) -> None:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        owner = self.owner_of(child.pid)
        assert not processes.has_ended(owner)
        child.kill()
        deadline = time.monotonic() + 20
        while not processes.has_ended(owner) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        assert processes.has_ended(owner)
        child.communicate()
        assert processes.has_ended(owner)

    def test_a_number_that_another_process_got_is_not_the_process(self) -> None:
        host, boot, namespace, pid, started = processes.current_process().split("|")
        assert processes.has_ended("|".join((host, boot, namespace, pid, str(int(started) - 1))))

    @pytest.mark.parametrize("at", [0, 1, 2])
    def test_another_host_start_or_namespace_is_not_looked_up(self, at: int) -> None:
        """Two containers may have one host name; a number there says nothing here."""
        parts = processes.current_process().split("|")
        parts[at], parts[3] = "other", "999999999"
        assert not processes.has_ended("|".join(parts))
