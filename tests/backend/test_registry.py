"""Which backends are found, and what a bad one does to the others."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from annobridge import entry_points as installed
from annobridge.backend import registry
from annobridge.exceptions import ConfigError, UnknownBackend

MODULE = """
from typing import ClassVar
from annobridge.backend import AnnotationBackend, AnnotationBackendConfig, Capabilities

class MineConfig(AnnotationBackendConfig):
    colour: str = "red"

class OtherConfig(AnnotationBackendConfig):
    pass

class Mine(AnnotationBackend):
    name = "mine"
    Config = MineConfig
    capabilities = Capabilities(label_types=frozenset())
    def upload(self, task): ...
    def download(self, receipt): ...
    def delete(self, receipt): ...
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "mine_backend.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine_backend", raising=False)
    return "mine_backend"


def install(monkeypatch: pytest.MonkeyPatch, *entries: tuple[str, str]) -> None:
    found = [EntryPoint(name, value, registry.GROUP) for name, value in entries]
    monkeypatch.setattr(installed, "entry_points", lambda group: found)


def test_names_come_without_imports(module, monkeypatch) -> None:
    install(monkeypatch, ("zebra", "no_such_module:Zebra"), ("mine", "mine_backend:Mine"))
    assert registry.names() == ["mine", "zebra"]
    assert registry.names({"extra": "x.Config"}) == ["extra", "mine", "zebra"]
    assert "mine_backend" not in sys.modules


def test_ours_are_found_as_those_of_strangers_are() -> None:
    assert {"memory", "pixano"} <= set(registry.names())
    assert registry.get("memory").name == "memory"


def test_an_entry_point_is_imported_when_asked_for(module, monkeypatch) -> None:
    install(monkeypatch, ("mine", "mine_backend:Mine"))
    assert registry.get("mine").__name__ == "Mine"


def test_an_unknown_name_names_the_near_one(module, monkeypatch) -> None:
    install(monkeypatch, ("mine", "mine_backend:Mine"))
    with pytest.raises(UnknownBackend, match=r"There is no backend 'mini'; did you mean 'mine'\?"):
        registry.get("mini")
    with pytest.raises(UnknownBackend, match=r"There is no backend 'xyzzy'; there is 'mine'\."):
        registry.get("xyzzy")


def test_a_broken_plug_in_is_reported_and_harms_no_other(module, monkeypatch) -> None:
    install(
        monkeypatch,
        ("mine", "mine_backend:Mine"),
        ("lost", "no_such_module:Lost"),
        ("typo", "mine_backend:Mein"),
        ("wrong", "mine_backend:MineConfig"),
        ("alias", "mine_backend:Mine"),
    )
    assert registry.get("mine")
    reasons = registry.broken()
    assert sorted(reasons) == ["alias", "lost", "typo", "wrong"]
    assert "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'. Install what it" in reasons["lost"]
    assert "AttributeError" in reasons["typo"]
    assert reasons["wrong"].endswith("is not a subclass of AnnotationBackend.")
    assert "calls itself 'mine'; its entry point must have the same name." in reasons["alias"]
    with pytest.raises(ConfigError, match=r"'lost' of an unknown package .* cannot be loaded"):
        registry.get("lost")


def test_a_plug_in_that_raises_at_import_is_broken(tmp_path, monkeypatch) -> None:
    (tmp_path / "bomb_backend.py").write_text("raise RuntimeError('needs a licence')")
    monkeypatch.syspath_prepend(tmp_path)
    install(monkeypatch, ("bomb", "bomb_backend:Bomb"))
    assert "RuntimeError: needs a licence" in registry.broken()["bomb"]


def test_two_of_a_name_raise(module, monkeypatch) -> None:
    install(monkeypatch, ("mine", "mine_backend:Mine"), ("mine", "other:Mine"))
    with pytest.raises(ConfigError, match=r"'mine' is taken by several packages, .*uninstall all but one"):
        registry.get("mine")
    install(monkeypatch, ("mine", "mine_backend:Mine"), ("mine", "mine_backend:Mine"))
    assert registry.get("mine")  # one package, seen twice on the path
    with pytest.raises(
        ConfigError, match=r"gives it to mine_backend.OtherConfig too; register yours under another name"
    ):
        registry.get("mine", {"mine": "mine_backend.OtherConfig"})


def test_a_config_cls_brings_its_backend(module) -> None:
    custom = {"yours": "mine_backend.MineConfig", "again": "mine_backend.MineConfig"}
    assert registry.get("yours", custom).__name__ == "Mine"
    assert registry.get("again", custom) is registry.get("yours", custom)  # two servers of one kind


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("MineConfig", "needs a module and a class, as 'your.module.Config'"),
        ("mine_backend.NoConfig", "cannot be loaded: AttributeError"),
        ("no_such_module.Config", "cannot be loaded: ModuleNotFoundError"),
        ("mine_backend.Mine", "should name a subclass of AnnotationBackendConfig"),
        (
            "mine_backend.OtherConfig",
            "needs one AnnotationBackend in mine_backend with `Config = OtherConfig`; there are 0",
        ),
    ],
)
def test_a_bad_config_cls_says_why(module, path: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        registry.get("yours", {"yours": path})
    assert reason in str(caught.value)
    assert f"'yours', registered by config_cls = '{path}'" in str(caught.value)
