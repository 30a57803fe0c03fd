"""The server of a review: its port, its address with the token, and its end."""

from __future__ import annotations

import errno
import html
import importlib.util
import os
import secrets
import socket
import sys
import threading
import time
import webbrowser
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..exceptions import ConfigError, InvalidOption
from ..processes import user_name
from .decision_log import DecisionLog
from .reviewed import ReviewedPlan
from .session import SendBack, Session

HOST = "127.0.0.1"
EXTRA = "pip install 'annobridge[review]'"
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared, not bound
_START_SECONDS = 30
_GRACE_SECONDS = 3  # for answers that are on their way when the server ends


def require_extra() -> None:
    """Raise ``ConfigError`` if the packages of the review are not installed."""
    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"The review page needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: {EXTRA}"
        )


class ReviewServer:
    """A review that is being served from a thread of its own. In a notebook it shows a link to its page.

    Attributes:
        url: the address of the page, with the token.
        session: the state of the review.
    """

    def __init__(self, session: Session, port: int = 0, host: str = HOST) -> None:
        """Start to serve. Raises ``ConfigError`` for missing packages, ``InvalidOption`` for a port that cannot be used."""
        require_extra()
        import uvicorn

        from .app import make_app
        from .guard import Guard

        self.session = session
        self._socket = _bound(host, port)
        self.port = int(self._socket.getsockname()[1])
        token = secrets.token_urlsafe(32)
        self.url = f"http://{_for_url(host)}:{self.port}/?token={token}"
        app: Any = Guard(make_app(session), token, self.port, host)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="off", ws="none", server_header=False, proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="annobridge review", daemon=True
        )
        self._thread.start()
        self._wait_until_started()

    def _wait_until_started(self) -> None:
        end = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > end:
                raise ConfigError("The review server did not start; the messages above say why.")
            time.sleep(0.005)

    def open_browser(self) -> bool:
        """Open the page in a browser; ``False`` if there is none with a window of its own."""
        has_screen = sys.platform in ("win32", "darwin") or any(
            os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
        )
        try:
            return has_screen and webbrowser.open(self.url)
        except (webbrowser.Error, OSError):
            return False

    def wait(self) -> None:
        """Wait until the server ends, as by ``stop`` in another thread."""
        while self._thread.is_alive():
            self._thread.join(0.5)  # and not for ever, as Windows would not notice Ctrl-C

    def stop(self) -> None:
        """End the server, after a load that is going on. What was decided is in the file."""
        self.session.job.wait()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self.session.log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Review of {self.session.plan.run.anno_key!r} at {self.url}, decisions in {self.session.log.path}; stop() ends it"

    def _repr_html_(self) -> str:
        key, path = (html.escape(str(v)) for v in (self.session.plan.run.anno_key, self.session.log.path))
        link = f'<a href="{html.escape(self.url)}" target="_blank" rel="noreferrer">Review {key}</a>'
        return f"<p><b>{link}</b>: decisions are stored in {path}; <code>stop()</code> ends the server.</p>"


def review(
    plan: ReviewedPlan,
    dataset: str,
    decisions: str | Path | None = None,
    *,
    reviewer: str | None = None,
    send_back: SendBack | None = None,
    port: int = 0,
    host: str = HOST,
) -> ReviewServer:
    """Serve the review of a plan.

    Args:
        plan: the plan.
        dataset: where the dataset is, as shown.
        decisions: the file of decisions; by default ``KEY.decisions.jsonl`` in the current folder.
        reviewer: the name of who decides; by default the user of this process. The page can change it.
        send_back: how refused changes are sent back to the annotators, if they can be.
        port: the port; 0 for a free one.
        host: the address to listen on.

    Raises:
        ConfigError: the extra ``review`` is not installed.
        InvalidOption: the port or the file cannot be used, or a line of the file is no decision.
    """
    require_extra()
    path = Path(decisions).expanduser() if decisions is not None else Path(f"{plan.run.anno_key}.decisions.jsonl")
    log = DecisionLog(path, plan.run)
    try:
        return ReviewServer(Session(plan, log, dataset, reviewer or user_name(), send_back), port, host)
    except BaseException:
        log.close()
        raise


def is_remote(host: str) -> bool:
    """Whether others than this machine can reach a server that listens on ``host``."""
    return host != "localhost" and not host.startswith("127.") and host != "::1"


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens, or ``InvalidOption``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(
        family, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # said, or asyncio sends small answers 40 ms late
    try:
        if sys.platform != "win32":  # where it would let two servers have one port
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
    except (OSError, OverflowError) as error:
        found.close()
        raise InvalidOption(_why_not_bound(error, host, port)) from None
    return found


def _why_not_bound(error: OSError | OverflowError, host: str, port: int) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"Port {port} is in use on {host}; give another with --port, or leave it out, and a free one is taken."
    if number == errno.EACCES:
        return f"Port {port} needs rights that this user does not have; give one above 1023 with --port."
    if isinstance(error, OverflowError):
        return f"{port} is no port; give one from 1024 to 65535 with --port."
    return (
        f"The server cannot listen on {host} ({error.strerror}); leave --host out, or give an address of this machine."
    )


def _for_url(host: str) -> str:
    """What to reach a server by that listens on ``host``."""
    if host in _EVERYWHERE:
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
