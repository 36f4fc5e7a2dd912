"""Installing: what is checked before, what is left after, and the way around a trapping CPU."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import shutil
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from hydra_box.config import Paths
from hydra_box.engines import ENGINES, build_llama_cpp
from hydra_box.engines.build_failures import explain_failure
from hydra_box.engines.build_llama_cpp import (
    PACKAGE,
    SHA256,
    VERSION,
    BuildOptions,
    build,
    build_environment,
)
from hydra_box.engines.build_process import run_step, shorten
from hydra_box.engines.llama_cpp_distribution import LlamaCppDistribution
from hydra_box.engines.runtimes import RuntimeManager
from hydra_box.errors import Conflict, EngineUnavailable
from hydra_box.messages import InstallProgress
from hydra_box.store import Store
from hydra_box.types import Accelerator, EngineName, Runtime, RuntimeSource, Severity
from tests.engines.real_runtimes import lend
from tests.fakes.engine import install_on_path
from tests.models.tiny_gguf import write_tiny_gguf
from tests.told import Told
from tests.waiting import eventually

LLAMA = EngineName.LLAMA_CPP
TOOLCHAIN = "/usr/bin:/bin"
SIGILL = ("--signal-at-once", str(int(signal.SIGILL)))


class FakeBuild:
    """Builds a fake engine in no time; each build takes the next behaviour."""

    def __init__(self, *behaviours: tuple[str, ...]) -> None:
        self.behaviours = list(behaviours)
        self.options: list[BuildOptions] = []
        self.running = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(
        self, options: BuildOptions, environ: Mapping[str, str]
    ) -> AsyncGenerator[str, None]:
        self.options.append(options)
        options.directory.mkdir(parents=True)
        yield "[1/1] everything"
        self.running.set()
        await self.go_on.wait()
        behaviour = self.behaviours.pop(0)
        if behaviour == ("fail",):
            raise EngineUnavailable("the build stopped at: error: no", hint="look at the log")
        bin = options.directory / "lib" / "python3" / "site-packages" / "bin"
        install_on_path(bin, *behaviour)


@pytest.fixture
def toolchain(tmp_path: Path) -> str:
    """A PATH with a C++ compiler that nobody will start."""
    compiler = tmp_path / "toolchain" / "c++"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    return f"{compiler.parent}:/bin"


async def manager(
    store: Store, paths: Paths, builder: FakeBuild, *, path: str, record: Told | None = None
) -> RuntimeManager:
    model = write_tiny_gguf(paths.home / "tiny.gguf")
    distributions = {LLAMA: LlamaCppDistribution(builder)}
    runtimes = RuntimeManager(
        store,
        paths,
        ENGINES,
        model,
        record=record or Told(),
        environ={"PATH": path},
        distributions=distributions,
    )
    await runtimes.load()
    return runtimes


async def install(runtimes: RuntimeManager) -> tuple[list[str], Runtime]:
    steps = [step async for step in runtimes.install(LLAMA)]
    assert steps[-1].runtime is not None
    return [step.line for step in steps if step.line is not None], steps[-1].runtime


def directories(paths: Paths) -> list[str]:
    return sorted(one.name for one in (paths.engines / "llama.cpp").iterdir())


def test_the_extra_names_the_version_that_is_built() -> None:
    required = importlib.metadata.requires("hydra-box") or []
    assert [one.partition(";")[0] for one in required if PACKAGE in one] == [
        f"{PACKAGE}=={VERSION}"
    ]


async def test_installed_runtime_is_verified_and_preferred(
    store: Store, paths: Paths, toolchain: str
) -> None:
    told = Told()
    runtimes = await manager(store, paths, FakeBuild(()), path=toolchain, record=told)
    lines, runtime = await install(runtimes)
    assert told.said == [
        ("engine.installed", f"{runtime.id} is installed, and has answered", Severity.INFO)
    ]
    assert (runtime.id, runtime.source) == (f"llama.cpp/built-{VERSION}-cpu", RuntimeSource.BUILT)
    assert runtime.verified_at is not None
    assert lines[1:] == ["[1/1] everything", "verifying: it has to answer on the demo model"]
    assert await runtimes.best(LLAMA, Accelerator.CPU) == runtime
    assert directories(paths) == [f"{VERSION}-cpu"]
    again = await manager(store, paths, FakeBuild(), path=toolchain)
    assert await again.best(LLAMA, Accelerator.CPU) == runtime


async def test_trapping_cpu_feature_is_left_out(
    store: Store, paths: Paths, toolchain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced = frozenset({"avx2", "avx512f", "amx_tile"})
    monkeypatch.setattr("hydra_box.engines.install_llama_cpp.parse_cpu_flags", lambda _: announced)
    builder = FakeBuild(SIGILL, SIGILL, ())
    runtimes = await manager(store, paths, builder, path=toolchain)
    lines, runtime = await install(runtimes)
    assert [one.without for one in builder.options] == [(), ("AMX",), ("AMX", "AVX-512")]
    assert "it stopped at a CPU instruction (SIGILL): building without AMX" in lines
    manifest = json.loads((Path(runtime.location) / "hydra-box-runtime.json").read_text())
    assert manifest["without"] == ["AMX", "AVX-512"]


async def test_trap_that_no_feature_explains_ends_the_installation(
    store: Store, paths: Paths, toolchain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "hydra_box.engines.install_llama_cpp.parse_cpu_flags", lambda _: frozenset()
    )
    runtimes = await manager(store, paths, FakeBuild(SIGILL), path=toolchain)
    with pytest.raises(EngineUnavailable, match=r"does not work: .*CPU instruction"):
        await install(runtimes)
    assert directories(paths) == []


@pytest.mark.parametrize("failure", [("fail",), ("--exit-at-once", "1")])
async def test_failed_installation_leaves_the_older_runtime(
    store: Store, paths: Paths, toolchain: str, failure: tuple[str, ...]
) -> None:
    runtimes = await manager(store, paths, FakeBuild((), failure), path=toolchain)
    _, older = await install(runtimes)
    with pytest.raises(EngineUnavailable):
        await install(runtimes)
    assert directories(paths) == [f"{VERSION}-cpu"]
    assert (await runtimes.verify(older.id)).problem is None


async def test_second_installation_at_once_is_refused(
    store: Store, paths: Paths, toolchain: str
) -> None:
    builder = FakeBuild(())
    builder.go_on.clear()
    runtimes = await manager(store, paths, builder, path=toolchain)
    first = asyncio.create_task(install(runtimes))
    await asyncio.wait_for(builder.running.wait(), 60)
    with pytest.raises(Conflict, match=r"llama\.cpp is being installed already"):
        await install(runtimes)
    builder.go_on.set()
    await first


async def test_client_that_leaves_cancels_and_nothing_is_left(
    store: Store, paths: Paths, toolchain: str
) -> None:
    builder = FakeBuild((), ())
    runtimes = await manager(store, paths, builder, path=toolchain)
    async with aclosing(runtimes.install(LLAMA)) as steps:
        async for step in steps:
            if step == InstallProgress(line="[1/1] everything"):
                break
    assert directories(paths) == []
    _, runtime = await install(runtimes)
    assert runtime.verified_at is not None


async def test_missing_compiler_is_named(store: Store, paths: Paths, tmp_path: Path) -> None:
    runtimes = await manager(store, paths, FakeBuild(), path=str(tmp_path))
    with pytest.raises(EngineUnavailable) as caught:
        await install(runtimes)
    assert caught.value.message == "no C++ compiler was found (looked for c++, g++, clang++)"
    assert "apt install build-essential" in (caught.value.hint or "")


async def test_full_disk_is_seen_before(
    store: Store, paths: Paths, toolchain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_llama_cpp, "NEEDED_BYTES", dict.fromkeys(Accelerator, 2**60))
    builder = FakeBuild(())
    runtimes = await manager(store, paths, builder, path=toolchain)
    with pytest.raises(
        EngineUnavailable, match=r"the installation needs 1073741824\.0 GiB of disk"
    ):
        await install(runtimes)
    assert builder.options == []


def options(directory: Path, **changes: object) -> BuildOptions:
    return BuildOptions(
        directory=directory / "build",
        accelerator=Accelerator(str(changes.get("accelerator", "cpu"))),
        gpu_architectures=("90",),
        without=("AMX",) if changes.get("without") else (),
        jobs=3,
        log_path=directory / "build.log",
    )


def test_environment_of_a_build(tmp_path: Path) -> None:
    environ = {"PATH": "/bin", "https_proxy": "http://p", "PIP_NO_INDEX": "1", "SECRET": "x"}
    env = build_environment(options(tmp_path), environ)
    assert "SECRET" not in env
    assert (env["PATH"], env["https_proxy"], env["PIP_NO_INDEX"]) == ("/bin", "http://p", "1")
    assert env["CMAKE_BUILD_PARALLEL_LEVEL"] == "3"
    assert "-DLLAVA_BUILD=OFF" in env["CMAKE_ARGS"]
    assert "CUDA" not in env["CMAKE_ARGS"]
    assert "CXXFLAGS" not in env


def test_environment_of_a_build_for_a_gpu_and_without_a_feature(tmp_path: Path) -> None:
    env = build_environment(options(tmp_path, accelerator="cuda", without=True), {})
    assert "-DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=90" in env["CMAKE_ARGS"]
    assert env["CFLAGS"] == env["CXXFLAGS"] == "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("  [12/268] /usr/bin/g++ -O3 -o x/a.cpp.o -c /tmp/src/a.cpp", "[12/268] a.cpp"),
        ("  [9/268] : && /usr/bin/g++ -O3 x.o -o bin/libx.so -lm && :", "[9/268] libx.so"),
        ("  Installing build dependencies: started", "Installing build dependencies: started"),
        ("x" * 500, "x" * 300),
    ],
)
def test_lines_are_shortened_for_people(line: str, shown: str) -> None:
    assert shorten(line) == shown


@pytest.mark.parametrize(
    ("printed", "fact"),
    [
        (
            'The C compiler\n\n  "/bin/false"\n\n is not able to compile a simple',
            "The C compiler /bin/false does not work",
        ),
        ("No CMAKE_CXX_COMPILER could be found.", "no working C and C++ compiler was found"),
        (
            "a.cpp: fatal error: x.h: No such file",
            "the build stopped at: fatal error: x.h: No such file",
        ),
        ("x\nerror: subprocess-exited-with-error", "the installation ended with status 1"),
        (
            "g++: fatal error: Killed signal terminated program cc1plus",
            "a compiler ran out of memory",
        ),
        ("cp: No space left on device", "the disk is full"),
        ("Temporary failure in name resolution", "the package registry cannot be reached"),
        (
            "nvcc fatal   : Unsupported gpu architecture 'compute_120'",
            (
                "the CUDA toolkit cannot "
                "build it: nvcc fatal : Unsupported gpu architecture 'compute_120'"
            ),
        ),
        ("CMake 3.31 or higher is required.", "CMake 3.31 or newer is needed"),
        ("Error: No module named ensurepip", "Python's venv module is not complete"),
    ],
)
def test_what_a_build_printed_becomes_a_fact(tmp_path: Path, printed: str, fact: str) -> None:
    error = explain_failure(1, printed.splitlines(), tmp_path / "build.log")
    assert error.message == fact
    assert error.hint is not None
    assert error.hint.endswith(f"the whole log is in {tmp_path / 'build.log'}")


async def failure_of_build(directory: Path, environ: Mapping[str, str]) -> EngineUnavailable:
    with pytest.raises(EngineUnavailable) as caught:
        async for _ in build(options(directory), environ):
            pass
    return caught.value


async def test_registry_without_the_package_is_explained_by_pips_own_words(
    tmp_path: Path,
) -> None:
    environ = {"PATH": TOOLCHAIN, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"}
    error = await failure_of_build(tmp_path, environ)
    assert error.message == f"the package registry has no {PACKAGE}=={VERSION}"
    assert str(tmp_path / "build.log") in (error.hint or "")
    assert "llama-cpp-python" in (tmp_path / "build.log").read_text()


async def test_other_sources_than_the_pinned_are_refused(tmp_path: Path) -> None:
    index = tmp_path / "index"
    index.mkdir()
    sources = tmp_path / f"llama_cpp_python-{VERSION}"
    sources.mkdir()
    (sources / "PKG-INFO").write_text(f"Name: {PACKAGE}\nVersion: {VERSION}\n")
    shutil.make_archive(str(index / sources.name), "gztar", tmp_path, sources.name)
    environ = {
        "PATH": TOOLCHAIN,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
        "PIP_CONFIG_FILE": "/dev/null",
    }
    error = await failure_of_build(tmp_path, environ)
    assert error.message == "the sources are not those that were pinned: their hash differs"
    assert SHA256 in (tmp_path / "build.log").read_text()


async def test_closed_build_leaves_no_process(tmp_path: Path) -> None:
    """Whatever pip started ends too, here a sleep for a compiler."""
    script = "sleep 1000 & echo $!; wait"
    run = run_step(("sh", "-c", script), {"PATH": TOOLCHAIN}, tmp_path, tmp_path / "build.log")
    async with aclosing(run) as lines:
        child = int(await anext(lines))
        assert psutil.pid_exists(child)

    def gone() -> bool:
        return not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"

    await asyncio.to_thread(eventually, gone, ignoring=(psutil.NoSuchProcess,))


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_llama_cpp_is_really_built_and_answers(
    built_llama_cpp: Runtime, store: Store, paths: Paths
) -> None:
    """The build that ``hydra-box engines install llama.cpp`` makes: some minutes on any machine."""
    assert built_llama_cpp.source is RuntimeSource.BUILT
    lend(built_llama_cpp, paths)
    runtimes = RuntimeManager(
        store, paths, ENGINES, write_tiny_gguf(paths.home / "tiny.gguf"), record=Told()
    )
    await runtimes.load()
    (runtime,) = [one for one in runtimes.list() if one.source is RuntimeSource.BUILT]
    assert (await runtimes.verify(runtime.id)).problem is None
    assert (await runtimes.best(LLAMA, Accelerator.CPU)).id == runtime.id
    assert directories(paths) == [f"{VERSION}-{runtime.accelerator}"]
