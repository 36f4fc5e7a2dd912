"""What is asked before a download or a model goes."""

from __future__ import annotations

from collections.abc import Iterable

from hydra_box.messages import DownloadView, StoredModelView
from hydra_box.shown.numbers import count, size
from hydra_box.types import DownloadState, ModelFile, StoredAs
from tui.link import Link
from tui.screens.models_confirm import ConfirmDialog


def cancel_dialog(row: DownloadView) -> ConfirmDialog | None:
    """Whether to give a download up; None: services wait for it, so it cannot be."""
    if row.state is DownloadState.DONE:
        title, verb = "Take the download off the list", "take off"
        text = f"{row.model} is whole and stays in the library; only this line goes."
        told = f"The download of {row.model} is off the list."
    elif row.services:
        return None
    else:
        title, verb = "Cancel the download", "cancel it"
        transfer = row.transfer
        text = (
            f"What has arrived of {row.model} is deleted: {size(transfer.done_bytes)} of "
            f"{size(transfer.total_bytes)}. To go on later, leave it and press space: a paused "
            "download keeps what it has."
        )
        told = f"The download of {row.model} is cancelled."

    async def cancel(link: Link) -> str:
        await link.call(lambda box: box.cancel_download(row.id))
        return told

    return ConfirmDialog(title, text, verb=verb, do=cancel)


def remove_dialog(row: StoredModelView, library: Iterable[StoredModelView]) -> ConfirmDialog:
    """Whether to delete a model's files."""
    shared = shared_files(row, library)
    lost = sum(one.size_bytes for one in row.files) - sum(one.size_bytes for one in shared)
    text = f"{size(lost)} in {count(len(row.files) - len(shared), 'file')} are deleted"
    if row.stored_as is StoredAs.HUB:
        text += " from the hub's cache, for other programs of this machine, too."
        text += " They can be pulled again."
    else:
        text += ": copies that this box made. What they were copied from stays."
    if shared:
        kept = size(sum(one.size_bytes for one in shared))
        text += f"\n{kept} in {count(len(shared), 'file')} stay: other models share them."

    async def remove(link: Link) -> str:
        removed = await link.call(lambda box: box.remove_model(row.id))
        return f"{removed.name} is removed: {size(removed.freed_bytes)} are free again."

    return ConfirmDialog(f"Remove {row.name}", text, verb="delete the files", do=remove)


def shared_files(row: StoredModelView, library: Iterable[StoredModelView]) -> tuple[ModelFile, ...]:
    """Files that stay when a model of the hub is removed: others of its repository have them."""
    if row.stored_as is not StoredAs.HUB:
        return ()
    others = [
        one for one in library if one.id != row.id and one.repository == row.repository is not None
    ]
    digests = {file.digest for one in others for file in one.files if file.digest}
    names = {file.name for one in others if one.revision == row.revision for file in one.files}
    return tuple(one for one in row.files if one.digest in digests or one.name in names)
