"""The exceptions and warnings of annobridge. Each message says what happened, to what, and what to do next.

    AnnobridgeError
    ├── ConfigError(ValueError)    UnknownBackend · InvalidOption · MissingCredential
    ├── SchemaError(ValueError)    InvalidSchema · InvalidLabels · Unsupported
    ├── RunError                   RunExists · RunNotFound · RunIncomplete · RunBusy
    ├── MergeError                 Conflict · UnexpectedLabels · TooManyDeletions · FinishedWork · ReviewRequired · StalePlan
    ├── StoreError                 DatasetNotFound · DatasetExists · SampleNotFound · InvalidMedia · InvalidSource
    ├── ExecutorError
    └── BackendError               Unreachable · Denied · Throttled · Gone · Rejected · Broken

The leaves under ``BackendError`` are sorted by what you can do about them, not by where they came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class AnnobridgeError(Exception):
    """The base class of all exceptions of annobridge."""


class ConfigError(AnnobridgeError, ValueError):
    """A setting is wrong."""


class UnknownBackend(ConfigError):
    """No backend of that name is installed or configured."""


class InvalidOption(ConfigError):
    """An option is unknown or has a bad value; the message names where it was set."""


class MissingCredential(ConfigError):
    """A required credential was not given and is not stored, and there is no terminal to ask for it."""


class SchemaError(AnnobridgeError, ValueError):
    """A label schema or a label is not valid."""


__all__ = [
    "AnnobridgeError",
    "BackendError",
    "Broken",
    "ConfigError",
    "Conflict",
    "DatasetExists",
    "DatasetNotFound",
    "Denied",
    "EditorWarning",
    "ExecutorError",
    "FinishedWork",
    "Gone",
    "InvalidLabels",
    "InvalidMedia",
    "InvalidOption",
    "InvalidSchema",
    "InvalidSource",
    "MergeError",
    "MissingCredential",
    "RefusedTaskWarning",
    "Rejected",
    "ReviewRequired",
    "RunBusy",
    "RunError",
    "RunExists",
    "RunIncomplete",
    "RunNotFound",
    "SampleNotFound",
    "SchemaError",
    "StalePlan",
    "StoreError",
    "Throttled",
    "TooManyDeletions",
    "UnexpectedLabels",
    "UnknownBackend",
    "Unreachable",
    "UnsentWarning",
    "Unsupported",
]


class UnsentWarning(UserWarning):
    """Labels, attributes or samples are not sent, because of the schema, the tool or the dataset; the message counts them."""


class EditorWarning(UserWarning):
    """The run is sent, but the editor of the tool does not show all of it, or lacks something that the schema allows."""


class RefusedTaskWarning(UserWarning):
    """The tool refused some samples, and the others were sent, because of ``on_rejected="skip"``."""


def _listed(head: str, problems: Sequence[str]) -> str:
    return problems[0] if not head and len(problems) == 1 else "\n  - ".join([head, *problems])


class _Problems(SchemaError):
    """An error with *all* problems found, so that they can be corrected at once."""

    def __init__(self, head: str, problems: Sequence[str]) -> None:
        super().__init__(_listed(head, problems))
        self._head, self.problems = head, tuple(problems)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._head, self.problems)


class InvalidSchema(_Problems):
    """The label schema has mistakes; ``problems`` lists them, each with its path."""


class InvalidLabels(_Problems):
    """Labels have values that cannot be stored or sent (NaN, an empty box, an unknown sample, …)."""


class Unsupported(_Problems):
    """The backend cannot represent what the schema asks for; each problem names the alternatives."""


class RunError(AnnobridgeError):
    """An annotation run is not in the state that the call needs."""


class RunExists(RunError):
    """The ``anno_key`` is in use."""


class RunNotFound(RunError):
    """No run has that ``anno_key``."""


class RunIncomplete(RunError):
    """Sending was interrupted; resume or abort the run first."""


class RunBusy(RunError):
    """Another process is sending, loading or changing this run, or adding samples."""


class MergeError(AnnobridgeError):
    """A load was stopped before anything was written."""


class Conflict(MergeError):
    """Both sides changed the same thing, and ``conflicts="fail"`` was asked for."""


class UnexpectedLabels(MergeError):
    """The tool returned labels outside the schema, and ``unexpected`` does not say what to do with them."""


class TooManyDeletions(MergeError):
    """The load would delete most of the labels that it looks at; ``force=True`` allows it."""


class FinishedWork(MergeError):
    """A push would change samples that people have finished in the tool; ``force=True`` allows it."""


class ReviewRequired(MergeError):
    """A load would change a protected field without a decision of a person."""


class StalePlan(MergeError):
    """The labels or the work in the tool changed after the plan was made; plan again."""


class StoreError(AnnobridgeError):
    """Something is wrong with the dataset on disk."""


class DatasetNotFound(StoreError):
    """There is no annobridge dataset at this path or URI."""


class DatasetExists(StoreError):
    """There is already a dataset at this path or URI."""


class SampleNotFound(StoreError):
    """A sample id is not in the dataset."""


class InvalidMedia(StoreError):
    """An image is missing, empty, truncated or not an image; all such files are listed."""


class InvalidSource(StoreError):
    """The files to import are not valid, or ambiguous; the message names the file and line."""


class ExecutorError(AnnobridgeError):
    """Worker processes, or a cluster, cannot be used, or ended before they were done. It says what was done."""


class BackendError(AnnobridgeError):
    """The annotation tool, or the connection to it, failed.

    Attributes:
        status: the HTTP status, if there was one.
        detail: the parsed body of the response, for backends.
        samples: the ids of the samples that the tool refused, where the backend knows them, so that the others can be sent.
    """

    def __init__(
        self, message: str, status: int | None = None, detail: Any = None, samples: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.status, self.detail, self.samples = status, detail, tuple(samples)


class Unreachable(BackendError):
    """No response: the server or the network is down."""


class Denied(BackendError):
    """The server refuses the credentials, or the user lacks a permission (401, 403)."""


class Throttled(BackendError):
    """The server was still limiting requests when the retries ran out (429, 503)."""


class Gone(BackendError):
    """Something that annobridge made on the server does not exist there any more."""


class Rejected(BackendError):
    """The server refuses the request (other 4xx), or this version of annobridge."""


class Broken(BackendError):
    """The server failed (5xx), or its response cannot be parsed."""
