"""Connect to a server: log in, and read its version."""

from __future__ import annotations

import re
import warnings

from pydantic import SecretStr

from annobridge.backend.http import Http
from annobridge.exceptions import BackendError, Broken, Denied, Gone, MissingCredential, Rejected

from .config import CvatConfig

Version = tuple[int, int, int]
OLDEST: Version = (2, 15, 0)
NEWEST: Version = (2, 80, 0)  # the newest version whose API is known
_LEGACY_KEY = re.compile(r"[0-9a-f]{40}")
_ACCESS_TOKEN = re.compile(r"[^.\s]{8}\.[^.\s]{32}")


class NewerServerWarning(UserWarning):
    """The server is newer than every CVAT that annobridge was tested with."""


def connect(config: CvatConfig) -> tuple[Http, Version]:
    """A connection with credentials, and the version of the server.

    Raises:
        Denied: the server does not accept the credentials.
        MissingCredential: there are none.
        Rejected: it is not CVAT, too old, or has no such organization.
    """
    headers = {"X-Organization": config.organization} if config.organization else {}
    http = Http(
        config.url, backend="cvat", headers=headers, secrets=dict(config.headers), verify=config.verify,
        timeout=config.timeout, deadline=config.deadline, limit=config.largest_answer << 20, limit_option="largest_answer",
        allow_insecure=config.allow_insecure,
    )  # fmt: skip
    try:
        _authorize(http, config)
        return http, _version(http, config.url)
    except BaseException:
        http.close()
        raise


def _authorize(http: Http, config: CvatConfig) -> None:
    if config.token is not None:
        for scheme in _schemes(config.token.get_secret_value().strip()):
            http.authorize({"Authorization": SecretStr(f"{scheme} {config.token.get_secret_value().strip()}")})
            if _is_known(http, config):
                return
        raise Denied(
            f"cvat at {config.url} does not know this token; it may be revoked or of another server: make a new one "
            "on the server's profile page, and run `annobridge login cvat`."
        )
    if config.username is None or config.password is None:
        raise MissingCredential(
            "cvat needs a token, or a username and a password; set CVAT_ACCESS_TOKEN, or run `annobridge login cvat`."
        )
    http.authorize({"Authorization": SecretStr(f"Token {_key(http, config)}")})
    _is_known(http, config)


def _schemes(token: str) -> list[str]:
    """The authorization schemes to try: access tokens and legacy keys differ in their form, any other token is tried as both."""
    if _LEGACY_KEY.fullmatch(token):
        return ["Token"]
    return ["Bearer"] if _ACCESS_TOKEN.fullmatch(token) else ["Bearer", "Token"]


def _is_known(http: Http, config: CvatConfig) -> bool:
    try:
        http.get("/api/users/self")
    except Denied as e:
        if e.status == 401:
            return False
        raise
    except Gone as e:
        if config.organization and e.status == 404 and isinstance(e.detail, dict):
            raise Rejected(
                f"cvat at {config.url} has no organization {config.organization!r}; give the short name of one that "
                "you belong to, as `organization`, or leave it out."
            ) from e
        raise _not_cvat(config.url, e) from e
    return True


def _key(http: Http, config: CvatConfig) -> str:
    """The key of the account. All logins of a user share it, so it is never revoked: a logout would end the others, too."""
    credentials = {"username": config.username, "password": config.password}
    if "@" in (config.username or ""):
        credentials = {"email": config.username, "password": config.password}
    try:
        answer = http.send("POST", "/api/auth/login", json=credentials, repeatable=True)
    except Rejected as e:
        raise Denied(
            f"cvat at {config.url} does not accept the password of {config.username!r}; correct it with "
            "`annobridge login cvat`, or use a token.",
            e.status,
        ) from e
    except Gone as e:
        raise _not_cvat(config.url, e) from e
    if not isinstance(answer, dict) or not isinstance(answer.get("key"), str):
        raise Broken(f"cvat at {config.url}: the login gives no key; use a personal access token, as `token`.")
    return str(answer["key"])


def _version(http: Http, url: str) -> Version:
    try:
        about = http.get("/api/server/about")
    except Gone as e:
        raise _not_cvat(url, e) from e
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", str(about.get("version", "")) if isinstance(about, dict) else "")
    if not found:
        raise _not_cvat(url)
    version = (int(found[1]), int(found[2]), int(found[3] or 0))
    if version < OLDEST:
        raise Rejected(
            f"cvat at {url} is version {about['version']}, and annobridge speaks with {_text(OLDEST)} and newer; "
            "upgrade the server."
        )
    if version[:2] > NEWEST[:2]:
        warnings.warn(
            f"cvat at {url} is version {about['version']}, newer than any that annobridge knows ({_text(NEWEST)}); "
            "look at the plan of a small run first, and upgrade annobridge.",
            NewerServerWarning,
            stacklevel=2,
        )
    return version


def _not_cvat(url: str, error: BackendError | None = None) -> Rejected:
    return Rejected(
        f"{url} answers, but is not a CVAT server; give the address of its start page, as https://app.cvat.ai.",
        error.status if error else None,
    )


def _text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"
