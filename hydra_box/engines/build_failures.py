"""Why an installation failed, from what its programs printed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from hydra_box.errors import EngineUnavailable

_CAUSES = (
    (
        r"ensurepip is not available|No module named '?(?:ensurepip|venv|pip)",
        "Python's venv module is not complete",
        "Debian, Ubuntu: apt install python3-venv",
    ),
    (
        r"THESE PACKAGES DO NOT MATCH THE HASHES",
        "the sources are not those that were pinned: their hash differs",
        "do not use them; check the package index that pip is configured for",
    ),
    (
        r"No space left on device|Disk quota exceeded",
        "the disk is full",
        "free some space, or set HYDRA_BOX_HOME to a larger disk",
    ),
    (
        (
            r"Temporary failure in name resolution|NewConnectionError|ConnectTimeout"
            r"|Connection refused|Network is unreachable|Read timed out|SSLError|IncompleteRead"
        ),
        "the package registry cannot be reached",
        "check the network and the proxy settings, then try again",
    ),
    (
        (
            r"(?s)require a different python version:[^\n]*Requires-Python ([^\s;]+).*"
            r"No matching distribution found for ([^\s(]+)"
        ),
        "{1} does not support this Python: it needs Python {0}",
        "install Hydra Box with a Python that it supports",
    ),
    (
        r"ERROR: (\S+) is not a supported wheel on this platform",
        "there is no {0} for this kind of machine",
        "llama.cpp runs on more of them: hydra-box engines install llama.cpp",
    ),
    (
        r"No matching distribution found for ([^\s(]+)",
        "the package registry has no {0}",
        "check the package index that pip is configured for",
    ),
    (
        r"[Kk]illed signal terminated program|virtual memory exhausted|out of memory allocating",
        "a compiler ran out of memory",
        "stop some services while it builds, then try again",
    ),
    (
        (
            r"(nvcc fatal\s*: .+|.*unsupported GNU version.*|Failed to find nvcc.*"
            r"|No CMAKE_CUDA_COMPILER could be found)"
        ),
        "the CUDA toolkit cannot build it: {0}",
        "install a CUDA toolkit that fits the driver and the compiler",
    ),
    (
        r"No CMAKE_(?:C|CXX)_COMPILER could be found|CMAKE_(?:C|CXX)_COMPILER not set",
        "no working C and C++ compiler was found",
        "Debian, Ubuntu: apt install build-essential; Fedora: dnf install gcc-c++",
    ),
    (
        r"(The \w+ compiler)\s+\"([^\"]*)\"\s+is not able to compile",
        "{0} {1} does not work",
        "Debian, Ubuntu: apt install build-essential; Fedora: dnf install gcc-c++",
    ),
    (
        r"CMake (\S+) or higher is required",
        "CMake {0} or newer is needed",
        "install a newer CMake",
    ),
    (r"((?:fatal )?error: (?!subprocess-exited).+)", "the build stopped at: {0}", None),
)


def explain_failure(status: int, lines: Iterable[str], log_path: Path) -> EngineUnavailable:
    """The error for a program that ended with ``status``; the first cause that fits wins."""
    text = "\n".join(lines)
    log = f"the whole log is in {log_path}"
    for pattern, fact, hint in _CAUSES:
        found = re.search(pattern, text)
        if found:
            text = fact.format(*(" ".join(group.split()) for group in found.groups()))
            return EngineUnavailable(text[:300], hint=f"{hint}; {log}" if hint else log)
    return EngineUnavailable(f"the installation ended with status {status}", hint=log)
