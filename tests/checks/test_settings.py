"""The section ``[checks]`` of the configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from annobridge.exceptions import ConfigError, InvalidOption
from annobridge.settings import checks, config


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ANNOBRIDGE_CONFIG_PATH", raising=False)
    return tmp_path


def write(home: Path, text: str) -> None:
    (home / ".annobridge").write_text(text)


def test_without_a_file_all_checks_run_with_their_defaults(home) -> None:
    assert checks.chosen() == (None, {})


def test_the_file_chooses_checks_and_limits(home) -> None:
    write(home, '[checks]\nuse = ["duplicates"]\n[checks.duplicates]\nlimit = 0.8\n[checks.iou_floor]\nlevel = "off"\n')
    assert checks.chosen() == (["duplicates"], {"duplicates": {"limit": 0.8}, "iou_floor": {"level": "off"}})
    rows, problems = config.survey()
    assert problems == []
    assert ("checks", "duplicates.limit", "0.8", "~/.annobridge line 4") in rows
    assert ("checks", "use", "['duplicates']", "~/.annobridge line 2") in rows


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('use = ["duplicate"]', "~/.annobridge line 2: There is no check 'duplicate'; did you mean 'duplicates'?"),
        ("duplicate.limit = 1", "~/.annobridge line 2: There is no check 'duplicate'; did you mean 'duplicates'?"),
        (
            "duplicates.limits = 1",
            "~/.annobridge line 2: The check 'duplicates' has no parameter 'limits'; did you mean 'limit'?",
        ),
        (
            'duplicates.limit = "much"',
            "~/.annobridge line 2: duplicates.limit should be a number, as 0.9, and not 'much'.",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(home, text: str, sentence: str) -> None:
    write(home, f"[checks]\n{text}\n")
    with pytest.raises(InvalidOption) as caught:
        checks.chosen()
    assert str(caught.value) == sentence
    assert config.survey()[1] == [sentence]


def test_a_file_that_cannot_be_read_is_told(home) -> None:
    write(home, "[checks\n")
    with pytest.raises(ConfigError, match=r"^~/\.annobridge line 1, at '\[checks':"):
        checks.chosen()
