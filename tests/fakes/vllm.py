"""An environment that looks like vLLM's, whose python serves as ``tests/fakes/engine.py`` does.

make_environment(directory)                         what an installation makes
make_environment(directory, "--exit-at-once", "1")  one that does not work
install_as_built(paths.engines)                     a finished runtime
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

VERSION = "9999.0.0"


def make_environment(directory: Path, *behaviour: str) -> Path:
    """Put a fake vLLM into ``directory``; returns its python."""
    python = directory / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).parents[2]
    command = shlex.join((sys.executable, "-P", __file__, str(root), *behaviour))
    python.write_text(f'#!/bin/sh\nexec {command} -- "$@"\n')
    python.chmod(0o755)
    return python


def install_as_built(engines: Path, *behaviour: str, accelerator: str = "cpu") -> Path:
    """Put a fake among the installed runtimes; returns its directory."""
    directory = engines / "vllm" / f"{VERSION}-{accelerator}-1"
    make_environment(directory, *behaviour)
    manifest = {
        "version": VERSION,
        "accelerator": accelerator,
        "program": "bin/python",
        "built_at": 1,
    }
    (directory / "hydra-box-runtime.json").write_text(json.dumps(manifest))
    return directory


def main(arguments: Iterable[str]) -> int:
    """Turn vLLM's command line into that of the fake engine: ``BEHAVIOUR -- -P LAUNCHER MODEL``."""
    from tests.fakes import engine  # noqa: PLC0415 - found once the path is set

    given = list(arguments)
    split = given.index("--")
    behaviour, (_, _, model, *flags) = given[:split], given[split + 1 :]
    names = {"--served-model-name": "--alias", "--uds": "--host", "--max-num-seqs": "--parallel"}
    translated = [names.get(word, word) for word in flags]
    return engine.main(["--model", model, *translated, *behaviour])


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    sys.exit(main(sys.argv[2:]))
