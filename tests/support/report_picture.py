"""Make the README's picture: `python -m tests.support.report_picture report/report.html .github/report.png`.

The report is that of the workload `ml`: `hatch-lambda build tests/workloads/ml --report report`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.support.browser import browser, pretend

HEIGHT = 1108
"""Pixels down to the end of the treemap."""


def main(page: str, picture: str) -> None:
    """Show *page* and save what is seen."""
    with tempfile.TemporaryDirectory() as profile, browser(profile, "--hide-scrollbars") as driver:
        pretend(driver, width=1280, height=HEIGHT)
        driver.get(Path(page).resolve().as_uri())
        driver.save_screenshot(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
