"""Which state directory an environment means.

It is ``$HYDRA_BOX_HOME``; else ``/var/lib/hydra-box`` for the system service (systemd names it in
``$STATE_DIRECTORY``); else ``$XDG_DATA_HOME/hydra-box``, which is ``~/.local/share/hydra-box``
unless set. Who has no such directory and may look into that of the system service means that one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from hydra_box.config.paths import Paths
from hydra_box.errors import StateError

SOCKET_PATH_LIMIT_BYTES = 100
"""``sun_path`` holds 108 bytes; some are kept for the file's own name (unix(7))."""

SYSTEM_HOME = Path("/var/lib/hydra-box")
"""The state directory of the system service."""


def resolve_home(environ: Mapping[str, str]) -> Path:
    """The state directory that this environment names.

    Raises:
        StateError: it needs the user's home directory, and that is not known.

    """
    try:
        if home := environ.get("HYDRA_BOX_HOME"):
            return Path(home).expanduser().absolute()
        if state := environ.get("STATE_DIRECTORY"):
            return Path(state)
        if data := environ.get("XDG_DATA_HOME"):
            return Path(data).absolute() / "hydra-box"
        user = Path(environ.get("HOME") or Path.home())
        own = user.absolute() / ".local" / "share" / "hydra-box"
    except RuntimeError as error:
        raise StateError(
            "the home directory of this user is not known",
            hint="set HYDRA_BOX_HOME to the full path of a directory of your own",
        ) from error
    # Who may look into it, as root and the service's own account, means the system's service.
    return own if own.exists() or not os.access(SYSTEM_HOME, os.X_OK) else SYSTEM_HOME


def resolve_paths(environ: Mapping[str, str]) -> Paths:
    """The paths that this environment names; nothing is created.

    Raises:
        StateError: it needs the user's home directory, and that is not known.

    """
    home = resolve_home(environ)
    run = home / "run"
    longest = run / "instances" / "01234567" / "engine.sock"
    if len(os.fsencode(longest)) > SOCKET_PATH_LIMIT_BYTES:
        digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:8]
        # Not $TMPDIR: it may be long as well, and another shell of the same user has another.
        run = Path("/tmp") / f"hydra-box-{os.getuid()}-{digest}"  # noqa: S108 - owner is checked
    return Paths(home=home, run=run)
