"""Imported once by the fork server for all children. It only imports, as LanceDB's threads do not survive a fork."""

import importlib
import os
import warnings

warnings.filterwarnings("ignore", message="lance.* fork")
for name in [n for n in os.environ if n.startswith(("ANNOBRIDGE_", "CVAT_", "AWS_")) or n.lower().endswith("_proxy")]:
    del os.environ[name]  # no settings of the user, and no proxies: all servers are on loopback
os.environ |= {"HOME": os.devnull, "NO_PROXY": "*", "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}

for module in (
    "annobridge.dataset", "annobridge.io.export_dataset", "annobridge.formats.fiftyone", "annobridge.formats.folder",
    "annobridge.io.import_dataset", "annobridge.bridge.results", "annobridge_cvat.backend",
    "annobridge.formats.pixano_library.format",
    "lance.fragment", "lancedb.db", "PIL.Image", "requests",
):  # fmt: skip
    importlib.import_module(module)
