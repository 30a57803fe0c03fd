"""Carries out one HTTP call: retries, redirects, limits of size and time, and the error for a failure.

Errors of libraries show URLs with their queries. So errors are raised outside of ``except`` blocks, where Python would chain them
to the library's.
"""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from copy import copy
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urljoin

import requests
from pydantic import SecretStr
from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.util import Retry

from ..exceptions import BackendError, Broken, Denied, Gone, Rejected, Throttled
from ._connection_errors import explain, is_untrusted, never_sent, timed_out
from ._redactor import Redactor
from ._session import origin_of, patience, shown
from .pickling import NotPicklable

T = TypeVar("T")
Body = bytes | BinaryIO | io.RawIOBase
log = logging.getLogger("annobridge")

RETRIES = 4
RETRIES_AFTER_TIMEOUT = 1  # each may take the whole time-out again
RETRIED = {429, 502, 503, 504}  # not 500: it is a fault of the call or of the server, and a retry meets it again
LONGEST_PAUSE = 60.0  # seconds; a longer Retry-After is cut to this
MAX_REDIRECTS = 5
RESPONSE_CHUNK = 1 << 14  # bytes
LARGE_BODY = 1 << 20  # bytes of a request from which it is sent in pieces
CONNECT_TIMEOUT = 15.0  # seconds at most
# A response may decompress to so many times its size (real ones: up to 60), and to so many bytes in any case.
MAX_COMPRESSION, ALWAYS_ALLOWED = 400, 4 << 20
OUTCOME_UNKNOWN = " It may have been carried out: the outcome is unknown, so look before sending it again."
_BACKOFF = Retry(total=None, backoff_factor=0.3, backoff_jitter=0.3, backoff_max=20)


@dataclass(frozen=True, slots=True)
class Call:
    """A request, and whether it may be sent again."""

    method: str
    path: str
    url: str = field(repr=False)  # may hold a query
    body: Body | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, Any] | None = field(default=None, repr=False)
    repeatable: bool = True
    retry_on: Callable[[int, Any], bool] | None = None
    start: int | None = 0  # the position at which the body begins; None if it can be read only once

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def rewound(self) -> Body | None:
        """The body at its beginning; an earlier attempt may have read it."""
        if isinstance(
            self.body, bytes
        ):  # the time-out is for each ``send`` of the socket, so a large body is sent in pieces
            return self.body if len(self.body) < LARGE_BODY else io.BytesIO(self.body)
        if self.body is not None and self.start is not None:
            self.body.seek(self.start)
        return self.body


class Failure(Exception):
    """One failed attempt, inside of ``Transport``; users get ``error``.

    Args:
        error: what is raised unless a retry succeeds.
        again: whether a retry may succeed.
        unsent: whether the server cannot have seen the call, so that a retry is safe for every method.
        after: seconds to wait at least.
        most: the largest number of retries.
    """

    def __init__(
        self, error: BackendError, *, again: bool = False, unsent: bool = False, after: float = 0.0, most: int = RETRIES
    ) -> None:
        super().__init__(str(error))
        self.error, self.again, self.unsent, self.after, self.most = error, again, unsent, after, most

    def may_repeat(self, call: Call, times: int) -> bool:
        """Whether the call may be sent again after ``times`` retries."""
        if call.start is None:
            return False
        if self.error.status and call.retry_on and call.retry_on(self.error.status, self.error.detail):
            return True
        return self.again and (call.repeatable or self.unsent) and times < self.most


@dataclass(kw_only=True)
class Transport(NotPicklable):
    """Sends calls to one server. ``at`` names it in messages. Threads may share it."""

    backend: str
    at: str
    is_same_server: Callable[[str], bool]  # of a URL
    session: requests.Session = field(repr=False)
    redactor: Redactor = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    timeout: float
    deadline: float
    limit: int  # bytes of a response body, decompressed
    limit_option: str | None = None  # the option of the backend that sets it, for messages
    secrets: dict[str, SecretStr] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def __deepcopy__(self, _: dict[int, Any]) -> Transport:
        """A copy that shares the session."""
        return copy(self)

    def retry(self, call: Call, attempt: Callable[[Call], T]) -> T:
        """What ``attempt`` returns, retried as long as the call, the failure and the deadline allow it.

        A call that is not repeatable is retried only if it was never sent, or if its ``retry_on`` asks for it: the server may
        have carried out a call whose response was lost, and a second POST would do it twice.
        """
        due, pauses = self.clock() + self.deadline, _BACKOFF
        while True:
            patience.set((self.timeout, max(due - self.clock(), 0.01)))
            try:
                return attempt(call)
            except Failure as failed:
                failure = failed
            again = failure.may_repeat(call, len(pauses.history))
            pauses = pauses.increment(call.method)
            pause = max(failure.after, pauses.get_backoff_time())
            if not again or self.clock() + pause > due:
                raise failure.error
            log.debug("%s: %s again in %.1f s", self.backend, call, pause)
            self.sleep(pause)

    def fetch(self, call: Call) -> tuple[requests.Response, bytes]:
        """A response of 2xx, and its body."""
        with closing(self.open(call)) as response:
            return response, b"".join(self.chunks(call, response, self.limit))

    def open(self, call: Call) -> requests.Response:
        """A response of 2xx whose body was not read yet; the caller closes it."""
        method, url, params = call.method, call.url, call.params
        for _ in range(MAX_REDIRECTS + 1):
            response = self._exchange(call, method, url, params)
            if not response.is_redirect:
                break
            response.close()
            method, url, params = *self._target(call, response, method), None
        if not 200 <= response.status_code < 300:
            raise self._refusal(call, response)
        return response

    def _exchange(self, call: Call, method: str, url: str, params: Mapping[str, Any] | None) -> requests.Response:
        begun, secrets = self.clock(), {k: v.get_secret_value() for k, v in self.secrets.items()}
        try:
            response = self.session.request(
                method,
                url,
                params={k: str(v).lower() if isinstance(v, bool) else v for k, v in (params or {}).items()},
                data=call.rewound() if method == call.method else None,
                headers={**self.headers, **call.headers, **secrets},
                timeout=(min(self.timeout, CONNECT_TIMEOUT), self.timeout),
                stream=True,
                allow_redirects=False,
            )
        except (requests.RequestException, HTTPError) as error:
            failure = self._lost(call, error)
        else:
            took = 1000 * (self.clock() - begun)
            log.debug("%s: %s answers %d after %.0f ms", self.backend, call, response.status_code, took)
            return response
        log.debug("%s: %s fails: %s", self.backend, call, type(failure.error).__name__)
        raise failure

    def chunks(self, call: Call, response: requests.Response, limit: int) -> Iterator[bytes]:
        """The decompressed body in chunks. Raises ``Failure`` when it exceeds ``limit``, or many times its compressed size."""
        size, excess = 0, None
        try:
            for chunk in response.iter_content(RESPONSE_CHUNK):
                size += len(chunk)
                if excess := self._excess(size, response, limit):
                    break
                yield chunk
        except (requests.RequestException, HTTPError) as error:
            failure = self._lost(call, error, response.status_code)
        else:
            if excess is None:
                return
            message = f"{self.at}: the answer to {call} {excess}"
            failure = Failure(Broken(message, response.status_code))
        raise failure

    def _excess(self, size: int, response: requests.Response, limit: int) -> str | None:
        """Why no more is read after ``size`` decompressed bytes; ``None`` to go on."""
        if size > limit:
            option = f"`{self.limit_option}`" if self.limit_option and limit == self.limit else "the limit"
            return f"has more than {limit} bytes; it was cut. Raise {option}, or send smaller tasks (`task_size`)."
        if "Content-Encoding" in response.headers and size > ALWAYS_ALLOWED + MAX_COMPRESSION * response.raw.tell():
            return (
                f"unpacks to more than {MAX_COMPRESSION} times its size, as no real one does; it was cut. "
                "Is there a proxy between?"
            )
        return None

    def _lost(self, call: Call, error: Exception, status: int | None = None) -> Failure:
        kind, reason, cure = explain(error)
        unsent = never_sent(error)
        outcome = "" if call.repeatable or unsent else OUTCOME_UNKNOWN
        begun = f" ({status})" if status else ""
        message = f"{self.at}: {call}{begun} failed: {reason}. {cure}{outcome}"
        most = RETRIES_AFTER_TIMEOUT if timed_out(error) else RETRIES
        return Failure(kind(message, status), again=not is_untrusted(error), unsent=unsent, most=most)

    def _refusal(self, call: Call, response: requests.Response) -> Failure:
        status, detail = response.status_code, self._detail(call, response)
        kind, verb, cure = _meaning(status, self.backend)
        said = detail.get("detail", detail.get("message")) if isinstance(detail, dict) else detail
        said = said if isinstance(said, str) else json.dumps(detail, ensure_ascii=False) if detail else ""
        if isinstance(detail, dict) and (more := detail.get("validation_errors")):
            said = f"{said}: {json.dumps(more, ensure_ascii=False)}"
        quoted = f": {self.redactor.excerpt(said)}" if said else ""
        outcome = (
            OUTCOME_UNKNOWN if status in (502, 504) and not call.repeatable else ""
        )  # a proxy gave up, not the server
        message = f"{self.at}: {call} {verb} ({status}){quoted}{'' if quoted.endswith('.') else '.'} {cure}{outcome}"
        return Failure(kind(message, status, detail), again=status in RETRIED, after=_retry_after(response))

    def _detail(self, call: Call, response: requests.Response) -> Any:
        with closing(response):
            try:
                body = b"".join(self.chunks(call, response, self.limit))
            except Failure:
                return None
        try:
            return json.loads(self.redactor.redact(body.decode("utf-8-sig")))
        except (ValueError, RecursionError):
            return self.redactor.excerpt(body) or None

    def _target(self, call: Call, response: requests.Response, method: str) -> tuple[str, str]:
        """The method and the URL with which to follow a redirect. Raises ``Failure`` where it may not be followed."""
        status, target = response.status_code, _joined(response.url, response.headers["Location"])
        where = self.redactor.redact(shown(target)) if target else "something that is not a web address"
        moved = f"{self.at}: {call} is redirected ({status}) to {where}"
        if not self.is_same_server(target):
            cure = "another server, so nothing was sent there. If that is the right address, give it as `url`."
            raise Failure(Rejected(f"{moved}, {cure}", status))
        if method != "GET" and status in (301, 302):
            raise Failure(Rejected(f"{moved}, and a {method} is not sent on. Correct the `url`.", status))
        return "GET" if status == 303 else method, target


def _joined(url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
    except ValueError:
        return ""
    return target if origin_of(target) else ""


def _retry_after(response: requests.Response) -> float:
    try:
        return min(_BACKOFF.parse_retry_after(response.headers.get("Retry-After", "0")), LONGEST_PAUSE)
    except InvalidHeader:
        return 0.0


def _meaning(status: int, backend: str) -> tuple[type[BackendError], str, str]:
    """The class of error, the verb and the cure for a status that is not 2xx."""
    match status:
        case 401 | 403:
            return Denied, "is denied", f"Check the credentials (`annobridge login {backend}`) and the user's rights."
        case 404 | 410:
            return Gone, "finds nothing", "It was removed on the server, or the url is wrong."
        case 429 | 503:
            return Throttled, "is put off", "The server is busy; try again later."
        case _ if 400 <= status < 500:
            return Rejected, "is rejected", "The server does not accept this request."
        case _:
            return Broken, "fails on the server", "Look at the server's log."
