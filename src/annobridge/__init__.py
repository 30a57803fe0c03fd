"""Send a LanceDB dataset to an annotation tool, and merge the work back: three-way, planned, atomic, undoable.

import annobridge as ab

ds = ab.load_dataset("data/street")
ds.annotate("round1", label_schema={"objects": {"type": "detections", "classes": ["car"]}}, backend="pixano")
plan = ds.plan_annotations("round1")
report = ds.load_annotations("round1")
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

from .exceptions import *  # noqa: F403
from .exceptions import __all__ as _exceptions

if TYPE_CHECKING:  # "X as X" says that it is public; type checkers take nothing else for that
    from .backend import (
        AnnotationBackend as AnnotationBackend,
        AnnotationBackendConfig as AnnotationBackendConfig,
        Capabilities as Capabilities,
        Answer as Answer,
        Download as Download,
        Edits as Edits,
        FoundTask as FoundTask,
        Media as Media,
        Pushed as Pushed,
        Receipt as Receipt,
        SentBack as SentBack,
        Status as Status,
        Task as Task,
    )
    from .bridge.adoption import Adoption as Adoption
    from .bridge.checks import CheckReport as CheckReport
    from .bridge.load_plan import load_plan as load_plan
    from .bridge.merge_plan import MergePlan as MergePlan
    from .bridge.push_plan import PushPlan as PushPlan, PushReport as PushReport
    from .bridge.reports import LoadReport as LoadReport
    from .bridge.results import AnnotationResults as AnnotationResults
    from .bridge.send_back import SentBackReport as SentBackReport
    from .core.rows import (
        Classification as Classification,
        Cuboid as Cuboid,
        Detection as Detection,
        Ellipse as Ellipse,
        Keypoint as Keypoint,
        Label as Label,
        Message as Message,
        Polyline as Polyline,
        Sample as Sample,
        Scalar as Scalar,
        Segmentation as Segmentation,
        Skeleton as Skeleton,
    )
    from .core.schema import LabelSchema as LabelSchema
    from .dataset import (
        Dataset as Dataset,
        View as View,
        create_dataset as create_dataset,
        list_datasets as list_datasets,
        load_dataset as load_dataset,
    )
    from .dataset.queries import (
        LabelCount as LabelCount,
        has_attribute as has_attribute,
    )
    from .agreement.agreement import Agreement as Agreement
    from .agreement.quality import Quality as Quality
    from .core.agreement.consensus import Consensus as Consensus
    from .doctor import DoctorReport as DoctorReport
    from .doctor.storage import StorageReport as StorageReport, check_storage as check_storage
    from .history.clean_up import OptimizeReport as OptimizeReport
    from .history.difference import Difference as Difference
    from .io.attach import attach as attach
    from .io.export_dataset import (
        ExportReport as ExportReport,
        export_dataset as export_dataset,
        export_metadata as export_metadata,
        write_metadata as write_metadata,
    )
    from .io.import_dataset import (
        ImportReport as ImportReport,
        import_dataset as import_dataset,
    )
    from .media.check import MediaReport as MediaReport
    from .media.repoint import RepointReport as RepointReport
    from .settings.config import (
        annotation_config as annotation_config,
        list_backends as list_backends,
    )
    from .store.snapshots import Snapshot as Snapshot

__version__ = "0.2.0"
logging.getLogger("annobridge").addHandler(logging.NullHandler())

# Loaded when first asked for: LanceDB alone takes more than a second.
_HOMES = {
    "attach": "io.attach",
    **dict.fromkeys(
        [
            "AnnotationBackend",
            "AnnotationBackendConfig",
            "Capabilities",
            "Answer",
            "Download",
            "Edits",
            "FoundTask",
            "Media",
            "Pushed",
            "Receipt",
            "SentBack",
            "Status",
            "Task",
        ],
        "backend",
    ),
    **dict.fromkeys(["annotation_config", "list_backends"], "settings.config"),
    **dict.fromkeys(
        [
            "Classification",
            "Cuboid",
            "Detection",
            "Ellipse",
            "Keypoint",
            "Label",
            "Message",
            "Polyline",
            "Sample",
            "Scalar",
            "Segmentation",
            "Skeleton",
        ],
        "core.rows",
    ),
    "LabelSchema": "core.schema",
    **dict.fromkeys(["Dataset", "create_dataset", "list_datasets", "load_dataset"], "dataset"),
    "Difference": "history.difference",
    "DoctorReport": "doctor",
    **dict.fromkeys(["StorageReport", "check_storage"], "doctor.storage"),
    "MediaReport": "media.check",
    "RepointReport": "media.repoint",
    "OptimizeReport": "history.clean_up",
    "Snapshot": "store.snapshots",
    **dict.fromkeys(["ExportReport", "export_dataset", "export_metadata", "write_metadata"], "io.export_dataset"),
    **dict.fromkeys(["ImportReport", "import_dataset"], "io.import_dataset"),
    "Agreement": "agreement.agreement",
    "Quality": "agreement.quality",
    "Consensus": "core.agreement.consensus",
    "Adoption": "bridge.adoption",
    "AnnotationResults": "bridge.results",
    "CheckReport": "bridge.checks",
    "SentBackReport": "bridge.send_back",
    "load_plan": "bridge.load_plan",
    "LoadReport": "bridge.reports",
    "MergePlan": "bridge.merge_plan",
    **dict.fromkeys(["PushPlan", "PushReport"], "bridge.push_plan"),
    **dict.fromkeys(["LabelCount", "has_attribute"], "dataset.queries"),
    "View": "dataset",
}

__all__ = sorted([*_HOMES, *_exceptions])


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'annobridge' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
