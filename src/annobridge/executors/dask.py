"""Workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any, ClassVar

import dask.config
import distributed
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from ..exceptions import ExecutorError, InvalidOption
from .base import CONNECTING, Cluster
from .reachable import listens


class DaskAdapter:
    """Connects to a scheduler. Dask repeats the calls of a worker that ended."""

    on_this_machine: ClassVar[bool] = False
    takes_address: ClassVar[bool] = True

    @contextmanager
    def connected(self, address: str | None, workers: int | None) -> Iterator[Cluster]:
        """See ``Adapter``. Without an address, that of Dask's configuration, or the client of this process, is used."""
        address = address or dask.config.get("scheduler-address", None)
        if address is None:
            client, made = _current(), False
        else:
            client, made = _connect(address), True
        name = f"the Dask scheduler at {client.scheduler.address}"
        try:
            try:
                client.wait_for_workers(1, timeout=CONNECTING)
            except TimeoutError:
                raise ExecutorError(f"{_first_upper(name)} has no worker; start some.") from None
            threads = sum(client.nthreads().values())
            # Not pure: the key of a call is a random one, and not made of what it is given.
            yield Cluster(client.get_executor(pure=False), workers or 2 * threads, name)
        except (KilledWorker, CancelledError, CommClosedError) as error:
            why = (
                "several workers ended at one call, perhaps for want of memory"
                if isinstance(error, KilledWorker)
                else "the connection is lost, or the call was cancelled there"
            )
            raise ExecutorError(f"{_first_upper(name)} did not finish the work: {why}. Start it again.") from None
        finally:
            if made:
                client.close(timeout=CONNECTING)


def _connect(address: str) -> Any:
    refusal = ExecutorError(
        f"There is no Dask scheduler at {address!r} that answers within {CONNECTING:.0f} seconds; start it (dask scheduler), or "
        "correct executor_address."
    )
    if not listens(address, CONNECTING, speaks_first=not address.startswith("tls://")):
        raise refusal
    try:
        connect: Any = distributed.Client  # it has no types
        return connect(address, timeout=CONNECTING, set_as_default=False)
    except ValueError as error:
        raise InvalidOption(
            f"executor_address={address!r} is no address of a Dask scheduler; give one as tcp://10.0.0.1:8786."
        ) from error
    except OSError as error:  # TimeoutError, too
        raise refusal from error


def _current() -> Any:
    try:
        return distributed.get_client()
    except ValueError:
        raise InvalidOption(
            "executor='dask' needs the address of a scheduler; give executor_address=, as tcp://10.0.0.1:8786, or connect with "
            "distributed.Client first."
        ) from None


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
