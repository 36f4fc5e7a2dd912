"""Downloads: models on their way from the hub to this machine's disk."""

from __future__ import annotations

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody

from api.wiring import BoxParam
from hydra_box.messages import DownloadView, PullRequest


@get("/downloads")
async def list_downloads(box: BoxParam) -> list[DownloadView]:
    """Every download, oldest first: bytes, speed, and how long it will take."""
    return list(box.downloads.list())


@post("/downloads", status_code=201)
async def pull_model(box: BoxParam, data: JSONBody[PullRequest]) -> DownloadView:
    """Fetch a model into the library; a service is not made.

    What is not said is chosen as a deployment would. A model that is here already is checked
    against the hub, and what is missing is fetched.
    """
    wanted = await box.puller.choose(data)
    download = await box.downloads.want(wanted, pulled=True)
    return box.downloads.get(download.id)


@get("/downloads/{id:str}")
async def get_download(box: BoxParam, id: FromPath[str]) -> DownloadView:
    """One download, by its id."""
    return box.downloads.get(id)


@post("/downloads/{id:str}/pause", status_code=200)
async def pause_download(box: BoxParam, id: FromPath[str]) -> DownloadView:
    """Stop a download, and keep what has arrived."""
    return await box.downloads.pause(id)


@post("/downloads/{id:str}/resume", status_code=200)
async def resume_download(box: BoxParam, id: FromPath[str]) -> DownloadView:
    """Go on with a download that is paused or has failed."""
    return await box.downloads.resume(id)


@delete("/downloads/{id:str}", status_code=204)
async def cancel_download(box: BoxParam, id: FromPath[str]) -> None:
    """Give a download up, and remove what has arrived; one that is over is forgotten."""
    await box.downloads.cancel(id)
