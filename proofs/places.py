"""Where datasets lie in proofs: on a disk, or on an S3 server on loopback."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

BUCKET = "proofs"
KEYS = {"aws_access_key_id": "proofs", "aws_secret_access_key": "proofs"}


class Place(Protocol):
    """A kind of store. ``uri`` names a dataset for a folder of the proofs; ``copy`` makes one from another."""

    name: str
    options: dict[str, str] | None

    def uri(self, folder: Path) -> str: ...
    def copy(self, old: str, new: str) -> None: ...


class Disk:
    """Folders."""

    name = "disk"
    options = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def uri(self, folder: Path) -> str:
        return str(folder)

    def copy(self, old: str, new: str) -> None:
        shutil.copytree(old, new)


class S3:
    """A server of its own, for as long as the block lasts."""

    name = "s3"

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "proofs.s3_server"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._server = subprocess.Popen(command, text=True, **pipes)
        assert self._server.stdout is not None
        port = self._server.stdout.readline().strip()
        if not port:
            raise RuntimeError("The S3 server did not start; install moto with: pip install --group prove")
        url = f"http://127.0.0.1:{port}"
        self.options = {**KEYS, "aws_endpoint": url, "aws_region": "us-east-1", "allow_http": "true"}
        self._client = _client(url)
        self._client.create_bucket(Bucket=BUCKET)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.kill()
        self._server.wait()

    def uri(self, folder: Path) -> str:
        return f"s3://{BUCKET}{folder.absolute()}"

    def copy(self, old: str, new: str) -> None:
        source, target = (uri.removeprefix(f"s3://{BUCKET}/") for uri in (old, new))
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{source}/")
        for key in [entry["Key"] for page in pages for entry in page.get("Contents", ())]:
            self._client.copy_object(
                Bucket=BUCKET, Key=target + key.removeprefix(source), CopySource={"Bucket": BUCKET, "Key": key}
            )


def _client(url: str) -> Any:
    import boto3  # comes with moto, which only proofs on S3 need
    from botocore.config import Config

    return boto3.client("s3", endpoint_url=url, region_name="us-east-1", config=Config(proxies={}), **KEYS)


PLACES = {"disk": Disk, "s3": S3}
