"""The models on the disks, what is on its way there, and what is asked before they go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from textual.widgets import Input

from hydra_box.catalog import DEMO_MODEL
from hydra_box.client import Client
from hydra_box.messages import DeployRequest, ImportRequest, PullRequest, StoredModelView
from hydra_box.types import DownloadState, StoredAs
from tests.boxes import RunningBox
from tests.conftest import StartBox
from tests.e2e import hubs
from tests.fakes.hub import FakeHub
from tests.models.other_stores import ollama_model
from tests.models.tiny_gguf import write_tiny_gguf
from tests.tui.harness import LARGE, SMALL, Driven, console
from tests.waiting import eventually
from tui.screens.deploy import DeployScreen
from tui.screens.models import ModelsScreen
from tui.screens.models_confirm import ConfirmDialog
from tui.screens.models_pull import PullDialog
from tui.widgets.models_table import LibraryTable

Q8 = f"hf:{hubs.GGUF}:Q8_0"
BIG = f"hf:{hubs.BIG}:F32"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with FakeHub(tmp_path / "hub") as fake:
        hubs.fill(fake)
        yield fake


@pytest.fixture
def box(
    start_box: StartBox, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> RunningBox:
    for name, value in hubs.environ(hub, tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    return start_box()


def on(
    box: RunningBox, directory: Path, *, size: tuple[int, int] = SMALL
) -> AbstractAsyncContextManager[Driven]:
    def connect() -> Client:
        return Client(socket=box.paths.management_socket)

    return console(connect, directory / "console", size=size)


def pulled(box: RunningBox, model: str) -> str:
    """Have a model on the disk; its id in the library."""
    id = box.client.pull(PullRequest(model=model)).id
    eventually(lambda: box.client.download(id).state is DownloadState.DONE, what=f"{model} is here")
    return next(one.id for one in box.client.library() if one.name == model)


def is_there(view: StoredModelView) -> bool:
    return Path(view.path).exists()


def damage(view: StoredModelView) -> None:
    file = Path(view.path)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_model_is_pulled_by_its_name(
    box: RunningBox, tmp_path: Path, size: tuple[int, int]
) -> None:
    async with on(box, tmp_path, size=size) as it:
        await it.press("2")
        await it.sees("No models on this machine's disks yet", "p  pulls one", "i  imports")
        await it.press("p")
        await it.sees("Pull a model", "models of the catalog")
        await it.type(f"hf:{hubs.GGUF}")
        await it.press("tab", *"Q8", "underscore", "0", "enter")
        await it.sees("Library: 1 model", Q8, "● done", "100 %", "none is under way")
        (view,) = box.client.library()
        it.screen.query_one(LibraryTable).focus()
        text = await it.sees("repository", "in the hub's cache", "tiny-Q8_0.gguf", "SHA-256")
        assert (view.revision or "")[:12] in text
        assert ("KEPT" in text) == (size == LARGE)
        await it.press("enter")
        await it.sees(view.revision or "", view.files[0].digest or "")
        await it.press("y")
        assert it.console.clipboard == view.path


async def test_the_catalog_helps_to_name_a_model(box: RunningBox, tmp_path: Path) -> None:
    async with on(box, tmp_path) as it:
        await it.press("2", "p")
        await it.sees("of the catalog")
        await it.type("qwen3-0")
        text = await it.sees("qwen3-0.6b", "1 of ")
        assert "qwen3-14b" not in text
        await it.press("down", "enter")
        await it.sees("on offer", "Q8_0")
        assert it.screen.query_one("#model", Input).value == "qwen3-0.6b"


async def test_what_was_typed_stays_when_it_is_refused(box: RunningBox, tmp_path: Path) -> None:
    async with on(box, tmp_path) as it:
        await it.press("2", "p", "enter")
        await it.sees("which model?")
        await it.type("hf:org/nothing")
        await it.press("enter")
        await it.sees("has no repository org/nothing", "hint:", "hf:org/nothing")
        box.process.kill()
        box.process.wait()
        await it.press("enter")
        await it.sees("no daemon answers", "hf:org/nothing")
        assert isinstance(it.screen, PullDialog)


async def test_a_download_moves_is_paused_resumed_and_cancelled(
    box: RunningBox, hub: FakeHub, tmp_path: Path
) -> None:
    size = hubs.add_big(hub).stat().st_size
    hub.bytes_per_second = 500_000
    async with on(box, tmp_path) as it:
        await it.press("2")
        await it.sees("No models")
        id = box.client.pull(PullRequest(model=BIG)).id
        await it.sees("◐ downloading", "1 under way", "MiB/s", "space Pause/resume", "x Cancel")
        screen = it.screen
        assert isinstance(screen, ModelsScreen)
        shown = screen._lists.downloads[id].transfer.done_bytes
        later = await it.until(
            lambda: max(0, screen._lists.downloads[id].transfer.done_bytes - shown),
            what="events move it",
        )
        assert 0 < later < size
        await it.press("space")
        await it.sees("○ paused", "what has arrived is kept")
        assert box.client.download(id).state is DownloadState.PAUSED
        await it.press("space")
        await it.sees("◐ downloading")
        await it.press("x")
        await it.sees("Cancel the download", "What has arrived of", "82.1")
        await it.press("escape")
        assert box.client.download(id).state is not DownloadState.PAUSED
        await it.press("x", "y")
        await it.sees("No models on this machine's disks yet")
        assert box.client.downloads() == ()


async def test_why_a_download_failed(box: RunningBox, hub: FakeHub, tmp_path: Path) -> None:
    file = hubs.add_big(hub)
    hub.bytes_per_second = 500_000
    box.client.pull(PullRequest(model=BIG))
    async with on(box, tmp_path) as it:
        await it.press("2")
        await it.sees("◐ downloading")
        await it.press("space")
        await it.sees("○ paused")
        with file.open("ab") as changed:
            changed.write(b"another commit")
        await it.press("space")
        text = await it.sees("✗ failed", "! ")
    (view,) = box.client.downloads()
    fact = (view.reason or "").partition("; hint: ")[0]
    assert fact[:40] in text


async def test_damage_is_found(box: RunningBox, tmp_path: Path) -> None:
    pulled(box, Q8)
    (view,) = box.client.library()
    async with on(box, tmp_path) as it:
        await it.press("2")
        await it.sees(Q8, "v Verify")
        await it.press("v")
        await it.hears(f"{Q8} is whole")
        damage(view)
        await it.press("v")
        await it.sees("✗ problem", "! the SHA-256 of tiny-Q8_0.gguf")
        await it.hears(f"{Q8} is damaged")


async def test_what_another_client_does_shows_by_itself(box: RunningBox, tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "some.gguf")
    async with on(box, tmp_path) as it:
        await it.press("2")
        await it.sees("No models on this machine's disks yet")
        request = ImportRequest(path=str(file), name="mine", copy=True)
        view = box.client.import_model(request)
        await it.sees("Library: 1 model", "mine")
        box.client.verify_model("mine")
        damage(view)
        assert "problem" not in it.text
        assert box.client.verify_model("mine").problem
        await it.sees("✗ problem", "! the SHA-256 of")
        box.client.remove_model("mine")
        await it.sees("No models on this machine's disks yet")


async def test_a_model_goes_when_no_service_uses_it(box: RunningBox, tmp_path: Path) -> None:
    pulled(box, Q8)
    box.deploy(DeployRequest(model=Q8, name="tiny", context_length=256))
    (view,) = box.client.library()
    async with on(box, tmp_path) as it:
        await it.press("2")
        await it.sees(Q8, "tiny; last started:")
        await it.press("x")
        await it.hears("is served by tiny and cannot be removed")
        assert isinstance(it.screen, ModelsScreen)
        box.client.delete("tiny", "tiny")
        await it.sees("none; last started:")
        await it.press("x")
        await it.sees(f"Remove {Q8}", "2.7 MiB in 1 file are deleted", "pulled again")
        await it.press("x", "escape")
        assert is_there(view)
        await it.press("x", "y")
        # Only the line of the download is left, and it may go, too.
        await it.sees("Library: 0 models", "● done")
        await it.hears("2.7 MiB are free again")
        assert not is_there(view)
        await it.press("x")
        await it.sees("Take the download off the list")
        await it.press("y")
        await it.sees("No models on this machine's disks yet")


async def test_what_another_program_has_is_imported_in_place(
    box: RunningBox, tmp_path: Path
) -> None:
    blob = ollama_model(tmp_path / "ollama", "llama3:8b", model=DEMO_MODEL)
    async with on(box, tmp_path) as it:
        await it.press("2", "i")
        await it.sees("1 model found on the box's machine", "Ollama")
        await it.press("down", "enter")
        assert it.screen.query_one("#path", Input).value == str(blob)
        await it.press("enter")
        await it.sees("Library: 1 model", "used where its owner has it")
        (view,) = box.client.library()
        assert view.stored_as is StoredAs.REFERENCE
        await it.press("i")
        await it.sees("in the library already")
        await it.press("escape", "x")
        await it.sees("Library: 0 models")
        await it.hears(f"its files stay: {view.path}")
        assert blob.exists()


async def test_a_file_is_copied_under_a_name(box: RunningBox, tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "some.gguf")
    async with on(box, tmp_path) as it:
        await it.press("2", "i")
        await it.sees("No models of other programs were found", "▐ ▌ Copy the files")
        it.screen.query_one("#path", Input).value = str(file.with_name("none.gguf"))
        await it.press("enter")
        await it.sees("none.gguf")
        await it.until(lambda: "importing" not in it.text, what="it is refused")
        it.screen.query_one("#path", Input).value = str(file)
        await it.press("tab", *"mine", "tab", "tab", "space")
        await it.sees("▐X▌ Copy the files")
        await it.press("shift+tab", "enter")
        await it.sees("Library: 1 model", "a copy of this box's own")
    (view,) = box.client.library()
    assert (view.name, view.stored_as) == ("mine", StoredAs.COPY)


async def test_a_filter_leaves_what_has_its_words(box: RunningBox, tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "other.gguf")
    pulled(box, Q8)
    async with on(box, tmp_path) as it:
        await it.press("2")
        await it.sees(Q8)
        await it.press("i")
        await it.sees("Import a model")
        it.screen.query_one("#path", Input).value = str(file)
        await it.press("enter")
        await it.sees("Library: 2 models")
        await it.press("slash", *"other")
        await it.until(lambda: Q8 not in it.text, what="the filter hides it")
        await it.press("enter", "d")
        await it.until(lambda: isinstance(it.screen, DeployScreen), what="it deploys")
        await it.press("escape", "slash", "escape")
        await it.sees(Q8, "other")
        assert not isinstance(it.screen, ConfirmDialog)
