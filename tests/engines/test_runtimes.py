"""Runtimes: found, verified on a real model, chosen, kept over restarts."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import msgspec
import pytest

from hydra_box.config import Paths
from hydra_box.engines import ENGINES
from hydra_box.engines.choice import rank
from hydra_box.engines.runtimes import RuntimeManager
from hydra_box.errors import Conflict, EngineUnavailable, NotFound
from hydra_box.store import Store
from hydra_box.types import Accelerator, EngineName, Runtime, RuntimeSource
from tests.fakes.engine import behave, install_as_built, install_on_path
from tests.models.tiny_gguf import write_tiny_gguf
from tests.told import Told
from tests.waiting import eventually

LLAMA = EngineName.LLAMA_CPP
CPU = Accelerator.CPU
BUILT = "llama.cpp/built-9999-cpu"
ON_PATH = "llama.cpp/path-9999-cpu"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_gguf(tmp_path / "tiny.gguf")


def manager(store: Store, paths: Paths, model: Path, *, path: str = "/bin") -> RuntimeManager:
    return RuntimeManager(store, paths, ENGINES, model, record=Told(), environ={"PATH": path})


def bundled(runtimes: RuntimeManager) -> Runtime:
    return next(one for one in runtimes.list() if one.source is RuntimeSource.BUNDLED)


async def test_bundled_runtime_answers_on_a_real_model(
    store: Store, paths: Paths, model: Path
) -> None:
    runtimes = manager(store, paths, model)
    await runtimes.load()
    assert [one.verified_at for one in runtimes.list()] == [None]
    outcome = await runtimes.verify(bundled(runtimes).id)
    assert outcome.verified_at is not None
    assert outcome.problem is None
    assert await runtimes.best(LLAMA, CPU) == outcome
    assert list(paths.run.glob("verify-*")) == []


async def test_what_was_verified_stays_so_over_a_restart(
    store: Store, paths: Paths, model: Path
) -> None:
    first = manager(store, paths, model)
    await first.load()
    await first.verify_new()
    second = manager(store, paths, model)
    await second.load()
    assert second.list() == first.list()
    assert second.list()[0].verified_at is not None


async def test_changed_files_have_to_be_verified_again(
    store: Store, paths: Paths, model: Path
) -> None:
    directory = install_as_built(paths.engines)
    first = manager(store, paths, model)
    await first.load()
    verified = await first.verify(BUILT)
    os.utime(directory / "llama-server")
    assert verified.verified_at is not None
    second = manager(store, paths, model)
    await second.load()
    assert second._known.get(BUILT).verified_at is None


async def test_runtime_that_is_gone_is_forgotten(store: Store, paths: Paths, model: Path) -> None:
    program = install_on_path(paths.home / "bin")
    first = manager(store, paths, model, path=f"{program.parent}:/bin")
    await first.load()
    assert ON_PATH in {one.id for one in first.list()}
    program.unlink()
    second = manager(store, paths, model, path=f"{program.parent}:/bin")
    await second.load()
    assert ON_PATH not in {one.id for one in second.list()}
    assert ON_PATH not in {one.id for one in await store.runtimes()}


async def test_program_on_the_path_is_offered_and_usable_once_verified(
    store: Store, paths: Paths, model: Path
) -> None:
    program = install_on_path(paths.home / "bin")
    runtimes = manager(store, paths, model, path=f"{program.parent}:/bin")
    await runtimes.load()
    found = runtimes._known.get(ON_PATH)
    assert (found.version, found.location, found.source) == ("9999", str(program), "path")
    assert (await runtimes.verify(ON_PATH)).verified_at is not None


async def test_best_prefers_built_to_bundled_and_waits_for_a_verification(
    store: Store, paths: Paths, model: Path
) -> None:
    install_as_built(paths.engines, "--load-delay", "0.3")
    runtimes = manager(store, paths, model)
    await runtimes.load()
    verifying = asyncio.create_task(runtimes.verify_new())
    # The bundled one has answered long before.
    assert (await runtimes.best(LLAMA, CPU)).id == BUILT
    await verifying


@pytest.mark.parametrize(
    ("behaviour", "problem"),
    [
        (("--exit-at-once", "3"), "the process ended with status 3"),
        (("--signal-at-once", str(int(signal.SIGILL))), "CPU instruction"),
        (
            ("--exit-at-once", "1", "--say", "error: invalid argument: --cache-ram"),
            "does not know the option --cache-ram",
        ),
    ],
)
async def test_runtime_that_does_not_work_says_why_and_is_not_used(
    store: Store, paths: Paths, model: Path, behaviour: tuple[str, ...], problem: str
) -> None:
    install_as_built(paths.engines)
    runtimes = manager(store, paths, model)
    await runtimes.load()
    behave(model, *behaviour)
    outcome = await runtimes.verify(BUILT)
    assert outcome.verified_at is None
    assert outcome.problem is not None
    assert problem in outcome.problem
    assert (await runtimes.best(LLAMA, CPU)).source is RuntimeSource.BUNDLED


async def test_program_that_cannot_be_started_is_a_problem_not_an_error(
    store: Store, paths: Paths, model: Path
) -> None:
    program = install_on_path(paths.home / "bin")
    program.write_text("#!/no/such/interpreter\n")
    runtimes = manager(store, paths, model, path=f"{program.parent}:/bin")
    await runtimes.load()
    unknown = "llama.cpp/path-unknown-cpu"
    assert "cannot be started" in ((await runtimes.verify(unknown)).problem or "")


async def test_hanging_runtime_is_given_up(
    store: Store, paths: Paths, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loads() -> bool:
        logs = paths.run.glob("verify-*/engine.log")
        return any(ENGINES[LLAMA].progress(log.read_text()) for log in logs)

    install_as_built(paths.engines)
    behave(model, "--hang-while-loading")
    runtimes = manager(store, paths, model)
    await runtimes.load()
    verifying = asyncio.create_task(runtimes.verify(BUILT))
    await asyncio.to_thread(eventually, loads, what="it loads")
    monkeypatch.setattr("hydra_box.engines.verify.LONGEST_SILENCE_SECONDS", 1.0)
    problem = (await verifying).problem
    assert problem == "it hangs: it said nothing for 1 s while loading the model"


async def test_when_nothing_works_each_reason_is_told(
    store: Store, paths: Paths, tmp_path: Path
) -> None:
    runtimes = manager(store, paths, tmp_path / "no-demo.gguf")
    await runtimes.load()
    with pytest.raises(EngineUnavailable) as caught:
        await runtimes.best(LLAMA, CPU)
    assert "no runtime of llama.cpp works on the CPU of this machine" in caught.value.message
    assert "no-demo.gguf" in caught.value.message
    assert caught.value.hint == "hydra-box engines install llama.cpp"


async def test_cuda_runtime_is_not_verified_on_the_cpu(
    store: Store, paths: Paths, model: Path
) -> None:
    directory = install_as_built(paths.engines)
    manifest = directory / "hydra-box-runtime.json"
    manifest.write_text(manifest.read_text().replace('"cpu"', '"cuda"'))
    runtimes = manager(store, paths, model)
    await runtimes.load()
    if runtimes._known.has_gpu:
        pytest.skip("this machine has a GPU")
    problem = (await runtimes.verify("llama.cpp/built-9999-cuda")).problem
    assert problem is not None
    assert problem.startswith("it computes on a GPU: ")


async def test_only_built_runtimes_can_be_removed(store: Store, paths: Paths, model: Path) -> None:
    directory = install_as_built(paths.engines)
    program = install_on_path(paths.home / "bin")
    runtimes = manager(store, paths, model, path=f"{program.parent}:/bin")
    await runtimes.load()
    await runtimes.remove(BUILT)
    assert not directory.exists()
    assert BUILT not in {one.id for one in await store.runtimes()}
    with pytest.raises(Conflict, match="is a part of Hydra Box"):
        await runtimes.remove(bundled(runtimes).id)
    with pytest.raises(Conflict, match="was not installed by Hydra Box"):
        await runtimes.remove(ON_PATH)
    with pytest.raises(NotFound) as caught:
        await runtimes.remove(BUILT)
    assert ON_PATH in (caught.value.hint or "")


async def two_that_work(store: Store, paths: Paths, model: Path) -> RuntimeManager:
    """The bundled runtime, and one that was built, which is preferred."""
    install_as_built(paths.engines)
    runtimes = manager(store, paths, model)
    await runtimes.load()
    await runtimes.verify_new()
    assert (await runtimes.best(LLAMA, CPU)).id == BUILT
    return runtimes


async def test_the_pinned_runtime_is_the_only_one_and_there_is_one(
    store: Store, paths: Paths, model: Path
) -> None:
    runtimes = await two_that_work(store, paths, model)
    pinned = await runtimes.pin(bundled(runtimes).id)
    assert pinned.pinned
    assert await runtimes.best(LLAMA, CPU) == pinned == runtimes.list()[0]
    assert (await runtimes.pin(BUILT)).pinned
    assert [one.id for one in runtimes.list() if one.pinned] == [BUILT]
    assert [one.id for one in await store.runtimes() if one.pinned] == [BUILT]
    assert not (await runtimes.unpin(BUILT)).pinned
    assert not any(one.pinned for one in (*runtimes.list(), *await store.runtimes()))
    with pytest.raises(NotFound):
        await runtimes.pin("llama.cpp/none")


async def test_pins_at_the_same_time_leave_one(store: Store, paths: Paths, model: Path) -> None:
    runtimes = await two_that_work(store, paths, model)
    await asyncio.gather(*(runtimes.pin(one.id) for one in runtimes.list() * 2))
    pinned = [one.id for one in runtimes.list() if one.pinned]
    assert pinned == [one.id for one in await store.runtimes() if one.pinned]
    assert len(pinned) == 1


async def test_a_pin_survives_a_restart_and_a_verification(
    store: Store, paths: Paths, model: Path
) -> None:
    first = await two_that_work(store, paths, model)
    id = bundled(first).id
    pinned = model.with_name("pinned")
    behave(model, "--load-until", str(pinned))
    verifying = asyncio.create_task(first.verify(BUILT))
    await asyncio.sleep(0)
    await first.pin(BUILT)
    pinned.touch()
    assert (await verifying).pinned
    await first.pin(id)
    await first.verify(id)
    await first.remove(BUILT)
    second = manager(store, paths, model)
    await second.load()
    assert [one.id for one in second.list() if one.pinned] == [id]
    assert second.list() == first.list()


async def test_what_a_pin_replaces_is_known_until_it_is_settled(
    store: Store, paths: Paths, model: Path
) -> None:
    first = await two_that_work(store, paths, model)
    id = bundled(first).id
    assert first.pins() == {}
    assert (await first.pin(BUILT, replaces=id)).replaces == id
    assert first.pins() == {(LLAMA, CPU): BUILT}
    second = manager(store, paths, model)
    await second.load()
    assert second._known.get(BUILT).replaces == id
    assert (await second.settle(BUILT)).replaces is None
    assert await second.roll_back(BUILT) is None
    assert second.pins() == {}


async def test_a_pin_that_does_not_work_out_is_taken_back(
    store: Store, paths: Paths, model: Path
) -> None:
    runtimes = await two_that_work(store, paths, model)
    id = bundled(runtimes).id
    await runtimes.pin(BUILT, replaces=id)
    before = await runtimes.roll_back(BUILT)
    assert before is not None
    assert (before.id, before.pinned, before.replaces) == (id, True, None)
    assert [one.id for one in await store.runtimes() if one.pinned] == [id]
    # Pinned in the place of one that has not served yet, it goes back to what served last.
    await runtimes.pin(BUILT, replaces="llama.cpp/before")
    assert (await runtimes.pin(id, replaces=BUILT)).replaces == "llama.cpp/before"
    # Back by hand is no rollout that could fail.
    await runtimes.settle(id)
    await runtimes.pin(BUILT, replaces=id)
    assert (await runtimes.pin(id)).replaces is None


async def test_only_what_works_is_pinned(store: Store, paths: Paths, model: Path) -> None:
    install_as_built(paths.engines, "--exit-at-once", "3")
    runtimes = manager(store, paths, model)
    await runtimes.load()
    # It was not tried yet: that is made up for.
    with pytest.raises(Conflict, match="cannot be used") as refused:
        await runtimes.pin(BUILT)
    assert "engines verify" in (refused.value.hint or "")
    assert runtimes.pins() == {}


async def test_a_pinned_runtime_whose_files_change_stays_pinned(
    store: Store, paths: Paths, model: Path
) -> None:
    first = await two_that_work(store, paths, model)
    await first.pin(BUILT)
    os.utime(next(paths.engines.rglob("llama-server")))
    second = manager(store, paths, model)
    await second.load()
    changed = second._known.get(BUILT)
    assert (changed.pinned, changed.verified_at) == (True, None)
    assert (await second.best(LLAMA, CPU)).id == BUILT


async def test_no_other_takes_the_place_of_a_pinned_runtime(
    store: Store, paths: Paths, model: Path
) -> None:
    runtimes = await two_that_work(store, paths, model)
    await runtimes.pin(BUILT)
    behave(model, "--exit-at-once", "3")
    await runtimes.verify(BUILT)
    with pytest.raises(EngineUnavailable) as caught:
        await runtimes.best(LLAMA, CPU)
    assert caught.value.message.startswith(
        f"{BUILT}, which is pinned as the only runtime of llama.cpp, cannot be used: the process"
    )
    assert caught.value.hint == f"hydra-box engines unpin {BUILT} lets others take its place"
    assert [one.accelerators for one in runtimes.availability() if one.engine is LLAMA] == [()]
    await runtimes.unpin(BUILT)
    assert (await runtimes.best(LLAMA, CPU)).source is RuntimeSource.BUNDLED
    assert [one.accelerators for one in runtimes.availability() if one.engine is LLAMA] == [(CPU,)]


async def test_a_pinned_runtime_of_the_cpu_does_not_stand_in_for_a_gpu(
    store: Store, paths: Paths, model: Path
) -> None:
    runtimes = await two_that_work(store, paths, model)
    await runtimes.pin(BUILT)
    with pytest.raises(EngineUnavailable, match="it computes on the CPU, and a GPU is wanted"):
        await runtimes.best(LLAMA, Accelerator.CUDA)


async def test_what_cannot_be_pinned_and_what_cannot_be_removed(
    store: Store, paths: Paths, model: Path
) -> None:
    runtimes = await two_that_work(store, paths, model)
    await runtimes.pin(BUILT)
    with pytest.raises(Conflict, match="is pinned") as caught:
        await runtimes.remove(BUILT)
    assert caught.value.hint == f"first: hydra-box engines unpin {BUILT}"
    await runtimes.unpin(BUILT)
    behave(model, "--exit-at-once", "3")
    await runtimes.verify(BUILT)
    with pytest.raises(Conflict, match="cannot be used: the process ended with status 3"):
        await runtimes.pin(BUILT)
    await runtimes.remove(BUILT)


async def test_unfinished_and_foreign_directories_are_no_runtimes(
    store: Store, paths: Paths, model: Path
) -> None:
    directory = install_as_built(paths.engines)
    (directory / "hydra-box-runtime.json").write_text('{"version": ')
    (paths.engines / "llama.cpp" / ".unfinished").mkdir()
    runtimes = manager(store, paths, model)
    await runtimes.load()
    assert [one.source for one in runtimes.list()] == [RuntimeSource.BUNDLED]


RUNTIME = Runtime(
    id="x",
    engine=LLAMA,
    version="1.2",
    accelerator=Accelerator.CPU,
    source=RuntimeSource.BUILT,
    location="/x",
    argv=("/x",),
    verified_at=1.0,
)


@pytest.mark.parametrize(
    ("has_gpu", "better", "worse"),
    [
        (False, {}, {"verified_at": None}),
        (False, {}, {"accelerator": Accelerator.CUDA}),
        (True, {"accelerator": Accelerator.CUDA}, {}),
        (True, {"accelerator": Accelerator.CUDA, "source": RuntimeSource.PATH}, {}),
        (False, {}, {"source": RuntimeSource.BUNDLED}),
        (False, {"source": RuntimeSource.BUNDLED}, {"source": RuntimeSource.PATH}),
        (False, {"version": "0.10.0"}, {"version": "0.9.9"}),
        (False, {"verified_at": 1.0}, {"verified_at": None, "version": "99"}),
        (False, {"pinned": True, "verified_at": None}, {}),
    ],
)
def test_rank(has_gpu: bool, better: dict[str, object], worse: dict[str, object]) -> None:
    ranks = [rank(msgspec.structs.replace(RUNTIME, **one), has_gpu) for one in (better, worse)]
    assert ranks[0] > ranks[1]
