"""The command line, ``annobridge``.

| module of ``commands`` | commands |
|---|---|
| ``demo`` | demo |
| ``datasets`` | datasets, info, protect, doctor |
| ``import_export`` | import, export, attach |
| ``media`` | media |
| ``annotate`` | annotate |
| ``extend``, ``push``, ``adopt``, ``reviewed``, ``watch`` | the command of that name |
| ``load`` | plan, load, undo |
| ``answers`` | compare, quality, merge, load-answers |
| ``review`` | review |
| ``send_back`` | send-back |
| ``history`` | snapshot, diff, history, optimize |
| ``runs`` | runs, status, resume, abort, cleanup, rename, forget |
| ``settings`` | backends, config, login |

A new command is a function in one of these modules and a line in ``COMMANDS``. What commands share: ``options`` (their options),
``show`` (printing), ``changes`` (the changes of a plan as text), ``wording`` (Python calls in messages become commands), and
``root`` (errors become exit codes; the commands of plug-ins).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer

from . import show
from .commands import (
    adopt,
    annotate,
    answers,
    datasets,
    demo,
    extend,
    history,
    import_export,
    load,
    media,
    push,
    review,
    reviewed,
    runs,
    send_back,
    settings,
    watch,
)
from .option_groups import with_option_groups
from .options import with_dataset_argument
from .root import Root, exit_on_signals, share_arenas
from .wording import to_cli

# Section of the help → name → (function, example)
COMMANDS: dict[str, dict[str, tuple[Callable[..., Any], str]]] = {
    "Start here": {"demo": (demo.demo, "annobridge demo --images photos")},
    "Datasets": {
        "datasets": (datasets.datasets, "annobridge datasets data"),
        "info": (datasets.info, "annobridge info street.lancedb"),
        "import": (import_export.import_, "annobridge import photos street.lancedb --tag night"),
        "export": (import_export.export, "annobridge export out street.lancedb --format fiftyone"),
        "attach": (
            import_export.attach,
            "annobridge attach mine.lancedb --table images --labels boxes=predictions",
        ),
        "protect": (datasets.protect, "annobridge protect street.lancedb --field 'ground_truth*'"),
        "media": (media.media, "annobridge media street.lancedb --repoint /mnt/old=/mnt/new"),
        "doctor": (datasets.doctor, "annobridge doctor street.lancedb --repair"),
        "optimize": (history.optimize, "annobridge optimize street.lancedb --cleanup-older-than 14d"),
    },
    "Versions": {
        "snapshot": (history.snapshot, "annobridge snapshot v1 street.lancedb --note 'before the second round'"),
        "diff": (history.diff, "annobridge diff v1 now street.lancedb"),
        "history": (history.history, "annobridge history 0b54d1f6-6f3c-4b0e-9d0c-1d9c2f2a7f3e street.lancedb"),
    },
    "Annotation": {
        "annotate": (
            annotate.annotate,
            "annobridge annotate round_1 street.lancedb --field objects --classes car,person "
            "--where \"split = 'train'\" --no-allow-deletions",
        ),
        "extend": (extend.extend, "annobridge extend round_1 street.lancedb --tag night"),
        "adopt": (adopt.adopt, "annobridge adopt by_hand street.lancedb --backend cvat --task 12 --task 13"),
        "runs": (runs.runs, "annobridge runs street.lancedb"),
        "status": (runs.status, "annobridge status round_1 street.lancedb"),
        "watch": (watch.watch, "annobridge watch round_1 street.lancedb --load --until done"),
        "reviewed": (reviewed.reviewed, "annobridge reviewed round_1 street.lancedb"),
        "plan": (load.plan, "annobridge plan round_1 street.lancedb --action delete --class car"),
        "review": (review.review, "annobridge review round_1 street.lancedb"),
        "load": (load.load, "annobridge load round_1 street.lancedb --unexpected return"),
        "undo": (load.undo, "annobridge undo round_1 street.lancedb"),
        "push": (push.push, "annobridge push round_1 street.lancedb --plan"),
        "send-back": (send_back.send_back, "annobridge send-back round_1 street.lancedb --decisions decisions.jsonl"),
        "resume": (runs.resume, "annobridge resume round_1 street.lancedb"),
        "abort": (runs.abort, "annobridge abort round_1 street.lancedb"),
        "cleanup": (runs.cleanup, "annobridge cleanup round_1 street.lancedb --yes"),
        "rename": (runs.rename, "annobridge rename round_1 night_1 street.lancedb"),
        "forget": (runs.forget, "annobridge forget round_1 street.lancedb"),
    },
    "Several annotators": {
        "load-answers": (answers.load_answers, "annobridge load-answers round_1 street.lancedb"),
        "compare": (answers.compare, "annobridge compare objects_alice objects_bob street.lancedb"),
        "merge": (answers.merge, "annobridge merge objects_alice objects_bob street.lancedb --into truth"),
        "quality": (answers.quality, "annobridge quality objects_alice objects_bob street.lancedb --truth truth"),
    },
    "Settings": {
        "backends": (settings.backends, "annobridge backends --json"),
        "config": (settings.config, "annobridge config"),
        "login": (settings.login, "annobridge login cvat --url https://cvat.example"),
    },
}

app = typer.Typer(
    cls=Root,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _section, _commands in COMMANDS.items():
    for _name, (_function, _example) in _commands.items():
        app.command(_name, rich_help_panel=_section, epilog=f"Example: {_example}")(
            with_dataset_argument(with_option_groups(_function))
        )


def _print_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"annobridge {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Send a LanceDB dataset to an annotation tool, and merge the work back: three-way, planned, atomic, undoable.

    Exit codes: 0 done, 1 an error, 2 changes are pending (plan, push --plan, watch) or two versions differ (diff), 3 a check
    found an error (plan --check), 64 wrong usage, 130 Ctrl-C, 143 SIGTERM.

    With --json, errors and warnings are lines of JSON too, on stderr: {"error": {"kind": …, "message": …}}.
    """


def main() -> None:
    """Run the program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal or pipe may lack characters that are printed
    warnings.showwarning = lambda message, category, *_, **__: show.warning(to_cli(str(message)), category.__name__)
    share_arenas()
    with exit_on_signals():
        app(prog_name="annobridge")
