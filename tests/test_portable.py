"""Importing annobridge needs no module that only POSIX systems have."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import importlib, pkgutil, sys
for name in ("fcntl", "pwd", "grp", "resource", "termios", "tty"):
    sys.modules[name] = None
import annobridge
for found in pkgutil.walk_packages(annobridge.__path__, "annobridge."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
"""


def test_all_modules_import_without_posix() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
