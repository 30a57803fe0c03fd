"""Images: uploaded as files or added by their URLs, and found again in a dataset when they were sent before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from annobridge.backend import Task
from annobridge.backend.address import served_at
from annobridge.exceptions import Rejected
from annobridge.formats import media
from annobridge.formats.media import ImageHeader

from . import names
from .api import URLS_PER_CALL, Api
from .config import DatagymConfig
from .errors import error_key

Json = dict[str, Any]
_EXTENSIONS = (".jpg", ".jpeg", ".png")
_FORMATS = frozenset({"JPEG", "MPO", "PNG"})  # MPO: a JPEG with more pictures behind the first
_SHOWN = 3
_CURES = {  # for an image that the server refused, by the key of its error
    "ex_alreadyexists": "rename the file, or leave it out of the view",
    "ex_val_bin_mime": "DataGym takes JPEG and PNG; convert it, or leave it out of the view",
}

# --- sending ------------------------------------------------------------------------------------------------------------


def send_images(api: Api, dataset: Json, task: Task, config: DatagymConfig) -> tuple[list[str], list[str]]:
    """Send those images of a task that the dataset does not have. Raises ``Rejected``, with the samples that are refused.

    Returns:
        DataGym's media ids and the names of the images, in the order of the samples.
    """
    samples, paths = task.samples["sample_id"].to_pylist(), task.samples["filepath"].to_pylist()
    if config.media == "urls":
        return _add_urls(api, dataset, [url_of(path, config) for path in paths], samples)
    own_names = names.file_names(paths, latin=api.v1)
    ids = {m["mediaName"]: m["id"] for m in api.media(dataset["id"])}
    if foreign := sorted(set(ids) - set(own_names)):
        raise Rejected(
            f"datagym: the dataset {dataset['name']!r} is in use: it has {len(foreign)} images that are not of this task, as "
            f"{foreign[0]!r}. Rename or delete it at DataGym, then resume the run."
        )
    for sample, name, path in zip(samples, own_names, paths, strict=True):
        if name not in ids:
            ids[name] = _upload_file(api, dataset["id"], task, sample, name, path)
    return [ids[name] for name in own_names], own_names


def _upload_file(api: Api, dataset_id: str, task: Task, sample: str, name: str, path: str) -> str:
    with task.media.open(sample) as stream:
        try:
            created = api.upload(dataset_id, name, stream)
        except Rejected as error:
            cure = _CURES.get(error_key(error), "correct the file, or leave it out of the view")
            message = f"{error} That is {path!r}, of sample {sample!r}: {cure}."
            raise Rejected(message, error.status, error.detail, (sample,)) from error
    if created.get("valid") is False:
        api.delete_media(created["id"])
        raise Rejected(
            f"datagym: the image {path!r} of sample {sample!r} is not valid there ({created.get('reason')}), and was removed "
            "again; repair or replace the file, or leave it out of the view.",
            samples=(sample,),
        )
    return str(created["id"])


def _add_urls(api: Api, dataset: Json, urls: Sequence[str], samples: Sequence[str]) -> tuple[list[str], list[str]]:
    ids = _existing_ids(api.media(dataset["id"]), urls)
    missing, refused = [url for url in urls if url not in ids], {}
    for start in range(0, len(missing), URLS_PER_CALL):
        for one in api.add_urls(dataset["id"], missing[start : start + URLS_PER_CALL]):
            if one["mediaUploadStatus"] == "SUCCESS":
                ids[one["imageUrl"]] = one["internal_media_ID"]
            else:
                refused[one["imageUrl"]] = one["mediaUploadStatus"]
    if refused:
        url, status = next(iter(refused.items()))
        more = f", nor were {len(refused) - 1} others" if len(refused) > 1 else ""
        # A duplicate is not the fault of the sample: the image is in the dataset, under an id that the server does not tell.
        at_fault = () if "DUPLICATE" in refused.values() else tuple(
            sample for sample, url in zip(samples, urls, strict=True) if url in refused
        )  # fmt: skip
        raise Rejected(
            f"datagym: the image {_redacted(url)} was not taken ({status}){more}; correct the address, or abort the run and send "
            "it again.",
            samples=at_fault,
        )
    return [ids[url] for url in urls], [_url_name(url) for url in urls]


def _existing_ids(existing: Sequence[Json], urls: Sequence[str]) -> dict[str, str]:
    """The ids of images that an earlier call added: by URL, which v1 does not show, or by a name that occurs once."""
    by_url = {m["url"]: m["id"] for m in existing if m.get("url")}
    counts = Counter(_url_name(url) for url in urls)
    by_name = {m["mediaName"]: m["id"] for m in existing if counts[m["mediaName"]] == 1}
    found = {url: by_url.get(url) or by_name.get(_url_name(url)) for url in urls}
    return {url: media_id for url, media_id in found.items() if media_id is not None}


def _url_name(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]


def _redacted(url: str) -> str:
    """A URL without its query and its login, which may have a secret in them."""
    parts = urlsplit(url)
    return repr(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))


# --- checks of files ----------------------------------------------------------------------------------------------------


def read_headers(task: Task) -> list[ImageHeader | None]:
    """What the header of each image says; ``None`` for one that cannot be read."""
    return [media.read_header_of(task.media, sample) for sample in task.samples["sample_id"].to_pylist()]


def require_formats(task: Task, headers: Sequence[ImageHeader | None]) -> None:
    """Raise ``Rejected`` for images that are neither JPEG nor PNG, whatever their extensions."""
    pairs = zip(task.samples["sample_id"].to_pylist(), headers, strict=True)
    samples = tuple(sample for sample, header in pairs if header is not None and header.format not in _FORMATS)
    if samples:
        raise Rejected(f"datagym: {next(check_formats(task, headers))}", samples=samples)


def check_formats(task: Task, headers: Sequence[ImageHeader | None]) -> Iterator[str]:
    """The problem of images that are neither JPEG nor PNG."""
    pairs = zip(task.samples["filepath"].to_pylist(), headers, strict=True)
    wrong = [(path, h.format) for path, h in pairs if h is not None and h.format not in _FORMATS]
    if wrong:
        shown = ", ".join(f"{path!r} is {format_}" for path, format_ in wrong[:_SHOWN])
        yield (
            f"DataGym takes JPEG and PNG, and {len(wrong)} images are of other formats ({shown}{' …' * (len(wrong) > _SHOWN)}); "
            "convert them, or leave them out of the view."
        )


def check_orientation(task: Task, headers: Sequence[ImageHeader | None]) -> Iterator[str]:
    """The problem of images that their EXIF data turn: browsers show them turned, and DataGym's server does not turn them."""
    pairs = zip(task.samples["filepath"].to_pylist(), headers, strict=True)
    paths = [path for path, header in pairs if header is not None and header.orientation > 1]
    if paths:
        yield (
            f"{len(paths)} images are turned by their EXIF data, as {paths[0]!r}: people see them turned, DataGym's server does "
            "not, and where a label is would be uncertain. Turn the files themselves (PIL.ImageOps.exif_transpose), or leave "
            "them out of the view."
        )


# --- checks of URLs -----------------------------------------------------------------------------------------------------


def url_of(path: str, config: DatagymConfig) -> str:
    """The URL at which the server finds a file. Raises ``ValueError`` with the reason why there is none."""
    url = served_at(path, config.media_root, config.url_root and f"{config.url_root.rstrip('/')}/")
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{_redacted(url)} is not an address that DataGym can open")
    return url


def check_urls(paths: Sequence[str], config: DatagymConfig) -> Iterator[str]:
    """The first problem of images that are added by URL. DataGym keeps a URL once, so two samples would be one image."""
    seen: set[str] = set()
    for path in paths:
        try:
            url = url_of(path, config)
        except ValueError as error:
            yield f"media='urls': {error}; give media_root and url_root, or send the files with media='upload'."
            return
        if reason := _unusable(url):
            yield f"media='urls': the address {_redacted(url)} {reason}; serve the files openly, or send them with media='upload'."
            return
        if url in seen:
            yield (
                f"media='urls': several samples have the address {_redacted(url)}, and DataGym makes one image of them; leave all "
                "but one out of the view, or send the files with media='upload'."
            )
            return
        seen.add(url)


def _unusable(url: str) -> str | None:
    """Why DataGym refuses a URL, or ``None``. It looks only at what the URL ends with."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        return "has a login in it, which DataGym would keep and show"
    if url.lower().endswith(_EXTENSIONS):
        return None
    if parts.query and parts.path.lower().endswith(_EXTENSIONS):
        return "is signed (it has a query): DataGym takes only addresses that end in .jpg, .jpeg or .png"
    return "does not end in .jpg, .jpeg or .png"
