"""Editing a service: how it runs, and the plan of that, before its instances are replaced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from msgspec.structs import replace
from textual import work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from hydra_box.errors import DowntimeNeeded, HydraError, NotFound
from hydra_box.messages import EditRequest, PlanView, ServiceView
from hydra_box.shown.spans import span
from hydra_box.shown.text import harmless
from hydra_box.types import CPU, Alternative, EngineName
from tui.link import Link
from tui.screens.models_confirm import ConfirmDialog
from tui.screens.planning import PlanningScreen
from tui.spans import read_idle_timeout
from tui.widgets.plan_choice import Value
from tui.widgets.plan_form import IDLE_TIMEOUT, Options, PlanForm

ANYWHERE = "auto"
"""The device that says: wherever it fits."""


class EditScreen(PlanningScreen):
    """The service's present values to begin with; what is not changed stays as it is."""

    TITLE_TEXT = "Edit a service"
    FIELDS: ClassVar[Sequence[str]] = (
        "context_length",
        "concurrency",
        "engine",
        "quantization",
        "device",
        "revision",
        IDLE_TIMEOUT,
        "priority",
    )
    DO = "Apply"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "carry_out", "Apply", priority=True),
    ]

    def __init__(self, service_id: str) -> None:
        super().__init__()
        self._service_id = service_id

    @property
    def _view(self) -> ServiceView | None:
        return self.session.state.services.get(self._service_id)

    def content(self) -> Iterator[Widget]:
        """Which service, form, plan."""
        yield Static(id="what")
        yield from self.planning()

    def on_mount(self) -> None:
        """Show how it runs now."""
        self.session.link_changed.subscribe(self, lambda _: self._connection_changed())
        self._say()
        view = self._view
        if view is None:
            self._refused(self._gone())
            return
        self._say_what(view, EditRequest())
        self._put_present(view, ())
        self._learn_about(view)
        self.query_one("#context_length").focus()
        self.replan(wait_seconds=0.0)

    async def make_plan(self, options: Options) -> PlanView:
        """The plan of all its instances, as if they were gone."""
        view = self._present()
        request = self._request(view, options)
        self._say_what(view, request)
        plan = await self.session.link.call(lambda box: box.plan_edit(view.id, request))
        self._say_what(view, request, needs_downtime=plan.needs_downtime)
        return plan

    async def do(self, options: Options) -> None:
        """Edit, and leave."""
        view = self._present()
        request = self._request(view, options)
        if request == EditRequest():
            self._say(Content("nothing is changed yet: that is how it runs"))
            return
        try:
            await self.session.link.call(lambda box: box.edit(view.id, request))
        except DowntimeNeeded as error:
            self._say()
            self.app.push_screen(self._may_be_away(view, request, error))
            return
        self.notify(_edited(view, request), markup=False)
        self.leave(self.app.pop_screen)

    def _may_be_away(
        self, view: ServiceView, request: EditRequest, error: DowntimeNeeded
    ) -> ConfirmDialog:
        """Whether to edit it although nothing serves for a while."""

        async def edit(link: Link) -> str:
            await link.call(lambda box: box.edit(view.id, replace(request, allow_downtime=True)))
            # Not ``leave``: below a dialog a screen counts as current, and the dialog goes first.
            self._go = self.app.pop_screen
            return _edited(view, request)

        return ConfirmDialog(f"Edit {view.name}", error.message, verb="edit it", do=edit)

    def may(self, plan: PlanView, options: Options) -> bool:
        """Where no instance changes, there need not be room for all of them anew."""
        return _keeps_instances(self._request(self._present(), options)) or super().may(
            plan, options
        )

    def doing(self, plan: PlanView) -> str:
        """What goes on."""
        return f"editing what serves {plan.model} ..."

    def choosable(self, plan: PlanView) -> Sequence[Alternative]:
        """Those that are an edit: it changes neither model nor number of instances."""
        view = self._view
        return [
            one
            for one in plan.alternatives
            if view is not None
            and one.model in (None, view.base_model)
            and one.ask.instances == view.desired_instances
        ]

    def apply(self, alternative: Alternative) -> None:
        """Have the form say it; what it leaves open stays as it is."""
        view, ask, form = self._view, alternative.ask, self.query_one(PlanForm)
        if view is None:
            return
        form.put(
            Options(
                context_length=ask.context_length or view.context_length,
                concurrency=ask.slots or view.slots,
                engine=None if ask.engine == view.engine else ask.engine,
                quantization=None if ask.quantization == view.quantization else ask.quantization,
                device=None if (ask.device == CPU) == view.on_cpu else ask.device or ANYWHERE,
                revision=form.options.revision,
                priority=form.options.priority,
                idle_timeout=form.options.idle_timeout,
            )
        )

    def _request(self, view: ServiceView, options: Options) -> EditRequest:
        context_length, slots = options.context_length, options.concurrency
        idle = read_idle_timeout(options.idle_timeout or "")
        return EditRequest(
            context_length=None if context_length == view.context_length else context_length,
            concurrency=None if slots == view.slots else slots,
            engine=options.engine,
            quantization=options.quantization,
            device=options.device,
            revision=options.revision,
            priority=None if options.priority == view.priority else options.priority,
            # Of an edit None means that it stays, and 0 that it never falls asleep.
            idle_timeout_seconds=None if idle == view.idle_timeout_seconds else idle or 0.0,
        )

    def _say_what(
        self, view: ServiceView, request: EditRequest, *, needs_downtime: bool = False
    ) -> None:
        becomes, style = _replaced(view, request), "dim"
        if needs_downtime:
            one = "its instance ends before its successor starts"
            many = "its instances end before the first new one starts"
            becomes, style = one if len(view.instances) == 1 else many, "$text-warning"
        what = Content.assemble("Edit ", (view.name, "bold $primary"), (f"   {becomes}", style))
        self.query_one("#what", Static).update(what)

    def _put_present(self, view: ServiceView, quantizations: Sequence[str]) -> None:
        form = self.query_one(PlanForm)
        form.offer("engine", _stays(str(view.engine), EngineName))
        form.offer("quantization", _stays(view.quantization or "", quantizations))
        form.offer("device", _stays(CPU if view.on_cpu else ANYWHERE, (ANYWHERE, CPU)))
        for name, number in (("context_length", view.context_length), ("concurrency", view.slots)):
            form.suggest(name, f"{number:,}, as it is")
        if not quantizations:
            idle = span(view.idle_timeout_seconds)
            form.put(
                Options(
                    context_length=view.context_length,
                    concurrency=view.slots,
                    priority=view.priority,
                    idle_timeout=idle,
                )
            )

    @work(exclusive=True, group="open")
    async def _learn_about(self, view: ServiceView) -> None:
        """What else its model is on offer in; if that cannot be known, what it has stays."""
        try:
            model = await self.session.link.call(lambda box: box.model(view.base_model))
        except HydraError:
            return
        self.query_one(PlanForm).offer(
            "quantization", _stays(view.quantization or "", model.quantizations)
        )

    def _connection_changed(self) -> None:
        if self.session.state.lost_at is None:
            self.replan(wait_seconds=0.0)

    def _present(self) -> ServiceView:
        view = self._view
        if view is None:
            raise self._gone()
        return view

    def _gone(self) -> NotFound:
        return NotFound("the service is gone: it was deleted", hint="escape goes back")


def _replaced(view: ServiceView, request: EditRequest) -> str:
    """What becomes of its instances."""
    if not view.instances:
        return "nothing runs now"
    if request != EditRequest() and _keeps_instances(request):
        return "for this no instance is replaced"
    if len(view.instances) == 1:
        return "its instance is replaced; requests under way finish first"
    return f"its {len(view.instances)} instances are replaced one by one; requests finish first"


def _edited(view: ServiceView, request: EditRequest) -> str:
    """What goes on once it is edited."""
    goes_on = (
        "nothing is replaced" if _keeps_instances(request) else "its instances are being replaced"
    )
    return f"{view.name} is edited: {goes_on}."


def _keeps_instances(request: EditRequest) -> bool:
    """Whether it changes nothing but terms, so that every instance stays."""
    return request == EditRequest(
        idle_timeout_seconds=request.idle_timeout_seconds, priority=request.priority
    )


def _stays(present: str, others: Sequence[str] | type[EngineName]) -> tuple[Value, ...]:
    """The present value, which is kept unasked, and the others."""
    text = f"{harmless(present)}, as it is" if present else "as it is"
    rest = (str(one) for one in others if str(one) != present)
    return (Value(key=None, text=text), *(Value(key=one, text=harmless(one)) for one in rest))
