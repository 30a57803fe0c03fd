"""What tests of backends share."""

from __future__ import annotations

import pytest
from tests.cvat_servers import Server


@pytest.fixture(params=["cvat_2_15", "cvat_2_73", "cvat_real"])
def server(request: pytest.FixtureRequest) -> Server:
    """A CVAT server: each of the doubles, and the real one where there is one."""
    found: Server = request.getfixturevalue(request.param)
    return found
