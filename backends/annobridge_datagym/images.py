"""Images: sent as files or as addresses into a dataset, and found there when they were sent before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from annobridge.backend import Task
from annobridge.exceptions import Rejected
from annobridge.formats import media
from annobridge.formats.media import ImageHeader

from . import names
from .api import URLS, Api
from .config import DatagymConfig
from .mistakes import key_of

Json = dict[str, Any]
_TYPES = (".jpg", ".jpeg", ".png")
_FORMATS = frozenset({"JPEG", "MPO", "PNG"})  # MPO: a JPEG with more pictures behind the first
_SHOWN = 3
_CURE = {  # of an image that the server refused, by the key of its error
    "ex_alreadyexists": "rename the file, or leave it out of the view",
    "ex_val_bin_mime": "DataGym takes JPEG and PNG; convert it, or leave it out of the view",
}


def send(api: Api, dataset: Json, task: Task, config: DatagymConfig) -> tuple[list[str], list[str]]:
    """Have every image of a task in the dataset: DataGym's ids, and the names, in the order of the samples."""
    paths = task.samples["filepath"].to_pylist()
    if config.media == "urls":
        urls = [address(p, config) for p in paths]
        return _send_urls(api, dataset, urls, task.samples["sample_id"].to_pylist())
    known = names.files(paths, latin=api.v1)
    there = {m["mediaName"]: m["id"] for m in api.media(dataset["id"])}
    if strange := sorted(set(there) - set(known)):
        raise Rejected(
            f"datagym: the dataset {dataset['name']!r} is in use: it has {len(strange)} images that are not of this task, as "
            f"{strange[0]!r}. Rename or delete it at DataGym, then resume the run."
        )
    for sample, name, path in zip(task.samples["sample_id"].to_pylist(), known, paths, strict=True):
        if name not in there:
            there[name] = _uploaded(api, dataset["id"], task, sample, name, path)
    return [there[name] for name in known], known


def _uploaded(api: Api, dataset: str, task: Task, sample: str, name: str, path: str) -> str:
    with task.media.open(sample) as stream:
        try:
            made = api.upload(dataset, name, stream)
        except Rejected as error:
            cure = _CURE.get(key_of(error), "correct the file, or leave it out of the view")
            about = f"{error} That is {path!r}, of sample {sample!r}: {cure}."
            raise Rejected(about, error.status, error.detail, (sample,)) from error
    if made.get("valid") is False:
        api.delete_media(made["id"])
        raise Rejected(
            f"datagym: the image {path!r} of sample {sample!r} is not valid there ({made.get('reason')}), and was removed again; "
            "mend or replace the file, or leave it out of the view.",
            samples=(sample,),
        )
    return str(made["id"])


def headers(task: Task) -> list[ImageHeader | None]:
    """What the header of each image says; ``None`` for one that cannot be read."""
    return [media.read_header_of(task.media, sample) for sample in task.samples["sample_id"].to_pylist()]


def require_formats(task: Task, found: Sequence[ImageHeader | None]) -> None:
    """Raise ``Rejected`` for images that are neither JPEG nor PNG, whatever their names end in."""
    pairs = zip(task.samples["sample_id"].to_pylist(), found, strict=True)
    samples = tuple(sample for sample, header in pairs if _is_foreign(header))
    if samples:
        raise Rejected(f"datagym: {next(foreign(task, found))}", samples=samples)


def foreign(task: Task, found: Sequence[ImageHeader | None]) -> Iterator[str]:
    """The sentence about images that are neither JPEG nor PNG, if there are any."""
    paths = task.samples["filepath"].to_pylist()
    wrong = [(p, h.format) for p, h in zip(paths, found, strict=True) if h is not None and _is_foreign(h)]
    if wrong:
        shown = ", ".join(f"{path!r} is {kind}" for path, kind in wrong[:_SHOWN])
        yield (
            f"DataGym takes JPEG and PNG, and {len(wrong)} images are of other formats ({shown}{' …' * (len(wrong) > _SHOWN)}); "
            "convert them, or leave them out of the view."
        )


def _is_foreign(header: ImageHeader | None) -> bool:
    return header is not None and header.format not in _FORMATS


def turned(task: Task, found: Sequence[ImageHeader | None]) -> Iterator[str]:
    """Images that their EXIF data turn: browsers show them so, and DataGym's server has them unturned."""
    pairs = zip(task.samples["filepath"].to_pylist(), found, strict=True)
    paths = [path for path, header in pairs if header is not None and header.orientation > 1]
    if paths:
        yield (
            f"{len(paths)} images are turned by their EXIF data, as {paths[0]!r}: people see them turned, DataGym's server does "
            "not, and where a label lies would be uncertain. Turn the files themselves (PIL.ImageOps.exif_transpose), or leave "
            "them out of the view."
        )


def address(path: str, config: DatagymConfig) -> str:
    """Where the server finds a file. Raises ``ValueError`` with why it cannot."""
    url = path
    if "://" not in path:
        root = Path(config.media_root or "").resolve()
        place = Path(path).resolve()
        if config.media_root is None or config.url_root is None or not place.is_relative_to(root):
            raise ValueError(f"the file {path!r} is not below media_root={config.media_root!r}")
        url = f"{config.url_root.rstrip('/')}/{quote(place.relative_to(root).as_posix())}"
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{_plain(url)} is no address that DataGym can open")
    return url


def unusable(url: str) -> str | None:
    """Why DataGym refuses an address, or ``None``. It looks only at what follows the last point."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        return "has a login in it, which DataGym would keep and show"
    if url.lower().endswith(_TYPES):
        return None
    if parts.query and parts.path.lower().endswith(_TYPES):
        return "is signed (it has a query): DataGym takes only addresses that end in .jpg, .jpeg or .png"
    return "does not end in .jpg, .jpeg or .png"


def _send_urls(api: Api, dataset: Json, urls: Sequence[str], samples: Sequence[str]) -> tuple[list[str], list[str]]:
    ids = _there(api.media(dataset["id"]), urls)
    missing, refused = [url for url in urls if url not in ids], {}
    for at in range(0, len(missing), URLS):
        for one in api.add_urls(dataset["id"], missing[at : at + URLS]):
            if one["mediaUploadStatus"] == "SUCCESS":
                ids[one["imageUrl"]] = one["internal_media_ID"]
            else:
                refused[one["imageUrl"]] = one["mediaUploadStatus"]
    if refused:
        url, why = next(iter(refused.items()))
        more = f", nor were {len(refused) - 1} others" if len(refused) > 1 else ""
        raise Rejected(
            f"datagym: the image {_plain(url)} was not taken ({why}){more}; correct the address, or abort the run and send it "
            "again.",
            # An image that is there twice is not at fault itself.
            samples=() if "DUPLICATE" in refused.values() else tuple(
                sample for sample, place in zip(samples, urls, strict=True) if place in refused
            ),
        )  # fmt: skip
    return [ids[url] for url in urls], [_last(url) for url in urls]


def _there(media: Sequence[Json], urls: Sequence[str]) -> dict[str, str]:
    """The images of an earlier, unanswered call: by address, which v1 does not show, or by a name that occurs once."""
    by_url = {m["url"]: m["id"] for m in media if m.get("url")}
    counts = Counter(_last(url) for url in urls)
    by_name = {m["mediaName"]: m["id"] for m in media if counts[m["mediaName"]] == 1}
    found = {url: by_url.get(url) or by_name.get(_last(url)) for url in urls}
    return {url: number for url, number in found.items() if number is not None}


def _last(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]


def _plain(url: str) -> str:
    """An address without its query and its login, in which a secret may be."""
    parts = urlsplit(url)
    return repr(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))


def problems(paths: Sequence[str], config: DatagymConfig) -> Iterator[str]:
    """What is wrong with images that are sent as addresses. DataGym knows an address once, so two samples would be one image."""
    seen: set[str] = set()
    for path in paths:
        try:
            url = address(path, config)
        except ValueError as error:
            yield f"media='urls': {error}; give media_root and url_root, or send the files with media='upload'."
            return
        if why := unusable(url):
            yield f"media='urls': the address {_plain(url)} {why}; serve the files openly, or send them with media='upload'."
            return
        if url in seen:
            yield (
                f"media='urls': several samples have the address {_plain(url)}, and DataGym makes one image of them; leave all but "
                "one out of the view, or send the files with media='upload'."
            )
            return
        seen.add(url)
