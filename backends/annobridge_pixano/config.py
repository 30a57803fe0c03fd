"""The settings of the Pixano backend."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from annobridge.backend import AnnotationBackendConfig, WebAddress


class PixanoConfig(AnnotationBackendConfig):
    """How to reach Pixano."""

    transient: ClassVar[frozenset[str]] = frozenset({"timeout", "deadline", "largest_answer", "verify"})
    variables: ClassVar[frozenset[str]] = frozenset({"env"})  # ANNOBRIDGE_PIXANO_ENV is no setting; see ``install``

    url: WebAddress = Field("http://127.0.0.1:7492", description="the server; `annobridge pixano up` starts one")
    timeout: float = Field(60.0, gt=0, description="seconds to wait for an answer")
    deadline: float = Field(3600.0, gt=0, description="seconds that the server may take to import a task")
    largest_answer: int = Field(256, ge=1, description="MiB of one answer, as a page of a thousand masks is")
    verify: bool | str = Field(True, description="check the TLS certificate, or the file of a CA to check it with")
    template: Literal["auto", "face", "person", "cow", "annobridge"] = Field(
        "auto", description="Pixano's keypoint template; auto is the one of as many points: face 4, person 7, cow 11"
    )
    class_attribute: str = Field(
        "category", description="for `adopt_annotation`: the attribute of Pixano's entities that is the class"
    )
    name_attribute: str | None = Field(
        None,
        description="for `adopt_annotation`: the attribute of Pixano's records that is the name of the image; Pixano keeps none",
    )
    executable: str | None = Field(
        None, description="the `pixano` program, for the earlier generation, whose datasets only its command can make"
    )
    folder: str | None = Field(
        None, description="the folder that this program's server was started on (`library` and `media` are in it)"
    )
