"""What was used, by whom, of what: the books, their journal, their reports, and the energy.

``books.py`` is the one writer; a request is in ``journal.py`` at once, and in the store soon.
"""

from __future__ import annotations

from hydra_box.usage.books import UsageBooks
from hydra_box.usage.energy import EnergyMeter
from hydra_box.usage.journal import UsageJournal
from hydra_box.usage.reports import UsageReports

__all__ = ["EnergyMeter", "UsageBooks", "UsageJournal", "UsageReports"]
