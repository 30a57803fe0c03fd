"""What the tool has now for each task of a run, beside the baseline of the task."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.values import Download, Receipt
from ..core.digest import digest
from ..core.labels import BASELINE, REMOTE
from ..core.merge import destination
from ..exceptions import BackendError, Gone
from ..store import baseline
from ..store.run import Run
from ..store.stores import Stores
from .run_states import nothing_loaded

Found = TypeVar("Found")  # what is read of a task

GONE = "gone"  # in place of the digest of a task that is not on the server


class Answers(Protocol):
    """Where the work on a run is: a backend, or a file."""

    name: str
    is_file: bool
    says_reviewed: bool  # whether a download says which samples people have reviewed
    parallel_downloads: int  # how many tasks can be downloaded at once

    def download(self, receipt: Receipt) -> Download:
        """All labels of a task. Raises ``Gone`` if it does not exist any more."""
        ...

    def mark(self, receipt: Receipt) -> str | None:
        """A text that is another one whenever the labels of a task may have changed; ``None`` if there is none."""
        ...


class Sent(NamedTuple):
    """A task that was sent."""

    number: int
    name: str
    state: Mapping[str, Any]  # of its receipt
    baseline: pa.Table  # BASELINE, what holds now of the labels that were sent


class Downloaded(NamedTuple, Generic[Found]):
    """A task, and what the tool has now."""

    task: Sent
    answer: Found | Gone


def download_all(
    read: Callable[[Receipt], Found], run: Run, tasks: Iterable[Sent], at_once: int = 1
) -> Iterator[Downloaded[Found]]:
    """What the tool has of each task, in order. While the caller works on one, up to ``at_once`` others are downloaded."""

    def download(task: Sent) -> Downloaded[Found]:
        try:
            return Downloaded(task, _download(read, run, Receipt(task.name, task.state, remote(task.baseline))))
        except Gone as e:
            return Downloaded(task, e)

    with ThreadPoolExecutor(at_once) as threads:
        ahead: deque[Future[Downloaded[Found]]] = deque()
        try:
            for task in tasks:
                ahead.append(threads.submit(download, task))
                if len(ahead) > at_once:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:  # after an error, what has not begun is not asked for
            for future in ahead:
                future.cancel()


def _download(read: Callable[[Receipt], Found], run: Run, receipt: Receipt) -> Found:
    """What the tool has for a task. An error says how to go on."""
    try:
        return read(receipt)
    except Gone:
        raise
    except BackendError as e:
        raise type(e)(f"{e} {nothing_loaded(run.anno_key)}", e.status, e.detail, e.samples) from e


def baseline_of(stores: Stores, run: Run, task: str) -> pa.Table:
    """The baseline of one task as it stands now (``REMOTE``), without what was copied into other fields."""
    return remote(baseline_rows(stores, run, task))


def baseline_rows(stores: Stores, run: Run, task: str) -> pa.Table:
    """The same as ``BASELINE``."""
    return newest_sent(pa.Table.from_batches(stores.baseline.scan(run, task=task), BASELINE))


def newest_sent(rows: pa.Table) -> pa.Table:
    """The baseline of a task as it stands now, from all of its rows, without what was copied into other fields."""
    return destination.split_baseline(baseline.newest_rows(rows))[0]


def remote(sent: pa.Table) -> pa.Table:
    """Rows of the baseline, as ``REMOTE``."""
    return pa.Table.from_arrays([sent[name] for name in REMOTE.names], schema=REMOTE)


def download_as(answers: Answers, run: Run, receipt: Receipt, base: pa.Table) -> Download:
    """What the tool has for a task, compared with a baseline (``REMOTE``)."""
    return _download(answers.download, run, replace(receipt, baseline=base))


def digests(stores: Stores, run: Run, read: Callable[[Receipt], Download], tasks: Iterable[str]) -> dict[str, str]:
    """What the tool holds now, as a digest of each of some tasks; compared before a plan that was made earlier is applied."""
    receipts = stores.runs.receipts(run)
    found = {}
    for name in (name for name in tasks if name in receipts):
        try:
            receipt = Receipt(name, receipts[name], baseline_of(stores, run, name))
            found[name] = digest_of(_download(read, run, receipt))
        except Gone:
            found[name] = GONE
    return found


def digest_of(download: Download) -> str:
    """The same for the same labels and samples, in whatever order the tool returns them."""
    labels, samples = download.labels, download.samples
    order = pc.sort_indices(
        labels.select(["sample_id", "remote_id"]), [("sample_id", "ascending"), ("remote_id", "ascending")]
    )
    compared = [name for name in REMOTE.names if name not in ("label_id", "rev", "time")]
    answered = pa.table({"sample_id": samples.take(pc.sort_indices(samples))})
    return digest(labels.select(compared).take(order)) + digest(answered)
