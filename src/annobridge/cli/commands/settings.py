"""The commands ``backends``, ``config`` and ``login``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from ...exceptions import ConfigError
from .. import show
from ..options import JsonOption


def backends(as_json: JsonOption = False) -> None:
    """The annotation tools that can be used, and what each can represent."""
    from ...settings import config

    problems = config.broken_backends()
    default = next(s.value for s in config.describe() if s.option == "default_backend")
    rows = []
    for name in config.list_backends():
        row: dict[str, Any] = {"name": name, "default": name == default, "problem": problems.get(name)}
        if name not in problems:
            can = config.backend_class(name).capabilities
            row |= {
                "label_types": sorted(can.label_types),
                "media_types": sorted(can.media_types),
                "attribute_types": sorted(can.attribute_types),
                "tracks": can.tracks,
            }
        rows.append(row)
    show.emit(rows, as_json, _backends)


def _backends(rows: list[dict[str, Any]]) -> Iterator[Any]:
    cells = [
        [
            row["name"] + (" *" if row["default"] else ""),
            ", ".join(row.get("media_types", ())),
            row["problem"] or ", ".join(row["label_types"]),
        ]
        for row in rows
    ]
    yield show.table(["backend", "media", "label types"], cells)
    yield "* the default; `annobridge config` says why."


def config(
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the configuration file.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Every setting: its value, and where it was set. Secrets are masked. Exits with 1 when something is wrong."""
    from ...settings import config as settings

    if schema:
        from ...backend import registry
        from ...settings import example_files

        usable = [n for n in settings.list_backends() if n in registry.names() and n not in settings.broken_backends()]
        show.emit(example_files.schema({n: registry.get(n).Config for n in usable}), True, lambda _: ())
        return
    found, problems = settings.survey()
    show.emit([{**s._asdict(), "value": str(s.value)} for s in found], as_json, _config)
    if problems:
        head = "Something is wrong with these settings" if len(problems) > 1 else "Something is wrong with this setting"
        raise ConfigError("\n  - ".join([f"{head}; correct what is named:", *problems]))


def _config(rows: list[dict[str, Any]]) -> Iterator[Any]:
    cells = []
    before = ""
    for row in rows:
        name = row["backend"] if row["backend"] != before else ""
        cells.append([name, row["option"], row["value"], row["origin"]])
        before = row["backend"]
    yield show.table(["backend", "option", "value", "from"], cells)


def login(
    backend: Annotated[str, typer.Argument(help="The backend, as cvat.", show_default=False)],
    url: Annotated[str | None, typer.Option(help="Its server; by default the configured one.")] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Remove the stored credentials.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Keep the credentials of a backend in the keyring of this machine."""
    from ...settings import config as settings
    from ...settings import credentials

    kind = settings.backend_class(backend).Config
    if not kind.credentials:
        raise ConfigError(f"{backend} needs no credentials; there is nothing to log in to.")
    set_url = next((s.value for s in settings.describe() if (s.backend, s.option) == (backend, "url")), None)
    server = url or set_url
    done = []
    for name in kind.credentials:
        if forget:
            if credentials.forget(backend, server, name):
                done.append(name)
            continue
        answer = credentials.ask(backend, server, name, hidden=settings.is_secret(kind, name))
        credentials.store(backend, server, name, answer)
        done.append(name)
    verb = "Removed" if forget else "Stored"
    data = {"backend": backend, "url": server, "removed" if forget else "stored": done}
    show.emit(data, as_json, lambda _: [f"{verb} {', '.join(done) or 'nothing'} of {backend} at {server}."])
