"""Options of the test run: which folders are left out of the quick run, and what a machine must offer.

Fixtures live beside the tests that use them.
"""

import os
import platform
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SLOW = ("security", "faults", "docs", "browser")
_left_out = pytest.StashKey[int]()

# Test folders are no packages; their shared suites and helpers are imported by plain name.
sys.path.extend(sorted({str(path.parent) for path in HERE.rglob("*.py") if not path.name.startswith("test_")}))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--run-all", action="store_true", help=f"run {', '.join(SLOW)} too; a test that is skipped then is a failure"
    )
    parser.addoption("--kill-cycles", type=int, default=60, help="how often all revisers of a store are killed")
    parser.addoption("--machine-examples", type=int, default=20, help="how many histories of artifacts are tried")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "quick: runs also without --run-all, in a folder that is otherwise left out")
    config.addinivalue_line("markers", "linux: needs Linux")
    config.addinivalue_line("markers", "root: needs to be run as root")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-all"):
        return
    named = {HERE / Path(_place(argument)).relative_to(HERE).parts[0] for argument in _named_below(config)}
    slow = {HERE / folder for folder in SLOW} - named
    left_out = [i for i in items if slow.intersection(i.path.parents) and i.get_closest_marker("quick") is None]
    config.stash[_left_out] = len(left_out)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        chosen = set(left_out)
        items[:] = [item for item in items if item not in chosen]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("linux") and platform.system() != "Linux":
        pytest.skip(f"needs Linux; this is {platform.system()}")
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if count := config.stash.get(_left_out, 0):
        terminalreporter.write_line(
            f"left out: {count} slow tests of {', '.join(SLOW)}; `make test-all` (pytest --run-all) runs them"
        )
    if config.getoption("--run-all") and (skipped := len(terminalreporter.stats.get("skipped", []))):
        terminalreporter.write_line(
            f"{skipped} skipped under --run-all, where nothing may be: this run fails", red=True
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--run-all") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _named_below(config: pytest.Config) -> list[str]:
    """The arguments that name a test folder, or something in it: who names it wants it run."""
    return [a for a in config.args if HERE in Path(_place(a)).parents]


def _place(argument: str) -> str:
    return str(Path(argument.partition("::")[0]).absolute())
