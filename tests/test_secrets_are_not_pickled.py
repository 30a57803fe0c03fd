"""Objects that hold credentials are copied, and never pickled."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
from pydantic import SecretStr

import annobridge as ab
from annobridge.backend.http import Http
from annobridge.exceptions import ConfigError
from annobridge.settings import config
from annobridge_cvat.config import CvatConfig

SECRET = "s3cr3t-canary"
REFUSED = "may hold a credential, and so cannot be pickled; .* call load_annotation_results there"
CONFIGS = [
    CvatConfig(token=SecretStr(SECRET)),
    CvatConfig(username="ada"),
    CvatConfig(headers={"X-Proxy": SecretStr(SECRET)}),
]


@pytest.mark.parametrize("settings", CONFIGS, ids=["token", "username", "headers"])
def test_settings_with_a_credential(settings: CvatConfig) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(ConfigError, match=f"^The CvatConfig {REFUSED}"):
            pickle.dumps(settings, protocol)
    for copied in (copy.copy(settings), copy.deepcopy(settings), settings.model_copy(deep=True)):
        assert copied == settings
        assert SECRET not in repr(copied)


def test_settings_without_one() -> None:
    settings = CvatConfig(url="https://cvat.example", segment_size=3)
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_a_connection() -> None:
    with Http("https://tool.example", backend="tool", secrets={"Authorization": SecretStr(SECRET)}) as http:
        for copied in (copy.copy(http), copy.deepcopy(http)):
            assert copied._transport.secrets == http._transport.secrets
        with pytest.raises(ConfigError, match=REFUSED):
            pickle.dumps(http)


def test_what_was_edited_at_run_time(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config.AnnotationConfig()
    settings.backends["cvat"]["token"] = SECRET
    with pytest.raises(ConfigError, match=REFUSED):
        pickle.dumps(settings)
    deep, shallow = copy.deepcopy(settings), copy.copy(settings)
    settings.backends["cvat"]["token"] = "other"
    assert deep.backends["cvat"]["token"] == SECRET
    assert shallow.backends is settings.backends
    assert SECRET not in repr(deep)


def test_results_and_plans(tmp_path: Path) -> None:
    ds = ab.create_dataset(tmp_path / "set")
    ds.add_samples([ab.Sample("/img/0.jpg", "s0", objects=[ab.Detection("car", [0.1, 0.1, 0.2, 0.2])])])
    results = ds.annotate("k", label_field="objects", backend="memory", url="memory://pickled")
    results.backend.config = CONFIGS[0]
    with pytest.raises(ConfigError, match=REFUSED):
        pickle.dumps(results)
    assert copy.copy(results).backend.config == CONFIGS[0]
    assert copy.deepcopy(results.backend).config == CONFIGS[0]
