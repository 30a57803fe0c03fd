"""The installed formats, and the format of a source."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ..core.collection import no_collection
from ..core.did_you_mean import did_you_mean
from ..entry_points import entry_points
from ..exceptions import ConfigError, InvalidOption, InvalidSource, StoreError
from .base import Format, Options
from .common.archive import looking

Chosen = TypeVar("Chosen", bound=Options)
GROUP = "annobridge.formats"
GENERAL = "folder"  # the format of a source that no other recognises


def names() -> list[str]:
    """The names of all formats, sorted. Imports none of them."""
    return sorted(_installed())


def get(name: str) -> Format:
    """The format with a name. Raises ``InvalidOption``, or ``ConfigError`` for one that cannot be imported."""
    installed = _installed()
    if name not in installed:
        raise InvalidOption(f"There is no format {name!r}; {did_you_mean(name, sorted(installed))}")
    entry = installed[name]
    try:
        with no_collection():
            found: Format = entry.load()()
    except Exception as error:  # whatever a stranger's module raises while it is imported
        raise ConfigError(
            f"The format {name!r} ({entry.value}) cannot be loaded: {type(error).__name__}: {error}. "
            "Install what it needs, or uninstall it."
        ) from error
    return found


def of(source: Path) -> Format:
    """The format of a source. Raises ``InvalidSource`` if several recognise it."""
    if not source.exists():
        raise StoreError(f"There is no folder {str(source)!r}; correct the path.")
    with looking():
        found = [f for f in map(get, names()) if f.name != GENERAL and f.recognises(source)]
    if len(found) > 1:
        raise InvalidSource(
            f"{str(source)!r} looks like {' and like '.join(f.title for f in found)}; "
            f"say which with format={found[0].name!r} or format={found[1].name!r}."
        )
    return found[0] if found else get(GENERAL)


def options(kind: type[Chosen] | None, given: Mapping[str, Any], what: str) -> Chosen:
    """The options of reading or writing a format. Raises ``InvalidOption`` with all that is wrong with them.

    Args:
        kind: the model of the options; ``None`` if the format cannot do this.
        given: the options by name.
        what: what is done, for messages, as ``"Reading a folder of images"``.
    """
    if kind is None:
        raise InvalidOption(f"{what} is not possible; choose another format.")
    fields = sorted(kind.model_fields)
    if unknown := sorted(set(given) - set(fields)):
        raise InvalidOption(f"{what} has no option {unknown[0]!r}; {did_you_mean(unknown[0], fields)}")
    try:
        return kind(**given)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc'])) or 'the options'}: {_reason(e)}" for e in error.errors()]
        raise InvalidOption(f"{what} cannot be done with these options: {'; '.join(wrong)}.") from None


def _reason(error: Any) -> str:
    return str(error["msg"]).removeprefix("Value error, ").rstrip(".")


def _installed() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(GROUP)}
