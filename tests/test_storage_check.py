"""The check of a place: whether two writers are safe there, what is denied, the clock. It leaves nothing behind."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from proofs.storage import BUCKET, S3
from tests.command_line import data, isolated, run
from tests.file_servers import environment

import annobridge as ab
from annobridge.store import probe
from annobridge.store.refusals import refusal

TOKEN = "s3cr3t-session-token"
REGION = {"aws_region": "eu-central-1"}
DENY: dict[str, Mapping[str, Any]] = {
    "list": {"methods": ["GET"], "path": "list-type"},
    "read": {"methods": ["GET", "HEAD"], "path": "/first"},
    "write": {"methods": ["PUT"]},
    "delete": {"methods": ["POST", "DELETE"]},
}


_isolated = pytest.fixture(autouse=True)(isolated)


@pytest.fixture
def place(s3: S3, tmp_path: Path) -> str:
    """A place in the bucket that has no dataset."""
    return s3.uri(tmp_path / "ds")


def check(s3: S3, uri: str) -> ab.StorageReport:
    return ab.check_storage(uri, {**(s3.options or {}), "aws_session_token": TOKEN})


def test_a_sound_store_is_safe_and_clean_afterwards(s3: S3, place: str) -> None:
    report = check(s3, place)
    assert report.ok
    assert report.to_dict() == {
        "uri": place, "two_writers": True, "clock": 0.0, "rounds": 20, "several": 0, "nobody": 0, "failed": 0,
        "denied": [], "left": [], "ok": True, "verdict": report.verdict,
    }  # fmt: skip
    assert report.lines() == [
        "Two writers are safe here: in 20 rounds, no more than one of 8 that created the same file at once succeeded."
    ]
    assert s3.keys(place) == []
    assert sum(status == 412 for *_, status in s3.requests()) == 20 * 7


def test_a_store_that_ignores_conditions_cannot_have_two_writers(s3: S3, place: str) -> None:
    s3.behave(conditions=False)
    report = check(s3, place)
    assert not report.ok
    assert (report.two_writers, report.several) == (False, 20)
    assert "This store cannot have two writers: in 20 of 20 rounds, more than one of 8 that created" in repr(report)
    assert "let one process write at a time, or move the dataset" in report.verdict
    assert s3.keys(place) == []


def test_a_store_that_refuses_conditions_takes_no_commit(s3: S3, place: str) -> None:
    s3.behave(faults=[{"status": 501, "code": "NotImplemented", "methods": ["PUT"], "path": "/alone"}])
    report = check(s3, place)
    assert (report.two_writers, report.rounds) == (False, 0)
    assert report.verdict.startswith("This store cannot have two writers, nor any commit")
    assert s3.keys(place) == []


@pytest.mark.parametrize("status", [409, 412])
def test_a_round_that_nobody_wins_is_counted_and_safe(s3: S3, place: str, status: int) -> None:
    s3.behave(faults=[{"status": status, "code": "ConditionalRequestConflict", "methods": ["PUT"], "path": r"/[12]\?"}])
    report = check(s3, place)
    assert report.ok
    assert (report.several, report.nobody, report.failed) == (0, 2, 0)
    assert "In 2 rounds nobody did; writers then try again." in report.lines()


def test_a_store_where_most_rounds_have_no_winner_cannot_have_two_writers(s3: S3, place: str) -> None:
    s3.behave(faults=[{"status": 409, "code": "ConditionalRequestConflict", "methods": ["PUT"], "path": r"/\d+\?"}])
    report = check(s3, place)
    assert (report.two_writers, report.nobody) == (False, 20)
    assert "in 20 of 20 rounds, nobody could create a file" in report.verdict


def test_a_winner_whose_answer_is_lost_is_a_round_without_one(s3: S3, place: str) -> None:
    lost = {"status": 500, "code": "InternalError", "methods": ["PUT"], "path": r"/3\?", "times": 1, "served": True}
    s3.behave(faults=[lost])
    report = check(s3, place)
    assert report.ok
    assert (report.several, report.nobody) == (0, 1)
    assert s3.keys(place) == []


@pytest.mark.parametrize("denied", DENY)
def test_what_is_denied_is_named(s3: S3, place: str, denied: str) -> None:
    s3.behave(faults=[{"status": 403, "code": "AccessDenied", **DENY[denied]}])
    report = check(s3, place)
    assert not report.ok
    assert report.denied == (denied,)
    assert any(line.startswith(f"Denied: {denied}. ") for line in report.lines())
    assert report.two_writers is (None if denied == "write" else True)
    if denied == "write":
        assert report.verdict == "Whether two writers are safe here is not known, as nothing can be written."
    s3.behave()
    assert sorted(report.left) == sorted(s3.keys(place))
    assert len(report.left) == (22 if denied == "delete" else 0)
    if report.left:
        assert "22 small files of this check could not be removed" in repr(report)


@pytest.mark.parametrize(("off", "words"), [(60, "ahead of"), (-60, "behind")])
def test_a_clock_that_is_off_is_told(s3: S3, place: str, off: int, words: str) -> None:
    s3.behave(clock=off)
    report = check(s3, place)
    assert not report.ok
    assert report.clock == pytest.approx(off, abs=2)
    assert f"seconds {words} the one of this machine; leases compare times" in repr(report)
    assert "if their clocks agree" in report.verdict
    s3.behave(clock=off / 12)
    assert check(s3, place).ok


def test_credentials_that_expire_end_the_check_with_a_sentence_without_them(s3: S3, place: str) -> None:
    s3.behave(faults=[{"status": 400, "code": "ExpiredToken"}])
    with pytest.raises(ab.StoreError) as first:
        check(s3, place)
    assert str(first.value) == (
        f"The place {place!r} cannot be checked: the credentials for the store have expired; get new ones, and repeat."
    )
    s3.behave(faults=[{"status": 400, "code": "ExpiredToken", "skip": 40}])
    with pytest.raises(ab.StoreError) as later:
        check(s3, place)
    assert "have expired; get new ones, and repeat. " in str(later.value)
    assert f"small files of this check may be left in '{place.removeprefix(f's3://{BUCKET}/')}/." in str(later.value)
    for error in (first.value, later.value):
        assert TOKEN not in repr(error)
        assert error.__suppress_context__


def test_files_are_removed_after_an_error(s3: S3, place: str) -> None:
    s3.behave(faults=[{"status": 403, "code": "RequestTimeTooSkewed", "methods": ["GET"], "path": r"/7\?"}])
    with pytest.raises(ab.StoreError, match="the store says that the clock of this machine is wrong"):
        check(s3, place)
    assert s3.keys(place) == []


def test_a_place_that_is_none_is_a_sentence(s3: S3) -> None:
    with pytest.raises(ab.StoreError, match="'s3://nobucket/ds' cannot be checked: there is no such bucket"):
        ab.check_storage("s3://nobucket/ds", s3.options)
    options = {**(s3.options or {}), "aws_endpoint": "http://127.0.0.1:9", "client_max_retries": "1"}
    with pytest.raises(
        ab.StoreError, match="cannot be checked: the store does not answer; check its address and the conn"
    ):
        ab.check_storage("s3://bucket/ds", options)
    with pytest.raises(
        ab.StoreError, match="cannot be opened: the store does not answer; check its address and the conn"
    ):
        ab.create_dataset("s3://bucket/ds", options)
    with pytest.raises(ab.StoreError, match="cannot be opened: there is no such bucket; correct the URI, or make"):
        ab.create_dataset("s3://nobucket/ds", s3.options)
    with pytest.raises(ab.StoreError, match=r"The storage of s3\+ddb:// cannot be checked; give a folder, or one of"):
        ab.check_storage("s3+ddb://me:word@bucket/ds")


def test_a_dataset_where_nothing_may_be_written_is_a_sentence(s3: S3, place: str) -> None:
    s3.behave(faults=[{"status": 403, "code": "AccessDenied", "methods": ["PUT"]}])
    with pytest.raises(
        ab.StoreError, match=r"The table 'samples' of 's3://.*' cannot be made: the store denies access; "
    ) as caught:
        ab.create_dataset(place, s3.options)
    assert caught.value.__cause__ is None
    assert "<Error>" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "options"),
    [
        ("az://box/ds", {}),
        ("az://box/ds", {"azure_storage_account_name": "me", "azure_storage_account_key": TOKEN}),
        ("gs://box/ds", {"google_service_account": "/none.json"}),
        ("gs://box/ds", {"google_service_account_key": f'"{TOKEN}"'}),
        ("az://box/ds", {"azure_storage_account_name": "me", "azure_storage_sas_token": TOKEN}),
        ("s3://box/ds", {**REGION, "aws_server_side_encryption": "sse-c", "aws_sse_customer_key_base64": f"{TOKEN}!"}),
        ("s3://box/ds", {**REGION, "timeout": TOKEN}),
    ],
)
def test_options_that_no_store_can_be_made_of_are_a_sentence_without_them(
    uri: str, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    for call in (ab.create_dataset, ab.check_storage):
        with pytest.raises(
            ab.StoreError,
            match="cannot be opened: an option of the store, as the account or its key, is missing or not valid",
        ) as caught:
            call(uri, options)
        assert TOKEN not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"aws_secret_access_key": f"{TOKEN}\n"}, "the option 'aws_secret_access_key' has a line break"),
        ({"aws_endpoint": "ht tp://127.0.0.1"}, "the option 'aws_endpoint' has a space"),
    ],
)
def test_options_that_libraries_cannot_read_are_told_before_they_get_them(options: dict[str, str], words: str) -> None:
    for call in (ab.create_dataset, ab.load_dataset, ab.check_storage):
        with pytest.raises(ab.StoreError, match=f"cannot be opened: {words}") as caught:
            call("s3://box/ds", options)
        assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        (
            "Signature not valid in the specified time frame: Start [a] - Expiry [b] - Current [c]",
            "have expired, or are not valid yet; get new ones, or set the clock",
        ),
        ("Request date header too old: 'a'", "the clock of this machine is wrong"),
    ],
)
def test_what_azure_says_of_a_signature_is_understood(detail: str, words: str) -> None:
    answer = f"<Code>AuthenticationFailed</Code><AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail>"
    assert words in str(refusal(OSError(f"403 Forbidden: <Error>{answer}</Error>")))


def test_an_address_without_tls_that_is_not_allowed_is_told() -> None:
    with pytest.raises(
        ab.StoreError,
        match="cannot be checked: the address of the store, or of a proxy, cannot be used; correct it, or for http://",
    ):
        ab.check_storage(
            "az://box/ds", {"account_name": "me", "account_key": "bWU=", "endpoint": "http://127.0.0.1:9/me"}
        )


def test_a_folder_is_checked_as_lance_uses_it_and_left_as_it_was(tmp_path: Path) -> None:
    assert ab.check_storage(tmp_path / "new" / "ds").ok
    assert list(tmp_path.iterdir()) == []
    ds = ab.create_dataset(tmp_path / "ds")
    before = sorted(path.name for path in Path(ds.uri).iterdir())
    assert ab.check_storage(tmp_path / "ds").ok
    assert sorted(path.name for path in Path(ds.uri).iterdir()) == before


def test_a_folder_that_cannot_be_written_to_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def denied(*_: Any, **__: Any) -> None:
        raise probe.exceptions.GenericError("Unable to create dir: Permission denied (os error 13)")

    monkeypatch.setattr(probe.obstore, "put", denied)
    report = ab.check_storage(tmp_path)
    assert report.denied == ("write",)
    assert report.two_writers is None


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_checks_a_place_without_a_dataset(s3: S3, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment(s3, monkeypatch)
    found = data("doctor", place)
    assert (found["dataset"], found["ok"], found["storage"]["two_writers"]) == (place, True, True)
    assert "There is no dataset there yet." in run("doctor", place).output


def test_variables_that_change_count_in_a_process_that_runs(
    s3: S3, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As credentials do that somebody renews."""
    environment(s3, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
        with pytest.raises(ab.StoreError, match="does not answer"):
            ab.check_storage(place)
    assert ab.check_storage(place).ok


def test_the_command_checks_place_and_dataset(s3: S3, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ab.create_dataset(place, s3.options)
    environment(s3, monkeypatch)
    before = s3.keys(place)
    found = data("doctor", place)
    assert found["ok"]
    assert found["storage"]["verdict"].startswith("Two writers are safe here")
    assert (found["findings"], s3.keys(place)) == ([], before)
    assert "storage" not in data("doctor", place, "--no-storage")
    s3.behave(conditions=False)
    result = run("doctor", place)
    assert result.exit_code == 1
    assert "This store cannot have two writers" in result.output.replace("\n", " ")
    assert "Nothing is wrong." in result.output


def test_the_command_checks_a_folder_if_it_is_told_to(tmp_path: Path) -> None:
    ab.create_dataset(tmp_path / "ds")
    assert "storage" not in data("doctor", str(tmp_path / "ds"))
    assert data("doctor", str(tmp_path / "ds"), "--storage")["storage"]["ok"]
    result = run("doctor", str(tmp_path / "none"), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stderr)["error"]["kind"] == "DatasetNotFound"
