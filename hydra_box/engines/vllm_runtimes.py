"""Which runtimes of vLLM this machine has: those that Hydra Box installed."""

from __future__ import annotations

from pathlib import Path

from hydra_box.engines.manifest import MANIFEST, Manifest, find_installed, runtime_id
from hydra_box.types import EngineName, Runtime, RuntimeSource

ENGINE = EngineName.VLLM
LAUNCHER = Path(__file__).with_name("vllm_server.py")
PYTHON = "bin/python"


def find_runtimes(home: Path) -> list[Runtime]:
    """The newest environment of each version and accelerator under ``home``."""
    oldest_first = sorted(find_installed(home), key=lambda one: one[1].built_at)
    found = [installed_runtime(directory, manifest) for directory, manifest in oldest_first]
    return list({one.id: one for one in found}.values())


def installed_runtime(directory: Path, manifest: Manifest) -> Runtime:
    """The runtime in ``directory``, as its manifest tells."""
    return Runtime(
        id=runtime_id(ENGINE, RuntimeSource.BUILT, manifest.version, manifest.accelerator),
        engine=ENGINE,
        version=manifest.version,
        accelerator=manifest.accelerator,
        source=RuntimeSource.BUILT,
        location=str(directory),
        # -P: the launcher's own directory must not be searched for modules.
        argv=(str(directory / manifest.program), "-P", str(LAUNCHER)),
    )


def changed_at(runtime: Runtime) -> float:
    """When the environment last changed, Unix time in seconds; 0 if it is gone.

    Its python is that of the system: an update of that is a change too.
    """
    location = Path(runtime.location)
    files = (
        location / MANIFEST,
        Path(runtime.argv[0]),
        LAUNCHER,
        *location.glob("lib/python*/site-packages"),
    )
    return max((one.stat().st_ctime for one in files if one.exists()), default=0.0)
