"""The journal: what it has taken outlives the process, whatever else happens to it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from hydra_box.types import RequestRecord
from hydra_box.usage.journal import UsageJournal
from tests.samples import a_request


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage-journal"


def segments(path: Path) -> list[str]:
    return sorted(one.name.removeprefix(f"{path.name}.") for one in path.parent.iterdir())


def take_over(journal: UsageJournal) -> list[RequestRecord]:
    return [one for number in journal.left() for one in journal.read(number)]


def line(request: RequestRecord) -> bytes:
    return msgspec.json.encode(request) + b"\n"


def test_a_line_is_there_when_append_returns(path: Path) -> None:
    journal, requests = UsageJournal(path), [a_request(key_name="Ü\u2028\n"), a_request()]
    for request in requests:
        journal.append(request)
    (segment,) = path.parent.iterdir()
    assert segment.stat().st_mode & 0o777 == 0o600
    assert segment.read_bytes() == b"".join(map(line, requests))
    assert take_over(UsageJournal(path)) == requests


def test_what_comes_after_sealing_goes_into_the_next_segment(path: Path) -> None:
    journal = UsageJournal(path)
    journal.seal()
    assert segments(path) == []
    first, second = a_request(), a_request()
    journal.append(first)
    journal.seal()
    journal.append(second)
    assert segments(path) == ["1", "2"]
    journal.remove_sealed()
    assert segments(path) == ["2"]
    journal.remove_sealed()
    assert take_over(UsageJournal(path)) == [second]


def test_what_an_earlier_process_left_goes_when_it_is_stored(path: Path) -> None:
    earlier, left = UsageJournal(path), [a_request() for _ in range(3)]
    for request in left:
        earlier.append(request)
        earlier.seal()
    journal = UsageJournal(path)
    assert take_over(journal) == left
    journal.append(a_request())
    assert segments(path) == ["1", "2", "3", "4"]
    journal.remove_sealed()
    assert segments(path) == ["4"]


def test_a_line_that_was_being_written_is_left_out(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, torn = a_request(), a_request()
    path.with_name("usage-journal.7").write_bytes(line(whole) + line(torn)[:-20])
    journal = UsageJournal(path)
    assert take_over(journal) == [whole]
    assert "was being written when the daemon ended" in caplog.text
    journal.append(torn)
    journal.remove_sealed()
    assert segments(path) == ["8"]


@pytest.mark.parametrize("strange", [b"{}", b"\xff", b"[1]", b'{"id": 5}', b""])
def test_a_line_that_is_no_request_is_set_aside(
    path: Path, strange: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    whole = a_request()
    path.with_name("usage-journal.1").write_bytes(strange + b"\n" + line(whole))
    journal = UsageJournal(path)
    assert take_over(journal) == [whole]
    journal.remove_sealed()
    assert segments(path) == ["unreadable"]
    aside = path.with_name("usage-journal.unreadable")
    assert aside.read_bytes() == strange + b"\n"
    assert aside.stat().st_mode & 0o777 == 0o600
    assert "1 lines are no requests" in caplog.text


def test_a_strange_line_that_cannot_be_set_aside_stays_where_it_is(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.with_name("usage-journal.unreadable").mkdir()
    whole = a_request()
    path.with_name("usage-journal.1").write_bytes(b"strange\n" + line(whole))
    journal = UsageJournal(path)
    assert take_over(journal) == [whole]
    journal.remove_sealed()
    assert segments(path) == ["1", "unreadable"]
    assert "and stay there" in caplog.text


def test_a_part_of_a_line_is_taken_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, requests = UsageJournal(path), [a_request() for _ in range(3)]
    journal.append(requests[0])
    really = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, data: really(fd, data[:30]))
        with pytest.raises(OSError, match="No space left") as caught:
            journal.append(requests[1])
    assert caught.value.errno == errno.ENOSPC
    journal.append(requests[2])
    assert take_over(UsageJournal(path)) == [requests[0], requests[2]]


def test_a_killed_process_loses_nothing_that_it_has_written(path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from hydra_box.usage.journal import UsageJournal\n"
        "from tests.samples import a_request\n"
        "journal = UsageJournal(Path(sys.argv[1]))\n"
        "while True:\n"
        "    request = a_request()\n"
        "    journal.append(request)\n"
        "    print(request.id, flush=True)\n"
    )
    with subprocess.Popen(
        (sys.executable, "-c", program, path), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(200)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.readlines()
    ids = [one.strip() for one in told if one.endswith("\n")]
    found = [one.id for one in take_over(UsageJournal(path))]
    assert len(ids) >= 200
    assert found[: len(ids)] == ids
    assert len(found) - len(ids) <= 1
