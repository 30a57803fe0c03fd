"""Every error annobridge raises on purpose. Each message says what happened, to what, and what to do next.

    AnnobridgeError
    ├── ConfigError(ValueError)    UnknownBackend · InvalidOption · MissingCredential
    ├── SchemaError(ValueError)    InvalidSchema · InvalidLabels · Unsupported
    ├── RunError                   RunExists · RunNotFound · RunIncomplete · RunBusy
    ├── MergeError                 Conflict · UnexpectedLabels · TooManyDeletions · StalePlan
    ├── StoreError                 DatasetNotFound · DatasetExists · SampleNotFound · InvalidMedia · InvalidSource
    └── BackendError               Unreachable · Denied · Throttled · Gone · Rejected · Broken

The leaves under ``BackendError`` are sorted by what you can do about them, not by where they came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class AnnobridgeError(Exception):
    """The base of all of them."""


class ConfigError(AnnobridgeError, ValueError):
    """A setting is wrong."""


class UnknownBackend(ConfigError):
    """No backend of that name is installed or configured."""


class InvalidOption(ConfigError):
    """An option is unknown or has a bad value; the message names where it was set."""


class MissingCredential(ConfigError):
    """A credential is needed, and none was given, stored or could be asked for."""


class SchemaError(AnnobridgeError, ValueError):
    """What is to be labelled, or a label itself, is not well formed."""


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
    """Labels, attributes or samples are not sent, as the schema, the tool or the dataset leaves them out; each is counted."""


class EditorWarning(UserWarning):
    """The run is sent, but people do not see all of it in the tool, or cannot do there all that the schema allows."""


class RefusedTaskWarning(UserWarning):
    """The tool refused some samples, and the others were sent, as ``on_rejected="skip"`` asks for."""


def _listed(head: str, problems: Sequence[str]) -> str:
    return problems[0] if not head and len(problems) == 1 else "\n  - ".join([head, *problems])


class _Problems(SchemaError):
    """Holds *all* problems found, so that one round of corrections is enough."""

    def __init__(self, head: str, problems: Sequence[str]) -> None:
        super().__init__(_listed(head, problems))
        self.problems = tuple(problems)


class InvalidSchema(_Problems):
    """The label schema has mistakes; ``problems`` lists each with its path."""


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
    """Sending stopped half-way; resume or abort the run first."""


class RunBusy(RunError):
    """Somebody is sending, loading or changing this run, or adding samples, right now."""


class MergeError(AnnobridgeError):
    """A load was stopped before anything was written."""


class Conflict(MergeError):
    """Both sides changed the same thing, and ``conflicts="fail"`` was asked for."""


class UnexpectedLabels(MergeError):
    """The tool returned labels outside the schema, and nobody said what to do with them."""


class TooManyDeletions(MergeError):
    """The load would delete more of the run than the guard allows."""


class StalePlan(MergeError):
    """What the plan was made from has changed since; plan again."""


class StoreError(AnnobridgeError):
    """Something is wrong with the dataset on disk."""


class DatasetNotFound(StoreError):
    """There is no annobridge dataset at that place."""


class DatasetExists(StoreError):
    """There is a dataset already at that place."""


class SampleNotFound(StoreError):
    """A sample id is not in the dataset."""


class InvalidMedia(StoreError):
    """An image is missing, empty, truncated or not an image; all such files are listed."""


class InvalidSource(StoreError):
    """What is to be imported is not well formed, or can be read in two ways; the message names the file and line."""


class BackendError(AnnobridgeError):
    """The annotation tool, or the way to it, failed.

    ``status`` is the HTTP status, if there was one; ``detail`` is the parsed body of the refusal, for backends to look at.
    ``samples`` are the ids of the samples that it is about, where the backend can tell: all that a refusal of some of a
    task's samples has to say, so that the others can be sent.
    """

    def __init__(
        self, message: str, status: int | None = None, detail: Any = None, samples: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.status, self.detail, self.samples = status, detail, tuple(samples)


class Unreachable(BackendError):
    """No answer: the server is down, or the network is."""


class Denied(BackendError):
    """The server refuses these credentials or these rights (401, 403)."""


class Throttled(BackendError):
    """The server asks to slow down, and did so until the retries ran out (429, 503)."""


class Gone(BackendError):
    """Something that annobridge made on the server is not there any more."""


class Rejected(BackendError):
    """The server understood the request and refuses it (other 4xx), or refuses this version of us."""


class Broken(BackendError):
    """The server failed (5xx), or its answer cannot be read."""
