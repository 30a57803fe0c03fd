"""The calls of DataGym's REST API in its two dialects, whose bodies are the same and whose paths differ."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

from annobridge.backend.http import Http
from annobridge.exceptions import BackendError, Gone, Rejected

from .config import Dialect
from .errors import error_key, explain, import_refused

Json = dict[str, Any]
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
_TASK = {
    "taskId": str, "mediaId": str, "labelTaskState": str, "hasJsonUpload": bool, "reviewComment?": str | None,
    "labeler?": str | None,
}  # fmt: skip
_TASK_VALUES = {"labelTaskState": str, "labelConfig": _CONFIGURATION, "labelIteration": {"entryValues": list}}


class Api:
    """One DataGym server. Methods that only one dialect has say so; the other one must not call them."""

    def __init__(self, http: Http, dialect: Dialect) -> None:
        self.http, self.v1 = http, dialect == "v1"

    def _path(self, v1: str, internal: str | None = None) -> str:
        return f"/api/v1/{v1}" if self.v1 else f"/api/{internal or v1}"

    def _list(self, action: str, path: str, form: Json, params: Mapping[str, str] | None = None) -> list[Json]:
        with _explaining(action):
            return list(self.http.get(path, params, expect=[form]))

    # --- projects and datasets --------------------------------------------------------------------------------------

    def projects(self) -> list[Json]:
        """All projects, with their datasets."""
        return self._list("listing the projects", self._path("project"), _PROJECT)

    def project(self, project_id: str) -> Json:
        """A project by its id (internal only). Raises ``Gone``."""
        with _explaining("reading the project"):
            return dict(self.http.get(f"/api/project/{project_id}", expect=_PROJECT))

    def create_project(self, name: str, owner: str) -> Json:
        """Create a project for images (internal only)."""
        body = {
            "owner": owner,
            "name": name,
            "shortDescription": "made by annobridge",
            "description": None,
            "mediaType": "IMAGE",
        }
        with _explaining(f"making the project {name!r}"):
            return dict(self.http.send("POST", "/api/project", json=body, expect=_CREATED))

    def delete_project(self, project_id: str) -> None:
        """Delete a project (internal only)."""
        with _explaining("deleting the project"):
            self.http.send("DELETE", f"/api/project/{project_id}")

    def datasets(self) -> list[Json]:
        """All datasets."""
        return self._list("listing the datasets", self._path("dataset"), _NAMED)

    def has_dataset(self, dataset_id: str) -> bool:
        """Whether there is a dataset of this id."""
        try:
            with _explaining("reading the dataset"):
                self.http.get(self._path(f"dataset/{dataset_id}"))
        except Gone:
            return False
        return True

    def create_dataset(self, name: str, owner: str) -> Json:
        """Create a dataset for images."""
        body: Json = {"name": name, "shortDescription": "made by annobridge"}
        if not self.v1:
            body |= {"owner": owner, "mediaType": "IMAGE"}
        with _explaining(f"making the dataset {name!r}"):
            return dict(self.http.send("POST", self._path("dataset"), json=body, expect=_NAMED))

    def connect(self, project_id: str, dataset_id: str) -> None:
        """Add a dataset to a project, which makes a task for every image of it, if it is not in the project yet."""
        path = self._path(f"project/{project_id}/dataset/{dataset_id}")
        try:
            with _explaining("connecting the dataset"):
                self.http.send("POST", path, repeatable=True)
        except Rejected as error:
            if error_key(error) != "ex_already_contains":
                raise

    def disconnect(self, project_id: str, dataset_id: str) -> None:
        """Remove a dataset from a project, with its tasks and their labels."""
        with _explaining("disconnecting the dataset"):
            self.http.send("DELETE", self._path(f"project/{project_id}/dataset/{dataset_id}/remove"))

    def delete_dataset(self, dataset_id: str) -> None:
        """Delete a dataset with its images. v1 can delete the images only, and leaves an empty dataset."""
        if self.v1:
            for media in self.media(dataset_id):
                self.delete_media(media["id"])
            return
        with _explaining("deleting the dataset"):
            self.http.send("DELETE", f"/api/dataset/{dataset_id}")

    # --- media ------------------------------------------------------------------------------------------------------

    def media(self, dataset_id: str) -> list[Json]:
        """The images of a dataset."""
        if not self.v1:
            return self._list("listing the images", f"/api/dataset/{dataset_id}/file", _MEDIA)
        with _explaining("reading the dataset"):
            return list(self.http.get(f"/api/v1/dataset/{dataset_id}", expect={"media": [_MEDIA]})["media"])

    def upload(self, dataset_id: str, name: str, stream: BinaryIO) -> Json:
        """Upload a file. v1 wants its name as it is, the internal API wants it in Base64."""
        path = self._path(f"media/{dataset_id}/file", f"dataset/{dataset_id}/file")
        sent_name = name if self.v1 else base64.b64encode(name.encode()).decode()
        headers = {"X-filename": sent_name, "Content-Type": "application/octet-stream"}
        with _explaining(f"uploading {name!r}"):
            return dict(self.http.send("POST", path, data=stream, headers=headers, expect={"id": str}))

    def add_urls(self, dataset_id: str, urls: Sequence[str]) -> list[Json]:
        """Add images by their URLs."""
        path = self._path(f"media/{dataset_id}/url", f"dataset/{dataset_id}/url")
        form = [{"imageUrl": str, "mediaUploadStatus": str, "internal_media_ID?": str | None}]
        with _explaining("adding image addresses"):
            return list(self.http.send("POST", path, json=list(urls), expect=form))

    def media_file(self, media_id: str) -> Iterator[bytes]:
        """The file of an image, as a stream of chunks. Images that were added by their URL are encoded anew by the server."""
        return self.http.stream(self._path(f"media/{media_id}"))

    def delete_media(self, media_id: str) -> None:
        """Delete an image."""
        with _explaining("deleting an image"):
            self.http.send("DELETE", self._path(f"media/{media_id}"))

    # --- label configuration ----------------------------------------------------------------------------------------

    def configuration(self, config_id: str) -> list[Json]:
        """The entries of a label configuration (internal only; v1 shows them with a task)."""
        with _explaining("reading the label configuration"):
            return list(self.http.get(f"/api/lconfig/{config_id}", expect=_CONFIGURATION)["entries"])

    def clear_configuration(self, config_id: str) -> None:
        """Empty a label configuration. This deletes every label in the project."""
        with _explaining("clearing the label configuration"):
            self.http.send("DELETE", self._path(f"config/{config_id}", f"lconfig/{config_id}"))

    def set_configuration(self, config_id: str, entries: Sequence[Json]) -> list[Json]:
        """Set the entries of an empty label configuration. Returns them with their ids."""
        method = "PUT" if self.v1 else "POST"
        path = self._path(f"config/{config_id}", f"lconfig/{config_id}/import")
        with _explaining("setting the label configuration"):
            return list(self.http.send(method, path, json=list(entries), expect=_CONFIGURATION)["entries"])

    def merge_configuration(self, config_id: str, entries: Sequence[Json]) -> list[Json]:
        """Change a label configuration (internal only). Entries that keep their id keep their labels."""
        path, params = f"/api/lconfig/{config_id}", {"changeStatus": "false"}  # finished tasks stay finished
        with _explaining("adding to the label configuration"):
            answer = self.http.send("PUT", path, json=list(entries), params=params, expect=_CONFIGURATION)
        return list(answer["entries"])

    # --- labels -----------------------------------------------------------------------------------------------------

    def import_labels(self, project_id: str, body: bytes, *, repeatable: bool) -> None:
        """Import a batch of labels, all of it or nothing. Raises ``Rejected``.

        DataGym may answer a refusal with 200 and an error text.
        """
        path, action = self._path(f"project/{project_id}/prediction"), "importing labels"
        headers, form = {"Content-Type": "application/json"}, {"errorMessages": str}
        with _explaining(action):
            answer = self.http.send("POST", path, data=body, headers=headers, repeatable=repeatable, expect=form)
        if answer["errorMessages"]:
            raise import_refused(answer["errorMessages"], action)

    def export(self, project_id: str) -> Iterator[bytes]:
        """The export of a project, as a stream of chunks."""
        return self.http.stream(self._path(f"export/{project_id}", f"project/{project_id}/export"))

    # --- tasks ------------------------------------------------------------------------------------------------------

    def tasks(self, project_id: str) -> list[Json]:
        """All tasks of a project, in any state. v1 lists only one state in a call."""
        if not self.v1:
            return self._list("listing the tasks", f"/api/project/{project_id}/task", _TASK)
        found: dict[str, Json] = {}
        for state in STATES:  # a task whose state changes meanwhile is listed twice, and kept once
            for task in self._list("listing the tasks", f"/api/v1/task/{project_id}/list", _TASK, {"state": state}):
                found[task["taskId"]] = task
        return list(found.values())

    def any_task(self, project_id: str) -> str | None:
        """The id of any task of a project."""
        path = self._path(f"task/{project_id}/list", f"project/{project_id}/task")
        for state in STATES:
            if tasks := self._list("listing the tasks", path, _TASK, {"state": state, "limit": "1"}):
                return str(tasks[0]["taskId"])
        return None

    def task(self, task_id: str) -> Json:
        """A task with its values, their ids, and the label configuration."""
        with _explaining("reading a task"):
            return dict(self.http.get(self._path(f"task/{task_id}"), expect=_TASK_VALUES))

    def release(self, project_id: str, dataset_id: str) -> None:
        """Move the tasks of a dataset out of the backlog (internal only)."""
        body = {"projectId": project_id, "datasetId": dataset_id, "direction": "WAITING"}
        with _explaining("releasing the tasks"):
            self.http.send("PUT", "/api/task/moveAll", json=body)

    def review_failed(self, task_id: str, comment: str) -> None:
        """Give a completed or skipped task back to its labeler, with a comment (internal only)."""
        with _explaining("giving an image back"):
            self.http.send("PUT", "/api/task/reviewedFailed", json={"taskId": task_id, "reviewComment": comment})

    def wait_again(self, task_id: str) -> None:
        """Let a task that was finished or reviewed wait for any labeler (internal only)."""
        with _explaining("giving an image back"):
            self.http.send("PUT", f"/api/task/{task_id}/skipToWC")


@contextmanager
def _explaining(action: str) -> Iterator[None]:
    """Turn DataGym's errors into sentences about an action."""
    try:
        yield
    except BackendError as error:
        explained = explain(error, action)
        if explained is error:
            raise
        raise explained from error
