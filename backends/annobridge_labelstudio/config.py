"""The settings of the Label Studio backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from annobridge.backend import AnnotationBackendConfig, WebAddress

Which = Literal["latest", "ground_truth"]


class LabelStudioConfig(AnnotationBackendConfig):
    """How to reach Label Studio, and the options of a run and of a load."""

    transient: ClassVar[frozenset[str]] = frozenset(
        {"timeout", "deadline", "largest_answer", "verify", "allow_insecure", "only_annotators", "which"}
    )
    credentials: ClassVar[tuple[str, ...]] = ("token",)
    required: ClassVar[tuple[tuple[str, ...], ...]] = (("token",),)

    url: WebAddress = Field("http://127.0.0.1:8080", description="the server")
    token: SecretStr | None = Field(
        None, description="a personal access token, or a legacy token, of the page «Account & Settings»"
    )
    timeout: float = Field(120.0, gt=0, description="seconds to wait for an answer to begin")
    deadline: float = Field(1800.0, gt=0, description="seconds that the server may take for one answer")
    largest_answer: int = Field(256, ge=1, description="MiB of one answer, as a page of a hundred images with masks is")
    verify: bool | str = Field(True, description="check the TLS certificate, or the file of a CA to check it with")
    allow_insecure: bool = Field(False, description="send the token over http to another machine")

    project: str | None = Field(
        None, description="an existing project, by id or title; without it, each run makes one of its own"
    )
    controls: Mapping[str, str] = Field(
        default_factory=dict,
        description="in a project of another configuration: the control of each field and attribute that is not called after it, "
        "as objects -> boxes, or objects.colour -> colour",
        examples=[{}],
    )
    media: Literal["upload", "storage"] = Field(
        "upload", description="send the files, or tell Label Studio where it, or the browser, reads them itself"
    )
    media_root: str | None = Field(
        None,
        description="for media='storage': the folder of the files that is served at url_root; addresses stay as they are",
    )
    url_root: str = Field(
        "/data/local-files/?d=",
        description="for media='storage': what stands before the path of a file below media_root",
    )
    as_predictions: bool = Field(
        False, description="send labels as predictions, which people correct and submit, instead of as annotations"
    )

    only_annotators: tuple[str, ...] = Field(
        (), description="when loading: the e-mail addresses of the people whose annotations count; none: all"
    )
    which: Which = Field("latest", description="when loading: the annotation that counts of an image that has several")
