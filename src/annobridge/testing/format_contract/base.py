"""The base class of the laws of formats: what a format's tests set, and the steps and assertions that the laws share."""

from __future__ import annotations

import atexit
import itertools
import json
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings

from ...core.labels import LABELS
from ...exceptions import AnnobridgeError, InvalidSource
from ...formats.common.export import ExportData
from ...formats.common.fidelity import KEPT, Fidelity, Loss
from ...formats.common.file_format import FileFormat, ReadOptions, WriteOptions
from ...formats.common.source import LabelSource
from ...spill import temporary
from . import scenes
from .scenes import IMAGES, Row, Scene

_examples: dict[type, Path] = {}
_USUAL = 20  # examples in the profile for which the numbers of examples are made
ALL = tuple(range(len(IMAGES)))
UNLIKE = ALL[:4]  # images whose names do not differ in their suffix only


def examples(count: int) -> settings:
    """So many examples where the profile has 20, and more where it has more."""
    usual = settings.default.max_examples if settings.default is not None else _USUAL
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.differing_executors]
    return settings(max_examples=max(1, count * usual // _USUAL), deadline=None, suppress_health_check=checks)


def is_quick() -> bool:
    """Whether Hypothesis's profile asks for few examples: then every other damage is tried, by the name of the format."""
    return settings.default is not None and settings.default.max_examples <= _USUAL


class Laws:
    """The settings of a format's tests, and what the laws share."""

    format: ClassVar[FileFormat]
    options: ClassVar[Mapping[str, Any]] = {}  # of writing
    reading: ClassVar[Mapping[str, Any]] = {}  # options of reading
    seconds: ClassVar[float] = 10.0  # of CPU that one source may take, however it is made

    def example(self, folder: Path) -> Path:
        """A source with labels, in a new folder; for formats that are not written. By default, what the format writes."""
        return self.write(self.plain_scene(), folder)[0]

    def kept_example(self) -> Path:
        """The example, made once for each class of tests; no test changes it."""
        if type(self) not in _examples:
            folder = temporary.make()
            atexit.register(temporary.remove, folder)
            _examples[type(self)] = self.example(folder / "x")
        return _examples[type(self)]

    @pytest.fixture(autouse=True)
    def _make_folders(self, tmp_path: Path) -> Iterator[None]:
        self.use(tmp_path)
        yield
        shutil.rmtree(tmp_path, ignore_errors=True)  # many small files

    def use(self, folder: Path) -> None:
        """Begin a test in an empty folder."""
        self.folder = folder
        self.images = shared_images()
        self._digests = scenes.digests(self.images)
        self._numbers = itertools.count()

    # Conditions

    def require_writing(self) -> None:
        """Skip a law about writing for a format that is only read."""
        if self.format.writing is None or type(self.format).write_files is FileFormat.write_files:
            pytest.skip(f"{self.format.title} is not written")

    def kept_kinds(self) -> tuple[str, ...]:
        """The kinds that the format keeps as they are."""
        return tuple(kind for kind, fate in self.format.fidelity.kinds.items() if fate == KEPT)

    # Steps

    def new_folder(self) -> Path:
        """A folder that does not exist yet; its name says nothing."""
        return self.folder / f"x{next(self._numbers)}"

    def write_options(self, **given: Any) -> WriteOptions:
        """Options of writing."""
        assert self.format.writing is not None
        return self.format.writing(**{**self.options, **given})

    def write(
        self, scene: Scene, folder: Path | None = None, part: int = 5_000, **options: Any
    ) -> tuple[Path, list[str]]:
        """Write a scene, in parts of so many samples; returns the folder and the notes."""
        folder = folder or self.new_folder()
        folder.mkdir(parents=True, exist_ok=True)
        notes = self.format.write(scenes.parts(scene, self.images, part), folder, self.write_options(**options))
        return folder, notes

    def losses(self, scene: Scene, **options: Any) -> list[Loss]:
        """What an export of a scene says it would lose."""
        return self.format.losses(scenes.parts(scene, self.images), self.write_options(**options))

    def fidelity(self, scene: Scene) -> Fidelity:
        """What survives of a scene, as the format declares."""
        with ExportData(scenes.parts(scene, self.images), self.new_folder(), self.format.unit) as data:
            return self.format.fidelity_of(data, self.write_options())

    def read_options(self, **given: Any) -> ReadOptions:
        """Options of reading."""
        return self.format.reading(**{"media_dir": self.folder / "media", **self.reading, **given})

    def open(self, source: Path, **options: Any) -> LabelSource:
        """Read a source, and all of its parts."""
        found = self.format.open(source, self.read_options(**options))
        for part in found.parts():
            part.labels.validate(full=True)
        return found

    def read(self, source: Path, **options: Any) -> tuple[dict[int, str | None], list[Row]]:
        """The split of each image by its number, and the labels. Each image is known by the bytes of its file."""
        found = self.format.open(source, self.read_options(**options))
        splits: dict[int, str | None] = {}
        numbers: dict[str, int] = {}
        labels: list[Row] = []
        for part in found.parts():
            for row in part.samples.to_pylist():
                number = self._digests[scenes.digest(Path(row["filepath"]))]
                assert number not in splits, self.expected(
                    "give each image once", f"{row['filepath']!r} is there twice"
                )
                numbers[row["sample_id"]], splits[number] = number, row.get("split")
            labels += part.labels.to_pylist()
        return splits, [self._tidy(row, numbers) for row in labels]

    @staticmethod
    def _tidy(row: Row, numbers: Mapping[str, int]) -> Row:
        given = {a["name"]: json.loads(a["value"]) for a in row.get("attributes") or ()}
        return {**dict.fromkeys(LABELS.names), **row, "image": numbers[row["sample_id"]], "attributes": given}

    def packed(self, folder: Path, compression: int = zipfile.ZIP_DEFLATED) -> Path:
        """A folder as a zip."""
        target = self.folder / f"x{next(self._numbers)}.zip"
        with zipfile.ZipFile(target, "w", compression) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(folder).as_posix())
        return target

    def copied(self, folder: Path) -> Path:
        """A copy of a folder."""
        return Path(shutil.copytree(folder, self.new_folder()))

    def plain_scene(self, kinds: tuple[str, ...] | None = None) -> Scene:
        """A label of each kind that the format takes in one export, on different images."""
        rows: list[Row] = []
        for number, kind in enumerate(kinds or self.kept_kinds() or tuple(self.format.fidelity.kinds)):
            row = plain_label(kind) | {"image": UNLIKE[number % (len(UNLIKE) - 1)], "label_id": f"{number:032x}"}
            if row["mask"] is not None:
                row["mask"] = scenes.mask(IMAGES[row["image"]][2], number % scenes.MASKS, number)
            rows.append(row)
        return Scene(tuple(rows), True, UNLIKE)

    # Assertions

    def expected(self, what: str, instead: str) -> str:
        """The message of a failed assertion: what was expected of the format, and what happened instead."""
        return f"The format {self.format.name!r} is expected to {what}; instead, {instead}."

    @contextmanager
    def ends_well(self, what: str) -> Iterator[None]:
        """Assert that the block ends, or raises an ``AnnobridgeError`` that is a sentence, within bounded time."""
        start = time.process_time()
        try:
            yield
        except AnnobridgeError as error:
            said = str(error)
            is_sentence = said.rstrip().endswith((".", ")")) and len(said) < 5_000
            assert is_sentence, self.expected(f"say in a sentence what is wrong with {what}", f"it says {said[:300]!r}")
        except Exception as error:
            raise AssertionError(
                self.expected(
                    f"report {what}, or to raise one AnnobridgeError", f"it raises {type(error).__name__}: {error}"
                )
            ) from error
        took = time.process_time() - start
        assert took < self.seconds, self.expected(
            f"read {what} in less than {self.seconds:g} s", f"it takes {took:.1f} s of CPU"
        )

    def refuses(self, source: Path, what: str, **options: Any) -> None:
        """Assert that a source is refused by ``InvalidSource``."""
        with self.ends_well(what):
            try:
                self.open(source, **options)
            except InvalidSource:
                return
        raise AssertionError(self.expected(f"refuse {what} as an InvalidSource", "it reads it"))


@cache
def shared_images() -> Path:
    """The folder of the images, made once for each process; no test changes it."""
    folder = temporary.make()
    atexit.register(temporary.remove, folder)
    scenes.make_images(folder)
    return folder


def plain_label(kind: str) -> Row:
    """A label of a kind without attributes and all else that it can do without."""
    row: Row = dict.fromkeys(LABELS.names) | {"kind": kind, "field": f"a_{kind}", "label": "car", "attributes": {}}
    middle = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]
    shapes: dict[str, Row] = {
        "box": {"bounding_box": [0.25, 0.25, 0.5, 0.5]},
        "ellipse": {"bounding_box": [0.25, 0.25, 0.5, 0.5]},
        "polygon": {"points": [middle], "closed": True, "filled": True},
        "polyline": {"points": [middle], "closed": False, "filled": False},
        "keypoints": {"points": [middle[:3]], "visibility": [2, 2, 2]},
        "skeleton": {"points": [middle[:3]], "visibility": [2, 2, 2], "label": scenes.FIGURE},
        "cuboid": {"points": [[*middle, *middle]]},
        "mask": {"mask": 0},
        "segmentation": {"mask": 0},
        "scalar": {"value": "7", "label": None},
        "message": {"value": '"how many?"', "label": "question", "index": 0},
    }
    return row | shapes.get(kind, {})
