"""Types by a pydantic model: of attributes, of columns, and of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ValidationError
from tests.formats.metadata_cases import contents, folder, labels_of, opened, refused

from annobridge.exceptions import InvalidOption
from annobridge.formats.metadata.options import Reading
from annobridge.formats.metadata.reading.schema import load_model


class Thing(BaseModel):
    category: Literal["car", "dog"] = "car"
    score: float = 0.0
    hidden: bool = False


class Street(BaseModel):
    image: str
    objects: list[Thing] = []
    speed: float = 0.0


LINE = {"image": "a.jpg", "speed": 3, "objects": {"bboxes": [[0, 0, 0.5, 0.5]], "category": ["car"], "score": [1]}}


@pytest.mark.parametrize("model", [Thing, Street])
def test_numbers_become_what_the_model_says(tmp_path: Path, model: type[BaseModel]) -> None:
    samples, labels = contents(opened(folder(tmp_path, lines=[LINE]), schema=model))
    assert labels[0]["attributes"] == {"score": 1.0}
    assert type(labels[0]["attributes"]["score"]) is float
    assert type(samples[0]["speed"]) is (float if model is Street else int)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (
            {"category": ["cat"]},
            "metadata.jsonl:1 has 'category' = \"cat\", which does not fit the schema: Input should be 'car' or",
        ),
        ({"hidden": ["no"]}, "has 'hidden' = \"no\", which does not fit the schema: Input should be a valid boolean"),
        ({"hiden": [True]}, "has 'hiden' in 'objects', which the schema does not have; did you mean 'hidden'?"),
    ],
)
def test_values_that_do_not_fit(tmp_path: Path, columns: dict[str, Any], sentence: str) -> None:
    line = {"image": "a.jpg", "objects": {"bboxes": [[0, 0, 0.5, 0.5]], **columns}}
    assert sentence in refused(folder(tmp_path, lines=[line]), schema=Street)


def test_columns_that_do_not_fit(tmp_path: Path) -> None:
    assert "has 'speed' = \"fast\", which does not fit" in refused(
        folder(tmp_path, lines=[{**LINE, "speed": "fast"}]), schema=Street
    )


def test_a_model_is_loaded_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "schema.py").write_text(
        "from pydantic import BaseModel\n\n\nclass Thing(BaseModel):\n    score: float\n"
    )
    root = folder(tmp_path / "in", lines=[{**LINE, "objects": {"bboxes": [[0, 0, 1, 0.5]], "score": [2]}}])
    assert labels_of(root, schema=f"{tmp_path}/schema.py:Thing")[0]["attributes"] == {"score": 2.0}


@pytest.mark.parametrize(
    ("text", "name", "sentence"),
    [
        (None, "schema.py:Thing", "There is no file '{root}/schema.py' to take the schema from; correct the path."),
        ("", "schema.py", "A schema is given as path/to/file.py:Class, not '{root}/schema.py'."),
        ("class Thing: ...", "schema.py:Thing", "'Thing' is not a pydantic model ({root}/schema.py); there is none."),
        ("import pydantic\nclass Things(pydantic.BaseModel): ...", "schema.py:Thing", "did you mean 'Things'?"),
        ("import no_such_module", "schema.py:Thing", "install it, or write the same fields as a pydantic.BaseModel."),
        ("1 / 0", "schema.py:Thing", "cannot be run: ZeroDivisionError: division by zero; mend it."),
    ],
)
def test_files_that_hold_no_model(tmp_path: Path, text: str | None, name: str, sentence: str) -> None:
    if text is not None:
        (tmp_path / "schema.py").write_text(text)
    with pytest.raises(InvalidOption) as caught:
        load_model(f"{tmp_path}/{name}")
    assert sentence.format(root=tmp_path) in str(caught.value)


def test_options_as_a_command_line_has_them() -> None:
    options = Reading(classes="car, dog", image_key="front,back")
    assert (options.classes, options.image_key) == (("car", "dog"), ("front", "back"))
    assert Reading(classes="text").classes == "text"
    with pytest.raises(ValidationError, match="a class is named twice"):
        Reading(classes=["car", "car"])


QUICKSTART = '''
from pixano.datasets.workspaces import DefaultImageDatasetItem
from pixano.features import BBox, Entity as Base
import pixano.features as pf


class Seen(Base):
    category: str = ""
    sure: float = 0.0


class DetectedObject(Seen):
    hidden: "bool | None" = None
    colours: list[str] = []


class Thing(pf.Entity):
    name: str = ""


class Item(DefaultImageDatasetItem):
    """Never run: 1 / 0."""

    objects: list[DetectedObject]
    things: list[Thing]
    bboxes: list[BBox] = []
    image_source: str = ""
    speed: float = 0.0

    def method(self) -> None:
        1 / 0


1 / 0
'''


@pytest.fixture
def quickstart(tmp_path: Path) -> str:
    (tmp_path / "schema.py").write_text(QUICKSTART)
    return f"{tmp_path}/schema.py"


def test_a_schema_of_pixano_is_read_from_its_source(tmp_path: Path, quickstart: str) -> None:
    objects = {"bboxes": [[0, 0, 0.5, 0.5]], "category": ["car"], "sure": [1], "hidden": [None], "colours": [["red"]]}
    line = {"image": "a.jpg", "image_source": "drone", "speed": 3, "objects": objects}
    source = folder(tmp_path / "in", lines=[line])
    samples, labels = contents(opened(source, schema=f"{quickstart}:Item"))
    assert (samples[0]["image_source"], type(samples[0]["speed"])) == ("drone", float)
    assert labels[0]["attributes"] == {"sure": 1.0, "colours": ["red"]}
    wrong = {**line, "objects": {**objects, "sure": ["very"]}}
    assert "which does not fit the schema" in refused(
        folder(tmp_path / "in", lines=[wrong]), schema=f"{quickstart}:Item"
    )


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("Itm", ("", ""), "There is no class 'Itm' in the schema file"),
        (
            "Item",
            ("speed: float", "speed: Decimal"),
            "The field 'speed' of the schema in '{file}' has the type 'Decimal', which",
        ),
        ("Item", ("class Seen(Base):", "class Seen(Base:"), "cannot be read as Python"),
    ],
)
def test_a_schema_that_cannot_be_told_from_its_source(
    quickstart: str, name: str, change: tuple[str, str], sentence: str
) -> None:
    Path(quickstart).write_text(QUICKSTART.replace(*change, 1))
    with pytest.raises(InvalidOption) as caught:
        load_model(f"{quickstart}:{name}")
    assert sentence.format(file=quickstart) in str(caught.value)
