"""Why an object store refuses, by the texts of its answers, which Lance and obstore have in their errors.

These texts may hold secrets: S3 repeats an expired token, and Azure's addresses are signed. So no message has more of them than
``plain_text`` leaves, and errors that have them are no cause of another, as a traceback shows causes.
"""

from __future__ import annotations

import re

_QUERY = re.compile(r"(https?://[^\s?]*)\?\S*")
_LOGIN = re.compile(r"://[^\s/@]*@")
_BODY = re.compile(r":?\s*<.*", re.DOTALL)  # of an answer, in XML
_ADDRESS = re.compile(r"https?://")
DENIED = (
    "the store denies access; give credentials that may list, read and write there, in the environment or in "
    "storage_options, and repeat"
)
UNREACHABLE = "the store does not answer; check its address and the connection, and repeat"
_REASONS = {  # an expression that is in the text of the error → the reason; the first one counts
    "ExpiredToken|TokenRefreshRequired|RequestExpired|token.{0,20} expired": (
        "the credentials for the store have expired; get new ones, and repeat"
    ),
    "not valid in the specified time frame": (
        "the credentials for the store have expired, or are not valid yet; get new ones, or set the clock, and repeat"
    ),
    "RequestTimeTooSkewed|Request date header too old": (
        "the store says that the clock of this machine is wrong; set it, and repeat"
    ),
    "InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|AuthenticationFailed|401 Unauthorized|lacked valid authentication": (
        "the store does not accept the credentials; correct them in the environment or in storage_options, and repeat"
    ),
    "403 Forbidden|AccessDenied|lacked the necessary privileges": DENIED,
    "no providers in chain provided credentials|credential provider was not enabled|CredentialsNotLoaded|instance metadata": (
        "there are no credentials for the store; give them in the environment or in storage_options, and repeat"
    ),
    "NoSuchBucket|ContainerNotFound|bucket does not exist": (
        "there is no such bucket; correct the URI, or make the bucket"
    ),
    # Raised before the store is asked. Parsers repeat what they were given.
    "service account file|Error reading pem|Invalid Access Key|Account must be specified|no Azure account name"
    "|SAS query pair|encryption header|failed to parse": (
        "an option of the store, as the account or its key, is missing or not valid; correct it in the environment or in "
        "storage_options, and repeat"
    ),
    "resolve region": (
        "the region of the bucket cannot be found; give the option aws_region, or AWS_REGION in the environment, and repeat"
    ),
    "builder error": (
        "the address of the store, or of a proxy, cannot be used; correct it, or for http:// set the option allow_http to true, or "
        "AWS_ALLOW_HTTP, AZURE_ALLOW_HTTP or GOOGLE_ALLOW_HTTP, and repeat"
    ),
    "kind: Connect|error sending request|tcp connect error|dns error": UNREACHABLE,
    "400 Bad Request": (  # without a text, as answers to HEAD are
        "the store does not take the request, as happens where credentials have expired; get new ones, and repeat"
    ),
}
_FAILED = re.compile("Error performing (?!.*404 Not Found)", re.DOTALL)


def refusal(error: BaseException) -> str | None:
    """Why an object store refuses, or that it does not answer, with the cure, as the end of a sentence; ``None`` for another error.

    >>> refusal(OSError("LanceError(IO): … 400 Bad Request: <Error><Code>ExpiredToken</Code><Token-0>x</Token-0></Error>"))
    'the credentials for the store have expired; get new ones, and repeat'
    >>> refusal(OSError("no space left on device"))
    """
    text = str(error)
    return next((reason for pattern, reason in _REASONS.items() if re.search(pattern, text, re.IGNORECASE)), None)


def is_missing(error: Exception) -> bool:
    """Whether an error may say that something is not there; not so if a store refuses, or does not answer."""
    return not refusal(error) and not _FAILED.search(str(error))


def plain_text(text: str) -> str:
    """The text of an error without bodies of answers, and without what may be signed or a login in addresses.

    >>> plain_text("Error performing GET https://me:pw@host/a?sig=x in 1ms - 500 Internal Server Error: <Error>t</Error>")
    'Error performing GET https://host/a in 1ms - 500 Internal Server Error'
    """
    return _BODY.sub("", _LOGIN.sub("://", _QUERY.sub(r"\1", text)))


def harmless(error: Exception) -> Exception | None:
    """An error that may be the cause of another; ``None`` if its text is that of an answer of a server."""
    return None if _ADDRESS.search(str(error)) or refusal(error) else error
