"""The root of the commands: plug-ins' commands beside ours, and one place where errors become exit codes.

A plug-in adds commands by an entry point of the group ``annobridge.commands`` that names a ``typer.Typer``; it is
imported when one of its commands is called, so ``annobridge --help`` stays quick whatever is installed.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ..exceptions import (
    AnnobridgeError,
    ConfigError,
    Conflict,
    RunExists,
    RunIncomplete,
    TooManyDeletions,
    UnexpectedLabels,
)
from . import show
from .options import UNEXPECTED

GROUP = "annobridge.commands"
_HERE = {  # errors speak Python; this is how their cure is spelled here
    UnexpectedLabels: UNEXPECTED,
    Conflict: "annobridge plan lists them; --conflicts theirs | ours",
    TooManyDeletions: "--force",
    RunIncomplete: "annobridge resume | abort",
    RunExists: "annobridge resume | abort | forget | rename",
}


class Root(TyperGroup):
    """All commands. Exit codes: 0 done, 1 an error of annobridge, 2 usage (or changes pending), 130 Ctrl-C."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Ours in our order, then those of plug-ins."""
        return [*super().list_commands(ctx), *sorted({e.name for e in entry_points(group=GROUP)} - set(self.commands))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command of ours, or a plug-in's that is imported only to be run."""
        ours = super().get_command(ctx, cmd_name)
        return ours or next((Plugin(e) for e in entry_points(group=GROUP, name=cmd_name)), None)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """``--debug`` may stand anywhere."""
        rest = [a for a in args if a != "--debug"]
        return super().parse_args(ctx, rest if len(rest) == len(args) else ["--debug", *rest])

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an expected error becomes one sentence."""
        try:
            return super().invoke(ctx)
        except AnnobridgeError as error:
            if ctx.params.get("debug"):
                raise
            show.error(str(error))
            if hint := _HERE.get(type(error)):
                show.note(f"On the command line: {hint}")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            show.error("Interrupted.")
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
