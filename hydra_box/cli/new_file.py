"""A file that a verb writes: private, and whole before it has its name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from hydra_box.errors import Conflict, StateError

STDOUT: Final = "-"


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[tuple[Path, BinaryIO]]:
    """The unfinished file and its name until the block ends well; then it has the name asked for.

    Args:
        path: the name asked for.
        force: a file that has it is replaced.

    Raises:
        Conflict: a file has it.
        StateError: it cannot be written.

    """
    if path.exists() and not force:
        raise Conflict(f"{path} exists", hint="give another name, or --force", param="file")
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        file = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "w+b") as output:
            yield part, output
            output.flush()
            os.fsync(output.fileno())
        part.replace(path)
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror}", param="file") from error
    finally:
        part.unlink(missing_ok=True)
