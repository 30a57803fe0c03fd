"""Names for processes that no other process ever has, whether the process of a name has ended, and the user of this one.

Only Linux tells enough (``/proc``). On other systems, and for processes of other machines or containers, no process is ever known
to have ended, and what it left is freed when its lease expires.
"""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path


def user_name() -> str:
    """The user of this process; empty if it has no name, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def current_process() -> str:
    """The name of this process: host, boot id, process namespace, process id and start time, separated by ``|``."""
    return "|".join((socket.gethostname(), *_machine(), str(os.getpid()), start_time(os.getpid())))


def has_ended(process: str) -> bool:
    """Whether a process, given by name, is known to have ended."""
    host, boot, namespace, pid, start = process.split("|")
    if not start or (host, boot, namespace) != (socket.gethostname(), *_machine()):
        return False
    return start_time(int(pid)) != start


def _machine() -> tuple[str, str]:
    """The boot id and the process namespace, which differ for containers of one host name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return boot, os.readlink("/proc/self/ns/pid")
    except OSError:
        return "", ""


def start_time(pid: int) -> str:
    """When a process was started, in clock ticks since boot; empty if it has ended (also a zombie), or is not known."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, ValueError):
        return ""
    return "" if state in ("Z", "X") else rest[18]
