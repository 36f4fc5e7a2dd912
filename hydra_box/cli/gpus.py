"""``hydra-box gpus``."""

from __future__ import annotations

import os

import click

from hydra_box.cli.connection import connect
from hydra_box.cli.options import Options
from hydra_box.cli.output import emit, gib, put, style, table
from hydra_box.cli.verb import Verb
from hydra_box.config import resolve_paths
from hydra_box.errors import DaemonUnreachable
from hydra_box.hardware import snapshot
from hydra_box.types import Gpu, GpuCondition, Machine


@click.command(cls=Verb, examples=("hydra-box gpus", "hydra-box gpus --json"))
@click.pass_obj
def gpus(options: Options) -> None:
    """Show the GPUs, or why there are none, and the CPU, memory and disk; needs no daemon."""
    machine = _machine(options)
    if options.json:
        emit(machine)
        return
    if machine.gpus:
        put(_gpus(machine.gpus))
        put(f"driver {machine.driver_version or '?'}, CUDA {machine.cuda_version or '?'}")
    if machine.gpu_condition is not GpuCondition.PRESENT:
        put(f"{style(f'GPU: {machine.gpu_condition.value}', fg='yellow')}: {machine.gpu_message}")
    cores = f"{machine.physical_cores} cores, {machine.logical_cores} threads"
    put("")
    put(f"CPU   {machine.cpu_model}, {cores}")
    put(f"RAM   {gib(machine.ram_available_bytes)} available of {gib(machine.ram_total_bytes)}")
    put(f"disk  {gib(machine.disk_free_bytes)} free of {gib(machine.disk_total_bytes)}")


def _machine(options: Options) -> Machine:
    """What the daemon says; without one, what this process sees of the same machine."""
    with connect(options) as client:
        try:
            return client.machine()
        except DaemonUnreachable:
            if options.url:
                raise
    return snapshot(resolve_paths(os.environ).home)


def _gpus(found: tuple[Gpu, ...]) -> str:
    headers = ("GPU", "NAME", "FREE", "TOTAL", "BUSY", "TEMP", "POWER", "UUID")
    rows = [
        (
            str(gpu.index),
            gpu.name,
            gib(gpu.free_bytes),
            gib(gpu.total_bytes),
            "-" if gpu.utilization_percent is None else f"{gpu.utilization_percent} %",
            "-" if gpu.temperature_celsius is None else f"{gpu.temperature_celsius} °C",
            "-" if gpu.power_watts is None else f"{gpu.power_watts:.0f} W",
            gpu.uuid,
        )
        for gpu in found
    ]
    return table(headers, rows, right=(0, 2, 3, 4, 5, 6))
