from __future__ import annotations

import asyncio
import re
import subprocess

import pytest

from hydra_box.messages import DeployRequest
from tests.conftest import DemoBox
from tests.tui.conftest import OpenConsole
from tests.tui.harness import LARGE, SMALL, Driven
from tests.tui.test_deploy import without
from tui.samples import PLACEHOLDER, samples


async def open_page(it: Driven) -> None:
    await it.sees("demo", "● RUNNING")
    await it.press("enter")
    await it.sees("Basic information")


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_the_page_has_what_the_product_shows(
    open_console: OpenConsole, box: DemoBox, size: tuple[int, int]
) -> None:
    async with open_console(size=size) as it:
        await open_page(it)
        await it.sees(
            "Model service name  demo",
            f"Model access name   {box.service.access_name}",
            f"Model service ID    {box.service.id}",
            "Base model          demo",
            "Instance count      1, 1 ready",
            "Status              ● RUNNING",
            "llama.cpp/bundled",
            "Devices             CPU",
            f"POST {box.url}/v1/chat/completions",
            "● ready",
            "predicted)",
        )
        await it.press("right")
        await it.sees(
            "Authorization: Bearer {API_KEY}", "View my API key", "Security tip", "curl '"
        )
        await it.press("right")
        await it.sees("tokens/s", "1 h ago")
        await it.press("right")
        await it.sees("demo is RUNNING")
        await it.press("right")
        await it.sees("srv")


async def test_a_sample_is_copied_with_one_key_and_runs(
    open_console: OpenConsole, box: DemoBox
) -> None:
    async with open_console() as it:
        await open_page(it)
        await it.press("c")
        curl = it.console.clipboard
        await it.press("p")
        python = it.console.clipboard
        await it.press("n")
        node = it.console.clipboard
        await it.press("y")
    assert it.console.clipboard == box.service.access_name
    assert [one.text for one in samples(box.url, box.service.access_name)] == [curl, python, node]
    curl_answer = await run("bash", "-c", curl.replace(PLACEHOLDER, box.key))
    assert '"chat.completion"' in curl_answer
    # Node's sample is that of the documents, which tests/clients runs.
    assert f"apiKey: '{PLACEHOLDER}'" in node


async def run(*command: str) -> str:
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_stop_and_start_with_one_key(open_console: OpenConsole, box: DemoBox) -> None:
    with without(box.running.client, "pausing"):
        box.running.deploy(DeployRequest(model="demo", name="pausing", device="cpu"))
        async with open_console() as it:
            await it.sees("pausing")
            await it.press("slash")
            await it.type("pausing")
            await it.press("enter", "enter")
            await it.sees("Model service name  pausing")
            await it.press("space")
            await it.sees("○ STOPPED")
            await it.press("space")
            await it.sees("● RUNNING")
            await it.press("escape")
            await it.sees("BASE MODEL")


async def test_the_log_is_searched_and_its_levels_chosen(open_console: OpenConsole) -> None:
    async with open_console() as it:
        await open_page(it)
        await it.press("slash")
        await it.sees("srv")
        await it.type("no such words")
        await it.until(lambda: "srv" not in it.text, what="nothing has the words")
        await it.press("escape")
        await it.sees("srv")


async def test_help_lists_the_keys_of_the_screen(open_console: OpenConsole) -> None:
    async with open_console() as it:
        await open_page(it)
        await it.press("question_mark")
        text = await it.sees("Keys", "copy the access name", "Everywhere")
        assert re.search(r"\bt\s+Trial", text)
        await it.press("escape")
        await it.sees("Basic information")


def test_the_python_sample_is_python() -> None:
    _, python, _ = samples("http://127.0.0.1:4937", "u-1100a15812cc/demo")
    compile(python.text, "sample", "exec")
