"""A local Pixano server: installed in its own virtual environment, started and stopped.

    running = up(Path("pixano"))      # installs Pixano once (about a minute, 1.1 GB), then starts it (some 5 seconds)
    down(Path("pixano"))

Pixano pins a version of LanceDB, so it cannot share the environment of annobridge. It has no passwords, so it listens on
the loopback interface only.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from annobridge.backend.http import Http
from annobridge.exceptions import BackendError, Broken, Unreachable

from .api import Api
from .install import ensure_env, program, subprocess_env, tail

HOST = "127.0.0.1"
PORT = 7492
STATE = "annobridge-server.json"
LOG = "annobridge-server.log"


@dataclass(frozen=True, slots=True)
class Running:
    """A server that was started. ``started`` is the start time of its process, as a process id may be used again."""

    url: str
    pid: int
    started: str
    root: str
    log: str


def up(root: Path, port: int | None = None, *, env: Path | None = None, deadline: float = 120.0) -> Running:
    """Start a server, or return the one that runs already.

    Args:
        root: the folder of its data; made if missing.
        port: its port; 0 for any free one.
        env: the environment that Pixano is installed in.
        deadline: seconds that it may take to start.

    Raises:
        Unreachable: the port is in use.
        Broken: Pixano could not be installed, or the server did not start in time.
    """
    root = root.expanduser().resolve()
    if running := status(root):
        return running
    number = _free_port() if port == 0 else port or PORT
    _require_free(number)
    home = ensure_env(env)
    root.mkdir(parents=True, exist_ok=True)
    _init(home, root)
    log = root / LOG
    with log.open("wb") as out:
        command = [program(home, "pixano"), "server", "run", str(root), "--host", HOST, "--port", str(number)]
        process = subprocess.Popen(  # noqa: S603 - a program that was installed by this package
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            cwd=root,
            env=subprocess_env(),
        )
    started = _started(process.pid) or ""
    running = Running(f"http://{HOST}:{number}", process.pid, started, str(root), str(log))
    (root / STATE).write_text(json.dumps(asdict(running), indent=2), "utf-8")
    try:
        _wait(running, process, deadline)
    except BaseException:
        down(root)
        raise
    return running


def status(root: Path) -> Running | None:
    """The server that was started on this folder, if it still runs."""
    try:
        running = Running(**json.loads((root.expanduser().resolve() / STATE).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return running if running.started and _started(running.pid) == running.started else None


def down(root: Path, *, deadline: float = 15.0) -> bool:
    """Stop the server that was started on this folder; returns whether there was one. No other process is signalled."""
    running = status(root)
    if running:
        _signal(running.pid, signal.SIGTERM)
        if not _ended(running, deadline):
            _signal(running.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            _ended(running, deadline)
    (root.expanduser().resolve() / STATE).unlink(missing_ok=True)
    return running is not None


# --- the process ----------------------------------------------------------------------------------------------------


def _init(home: Path, root: Path) -> None:
    """Make the folders. The exit status of Pixano's program means nothing, so the result is checked."""
    if not (root / "library").is_dir():
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(  # noqa: S603
                [program(home, "pixano"), "init", str(root)],
                capture_output=True,
                timeout=120,
                check=False,
                env=subprocess_env(),
            )
    if not (root / "library").is_dir():
        raise Broken(f"pixano: `pixano init` made no library in {root}; is the folder writable?")


def _wait(running: Running, process: subprocess.Popen[bytes], deadline: float) -> None:
    due = time.monotonic() + deadline
    http = Http(running.url, backend="pixano", timeout=5.0, deadline=5.0)
    try:
        while time.monotonic() < due:
            if process.poll() is not None:
                raise Broken(
                    f"pixano: the server ended at once: {tail(Path(running.log).read_text('utf-8', 'replace'))}"
                )
            with socket.socket() as probe:  # a call would be retried, which takes longer
                listening = probe.connect_ex((HOST, int(running.url.rpartition(":")[2]))) == 0
            if listening:
                with suppress(BackendError):
                    http.get("/health")
                    Api(http).check()
                    return
            time.sleep(0.1)
    finally:
        http.close()
        process.returncode = process.returncode or 0  # it runs on; without a code, Popen warns when it is collected
    raise Broken(f"pixano: the server did not answer within {deadline:g} s; its log is {running.log}.")


def _started(pid: int) -> str | None:
    """When a process started, in the form that the system has for it; ``None`` if there is no such process."""
    try:
        # Field 2 is a name in parentheses that may have spaces; after it, field 3 (state) is the first and 22 (start) the 20th.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    except (OSError, IndexError):
        pass
    if Path("/proc/self/stat").exists() or not shutil.which("ps"):
        return None
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout.strip() or None


def _ended(running: Running, deadline: float) -> bool:
    due = time.monotonic() + deadline
    while time.monotonic() < due:
        with suppress(ChildProcessError, AttributeError):
            os.waitpid(running.pid, os.WNOHANG)  # a child of this process would stay as a zombie
        if _started(running.pid) != running.started:
            return True
        time.sleep(0.05)
    return False


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise Unreachable(
                f"pixano: port {port} is in use by another program; give another one (0 takes a free one)."
            )
