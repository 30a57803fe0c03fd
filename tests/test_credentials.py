"""The keyring and the prompt, and the places where there is neither."""

from __future__ import annotations

import io
import sys
from typing import Any

import keyring.errors
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from pydantic import SecretStr

from annobridge.exceptions import ConfigError, MissingCredential
from annobridge.settings import credentials

SECRET = "s3cr3t-canary"


class Ring(KeyringBackend):
    priority = 1

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[service, username]


class PlaintextRing(Ring):
    pass


class RaisingRing(Ring):
    def get_password(self, service: str, username: str) -> str | None:
        raise keyring.errors.KeyringLocked("locked")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise keyring.errors.PasswordSetError(f"no place for {password}")


class Chain(Ring):
    def __init__(self, *backends: Ring) -> None:
        super().__init__()
        self.backends = backends


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda ring: monkeypatch.setattr(credentials, "_keyring", lambda: ring)


def terminal(monkeypatch: pytest.MonkeyPatch, text: str = "", *, tty: bool = True) -> None:
    for name, stream in (("stdin", io.StringIO(text)), ("stderr", io.StringIO())):
        stream.isatty = lambda: tty  # type: ignore[method-assign]
        monkeypatch.setattr(sys, name, stream)
    monkeypatch.setattr("getpass.getpass", lambda prompt: text.strip())


def test_a_credential_is_kept_by_backend_server_and_field(use) -> None:
    use(ring := Ring())
    credentials.store("cvat", "https://ada@CVAT.example/path", "password", SecretStr(SECRET))
    assert ring.held == {("annobridge:cvat", "https://cvat.example password"): SECRET}
    found, note = credentials.lookup("cvat", "https://cvat.example", "password")
    assert (found, note) == (SecretStr(SECRET), "")
    assert credentials.lookup("cvat", "https://cvat.example:8443", "password") == (None, "")
    assert credentials.lookup("cvat", None, "password") == (None, "")
    assert credentials.forget("cvat", "https://cvat.example", "password") is True
    assert credentials.forget("cvat", "https://cvat.example", "password") is False


@pytest.mark.parametrize("ring", [fail.Keyring(), null.Keyring()])
def test_without_a_keyring_nothing_is_stored(use, ring: KeyringBackend) -> None:
    use(ring)
    with pytest.raises(ConfigError) as caught:
        credentials.store("cvat", "https://cvat.example", "password", SECRET)
    assert str(caught.value) == (
        "The password of cvat was not stored: this machine has no usable keyring. "
        "Set ANNOBRIDGE_CVAT_PASSWORD in the environment instead."
    )
    assert credentials.lookup("cvat", None, "password")[0] is None


@pytest.mark.parametrize("ring", [PlaintextRing(), Chain(PlaintextRing(), Ring())])
def test_a_plaintext_keyring_is_refused(use, ring: Ring) -> None:
    use(ring)
    with pytest.raises(ConfigError, match=r"not stored: the keyring of this machine keeps secrets in plain text. Set"):
        credentials.store("cvat", None, "password", SECRET)


def test_a_failing_keyring_never_repeats_the_secret(use) -> None:
    use(RaisingRing())
    with pytest.raises(ConfigError, match=r"not stored: PasswordSetError: no place for \*\*\*\. Set ANNOB") as caught:
        credentials.store("cvat", None, "password", SECRET)
    assert caught.value.__context__ is None
    assert credentials.lookup("cvat", None, "password") == (None, "The keyring cannot be read (KeyringLocked).")


def test_a_keyring_that_cannot_be_opened(monkeypatch) -> None:
    def explode() -> KeyringBackend:
        raise RuntimeError("D-Bus")

    monkeypatch.setattr(credentials, "_keyring", explode)
    with pytest.raises(ConfigError, match=r"the keyring cannot be opened \(RuntimeError\)"):
        credentials.store("cvat", None, "password", SECRET)
    assert credentials.lookup("cvat", None, "password") == (None, "The keyring cannot be read (RuntimeError).")


def test_a_secret_that_stays_is_said_to_stay(use, monkeypatch) -> None:
    ring = Ring()
    ring.held["annobridge:cvat", "password"] = SECRET
    monkeypatch.setattr(Ring, "delete_password", lambda *_: 1 / 0)
    use(ring)
    with pytest.raises(ConfigError, match=r"The keyring keeps the password of cvat \(ZeroDivisionError\); remove it"):
        credentials.forget("cvat", None, "password")


def test_the_real_keyring_is_imported_only_here() -> None:
    assert isinstance(credentials._keyring(), KeyringBackend)


def test_a_terminal_is_asked(monkeypatch) -> None:
    terminal(monkeypatch, f"{SECRET}\n")
    assert credentials.ask("cvat", "https://x.example/a", "password", hidden=True) == SecretStr(SECRET)
    assert credentials.ask("cvat", "https://x.example/a", "username", hidden=False) == SecretStr(SECRET)
    assert sys.stderr.getvalue() == "username of cvat at https://x.example: "  # type: ignore[attr-defined]


@pytest.mark.parametrize(("text", "tty"), [("hidden", False), ("", True)])
def test_off_a_terminal_nobody_is_asked(monkeypatch, text: str, tty: bool) -> None:
    terminal(monkeypatch, text, tty=tty)
    for hidden in (True, False):
        with pytest.raises(MissingCredential) as caught:
            credentials.ask("my-tool", None, "password", hidden=hidden, note="The keyring cannot be read (Locked).")
        assert str(caught.value) == (
            f"my-tool needs password, which was not given{'' if tty else ', and there is no terminal to ask on'}. "
            "Set ANNOBRIDGE_MY_TOOL_PASSWORD in the environment, or run "
            "`annobridge login my-tool` once. The keyring cannot be read (Locked)."
        )
