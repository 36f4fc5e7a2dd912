"""Tables of looks at an instance, and what follows from them."""

from __future__ import annotations

import pytest

from hydra_box.plan.liveness import (
    Life,
    Limits,
    Pulse,
    Vitals,
    seen,
    verdict,
    wants_probe,
)
from hydra_box.watch.liveness import MOST_PERIODS

LIMITS = Limits(hang_seconds=60.0, busy_hang_seconds=1800.0, probe_seconds=30.0)
STEP_SECONDS = 5.0
MOST_SECONDS = 10.0


def after(pulses: list[Pulse], seconds: float = STEP_SECONDS) -> Vitals:
    """The vitals after these looks, one every ``seconds``."""
    vitals = None
    for pulse in pulses:
        vitals = seen(vitals, pulse, seconds, most_seconds=MOST_SECONDS)
    assert vitals is not None
    return vitals


def stays(pulse: Pulse, looks: int) -> list[Pulse]:
    """The same thing seen again and again."""
    return [pulse] * (looks + 1)


@pytest.mark.parametrize(
    ("pulses", "life", "reason"),
    [
        pytest.param(stays(Pulse(heard=7, asked=0), 100), Life.ALIVE, "", id="nobody asks"),
        pytest.param(stays(Pulse(heard=7, asked=1), 2), Life.ALIVE, "", id="asked a moment ago"),
        pytest.param(
            stays(Pulse(heard=7, asked=1), 3),
            Life.SUSPECT,
            "it has given no sign of life for 15 s",
            id="asked, nothing for a quarter",
        ),
        pytest.param(
            stays(Pulse(heard=7, asked=2), 12),
            Life.DEAD,
            "the engine hangs: 2 requests waited, and for 60 s no token came and no work was done",
            id="asked, nothing at all",
        ),
        pytest.param(
            [Pulse(heard=7 + look, asked=4) for look in range(100)],
            Life.ALIVE,
            "",
            id="tokens come",
        ),
        pytest.param(
            [Pulse(heard=7, asked=4, steps=9.0 + look) for look in range(1000)],
            Life.ALIVE,
            "",
            id="no stream, but it counts steps",
        ),
        pytest.param(
            [Pulse(heard=7, asked=1, cpu_seconds=4.0 * look) for look in range(100)],
            Life.ALIVE,
            "",
            id="a long prompt",
        ),
        pytest.param(
            [Pulse(heard=7, asked=1, read_bytes=4096 * look) for look in range(100)],
            Life.ALIVE,
            "",
            id="its weights come from the disk",
        ),
        pytest.param(
            [Pulse(heard=7, asked=1, cpu_seconds=0.05 * look) for look in range(13)],
            Life.DEAD,
            "the engine hangs: 1 request waited, and for 60 s no token came and no work was done",
            id="threads that only wait are no work",
        ),
        pytest.param(
            [Pulse(heard=7, asked=1, cpu_seconds=5.0 * look) for look in range(361)],
            Life.DEAD,
            "the engine hangs: 1 request waited, and for 1800 s no token came, although it works",
            id="it turns in a circle",
        ),
        pytest.param(
            stays(Pulse(heard=7, asked=0, listens=False), 1),
            Life.SUSPECT,
            "it has given no sign of life for 5 s",
            id="its socket is gone",
        ),
        pytest.param(
            stays(Pulse(heard=7, asked=0, listens=False), 2),
            Life.DEAD,
            "the engine hangs: its socket has taken no connection for 10 s",
            id="its socket stays away",
        ),
        pytest.param(
            [Pulse(heard=7, asked=1, wrong_answers=3)],
            Life.DEAD,
            "the engine hangs: it answered 3 requests of one token wrongly",
            id="probes answered wrongly",
        ),
    ],
)
def test_what_is_seen_decides(pulses: list[Pulse], life: Life, reason: str) -> None:
    found = verdict(after(pulses), LIMITS)
    assert (found.life, found.reason) == (life, reason)


def test_a_token_makes_a_suspect_healthy() -> None:
    silent = stays(Pulse(heard=7, asked=1), 6)
    assert verdict(after(silent), LIMITS).life is Life.SUSPECT
    assert verdict(after([*silent, Pulse(heard=8, asked=1)]), LIMITS).life is Life.ALIVE


def test_a_suspect_that_works_again_is_healthy() -> None:
    silent = stays(Pulse(heard=7, asked=1), 6)
    assert verdict(after([*silent, Pulse(heard=7, asked=1, cpu_seconds=4.0)]), LIMITS).life is (
        Life.ALIVE
    )


@pytest.mark.parametrize(("hang_seconds", "period_seconds"), [(60.0, 5.0), (2.0, 2 / 12)])
def test_a_daemon_that_stood_still_itself_accuses_nobody(
    hang_seconds: float, period_seconds: float
) -> None:
    limits = Limits(hang_seconds=hang_seconds, busy_hang_seconds=1800.0, probe_seconds=0.5)
    vitals = None
    for seconds in (0.0, period_seconds, 3600.0):
        vitals = seen(
            vitals, Pulse(heard=7, asked=1), seconds, most_seconds=MOST_PERIODS * period_seconds
        )
        assert verdict(vitals, limits).life is not Life.DEAD


def test_the_first_answer_of_the_counters_is_no_step() -> None:
    vitals = after([Pulse(heard=7, asked=1), Pulse(heard=7, asked=1, steps=40.0)])
    assert vitals.silent_seconds == STEP_SECONDS


def test_with_a_bound_of_zero_nothing_hangs() -> None:
    never = Limits(hang_seconds=0.0, busy_hang_seconds=1.0, probe_seconds=30.0)
    vitals = after(stays(Pulse(heard=7, asked=1, listens=False, wrong_answers=9), 100))
    assert verdict(vitals, never).life is Life.ALIVE


@pytest.mark.parametrize(
    ("pulses", "wanted"),
    [
        pytest.param(stays(Pulse(heard=7, asked=0), 6), True, id="quiet for as long as that"),
        pytest.param(stays(Pulse(heard=7, asked=0), 5), False, id="quiet for less"),
        pytest.param(stays(Pulse(heard=7, asked=1), 50), False, id="a request is there to tell"),
        pytest.param(
            [*stays(Pulse(heard=7, asked=0), 50), Pulse(heard=8, asked=0)],
            False,
            id="it has just answered",
        ),
    ],
)
def test_only_who_is_quiet_and_not_asked_is_probed(pulses: list[Pulse], *, wanted: bool) -> None:
    assert wants_probe(after(pulses), LIMITS) is wanted
