"""Media by URI, wherever files are used: sent to a tool, measured, shown, exported. Each is downloaded once."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from tests.cvat_servers import Server
from tests.file_servers import WebServer

import annobridge as ab
from annobridge.core.media import CACHE
from annobridge.review.images import image_picture

SECRET = "s3cretsignature"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        for n in range(2):
            stream = io.BytesIO()
            Image.new("RGB", (40, 20), (90 * n, 0, 0)).save(stream, "PNG")
            server.files[f"/{n}.png"] = stream.getvalue()
        yield server


def dataset(folder: Path, web: WebServer) -> ab.Dataset:
    ds = ab.create_dataset(folder / "ds")
    urls = [f"{web.url}/{n}.png?X-Amz-Signature={SECRET}" for n in range(2)]
    ds.add_samples(pa.table({"sample_id": ["s0", "s1"], "filepath": urls}))
    ds.add_labels("objects", {f"s{n}": [ab.Detection("car", [0.1, 0.1, 0.5, 0.5])] for n in range(2)})
    return ds


def test_they_are_sent_shown_and_exported_from_one_download(tmp_path: Path, web: WebServer, cvat_2_73: Server) -> None:
    ds = dataset(tmp_path, web)
    ds.annotate("k", label_schema="objects", backend="cvat", url=cvat_2_73.url, token=cvat_2_73.token)
    assert ds.load_annotations("k", token=cvat_2_73.token).total == 0
    media = ds.stores.samples.media(ds.stores.samples.rows(pa.array(["s0"]), ["sample_id", "filepath"]))
    assert image_picture(media, "s0", 100).data == web.files["/0.png"]
    ds.export(tmp_path / "out", "yolo")
    copies = sorted(path.read_bytes() for path in (tmp_path / "out").rglob("*.png"))
    assert copies == sorted(web.files.values())
    assert web.statuses.count(200) == 2
    assert set(web.statuses) == {200, 304}


def test_a_file_that_the_server_refuses_is_a_sentence_without_the_signature(
    tmp_path: Path, web: WebServer, cvat_2_73: Server
) -> None:
    ds = dataset(tmp_path, web)
    web.status = 403
    with pytest.raises(ab.InvalidMedia) as found:
        ds.annotate("k", label_schema="objects", backend="cvat", url=cvat_2_73.url, token=cvat_2_73.token)
    assert f"The image '{web.url}/0.png' of sample 's0' cannot be read: the server answers 403." in str(found.value)
    assert SECRET not in str(found.value)
    assert not ds.has_annotation_runs()
    with pytest.raises(ab.InvalidMedia) as found:
        ds.export(tmp_path / "out", "yolo")
    assert SECRET not in str(found.value)
