"""What the fork server imports once for all children. It only imports: LanceDB does nothing before a child does."""

import os
import warnings

warnings.filterwarnings("ignore", message="lance.* fork")
for name in [n for n in os.environ if n.startswith(("ANNOBRIDGE_", "CVAT_", "AWS_")) or n.lower().endswith("_proxy")]:
    del os.environ[name]  # the settings of this machine's user play no part, and all servers are on loopback
os.environ |= {"HOME": os.devnull, "NO_PROXY": "*", "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}

import annobridge_cvat.backend  # noqa: E402
import lance.fragment  # noqa: E402
import lancedb.db  # noqa: E402, F401
import PIL.Image  # noqa: E402, F401
import requests  # noqa: E402, F401

import annobridge.dataset  # noqa: E402
import annobridge.exports  # noqa: E402
import annobridge.imports  # noqa: E402
import annobridge.results  # noqa: E402, F401
