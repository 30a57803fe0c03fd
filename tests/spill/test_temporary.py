"""Temporary folders, and those that killed processes left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from annobridge import processes
from annobridge.spill import temporary


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def killed(place: Path) -> Path:
    """The folder of a process that was killed."""
    code = (
        "import os, signal\n"
        "from annobridge.spill import temporary\n"
        "print(temporary.make(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    env = {**os.environ, "TMPDIR": str(place)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == -signal.SIGKILL
    return Path(done.stdout.strip())


def test_a_folder_goes_with_its_block(place: Path) -> None:
    with temporary.folder() as folder:
        (folder / "labels").write_text("x")
    with pytest.raises(ZeroDivisionError), temporary.folder() as folder:
        raise ZeroDivisionError
    assert list(place.iterdir()) == []


def test_what_a_killed_process_left_is_cleared(place: Path) -> None:
    left = killed(place)
    (left / "labels").write_text("x")
    assert killed(place) != left  # which clears the first
    assert not left.exists()
    assert temporary.clear() == 1
    assert list(place.iterdir()) == []


def test_nothing_else_is_touched(place: Path) -> None:
    with temporary.folder() as mine:
        for name, owner in (
            ("annobridge-other", None),
            ("annobridge-bad", "x|y"),
            ("mine", processes.current_process()),
        ):
            (place / name).mkdir()
            if owner is not None:
                (place / name / ".owner").write_text(owner)
        machine = processes.current_process().split("|")
        machine[0] = "another-machine"
        (place / "annobridge-far").mkdir()
        (place / "annobridge-far" / ".owner").write_text("|".join(machine))
        assert temporary.clear() == 0
        assert mine.is_dir()
        assert len(list(place.iterdir())) == 5
