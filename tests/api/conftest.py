from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hydra_box.client import Client
from hydra_box.types import Scope
from tests.api.live import LiveBox, live_box
from tests.models.tiny_gguf import write_tiny_gguf


@pytest.fixture(scope="session")
def live(short_directory: Path) -> Iterator[LiveBox]:
    """A box that tests share; what they add, they take away."""
    with live_box(short_directory / "api") as live:
        yield live


@pytest.fixture
def own(home: Path) -> Iterator[LiveBox]:
    """A box of the test's own."""
    with live_box(home) as live:
        yield live


@pytest.fixture
def client(live: LiveBox) -> Iterator[Client]:
    """The shared box's owner, over the UNIX socket."""
    with live.client() as client:
        yield client


@pytest.fixture(scope="session")
def admin_key(live: LiveBox) -> str:
    return live.key("admin", Scope.ADMIN)


@pytest.fixture(scope="session")
def inference_key(live: LiveBox) -> str:
    return live.key("app", Scope.INFERENCE)


@pytest.fixture
def tcp(live: LiveBox) -> Iterator[httpx.Client]:
    """The shared box over TCP, without a key."""
    with httpx.Client(base_url=live.url, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def admin(live: LiveBox, admin_key: str) -> Iterator[httpx.Client]:
    """The shared box over TCP, with an admin key."""
    headers = {"Authorization": f"Bearer {admin_key}"}
    with httpx.Client(base_url=live.url, headers=headers, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def model(short_directory: Path) -> Path:
    """A model file for the fake engine."""
    return write_tiny_gguf(short_directory / "tiny.gguf")
