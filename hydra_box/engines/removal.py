"""Which runtimes may be removed."""

from __future__ import annotations

from collections.abc import Iterable

from hydra_box.errors import Conflict
from hydra_box.types import Runtime, RuntimeSource


def check_removable(runtime: Runtime, others: Iterable[Runtime] = ()) -> None:
    """Whether a runtime is one that was installed here, and neither pinned nor gone back to.

    Raises:
        Conflict: it is not; says who may remove it.

    """
    if runtime.pinned:
        raise Conflict(
            f"{runtime.id} is pinned", hint=f"first: hydra-box engines unpin {runtime.id}"
        )
    for other in others:
        if other.pinned and other.replaces == runtime.id:
            raise Conflict(
                f"{runtime.id} is used again if {other.id} does not serve in its place",
                hint="wait until every instance was replaced: hydra-box status",
            )
    if runtime.source is RuntimeSource.BUNDLED:
        raise Conflict(
            f"{runtime.id} is a part of Hydra Box", hint="a better runtime is preferred to it"
        )
    if runtime.source is RuntimeSource.PATH:
        raise Conflict(
            f"{runtime.id} was not installed by Hydra Box",
            hint=f"remove {runtime.location} with what installed it",
        )
