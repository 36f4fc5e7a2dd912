"""Following a service's log into a view, as screens that show one do it."""

from __future__ import annotations

import asyncio
from typing import Final

from hydra_box.errors import HydraError
from tui.link import Link
from tui.widgets.log_view import LogView

_AT_ONCE: Final = 400
TAIL_LINES: Final = 1000
RETRY_SECONDS: Final = 1.0


async def follow_log(link: Link, view: LogView, service_id: str, instance: str | None) -> None:
    """The last lines, then each that is printed; begins again when the box is back. Never ends."""
    while True:
        view.start_over()
        try:
            await _follow_once(link, view, service_id, instance)
        except HydraError as error:
            view.add(str(error).splitlines())
        await asyncio.sleep(RETRY_SECONDS)


async def _follow_once(link: Link, view: LogView, service_id: str, instance: str | None) -> None:
    gathered: list[str] = []
    came = asyncio.Event()

    async def show() -> None:
        # A burst of lines is drawn in a few steps, with room for keys between them.
        while True:
            await came.wait()
            came.clear()
            while gathered:
                view.add(gathered[:_AT_ONCE])
                del gathered[:_AT_ONCE]
                await asyncio.sleep(0)

    showing = asyncio.create_task(show())
    try:
        async with link.stream(
            lambda box: box.logs(service_id, instance=instance, lines=TAIL_LINES, follow=True)
        ) as lines:
            async for line in lines:
                gathered.append(line)
                came.set()
    finally:
        showing.cancel()
        view.add(gathered)
