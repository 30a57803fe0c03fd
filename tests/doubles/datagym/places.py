"""Projects, datasets and media."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from PIL import Image, UnidentifiedImageError

from . import collation
from .config import FORBIDDEN
from .errors import ApiError, broken, exists, forbidden, generic, invalid, odd, unreadable
from .state import FINISHED, OPEN_CORE_OWNER, Dataset, Media, Project, State, new_id, now

Json = dict[str, Any]
_NAME = re.compile(r"[A-Za-z0-9_ ]{1,128}")
_SHORT = re.compile(r"[a-zA-Z0-9_ ,.\-àâçéèêëîïôûùüÿñæœäöüßÄÖÜ]*")
_TOKEN_SHORT = re.compile(r"[a-zA-Z0-9_ -]*")  # of a dataset that is made with a token
_MEDIA = ("IMAGE", "VIDEO")
_URL_TYPES = {"jpg", "jpeg", "png"}
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
Faults = Iterator[tuple[str, str]]


def _text(name: str, value: Any, pattern: re.Pattern[str] | None = None) -> Faults:
    """The faults that bean validation finds in a required text."""
    if value is None:
        yield from ((name, "ex_notnull"), (name, "ex_notempty"))
        return
    if value == "":
        yield name, "ex_notempty"
    if not 1 <= len(value) <= 128:
        yield name, "ex_size"
    if pattern is not None and not pattern.fullmatch(value):
        yield name, "ex_pattern"


def _check_name(name: str) -> None:
    if name in FORBIDDEN:
        raise generic("forbidden_keyword", name)


def _only(body: Any, *known: str) -> Json:
    texts = (str, type(None))
    if not isinstance(body, dict) or set(body) - set(known) or not all(isinstance(v, texts) for v in body.values()):
        raise unreadable()
    if body.get("mediaType") not in (None, *_MEDIA):
        raise unreadable()
    return body


def _is_taken(name: str, there: Iterable[Project | Dataset]) -> bool:
    return any(collation.key(one.name) == collation.key(name) and not one.deleted for one in there)


# --- projects -----------------------------------------------------------------------------------------------------------


def create_project(state: State, body: Any) -> Project:
    given = _only(body, "owner", "name", "shortDescription", "description", "mediaType")
    name, short, owner = given.get("name"), given.get("shortDescription"), given.get("owner")
    faults = [*_text("Owner", owner), *_text("Name", name, _NAME), *_text("Short Description", short, _SHORT)]
    if len(given.get("description") or "") > 1024:
        faults.append(("Description", "ex_length"))
    if name and _is_taken(name, state.projects.values()):
        faults.append(("Name", "ex_uniqueprojectname"))
    if faults:
        raise invalid(*faults)
    assert name is not None
    assert short is not None
    if owner != state.owner:
        raise forbidden()
    _check_name(name)
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
        finished = any(t.state in FINISHED for t in state.tasks_of(project))
        made |= {"pinned": False, "deleted": project.deleted, "deleteTime": now() if project.deleted else None,
                 "exportable": finished, "reviewActivated": False, "orgData": None}  # fmt: skip
    return made


def connect(state: State, project: Project, dataset: Dataset) -> None:
    if dataset in project.datasets:
        raise ApiError(412, "ex_already_contains", "Project", "Dataset")
    if dataset.media_type != project.media_type:
        raise generic("mediatype_missmatch")
    if dataset.owner != project.owner:
        raise forbidden()
    project.datasets.append(dataset)
    for media in dataset.present():
        state.add_task(project, dataset, media)


def disconnect(state: State, project: Project, dataset: Dataset) -> None:
    if dataset not in project.datasets:
        raise generic("does_not_contain", "Project", "Dataset")
    project.datasets.remove(dataset)
    state.drop_tasks(project, dataset)


# --- datasets -----------------------------------------------------------------------------------------------------------


def create_dataset(state: State, body: Any, *, internal: bool) -> Dataset:
    given = _only(body, "name", "shortDescription", *(("owner", "mediaType") if internal else ()))
    name, short = given.get("name"), given.get("shortDescription")
    faults = [*_text("Name", name, _NAME)]
    if internal:
        faults += _text("Owner", given.get("owner"))
    if short is not None and not (_SHORT if internal else _TOKEN_SHORT).fullmatch(short):
        faults.append(("Short Description", "ex_pattern"))
    taken = bool(name) and _is_taken(str(name), state.datasets.values())
    if internal and taken:
        faults.append(("Name", "ex_uniquedatasetname"))
    if faults:
        raise invalid(*faults)
    assert name is not None
    if internal and given["owner"] != state.owner:
        raise forbidden()
    _check_name(name)
    if taken:
        raise exists("Dataset", "name", name)
    made = Dataset(new_id(), name, state.owner, short, given.get("mediaType") or "IMAGE")
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
    """A single dataset; the internal API shows it without its media."""
    made = _summary(state, dataset, internal)
    del made["mediaCount"]
    if not internal:
        return made | {"media": [media_listed(m) for m in reversed(dataset.present())]}
    del made["orgData"]
    gone = {"deleted": dataset.deleted, "deleteTime": now() if dataset.deleted else None}
    return made | gone | {"media": [], "allowPublicUrls": True}


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
    """Upload one file, whose name is in a header: verbatim in v1, in Base64 in the internal API."""
    if name is None:
        raise broken() if internal else odd("Header: X-filename", "ex_val_empty")
    if not name:
        raise odd("filename", "ex_val_empty")
    if internal:
        try:
            name = base64.b64decode(name, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            raise broken() from None
    if not data.startswith(_MAGIC):
        raise odd("data", "ex_val_bin_mime")
    if any(collation.key(m.name) == collation.key(name) for m in dataset.present()):
        raise exists("Image", "name", name)
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            size = image.size
    except (UnidentifiedImageError, OSError, SyntaxError):
        raise broken() from None
    if len(name) > 255:
        raise broken()  # the column is full
    made = Media(new_id(), name, "LOCAL", data, *size)
    _admit(state, dataset, made)
    return made


def add_urls(state: State, dataset: Dataset, urls: Any) -> list[Json]:
    """Add URLs, of which only the text after the last point is checked."""
    if not isinstance(urls, list):
        raise unreadable()
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
    media = state.media(number, deleted=True)
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
