"""A fetch in a test: small blocks, no long waits, and a hub of one repository."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra_box.models.fetch import Fetch, FetchLimits, RateLimit
from hydra_box.models.hub_cache import HubCache
from hydra_box.models.hub_client import HubClient
from hydra_box.types import ModelFile
from tests.fakes.hub import FakeHub

REPOSITORY = "org/repo"
BLOCK, PART = 1000, 8000
QUICK = FetchLimits(
    connections=4,
    part_bytes=PART,
    block_bytes=BLOCK,
    most_tries=4,
    first_delay_seconds=0.001,
    longest_delay_seconds=0.002,
)


def put(hub: FakeHub, name: str, size: int, *, seed: int = 1) -> bytes:
    """Put a file of random bytes into the repository."""
    content = random.Random(seed).randbytes(size)
    path = hub.repository(REPOSITORY) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return content


def listed(hub: FakeHub, *, token: str | None = None) -> tuple[str, tuple[ModelFile, ...]]:
    """The commit, and every file of the repository with its checksum."""
    with HubClient(hub.environ(token=token)) as client:
        snapshot = client.snapshot(REPOSITORY, None)
    return snapshot.revision, tuple(
        ModelFile(name=name, size_bytes=size, digest=snapshot.digests[name])
        for name, size in snapshot.sizes.items()
    )


def a_fetch(
    hub: FakeHub,
    cache: HubCache,
    *,
    limits: FetchLimits = QUICK,
    environ: Mapping[str, str] | None = None,
    of: tuple[str, tuple[ModelFile, ...]] | None = None,
    **options: Any,
) -> Fetch:
    """A fetch of the whole repository, as it is now or as it was listed."""
    revision, files = of or listed(hub)
    return Fetch(
        environ or hub.environ(),
        cache,
        REPOSITORY,
        revision,
        files,
        limits=limits,
        rate=RateLimit(0),
        **options,
    )


def rest(root: Path) -> list[Path]:
    """The files that are still partial."""
    return [one for one in root.rglob("*.hydra-box.*") if one.is_file()]
