"""The queue of downloads: whatever is asked of it in whatever order, it ends as it was asked."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hydra_box.config import Paths, Settings
from hydra_box.downloads import Downloads, Transfers
from hydra_box.errors import Conflict, NotFound
from hydra_box.events import EventBus
from hydra_box.journal import Journal
from hydra_box.library import Library
from hydra_box.models.hub_cache import HubCache
from hydra_box.models.hub_client import HubClient
from hydra_box.models.wanted import Wanted
from hydra_box.stoppable import Stopped
from hydra_box.store import Store
from hydra_box.types import DownloadState, ModelFile, Service, WeightFormat
from tests.fakes.hub import FakeHub
from tests.models.tiny_gguf import write_tiny_gguf
from tests.samples import a_download, a_service

D = DownloadState
REPOSITORIES = ("org/a", "org/b", "org/c")

MANY = 4_000_000
FEW = 50_000
"""So slow that no download ends before it is let."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with FakeHub(tmp_path / "hub", bytes_per_second=MANY) as fake:
        for name in REPOSITORIES:
            write_tiny_gguf(fake.repository(name) / "model-F32.gguf", width=128)
        yield fake


class Queue:
    """Downloads with all that they need, as the daemon wires them."""

    def __init__(
        self, downloads: Downloads, library: Library, hub: FakeHub, changed: asyncio.Event
    ) -> None:
        self.downloads = downloads
        self.library = library
        self.services: list[Service] = []
        self.changed = changed
        self._hub = hub

    async def want(self, repository: str, *, pulled: bool = True) -> str:
        """Ask for the model of a repository; the download's id."""
        with HubClient(self._hub.environ()) as client:
            snapshot = client.snapshot(repository, None)
        (name,) = snapshot.sizes
        file = ModelFile(name=name, size_bytes=snapshot.sizes[name], digest=snapshot.digests[name])
        wanted = Wanted(
            model=f"hf:{repository}:F32",
            repository=repository,
            revision=snapshot.revision,
            branch="main",
            format=WeightFormat.GGUF,
            quantization="F32",
            files=(file,),
            allows_code=False,
        )
        return (await self.downloads.want(wanted, pulled=pulled)).id

    async def done(self, id: str) -> None:
        """Return once a download is done."""
        async with asyncio.timeout(90):
            while self.downloads.get(id).state is not D.DONE:
                await self.changed.wait()
                self.changed.clear()


@asynccontextmanager
async def opened(tmp_path: Path, hub: FakeHub, jobs: int = 2) -> AsyncIterator[Queue]:
    paths = Paths(home=tmp_path / "home", run=tmp_path / "run")
    paths.create()
    settings = Settings(download_jobs=jobs)
    environ = hub.environ()
    cache = HubCache(tmp_path / "cache")
    store = await Store.open(paths.database)
    journal = Journal(store, EventBus())
    services: list[Service] = []
    changed = asyncio.Event()
    library = Library(
        store=store,
        paths=paths,
        cache=cache,
        settings=settings,
        environ=environ,
        services=lambda: services,
        record=journal.record,
    )
    await library.load()
    downloads = Downloads(
        store=store,
        journal=journal,
        library=library,
        transfers=Transfers(cache=cache, settings=settings, environ=environ),
        jobs=jobs,
        services=lambda: services,
        changed=changed.set,
    )
    await downloads.load()
    queue = Queue(downloads, library, hub, changed)
    queue.services = services
    try:
        yield queue
    finally:
        await downloads.close()
        await journal.close()
        await store.close()


async def test_a_queue_of_one_job_takes_one_after_the_other(tmp_path: Path, hub: FakeHub) -> None:
    hub.bytes_per_second = FEW
    async with opened(tmp_path, hub, jobs=1) as queue:
        ids = [await queue.want(name) for name in REPOSITORIES]
        assert [one.id for one in queue.downloads.list()] == ids
        hub.bytes_per_second = MANY
        await queue.done(ids[0])
        assert queue.downloads.get(ids[2]).state is D.QUEUED
        await queue.done(ids[2])
        names = [one.name for one in queue.library.list()]
        assert names == [f"hf:{name}:F32" for name in REPOSITORIES]
        with pytest.raises(Conflict, match="is done"):
            await queue.downloads.pause(ids[0])


async def test_the_same_model_is_fetched_once(tmp_path: Path, hub: FakeHub) -> None:
    hub.bytes_per_second = FEW
    async with opened(tmp_path, hub) as queue:
        first = await queue.want("org/a", pulled=False)
        assert await queue.want("org/a") == first
        await queue.downloads.release(a_service(download_id=first))
        # Somebody pulled it: it goes on.
        hub.bytes_per_second = MANY
        await queue.done(first)
        assert await queue.want("org/a") != first


async def test_what_nobody_wants_any_more_is_paused(tmp_path: Path, hub: FakeHub) -> None:
    hub.bytes_per_second = FEW
    async with opened(tmp_path, hub) as queue:
        id = await queue.want("org/a", pulled=False)
        one, two = (a_service(name, download_id=id) for name in ("one", "two"))
        queue.services += [one, two]
        assert queue.downloads.get(id).services == ("one", "two")
        await queue.downloads.release(one)
        assert queue.downloads.get(id).state is not D.PAUSED
        queue.services.remove(one)
        await queue.downloads.release(two)
        assert queue.downloads.get(id).state is D.PAUSED


async def test_the_next_daemon_goes_on(tmp_path: Path, hub: FakeHub) -> None:
    hub.bytes_per_second = FEW
    async with opened(tmp_path, hub) as queue:
        going, paused = await queue.want("org/a"), await queue.want("org/b")
        await queue.downloads.pause(paused)
    hub.bytes_per_second = MANY
    async with opened(tmp_path, hub) as queue:
        assert queue.downloads.get(paused).state is D.PAUSED
        await queue.done(going)


@pytest.mark.parametrize("seed", range(8))
async def test_any_order_of_requests_ends_as_it_was_asked(
    tmp_path: Path, hub: FakeHub, seed: int
) -> None:
    chance = random.Random(seed)
    async with opened(tmp_path, hub) as queue:

        async def ask() -> None:
            repository = chance.choice(REPOSITORIES)
            model = f"hf:{repository}:F32"
            what = chance.choice(("want", "pause", "resume", "cancel"))
            try:
                if what == "want":
                    await queue.want(repository)
                else:
                    await getattr(queue.downloads, what)(model)
            except (NotFound, Conflict):
                # There is none, or it is over.
                return

        for _ in range(12):
            async with asyncio.timeout(90):
                await asyncio.gather(*(ask() for _ in range(4)))
        for repository in REPOSITORIES:
            await queue.done(await queue.want(repository))
        assert left_over(tmp_path) == []
        for repository in REPOSITORIES:
            stored = queue.library.get(f"hf:{repository}:F32")
            assert same_content(stored.path, tmp_path / "hub" / repository)


def left_over(root: Path) -> list[Path]:
    return [one for one in root.rglob("*.hydra-box.*") if one.is_file()]


def same_content(path: str, repository: Path) -> bool:
    (source,) = repository.iterdir()
    return Path(path).read_bytes() == source.read_bytes()


async def test_what_begins_to_be_fetched_while_the_daemon_ends_is_stopped(
    tmp_path: Path, hub: FakeHub
) -> None:
    cache = HubCache(tmp_path / "cache")
    transfers = Transfers(cache=cache, settings=Settings(), environ=hub.environ())
    transfers.stop_all()
    try:
        with pytest.raises(Stopped):
            await transfers.fetch(a_download(repository="org/a"))
    finally:
        transfers.close()
    assert hub.requests == []
