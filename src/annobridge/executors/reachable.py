"""Whether a server is at an address. Engines may wait long, or for ever, for one that is not there."""

from __future__ import annotations

import re
import socket

_HOST_AND_PORT = re.compile(r"(?:[\w+]+://)?\[?([^/\s\]@]+?)\]?:(\d+)/?")


def listens(address: str, seconds: float, speaks_first: bool = False) -> bool:
    """Whether something listens at ``HOST:PORT``, with or without a scheme. An address of another form is taken as it is.

    Args:
        address: where.
        seconds: how long to wait.
        speaks_first: whether it sends something when it is connected to.
    """
    found = _HOST_AND_PORT.fullmatch(address)
    if found is None:
        return True
    try:
        with socket.create_connection((found[1], int(found[2])), seconds) as connection:
            return not speaks_first or bool(connection.recv(1))
    except (OSError, OverflowError):
        return False
