"""The dashboard in docs/: it can be imported, and asks for nothing that no box tells."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.metrics.events import WATCHED
from tests.conftest import DemoBox
from tests.exposition import Page, read
from tests.metrics_page import fullest
from tests.test_events_documented import kinds
from tests.waiting import PATIENCE_SECONDS

FILE = Path(__file__).parents[1] / "docs" / "grafana.json"
WORDS = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}")
GROUPING = re.compile(r"\bby \(([^)]*)\)")
MATCHER = re.compile(r'([a-z_]+)(?:=~|!~|!=|=)"[^"]*"')
PROMQL = {"sum", "max", "by", "rate", "increase", "or", "vector", "topk", "histogram_quantile"}
"""What stands in the dashboard's queries beside names."""

OF_THE_SCRAPE = {"instance", "job"}
"""Labels that Prometheus adds."""

CONDITIONAL = (
    *("alarm", "gpu_", "upstream_", "key_", "engine_", "instance_memory_"),
    *("cpu_utilization_ratio", "service_energy_joules_total"),
)
"""After ``hydra_box_``: what only a box has that has such a thing, or engines of that kind."""

Panel = dict[str, Any]


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def panels(dashboard: dict[str, Any]) -> Iterator[Panel]:
    """All of them, those in a row that is shut too."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", ())


def queries(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in panels(dashboard):
        for target in panel.get("targets", ()):
            yield target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            inner = re.fullmatch(r"label_values\((.*), [a-z]+\)", variable["query"]["query"])
            assert inner, variable
            yield inner[1]


def names(query: str) -> set[str]:
    """What a query asks for: its words without labels, durations, variables and PromQL's own."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", GROUPING.sub("by", query))
    return set(WORDS.findall(bare)) - PROMQL


def labels_of(page: Page, name: str) -> set[str]:
    return {label for found in page.values(name) for label, _ in found}


def test_every_name_is_one_that_a_box_tells(dashboard: dict[str, Any]) -> None:
    known = fullest().names()
    asked = {name for query in queries(dashboard) for name in names(query)}
    assert asked - known == set()
    assert len(asked) > 40


def test_real_box_tells_all_that_depends_on_nothing_else(
    dashboard: dict[str, Any], box: DemoBox
) -> None:
    headers = {"Authorization": f"Bearer {box.admin_key}"}
    page = httpx.get(f"{box.url}/metrics", headers=headers, timeout=PATIENCE_SECONDS)
    told = read(page.text).names()
    asked = {name for query in queries(dashboard) for name in names(query)}
    missing = {name.removeprefix("hydra_box_") for name in asked - told}
    assert {name for name in missing if not name.startswith(CONDITIONAL)} == set()
    assert told <= fullest().names(), "the page of the tests has everything"


def test_every_label_is_one_of_its_series(dashboard: dict[str, Any]) -> None:
    page = fullest()
    for query in queries(dashboard):
        every = set[str]()
        for name, matchers in SELECTOR.findall(query):
            allowed = labels_of(page, name) | OF_THE_SCRAPE
            every |= allowed
            assert set(re.findall(r"([a-z_]+)\s*(?:=|!)", matchers)) <= allowed, query
            assert len(MATCHER.findall(matchers)) == matchers.count('"') // 2, query
        for grouping in GROUPING.findall(query):
            assert {one.strip() for one in grouping.split(",")} <= every, query


def test_every_legend_is_of_labels_that_are_there(dashboard: dict[str, Any]) -> None:
    page = fullest()
    for panel in panels(dashboard):
        for target in panel.get("targets", ()):
            wanted = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            groupings = GROUPING.findall(target["expr"])
            left = {one.strip() for grouping in groupings for one in grouping.split(",")}
            for name in set() if groupings else names(target["expr"]):
                left |= labels_of(page, name) | {"mig_profile"}
            assert wanted <= left, target


def test_brackets_of_every_query_are_closed(dashboard: dict[str, Any]) -> None:
    for query in queries(dashboard):
        for opened, closed in ("()", "[]", "{}"):
            assert query.count(opened) == query.count(closed), query


def test_panels_can_be_told_apart_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in panels(dashboard)]
    assert len(ids) == len(set(ids))
    squares = Counter(
        (x, y)
        for place in (panel["gridPos"] for panel in panels(dashboard))
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    assert max(squares.values()) == 1
    assert max(x for x, _ in squares) == 23, "as wide as a dashboard is"


def test_it_asks_the_source_that_is_chosen_and_no_host(dashboard: dict[str, Any]) -> None:
    sources = {
        one["datasource"]["uid"]
        for panel in panels(dashboard)
        for one in (panel, *panel.get("targets", ()))
        if "datasource" in one
    }
    assert sources == {"${datasource}"}
    assert {one["name"] for one in dashboard["templating"]["list"]} == {
        *("datasource", "box", "service")
    }
    text = FILE.read_text()
    assert "://" not in text
    assert not re.search(r"\d+\.\d+\.\d+\.\d+|localhost", text)


def test_rows(dashboard: dict[str, Any]) -> None:
    rows = [panel["title"] for panel in dashboard["panels"] if panel["type"] == "row"]
    assert rows[:6] == [
        *("Overview", "Needs attention"),
        *("Latency", "Tokens", "Queue and requests in flight", "Instances"),
    ]


def test_every_kind_of_event_is_one_that_happens(dashboard: dict[str, Any]) -> None:
    asked = {
        kind
        for query in queries(dashboard)
        for found in re.findall(r'\bkind=~"([^"]*)"', query)
        for kind in found.split("|")
    }
    assert asked == set(WATCHED)
    assert asked <= kinds()


def test_it_has_what_an_import_asks_for(dashboard: dict[str, Any]) -> None:
    assert dashboard["schemaVersion"] >= 39
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", dashboard["uid"])
    assert "id" not in dashboard, "that is the number in one Grafana's database"
    assert "__inputs" not in dashboard
    assert "__requires" not in dashboard
    (source,) = (one for one in dashboard["templating"]["list"] if one["type"] == "datasource")
    assert (source["name"], source["query"]) == ("datasource", "prometheus")
    for panel in panels(dashboard):
        assert panel["title"]
        if panel["type"] == "row":
            assert panel["collapsed"] == bool(panel["panels"]), panel["title"]
            assert (panel["gridPos"]["x"], panel["gridPos"]["w"]) == (0, 24), panel["title"]
            continue
        assert panel["type"] in {"stat", "timeseries"}, "which every Grafana has"
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) > 0, panel["title"]


def test_every_panel_is_below_its_row(dashboard: dict[str, Any]) -> None:
    bottom = 0
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        if panel["type"] == "row":
            assert place["y"] >= bottom, panel["title"]
            begins = place["y"] + place["h"]
        assert panel["type"] == "row" or place["y"] >= begins, panel["title"]
        bottom = max(bottom, place["y"] + place["h"])
