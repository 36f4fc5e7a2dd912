"""The runtimes, and what an installation says while it goes on and when it has ended."""

from __future__ import annotations

import socket
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from hydra_box.client import Client
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.fakes.engine import install_as_built, install_on_path
from tests.tui.conftest import OpenConsole
from tests.tui.harness import LARGE, SMALL, Driven, console


def on(box: RunningBox, directory: Path) -> AbstractAsyncContextManager[Driven]:
    def connect() -> Client:
        return Client(socket=box.paths.management_socket)

    return console(connect, directory / "console")


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_runtimes_and_who_uses_them(open_console: OpenConsole, size: tuple[int, int]) -> None:
    async with open_console(size=size) as it:
        await it.press("5")
        text = await it.sees("▸ llama.cpp", "bundled", "● works", "used by    demo", "command")
        assert "p Pin/unpin" in text
        assert ("LOCATION" in text) == (size == LARGE)
        await it.press("v")
        await it.hears("works: it has answered")
        await it.press("enter")
        await it.sees("Runtime", "y: copy id")


async def test_pinning_and_what_cannot_be_removed(start_box: StartBox, tmp_path: Path) -> None:
    box = start_box()
    box.wait_verified()
    (runtime,) = box.client.engines()
    async with on(box, tmp_path) as it:
        await it.press("5")
        await it.sees("● works")
        await it.press("p")
        await it.sees("runs on this one and no other")
        assert box.client.engines()[0].pinned
        await it.press("p")
        await it.sees("what is started of llama.cpp from now on runs on it")
        assert not box.client.engines()[0].pinned
        await it.press("x")
        await it.hears(f"{runtime.id} is a part of Hydra Box")


async def test_what_another_client_does_shows_by_itself(
    start_box: StartBox, home: Path, tmp_path: Path
) -> None:
    install_as_built(home / "engines")
    box = start_box()
    async with on(box, tmp_path) as it:
        await it.press("5")
        # The box tries them after it has begun to answer.
        await it.until(lambda: it.text.count("● works") == 2, what="both were tried")
        built = next(one for one in box.client.engines() if "built" in one.id)
        box.client.pin_engine(built.id)
        await it.sees("runs on this one and no other")
        await it.press("1")
        box.client.unpin_engine(built.id)
        runtimes = it.console.session.state
        await it.until(lambda: not any(one.pinned for one in runtimes.runtimes), what="it is known")
        await it.press("5")
        await it.sees("2 runtimes", "what is started of llama.cpp from now on runs on it")
        box.client.remove_engine(built.id)
        await it.sees("1 runtime ")


async def test_a_problem_is_told_in_full(
    start_box: StartBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = install_on_path(tmp_path / "bin", "--exit-at-once", "1")
    monkeypatch.setenv("PATH", f"{program.parent}:/bin")
    box = start_box()
    async with on(box, tmp_path) as it:
        await it.press("5")
        await it.sees("2 runtimes", "✗ ", "● works")
        await it.press("slash", *"path", "enter")
        text = await it.sees("! ", "found on the PATH", "it did not answer")
        broken = next(one for one in box.client.engines() if one.problem)
        fact = (broken.problem or "").partition("; hint: ")[0]
        assert " ".join(fact.split()[:4]) in text
        await it.press("p")
        await it.hears(f"{broken.id} cannot be used")


async def test_a_runtime_is_removed_once_it_is_confirmed(
    start_box: StartBox, home: Path, tmp_path: Path
) -> None:
    directory = install_as_built(home / "engines")
    box = start_box()
    box.wait_verified()
    async with on(box, tmp_path) as it:
        await it.press("5")
        await it.sees("2 runtimes", "built")
        await it.press("slash", *"built", "enter")
        await it.sees("installed by Hydra Box")
        await it.press("x")
        await it.sees("Its files are deleted")
        await it.press("escape", "x", "y")
        await it.hears("is removed")
        await it.sees("1 runtime ")
    assert not directory.exists()


async def test_an_installation_that_fails_says_why(
    start_box: StartBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    async with on(start_box(), tmp_path) as it:
        await it.press("5")
        await it.sees("llama.cpp")
        assert "l Log" not in it.text
        await it.press("i")
        await it.sees("Install an engine", "needs a C++ compiler", "vllm")
        await it.press("enter")
        await it.sees("✗ no C++ compiler was found", "hint: Debian, Ubuntu: apt install")
        await it.press("escape")
        await it.sees("✗ the installation of llama.cpp failed", "l Log")
        await it.press("l")
        await it.sees("✗ no C++ compiler was found")


async def test_an_installation_is_left_found_again_and_stopped(
    start_box: StartBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "bin" / "c++"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{compiler.parent}:/bin")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # pip asks it for the sources, and it never answers.
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        box = start_box()
        async with on(box, tmp_path) as it:
            await it.press("5")
            await it.sees("llama.cpp")
            await it.press("i", "enter")
            await it.sees("◐ installing llama.cpp", "Looking in indexes", "x Stop")
            await it.press("escape")
            await it.sees("◐ installing llama.cpp", "1 runtime")
            await it.press("1", "5", "l")
            await it.sees("building for the CPU", "Looking in indexes")
            await it.press("x")
            await it.sees("Stop installing llama.cpp", "is lost")
            await it.press("y")
            await it.sees("✗ stopped after")
            unfinished = box.paths.engines / "llama.cpp" / ".unfinished"
            await it.until(lambda: not unfinished.exists(), what="nothing of it stays")
            await it.press("escape")
            await it.sees("✗ the installation of llama.cpp was stopped")
