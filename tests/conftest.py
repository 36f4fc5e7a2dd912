"""What every test may use: a sealed environment, and real daemons."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from hydra_box.errors import EngineUnavailable
from hydra_box.messages import DeployRequest, ServiceView
from hydra_box.types import EngineName, Runtime, Scope
from tests.boxes import RunningBox
from tests.engines.real_runtimes import cannot_be_had, installed

# What would change the program under test; set by whoever starts the tests, not by a test.
STRANGERS = (
    *("HYDRA_BOX_", "OPENAI_", "HF_", "STATE_DIRECTORY", "XDG_DATA_HOME", "PYTHONPATH"),
    *("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "JOURNAL_STREAM", "CREDENTIALS_DIRECTORY"),
)

NO_HUB = "http://127.0.0.1:9"
"""Nobody listens on the port of discard: tests reach no hub but one of their own."""

StartBox = Callable[..., RunningBox]
"""``start_box(**settings)``: each setting by its name in ``config.toml``."""


@dataclass(frozen=True)
class DemoBox:
    """The daemon that tests share: they may add services and keys, and not take away its own."""

    running: RunningBox
    service: ServiceView
    """``demo``: the bundled model, one instance."""
    key: str
    """May call models."""
    admin_key: str
    """May manage the box."""

    @property
    def url(self) -> str:
        """Where it answers, without a path."""
        return self.running.url


def pytest_configure() -> None:
    """Seal the environment before anything reads it."""
    for name in list(os.environ):
        if name.startswith(STRANGERS):
            del os.environ[name]
    # The same examples each time, and no deadline for one: the machine may be busy.
    settings.load_profile("ci")
    # The background jobs of a script ignore Ctrl-C, and so would every program that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    models = tempfile.mkdtemp(prefix="hb-models-")
    atexit.register(shutil.rmtree, models, ignore_errors=True)
    os.environ |= {"HF_ENDPOINT": NO_HUB, "HF_HOME": models}


@pytest.fixture(scope="session")
def short_directory() -> Iterator[Path]:
    """A directory whose path leaves room for the names of UNIX sockets."""
    path = Path(tempfile.mkdtemp(prefix="hb-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(autouse=True)
def home(short_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state directory of this test, not made yet; ``HYDRA_BOX_HOME`` names it."""
    path = Path(tempfile.mkdtemp(dir=short_directory)) / "home"
    monkeypatch.setenv("HYDRA_BOX_HOME", str(path))
    return path


@pytest.fixture
def start_box(home: Path) -> Iterator[StartBox]:
    """Starts daemons on this test's state directory; at the end, stops all that is left of them."""
    boxes: list[RunningBox] = []

    def start(**settings: object) -> RunningBox:
        environ = {f"HYDRA_BOX_{name.upper()}": str(value) for name, value in settings.items()}
        boxes.append(RunningBox(home, environ))
        return boxes[-1]

    yield start
    for box in boxes:
        box.stop()
    for box in boxes:
        box.end_orphans()


@pytest.fixture(scope="session")
def box(short_directory: Path) -> Iterator[DemoBox]:
    """One real daemon for the session, with the service ``demo`` and two keys."""
    running = RunningBox(short_directory / "shared", {})
    try:
        service = running.deploy(DeployRequest(model="demo", name="demo"))
        yield DemoBox(
            running=running,
            service=service,
            key=running.key("tests", Scope.INFERENCE),
            admin_key=running.key("tests-admin", Scope.ADMIN),
        )
    finally:
        code = running.stop()
    assert code == 0, running.output.read_text()


@pytest.fixture(scope="session")
def vllm_runtime(short_directory: Path) -> Runtime:
    """A real vLLM, installed and verified; ``lend`` makes it one of another box."""
    try:
        return installed(EngineName.VLLM, short_directory / "engines")
    except EngineUnavailable as error:
        if not cannot_be_had(error):
            raise
        pytest.skip(f"vLLM cannot be installed here: {error}")


@pytest.fixture(scope="session")
def built_llama_cpp(short_directory: Path) -> Runtime:
    """A real llama.cpp, built for this machine and verified."""
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        pytest.skip("llama.cpp cannot be built here: there is no C++ compiler")
    return installed(EngineName.LLAMA_CPP, short_directory / "engines")
