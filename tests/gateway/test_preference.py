"""What a client prefers about waiting."""

from __future__ import annotations

import pytest

from hydra_box.gateway.preference import wait_seconds


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, None),
        ("", None),
        ("wait=10", 10.0),
        ("wait=0", 0.0),
        ("WAIT = 10", 10.0),
        ('wait="10"', 10.0),
        ("wait=10; why=because", 10.0),
        ("respond-async, wait=10", 10.0),
        ("wait=10, return=minimal", 10.0),
        # The first counts; what is in quotes or not understood does not.
        ("wait=1, wait=2", 1.0),
        ('foo="a, wait=5", wait=7', 7.0),
        ("wait=soon, wait=3", 3.0),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait", None),
        ("await=3", None),
        ("wait=99999999999999999999", None),
        ('"', None),
    ],
)
def test_how_long_a_client_prefers_to_wait(prefer: str | None, seconds: float | None) -> None:
    assert wait_seconds(prefer) == seconds
