"""Connecting: which edition of DataGym the server is, and whether it accepts the credentials."""

from __future__ import annotations

from pydantic import SecretStr

from annobridge.backend.http import Http
from annobridge.exceptions import Broken, Denied, Gone, MissingCredential, Rejected

from .api import Api
from .config import DatagymConfig, Dialect

_CURE = "make an API token on its page «API tokens», and run `annobridge login datagym`"
_PROJECT_LISTS: dict[Dialect, str] = {"v1": "/api/v1/project", "internal": "/api/project"}


def connect(config: DatagymConfig) -> Api:
    """The API of the server in its dialect, which is found by reading calls only. Raises ``Denied`` and other errors."""
    secrets = dict(config.headers)
    if config.token is not None:  # never as ``?token=``, which servers and proxies log
        secrets["Authorization"] = SecretStr(f"Token {config.token.get_secret_value().strip()}")
    http = Http(
        config.url, backend="datagym", secrets=secrets, verify=config.verify, timeout=config.timeout,
        deadline=config.deadline, limit=config.largest_answer << 20, limit_option="largest_answer",
        allow_insecure=config.allow_insecure,
    )  # fmt: skip
    try:
        return Api(http, _dialect(http, config))
    except BaseException:
        http.close()
        raise


def _dialect(http: Http, config: DatagymConfig) -> Dialect:
    order: list[Dialect] = [config.dialect] if config.dialect else ["v1", "internal"]
    if config.token is None and config.dialect is None:
        order.remove("v1")
    if _answers(http, order[0]):
        return order[0]
    if len(order) > 1 and _is_open(http):
        return order[1]
    if config.dialect == "v1" and _is_open(http):
        raise Denied(
            f"datagym at {config.url} answers 403 to all of API v1, as the open-core edition does, which knows no tokens; "
            "leave `dialect` out, or give dialect='internal'."
        )
    if config.dialect == "internal":
        raise Denied(
            f"datagym at {config.url} lets no program into its internal API, as the hosted edition; leave `dialect` out, and "
            f"{_CURE}."
        )
    if config.token is None:
        raise MissingCredential(f"datagym at {config.url} asks for a login; {_CURE}.")
    raise Denied(
        f"datagym at {config.url} answers 403 to everything: it does not know this token, or does not let it in; "
        f"{_CURE}. An open-core edition behind a proxy needs the proxy's login, as `headers`."
    )


def _is_open(http: Http) -> bool:
    """Whether the internal API answers; an error or a login page counts as no."""
    try:
        return _answers(http, "internal")
    except Rejected:
        return False


def _answers(http: Http, dialect: Dialect) -> bool:
    try:
        answer = http.get(_PROJECT_LISTS[dialect])
    except Denied:
        return False
    except Rejected as error:
        if error.status not in range(300, 400):
            raise
        raise Rejected(f"{error} If that is its page for logging in, {_CURE}.", error.status) from error
    except (Gone, Broken) as error:
        if error.status is not None and error.status >= 500:
            raise  # the server is out of order, whether it is DataGym or not
        raise _not_datagym(http.url) from error
    if not isinstance(answer, list):
        raise _not_datagym(http.url)
    return True


def _not_datagym(url: str) -> Rejected:
    return Rejected(
        f"{url} answers, but not as a DataGym server does; give the address of its start page, as https://app.datagym.ai."
    )
