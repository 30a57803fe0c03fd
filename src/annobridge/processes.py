"""Processes of this machine by a name that no other process has, now or later."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def current_process() -> str:
    """The name of this process: host, start of the machine, process namespace, process number, start of the process."""
    return "|".join((socket.gethostname(), *_machine(), str(os.getpid()), start_time(os.getpid())))


def has_ended(owner_: str) -> bool:
    """Whether a process is known to have ended: only processes that this machine's ``/proc`` lists can be looked up."""
    host, boot, namespace, pid, start = owner_.split("|")
    if not start or (host, boot, namespace) != (socket.gethostname(), *_machine()):
        return False
    return start_time(int(pid)) != start


def _machine() -> tuple[str, str]:
    """The start of the machine and the process namespace, by which two containers of one host name differ."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return boot, os.readlink("/proc/self/ns/pid")
    except OSError:
        return "", ""


def start_time(pid: int) -> str:
    """When a process was started, in ticks; empty when it has ended (a zombie has) or cannot be looked up."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, ValueError):
        return ""
    return "" if state in ("Z", "X") else rest[18]
