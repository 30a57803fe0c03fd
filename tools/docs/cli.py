"""The reference of the command line, from the typer application."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from annobridge.cli import COMMANDS, app
from annobridge.cli.root import GROUP
from annobridge.entry_points import entry_points


def markdown() -> str:
    """A section for each command: what it does, its arguments and options, and an example."""
    root: Any = typer.main.get_command(app)
    sections = []
    for panel, commands in COMMANDS.items():
        sections.append(f"## {panel}")
        for name, (_, example) in commands.items():
            sections += _command(f"annobridge {name}", root.commands[name], example)
    plug_ins = [(entry.name, typer.main.get_command(entry.load())) for entry in sorted(entry_points(GROUP))]
    if plug_ins:
        sections.append("## Tools")
    for name, group in plug_ins:
        for sub, command in getattr(group, "commands", {"": group}).items():
            sections += _command(f"annobridge {name} {sub}".strip(), command, "")
    return _without_home("\n\n".join(sections))


def _without_home(text: str) -> str:
    """Folders of whoever runs this, by the names that they have for every reader."""
    places = {os.environ.get("XDG_DATA_HOME", ""): "~/.local/share", str(Path.home()): "~"}
    for place, name in places.items():
        if place.strip("/"):
            text = text.replace(f"{place.rstrip('/')}/", f"{name}/")
    return text


def _command(name: str, command: Any, example: str) -> Iterator[str]:
    yield f"### {name}"
    if command.help:
        yield command.help.replace("\b\n", "")
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    usage = " ".join([name, *(_metavar(a) if a.required else f"[{_metavar(a)}]" for a in arguments)])
    yield f"```text\n{usage}{' [OPTIONS]' if options else ''}\n```"
    if options:
        rows = [f"| {_names(option)} | {_cell(option.help or '')} | {_default(option)} |" for option in options]
        yield "\n".join(["| option | | default |", "| --- | --- | --- |", *rows])
    if example:
        yield f"```text\n{example}\n```"


def _names(option: Any) -> str:
    names = " ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    return names if option.is_flag else f"{names} `{_metavar(option)}`"


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _default(option: Any) -> str:
    value = option.default() if callable(option.default) else option.default
    return "" if value in (None, False, (), []) else f"`{_cell(getattr(value, 'value', value))}`"


def _cell(text: Any) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")
