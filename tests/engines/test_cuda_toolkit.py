"""Where CUDA's compiler is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydra_box.engines import cuda_toolkit
from hydra_box.engines.build_llama_cpp import BuildOptions, build_environment
from hydra_box.engines.cuda_toolkit import find_nvcc
from hydra_box.types import Accelerator


@pytest.fixture(autouse=True)
def usual_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the toolkit is installed, if it is: nothing is there yet."""
    home = tmp_path / "usual"
    monkeypatch.setattr(cuda_toolkit, "USUAL_HOME", home)
    return home


def toolkit(home: Path, compiler: str = "nvcc") -> str:
    """Put a compiler into a toolkit's directory."""
    program = home / "bin" / compiler
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return str(program)


def test_it_is_looked_for_where_cmake_looks_and_where_it_is_installed(
    tmp_path: Path, usual_home: Path
) -> None:
    assert find_nvcc({"PATH": ""}) is None
    usual = toolkit(usual_home)
    assert find_nvcc({}) == usual
    path = toolkit(tmp_path / "path")
    homes = {name: str(tmp_path / name) for name in ("CUDA_HOME", "CUDA_PATH")}
    environ: dict[str, str] = {}
    assert find_nvcc(homes) == usual
    for name in ("CUDA_PATH", "CUDA_HOME"):
        environ[name] = homes[name]
        own = toolkit(Path(homes[name]))
        assert find_nvcc(environ) == own
    environ["PATH"] = str(Path(path).parent)
    assert find_nvcc(environ) == path
    environ["CUDACXX"] = toolkit(tmp_path / "own", "clang++")
    assert find_nvcc(environ) == environ["CUDACXX"]
    assert find_nvcc(environ | {"CUDACXX": "no-such-compiler"}) is None


def test_a_build_is_told_of_the_one_that_was_found(tmp_path: Path, usual_home: Path) -> None:
    def environment(accelerator: Accelerator, **environ: str) -> dict[str, str]:
        options = BuildOptions(
            directory=tmp_path / "build", accelerator=accelerator, log_path=tmp_path / "log"
        )
        return build_environment(options, environ)

    usual = toolkit(usual_home)
    assert environment(Accelerator.CUDA)["CUDACXX"] == usual
    assert environment(Accelerator.CUDA, CUDACXX="mine")["CUDACXX"] == "mine"
    assert "CUDACXX" not in environment(Accelerator.CPU)
