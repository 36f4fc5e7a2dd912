"""The library: models on this machine's disks."""

from __future__ import annotations

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody

from api.wiring import BoxParam
from hydra_box.box import Box
from hydra_box.messages import ImportRequest, RemovedModel, StoredModelView
from hydra_box.types import FoundModel, StoredModel


@get("/library")
async def list_library(box: BoxParam) -> list[StoredModelView]:
    """Every whole model on the disk, by name, with the services that use it."""
    await box.library.look()
    return [_view(box, one) for one in box.library.list()]


@post("/library", status_code=201)
async def import_model(box: BoxParam, data: JSONBody[ImportRequest]) -> StoredModelView:
    """Take files on this machine into the library: where they are, or as a copy."""
    return _view(box, await box.library.import_(data))


@get("/library/found")
async def scan_models(box: BoxParam) -> list[FoundModel]:
    """Models in other programs' stores on this machine, which could be imported."""
    return list(await box.library.scan())


@get("/library/{id:str}")
async def get_stored(box: BoxParam, id: FromPath[str]) -> StoredModelView:
    """One model of the library, by its id or its name."""
    await box.library.look()
    return _view(box, box.library.get(id))


@post("/library/{id:str}/verify", status_code=200)
async def verify_model(box: BoxParam, id: FromPath[str]) -> StoredModelView:
    """Compare every file of a model with its checksum; ``problem`` says what is wrong."""
    return _view(box, await box.library.verify(id))


@delete("/library/{id:str}", status_code=200)
async def remove_model(box: BoxParam, id: FromPath[str]) -> RemovedModel:
    """Remove a model that no service uses; files that are not ours stay."""
    name = box.library.get(id).name
    return RemovedModel(name=name, freed_bytes=await box.library.remove(id))


def _view(box: Box, model: StoredModel) -> StoredModelView:
    return StoredModelView(
        id=model.id,
        name=model.name,
        stored_as=model.stored_as,
        path=model.path,
        format=model.format,
        quantization=model.quantization,
        repository=model.repository,
        revision=model.revision,
        files=model.files,
        size_bytes=model.size_bytes,
        allows_code=model.allows_code,
        added_at=model.added_at,
        verified_at=model.verified_at,
        last_used_at=model.last_used_at,
        problem=model.problem,
        services=box.library.services_of(model),
    )
