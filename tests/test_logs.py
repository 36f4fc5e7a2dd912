from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from hydra_box import logs
from hydra_box.errors import NotFound
from hydra_box.logs import LogFile, read_logs
from hydra_box.process import rotate


@pytest.fixture(autouse=True)
def fast_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "POLL_SECONDS", 0.001)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "demo-1.log"


@pytest.fixture
def log(path: Path) -> Iterator[LogFile]:
    log = LogFile(path)
    yield log
    log.close()


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


@pytest.mark.parametrize(
    ("text", "count", "expected"),
    [
        ("a\nb\nc\n", 2, [b"b", b"c"]),
        ("a\nb\nc\n", 9, [b"a", b"b", b"c"]),
        ("a\nb\nc\n", 0, []),
        ("a\n\nb\n", 2, [b"", b"b"]),
        ("a\nb\nunfinished", 1, [b"b"]),
        ("", 5, []),
    ],
)
def test_the_tail_is_the_last_complete_lines(
    path: Path, log: LogFile, text: str, count: int, expected: list[bytes]
) -> None:
    path.write_text(text)
    assert log.tail(count) == expected


def test_the_tail_of_a_long_log_is_read_from_its_end(path: Path, log: LogFile) -> None:
    lines = [f"line {number} {'x' * 90}" for number in range(20_000)]
    path.write_text("\n".join(lines) + "\n")
    assert log.tail(3_000) == [line.encode() for line in lines[-3_000:]]
    append(path, "next\n")
    assert log.new_lines() == [b"next"]


def test_the_tail_goes_back_into_the_older_file(path: Path, log: LogFile) -> None:
    path.with_name("demo-1.log.1").write_text("a\nb\n")
    path.write_text("c\n")
    assert log.tail(2) == [b"b", b"c"]


def test_a_line_is_told_when_it_has_its_end(path: Path, log: LogFile) -> None:
    path.write_text("a\nb")
    assert log.tail(5) == [b"a"]
    assert log.new_lines() == []
    append(path, "c\nd")
    assert log.new_lines() == [b"bc"]
    assert log.end() == [b"d"]
    assert log.end() == []


def test_a_log_that_is_rotated_goes_on(path: Path, log: LogFile) -> None:
    path.write_text("old\n" * 100)
    log.tail(1)
    assert rotate(path, limit_bytes=10)
    append(path, "new\n")
    assert log.new_lines() == [b"new"]


def test_a_log_that_is_replaced_goes_on_with_the_new_one(path: Path, log: LogFile) -> None:
    path.write_text("old\n")
    log.tail(1)
    path.rename(path.with_name("demo-1.log.1"))
    path.write_text("new\n")
    assert log.new_lines() == []
    assert log.new_lines() == [b"new"]


def test_a_log_that_is_not_there_yet_is_empty(path: Path, log: LogFile) -> None:
    assert log.tail(5) == []
    assert log.new_lines() == []
    path.write_text("a\n")
    assert log.new_lines() == [b"a"]


def test_a_line_without_end_is_bounded(path: Path, log: LogFile) -> None:
    path.write_text("")
    log.tail(1)
    append(path, "x" * 70_000)
    assert log.new_lines() == [b"x" * 70_000]


async def test_each_line_has_its_instance_before_it(tmp_path: Path) -> None:
    paths = {}
    for name in ("a-1", "a-2"):
        paths[name] = tmp_path / name
        paths[name].write_text(f"from {name}\nlast")
    chunks = read_logs(lambda: paths, lines=5, follow=False, named=True)
    text = b"".join([chunk async for chunk in chunks])
    assert text == b"a-1 | from a-1\na-2 | from a-2\na-1 | last\na-2 | last\n"


async def first(chunks: AsyncGenerator[bytes, None]) -> bytes:
    """The next part that is not empty."""
    return await anext(chunk async for chunk in chunks if chunk)


async def test_following_tells_what_is_added_and_who_is_new(tmp_path: Path) -> None:
    paths = {"a-1": tmp_path / "a-1"}
    paths["a-1"].write_text("one\n")
    async with aclosing(read_logs(lambda: dict(paths), lines=5, follow=True, named=True)) as told:
        assert await first(told) == b"a-1 | one\n"
        append(paths["a-1"], "two\n")
        assert await first(told) == b"a-1 | two\n"
        paths["a-2"] = tmp_path / "a-2"
        paths["a-2"].write_text("three\nfour\n")
        assert await first(told) == b"a-2 | three\na-2 | four\n"


async def test_following_ends_with_the_last_words_when_the_service_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "a-1"
    path.write_text("one\n")
    gone = False

    def sources() -> dict[str, Path]:
        if gone:
            raise NotFound("gone")
        return {"a-1": path}

    async with aclosing(read_logs(sources, lines=5, follow=True, named=False)) as told:
        assert await first(told) == b"one\n"
        append(path, "last words")
        path.unlink()
        gone = True
        assert b"".join([chunk async for chunk in told]) == b"last words\n"
