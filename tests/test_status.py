from __future__ import annotations

import msgspec
import pytest

from hydra_box.status import (
    engines_without_runtime,
    runtime_in_use,
    runtimes_in_use,
)
from hydra_box.types import (
    Accelerator,
    EngineName,
    Runtime,
    RuntimeSource,
)

LLAMA_CPP = EngineName.LLAMA_CPP


def runtime(
    version: str, *, verified_at: float | None = None, problem: str | None = None
) -> Runtime:
    return Runtime(
        id=f"llama.cpp/built-{version}-cpu",
        engine=LLAMA_CPP,
        version=version,
        accelerator=Accelerator.CPU,
        source=RuntimeSource.BUILT,
        location="/engines",
        argv=("llama-server",),
        verified_at=verified_at,
        problem=problem,
    )


def test_the_first_verified_runtime_is_in_use() -> None:
    runtimes = (runtime("3"), runtime("2", verified_at=1.0), runtime("1", verified_at=2.0))
    assert runtime_in_use(LLAMA_CPP, runtimes) == "llama.cpp/built-2-cpu"


def test_no_runtime_is_in_use_before_one_was_verified() -> None:
    assert runtime_in_use(LLAMA_CPP, (runtime("3"),)) is None


def test_an_engine_that_is_not_installed_is_not_listed() -> None:
    assert runtimes_in_use((runtime("1", verified_at=1.0),)) == {
        "llama.cpp": "llama.cpp/built-1-cpu"
    }
    assert runtimes_in_use((runtime("1"),)) == {"llama.cpp": None}


@pytest.mark.parametrize(
    "usable", [runtime("1", verified_at=1.0), runtime("1")], ids=["verified", "not tried yet"]
)
def test_an_engine_that_works_or_may_work_needs_no_attention(usable: Runtime) -> None:
    assert engines_without_runtime((runtime("2", problem="SIGILL"), usable)) == []


def test_an_engine_none_of_whose_runtimes_works_needs_attention() -> None:
    (line,) = engines_without_runtime((runtime("2", problem="it died of SIGILL"),))
    assert msgspec.to_builtins(line) == {
        "message": "llama.cpp has no runtime that works: llama.cpp/built-2-cpu: it died of SIGILL",
        "hint": "hydra-box engines install llama.cpp",
        "service_name": None,
    }


def test_an_engine_that_nobody_installed_needs_no_attention() -> None:
    assert engines_without_runtime(()) == []


def test_no_other_takes_the_place_of_a_pinned_runtime() -> None:
    broken = msgspec.structs.replace(runtime("2", problem="it hangs"), pinned=True)
    runtimes = (broken, runtime("1", verified_at=1.0))
    assert runtimes_in_use(runtimes) == {"llama.cpp": None}
    (found,) = engines_without_runtime(runtimes)
    assert broken.id in found.message
    assert found.hint == f"hydra-box engines unpin {broken.id} lets others take its place"
    working = msgspec.structs.replace(broken, problem=None, verified_at=1.0)
    assert runtimes_in_use((working, *runtimes[1:])) == {"llama.cpp": working.id}
