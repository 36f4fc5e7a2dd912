"""Runtimes with known holes are named, and not used."""

from __future__ import annotations

import re

import pytest

from hydra_box.config import Paths
from hydra_box.engines import ENGINES
from hydra_box.engines.build_vllm import CPU, GPU
from hydra_box.engines.llama_cpp_runtimes import find_bundled
from hydra_box.engines.runtimes import RuntimeManager
from hydra_box.engines.security import HOLES, known_hole
from hydra_box.errors import EngineUnavailable
from hydra_box.store import Store
from hydra_box.types import Accelerator, EngineName, Runtime, RuntimeSource
from tests.fakes.engine import install_on_path
from tests.models.tiny_gguf import write_tiny_gguf
from tests.told import Told

LLAMA, VLLM = EngineName.LLAMA_CPP, EngineName.VLLM


def runtime(
    engine: EngineName, version: str, source: RuntimeSource = RuntimeSource.PATH
) -> Runtime:
    return Runtime(
        id=f"{engine}/{source}-{version}-cpu",
        engine=engine,
        version=version,
        accelerator=Accelerator.CPU,
        source=source,
        location="/x",
        argv=("/x",),
    )


@pytest.mark.parametrize(
    ("engine", "version", "names"),
    [
        (LLAMA, "6710", {"CVE-2026-33298", "CVE-2026-27940"}),
        (LLAMA, "b7900", {"CVE-2026-27940"}),
        (LLAMA, "8146", set()),
        (LLAMA, "0.5.0-dev", set()),
        (LLAMA, "unknown", set()),
        (VLLM, "0.8.2", {"CVE-2026-24779", "CVE-2026-34756"}),
        (
            VLLM,
            "0.10.2",
            {
                "CVE-2025-62164",
                "CVE-2026-22807",
                "CVE-2026-22778",
                "CVE-2026-24779",
                "CVE-2026-34756",
            },
        ),
        (VLLM, "0.14.1+cu130", {"CVE-2026-34756"}),
        (VLLM, "0.19.0", set()),
    ],
)
def test_holes_of_versions(engine: EngineName, version: str, names: set[str]) -> None:
    told = known_hole(runtime(engine, version)) or ""
    assert set(re.findall(r"CVE-\d+-\d+", told)) == names


def test_what_is_told_names_the_version_to_use() -> None:
    assert known_hole(runtime(LLAMA, "7900")) == (
        "llama.cpp 7900 has known security holes: CVE-2026-27940 (a crafted GGUF file writes over "
        "the heap while it is read); hint: use b8146 or newer"
    )
    assert (known_hole(runtime(VLLM, "0.13.0")) or "").endswith("hint: use 0.19.0 or newer")


def test_what_hydra_box_brings_has_none() -> None:
    bundled = find_bundled()[0]
    assert known_hole(bundled) is None
    assert known_hole(runtime(LLAMA, "2026.1.7000", RuntimeSource.BUNDLED))
    assert [known_hole(runtime(VLLM, one.version)) for one in (CPU, GPU)] == [None, None]


def test_every_hole_says_from_where_to_where() -> None:
    assert all(one.since < one.fixed and one.what and one.name for one in HOLES)


async def test_runtime_with_a_hole_is_refused_also_if_it_answered_before(
    store: Store, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_tiny_gguf(paths.home / "tiny.gguf")
    program = install_on_path(paths.home / "bin")
    environ = {"PATH": f"{program.parent}:/bin"}
    first = RuntimeManager(store, paths, ENGINES, model, record=Told(), environ=environ)
    await first.load()
    found = "llama.cpp/path-9999-cpu"
    assert (await first.verify(found)).verified_at is not None

    monkeypatch.setattr(
        "hydra_box.engines.security.HOLES",
        (HOLES[0].__class__(name="CVE-1-2", engine=LLAMA, fixed=(10_000,), what="new"),),
    )
    second = RuntimeManager(store, paths, ENGINES, model, record=Told(), environ=environ)
    await second.load()
    known = {one.id: one for one in second.list()}[found]
    assert known.verified_at is None
    assert "CVE-1-2 (new); hint: use b10000 or newer" in (known.problem or "")
    assert (await second.verify(found)).problem == known.problem
    bundled = await second.best(LLAMA, Accelerator.CPU)
    assert bundled.source is RuntimeSource.BUNDLED


async def test_nothing_else_is_used_in_place_of_what_is_refused(store: Store, paths: Paths) -> None:
    runtimes = RuntimeManager(
        store, paths, ENGINES, paths.home / "none.gguf", record=Told(), environ={}
    )
    await runtimes.load()
    with pytest.raises(EngineUnavailable, match="no runtime of vllm works on the CPU"):
        await runtimes.best(VLLM, Accelerator.CPU)
    available = {one.engine: one.accelerators for one in runtimes.availability()}
    assert available == {LLAMA: (Accelerator.CPU,), VLLM: ()}
