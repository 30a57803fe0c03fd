"""The attributes of a task of annobridge, for `pixano data import --schema schema.py:Sample`."""

from pixano.datasets.workspaces import DefaultVQADatasetItem
from pixano.features import Entity


class Labelled(Entity):
    category: str
    label_id: str
    label_field: str
    occluded: bool
    score: float
    number: float
    count: int
    plate: str
    level: str
    side: str
    parts: list[str]
    attr_a_b: str
    attr_category: str
    line: str


class Sample(DefaultVQADatasetItem):
    sample_id: str
    scene: str
    tags: list[str]
    count: float
    mixed: str
    code: str
    attr_status: bool
    nothing: str
    objects: list[Labelled]
