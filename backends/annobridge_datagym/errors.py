"""DataGym's errors, which carry a key, as sentences. Its texts for the keys are not part of the open-core edition."""

from __future__ import annotations

from typing import Any

from annobridge.exceptions import BackendError, Broken, Denied, Gone, Rejected, Throttled

Json = dict[str, Any]
_SENTENCES = {
    "ex_gen_wrong_entry_id": "the label configuration has no {0!r}; somebody changed it, so abort the run and send it again.",
    "ex_gen_config_not_cleared": "the project has a label configuration already.",
    "ex_gen_json_upload_not_found_task": "an image has no task in this project; was its dataset disconnected? Abort the run.",
    "ex_gen_entry_value_validation": "a {0} is not what its class needs.",
    "ex_gen_forbidden_keyword": "{0!r} is a word that DataGym keeps for itself; choose another name.",
    "ex_gen_mediatype_missmatch": "the project is not one of images.",
    "ex_gen_config_depth": "the label configuration is deeper than four levels; nest fewer attributes.",
    "ex_alreadyexists": "there is a {0} whose name the server takes for {2!r}: its database may take texts "
    "for equal that differ in case, accents or emoji only.",
    "ex_already_contains": "the dataset is connected to the project already.",
    "ex_limit": "the plan of this organization is used up; see DataGym's billing page.",
    "ex_service_unavailable": "a service that DataGym needs for this is off.",
    "ex_feature_not_for_open_core": "the open-core edition does not have this.",
    "ex_notfound": "there is no {0} with {1} {2}.",
    "ex_forbidden": "this token or user may not do that.",
}


def error_key(error: BackendError) -> str:
    """The key of DataGym's error, or an empty string."""
    key = error.detail.get("key") if isinstance(error.detail, dict) else None
    return key if isinstance(key, str) else ""


def explain(error: BackendError, action: str) -> BackendError:
    """The error as a sentence about the action that failed.

    A status of 500 with a key of DataGym's is mostly a mistake of the caller's, and so becomes ``Rejected``.
    """
    key = error_key(error)
    if not key or key == "ex_system":
        return error
    params = [str(p) for p in error.detail.get("params") or []]
    details = [d for d in error.detail.get("details") or [] if isinstance(d, dict)]  # of bean validation
    if details:
        refused = ", ".join(f"{d.get('name')} ({d.get('key')})" for d in details)
        text = f"it does not accept {refused}."
    elif key in _SENTENCES:
        text = _SENTENCES[key].format(*params, *["?"] * 3)
    else:
        text = f"it says {key} ({', '.join(params)})." if params else f"it says {key}."
    return _error_type(error, key)(f"datagym: {action} failed: {text}", error.status, error.detail)


def _error_type(error: BackendError, key: str) -> type[BackendError]:
    match error.status:
        case 404:
            return Gone
        case 401 | 403:
            return Denied
        case 503:
            return Throttled if key not in _SENTENCES else Rejected
        case 500:
            return Rejected if key.startswith("ex_gen_") else Broken
    return Rejected


def import_refused(text: str, action: str) -> Rejected:
    """The error for an import that was answered with 200 and an error text, of which nothing was stored."""
    line = " ".join(text.split())
    short = line if len(line) <= 300 else f"{line[:299]}…"
    return Rejected(f"datagym: {action} failed, and nothing of it was stored: {short}")
