"""Laws about sending: a task is made once, however often it is sent; it can be deleted; and no secret is stored."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from pydantic import SecretStr

from ...backend.base import AnnotationBackend
from ...backend.values import Receipt, Task
from ...dataset import Dataset
from ...exceptions import BackendError, Gone
from .base import Laws, Row

SECRET = "s3cr3t-canary-7f1e"  # noqa: S105


class _Lost(BackendError):
    """The server accepted a task, but its answer did not arrive."""


class SentLaws(Laws):
    """A task is on the server once, until it is deleted."""

    def test_sending_again_under_the_same_name_makes_no_second_task(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """``upload`` is called twice with the same task: the second call returns the state of the first."""
        label_type = self.main_type()
        dataset = self.dataset(label_type, 0)
        upload = self.backend.upload
        states: list[dict[str, Any]] = []

        def upload_twice(backend: AnnotationBackend, task: Task) -> Receipt:
            receipts = [upload(backend, task), upload(backend, task)]
            states.extend(json.loads(json.dumps(dict(receipt.state))) for receipt in receipts)
            return receipts[0]

        with monkeypatch.context() as patch:
            patch.setattr(self.backend, "upload", upload_twice)
            self.send(dataset, label_type)
        first, second = states
        assert second == first, self.expected(
            f"return the same state when a task of the same name is sent again, {first}", f"it returned {second}"
        )
        self.require_load(self.load(dataset), "a task was sent twice, and nobody did anything")

    def test_a_run_that_lost_an_answer_is_resumed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The second task arrives, its answer does not: after ``resume_annotation`` every task is on the server once."""
        label_type = self.main_type()
        dataset = self.dataset(label_type, 0)
        lost = self._lose_an_answer(monkeypatch, dataset, label_type)
        results = dataset.resume_annotation("run", progress=False, **self.options())
        state = results.status()["state"]
        assert state == "sent", f"The bridge is expected to have the run in the state 'sent'; instead, it is {state!r}."
        found, sent = len(self.rows(results)), dataset.count_labels()
        assert found == sent, self.expected(
            f"return the {sent} labels of the run after it was resumed", f"it returns {found}"
        )
        self.require_load(self.load(dataset), "a run was resumed, and nobody did anything")
        results.cleanup()
        self.require_gone(
            results, lost, "after a resumed run was cleaned up: the lost task was to be found, not made again"
        )

    def test_a_run_that_lost_an_answer_is_aborted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The second task arrives, its answer does not: ``find`` returns its state, so that ``abort_annotation`` removes it too."""
        label_type = self.main_type()
        dataset = self.dataset(label_type, 0)
        before = dataset.labels().to_arrow()
        lost = self._lose_an_answer(monkeypatch, dataset, label_type)
        results = dataset.load_annotation_results("run", **self.options())
        dataset.abort_annotation("run", **self.options())
        self.require_gone(results, lost, "after abort, not even a task whose answer was lost: `find` returns its state")
        self.require_equal(dataset.labels().to_arrow(), before, "a run is aborted")

    def test_a_task_is_no_larger_than_the_tool_takes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run of more samples than ``largest_task`` is sent as several tasks, none of which has more."""
        label_type = self.main_type()
        can = self.backend.capabilities
        largest = min(can.largest_task or 4, 4)
        monkeypatch.setattr(self.backend, "capabilities", replace(can, largest_task=largest))
        dataset = self.dataset(label_type, 0)
        results = self.send(dataset, label_type)
        sizes = [len(self.download(results, receipt).samples) for receipt in results.receipts()]
        assert max(sizes) <= largest, self.expected(
            f"make tasks of at most {largest} samples, as `largest_task` says",
            f"they have {sizes} samples",
            "The bridge",
        )
        total = len(dataset.sample_ids())
        assert sum(sizes) == total, self.expected(
            f"answer for each of the {total} samples in one task", f"the tasks have {sizes} samples"
        )
        self.require_load(self.load(dataset), "nobody did anything")

    def test_tasks_are_transferred_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where ``parallel_uploads`` or ``parallel_downloads`` exceeds 1: tasks that threads transfer at once are as those that
        are transferred one after another, and a second call finds each of them.
        """
        can = self.backend.capabilities
        if max(can.parallel_uploads, can.parallel_downloads) == 1:
            pytest.skip(f"{self.backend.name} transfers one task after another")
        label_type = self.main_type()
        dataset = self.dataset(label_type, 0)
        upload, tasks = self.backend.upload, list[Task]()

        def note(backend: AnnotationBackend, task: Task) -> Receipt:
            tasks.append(task)
            return upload(backend, task)

        with monkeypatch.context() as patch:
            patch.setattr(self.backend, "upload", note)
            results = self.send(dataset, label_type, task_size=1)
        one_by_one = self.rows(results)
        run = tasks[0].name.rpartition("-")[0]
        again = [replace(task, name=f"{run}x-{number}") for number, task in enumerate(tasks)]
        with ThreadPoolExecutor(can.parallel_uploads) as pool:
            receipts = list(pool.map(results.backend.upload, again))
            repeated = list(pool.map(results.backend.upload, again))
        with ThreadPoolExecutor(can.parallel_downloads) as pool:
            found = list(pool.map(results.backend.download, receipts))
        at_once: list[Row] = pa.concat_tables([download.labels for download in found]).to_pylist()
        self.require_same(at_once, one_by_one, "hold the same labels when several tasks are transferred at once")
        assert [dict(r.state) for r in repeated] == [dict(r.state) for r in receipts], self.expected(
            "find the tasks that threads have sent at once when they are sent again", "it returned other states"
        )
        for receipt in receipts:
            results.backend.delete(receipt)

    def test_deleting_twice_is_quiet_and_then_the_task_is_gone(self) -> None:
        """``cleanup`` can be repeated; a load after it raises ``Gone`` and changes nothing."""
        label_type = self.main_type()
        dataset = self.dataset(label_type, 0)
        before = dataset.labels().to_arrow()
        results = self.send(dataset, label_type)
        results.cleanup()
        results.cleanup()
        for receipt in results.receipts():
            self.require_gone(results, receipt, "after it was deleted")
        try:
            self.load(dataset)
            loaded = True
        except Gone:
            loaded = False
        assert not loaded, self.expected(
            "raise `Gone` in `download` once the task was deleted", "the load went through"
        )
        self.require_equal(dataset.labels().to_arrow(), before, "the task is gone")

    def test_no_secret_is_kept_or_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        """Credentials are not in the stored run, the states of its receipts, a repr or the log."""
        names = self.backend.Config.credentials
        if not names:
            pytest.skip(f"{self.backend.name} has no credentials")
        config = self.backend.Config(**{**self.options(), names[0]: SECRET})
        label_type = self.main_type()
        with caplog.at_level(logging.DEBUG):
            self.backend(config).close()
            results = self.send(self.dataset(label_type, 0), label_type)
            results.status()
        used = (getattr(results.backend.config, name, None) for name in names)
        secrets = {SECRET, *(value.get_secret_value() for value in used if isinstance(value, SecretStr))}
        texts = {
            "what a configuration stores with a run": repr(config.stored()),
            "the state of a receipt": repr([receipt.state for receipt in results.receipts()]),
            "the run": repr(results.to_dict()),
            "a repr": repr(results) + repr(results.backend) + repr(config) + repr(self.backend(config)),
            "the log": caplog.text,
        }
        for place, text in texts.items():
            assert not [s for s in secrets if s in text], self.expected(
                "keep its credentials to itself", f"one is in {place}"
            )

    def _lose_an_answer(self, monkeypatch: pytest.MonkeyPatch, dataset: Dataset, label_type: str) -> Receipt:
        """Send tasks of two samples until the answer to the second is lost; returns the receipt that was in it."""
        upload = self.backend.upload
        receipts: list[Receipt] = []

        def lose_second(backend: AnnotationBackend, task: Task) -> Receipt:
            receipts.append(upload(backend, task))
            if len(receipts) == 2:
                raise _Lost("the answer was lost")
            return receipts[-1]

        with monkeypatch.context() as patch, suppress(_Lost):
            patch.setattr(self.backend, "upload", lose_second)
            self.send(dataset, label_type, task_size=2)
        assert len(receipts) == 2, (
            f"The bridge is expected to stop at the second task, whose answer is lost; instead, it sent {len(receipts)}."
        )
        return receipts[1]
