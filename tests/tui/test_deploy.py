from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from textual.widgets import DataTable, Input

import hydra_box
from hydra_box.client import Client
from hydra_box.errors import NotFound
from hydra_box.messages import DeployRequest, DownloadView, ServiceView
from hydra_box.types import (
    DownloadState,
    InstanceState,
    ServiceStatus,
    Transfer,
    WeightFormat,
)
from tests.conftest import DemoBox, StartBox
from tests.tui.conftest import OpenConsole
from tests.tui.harness import LARGE, SMALL, Driven, console
from tests.waiting import eventually
from tui.screens.deploy import DeployScreen, suggested_name
from tui.screens.deployment import DeploymentScreen
from tui.screens.trial import TrialScreen
from tui.widgets.deployment_steps import Mark, is_ready, needs_help, steps
from tui.widgets.plan_candidates import parameters, typed
from tui.widgets.plan_form import PlanForm

DEMO_FILE = next((Path(hydra_box.__file__).parent / "assets" / "demo").glob("*.gguf"))
HUGE = "llama-3.3-70b-instruct"


@contextmanager
def without(client: Client, name: str) -> Iterator[None]:
    """Deletes the service of that name at the end, if there is one."""
    try:
        yield
    finally:
        if any(view.name == name for view in client.services()):
            client.delete(name, name)
            eventually(lambda: gone(client, name), what=f"{name} is deleted")


def gone(client: Client, name: str) -> bool:
    try:
        client.service(name)
    except NotFound:
        return True
    return False


async def to_field(it: Driven, field: str) -> None:
    """Tab to a field, as a person would."""
    for _ in range(15):
        if it.screen.focused is not None and it.screen.focused.id == field:
            return
        await it.press("tab")
    raise AssertionError(f"tab does not lead to {field}")


async def to_options(it: Driven, model: str = "demo") -> None:
    """From Home to the options of a model, with its plan."""
    await it.sees("CPU and RAM")
    await it.press("d")
    await it.sees("demo", "ON DISK")
    if model != "demo":
        await it.press("slash")
        await it.type(model)
    await it.press("enter")
    await it.sees(f"Deploy {model}", "why")


async def planned(it: Driven) -> None:
    """Until the plan is of what the form says, and not of what it said before."""
    screen = it.screen
    assert isinstance(screen, DeployScreen)
    await it.until(lambda: screen._planned == form(it).options, what="the plan is of the form")


def form(it: Driven) -> PlanForm:
    return it.screen.query_one(PlanForm)


def rows(it: Driven) -> list[str]:
    """The names of the models that are shown."""
    table = it.screen.query_one(DataTable)
    return [str(table.get_row_at(index)[0]) for index in range(table.row_count)]


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_from_home_to_a_running_demo_in_three_keys(
    open_console: OpenConsole, box: DemoBox, size: tuple[int, int]
) -> None:
    client = box.running.client
    async with open_console(size=size) as it:
        await it.sees("CPU and RAM", "RUNNING")
        await it.press("d")
        await it.sees("MODEL", "SIZE", "FITS", "ENGINE", "ON DISK", "org/repo", "2.6M")
        assert rows(it)[0] == "demo"
        await it.press("enter")
        text = await it.sees("Deploy demo", "demo fits: llama.cpp Q8_0", "auto: 2,048", "F5")
        for words in ("nothing to download", "now  ", "then ", "this plan", "weights", "why"):
            assert words in text
        name = form(it).query_one("#name", Input).placeholder
        assert name not in {view.name for view in client.services()}
        with without(client, name):
            await it.press("enter")
            await it.sees(f"{name} is ready", "● Files", "● Start", "● Load", "● Ready")
            await it.sees(f"{name} is to serve demo", f"{name} is RUNNING", "t ask it something")
            assert client.service(name).status is ServiceStatus.RUNNING
            await it.press("u")
            await it.sees("curl 'http://", "/v1/chat/completions", client.service(name).access_name)
            await it.press("t")
            await it.until(lambda: isinstance(it.screen, TrialScreen), what="the trial")
            await it.press("escape")
            await it.until(lambda: isinstance(it.screen, DeploymentScreen), what="back")
            await it.press("escape")
            await it.sees("NAME", "STATUS", name)
            assert it.console.current_mode == "services"
            assert len(it.console.screen_stack) == 1


async def test_search_and_filters_leave_what_was_asked_for(open_console: OpenConsole) -> None:
    async with open_console() as it:
        await it.sees("CPU and RAM")
        await it.press("d")
        await it.sees("demo", "ON DISK")
        everything = len(rows(it))
        await it.press("slash")
        await it.type("rerank")
        assert rows(it)
        assert all("rerank" in name for name in rows(it))
        await it.press("escape")
        assert len(rows(it)) == everything
        await it.press("m", "m", "m")
        await it.sees("modality ◂ embedding ▸", "bge-m3")
        assert "demo" not in rows(it)
        await it.press("z")
        await it.sees("size ◂ up to 4B ▸")
        small = rows(it)
        await it.press("z", "z", "z")
        await it.sees("size ◂ over 40B ▸")
        assert not set(small) & set(rows(it))
        await it.press("z", "m", "m", "m", "f", "f")
        await it.sees("fits ◂ no ▸", "modality ◂ any ▸", "✗ no")
        assert "demo" not in rows(it)
        assert len(rows(it)) < everything


async def test_hub_names_and_paths_are_offered_as_typed(open_console: OpenConsole) -> None:
    async with open_console() as it:
        await it.sees("CPU and RAM")
        await it.press("d")
        await it.sees("demo", "ON DISK")
        await it.press("slash")
        await it.type("Qwen/Qwen3-8B")
        await it.sees("hf:Qwen/Qwen3-8B", "Enter asks the hub")
        assert rows(it)[0] == "hf:Qwen/Qwen3-8B"
        assert "qwen3-8b" in rows(it)
        await it.press("enter")
        await it.sees("cannot be reached", "hint: check the network")
        assert it.screen.query_one("#search", Input).value == "Qwen/Qwen3-8B"


async def test_a_path_that_does_not_exist_is_told_where_it_was_typed(
    open_console: OpenConsole,
) -> None:
    async with open_console() as it:
        await it.sees("CPU and RAM")
        await it.press("d")
        await it.sees("demo", "ON DISK")
        await it.press("slash")
        await it.type("/nowhere/model.gguf")
        await it.press("enter")
        await it.sees("there is no file /nowhere/model.gguf", "hint: check the path")
        assert not it.screen.query_one("#options").display
        await it.press("backspace")
        await it.until(lambda: "there is no file" not in it.text, what="the error is dropped")


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_name_that_is_taken_or_wrong_is_told_while_typing(
    open_console: OpenConsole, box: DemoBox, size: tuple[int, int]
) -> None:
    before = {view.id for view in box.running.client.services()}
    async with open_console(size=size) as it:
        await to_options(it)
        await to_field(it, "name")
        await it.type("demo")
        await it.sees("Name: the name 'demo' is taken", "hint:", "once that is put right")
        assert form(it).query_one("#name").has_class("-invalid")
        await it.press("f5")
        await it.sees("is taken")
        await it.type(" A")
        await it.sees("the service name 'demo A'", "lower-case letters")
        await it.press("backspace", "backspace")
        await it.type("-of-mine")
        await it.sees("enter or F5")
        assert "Name:" not in it.text
        assert not form(it).query_one("#name").has_class("-invalid")
    assert {view.id for view in box.running.client.services()} == before


async def test_what_does_not_fit_shows_what_would_and_one_key_takes_it(
    open_console: OpenConsole, box: DemoBox
) -> None:
    async with open_console() as it:
        await to_options(it, HUGE)
        await to_field(it, "instances")
        await it.type("64")
        await to_field(it, "context_length")
        await it.type("131072")
        await to_field(it, "concurrency")
        await it.type("256")
        await it.sees(f"✗ {HUGE}", "missing: needs", "what would fit", "once the plan fits")
        await planned(it)
        asked = form(it).options
        # In a field a number is text, and outside of it the alternative.
        await it.press("enter", "1")
        await it.sees("✓ ", "fits: ", "enter or F5")
        assert form(it).options != asked
        assert form(it).options.instances is None
    assert all(view.base_model != HUGE for view in box.running.client.services())


async def test_a_wrong_number_is_told_at_its_field(open_console: OpenConsole) -> None:
    async with open_console() as it:
        await to_options(it)
        await to_field(it, "context_length")
        await it.type("9x9999")
        await it.sees("Context: a context of 99,999 tokens is longer than the 2,048")
        assert form(it).query_one("#context_length").has_class("-invalid")
        await it.press(*["backspace"] * 5)
        await it.type("512")
        await it.sees("4 slots x 512 tokens", "enter or F5")


async def test_an_engine_that_is_not_installed_leads_to_engines(open_console: OpenConsole) -> None:
    async with open_console() as it:
        await to_options(it)
        await to_field(it, "engine")
        await it.press("left")
        await it.sees("◂ vllm ▸", "once vllm is installed", "i opens Engines")
        await it.press("i")
        assert it.console.current_mode == "engines"
        await it.press("1")
        await it.sees("Deploy demo", "◂ vllm ▸")


async def test_escape_goes_back_and_the_options_stay(open_console: OpenConsole) -> None:
    async with open_console() as it:
        await to_options(it)
        await to_field(it, "name")
        await it.type("kept")
        await it.press("escape")
        await it.sees("MODEL", "ON DISK")
        await it.press("enter")
        await it.sees("Deploy demo", "kept")
        await it.press("escape", "escape")
        await it.sees("NAME", "STATUS")


async def test_a_model_that_is_given_starts_at_the_options(open_console: OpenConsole) -> None:
    async with open_console() as it:
        await it.sees("CPU and RAM")
        it.console.push_screen(DeployScreen("demo"))
        await it.sees("Deploy demo", "escape: back", "demo fits")
        await to_field(it, "quantization")
        await it.press("right")
        await it.sees("◂ F16 ▸")
        await it.press("escape")
        await it.sees("NAME", "STATUS")


async def test_what_was_typed_stays_when_the_daemon_is_lost(
    start_box: StartBox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    running = start_box()
    socket = running.paths.management_socket
    async with console(lambda: Client(socket=socket), tmp_path_factory.mktemp("console")) as it:
        await to_options(it)
        await to_field(it, "name")
        await it.type("kept")
        await it.sees("enter or F5")
        running.stop()
        await it.type("-too")
        await it.sees("✗ lost", "kept-too")
        start_box()
        await it.sees("kept-too", "enter or F5")


async def test_a_deployment_that_breaks_says_why_and_r_has_it_go_on(
    open_console: OpenConsole, box: DemoBox, tmp_path: Path
) -> None:
    model = tmp_path / "model.gguf"
    whole = DEMO_FILE.read_bytes()
    model.write_bytes(whole)
    client = box.running.client
    with without(client, "breaks"):
        view = box.running.deploy(DeployRequest(model=str(model), name="breaks"))
        client.stop("breaks")
        eventually(lambda: not client.service("breaks").instances, what="it has stopped")
        model.write_bytes(whole[: len(whole) // 2])
        async with open_console() as it:
            await it.sees("breaks")
            it.console.push_screen(DeploymentScreen(view.id))
            await it.sees("○ STOPPED", "r start it", "r Try again")
            await it.press("r")
            await it.sees("✗ Start", "truncated", "hint: get the file again")
            model.write_bytes(whole)
            await it.sees("breaks is ready", "● Start", "t Trial")
            assert "r Try again" not in it.text


# --- values in, values out -----------------------------------------------------------


def test_what_is_typed_is_recognised() -> None:
    assert typed("demo") is None
    assert typed("llama 8b") is None
    for text, model in (
        ("org/repo", "hf:org/repo"),
        ("hf:org/repo:Q4_K_M", "hf:org/repo:Q4_K_M"),
        ("org/repo:file.gguf@v1", "hf:org/repo:file.gguf@v1"),
        (" /models/a.gguf ", "/models/a.gguf"),
        ("~/a b.gguf", "~/a b.gguf"),
    ):
        found = typed(text)
        assert found is not None
        assert found.model == model


def test_the_suggested_name_is_valid_and_free() -> None:
    assert suggested_name("hf:Org/My_Model.v2-GGUF", ()) == "my-model-v2-gguf"
    assert suggested_name("/models/Qwen2.gguf", {"qwen2", "qwen2-2"}) == "qwen2-3"
    assert suggested_name("x" * 80, ()) == "x" * 56


def test_numbers_of_parameters() -> None:
    assert [parameters(one) for one in (None, 2_623_744, 8_190_735_360, 671_026_404_352)] == [
        "-",
        "2.6M",
        "8.2B",
        "671B",
    ]


def test_the_steps_of_a_deployment(box: DemoBox) -> None:
    ready = box.running.client.service("demo")
    (one,) = ready.instances
    assert marks(ready) == "●●●●"
    deploying = msgspec.structs.replace(
        ready, status=ServiceStatus.DEPLOYING, ready_instances=0, instances=()
    )
    assert marks(deploying) == "●◐○○"

    def with_instance(state: InstanceState, pid: int | None) -> ServiceView:
        instance = msgspec.structs.replace(one, state=state, pid=pid)
        return msgspec.structs.replace(deploying, instances=(instance,))

    assert marks(with_instance(InstanceState.PENDING, None)) == "●◐○○"
    assert marks(with_instance(InstanceState.STARTING, 7)) == "●●◐○"
    assert marks(with_instance(InstanceState.BACKOFF, None)) == "●✗○○"
    assert not needs_help(with_instance(InstanceState.BACKOFF, None))
    stopped = msgspec.structs.replace(deploying, status=ServiceStatus.STOPPED)
    assert marks(stopped) == "●○○○"
    assert needs_help(stopped)
    asleep = msgspec.structs.replace(
        ready, asleep=True, ready_instances=0, instances=(), idle_timeout_seconds=900.0
    )
    assert marks(asleep) == "●●●●"
    assert steps(asleep, None)[1].told == "asleep: nobody called it for 15m"
    assert is_ready(asleep)
    waking = msgspec.structs.replace(one, state=InstanceState.ASLEEP)
    assert marks(msgspec.structs.replace(deploying, instances=(waking,))) == "●●◐○"
    partly = msgspec.structs.replace(ready, status=ServiceStatus.SCALING, desired_instances=2)
    assert marks(partly) == "●●●◐"
    for state, mark, failed in (
        (DownloadState.DOWNLOADING, "◐○○○", False),
        (DownloadState.PAUSED, "✗○○○", True),
    ):
        fetching = msgspec.structs.replace(deploying, download=download(state))
        assert marks(fetching) == mark
        assert needs_help(fetching) is failed


def marks(view: ServiceView) -> str:
    return "".join(Mark(step.mark).value for step in steps(view, None))


def download(state: DownloadState) -> DownloadView:
    return DownloadView(
        id="dl-000000000000",
        model="hf:org/repo",
        repository="org/repo",
        revision="main",
        format=WeightFormat.GGUF,
        quantization="Q8_0",
        state=state,
        files=(),
        transfer=Transfer(done_bytes=1, total_bytes=4),
        created_at=0.0,
        finished_at=None,
        reason=None,
        services=(),
    )
