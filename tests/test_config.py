"""Which value wins, who said it, and what is said when it is wrong."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from annobridge.exceptions import ConfigError, InvalidOption, MissingCredential, UnknownBackend
from annobridge.settings import config, credentials
from annobridge.settings.credentials import ExposedSecretWarning

SECRET = "s3cr3t-canary"
MODULE = """
from typing import ClassVar
from pydantic import Field, SecretStr, model_validator
from annobridge.backend import AnnotationBackend, AnnotationBackendConfig, Capabilities

class ToolConfig(AnnotationBackendConfig):
    transient: ClassVar = frozenset({"url", "verify"})
    credentials: ClassVar = ("token", "username", "password")
    url: str = "https://tool.example"
    verify: bool | str = True
    segment_size: int | None = Field(None, ge=1)
    use_cache: bool = False
    assignees: list[str] = Field(default_factory=list)
    token: SecretStr | None = Field(None, json_schema_extra={"env": ["TOOL_ACCESS_TOKEN"]})
    username: str | None = Field(None, json_schema_extra={"ask": True})
    password: SecretStr | None = Field(None, json_schema_extra={"ask": True})

    @model_validator(mode="after")
    def check(self):
        if self.segment_size == 13:
            raise ValueError("thirteen brings bad luck.")
        return self

class NeedyConfig(AnnotationBackendConfig):
    project: str

class Tool(AnnotationBackend):
    name = "tool"
    Config = ToolConfig
    capabilities = Capabilities(label_types=frozenset())
    def upload(self, task): ...
    def download(self, receipt): ...
    def delete(self, receipt): ...

class Needy(Tool):
    Config = NeedyConfig
"""


class Ring:
    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, an empty keyring, no terminal, and a backend module ``tool_backend``."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "tool_backend.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "lib")
    monkeypatch.delitem(sys.modules, "tool_backend", raising=False)
    for name in list(config.os.environ):
        if name.startswith("ANNOBRIDGE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(credentials, "_keyring", Ring)
    monkeypatch.setattr(config, "annotation_config", config.AnnotationConfig())
    return tmp_path


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOBRIDGE_TOOL_CONFIG_CLS", "tool_backend.ToolConfig")
    monkeypatch.setenv("ANNOBRIDGE_TOOL_TOKEN", "t")


def write(home: Path, text: str, mode: int = 0o600) -> None:
    (home / ".annobridge").write_text(text)
    (home / ".annobridge").chmod(mode)


# --- order and origins


@pytest.mark.parametrize("said", range(16))
def test_the_order_holds_for_all_combinations(home, tool, monkeypatch, said: int) -> None:
    expected = ("", "default")
    arguments: dict[str, Any] = {}
    if said & 1:
        write(home, '[backends.tool]\n\nurl = "https://file"\n')
        expected = ("https://file", "~/.annobridge line 3")
    if said & 2:
        monkeypatch.setenv("ANNOBRIDGE_TOOL_URL", "https://environment")
        expected = ("https://environment", "environment ANNOBRIDGE_TOOL_URL")
    if said & 4:
        config.annotation_config.backends["tool"]["url"] = "https://edited"
        expected = ("https://edited", "annotation_config")
    if said & 8:
        arguments["url"] = "https://argument"
        expected = ("https://argument", "argument")
    settings = config.resolve("tool", arguments)
    assert settings.config.url == (expected[0] or "https://tool.example")
    assert settings.origins["url"] == expected[1]
    assert settings.origins["use_cache"] == "default"
    assert settings.backend.__name__ == "Tool"


@pytest.mark.parametrize("said", range(32))
def test_the_ladder_of_a_secret_holds_for_all_combinations(home, tool, monkeypatch, said: int) -> None:
    monkeypatch.delenv("ANNOBRIDGE_TOOL_TOKEN")
    expected = ("", "")
    if said & 1:
        write(home, '[backends.tool]\ntoken = "file"\n')
        expected = ("file", "~/.annobridge line 2")
    if said & 2:
        ring = Ring()
        ring.held["annobridge:tool", "https://tool.example token"] = "keyring"
        monkeypatch.setattr(credentials, "_keyring", lambda: ring)
        expected = ("keyring", "keyring")
    if said & 4:
        monkeypatch.setenv("TOOL_ACCESS_TOKEN", "own")
        expected = ("own", "environment TOOL_ACCESS_TOKEN")
    if said & 8:
        monkeypatch.setenv("ANNOBRIDGE_TOOL_TOKEN", "environment")
        expected = ("environment", "environment ANNOBRIDGE_TOOL_TOKEN")
    arguments = {"token": "argument"} if said & 16 else {}
    if said & 16:
        expected = ("argument", "argument")
    if not said:
        with pytest.raises(MissingCredential) as caught:
            config.resolve("tool", arguments)
        assert str(caught.value).startswith("tool needs username, which was not given")
        with pytest.raises(MissingCredential, match=r"^tool needs password, .*Set ANNOBRIDGE_TOOL_PASSWORD in the"):
            config.resolve("tool", {"username": "ada"})
        return
    settings = config.resolve("tool", arguments)
    assert settings.config.token == SecretStr(expected[0])
    assert settings.origins["token"] == expected[1]


def test_a_terminal_is_asked_for_what_is_missing(tool, monkeypatch) -> None:
    monkeypatch.delenv("ANNOBRIDGE_TOOL_TOKEN")
    asked = []

    def ask(backend: str, url: str, field: str, *, hidden: bool, note: str) -> SecretStr:
        asked.append((backend, url, field, hidden))
        return SecretStr(SECRET)

    monkeypatch.setattr(credentials, "ask", ask)
    settings = config.resolve("tool", {"username": "ada"})
    assert asked == [("tool", "https://tool.example", "password", True)]
    assert settings.config.password == SecretStr(SECRET)
    assert settings.origins["password"] == "prompt"
    assert SECRET not in repr(settings)


def test_a_broken_keyring_is_named_when_it_is_missed(tool, monkeypatch) -> None:
    def locked() -> Ring:
        raise RuntimeError

    monkeypatch.setattr(credentials, "_keyring", locked)
    assert config.resolve("tool", {}).config.token == SecretStr("t")
    monkeypatch.delenv("ANNOBRIDGE_TOOL_TOKEN")
    with pytest.raises(MissingCredential, match=r"The keyring cannot be read \(RuntimeError\)\.$"):
        config.resolve("tool", {})


def test_the_default_backend_has_an_order_too(home, tool, monkeypatch) -> None:
    def default() -> tuple[str, str]:
        row = config.describe()[0]
        return row.value, row.origin

    assert default() == ("pixano", "default")
    write(home, 'default_backend = "memory"')
    assert default() == ("memory", "~/.annobridge line 1")
    assert config.resolve(None, {}).name == "memory"
    monkeypatch.setenv("ANNOBRIDGE_DEFAULT_BACKEND", "tool")
    assert default() == ("tool", "environment ANNOBRIDGE_DEFAULT_BACKEND")
    config.annotation_config.default_backend = "memory"
    assert default() == ("memory", "annotation_config")
    assert config.resolve("tool", {}).name == "tool"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("executor", ["dask", "ray", "local", "dask"]),
        ("workers", [2, 3, 4, 5]),
        ("executor_address", ["tcp://a:1", "tcp://b:1", "tcp://c:1", "tcp://d:1"]),
    ],
)
def test_where_loads_run_has_an_order_too(home, monkeypatch, name, values) -> None:
    at = ("executor", "workers", "executor_address").index(name)

    def found(**arguments: Any) -> tuple[Any, str]:
        row = next(row for row in config.describe() if (row.backend, row.option) == ("", name))
        return config.resolve_execution(arguments)[at], row.origin

    default = "local" if name == "executor" else None
    assert found() == (default, {"executor": "default", "workers": "default: one for each core"}.get(name, "not set"))
    write(home, f"{name} = {json.dumps(values[0])}")
    assert found() == (values[0], "~/.annobridge line 1")
    monkeypatch.setenv(f"ANNOBRIDGE_{name.upper()}", str(values[1]))
    assert found() == (values[1], f"environment ANNOBRIDGE_{name.upper()}")
    setattr(config.annotation_config, name, values[2])
    assert found() == (values[2], "annotation_config")
    assert found(**{name: values[3]})[0] == values[3]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('executor = "dusk"', "There is no executor 'dusk' (~/.annobridge line 1); did you mean 'dask'?"),
        ("executor = 1", "executor=1 (~/.annobridge line 1) should be the name of an executor."),
        ("workers = 0", "workers=0 (~/.annobridge line 1) is not a number of workers; give 1 or more."),
        ("workers = true", "workers=True (~/.annobridge line 1) is not a number of workers; give 1 or more."),
        (
            "executor_address = 1",
            "executor_address=1 (~/.annobridge line 1) should be an address, as tcp://10.0.0.1:8786.",
        ),
        ('executer = "dask"', "~/.annobridge line 1: there is no setting 'executer'; did you mean 'executor'?"),
    ],
)
def test_what_is_wrong_about_where_loads_run_is_said_with_its_place(home, text, problem) -> None:
    write(home, text)
    assert problem in config.survey()[1]
    with pytest.raises(ConfigError) as caught:
        config.resolve_execution({})
    assert str(caught.value) == problem


def test_a_variable_of_where_loads_run_is_checked(home, monkeypatch) -> None:
    monkeypatch.setenv("ANNOBRIDGE_WORKERS", "many")
    with pytest.raises(InvalidOption, match=r"^workers='many' \(environment ANNOBRIDGE_WORKERS\) is not a number"):
        config.resolve_execution({})


def test_the_environment_is_parsed_by_the_model(tool, monkeypatch) -> None:
    for option, text in {"USE_CACHE": "true", "SEGMENT_SIZE": "8", "VERIFY": "False", "TASK_SIZE": ""}.items():
        monkeypatch.setenv(f"ANNOBRIDGE_TOOL_{option}", text)
    monkeypatch.setenv("ANNOBRIDGE_TOOL_ASSIGNEES", '["ada", "eve"]')
    found = config.resolve("tool", {}).config
    assert (found.use_cache, found.segment_size, found.verify, found.task_size) == (True, 8, False, None)
    assert found.assignees == ["ada", "eve"]
    monkeypatch.setenv("ANNOBRIDGE_TOOL_ASSIGNEES", "ada, eve")
    monkeypatch.setenv("ANNOBRIDGE_TOOL_VERIFY", "/etc/ca.pem")
    found = config.resolve("tool", {}).config
    assert (found.assignees, found.verify) == (["ada", "eve"], "/etc/ca.pem")


def test_a_variable_belongs_to_the_longest_name(tool, monkeypatch) -> None:
    monkeypatch.setenv("ANNOBRIDGE_TOOL_EU_CONFIG_CLS", "tool_backend.ToolConfig")
    monkeypatch.setenv("ANNOBRIDGE_TOOL_EU_URL", "https://eu")
    monkeypatch.setenv("ANNOBRIDGE_TOOL_EU_TOKEN", "t")
    assert config.resolve("tool_eu", {}).config.url == "https://eu"
    assert config.resolve("tool", {}).config.url == "https://tool.example"


def test_a_backend_may_be_registered_in_the_file(home) -> None:
    write(home, '[backends.my-tool]\nconfig_cls = "tool_backend.ToolConfig"\ntoken = "t"\nsegment_size = 5')
    settings = config.resolve("my-tool", {})
    assert (settings.name, settings.config.segment_size) == ("my-tool", 5)
    assert "my-tool" in config.list_backends()


def test_a_variable_of_a_name_with_a_dash(home, monkeypatch) -> None:
    write(home, '[backends.my-tool]\nconfig_cls = "tool_backend.ToolConfig"')
    monkeypatch.setenv("ANNOBRIDGE_MY_TOOL_TOKEN", "t")
    assert config.resolve("my-tool", {}).origins["token"] == "environment ANNOBRIDGE_MY_TOOL_TOKEN"


def test_backends_may_be_narrowed(tool, monkeypatch) -> None:
    assert {"memory", "pixano", "tool"} <= set(config.list_backends())
    monkeypatch.setenv("ANNOBRIDGE_BACKENDS", "tool, memory")
    assert config.list_backends() == ["memory", "tool"]
    monkeypatch.setenv("ANNOBRIDGE_BACKENDS", '["*"]')
    assert {"memory", "pixano"} <= set(config.list_backends())
    assert "tool" not in config.list_backends()
    monkeypatch.setenv("ANNOBRIDGE_BACKENDS", "*,tool")
    assert {"memory", "pixano", "tool"} <= set(config.list_backends())


def test_broken_backends_are_listed(monkeypatch) -> None:
    monkeypatch.setenv("ANNOBRIDGE_LOST_CONFIG_CLS", "no_such_module.Config")
    assert "No module named 'no_such_module'" in config.broken_backends()["lost"]
    assert config.resolve("memory", {}).name == "memory"


# --- what is wrong


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("ANNOBRIDGE_CVTA_URL", "did you mean 'ANNOBRIDGE_CVAT_URL'?"),
        ("ANNOBRIDGE_ANNOTATION_DEFAULT_BACKEND", "did you mean 'ANNOBRIDGE_DEFAULT_BACKEND'?"),
        ("ANNOBRIDGE_ANNOTATION_BACKENDS", "did you mean 'ANNOBRIDGE_BACKENDS'?"),
        ("ANNOBRIDGE_DEFAULT_BACKNED", "did you mean 'ANNOBRIDGE_DEFAULT_BACKEND'?"),
        ("ANNOBRIDGE_CONFIG_FILE_PATH", "did you mean 'ANNOBRIDGE_CONFIG_PATH'?"),
        ("ANNOBRIDGE_XYZZY", "there is ANNOBRIDGE_BACKENDS, "),
    ],
)
def test_a_variable_that_nobody_reads_is_an_error(monkeypatch, variable: str, hint: str) -> None:
    monkeypatch.setenv(variable, SECRET)
    sentence = f"The environment has {variable}, which is no setting; {hint}"
    for ask in (lambda: config.resolve("memory", {}), config.list_backends, lambda: config.backend_class("memory")):
        with pytest.raises(ConfigError) as caught:
            ask()
        assert str(caught.value).startswith(sentence)
        assert SECRET not in str(caught.value)
    (problem,) = config.survey()[1]
    assert problem.startswith(sentence)
    monkeypatch.setenv(variable, "")
    assert config.survey()[1] == []


def test_variables_of_tests_and_of_the_command_line_are_no_settings(monkeypatch) -> None:
    for variable in ("ANNOBRIDGE_TEST_CVAT_URL", "ANNOBRIDGE_TEST_X", "ANNOBRIDGE_DATASET", "ANNOBRIDGE_PIXANO_ENV"):
        monkeypatch.setenv(variable, "x")
    assert config.survey()[1] == []


def test_a_listed_backend_that_is_not_there_is_an_error(monkeypatch) -> None:
    monkeypatch.setenv("ANNOBRIDGE_BACKENDS", "memory, supervisely, pixanno, pixano")
    told = (
        r"There is no backend 'supervisely' \(environment ANNOBRIDGE_BACKENDS\); there is .*"
        r"\nThere is no backend 'pixanno' \(environment ANNOBRIDGE_BACKENDS\); did you mean 'pixano'\?"
    )
    for ask in (config.list_backends, lambda: config.resolve("memory", {})):
        with pytest.raises(UnknownBackend, match=told):
            ask()


@pytest.mark.parametrize(
    "url", ["x y", "http://x y", "localhost:8080", "ftp://x", "http://", "http://x:port", "http://[x"]
)
@pytest.mark.parametrize("backend", ["cvat", "datagym", "pixano"])
def test_an_address_that_cannot_be_one_is_refused(monkeypatch, backend: str, url: str) -> None:
    variable = f"ANNOBRIDGE_{backend.upper()}_URL"
    monkeypatch.setenv(variable, url)
    (problem,) = config.survey()[1]
    assert problem.startswith(f"{backend} cannot use url (environment {variable}): it is not a web address; give http")
    monkeypatch.setenv(variable, " http://localhost:1\n")
    assert config.survey()[1] == []


def test_defaults_that_are_made_are_shown_as_values(tool) -> None:
    rows = {(row.backend, row.option): row.value for row in config.survey()[0]}
    assert rows["tool", "assignees"] == "[]"
    assert not [row for row in rows.values() if "Undefined" in row]


def test_a_value_never_shows_itself(home, tool) -> None:
    write(home, f'[backends.tool]\ntoken = ["{SECRET}"]')
    assert SECRET not in repr(config._Sources().file)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tol", r"There is no backend 'tol' \(argument\); did you mean 'tool'\?"),
        ("xyzzy", r"There is no backend 'xyzzy' \(argument\); there is .*'pixano'"),
    ],
)
def test_an_unknown_backend(tool, name: str, message: str) -> None:
    with pytest.raises(UnknownBackend, match=message):
        config.resolve(name, {})


def test_an_unknown_default_backend_names_its_origin(home) -> None:
    write(home, '# mine\ndefault_backend = "pixxano"')
    with pytest.raises(
        UnknownBackend, match=r"There is no backend 'pixxano' \(~/.annobridge line 2\); did you mean 'pix"
    ):
        config.resolve(None, {})


def test_a_misspelt_section_is_an_error_and_a_stranger_is_not(home) -> None:
    write(home, '[backends.labelbox]\nurl = "x"')
    assert config.resolve("memory", {}).name == "memory"
    assert ("labelbox", "", "not installed", "~/.annobridge") in config.describe()
    write(home, '[backends.pixxano]\nurl = "x"')
    with pytest.raises(
        UnknownBackend, match=r"~/.annobridge has a section for 'pixxano', which is no backend; did you"
    ):
        config.resolve("memory", {})


def test_unknown_options_name_their_origins(home, tool, monkeypatch) -> None:
    write(home, "[backends.tool]\nuse_cash = true\n")
    monkeypatch.setenv("ANNOBRIDGE_TOOL_SEGMENTSIZE", "3")
    with pytest.raises(InvalidOption) as caught:
        config.resolve("tool", {"xyzzy": 1})
    lines = str(caught.value).splitlines()
    assert lines[0] == "tool has no option 'use_cash' (~/.annobridge line 2); did you mean 'use_cache'?"
    assert lines[1].startswith(
        "tool has no option 'segmentsize' (environment ANNOBRIDGE_TOOL_SEGMENTSIZE); did you mean 'segment_size'?"
    )
    assert lines[2].startswith("tool has no option 'xyzzy' (argument); there is 'assignees', ")


def test_bad_values_name_their_origins_and_what_is_expected(home, tool, monkeypatch) -> None:
    write(home, "[backends.tool]\nuse_cache = 7\n")
    monkeypatch.setenv("ANNOBRIDGE_TOOL_SEGMENT_SIZE", "many")
    with pytest.raises(InvalidOption) as caught:
        config.resolve("tool", {"task_size": 0, "token": [SECRET]})
    message = str(caught.value)
    assert "tool cannot use use_cache (~/.annobridge line 2): input should be a valid boolean" in message
    assert (
        "tool cannot use segment_size (environment ANNOBRIDGE_TOOL_SEGMENT_SIZE): input should be a valid integer"
        in message
    )
    assert "tool cannot use task_size (argument): input should be greater than or equal to 1." in message
    assert "tool cannot use token (argument): its value cannot be used." in message
    assert SECRET not in message
    assert caught.value.__context__ is None


def test_all_mistakes_are_told_in_one_error_before_a_credential_is_asked_for(home, tool, monkeypatch) -> None:
    monkeypatch.delenv("ANNOBRIDGE_TOOL_TOKEN")
    monkeypatch.setattr(credentials, "ask", lambda *_, **__: pytest.fail("asked"))
    write(home, "colour = 3\ndefault_backend = 4\nbackends.x = 1\n[backends.tool]\nuse_cash = true\nuse_cache = 7\n")
    monkeypatch.setenv("ANNOBRIDGE_TOOL_SEGMENT_SIZE", "many")
    with pytest.raises(ConfigError) as caught:
        config.resolve("tool", {"task_size": 0})
    starts = [
        "~/.annobridge line 1: there is no setting 'colour'",
        "~/.annobridge line 2: default_backend should be the name of a backend",
        "~/.annobridge line 3: backends.x should be a table",
        "tool has no option 'use_cash' (~/.annobridge line 5)",
        "tool cannot use task_size (argument)",
        "tool cannot use segment_size (environment ANNOBRIDGE_TOOL_SEGMENT_SIZE)",
        "tool cannot use use_cache (~/.annobridge line 6)",
    ]
    lines = str(caught.value).splitlines()
    assert len(lines) == len(starts)
    assert all(sum(line.startswith(start) for line in lines) == 1 for start in starts), lines
    assert caught.value.__context__ is None


def test_a_missing_option_is_told_with_the_others(monkeypatch) -> None:
    monkeypatch.setenv("ANNOBRIDGE_NEEDY_CONFIG_CLS", "tool_backend.NeedyConfig")
    with pytest.raises(InvalidOption, match=r"(?s)^needy has no option 'projct'.*\nneedy needs project: give it as"):
        config.resolve("needy", {"projct": "x"})


def test_a_survey_tells_all_that_is_wrong_and_not_what_is_merely_missing(home, tool, monkeypatch) -> None:
    assert config.survey()[1] == []
    monkeypatch.setenv("ANNOBRIDGE_NEEDY_CONFIG_CLS", "tool_backend.NeedyConfig")
    assert config.survey()[1] == []
    monkeypatch.setenv("ANNOBRIDGE_TOOL_SEGMENT_SIZE", "13")
    monkeypatch.setenv("ANNOBRIDGE_PIXANO_TIMEOUT", "soon")
    text = f'default_backend = "tol"\n[backends.memori]\n[backends.lost]\nconfig_cls = "no_such_module.{SECRET[:3]}"\n'
    write(home, text + f'[backends.my]\nconfig_cls = "tool_backend.ToolConfig"\ntoken = ["{SECRET}"]\nurll = "x"\n')
    rows, problems = config.survey()
    starts = [
        "There is no backend 'tol' (~/.annobridge line 1); did you mean 'tool'?",
        "~/.annobridge has a section for 'memori', which is no backend; did you mean 'memory'?",
        "~/.annobridge line 4: The backend 'lost', registered by config_cls",
        "my has no option 'urll' (~/.annobridge line 8); did you mean 'url'?",
        "my cannot use token (~/.annobridge line 7): its value cannot be used.",
        "pixano cannot use timeout (environment ANNOBRIDGE_PIXANO_TIMEOUT): input should be a valid number",
        "tool: thirteen brings bad luck.",
    ]
    assert len(problems) == len(starts)
    assert all(problem.startswith(start) for problem, start in zip(problems, starts, strict=True)), problems
    assert SECRET not in repr(problems)
    assert ("pixano", "timeout", "soon", "environment ANNOBRIDGE_PIXANO_TIMEOUT") in rows


@pytest.mark.parametrize("ask", [config.list_backends, config.broken_backends, config.backend_class])
def test_a_mistake_of_the_file_stops_every_question(home, ask: Any) -> None:
    write(home, "colour = 3\nbackends = 4")
    with pytest.raises(
        ConfigError, match=r"(?s)line 1: there is no setting 'colour'.*line 2: backends should be a table"
    ):
        ask()
    assert len(config.survey()[1]) == 2


def test_what_a_model_says_of_the_whole(tool) -> None:
    with pytest.raises(InvalidOption, match=r"^tool: thirteen brings bad luck\.$"):
        config.resolve("tool", {"segment_size": 13})


def test_a_missing_option_says_how_to_give_it(monkeypatch) -> None:
    monkeypatch.setenv("ANNOBRIDGE_NEEDY_CONFIG_CLS", "tool_backend.NeedyConfig")
    with pytest.raises(InvalidOption) as caught:
        config.resolve("needy", {})
    assert str(caught.value) == (
        "needy needs project: give it as an argument, as ANNOBRIDGE_NEEDY_PROJECT, "
        "or under [backends.needy] of the file."
    )
    assert ("needy", "project", "", "not set") in config.describe()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'[backends.tool]\npassword = "{SECRET}\n', "~/.annobridge line 2, at 'password': "),
        (f'[backends.tool]\npassword "{SECRET}"\n', "~/.annobridge line 2, at 'password': Expected '=' after a key"),
        ("[backends.tool\n", "~/.annobridge line 1, at '[backends.tool': "),
        ("a = [1,", "~/.annobridge line 1, at 'a': "),
        ('backend = "x"', "~/.annobridge line 1: there is no setting 'backend'; did you mean 'backends'?"),
        ("[backend.tool]\nx = 1", "~/.annobridge line 1: there is no setting 'backend'; did you mean 'backends'?"),
        ("\ndefault_backend = 3", "~/.annobridge line 2: default_backend should be the name of a backend, in quotes."),
        ("backends = 3", "~/.annobridge line 1: backends should be a table, as [backends.pixano]."),
        ("[backends]\ntool = 3", "~/.annobridge line 2: backends.tool should be a table, as [backends.tool]."),
        ("checks = 3", "~/.annobridge line 1: checks should be a table, as [checks.share_of_deletions]."),
        (
            "[checks]\nduplicates = 3",
            "~/.annobridge line 2: checks.duplicates should be a table, as [checks.duplicates].",
        ),
        ("[checks]\nuse = 3", '~/.annobridge line 2: checks.use should be a list of names of checks, as ["share_of_de'),
        ("[check]\nx = 1", "~/.annobridge line 1: there is no setting 'check'; did you mean 'checks'?"),
    ],
)
def test_mistakes_of_the_file(home, text: str, message: str) -> None:
    write(home, text)
    with pytest.raises(ConfigError) as caught:
        config.resolve("memory", {})
    assert str(caught.value).startswith(message)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_lines_are_found_in_any_spelling(home, tool) -> None:
    write(home, 'backends.tool.url = "https://a"\nbackends.tool . "segment_size" = 4\n')
    origins = config.resolve("tool", {}).origins
    assert (origins["url"], origins["segment_size"]) == ("~/.annobridge line 1", "~/.annobridge line 2")
    write(home, '[backends]\ntool = { url = "https://a" }\n')
    assert config.resolve("tool", {}).origins["url"] == "~/.annobridge line 2"


# --- which file


def test_the_file_may_hold_json(home, tool) -> None:
    write(home, '\n{"default_backend": "tool", "backends": {"tool": {"url": "https://json"}}}')
    settings = config.resolve(None, {})
    assert (settings.name, settings.config.url) == ("tool", "https://json")
    assert settings.origins["url"] == "~/.annobridge"
    write(home, '{"backends": {"tool": {"url": "https://json"}}')
    with pytest.raises(ConfigError, match=r"^~/.annobridge line 1, at 'backends'|^~/.annobridge line 1, at '\{"):
        config.resolve("tool", {})


def test_the_file_may_be_in_a_folder(home, tool) -> None:
    (home / ".annobridge").mkdir()
    assert config.resolve("tool", {}).origins["url"] == "default"
    (home / ".annobridge" / "config.toml").write_text('[backends.tool]\nurl = "https://x"')
    assert config.resolve("tool", {}).origins["url"] == "~/.annobridge/config.toml line 2"


def test_a_variable_names_another_file(home, tool, tmp_path, monkeypatch) -> None:
    write(home, '[backends.tool]\nurl = "https://home"')
    (tmp_path / "other.toml").write_text('[backends.tool]\nurl = "https://other"')
    monkeypatch.setenv("ANNOBRIDGE_CONFIG_PATH", "~/other.toml")
    assert config.resolve("tool", {}).config.url == "https://other"
    monkeypatch.setenv("ANNOBRIDGE_CONFIG_PATH", "~/none.toml")
    with pytest.raises(
        ConfigError, match=r"ANNOBRIDGE_CONFIG_PATH names ~/none.toml, which does not exist; write it, or"
    ):
        config.resolve("tool", {})


def test_a_file_of_fiftyone_works_as_it_is(tool, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ANNOBRIDGE_CONFIG_PATH", str(tmp_path / "annotation_config.json"))
    stock = {
        "default_backend": "tool",
        "backends": {
            "tool": {"config_cls": "fiftyone.utils.tool.ToolBackendConfig", "url": "https://x"},
            "labelbox": {"config_cls": "fiftyone.utils.labelbox.LabelboxBackendConfig", "url": "https://labelbox.com"},
        },
    }
    (tmp_path / "annotation_config.json").write_text(json.dumps(stock))
    settings = config.resolve(None, {})
    assert (settings.name, settings.config.url) == ("tool", "https://x")
    assert settings.origins["url"] == "~/annotation_config.json"


@pytest.mark.parametrize(
    ("text", "message"), [('{\n"a" 1}', "line 2, at 'a': Expecting ':'"), ("[]", "it should be an ob")]
)
def test_mistakes_of_a_json_file(tmp_path, monkeypatch, text: str, message: str) -> None:
    (tmp_path / "c.json").write_text(text)
    monkeypatch.setenv("ANNOBRIDGE_CONFIG_PATH", str(tmp_path / "c.json"))
    with pytest.raises(ConfigError) as caught:
        config.resolve("memory", {})
    assert message in str(caught.value)


def test_a_file_that_cannot_be_read(home) -> None:
    (home / ".annobridge").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"~/.annobridge cannot be read: it is not UTF-8\."):
        config.resolve("memory", {})


@pytest.mark.parametrize(
    ("mode", "line", "warned"), [(0o644, "token", 1), (0o640, "token", 1), (0o600, "token", 0), (0o644, "url", 0)]
)
def test_an_exposed_secret_is_warned_of(home, tool, mode: int, line: str, warned: bool) -> None:
    write(home, f'[backends.tool]\n{line} = "{SECRET}"', mode)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        config.resolve("tool", {})
    assert [w.category for w in seen] == [ExposedSecretWarning] * warned
    if warned:
        assert str(seen[0].message) == (
            "~/.annobridge holds token, and other users can read it. Run `chmod 600 ~/.annobridge`, "
            "or keep secrets in the keyring with `annobridge login`."
        )


def test_a_login_inside_of_an_exposed_url_is_warned_of_too(home, tool) -> None:
    write(home, f'[backends.tool]\ntoken = "{SECRET}"\nurl = "https://ada:{SECRET}@tool.example"', 0o644)
    with pytest.warns(ExposedSecretWarning) as seen:
        config.resolve("tool", {})
    assert str(seen[0].message) == (
        "~/.annobridge holds token and a login inside of url, and other users can read it. Run `chmod 600 ~/.annobridge`, "
        "or keep secrets in the keyring with `annobridge login`. "
        "Credentials do not belong in a url: give them as options of their own."
    )
    write(home, '[backends.tool]\nurl = "https://tool.example/@ada?a=b@c"', 0o644)
    with warnings.catch_warnings(record=True) as none:
        warnings.simplefilter("always")
        config.resolve("tool", {})
    assert none == []


# --- describing


def test_every_setting_is_described_and_secrets_are_masked(home, tool, monkeypatch) -> None:
    write(home, f'[backends.tool]\nurl = "https://ada:x@{SECRET}@tool.example/x?token={SECRET}"\npasword = "{SECRET}"')
    ring = Ring()
    ring.held["annobridge:tool", "https://tool.example password"] = SECRET
    monkeypatch.setattr(credentials, "_keyring", lambda: ring)
    monkeypatch.setenv("ANNOBRIDGE_LOST_CONFIG_CLS", "no_such_module.Config")
    rows = config.describe()
    assert SECRET not in repr(rows)
    assert ("", "default_backend", "pixano", "default") in rows
    assert ("tool", "url", "https://***@tool.example/x?***", "~/.annobridge line 2") in rows
    assert ("tool", "token", "***", "environment ANNOBRIDGE_TOOL_TOKEN") in rows
    assert ("tool", "password", "***", "keyring") in rows
    assert ("tool", "pasword", "", "~/.annobridge line 3: unknown, did you mean 'password'?") in rows
    assert ("tool", "use_cache", "False", "default") in rows
    assert ("tool", "task_size", "", "default") in rows
    assert [r.backend for r in rows if "no_such_module" in r.value] == ["lost"]


def test_edited_settings_do_not_show_in_a_repr() -> None:
    config.annotation_config.backends["tool"]["password"] = SECRET
    assert SECRET not in repr(config.annotation_config)


# --- sets of credentials


@pytest.fixture
def either(tool, monkeypatch: pytest.MonkeyPatch) -> type:
    """The class of a backend that needs a token, or a username with its password; none is given."""
    monkeypatch.delenv("ANNOBRIDGE_TOOL_TOKEN")
    found = config.backend_class("tool")
    monkeypatch.setattr(found.Config, "required", (("token",), ("username", "password")))
    return found


@pytest.mark.parametrize(
    "given", [{"token": "t"}, {"username": "ada", "password": "p"}, {"token": "t", "username": "ada"}]
)
def test_one_complete_set_of_credentials_is_enough(either, given: dict[str, str]) -> None:
    assert config.resolve("tool", given).backend is either


@pytest.mark.parametrize("given", [{}, {"username": "ada"}])
def test_a_missing_set_of_credentials_is_told_before_the_backend_is_made(either, given: dict[str, str]) -> None:
    with pytest.raises(MissingCredential) as caught:
        config.resolve("tool", given)
    assert "tool needs token, or username and password, which was not given" in str(caught.value)
    assert "Set TOOL_ACCESS_TOKEN in the environment, or run `annobridge login tool` once." in str(caught.value)


@pytest.mark.parametrize(
    ("marked", "given", "asked"),
    [
        (True, {}, ["username", "password"]),
        (True, {"username": "ada"}, ["password"]),
        (False, {}, ["token"]),
        (False, {"username": "ada"}, ["password"]),
    ],
)
def test_the_rest_of_a_set_is_asked_for_on_a_terminal(either, monkeypatch, marked, given, asked) -> None:
    found: list[str] = []
    monkeypatch.setattr(credentials, "ask", lambda *which, **_: found.append(which[2]) or SecretStr("x"))
    if not marked:
        for name in ("username", "password"):
            monkeypatch.setattr(either.Config.model_fields[name], "json_schema_extra", None)
    config.resolve("tool", given)
    assert found == asked
