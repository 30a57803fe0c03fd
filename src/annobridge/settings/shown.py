"""Values of settings as they are shown."""

from __future__ import annotations

import re
from typing import Any

from pydantic.fields import FieldInfo

from .layers import Value

LOGIN = re.compile(r"(?<=://)[^/?#]*(?=@)")  # in an address


def default_of(info: FieldInfo) -> Value:
    """The default of an option."""
    if info.is_required():
        return Value("", "not set")
    return Value(info.get_default(call_default_factory=True, validated_data={}), "default")


def masked(value: Any) -> str:
    """A value as text, without the login and the query of URLs."""
    return "" if value is None else re.sub(r"(?<=\?).+", "***", LOGIN.sub("***", str(value)))
