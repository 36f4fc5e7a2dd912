"""What would leave a service unserved for a while: asked on a terminal, refused elsewhere."""

from __future__ import annotations

import pytest

from hydra_box.errors import DowntimeNeeded
from tests.cli.conftest import Cli
from tests.cli.fake_box import FakeBox, a_service_view
from tests.cli.terminal import on_a_terminal
from tests.cli.test_cli_terminal import environ

EDIT = "POST /api/v1/services/a/edit"
AWAY = DowntimeNeeded("a would be away for a while.", hint="hydra-box edit a ... --allow-downtime")


@pytest.mark.parametrize(("answer", "sent"), [("y\n", [False, True]), ("n\n", [False])])
def test_a_person_is_asked(fake: FakeBox, answer: str, sent: list[bool]) -> None:
    fake.says(EDIT, AWAY, a_service_view())
    with on_a_terminal(environ(fake), "edit", "a", "--concurrency", "2") as terminal:
        terminal.read_until("a would be away for a while.")
        terminal.read_until("Do it nevertheless? [y/N]: ")
        terminal.type(answer)
        status, screen = terminal.finish()
    assert [one["allow_downtime"] for one in fake.bodies(EDIT)] == sent
    assert status == (0 if len(sent) == 2 else DowntimeNeeded.exit_code)
    assert ("hint: hydra-box edit a ... --allow-downtime" in screen) is (len(sent) == 1)


def test_a_script_is_not_asked(ask: Cli, fake: FakeBox) -> None:
    fake.says(EDIT, AWAY, a_service_view())
    refused = ask("edit", "a", "--concurrency", "2", "--json")
    assert refused.status == DowntimeNeeded.exit_code
    assert refused.json["error"]["code"] == "downtime_needed"
    assert ask("edit", "a", "--concurrency", "2", "--allow-downtime").status == 0
    assert ask("edit", "a", "--yes").status == 0
    assert [one["allow_downtime"] for one in fake.bodies(EDIT)] == [False, True, True]


def test_so_it_is_with_a_pin(ask: Cli, fake: FakeBox) -> None:
    fake.says("POST /api/v1/engines/pin", AWAY)
    for words in ((), ("--allow-downtime",)):
        refused = ask("engines", "pin", "llama.cpp/built-1-cpu", *words)
        assert refused.status == DowntimeNeeded.exit_code
    queries = [request.partition("?")[2] for request, _, _ in fake.asked]
    runtime = "runtime=llama.cpp%2Fbuilt-1-cpu"
    assert queries == [runtime, f"{runtime}&allow_downtime=true"]
