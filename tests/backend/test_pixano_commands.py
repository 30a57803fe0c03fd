"""What `annobridge pixano up` says, beside where the server is."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from annobridge.exceptions import Broken
from annobridge_pixano import commands, install, server, uploads


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a server that need not be started."""
    running = server.Running("http://127.0.0.1:1", 1, "1", str(tmp_path), str(tmp_path / server.LOG))
    monkeypatch.setattr(server, "up", lambda folder, port: running)
    monkeypatch.setenv("ANNOBRIDGE_PIXANO_ENV", str(tmp_path / "env"))
    return tmp_path


def up(root: Path) -> str:
    return CliRunner().invoke(commands.app, ["up", "--folder", str(root)]).stderr


def test_the_installation_is_announced_only_when_there_is_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert up(root) == "Starting Pixano (it is installed first: about a minute) …\n"
    home = Path(install.program(root / "env", "pixano"))
    home.parent.mkdir(parents=True)
    home.touch()
    metadata = (
        root / "env" / "lib" / "python3.11" / "site-packages" / f"pixano-{install.VERSION}.dist-info" / "METADATA"
    )
    metadata.parent.mkdir(parents=True)
    metadata.touch()
    assert up(root) == "Starting Pixano …\n"


def test_uploads_that_were_cut_off_are_named(root: Path) -> None:
    left = root / uploads.FOLDER / "abc" / "train"
    left.mkdir(parents=True)
    (left / "0.png").write_bytes(bytes(3 << 20))
    assert f"1 uploads that were cut off left 3.0 MB in {root / uploads.FOLDER}" in up(root)


def test_without_uv_the_extra_is_named_and_pip_installs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "has_uv", lambda: False)
    assert 'some minutes; with the extra "pixano" (pip install "annobridge[pixano]"), uv does it faster' in up(root)

    commands_run: list[list[str]] = []

    def pretend(command: list[str]) -> None:
        commands_run.append(command)
        Path(install.program(root / "env", "pixano")).touch()
        metadata = root / "env" / "Lib" / "site-packages" / f"pixano-{install.VERSION}.dist-info" / "METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.touch()

    monkeypatch.setattr(install, "_run", pretend)
    monkeypatch.setattr(
        install.venv, "create", lambda home, **_: Path(install.program(home, "x")).parent.mkdir(parents=True)
    )
    assert install.ensure_env() == root / "env"
    assert [c[1:4] for c in commands_run] == [["-m", "pip", "install"]]


def test_a_python_without_ensurepip_is_told_of_the_extra(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(home: Path, **_: object) -> None:
        raise OSError("no ensurepip")

    monkeypatch.setattr(install, "has_uv", lambda: False)
    monkeypatch.setattr(install.venv, "create", fail)
    with pytest.raises(Broken, match=r"no ensurepip.*annobridge\[pixano\]"):
        install.ensure_env()
