"""Hostile sources: datasets that are damaged, or made to attack the program that imports them."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

Make = Callable[[Path], object]
_SIZE = (64, 48)


@dataclass(frozen=True)
class Source:
    """A source: its name, and the function that writes it into an empty folder."""

    name: str
    make: Make
    inner: str = ""  # the path below the folder that is imported


def line(**values: Any) -> bytes:
    """A line of ``metadata.jsonl`` about ``a.png``."""
    return json.dumps({"file_name": "a.png", **values}).encode() + b"\n"


def boxes(*found: Any, **columns: Any) -> bytes:
    """A line with boxes."""
    return line(objects={"bbox": list(found), "categories": ["car"] * len(found), **columns})


def picture(folder: Path, name: str = "a.png") -> None:
    Image.new("RGB", _SIZE, (90, 120, 60)).save(folder / name)


def png(width: int, height: int, rows: bytes = b"\0" * 99) -> bytes:
    """A PNG with the given size in its header, and arbitrary pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def npy(head: bytes, content: bytes = b"") -> dict[str, Any]:
    """A binary value of FiftyOne's: an array with this head."""
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + head.ljust(117) + b"\n" + content
    return binary(zlib.compress(data))


def binary(data: bytes) -> dict[str, Any]:
    return {"$binary": {"base64": base64.b64encode(data).decode(), "subType": "00"}}


def lines() -> Iterator[Source]:
    """Folders of one image with a hostile ``metadata.jsonl``."""
    for name, text in _LINES.items():

        def make(folder: Path, text: bytes = text) -> None:
            picture(folder)
            (folder / "metadata.jsonl").write_bytes(text)

        yield Source(name, make)


def media() -> Iterator[Source]:
    """Folders whose images are hostile."""
    for name, content in _MEDIA.items():
        yield Source(name, lambda folder, content=content: (folder / "a.png").write_bytes(content))
    for name, target in _LINKS.items():
        yield Source(name, lambda folder, target=target: (folder / "a.png").symlink_to(target))
    yield Source("20,000 × 20,000 pixels in 400 kB", _bomb)
    yield Source("a pipe", lambda folder: (picture(folder, "b.png"), os.mkfifo(folder / "a.png")))
    yield Source("a folder called as an image", lambda folder: ((folder / "a.png").mkdir(), picture(folder, "b.png")))
    yield Source("a link to the folder above", lambda folder: ((folder / "up").symlink_to(folder), picture(folder)))


def files() -> Iterator[Source]:
    """Folders with label files that are not read, and sources that are no folders."""
    for name, content in _FILES.items():

        def make(folder: Path, name: str = name, content: bytes = content) -> None:
            picture(folder)
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)

        yield Source(f"beside an image: {name}", make)
    yield Source("beside an image: labels.json.gz", lambda folder: (picture(folder), _deep_gzip(folder)))
    yield Source("metadata.jsonl is a folder", lambda folder: ((folder / "metadata.jsonl").mkdir(), picture(folder)))
    yield Source("a zip whose names lead out of it", lambda folder: _zip(folder / "a.zip"), "a.zip")
    yield Source("a tar whose names lead out of it", lambda folder: _tar(folder / "a.tar"), "a.tar")
    yield Source("a pickle", lambda folder: (folder / "a.pkl").write_bytes(_PICKLE), "a.pkl")
    yield Source("nothing", lambda folder: folder.touch())


def fiftyone() -> Iterator[Source]:
    """Exports of FiftyOne with one hostile value, or hostile as a whole."""
    for name, values in _SAMPLES.items():
        yield Source(f"a sample: {name}", lambda folder, values=values: _export(folder, {**_SAMPLE, **values}))
    for name, about in _ABOUT.items():
        yield Source(f"the dataset: {name}", lambda folder, about=about: _export(folder, _SAMPLE, about))
    for name, text in _WHOLE.items():

        def make(folder: Path, text: bytes = text) -> None:
            _export(folder, _SAMPLE)
            (folder / "samples.json").write_bytes(text)

        yield Source(f"samples.json: {name}", make)
    for name, head in (("zeros without a head", b""), ("an array longer than its shape", _U1 + b"(2, 2), }")):
        yield Source(f"a sample: 256 MiB, {name}", lambda folder, head=head: _export(folder, _swollen(head)))
    yield Source("a mask in a file of 50,000 × 50,000", _huge_mask)


def _export(folder: Path, sample: dict[str, Any], about: dict[str, Any] | None = None) -> None:
    (folder / "data").mkdir()
    picture(folder / "data")
    (folder / "samples.json").write_text(json.dumps({"samples": [sample]}))
    (folder / "metadata.json").write_text(json.dumps({"version": "1.0.0", "sample_fields": [], **(about or {})}))


def _huge_mask(folder: Path) -> None:
    _export(folder, {**_SAMPLE, "ground": {"_cls": "Segmentation", "mask_path": "mask.png"}})
    (folder / "mask.png").write_bytes(png(50_000, 50_000))


def _bomb(folder: Path) -> None:
    (folder / "a.png").write_bytes(png(20_000, 20_000, b"\0" * 20_001 * 20_000))


def _deep_gzip(folder: Path) -> None:
    (folder / "labels.json.gz").write_bytes(gzip.compress(b"[" * (64 << 20)))


def _swollen(head: bytes) -> dict[str, Any]:
    """A sample with an array that is mostly zeros."""
    zeros = b"\0" * (1 << 28)
    return {**_SAMPLE, **_ground(npy(head, zeros) if head else binary(zlib.compress(zeros)))}


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../a.png", png(4, 4))


def _tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("/../a.png"), io.BytesIO())


class _Trap:
    """A pickle that runs a command when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch /tmp/annobridge-proofs-were-here",))


_PICKLE = pickle.dumps(_Trap())
_DEEP = b"[" * 900 + b"]" * 900
_LINES = {
    "lists 900 deep": b'{"file_name": "a.png", "x": ' + _DEEP + b"}",
    "lists 100,000 deep": b'{"file_name": "a.png", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "objects 900 deep": b'{"file_name": "a.png", "x": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
    "deep attributes": boxes([1, 2, 3, 4]).replace(b'["car"]', b'["car"], "x": [' + _DEEP + b"]"),
    "NaN": boxes([1, 2, float("nan"), 4]),
    "Infinity": boxes([1, 2, float("inf"), 4]),
    "1e308": boxes([1, 2, 1e308, 4]),
    "1e308 twice": boxes([1e308, 1e308, 1e308, 1e308]),
    "1e999": b'{"file_name": "a.png", "objects": {"bbox": [[1, 2, 1e999, 4]], "categories": ["car"]}}',
    "a column of 1e999": b'{"file_name": "a.png", "x": 1e999}',
    "a whole number of 400 digits": b'{"file_name": "a.png", "x": 1' + b"0" * 400 + b"}",
    "a whole number of 5,000 digits": b'{"file_name": "a.png", "x": 1' + b"0" * 5_000 + b"}",
    "a box with a number of 400 digits": b'{"file_name": "a.png", "objects": {"bbox": [[1, 2, 3, 1' + b"0" * 400 + b"]]}}",
    "a negative side": boxes([1, 2, -3, 4]),
    "a box of texts": boxes(["1", "2", "3", "4"]),
    "a box of three": boxes([1, 2, 3]),
    "a box of truth values": boxes([True, True, True, True]),
    "a box that is null": boxes(None),
    "boxes that are a number": line(objects={"bbox": 7}),
    "labels that are a text": line(objects="none"),
    "a name that leads out": line() .replace(b"a.png", b"../a.png"),
    "an absolute name": line().replace(b"a.png", b"/etc/passwd"),
    "an address as a name": line().replace(b"a.png", b"http://127.0.0.1:9/a.png"),
    "a name with NUL": line().replace(b"a.png", b"a\\u0000.png"),
    "a name with half a character": line().replace(b"a.png", b"\\ud800.png"),
    "a text with half a character": line(x="\ud800"),
    "an empty name": line().replace(b"a.png", b""),
    "a name that is a number": b'{"file_name": 7}',
    "a name of 100,000 characters": line().replace(b"a.png", b"a" * 100_000),
    "a key twice": b'{"file_name": "a.png", "x": 1, "x": 2}',
    "two image keys": line(filepath="a.png"),
    "UTF-16": line().decode().encode("utf-16"),
    "UTF-16 without a mark": line().decode().encode("utf-16-le"),
    "Latin-1": b'{"file_name": "a.png", "x": "\xe9"}',
    "gzip": gzip.compress(line()),
    "zeros": b"\0" * 100_000,
    "a mark of UTF-8 in the middle": line() + b"\xef\xbb\xbf" + line(),
    "a list": b"[1, 2]",
    "a number": b"7",
    "a line cut off": line()[:12],
    "nothing": b"",
    "10,000 keys": line(**{f"k{n}": n for n in range(10_000)}),
    "a key of a megabyte": line(**{"k" * (1 << 20): 1}),
    "a key with a dot": line(**{"a.b": 1}),
    "tags that are a number": line(tags=7),
    "a class that is an object": line(objects={"bbox": [[1, 2, 3, 4]], "categories": [{"a": 1}]}),
    "a label id twice": boxes([1, 2, 3, 4], [1, 2, 3, 4], label_id=["x", "x"]),
    "conversations that are none": line(conversations=[{"question": 7}]),
    "a size that the image has not": line(width=10**12, height=-1),
    "an index of 64 bits": boxes([1, 2, 3, 4], index=[2**62]),
    "a mask with runs beyond its size": b'{"views": {"image": "a.png"}, "entities": [{"annotations": [{"kind": "mask", "rle": '
    b'{"size": [48, 64], "counts": [1000000000000]}}]}]}',
    "a mask of a huge size": b'{"views": {"image": "a.png"}, "entities": [{"annotations": [{"kind": "mask", "rle": '
    b'{"size": [1000000, 1000000], "counts": [1000000000000]}}]}]}',
    "a path of 1e308": b'{"views": {"image": "a.png"}, "entities": [{"annotations": [{"kind": "multi_path", "coords": '
    b'[1e308, 1e308, -1e308, 0, 1, 1], "num_points": [3], "is_closed": true}]}]}',
    "entities that are numbers": b'{"views": {"image": "a.png"}, "entities": [1, 2]}',
}  # fmt: skip
_MEDIA = {
    "50,000 × 50,000 pixels in a header": png(50_000, 50_000),
    "a width of 2³²-1": png(2**32 - 1, 5),
    "a width of 0": png(0, 5),
    "a JPEG cut off": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "a JPEG of markers": b"\xff\xd8" + b"\xff\xe0\x00\x02" * 100_000,
    "a GIF of nothing": b"GIF89a" + b"\xff" * 20,
    "a TIFF whose directory is itself": b"II*\x00\x08\x00\x00\x00\x00\x00\x08\x00\x00\x00",
    "a TIFF of 65,535 tags": b"II*\x00\x08\x00\x00\x00\xff\xff" + b"\x01" * 400,
    "a BMP of 2³¹ pixels": b"BM"
    + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, 0, 0, 1, 1, 0, 0),
    "text": b"not an image",
    "a pickle": _PICKLE,
    "nothing": b"",
    "a drawing with entities": b'<!DOCTYPE svg [<!ENTITY a "aaaa">]><svg>&a;&a;</svg>',
}
_LINKS = {"a link to itself": "a.png", "a link to nothing": "gone.png", "a link to a file of the system": "/etc/passwd",
          "a link to zeros without end": "/dev/zero"}  # fmt: skip
_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
_FILES = {
    "_annotations.coco.json": b'{"images": [], "annotations": [], "categories": []}',
    "result.json": b'[{"id": 1, "data": {"image": "x"}, "annotations": []}]',
    "annotations.xml": f"<!DOCTYPE a [{_LAUGHS}]><annotations>&l9;</annotations>".encode(),
    "labels/a.txt": b"0 0.5 0.5 0.1 0.1\n",
    "a.xml": b"<annotation><object/></annotation>",
    "labels.csv": "filename,xmin\na.png,1\n".encode("utf-16"),
    "metadata.parquet": b"PAR1" + b"\xff" * 100,
    "metadata.jsonl.gz": gzip.compress(b'{"file_name": "a.png"}'),
    "deep.json": b'{"annotations": ' + b"[" * 1_000_000,
}
_DETECTION = {"_cls": "Detection", "_id": {"$oid": "7f" * 12}, "label": "car", "bounding_box": [0.1, 0.1, 0.2, 0.2]}
_SAMPLE = {"_id": {"$oid": "5f" * 12}, "filepath": "data/a.png", "_media_type": "image", "tags": []}


def _objects(**values: Any) -> dict[str, Any]:
    return {"objects": {"_cls": "Detections", "detections": [{**_DETECTION, **values}]}}


def _ground(mask: Any) -> dict[str, Any]:
    return {"ground": {"_cls": "Segmentation", "_id": {"$oid": "7f" * 12}, "mask": mask}}


_U1 = b"{'descr': '|u1', 'fortran_order': False, 'shape': "
_SAMPLES = {
    "detections that are a number": {"objects": {"_cls": "Detections", "detections": 7}},
    "a detection that is a number": {"objects": {"_cls": "Detections", "detections": [7]}},
    "a class that is a list": {"objects": {"_cls": ["Detections"]}},
    "a kind that nobody knows": {"objects": {"_cls": "Hyperplane"}},
    "a box of texts": _objects(bounding_box=["a", "b", "c", "d"]),
    "a box that is a number": _objects(bounding_box=7),
    "a box of 1e308": _objects(bounding_box=[1e308, 1e308, 1e308, 1e308]),
    "a box of lists": _objects(bounding_box=[[1], [2], [3], [4]]),
    "a label that is a number": _objects(label=7),
    "tags of a label that are a number": _objects(tags=7),
    "an index of 400 digits": _objects(index=10**400),
    "attributes that are a list": _objects(attributes=[1]),
    "an id that is an object": _objects(_id={"a": 1}),
    "a confidence that is a list": _objects(confidence=[1]),
    "points that are texts": {"lines": {"_cls": "Polyline", "points": "abc"}},
    "points 900 deep": {"lines": {"_cls": "Polyline", "points": json.loads(_DEEP)}},
    "keypoints of texts": {"points": {"_cls": "Keypoint", "points": [["a", "b"]]}},
    "an array of a huge shape": _ground(npy(_U1 + b"(1000000, 1000000), }")),
    "an array of a negative shape": _ground(npy(_U1 + b"(-5, 5), }")),
    "an array without a head": _ground(npy(b"{'descr': " + b"[" * 50 + b", }")),
    "an array of objects": _ground(npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", _PICKLE)),
    "an array that is not compressed": _ground(binary(b"junk")),
    "an array that is a text": _ground("junk"),
    "binary that is not base64": _ground({"$binary": {"base64": "*"}}),
    "a mask in a file of the system": {"ground": {"_cls": "Segmentation", "mask_path": "/etc/passwd"}},
    "a path that is a number": {"filepath": 7},
    "a path with NUL": {"filepath": "data/a\0.png"},
    "a path that leads out": {"filepath": "../../../../etc/passwd"},
    "no path": {"filepath": None},
    "metadata that are a number": {"metadata": 7},
    "a width that is a text": {"metadata": {"width": "wide", "height": 5}},
    "a width of 1e308": {"metadata": {"width": 1e308, "height": 1e308}},
    "a negative width": {"metadata": {"width": -64, "height": -48}},
    "tags that are a number": {"tags": 7},
    "a date of 10³⁰": {"when": {"$date": 10**30}},
    "a date that is none": {"when": {"$date": "yesterday"}},
    "a number that is none": {"x": {"$numberLong": "many"}},
    "a media type that is a list": {"_media_type": ["image"]},
    "frames that are a number": {"frames": 5, "_media_type": "video"},
    "frames by name": {"frames": {"first": {}}, "_media_type": "video"},
    "lists 900 deep": {"x": json.loads(_DEEP)},
}  # fmt: skip
_ABOUT: dict[str, dict[str, Any]] = {
    "fields that are null": {"sample_fields": [None]},
    "fields that are a number": {"sample_fields": 7},
    "mask targets that are a number": {"mask_targets": 7},
    "mask targets of a list": {"default_mask_targets": [1, 2]},
    "info that is a text": {"info": "none"},
    "a media type that is a number": {"media_type": 7},
}
_WHOLE = {
    "a number for the samples": b'{"samples": 5}',
    "null for the samples": b'{"samples": null}',
    "an object for the samples": b'{"samples": {}}',
    "a number for a sample": b'{"samples": [5]}',
    "samples in samples": b'{"samples": [{"samples": [' + _DEEP + b"]}]}",
    "cut off": b'{"samples": [{"filepath": "data/a.png"',
    "something behind its end": b'{"samples": []} x',
    "lists without end": b'{"samples": [{"x": ' + b"[" * 1_000_000,
    "Latin-1": b'{"samples": [{"filepath": "data/\xe9.png"}]}',
}
