"""Places: the projects and datasets of a server, found by name or id, each list asked for once while a connection lasts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annobridge.exceptions import Gone, Rejected

from . import names
from .api import Api
from .config import DatagymConfig

Json = dict[str, Any]


class Places:
    """What there is on a server. Only this process is expected to change what it is asked about; ``forget`` after a failure,
    which may have left something that is not known.
    """

    def __init__(self, api: Api, config: DatagymConfig) -> None:
        self._api, self._config = api, config
        self.forget()

    def forget(self) -> None:
        """Ask again."""
        self._projects: list[Json] | None = None
        self._datasets: dict[str, Json] | None = None
        self._answered: set[str] = set()

    @property
    def names_project(self) -> bool:
        """Whether the options name a project."""
        return self._config.project_name is not None or self._config.project_id is not None

    def project_of(self, task: str) -> Json | None:
        """The project of a run: the one that the options name, or one of its own. Raises ``Rejected`` if several have its name."""
        if self._config.project_id is not None:
            return self.project(self._config.project_id)
        name = self._name_of(task)
        found = [p for p in self._all() if p["name"] == name]
        if len(found) > 1:
            raise Rejected(f"datagym: {len(found)} projects are called {name!r}; say which, with project_id.")
        return found[0] if found else None

    def project(self, number: str) -> Json | None:
        """A project by its id, which v1 shows in its list only."""
        if self._api.v1:
            return next((p for p in self._all() if p["id"] == number), None)
        try:
            return self._api.project(number)
        except Gone:
            return None

    def require(self, state: Mapping[str, Any]) -> Json:
        """The project of a task that was sent, if it has the task's dataset still; asked anew for each load. Raises ``Gone``."""
        if state["dataset"] in self._answered:
            self.forget()
        self._answered.add(state["dataset"])
        project = self.project(state["project"])
        if project is None:
            raise Gone(f"The project {state['project']} is not on the server any more, or not for this token.")
        if not any(d["id"] == state["dataset"] for d in project["datasets"]):
            raise Gone(f"The dataset {state['dataset']} is not in the project {project['name']!r} any more.")
        return project

    def made_project(self, task: str) -> Json:
        """A new project for a run. Raises ``Rejected`` where its API makes none."""
        if self._api.v1 or self._config.project_id is not None:
            raise Rejected(f"datagym: {self.no_project()}")
        made = self._api.create_project(self._name_of(task), self._config.owner)
        self._all().append(made)
        return made

    def no_project(self) -> str:
        """Why there is no project, and the cure."""
        wanted = self._config.project_id or self._config.project_name
        there = sorted(p["name"] for p in self._all())
        shown = f"; there is {', '.join(map(repr, there[:5]))}{' …' * (len(there) > 5)}" if there else ""
        if wanted is None:
            return (
                "The hosted edition makes no projects by its API: make one for images on its page, and give its name as "
                f"project_name{shown}."
            )
        cure = "correct the id"
        if self._config.project_id is None:
            cure = "make it on DataGym's page for images, or correct the name"
        return f"There is no project {wanted!r}, or not for this token{shown}. Please {cure}."

    def dataset(self, task: str) -> Json | None:
        """The dataset of a task, connected or not."""
        return self._all_datasets().get(names.place(task))

    def made_dataset(self, task: str) -> Json:
        """The dataset of a task, made if there is none."""
        there = self.dataset(task)
        if there is None:
            there = self._api.create_dataset(names.place(task), self._config.owner)
            self._all_datasets()[there["name"]] = there
        return there

    def _all_datasets(self) -> dict[str, Json]:
        if self._datasets is None:
            self._datasets = {d["name"]: d for d in self._api.datasets()}
        return self._datasets

    def connect(self, project: Json, dataset: Json) -> None:
        """Have a dataset in a project."""
        self._api.connect(project["id"], dataset["id"])
        if all(d["id"] != dataset["id"] for d in project["datasets"]):
            project["datasets"].append(dataset)

    def remove(self, state: Mapping[str, Any]) -> None:
        """Remove the dataset of a task, and with the last of them the project, if it is the run's own."""
        self._datasets = None
        number, dataset = state["project"], state["dataset"]
        project = self.project(number) if number is not None else None
        inside = project["datasets"] if project else []
        if project and any(d["id"] == dataset for d in inside):
            self._api.disconnect(number, dataset)
            inside[:] = [d for d in inside if d["id"] != dataset]
        if dataset is not None and self._api.has_dataset(dataset):
            self._api.delete_dataset(dataset)
        if project and state["own_project"] and not inside and not self._api.v1:
            self._api.delete_project(number)
            self._projects = None

    def _all(self) -> list[Json]:
        if self._projects is None:
            self._projects = self._api.projects()
        return self._projects

    def _name_of(self, task: str) -> str:
        return self._config.project_name or names.place(task.rpartition("-")[0])


def has_ours(project: Json, task: str) -> bool:
    """Whether a task of this run is in the project already, so that the configuration is the run's."""
    run = names.place(task).rpartition(" ")[0]
    return any(d["name"].rpartition(" ")[0] == run for d in project.get("datasets") or ())
