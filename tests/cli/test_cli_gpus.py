"""``hydra-box gpus``: what it shows of machines, and how it watches one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
import pytest

from hydra_box.cli import render_gpus
from hydra_box.types import GpuCondition, GpuLoss, GpuProcess, Machine
from tests.boxes import PROGRAM
from tests.cli.conftest import Cli
from tests.cli.fake_box import FakeBox
from tests.cli.terminal import on_a_terminal
from tests.fakes.nvml_machine import FakeNvml, mig_slices
from tests.machines import (
    GIB,
    NAMED,
    cpu_only,
    eight_h200,
    one_rtx_4090,
    two_rtx_3090_one_half_occupied,
)


def whole(machine: Machine) -> str:
    """All of it, without colour."""
    return click.unstyle(render_gpus.machine(machine))


def live(machine: Machine) -> str:
    """What a watcher sees, without colour."""
    return click.unstyle(render_gpus.live(machine))


def one_lost() -> Machine:
    """Two GPUs, one of which has fallen off the bus."""
    both = two_rtx_3090_one_half_occupied()
    loss = GpuLoss(
        index=1, condition=GpuCondition.GPU_LOST, message="GPU 1 has fallen off; hint: restart"
    )
    return msgspec.structs.replace(
        both,
        gpus=both.gpus[:1],
        lost_gpus=(loss,),
        gpu_condition=GpuCondition.GPU_LOST,
        gpu_message=f"1 of 2 GPUs cannot be used: {loss.message}",
    )


@pytest.mark.parametrize("make", [*NAMED.values(), mig_slices, one_lost])
def test_tables_are_80_columns_wide(make: Callable[[], Machine]) -> None:
    for text in (whole(make()), live(make())):
        assert max(map(len, text.splitlines())) <= 80
        assert not any(line.endswith(" ") for line in text.splitlines())


def test_two_gpus_of_which_one_is_half_occupied() -> None:
    shown = whole(two_rtx_3090_one_half_occupied())
    assert "GPU  NAME                  FREE     TOTAL  BUSY   TEMP     POWER" in shown
    assert "  1  GeForce RTX 3090  11.5 GiB  24.0 GiB   0 %  40 °C  30/300 W" in shown
    assert "  NVLink to GPU 0\n  same PCIe host bridge as GPU 0\n" in shown
    assert "  12.0 GiB held by a process (pid 5000001)" in shown


def test_holders_have_their_names_and_cannot_steer_the_terminal() -> None:
    (gpu,) = one_rtx_4090().gpus
    held = msgspec.structs.replace(
        gpu,
        processes=(
            GpuProcess(pid=7, used_bytes=GIB, name="python3"),
            GpuProcess(pid=8, used_bytes=None),
        ),
    )
    shown = click.unstyle(render_gpus.details_of(held, (held,)))
    assert "  1.0 GiB held by python3 (pid 7)" in shown
    assert "  memory held by a process (pid 8)" in shown


def test_mig_instances_name_their_gpu() -> None:
    shown = whole(mig_slices())
    assert "  0  H200 4g.71gb   69.9 GiB   70.0 GiB     -  40 °C         -" in shown
    assert "GPU 0 MIG 3g.71gb  MIG-00000001-" in shown
    assert "  MIG instance 3g.71gb of GPU-00000000-0000-4000-8000-000000000000" in shown


def test_every_link_is_told_shortly() -> None:
    shown = whole(eight_h200())
    assert "  NVLink to GPU 0-2, 4-7" in shown
    assert render_gpus.ranges([5, 0, 1, 2, 7]) == "0-2, 5, 7"


def test_every_lost_gpu_is_told() -> None:
    lost = one_lost()
    expected = "GPU: gpu-lost: 1 of 2 GPUs cannot be used: GPU 1 has fallen off\nhint: restart"
    assert expected in whole(lost)
    (loss,) = lost.lost_gpus
    other = GpuLoss(index=0, condition=GpuCondition.NO_PERMISSION, message="may not use GPU 0")
    both = msgspec.structs.replace(lost, gpus=(), lost_gpus=(loss, other))
    shown = live(both)
    assert "GPU: gpu-lost: GPU 1 has fallen off\nhint: restart\n" in shown
    assert "GPU: no-permission: may not use GPU 0" in shown


def test_watch_with_json_is_one_object_a_line(ask: Cli, fake: FakeBox) -> None:
    samples = (cpu_only(), one_lost())
    told = b"".join(b"data: %s\n\n" % msgspec.json.encode(one) for one in samples)
    fake.says("GET /api/v1/machine/live", told)
    shown = ask("gpus", "--watch", "--json")
    lines = shown.out.splitlines()
    assert [msgspec.json.decode(line, type=Machine) for line in lines] == list(samples)
    assert shown.err == "the daemon has stopped\n"
    assert shown.status == 0


@contextmanager
def watching(nvml: FakeNvml, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The program, which watches the fake machine without a daemon."""
    process = subprocess.Popen(
        (PROGRAM, "gpus", "--watch", *arguments),
        env={**os.environ, **nvml.environ},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_without_a_daemon_it_looks_itself(tmp_path: Path) -> None:
    nvml = FakeNvml(tmp_path, two_rtx_3090_one_half_occupied())
    lost = nvml.machine.gpus[1]
    with watching(nvml, "--json") as process:
        assert process.stdout is not None
        first = msgspec.json.decode(process.stdout.readline(), type=Machine)
        assert len(first.gpus) == 2
        nvml.lose(lost.uuid)
        for line in process.stdout:
            machine = msgspec.json.decode(line, type=Machine)
            if machine.lost_gpus:
                break
        assert [one.uuid for one in machine.lost_gpus] == [lost.uuid]


def test_on_a_terminal_it_draws_over_what_it_drew(tmp_path: Path) -> None:
    nvml = FakeNvml(tmp_path, one_rtx_4090())
    with on_a_terminal({**os.environ, **nvml.environ}, "gpus", "--watch") as screen:
        screen.read_until("RAM   ")
        screen.read_until("GeForce RTX 4090")
        screen.interrupt()
        status, _ = screen.finish()
    assert status == 130
