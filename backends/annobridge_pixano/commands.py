"""The commands ``annobridge pixano up``, ``down`` and ``status``."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from . import install, server, uploads

app = typer.Typer(help="A Pixano server on this machine.", no_args_is_help=True, add_completion=False)


def default_folder() -> Path:
    """The default folder of the server's data, which does not depend on the working directory."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "annobridge" / "pixano"


Folder = Annotated[Path | None, typer.Option("--folder", help=f"The server's data; by default {default_folder()}.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


@app.command()
def up(
    folder: Folder = None,
    port: Annotated[int | None, typer.Option(help=f"By default {server.PORT}; 0 takes a free one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Start a Pixano server; the first time, install it in an environment of its own (about a minute)."""
    root = folder or default_folder()
    running = server.status(root)
    if running is None:
        first = "" if install.is_installed() else f" ({_installation_note()})"
        typer.echo(f"Starting Pixano{first} …", err=True)
        running = server.up(root, port)
        if left := uploads.session_folders(Path(running.root) / uploads.FOLDER):
            typer.echo(_interrupted_uploads_note(left), err=True)
    _print(running, as_json)


def _installation_note() -> str:
    duration = "about a minute" if install.has_uv() else f"some minutes; {install.FASTER}"
    return f"it is installed first: {duration}"


def _interrupted_uploads_note(left: Sequence[Path]) -> str:
    size = sum(f.stat().st_size for folder in left for f in folder.rglob("*") if f.is_file()) / (1 << 20)
    return (
        f"{len(left)} uploads that were cut off left {size:,.1f} MB in {left[0].parent}. Resuming or aborting their run removes "
        "them, and so does Pixano when it starts a day later."
    )


@app.command()
def down(folder: Folder = None, as_json: AsJson = False) -> None:
    """Stop the Pixano server."""
    root = folder or default_folder()
    stopped = server.down(root)
    what = f"The Pixano server of {root} is stopped." if stopped else f"No Pixano server runs on {root}."
    typer.echo(json.dumps({"stopped": stopped, "folder": str(root)}) if as_json else what)


@app.command()
def status(folder: Folder = None, as_json: AsJson = False) -> None:
    """Whether the Pixano server runs, and where."""
    running = server.status(folder or default_folder())
    if running is None and not as_json:
        typer.echo(f"No Pixano server runs on {folder or default_folder()}; `annobridge pixano up` starts one.")
    else:
        _print(running, as_json)


def _print(running: server.Running | None, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"running": running is not None, **(asdict(running) if running else {})}, indent=2))
    elif running:
        typer.echo(f"Pixano runs at {running.url}\n  data  {running.root}\n  log   {running.log}")
