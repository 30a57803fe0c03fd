"""The environment that Pixano is installed in: one for all runs, apart from ours."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from annobridge.exceptions import Broken

from .api import VERSION


def env_path() -> Path:
    """Where Pixano is installed, for all runs: ``ANNOBRIDGE_PIXANO_ENV``, or in the user's cache."""
    if given := os.environ.get("ANNOBRIDGE_PIXANO_ENV"):
        return Path(given).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "annobridge" / f"pixano-{VERSION}"


def ensure_env(env: Path | None = None) -> Path:
    """An environment with Pixano in it; installs it when it is not there yet."""
    home = (env or env_path()).absolute()
    if _installed(home) == VERSION:
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with _alone(home):
        if _installed(home) != VERSION:  # or another process has just made it
            _install(home)
    return home


def is_installed() -> bool:
    """Whether Pixano is where ``ensure_env`` puts it by default."""
    return _installed(env_path().absolute()) == VERSION


def _install(home: Path) -> None:
    if home.exists() and not (home / "pyvenv.cfg").exists() and any(home.iterdir()):
        raise Broken(
            f"pixano: {home} is not empty and is no virtual environment; set ANNOBRIDGE_PIXANO_ENV to another path."
        )
    mark = _mark(home)
    mark.touch()
    package = f"pixano=={VERSION}"
    if importlib.util.find_spec("uv"):
        _run([sys.executable, "-m", "uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(home)])
        _run([sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", program(home, "python"), package])
    else:
        venv.create(home, clear=True, with_pip=True)
        _run([program(home, "python"), "-m", "pip", "install", "--quiet", package])
    mark.unlink()
    if _installed(home) != VERSION:
        raise Broken(f"pixano: {package} could not be installed in {home}; remove that folder and try again.")


def _mark(home: Path) -> Path:
    """It lies beside an environment that is being made: one that was cut off is made anew, not trusted."""
    return home.with_name(f".{home.name}.installing")


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One process at a time. Where the system has no such lock, two may install at once, and the last one counts."""
    with home.with_name(f".{home.name}.lock").open("w") as lock:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _installed(home: Path) -> str | None:
    """The version of Pixano there, asked of its metadata: its own program may crash at exit, its work done."""
    patterns = ("lib/python*/site-packages", "Lib/site-packages")
    found = [p for pattern in patterns for p in home.glob(f"{pattern}/pixano-*.dist-info/METADATA")]
    if _mark(home).exists() or not found or not Path(program(home, "pixano")).exists():
        return None
    return found[0].parent.name.removeprefix("pixano-").removesuffix(".dist-info")


def program(home: Path, name: str) -> str:
    """The path of one of its programs."""
    return str(home / ("Scripts" if os.name == "nt" else "bin") / name) + (".exe" if os.name == "nt" else "")


def _run(command: list[str], timeout: float = 1200.0) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=environ())  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise Broken(
            f"pixano: the installation took longer than {timeout:g} s; is the package index reachable?"
        ) from error
    if done.returncode:
        raise Broken(f"pixano: its installation failed: {tail(done.stderr)}. Is the package index reachable?")


def environ() -> dict[str, str]:
    """Our environment, less what would lead the other Python to our packages."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}


def tail(text: str) -> str:
    """The end of a program's output, on one line."""
    return " ".join(text.split())[-300:]
