"""Projects: find one, create one, or add to the label set of one. An existing project is changed only with ``update_project``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from annobridge.exceptions import Gone, Rejected

from .api import Api
from .config import CvatConfig
from .vocabulary import Entry, Vocabulary, conflicts_with, missing_in

Json = dict[str, Any]


def find(api: Api, config: CvatConfig, run: str = "") -> Json | None:
    """The project that the options name; ``None`` if they name none, or it does not exist.

    Of several projects of that name, it is the one that the run made, or else the oldest. Raises ``Rejected`` for an id that
    does not exist.
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
    found = api.named("projects", config.project_name)
    return next((p for p in found if is_made_by(p, run)), found[0] if found else None)


def is_made_by(project: Json, run: str) -> bool:
    """Whether a run made the project. The mark is in the project itself: a run may be killed before it has stored the receipt."""
    return bool(run) and str(project.get("bug_tracker")).endswith(_mark(run))


def _mark(run: str) -> str:
    """The mark that a run adds to the address of the project's issue tracker, as the fragment."""
    return f"#annobridge-{run}"


def problems(api: Api, project: int, vocabulary: Vocabulary, *, may_add: bool) -> Iterator[str]:
    """Sentences about labels that an existing project has in another form, or, unless ``may_add``, does not have."""
    labels = {label["name"]: label for label in api.labels(project_id=project)}
    if other := [text for entry in vocabulary.entries for text in conflicts_with(entry, labels)]:
        more = f" and {len(other) - 5} more" if len(other) > 5 else ""
        yield (
            f"In the project {project}, {', '.join(other[:5])}{more}; make the label schema agree, or use another project."
        )
    if may_add:
        return
    missing = [text for entry in vocabulary.entries for text in missing_in(entry, labels)]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        yield (
            f"The project {project} lacks {', '.join(missing[:5])}{more}; add them there, pass update_project=True to have "
            "that done, or leave them out of the label schema."
        )


def create(api: Api, name: str, vocabulary: Vocabulary, tracker: str, run: str) -> Json:
    """Create a project with the label set of a run, and the run's mark."""
    labels = [e.definition() for e in vocabulary.entries]
    return api.create("projects", {"name": name, "labels": labels, "bug_tracker": tracker + _mark(run)})


def add_missing(api: Api, project: int, vocabulary: Vocabulary) -> None:
    """Add the labels and attributes that a project's label set lacks."""
    labels = {label["name"]: label for label in api.labels(project_id=project)}
    new = [e.definition() for e in vocabulary.entries if e.name not in labels]
    if new:
        api.update("projects", project, labels=new)
    for entry in vocabulary.entries:
        if entry.name in labels:
            _add_attributes(api, entry, labels[entry.name])


def _add_attributes(api: Api, entry: Entry, label: Json) -> None:
    there = {a["name"] for a in label["attributes"]}
    new = [a for a in entry.definition()["attributes"] if a["name"] not in there]
    if new:
        api.update("labels", label["id"], color=label["color"], attributes=new)  # without it, the colour is reset


def remove_if_empty(api: Api, project: int) -> None:
    """Delete a project if no task is in it."""
    try:
        tasks = api.project(project)["tasks"]["count"]
    except Gone:
        return
    if not tasks:
        api.delete("projects", project)
