"""A box with one service of real engines, on which faults are tried; its daemon may change."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hydra_box.messages import DeployRequest, ServiceView
from hydra_box.types import InstanceState, Scope, ServiceStatus
from tests.boxes import PROGRAM, RunningBox
from tests.faults.load import Load
from tests.waiting import eventually

HEALING_SECONDS = 120.0
FORGIVING = (sys.executable, "-m", "tests.faults.forgiving")
"""``hydra-box`` with shorter memory: see there."""


class Patient:
    """A box, its service ``story``, and a key that may call it."""

    def __init__(
        self, home: Path, settings: dict[str, str], program: Sequence[str | Path] = (PROGRAM,)
    ) -> None:
        self._home = home
        self._settings = settings
        self.program = program
        self.box = RunningBox(home, settings, program=program)
        self.port = urlsplit(self.box.url).port or 0
        self.model = ""
        self.key = ""

    def deploy(self, *, instances: int = 2, model: str = "demo", **options: Any) -> None:
        """Deploy ``story``, and wait until all of it serves."""
        self.box.wait_verified()
        request = DeployRequest(model=model, name="story", instances=instances, **options)
        self.model = self.box.deploy(request).access_name
        self.key = self.box.key("clients", Scope.INFERENCE)

    def load(self, *, clients: int = 4) -> Load:
        """Clients of the service, for a ``with`` block."""
        return Load(self.box.url, self.model, self.key, clients=clients)

    def view(self) -> ServiceView:
        """The service as it is now."""
        return self.box.client.service("story")

    def pids(self) -> dict[str, int]:
        """The processes of ready instances, by instance."""
        return pids_of(self.view())

    def whole(self) -> bool:
        """Whether everything that is wanted serves, and nothing else is there."""
        return is_whole(self.view())

    def healed_without(self, *pids: int) -> bool:
        """Whether it is whole, and on none of these processes; one look, so that both are true."""
        view = self.view()
        return is_whole(view) and not set(pids) & set(pids_of(view).values())

    def wait_whole(self) -> None:
        """Return once everything serves."""
        eventually(self.whole, HEALING_SECONDS, what="the service is whole")

    def kill_daemon(self) -> None:
        """SIGKILL to the daemon alone."""
        os.kill(self.box.process.pid, signal.SIGKILL)
        self.box.process.wait()
        self.box.client.close()

    def start_daemon(self) -> None:
        """The next daemon, at the same port."""
        self.box = RunningBox(self._home, self._settings, port=self.port, program=self.program)

    def stop(self) -> int:
        """End it as systemd would."""
        return self.box.stop()


def is_whole(view: ServiceView) -> bool:
    """Whether a service has all that is wanted, ready, and nothing else."""
    ready = view.ready_instances == view.desired_instances == len(view.instances)
    return view.status is ServiceStatus.RUNNING and ready


def pids_of(view: ServiceView) -> dict[str, int]:
    """The processes of a service's ready instances, by instance."""
    ready = (one for one in view.instances if one.state is InstanceState.READY)
    return {one.id: one.pid for one in ready if one.pid is not None}
