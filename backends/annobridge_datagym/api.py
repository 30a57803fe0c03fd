"""The calls of DataGym's REST API in its two dialects, whose bodies are the same and whose paths differ."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, TypeVar

from annobridge.backend.http import Http
from annobridge.exceptions import BackendError, Gone, Rejected

from .config import Dialect
from .errors import error_key, explain, import_refused

Json = dict[str, Any]
T = TypeVar("T")
STATES = ("BACKLOG", "WAITING", "IN_PROGRESS", "COMPLETED", "SKIPPED", "REVIEWED", "REVIEWED_SKIP", "WAITING_CHANGED")
URLS_PER_CALL = 50

# The form that answers are checked for: the parts that are read
_NAMED = {"id": str, "name": str}
_CREATED = {**_NAMED, "labelConfigurationId": str, "mediaType": str}
_PROJECT = {**_CREATED, "datasets": [_NAMED]}
_MEDIA = {"id": str, "mediaName": str}
_ENTRY: Json = {"entryKey": str, "type": str}
_ENTRY["children?"] = ([_ENTRY], None)
_CONFIGURATION = {"entries": [_ENTRY]}
_TASK = {"taskId": str, "mediaId": str, "labelTaskState": str, "hasJsonUpload": bool}
_TASK_VALUES = {"labelTaskState": str, "labelConfig": _CONFIGURATION, "labelIteration": {"entryValues": list}}


class Api:
    """One DataGym server. Methods that only one dialect has say so; the other one must not call them."""

    def __init__(self, http: Http, dialect: Dialect) -> None:
        self.http, self.v1 = http, dialect == "v1"

    def _path(self, v1: str, internal: str | None = None) -> str:
        return f"/api/v1/{v1}" if self.v1 else f"/api/{internal or v1}"

    # --- projects and datasets --------------------------------------------------------------------------------------

    def projects(self) -> list[Json]:
        """All projects, with their datasets."""
        return self._list(self._path("project"), "listing the projects", _PROJECT)

    def project(self, project: str) -> Json:
        """A project by its id (internal only). Raises ``Gone``."""
        return dict(
            self._call("reading the project", lambda: self.http.get(f"/api/project/{project}", expect=_PROJECT))
        )

    def create_project(self, name: str, owner: str) -> Json:
        """A project for images (internal only)."""
        body = {"owner": owner, "name": name, "shortDescription": "made by annobridge", "description": None,
                "mediaType": "IMAGE"}  # fmt: skip
        action = f"making the project {name!r}"
        return dict(self._call(action, lambda: self.http.send("POST", "/api/project", json=body, expect=_CREATED)))

    def delete_project(self, project: str) -> None:
        """Delete a project (internal only)."""
        self._call("deleting the project", lambda: self.http.send("DELETE", f"/api/project/{project}"))

    def datasets(self) -> list[Json]:
        """All datasets."""
        return self._list(self._path("dataset"), "listing the datasets", _NAMED)

    def has_dataset(self, dataset: str) -> bool:
        """Whether there is a dataset of this id."""
        try:
            self._call("reading the dataset", lambda: self.http.get(self._path(f"dataset/{dataset}")))
        except Gone:
            return False
        return True

    def create_dataset(self, name: str, owner: str) -> Json:
        """A dataset for images."""
        body: Json = {"name": name, "shortDescription": "made by annobridge"}
        if not self.v1:
            body |= {"owner": owner, "mediaType": "IMAGE"}
        path, action = self._path("dataset"), f"making the dataset {name!r}"
        return dict(self._call(action, lambda: self.http.send("POST", path, json=body, expect=_NAMED)))

    def connect(self, project: str, dataset: str) -> None:
        """Make a task in a project for every image of a dataset, if there are none yet."""
        path = self._path(f"project/{project}/dataset/{dataset}")
        try:
            self._call("connecting the dataset", lambda: self.http.send("POST", path, repeatable=True))
        except Rejected as error:
            if error_key(error) != "ex_already_contains":
                raise

    def disconnect(self, project: str, dataset: str) -> None:
        """Remove a dataset from a project, with its tasks and their labels."""
        path = self._path(f"project/{project}/dataset/{dataset}/remove")
        self._call("disconnecting the dataset", lambda: self.http.send("DELETE", path))

    def delete_dataset(self, dataset: str) -> None:
        """Delete a dataset with its images. v1 can delete the images only, and leaves an empty dataset."""
        if not self.v1:
            self._call("deleting the dataset", lambda: self.http.send("DELETE", f"/api/dataset/{dataset}"))
            return
        for media in self.media(dataset):
            self.delete_media(media["id"])

    def delete_media(self, media: str) -> None:
        """Delete an image."""
        path = self._path(f"media/{media}")
        self._call("deleting an image", lambda: self.http.send("DELETE", path))

    # --- media ------------------------------------------------------------------------------------------------------

    def media(self, dataset: str) -> list[Json]:
        """The images of a dataset."""
        if self.v1:
            action = "reading the dataset"
            path, shape = f"/api/v1/dataset/{dataset}", {"media": [_MEDIA]}
            return list(self._call(action, lambda: self.http.get(path, expect=shape))["media"])
        return self._list(f"/api/dataset/{dataset}/file", "listing the images", _MEDIA)

    def upload(self, dataset: str, name: str, stream: BinaryIO) -> Json:
        """Upload a file. v1 wants its name as it is, the internal API wants it in Base64."""
        path = self._path(f"media/{dataset}/file", f"dataset/{dataset}/file")
        sent = name if self.v1 else base64.b64encode(name.encode()).decode()
        headers = {"X-filename": sent, "Content-Type": "application/octet-stream"}

        def send() -> Any:
            return self.http.send("POST", path, data=stream, headers=headers, expect={"id": str})

        return dict(self._call(f"uploading {name!r}", send))

    def add_urls(self, dataset: str, urls: Sequence[str]) -> list[Json]:
        """Add images by their addresses."""
        path = self._path(f"media/{dataset}/url", f"dataset/{dataset}/url")
        added = [{"imageUrl": str, "mediaUploadStatus": str, "internal_media_ID?": str | None}]
        action = "adding image addresses"
        return list(self._call(action, lambda: self.http.send("POST", path, json=list(urls), expect=added)))

    # --- label configuration ----------------------------------------------------------------------------------------

    def configuration(self, config: str) -> list[Json]:
        """The entries of a label configuration (internal only; v1 shows them with a task)."""
        path, action = f"/api/lconfig/{config}", "reading the label configuration"
        return list(self._call(action, lambda: self.http.get(path, expect=_CONFIGURATION))["entries"])

    def clear_configuration(self, config: str) -> None:
        """Empty a label configuration. This deletes every label in the project."""
        path = self._path(f"config/{config}", f"lconfig/{config}")
        self._call("clearing the label configuration", lambda: self.http.send("DELETE", path))

    def set_configuration(self, config: str, entries: Sequence[Json]) -> list[Json]:
        """Set the entries of an empty label configuration. Returns them with their ids."""
        method, path = ("PUT", f"/api/v1/config/{config}") if self.v1 else ("POST", f"/api/lconfig/{config}/import")
        action = "setting the label configuration"

        def send() -> Any:
            return self.http.send(method, path, json=list(entries), expect=_CONFIGURATION)

        return list(self._call(action, send)["entries"])

    def merge_configuration(self, config: str, entries: Sequence[Json]) -> list[Json]:
        """Change a label configuration (internal only). Entries that keep their id keep their labels."""
        path, action = f"/api/lconfig/{config}", "adding to the label configuration"

        def send() -> Any:
            params = {"changeStatus": "false"}  # finished tasks stay finished
            return self.http.send("PUT", path, json=list(entries), params=params, expect=_CONFIGURATION)

        return list(self._call(action, send)["entries"])

    # --- labels -----------------------------------------------------------------------------------------------------

    def import_labels(self, project: str, body: bytes, *, repeatable: bool) -> None:
        """Import a batch of labels, all of it or nothing. Raises ``Rejected``.

        DataGym may answer a refusal with 200 and an error text.
        """
        path, action = self._path(f"project/{project}/prediction"), "importing labels"
        headers = {"Content-Type": "application/json"}

        def send() -> Any:
            shape = {"errorMessages": str}
            return self.http.send("POST", path, data=body, headers=headers, repeatable=repeatable, expect=shape)

        answer = self._call(action, send)
        if answer["errorMessages"]:
            raise import_refused(answer["errorMessages"], action)

    def export(self, project: str) -> Iterator[bytes]:
        """The export of a project, as a stream of chunks."""
        return self.http.stream(self._path(f"export/{project}", f"project/{project}/export"))

    # --- tasks ------------------------------------------------------------------------------------------------------

    def tasks(self, project: str) -> list[Json]:
        """All tasks of a project, in any state. v1 lists only one state in a call."""
        if not self.v1:
            return self._list(f"/api/project/{project}/task", "listing the tasks", _TASK)
        path = f"/api/v1/task/{project}/list"
        found: dict[str, Json] = {}
        for state in STATES:  # a task whose state changes meanwhile is listed twice, and kept once
            for task in self._list(path, "listing the tasks", _TASK, {"state": state}):
                found[task["taskId"]] = task
        return list(found.values())

    def any_task(self, project: str) -> str | None:
        """The id of any task of a project."""
        path = self._path(f"task/{project}/list", f"project/{project}/task")
        for state in STATES:
            if there := self._list(path, "listing the tasks", _TASK, {"state": state, "limit": "1"}):
                return str(there[0]["taskId"])
        return None

    def task(self, task: str) -> Json:
        """A task with its values, their ids, and the label configuration."""
        path = self._path(f"task/{task}")
        return dict(self._call("reading a task", lambda: self.http.get(path, expect=_TASK_VALUES)))

    def release(self, project: str, dataset: str) -> None:
        """Move the tasks of a dataset out of the backlog (internal only)."""
        body = {"projectId": project, "datasetId": dataset, "direction": "WAITING"}
        self._call("releasing the tasks", lambda: self.http.send("PUT", "/api/task/moveAll", json=body))

    # ----------------------------------------------------------------------------------------------------------------

    def _list(self, path: str, action: str, shape: Json, params: Mapping[str, str] | None = None) -> list[Json]:
        return list(self._call(action, lambda: self.http.get(path, params, expect=[shape])))

    def _call(self, action: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except BackendError as error:
            explained = explain(error, action)
            if explained is error:
                raise
            raise explained from error
