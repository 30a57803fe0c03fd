"""How to reach DataGym, and the options of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from annobridge.backend import AnnotationBackendConfig, WebAddress

Dialect = Literal["v1", "internal"]


class DatagymConfig(AnnotationBackendConfig):
    """Settings of the DataGym backend. What is about loading is given to ``load_annotations``, and not kept with the run."""

    transient: ClassVar[frozenset[str]] = frozenset(
        {"timeout", "deadline", "largest_answer", "verify", "allow_insecure", "headers", "path", "source", "unfinished"}
    )
    credentials: ClassVar[tuple[str, ...]] = ("token",)

    transport: Literal["api", "files"] = Field(
        "api", description="speak with the server, or write files that a person uploads and read those they download"
    )
    url: WebAddress = Field("https://app.datagym.ai", description="the server")
    token: SecretStr | None = Field(None, description="an API token of the hosted edition; the open one has none")
    dialect: Dialect | None = Field(
        None,
        examples=["v1"],
        description="v1 (hosted, with a token) or internal (the open edition); found by asking when not given",
    )
    headers: Mapping[str, SecretStr] = Field(
        default_factory=dict, description="more headers, for a proxy before it", examples=[{}]
    )
    timeout: float = Field(120.0, gt=0, description="seconds to wait for an answer to begin")
    deadline: float = Field(1800.0, gt=0, description="seconds that the server may take for one answer")
    largest_answer: int = Field(256, ge=1, description="MiB of one answer, as a list of tasks is; exports are streamed")
    verify: bool | str = Field(True, description="check the TLS certificate, or the file of a CA to check it with")
    allow_insecure: bool = Field(False, description="send credentials over http to another machine")

    # Projects
    project_name: str | None = Field(
        None, description="a project; the open edition makes it if there is none, and one for each run if none is named"
    )
    project_id: str | None = Field(None, description="a project that exists")
    owner: str = Field(
        "open-core-dummy-org-sub", description="of the open edition: the organization that new things are made in"
    )
    update_project: bool = Field(
        False,
        description="add to an existing project what its label configuration lacks (open edition); nothing is lost",
    )
    replace_config_and_delete_all_labels: bool = Field(
        False,
        description="put our label configuration in the place of the project's: DataGym deletes every label in the project with it",
    )
    release: bool = Field(True, description="move the tasks to where labelers see them (open edition)")

    # Media
    media: Literal["upload", "urls"] = Field(
        "upload", description="send the files, or the addresses at which the server finds them"
    )
    media_root: str | None = Field(None, description="for media='urls': the folder of the dataset that is served there")
    url_root: str | None = Field(None, description="for media='urls': the address of that folder")

    # What people see
    show_ids: bool = Field(
        True, description="show each label's id as an attribute, by which it is known when it comes back"
    )
    shown_as: Mapping[str, str] = Field(
        default_factory=dict,
        description="what labelers read for a class, an attribute or a field, where its name is not in Latin letters: name -> text",
    )
    value_ids: bool = Field(
        True, description="learn the server's own ids after sending, which takes a call for each image"
    )
    nested_attributes: Mapping[str, str] = Field(
        default_factory=dict, description="attributes that are asked below another one: name -> name of that one"
    )
    nested_fields: Mapping[str, str] = Field(
        default_factory=dict, description="fields whose shapes belong to a shape of another field: name -> that field"
    )
    parent_attr: str = Field(
        "parent", description="for nested_fields: the text attribute that holds the id of the label a shape belongs to"
    )

    # Files
    folder: str | None = Field(None, description="for transport='files': where to write what is to be uploaded")
    media_ids: str | None = Field(
        None, description="for transport='files': a JSON file that says which ids the images have in DataGym"
    )
    replace_labels: bool = Field(
        False, description="for transport='files': the upload deletes the labels that the images have in DataGym"
    )

    # Loading
    path: str | None = Field(None, description="for transport='files': the export that was downloaded")
    source: Literal["export", "tasks"] = Field(
        "export",
        description="read the export, and single tasks only where people changed something; or every task, which finds moves of "
        "less than a pixel and takes a call for each image",
    )
    unfinished: bool = Field(False, description="load images too whose task is not finished; reads every task")
