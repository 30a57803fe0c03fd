"""The backend of a call, from its name or its run, configured by the current settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..backend.base import AnnotationBackend
from ..settings import config
from ..store.run import BRIDGE_OPTIONS, Run
from ..store.stores import Stores
from .fields_backend import FieldsBackend

_OF_DATASET = {FieldsBackend.name: FieldsBackend}  # their work is in the dataset itself


def connect(name: str | None, options: Mapping[str, Any]) -> AnnotationBackend:
    """A backend by name, or the default one, with options of this call."""
    settings = config.resolve(name, options)
    return settings.backend(settings.config)


def reconnect(stores: Stores, run: Run, options: Mapping[str, Any]) -> AnnotationBackend:
    """The backend of a run, with the options stored in the run, replaced by those given now."""
    stored = {name: value for name, value in run.options.items() if name not in BRIDGE_OPTIONS}
    if run.backend in _OF_DATASET:
        return _OF_DATASET[run.backend].of(stores, {**stored, **options})
    return connect(run.backend, {**stored, **options})
