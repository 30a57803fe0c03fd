"""Where a credential comes from: argument, environment, keyring, file, and a prompt on a terminal.

``config`` reads the arguments, the environment and the file; here are the keyring and the prompt. A keyring that is
missing, locked or broken is no error until the credential is found nowhere; a secret is never stored in plain text.
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
    """A configuration file holds a secret, and others can read it."""


def store(backend: str, url: str | None, field: str, secret: str | SecretStr) -> None:
    """Keep a credential in the keyring, for this backend at this server. Raises if there is no safe place for it."""
    value = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    reason = _no_safe_place()
    if not reason:
        try:
            _keyring().set_password(_service(backend), _account(url, field), value)
        except Exception as error:  # keyrings of all makers
            reason = f"{type(error).__name__}: {error}".replace(value, "***").rstrip(": ")
    if reason:
        raise ConfigError(
            f"The {field} of {backend} was not stored: {reason.rstrip('.')}. "
            f"Set {variable(backend, field)} in the environment instead."
        )


def forget(backend: str, url: str | None, field: str) -> bool:
    """Remove a credential from the keyring; whether there was one."""
    if lookup(backend, url, field)[0] is None:
        return False
    try:
        _keyring().delete_password(_service(backend), _account(url, field))
    except Exception as error:  # keyrings of all makers
        reason = type(error).__name__
    else:
        return True
    raise ConfigError(f"The keyring keeps the {field} of {backend} ({reason}); remove it with the keyring's own tool.")


def lookup(backend: str, url: str | None, field: str) -> tuple[SecretStr | None, str]:
    """What the keyring has, and a sentence about the keyring if it cannot be asked."""
    try:
        value = _keyring().get_password(_service(backend), _account(url, field))
    except Exception as error:  # keyrings of all makers: none, locked, dismissed, broken
        return None, f"The keyring cannot be read ({type(error).__name__})."
    return (SecretStr(value) if value else None), ""


def ask(
    backend: str, url: str | None, field: str, *, hidden: bool, note: str = "", needs: str = "", name: str = ""
) -> SecretStr:
    """Ask the person at the terminal. Off a terminal, or without an answer, ``MissingCredential`` says what to do.

    ``needs`` is what the backend needs, if that is more than the field; ``name`` is the environment variable to set.
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
    """The warning that a file deserves that others may read, with these secrets, and logins inside of these addresses."""
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
    """Why nothing can be stored on this machine, or nothing."""
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
