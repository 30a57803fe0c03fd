"""What tests of backends share."""

from __future__ import annotations

import pytest
from tests import cvat_servers


@pytest.fixture(params=["cvat_2_15", "cvat_2_73", *(["cvat_real"] if cvat_servers.HAS_REAL else [])])
def server(request: pytest.FixtureRequest) -> cvat_servers.Server:
    """A CVAT server: each of the doubles, and the real one where there is one."""
    found: cvat_servers.Server = request.getfixturevalue(request.param)
    return found
