"""The rooms that a runtime manager stands on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hydra_box.config import Paths, resolve_paths
from hydra_box.store import Store


@pytest.fixture
def paths(home: Path) -> Paths:
    paths = resolve_paths({"HYDRA_BOX_HOME": str(home)})
    paths.create()
    return paths


@pytest.fixture
async def store(paths: Paths) -> AsyncIterator[Store]:
    store = await Store.open(paths.database)
    yield store
    await store.close()
