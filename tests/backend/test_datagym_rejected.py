"""DataGym refuses some images of a task: the error names them, and the others stay on the server."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests import datagym_servers
from tests.datagym_servers import Server
from tests.doubles.datagym import collation, places

import annobridge as ab

SCHEMA = {"objects": {"type": "detections", "classes": ["car"]}}


@pytest.fixture(params=datagym_servers.KINDS)
def server(request: pytest.FixtureRequest) -> Any:
    with datagym_servers.running(request.param) as found:
        yield found


@pytest.fixture(params=datagym_servers.DOUBLES)
def doubled(request: pytest.FixtureRequest) -> Any:
    with datagym_servers.running(request.param) as found:
        yield found


def images(folder: Path, *names: str) -> ab.Dataset:
    ds = ab.create_dataset(folder / "set")
    for n, name in enumerate(names):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 48), (40 * n, 0, 0)).save(folder / name)
    box = [ab.Detection("car", [0.125, 0.125, 0.25, 0.25])]
    ds.add_samples(ab.Sample(folder / name, sample_id=f"s{n}", objects=box) for n, name in enumerate(names))
    return ds


def call(verb: Any, *args: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return verb(*args, progress=False, **options)


def annotate(ds: ab.Dataset, server: Server, **options: Any) -> ab.AnnotationResults:
    return call(ds.annotate, key(ds), label_schema=SCHEMA, backend="datagym", **server.options(), **options)


def key(ds: ab.Dataset) -> str:
    """A name of a run that is in no dataset of another test."""
    return f"run_{abs(hash(str(ds.uri)))}"


def there(server: Server, ds: ab.Dataset) -> list[str]:
    """The images in the datasets of the run, connected or not."""
    found = []
    for dataset in server.call("GET", "dataset"):
        if key(ds) in dataset["name"]:
            media = server.call("GET", f"dataset/{dataset['id']}", f"dataset/{dataset['id']}/file")
            found += [m["id"] for m in (media["media"] if server.v1 else media)]
    return sorted(found)


def samples_of(results: ab.AnnotationResults) -> list[str]:
    return [s for receipt in results.receipts() for s in receipt.state["samples"]]


def test_only_refused_images_are_left_out(server: Server, tmp_path: Path) -> None:
    """Also where equal names get numbers, which change when images are left out."""
    ds = images(tmp_path, "a/x.png", "b/x.bmp", "b/x.png", "c/x.bmp", "c/x.png", "d/x.bmp")
    assert samples_of(annotate(ds, server, on_rejected="skip")) == ["s0", "s2", "s4"]
    assert len(there(server, ds)) == 3
    assert call(ds.load_annotations, key(ds), **server.login()).total == 0


def test_images_of_other_formats_are_named_before_anything_is_sent(server: Server, tmp_path: Path) -> None:
    """The format is that of the content, whatever the extension is."""
    ds = images(tmp_path, "a.png", "b.png", "c.bmp")
    Image.new("RGB", (64, 48)).save(tmp_path / "b.png", "WEBP")
    with pytest.raises(
        ab.InvalidLabels, match=r"JPEG and PNG, and 2 images .*b\.png' is WEBP, .*c\.bmp' is BMP.*convert them"
    ):
        annotate(ds, server)
    assert there(server, ds) == []
    assert ds.list_annotation_runs() == []


@pytest.fixture
def alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database with an unknown collation, which compares the first letters of names only."""
    monkeypatch.setattr(collation, "key", lambda text: text[:5])


@pytest.mark.usefixtures("alike")
def test_what_was_sent_before_is_kept_when_a_run_is_resumed(doubled: Server, tmp_path: Path) -> None:
    ds = images(tmp_path, "image 1.png", "image 2.png", "other.png")
    message = r"differ in case, accents or emoji only\. That is .*image 2\.png', of sample 's1': rename the file"
    with pytest.raises(ab.Rejected, match=message):
        annotate(ds, doubled)
    before = there(doubled, ds)
    assert len(before) == 1
    results = call(ds.resume_annotation, key(ds), on_rejected="skip", **doubled.login())
    assert samples_of(results) == ["s0", "s2"]
    assert set(before) < set(there(doubled, ds))


def test_a_refusal_names_the_sample(doubled: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that the server stores and then considers invalid is removed again."""
    shown = places.media_shown

    def invalid(*args: Any, **more: Any) -> Any:
        return shown(*args, **more) | {"valid": False, "reason": "INVALID_MIME_TYPE"}

    ds = images(tmp_path, "a.png")
    monkeypatch.setattr(places, "media_shown", invalid)
    with pytest.raises(
        ab.Rejected, match=r"sample 's0' is not valid there \(INVALID_MIME_TYPE\), and was removed again"
    ):
        annotate(ds, doubled)
    assert there(doubled, ds) == []


@pytest.mark.parametrize(("status", "left"), [("FAILED", ["s0", "s2"]), ("DUPLICATE", None)])
def test_addresses_that_are_refused(
    doubled: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, left: list[str] | None
) -> None:
    """A duplicate is not the fault of the sample: it is in the dataset, under an id that the server does not tell."""
    add_urls = places.add_urls

    def refusing(state: Any, dataset: Any, urls: list[str]) -> Any:
        bad = [url for url in urls if url.endswith("b.png")]
        told = [
            {"internal_media_ID": None, "external_media_ID": None, "imageUrl": u, "mediaUploadStatus": status}
            for u in bad
        ]
        return add_urls(state, dataset, [url for url in urls if url not in bad]) + told

    ds = images(tmp_path, "a.png", "b.png", "c.png")
    monkeypatch.setattr(places, "add_urls", refusing)
    options = {"media": "urls", "media_root": str(tmp_path), "url_root": "https://pictures.example"}
    if left is None:
        with pytest.raises(ab.Rejected, match=r"b\.png' was not taken \(DUPLICATE\); correct the address, or abort"):
            annotate(ds, doubled, on_rejected="skip", **options)
    else:
        assert samples_of(annotate(ds, doubled, on_rejected="skip", **options)) == left
