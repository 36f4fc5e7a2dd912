"""``hydra-box`` for many rounds of one fault: ``python -m tests.faults.forgiving serve ...``.

An instance that was ready counts as stable at once, and not after a minute. So a tenth death is
followed by the same delay as a first, and rounds need not be a minute apart.
"""

from __future__ import annotations

import sys

from hydra_box.cli.main import main
from hydra_box.plan import lifecycle

if __name__ == "__main__":
    lifecycle.STABLE_AFTER_SECONDS = 0.0
    sys.exit(main())
