"""Whom one talks to, and whether it can be asked now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.content import Content
from textual.widgets import Static

from hydra_box.messages import ServiceView
from hydra_box.shown.text import harmless
from hydra_box.types import Modality
from tui.trial.standing import Standing
from tui.widgets.progress import download_line
from tui.widgets.service_words import has_instances, model, room
from tui.words import status, status_style


class TrialLine(Static):
    """A line on the service; another two while it cannot be asked."""

    def __init__(self) -> None:
        super().__init__(id="service")

    def show(
        self, view: ServiceView | None, standing: Standing, beside: Sequence[ServiceView]
    ) -> None:
        """Show how it is now."""
        self.update(Content("\n").join(_lines(view, standing, beside)))


def _lines(
    view: ServiceView | None, standing: Standing, beside: Sequence[ServiceView]
) -> Iterator[Content]:
    if view is not None:
        yield _service(view, beside)
    if standing.problem is None:
        return
    mark, style = ("◐", "$text-warning") if standing.passing else ("✗", "$text-error")
    yield Content.styled(f"{mark} {harmless(standing.problem.fact)}", style)
    if view is not None and view.download is not None:
        yield download_line(view.download)
    if standing.problem.hint:
        yield Content(f"  hint: {harmless(standing.problem.hint)}")


def _service(view: ServiceView, beside: Sequence[ServiceView]) -> Content:
    parts = [
        view.access_name,
        f"{view.engine}, {room(view)}" if has_instances(view) else model(view),
    ]
    if view.modality is Modality.VISION:
        parts.insert(0, "ctrl+f: image")
    if beside:
        parts = [f"beside {', '.join(one.name for one in beside)}", *parts]
    return Content.assemble(
        (view.name, "bold"),
        "  ",
        (status(view), status_style(view)),
        f"  {'  '.join(parts)}",
    )
