"""The projects and datasets of a server, found by name or id; each list is read once and cached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annobridge.exceptions import Gone, Rejected

from . import names
from .api import Api
from .config import DatagymConfig

Json = dict[str, Any]


class Projects:
    """The projects and datasets of a server.

    The cached lists are right as long as only this process changes what belongs to its run. Call ``forget`` after a failure, which
    may have left something behind.
    """

    def __init__(self, api: Api, config: DatagymConfig) -> None:
        self._api, self._config = api, config
        self.forget()

    def forget(self) -> None:
        """Drop the cached lists."""
        self._projects: list[Json] | None = None
        self._datasets: dict[str, Json] | None = None
        self._loaded: set[str] = set()

    @property
    def is_named(self) -> bool:
        """Whether the options name a project; else each run has one of its own."""
        return self._config.project_name is not None or self._config.project_id is not None

    def find_project(self, task_name: str) -> Json | None:
        """The project of a task: the named one, or the run's own. Raises ``Rejected`` if several have its name."""
        if self._config.project_id is not None:
            return self._get_project(self._config.project_id)
        name = self._project_name(task_name)
        found = [p for p in self._all_projects() if p["name"] == name]
        if len(found) > 1:
            raise Rejected(f"datagym: {len(found)} projects are called {name!r}; say which, with project_id.")
        return found[0] if found else None

    def require_project(self, state: Mapping[str, Any]) -> Json:
        """The project of a task that was sent, by its receipt's state. Raises ``Gone`` if it or the task's dataset is gone.

        The lists are read again when a task is asked for a second time, because that is another load.
        """
        if state["dataset"] in self._loaded:
            self.forget()
        self._loaded.add(state["dataset"])
        project = self._get_project(state["project"])
        if project is None:
            raise Gone(f"The project {state['project']} is not on the server any more, or not for this token.")
        if not any(d["id"] == state["dataset"] for d in project["datasets"]):
            raise Gone(f"The dataset {state['dataset']} is not in the project {project['name']!r} any more.")
        return project

    def create_project(self, task_name: str) -> Json:
        """Create the project of a task. Raises ``Rejected`` where the API cannot."""
        if self._api.v1 or self._config.project_id is not None:
            raise Rejected(f"datagym: {self.missing_project()}")
        project = self._api.create_project(self._project_name(task_name), self._config.owner)
        self._all_projects().append(project)
        return project

    def missing_project(self) -> str:
        """The sentence for a project that does not exist, with the cure."""
        wanted = self._config.project_id or self._config.project_name
        existing = sorted(p["name"] for p in self._all_projects())
        shown = f"; there is {', '.join(map(repr, existing[:5]))}{' …' * (len(existing) > 5)}" if existing else ""
        if wanted is None:
            return (
                "The hosted edition makes no projects by its API: make one for images on its page, and give its name as "
                f"project_name{shown}."
            )
        cure = "correct the id"
        if self._config.project_id is None:
            cure = "make it on DataGym's page for images, or correct the name"
        return f"There is no project {wanted!r}, or not for this token{shown}. Please {cure}."

    def find_dataset(self, task_name: str) -> Json | None:
        """The dataset of a task, whether it is in a project or not."""
        return self._all_datasets().get(names.project_name(task_name))

    def ensure_dataset(self, task_name: str) -> Json:
        """The dataset of a task, created if there is none."""
        dataset = self.find_dataset(task_name)
        if dataset is None:
            dataset = self._api.create_dataset(names.project_name(task_name), self._config.owner)
            self._all_datasets()[dataset["name"]] = dataset
        return dataset

    def connect(self, project: Json, dataset: Json) -> None:
        """Add a dataset to a project, if it is not in it."""
        self._api.connect(project["id"], dataset["id"])
        if all(d["id"] != dataset["id"] for d in project["datasets"]):
            project["datasets"].append(dataset)

    def remove(self, state: Mapping[str, Any]) -> None:
        """Delete the dataset of a task, and with the last dataset the project, if it is the run's own."""
        self._datasets = None
        project_id, dataset = state["project"], state["dataset"]
        project = self._get_project(project_id) if project_id is not None else None
        datasets = project["datasets"] if project else []
        if project and any(d["id"] == dataset for d in datasets):
            self._api.disconnect(project_id, dataset)
            datasets[:] = [d for d in datasets if d["id"] != dataset]
        if dataset is not None and self._api.has_dataset(dataset):
            self._api.delete_dataset(dataset)
        if project and state["own_project"] and not datasets and not self._api.v1:
            self._api.delete_project(project_id)
            self._projects = None

    def _get_project(self, project_id: str) -> Json | None:
        if self._api.v1:  # which has no call for one project
            return next((p for p in self._all_projects() if p["id"] == project_id), None)
        try:
            return self._api.project(project_id)
        except Gone:
            return None

    def _all_projects(self) -> list[Json]:
        if self._projects is None:
            self._projects = self._api.projects()
        return self._projects

    def _all_datasets(self) -> dict[str, Json]:
        if self._datasets is None:
            self._datasets = {d["name"]: d for d in self._api.datasets()}
        return self._datasets

    def _project_name(self, task_name: str) -> str:
        run = task_name.rpartition("-")[0]
        return self._config.project_name or names.project_name(run)


def has_run(project: Json, task_name: str) -> bool:
    """Whether a project has a dataset of the same run as a task, so that its label configuration is the run's."""
    run = names.project_name(task_name).rpartition(" ")[0]
    return any(d["name"].rpartition(" ")[0] == run for d in project.get("datasets") or ())
