"""Credentials in the keyring, and the prompt for them on a terminal. ``config`` reads the other sources.

A keyring that is missing, locked or broken is an error only if a credential is found nowhere else. Secrets are never stored in
plain text.
"""

from __future__ import annotations

import getpass
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from ..display import terminal
from ..exceptions import ConfigError, MissingCredential


class ExposedSecretWarning(UserWarning):
    """A configuration file contains a secret, and other users can read it."""


def store(backend: str, url: str | None, field: str, secret: str | SecretStr) -> None:
    """Store a credential of a backend at a server in the keyring. Raises ``ConfigError`` if that is not possible safely."""
    value = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    reason = _no_safe_place()
    if not reason:
        try:
            _keyring().set_password(_service(backend), _account(url, field), value)
        except Exception as error:  # keyrings raise all kinds of errors
            reason = f"{type(error).__name__}: {error}".replace(value, "***").rstrip(": ")
    if reason:
        raise ConfigError(
            f"The {field} of {backend} was not stored: {reason.rstrip('.')}. "
            f"Set {variable(backend, field)} in the environment instead."
        )


def forget(backend: str, url: str | None, field: str) -> bool:
    """Remove a credential from the keyring; returns whether there was one."""
    if lookup(backend, url, field)[0] is None:
        return False
    try:
        _keyring().delete_password(_service(backend), _account(url, field))
    except Exception as error:  # keyrings raise all kinds of errors
        reason = type(error).__name__
    else:
        return True
    raise ConfigError(f"The keyring keeps the {field} of {backend} ({reason}); remove it with the keyring's own tool.")


def lookup(backend: str, url: str | None, field: str) -> tuple[SecretStr | None, str]:
    """The credential in the keyring, or ``None``; and a sentence if the keyring cannot be read."""
    try:
        value = _keyring().get_password(_service(backend), _account(url, field))
    except Exception as error:  # keyrings raise all kinds of errors: missing, locked, dismissed, broken
        return None, f"The keyring cannot be read ({type(error).__name__})."
    return (SecretStr(value) if value else None), ""


def ask(
    backend: str, url: str | None, field: str, *, hidden: bool, note: str = "", needs: str = "", name: str = ""
) -> SecretStr:
    """Ask for a credential on the terminal.

    Args:
        backend: the name of the backend.
        url: its server, for the prompt.
        field: the option.
        hidden: do not show what is typed.
        note: a sentence to add to the error.
        needs: what the backend needs, if that is more than ``field``; for the error.
        name: the environment variable to name in the error.

    Raises:
        MissingCredential: there is no terminal, or no answer.
    """
    on_terminal = terminal.on_stdin() and terminal.on_stderr()
    if on_terminal:
        where = f" at {_origin(url)}" if url else ""
        try:
            if answer := _prompt(f"{field} of {backend}{where}: ", hidden):
                return SecretStr(answer)
        except EOFError:
            pass
    raise MissingCredential(
        f"{backend} needs {needs or field}, which was not given{'' if on_terminal else terminal.NOT_ASKED}. "
        f"Set {name or variable(backend, field)} in the environment, or run "
        f"`annobridge login {backend}` once.{' ' + note if note else ''}"
    )


def exposure(path: Path, shown: str, secrets: Sequence[str], urls: Sequence[str] = ()) -> str | None:
    """A warning if other users can read a file with secrets; ``urls`` are options whose URL contains a login."""
    held = [*secrets, *(f"a login inside of {name}" for name in urls)]
    if not held or os.name == "nt" or not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return None
    cure = " Credentials do not belong in a url: give them as options of their own." if urls else ""
    return (
        f"{shown} holds {' and '.join(held)}, and other users can read it. Run `chmod 600 {shown}`, "
        f"or keep secrets in the keyring with `annobridge login`.{cure}"
    )


def variable(backend: str, field: str) -> str:
    """The environment variable of an option."""
    name = "".join(c if c.isalnum() else "_" for c in f"{backend}_{field}")
    return f"ANNOBRIDGE_{name.upper()}"


def _prompt(text: str, hidden: bool) -> str:
    if hidden:
        return getpass.getpass(text)
    sys.stderr.write(text)
    sys.stderr.flush()
    return input()


def _keyring() -> Any:
    import keyring  # slow, and not needed by those who use the environment

    return keyring.get_keyring()


def _no_safe_place() -> str:
    """Why no secret can be stored safely on this machine; empty if it can."""
    try:
        ring = _keyring()
    except Exception as error:
        return f"the keyring cannot be opened ({type(error).__name__})"
    first = next(iter(getattr(ring, "backends", ())), ring)
    kind = f"{type(first).__module__}.{type(first).__name__}"
    if kind.startswith(("keyring.backends.fail.", "keyring.backends.null.")):
        return "this machine has no usable keyring"
    if "plaintext" in kind.lower():
        return "the keyring of this machine keeps secrets in plain text"
    return ""


def _service(backend: str) -> str:
    return f"annobridge:{backend}"


def _account(url: str | None, field: str) -> str:
    return f"{_origin(url)} {field}".strip()


def _origin(url: str | None) -> str:
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}" if parts.netloc else ""
