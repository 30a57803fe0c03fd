"""A CVAT server to test against: stateful, with the mistakes of the real one.

It is known by what the real servers of 2.15 and 2.73 answered (`conversation`), and it is held to that by its tests.

    with CvatServer(version="2.73.0") as server:
        requests.get(f"{server.url}/api/users/self", headers={"Authorization": f"Token {server.token}"})
"""

from .double import PASSWORD, USERNAME, CvatServer
from .server import Record

__all__ = ["PASSWORD", "USERNAME", "CvatServer", "Record"]
