"""A backup in one file, and putting it in place: nothing is changed before all of it is checked."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlite_utils

from hydra_box.backups import archive, archive_reading, restoring
from hydra_box.config import Paths
from hydra_box.errors import (
    Conflict,
    DamagedState,
    HydraError,
    InvalidRequest,
    NotFound,
    StateError,
)
from hydra_box.messages import ArchiveManifest
from hydra_box.sockets import lock
from hydra_box.store import Store
from hydra_box.store.migrations import MIGRATIONS
from hydra_box.types import Event
from hydra_box.usage.journal import UsageJournal
from tests.samples import a_request, a_service, an_event, an_instance
from tests.store.test_backup import damage, names

AT = 1_795_000_000.0
ASIDE = "before-restore-20261118T110640Z"


def a_home(path: Path) -> Paths:
    made = Paths(home=path, run=path / "run")
    made.create()
    return made


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """The box of which a backup is made."""
    made = a_home(tmp_path / "one")
    asyncio.run(fill(made, "one"))
    made.config.write_text('currency = "EUR"\n')
    made.catalog.write_text("# mine\n")
    (made.upstream_keys / "up-1.key").write_text("sk-the-key")
    UsageJournal(made.usage_journal).append(a_request(id="r-1"))
    return made


@pytest.fixture
def other(tmp_path: Path) -> Paths:
    """Another box, into which it is put."""
    made = a_home(tmp_path / "two")
    asyncio.run(fill(made, "two"))
    made.config.write_text("port = 5000\n")
    (made.upstream_keys / "up-2.key").write_text("sk-other")
    UsageJournal(made.usage_journal).append(a_request(id="r-2"))
    return made


async def fill(paths: Paths, message: str) -> None:
    store = await Store.open(paths.database)
    owner = await store.local_user()
    await store.add_event(an_event(message))
    await store.save_service(a_service(owner_id=owner.id))
    await store.save_instance(an_instance(pid=os.getpid()))
    await store.close()


async def look(paths: Paths) -> tuple[list[Event], int, int]:
    """Its events, and how many services and instances it has."""
    store = await Store.open(paths.database)
    try:
        return await store.events(), len(await store.services()), len(await store.instances())
    finally:
        await store.close()


def messages(paths: Paths) -> list[str]:
    return [one.message for one in asyncio.run(look(paths))[0]]


def everything(paths: Paths) -> dict[str, bytes]:
    """The content of each file of a home; what nobody has written into is not among them."""
    files = (path for path in paths.home.rglob("*") if path.is_file())
    left_out = ("hydra-box.db-wal", "hydra-box.db-shm", "daemon.lock")
    return {
        str(path.relative_to(paths.home)): path.read_bytes()
        for path in files
        if path.name not in left_out
    }


def written(paths: Paths, file: Path) -> Path:
    with closing(archive.pack(paths, AT)) as packed, file.open("wb") as output:
        for chunk in packed.chunks():
            output.write(chunk)
    return file


@pytest.fixture
def file(paths: Paths, tmp_path: Path) -> Path:
    return written(paths, tmp_path / "box.tar")


def test_a_backup_has_all_that_cannot_be_had_again(paths: Paths, file: Path) -> None:
    manifest = archive_reading.verify(file)
    found = {one.name: one.size_bytes for one in manifest.members}
    assert sorted(found) == [
        *("config.toml", "hydra-box.db", "models.toml", "upstreams/up-1.key", "usage-journal.1"),
    ]
    assert (manifest.format, manifest.created_at) == (1, AT)
    # Any tar can read it.
    with tarfile.open(file) as tar:
        assert tar.getnames()[0] == "manifest.json"
        assert {one.name: one.size for one in tar.getmembers()[1:]} == found
        assert {one.mode for one in tar.getmembers()} == {0o600}
    assert names(paths.backups) == []


def test_it_comes_back_as_it_was_on_another_machine(paths: Paths, other: Paths, file: Path) -> None:
    before = everything(other)
    done = restoring.put_in_place(other, file, AT)
    assert done.created_at == AT
    assert done.members[-1] == "hydra-box.db"
    events, services, instances = asyncio.run(look(other))
    assert ([one.message for one in events], services, instances) == (["one"], 1, 0)
    assert other.config.read_text() == 'currency = "EUR"\n'
    assert other.catalog.read_text() == "# mine\n"
    assert (other.upstream_keys / "up-1.key").read_text() == "sk-the-key"
    journal = UsageJournal(other.usage_journal)
    assert [one.id for number in journal.left() for one in journal.read(number)] == ["r-1"]
    modes = {(other.home / name).stat().st_mode & 0o777 for name in done.members}
    assert modes == {0o600}
    # What was there is kept, to the last byte.
    assert done.set_aside == str(other.backups / ASIDE)
    kept = {name: content for name, content in everything(other).items() if ASIDE in name}
    for name in ("hydra-box.db", "config.toml", "upstreams/up-2.key", "usage-journal.1"):
        assert kept[f"backups/{ASIDE}/{name}"] == before[name]
    assert names(other.backups) == [ASIDE]


def test_a_new_machine_needs_nothing_but_the_file(file: Path, tmp_path: Path) -> None:
    new = Paths(home=tmp_path / "new", run=tmp_path / "new" / "run")
    restoring.put_in_place(new, file, AT)
    assert messages(new) == ["one"]


def test_a_compressed_backup(other: Paths, file: Path) -> None:
    compressed = file.with_name("box.tar.gz")
    compressed.write_bytes(gzip.compress(file.read_bytes()))
    restoring.put_in_place(other, compressed, AT)
    assert messages(other) == ["one"]


def test_a_copy_of_the_database_replaces_that_alone(paths: Paths, other: Paths) -> None:
    done = restoring.put_in_place(other, paths.database, AT)
    assert (done.created_at, done.members) == (None, ("hydra-box.db",))
    assert messages(other) == ["one"]
    assert other.config.read_text() == "port = 5000\n"
    journal = UsageJournal(other.usage_journal)
    assert [one.id for number in journal.left() for one in journal.read(number)] == ["r-2"]


def test_a_damaged_state_is_replaced_and_kept(other: Paths, file: Path) -> None:
    damage(other.database)
    damaged = other.database.read_bytes()
    other.database.with_name("hydra-box.db-wal").write_bytes(b"a log of the damaged one" * 99)
    restoring.put_in_place(other, file, AT)
    assert messages(other) == ["one"]
    kept = other.backups / ASIDE
    assert (kept / "hydra-box.db").read_bytes() == damaged
    assert (kept / "hydra-box.db-wal").read_bytes().startswith(b"a log of the damaged one")


def break_off(paths: Paths, file: Path, monkeypatch: pytest.MonkeyPatch, at: Path) -> None:
    """A restore that fails when it puts ``at`` in its place."""
    replace = Path.replace

    def fails(path: Path, target: Path) -> Path:
        if target == at:
            raise OSError(5, "Input/output error")
        return replace(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fails)
        with pytest.raises(StateError, match="Input/output error"):
            restoring.put_in_place(paths, file, AT)


def test_one_that_is_broken_off_leaves_the_old_database_its_log(
    other: Paths, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = other.database.read_bytes()
    log = other.database.with_name("hydra-box.db-wal")
    log.write_bytes(b"what was written last" * 99)
    break_off(other, file, monkeypatch, at=other.catalog)
    assert other.database.read_bytes() == before
    assert log.read_bytes() == b"what was written last" * 99
    # It is simply run again.
    restoring.put_in_place(other, file, AT)
    assert messages(other) == ["one"]


def test_a_running_daemon_is_not_robbed_of_its_state(other: Paths, file: Path) -> None:
    before = everything(other)
    with lock(other), pytest.raises(Conflict, match="already uses") as caught:
        restoring.put_in_place(other, file, AT)
    assert "end it first" in (caught.value.hint or "")
    assert everything(other) == before


def test_there_is_nothing_to_back_up_where_nothing_was_started(tmp_path: Path) -> None:
    nowhere = Paths(home=tmp_path / "no", run=tmp_path / "no" / "run")
    with pytest.raises(NotFound, match="has no database"):
        archive.pack(nowhere, AT)
    assert not nowhere.home.exists()


# --- files that are no backups ----------------------------------------------------


def rewritten(file: Path, change: Callable[[str, tarfile.TarInfo, bytes], Any]) -> Path:
    """The same tar with each member as ``change`` gives it back; None leaves it out."""
    target = file.with_name("other.tar")
    with tarfile.open(file) as tar, tarfile.open(target, "w") as new:
        for info in tar.getmembers():
            source = tar.extractfile(info)
            assert source is not None
            for one, content in change(info.name, info, source.read()):
                one.size = len(content) if one.isreg() else 0
                new.addfile(one, io.BytesIO(content) if one.isreg() else None)
    return target


def with_member(file: Path, name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> Path:
    """The same tar with one more member, which the manifest names as well."""

    def change(member: str, info: tarfile.TarInfo, content: bytes) -> Iterator[Any]:
        if member == archive.MANIFEST:
            manifest = msgspec.json.decode(content)
            added = {"name": name, "size_bytes": 4, "sha256": SHA256_OF_JUNK}
            manifest["members"].append(added)
            content = msgspec.json.encode(manifest)
        yield info, content
        if member == archive.DATABASE:
            more = tarfile.TarInfo(name)
            more.type, more.linkname = kind, link
            yield more, b"junk"

    return rewritten(file, change)


SHA256_OF_JUNK = "b2bd69a44f3e3f5a0dd1cb6f9a57f0fc8c2f7e9b6e7b8e7d7fa1d1ab3bd8e1a5"


@pytest.mark.parametrize(
    "name",
    [
        *("../escaped", "/tmp/escaped", "upstreams/../../escaped.key", "upstreams/a/b.key"),
        *("daemon.lock", "run/daemon.sock", "logs/daemon.log", ".", "upstreams/.key"),
        *("hydra-box.db-wal", "usage-journal.x", "config.toml/x", "UPSTREAMS/a.key"),
    ],
)
def test_a_name_that_does_not_belong_there(other: Paths, file: Path, name: str) -> None:
    refuse(other, with_member(file, name), InvalidRequest, "does not belong into a backup")
    assert not Path("/tmp/escaped").exists()


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.LNKTYPE, "hydra-box.db"),
        (tarfile.DIRTYPE, ""),
        (tarfile.FIFOTYPE, ""),
        (tarfile.CHRTYPE, ""),
    ],
)
def test_what_is_no_plain_file(other: Paths, file: Path, kind: bytes, link: str) -> None:
    found = with_member(file, "upstreams/up-9.key", kind, link)
    refuse(other, found, InvalidRequest, r"is not what the manifest says|no whole backup")


def test_a_member_twice(other: Paths, file: Path) -> None:
    found = rewritten(file, lambda name, info, content: [(info, content)] * 2)
    refuse(other, found, InvalidRequest, "does not belong into a backup")


def test_a_member_that_is_missing(other: Paths, file: Path) -> None:
    found = rewritten(
        file, lambda name, info, content: [] if name == "config.toml" else [(info, content)]
    )
    refuse(other, found, InvalidRequest, "config.toml is missing")


def test_a_member_that_was_changed(other: Paths, file: Path) -> None:
    found = rewritten(
        file,
        lambda name, info, content: [
            (info, content.replace(b"EUR", b"USD") if name == "config.toml" else content)
        ],
    )
    refuse(other, found, InvalidRequest, "config.toml is not what the manifest says")


@pytest.mark.parametrize("keep", [0, 1, 511, 600, 5000, -1024, -2000, -40_000])
def test_a_backup_that_was_cut_off(other: Paths, file: Path, keep: int) -> None:
    cut = file.with_name("cut.tar")
    cut.write_bytes(file.read_bytes()[:keep])
    if keep == -1024:
        # All but the end mark, which tar does not insist on.
        restoring.put_in_place(other, cut, AT)
        assert messages(other) == ["one"]
        return
    refuse(other, cut, InvalidRequest, "is no whole backup")


@pytest.mark.parametrize(
    "content", [b"junk" * 1000, b"\x1f\x8bjunk", b"\x1f\x8b" + bytes(3000), bytes(10_240)]
)
def test_a_file_of_another_kind(other: Paths, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "junk"
    file.write_bytes(content)
    refuse(other, file, InvalidRequest, "is no whole backup")


def test_a_file_that_does_not_exist(other: Paths, tmp_path: Path) -> None:
    refuse(other, tmp_path / "missing.tar", NotFound, "does not exist")


def test_a_backup_of_a_later_format(other: Paths, file: Path) -> None:
    def later(name: str, info: tarfile.TarInfo, content: bytes) -> Iterator[Any]:
        if name == archive.MANIFEST:
            manifest = msgspec.json.decode(content, type=ArchiveManifest)
            content = msgspec.json.encode(msgspec.structs.replace(manifest, format=2))
        yield info, content

    refuse(other, rewritten(file, later), InvalidRequest, "has the format 2")


def test_a_database_of_a_newer_version(paths: Paths, other: Paths) -> None:
    with sqlite_utils.Database(paths.database) as db:
        MIGRATIONS._record_applied(db, "m999_from_the_future")
    refuse(other, paths.database, StateError, "newer Hydra Box: it has m999_from_the_future")
    newer = written(paths, paths.home / "newer.tar")
    refuse(other, newer, StateError, "newer Hydra Box: it has m999_from_the_future")


def test_a_damaged_copy_of_the_database(paths: Paths, other: Paths) -> None:
    damage(paths.database)
    refuse(other, paths.database, DamagedState, f"^{paths.database} is damaged: (?!\\*)")


def test_a_directory_is_no_backup(paths: Paths, other: Paths) -> None:
    refuse(other, paths.home, InvalidRequest, f"{paths.home} is no file")


def test_two_in_the_same_second_set_both_aside(paths: Paths, other: Paths) -> None:
    file = written(paths, paths.home / "a.tar")
    for aside in (ASIDE, f"{ASIDE}-2"):
        assert restoring.put_in_place(other, file, AT).set_aside == str(other.backups / aside)


def refuse(paths: Paths, file: Path, kind: type[HydraError], message: str) -> None:
    """A restore is refused, and nothing is changed."""
    before = everything(paths)
    with pytest.raises(kind, match=message):
        restoring.put_in_place(paths, file, AT)
    assert everything(paths) == before
    assert names(paths.backups) == []


def test_a_restore_that_breaks_off_leaves_one_state_or_the_other(
    other: Paths, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(other)
    break_off(other, file, monkeypatch, at=other.database)
    assert messages(other) == ["two"]
    kept = other.backups / ASIDE
    assert (kept / "config.toml").read_bytes() == before["config.toml"]
    assert (kept / "hydra-box.db").read_bytes() == before["hydra-box.db"]
    # To do it again is all that it takes.
    restoring.put_in_place(other, file, AT + 1)
    assert messages(other) == ["one"]
