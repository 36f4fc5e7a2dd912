"""Whether a daemon would start: its address, and who may be let in."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from hydra_box.config import Paths, Settings, resolve_paths
from hydra_box.errors import ConfigError, Conflict, DamagedState
from hydra_box.handover import KEPT_VARIABLE
from hydra_box.precheck import check
from hydra_box.sockets import listen
from hydra_box.store import Store, backup
from hydra_box.types import ApiKey, KeyLimits, Scope, User


@pytest.fixture
def paths(home: Path) -> Paths:
    found = resolve_paths({"HYDRA_BOX_HOME": str(home)})
    found.create()
    return found


async def with_key(paths: Paths, *, revoked_at: float | None) -> None:
    store = await Store.open(paths.database)
    owner: User = await store.local_user()
    key = ApiKey(
        id="key-1",
        name="k",
        owner_id=owner.id,
        sha256="0" * 64,
        masked="hb-...",
        scopes=(Scope.INFERENCE,),
        created_at=time.time(),
        revoked_at=revoked_at,
        limits=KeyLimits(),
    )
    await store.save_key(key)
    await store.close()


async def test_an_open_address_takes_a_key_that_opens_something(paths: Paths) -> None:
    settings = Settings(host="0.0.0.0", port=0)
    with pytest.raises(ConfigError, match="and this box has no key"):
        check(paths, settings, {})
    await with_key(paths, revoked_at=1.0)
    with pytest.raises(ConfigError, match="no key that opens anything"):
        check(paths, settings, {})
    await with_key(paths, revoked_at=None)
    check(paths, settings, {})


@pytest.mark.parametrize("left", [None, b"", b"junk" * 5000])
async def test_a_database_that_a_backup_will_replace_is_no_reason_to_go_on_as_before(
    paths: Paths, left: bytes | None
) -> None:
    settings = Settings(host="0.0.0.0", port=0)
    await with_key(paths, revoked_at=None)
    good, bad = (paths.backups / f"2026010{day}T000000Z.db" for day in (1, 2))
    await asyncio.to_thread(backup.copy, paths.database, good)
    await asyncio.to_thread(bad.write_bytes, b"junk")
    await asyncio.to_thread(paths.database.unlink)
    if left is not None:
        await asyncio.to_thread(paths.database.write_bytes, left)
    check(paths, settings, {})
    await asyncio.to_thread(good.unlink)
    with pytest.raises(DamagedState, match=r"hydra-box\.db is (missing or empty|damaged)"):
        check(paths, settings, {})


def test_a_name_of_this_machine_is_as_good_as_its_number(paths: Paths) -> None:
    check(paths, Settings(host="localhost", port=0), {})


def test_a_port_of_another_program_is_taken(paths: Paths) -> None:
    with listen("127.0.0.1", 0) as door:
        door.listen()
        settings = Settings(port=door.getsockname()[1])
        with pytest.raises(Conflict, match=f"port {settings.port} on 127.0.0.1 is taken"):
            check(paths, settings, {})
        check(paths, settings, {KEPT_VARIABLE: settings.address})
        paths.lock.write_text(str(os.getpid()))
        check(paths, settings, {})


def test_an_address_of_another_machine_is_refused(paths: Paths) -> None:
    with pytest.raises(ConfigError, match="Cannot assign requested address") as told:
        check(paths, Settings(host="192.0.2.1", port=0), {})
    assert "127.0.0.1 for itself" in (told.value.hint or "")
