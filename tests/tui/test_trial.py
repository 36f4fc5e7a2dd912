from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from hydra_box.messages import DeployRequest, ServiceView
from hydra_box.types import Modality, ServiceStatus
from tests.conftest import DemoBox, StartBox
from tests.tui.conftest import OpenConsole
from tests.tui.harness import LARGE, SMALL
from tests.tui.trial_box import Trial, open_trial
from tests.waiting import eventually
from tui.screens.trial import TrialScreen
from tui.trial.history import Keeper, Shelf
from tui.widgets.trial_field import TrialField

OpenTrial = Callable[..., AbstractAsyncContextManager[Trial]]

FIGURES = re.compile(
    r"\d+ \+ \d+ tokens, TTFT [\d.]+ m?s, [\d,.]+ tokens/s, context \d+ of 2,048 \(2 %\)"
)


@pytest.fixture
def trial(box: DemoBox, tmp_path: Path) -> OpenTrial:
    """Opens the trial of ``demo``, or of another service, on the shared box."""

    def open_one(
        service: ServiceView | None = None, **options: Any
    ) -> AbstractAsyncContextManager[Trial]:
        socket = box.running.paths.management_socket
        view = service or box.service
        return open_trial(socket, tmp_path / "console", view.id, **options)

    return open_one


@pytest.fixture
def second(box: DemoBox) -> Iterator[ServiceView]:
    """Another service of the demo model."""
    view = box.running.deploy(DeployRequest(model="demo", name="second"))
    yield view
    client = box.running.client
    client.delete(view.name, view.name)
    eventually(
        lambda: view.id not in {one.id for one in client.services()}, what="second is deleted"
    )


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_question_is_answered_and_measured(trial: OpenTrial, size: tuple[int, int]) -> None:
    async with trial(size=size) as one:
        await one.ask("What is Hydra Box?")
        (answer,) = await one.answered()
        text = await one.it.sees("What is Hydra Box?", "appliance", "%)")
        assert FIGURES.search(" ".join(text.split()))
        assert answer.prompt_tokens == 14
        assert one.field.text == ""
        for key in ("^r Again", "^b Edit", "^g Compare", "^o Setup", "f2 curl", "f1 Help"):
            assert key in text.splitlines()[-1]
        assert ("temperature" in text) is (size == LARGE)


async def test_stopping_ends_at_once_and_what_came_stays(trial: OpenTrial) -> None:
    async with trial() as one:
        one.gate.only(30)
        await one.ask("Tell me a story.")
        await one.it.until(lambda: one.gate.holds, what="thirty chunks have come")
        await one.it.sees("Once upon a time", "^c Stop", "about 2")
        await one.it.press("escape")
        (answer,) = one.answers
        assert answer.stopped
        assert answer.content.startswith("Once upon a time")
        text = await one.it.sees("stopped, about 2", "Once upon a time")
        assert "^c Stop" not in text
        one.gate.only(10)
        await one.ask("Tell me a story.")
        await one.it.sees("◐")
        await one.it.press("ctrl+c")
        assert not one.screen._asking.busy
        assert one.screen.is_current
        one.gate.open()
        await one.ask("What is Hydra Box?")
        assert "appliance" in (await one.answered())[0].content
        await one.it.press("escape")
        assert not one.screen.is_attached


async def test_regenerate_takes_the_place_of_the_last_answer(trial: OpenTrial) -> None:
    async with trial() as one:
        one.gate.only(10)
        await one.ask("What is Hydra Box?")
        await one.it.until(lambda: any(one.screen._asking.texts().values()), what="it streams")
        await one.it.press("ctrl+c")
        one.gate.open()
        await one.it.press("ctrl+r")
        (answer,) = await one.answered()
        assert not answer.stopped
        assert answer.prompt_tokens == 14
        text = await one.it.sees("API.", "tokens/s")
        assert text.count("What is Hydra Box?") == 1


async def test_the_last_question_can_be_edited_and_sent_again(trial: OpenTrial) -> None:
    async with trial() as one:
        await one.ask("What is 2+2")
        await one.answered()
        await one.it.type("a draft")
        await one.it.press("ctrl+b")
        await one.it.sees("enter asks this in its place")
        assert one.field.text == "What is 2+2"
        await one.it.press("escape")
        assert one.field.text == "a draft"
        await one.it.press(*["backspace"] * len("a draft"), "ctrl+b")
        await one.it.press(*["backspace"] * len("2+2"))
        await one.ask("Hydra Box?")
        (answer,) = await one.answered()
        assert answer.prompt_tokens == 14
        text = await one.it.sees("appliance")
        assert "2+2" not in text
        assert len(one.screen._conversation.turns) == 1


async def test_up_recalls_and_new_lines_do_not_send(trial: OpenTrial) -> None:
    async with trial() as one:
        await one.ask("hello!")
        await one.answered()
        await one.ask("What is Hydra Box?")
        await one.answered()
        await one.it.press("up")
        assert one.field.text == "What is Hydra Box?"
        await one.it.press("up")
        assert one.field.text == "hello!"
        await one.it.press("down", "down")
        assert one.field.text == ""
        await one.it.press("a", "ctrl+j", "b", "shift+enter", "c", "up")
        assert one.field.text == "a\nb\nc"
        assert len(one.screen._conversation.turns) == 2


async def test_settings_are_checked_while_typed_and_asked_for(trial: OpenTrial) -> None:
    async with trial() as one:
        await one.it.press("ctrl+o")
        await one.it.sees("system prompt", "temperature")
        await one.it.type("You are short.")
        await one.it.press("tab", "3")
        await one.it.sees("temperature '3' is no number", "hint: 0 is always")
        await one.it.press("escape")
        await one.ask("What is Hydra Box?")
        await one.it.sees("not sent: temperature '3'")
        assert one.field.text == "What is Hydra Box?"
        await one.it.press("ctrl+o")
        await one.it.press("backspace", "0", "tab", "tab", "5", "escape", "enter")
        (answer,) = await one.answered()
        assert answer.completion_tokens == 5
        assert answer.prompt_tokens is not None
        assert answer.prompt_tokens > 14
        await one.it.sees("longest length")


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_two_services_answer_side_by_side(
    trial: OpenTrial, second: ServiceView, size: tuple[int, int]
) -> None:
    async with trial(size=size) as one:
        await one.it.press("ctrl+g")
        await one.it.sees("Compare with", "[ ] second")
        await one.it.press(*["j"] * _row(one, "second"), "space")
        await one.it.sees("[x] second")
        await one.it.press("enter")
        await one.it.sees("beside second")
        await one.ask("What is Hydra Box?")
        answers = await one.answered(2)
        assert [each.access_name for each in answers] == [
            one.screen._columns()[0].access_name,
            second.access_name,
        ]
        assert all("appliance" in each.content and each.ttft_seconds for each in answers)
        text = await one.it.sees("TTFT")
        assert re.search(r"^ *demo +second *", text, re.MULTILINE)
        await one.it.until(lambda: one.it.text.count("14 + ") == 2, what="both have figures")
        await one.it.press("ctrl+y")
        assert one.copied.count("## u-") == 2


def _row(one: Trial, name: str) -> int:
    return [view.name for view in one.screen._others()].index(name)


async def test_history_and_draft_survive_and_another_can_be_opened(trial: OpenTrial) -> None:
    async with trial() as one:
        await one.ask("hello!")
        await one.answered()
        await one.it.press("ctrl+l")
        await one.it.sees("Nothing has been said")
        await one.ask("What is Hydra Box?")
        await one.answered()
        await one.it.type("half a qu")
    async with trial() as one:
        text = await one.it.sees("What is Hydra Box?", "appliance", "tokens/s", "half a qu")
        assert "hello!" not in text
        await one.it.press("ctrl+n")
        await one.it.sees("+ a new conversation", "hello!", "1 question")
        await one.it.press("j", "j", "enter")
        await one.it.until(
            lambda: one.screen._conversation.prompts == ("hello!",), what="the older one is open"
        )
        assert one.field.text == "half a qu"
        await one.it.press("ctrl+n")
        await one.it.sees("Conversations")
        await one.it.press("j", "x", "escape")
        await one.it.sees("Nothing has been said")
        assert [each.prompts for each in one.screen._shelf.conversations] == [
            ("What is Hydra Box?",)
        ]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_the_curl_command_runs(box: DemoBox, trial: OpenTrial) -> None:
    async with trial() as one:
        await one.it.type("Say this is a test! It's")
        await one.it.press("f2")
        await one.it.sees("curl -N", "$HYDRA_BOX_API_KEY")
        command = one.copied
    assert box.url in command
    ran = subprocess.run(  # noqa: ASYNC221 - nothing else happens
        ["bash", "-c", command],
        env={**os.environ, "HYDRA_BOX_API_KEY": box.key},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    *_, usage, done = [line for line in ran.stdout.splitlines() if line]
    assert done == "data: [DONE]"
    assert json.loads(usage.removeprefix("data: "))["usage"]["completion_tokens"] > 0


async def test_copy_takes_the_answer_as_it_was_written(trial: OpenTrial) -> None:
    async with trial() as one:
        await one.it.press("ctrl+y")
        await one.it.sees("there is no answer yet to copy")
        await one.ask("What is Hydra Box?")
        (answer,) = await one.answered()
        await one.it.press("ctrl+y")
        assert one.copied == answer.content


async def test_an_image_needs_a_model_that_sees(trial: OpenTrial, tmp_path: Path) -> None:
    picture = tmp_path / "dot.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(32))
    async with trial() as one:
        await one.it.press("ctrl+f")
        await one.it.sees("demo sees no images: its model takes text only", "hint:")
    async with trial(modality=Modality.VISION) as one:
        await one.it.sees("ctrl+f: image")
        await one.it.press("ctrl+f")
        await one.it.sees("Image for the next question")
        await one.it.type("/none.png")
        await one.it.press("enter")
        await one.it.sees("there is no file /none.png")
        await one.it.press("ctrl+u")
        one.it.screen.query_one("Input").value = str(picture)  # type: ignore[attr-defined]
        await one.it.press("enter")
        await one.it.sees("▣ dot.png, 40 B")
        await one.it.type("what is this?")
        await one.it.press("f2")
        await one.it.sees("curl -N")
        assert '"url": "data:image/png;base64,iVBORw0K' in one.copied
        await one.it.press("escape", "enter")
        (answer,) = await one.answered()
        assert answer.problem is not None
        await one.it.sees("▣ dot.png", "✗", "ctrl+r sends it again")


async def test_a_stopped_service_keeps_the_text_and_is_asked_once_it_runs(
    box: DemoBox, trial: OpenTrial, second: ServiceView
) -> None:
    async with trial(second) as one:
        box.running.client.stop(second.name)
        await one.it.sees("second is STOPPED", "hint: space starts it")
        await one.ask("What is Hydra Box?")
        await one.it.sees("not sent: second is STOPPED")
        assert one.field.text == "What is Hydra Box?"
        box.running.client.start(second.name)
        await one.it.until(
            lambda: one.screen._view().status is ServiceStatus.RUNNING,  # type: ignore[union-attr]
            what="it runs",
        )
        await one.it.press("enter")
        assert "appliance" in (await one.answered())[0].content


async def test_a_service_that_is_gone_is_told_and_the_text_stays(
    box: DemoBox, trial: OpenTrial
) -> None:
    doomed = box.running.deploy(DeployRequest(model="demo", name="doomed"))
    async with trial(doomed) as one:
        await one.ask("hello!")
        await one.answered()
        box.running.client.delete(doomed.name, doomed.name)
        await one.it.sees("doomed is gone", "hello!")
        await one.ask("still there?")
        await one.it.sees("not sent: doomed is gone")
        assert one.field.text == "still there?"


async def test_a_lost_daemon_takes_neither_text_nor_answer(
    start_box: StartBox, tmp_path: Path
) -> None:
    box = start_box()
    view = box.deploy(DeployRequest(model="demo", name="demo"))
    socket = box.paths.management_socket
    async with open_trial(socket, tmp_path / "console", view.id, size=LARGE) as one:
        one.gate.only(20)
        await one.ask("Tell me a story.")
        await one.it.until(lambda: one.gate.holds, what="twenty chunks have come")
        await one.it.sees("Once upon a time")
        await one.it.type("next question")
        box.process.kill()
        box.process.wait()
        one.gate.break_off()
        await one.answered()
        await one.it.sees("✗ the connection to", "hint:", "ctrl+r sends it again")
        await one.it.press("ctrl+r")
        await one.answered()
        await one.it.sees("no daemon answers", "Once upon a time")
        assert one.answers[0].content.startswith("Once upon a time")
        assert one.field.text == "next question"
        start_box()
        await one.it.until(
            lambda: one.it.console.session.state.lost_at is None and not one.screen._obstacle(),
            what="it is back",
        )
        await one.it.press("ctrl+r")
        (answer,) = await one.answered()
        assert answer.problem is None
        assert answer.content.endswith("The end.")
        assert one.field.text == "next question"


async def test_a_question_sent_before_the_conversation_is_open_is_asked_then(
    open_console: OpenConsole, box: DemoBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_read = threading.Event()
    read = Keeper.read

    def late(self: Keeper) -> Shelf:
        may_read.wait(30)
        return read(self)

    monkeypatch.setattr(Keeper, "read", late)
    async with open_console() as it:
        await it.sees("● RUNNING")
        it.console.push_screen(TrialScreen(box.service.id))
        await it.sees("Ask something")
        await it.type("hello")
        await it.press("enter")
        field = it.screen.query_one(TrialField)
        assert field.text == "hello"
        may_read.set()
        await it.sees("TTFT", "context")
        await it.until(lambda: not field.text, what="it is sent")
