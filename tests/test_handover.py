"""Handing over: a program that cannot follow is refused, and a store that fails is no hindrance."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from hydra_box.assembly import assemble
from hydra_box.config import Settings, resolve_paths
from hydra_box.errors import Conflict, DiskFull
from hydra_box.handover import Handover
from hydra_box.usage import UsageBooks
from tests.told import Told


async def test_a_program_that_is_gone_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    told = Told()
    handover = Handover(told, {})
    with pytest.raises(Conflict, match="python cannot be run: No such file or directory"):
        await handover.ask()
    assert not handover.asked.is_set()
    assert told.kinds == []


async def test_a_store_that_cannot_be_written_at_the_end_keeps_nobody_from_following(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environ: Mapping[str, str] = {"HYDRA_BOX_HOME": str(home)}
    paths = resolve_paths(environ)
    paths.create()
    async with assemble(paths, Settings(), "http://127.0.0.1:1", environ):

        async def full(_books: UsageBooks) -> None:
            raise DiskFull("hydra-box.db cannot grow")

        monkeypatch.setattr(UsageBooks, "flush", full)
    assert "not everything was stored at the end: hydra-box.db cannot grow" in caplog.text
