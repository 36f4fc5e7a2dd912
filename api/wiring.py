"""How a handler gets the appliance: as the parameter ``box: BoxParam``."""

from __future__ import annotations

from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation

from hydra_box.box import Box

BoxParam = NamedDependency[SkipValidation[Box]]


def provide_box(box: Box) -> dict[str, Provide]:
    """The dependencies of every handler."""

    async def provide() -> Box:
        return box

    return {"box": Provide(provide)}
