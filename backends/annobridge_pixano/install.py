"""The virtual environment that Pixano is installed in: one for all servers, apart from the environment of annobridge."""

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

FASTER = 'with the extra "pixano" (pip install "annobridge[pixano]"), uv does it faster'


def env_path() -> Path:
    """The path of the environment: ``ANNOBRIDGE_PIXANO_ENV``, or in the user's cache."""
    if given := os.environ.get("ANNOBRIDGE_PIXANO_ENV"):
        return Path(given).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "annobridge" / f"pixano-{VERSION}"


def ensure_env(env: Path | None = None) -> Path:
    """The absolute path of an environment with Pixano, which is installed if it is missing.

    Args:
        env: the path; by default ``env_path()``.

    Raises:
        Broken: Pixano cannot be installed there.
    """
    home = (env or env_path()).absolute()
    if _installed_version(home) == VERSION:
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with _locked(home):
        if _installed_version(home) != VERSION:  # or another process has installed it meanwhile
            _install(home)
    return home


def is_installed() -> bool:
    """Whether Pixano is at ``env_path()``."""
    return _installed_version(env_path().absolute()) == VERSION


def has_uv() -> bool:
    """Whether uv can be used for the installation; without it, venv and pip are."""
    return importlib.util.find_spec("uv") is not None


def _install(home: Path) -> None:
    if home.exists() and not (home / "pyvenv.cfg").exists() and any(home.iterdir()):
        raise Broken(
            f"pixano: {home} is not empty and is no virtual environment; set ANNOBRIDGE_PIXANO_ENV to another path."
        )
    marker = _unfinished_marker(home)
    marker.touch()
    package = f"pixano=={VERSION}"
    if has_uv():
        _run([sys.executable, "-m", "uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(home)])
        _run([sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", program(home, "python"), package])
    else:
        _create_venv(home)
        _run([program(home, "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package])
    marker.unlink()
    if _installed_version(home) != VERSION:
        raise Broken(f"pixano: {package} could not be installed in {home}; remove that folder and try again.")


def _create_venv(home: Path) -> None:
    try:
        venv.create(home, clear=True, with_pip=True)
    except (subprocess.CalledProcessError, OSError) as error:  # some systems package Python without ensurepip
        raise Broken(
            f"pixano: no virtual environment can be made in {home} ({error}); "
            'install uv, by the extra "pixano": pip install "annobridge[pixano]".'
        ) from error


def _unfinished_marker(home: Path) -> Path:
    """A file beside an environment that is being installed. If it is found later, the installation was interrupted."""
    return home.with_name(f".{home.name}.installing")


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Let one process at a time install. Windows has no such lock: there, two may, and the last one wins."""
    with home.with_name(f".{home.name}.lock").open("w") as lock:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _installed_version(home: Path) -> str | None:
    """The version of Pixano there, from its metadata; its own program may crash when it is asked."""
    patterns = ("lib/python*/site-packages", "Lib/site-packages")
    found = [p for pattern in patterns for p in home.glob(f"{pattern}/pixano-*.dist-info/METADATA")]
    if _unfinished_marker(home).exists() or not found or not Path(program(home, "pixano")).exists():
        return None
    return found[0].parent.name.removeprefix("pixano-").removesuffix(".dist-info")


def program(home: Path, name: str) -> str:
    """The path of a program in an environment."""
    return str(home / ("Scripts" if os.name == "nt" else "bin") / name) + (".exe" if os.name == "nt" else "")


def _run(command: list[str], timeout: float = 1200.0) -> None:
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=timeout, check=False, env=subprocess_env()
        )
    except subprocess.TimeoutExpired as error:
        hint = "" if has_uv() else f" {FASTER[0].upper()}{FASTER[1:]}."
        raise Broken(
            f"pixano: the installation took longer than {timeout:g} s; is the package index reachable?{hint}"
        ) from error
    if done.returncode:
        raise Broken(f"pixano: its installation failed: {tail(done.stderr)}. Is the package index reachable?")


def subprocess_env() -> dict[str, str]:
    """The environment variables, without those that make another Python import the packages of this one."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}


def tail(text: str) -> str:
    """The end of a program's output, on one line."""
    return " ".join(text.split())[-300:]
