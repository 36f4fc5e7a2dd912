"""The catalog: base models, and what this box would do with each."""

from __future__ import annotations

from litestar import get
from litestar.params import FromPath

from api.wiring import BoxParam
from hydra_box.messages import ModelView


@get("/models")
async def list_models(box: BoxParam) -> list[ModelView]:
    """The catalog: each model with what this box would do with it, and the services that use it.

    The hub is not asked: sizes are those of the files on this machine, or follow from the model's
    shape. ``POST /plan`` reads the exact ones.
    """
    return list(await box.planner.models())


@get("/models/{id:str}")
async def get_model(box: BoxParam, id: FromPath[str]) -> ModelView:
    """One entry of the catalog."""
    return await box.planner.model(id)
