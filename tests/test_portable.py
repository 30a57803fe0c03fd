"""Importing annobridge needs no module that only POSIX systems have."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import importlib, importlib.util, pkgutil, sys
extras = {"annobridge.executors.dask": "distributed", "annobridge.executors.ray": "ray"}
missing = {name for name, library in extras.items() if importlib.util.find_spec(library) is None}
for name in extras.keys() - missing:
    importlib.import_module(extras[name])  # whether the libraries of extras need POSIX is up to them
for name in ("fcntl", "pwd", "grp", "resource", "termios", "tty"):
    sys.modules[name] = None
import annobridge
for found in pkgutil.walk_packages(annobridge.__path__, "annobridge."):
    if not found.name.endswith("__main__") and found.name not in missing:
        importlib.import_module(found.name)
"""


def test_all_modules_import_without_posix() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
