"""Files of decisions: what is read, what is cut off, and what each mistake is called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock

from annobridge.bridge import decision_file
from annobridge.core.review.decisions import contradicted
from annobridge.exceptions import InvalidOption
from annobridge.review import decision_log
from annobridge.review.decision_log import DecisionLog

RUN: Any = SimpleNamespace(anno_key="r1", run_id="run1")
CURE = " Correct or remove the line."


def row(number: int = 0, verdict: str = "accept", **values: Any) -> dict[str, Any]:
    return {
        "run_id": "run1", "change_id": f"c{number}", "verdict": verdict, "value": None, "by": "ann", "at": None, "note": "",
        "rule": None, "bound_to": f"b{number}",
    } | values  # fmt: skip


def text(*rows: Any) -> str:
    return "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in rows)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "d.jsonl"


def test_a_file_is_read_in_its_order(path):
    path.write_text(text(row(1, note="né"), "", row(0, "refuse", at="2026-11-29T12:00:00+01:00", unknown=1), row(2)))
    found, notes = decision_file.read(path, RUN)
    assert found["change_id"].to_pylist() == ["c1", "c0", "c2"]
    assert found["at"][1].as_py().isoformat() == "2026-11-29T11:00:00+00:00"
    assert found["note"][0].as_py() == "né"
    assert notes == []


def test_what_is_written_is_read_again(path):
    given = row(
        3,
        "value",
        value='{"a": [1, "é"]}',
        at=decision_file._time("2026-11-29T12:00:00.123456Z", ""),
        rule="r",
        note="\n\u2028",
    )
    path.write_bytes(decision_file.to_line(given))
    assert decision_file.read(path, RUN)[0].to_pylist() == [given]


def test_a_file_of_another_system(path):
    path.write_bytes(b"\xef\xbb\xbf" + text(row(1), row(2)).replace("\n", "\r\n").encode())
    assert decision_file.read(path, RUN)[0].num_rows == 2


def test_the_last_line_may_lack_its_end(path):
    path.write_text(text(row(1)) + json.dumps(row(2)))
    found, notes = decision_file.read(path, RUN)
    assert (found.num_rows, notes) == (2, [])


@pytest.mark.parametrize(
    "tail", ['{"run_id": "run1", "chan', "{", '{"a": "é'.encode()[:-1].decode(errors="ignore"), "\0\0\0"]
)
def test_a_last_line_that_was_interrupted_is_left_out(path, tail):
    path.write_text(text(row(1)) + tail)
    found, notes = decision_file.read(path, RUN)
    assert found.num_rows == 1
    assert notes == [f"The last line of {path} was not written to its end; it is left out."]
    path.write_text(tail)
    assert decision_file.read(path, RUN)[0].num_rows == 0


def test_every_verdict_is_read_in_order(path):
    path.write_text(text(row(1), row(1), row(2), row(2, "refuse"), row(3), row(3, "open"), row(3, "refuse")))
    found, notes = decision_file.read(path, RUN)
    assert found.num_rows == 7
    assert contradicted(found.to_pylist()) == 1
    assert notes == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no json", "{} is no JSON object, and so no decision: 'no json'."),
        ('{"run_id": "run1", "chan', "{} is no JSON object, and so no decision: '{\"run_id\": \"run1\", \"chan'."),
        ("[1]", "{} is no JSON object, and so no decision: '[1]'."),
        ("[" * 9999, "{} is no JSON object, and so no decision: '" + "[" * 60 + "'."),
        (row(verdict="maybe"), "{} has the verdict 'maybe'; verdicts are accept, refuse, ours, theirs, base, both, value, open."),
        (row(change_id=None), "{} has no 'change_id' (a text), so it is no decision."),
        (row(change_id=7), "{} has no 'change_id' (a text), so it is no decision."),
        (row(bound_to=""), "{} has no 'bound_to' (a text), so it is no decision."),
        ({"x": 1}, "{} has no 'run_id' (a text), so it is no decision."),
        (row(note=7), "{} has the note 7, which is no text."),
        (row(value={"a": 1}), "{} has the value {'a': 1}, which is no text."),
        (row(verdict="value"), "{} has the verdict 'value', and no 'value' that is JSON text."),
        (row(verdict="value", value="car"), "{} has the verdict 'value', and no 'value' that is JSON text."),
        (row(at="yesterday"), "{} has the time 'yesterday'; give it as ISO 8601, as 2026-01-31T12:00:00Z."),
        (row(at="0001-01-01T00+23:00"), "{} has the time '0001-01-01T00+23:00'; give it as ISO 8601, as 2026-01-31T12:00:00Z."),
        (row(at=7), "{} has the time 7; give it as ISO 8601, as 2026-01-31T12:00:00Z."),
    ],
)  # fmt: skip
def test_a_broken_line_is_named(path, line, message):
    path.write_text(text(row(0), row(1), line, row(2)))
    for read in (decision_file.read, DecisionLog):
        with pytest.raises(InvalidOption) as error:
            read(path, RUN)
        assert str(error.value) == message.replace("{}", f"{path}:3") + CURE


def test_a_file_of_another_run(path):
    path.write_text(text(row(0), row(1, run_id="run0")))
    for read in (decision_file.read, DecisionLog):
        with pytest.raises(InvalidOption) as error:
            read(path, RUN)
        assert str(error.value) == (
            f"{path}:2 is a decision about another run (run0) than 'r1' (run1); give the file that was written for this run."
        )


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InvalidOption, match=r"There is no file of decisions '.*x.jsonl'; correct the path."):
        decision_file.read(tmp_path / "x.jsonl", RUN)
    with pytest.raises(
        InvalidOption, match=r"The file of decisions '.*' cannot be read \(Is a directory\); give another."
    ):
        decision_file.read(tmp_path, RUN)


def test_half_a_surrogate_pair_becomes_a_question_mark(path):
    path.write_text(text(row(note="a\ud800b")))
    assert decision_file.read(path, RUN)[0]["note"].to_pylist() == ["a?b"]


def test_decisions_about_unknown_changes_are_counted():
    found = decision_file.table([row(n) for n in range(3)])
    known = found["change_id"].slice(0, 1)
    assert decision_file.unknown_note(found, known, "d.jsonl") == (
        "d.jsonl has decisions about 2 changes that the plan does not have, as they were loaded, or taken back in the tool; they "
        "are left out."
    )
    assert decision_file.unknown_note(found, found["change_id"], "d.jsonl") is None


# --- the log ----------------------------------------------------------------------------------------------------------


def test_an_interrupted_line_is_cut_off_when_the_log_is_opened(path):
    path.write_text(text(row(1)) + '{"run_id": "run1", ')
    log = DecisionLog(path, RUN)
    assert log.notes == [f"The last line of {path} was not written to its end, and was cut off (19 bytes)."]
    assert path.read_text() == text(row(1))
    log.append([row(2)])
    assert decision_file.read(path, RUN)[0]["change_id"].to_pylist() == ["c1", "c2"]
    log.close()


def test_an_interrupted_line_of_another_process_is_cut_off_before_the_next(path):
    log = DecisionLog(path, RUN)
    log.append([row(1)])
    with path.open("a") as other:
        other.write('{"run_id"')
    assert log.refresh() == 1
    log.append([row(2)])
    assert [r["change_id"] for r in log.rows] == ["c1", "c2"]
    assert decision_file.read(path, RUN) == (decision_file.table(log.rows), [])
    log.close()


def test_a_line_without_an_end_is_ended_before_the_next(path):
    path.write_text(json.dumps(row(1)))
    log = DecisionLog(path, RUN)
    log.append([row(2)])
    assert decision_file.read(path, RUN)[0].num_rows == 2
    assert [r["change_id"] for r in log.rows] == ["c1", "c2"]
    log.close()


def test_the_lines_of_others_are_seen(path):
    mine, other = DecisionLog(path, RUN), DecisionLog(path, RUN)
    mine.append([row(1)])
    assert other.refresh() == 1
    other.append([row(2), row(3)])
    mine.append([row(4)])
    assert [r["change_id"] for r in mine.rows] == ["c1", "c2", "c3", "c4"]
    with path.open("a") as hand:
        hand.write("nonsense\n")
    with pytest.raises(InvalidOption, match=r"d.jsonl:5 is no JSON object"):
        mine.refresh()
    mine.close()
    other.close()


def test_half_a_line_is_not_read_before_it_is_whole(path):
    log = DecisionLog(path, RUN)
    line = text(row(1))
    with path.open("a") as other:
        for part in (line[:20], line[20:-1], "\n"):
            assert log.refresh() == 0
            other.write(part)
            other.flush()
    assert log.refresh() == 1
    with path.open("a") as other:
        other.write("nonsense\n")
    with pytest.raises(InvalidOption, match=r"d.jsonl:2 is"):
        log.refresh()
    log.close()


def test_threads_and_processes_append_at_the_same_time(path):
    code = f"""
        from types import SimpleNamespace
        from pathlib import Path
        from annobridge.review.decision_log import DecisionLog
        log = DecisionLog(Path({str(path)!r}), SimpleNamespace(anno_key="r1", run_id="run1"))
        base = {row()!r}
        for n in range(40):
            log.append([base | {{"change_id": f"p{{n}}"}}] * 3)
    """
    children = [subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)]) for _ in range(2)]
    log = DecisionLog(path, RUN)
    threads = [threading.Thread(target=lambda: [log.append([row(n)]) for n in range(40)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [child.wait() for child in children] == [0, 0]
    log.refresh()
    assert len(log.rows) == 2 * 40 * 3 + 3 * 40
    assert decision_file.read(path, RUN)[0].to_pylist() == log.rows
    log.close()


@pytest.mark.parametrize("harm", ["remove", "shorten", "replace"])
def test_a_file_that_is_taken_away_is_noticed(path, harm):
    log = DecisionLog(path, RUN)
    log.append([row(1), row(2)])
    if harm == "shorten":
        os.truncate(path, 10)
    else:
        path.unlink()
        if harm == "replace":
            path.write_text(text(row(1), row(2), row(3)))
    for act in (log.refresh, lambda: log.append([row(4)])):
        with pytest.raises(InvalidOption) as error:
            act()
        assert str(error.value) == (
            f"The file of decisions {str(path)!r} was removed, replaced or shortened while it was open; put it back, or end this "
            "review and start another."
        )
    log.close()


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(InvalidOption, match=r"'.*no/d.jsonl' cannot be written \(No such file or directory\); choose another with "
                                            r"--decisions."):  # fmt: skip
        DecisionLog(tmp_path / "no" / "d.jsonl", RUN)
    with pytest.raises(InvalidOption, match=r"cannot be written \(Is a directory\)"):
        DecisionLog(tmp_path, RUN)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the devices of Linux")
@pytest.mark.parametrize("device", ["full", "null"])
def test_a_device_keeps_nothing(device):
    with pytest.raises(
        InvalidOption, match=rf"'/dev/{device}' is a device or a pipe, which keeps nothing; choose a file with "
    ):
        DecisionLog(Path("/dev") / device, RUN)


def test_what_could_not_be_read_again_is_not_written(path):
    log = DecisionLog(path, RUN)
    with pytest.raises(
        InvalidOption, match=r"A decision for .*:2 has the verdict 'value', and no 'value' that is JSON text"
    ):
        log.append([row(1), row(2, "value", value="NaN")])
    assert path.read_bytes() == b""
    log.append([row(3)])
    assert len(log.rows) == 1
    log.close()


def test_a_lock_that_is_held(path, monkeypatch):
    monkeypatch.setattr(decision_log, "_LOCK_SECONDS", 0.1)
    with (
        FileLock(path.with_name(".d.jsonl.lock")),
        pytest.raises(InvalidOption, match=r"Another process has held the lock of"),
    ):
        DecisionLog(path, RUN)


def test_a_full_disk_stores_all_or_nothing(path, monkeypatch):
    log = DecisionLog(path, RUN)
    log.append([row(1)])
    write = os.write

    def full(file, data):
        if len(data) > 50:
            return write(file, data[:50])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(
        InvalidOption, match=r"could not be written to '.*' \(No space left on device\); make room, and decide again."
    ):
        log.append([row(2)])
    monkeypatch.undo()
    log.append([row(3)])
    assert decision_file.read(path, RUN)[0]["change_id"].to_pylist() == ["c1", "c3"]
    log.close()
