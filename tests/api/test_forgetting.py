"""A service that is deleted while the store cannot be written goes later, and takes nobody down."""

from __future__ import annotations

import pytest

from hydra_box.errors import DiskFull, NotFound
from hydra_box.messages import DeployRequest
from hydra_box.store import Store
from hydra_box.supervisor import supervisor as supervisor_module
from hydra_box.types import ServiceStatus
from tests.api.live import LiveBox
from tests.waiting import eventually


def test_a_full_disk_puts_it_off(own: LiveBox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "TICK_SECONDS", 0.02)
    tries, really = 0, Store.delete_service

    async def full_twice(store: Store, service_id: str) -> None:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise DiskFull("hydra-box.db cannot grow")
        await really(store, service_id)

    monkeypatch.setattr(Store, "delete_service", full_twice)
    with own.client() as client:
        client.deploy(DeployRequest(model="demo", name="goes"))
        eventually(lambda: client.service("goes").status is ServiceStatus.RUNNING)
        client.delete("goes", confirm="goes")

        def is_gone() -> bool:
            try:
                client.service("goes")
            except NotFound:
                return True
            return False

        eventually(is_gone, what="it is gone")
        assert tries == 3
        again = client.deploy(DeployRequest(model="demo", name="goes"))
        assert again.name == "goes"
        client.delete("goes", confirm="goes")
        eventually(is_gone, what="it is gone")
