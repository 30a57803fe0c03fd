"""The settings of the DataGym backend: how to reach the server, and the options of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from annobridge.backend import AnnotationBackendConfig, WebAddress

Dialect = Literal["v1", "internal"]


class DatagymConfig(AnnotationBackendConfig):
    """Settings of the DataGym backend.

    The transient ones are given to each call that needs them, and are not stored with the run.
    """

    transient: ClassVar[frozenset[str]] = frozenset(
        {"timeout", "deadline", "largest_answer", "verify", "allow_insecure", "headers", "path", "source", "unfinished"}
    )
    credentials: ClassVar[tuple[str, ...]] = ("token",)

    transport: Literal["api", "files"] = Field(
        "api",
        description="use the server's API, or write files that a person uploads and read the export that they download",
    )
    url: WebAddress = Field("https://app.datagym.ai", description="the server")
    token: SecretStr | None = Field(
        None, description="an API token of the hosted edition; the open-core edition has none"
    )
    dialect: Dialect | None = Field(
        None,
        examples=["v1"],
        description="v1 (hosted, with a token) or internal (open-core); if not given, the server is asked",
    )
    headers: Mapping[str, SecretStr] = Field(
        default_factory=dict, description="additional headers, for a proxy in front of the server", examples=[{}]
    )
    timeout: float = Field(120.0, gt=0, description="seconds to wait for an answer to begin")
    deadline: float = Field(1800.0, gt=0, description="seconds that the server may take for one answer")
    largest_answer: int = Field(
        256, ge=1, description="MiB of one answer, such as a list of tasks; exports are streamed"
    )
    verify: bool | str = Field(True, description="check the TLS certificate, or the file of a CA to check it with")
    allow_insecure: bool = Field(False, description="send credentials over http to another machine")

    # Projects
    project_name: str | None = Field(
        None,
        description="the project; the open-core edition creates it if there is none, and one for each run if none is named",
    )
    project_id: str | None = Field(None, description="the id of an existing project")
    owner: str = Field(
        "open-core-dummy-org-sub",
        description="for the open-core edition: the organization that projects and datasets are created in",
    )
    update_project: bool = Field(
        False,
        description="add to an existing project what its label configuration lacks (open-core edition); nothing is lost",
    )
    replace_config_and_delete_all_labels: bool = Field(
        False,
        description="replace the label configuration of the project: DataGym then deletes every label in the project",
    )
    release: bool = Field(
        True, description="move the tasks out of the backlog, to where labelers see them (open-core edition)"
    )

    # Media
    media: Literal["upload", "urls"] = Field(
        "upload", description="upload the files, or send the URLs at which the server finds them"
    )
    media_root: str | None = Field(
        None, description="for media='urls': the folder of the files that is served at url_root"
    )
    url_root: str | None = Field(None, description="for media='urls': the URL of media_root")

    # What people see
    show_ids: bool = Field(
        True, description="show each label's id as an attribute, by which it is found when it comes back"
    )
    shown_as: Mapping[str, str] = Field(
        default_factory=dict,
        description="what labelers read for a class, an attribute or a field whose name is not in Latin letters: name -> text",
    )
    value_ids: bool = Field(
        True, description="read the server's ids of labels after sending, which takes a call for each image"
    )
    nested_attributes: Mapping[str, str] = Field(
        default_factory=dict, description="attributes that are nested in another one: name -> name of the outer one"
    )
    nested_fields: Mapping[str, str] = Field(
        default_factory=dict,
        description="fields whose shapes are nested in shapes of another field: name -> outer field",
    )
    parent_attr: str = Field(
        "parent", description="for nested_fields: the text attribute with the id of the label that a shape is nested in"
    )

    # Files
    folder: str | None = Field(None, description="for transport='files': where to write the files to be uploaded")
    media_ids: str | None = Field(
        None, description="for transport='files': a JSON file with the ids that the images have in DataGym"
    )
    replace_labels: bool = Field(
        False, description="for transport='files': the upload deletes the labels that the images have in DataGym"
    )

    # Loading
    path: str | None = Field(None, description="for transport='files': the export that was downloaded")
    source: Literal["export", "tasks"] = Field(
        "export",
        description="read the export, and the tasks of images with changes; or every task, which also finds moves of less than "
        "a pixel and takes a call for each image",
    )
    unfinished: bool = Field(False, description="also load images whose task is not finished, which reads every task")
