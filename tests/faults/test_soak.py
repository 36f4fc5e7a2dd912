"""Mixed load with random faults for a while: what the box has of the machine does not grow.

``SOAK_SECONDS=1800`` makes it half an hour.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from hydra_box.messages import EditRequest, ScaleRequest
from tests.e2e.streams import chat, leave_after_first_event, read_whole
from tests.faults.books import recorded, wrong_in_books
from tests.faults.census import Census, left_behind, take_census
from tests.faults.conftest import Admit
from tests.faults.load import Fate
from tests.faults.patient import FORGIVING, Patient
from tests.faults.rows import row_of, suffer

MIB = 1024 * 1024
SECONDS = float(os.environ.get("SOAK_SECONDS", "12"))
WARM_UP_ROUNDS = 3
MOST_GROWTH_BYTES = 24 * MIB
MOST_NEW_DESCRIPTORS = 24
MOST_NEW_THREADS = 8


def test_mixed_load_with_random_faults_leaves_nothing(admit: Admit) -> None:
    patient = admit(program=FORGIVING, hang_timeout_seconds=4, probe_interval_seconds=2)
    patient.deploy(instances=2, context_length=2048)
    chance = random.Random(7)
    with patient.load() as load, rude_clients(patient):
        suffer(patient, load, lambda: injure(patient, chance), WARM_UP_ROUNDS)
        patient.box.client.scale("story", ScaleRequest(instances=2))
        patient.wait_whole()
        before, took, end = take_census(patient.box), [], time.monotonic() + SECONDS
        while time.monotonic() < end:
            took += suffer(patient, load, lambda: injure(patient, chance), 1)
        patient.box.client.scale("story", ScaleRequest(instances=2))
        patient.wait_whole()
        after = take_census(patient.box)
    tally = load.tally()
    name = f"{SECONDS:.0f} s of mixed load with random faults"
    left = left_behind(patient.box)
    row = row_of(
        name, tally, took, left, note=f"{shown(before)} at the start, {shown(after)} after"
    )
    assert row.lost == 0, tally.details(*set(Fate) - {Fate.OK, Fate.BROKEN})
    assert row.left == []
    assert after.processes == before.processes
    assert after.daemon_resident_bytes - before.daemon_resident_bytes < MOST_GROWTH_BYTES
    assert after.daemon_descriptors - before.daemon_descriptors < MOST_NEW_DESCRIPTORS
    assert after.daemon_sockets - before.daemon_sockets < MOST_NEW_DESCRIPTORS
    assert after.daemon_threads - before.daemon_threads < MOST_NEW_THREADS
    assert wrong_in_books(tally, recorded(patient.box)) == []


def shown(census: Census) -> str:
    return (
        f"{census.daemon_resident_bytes / MIB:.0f} MiB, {census.daemon_descriptors} descriptors, "
        f"{census.daemon_sockets} sockets, {census.daemon_threads} threads, "
        f"{census.processes} processes"
    )


def injure(patient: Patient, chance: random.Random) -> Callable[[], bool]:
    """Some fault that costs no request that has not begun."""
    pid = chance.choice(sorted(patient.pids().values()))
    match chance.randrange(5):
        case 0:
            os.kill(pid, signal.SIGKILL)
            return lambda: patient.healed_without(pid)
        case 1:
            os.kill(pid, signal.SIGSTOP)
            return lambda: patient.healed_without(pid)
        case 2:
            old, context = patient.pids().values(), patient.view().context_length
            wanted = 1024 if context == 2048 else 2048
            patient.box.client.edit("story", EditRequest(context_length=wanted))
            return lambda: patient.healed_without(*old)
        case 3:
            wanted = 5 - patient.view().desired_instances
            patient.box.client.scale("story", ScaleRequest(instances=wanted))
            return patient.whole
        case _:
            (victim,) = [id for id, its in patient.pids().items() if its == pid]
            shutil.rmtree(patient.box.paths.instance_socket(victim).parent)
            return lambda: patient.healed_without(pid)


@contextmanager
def rude_clients(patient: Patient) -> Iterator[None]:
    """Clients that leave in the middle, ask for what there is not, and send what is no request."""
    over = Event()
    thread = Thread(target=lambda: asyncio.run(be_rude(patient, over)), name="rude clients")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


async def be_rude(patient: Patient, over: Event) -> None:
    url, key = patient.box.url, patient.key
    while not over.is_set():
        stream = chat(patient.model, max_tokens=400, ignore_eos=True, stream=True)
        try:
            await leave_after_first_event(url, key, stream)
        except asyncio.IncompleteReadError:
            continue  # A fault was quicker than the first event.
        status, _ = await read_whole(url, key, chat("u-000000000000/nothing"))
        assert status == 404
        status, _ = await read_whole(url, "sk-wrong", chat(patient.model))
        assert status == 401
        status, _ = await read_whole(url, key, {"model": patient.model, "n": "many"})
        assert status == 400
