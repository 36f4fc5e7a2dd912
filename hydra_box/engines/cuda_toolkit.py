"""Where NVIDIA's CUDA toolkit is on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

USUAL_HOME = Path("/usr/local/cuda")
"""Where NVIDIA's packages install it; they leave the PATH to the user."""

NO_NVCC = f"no nvcc was found on the PATH, in CUDA_HOME or in {USUAL_HOME}"


def find_nvcc(environ: Mapping[str, str]) -> str | None:
    """CUDA's compiler, or None: what CUDACXX names, else on the PATH, else where the toolkit is.

    Args:
        environ: with ``CUDACXX``, ``PATH``, ``CUDA_HOME`` and ``CUDA_PATH``, as CMake reads them.

    """
    path = environ.get("PATH", "")
    if named := environ.get("CUDACXX", "").split():
        return shutil.which(named[0], path=path)
    homes = [Path(environ[name]) for name in ("CUDA_HOME", "CUDA_PATH") if environ.get(name)]
    places = [path, *(str(home / "bin") for home in (*homes, USUAL_HOME))]
    return next((found for place in places if (found := shutil.which("nvcc", path=place))), None)
