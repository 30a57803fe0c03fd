"""The command line: ``annobridge``. Each room of commands is a module; this is their table of contents."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer

from . import data, demo, doctor, exchange, merge, runs, settings, show
from .group import Root, ending_by_signals
from .options import located
from .wording import spoken

_COMMANDS: dict[str, dict[str, Callable[..., Any]]] = {
    "Start here": {"demo": demo.demo},
    "Datasets": {
        "datasets": data.datasets,
        "info": data.info,
        "import": exchange.import_,
        "export": exchange.export,
        "attach": exchange.attach,
        "doctor": doctor.doctor,
    },
    "Annotation": {
        "annotate": runs.annotate,
        "runs": runs.runs,
        "status": runs.status,
        "plan": merge.plan,
        "load": merge.load,
        "undo": merge.undo,
        "resume": runs.resume,
        "abort": runs.abort,
        "cleanup": runs.cleanup,
        "rename": runs.rename,
        "forget": runs.forget,
    },
    "Settings": {"backends": settings.backends, "config": settings.config, "login": settings.login},
}
EXAMPLES = {
    "demo": "annobridge demo --images photos",
    "datasets": "annobridge datasets data",
    "info": "annobridge info street.lancedb",
    "import": "annobridge import photos street.lancedb --tag night",
    "export": "annobridge export out street.lancedb --format fiftyone",
    "attach": "annobridge attach mine.lancedb --table images --labels boxes=predictions",
    "doctor": "annobridge doctor street.lancedb --repair",
    "annotate": "annobridge annotate round_1 street.lancedb --field objects --classes car,person "
    "--where \"split = 'train'\" --no-allow-deletions",
    "runs": "annobridge runs street.lancedb",
    "status": "annobridge status round_1 street.lancedb",
    "plan": "annobridge plan round_1 street.lancedb --action delete --class car",
    "load": "annobridge load round_1 street.lancedb --unexpected return",
    "undo": "annobridge undo round_1 street.lancedb",
    "resume": "annobridge resume round_1 street.lancedb",
    "abort": "annobridge abort round_1 street.lancedb",
    "cleanup": "annobridge cleanup round_1 street.lancedb --yes",
    "rename": "annobridge rename round_1 night_1 street.lancedb",
    "forget": "annobridge forget round_1 street.lancedb",
    "backends": "annobridge backends --json",
    "config": "annobridge config",
    "login": "annobridge login cvat --url https://cvat.example",
}

app = typer.Typer(
    cls=Root,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _panel, _commands in _COMMANDS.items():
    for _name, _command in _commands.items():
        app.command(_name, rich_help_panel=_panel, epilog=f"Example: {EXAMPLES[_name]}")(located(_command))


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"annobridge {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Send a LanceDB dataset to an annotation tool, and merge the work back: three-way, planned, atomic, undoable.

    Exit codes: 0 done, 1 an error, 2 changes are pending (plan), 64 wrong usage, 130 Ctrl-C, 143 SIGTERM.

    With --json, errors and warnings are lines of JSON too, on stderr: {"error": {"kind": …, "message": …}}.
    """


def main() -> None:
    """The program. What it prints must not fail on a terminal or pipe that lacks a character."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    warnings.showwarning = lambda message, category, *_, **__: show.warning(spoken(str(message)), category.__name__)
    with ending_by_signals():
        app(prog_name="annobridge")
