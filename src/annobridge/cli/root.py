"""The root command: finds commands, those of plug-ins included, and turns exceptions into messages and exit codes.

A plug-in adds commands by an entry point of the group ``annobridge.commands`` that names a ``typer.Typer``; it is
imported only when one of its commands is called, so that ``annobridge --help`` is fast whatever is installed.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from itertools import zip_longest
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ..entry_points import entry_points
from ..exceptions import AnnobridgeError, ConfigError
from . import show, wording
from .options import ALL_CHECKS

GROUP = "annobridge.commands"
USAGE = 64  # as sysexits.h has it
PENDING = 2  # changes are pending, or two versions differ
INTERRUPTED = 130  # by Ctrl-C
_M_ARENA_MAX = -8  # of malloc.h
CHECK_FAILED = 3  # a check of a plan found an error
_UsageError: Any = typer.BadParameter.__mro__[1]  # typer has no name for it


class Root(TyperGroup):
    """The group of all commands. Exit codes: 0 done, 1 an error, 2 changes are pending or two versions differ, 3 a check failed,
    64 wrong usage, 130 Ctrl-C.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """The built-in commands in the order of their table, then those of plug-ins."""
        return [*super().list_commands(ctx), *sorted({e.name for e in entry_points(GROUP)} - set(self.commands))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A built-in command, or a placeholder for the commands of a plug-in."""
        built_in = super().get_command(ctx, cmd_name)
        return built_in or next((Plugin(e) for e in entry_points(GROUP) if e.name == cmd_name), None)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command to run; from here on messages name its options."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            wording.CURRENT_OPTIONS.set({option for p in command.params for option in (*p.opts, *p.secondary_opts)})
            if any("--check" in p.opts and not getattr(p, "is_flag", False) for p in command.params):
                rest = _with_values(rest)
        return name, command, rest

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Accept ``--debug`` anywhere, and find ``--json`` before parsing: usage errors are printed as JSON too."""
        show.JSON_REQUESTED.set("--json" in args)
        rest = [a for a in args if a != "--debug"]
        with _errors_as_exit_codes(debug=False):
            return super().make_context(
                info_name, rest if len(rest) == len(args) else ["--debug", *rest], parent, **extra
            )

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an ``AnnobridgeError`` is printed as one sentence."""
        token = wording.CURRENT_OPTIONS.set(())
        try:
            with _errors_as_exit_codes(debug=bool(ctx.params.get("debug"))):
                return super().invoke(ctx)
        finally:
            wording.CURRENT_OPTIONS.reset(token)


def share_arenas() -> None:
    """Let the threads of this process share two arenas of the allocator of the system (glibc).

    Each thread has one of its own otherwise, which keeps what was freed there: some 150 MiB for those of Lance. A library does not
    do this to its host, where ``MALLOC_ARENA_MAX=2`` in the environment has the same effect.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 2)


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into ``SystemExit`` (codes 143 and 129) within the block, so that temporary files are removed.

    A signal that the parent process has set to be ignored, as nohup does, stays ignored.
    """

    def end(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # a second signal must not interrupt the removal of files
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, end) for number in numbers if signal.getsignal(number) is signal.SIG_DFL}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is end:
                signal.signal(number, handler)


def _with_values(args: Sequence[str]) -> list[str]:
    """The arguments, where ``--check`` without a value means all checks: typer has no options whose value may be left out.

    For commands whose ``--check`` has a value.
    """
    return [
        f"{arg}={ALL_CHECKS}" if arg == "--check" and after.startswith("-") else arg
        for arg, after in zip_longest(args, args[1:], fillvalue="-")
    ]


@contextmanager
def _errors_as_exit_codes(debug: bool) -> Iterator[None]:
    try:
        yield
    except AnnobridgeError as error:
        if debug:
            raise
        show.error(wording.to_cli(str(error)), type(error).__name__)
        raise typer.Exit(1) from None
    except _UsageError as error:
        error.exit_code = USAGE
        if not show.JSON_REQUESTED.get():
            raise  # shown by typer, with the usage of the command
        show.error(error.format_message(), "UsageError")
        raise typer.Exit(USAGE) from None
    except KeyboardInterrupt:
        show.error("Interrupted. What was begun can be repeated, or finished with annobridge resume.", "Interrupted")
        raise typer.Exit(INTERRUPTED) from None


class Plugin(TyperCommand):
    """A placeholder for the commands of a plug-in, which is not imported for the help."""

    def __init__(self, entry_point: EntryPoint) -> None:
        package = entry_point.module.partition(".")[0]
        super().__init__(name=entry_point.name, help=f"The commands of {package}.", rich_help_panel="Tools")
        self._entry_point = entry_point

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Called when one of its commands runs: imports the plug-in, and hands over to it."""
        try:
            command = typer.main.get_command(self._entry_point.load())
        except Exception as error:
            raise ConfigError(
                f"The commands of {self._entry_point.name!r} ({self._entry_point.value}) cannot be loaded: {error}. "
                "Mend or uninstall that plug-in."
            ) from error
        return command.make_context(info_name, args, parent=parent, **extra)
