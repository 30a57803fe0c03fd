"""Mistakes: DataGym's errors by their key, as sentences. Its own messages are not part of the open edition."""

from __future__ import annotations

from typing import Any

from annobridge.exceptions import BackendError, Broken, Denied, Gone, Rejected, Throttled

Json = dict[str, Any]
_KEYS = {
    "ex_gen_wrong_entry_id": "the label configuration has no {0!r}; somebody changed it, so abort the run and send it again.",
    "ex_gen_config_not_cleared": "the project has a label configuration already.",
    "ex_gen_json_upload_not_found_task": "an image has no task in this project; was its dataset disconnected? Abort the run.",
    "ex_gen_entry_value_validation": "a {0} is not what its class needs.",
    "ex_gen_forbidden_keyword": "{0!r} is a word that DataGym keeps for itself; choose another name.",
    "ex_gen_mediatype_missmatch": "the project is not one of images.",
    "ex_gen_config_depth": "the label configuration is deeper than four levels; ask fewer attributes below each other.",
    "ex_alreadyexists": "there is a {0} whose name the server takes for {2!r}: its database may hold texts "
    "for equal that differ in case, accents or emoji only.",
    "ex_already_contains": "the dataset is connected to the project already.",
    "ex_limit": "the plan of this organization is used up; see DataGym's billing page.",
    "ex_service_unavailable": "a service that DataGym needs for this is off.",
    "ex_feature_not_for_open_core": "the open-core edition does not have this.",
    "ex_notfound": "there is no {0} with {1} {2}.",
    "ex_forbidden": "this token or user may not do that.",
}


def key_of(error: BackendError) -> str:
    """The key of DataGym's error, or an empty text."""
    found = error.detail.get("key") if isinstance(error.detail, dict) else None
    return found if isinstance(found, str) else ""


def told(error: BackendError, doing: str) -> BackendError:
    """The error as a sentence about what was being done. What DataGym calls 500 is mostly a mistake of the caller's."""
    key = key_of(error)
    if not key or key == "ex_system":
        return error
    params = [str(p) for p in error.detail.get("params") or []]
    said = _detailed(error.detail) or _filled(_KEYS.get(key, ""), params) or f"it says {key}{_listed(params)}."
    return _kind(error, key)(f"datagym: {doing} failed: {said}", error.status, error.detail)


def refused(text: str, doing: str) -> Rejected:
    """The error for a 200 that is none: an import of which nothing was stored."""
    line = " ".join(text.split())
    short = line if len(line) <= 300 else f"{line[:299]}…"
    return Rejected(f"datagym: {doing} failed, and nothing of it was stored: {short}")


def _kind(error: BackendError, key: str) -> type[BackendError]:
    match error.status:
        case 404:
            return Gone
        case 401 | 403:
            return Denied
        case 503:
            return Throttled if key not in _KEYS else Rejected
        case 500:
            return Rejected if key.startswith("ex_gen_") else Broken
    return Rejected


def _detailed(body: Json) -> str:
    """What bean validation found."""
    found = [f"{d.get('name')} ({d.get('key')})" for d in body.get("details") or [] if isinstance(d, dict)]
    return f"it does not accept {', '.join(found)}." if found else ""


def _filled(text: str, params: list[str]) -> str:
    return text.format(*params, *["?"] * 3) if text else ""


def _listed(params: list[str]) -> str:
    return f" ({', '.join(params)})" if params else ""
