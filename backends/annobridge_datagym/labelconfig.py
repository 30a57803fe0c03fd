"""Label configurations: ours compared with a project's, set where there is none, and added to or replaced only when asked.

DataGym deletes every label of a project when its configuration is cleared, so only the option that says so clears one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from annobridge.exceptions import Denied, Gone, Rejected

from .api import Api
from .config import DatagymConfig
from .mistakes import key_of
from .vocabulary import Vocabulary

Json = dict[str, Any]
_KEPT = ("id", "entryKey", "entryValue", "type", "color", "shortcut", "options", "maxLength", "required")
_SHOWN = 5
REPLACING = "replace_config_and_delete_all_labels"


def read(api: Api, project: Mapping[str, Any]) -> list[Json] | None:
    """A project's label configuration. v1 shows it with a task only: ``None`` where there is none, or the server shows none."""
    if not api.v1:
        return api.configuration(project["labelConfigurationId"])
    try:
        task = api.some_task(project["id"])
        return list(api.task(task)["labelConfig"]["entries"]) if task else None
    except (Gone, Denied):
        return None


def adds(config: DatagymConfig, *, v1: bool) -> bool:
    """Whether what a configuration lacks is added to it."""
    return config.update_project and not v1


def problems(
    project: str, there: Sequence[Json], vocabulary: Vocabulary, config: DatagymConfig, *, v1: bool
) -> Iterator[str]:
    """Why a project's configuration cannot be used as it is, a sentence with the cure."""
    if not there or config.replace_config_and_delete_all_labels:
        return
    wanted = vocabulary if adds(config, v1=v1) else vocabulary.fitted(there)
    found = list(lacking(wanted.definition(), there))
    lacks, differs = ([text for text, addable in found if addable is kind] for kind in (True, False))
    replacing = (
        f"{REPLACING}=True puts ours in its place, and DataGym then deletes EVERY label in the project and reopens its "
        "finished tasks"
    )
    if differs:
        yield (
            f"The project {project!r} has another label configuration: {_some(differs)}. Use another project, or change the label "
            f"schema; {replacing}."
        )
    elif lacks and not adds(config, v1=v1):
        adding = (
            "Add them on the project's page"
            if v1
            else "Add them on the project's page, or pass update_project=True to have that done"
        )
        yield f"The project {project!r} lacks {_some(lacks)}. {adding}; {replacing}."


def ensure(api: Api, project: Json, vocabulary: Vocabulary, config: DatagymConfig, *, begun: bool) -> list[Json] | None:
    """Have the project's configuration hold ours: its entries. ``None``: it has one which cannot be seen before there is a task.

    ``begun`` says that the project has labels of this run, with which it is never cleared. Raises ``Rejected`` for one that
    does not fit.
    """
    if begun:
        config = config.model_copy(update={REPLACING: False})
    wanted, number = vocabulary.definition(), project["labelConfigurationId"]
    there = read(api, project)
    if there is None:
        return _set_unseen(api, number, wanted, config)
    if not there:
        return api.set_configuration(number, wanted)
    if not list(lacking(wanted, there)):
        return there
    if config.replace_config_and_delete_all_labels:
        api.clear_configuration(number)
        return api.set_configuration(number, wanted)
    if found := list(problems(project["name"], there, vocabulary, config, v1=api.v1)):
        raise Rejected(f"datagym: {found[0]}")
    if not adds(config, v1=api.v1):  # what else is lacking can be done without
        return there
    return api.merge_configuration(number, united(wanted, there))


def _set_unseen(api: Api, number: str, wanted: Sequence[Json], config: DatagymConfig) -> list[Json] | None:
    try:
        return api.set_configuration(number, wanted)
    except Rejected as error:
        if key_of(error) != "ex_gen_config_not_cleared":
            raise
        if not config.replace_config_and_delete_all_labels:
            return None
        api.clear_configuration(number)
        return api.set_configuration(number, wanted)


def lacking(wanted: Sequence[Json], there: Sequence[Json], of: str = "") -> Iterator[tuple[str, bool]]:
    """What a configuration does not have, as words for a sentence, and whether it could be added."""
    have = {e["entryKey"].lower(): e for e in there}
    for entry in wanted:
        key, other = entry["entryKey"], have.get(entry["entryKey"])
        if other is None:
            yield f"{'the attribute' if of else 'the class'} {key!r}{of}", True
            continue
        if other["type"].lower() != entry["type"]:
            yield f"{key!r}{of} is a {other['type'].lower()} there, and a {entry['type']} here", False
            continue
        for option in entry.get("options") or ():
            if option not in (other.get("options") or {}):
                yield f"the option {option!r} of {key!r}{of}", True
        if (other.get("maxLength") or 255) < min(entry.get("maxLength") or 0, 64):
            yield f"{key!r}{of} takes {other['maxLength']} characters there, and {entry['maxLength']} here", False
        yield from lacking(entry.get("children") or (), other.get("children") or (), f" of {key!r}")


def longest(there: Sequence[Json]) -> dict[str, dict[str, int]]:
    """How many characters each text may have, by the keys of its root and its own. DataGym takes more, and then holds the label
    for broken.
    """
    return {
        root["entryKey"]: {e["entryKey"]: e["maxLength"] for e in _all([root]) if e.get("maxLength")} for root in there
    }


def _all(entries: Sequence[Json]) -> Iterator[Json]:
    for entry in entries:
        yield entry
        yield from _all(entry.get("children") or ())


def united(wanted: Sequence[Json], there: Sequence[Json]) -> list[Json]:
    """A configuration with what it lacks added. What is there keeps its id, and with it its labels."""
    ours = {e["entryKey"]: e for e in wanted}
    made = []
    for entry in there:
        own = ours.pop(entry["entryKey"], None)
        kept = {name: entry[name] for name in _KEPT if entry.get(name) is not None}
        if own is not None and own.get("options"):
            kept["options"] = {**own["options"], **(entry.get("options") or {})}
        inner = (own or {}).get("children") or ()
        made.append(kept | {"children": united(inner, entry.get("children") or ())})
    return [*made, *ours.values()]


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
