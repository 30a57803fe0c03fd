"""Wraps a backend so that whatever it returns or raises, the bridge gets valid values or errors of annobridge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import pyarrow as pa
from pydantic import SecretStr

from ..core.schema import LabelSchema
from ..exceptions import AnnobridgeError, Broken, Gone, Rejected
from . import return_values
from ._redactor import Redactor
from .base import AnnotationBackend
from .several_answers import check_answers
from .values import Answer, Download, Edits, FoundTask, Pushed, Receipt, SentBack, Status, Task

_UNSENT = "Nothing was sent."
_NEXT_STEP = {  # for upload, download and read_media, the bridge says what was done, and how to continue
    "upload": "",
    "download": "",
    "answers": "",
    "delete": "What is left on the server can still be removed: once the backend is corrected, do the same again.",
    "find": "Nothing was removed; once the backend is corrected, do the same again.",
    "check": _UNSENT,
    "check_task": _UNSENT,
    "status": "The run is as it was.",
    "editor_url": "The run is as it was.",
    "send_back": "What it has placed in the tool is still there.",
    "check_push": "Nothing was pushed.",
    "push": "Some of the labels may be changed in the tool; the next push or load finds out which.",
    "find_tasks": "Nothing was adopted.",
    "adopt": "Nothing was adopted.",
    "read_media": "",
}


class CheckedBackend:
    """Calls the methods of a backend, checks what they return, and raises ``Broken`` for faults, with the method and the task.

    Errors of annobridge are raised as they are, and so is what is not an ``Exception``, as ``KeyboardInterrupt``.
    """

    is_file = False

    def __init__(self, backend: AnnotationBackend) -> None:
        self._backend = backend
        self.type, self.in_process = type(backend), backend.in_process
        self.name, self.config, self.capabilities = backend.name, backend.config, backend.capabilities
        self.needs_whole_files = backend.needs_whole_files
        self.says_reviewed = backend.capabilities.reviewed
        self.parallel_downloads = backend.capabilities.parallel_downloads
        self._checked: set[str] = set()  # names of the tasks that ``check_task`` has seen

    def upload(self, task: Task) -> Receipt:
        """The receipt, whose baseline has exactly the labels of the task. Raises ``Rejected`` for values that the tool cannot
        hold: a task of a run that is resumed has not been checked, and its labels may have changed since the run began.
        """
        with self._calling("upload", task.name):
            if task.name not in self._checked and (found := self.check_task(task)):
                raise Rejected("\n  - ".join([f"{self.name}: some values cannot be sent:", *found]))
            return return_values.check_receipt(self._backend.upload(task), task)

    def download(self, receipt: Receipt) -> Download:
        """What the tool has now. Labels that were returned twice, equal in everything, are in it once."""
        with self._calling("download", receipt.task):
            return return_values.check_download(self._backend.download(receipt))

    def answers(self, receipt: Receipt) -> list[Answer]:
        """What each person has made of the task."""
        with self._calling("answers", receipt.task):
            return check_answers(self._backend.answers(receipt))

    def delete(self, receipt: Receipt) -> None:
        """Remove the task from the server."""
        with self._calling("delete", receipt.task):
            self._backend.delete(receipt)

    def check(self, schema: LabelSchema, samples: pa.Table) -> tuple[str, ...]:
        """Problems that only the backend can see."""
        with self._calling("check"):
            return return_values.check_texts(self._backend.check(schema, samples), "problems")

    def check_task(self, task: Task) -> tuple[str, ...]:
        """Values of a task's labels that the tool could not represent."""
        self._checked.add(task.name)
        with self._calling("check_task", task.name):
            return return_values.check_texts(self._backend.check_task(task), "problems")

    def find(self, task_name: str) -> Mapping[str, Any] | None:
        """The receipt's state of what an unanswered ``upload`` left on the server."""
        with self._calling("find", task_name):
            return return_values.check_state(self._backend.find(task_name))

    def status(self, receipt: Receipt) -> Status:
        """How far the work is."""
        with self._calling("status", receipt.task):
            return return_values.check_status(self._backend.status(receipt))

    def mark(self, receipt: Receipt) -> str | None:
        """What tells whether the labels of a task may have changed; ``None`` of a task that is gone."""
        with suppress(Gone):
            return self.status(receipt).mark
        return None

    def editor_url(self, receipt: Receipt) -> str | None:
        """Where people work on a task."""
        with self._calling("editor_url", receipt.task):
            return return_values.check_url(self._backend.editor_url(receipt))

    def send_back(self, receipt: Receipt, refusals: pa.Table) -> SentBack:
        """What was done with the refusals; each is counted, or left out."""
        with self._calling("send_back", receipt.task):
            return return_values.check_sent_back(self._backend.send_back(receipt, refusals), refusals)

    def check_push(self, receipt: Receipt) -> tuple[str, ...]:
        """Why nothing can be pushed to a task."""
        with self._calling("check_push", receipt.task):
            return return_values.check_texts(self._backend.check_push(receipt), "problems")

    def push(self, receipt: Receipt, edits: Edits) -> Pushed:
        """What was changed in the tool; each label is in the baseline, or left out."""
        with self._calling("push", receipt.task):
            return return_values.check_pushed(self._backend.push(receipt, edits), edits)

    def find_tasks(self, tasks: Sequence[str], project: str | None) -> Iterator[FoundTask]:
        """Tasks in the tool, one after another."""
        with self._calling("find_tasks"):
            for found in self._backend.find_tasks(tasks, project):
                yield return_values.check_found(found)

    def adopt(self, found: FoundTask, schema: LabelSchema, sample_ids: pa.Array) -> Mapping[str, Any]:
        """The state of the receipt of a task that was found."""
        with self._calling("adopt", found.key):
            return return_values.check_state(self._backend.adopt(found, schema, sample_ids)) or {}

    def read_media(self, found: FoundTask, number: int) -> BinaryIO:
        """A file of a task that was found."""
        with self._calling("read_media", found.key):
            return return_values.check_stream(self._backend.read_media(found, number))

    def task_keys(self, receipt: Receipt) -> frozenset[str]:
        """The tool's own ids of what a receipt stands for."""
        return self._backend.task_keys(receipt)

    @contextmanager
    def _calling(self, method: str, task: str | None = None) -> Iterator[None]:
        about = f"{method} of the task {task!r}" if task else method
        end = f"This is a mistake in the backend. {_NEXT_STEP[method]}".rstrip()
        try:
            yield
        except AnnobridgeError:
            raise
        except return_values.InvalidReturnValue as e:
            raise Broken(f"The backend {self.name!r} returned from {about} {e}. {end}") from None
        except Exception as e:  # a plug-in may raise anything
            said = self._redactor_of_credentials().excerpt(str(e))
            raise Broken(
                f"The backend {self.name!r} failed in {about} with {type(e).__name__}{': ' * bool(said)}{said}. {end}"
            ) from e

    def _redactor_of_credentials(self) -> Redactor:
        """Knows the credentials of the configuration, which errors of libraries may quote."""
        redactor = Redactor()
        for name in self.config.credentials:
            secret = getattr(self.config, name, None)
            if isinstance(secret, SecretStr):
                redactor.add(secret.get_secret_value())
        return redactor
