"""A real daemon for a test: ``hydra-box serve`` in a process and a state directory of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from hydra_box.client import Client
from hydra_box.config import resolve_paths
from hydra_box.messages import CreateKeyRequest, DeployRequest, ServiceView
from hydra_box.process import find_leftovers
from hydra_box.types import Scope, ServiceStatus
from tests.waiting import eventually

PROGRAM = Path(sysconfig.get_path("scripts")) / "hydra-box"
START_TIMEOUT_SECONDS = 120.0
STOP_TIMEOUT_SECONDS = 120.0
DEPLOY_TIMEOUT_SECONDS = 180.0


class RunningBox:
    """A daemon that was started by a test, with a client of its management socket.

    Args:
        home: the state directory; made by the daemon. What it prints goes to ``<home>.log``.
        settings: ``HYDRA_BOX_*`` variables, beside those of this process.
        port: where it answers; 0: at a free one.
        program: what ``hydra-box`` is here.

    """

    def __init__(
        self,
        home: Path,
        settings: Mapping[str, str],
        *,
        port: int = 0,
        program: Sequence[str | Path] = (PROGRAM,),
    ) -> None:
        self.home = home
        self.environ = {**os.environ, **settings, "HYDRA_BOX_HOME": str(home)}
        self.paths = resolve_paths(self.environ)
        self.output = home.with_name(f"{home.name}.log")
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                (*program, "serve", "--port", str(port)),
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.client = Client(socket=self.paths.management_socket)
        try:
            eventually(self._listens, START_TIMEOUT_SECONDS, what="the daemon listens")
            self.url = self.client.status().url
        except BaseException:
            self.process.kill()
            self.process.wait()
            self.client.close()
            raise

    def _listens(self) -> bool:
        code = self.process.poll()
        assert code is None, f"the daemon ended with {code}:\n{self.output.read_text()}"
        # Not with the client: httpcore leaves a socket that could not connect to the garbage
        # collector, whose warning would be this test's error.
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(self.paths.management_socket)) != 0:
                return False
            # An engine that a killed daemon was about to start has its socket for a moment still.
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        listener, _, _ = struct.unpack("3i", credentials)
        return psutil.pid_exists(listener)

    def wait_verified(self) -> None:
        """Return once every runtime was tried, so that the best of them is the one in use."""

        def tried() -> bool:
            runtimes = self.client.engines()
            return all(one.verified_at is not None or one.problem for one in runtimes)

        eventually(tried, START_TIMEOUT_SECONDS, what="the runtimes are verified")

    def deploy(self, request: DeployRequest) -> ServiceView:
        """Deploy, and wait until it serves."""
        name = self.client.deploy(request).name
        return self.wait_running(name)

    def wait_running(self, name: str) -> ServiceView:
        """The service, once all of its wanted instances are ready, and it has no others."""

        def running() -> ServiceView | None:
            view = self.client.service(name)
            assert view.status is not ServiceStatus.FAILED, f"{name} FAILED: {view.reason}"
            # One that has ended is there for a moment still, and leaves it RUNNING.
            complete = view.ready_instances == view.desired_instances == len(view.instances)
            return view if view.status is ServiceStatus.RUNNING and complete else None

        found = eventually(running, DEPLOY_TIMEOUT_SECONDS, what=f"{name} is RUNNING")
        assert found is not None
        return found

    def key(self, name: str, *scopes: Scope) -> str:
        """A new key's secret."""
        return self.client.create_key(CreateKeyRequest(name=name, scopes=scopes)).key

    def stop(self) -> int:
        """End it with SIGTERM, as systemd would; its exit code. A second call changes nothing."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.client.close()

    def end_orphans(self) -> None:
        """End the engines of a daemon that was killed, unless another has taken them over."""
        with self.paths.lock.open() as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            for engine in find_leftovers(self.home):
                with contextlib.suppress(psutil.NoSuchProcess):
                    engine.kill()
