"""The storage of datasets in proofs: a disk, or an S3 server on loopback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.request import ProxyHandler, Request, build_opener

BUCKET = "proofs"
KEYS = {"aws_access_key_id": "proofs", "aws_secret_access_key": "proofs"}


class Storage(Protocol):
    """A kind of storage, open within the ``with`` block."""

    options: dict[str, str] | None

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def uri(self, folder: Path) -> str:
        """The URI for a dataset of a local folder."""

    def copy(self, old: str, new: str) -> None:
        """Copy a dataset to another URI."""


class Disk:
    options: dict[str, str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def uri(self, folder: Path) -> str:
        return str(folder)

    def copy(self, old: str, new: str) -> None:
        shutil.copytree(old, new)


class S3:
    """An S3 server (moto), running within the ``with`` block."""

    options: dict[str, str] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "proofs.s3_server"]
        self._server = subprocess.Popen(
            command, cwd=Path(__file__).parents[1], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self._server.stdout is not None
        port = self._server.stdout.readline().strip()
        if not port:
            raise RuntimeError("The S3 server did not start; install moto with: pip install --group prove")
        url = f"http://127.0.0.1:{port}"
        self.options = {**KEYS, "aws_endpoint": url, "aws_region": "us-east-1", "allow_http": "true"}
        self._url, self._client = url, _client(url)
        self._client.create_bucket(Bucket=BUCKET)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate()  # it exits when its standard input ends

    def uri(self, folder: Path) -> str:
        return f"s3://{BUCKET}{folder.absolute()}"

    def keys(self, uri: str) -> list[str]:
        """The keys of the objects below a URI."""
        prefix = f"{uri.removeprefix(f's3://{BUCKET}').strip('/')}/"
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def upload(self, path: Path, uri: str) -> None:
        """Put a file at a URI."""
        self._client.upload_file(str(path), BUCKET, uri.removeprefix(f"s3://{BUCKET}/"))

    def remove(self, key: str) -> None:
        """Remove an object."""
        self._client.delete_object(Bucket=BUCKET, Key=key)

    def behave(self, conditions: bool = True, clock: float = 0, faults: Sequence[Mapping[str, Any]] = ()) -> None:
        """Set the habits of the server, see ``s3_server.Habits``; without arguments, it is as S3. Forgets its requests."""
        habits = {"conditions": conditions, "clock": clock, "faults": list(faults)}
        self._control("PUT", "habits", json.dumps(habits).encode())

    def requests(self) -> list[tuple[str, str, int]]:
        """Method, path and status of the requests since the habits were set."""
        return [tuple(request) for request in json.loads(self._control("GET", "requests"))]

    def _control(self, method: str, what: str, body: bytes | None = None) -> bytes:
        request = Request(f"{self._url}/-/{what}", body, method=method)
        with build_opener(ProxyHandler({})).open(request) as answer:
            return answer.read()

    def copy(self, old: str, new: str) -> None:
        source, target = (uri.removeprefix(f"s3://{BUCKET}/") for uri in (old, new))
        for key in self.keys(old):
            self._client.copy_object(
                Bucket=BUCKET, Key=target + key.removeprefix(source), CopySource={"Bucket": BUCKET, "Key": key}
            )


def _client(url: str) -> Any:
    import boto3  # installed with moto, which only proofs on S3 need
    from botocore.config import Config

    return boto3.client("s3", endpoint_url=url, region_name="us-east-1", config=Config(proxies={}), **KEYS)


STORAGES: dict[str, Callable[[], Storage]] = {"disk": Disk, "s3": S3}
