"""What to say of a call that got no complete response: the class of error, the reason, and the cure."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator

import requests
import urllib3.exceptions as lower

from ..exceptions import BackendError, Broken, Unreachable


def explain(error: BaseException) -> tuple[type[BackendError], str, str]:
    """The class, the reason and the cure. The texts of libraries show URLs with their queries, so they are not used."""
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
    if timed_out(error):
        return Unreachable, "it took too long to answer", "Is the server overloaded? A longer `timeout` may help."
    if find(ConnectionError) is None and find(http.client.HTTPException, lower.IncompleteRead, lower.DecodeError):
        cure = "Is there a proxy between, or is this another kind of server?"
        return Broken, "its answer is cut short or garbled", cure
    return Unreachable, "the connection broke off", "Is the server running, and is the url right?"


def never_sent(error: BaseException) -> bool:
    """Whether no connection was established, so that the server cannot have seen the call."""
    kinds = (lower.NewConnectionError, lower.ConnectTimeoutError, ssl.SSLCertVerificationError)
    return any(isinstance(e, kinds) for e in _causes(error))


def timed_out(error: BaseException) -> bool:
    """Whether the time ran out, as it would again in each retry."""
    kinds = (TimeoutError, requests.Timeout, lower.TimeoutError)
    refused = lower.NewConnectionError  # a subclass of urllib3's time-out error, whatever its reason
    return any(isinstance(e, kinds) and not isinstance(e, refused) for e in _causes(error))


def is_untrusted(error: BaseException) -> bool:
    """Whether the certificate was refused, as it would be in each retry."""
    return any(isinstance(e, ssl.SSLCertVerificationError) for e in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
