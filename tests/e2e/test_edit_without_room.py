"""Edits where old and new do not fit at once: on a fake GPU, under the real pynvml."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hydra_box.catalog import DEMO_MODEL
from hydra_box.errors import DowntimeNeeded
from hydra_box.messages import DeployRequest, EditRequest
from hydra_box.types import Scope
from tests.e2e.balance import answers
from tests.e2e.commands import run, run_json
from tests.e2e.rollouts import lost, pids, told
from tests.e2e.tight import OneGpu, one_gpu_box
from tests.fakes.engine import behave
from tests.faults.load import Load
from tests.waiting import eventually


@pytest.fixture
def one_gpu(home: Path, tmp_path: Path) -> Iterator[OneGpu]:
    with one_gpu_box(home, tmp_path) as made:
        yield made


def test_the_last_that_serves_ends_only_when_that_is_allowed(one_gpu: OneGpu) -> None:
    box, client = one_gpu.box, one_gpu.box.client
    before = one_gpu.deploy(1)
    request, words = EditRequest(concurrency=3), ("edit", "tight", "--concurrency=3")
    assert not client.plan_edit("tight", request).needs_downtime
    with one_gpu.fill(before):
        plan = client.plan_edit("tight", request)
        assert (plan.fits, plan.needs_downtime) == (True, True)
        assert any("the old one has to end first" in one for one in plan.reasons)
        with pytest.raises(
            DowntimeNeeded, match=r"needs 0.6 GiB; GPU 0 \(GTX 1660\) ha"
        ) as refused:
            client.edit("tight", request)
        assert (refused.value.hint or "").endswith("hydra-box edit tight ... --allow-downtime")
        # Without a terminal nobody is asked.
        assert run(box, *words).returncode == DowntimeNeeded.exit_code
        assert pids(client.service("tight")) == pids(before)
        assert client.service("tight").slots == 2

        after = run_json(box, *words, "--allow-downtime", "--wait")
        assert (after["slots"], after["ready_instances"]) == (3, 1)
        assert not pids(before) & pids(client.service("tight"))
        # That was for this edit alone.
        with pytest.raises(DowntimeNeeded):
            client.edit("tight", EditRequest(concurrency=2))


def test_with_two_instances_one_serves_while_the_other_is_replaced(one_gpu: OneGpu) -> None:
    box = one_gpu.box
    before = one_gpu.deploy(2)
    key = box.key("k", Scope.INFERENCE)
    with one_gpu.fill(before), Load(box.url, before.access_name, key) as load:
        plan = box.client.plan_edit("tight", EditRequest(concurrency=3))
        assert (plan.fits, plan.needs_downtime) == (True, False)
        assert any("1 of 2 serve meanwhile" in one for one in plan.reasons)
        box.client.edit("tight", EditRequest(concurrency=3))
        after = box.wait_running("tight")
        load.wait_answered()
    assert lost(load) == set()
    assert not pids(before) & pids(after)
    assert {one.slots for one in after.instances} == {3}
    assert {one.device for one in after.instances} == {one.device for one in before.instances}


def test_the_last_of_two_ends_for_what_others_took_only_when_that_is_allowed(
    one_gpu: OneGpu,
) -> None:
    box, client = one_gpu.box, one_gpu.box.client
    before = one_gpu.deploy(2)
    first, last = (one.pid for one in before.instances)
    assert first is not None

    def says_what_to_do() -> bool:
        rollout = client.service("tight").rollout or ""
        return "hydra-box edit tight --allow-downtime" in rollout

    def new_serves() -> bool:
        view = client.service("tight")
        return view.ready_instances == 1 and last not in pids(view)

    with one_gpu.fill(before) as driver:
        driver.take_what_ends(first)
        client.edit("tight", EditRequest(concurrency=3))
        eventually(says_what_to_do, what="the new one waits, and it is told what to do")
        assert last in pids(client.service("tight"))
        client.edit("tight", EditRequest(allow_downtime=True))
        eventually(new_serves, what="the last has made room for a new one")
    one_gpu.release()
    assert not pids(before) & pids(box.wait_running("tight"))


def test_downtime_may_be_allowed_while_the_edit_is_under_way(
    one_gpu: OneGpu, tmp_path: Path
) -> None:
    box, client = one_gpu.box, one_gpu.box.client
    model = tmp_path / "model.gguf"
    model.write_bytes(DEMO_MODEL.read_bytes())
    before = box.deploy(DeployRequest(model=str(model), name="slow", context_length=512))
    behave(model, "--hang-while-loading")
    client.edit("slow", EditRequest(concurrency=1))

    def hangs() -> bool:
        new = [one for one in client.service("slow").instances if one.pid not in pids(before)]
        # Once it listens it has read how it is to behave.
        return any(answers(box.paths.instance_socket(one.id)) for one in new)

    eventually(hangs, what="a new instance starts beside the old one")
    behave(model)
    client.edit("slow", EditRequest(allow_downtime=True))
    after = box.wait_running("slow")
    assert (after.slots, len(after.instances)) == (1, 1)
    assert not pids(before) & pids(after)
    eventually(lambda: "may be away" in told(box, "service.changed")[-1], what="that is told")
