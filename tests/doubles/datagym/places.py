"""Projects, datasets and media."""

from __future__ import annotations

import base64
import binascii
import io
import re
from typing import Any
from urllib.parse import urlsplit

from PIL import Image, UnidentifiedImageError

from .config import FORBIDDEN
from .errors import ApiError, forbidden, generic, invalid
from .state import OPEN_CORE_OWNER, Dataset, Media, Project, State, new_id

Json = dict[str, Any]
_NAME = re.compile(r"[A-Za-z0-9_ ]{1,128}")
_SHORT = re.compile(r"[A-Za-z0-9_ ,.\-äöüÄÖÜß]{1,128}")
_URL_TYPES = {"jpg", "jpeg", "png"}


def _check_name(name: Any) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= 128:
        raise invalid("Name", "ex_size", 128, 1)
    if not _NAME.fullmatch(name):
        raise invalid("Name", "ex_pattern", name)
    if name in FORBIDDEN or name.startswith("lcentry"):
        raise generic("forbidden_keyword", name)
    return name


def _only(body: Any, *known: str) -> Json:
    if not isinstance(body, dict) or set(body) - set(known):
        raise ApiError(400, None)
    return body


# --- projects -----------------------------------------------------------------------------------------------------------


def create_project(state: State, body: Any) -> Project:
    given = _only(body, "owner", "name", "shortDescription", "description", "mediaType")
    name, short = _check_name(given.get("name")), given.get("shortDescription")
    if given.get("owner") != state.owner:
        raise forbidden()
    if not isinstance(short, str) or not _SHORT.fullmatch(short):
        raise invalid("Short Description", "ex_pattern" if short else "ex_notnull")
    if any(p.name == name and not p.deleted for p in state.projects.values()):
        raise invalid("Name", "ex_uniqueprojectname", name)
    made = Project(new_id(), name, state.owner, short, given.get("description"), given.get("mediaType") or "IMAGE")
    state.projects[made.id] = made
    return made


def project_shown(state: State, project: Project, *, internal: bool) -> Json:
    made: Json = {
        "id": project.id, "name": project.name, "shortDescription": project.short, "description": project.description,
        "timestamp": project.timestamp, "labelConfigurationId": project.config_id, "labelIterationId": project.iteration_id,
        "owner": project.owner, "mediaType": project.media_type,
        "datasets": [_summary(state, d, internal) for d in reversed(project.datasets) if not d.deleted],
    }  # fmt: skip
    if internal:
        made |= {"pinned": False, "deleted": False, "deleteTime": None, "exportable": True, "reviewActivated": False,
                 "orgData": None}  # fmt: skip
    return made


def connect(state: State, project: Project, dataset: Dataset) -> None:
    if dataset in project.datasets:
        raise ApiError(412, "ex_already_contains", "Project", "Dataset", dataset.id)
    if dataset.media_type != project.media_type:
        raise generic("mediatype_missmatch")
    if dataset.owner != project.owner:
        raise forbidden()
    project.datasets.append(dataset)
    for media in dataset.present():
        state.add_task(project, dataset, media)


def disconnect(state: State, project: Project, dataset: Dataset) -> None:
    if dataset not in project.datasets:
        raise generic("does_not_contain", project.id, dataset.id)
    project.datasets.remove(dataset)
    state.drop_tasks(project, dataset)


# --- datasets -----------------------------------------------------------------------------------------------------------


def create_dataset(state: State, body: Any, *, internal: bool) -> Dataset:
    given = _only(body, "name", "shortDescription", *(("owner", "mediaType") if internal else ()))
    name = _check_name(given.get("name"))
    if internal and given.get("owner") is None:
        raise invalid("Owner", "ex_notnull")
    if internal and given["owner"] != state.owner:
        raise forbidden()
    if any(d.name == name and not d.deleted for d in state.datasets.values()):
        raise (
            invalid("Name", "ex_uniquedatasetname", name)
            if internal
            else ApiError(412, "ex_alreadyexists", "Dataset", "name", name)
        )
    made = Dataset(new_id(), name, state.owner, given.get("shortDescription"), given.get("mediaType") or "IMAGE")
    state.datasets[made.id] = made
    return made


def _summary(state: State, dataset: Dataset, internal: bool) -> Json:
    made: Json = {
        "id": dataset.id, "name": dataset.name, "shortDescription": dataset.short, "timestamp": dataset.timestamp,
        "owner": dataset.owner, "mediaCount": len(dataset.present()), "mediaType": dataset.media_type,
        "projectCount": sum(dataset in p.datasets for p in state.projects.values() if not p.deleted),
    }  # fmt: skip
    return made | ({"deleted": False, "deleteTime": None, "orgData": None} if internal else {})


def dataset_shown(state: State, dataset: Dataset, *, internal: bool) -> Json:
    """A dataset; internally without its media."""
    made = _summary(state, dataset, internal)
    if not internal:
        del made["mediaCount"]
    return made | {"media": [] if internal else [media_listed(m) for m in reversed(dataset.present())]}


def delete_dataset(state: State, dataset: Dataset) -> None:
    dataset.deleted = True
    for media in dataset.media:
        media.deleted = True


# --- media --------------------------------------------------------------------------------------------------------------


def media_listed(media: Media) -> Json:
    return {"id": media.id, "timestamp": media.timestamp, "mediaSourceType": media.source, "mediaName": media.name}


def media_shown(media: Media) -> Json:
    made = media_listed(media) | {"valid": True, "reason": None, "url": media.url}
    return made | ({"width": media.width, "height": media.height} if media.source == "LOCAL" else {})


def upload(state: State, dataset: Dataset, name: str | None, data: bytes, *, internal: bool) -> Media:
    """One file, whose name is in a header: verbatim, or internally in Base64."""
    if not name:
        raise invalid("X-filename", "ex_notnull")
    if internal:
        try:
            name = base64.b64decode(name, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            raise ApiError(500, "ex_system") from None
    if len(name) > 255:
        raise ApiError(500, "ex_system")  # the column is full
    try:
        with Image.open(io.BytesIO(data)) as image:
            size, kind = image.size, image.format
    except (UnidentifiedImageError, OSError):
        size, kind = (0, 0), None
    if kind not in ("JPEG", "PNG"):
        raise invalid("Image", "ex_val_bin_mime", kind)
    if any(m.name == name for m in dataset.present()):
        raise ApiError(412, "ex_alreadyexists", "Image", "name", name)
    made = Media(new_id(), name, "LOCAL", data, *size)
    _admit(state, dataset, made)
    return made


def add_urls(state: State, dataset: Dataset, urls: Any) -> list[Json]:
    """Addresses, of which only the text after the last point is looked at."""
    if not isinstance(urls, list):
        raise ApiError(400, None)
    answers = []
    for url in sorted(set(urls)):
        made, status = None, "SUCCESS"
        if url.rpartition(".")[2].lower() not in _URL_TYPES:
            status = "UNSUPPORTED_MIME_TYPE"
        elif any(m.url == url for m in dataset.present()):
            status = "DUPLICATE"
        else:
            made = Media(new_id(), urlsplit(url).path.rpartition("/")[2], "SHAREABLE_LINK", url=url)
            _admit(state, dataset, made)
        answers.append({"internal_media_ID": made and made.id, "external_media_ID": made and made.name, "imageUrl": url,
                        "mediaUploadStatus": status})  # fmt: skip
    return answers


def delete_media(state: State, number: str) -> None:
    media = state.media(number)
    if media.deleted:
        raise generic("image_delete", number)
    media.deleted = True


def _admit(state: State, dataset: Dataset, media: Media) -> None:
    dataset.media.append(media)
    for project in state.projects.values():
        if dataset in project.datasets and not project.deleted:
            state.add_task(project, dataset, media)


def open_core_owner(edition: str) -> str:
    return OPEN_CORE_OWNER if edition == "open-core" else "org-1"
