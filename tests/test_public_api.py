"""What ``import annobridge`` promises."""

from __future__ import annotations

import subprocess
import sys

import annobridge as ab

PUBLIC = """
Adoption Agreement AnnobridgeError AnnotationBackend AnnotationBackendConfig AnnotationResults Answer BackendError Broken
Capabilities CheckReport Classification ConfigError Conflict Consensus Cuboid Dataset DatasetExists DatasetNotFound Denied Detection
Difference DoctorReport Download EditorWarning Edits Ellipse ExecutorError ExportReport FinishedWork FoundTask Gone ImportReport
InvalidLabels InvalidMedia InvalidOption InvalidSchema InvalidSource Keypoint Label LabelCount LabelSchema LoadReport
Media MediaReport MergeError MergePlan Message MissingCredential OptimizeReport Polyline PushPlan PushReport Pushed
Quality Receipt RefusedTaskWarning Rejected RepointReport ReviewRequired RunBusy RunError RunExists RunIncomplete RunNotFound
Sample SampleNotFound Scalar SchemaError Segmentation SentBack SentBackReport Skeleton Snapshot StalePlan Status
StorageReport StoreError Task Throttled TooManyDeletions UnexpectedLabels UnknownBackend Unreachable UnsentWarning
Unsupported View annotation_config attach check_storage create_dataset export_dataset export_metadata has_attribute
import_dataset list_backends list_datasets load_dataset load_plan write_metadata
"""


def test_the_public_names_are_these() -> None:
    assert sorted(ab.__all__) == sorted(PUBLIC.split())
    for name in ab.__all__:
        assert getattr(ab, name) is not None


def test_importing_annobridge_imports_nothing_heavy() -> None:
    heavy = "{'lance', 'lancedb', 'pyarrow', 'requests', 'keyring', 'rich', 'typer', 'PIL'}"
    code = f"import sys, annobridge; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_error_is_documented() -> None:
    for name in ab.__all__:
        thing = getattr(ab, name)
        if isinstance(thing, type):
            assert thing.__doc__, name
