"""What the fork server imports once for all children. It only imports: LanceDB does nothing before a child does."""

import importlib
import os
import warnings

warnings.filterwarnings("ignore", message="lance.* fork")
for name in [n for n in os.environ if n.startswith(("ANNOBRIDGE_", "CVAT_", "AWS_")) or n.lower().endswith("_proxy")]:
    del os.environ[name]  # the settings of this machine's user play no part, and all servers are on loopback
os.environ |= {"HOME": os.devnull, "NO_PROXY": "*", "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}

for module in (
    "annobridge.dataset", "annobridge.io.export_dataset", "annobridge.formats.fiftyone", "annobridge.formats.folder",
    "annobridge.io.import_dataset", "annobridge.bridge.results", "annobridge_cvat.backend",
    "annobridge.formats.pixano_library.format",
    "lance.fragment", "lancedb.db", "PIL.Image", "requests",
):  # fmt: skip
    importlib.import_module(module)
