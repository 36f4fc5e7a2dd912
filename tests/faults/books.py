"""What clients received, beside what the books say."""

from __future__ import annotations

import json

import msgspec

from hydra_box.messages import UsageBy, UsageFormat
from hydra_box.types import RequestRecord
from tests.boxes import RunningBox
from tests.faults.load import Fate, Tally
from tests.waiting import eventually


def recorded(box: RunningBox) -> dict[str, RequestRecord]:
    """Every single request of the books, by its id."""

    def consistent() -> list[RequestRecord] | None:
        text = "".join(box.client.usage_requests(UsageFormat.JSON))
        rows = msgspec.convert(json.loads(text)["rows"], list[RequestRecord])
        totals = box.client.usage(by=UsageBy.KEY).totals
        # One whose client has left may end between the two.
        said = (totals.requests, totals.completion_tokens)
        return rows if said == (len(rows), sum(one.completion_tokens for one in rows)) else None

    rows = eventually(consistent, what="the sums are those of the single requests")
    assert rows is not None
    found = {one.id: one for one in rows}
    assert len(found) == len(rows), "a request is in the books twice"
    return found


def wrong_in_books(tally: Tally, records: dict[str, RequestRecord]) -> list[str]:
    """What was delivered whole and is not in the books as its client saw it."""
    wrong = []
    for one in tally.requests:
        if one.fate is not Fate.OK:
            continue
        record = records.get(one.id)
        booked = record and (record.prompt_tokens, record.completion_tokens)
        if booked != one.tokens:
            wrong.append(f"{one.id}: {one.tokens} were delivered, {booked} are in the books")
    return wrong
