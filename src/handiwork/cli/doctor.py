"""The command `doctor`: the report on this machine, for a person. What is in it is found out in `report`."""

import asyncio
import logging

from rich.console import Console

from handiwork.cli.failures import DONE, FAILED, NO_ISOLATION
from handiwork.cli.printing import print_facts, print_json, print_table, progress, results, say, size
from handiwork.cli.report import (
    CONTAINERS,
    INSTALL,
    LANDLOCK_ADDS,
    Fonts,
    Machine,
    Report,
    Store,
    examine,
    report_shape,
)
from handiwork.errors import IsolationUnavailable
from handiwork.settings import load


def run(*, data: str | None, as_json: bool) -> int:
    """Print the report; 3 when no isolation level can be had, 1 when something else is wrong."""
    settings = load()
    # That a weaker level was taken is in the report itself.
    with progress("Building the walls", least=logging.ERROR):
        report = asyncio.run(examine(settings, data))
    if as_json:
        print_json(report_shape(report))
    else:
        _print(results(), report)
    if isinstance(report.error, IsolationUnavailable):
        return NO_ISOLATION
    return DONE if report.ok else FAILED


def _print(console: Console, report: Report) -> None:
    _print_walls(console, report)
    _print_libraries(console, report)
    for title, lines in (
        ("Fonts that agent code sees", _fonts(report.fonts)),
        ("Store", _store(report.store)),
        ("Machine", _machine(report.machine)),
    ):
        say(console, (title, "bold underline"))
        print_facts(console, lines)
        console.print()
    say(console, ("ok", "bold green") if report.ok else ("not ok", "bold red"))


def _print_walls(console: Console, report: Report) -> None:
    found = report.walls
    say(console, ("Isolation", "bold underline"))
    if found.isolation is None:
        say(console, ("none to be had: ", "bold red"), found.why)
        if report.error is not None and report.error.hint:
            say(console, ("hint: ", "bold"), report.error.hint)
    else:
        isolation = found.isolation
        memory = {"cgroup": f"by cgroup (version {found.cgroup_version})", "watch": "by watching the processes"}
        print_facts(
            console,
            {
                "level": isolation.level,
                "why": found.why,
                "memory": f"bounded {memory[isolation.memory_by]}",
                "standing": ", ".join(wall for wall, stands in isolation.walls.items() if stands),
            },
        )
    if found.missing:
        alike: dict[tuple[str, str], list[str]] = {}
        for each in found.missing:
            alike.setdefault((each.why, each.fix), []).append(each.wall)
        rows = [(", ".join(walls), why, fix) for (why, fix), walls in alike.items()]
        print_table(console, "Walls that are missing", ("walls", "why", "what to do"), rows)
    say(console, f"What a container needs for `full` is in {CONTAINERS}.")
    console.print()


def _print_libraries(console: Console, report: Report) -> None:
    say(console, ("Libraries for agent code", "bold underline"))
    say(console, ", ".join(f"{name} {version}" for name, version in report.libraries.items()) or "none")
    if report.missing_libraries:
        say(console, ("missing: ", "bold red"), ", ".join(report.missing_libraries))
        say(console, ("hint: ", "bold"), f"{INSTALL} installs them.")
    console.print()


def _fonts(fonts: Fonts) -> dict[str, str]:
    if fonts.problem is not None:
        return {"unknown": fonts.problem}
    covers = ", ".join(f"{script} {'yes' if is_covered else 'NO'}" for script, is_covered in fonts.covers.items())
    return {
        "families": f"{len(fonts.families)}; `artifacts.fonts` names folders with more",
        "default": fonts.default,
        "draws": covers,
    }


def _store(store: Store) -> dict[str, str]:
    if store.revision is None:
        state = "none yet; the first use makes it"
    elif store.revision == store.expected:
        state = f"{store.revision}, that of this release"
    else:
        state = f"{store.revision}; this release has {store.expected}"
    lines = {
        "folder": store.path,
        "revision": state,
        "writable": "yes" if store.is_writable else "no",
        "free": size(store.free_bytes),
        "encryption": "on" if store.is_encrypted else "off",
    }
    return lines if store.problem is None else lines | {"problem": store.problem}


def _machine(machine: Machine) -> dict[str, str]:
    newer = [what for abi, what in LANDLOCK_ADDS.items() if machine.landlock is not None and abi > machine.landlock]
    landlock = "none" if machine.landlock is None else f"ABI {machine.landlock}"
    return {
        "system": f"{machine.system} {machine.kernel}, {machine.machine}",
        "python": machine.python,
        "landlock": landlock + (f"; a newer kernel also bars {', '.join(newer)}" if newer else ""),
    }
