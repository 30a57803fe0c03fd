"""The root of the commands: plug-ins' commands beside ours, and one place where errors become exit codes.

A plug-in adds commands by an entry point of the group ``annobridge.commands`` that names a ``typer.Typer``; it is
imported when one of its commands is called, so ``annobridge --help`` stays quick whatever is installed.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ..core.entry_points import entry_points
from ..exceptions import AnnobridgeError, ConfigError
from . import show, wording

GROUP = "annobridge.commands"
USAGE = 64  # as sysexits.h has it; 2 says that changes are pending
_UsageError: Any = typer.BadParameter.__mro__[1]  # typer has no name for it


class Root(TyperGroup):
    """All commands. Exit codes: 0 done, 1 an error of annobridge, 2 changes are pending, 64 wrong usage, 130 Ctrl-C."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Ours in our order, then those of plug-ins."""
        return [*super().list_commands(ctx), *sorted({e.name for e in entry_points(GROUP)} - set(self.commands))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command of ours, or a plug-in's that is imported only to be run."""
        ours = super().get_command(ctx, cmd_name)
        return ours or next((Plugin(e) for e in entry_points(GROUP) if e.name == cmd_name), None)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is to run: messages are worded for its options."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            wording.HERE.set({option for p in command.params for option in (*p.opts, *p.secondary_opts)})
        return name, command, rest

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """``--debug`` may stand anywhere; ``--json`` is for errors too, also for those of the command line itself."""
        show.MACHINE.set("--json" in args)
        rest = [a for a in args if a != "--debug"]
        with _errors_as_exit_codes(debug=False):
            return super().make_context(
                info_name, rest if len(rest) == len(args) else ["--debug", *rest], parent, **extra
            )

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an expected error becomes one sentence."""
        outside = wording.HERE.set(())
        try:
            with _errors_as_exit_codes(debug=bool(ctx.params.get("debug"))):
                return super().invoke(ctx)
        finally:
            wording.HERE.reset(outside)


@contextmanager
def ending_by_signals() -> Iterator[None]:
    """SIGTERM, and the end of the terminal, end the block as an exit does, so that no temporary files stay; exit code 143
    (129). A signal that the parent process has switched off, as nohup does, stays off.
    """

    def end(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough: what is being removed is removed to the end
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, end) for number in numbers if signal.getsignal(number) is signal.SIG_DFL}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is end:
                signal.signal(number, handler)


@contextmanager
def _errors_as_exit_codes(debug: bool) -> Iterator[None]:
    try:
        yield
    except AnnobridgeError as error:
        if debug:
            raise
        show.error(wording.spoken(str(error)), type(error).__name__)
        raise typer.Exit(1) from None
    except _UsageError as error:
        error.exit_code = USAGE
        if not show.MACHINE.get():
            raise  # shown by typer, with the usage of the command
        show.error(error.format_message(), "UsageError")
        raise typer.Exit(USAGE) from None
    except KeyboardInterrupt:
        show.error("Interrupted.", "Interrupted")
        raise typer.Exit(130) from None


class Plugin(TyperCommand):
    """A plug-in's group of commands, not imported yet."""

    def __init__(self, entry: EntryPoint) -> None:
        package = entry.module.partition(".")[0]
        super().__init__(name=entry.name, help=f"The commands of {package}.", rich_help_panel="Tools")
        self._entry = entry

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Called when one of its commands is to run: the real group takes over."""
        try:
            command = typer.main.get_command(self._entry.load())
        except Exception as error:
            raise ConfigError(
                f"The commands of {self._entry.name!r} ({self._entry.value}) cannot be loaded: {error}. "
                "Mend or uninstall that plug-in."
            ) from error
        return command.make_context(info_name, args, parent=parent, **extra)
