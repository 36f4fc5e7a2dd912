"""Deploying: choose a model, see what would run where, and have it run."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import ClassVar, Final

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Static

from hydra_box.errors import HydraError
from hydra_box.messages import DeployRequest, ModelView, PlanView
from hydra_box.shown.text import harmless
from hydra_box.types import Alternative
from tui.screens.deployment import DeploymentScreen
from tui.screens.planning import PlanningScreen
from tui.spans import read_idle_timeout
from tui.widgets.plan_candidates import Candidate, together
from tui.widgets.plan_choice import AUTO, Value
from tui.widgets.plan_chooser import ModelChooser
from tui.widgets.plan_form import IDLE_TIMEOUT, Options, PlanForm
from tui.widgets.plan_pane import PlanPane

_CHOOSE: Final = "choose"
_OPTIONS: Final = "options"
_LONGEST_NAME: Final = 56


class DeployScreen(PlanningScreen):
    """First the model, then its options; with a model given, the options at once.

    Args:
        model: what to deploy, as a deployment names it.

    """

    TITLE_TEXT = "Deploy"
    FIELDS: ClassVar[Sequence[str]] = (
        "name",
        "public",
        "instances",
        "engine",
        "context_length",
        "quantization",
        "concurrency",
        "device",
        "allow_code",
        IDLE_TIMEOUT,
    )
    DO = "Deploy"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "carry_out", "Deploy", priority=True),
    ]

    def __init__(self, model: str | None = None) -> None:
        super().__init__()
        self._model = model
        self._given = model is not None
        self._models: dict[str, ModelView] = {}

    def content(self) -> Iterator[Widget]:
        """The two steps."""
        with ContentSwitcher(initial=_OPTIONS if self._given else _CHOOSE):
            yield ModelChooser()
            with Vertical(id=_OPTIONS):
                yield Static(id="what")
                yield from self.planning()

    def on_mount(self) -> None:
        """Look at the catalog; plan what is given."""
        self.session.link_changed.subscribe(self, lambda _: self._connection_changed())
        self.session.services_changed.subscribe(self, lambda _: self._suggest_name())
        self._say()
        if self._model is not None:
            self._begin(self._model, Options())
            self._learn_about(self._model)
        self._read_models()

    def is_planning(self) -> bool:
        """Whether this is the second step."""
        return self.is_mounted and self.query_one(ContentSwitcher).current == _OPTIONS

    # --- the model ----------------------------------------------------------------

    @on(ModelChooser.Chosen)
    def _chosen(self, event: ModelChooser.Chosen) -> None:
        self._open(event.candidate)

    @work(exclusive=True, group="open")
    async def _open(self, one: Candidate) -> None:
        """To the options of a model, once it is known that there is one."""
        chooser = self.query_one(ModelChooser)
        if one.model not in self._models:
            chooser.tell(f"looking at {one.name} ...")
            try:
                view = await self.session.link.call(lambda box: box.model(one.model))
            except HydraError as error:
                chooser.tell(f"✗ {error}", wrong=True)
                return
            self._models[one.model] = view
        chooser.tell("")
        if one.model != self._model:
            self._begin(one.model, Options())
        else:
            self.replan(wait_seconds=0.0)
        self._go_to(_OPTIONS)

    @work(exclusive=True, group="open")
    async def _learn_about(self, model: str) -> None:
        """What of it is on offer; the plan tells it if there is no such model."""
        try:
            self._models[model] = await self.session.link.call(lambda box: box.model(model))
        except HydraError:
            return
        self._offer(model)

    @work(exclusive=True, group="models")
    async def _read_models(self) -> None:
        chooser = self.query_one(ModelChooser)
        try:
            catalog = await self.session.link.call(lambda box: box.models())
            library = await self.session.link.call(lambda box: box.library())
        except HydraError as error:
            chooser.tell(f"✗ {error}", wrong=True)
            return
        self._models |= {view.id: view for view in catalog}
        chooser.fill(together(catalog, library))

    def _begin(self, model: str, options: Options) -> None:
        self._model, self._plan = model, None
        form = self.query_one(PlanForm)
        form.forget_planned()
        self._offer(model)
        form.put(options)
        self._suggest_name()
        self.query_one(PlanPane).forget()
        self._say_what(model)
        self.replan(wait_seconds=0.0)

    def _offer(self, model: str) -> None:
        view = self._models.get(model)
        names = view.quantizations if view is not None else ()
        values = (AUTO, *(Value(key=one, text=harmless(one)) for one in names))
        self.query_one(PlanForm).offer("quantization", values)

    def _say_what(self, model: str) -> None:
        back = "escape: back" if self._given else "escape: another model"
        self.query_one("#what", Static).update(
            Content.assemble("Deploy ", (harmless(model), "bold $primary"), (f"   {back}", "dim"))
        )

    def _suggest_name(self) -> None:
        if self._model is not None:
            taken = {view.name for view in self.session.state.services.values()}
            self.query_one(PlanForm).suggest("name", suggested_name(self._model, taken))

    # --- the plan -------------------------------------------------------------------

    async def make_plan(self, options: Options) -> PlanView:
        """The plan of the deployment."""
        request = self._request(options)
        return await self.session.link.call(lambda box: box.plan_deploy(request))

    async def do(self, options: Options) -> None:
        """Deploy, and go to what the deployment does."""
        request = self._request(options)
        view = await self.session.link.call(lambda box: box.deploy(request))
        self.leave(lambda: self.app.switch_screen(DeploymentScreen(view.id)))

    def doing(self, plan: PlanView) -> str:
        """A first deployment may take longer than one expects."""
        runtimes = self.session.state.runtimes
        verified = any(one.engine is plan.engine and one.verified_at for one in runtimes)
        if plan.download_bytes:
            return f"asking the hub which files of {plan.model} to fetch ..."
        if not verified:
            return f"deploying; {plan.engine} is new here and is verified first: about a minute ..."
        return f"deploying {plan.model} ..."

    def apply(self, alternative: Alternative) -> None:
        """Ask for what would fit, perhaps of another model."""
        before, ask = self.query_one(PlanForm).options, alternative.ask
        options = Options(
            name=before.name,
            public=before.public,
            instances=ask.instances if ask.instances != 1 else None,
            context_length=ask.context_length,
            concurrency=ask.slots,
            engine=ask.engine,
            quantization=ask.quantization,
            device=ask.device,
            allow_code=before.allow_code,
            idle_timeout=before.idle_timeout,
        )
        if alternative.model is not None and alternative.model != self._model:
            self._begin(alternative.model, options)
            self._learn_about(alternative.model)
        else:
            self.query_one(PlanForm).put(options)

    def _request(self, options: Options) -> DeployRequest:
        return DeployRequest(
            model=self._model or "",
            name=options.name,
            public=options.public,
            instances=1 if options.instances is None else options.instances,
            context_length=options.context_length,
            concurrency=options.concurrency,
            engine=options.engine,
            quantization=options.quantization,
            device=options.device,
            allow_code=options.allow_code,
            idle_timeout_seconds=read_idle_timeout(options.idle_timeout or ""),
        )

    # --- from step to step ------------------------------------------------------------

    def action_back(self) -> None:
        """To the models; from there, out."""
        if self._carrying_out:
            self.notify("The box goes on with it: Services shows what became of it.")
        if self.is_planning() and not self._given and not self._carrying_out:
            self._go_to(_CHOOSE)
        else:
            super().action_back()

    def _go_to(self, step: str) -> None:
        self.query_one(ContentSwitcher).current = step
        if step == _OPTIONS:
            self.query_one("#go").focus()
        else:
            self.query_one(ModelChooser).take_keyboard()
        self._show_keys()

    def _connection_changed(self) -> None:
        if self.session.state.lost_at is None:
            self._read_models()
            if self.is_planning():
                self.replan(wait_seconds=0.0)


def suggested_name(model: str, taken: Collection[str]) -> str:
    """What the box would call a service of this model: ``qwen2``, then ``qwen2-2`` ..."""
    stem = model.rstrip("/").rpartition("/")[2].lower().removesuffix(".gguf")
    name = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:_LONGEST_NAME].rstrip("-") or "model"
    numbers = range(2, len(taken) + 3)
    return (
        name
        if name not in taken
        else next(f"{name}-{n}" for n in numbers if f"{name}-{n}" not in taken)
    )
