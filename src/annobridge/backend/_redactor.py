"""What may be shown of an answer or of a lost connection: never a secret, a query, or a control character."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import quote

import requests
import urllib3.exceptions as lower
from lxml import etree, html

from ..exceptions import BackendError, Broken, Unreachable

LENGTH = 200
_USER = re.compile(r"(\w+://)[^\s/\"'<>@]*@")
_QUERY = re.compile(r"(\w+://[^\s\"'<>?]*)\?[^\s\"'<>]*")


class Redactor:
    """Knows the secrets of a connection, and takes them out of texts."""

    def __init__(self) -> None:
        self._hidden: set[str] = set()

    def add(self, secret: str) -> None:
        """Hide this one from now on, also its last word (``Token …``) and its quoted forms."""
        for value in {secret, *secret.split()[-1:]}:
            self._hidden |= {value, quote(value, safe=""), json.dumps(value)[1:-1]}

    def over(self, text: str) -> str:
        """The text without secrets."""
        for value in sorted((v for v in self._hidden if len(v) > 3), key=len, reverse=True):
            text = text.replace(value, "***")
        return text

    def excerpt(self, body: bytes | str) -> str:
        """The beginning of an answer on one line, fit for a message."""
        text = body[: 1 << 16].decode("utf-8", "replace") if isinstance(body, bytes) else body
        text = _QUERY.sub(r"\1?…", _USER.sub(r"\1", self.over(text)))
        if text.lstrip().startswith("<"):
            text = _seen(text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= LENGTH else f"{text[: LENGTH - 1]}…"


def _seen(page: str) -> str:
    """What a reader would see of a web page; all of it, if it is none."""
    try:
        root = html.document_fromstring(page)
    except (etree.ParserError, ValueError):
        return page
    etree.strip_elements(root, "script", "style", with_tail=False)
    return " ".join(map(str, root.itertext()))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def explain(error: BaseException) -> tuple[type[BackendError], str, str]:
    """The class, the reason and the cure of a call without a whole answer. Libraries' texts show urls: not used."""
    chain = list(_causes(error))

    def find(*kinds: type[BaseException]) -> BaseException | None:
        return next((e for e in chain if isinstance(e, kinds)), None)

    if bad := find(ssl.SSLCertVerificationError):
        why = getattr(bad, "verify_message", "") or "verification failed"
        return Unreachable, f"its TLS certificate is not trusted ({why})", "Give the file of your CA as `verify`."
    if find(ssl.SSLError, requests.exceptions.SSLError):
        return Unreachable, "the TLS handshake failed", "Is the scheme of the url right?"
    if find(requests.exceptions.ProxyError):
        return Unreachable, "the proxy does not let the call through", "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
    if find(socket.gaierror, lower.NameResolutionError):
        return Unreachable, "its host name is not known", "Check the url and your network."
    if find(ConnectionRefusedError):
        return Unreachable, "it refuses connections", "Is the server running, and is the port right?"
    if find(lower.NewConnectionError):
        return Unreachable, "no connection could be made", "Check the url and your network."
    if hung(error):
        return Unreachable, "it took too long to answer", "Is the server overloaded? A longer `timeout` may help."
    if find(ConnectionError) is None and find(http.client.HTTPException, lower.IncompleteRead, lower.DecodeError):
        return (
            Broken,
            "its answer is cut short or garbled",
            "Is there a proxy between, or is this another kind of server?",
        )
    return Unreachable, "the connection broke off", "Is the server running, and is the url right?"


def never_sent(error: BaseException) -> bool:
    """Whether the server cannot have seen the call, because no connection came about."""
    kinds = (lower.NewConnectionError, lower.ConnectTimeoutError, ssl.SSLCertVerificationError)
    return any(isinstance(e, kinds) for e in _causes(error))


def hung(error: BaseException) -> bool:
    """Whether the time ran out, which each repetition would take again."""
    kinds = (TimeoutError, requests.Timeout, lower.TimeoutError)
    refused = lower.NewConnectionError  # a time-out to urllib3, whatever the reason
    return any(isinstance(e, kinds) and not isinstance(e, refused) for e in _causes(error))


def untrusted(error: BaseException) -> bool:
    """Whether the certificate was refused, which no repetition cures."""
    return any(isinstance(e, ssl.SSLCertVerificationError) for e in _causes(error))
