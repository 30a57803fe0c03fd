"""The server for tests: start it, look at its state, and inject faults."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import TracebackType

from . import (
    accounts,
    annotating,
    exports,
    frames,
    issues,
    jobs,
    labels,
    organizations,
    projects,
    requests_api,
    tasks,
    upload,
    users,
)
from .faults import Fault
from .messages import Json
from .server import Record, Server
from .state import Job, Label, Organization, Project, State, Task, User
from .versions import Version

# Their routes are registered when they are imported.
HANDLERS = (
    accounts, annotating, exports, frames, issues, jobs, labels, organizations, projects, requests_api, tasks, upload,
    users,
)  # fmt: skip
USERNAME, PASSWORD = "admin", "admin-Pass-1234"


class CvatServer:
    """A server of its own, on a free port of this machine, with one superuser.

    It reports `version` and behaves like it: a change of the official change log is in force from its release on.
    `creation_delay` is how many seconds the media of a task are in the making after an upload.
    """

    def __init__(self, version: str = "2.73.0", *, creation_delay: float = 0.05, port: int = 0, seed: int = 0) -> None:
        self.state = State(Version(version), seed)
        self.state.limits.creation_delay = creation_delay
        self.admin = self.state.add_user(USERNAME, PASSWORD, is_superuser=True)
        self._server = Server(("127.0.0.1", port), self.state)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="cvat-double", daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> CvatServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all connections. Further calls do nothing."""
        if self._thread.is_alive():
            self._server.stop()
            self._thread.join()

    # Who may come in

    @property
    def token(self) -> str:
        """The superuser's key; a new one if the last was revoked."""
        return self.key_of(USERNAME)

    def key_of(self, name: str) -> str:
        """A user's key."""
        with self.state.lock:
            return self.state.key_of(self._user(name))

    def add_user(self, name: str, password: str) -> User:
        """Add an ordinary user, or set the password of an existing one."""
        with self.state.lock:
            user = self.state.user_named(name) or self.state.add_user(name, password)
            user.password = password
            return user

    def new_access_token(self, read_only: bool = False, *, user: str = USERNAME, expiry: str | None = None) -> str:
        """A personal access token (2.48 and later)."""
        with self.state.lock:
            return accounts.add_token(self.state, self._user(user), "test", read_only=read_only, expiry=expiry).value

    def revoke(self, token: str) -> None:
        """The token or key is unknown from now on, and its user's sessions are over."""
        with self.state.lock:
            known, state = self.state.access_tokens, self.state
            state.access_tokens = {number: made for number, made in known.items() if made.value != token}
            for user in [user for user in state.users.values() if user.key == token]:
                user.key = None
                state.sessions = {name: other for name, other in state.sessions.items() if other is not user}

    def add_organization(
        self, slug: str, owner: str = USERNAME, members: Iterable[str] | Mapping[str, str] = ()
    ) -> Organization:
        """An organization; members are workers where no role is given."""
        with self.state.lock:
            made = self.state.add_organization(slug, slug, self._user(owner))
            for name in members:
                role = members[name] if isinstance(members, Mapping) else "worker"
                self.state.join(made, self._user(name), role)
            return made

    def _user(self, name: str) -> User:
        user = self.state.user_named(name)
        if user is None:
            raise KeyError(name)
        return user

    # What is there, and what came

    @property
    def projects(self) -> dict[int, Project]:
        return self.state.projects

    @property
    def tasks(self) -> dict[int, Task]:
        return self.state.tasks

    @property
    def jobs(self) -> dict[int, Job]:
        return self.state.jobs

    @property
    def users(self) -> dict[int, User]:
        return self.state.users

    @property
    def organizations(self) -> dict[int, Organization]:
        return self.state.organizations

    @property
    def share(self) -> dict[str, bytes]:
        """The files of the server's own disk, by path."""
        return self.state.share

    def labels_of(self, task: int) -> dict[str, Label]:
        """A task's labels by name."""
        return {label.name: label for label in self.tasks[task].labels}

    def annotations_of(self, task: int, kind: str = "shapes") -> list[Json]:
        """What is stored in all jobs of a task."""
        return [item for job in self.tasks[task].jobs for item in job.annotations[kind].values()]

    @property
    def requests(self) -> list[Record]:
        """The calls so far, in the order of their answers."""
        return self._server.records

    @property
    def slips(self) -> list[str]:
        """Tracebacks of handlers that crashed on what a client sent, which got a plain 500."""
        return self.state.slips

    # Its ways

    @property
    def creation_delay(self) -> float:
        """Seconds from an upload to its frames."""
        return self.state.limits.creation_delay

    @creation_delay.setter
    def creation_delay(self, seconds: float) -> None:
        self.state.limits.creation_delay = seconds

    def throttle(self, calls: int | None, period: float = 60.0) -> None:
        """The number of anonymous calls that are allowed in a number of seconds; with None, all."""
        self.state.limits.anonymous_calls, self.state.limits.anonymous_period = calls, period

    def advance(self, seconds: float) -> None:
        """Advance the clock: work is done, results and tokens expire."""
        with self.state.lock:
            self.state.shift += timedelta(seconds=seconds)

    def call_itself(self, url: str | None) -> None:
        """The address in the URLs of all bodies, as behind a proxy; with None, the one that was called."""
        self._server.public_url = url

    # What goes wrong

    def fail_next(
        self,
        method: str,
        path_regex: str,
        status: int | None = None,
        body: Json = None,
        headers: Mapping[str, str] | None = None,
        times: int = 1,
        drop: bool = False,
        delay: float = 0,
        cut: int | None = None,
    ) -> None:
        """The next call of that method (`*`: any) whose path (with /api) matches is answered so, and not handled.

        A body of text or bytes is sent as HTML, any other as JSON. With `drop` the call is handled and its answer is
        lost; with `cut` only so many bytes of the answer's body come. With nothing else it is only late.
        """
        fault = Fault(method, re.compile(path_regex), status, body, headers or {}, times, drop, delay, cut)
        self._server.faults.add(fault)

    def clear_faults(self) -> None:
        """Remove all planned faults."""
        self._server.faults.clear()
