"""A plugin of pytest that writes each test's outcome to a file as it ends.

`python -m pytest -p bench.gpu.outcomes --outcomes FILE`: a line of JSON per test, so that a run
that is stopped, or that a library takes down with it, has told of every test before.
"""

import json
from pathlib import Path
from typing import Any

CRASHED = "did not end"
LONGEST_REASON = 300


def pytest_addoption(parser: Any) -> None:
    """Add the flag."""
    parser.addoption("--outcomes", type=Path, help="file for a line of JSON per test")


def pytest_configure(config: Any) -> None:
    """Start to write where the flag is given."""
    if path := config.getoption("--outcomes"):
        config.pluginmanager.register(Writer(path))


class Writer:
    """Notes when a test begins, and how it ended."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note the test; it did not end until a later line says so."""
        self._write(nodeid, CRASHED)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note the outcome of the call, or of a set-up or tear-down that did not pass."""
        if report.when == "call" or report.outcome != "passed":
            self._write(report.nodeid, report.outcome, reason_of(report))

    def pytest_collectreport(self, report: Any) -> None:
        """Note a file that can't be imported."""
        if report.failed:
            self._write(report.nodeid, "failed", reason_of(report))

    def _write(self, test: str, outcome: str, reason: str = "") -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"test": test, "outcome": outcome, "reason": reason}) + "\n")


def reason_of(report: Any) -> str:
    """Return the line that says why, or nothing for what passed."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(crash.message if crash else report.longrepr or "").strip()
    return text.splitlines()[0][:LONGEST_REASON] if text else ""


def read_outcomes(path: Path) -> dict[str, Any]:
    """Return the counts by outcome, and the reason of each test that neither passed nor skipped.

    A test that failed stays failed whatever is said of its tear-down.
    """
    ended: dict[str, tuple[str, str]] = {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in lines:
        try:
            one = json.loads(line)
        except ValueError:  # a line cut short
            continue
        if ended.get(one["test"], ("",))[0] != "failed":
            ended[one["test"]] = one["outcome"], one["reason"]
    outcomes = [outcome for outcome, _ in ended.values()]
    bad = {test: why for test, why in ended.items() if why[0] in ("failed", CRASHED)}
    return {
        "counts": {name: outcomes.count(name) for name in ("passed", "failed", "skipped", CRASHED)},
        "bad": {test: reason or outcome for test, (outcome, reason) in bad.items()},
    }
