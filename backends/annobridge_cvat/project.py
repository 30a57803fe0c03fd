"""Projects: found, made, or added to when asked; one that was there before is otherwise left as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from annobridge.exceptions import Gone, Rejected

from .api import Api
from .config import CvatConfig
from .vocabulary import Entry, Vocabulary, lacking, unlike

Json = dict[str, Any]


def find(api: Api, config: CvatConfig, run: str = "") -> Json | None:
    """The project that the options name, if it is there: of several of one name, the one that the run made, or the oldest.

    Raises ``Rejected`` for a number that is not there.
    """
    if config.project_id is not None:
        try:
            return api.project(config.project_id)
        except Gone as e:
            raise Rejected(
                f"cvat has no project {config.project_id}, or not for you; give the number of one that is there, or "
                "`project_name` to make one."
            ) from e
    if config.project_name is None:
        return None
    there = api.named("projects", config.project_name)
    return next((p for p in there if is_made_by(p, run)), there[0] if there else None)


def is_made_by(project: Json, run: str) -> bool:
    """Whether a run made the project. It says so itself, because a run may die before it has written that down."""
    return bool(run) and str(project.get("bug_tracker")).endswith(_mark(run))


def _mark(run: str) -> str:
    """What a project's issue tracker ends with: a part of an address that leads nowhere else."""
    return f"#annobridge-{run}"


def problems(api: Api, project: int, vocabulary: Vocabulary, *, may_add: bool) -> Iterator[str]:
    """What the label set of an existing project lacks, or has otherwise."""
    labels = {label["name"]: label for label in api.labels(project_id=project)}
    if other := [text for entry in vocabulary.entries for text in unlike(entry, labels)]:
        more = f" and {len(other) - 5} more" if len(other) > 5 else ""
        yield (
            f"In the project {project}, {', '.join(other[:5])}{more}; make the label schema agree, or use another project."
        )
    if may_add:
        return
    missing = [text for entry in vocabulary.entries for text in lacking(entry, labels)]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        yield (
            f"The project {project} lacks {', '.join(missing[:5])}{more}; add them there, pass update_project=True to have "
            "that done, or leave them out of the label schema."
        )


def make(api: Api, name: str, vocabulary: Vocabulary, tracker: str, run: str) -> Json:
    """A new project with the run's labels, and its mark."""
    labels = [e.definition() for e in vocabulary.entries]
    return api.create("projects", {"name": name, "labels": labels, "bug_tracker": tracker + _mark(run)})


def complete(api: Api, project: int, vocabulary: Vocabulary) -> None:
    """Add to a project what its label set lacks: labels, and attributes of its labels."""
    labels = {label["name"]: label for label in api.labels(project_id=project)}
    new = [e.definition() for e in vocabulary.entries if e.name not in labels]
    if new:
        api.change("projects", project, labels=new)
    for entry in vocabulary.entries:
        if entry.name in labels:
            _add_attributes(api, entry, labels[entry.name])


def _add_attributes(api: Api, entry: Entry, label: Json) -> None:
    there = {a["name"] for a in label["attributes"]}
    new = [a for a in entry.definition()["attributes"] if a["name"] not in there]
    if new:
        api.change("labels", label["id"], color=label["color"], attributes=new)  # without it, the colour is reset


def remove_if_empty(api: Api, project: int) -> None:
    """Delete a project that a run made, once no task is in it any more."""
    try:
        tasks = api.project(project)["tasks"]["count"]
    except Gone:
        return
    if not tasks:
        api.remove("projects", project)
