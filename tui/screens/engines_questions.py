"""What is asked before a runtime or an installation goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hydra_box.shown.numbers import duration
from hydra_box.types import Runtime
from tui.installation import Installation
from tui.link import Link
from tui.screens.models_confirm import ConfirmDialog


def remove_dialog(row: Runtime, services: Sequence[str]) -> ConfirmDialog:
    """Whether to remove a runtime, on which these services have instances."""
    text = f"Its files are deleted: {row.location}\nInstalling the engine again brings it back."
    if services:
        text += (
            f"\n{', '.join(services)} runs on it: instances may fail, and start on another runtime "
            "then, if one works."
        )

    async def remove(link: Link) -> str:
        await link.call(lambda box: box.remove_engine(row.id))
        return f"{row.id} is removed."

    return ConfirmDialog(f"Remove {row.id}", text, verb="remove it", do=remove)


def pin_dialog(row: Runtime, text: str) -> ConfirmDialog:
    """Whether to pin a runtime although some service is away while its instances move to it."""

    async def pin(link: Link) -> str:
        await link.call(lambda box: box.pin_engine(row.id, allow_downtime=True))
        return f"{row.id} is pinned."

    return ConfirmDialog(f"Pin {row.id}", text, verb="pin it", do=pin)


def stop_dialog(installation: Installation, stop: Callable[[], None]) -> ConfirmDialog:
    """Whether to end an installation that goes on."""
    engine = installation.engine

    async def end(_: Link) -> str:
        stop()
        return f"The installation of {engine} is stopped."

    text = (
        f"What it did in {duration(installation.seconds)} is lost, and the next one begins anew. "
        "A runtime that was installed before stays as it is."
    )
    return ConfirmDialog(f"Stop installing {engine}", text, verb="stop it", do=end)
