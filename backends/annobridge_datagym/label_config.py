"""Label configurations: comparing ours with a project's, setting an empty one, and changing one only when asked to.

Clearing a configuration makes DataGym delete every label of the project, so only the option that says so clears one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from annobridge.exceptions import Denied, Gone, Rejected

from .api import Api
from .config import DatagymConfig
from .errors import error_key
from .vocabulary import Vocabulary

Json = dict[str, Any]
_KEPT = ("id", "entryKey", "entryValue", "type", "color", "shortcut", "options", "maxLength", "required")
_SHOWN = 5
REPLACING = "replace_config_and_delete_all_labels"


def read(api: Api, project: Mapping[str, Any]) -> list[Json] | None:
    """The entries of a project's label configuration.

    API v1 shows them with a task only, so they are ``None`` where there is no task or the server shows none.
    """
    if not api.v1:
        return api.configuration(project["labelConfigurationId"])
    try:
        task = api.any_task(project["id"])
        return list(api.task(task)["labelConfig"]["entries"]) if task else None
    except (Gone, Denied):
        return None


def adds_missing(config: DatagymConfig, *, v1: bool) -> bool:
    """Whether what a configuration lacks is added to it."""
    return config.update_project and not v1


def problems(
    project: str, existing: Sequence[Json], vocabulary: Vocabulary, config: DatagymConfig, *, v1: bool
) -> Iterator[str]:
    """Why a project's configuration cannot be used as it is: no sentence, or one with the cure."""
    if not existing or config.replace_config_and_delete_all_labels:
        return
    wanted = vocabulary if adds_missing(config, v1=v1) else vocabulary.adapted_to(existing)
    differences = list(compare(wanted.configuration(), existing))
    missing = [text for text, addable in differences if addable]
    different = [text for text, addable in differences if not addable]
    replacing = (
        f"{REPLACING}=True puts ours in its place, and DataGym then deletes EVERY label in the project and reopens its "
        "finished tasks"
    )
    if different:
        yield (
            f"The project {project!r} has another label configuration: {_first_of(different)}. Use another project, or change "
            f"the label schema; {replacing}."
        )
    elif missing and not adds_missing(config, v1=v1):
        adding = "Add them on the project's page"
        if not v1:
            adding += ", or pass update_project=True to have that done"
        yield f"The project {project!r} lacks {_first_of(missing)}. {adding}; {replacing}."


def ensure(
    api: Api, project: Json, vocabulary: Vocabulary, config: DatagymConfig, *, has_run: bool
) -> list[Json] | None:
    """Make a project's configuration have what the run needs, and return its entries.

    Args:
        api: the server.
        project: the project, as the API shows it.
        vocabulary: what the run needs.
        config: says whether the configuration may be added to or replaced.
        has_run: whether the project has labels of this run already, in which case it is not cleared.

    Returns:
        The entries, or ``None`` if there is a configuration that this server shows with a task only.

    Raises:
        Rejected: if the configuration does not fit and must not be changed.
    """
    if has_run:
        config = config.model_copy(update={REPLACING: False})
    wanted, config_id = vocabulary.configuration(), project["labelConfigurationId"]
    existing = read(api, project)
    if existing is None:
        return _set_unseen(api, config_id, wanted, config)
    if not existing:
        return api.set_configuration(config_id, wanted)
    if not list(compare(wanted, existing)):
        return existing
    if config.replace_config_and_delete_all_labels:
        api.clear_configuration(config_id)
        return api.set_configuration(config_id, wanted)
    if found := list(problems(project["name"], existing, vocabulary, config, v1=api.v1)):
        raise Rejected(f"datagym: {found[0]}")
    if not adds_missing(config, v1=api.v1):  # what is missing is needed by some labels only, and checked with them
        return existing
    return api.merge_configuration(config_id, merged(wanted, existing))


def _set_unseen(api: Api, config_id: str, wanted: Sequence[Json], config: DatagymConfig) -> list[Json] | None:
    """Set a configuration that cannot be read, if it is empty or may be replaced."""
    try:
        return api.set_configuration(config_id, wanted)
    except Rejected as error:
        if error_key(error) != "ex_gen_config_not_cleared":
            raise
        if not config.replace_config_and_delete_all_labels:
            return None
        api.clear_configuration(config_id)
        return api.set_configuration(config_id, wanted)


def compare(wanted: Sequence[Json], existing: Sequence[Json], of: str = "") -> Iterator[tuple[str, bool]]:
    """What a configuration lacks or has otherwise: a phrase for a sentence, and whether it could be added.

    ``of`` ends the phrases with the entry that these are the children of.
    """
    by_key = {e["entryKey"].lower(): e for e in existing}
    for entry in wanted:
        key, other = entry["entryKey"], by_key.get(entry["entryKey"])
        if other is None:
            yield f"{'the attribute' if of else 'the class'} {key!r}{of}", True
            continue
        if other["type"].lower() != entry["type"]:
            yield f"{key!r}{of} is a {other['type'].lower()} there, and a {entry['type']} here", False
            continue
        for option in entry.get("options") or ():
            if option not in (other.get("options") or {}):
                yield f"the option {option!r} of {key!r}{of}", True
        # A shorter text is fine as long as it can hold an id; longer values are checked one by one.
        if (other.get("maxLength") or 255) < min(entry.get("maxLength") or 0, 64):
            yield f"{key!r}{of} takes {other['maxLength']} characters there, and {entry['maxLength']} here", False
        yield from compare(entry.get("children") or (), other.get("children") or (), f" of {key!r}")


def text_limits(existing: Sequence[Json]) -> dict[str, dict[str, int]]:
    """How many characters each text may have, by the key of its root and its own key.

    DataGym accepts longer texts, and then considers the label invalid.
    """
    return {
        root["entryKey"]: {e["entryKey"]: e["maxLength"] for e in walk([root]) if e.get("maxLength")}
        for root in existing
    }


def walk(entries: Sequence[Json]) -> Iterator[Json]:
    """The entries of a configuration at all levels."""
    for entry in entries:
        yield entry
        yield from walk(entry.get("children") or ())


def merged(wanted: Sequence[Json], existing: Sequence[Json]) -> list[Json]:
    """A configuration with what it lacks added. Existing entries keep their ids, and with them their labels."""
    missing = {e["entryKey"]: e for e in wanted}
    entries = []
    for entry in existing:
        ours = missing.pop(entry["entryKey"], None)
        kept = {name: entry[name] for name in _KEPT if entry.get(name) is not None}
        if ours is not None and ours.get("options"):
            kept["options"] = {**ours["options"], **(entry.get("options") or {})}
        children = (ours or {}).get("children") or ()
        entries.append(kept | {"children": merged(children, entry.get("children") or ())})
    return [*entries, *missing.values()]


def _first_of(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
