"""A form with a live plan beside it: what deploying and editing have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Final

import msgspec
from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Static

from hydra_box.errors import HydraError
from hydra_box.messages import PlanView
from hydra_box.types import Alternative, PlanOutcome
from tui.screens.base import BoxScreen
from tui.widgets.plan_form import LABELS, Options, PlanForm
from tui.widgets.plan_pane import PlanPane

TYPING_SECONDS: Final = 0.3
"""After the last change, before the plan is asked for."""
INSTALL: Final = "i"


class PlanningScreen(BoxScreen):
    """Asks for the plan of what the form says, and carries it out once it fits."""

    KEEPS_DIGITS = True
    FIELDS: ClassVar[Sequence[str]] = ()
    """Those of the form."""
    DO: ClassVar[str] = ""
    """On the button."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "carry_out", "Go", priority=True),
        Binding("i", "install", "Engines"),
        Binding("pagedown", "scroll_plan(1)", "Scroll the plan", show=False),
        Binding("pageup", "scroll_plan(-1)", "Scroll the plan up", show=False),
        *(
            Binding(
                str(number),
                f"apply({number})",
                "Take what would fit",
                show=False,
                key_display="1 to 9",
            )
            for number in range(1, 10)
        ),
        Binding("escape", "back", "Back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._plan: PlanView | None = None
        self._planned: Options | None = None
        """What the plan is of; None: the form says something else by now."""
        self._carrying_out = False
        self._is_refused = False
        """The box found a mistake in what the form says."""
        self._go: Callable[[], object] | None = None
        """Where to go when this screen is on top again: what it was for is done."""
        self._keys: tuple[bool | None, ...] = ()

    # --- what a subclass says ---------------------------------------------------------

    async def make_plan(self, options: Options) -> PlanView:
        """Ask the box for the plan of these options.

        Raises:
            HydraError: ``param`` names the field, where it is one's fault.

        """
        raise NotImplementedError

    async def do(self, options: Options) -> None:
        """Have the box do it, and leave the screen.

        Raises:
            HydraError: it is shown, and the form stays as it is.

        """
        raise NotImplementedError

    def doing(self, plan: PlanView) -> str:
        """What goes on while ``do`` waits for the box."""
        raise NotImplementedError

    def may(self, plan: PlanView, options: Options) -> bool:  # noqa: ARG002 - a subclass may ask
        """Whether to go on with ``do``; else lead to what has to be done first."""
        if plan.outcome is PlanOutcome.FITS:
            return True
        if plan.outcome is PlanOutcome.INSTALL_FIRST:
            self.action_install()
        elif self.query_one(PlanPane).alternatives:
            self.query_one("#alternatives").focus()
        return False

    def choosable(self, plan: PlanView) -> Sequence[Alternative]:
        """The alternatives that this form can say."""
        return plan.alternatives

    def apply(self, alternative: Alternative) -> None:
        """Have the form say an alternative."""
        raise NotImplementedError

    def is_planning(self) -> bool:
        """Whether form and plan are what is shown."""
        return True

    def is_there(self) -> bool:
        """Whether it still has its widgets; a plan may come when its screen was left."""
        return self.is_attached and self in self.app.screen_stack

    def leave(self, go: Callable[[], object]) -> None:
        """Go on to another screen, once this one is on top."""
        if self.is_current:
            go()
        else:
            self._go = go

    # --- widgets ----------------------------------------------------------------------

    def planning(self) -> Iterator[Widget]:
        """Form, problem, button; and the plan."""
        with Container(id="planning"):
            with Vertical(id="asked"):
                yield PlanForm(self.FIELDS)
                yield Static(id="problem")
                with Horizontal(id="buttons"):
                    yield Button(self.DO, id="go", compact=True, variant="primary")
                    yield Static(id="ready-to-go", classes="muted")
            yield PlanPane()

    def on_screen_resume(self) -> None:
        """What fits may be another by now."""
        if self._go is not None:
            self._go()
        elif self.is_planning() and self._planned is not None:
            self.replan(wait_seconds=0.0)

    # --- the live plan ----------------------------------------------------------------

    @work(exclusive=True, group="plan")
    async def replan(self, *, wait_seconds: float = TYPING_SECONDS) -> None:
        """Ask for the plan of what the form says now."""
        self._planned = None
        self._tell_ready()
        self.query_one(PlanPane).wait("making a plan ...")
        await asyncio.sleep(wait_seconds)
        if self.is_there():
            await self._plan_now(self.query_one(PlanForm).options)

    async def _plan_now(self, options: Options) -> PlanView | None:
        """The plan of these options, shown; None: there is none, and it was told why."""
        try:
            plan = await self.make_plan(options)
        except HydraError as error:
            if self.is_there():
                self._refused(error)
                if error.param == "name":
                    await self._plan_without_name(options)
            return None
        if not self.is_there():
            return None
        self._planned = options
        self._plan = plan
        self._say()
        self._show(plan)
        return plan

    async def _plan_without_name(self, options: Options) -> None:
        """A name that is not free is no reason to show the plan of something else."""
        try:
            plan = await self.make_plan(msgspec.structs.replace(options, name=None))
        except HydraError as error:
            if self.is_there():
                self._refused(error)
            return
        if self.is_there():
            self._show(plan)

    def _show(self, plan: PlanView) -> None:
        machine = self.session.state.machine
        self.query_one(PlanPane).show(
            plan,
            self.choosable(plan),
            disk_free_bytes=machine.disk_free_bytes if machine else None,
        )
        self.query_one(PlanForm).tell_planned(plan)
        self._tell_ready()
        self._show_keys()

    def _show_keys(self) -> None:
        """Have the footer show what can be pressed now; it is drawn anew only for a change."""
        actions = ("carry_out", "install", "apply")
        keys = tuple(self.check_action(one, ()) for one in actions)
        if keys != self._keys:
            self._keys = keys
            self.refresh_bindings()

    def _refused(self, error: HydraError) -> None:
        field = LABELS.get(error.param or "")
        hint = f"\n  hint: {error.hint}" if error.hint else ""
        title = f"{field}: " if field else ""
        self._say(Content.styled(f"✗ {title}{error.message}{hint}", "$text-error"))
        self.query_one(PlanForm).mark([error.param or ""])
        self._is_refused = True
        self.query_one(PlanPane).forget()
        self._tell_ready()

    def _say(self, text: Content | None = None) -> None:
        """What is wrong, or goes on; None: nothing."""
        line = self.query_one("#problem", Static)
        line.display = text is not None
        line.update(text or "")
        self.query_one(PlanForm).mark(())
        self._is_refused = False

    def _tell_ready(self) -> None:
        """What the button would do now."""
        plan = self._plan if self._planned is not None else None
        can = plan is not None and plan.outcome is PlanOutcome.FITS
        text = "enter or F5" if can else "once the plan fits"
        if self._is_refused:
            text = "once that is put right"
        if plan is not None and plan.outcome is PlanOutcome.INSTALL_FIRST:
            text = f"needs {plan.engine}: {INSTALL} opens Engines"
        if self._carrying_out:
            text = "..."
        self.query_one("#ready-to-go", Static).update(text)
        self.query_one("#go").set_class(not can, "-blocked")

    # --- keys -------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of the plan are there while there is one that they can do something for."""
        if action in ("carry_out", "scroll_plan"):
            return self.is_planning()
        if action == "apply":
            return self.is_planning() and bool(self.query_one(PlanPane).alternatives)
        if action == "install":
            plan = self._plan
            waits = plan is not None and plan.outcome is PlanOutcome.INSTALL_FIRST
            return self.is_planning() and waits
        return super().check_action(action, parameters)

    def action_scroll_plan(self, pages: int) -> None:
        """See more of the plan."""
        pane = self.query_one(PlanPane)
        pane.scroll_relative(y=pages * max(1, pane.size.height - 2), animate=False)

    def action_install(self) -> None:
        """To where engines are installed; the form stays as it is."""
        self.app.switch_mode("engines")

    def action_apply(self, number: int) -> None:
        """Put an alternative into the form."""
        choices = self.query_one(PlanPane).alternatives
        if number <= len(choices):
            self._apply(choices[number - 1])

    def action_carry_out(self) -> None:
        """Do it, if the plan of exactly what the form says fits."""
        if not self._carrying_out:
            self._carry_out()

    @on(PlanForm.Changed)
    def _changed(self) -> None:
        if not self._carrying_out:
            self.replan()

    @on(PlanForm.Entered)
    def _entered(self) -> None:
        self.query_one("#go").focus()

    @on(Button.Pressed, "#go")
    def _pressed(self) -> None:
        self.action_carry_out()

    @on(PlanPane.Applied)
    def _applied(self, event: PlanPane.Applied) -> None:
        self._apply(event.alternative)

    def _apply(self, alternative: Alternative) -> None:
        self.apply(alternative)
        self.query_one("#go").focus()
        self.replan(wait_seconds=0.0)

    @work(exclusive=True, group="carry-out")
    async def _carry_out(self) -> None:
        # The plan of a moment ago may be of other options, or of a machine with more room.
        self._carrying_out = True
        self.workers.cancel_group(self, "plan")
        options = self.query_one(PlanForm).options
        try:
            plan = await self._plan_now(options)
            if plan is not None and self.may(plan, options):
                self._say(Content.styled(f"◐ {self.doing(plan)}", "$text-warning"))
                await self.do(options)
        except HydraError as error:
            if self.is_there():
                self._refused(error)
            else:
                self.app.notify(error.message, severity="error", markup=False)
        finally:
            self._carrying_out = False
            if self.is_there():
                self._tell_ready()
