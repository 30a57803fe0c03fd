"""Run a double by hand: `python -m tests.doubles.cvat --version 2.15.0 --port 8080`."""

from __future__ import annotations

import argparse
import threading

from . import PASSWORD, USERNAME, CvatServer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", default="2.73.0")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    with CvatServer(arguments.version, port=arguments.port) as server:
        print(f"{server.url} {USERNAME} {PASSWORD} {server.token}", flush=True)  # noqa: T201
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
