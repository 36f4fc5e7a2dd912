"""Services that sleep, and those that upstreams serve, as the console shows them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from hydra_box.messages import DeployRequest, ServiceView, UpstreamRequest
from hydra_box.types import ServiceStatus
from tests.conftest import DemoBox
from tests.tui import still_life, still_maas
from tests.tui.conftest import OpenConsole
from tests.tui.harness import LARGE, SMALL
from tests.tui.test_deploy import form, to_field, to_options, without
from tests.tui.test_scale import select
from tests.waiting import eventually
from tui.screens.edit import EditScreen
from tui.screens.home import HomeScreen
from tui.screens.service import ServiceScreen
from tui.widgets.deployment_steps import is_ready, steps
from tui.widgets.service_words import model, served, terms
from tui.words import ready, status

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE])


def test_who_serves_in_words() -> None:
    assert served(still_life.service("chat")) == (
        "qwen3-8b Q4_K_M on llama.cpp, 8 slots of 8,192 tokens"
    )
    assert served(still_maas.of_upstreams()) == "deepseek-r1 from 2 upstreams"
    assert model(still_maas.beside()) == "qwen3-8b Q4_K_M on llama.cpp beside 1 upstream"
    assert list(terms(still_maas.asleep())) == ["of mary", "sleeps after 15m"]
    assert list(terms(still_maas.beside())) == []


def test_how_many_serve_and_who_sleeps() -> None:
    views = (still_maas.of_upstreams(), still_maas.beside(), still_maas.asleep())
    assert [ready(view) for view in views] == ["1/2", "1/1+1/1", "0/1"]
    assert [status(view) for view in views] == ["● RUNNING", "● RUNNING", "◔ asleep"]
    assert status(still_maas.waking()) == "◐ DEPLOYING"


@pytest.mark.parametrize(
    ("view", "mark", "answers"),
    [
        (still_maas.of_upstreams(), "●", True),
        (still_maas.of_upstreams(status=ServiceStatus.FAILED, upstreams=()), "✗", False),
        (still_maas.of_upstreams(status=ServiceStatus.STOPPED), "○", False),
    ],
)
def test_the_one_step_of_a_service_of_upstreams(
    view: ServiceView, mark: str, *, answers: bool
) -> None:
    (step,) = steps(view, None)
    assert (step.title, step.mark.value) == ("Upstreams", mark)
    assert is_ready(view) is answers


@pytest.fixture
def remote(box: DemoBox) -> Iterator[ServiceView]:
    """A public service whose upstream is this very box."""
    client = box.running.client
    with without(client, "remote"):
        one = UpstreamRequest(
            base_url=f"{box.url}/v1",
            model=box.service.access_name,
            api_key=box.key,
            allow_private=True,
        )
        request = DeployRequest(model="far-away", name="remote", public=True, upstreams=(one,))
        view = client.deploy(request)
        eventually(
            lambda: client.service(view.id).status is ServiceStatus.RUNNING, what="it is RUNNING"
        )
        yield client.service(view.id)


@BOTH
async def test_a_service_of_upstreams_has_its_page_and_no_instances(
    open_console: OpenConsole, box: DemoBox, remote: ServiceView, size: tuple[int, int]
) -> None:
    (upstream,) = remote.upstreams
    async with open_console(size=size) as it:
        await select(it, remote.name)
        await it.sees("far-away from 1 upstream", "1/1", "● healthy", upstream.base_url)
        for key in ("s", "e"):
            await it.press(key)
        await it.hears("upstreams alone", times=2)
        assert isinstance(it.screen, HomeScreen)
        await it.press("enter")
        await it.sees(
            "Owner               local; any user's keys may call it",
            "Upstreams           1, 1 healthy",
            "none here: its upstreams answer",
            f"{upstream.id}, weight 1, with a key, asked",
        )
        assert "slot" not in it.text
        await it.press("s", "e")
        assert isinstance(it.screen, ServiceScreen)
        await it.press("t")
        await it.sees("far-away from 1 upstream", "Ask something")
        await it.type("hi")
        await it.press("enter")
        await it.sees("TTFT", "tokens/s")
        await it.press("escape", "escape")
        await it.press("x")
        await it.sees("and its upstream is", "with its key")


@pytest.fixture
def sleeper(box: DemoBox) -> Iterator[ServiceView]:
    """A service that sleeps already."""
    client = box.running.client
    with without(client, "sleeper"):
        request = DeployRequest(
            model="demo", name="sleeper", device="cpu", idle_timeout_seconds=1.0
        )
        view = client.deploy(request)
        eventually(lambda: client.service(view.id).asleep, what="it sleeps")
        yield client.service(view.id)


@BOTH
async def test_space_wakes_what_sleeps(
    open_console: OpenConsole, box: DemoBox, sleeper: ServiceView, size: tuple[int, int]
) -> None:
    client = box.running.client
    async with open_console(size=size) as it:
        await select(it, sleeper.name)
        await it.sees("◔ asleep", "sleeps after 1s", "nobody called it for 1s", "or space")
        await it.press("space")
        await it.hears("sleeper wakes")
        told = partial(client.recent_events, service=sleeper.id)
        await it.until(
            lambda: "service.waking" in [one.kind for one in told()], what="the event is stored"
        )
    assert client.service(sleeper.id).status is not ServiceStatus.STOPPED


async def test_an_idle_timeout_is_edited_and_no_instance_is_replaced(
    open_console: OpenConsole, box: DemoBox, sleeper: ServiceView
) -> None:
    client = box.running.client
    async with open_console() as it:
        await it.sees(sleeper.name)
        it.console.push_screen(EditScreen(sleeper.id))
        await it.sees("Edit sleeper", "Idle timeout 1s", "enter or F5")
        it.screen.query_one("#idle_timeout_seconds").focus()
        await it.press("end", "backspace", "backspace")
        await it.type("2")
        await it.sees("Idle timeout: '2' is no time", "hint: type 90s")
        await it.type("h")
        await it.sees("enter or F5", "nothing runs now")
        await it.press("f5")
        await it.until(lambda: isinstance(it.screen, HomeScreen), what="edited and left")
        assert client.service(sleeper.id).idle_timeout_seconds == 7200.0
        await it.hears("nothing is replaced")
        it.console.push_screen(EditScreen(sleeper.id))
        await it.sees("Idle timeout 2h", "enter or F5")
        it.screen.query_one("#idle_timeout_seconds").focus()
        await it.press("end", "backspace", "backspace")
        await it.type("never")
        await it.sees("enter or F5")
        await it.press("f5")
        await it.until(lambda: isinstance(it.screen, HomeScreen), what="edited and left again")
        # What never sleeps has to be awake.
        (instance,) = box.running.wait_running(sleeper.name).instances
        it.console.push_screen(EditScreen(sleeper.id))
        await it.sees("Idle timeout never", "its instance is replaced", "enter or F5")
        it.screen.query_one("#idle_timeout_seconds").focus()
        await it.press("end", "ctrl+u")
        await it.type("1h")
        await it.sees("enter or F5", "for this no instance is replaced")
        await it.press("f5")
        await it.until(lambda: isinstance(it.screen, HomeScreen), what="edited and left at last")
    view = client.service(sleeper.id)
    assert (view.idle_timeout_seconds, view.instances[0].id) == (3600.0, instance.id)


async def test_a_public_service_with_an_idle_timeout_is_deployed(
    open_console: OpenConsole, box: DemoBox
) -> None:
    client = box.running.client
    with without(client, "shared-idle"):
        async with open_console() as it:
            await to_options(it)
            await to_field(it, "name")
            await it.type("shared-idle")
            await to_field(it, "public")
            await it.press("right")
            await it.sees("◂ every key ▸")
            await to_field(it, "idle_timeout_seconds")
            await it.type("15")
            await it.sees("Idle timeout: '15' is no time", "once that is put right")
            await it.type("m")
            await it.sees("enter or F5")
            assert form(it).options.idle_timeout == "15m"
            await it.press("f5")
            await it.sees("shared-idle is ready")
            await it.press("enter")
            await it.sees("any user's keys may call it", "15m without a request")
        view = client.service("shared-idle")
        assert (view.public, view.idle_timeout_seconds) == (True, 900.0)
