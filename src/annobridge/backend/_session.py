"""The ``requests`` session of ``Http``: no implicit credentials, no cookies, and a time limit for each whole response.

``trust_env`` is off because a netrc file would replace the credentials; proxies and the CA bundle of the environment are read here
instead. Cookies are not kept: they would outlive the credential, and be sent to every path of the host.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import os
import socket
import time
from contextvars import ContextVar
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ..exceptions import ConfigError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_PORTS = {"http": 80, "https": 443}

# (seconds between two bytes, seconds for the whole response). urllib3 passes on one time-out only, hence a context variable.
patience: ContextVar[tuple[float, float]] = ContextVar("patience", default=(60.0, 600.0))


class _TimedStream(io.RawIOBase):
    """The bytes of a socket, with a time limit for all of them; the time-out of a socket begins again with each byte."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw, self._sock = raw, sock
        self._each = sock.gettimeout()
        self._due = time.monotonic() + patience.get()[1]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        left = self._due - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        self._sock.settimeout(left if self._each is None else min(left, self._each))
        count = self._raw.readinto(buffer)
        self._sock.settimeout(self._each)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_TimedStream(self.fp.detach(), sock))


class _Connection(HTTPConnection):
    response_class = _TimedResponse

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(patience.get()[0])  # for sending: the time-out of connecting is too short


class _TLSConnection(HTTPSConnection):
    response_class = _TimedResponse

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(patience.get()[0])


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
        return manager


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """``None``: ``Transport`` follows redirects. requests would read the whole body first, and trust the address."""


def new_session(url: str, verify: bool | str) -> requests.Session:
    """A session for one server, without retries, cookies and netrc, with the proxies of the environment."""
    session = _Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "annobridge"})
    session.verify = _authorities(verify)
    session.proxies.update({} if is_loopback(url) else get_environ_proxies(url))
    for scheme in _PORTS:
        session.mount(f"{scheme}://", _Adapter(max_retries=0))
    return session


def _authorities(verify: bool | str) -> bool | str:
    """``verify`` of requests: the CA file given, or else the one of the environment."""
    origin = next((n for n in CA_VARIABLES if os.environ.get(n)), None) if verify is True else None
    trusted = os.environ[origin] if origin else verify
    if isinstance(trusted, str):
        trusted = str(Path(trusted).expanduser())
        if not Path(trusted).exists():
            raise ConfigError(
                f"The CA file {trusted!r}, named by {origin or '`verify`'}, does not exist; correct the path."
            )
    return trusted


def origin_of(url: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port; ``None`` if it is not an HTTP URL."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            return None
        return parts.scheme, parts.hostname.lower(), parts.port or _PORTS[parts.scheme]
    except ValueError:
        return None


def shown(url: str) -> str:
    """A URL without user, password, query and fragment, for messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether a URL is of this machine, by host name or IP address."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
