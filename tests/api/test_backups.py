"""A backup over HTTP."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from hydra_box.backups import archive, archive_reading
from hydra_box.client import Client
from hydra_box.errors import StateError
from hydra_box.messages import CreateKeyRequest
from hydra_box.store import Store
from hydra_box.types import ApiKey
from tests.api.live import LiveBox
from tests.samples import a_request

BACKUP = "/api/v1/backup"


def keys_in(file: Path, directory: Path) -> list[str]:
    """The names of the keys in a backup's database."""
    with archive_reading.opened(file) as opened:
        for reading in opened.members():
            content = b"".join(reading.chunks())
            if reading.member.name == archive.DATABASE:
                (directory / "copy.db").write_bytes(content)

    async def look() -> list[ApiKey]:
        store = await Store.open(directory / "copy.db")
        try:
            return await store.keys()
        finally:
            await store.close()

    return [one.name for one in asyncio.run(look())]


def written(client: Client, file: Path) -> Path:
    file.write_bytes(b"".join(client.backup()))
    return file


def test_a_backup_of_a_running_box(own: LiveBox, tmp_path: Path) -> None:
    with own.client() as client:
        client.create_key(CreateKeyRequest(name="laptop"))
        file = written(client, tmp_path / "box.tar")
        manifest = archive_reading.verify(file)
        assert time.time() - 60 < manifest.created_at <= time.time()
        assert keys_in(file, tmp_path) == ["laptop"]
        assert list((own.box.paths.backups).glob(f"{archive.STAGING}*")) == []


def test_what_the_store_does_not_have_yet_is_in_it(
    own: LiveBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def record() -> None:
        own.box.usage.record(a_request(at=time.time()))

    async def refuses(records: object) -> None:
        raise StateError("the disk is full")

    with own.client() as client:
        with monkeypatch.context() as patched:
            patched.setattr(own.box.store, "add_requests", refuses)
            own.run(record())
            names = [
                one.name for one in archive_reading.verify(written(client, tmp_path / "a")).members
            ]
            assert "usage-journal.1" in names
        names = [
            one.name for one in archive_reading.verify(written(client, tmp_path / "b")).members
        ]
        assert names == ["hydra-box.db"]


def test_it_takes_an_admin(
    tcp: httpx.Client, admin: httpx.Client, inference_key: str, tmp_path: Path
) -> None:
    assert tcp.get(BACKUP).status_code == 401
    key = {"Authorization": f"Bearer {inference_key}"}
    assert tcp.get(BACKUP, headers=key).status_code == 403
    answer = admin.get(BACKUP)
    assert answer.headers["content-type"] == "application/x-tar"
    (tmp_path / "box.tar").write_bytes(answer.content)
    assert archive_reading.verify(tmp_path / "box.tar").members


def test_a_damaged_database_is_told_and_not_sent(
    own: LiveBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The daemon has it open: only the copy may be damaged here.
    def damaged(path: Path) -> tuple[str, ...]:
        raise StateError(f"{path} is damaged: page 3 is junk")

    monkeypatch.setattr("hydra_box.store.backup.check", damaged)
    with own.client() as client, pytest.raises(StateError, match="page 3 is junk"):
        list(client.backup())
    assert list((own.box.paths.backups).glob(f"{archive.STAGING}*")) == []
