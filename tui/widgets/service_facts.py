"""The parts of a service's page that are text: basic information, authentication, instances."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from textual.content import Content

from hydra_box.messages import ServiceView
from hydra_box.shown.doing import doing
from hydra_box.shown.numbers import count
from hydra_box.shown.spans import span
from hydra_box.shown.text import harmless
from tui.session import Session
from tui.widgets.progress import download_line
from tui.widgets.service_lines import instance_line, upstream_lines
from tui.widgets.service_words import asleep, callers, has_instances, healthy, owner, price
from tui.words import device, status, status_style


def facts(rows: Sequence[tuple[str, str | Content]]) -> Content:
    """Names and values in two columns."""
    width = max(len(name) for name, _ in rows)
    return Content("\n").join(
        Content.assemble((f"{name:<{width}}  ", "$text-muted"), value) for name, value in rows
    )


def basic_information(view: ServiceView, session: Session) -> Content:
    """What the service is."""
    created = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(view.created_at))
    quantization = f" {view.quantization}" if view.quantization else ""
    rows: list[tuple[str, str | Content]] = [
        ("Model service name", view.name),
        ("Model access name", Content.styled(view.access_name, "bold")),
        ("Model service ID", view.id),
        ("Owner", f"{owner(view)}; {callers(view)}"),
        ("Base model", f"{harmless(view.base_model)}{quantization}"),
        *_how_many(view),
        ("Status", Content.styled(status(view), status_style(view))),
        *_where_it_runs(view, session),
        *_terms(view),
        ("Created", created),
        ("Endpoint", f"POST {session.url}/v1/chat/completions"),
    ]
    return facts(rows)


def _how_many(view: ServiceView) -> Iterator[tuple[str, str]]:
    if has_instances(view):
        yield "Instance count", f"{view.desired_instances}, {view.ready_instances} ready"
    if view.upstreams or not has_instances(view):
        yield "Upstreams", f"{len(view.upstreams)}, {healthy(view)} healthy"


def _where_it_runs(view: ServiceView, session: Session) -> Iterator[tuple[str, str]]:
    if not has_instances(view):
        yield "Engine", "none here: its upstreams answer"
        return
    runtimes = sorted({one.runtime for one in view.instances if one.runtime})
    machine = session.state.machine
    devices = sorted({device(one.device, machine) for one in view.instances if one.device})
    yield "Engine", f"{view.engine} ({', '.join(runtimes) or 'no runtime in use yet'})"
    yield "Devices", ", ".join(devices) or "none yet"
    yield "Context", f"{view.context_length:,} tokens in each of {count(view.slots, 'slot')}"


def _terms(view: ServiceView) -> Iterator[tuple[str, str]]:
    if view.priority:
        yield "Priority", f"{view.priority}; when many have to start, the highest comes first"
    if view.idle_timeout_seconds is not None:
        after = span(view.idle_timeout_seconds)
        yield "Idle timeout", f"{after} without a request, then it sleeps until the next"
    if view.price is not None:
        yield "Price", price(view.price)


def condition(view: ServiceView) -> Content | None:
    """What it is doing, or what is wrong; None: there is nothing to say."""
    if view.download is not None:
        return download_line(view.download)
    if view.reason:
        fact, _, hint = harmless(view.reason).partition("; hint: ")
        text = Content.styled(f"! {fact}", "$text-error")
        return Content.assemble(text, f"\n  hint: {hint}") if hint else text
    if view.asleep:
        return Content.styled(f"◔ {asleep(view)}", "$primary")
    told = doing(view)
    return Content.styled(f"◐ {told}", "$text-warning") if told else None


def servers_title(view: ServiceView) -> str:
    """What is above the lines of ``servers``."""
    if not has_instances(view):
        return "Upstreams"
    return "Instances and upstreams" if view.upstreams else "Instances"


def servers(view: ServiceView, session: Session) -> Content:
    """A line for each instance, two for each upstream; and why where one does not serve."""
    lines = []
    for one in view.instances:
        lines.append(instance_line(one, view, session.state))
        if one.reason:
            lines.append(Content.styled(f"  {harmless(one.reason)}", "$text-error"))
    for upstream in view.upstreams:
        lines += upstream_lines(upstream, session.clock())
    if not lines:
        return Content(_no_servers(view))
    return Content("\n").join(lines)


def _no_servers(view: ServiceView) -> str:
    if has_instances(view):
        return "no instances"
    return f"none yet: hydra-box upstreams add {view.name} URL --model NAME gives it one"


def authentication() -> Content:
    """How the header looks, where keys are, and what to beware of."""
    return Content.from_markup(
        "API-Key authorization: every request carries the header\n"
        "  [b]Authorization: Bearer {API_KEY}[/b]\n"
        "[b $accent]3[/] View my API key: the section Keys makes one, and shows it once.\n"
        "Security tip: keep the key on your server; never in code that others can read."
    )
