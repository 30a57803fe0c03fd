"""Files in object stores: Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage.

Read by obstore, the ``object_store`` that Lance uses too, so that ``storage_options`` of a dataset are those of its media.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

import obstore
from obstore import exceptions
from obstore import store as stores

from .refusals import refusal
from .remote_file import FileState, StorageOptions, fault_of_options

SCHEMES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl")
_CHUNK = 1 << 20
_RETRY: Any = {"max_retries": 3}
_UNKNOWN_KEY = re.compile(r"key: '([^']+)'")
_PROVIDER = re.compile(r"^(aws|google|azure)_")
# Options of Lance that are of the connection, and not of the store.
_CLIENT = frozenset({
    *("allow_http", "allow_invalid_certificates", "connect_timeout", "http1_only", "http2_only", "http2_keep_alive_interval"),
    *("http2_keep_alive_timeout", "http2_keep_alive_while_idle", "pool_idle_timeout", "pool_max_idle_per_host", "proxy_url"),
    *("proxy_ca_certificate", "proxy_excludes", "randomize_addresses", "timeout", "user_agent"),
})  # fmt: skip
_NAMES = {"google_storage_token": "google_bearer_token"}  # options of Lance that obstore has by another name
_VARIABLES = ("AWS_", "AZURE_", "GOOGLE_")  # that obstore reads
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")


class ObjectFile:
    """A file by its URI, as ``s3://bucket/a.png``. Escapes of its path, as ``%20``, are decoded."""

    def __init__(self, uri: str, options: StorageOptions) -> None:
        self._place, self._key = _split(uri)
        self._options = tuple(sorted((options or {}).items()))

    def state(self) -> FileState:
        """Ask for size, ETag and time."""
        with _translated():
            return _state(obstore.head(self._store(), self._key))

    def download(self, into: BinaryIO, known: FileState | None = None) -> FileState | None:
        """Write the bytes into ``into``; returns ``None`` for a file that did not change."""
        condition: Any = {}
        if known is not None and known.etag:
            condition["if_none_match"] = known.etag
        elif known is not None and known.modified:
            condition["if_modified_since"] = parsedate_to_datetime(known.modified)
        with _translated():
            try:
                found = obstore.get(self._store(), self._key, options=condition or None)
            except exceptions.NotModifiedError:
                return None
            for chunk in found.stream(min_chunk_size=_CHUNK):
                into.write(chunk)
            return _state(found.meta)

    def create(self, content: BinaryIO) -> bool:
        """Write the file, unless there is one; returns whether it was written."""
        with _translated():
            try:
                obstore.put(self._store(), self._key, content, mode="create", use_multipart=False)
            except exceptions.AlreadyExistsError:
                return False
            return True

    def _store(self) -> Any:
        return _store(self._place, self._options)


def open_store(uri: str, options: StorageOptions) -> tuple[Any, str]:
    """The store of obstore that a URI is in, and the key there. Nothing is asked yet. Raises ``OSError``."""
    place, key = _split(uri)
    with _translated():
        return _store(place, tuple(sorted((options or {}).items()))), key


def _split(uri: str) -> tuple[str, str]:
    """The bucket, or container, of a URI, and the key in it."""
    parts = urlsplit(uri.replace("?", "%3F").replace("#", "%23"))  # names may have them, and there is no query
    return f"{parts.scheme}://{parts.netloc}", unquote(parts.path).lstrip("/")


def _store(place: str, options: tuple[tuple[str, str], ...]) -> Any:
    """The store of a bucket, or container, by these options and those of the environment."""
    variables = ((name, value) for name, value in os.environ.items() if name.startswith(_VARIABLES))
    return _kept_store(place, options, tuple(sorted(variables)))


@functools.lru_cache(64)
def _kept_store(place: str, options: tuple[tuple[str, str], ...], _variables: tuple[tuple[str, str], ...]) -> Any:
    """A store, whose connections are kept until options or variables are others: it reads the variables once."""
    if fault := fault_of_options(dict(options)):
        raise OSError(fault)
    from_url: Any = stores.from_url  # its overloads name each option
    config: dict[str, Any] = {}
    client: dict[str, Any] = {}
    for name, value in options:
        plain = _PROVIDER.sub("", name.lower())
        (client if plain in _CLIENT else config)[plain if plain in _CLIENT else _NAMES.get(name.lower(), name)] = value
    # Those of the environment are read too, but only where none are given here.
    more: dict[str, Any] = {"client_options": client} if client else {}
    if place.startswith("s3") and not _has_keys(config) and importlib.util.find_spec("boto3") is not None:
        from obstore.auth.boto3 import Boto3CredentialProvider

        with suppress(Exception):  # it has found none: the store is asked without
            more["credential_provider"] = Boto3CredentialProvider()
    while True:
        try:
            return from_url(place, config=config, retry_config=_RETRY, **more)
        except exceptions.UnknownConfigurationKeyError as error:  # an option of Lance that is not one of the store
            key = _UNKNOWN_KEY.search(str(error))
            if key is None or key[1] not in config:
                raise
            del config[key[1]]


def _has_keys(config: dict[str, Any]) -> bool:
    """Whether credentials of S3, or that there are none, are given by options or by variables that obstore reads."""
    named = any("access_key" in name or "skip_signature" in name for name in map(str.lower, config))
    return named or "AWS_SKIP_SIGNATURE" in os.environ or any(name in os.environ for name in _KEYS)


def _state(meta: Any) -> FileState:
    modified: datetime = meta["last_modified"]
    return FileState(meta["size"], meta["e_tag"] or "", format_datetime(modified.astimezone(UTC), usegmt=True))


@contextmanager
def _translated() -> Iterator[None]:
    """Raise ``OSError`` without the text of obstore's errors, which has the URL."""
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError("there is no such file") from None
    except ValueError:
        raise OSError("its URI is no address of an object store") from None
    except exceptions.BaseError as error:
        raise OSError(refusal(error) or f"the store does not answer ({type(error).__name__})") from None
