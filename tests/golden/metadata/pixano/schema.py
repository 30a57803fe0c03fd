"""pixano data import DATA_DIR FOLDER --type vqa --schema schema.py:ExportedItem"""

from pixano.datasets.workspaces import DefaultVQADatasetItem
from pixano.features import Entity


class ObjectsEntity(Entity):
    category: str = ""
    label_id: str = ""
    confidence: float = 0.0
    occluded: bool = False


class ExportedItem(DefaultVQADatasetItem):
    objects: list[ObjectsEntity]
    sample_id: str = ""
    caption: str = ""
    categories: list[str] = []
