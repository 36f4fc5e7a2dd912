from __future__ import annotations

from collections.abc import Iterator

import pytest
from textual.widgets import Input

from hydra_box.errors import NotFound
from hydra_box.messages import DeployRequest, ServiceView
from tests.conftest import DemoBox
from tests.tui.conftest import OpenConsole
from tests.tui.harness import LARGE, SMALL, Driven
from tests.waiting import eventually
from tui.screens.edit import EditScreen
from tui.screens.home import HomeScreen


@pytest.fixture
def service(box: DemoBox) -> Iterator[ServiceView]:
    """A service of this test, deleted at its end."""
    client = box.running.client
    view = box.running.deploy(DeployRequest(model="demo", name="edited", context_length=1024))
    yield view
    client.delete(view.name, view.name)

    def gone() -> bool:
        try:
            client.service(view.id)
        except NotFound:
            return True
        return False

    eventually(gone, what="the service is deleted")


async def open_edit(it: Driven, view: ServiceView) -> None:
    await it.sees(view.name, "RUNNING")
    it.console.push_screen(EditScreen(view.id))
    await it.sees(f"Edit {view.name}", "demo fits", "4 slots x 1,024 tokens")


async def retype(it: Driven, text: str) -> None:
    """Have the field with the keyboard say something else."""
    await it.press("end", *["backspace"] * 6)
    await it.type(text)


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_another_context_length_is_planned_and_applied(
    open_console: OpenConsole, box: DemoBox, service: ServiceView, size: tuple[int, int]
) -> None:
    async with open_console(size=size) as it:
        await open_edit(it, service)
        assert it.screen.query_one("#context_length", Input).value == "1024"
        assert "is replaced" in it.text
        assert "llama.cpp, as it is" in it.text
        await retype(it, "2048")
        await it.sees("4 slots x 2,048 tokens", "enter or F5")
        assert box.running.client.service(service.id).context_length == 1024
        await it.press("f5")
        await it.until(lambda: isinstance(it.screen, HomeScreen), what="edited and left")
        view = box.running.client.service(service.id)
        assert (view.context_length, view.slots) == (2048, service.slots)
        await it.hears("edited is edited")
    running = box.running.wait_running(service.name)
    assert running.instances[0].id != service.instances[0].id


async def test_the_present_device_is_shown_and_can_be_left(
    open_console: OpenConsole, box: DemoBox, service: ServiceView
) -> None:
    client = box.running.client
    async with open_console() as it:
        await open_edit(it, service)
        await it.sees("auto, as it is")
        it.screen.query_one("#device").focus()
        await it.press("right")
        await it.sees("◂ cpu ▸", "enter or F5")
        await it.press("f5")
        await it.until(lambda: client.service(service.id).on_cpu, what="it is tied to the CPU")
        await it.until(lambda: isinstance(it.screen, HomeScreen), what="left")
        view = box.running.wait_running(service.name)
        await open_edit(it, view)
        await it.sees("cpu, as it is")
        it.screen.query_one("#device").focus()
        await it.press("right")
        await it.sees("◂ auto ▸", "enter or F5")
        await it.press("f5")
        await it.until(lambda: not client.service(service.id).on_cpu, what="it is free")
    box.running.wait_running(service.name)


async def test_its_priority_changes_and_no_instance_is_replaced(
    open_console: OpenConsole, box: DemoBox, service: ServiceView
) -> None:
    client = box.running.client
    async with open_console() as it:
        await open_edit(it, service)
        it.screen.query_one("#priority").focus()
        await retype(it, "70")
        await it.sees("for this no instance is replaced", "enter or F5")
        await it.press("f5")
        await it.until(lambda: client.service(service.id).priority == 70, what="it comes earlier")
    assert client.service(service.id).instances[0].id == service.instances[0].id


async def test_what_has_no_revisions_says_so_at_that_field(
    open_console: OpenConsole, service: ServiceView
) -> None:
    async with open_console() as it:
        await open_edit(it, service)
        it.screen.query_one("#revision").focus()
        await it.type("main")
        await it.sees("Revision: demo has no revisions", "once that is put right")


async def test_nothing_changed_changes_nothing(
    open_console: OpenConsole, box: DemoBox, service: ServiceView
) -> None:
    async with open_console() as it:
        await open_edit(it, service)
        await it.press("f5")
        await it.sees("nothing is changed yet")
    view = box.running.client.service(service.id)
    assert view.instances[0].id == service.instances[0].id


async def test_what_is_impossible_is_told_at_its_field(
    open_console: OpenConsole, box: DemoBox, service: ServiceView
) -> None:
    async with open_console() as it:
        await open_edit(it, service)
        await retype(it, "99999")
        await it.sees("Context: a context of 99,999 tokens is longer", "once that is put right")
        await it.press("f5")
        await it.press("escape")
        await it.until(lambda: isinstance(it.screen, HomeScreen), what="left")
    assert box.running.client.service(service.id).context_length == 1024
