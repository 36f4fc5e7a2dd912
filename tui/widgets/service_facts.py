"""The parts of a service's page that are text: basic information, authentication, instances."""

from __future__ import annotations

import time
from collections.abc import Sequence

from textual.content import Content

from hydra_box.messages import ServiceView
from hydra_box.shown.numbers import count
from hydra_box.types import EngineName
from tui.session import Session
from tui.widgets.progress import download_line
from tui.widgets.service_pane import instance_line, upstream_line
from tui.words import STATUS_STYLES, device, ready, status


def facts(rows: Sequence[tuple[str, str | Content]]) -> Content:
    """Names and values in two columns."""
    width = max(len(name) for name, _ in rows)
    return Content("\n").join(
        Content.assemble((f"{name:<{width}}  ", "$text-muted"), value) for name, value in rows
    )


def basic_information(view: ServiceView, session: Session) -> Content:
    """What the service is."""
    machine = session.state.machine
    runtimes = sorted({one.runtime for one in view.instances if one.runtime})
    devices = sorted({device(one.device, machine) for one in view.instances if one.device})
    quantization = f" {view.quantization}" if view.quantization else ""
    created = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(view.created_at))
    rows: list[tuple[str, str | Content]] = [
        ("Model service name", view.name),
        ("Model access name", Content.styled(view.access_name, "bold")),
        ("Model service ID", view.id),
        ("Base model", f"{view.base_model}{quantization}"),
        ("Instance count", f"{view.desired_instances}, {view.ready_instances} ready"),
        ("Status", Content.styled(status(view), STATUS_STYLES[view.status])),
        *_where_it_runs(view, runtimes, devices),
        ("Created", created),
        ("Endpoint", f"POST {session.url}/v1/chat/completions"),
    ]
    return facts(rows)


def _where_it_runs(
    view: ServiceView, runtimes: Sequence[str], devices: Sequence[str]
) -> list[tuple[str, str | Content]]:
    if view.engine is EngineName.UPSTREAM:
        return [("Engine", f"{view.engine} ({ready(view)} healthy)")]
    return [
        ("Engine", f"{view.engine} ({', '.join(runtimes) or 'no runtime in use yet'})"),
        ("Devices", ", ".join(devices) or "none yet"),
        ("Context", f"{view.context_length:,} tokens in each of {count(view.slots, 'slot')}"),
    ]


def condition(view: ServiceView) -> Content | None:
    """What it is doing, or what is wrong; None: there is nothing to say."""
    if view.download is not None:
        return download_line(view.download)
    if view.reason:
        fact, _, hint = view.reason.partition("; hint: ")
        text = Content.styled(f"! {fact}", "$text-error")
        return Content.assemble(text, f"\n  hint: {hint}") if hint else text
    return Content.styled(f"◐ {view.progress}", "$text-warning") if view.progress else None


def instances(view: ServiceView, session: Session) -> Content:
    """One line for each instance, and why where one does not run."""
    if not view.instances and not view.upstreams:
        return Content("no instances")
    lines = []
    for one in view.instances:
        lines.append(instance_line(one, view, session.state))
        if one.reason:
            lines.append(Content.styled(f"  {one.reason}", "$text-error"))
    for upstream in view.upstreams:
        lines.append(upstream_line(upstream))
        if upstream.reason:
            lines.append(Content.styled(f"  {upstream.reason}", "$text-error"))
    return Content("\n").join(lines)


def authentication() -> Content:
    """How the header looks, where keys are, and what to beware of."""
    return Content.from_markup(
        "API-Key authorization: every request carries the header\n"
        "  [b]Authorization: Bearer {API_KEY}[/b]\n"
        "[b $accent]3[/] View my API key: the section Keys makes one, and shows it once.\n"
        "Security tip: keep the key on your server; never in code that others can read."
    )
