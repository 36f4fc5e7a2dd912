from __future__ import annotations

import click

from hydra_box.cli import render
from hydra_box.types import Price
from tests.cli.fake_box import a_service_view


def test_terms_stand_below_the_service_that_has_them() -> None:
    plain = a_service_view("plain", owner_name="local")
    shared = a_service_view(
        "shared",
        owner_name="mary",
        idle_timeout_seconds=900.0,
        price=Price(input_per_million=0.5, output_per_million=1.5),
    )
    text = click.unstyle(render.services((plain, shared)))
    head, first, second, terms = text.split("\n")
    assert head.startswith("NAME")
    assert first.startswith("plain")
    assert second.startswith("shared")
    assert terms == (
        "  of mary; sleeps after 15m; 0.5 for a million prompt tokens, 1.5 for answered ones"
    )
