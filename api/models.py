"""The catalog: base models, and what this box would do with each."""

from __future__ import annotations

from litestar import get
from litestar.params import FromPath, FromQuery

from api.wiring import BoxParam
from hydra_box.messages import ModelView


@get("/models")
async def list_models(box: BoxParam, model: FromQuery[str | None] = None) -> list[ModelView]:
    """The catalog: each model with what this box would do with it, and the services that use it.

    The hub is not asked: sizes are those of the files on this machine, or follow from the model's
    shape. ``POST /plan`` reads the exact ones. With ``model``, whatever MODEL may be (also a
    repository of the hub, or a path), the list has that one alone.
    """
    if model is not None:
        return [await box.planner.model(model)]
    return list(await box.planner.models())


@get("/models/{id:str}")
async def get_model(box: BoxParam, id: FromPath[str]) -> ModelView:
    """One entry of the catalog."""
    return await box.planner.model(id)
