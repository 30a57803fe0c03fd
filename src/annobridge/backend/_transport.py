"""One call over HTTP, as often as it may be made: exchange, redirects, size and time, and what went wrong.

Errors of libraries show urls with their queries, so ours are raised outside of ``except``: nothing is chained to them.
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
from ._redactor import Redactor, explain, hung, never_sent, untrusted
from ._session import origin_of, patience, shown
from .pickling import NotPicklable

T = TypeVar("T")
Body = bytes | BinaryIO | io.RawIOBase
log = logging.getLogger("annobridge")

RETRIES = 4
RETRIES_OF_SILENCE = 1  # each takes the whole time-out once more
RETRIED = {429, 502, 503, 504}  # a 500 is a mistake in the call or in the server, and comes again
LONGEST_PAUSE = 60.0  # seconds, whatever Retry-After says
REDIRECTS = 5
CHUNK = 1 << 14
PIECE = 1 << 20
CONNECT = 15.0  # seconds at most
RATIO, FREE = (
    400,
    4 << 20,
)  # an answer may unpack to so many times its size (real ones: to 60), and to so many bytes anyway
UNKNOWN = " It may have been carried out: the outcome is unknown, so look before sending it again."
_BACKOFF = Retry(total=None, backoff_factor=0.3, backoff_jitter=0.3, backoff_max=20)


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked, and whether it may be asked twice."""

    method: str
    path: str
    url: str = field(repr=False)  # may hold a query
    body: Body | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, Any] | None = field(default=None, repr=False)
    repeatable: bool = True
    retry_on: Callable[[int, Any], bool] | None = None
    start: int | None = 0  # where the body begins; None if it can be read only once

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def rewound(self) -> Body | None:
        """The body from where it began, as an earlier attempt may have read it."""
        if isinstance(self.body, bytes):  # a time-out holds for one ``send``: long ones go in pieces
            return self.body if len(self.body) < PIECE else io.BytesIO(self.body)
        if self.body is not None and self.start is not None:
            self.body.seek(self.start)
        return self.body


class Failure(Exception):
    """An event inside of ``Caller``; what users see is ``error``."""

    def __init__(
        self, error: BackendError, *, again: bool = False, unsent: bool = False, after: float = 0.0, most: int = RETRIES
    ) -> None:
        super().__init__(str(error))
        self.error, self.again, self.unsent, self.after, self.most = error, again, unsent, after, most

    def may_repeat(self, call: Call, times: int) -> bool:
        """Whether the call may be made once more after so many repetitions."""
        if call.start is None:
            return False
        if self.error.status and call.retry_on and call.retry_on(self.error.status, self.error.detail):
            return True
        return self.again and (call.repeatable or self.unsent) and times < self.most


@dataclass(kw_only=True)
class Transport(NotPicklable):
    """Makes the calls to one server. ``at`` names it in messages."""

    backend: str
    at: str
    ours: Callable[[str], bool]  # whether an address is this server's
    session: requests.Session = field(repr=False)
    veil: Redactor = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    timeout: float
    deadline: float
    limit: int  # bytes of an answer, unpacked
    limit_option: str | None = None  # what raises it
    secrets: dict[str, SecretStr] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def __deepcopy__(self, _: dict[int, Any]) -> Transport:
        """Also a deep copy shares the session, as threads do."""
        return copy(self)

    def repeat(self, call: Call, attempt: Callable[[Call], T]) -> T:
        """What ``attempt`` returns, tried as often as the call, the failure and the deadline allow."""
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
                raise failure.error  # outside of ``except``: a library's error would show the query
            log.debug("%s: %s again in %.1f s", self.backend, call, pause)
            self.sleep(pause)

    def whole(self, call: Call) -> tuple[requests.Response, bytes]:
        """An answer of 2xx with its body."""
        with closing(self.open(call)) as response:
            return response, b"".join(self.chunks(call, response, self.limit))

    def open(self, call: Call) -> requests.Response:
        """An answer of 2xx, its body unread."""
        method, url, params = call.method, call.url, call.params
        for _ in range(REDIRECTS + 1):
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
                timeout=(min(self.timeout, CONNECT), self.timeout),
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
        """The unpacked body, never more than ``limit`` nor out of proportion to what was sent, never after the deadline."""
        size, excess = 0, None
        try:
            for chunk in response.iter_content(CHUNK):
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
        """Why no more is read of an answer of which so many bytes were unpacked."""
        if size > limit:
            option = f"`{self.limit_option}`" if self.limit_option and limit == self.limit else "the limit"
            return f"has more than {limit} bytes; it was cut. Raise {option}, or send smaller tasks (`task_size`)."
        if "Content-Encoding" in response.headers and size > FREE + RATIO * response.raw.tell():
            return f"unpacks to more than {RATIO} times its size, as no real one does; it was cut. Is there a proxy between?"
        return None

    # --- what went wrong --------------------------------------------------------------------------------------------

    def _lost(self, call: Call, error: Exception, status: int | None = None) -> Failure:
        kind, reason, cure = explain(error)
        unsent = never_sent(error)
        outcome = "" if call.repeatable or unsent else UNKNOWN
        begun = f" ({status})" if status else ""
        message = f"{self.at}: {call}{begun} failed: {reason}. {cure}{outcome}"
        most = RETRIES_OF_SILENCE if hung(error) else RETRIES
        return Failure(kind(message, status), again=not untrusted(error), unsent=unsent, most=most)

    def _refusal(self, call: Call, response: requests.Response) -> Failure:
        status, detail = response.status_code, self._detail(call, response)
        kind, verb, cure = _meaning(status, self.backend)
        said = detail.get("detail", detail.get("message")) if isinstance(detail, dict) else detail
        said = said if isinstance(said, str) else json.dumps(detail, ensure_ascii=False) if detail else ""
        quoted = f": {self.veil.excerpt(said)}" if said else ""
        outcome = UNKNOWN if status in (502, 504) and not call.repeatable else ""  # a proxy gave up, not the server
        message = f"{self.at}: {call} {verb} ({status}){quoted}{'' if quoted.endswith('.') else '.'} {cure}{outcome}"
        return Failure(kind(message, status, detail), again=status in RETRIED, after=_retry_after(response))

    def _detail(self, call: Call, response: requests.Response) -> Any:
        with closing(response):
            try:
                body = b"".join(self.chunks(call, response, self.limit))
            except Failure:
                return None
        try:
            return json.loads(self.veil.over(body.decode("utf-8-sig")))
        except (ValueError, RecursionError):
            return self.veil.excerpt(body) or None

    def _target(self, call: Call, response: requests.Response, method: str) -> tuple[str, str]:
        """The method and the address with which to follow a redirect, if it may be followed at all."""
        status, target = response.status_code, _joined(response.url, response.headers["Location"])
        where = self.veil.over(shown(target)) if target else "something that is not a web address"
        moved = f"{self.at}: {call} is redirected ({status}) to {where}"
        if not self.ours(target):
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
    """The class, the verb and the cure of a status that is not 2xx."""
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
