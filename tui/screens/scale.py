"""Scaling: how many instances, where each new one would run, and the most that fit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Label, Static

from hydra_box.errors import HydraError
from hydra_box.messages import PlanView, ScaleRequest, ServiceView
from hydra_box.shown.numbers import count
from hydra_box.types import Machine, Placement, ServiceStatus
from tui.screens.base import BoxScreen
from tui.widgets.number_field import NumberField
from tui.widgets.plan_bars import plan_bars
from tui.words import device, gib

MOST = 10_000
TYPING_SECONDS = 0.15
"""After the last key press, before the plan is asked for."""


class ScaleScreen(BoxScreen):
    """Add so many, or say how many; Enter scales once the plan fits."""

    TITLE_TEXT = "Scale"
    KEEPS_DIGITS = True

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "step(1)", "More", key_display="↑", priority=True),
        Binding("down", "step(-1)", "Fewer", key_display="↓", priority=True),
        Binding("m", "most", "Largest that fits"),
        Binding("enter,f5", "confirm", "Scale", key_display="enter", priority=True),
        Binding("escape", "back", "Back"),
    ]

    def __init__(self, service_id: str) -> None:
        super().__init__()
        self._service_id = service_id
        self._plan: PlanView | None = None
        self._planned_for = 0
        self._refused: int | None = None
        """The number whose plan the box would not make."""

    @property
    def _view(self) -> ServiceView | None:
        return self.session.state.services.get(self._service_id)

    def content(self) -> Iterator[Widget]:
        """The two numbers, and the plan."""
        view = self._view
        now = view.desired_instances if view else 1
        yield Static(id="scale-title", classes="title", markup=False)
        with Horizontal(id="numbers"):
            yield Label("Instances to add")
            yield NumberField("0", id="add", least=-MOST, most=MOST, commands="m")
            yield Label("makes in all")
            yield NumberField(str(now), id="target", least=1, most=MOST, commands="m")
        with VerticalScroll(id="plan-box", can_focus=False):
            yield Static(id="verdict")
            yield Static(id="bars")
            yield Static(id="details")

    def on_mount(self) -> None:
        """One more is what people come for."""
        self.session.services_changed.subscribe(self, lambda _: self._tell_now())
        self._tell_now()
        self.query_one("#add", Input).value = "1"
        self.query_one("#add", Input).focus()

    def action_step(self, step: int) -> None:
        """One more or one fewer."""
        target = self._target() or self._now()
        self._set_target(min(MOST, max(1, target + step)))

    def action_most(self) -> None:
        """As many as fit now."""
        if self._plan is not None and self._plan.most_instances:
            self._set_target(self._plan.most_instances)

    def action_confirm(self) -> None:
        """Scale, if the plan of exactly this number fits."""
        target = self._target()
        if target is None or target == self._refused:
            return
        if self._plan is None or self._planned_for != target:
            self._say("the plan is still being made; try again in a moment", "$text-warning")
        elif target == self._now():
            self._say("that is what it has; nothing would change", "$text-warning")
        elif self._plan.fits:
            self._scale(target)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        if not event.input.is_valid or not event.input.has_focus_within:
            self._replan()
            return
        number = int(event.value)
        with self.prevent(Input.Changed):
            if event.input.id == "add":
                self.query_one("#target", Input).value = str(self._now() + number)
            else:
                self.query_one("#add", Input).value = str(number - self._now())
        self._replan()

    def _set_target(self, target: int) -> None:
        with self.prevent(Input.Changed):
            self.query_one("#target", Input).value = str(target)
            self.query_one("#add", Input).value = str(target - self._now())
        self._replan()

    def _now(self) -> int:
        view = self._view
        return view.desired_instances if view else 1

    def _target(self) -> int | None:
        field = self.query_one("#target", Input)
        valid = field.value.lstrip("-").isdecimal()
        return int(field.value) if valid and 1 <= int(field.value) <= MOST else None

    def _tell_now(self) -> None:
        view = self._view
        text = "the service is gone"
        if view is not None:
            text = (
                f"{view.name} has {count(view.desired_instances, 'instance')}, "
                f"{'asleep' if view.asleep else f'{view.ready_instances} ready'}, "
                f"of {count(view.slots, 'slot')} each: "
                f"{count(view.stats.requests_in_flight, 'request')} in flight, "
                f"{view.stats.requests_queued} waiting"
            )
        self.query_one("#scale-title", Static).update(text)

    def _say(self, text: str, style: str) -> None:
        self.query_one("#verdict", Static).update(Content.styled(text, style))

    @work(exclusive=True, group="plan")
    async def _replan(self) -> None:
        view, target = self._view, self._target()
        if view is None:
            return
        if target is None:
            self._say(f"a number of instances from 1 to {MOST:,} is needed", "$text-error")
            return
        self.query_one("#plan-box").add_class("stale")
        await asyncio.sleep(TYPING_SECONDS)
        request = ScaleRequest(instances=target)
        try:
            self._plan = await self.session.link.call(
                lambda box: box.plan_scale(view.name, request)
            )
        except HydraError as error:
            self._plan, self._refused = None, target
            self._say(str(error), "$text-error")
            for part in ("#bars", "#details"):
                self.query_one(part, Static).update("")
            return
        self._planned_for, self._refused = target, None
        self.query_one("#plan-box").remove_class("stale")
        self._show(view, self._plan, target)

    def _show(self, view: ServiceView, plan: PlanView, target: int) -> None:
        more = target - view.desired_instances
        self._say(*_verdict(view, plan, target))
        width = self.query_one("#plan-box").size.width
        self.query_one("#bars", Static).update(Content("\n").join(plan_bars(plan, width)))
        machine = self.session.state.machine
        lines = [
            f"{number}. {_where(one, machine)}" for number, one in enumerate(plan.placements, 1)
        ]
        if plan.fits and more > 0:
            title = "each new instance"
        else:
            title, lines = "missing", [one.message for one in plan.missing]
        parts = [Content.styled(title, "bold"), *map(Content, lines)] if lines else []
        if plan.reasons and not plan.fits:
            parts += [Content.styled("why", "bold"), *map(Content, plan.reasons)]
        self.query_one("#details", Static).update(Content("\n").join(parts))

    @work(exclusive=True, group="scale")
    async def _scale(self, target: int) -> None:
        view = self._view
        if view is None:
            return
        self._say("scaling ...", "$text-muted")
        request = ScaleRequest(instances=target)
        try:
            await self.session.link.call(lambda box: box.scale(view.name, request))
        except HydraError as error:
            self._say(str(error), "$text-error")
            return
        self.notify(f"{view.name} goes to {count(target, 'instance')}.", markup=False)
        self.dismiss()


def _verdict(view: ServiceView, plan: PlanView, target: int) -> tuple[str, str]:
    """What would happen, in a sentence; and its style."""
    more = target - view.desired_instances
    most = f"the most that fit now is {plan.most_instances}" if plan.most_instances else ""
    if more == 0:
        return f"= nothing changes; {most}", "$text-muted"
    if more < 0:
        fewer = count(-more, "instance")
        return f"● {fewer} fewer; those that leave finish their requests first", "$text-success"
    if not plan.fits:
        return (
            f"✗ {count(more, 'instance')} more does not fit; {most or 'none fits'}",
            "$text-error",
        )
    if view.status is ServiceStatus.STOPPED:
        return f"● fits, and starts when {view.name} is started; {most}", "$text-success"
    if view.asleep:
        return f"● fits, and starts when {view.name} wakes; {most}", "$text-success"
    return f"● fits: {count(more, 'instance')} more; {most}", "$text-success"


def _where(one: Placement, machine: Machine | None) -> str:
    total = sum(each.total_bytes for each in one.memory)
    return f"{device(one.device, machine)}, {gib(total)} GiB predicted"
