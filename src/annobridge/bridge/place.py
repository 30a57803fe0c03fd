"""What a worker needs to open the dataset and the tool."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import SecretStr

from ..backend.base import AnnotationBackend
from ..backend.checked import CheckedBackend
from ..exceptions import ExecutorError, StoreError
from ..store.errors import first_line
from ..store.refusals import harmless
from ..store.remote import absolute
from ..store.stores import Stores
from ..store.tables import Database


@dataclass(frozen=True, eq=False)
class DatasetPlace:
    """What a worker needs to open the dataset. It may hold credentials, so it is only ever sent to workers."""

    uri: str
    storage_options: dict[str, str] | None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"

    @classmethod
    def of(cls, stores: Stores) -> DatasetPlace:
        """The place of this dataset."""
        return cls(absolute(stores.database.uri), stores.database.storage_options)

    @cached_property
    def stores(self) -> Stores:
        """The dataset, which is opened once.

        Raises:
            ExecutorError: it is not there.
        """
        try:
            return Stores.open(Database.open(self.uri, self.storage_options))
        except (StoreError, OSError, RuntimeError) as error:  # Lance's own, if it cannot ask the store at all
            why = str(error) if isinstance(error, StoreError) else f"{first_line(error)}."
            raise ExecutorError(
                f"A worker on {socket.gethostname()} cannot open the dataset: {why} Workers need the folder of the dataset at the "
                "same path, or an object store and its credentials; those in storage_options are sent to them."
            ) from harmless(error)


@dataclass(frozen=True, eq=False)
class Place:
    """What a worker needs to open the dataset and the tool. It holds credentials, as above."""

    dataset: DatasetPlace
    backend: type[AnnotationBackend]
    options: dict[str, Any]

    def __repr__(self) -> str:
        return f"Place({self.dataset.uri!r}, {self.backend.name!r})"

    @classmethod
    def of(cls, stores: Stores, answers: CheckedBackend) -> Place:
        """The place of this dataset and tool."""
        return cls(DatasetPlace.of(stores), answers.type, _revealed(answers.config))

    @cached_property
    def tool(self) -> CheckedBackend:
        """The tool, which is connected to once."""
        return CheckedBackend(self.backend(self.backend.Config(**self.options)))


def _revealed(config: Any) -> dict[str, Any]:
    """The options of a backend that were set, credentials in plain text."""
    return {name: _plain(getattr(config, name)) for name in config.model_fields_set}


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return {key: _plain(one) for key, one in value.items()} if isinstance(value, dict) else value
