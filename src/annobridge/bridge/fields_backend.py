"""Other fields of the dataset in the place of a tool: what several annotators have made, so that it is merged as answers of one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field, SecretStr

from ..backend.base import AnnotationBackend, AnnotationBackendConfig, Capabilities
from ..backend.values import Answer, Download, Receipt, Task
from ..core.arrays import as_array, set_columns
from ..core.labels import LABEL_TYPES, REMOTE, conform
from ..core.schema import ATTRIBUTE_TYPES
from ..exceptions import InvalidOption
from ..store.remote import absolute
from ..store.stores import Stores
from ..store.tables import Database
from . import field_answers


class FieldsConfig(AnnotationBackendConfig):
    """Which answers are merged."""

    transient: ClassVar[frozenset[str]] = frozenset({"dataset", "storage_options"})

    dataset: str = Field(description="where the dataset is")
    answers: list[str] = Field(description="the label fields, or the keys of runs, that are merged")
    label_field: str | None = Field(None, description="the field of runs that have several")
    storage_options: dict[str, SecretStr] | None = Field(None, description="options of the object store of the dataset")


class FieldsBackend(AnnotationBackend):
    """What other fields have. Nothing is sent: the run records what was merged, and what it was compared with.

    It is no tool that ``annotate`` could send to, so it is not among the installed backends.
    """

    name: ClassVar[str] = "fields"
    Config = FieldsConfig
    capabilities = Capabilities(
        label_types=frozenset(LABEL_TYPES), media_types=frozenset({"image", "video"}),
        scalar_types=frozenset({"str", "int", "float", "bool"}), attribute_types=frozenset(ATTRIBUTE_TYPES),
        class_attributes=True, read_only=True, tracks=True, keyframes=True, answers=True, sends_media=False,
    )  # fmt: skip

    @classmethod
    def of(cls, stores: Stores, options: Mapping[str, Any]) -> FieldsBackend:
        """That of a dataset, wherever it is now.

        Raises:
            InvalidOption: there is no such option.
        """
        if unknown := sorted(set(options) - set(FieldsConfig.model_fields)):
            raise InvalidOption(f"{unknown[0]!r} is not an option of a merge of answers; leave it out.")
        place = {"dataset": absolute(stores.database.uri), "storage_options": stores.database.storage_options}
        given = {name: value for name, value in {**options, **place}.items() if value is not None}
        return cls(FieldsConfig(**given))

    @property
    def _config(self) -> FieldsConfig:
        assert isinstance(self.config, FieldsConfig)  # noqa: S101
        return self.config

    @cached_property
    def _stores(self) -> Stores:
        options = self._config.storage_options
        plain = None if options is None else {name: value.get_secret_value() for name, value in options.items()}
        return Stores.open(Database.open(self._config.dataset, plain))

    def upload(self, task: Task) -> Receipt:
        """Note the samples. The id of a label is its own."""
        labels = set_columns(conform(task.labels, REMOTE, remote_id=""), remote_id=task.labels["label_id"])
        field = next(iter(task.schema.fields))
        return Receipt(task.name, {"samples": task.samples["sample_id"].to_pylist(), "field": field}, labels)

    def download(self, receipt: Receipt) -> Download:
        """What was merged before: without a consensus, nothing changes."""
        return Download(receipt.baseline, pa.array(receipt.state["samples"], pa.string()))

    def answers(self, receipt: Receipt) -> list[Answer]:
        """What each of the fields has now."""
        sample_ids, found = pa.array(receipt.state["samples"], pa.string()), []
        for answer in self._found:
            rows = pa.Table.from_batches(answer.scan(self._stores, sample_ids), answer.schema)
            labels = answer.labels(rows.combine_chunks(), receipt.state["field"])
            found.append(Answer(answer.name, labels, as_array(answer.answered(sample_ids, labels))))
        return found

    @cached_property
    def _found(self) -> list[field_answers.FieldAnswer]:
        return field_answers.find(self._stores, self._config.answers, self._config.label_field)

    def delete(self, receipt: Receipt) -> None:
        """Nothing was sent."""
